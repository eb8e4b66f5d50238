/* routes.c - see routes.h. */
#include "serve/routes.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "serve/explain.h"
#include "serve/page.h"

/* ---- search ---------------------------------------------------------------------------------- */

/* The answers to n vectors, k each. */
struct answers {
    size_t n, k;
    uint64_t *keys;
    float *distances;
    uint32_t *probes, *candidates;
    double seconds; /* the library's own time */
};

static enum nlsh_status answers_create(size_t n, size_t k, struct answers *out,
                                       struct nlsh_error *error)
{
    *out = (struct answers){.n = n, .k = k};
    enum nlsh_status status = nlsh__alloc(&out->keys, n * k, sizeof *out->keys, error);
    if (status == NLSH_OK)
        status = nlsh__alloc(&out->distances, n * k, sizeof *out->distances, error);
    if (status == NLSH_OK) status = nlsh__alloc(&out->probes, n, sizeof *out->probes, error);
    if (status == NLSH_OK)
        status = nlsh__alloc(&out->candidates, n, sizeof *out->candidates, error);
    return status;
}

static void answers_free(struct answers *a)
{
    nlsh__free(a->keys);
    nlsh__free(a->distances);
    nlsh__free(a->probes);
    nlsh__free(a->candidates);
}

/* One by one, so that a request can run out of time in between. 0, or -1 after answering with an error. */
static int find(struct nlsh__call *call, const struct nlsh__seat *seat,
                const struct nlsh__question *asked, struct answers *a)
{
    struct nlsh_error error = {0};
    struct nlsh_search_options options;
    size_t dim = seat->state->info.dim;
    nlsh__question_options(asked, &options);
    double began = nlsh__now();
    for (size_t i = 0; i < a->n; i++) {
        const struct nlsh_matrix query = {asked->vectors + i * dim, 1, dim, NLSH_F32, 0};
        struct nlsh_search_stats stats = {
            .struct_size = sizeof stats, .probes = a->probes + i, .candidates = a->candidates + i};
        if (nlsh_search(seat->searcher, &query, &options, a->keys + i * a->k,
                        a->distances + i * a->k, &stats, &error) != NLSH_OK) {
            nlsh__call_failed(call, &error);
            return -1;
        }
        if (i + 1 < a->n && nlsh__call_is_late(call)) return -1;
    }
    a->seconds = nlsh__now() - began;
    return 0;
}

static void tell_keys(struct nlsh__text *to, const struct answers *a, size_t i)
{
    nlsh__text_add(to, i > 0 ? ",[" : "[", i > 0 ? 2 : 1);
    for (size_t j = 0; j < a->k; j++) {
        if (j > 0) nlsh__text_add(to, ",", 1);
        nlsh__text_key(to, a->keys[i * a->k + j]);
    }
    nlsh__text_add(to, "]", 1);
}

static void tell_distances(struct nlsh__text *to, const struct answers *a, size_t i)
{
    nlsh__text_add(to, i > 0 ? ",[" : "[", i > 0 ? 2 : 1);
    for (size_t j = 0; j < a->k; j++) {
        if (j > 0) nlsh__text_add(to, ",", 1);
        nlsh__text_number(to, (double)a->distances[i * a->k + j]);
    }
    nlsh__text_add(to, "]", 1);
}

static void tell_counts(struct nlsh__text *to, const char *name, const uint32_t *counts, size_t n)
{
    nlsh__text_add(to, "],", 2);
    nlsh__text_string(to, name);
    nlsh__text_add(to, ":[", 2);
    for (size_t i = 0; i < n; i++) {
        nlsh__text_add(to, ",", i > 0);
        nlsh__text_whole(to, counts[i]);
    }
}

static void tell_answers(struct nlsh__call *call, const struct answers *a)
{
    struct nlsh__text *to = &call->text;
    nlsh__text_add(to, "{\"keys\":[", 9);
    for (size_t i = 0; i < a->n; i++) tell_keys(to, a, i);
    nlsh__text_add(to, "],\"distances\":[", 15);
    for (size_t i = 0; i < a->n; i++) tell_distances(to, a, i);
    tell_counts(to, "candidates", a->candidates, a->n);
    tell_counts(to, "buckets", a->probes, a->n);
    nlsh__text_add(to, "],\"microseconds\":", 17);
    nlsh__text_number(to, floor(a->seconds * 1e7 + .5) / 10);
    nlsh__text_add(to, "}\n", 2);
}

static void count_answers(struct nlsh__call *call, const struct answers *a)
{
    struct nlsh__metrics *metrics = &call->service->metrics;
    uint64_t candidates = 0;
    for (size_t i = 0; i < a->n; i++) candidates += a->candidates[i];
    nlsh__count(&metrics->queries, a->n);
    nlsh__count(&metrics->candidates, candidates);
    nlsh__count(&metrics->query_ns, (uint64_t)(a->seconds * 1e9));
}

static void search_asked(struct nlsh__call *call, const struct nlsh__seat *seat,
                         const struct nlsh__question *asked)
{
    struct nlsh_error error = {0};
    struct answers answers;
    if (answers_create(asked->n_vectors, asked->k, &answers, &error) != NLSH_OK) {
        nlsh__call_failed(call, &error);
    } else if (find(call, seat, asked, &answers) == 0) {
        tell_answers(call, &answers);
        count_answers(call, &answers);
    }
    answers_free(&answers);
}

static void answer_search(struct nlsh__call *call)
{
    struct nlsh__question asked = {0};
    struct nlsh__seat *seat = nlsh__call_seat(call);
    if (seat == NULL) return;
    unsigned allows = NLSH__SAYS_VECTORS | NLSH__SAYS_K | NLSH__SAYS_RECALL | NLSH__SAYS_PROBES |
                      NLSH__SAYS_CAUTIOUS;
    if (nlsh__call_question(call, seat->state->info.dim, allows, &asked) == 0) {
        if ((asked.said & NLSH__SAYS_VECTORS) != 0)
            search_asked(call, seat, &asked);
        else
            nlsh__call_fail(call, 400, "give \"vector\": [...] or \"vectors\": [[...], ...]",
                            "there is nothing to search for");
        nlsh__question_free(&asked);
    }
    nlsh__served_give(call->service->served, seat);
    nlsh__metrics_duration(&call->service->metrics, nlsh__now() - call->began);
}

/* ---- changes --------------------------------------------------------------------------------- */

static void put_asked(struct nlsh__call *call, const struct nlsh__question *asked, size_t dim)
{
    struct nlsh_error error = {0};
    uint64_t first = NLSH_NO_KEY;
    size_t n_rows;
    const struct nlsh_matrix vectors = {asked->vectors, asked->n_vectors, dim, NLSH_F32, 0};
    if (nlsh__served_put(call->service->served, asked->keys, &vectors, &first, &n_rows, &error) !=
        NLSH_OK) {
        nlsh__call_failed(call, &error);
        return;
    }
    nlsh__count(&call->service->metrics.put, asked->n_vectors);
    nlsh__text_print(&call->text, "{\"added\":%zu,\"first_key\":", asked->n_vectors);
    nlsh__text_key(&call->text, asked->keys != NULL ? asked->keys[0] : first);
    nlsh__text_print(&call->text, ",\"vectors\":%zu}\n", n_rows);
}

/* An index that this process writes keeps its dimension, whatever state it is read from. */
static size_t dimension(struct nlsh__call *call)
{
    struct nlsh__seat *seat = nlsh__call_seat(call);
    if (seat == NULL) return 0;
    size_t dim = seat->state->info.dim;
    nlsh__served_give(call->service->served, seat);
    return dim;
}

static void answer_add(struct nlsh__call *call)
{
    struct nlsh__question asked = {0};
    size_t dim = dimension(call);
    if (dim == 0 ||
        nlsh__call_question(call, dim, NLSH__SAYS_VECTORS | NLSH__SAYS_KEYS, &asked) != 0)
        return;
    if (asked.n_vectors == 0)
        nlsh__call_fail(call, 400, "give \"vectors\": [[...], ...]", "there is nothing to add");
    else if ((asked.said & NLSH__SAYS_KEYS) != 0 && asked.n_keys != asked.n_vectors)
        nlsh__call_fail(call, 400, "give a key a vector, or none at all",
                        "there are %zu keys for %zu vectors", asked.n_keys, asked.n_vectors);
    else
        put_asked(call, &asked, dim);
    nlsh__question_free(&asked);
}

static void delete_asked(struct nlsh__call *call, const struct nlsh__question *asked)
{
    struct nlsh_error error = {0};
    size_t n_deleted, n_rows;
    if (nlsh__served_delete(call->service->served, asked->keys, asked->n_keys, &n_deleted, &n_rows,
                            &error) != NLSH_OK) {
        nlsh__call_failed(call, &error);
        return;
    }
    nlsh__count(&call->service->metrics.deleted, n_deleted);
    nlsh__text_print(&call->text, "{\"keys\":%zu,\"deleted\":%zu,\"vectors\":%zu}\n", asked->n_keys,
                     n_deleted, n_rows);
}

static void answer_delete(struct nlsh__call *call)
{
    struct nlsh__question asked = {0};
    if (call->media != NLSH__MEDIA_JSON) {
        nlsh__call_fail(call, 415, "send {\"keys\": [...]} as application/json",
                        "keys come as JSON");
        return;
    }
    if (nlsh__call_question(call, 1, NLSH__SAYS_KEYS, &asked) != 0) return;
    if (asked.n_keys > 0)
        delete_asked(call, &asked);
    else
        nlsh__call_fail(call, 400, "give \"keys\": [...]", "there is nothing to delete");
    nlsh__question_free(&asked);
}

/* ---- what it is ------------------------------------------------------------------------------ */

static void tell_promises(struct nlsh__text *to, const struct nlsh_index *index)
{
    struct nlsh_promise p = {.struct_size = sizeof p};
    nlsh__text_add(to, ",\"promises\":[", 13);
    for (size_t i = 0; nlsh_index_promise(index, i, &p); i++) {
        nlsh__text_print(to, "%s{\"k\":%zu,\"most\":", i > 0 ? "," : "", p.k);
        nlsh__text_number(to, p.most);
        nlsh__text_add(to, "}", 1);
    }
    nlsh__text_add(to, "]", 1);
}

static void tell_limits(struct nlsh__text *to, const struct nlsh__limits *limits)
{
    nlsh__text_print(
        to,
        ",\"limits\":{\"body_bytes\":%zu,\"k\":%zu,\"vectors\":%zu,\"answers\":%zu,\"seconds\":%g}",
        limits->body_bytes, limits->k, limits->n_vectors, limits->n_answers, limits->seconds);
}

static void answer_info(struct nlsh__call *call)
{
    const struct nlsh__service *s = call->service;
    struct nlsh__text *to = &call->text;
    struct nlsh__seat *seat = nlsh__call_seat(call);
    if (seat == NULL) return;
    const struct nlsh_index_info *info = &seat->state->info;
    nlsh__text_print(
        to, "{\"version\":\"%s\",\"cpu\":\"%s\",\"vectors\":%zu,\"dim\":%zu,\"type\":\"%s\"",
        nlsh_version(), nlsh_cpu(), info->n_rows, info->dim, nlsh__type_name(info->type));
    nlsh__text_print(to, ",\"metric\":\"%s\",\"buckets\":{\"count\":%zu,\"min\":%zu,\"max\":%zu}",
                     nlsh_metric_name(info->metric), info->n_buckets, info->bucket_min,
                     info->bucket_max);
    nlsh__text_print(to, ",\"router_weights\":%zu,\"bytes\":%zu,\"log_bytes\":%llu",
                     info->router_weights, info->size_bytes, (unsigned long long)info->log_bytes);
    nlsh__text_print(to, ",\"deleted\":%zu,\"keys\":%s,\"writes\":%s,\"state\":%llu",
                     info->n_deleted, info->has_keys ? "true" : "false",
                     nlsh__served_writes(s->served) ? "true" : "false",
                     (unsigned long long)seat->state->number);
    if (nlsh__call_has_pictures(call, seat))
        nlsh__text_print(to, ",\"image\":[%zu,%zu]", s->image_width, s->image_height);
    tell_promises(to, seat->state->index);
    tell_limits(to, &s->limits);
    nlsh__text_add(to, "}\n", 2);
    nlsh__served_give(s->served, seat);
}

static void answer_metrics(struct nlsh__call *call)
{
    struct nlsh__seat *seat = nlsh__call_seat(call);
    if (seat == NULL) return;
    call->type = "text/plain; version=0.0.4; charset=utf-8";
    nlsh__metrics_print(&call->service->metrics, nlsh__route_name, seat->state, &call->text);
    nlsh__served_give(call->service->served, seat);
}

static void answer_file(struct nlsh__call *call, const char *path)
{
    for (size_t i = 0; i < nlsh__page_n_files; i++) {
        const struct nlsh__page_file *file = &nlsh__page_files[i];
        if (strcmp(file->path, path) != 0) continue;
        call->type = file->type;
        nlsh__text_add(&call->text, file->bytes, file->size);
    }
}

static void answer_page(struct nlsh__call *call)
{
    answer_file(call, "/");
}

static void answer_css(struct nlsh__call *call)
{
    answer_file(call, "/page.css");
}

static void answer_js(struct nlsh__call *call)
{
    answer_file(call, "/page.js");
}

static void answer_icon(struct nlsh__call *call)
{
    answer_file(call, "/icon.svg");
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct nlsh__route routes[] = {
    {"GET", "/", 1, answer_page},
    {"GET", "/page.css", 1, answer_css},
    {"GET", "/page.js", 1, answer_js},
    {"GET", "/icon.svg", 1, answer_icon},
    {"GET", "/v1/info", 0, answer_info},
    {"POST", "/v1/search", 0, answer_search},
    {"POST", "/v1/add", 0, answer_add},
    {"POST", "/v1/delete", 0, answer_delete},
    {"POST", "/v1/explain", 0, nlsh__explain},
    {"GET", "/v1/map", 0, nlsh__explain_map},
    {"GET", "/v1/images", 0, nlsh__explain_images},
    {"GET", "/metrics", 0, answer_metrics},
};

#define N_ROUTES (sizeof routes / sizeof routes[0])
_Static_assert(N_ROUTES < (size_t)NLSH__N_ROUTE_COUNTS,
               "metrics count each route, and what has none");

const char *nlsh__route_name(unsigned i)
{
    return i < N_ROUTES ? routes[i].path : i == N_ROUTES ? "other" : NULL;
}

const struct nlsh__route *nlsh__route_of(const char *method, const char *path, unsigned *number,
                                         const char **allow)
{
    *allow = NULL;
    *number = N_ROUTES;
    for (unsigned i = 0; i < N_ROUTES; i++) {
        if (strcmp(routes[i].path, path) != 0) continue;
        const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
        *number = i;
        if (strcmp(routes[i].method, wanted) == 0) return &routes[i];
        *allow = routes[i].method;
    }
    return NULL;
}
