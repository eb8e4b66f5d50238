/*
 * made.c - see made.h.
 *
 * A kind is a function that draws one row. What all rows of a set share (centres, directions) comes from a
 * table of normal numbers of the set's own.
 */
#include "made.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { SHARED = 1 << 18, MOST_DIM = 512 };

struct draw {
    struct nlsh__rng rng; /* of the row */
    const float *shared;  /* [SHARED] normal numbers, the same for all rows of the set */
    size_t row, n_rows;   /* queries have rows from n_rows on */
    size_t dim;
};

typedef void draw_fn(struct draw *d, float *x);

static double normal(struct draw *d)
{
    return nlsh__rng_normal(&d->rng);
}

static double uniform(struct draw *d)
{
    return nlsh__rng_uniform(&d->rng);
}

static size_t below(struct draw *d, size_t n)
{
    return (size_t)nlsh__rng_below(&d->rng, n);
}

/* The i-th shared point of a family. */
static const float *point(const struct draw *d, size_t i)
{
    return d->shared + i * d->dim % (SHARED - MOST_DIM);
}

/* ---- without structure ----------------------------------------------------------------------- */

static void cube(struct draw *d, float *x)
{
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)uniform(d);
}

static void gauss(struct draw *d, float *x)
{
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)normal(d);
}

static void sphere(struct draw *d, float *x)
{
    double length = 0;
    gauss(d, x);
    for (size_t j = 0; j < d->dim; j++) length += (double)x[j] * (double)x[j];
    for (size_t j = 0; j < d->dim; j++) x[j] /= (float)sqrt(length);
}

static void falling_spectrum(struct draw *d, float *x)
{
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)(normal(d) / (double)(j + 1));
}

/* Few numbers that all coordinates are mixed of. */
static void few_factors(struct draw *d, float *x)
{
    double z[5];
    for (size_t i = 0; i < 5; i++) z[i] = normal(d);
    for (size_t j = 0; j < d->dim; j++) {
        x[j] = 0;
        for (size_t i = 0; i < 5; i++) x[j] += (float)(z[i] * (double)point(d, i)[j]);
    }
}

static void curved(struct draw *d, float *x)
{
    double z[3] = {uniform(d), uniform(d), uniform(d)};
    for (size_t j = 0; j < d->dim; j++) {
        double phase = 0;
        for (size_t i = 0; i < 3; i++) phase += 3 * z[i] * (double)point(d, i)[j];
        x[j] = (float)(sin(phase) + .01 * normal(d));
    }
}

static void line(struct draw *d, float *x)
{
    double t = uniform(d);
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)(t * (double)(j + 1));
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* A row near one of so many centres. */
static void near_one(struct draw *d, size_t centres, double spread, float *x)
{
    const float *c = point(d, below(d, centres));
    for (size_t j = 0; j < d->dim; j++) x[j] = c[j] + (float)(spread * normal(d));
}

static void groups_of(struct draw *d, size_t size, float *x)
{
    near_one(d, (d->n_rows + size - 1) / size, .05, x);
}

static void groups_of_5(struct draw *d, float *x)
{
    groups_of(d, 5, x);
}

static void groups_of_20(struct draw *d, float *x)
{
    groups_of(d, 20, x);
}

static void groups_of_30(struct draw *d, float *x)
{
    groups_of(d, 30, x);
}

static void groups_of_50(struct draw *d, float *x)
{
    groups_of(d, 50, x);
}

static void groups_of_150(struct draw *d, float *x)
{
    groups_of(d, 150, x);
}

static void ten_blobs(struct draw *d, float *x)
{
    near_one(d, 10, .5, x);
}

static void hundred_blobs(struct draw *d, float *x)
{
    near_one(d, 100, .8, x);
}

/* The i-th group is 1 / i as large as the first. */
static void uneven_groups(struct draw *d, float *x)
{
    size_t i = (size_t)exp(uniform(d) * log(200)) - 1;
    const float *c = point(d, i);
    for (size_t j = 0; j < d->dim; j++) x[j] = c[j] + (float)(.3 * normal(d));
}

static void nested_groups(struct draw *d, float *x)
{
    size_t a = below(d, 8), b = below(d, 8), c = below(d, 8);
    const float *p = point(d, a), *q = point(d, 8 + 8 * a + b),
                *r = point(d, 72 + 64 * a + 8 * b + c);
    for (size_t j = 0; j < d->dim; j++)
        x[j] = p[j] + .3f * q[j] + .1f * r[j] + (float)(.03 * normal(d));
}

static void dense_and_thin(struct draw *d, float *x)
{
    double spread = below(d, 2) ? .02 : 1;
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)(spread * normal(d));
}

static void beside_the_same(struct draw *d, float *x)
{
    const float *c = point(d, below(d, d->n_rows / 10 + 1));
    memcpy(x, c, d->dim * sizeof *x);
}

/* A few vectors that are there often, among others. */
static void some_often(struct draw *d, float *x)
{
    if (uniform(d) < .5)
        memcpy(x, point(d, below(d, 20)), d->dim * sizeof *x);
    else
        gauss(d, x);
}

/* ---- tails ----------------------------------------------------------------------------------- */

static void heavy_tails(struct draw *d, float *x)
{
    double a = normal(d), b = normal(d), scale = 1 / sqrt((a * a + b * b) / 2 + 1e-9);
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)(scale * normal(d));
}

static void lognormal(struct draw *d, float *x)
{
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)exp(normal(d));
}

static void outliers(struct draw *d, float *x)
{
    double scale = uniform(d) < .02 ? 50 : 1;
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)(scale * normal(d));
}

static void lengths_vary(struct draw *d, float *x)
{
    double scale = exp(.7 * normal(d));
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)(scale * normal(d));
}

/* ---- order ----------------------------------------------------------------------------------- */

/* A curve through space that the file follows; queries lie along all of it. */
static void along_the_file(struct draw *d, float *x)
{
    double t = d->row < d->n_rows ? (double)d->row / (double)d->n_rows : uniform(d);
    for (size_t j = 0; j < d->dim; j++) {
        double f = 20 * (double)point(d, 1)[j], phase = 6 * (double)point(d, 2)[j];
        x[j] = (float)(sin(f * t + phase) + .05 * normal(d));
    }
}

/* Groups that stand one behind the other in the file. */
static void sorted_groups(struct draw *d, float *x)
{
    size_t n = 40, g = d->row < d->n_rows ? d->row * n / d->n_rows : below(d, n);
    const float *c = point(d, g);
    for (size_t j = 0; j < d->dim; j++) x[j] = c[j] + (float)(.4 * normal(d));
}

/* A file that begins with what codes describe well and ends with what they do not, as one of words by how frequent they
 * are does. Queries are of all of it. */
static void easy_first(struct draw *d, float *x)
{
    double t = d->row < d->n_rows ? (double)d->row / (double)d->n_rows : uniform(d);
    for (size_t j = 0; j < d->dim; j++)
        x[j] = (float)((j < 4 || t > .3 ? 1 : .02) * normal(d)) + (t > .3 ? 6.f : 0.f);
}

/* ---- few values ------------------------------------------------------------------------------ */

static void sparse(struct draw *d, float *x)
{
    memset(x, 0, d->dim * sizeof *x);
    for (size_t i = 0; i < 6; i++) x[below(d, d->dim)] = (float)fabs(normal(d));
}

static void zeros_and_ones(struct draw *d, float *x)
{
    const float *c = point(d, below(d, 30));
    for (size_t j = 0; j < d->dim; j++) x[j] = (c[j] > 0) ^ (uniform(d) < .1);
}

static void few_steps(struct draw *d, float *x)
{
    for (size_t j = 0; j < d->dim; j++) x[j] = (float)below(d, 6);
}

/* Smooth bytes, as pictures are. */
static void picture(struct draw *d, float *x)
{
    double z[6];
    for (size_t i = 0; i < 6; i++) z[i] = normal(d);
    for (size_t j = 0; j < d->dim; j++) {
        double v = 0;
        for (size_t i = 0; i < 6; i++)
            v += z[i] * cos((double)(i + 1) * (double)j * 3.14159 / (double)d->dim +
                            (double)point(d, 0)[i]);
        v = 128 + 45 * v + 8 * normal(d);
        x[j] = (float)floor(fmin(fmax(v, 0), 255));
    }
}

static void histogram(struct draw *d, float *x)
{
    const float *c = point(d, below(d, 300));
    for (size_t j = 0; j < d->dim; j++)
        x[j] = (float)floor(fmin(20 * exp(.8 * (double)c[j] + .35 * normal(d)), 255));
}

static void mostly_constant(struct draw *d, float *x)
{
    for (size_t j = 0; j < d->dim; j++) x[j] = j < 6 ? (float)normal(d) : 7;
}

/* ---- the kinds ------------------------------------------------------------------------------- */

static const struct kind {
    const char *name;
    enum nlsh_metric metric;
    size_t dim;
    draw_fn *draw;
} kinds[] = {
    {"uniform-3", NLSH_L2, 3, cube},
    {"uniform-8", NLSH_L2, 8, cube},
    {"uniform-32", NLSH_L2, 32, cube},
    {"gauss-16", NLSH_L2, 16, gauss},
    {"gauss-128", NLSH_L2, 128, gauss},
    {"sphere-10", NLSH_L2, 10, sphere},
    {"spectrum-96", NLSH_L2, 96, falling_spectrum},
    {"factors-256", NLSH_L2, 256, few_factors},
    {"curved-64", NLSH_L2, 64, curved},
    {"line-2", NLSH_L2, 2, line},
    {"groups-of-5", NLSH_L2, 24, groups_of_5},
    {"groups-of-20", NLSH_COSINE, 24, groups_of_20},
    {"groups-of-30", NLSH_L2, 32, groups_of_30},
    {"groups-of-50", NLSH_L2, 16, groups_of_50},
    {"groups-of-150", NLSH_L2, 40, groups_of_150},
    {"ten-blobs", NLSH_L2, 64, ten_blobs},
    {"hundred-blobs", NLSH_L2, 48, hundred_blobs},
    {"uneven-groups", NLSH_L2, 48, uneven_groups},
    {"nested-groups", NLSH_L2, 40, nested_groups},
    {"dense-and-thin", NLSH_L2, 12, dense_and_thin},
    {"duplicates", NLSH_L2, 20, beside_the_same},
    {"some-often", NLSH_L2, 20, some_often},
    {"heavy-tails", NLSH_L2, 24, heavy_tails},
    {"lognormal", NLSH_L2, 32, lognormal},
    {"outliers", NLSH_L2, 24, outliers},
    {"along-the-file", NLSH_L2, 16, along_the_file},
    {"sorted-groups", NLSH_L2, 32, sorted_groups},
    {"easy-first", NLSH_L2, 96, easy_first},
    {"sparse-100", NLSH_L2, 100, sparse},
    {"zeros-and-ones", NLSH_L2, 64, zeros_and_ones},
    {"few-steps", NLSH_L2, 8, few_steps},
    {"picture-256", NLSH_L2, 256, picture},
    {"histogram-128", NLSH_L2, 128, histogram},
    {"mostly-constant", NLSH_L2, 60, mostly_constant},
    {"cosine-48", NLSH_COSINE, 48, gauss},
    {"cosine-blobs", NLSH_COSINE, 64, hundred_blobs},
    {"cosine-lognormal", NLSH_COSINE, 32, lognormal},
    {"ip-gauss", NLSH_IP, 32, gauss},
    {"ip-lengths", NLSH_IP, 32, lengths_vary},
    {"ip-blobs", NLSH_IP, 48, ten_blobs},
};

size_t made_n_kinds(void)
{
    return sizeof kinds / sizeof *kinds;
}

const char *made_name(size_t i)
{
    return kinds[i].name;
}

static void *room(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (p == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

static void fill(const struct kind *kind, struct draw *d, uint64_t seed, size_t first, size_t n,
                 struct nlsh_matrix *out)
{
    float *data = room(n * kind->dim, sizeof *data);
    for (size_t i = 0; i < n; i++) {
        nlsh__rng_init(&d->rng, seed, 1 + first + i);
        d->row = first + i;
        kind->draw(d, data + i * kind->dim);
    }
    *out = (struct nlsh_matrix){data, n, kind->dim, NLSH_F32, 0};
}

void made_create(size_t i, size_t n_rows, size_t n_queries, uint64_t seed, struct made *out)
{
    const struct kind *kind = &kinds[i];
    float *shared = room(SHARED, sizeof *shared);
    struct draw d = {.shared = shared, .n_rows = n_rows, .dim = kind->dim};
    nlsh__rng_init(&d.rng, seed, 0);
    for (size_t j = 0; j < SHARED; j++) shared[j] = (float)nlsh__rng_normal(&d.rng);
    *out = (struct made){.name = kind->name, .metric = kind->metric};
    fill(kind, &d, seed, 0, n_rows, &out->base);
    fill(kind, &d, seed, n_rows, n_queries, &out->queries);
    free(shared);
}

void made_free(struct made *made)
{
    free((void *)made->base.data);
    free((void *)made->queries.data);
    *made = (struct made){.name = NULL};
}
