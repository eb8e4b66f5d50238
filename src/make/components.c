/*
 * components.c - see components.h. Ours.
 *
 * A code holds some components of a row, and of the others their length. Of a query's distance to a row
 * it does not know the product of the others, which is 2 |q| |x| times a cosine. How large that cosine is
 * for true neighbours says how many rows must be ranked exactly so that none is lost. It is measured: some
 * rows of a sample are queries, the others are all there is, and for each number of components the rows
 * are counted whose score is near enough. The 4 bits of a component are left out: their error is small
 * beside that of a whole component. With these counts and the model of costs (promise/cost.h) each width
 * has a price.
 *
 * Rows ranked exactly for recall .99, as forecast here and as measured in built indexes, with 64, 96 and 128
 * components: Fashion-MNIST 154, 94, 64 and 124, 70, 49; USE-512 137, 46, 32 and 229, 74, 47; GloVe-100
 * with 64 and 96: 321, 14 and 456, 17.
 */
#include "make/components.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/job.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "kernels/metric.h"
#include "kernels/topk.h"
#include "linalg/pca.h"
#include "make/resolve.h"
#include "promise/cost.h"

enum {
    QUERIES = 64,
    FEWEST_ROWS = 4096, /* of fewer a build knows no better than the usual number */
    MOST_ROWS = 16384,
    MOST_VALUES = 1 << 23, /* of the sample: none from some 2,080 dimensions on */
    NEAREST = 10,
    LOST = 1, /* of QUERIES x NEAREST neighbours, .2 % */
    USUAL_NODES = 256,
    MOST_WIDTHS = 8,
    MOST_POINTS = 3 * MOST_WIDTHS
};

#define MUCH_QUICKER 0.9

/* 64, but 128 of long vectors: on Fashion-MNIST (784) codes of 64 leave 244 rows to rank exactly,
 * of 128 70; on SIFT (128) 64 leave 64, and longer codes take more to scan than they save. */
size_t nlsh__usual_components(size_t dim)
{
    size_t most = dim >= 512 ? 128 : 64;
    return dim < most ? dim : most;
}

/* ---- the sample ------------------------------------------------------------------------------ */

/* Rows; the first QUERIES are queries, the n others what they look among. */
struct sample {
    size_t n, dim, n_components; /* n_components: of z */
    float *rows;                 /* [QUERIES + n][dim] */
    float *z;                    /* [QUERIES + n][n_components] in units of rows */
    float *outside;        /* [QUERIES + n] squared length of what the components so far leave */
    float *exact, *inside; /* [QUERIES][n] squared distances: all, and of the components so far */
    float *limits;         /* [QUERIES] the NEAREST-th least of exact */
};

static void sample_free(struct sample *s)
{
    nlsh__free(s->rows);
    nlsh__free(s->z);
    nlsh__free(s->outside);
    nlsh__free(s->exact);
    nlsh__free(s->inside);
    nlsh__free(s->limits);
}

static void take_row(const struct nlsh_matrix *base, size_t row, int unit, float *out)
{
    size_t dim = base->dim;
    nlsh__row_to_f32(nlsh__row(base, row), base->type, dim, out);
    if (unit) (void)nlsh__scale_to(out, dim, 1, out); /* zeros stay zeros */
}

static enum nlsh_status take_rows(const struct nlsh_matrix *base,
                                  const struct nlsh_build_options *o, struct sample *s,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = QUERIES + s->n;
    uint32_t *chosen = NULL;
    struct nlsh__rng rng;
    NLSH_TRY(nlsh__alloc(&chosen, n, sizeof *chosen, error));
    NLSH_TRY(nlsh__alloc(&s->rows, n * s->dim, sizeof(float), error));
    nlsh__rng_init(&rng, o->seed, 0x636f6d70);
    nlsh__rng_sample(&rng, base->n_rows, n, chosen);
    nlsh__rng_shuffle(&rng, chosen, n);
    for (size_t i = 0; i < n; i++)
        take_row(base, chosen[i], o->metric == NLSH_COSINE, s->rows + i * s->dim);
out:
    nlsh__free(chosen);
    return status;
}

/* Components of the rows, and their whole lengths as what is outside of none. */
static enum nlsh_status project_rows(struct sample *s, uint64_t seed, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = QUERIES + s->n, p = s->n_components;
    const struct nlsh_matrix rows = {s->rows, n, s->dim, NLSH_F32, 0};
    struct nlsh__projection projection = {0};
    struct nlsh__job job = {.pool = NULL};
    struct nlsh_run alone;
    nlsh_run_init(&alone, sizeof alone);
    alone.n_threads = 1;
    NLSH_TRY(nlsh__job_begin(&alone, &job, error));
    NLSH_TRY(nlsh__pca(&rows, p, seed, &job, &projection, error));
    NLSH_TRY(nlsh__alloc(&s->z, n * p, sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&s->outside, n, sizeof(float), error));
    NLSH_TRY(nlsh__project(&projection, &rows, &job, s->z, error));
    for (size_t i = 0; i < n * p; i++) s->z[i] /= projection.scale;
    for (size_t i = 0; i < n; i++)
        s->outside[i] = nlsh__kernels()->l2sq_f32(s->rows + i * s->dim, projection.mean, s->dim);
out:
    nlsh__projection_free(&projection);
    nlsh__job_end(&job);
    return status;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Exact distances, and each query's NEAREST-th. */
static enum nlsh_status compare_rows(struct sample *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(&s->exact, QUERIES * s->n, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&s->inside, QUERIES * s->n, sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&s->limits, QUERIES, sizeof(float), error));
    for (size_t q = 0; q < QUERIES; q++) {
        float *exact = s->exact + q * s->n;
        uint64_t best[NEAREST];
        nlsh__topk_clear(best, NEAREST);
        for (size_t i = 0; i < s->n; i++) {
            exact[i] = nlsh__kernels()->l2sq_f32(s->rows + q * s->dim,
                                                 s->rows + (QUERIES + i) * s->dim, s->dim);
            nlsh__topk_insert(best, NEAREST, nlsh__key_f32(exact[i], (uint32_t)i));
        }
        s->limits[q] = nlsh__key_score_f32(best[NEAREST - 1]);
    }
out:
    return status;
}

/* ---- how many are ranked --------------------------------------------------------------------- */

/* Components from .. to - 1 go from outside to inside; the last of all leave nothing outside. */
static void add_components(struct sample *s, size_t from, size_t to)
{
    size_t p = s->n_components;
    if (to == s->dim) {
        memcpy(s->inside, s->exact, QUERIES * s->n * sizeof *s->inside);
        memset(s->outside, 0, (QUERIES + s->n) * sizeof *s->outside);
        return;
    }
    for (size_t i = 0; i < QUERIES + s->n; i++) {
        const float *z = s->z + i * p + from;
        s->outside[i] = fmaxf(0, s->outside[i] - nlsh__kernels()->dot_f32(z, z, to - from));
    }
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t i = 0; i < s->n; i++)
            s->inside[q * s->n + i] += nlsh__kernels()->l2sq_f32(
                s->z + q * p + from, s->z + (QUERIES + i) * p + from, to - from);
}

/* The score of row i for query q, and how much a cosine of 1 would take from it. */
static float score_of(const struct sample *s, size_t q, size_t i, float *unit)
{
    float query = s->outside[q], row = s->outside[QUERIES + i];
    *unit = 2 * sqrtf(query * row);
    return s->inside[q * s->n + i] + query + row;
}

/* The cosine that all but LOST neighbours keep below. */
static float cosine_of_neighbours(const struct sample *s)
{
    float cosines[QUERIES * (NEAREST + 1)], unit;
    size_t n = 0;
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t i = 0, found = 0; i < s->n && found < NEAREST; i++) {
            float exact = s->exact[q * s->n + i], score = score_of(s, q, i, &unit);
            if (exact > s->limits[q]) continue;
            cosines[n++] = unit > 0 ? (score - exact) / unit : 0;
            found++;
        }
    if (n <= LOST) return 1;
    qsort(cosines, n, sizeof *cosines, ascending);
    return cosines[n - 1 - LOST];
}

/* Rows a query whose distance may be within the limit. */
static double count_ranked(const struct sample *s)
{
    float cosine = cosine_of_neighbours(s), unit;
    size_t n = 0;
    for (size_t q = 0; q < QUERIES; q++)
        for (size_t i = 0; i < s->n; i++) {
            float score = score_of(s, q, i, &unit);
            n += score - cosine * unit <= s->limits[q];
        }
    return (double)n / QUERIES;
}

/* ---- prices ---------------------------------------------------------------------------------- */

/* Rows that a query scans for recall .99, of n. Measured shares against the mean of limits over the mean
 * distance, which says how well neighbours stand out: Fashion-MNIST .011 at .17, SIFT-1M .030 at .34, USE-512
 * .044 at .43, GloVe-100 .060 at .53. */
static double count_scanned(const struct sample *s, const struct nlsh_build_options *o, size_t n)
{
    double near = 0, all = 0;
    for (size_t q = 0; q < QUERIES; q++) near += (double)s->limits[q] / QUERIES;
    for (size_t i = 0; i < QUERIES * s->n; i++) all += (double)s->exact[i];
    all /= (double)(QUERIES * s->n);
    double share = 0.18 * pow(near / all, 1.7); /* not a number where all rows are alike */
    return (double)n * share * (nlsh__in_leaves(o, n) ? NLSH__LEAVES_SCAN : 1);
}

/* The lengths of codes, in components, that a build tries for a router of so many: make_codes(). */
static size_t code_lengths(const struct nlsh_build_options *o, size_t width, size_t out[3])
{
    size_t n = 0;
    for (size_t quarters = 2; quarters <= 4; quarters++) out[n++] = width * quarters / 4;
    if (o->code_bytes == NLSH_AUTO) return n;
    out[0] = 2 * o->code_bytes < width ? 2 * o->code_bytes : width;
    return 1;
}

struct prices {
    size_t widths[MOST_WIDTHS], n_widths;
    double ns[MOST_WIDTHS];
    int as_bytes; /* how rows are kept */
};

/* Widths that are tried for so many dimensions, ascending; the usual one is among them. */
static void list_widths(size_t dim, struct prices *out)
{
    static const size_t widths[] = {64, 96, 128, 192, 256};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        size_t width = widths[i] < dim ? widths[i] : dim;
        if (out->n_widths == 0 || width > out->widths[out->n_widths - 1])
            out->widths[out->n_widths++] = width;
    }
}

static void add_price(const struct sample *s, const struct nlsh_matrix *base,
                      const struct nlsh_build_options *o, size_t components, double scanned,
                      struct prices *prices)
{
    double times = nlsh__in_leaves(o, base->n_rows) ? NLSH__LEAVES_RANK : 1;
    double ranked = fmin(times * count_ranked(s), scanned);
    double ns = nlsh__cost_of_scan(scanned, (components + 1) / 2) +
                nlsh__cost_of_ranking(ranked, base->dim * (prices->as_bytes ? 1 : sizeof(float)));
    for (size_t w = 0; w < prices->n_widths; w++) {
        size_t width = prices->widths[w], lengths[3];
        size_t n_lengths = code_lengths(o, width, lengths);
        const struct nlsh__network_size network = {width, o->layers,
                                                   o->nodes == NLSH_AUTO ? USUAL_NODES : o->nodes,
                                                   o->n_buckets, o->groups};
        double router = nlsh__cost_of_network(&network) +
                        nlsh__cost_of_projection(base->dim, width, prices->as_bytes);
        for (size_t i = 0; i < n_lengths; i++)
            if (lengths[i] == components) prices->ns[w] = fmin(prices->ns[w], router + ns);
    }
}

/* Each width's price with the best of its codes. */
static void find_prices(struct sample *s, const struct nlsh_matrix *base,
                        const struct nlsh_build_options *o, struct prices *prices)
{
    double scanned = count_scanned(s, o, base->n_rows);
    size_t from = 0, last = prices->widths[prices->n_widths - 1];
    for (size_t w = 0; w < prices->n_widths; w++) prices->ns[w] = INFINITY;
    while (from < last) {
        size_t next = SIZE_MAX, lengths[3];
        for (size_t w = 0; w < prices->n_widths; w++) {
            size_t n = code_lengths(o, prices->widths[w], lengths);
            for (size_t i = 0; i < n; i++)
                if (lengths[i] > from && lengths[i] < next) next = lengths[i];
        }
        if (next > last) break;
        add_components(s, from, next);
        add_price(s, base, o, next, scanned, prices);
        from = next;
    }
}

static size_t cheapest(const struct prices *p, size_t usual)
{
    double usual_ns = INFINITY;
    size_t best = 0;
    for (size_t w = 0; w < p->n_widths; w++) {
        if (p->widths[w] == usual) usual_ns = p->ns[w];
        if (p->ns[w] < p->ns[best]) best = w;
    }
    return p->ns[best] < MUCH_QUICKER * usual_ns ? p->widths[best] : usual;
}

/* ---- the choice ------------------------------------------------------------------------------ */

enum nlsh_status nlsh__auto_components(const struct nlsh_matrix *base,
                                       const struct nlsh_build_options *o, size_t *out,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    struct sample s = {.dim = base->dim};
    struct prices prices = {.as_bytes = nlsh__stored_as_bytes(base, o->metric)};
    size_t usual = nlsh__usual_components(base->dim), most = MOST_VALUES / base->dim;
    *out = usual;
    list_widths(base->dim, &prices);
    if (prices.n_widths < 2 || o->code_bytes == 0 || o->metric == NLSH_IP) return NLSH_OK;
    if (base->n_rows < FEWEST_ROWS || most < FEWEST_ROWS) return NLSH_OK;
    if (most > MOST_ROWS) most = MOST_ROWS;
    s.n = (base->n_rows < most ? base->n_rows : most) - QUERIES;
    s.n_components = prices.widths[prices.n_widths - 1];
    if (s.n_components == s.dim) s.n_components--; /* of all there are no principal ones: pca.h */
    NLSH_TRY(take_rows(base, o, &s, error));
    NLSH_TRY(project_rows(&s, o->seed, error));
    NLSH_TRY(compare_rows(&s, error));
    find_prices(&s, base, o, &prices);
    *out = cheapest(&prices, usual);
out:
    sample_free(&s);
    if (status == NLSH_OK || status == NLSH_E_NOMEM) return status;
    nlsh__error_clear(error); /* what is wrong with the values, the build says in its own words */
    return NLSH_OK;
}
