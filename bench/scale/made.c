/*
 * made.c - bench_made: many vectors of bytes whose neighbours are as hard to find as those of real descriptors, and a
 * measure of that.
 *
 *   bench_made --rows 10000000 -o made.u8bin      writes them; rows are the same however many there are
 *   bench_made --rows 2000 --first 3000000000 -o queries.u8bin      others of the same kind
 *   bench_made --rows 40000000 --dim 96 --seed 4 -o wide.u8bin      of 96 values in place of 128; how wide the data is beside
 *                                                                   its noise hangs on seed and dimension: --measure says it
 *   bench_made --measure made.u8bin               local intrinsic dimension and relative contrast
 *
 * A row is a point of a curved sheet: a latent point goes through two layers of random weights with a bend between
 * them, and noise is added. The sheet is wide in a few directions and ever narrower in others, as descriptors are.
 * --sheets makes it one of many, whose places, sizes and widths differ: then buckets that follow a graph find them, and
 * cells do not, which real descriptors do not show.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common.h"
#include "base/matrix.h"
#include "base/rng.h"
#include "nlsh/learn.h"

enum { MOST_DIM = 1024, BENDS = 48, BLOCK = 4096, ASKED = 500, K = 100 };

struct kind {
    size_t dim, latent, sheets;
    double noise, spread, fall;
    uint64_t seed;
};

/* ---- rows ---------------------------------------------------------------------------------------- */

struct world {
    struct kind kind;
    float *bend;    /* [latent x BENDS] */
    float *out;     /* [BENDS x dim] */
    float *places;  /* [sheets x dim] */
    float *widths;  /* [sheets] */
    float *falls;   /* [latent] how wide a sheet is one way, and another */
    double *shares; /* [sheets] running sums of how many rows lie on each */
};

static float *normals(struct nlsh__rng *rng, size_t n, double scale)
{
    float *x = room(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(scale * nlsh__rng_normal(rng));
    return x;
}

/* The transpose of a matrix [n x m], which is freed: a loop over many sums side by side is quicker than one over the terms
 * of each. */
static float *turned(float *of, size_t n, size_t m)
{
    float *x = room(n * m, sizeof *x);
    for (size_t i = 0; i < n * m; i++) x[i % m * n + i / m] = of[i];
    free(of);
    return x;
}

static void world_make(const struct kind *kind, struct world *w)
{
    struct nlsh__rng rng;
    double sum = 0;
    nlsh__rng_init(&rng, kind->seed, 1);
    w->kind = *kind;
    w->bend = turned(normals(&rng, BENDS * kind->latent, 1 / sqrt((double)kind->latent)), BENDS,
                     kind->latent);
    w->out = turned(normals(&rng, kind->dim * BENDS, 1 / sqrt(BENDS)), kind->dim, BENDS);
    w->places = normals(&rng, kind->sheets * kind->dim, 1);
    w->widths = room(kind->sheets, sizeof *w->widths);
    w->shares = room(kind->sheets, sizeof *w->shares);
    w->falls = room(kind->latent, sizeof *w->falls);
    for (size_t l = 0; l < kind->latent; l++)
        w->falls[l] = (float)pow((double)(l + 1), -kind->fall);
    for (size_t s = 0; s < kind->sheets; s++) {
        w->widths[s] = (float)exp(log(10) * (nlsh__rng_uniform(&rng) - .5));
        sum += exp(log(10) * nlsh__rng_uniform(&rng));
        w->shares[s] = sum;
    }
    for (size_t s = 0; s < kind->sheets; s++) w->shares[s] /= sum;
}

static void world_free(struct world *w)
{
    void *all[] = {w->bend, w->out, w->places, w->widths, w->falls, w->shares};
    for (size_t i = 0; i < 6; i++) free(all[i]);
}

static size_t sheet_of(const struct world *w, double share)
{
    size_t low = 0, high = w->kind.sheets - 1;
    while (low < high) {
        size_t at = (low + high) / 2;
        if (w->shares[at] < share)
            low = at + 1;
        else
            high = at;
    }
    return low;
}

/* Row number `row`, whatever was made before it. */
static void make_row(const struct world *w, uint64_t row, uint8_t *out)
{
    struct nlsh__rng rng;
    float z[64], h[BENDS] = {0}, sums[MOST_DIM];
    size_t dim = w->kind.dim;
    nlsh__rng_init(&rng, w->kind.seed + 0x9e3779b97f4a7c15u * (row + 1), 2);
    size_t sheet = sheet_of(w, nlsh__rng_uniform(&rng));
    for (size_t l = 0; l < w->kind.latent; l++)
        z[l] = w->widths[sheet] * w->falls[l] * (float)nlsh__rng_normal(&rng);
    for (size_t l = 0; l < w->kind.latent; l++)
        for (size_t b = 0; b < BENDS; b++) h[b] += w->bend[l * BENDS + b] * z[l];
    for (size_t b = 0; b < BENDS; b++) h[b] = h[b] > 0 ? h[b] : .3f * h[b];
    for (size_t d = 0; d < dim; d++) sums[d] = (float)w->kind.spread * w->places[sheet * dim + d];
    for (size_t b = 0; b < BENDS; b++)
        for (size_t d = 0; d < dim; d++) sums[d] += w->out[b * dim + d] * h[b];
    for (size_t d = 0; d < dim; d++) {
        /* four values of a half word are near enough to a normal one */
        uint64_t bits = nlsh__rng_u64(&rng);
        float noise = (float)((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) +
                              (bits >> 48)) /
                          65536 -
                      2;
        float value = 100 + 24 * (sums[d] + (float)w->kind.noise * 1.73f * noise);
        out[d] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

static void die(const char *message)
{
    fprintf(stderr, "%s\n", message);
    exit(1);
}

static void put(FILE *file, const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, file) != size) die("cannot write");
}

static void write_rows(const struct kind *kind, uint64_t first, uint64_t n, const char *path)
{
    struct world w;
    uint8_t *block = room(BLOCK, kind->dim);
    const uint32_t head[2] = {(uint32_t)n, (uint32_t)kind->dim};
    FILE *file = fopen(path, "wb");
    if (file == NULL) die("cannot write");
    world_make(kind, &w);
    put(file, head, sizeof head);
    for (uint64_t done = 0; done < n; done += BLOCK) {
        size_t count = n - done < BLOCK ? (size_t)(n - done) : BLOCK;
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < count; i++) make_row(&w, first + done + i, block + i * kind->dim);
        put(file, block, count * kind->dim);
    }
    if (fclose(file) != 0) die("cannot write");
    free(block);
    world_free(&w);
}

/* ---- how hard ------------------------------------------------------------------------------------ */

/* Levina and Bickel, "Maximum likelihood estimation of intrinsic dimension", 2004, averaged over rows as MacKay and
 * Ghahramani comment on it; and how much farther a row is in the mean than the tenth nearest. */
static void measure(const char *path)
{
    struct nlsh_vectors *v;
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    struct nlsh_error error;
    double inverse = 0, contrast = 0;
    must(nlsh_vectors_read(path, NLSH_FORMAT_AUTO, &v, &error), &error);
    const struct nlsh_matrix *base = nlsh_vectors_matrix(v);
    if (base->dim > MOST_DIM) die("more than 1024 values a row");
    size_t step = base->n_rows / ASKED, row = nlsh__row_bytes(base);
    uint8_t *values = room(ASKED, row);
    for (size_t i = 0; i < ASKED; i++)
        memcpy(values + i * row, (const uint8_t *)base->data + i * step * row, row);
    const struct nlsh_matrix queries = {values, ASKED, base->dim, base->type, 0};
    must(nlsh_ground_truth(base, &queries, NLSH_L2, K + 1, NULL, &truth, &error), &error);
    for (size_t i = 0; i < ASKED; i++) {
        const float *d = truth.distances + i * (K + 1);
        double far = (double)d[K], sum = 0, mean = 0;
        float x[MOST_DIM], y[MOST_DIM];
        for (size_t j = 1; j < K; j++) sum += log(far / fmax((double)d[j], 1e-9)) / (K - 1);
        nlsh__row_to_f32(values + i * row, base->type, base->dim, x);
        for (size_t j = 0; j < ASKED; j++) {
            double square = 0;
            nlsh__row_to_f32(values + j * row, base->type, base->dim, y);
            for (size_t c = 0; c < base->dim; c++)
                square += (double)(x[c] - y[c]) * (double)(x[c] - y[c]);
            mean += sqrt(square) / (ASKED - 1);
        }
        inverse += sum / ASKED;
        contrast += mean / (double)d[10] / ASKED;
    }
    printf("%s: %zu rows, local intrinsic dimension %.1f, relative contrast at 10 %.2f\n", path,
           base->n_rows, 1 / inverse, contrast);
    free(values);
    nlsh_neighbors_free(&truth);
    nlsh_vectors_free(v);
}

int main(int argc, char **argv)
{
    struct kind kind = {
        .dim = 128, .latent = 64, .sheets = 1, .noise = .1, .spread = .8, .fall = .75, .seed = 1};
    uint64_t rows = 1000000, first = 0;
    const char *out = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--rows") == 0)
            rows = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--first") == 0)
            first = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--dim") == 0)
            kind.dim = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--latent") == 0)
            kind.latent = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--sheets") == 0)
            kind.sheets = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--noise") == 0)
            kind.noise = strtod(value, NULL);
        else if (strcmp(argv[i], "--spread") == 0)
            kind.spread = strtod(value, NULL);
        else if (strcmp(argv[i], "--fall") == 0)
            kind.fall = strtod(value, NULL);
        else if (strcmp(argv[i], "--seed") == 0)
            kind.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "-o") == 0)
            out = value;
        else if (strcmp(argv[i], "--measure") == 0)
            measure(value);
        else
            die("bench_made --rows N [--first ROW] [--dim N] -o FILE.u8bin, or --measure FILE");
    }
    if (kind.latent < 1 || kind.latent > 64 || kind.sheets < 1)
        die("latent: 1 to 64; sheets: 1 or more");
    if (kind.dim < 1 || kind.dim > MOST_DIM || rows > UINT32_MAX)
        die("dim: 1 to 1024; rows: at most 4294967295");
    if (out != NULL) write_rows(&kind, first, rows, out);
    return 0;
}
