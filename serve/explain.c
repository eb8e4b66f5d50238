/*
 * explain.c - see explain.h. A search is made as any client's would be, and its searcher then asked what it held: the
 * buckets that it chose stand in front of its list, and the rows that it found have their numbers there.
 */
#include "serve/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "search/rank.h"
#include "search/search.h"

enum { N_SHOWN = 16, N_PICTURES = 6, MAX_PICTURES = 1024 };

/* k neighbours of a query, by the rows that they are. */
struct answer {
    size_t k, n; /* n: found */
    uint64_t *keys;
    float *distances;
    struct nlsh__found *found; /* [k] */
    double seconds;
};

struct work {
    struct nlsh__call *call;
    struct nlsh__seat *seat;
    const struct nlsh_index *index;
    size_t m;
    float *query;         /* [dim] */
    float *probabilities; /* [m] */
    uint64_t *order;      /* [m] buckets, the most probable first */
    uint8_t *is_scanned;  /* [m] */
    uint32_t scanned, candidates, ranked;
    float outside;
    double route_seconds;
    struct answer near, exact;
};

/* ---- asking ---------------------------------------------------------------------------------- */

static enum nlsh_status answer_create(size_t k, struct answer *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    out->k = k;
    NLSH_TRY(nlsh__alloc(&out->keys, k, sizeof *out->keys, error));
    NLSH_TRY(nlsh__alloc(&out->distances, k, sizeof *out->distances, error));
    NLSH_TRY(nlsh__alloc(&out->found, k, sizeof *out->found, error));
out:
    return status;
}

static void answer_free(struct answer *answer)
{
    nlsh__free(answer->keys);
    nlsh__free(answer->distances);
    nlsh__free(answer->found);
}

static struct nlsh_matrix query_of(const struct work *w)
{
    return (struct nlsh_matrix){
        .data = w->query, .n_rows = 1, .dim = w->index->meta.dim, .type = NLSH_F32};
}

static enum nlsh_status search(struct work *w, const struct nlsh_search_options *options,
                               struct nlsh_search_stats *stats, struct answer *answer,
                               struct nlsh_error *error)
{
    struct nlsh_searcher *s = w->seat->searcher;
    const struct nlsh_matrix query = query_of(w);
    double began = nlsh__now();
    enum nlsh_status status =
        nlsh_search(s, &query, options, answer->keys, answer->distances, stats, error);
    answer->seconds = nlsh__now() - began;
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < answer->k; i++) {
        if (s->best[i] == UINT64_MAX) break;
        answer->found[answer->n++].row = (uint32_t)s->best[i];
    }
    nlsh__find_rows(w->index, answer->found, answer->n);
    return NLSH_OK;
}

static enum nlsh_status search_near(struct work *w, const struct nlsh__question *asked,
                                    struct nlsh_error *error)
{
    struct nlsh_search_options options;
    struct nlsh_search_stats stats = {.struct_size = sizeof stats,
                                      .probes = &w->scanned,
                                      .candidates = &w->candidates,
                                      .ranked = &w->ranked,
                                      .outside = &w->outside};
    nlsh__question_options(asked, &options);
    options.k = w->near.k;
    enum nlsh_status status = search(w, &options, &stats, &w->near, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < w->scanned && i < w->m; i++)
        w->is_scanned[w->seat->searcher->buckets[i]] = 1;
    return NLSH_OK;
}

static enum nlsh_status search_exactly(struct work *w, struct nlsh_error *error)
{
    struct nlsh_search_options options;
    nlsh_search_options_init(&options, sizeof options);
    options.k = w->near.k;
    options.probes = (double)w->m;
    enum nlsh_status status = answer_create(w->near.k, &w->exact, error);
    return status == NLSH_OK ? search(w, &options, NULL, &w->exact, error) : status;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static enum nlsh_status route(struct work *w, struct nlsh_error *error)
{
    const struct nlsh_matrix query = query_of(w);
    double began = nlsh__now();
    enum nlsh_status status = nlsh_route(w->seat->searcher, &query, w->probabilities, error);
    w->route_seconds = nlsh__now() - began;
    if (status != NLSH_OK) return status;
    for (size_t b = 0; b < w->m; b++) {
        float p = w->probabilities[b];
        w->order[b] = nlsh__probability_key(p >= 0 ? p : 0, b);
    }
    qsort(w->order, w->m, sizeof *w->order, by_number);
    for (size_t b = 0; b < w->m; b++) w->order[b] = (uint32_t)w->order[b];
    return NLSH_OK;
}

/* The vector that was sent, or that of the row that was named. */
static enum nlsh_status take_query(struct work *w, const struct nlsh__question *asked,
                                   struct nlsh_error *error)
{
    if ((asked->said & NLSH__SAYS_VECTORS) != 0) {
        if ((asked->said & NLSH__SAYS_ROW) != 0 || asked->n_vectors != 1)
            return nlsh__fail(error, NLSH_E_ARG, NULL, "give one vector, or one row");
        memcpy(w->query, asked->vectors, w->index->meta.dim * sizeof(float));
        return NLSH_OK;
    }
    struct nlsh__found found = {.row = asked->row};
    if ((asked->said & NLSH__SAYS_ROW) == 0)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "give a vector or a row");
    nlsh__find_rows(w->index, &found, 1);
    if (found.segment == NULL)
        return nlsh__fail(error, NLSH_E_ARG, "rows are numbers from 0 on", "there is no row %zu",
                          asked->row);
    nlsh__row_vector(w->index, found.segment, found.place, w->query);
    return NLSH_OK;
}

static enum nlsh_status work_create(struct work *w, const struct nlsh__question *asked,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_rows = w->index->meta.n_rows;
    NLSH_TRY(nlsh__alloc(&w->query, w->index->meta.dim, sizeof *w->query, error));
    NLSH_TRY(nlsh__alloc(&w->probabilities, w->m, sizeof *w->probabilities, error));
    NLSH_TRY(nlsh__alloc(&w->order, w->m, sizeof *w->order, error));
    NLSH_TRY(nlsh__calloc(&w->is_scanned, w->m, 1, error));
    NLSH_TRY(answer_create(asked->k < n_rows ? asked->k : n_rows, &w->near, error));
out:
    return status;
}

static void work_free(struct work *w)
{
    nlsh__free(w->query);
    nlsh__free(w->probabilities);
    nlsh__free(w->order);
    nlsh__free(w->is_scanned);
    answer_free(&w->near);
    answer_free(&w->exact);
}

/* ---- telling --------------------------------------------------------------------------------- */

static int has(const struct answer *answer, size_t row)
{
    for (size_t i = 0; i < answer->n; i++)
        if (answer->found[i].row == row) return 1;
    return 0;
}

/* in: of the other answer, which a neighbour may be in as well. */
static void tell_neighbours(struct work *w, const char *name, const char *in,
                            const struct answer *answer, const struct answer *other)
{
    struct nlsh__text *to = &w->call->text;
    nlsh__text_print(to, ",\"%s\":[", name);
    for (size_t i = 0; i < answer->n; i++) {
        const struct nlsh__found *f = &answer->found[i];
        nlsh__text_print(to, "%s{\"row\":%zu,\"key\":", i > 0 ? "," : "", f->row);
        nlsh__text_key(to, answer->keys[i]);
        nlsh__text_add(to, ",\"distance\":", 12);
        nlsh__text_number(to, (double)answer->distances[i]);
        if (f->segment != NULL)
            nlsh__text_print(to, ",\"bucket\":%zu",
                             nlsh__bucket_of(w->index, f->segment, f->place));
        if (other->keys != NULL)
            nlsh__text_print(to, ",\"%s\":%s", in, has(other, f->row) ? "true" : "false");
        nlsh__text_add(to, "}", 1);
    }
    nlsh__text_add(to, "]", 1);
}

/* The share of the exact neighbours that were found; where distances are equal, any of them will do. */
static double recall_of(const struct work *w)
{
    size_t n = 0;
    if (w->exact.n == 0) return NAN;
    float last = w->exact.distances[w->exact.n - 1];
    for (size_t i = 0; i < w->near.n; i++) n += w->near.distances[i] <= last;
    return (double)n / (double)w->exact.n;
}

static void tell_bucket(struct work *w, size_t b)
{
    struct nlsh__text *to = &w->call->text;
    size_t rows[N_PICTURES], n = nlsh__bucket_sample(w->index, b, N_PICTURES, rows);
    nlsh__text_print(to, "{\"bucket\":%zu,\"probability\":", b);
    nlsh__text_number(to, (double)w->probabilities[b]);
    nlsh__text_print(to, ",\"vectors\":%zu,\"scanned\":%s,\"rows\":[",
                     nlsh__bucket_size(w->index, b), w->is_scanned[b] ? "true" : "false");
    for (size_t i = 0; i < n; i++) nlsh__text_print(to, "%s%zu", i > 0 ? "," : "", rows[i]);
    nlsh__text_add(to, "]}", 2);
}

static void tell_buckets(struct work *w)
{
    struct nlsh__text *to = &w->call->text;
    nlsh__text_print(to, ",\"buckets\":[");
    for (size_t i = 0; i < w->m && i < N_SHOWN; i++) {
        if (i > 0) nlsh__text_add(to, ",", 1);
        tell_bucket(w, w->order[i]);
    }
    nlsh__text_print(to, "],\"scanned\":[");
    int is_first = 1;
    for (size_t i = 0; i < w->m; i++) {
        if (!w->is_scanned[w->order[i]]) continue;
        nlsh__text_print(to, "%s%zu", is_first ? "" : ",", (size_t)w->order[i]);
        is_first = 0;
    }
    nlsh__text_add(to, "]", 1);
}

static void tell_microseconds(struct nlsh__text *to, const char *name, double seconds)
{
    nlsh__text_print(to, "\"%s\":%.1f", name, seconds * 1e6);
}

static void tell(struct work *w, const struct nlsh__map_2d *map)
{
    struct nlsh__text *to = &w->call->text;
    float at[2];
    nlsh__text_print(to, "{\"state\":%llu,\"file\":%llu,\"microseconds\":{",
                     (unsigned long long)w->seat->state->number,
                     (unsigned long long)w->seat->state->file);
    tell_microseconds(to, "route", w->route_seconds);
    nlsh__text_add(to, ",", 1);
    tell_microseconds(to, "search", w->near.seconds);
    if (w->exact.keys != NULL) {
        nlsh__text_add(to, ",", 1);
        tell_microseconds(to, "exact", w->exact.seconds);
    }
    nlsh__text_print(to, "},\"vectors\":%zu,\"candidates\":%u,\"ranked\":%u,\"outside\":",
                     w->seat->state->info.n_rows, w->candidates, w->ranked);
    nlsh__text_number(to, (double)w->outside);
    nlsh__text_add(to, ",\"recall\":", 10);
    nlsh__text_number(to, recall_of(w));
    tell_neighbours(w, "neighbors", "exact", &w->near, &w->exact);
    if (w->exact.keys != NULL) tell_neighbours(w, "exact", "found", &w->exact, &w->near);
    tell_buckets(w);
    nlsh__map_place(map, w->index, w->query, at);
    nlsh__text_print(to, ",\"at\":[%.4f,%.4f]}\n", (double)at[0], (double)at[1]);
}

/* One byte a value of each row; zeros where it is gone. The map, whose lock is held, has their scale. */
static void tell_pictures(struct nlsh__text *to, const struct nlsh_index *index,
                          const struct nlsh__map_2d *map, const struct nlsh__found *found, size_t n)
{
    size_t dim = index->meta.dim;
    if (nlsh__text_reserve(to, n * dim) != 0) return;
    for (size_t i = 0; i < n; i++, to->size += dim) {
        uint8_t *out = (uint8_t *)to->bytes + to->size;
        if (found[i].segment == NULL)
            memset(out, 0, dim);
        else
            nlsh__row_picture(map, index, found[i].segment, found[i].place, out);
    }
}

/* The JSON, then the neighbours' pictures: the page paints both at once, and is spared a second request. In front is how
 * long the JSON is, in four bytes, the least first. */
static void tell_with_pictures(struct work *w, const struct nlsh__map_2d *map)
{
    struct nlsh__text *to = &w->call->text;
    w->call->type = "application/octet-stream";
    nlsh__text_add(to, "\0\0\0", 4);
    tell(w, map);
    size_t n = to->size - 4;
    for (size_t i = 0; i < 4 && !to->is_short; i++) to->bytes[i] = (char)(n >> 8 * i & 0xff);
    tell_pictures(to, w->index, map, w->near.found, w->near.n);
    tell_pictures(to, w->index, map, w->exact.found, w->exact.n);
}

/* ---- the map that stands for a file ---------------------------------------------------------- */

/* Holds the lock until map_done(); NULL after answering with an error, and then it is not held. */
static const struct nlsh__map_2d *map_of(struct nlsh__call *call, const struct nlsh__seat *seat)
{
    struct nlsh__service *s = call->service;
    struct nlsh_error error = {0};
    pthread_mutex_lock(&s->map_lock);
    if (s->map_file == seat->state->file) return &s->map;
    nlsh__map_free(&s->map);
    s->map_file = 0;
    if (nlsh__map_create(seat->state->index, &s->map, &error) == NLSH_OK) {
        s->map_file = seat->state->file;
        return &s->map;
    }
    pthread_mutex_unlock(&s->map_lock);
    nlsh__call_failed(call, &error);
    return NULL;
}

static void map_done(struct nlsh__call *call)
{
    pthread_mutex_unlock(&call->service->map_lock);
}

/* ---- the calls ------------------------------------------------------------------------------- */

static enum nlsh_status ask(struct work *w, const struct nlsh__question *asked,
                            struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(work_create(w, asked, error));
    NLSH_TRY(take_query(w, asked, error));
    /* The search first: what it reads is as cold as any client's search finds it. */
    if (w->near.k > 0) NLSH_TRY(search_near(w, asked, error));
    NLSH_TRY(route(w, error));
    if (w->near.k > 0 && asked->exact) NLSH_TRY(search_exactly(w, error));
out:
    return status;
}

static void explain(struct nlsh__call *call, struct nlsh__seat *seat)
{
    struct nlsh_error error = {0};
    struct nlsh__question asked = {0};
    struct work w = {.call = call, .seat = seat, .index = seat->state->index};
    w.m = w.index->meta.n_buckets;
    w.outside = NAN;
    unsigned allows = NLSH__SAYS_VECTORS | NLSH__SAYS_ROW | NLSH__SAYS_K | NLSH__SAYS_RECALL |
                      NLSH__SAYS_PROBES | NLSH__SAYS_CAUTIOUS | NLSH__SAYS_EXACT;
    if (nlsh__call_question(call, w.index->meta.dim, allows, &asked) != 0) return;
    if (ask(&w, &asked, &error) != NLSH_OK) {
        nlsh__call_failed(call, &error);
    } else {
        const struct nlsh__map_2d *map = map_of(call, seat);
        if (map != NULL) {
            if (nlsh__call_has_pictures(call, seat) &&
                call->argument(call->user, "pictures") != NULL)
                tell_with_pictures(&w, map);
            else
                tell(&w, map);
            map_done(call);
        }
    }
    work_free(&w);
    nlsh__question_free(&asked);
}

void nlsh__explain(struct nlsh__call *call)
{
    struct nlsh__seat *seat = nlsh__call_seat(call);
    if (seat == NULL) return;
    explain(call, seat);
    nlsh__served_give(call->service->served, seat);
}

static void tell_map(struct nlsh__call *call, const struct nlsh__seat *seat,
                     const struct nlsh__map_2d *map)
{
    struct nlsh__text *to = &call->text;
    nlsh__text_print(to, "{\"file\":%llu,\"buckets\":[", (unsigned long long)seat->state->file);
    for (size_t b = 0; b < map->n_buckets; b++) {
        size_t row;
        nlsh__text_add(to, ",", b > 0);
        if (map->is_empty[b] || nlsh__bucket_sample(seat->state->index, b, 1, &row) == 0)
            nlsh__text_add(to, "null", 4);
        else
            nlsh__text_print(to, "[%.4f,%.4f,%zu,%zu]", (double)map->points[2 * b],
                             (double)map->points[2 * b + 1],
                             nlsh__bucket_size(seat->state->index, b), row);
    }
    nlsh__text_add(to, "]}\n", 3);
}

void nlsh__explain_map(struct nlsh__call *call)
{
    struct nlsh__seat *seat = nlsh__call_seat(call);
    if (seat == NULL) return;
    const struct nlsh__map_2d *map = map_of(call, seat);
    if (map != NULL) {
        tell_map(call, seat, map);
        map_done(call);
    }
    nlsh__served_give(call->service->served, seat);
}

/* Numbers with commas between them; how many, or -1. */
static long read_rows(const char *list, struct nlsh__found *out, size_t max)
{
    size_t n = 0;
    while (list != NULL && n < max) {
        char *end;
        if (*list < '0' || *list > '9') return -1;
        out[n++].row = strtoul(list, &end, 10);
        if (*end == '\0') return (long)n;
        if (*end != ',') return -1;
        list = end + 1;
    }
    return -1;
}

static void tell_images(struct nlsh__call *call, const struct nlsh__seat *seat,
                        const struct nlsh__map_2d *map, struct nlsh__found *found, size_t n)
{
    nlsh__find_rows(seat->state->index, found, n);
    tell_pictures(&call->text, seat->state->index, map, found, n);
    call->type = "application/octet-stream";
}

void nlsh__explain_images(struct nlsh__call *call)
{
    struct nlsh__found found[MAX_PICTURES];
    long n = read_rows(call->argument(call->user, "rows"), found, MAX_PICTURES);
    if (n < 0) {
        nlsh__call_fail(call, 400, "ask for ?rows=1,2,3",
                        "rows is not a list of at most %d row numbers", MAX_PICTURES);
        return;
    }
    struct nlsh__seat *seat = nlsh__call_seat(call);
    if (seat == NULL) return;
    const struct nlsh__map_2d *map = NULL;
    if (!nlsh__call_has_pictures(call, seat))
        nlsh__call_fail(call, 404, "start the server with --image WxH",
                        "the vectors of this index are no pictures");
    else
        map = map_of(call, seat);
    if (map != NULL) {
        tell_images(call, seat, map, found, (size_t)n);
        map_done(call);
    }
    nlsh__served_give(call->service->served, seat);
}
