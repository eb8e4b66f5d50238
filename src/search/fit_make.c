/*
 * fit_make.c - nlsh__fit_create(): measures how far searches through a filter have to go.
 *
 * Rows that the router did not learn from (section meter) ask. By place, which asks no router, others do besides
 * where those are few; a row's part in its own bucket's mean is taken out. Their nearest neighbours among a sample of
 * the allowed rows are found exactly; of a share v of the rows the k v nearest stand for the k nearest of all, and
 * where that is less than one, the nearest one does, which lies farther. The need of the bucket of each such
 * neighbour is what a limit must be so that the neighbour is found. So the recall of a limit is the share of the
 * neighbours that need no more, and what is promised of it is less: two standard errors, and one more row that found
 * nothing, as in measure/.
 *
 * Where many rows are allowed the sample is a small share, and its nearest row lies far beyond the nearest. So a
 * second look follows: searches by what the first one promises find nearly all of the 100 nearest themselves. What
 * they may have missed counts as missed by every limit.
 *
 * What codes lose is measured on the same neighbours, as measure/rowmargins.c does it: how many errors the score of
 * each lies beyond the limit that the last of them sets. Ours.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"
#include "kernels/topk.h"
#include "search/filtered.h"
#include "search/fit.h"
#include "search/search.h"

enum {
    MOST_ASKING = 800,  /* rows that ask: more than .996 cannot be promised by so many */
    LEAST_ASKING = 50,  /* by so few no more than .92 */
    MOST_SAMPLE = 4096, /* allowed rows that they are compared with; a fit takes 0.1 to 0.2 s */
    MOST_NEAREST = 32,  /* neighbours that are looked at of each, evenly among the nearest */
    CLOSELY_K = 100,    /* neighbours of the second look */
    COUNTING = 100      /* rows that say how many rows a limit lets scan */
};

/* Of these it finds so many. */
#define CLOSELY 0.99

static const uint32_t margin_ks[NLSH__FIT_MARGIN_KS] = {1, 10, 100};
static const float losses[NLSH__FIT_LOSSES] = {0.0005f, 0.001f, 0.002f, 0.005f, 0.01f};
static const size_t ks[NLSH__FIT_KS] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
static const double rungs[NLSH__FIT_RUNGS] = {.5,  .6,   .7,  .8,   .85, .9,    .925, .95,  .96,
                                              .97, .975, .98, .985, .99, .9925, .995, .9975};

/* A measurement under way. */
struct fitting {
    const struct nlsh_index *index;
    const struct nlsh__allowed *allowed;
    struct nlsh_searcher *s;
    int coded; /* every segment has codes */
    struct nlsh__fit *fit;
    uint64_t *bits;                 /* of the sampled rows, as allowed->bits */
    const struct nlsh__plan *plan;  /* of the second look; or NULL: it is the first */
    double known;                   /* the share of the neighbours that is known */
    double share;                   /* of the allowed rows that are sampled */
    uint32_t *bucket_of, *place_of; /* [n_rows] */
    uint64_t
        *asking; /* [n_asking] row numbers; segment and place when they were found, ascending */
    uint8_t *untaught;             /* [n_asking] whether the router did not learn from it */
    size_t n_rows, n_asking, most; /* neighbours that are known of each */
    uint64_t *best;                /* [n_asking x most] */
    float *needs;                  /* [NLSH__FIT_WAYS x n_asking x most] */
    size_t n_counting;
    float *of_buckets; /* [NLSH__FIT_WAYS x COUNTING x m] */
    uint64_t *pool;    /* [n_asking x MOST_NEAREST] need and asking row */
    uint32_t *found;   /* [n_asking] */
    float *beyond;     /* [NLSH__FIT_MARGIN_KS x n_asking x MOST_NEAREST] errors beyond the limit */
    size_t n_beyond[NLSH__FIT_MARGIN_KS];
};

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* ---- who asks, and of what ------------------------------------------------------------------- */

/* Every so many-th allowed row, in the order of places: each bucket's share. */
static void sample_rows(struct fitting *f)
{
    size_t n = f->allowed->n, wanted = n < MOST_SAMPLE ? n : MOST_SAMPLE, seen = 0;
    f->share = (double)wanted / (double)n;
    for (size_t i = 0; i < f->index->n_segments; i++) {
        const struct nlsh__segment *s = &f->index->segments[i];
        const uint64_t *allowed = nlsh__allowed_in(f->allowed, f->index, i);
        uint64_t *bits = f->bits + (allowed - f->allowed->bits);
        for (size_t place = 0; place < s->n_rows; place++) {
            if (!(allowed[place / 64] >> place % 64 & 1)) continue;
            if (seen * wanted / n != (seen + 1) * wanted / n)
                bits[place / 64] |= UINT64_C(1) << place % 64;
            seen++;
        }
    }
}

static int rising(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int is_untaught(const struct nlsh_index *index, uint32_t row)
{
    return bsearch(&row, index->untaught, index->meter.n, sizeof row, rising) != NULL;
}

/* Those that the router did not learn from; where these are few and others can ask, others, evenly. */
static size_t choose_asking(struct fitting *f)
{
    size_t n = f->index->meter.n, n_rows = f->n_rows, taken = n < f->n_asking ? n : f->n_asking;
    for (size_t i = 0; i < taken; i++) f->asking[i] = f->index->untaught[i * n / taken];
    if (f->fit->centres == NULL) return taken;
    size_t more = f->n_asking - taken < n_rows ? f->n_asking - taken : n_rows;
    for (size_t i = 0; i < more; i++) {
        uint32_t row = (uint32_t)(i * n_rows / more);
        if (!is_untaught(f->index, row)) f->asking[taken++] = row;
    }
    qsort(f->asking, taken, sizeof *f->asking, ascending);
    return taken;
}

/* The buckets of all rows, and where those that ask stand. */
static void find_places(struct fitting *f)
{
    size_t found = 0, n = choose_asking(f);
    for (size_t i = 0; i < f->index->n_segments; i++) {
        const struct nlsh__segment *s = &f->index->segments[i];
        for (size_t b = 0; b < f->index->meta.n_buckets; b++)
            for (size_t p = s->bucket_offsets[b]; p < s->bucket_offsets[b + 1]; p++) {
                uint64_t row = s->first_row + (uint64_t)s->rows[p];
                f->bucket_of[row] = (uint32_t)b;
                f->place_of[row] = (uint32_t)p;
                if (bsearch(&row, f->asking, n, sizeof row, ascending) == NULL) continue;
                f->untaught[found] = (uint8_t)is_untaught(f->index, (uint32_t)row);
                f->pool[found++] = (uint64_t)i << 32 | p;
            }
    }
    f->n_asking = found;
    memcpy(f->asking, f->pool, found * sizeof *f->asking);
}

/* The means of the allowed rows of each bucket. By inner product the longest rows are near, wherever means are. */
static void find_centres(struct fitting *f)
{
    const struct nlsh_index *index = f->index;
    size_t dim = index->meta.dim, stride = f->fit->stride;
    float *sum = f->s->query.floats;
    for (size_t b = 0; b < index->meta.n_buckets; b++) {
        if (f->allowed->counts[b] == 0) continue;
        memset(sum, 0, dim * sizeof *sum);
        for (size_t i = 0; i < index->n_segments; i++) {
            const struct nlsh__segment *s = &index->segments[i];
            const uint64_t *bits = nlsh__allowed_in(f->allowed, index, i);
            for (size_t p = s->bucket_offsets[b]; p < s->bucket_offsets[b + 1]; p++)
                if (bits[p / 64] >> p % 64 & 1) nlsh__stored_add(index, s, p, sum);
        }
        for (size_t d = 0; d < dim; d++) sum[d] /= (float)f->allowed->counts[b];
        memcpy(f->fit->centres + b * stride, nlsh__ask_inputs(&f->s->asker, sum, NULL),
               nlsh__router_n_inputs(index->router) * sizeof(float));
    }
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* The nearest of the sample; the row itself is none. */
static void find_nearest(struct fitting *f, size_t segment, size_t place, uint64_t *best)
{
    uint64_t *word =
        f->bits + (nlsh__allowed_in(f->allowed, f->index, segment) - f->allowed->bits) + place / 64;
    uint64_t before = *word;
    *word &= ~(UINT64_C(1) << place % 64);
    nlsh__topk_clear(best, f->most);
    for (size_t i = 0; i < f->index->n_segments; i++) {
        const struct nlsh__segment *s = &f->index->segments[i];
        const uint64_t *bits =
            f->bits + (nlsh__allowed_in(f->allowed, f->index, i) - f->allowed->bits);
        const struct nlsh__ranking one = {f->index, s, &f->s->query, bits, best, f->most};
        nlsh__rank_range(&one, 0, s->n_rows);
    }
    nlsh__topk_sort(best, f->most);
    *word = before;
}

/* The i-th of those that are looked at, of the nearest. */
static size_t nearest_at(size_t i, size_t looked, size_t nearest)
{
    return (2 * i + 1) * nearest / (2 * looked);
}

static size_t looked_at(size_t nearest)
{
    return nearest < MOST_NEAREST ? nearest : MOST_NEAREST;
}

/* How many errors the score of a row lies beyond what the nearest's last one sets. */
static float errors_beyond(struct fitting *f, const float *inputs, uint64_t *best, size_t nearest,
                           size_t number)
{
    const struct nlsh_index *index = f->index;
    const struct nlsh__segment *s = index->segments + index->n_segments - 1;
    uint32_t row = (uint32_t)best[number], b = f->bucket_of[row];
    while (row < s->first_row) s--;
    const struct nlsh__codes *codes = s->codes;
    const struct nlsh__query *query = &f->s->query;
    const struct nlsh__ranking last = {index, s, query, NULL, best, nearest};
    size_t at = f->place_of[row] - s->bucket_offsets[b];
    size_t group = codes->group_offsets[b] + at / NLSH__GROUP;
    struct nlsh__units units;
    struct nlsh__probe probe;
    float scores[NLSH__GROUP] __attribute__((aligned(64)));
    nlsh__query_units(index, s, query, inputs, &units);
    nlsh__probe_bucket(codes, index->metric == NLSH_IP, inputs, units.outside, b, f->s->scan.origin,
                       f->s->scan.weights, &probe);
    nlsh__score_groups(&codes->rows, &probe, f->s->scan.weights, group, 1, scores);
    float error = codes->error_unit * probe.error_length *
                  (float)codes->rows.errors[group * NLSH__GROUP + at % NLSH__GROUP];
    float beyond = scores[at % NLSH__GROUP] - nlsh__rank_limit(&last, &units);
    return beyond > 0 && error > 0 ? fminf(beyond / error, NLSH__NO_MARGIN) : 0;
}

static void ask_codes(struct fitting *f, const float *inputs, uint64_t *best)
{
    for (size_t t = 0; t < NLSH__FIT_MARGIN_KS; t++) {
        size_t nearest = (size_t)ceil((double)margin_ks[t] * f->share), looked = looked_at(nearest);
        if (nearest > f->most || best[nearest - 1] == UINT64_MAX) return;
        float *out = f->beyond + t * f->n_asking * MOST_NEAREST;
        for (size_t j = 0; j < looked; j++)
            out[f->n_beyond[t]++] =
                errors_beyond(f, inputs, best, nearest, nearest_at(j, looked, nearest));
    }
}

/* The nearest of all that is allowed, by a search that gets nearly all of them. */
static void search_nearest(struct fitting *f, uint32_t itself, uint64_t *best)
{
    struct nlsh__routed routed;
    struct nlsh__cost cost;
    size_t n = 0;
    nlsh__search_by_plan(f->s, f->plan, &routed, &cost);
    for (size_t i = 0; i < f->plan->k && n < f->most; i++)
        if ((uint32_t)f->s->best[i] != itself) best[n++] = f->s->best[i];
}

static void ask(struct fitting *f, size_t number)
{
    size_t m = f->index->meta.n_buckets, place = (uint32_t)f->asking[number];
    size_t segment = f->asking[number] >> 32;
    uint64_t *best = f->best + number * f->most;
    nlsh__query_from_stored(&f->s->query, f->index, &f->index->segments[segment], place);
    uint64_t bit = nlsh__allowed_in(f->allowed, f->index, segment)[place / 64] >> place % 64 & 1;
    uint32_t row = f->index->segments[segment].rows[place];
    row += f->index->segments[segment].first_row;
    uint32_t own = bit ? f->bucket_of[row] : UINT32_MAX;
    if (f->plan != NULL)
        search_nearest(f, row, best);
    else
        find_nearest(f, segment, place, best);
    const struct nlsh__query *query = &f->s->query;
    /* evenly among them, since they stand by bucket */
    int counts = number * COUNTING / f->n_asking != (number + 1) * COUNTING / f->n_asking;
    const float *of[NLSH__FIT_WAYS];
    of[NLSH__FIT_PLACE] =
        nlsh__ask_inputs(&f->s->asker, query->routed, query->as_bytes ? query->bytes : NULL);
    if (f->coded) ask_codes(f, of[NLSH__FIT_PLACE], best);
    of[NLSH__FIT_ROUTER] = nlsh__ask_probabilities(&f->s->asker);
    for (int way = 0; way < (f->fit->centres != NULL ? 2 : 1); way++) {
        float *needs = f->s->probabilities;
        size_t n = nlsh__fit_needs(f->fit, f->index, f->allowed, (enum nlsh__fit_way)way, of[way],
                                   own, f->s->bucket_keys);
        for (size_t b = 0; b < m; b++) needs[b] = INFINITY;
        for (size_t i = 0; i < n; i++)
            needs[(uint32_t)f->s->bucket_keys[i]] = nlsh__key_score_f32(f->s->bucket_keys[i]);
        float *out = f->needs + ((size_t)way * f->n_asking + number) * f->most;
        for (size_t j = 0; j < f->most; j++)
            out[j] = best[j] == UINT64_MAX ? INFINITY : needs[f->bucket_of[(uint32_t)best[j]]];
        if (counts)
            memcpy(f->of_buckets + ((size_t)way * COUNTING + f->n_counting) * m, needs,
                   m * sizeof *needs);
    }
    f->n_counting += (size_t)counts;
}

/* ---- what they found ------------------------------------------------------------------------- */

/* Rows within a limit, the mean of a query. */
static double rows_within(const struct fitting *f, int way, float limit)
{
    size_t m = f->index->meta.n_buckets, n = f->n_counting;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const float *needs = f->of_buckets + ((size_t)way * COUNTING + i) * m;
        for (size_t b = 0; b < m; b++) sum += needs[b] <= limit ? (double)f->allowed->counts[b] : 0;
    }
    return sum / (double)n;
}

/* What is sure of a mean of n rows and one more that found nothing, of sums of shares and of their squares. */
static double surely(double sum, double squares, double n)
{
    double mean = sum / (n + 1), variance = fmax(squares / (n + 1) - mean * mean, 0);
    return mean - 2 * sqrt(variance / (n + 1));
}

/* Needs rise; each rung is where what is sure comes to it. */
static void fill_table(struct fitting *f, int way, struct nlsh__fit_table *t)
{
    size_t nearest = (size_t)ceil((double)t->k * f->share), n = 0, rung = 0;
    size_t looked = looked_at(nearest);
    size_t asked = 0;
    for (size_t i = 0; i < f->n_asking; i++) {
        const float *needs = f->needs + ((size_t)way * f->n_asking + i) * f->most;
        if (way == NLSH__FIT_ROUTER && !f->untaught[i]) continue;
        asked++;
        for (size_t j = 0; j < looked; j++)
            f->pool[n++] = nlsh__key_f32(needs[nearest_at(j, looked, nearest)], (uint32_t)i);
    }
    qsort(f->pool, n, sizeof *f->pool, ascending);
    memset(f->found, 0, f->n_asking * sizeof *f->found);
    double sum = 0, squares = 0, of = (double)looked;
    if (asked < LEAST_ASKING) return;
    for (size_t i = 0; i < n && rung < NLSH__FIT_RUNGS; i++) {
        float need = nlsh__key_score_f32(f->pool[i]);
        if (!(need < INFINITY)) break;
        double before = (double)f->found[(uint32_t)f->pool[i]]++;
        sum += 1 / of;
        squares += (2 * before + 1) / (of * of);
        if (i + 1 < n && nlsh__key_score_f32(f->pool[i + 1]) <= need) continue; /* equals */
        size_t reached = rung;
        double sure = f->known * surely(sum, squares, (double)asked);
        while (reached < NLSH__FIT_RUNGS && sure >= rungs[reached]) reached++;
        double rows = reached > rung ? rows_within(f, way, need) : 0;
        for (; rung < reached; rung++)
            t->points[t->n++] = (struct nlsh__fit_point){(float)rungs[rung], need, (float)rows};
    }
}

static int falling(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Half of what a budget leaves to codes, as it reckons (promise/budget.c). */
static void fill_margins(struct fitting *f)
{
    struct nlsh__fit *fit = f->fit;
    size_t n = 0;
    for (; n < NLSH__FIT_MARGIN_KS && f->n_beyond[n] > 0; n++) {
        float *beyond = f->beyond + n * f->n_asking * MOST_NEAREST;
        qsort(beyond, f->n_beyond[n], sizeof *beyond, falling);
        for (size_t l = 0; l < NLSH__FIT_LOSSES; l++)
            fit->margin[n * NLSH__FIT_LOSSES + l] =
                beyond[(size_t)((double)losses[l] / 2 * (double)f->n_beyond[n])];
    }
    memcpy(fit->margin_ks, margin_ks, sizeof margin_ks);
    if (n > 0)
        fit->margins =
            (struct nlsh__margins){n, NLSH__FIT_LOSSES, fit->margin_ks, losses, fit->margin};
}

/* The less of two limits: each was measured. */
static void take_less(struct nlsh__fit_table *t, const struct nlsh__fit_table *other)
{
    for (size_t i = 0; i < other->n; i++)
        if (i >= t->n || other->points[i].limit < t->points[i].limit)
            t->points[i] = other->points[i];
    if (other->n > t->n) t->n = other->n;
}

static void fill_tables(struct fitting *f)
{
    size_t n = 0;
    while (n < NLSH__FIT_KS && (double)ks[n] * f->share <= (double)f->most) n++;
    if (f->plan == NULL) f->fit->n_tables = n;
    for (int way = 0; way < NLSH__FIT_WAYS; way++)
        for (size_t i = 0; i < n; i++) {
            struct nlsh__fit_table t = {.k = ks[i]};
            f->fit->tables[way][i].k = ks[i];
            if (way == NLSH__FIT_PLACE && f->fit->centres == NULL) continue;
            fill_table(f, way, &t);
            take_less(&f->fit->tables[way][i], &t);
        }
}

/* All rows ask, and what they find is written down. */
static void look(struct fitting *f)
{
    f->n_counting = 0;
    memset(f->n_beyond, 0, sizeof f->n_beyond);
    for (size_t i = 0; i < f->n_asking; i++) ask(f, i);
    fill_tables(f);
    fill_margins(f);
}

/* Not where all that is allowed was looked at, or would have to be. */
static enum nlsh_status look_closely(struct fitting *f, struct nlsh_error *error)
{
    struct nlsh__allowed fitted = *f->allowed;
    struct nlsh__plan plan = {.allowed = &fitted, .k = CLOSELY_K + 1, .recall = CLOSELY};
    fitted.fit = f->fit;
    if (f->share == 1) return NLSH_OK;
    nlsh__plan_by_content(f->index, &plan);
    if (!plan.fitted) return NLSH_OK;
    enum nlsh_status status = nlsh__reserve_best(f->s, plan.k, error);
    if (status != NLSH_OK) return status;
    f->plan = &plan;
    f->known = CLOSELY;
    f->share = 1;
    f->most = CLOSELY_K;
    look(f);
    f->plan = NULL;
    return NLSH_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum nlsh_status reserve(struct fitting *f, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *index = f->index;
    size_t m = index->meta.n_buckets, n_words = 0, most_k = ks[NLSH__FIT_KS - 1];
    size_t sampled = f->allowed->n < MOST_SAMPLE ? f->allowed->n : MOST_SAMPLE;
    double share = (double)sampled / (double)f->allowed->n;
    size_t last = index->n_segments - 1;
    n_words = (size_t)(nlsh__allowed_in(f->allowed, index, last) - f->allowed->bits) +
              index->segments[last].n_rows / 64 + 1;
    f->n_rows = index->segments[last].first_row + index->segments[last].n_rows;
    f->n_asking = f->n_rows < MOST_ASKING ? f->n_rows : MOST_ASKING;
    f->most = (size_t)ceil(share * (double)most_k);
    if (f->most > sampled - 1) f->most = sampled - 1; /* a row that asks is not its own neighbour */
    size_t n = f->n_asking, most = f->most > CLOSELY_K ? f->most : CLOSELY_K;
    NLSH_TRY(nlsh_searcher_create(index, &f->s, error));
    NLSH_TRY(nlsh__calloc(&f->fit, 1, sizeof *f->fit, error));
    f->fit->stride = nlsh__router_input_size(index->router);
    if (index->metric != NLSH_IP)
        NLSH_TRY(nlsh__calloc(&f->fit->centres, m, f->fit->stride * sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&f->bits, n_words, sizeof *f->bits, error));
    NLSH_TRY(nlsh__alloc(&f->bucket_of, f->n_rows, sizeof *f->bucket_of, error));
    NLSH_TRY(nlsh__alloc(&f->place_of, f->n_rows, sizeof *f->place_of, error));
    NLSH_TRY(
        nlsh__alloc(&f->beyond, NLSH__FIT_MARGIN_KS * n * MOST_NEAREST, sizeof *f->beyond, error));
    NLSH_TRY(nlsh__alloc(&f->untaught, n, sizeof *f->untaught, error));
    NLSH_TRY(nlsh__alloc(&f->asking, n, sizeof *f->asking, error));
    NLSH_TRY(nlsh__alloc(&f->best, n * most, sizeof *f->best, error));
    NLSH_TRY(nlsh__alloc(&f->needs, NLSH__FIT_WAYS * n * most, sizeof *f->needs, error));
    NLSH_TRY(nlsh__alloc(&f->of_buckets, NLSH__FIT_WAYS * (size_t)COUNTING * m,
                         sizeof *f->of_buckets, error));
    NLSH_TRY(nlsh__alloc(&f->pool, n * MOST_NEAREST, sizeof *f->pool, error));
    NLSH_TRY(nlsh__alloc(&f->found, n, sizeof *f->found, error));
out:
    return status;
}

static void fitting_free(struct fitting *f)
{
    nlsh_searcher_free(f->s);
    nlsh__fit_free(f->fit);
    nlsh__free(f->bits);
    nlsh__free(f->bucket_of);
    nlsh__free(f->place_of);
    nlsh__free(f->beyond);
    nlsh__free(f->untaught);
    nlsh__free(f->asking);
    nlsh__free(f->best);
    nlsh__free(f->needs);
    nlsh__free(f->of_buckets);
    nlsh__free(f->pool);
    nlsh__free(f->found);
}

enum nlsh_status nlsh__fit_create(const struct nlsh_index *index,
                                  const struct nlsh__allowed *allowed, struct nlsh__fit **out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct fitting f = {.index = index, .allowed = allowed, .coded = 1, .known = 1};
    *out = NULL;
    if (allowed->n < 2 || allowed->n < index->meta.n_buckets)
        return NLSH_OK; /* all are looked at */
    for (size_t i = 0; i < index->n_segments; i++) f.coded &= index->segments[i].codes != NULL;
    NLSH_TRY(reserve(&f, error));
    sample_rows(&f);
    find_places(&f);
    if (f.fit->centres != NULL) find_centres(&f);
    look(&f);
    NLSH_TRY(look_closely(&f, error));
    f.fit->n_asked = f.n_asking;
    *out = f.fit;
    f.fit = NULL;
out:
    fitting_free(&f);
    return status;
}
