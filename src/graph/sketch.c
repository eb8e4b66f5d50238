/*
 * sketch.c - see sketch.h. Ours.
 *
 * Whether sketches do is not guessed but looked at: some rows are compared with all others, by their values and by
 * their sketches.
 */
#include "graph/sketch.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "kernels/topk.h"
#include "linalg/pca.h"

enum {
    COMPONENTS = 128,
    LEAST_DIM = 2 * COMPONENTS,
    MOST_DIM = 4096, /* of which nlsh__pca() makes components */
    SAMPLE = 4096,   /* rows that components are made of */
    ASKED = 16,      /* rows that are looked up by both */
    BLOCK = 1024,    /* rows a task */
    MOST_REST = 1 << 28
};

#define ENOUGH_FOUND 0.95

struct sketching {
    const struct nlsh_matrix *rows;
    const float *mean;
    const float *z; /* [n x COMPONENTS] */
    float unit;     /* z is so many times as long as components are */
    float step;
    float *largest; /* [tasks] */
    struct nlsh__sketch *out;
};

static float l2sq_from(const float *x, const struct nlsh_matrix *rows, size_t row)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const void *y = nlsh__row(rows, row);
    return rows->type == NLSH_U8 ? kernels->l2sq_f32_u8(x, y, rows->dim)
                                 : kernels->l2sq_f32(x, y, rows->dim);
}

/* ---- making ---------------------------------------------------------------------------------- */

static enum nlsh_status components_of(const struct nlsh_matrix *rows, uint64_t seed,
                                      const struct nlsh__job *job, struct nlsh__projection *out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t size = nlsh__row_bytes(rows);
    uint32_t *chosen = NULL;
    uint8_t *values = NULL;
    struct nlsh__rng rng;
    NLSH_TRY(nlsh__alloc(&chosen, SAMPLE, sizeof *chosen, error));
    NLSH_TRY(nlsh__alloc(&values, SAMPLE, size, error));
    nlsh__rng_init(&rng, seed, 0x736b6574);
    nlsh__rng_sample(&rng, rows->n_rows, SAMPLE, chosen);
    for (size_t i = 0; i < SAMPLE; i++) memcpy(values + i * size, nlsh__row(rows, chosen[i]), size);
    const struct nlsh_matrix sample = {values, SAMPLE, rows->dim, rows->type, 0};
    NLSH_TRY(nlsh__pca(&sample, COMPONENTS, seed, job, out, error));
out:
    nlsh__free(chosen);
    nlsh__free(values);
    return status;
}

static size_t end_of(const struct sketching *s, size_t task)
{
    return (task + 1) * BLOCK < s->out->n ? (task + 1) * BLOCK : s->out->n;
}

static void largest_task(void *ctx, size_t task, size_t worker)
{
    const struct sketching *s = ctx;
    float most = 0;
    (void)worker;
    for (size_t i = task * BLOCK * COMPONENTS; i < end_of(s, task) * COMPONENTS; i++) {
        float size = fabsf(s->z[i]);
        most = size > most ? size : most;
    }
    s->largest[task] = most;
}

static void round_task(void *ctx, size_t task, size_t worker)
{
    const struct sketching *s = ctx;
    float inverse = 1 / s->step;
    double step = (double)s->step / (double)s->unit;
    (void)worker;
    for (size_t row = task * BLOCK; row < end_of(s, task); row++) {
        const float *z = s->z + row * COMPONENTS;
        uint8_t *out = s->out->values + row * COMPONENTS;
        for (size_t d = 0; d < COMPONENTS; d++)
            out[d] = (uint8_t)(int)fminf(fmaxf(z[d] * inverse + 128.5f, 0), 255);
        double inside = (double)nlsh__kernels()->dot_f32(z, z, COMPONENTS) /
                        ((double)s->unit * (double)s->unit);
        double rest = ((double)l2sq_from(s->mean, s->rows, row) - inside) / (step * step);
        s->out->rest[row] = (int32_t)fmin(fmax(rest, 0), MOST_REST);
    }
}

static enum nlsh_status make(const struct nlsh_matrix *rows, uint64_t seed,
                             const struct nlsh__job *job, struct nlsh__sketch *out,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__projection projection = {0};
    size_t n = rows->n_rows, n_tasks = (n + BLOCK - 1) / BLOCK;
    float *z = NULL, most = 0;
    struct sketching s = {.rows = rows, .out = out};
    status = components_of(rows, seed, job, &projection, error);
    if (status == NLSH_E_DATA) { /* squares that do not fit in f32 */
        nlsh__error_clear(error);
        return NLSH_OK;
    }
    NLSH_TRY(status);
    NLSH_TRY(nlsh__alloc(&z, n * COMPONENTS, sizeof *z, error));
    NLSH_TRY(nlsh__alloc(&s.largest, n_tasks, sizeof *s.largest, error));
    NLSH_TRY(nlsh__alloc(&out->values, n, COMPONENTS, error));
    NLSH_TRY(nlsh__alloc(&out->rest, n, sizeof *out->rest, error));
    NLSH_TRY(nlsh__project(&projection, rows, job, z, error));
    s.mean = projection.mean;
    s.z = z;
    s.unit = projection.scale;
    nlsh__pool_run(job->pool, n_tasks, largest_task, &s);
    for (size_t i = 0; i < n_tasks; i++) most = s.largest[i] > most ? s.largest[i] : most;
    s.step = most / 127;
    if (s.step > 0 && isfinite(most))
        nlsh__pool_run(job->pool, n_tasks, round_task, &s);
    else
        nlsh__sketch_free(out);
out:
    nlsh__projection_free(&projection);
    nlsh__free(z);
    nlsh__free(s.largest);
    return status;
}

/* ---- whether they do ------------------------------------------------------------------------- */

struct trial {
    const struct nlsh_matrix *rows;
    const struct nlsh__sketch *sketch;
    const uint32_t *asked; /* [ASKED] */
    size_t k, keep;
    uint64_t *keys;  /* [ASKED x (k + keep)] the nearest, and by sketches */
    size_t *n_found; /* [ASKED] */
};

static uint64_t true_key(const struct nlsh_matrix *rows, size_t row, size_t other)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const void *x = nlsh__row(rows, row), *y = nlsh__row(rows, other);
    if (rows->type == NLSH_U8)
        return nlsh__key_u32(kernels->l2sq_u8(x, y, rows->dim), (uint32_t)other);
    return nlsh__key_f32(kernels->l2sq_f32(x, y, rows->dim), (uint32_t)other);
}

static uint64_t sketched_key(const struct nlsh__sketch *s, size_t row, size_t other)
{
    uint32_t inside =
        nlsh__kernels()->l2sq_u8(s->values + row * s->dim, s->values + other * s->dim, s->dim);
    return nlsh__key_u32(inside + (uint32_t)s->rest[row] + (uint32_t)s->rest[other],
                         (uint32_t)other);
}

static void trial_task(void *ctx, size_t task, size_t worker)
{
    const struct trial *t = ctx;
    uint64_t *near = t->keys + task * (t->k + t->keep), *sketched = near + t->k;
    size_t row = t->asked[task];
    (void)worker;
    nlsh__topk_clear(near, t->k + t->keep);
    for (size_t i = 0; i < t->sketch->n; i++) {
        if (i == row) continue;
        nlsh__topk_push(near, t->k, true_key(t->rows, row, i));
        nlsh__topk_push(sketched, t->keep, sketched_key(t->sketch, row, i));
    }
    nlsh__topk_sort(sketched, t->keep);
    for (size_t i = 0; i < t->k; i++)
        t->n_found[task] +=
            sketched_key(t->sketch, row, (uint32_t)near[i]) <= sketched[t->keep - 1];
}

static enum nlsh_status share_found(const struct nlsh_matrix *rows,
                                    const struct nlsh__sketch *sketch, size_t k, size_t keep,
                                    uint64_t seed, const struct nlsh__job *job, double *out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t asked[ASKED];
    size_t n_found[ASKED] = {0}, sum = 0;
    struct nlsh__rng rng;
    struct trial t = {rows, sketch, asked, k, keep, NULL, n_found};
    NLSH_TRY(nlsh__alloc(&t.keys, ASKED * (k + keep), sizeof *t.keys, error));
    nlsh__rng_init(&rng, seed, 0x736b6173);
    nlsh__rng_sample(&rng, rows->n_rows, ASKED, asked);
    nlsh__pool_run(job->pool, ASKED, trial_task, &t);
    for (size_t i = 0; i < ASKED; i++) sum += n_found[i];
    *out = (double)sum / (double)(ASKED * k);
out:
    nlsh__free(t.keys);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int fits(size_t n_rows, size_t dim)
{
    return dim >= LEAST_DIM && dim <= MOST_DIM && n_rows >= SAMPLE;
}

size_t nlsh__sketch_worth(size_t n_rows, size_t dim)
{
    return fits(n_rows, dim) && nlsh__kernels()->fast_bytes < 2 ? COMPONENTS : 0;
}

enum nlsh_status nlsh__sketch_create(const struct nlsh_matrix *rows, size_t k, size_t keep,
                                     uint64_t seed, const struct nlsh__job *job,
                                     struct nlsh__sketch *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    double found;
    *out = (struct nlsh__sketch){.n = rows->n_rows, .dim = COMPONENTS};
    if (!fits(rows->n_rows, rows->dim) || keep >= rows->n_rows) return NLSH_OK;
    NLSH_TRY(make(rows, seed, job, out, error));
    if (out->values == NULL) return NLSH_OK;
    NLSH_TRY(share_found(rows, out, k, keep, seed, job, &found, error));
    if (found < ENOUGH_FOUND) nlsh__sketch_free(out);
out:
    if (status != NLSH_OK) nlsh__sketch_free(out);
    return status;
}

void nlsh__sketch_free(struct nlsh__sketch *sketch)
{
    nlsh__free(sketch->values);
    nlsh__free(sketch->rest);
    sketch->values = NULL;
    sketch->rest = NULL;
}
