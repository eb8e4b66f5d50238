/*
 * codes.c - which short code leaves the fewest rows to rank exactly, for docs/algorithm.md.
 *
 *   ninja -C build/release bench_codes
 *   build/release/bench_codes INDEX QUERIES [N_QUERIES]
 *
 * The buckets of an index, chosen for recall .95, are scanned by each kind of code in double
 * precision. A row's score is an estimate of its squared distance with an error that belongs to it;
 * half of the queries say how many errors a score may be off where .2 % of the ten nearest of the
 * scanned rows are lost, the other half how many rows are then ranked exactly, by the rule of
 * src/search/scan.c. Beside it the bytes that a query reads of codes and rows together.
 *
 *   global    components as they are, of 8 bits and one step, the row's length outside them known
 *   centred   components less their bucket's mean, 2, 4 or 8 bits (src/build/encode.c)
 *   product   the same, two or four components to one of 16 points (Jegou et al., "Product
 *             quantization for nearest neighbor search", 2011; IVFADC), as tables in registers take it
 *   rotated   all dimensions less the centroid, turned at random, a sign each (Gao and Long, "RaBitQ",
 *             SIGMOD 2024, 3.1 to 3.2; a row's own factors are counted as 8 bytes)
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/job.h"
#include "base/rng.h"
#include "index/index.h"
#include "kernels/topk.h"
#include "linalg/pca.h"
#include "search/route.h"

enum { K = 10, FIRST = 15, MOST_COMPONENTS = 256, POINTS = 16, SAMPLE = 4096, ROUNDS = 8 };

static struct {
    struct nlsh_index *index;
    const struct nlsh__segment *segment; /* the only one */
    struct nlsh_vectors *read;           /* what the queries are a view of */
    struct nlsh_matrix queries;
    struct nlsh__projection components, rotation;
    float *rows, *asked;      /* [n x p], [n_queries x p] components, in units of the vectors */
    float *turned, *turned_q; /* [n x dim] by the rotation */
    float *centroids, *whole, *whole_turned; /* [m x p], [m x dim] twice */
    double *spread;                          /* [p] standard deviation within buckets */
    size_t n, dim, m, p, n_queries;
} g;

struct code {
    const char *name;
    enum { GLOBAL, CENTRED, PRODUCT, ROTATED } kind;
    size_t components, bits, together; /* together: components to a point */
    double bytes;
    float *points; /* [components / together][POINTS][together] */
};

struct score {
    double score, error, exact;
};

static void must(enum nlsh_status status, const struct nlsh_error *error)
{
    if (status == NLSH_OK) return;
    fprintf(stderr, "error: %s\n", error->message);
    exit(70);
}

static void *room(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) exit(70);
    return memory;
}

static double stored(size_t row, size_t d)
{
    return g.index->meta.storage_type == NLSH_U8
               ? ((const uint8_t *)g.segment->vectors)[row * g.dim + d]
               : (double)((const float *)g.segment->vectors)[row * g.dim + d];
}

static double asked(size_t query, size_t d)
{
    const void *data = g.queries.data;
    return g.queries.type == NLSH_U8 ? ((const uint8_t *)data)[query * g.dim + d]
                                     : (double)((const float *)data)[query * g.dim + d];
}

/* ---- codes ----------------------------------------------------------------------------------- */

/* Steps of Max's quantizers for a normal distribution, in standard deviations; 8 bits span 4. */
static double step_of(size_t bits)
{
    return bits == 2 ? 0.9957 : bits == 4 ? 0.3352 : 8.0 / 256;
}

/* 16 points for each few components, by Lloyd's method on a sample of rows less their centroids. */
static void learn_points(struct code *c)
{
    size_t few = c->together, groups = c->components / few;
    float *x = room(SAMPLE * few, sizeof *x);
    c->points = room(groups * POINTS * few, sizeof *c->points);
    const uint32_t *offsets = g.segment->bucket_offsets;
    for (size_t s = 0; s < groups; s++) {
        float *points = c->points + s * POINTS * few;
        size_t b = 0;
        for (size_t i = 0; i < SAMPLE; i++) {
            size_t row = i * g.n / SAMPLE;
            while (offsets[b + 1] <= row) b++;
            for (size_t j = 0; j < few; j++)
                x[i * few + j] =
                    g.rows[row * g.p + s * few + j] - g.centroids[b * g.p + s * few + j];
        }
        for (size_t i = 0; i < POINTS * few; i++)
            points[i] = x[i * (SAMPLE / POINTS / few) / few * few + i % few];
        for (int round = 0; round < ROUNDS; round++) {
            double sums[POINTS * 4] = {0}, counts[POINTS] = {0};
            for (size_t i = 0; i < SAMPLE; i++) {
                size_t best = 0;
                double least = INFINITY;
                for (size_t k = 0; k < POINTS; k++) {
                    double d = 0;
                    for (size_t j = 0; j < few; j++) {
                        double t = (double)(x[i * few + j] - points[k * few + j]);
                        d += t * t;
                    }
                    if (d < least) least = d, best = k;
                }
                counts[best]++;
                for (size_t j = 0; j < few; j++) sums[best * few + j] += (double)x[i * few + j];
            }
            for (size_t i = 0; i < POINTS * few; i++)
                if (counts[i / few] > 0) points[i] = (float)(sums[i] / counts[i / few]);
        }
    }
    free(x);
}

/* What the code says of the row less its centroid, [components]. */
static void decode(const struct code *c, const float *row, const float *centroid, double *out)
{
    if (c->kind == CENTRED) {
        double half = (double)(1 << (c->bits - 1));
        for (size_t i = 0; i < c->components; i++) {
            double step = g.spread[i] * step_of(c->bits);
            double level = floor((double)(row[i] - centroid[i]) / step);
            out[i] = (fmin(fmax(level, -half), half - 1) + 0.5) * step;
        }
        return;
    }
    size_t few = c->together;
    for (size_t s = 0; s < c->components; s += few) {
        const float *points = c->points + s * POINTS;
        double least = INFINITY;
        for (size_t k = 0; k < POINTS; k++) {
            double d = 0;
            for (size_t j = 0; j < few; j++) {
                double t = (double)(row[s + j] - centroid[s + j] - points[k * few + j]);
                d += t * t;
            }
            if (d >= least) continue;
            least = d;
            for (size_t j = 0; j < few; j++) out[s + j] = (double)points[k * few + j];
        }
    }
}

/* |q - x|^2 with only the part outside the components unknown, and that unknown part's size. */
static void score_row(const struct code *c, size_t query, size_t bucket, size_t row,
                      struct score *out)
{
    const float *q = g.asked + query * g.p, *x = g.rows + row * g.p;
    const float *centroid = g.centroids + bucket * g.p, *whole = g.whole + bucket * g.dim;
    double q_in = 0, q_out = 0, x_in = 0, x_out = 0, c_x = 0, c_out = 0, inside = 0, e = 0,
           cross = 0;
    double said[MOST_COMPONENTS];
    size_t p = c->components;
    out->exact = 0;
    for (size_t d = 0; d < g.dim; d++) {
        double mean = (double)g.components.mean[d], s = stored(row, d) - mean;
        double a = asked(query, d) - mean, cd = (double)whole[d] - mean, t = a - s;
        out->exact += t * t;
        q_out += a * a, x_out += s * s, c_x += s * cd, c_out += cd * cd;
    }
    for (size_t i = 0; i < p; i++) {
        double qi = (double)q[i], xi = (double)x[i], ci = (double)centroid[i];
        q_out -= qi * qi, x_out -= xi * xi, c_x -= xi * ci, c_out -= ci * ci;
        q_in += (qi - ci) * (qi - ci), x_in += (xi - ci) * (xi - ci);
        inside += (qi - xi) * (qi - xi);
    }
    if (p == g.dim) q_out = x_out = c_x = c_out = 0;
    double rest = p < g.dim ? (double)(g.dim - p) : 1;
    if (c->kind == GLOBAL) {
        out->score = inside + x_out + q_out;
        out->error = sqrt(fmax(q_out, 0) * fmax(x_out, 0) / rest);
        return;
    }
    decode(c, x, centroid, said);
    for (size_t i = 0; i < p; i++) {
        double t = (double)(q[i] - centroid[i]), off = (double)(x[i] - centroid[i]) - said[i];
        cross += t * said[i];
        e += off * off;
    }
    out->score = q_in + x_in - 2 * cross + q_out + x_out - 2 * c_x;
    out->error =
        2 * sqrt(q_in * e / (double)p + fmax(q_out, 0) * fmax(x_out - 2 * c_x + c_out, 0) / rest);
}

static void score_rotated(size_t query, size_t bucket, size_t row, struct score *out)
{
    const float *q = g.turned_q + query * g.dim, *x = g.turned + row * g.dim;
    const float *c = g.whole_turned + bucket * g.dim;
    double r2 = 0, q2 = 0, signs = 0, dot = 0, exact = 0;
    for (size_t d = 0; d < g.dim; d++) {
        double r = (double)(x[d] - c[d]), t = (double)(q[d] - c[d]);
        r2 += r * r, q2 += t * t, signs += fabs(r), dot += r > 0 ? t : -t;
        exact += (r - t) * (r - t);
    }
    double length = sqrt(r2), root = sqrt((double)g.dim);
    double alike = length > 0 ? signs / (length * root) : 1; /* <o, x-bar> */
    out->score = q2 + r2 - 2 * length * dot / (root * alike);
    out->error = 2 * sqrt(q2) * length * sqrt(fmax(1 - alike * alike, 0)) / (alike * root);
    out->exact = exact;
}

/* ---- one code over all queries --------------------------------------------------------------- */

static int by_score(const void *a, const void *b)
{
    double x = ((const struct score *)a)->score, y = ((const struct score *)b)->score;
    return (x > y) - (x < y);
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

static void keep(double *best, double exact)
{
    size_t i = K;
    if (!(exact < best[K - 1])) return;
    for (i = K - 1; i > 0 && best[i - 1] > exact; i--) best[i] = best[i - 1];
    best[i] = exact;
}

/* Rows that are ranked of scores[n], ascending; best [K] the exact scores that come out. */
static size_t rank(const struct score *scores, size_t n, double margin, double *best)
{
    size_t ranked = 0;
    for (size_t i = 0; i < K; i++) best[i] = INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (i >= FIRST && scores[i].score - margin * scores[i].error > best[K - 1]) continue;
        keep(best, scores[i].exact);
        ranked++;
    }
    return ranked;
}

static size_t scan(const struct code *c, size_t query, const uint32_t *buckets, size_t n_buckets,
                   struct score *scores)
{
    const uint32_t *offsets = g.segment->bucket_offsets;
    size_t n = 0;
    for (size_t i = 0; i < n_buckets; i++)
        for (size_t r = offsets[buckets[i]]; r < offsets[buckets[i] + 1]; r++, n++) {
            if (c->kind == ROTATED)
                score_rotated(query, buckets[i], r, &scores[n]);
            else
                score_row(c, query, buckets[i], r, &scores[n]);
        }
    qsort(scores, n, sizeof *scores, by_score);
    return n;
}

static void measure(struct code *c, const uint32_t *const *buckets, const size_t *n_buckets)
{
    struct score *scores = room(g.n, sizeof *scores);
    double *margins = room(g.n_queries * K, sizeof *margins), margin = 0;
    double candidates = 0, ranked = 0, lost = 0, wanted = 0;
    size_t n_margins = 0, half = g.n_queries / 2;
    if (c->kind == PRODUCT) learn_points(c);
    for (size_t q = 0; q < g.n_queries; q++) {
        double best[K], truth[K];
        size_t n = scan(c, q, buckets[q], n_buckets[q], scores);
        rank(scores, n, INFINITY, truth);
        if (q < half) {
            for (size_t i = 0; i < n; i++)
                if (scores[i].exact <= truth[K - 1] && n_margins < half * K)
                    margins[n_margins++] =
                        scores[i].error > 0
                            ? fmax(scores[i].score - truth[K - 1], 0) / scores[i].error
                            : 0;
            continue;
        }
        if (q == half) {
            qsort(margins, n_margins, sizeof *margins, descending);
            margin = margins[(size_t)(0.002 * (double)n_margins)];
        }
        ranked += (double)rank(scores, n, margin, best);
        candidates += (double)n;
        for (size_t i = 0, j = 0; i < K && i < n; i++, wanted++) {
            while (j < K && best[j] < truth[i]) j++;
            if (j < K && best[j] == truth[i])
                j++;
            else
                lost++;
        }
    }
    double used = (double)(g.n_queries - half);
    size_t row = g.dim * (g.index->meta.storage_type == NLSH_U8 ? 1 : 4);
    printf("| %s | %.0f | %.1f | %.2f %% | %.1f |\n", c->name, c->bytes, ranked / used,
           100 * lost / wanted, (candidates * c->bytes + ranked * (double)row) / used / 1000);
    fflush(stdout);
    free(c->points);
    free(scores);
    free(margins);
}

/* ---- what all of them share ------------------------------------------------------------------ */

static void means(const float *rows, size_t width, float *out)
{
    const uint32_t *offsets = g.segment->bucket_offsets;
    for (size_t b = 0; b < g.m; b++) {
        for (size_t r = offsets[b]; r < offsets[b + 1]; r++)
            for (size_t i = 0; i < width; i++) out[b * width + i] += rows[r * width + i];
        for (size_t i = 0; i < width && offsets[b + 1] > offsets[b]; i++)
            out[b * width + i] /= (float)(offsets[b + 1] - offsets[b]);
    }
}

static float *project(const struct nlsh__projection *p, const struct nlsh_matrix *rows,
                      const struct nlsh__job *job)
{
    struct nlsh_error error;
    float *out = room(rows->n_rows * p->n_components, sizeof *out);
    must(nlsh__project(p, rows, job, out, &error), &error);
    for (size_t i = 0; i < rows->n_rows * p->n_components; i++) out[i] /= p->scale;
    return out;
}

/* Orthogonal rows out of normal ones (Gram and Schmidt). */
static void make_rotation(void)
{
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 0);
    g.rotation = (struct nlsh__projection){.dim = g.dim, .n_components = g.dim, .scale = 1};
    g.rotation.mean = room(g.dim, sizeof(float));
    float *rows = g.rotation.components = room(g.dim * g.dim, sizeof(float));
    for (size_t i = 0; i < g.dim; i++) {
        float *x = rows + i * g.dim;
        for (size_t d = 0; d < g.dim; d++) x[d] = (float)nlsh__rng_normal(&rng);
        for (size_t j = 0; j <= i; j++) { /* the last time with itself: to length 1 */
            const float *y = rows + j * g.dim;
            double dot = 0;
            for (size_t d = 0; d < g.dim; d++) dot += (double)x[d] * (double)y[d];
            for (size_t d = 0; d < g.dim; d++)
                x[d] = j == i ? x[d] / (float)sqrt(dot) : x[d] - (float)dot * y[d];
        }
    }
}

static void prepare(const struct nlsh__job *job)
{
    struct nlsh_error error;
    struct nlsh_matrix rows = {g.segment->vectors, g.n, g.dim,
                               (enum nlsh_type)g.index->meta.storage_type, 0};
    struct nlsh_matrix some = g.queries;
    some.n_rows = g.n_queries;
    g.p = g.dim > MOST_COMPONENTS ? MOST_COMPONENTS : g.dim - 1; /* all of them are no components */
    must(nlsh__pca(&rows, g.p, 1, job, &g.components, &error), &error);
    make_rotation();
    g.rows = project(&g.components, &rows, job);
    g.asked = project(&g.components, &some, job);
    g.turned = project(&g.rotation, &rows, job);
    g.turned_q = project(&g.rotation, &some, job);
    g.centroids = room(g.m * g.p, sizeof(float));
    g.whole = room(g.m * g.dim, sizeof(float));
    g.whole_turned = room(g.m * g.dim, sizeof(float));
    means(g.rows, g.p, g.centroids);
    means(g.turned, g.dim, g.whole_turned);
    g.spread = room(g.p, sizeof *g.spread);
    const uint32_t *offsets = g.segment->bucket_offsets;
    for (size_t b = 0; b < g.m; b++)
        for (size_t r = offsets[b]; r < offsets[b + 1]; r++) {
            for (size_t i = 0; i < g.p; i++) {
                double v = (double)(g.rows[r * g.p + i] - g.centroids[b * g.p + i]);
                g.spread[i] += v * v / (double)g.n;
            }
            for (size_t d = 0; d < g.dim; d++)
                g.whole[b * g.dim + d] += (float)(stored(r, d) / (offsets[b + 1] - offsets[b]));
        }
    for (size_t i = 0; i < g.p; i++) g.spread[i] = sqrt(g.spread[i]);
}

static void route_queries(uint32_t **buckets, size_t *n_buckets)
{
    struct nlsh_error error;
    struct nlsh_searcher *s;
    struct nlsh_search_options options;
    float *p = room(g.m + 16, sizeof *p);
    nlsh_search_options_init(&options, sizeof options);
    struct nlsh__rule rule;
    must(nlsh__rule_from_options(g.index, &options, &rule, &error), &error);
    must(nlsh_searcher_create(g.index, &s, &error), &error);
    for (size_t q = 0; q < g.n_queries; q++) {
        struct nlsh_matrix one = g.queries;
        one.data = (const char *)one.data + q * g.dim * (one.type == NLSH_F32 ? 4 : 1);
        one.n_rows = 1;
        must(nlsh_route(s, &one, p, &error), &error);
        buckets[q] = room(g.m, sizeof **buckets);
        for (size_t b = 0; b < g.m; b++) {
            buckets[q][n_buckets[q]] = (uint32_t)b;
            n_buckets[q] += p[b] * (rule.weights != NULL ? rule.weights[b] : 1) > rule.threshold;
        }
        if (n_buckets[q] == 0) n_buckets[q] = 1; /* one that is as good as any, for a bench */
    }
    nlsh_searcher_free(s);
    free(p);
}

int main(int argc, char **argv)
{
    struct nlsh_error error;
    struct nlsh__job job;
    if (argc < 3) {
        fprintf(stderr, "usage: bench_codes INDEX QUERIES [N_QUERIES]\n");
        return 2;
    }
    must(nlsh_index_open(argv[1], NULL, &g.index, &error), &error);
    g.segment = &g.index->segments[0];
    must(nlsh_vectors_read(argv[2], NLSH_FORMAT_AUTO, &g.read, &error), &error);
    g.queries = *nlsh_vectors_matrix(g.read);
    must(nlsh__job_begin(NULL, &job, &error), &error);
    g.n = (size_t)g.index->meta.n_rows, g.dim = g.index->meta.dim, g.m = g.index->meta.n_buckets;
    g.n_queries = argc > 3 ? (size_t)atoi(argv[3]) : 600;
    if (g.n_queries > g.queries.n_rows) g.n_queries = g.queries.n_rows;
    if (g.index->metric != NLSH_L2 || g.index->n_segments != 1 || g.dim < 64 ||
        g.queries.dim != g.dim) {
        fprintf(stderr, "error: an L2 index without a log, of 64 dimensions or more, and its "
                        "queries are needed\n");
        return 2;
    }
    prepare(&job);
    uint32_t **buckets = room(g.n_queries, sizeof *buckets);
    size_t *n_buckets = room(g.n_queries, sizeof *n_buckets);
    route_queries(buckets, n_buckets);
    struct code codes[] = {
        {"8 bits, 32 components, global", GLOBAL, 32, 8, 1, 36, NULL},
        {"8 bits, 64 components, global", GLOBAL, 64, 8, 1, 68, NULL},
        {"8 bits, 128 components, global", GLOBAL, 128, 8, 1, 132, NULL},
        {"8 bits, 32 components, centred", CENTRED, 32, 8, 1, 37, NULL},
        {"8 bits, 64 components, centred", CENTRED, 64, 8, 1, 69, NULL},
        {"4 bits, 32 components, centred", CENTRED, 32, 4, 1, 21, NULL},
        {"4 bits, 64 components, centred", CENTRED, 64, 4, 1, 37, NULL},
        {"4 bits, 96 components, centred", CENTRED, 96, 4, 1, 53, NULL},
        {"4 bits, 128 components, centred", CENTRED, 128, 4, 1, 69, NULL},
        {"4 bits, 256 components, centred", CENTRED, 256, 4, 1, 133, NULL},
        {"2 bits, 128 components, centred", CENTRED, 128, 2, 1, 37, NULL},
        {"2 bits, 256 components, centred", CENTRED, 256, 2, 1, 69, NULL},
        {"product, 16 points, 2 of 64 components", PRODUCT, 64, 4, 2, 21, NULL},
        {"product, 16 points, 2 of 128 components", PRODUCT, 128, 4, 2, 37, NULL},
        {"product, 16 points, 4 of 128 components", PRODUCT, 128, 4, 4, 21, NULL},
        {"product, 16 points, 4 of 256 components", PRODUCT, 256, 4, 4, 37, NULL},
        {"rotated, a bit a dimension", ROTATED, 0, 1, 1, (double)g.dim / 8 + 8, NULL},
    };
    printf("| code | bytes a row | ranked | lost | kB a query |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].components <= g.p)
            measure(&codes[i], (const uint32_t *const *)buckets, n_buckets);
    nlsh__job_end(&job);
    return 0;
}
