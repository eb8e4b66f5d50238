/*
 * bf16.c - a step of training in two rounds of tasks.
 *
 *   1. ROWS rows a task: forward, loss, and back to each layer's delta. All that is between two
 *      products happens on blocks of 64 x 32 floats in the first-level cache.
 *   2. SIDE rows of one layer's weights a task: their gradient over the whole batch, a block at a
 *      time, the optimiser on that block, and the new weights packed for the next step. A gradient
 *      is never written to memory, and no task adds to another's sums.
 *
 * Both keep a fixed order whatever the number of threads. Mixed precision after Micikevicius et
 * al., "Mixed precision training", 2018; bf16 has f32's range, so no loss needs scaling. The cut into
 * these rounds is ours.
 */
#include "router/train/bf16.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"

enum { ROWS = 64, SIDE = (int)NLSH__SIDE };

/* A layer's operands, packed as kernels/bf16.h says. */
struct layer {
    size_t from, to;         /* the network's */
    size_t n_from, n_to;     /* blocks of SIDE */
    uint16_t *forward;       /* right, [from x to]: the weights, transposed */
    uint16_t *backward;      /* right, [to x from] */
    uint16_t *x;             /* right, [batch x from]: what went in */
    uint16_t *delta;         /* left, [to x batch]: the gradient at what came out */
    float *bias;             /* [SIDE n_to] */
    float *bias_sums;        /* [tasks x SIDE n_to] */
    float *weights, *biases; /* into mlp->parameters */
    size_t first_task;       /* of the second round */
};

/* One worker's. */
struct scratch {
    uint16_t *left[NLSH__MAX_LAYERS]; /* left, [ROWS x from] */
    uint16_t *delta[2];               /* left, [ROWS x the widest] */
    float *logits;                    /* [ROWS x SIDE n_to of the last] */
};

struct nlsh__bf16_trainer {
    struct nlsh__mlp *mlp;
    const float *inputs;
    const struct nlsh__labels *targets;
    const struct nlsh__job *job;
    const struct nlsh__bf16 *kernels;
    float *first, *second;
    size_t n_layers, n_weight_tasks, n_blocks, n_threads;
    struct layer layers[NLSH__MAX_LAYERS];
    struct scratch *scratch;
    double *losses; /* [tasks] */
    /* the step */
    const uint32_t *rows;
    size_t n_rows;
    double dropout;
    uint64_t seed, stream;
    const struct nlsh__adamw *step;
};

static size_t blocks(size_t n)
{
    return (n + NLSH__SIDE - 1) / NLSH__SIDE;
}

/* ---- first round ----------------------------------------------------------------------------- */

/* Columns of block k of 64 x 32 values: the left side of the next product, and of the gradient's
 * product the right side. */
static void keep_input(const struct nlsh__bf16_trainer *t, const float *x, size_t n_blocks,
                       uint16_t *left, struct layer *next, size_t k, size_t first_block)
{
    size_t step = next->n_from * NLSH__TILE, x_step = t->n_blocks * NLSH__TILE;
    for (size_t b = 0; b < n_blocks; b++) {
        const float *block = x + b * NLSH__SIDE * NLSH__SIDE;
        uint16_t *to = left + 2 * b * step + k * NLSH__TILE;
        t->kernels->left(block, NLSH__SIDE, to, to + step);
        to = next->x + 2 * k * x_step + (first_block + b) * NLSH__TILE;
        t->kernels->right(block, NLSH__SIDE, to, to + x_step);
    }
}

static void gather(const struct nlsh__bf16_trainer *t, size_t first, size_t n, size_t k, float *x)
{
    size_t dim = t->layers[0].from, column = k * NLSH__SIDE;
    size_t width = dim - column < NLSH__SIDE ? dim - column : NLSH__SIDE;
    if (width < NLSH__SIDE || n < ROWS) memset(x, 0, ROWS * NLSH__SIDE * sizeof *x);
    for (size_t i = 0; i < n; i++)
        memcpy(x + i * NLSH__SIDE, t->inputs + (size_t)t->rows[first + i] * dim + column,
               width * sizeof *x);
}

static void drop(float *x, size_t n, double dropout, struct nlsh__rng *rng)
{
    float scale = (float)(1 / (1 - dropout));
    for (size_t i = 0; i < n; i++) x[i] = nlsh__rng_uniform(rng) < dropout ? 0 : x[i] * scale;
}

static void forward(struct nlsh__bf16_trainer *t, struct scratch *s, size_t first, size_t n)
{
    _Alignas(64) float x[ROWS * SIDE];
    size_t n_blocks = blocks(n), first_block = first / NLSH__SIDE;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, t->seed, t->stream * 65536 + first / ROWS);
    for (size_t k = 0; k < t->layers[0].n_from; k++) {
        gather(t, first, n, k, x);
        keep_input(t, x, n_blocks, s->left[0], &t->layers[0], k, first_block);
    }
    for (size_t l = 0; l < t->n_layers; l++) {
        struct layer *layer = &t->layers[l];
        size_t step = layer->n_from * NLSH__TILE, width = layer->n_to * NLSH__SIDE;
        int last = l + 1 == t->n_layers;
        for (size_t k = 0; k < layer->n_to; k++) {
            float *out = last ? s->logits + k * NLSH__SIDE : x;
            size_t ld = last ? width : NLSH__SIDE;
            t->kernels->product(s->left[l], step, layer->forward + 2 * k * step, step, 2 * n_blocks,
                                2, layer->n_from, out, ld);
            t->kernels->add(out, ld, n_blocks * NLSH__SIDE, layer->bias + k * NLSH__SIDE, !last);
            if (last) continue;
            if (t->dropout > 0) drop(x, n_blocks * NLSH__SIDE * NLSH__SIDE, t->dropout, &rng);
            keep_input(t, x, n_blocks, s->left[l + 1], &t->layers[l + 1], k, first_block);
        }
    }
}

/* Columns of block k of the gradient at a layer's output: both sides and the biases' sums. */
static void keep_delta(const struct nlsh__bf16_trainer *t, const float *x, size_t ld,
                       size_t n_blocks, uint16_t *left, struct layer *layer, size_t k, size_t first)
{
    size_t step = layer->n_to * NLSH__TILE, t_step = t->n_blocks * NLSH__TILE;
    size_t first_block = first / NLSH__SIDE, width = layer->n_to * NLSH__SIDE;
    for (size_t b = 0; b < n_blocks; b++) {
        const float *block = x + b * NLSH__SIDE * ld;
        uint16_t *to = left + 2 * b * step + k * NLSH__TILE;
        t->kernels->left(block, ld, to, to + step);
        to = layer->delta + 2 * k * t_step + (first_block + b) * NLSH__TILE;
        t->kernels->left_t(block, ld, to, to + t_step);
    }
    float *sums = layer->bias_sums + first / ROWS * width + k * NLSH__SIDE;
    memset(sums, 0, NLSH__SIDE * sizeof *sums);
    t->kernels->columns(x, ld, n_blocks * NLSH__SIDE, sums);
}

static void backward(struct nlsh__bf16_trainer *t, struct scratch *s, size_t first, size_t n)
{
    _Alignas(64) float x[ROWS * SIDE];
    size_t n_blocks = blocks(n), l = t->n_layers - 1;
    size_t width = t->layers[l].n_to * NLSH__SIDE;
    float scale = (float)(1 / (1 - t->dropout));
    /* rows that only fill up the last block have no loss */
    memset(s->logits + n * width, 0, (n_blocks * NLSH__SIDE - n) * width * sizeof *s->logits);
    for (size_t k = 0; k < t->layers[l].n_to; k++)
        keep_delta(t, s->logits + k * NLSH__SIDE, width, n_blocks, s->delta[l % 2], &t->layers[l],
                   k, first);
    for (; l > 0; l--) {
        const struct layer *layer = &t->layers[l];
        size_t step = layer->n_to * NLSH__TILE, in_step = layer->n_from * NLSH__TILE;
        for (size_t k = 0; k < layer->n_from; k++) {
            t->kernels->product(s->delta[l % 2], step, layer->backward + 2 * k * step, step,
                                2 * n_blocks, 2, layer->n_to, x, NLSH__SIDE);
            for (size_t b = 0; b < n_blocks; b++) {
                const uint16_t *in = s->left[l] + 2 * b * in_step + k * NLSH__TILE;
                t->kernels->gate(x + b * NLSH__SIDE * NLSH__SIDE, NLSH__SIDE, in, in + in_step,
                                 scale);
            }
            keep_delta(t, x, NLSH__SIDE, n_blocks, s->delta[(l - 1) % 2], &t->layers[l - 1], k,
                       first);
        }
    }
}

static void rows_task(void *ctx, size_t task, size_t worker)
{
    struct nlsh__bf16_trainer *t = ctx;
    struct scratch *s = &t->scratch[worker];
    size_t first = task * ROWS, n = t->n_rows - first < ROWS ? t->n_rows - first : ROWS;
    t->kernels->begin();
    forward(t, s, first, n);
    t->losses[task] = nlsh__mlp_output(t->mlp, t->rows + first, n, t->targets, s->logits,
                                       t->layers[t->n_layers - 1].n_to * NLSH__SIDE);
    backward(t, s, first, n);
    t->kernels->end();
}

/* ---- second round ---------------------------------------------------------------------------- */

/* The weights of a block, packed for both directions. */
static void pack_weights(const struct nlsh__bf16_trainer *t, struct layer *layer, size_t to,
                         size_t from)
{
    float padded[SIDE * SIDE];
    size_t row = to * NLSH__SIDE, column = from * NLSH__SIDE, ld = layer->from;
    const float *w = layer->weights + row * ld + column;
    if (row + NLSH__SIDE > layer->to || column + NLSH__SIDE > layer->from) {
        memset(padded, 0, sizeof padded);
        for (size_t r = 0; r < NLSH__SIDE && row + r < layer->to; r++)
            for (size_t c = 0; c < NLSH__SIDE && column + c < layer->from; c++)
                padded[r * NLSH__SIDE + c] = w[r * ld + c];
        w = padded;
        ld = NLSH__SIDE;
    }
    size_t step = layer->n_from * NLSH__TILE, back_step = layer->n_to * NLSH__TILE;
    uint16_t *out = layer->forward + 2 * to * step + from * NLSH__TILE;
    t->kernels->right_t(w, ld, out, out + step);
    out = layer->backward + 2 * from * back_step + to * NLSH__TILE;
    t->kernels->right(w, ld, out, out + back_step);
}

static void update_biases(const struct nlsh__bf16_trainer *t, struct layer *layer, size_t to,
                          size_t n_rows)
{
    float sums[SIDE] = {0};
    size_t row = to * NLSH__SIDE, width = layer->n_to * NLSH__SIDE;
    size_t n_tasks = (t->n_rows + ROWS - 1) / ROWS;
    for (size_t task = 0; task < n_tasks; task++)
        for (size_t j = 0; j < NLSH__SIDE; j++) sums[j] += layer->bias_sums[task * width + row + j];
    size_t at = (size_t)(layer->biases - t->mlp->parameters) + row;
    t->kernels->adamw(t->mlp->parameters + at, t->first + at, t->second + at, NLSH__SIDE, sums, 1,
                      n_rows, t->step);
    memcpy(layer->bias + row, layer->biases + row, n_rows * sizeof(float));
}

static void weights_task(void *ctx, size_t task, size_t worker)
{
    struct nlsh__bf16_trainer *t = ctx;
    _Alignas(64) float gradient[SIDE * SIDE];
    size_t l = t->n_layers - 1;
    (void)worker;
    while (task < t->layers[l].first_task) l--;
    struct layer *layer = &t->layers[l];
    size_t to = task - layer->first_task, row = to * NLSH__SIDE, step = t->n_blocks * NLSH__TILE;
    size_t n_rows = layer->to - row < NLSH__SIDE ? layer->to - row : NLSH__SIDE;
    t->kernels->begin();
    for (size_t from = 0; from < layer->n_from; from++) {
        size_t column = from * NLSH__SIDE, left = layer->from - column;
        size_t at = (size_t)(layer->weights - t->mlp->parameters) + row * layer->from + column;
        t->kernels->product(layer->delta + 2 * to * step, step, layer->x + 2 * from * step, step, 2,
                            2, blocks(t->n_rows), gradient, NLSH__SIDE);
        t->kernels->adamw(t->mlp->parameters + at, t->first + at, t->second + at, layer->from,
                          gradient, n_rows, left < NLSH__SIDE ? left : NLSH__SIDE, t->step);
        pack_weights(t, layer, to, from);
    }
    t->kernels->end();
    update_biases(t, layer, to, n_rows);
}

double nlsh__bf16_step(struct nlsh__bf16_trainer *t, const uint32_t *rows, size_t n, double dropout,
                       uint64_t seed, uint64_t stream, const struct nlsh__adamw *step)
{
    size_t n_tasks = (n + ROWS - 1) / ROWS;
    double loss = 0;
    t->rows = rows;
    t->n_rows = n;
    t->dropout = dropout;
    t->seed = seed;
    t->stream = stream;
    t->step = step;
    nlsh__pool_run(t->job->pool, n_tasks, rows_task, t);
    for (size_t i = 0; i < n_tasks; i++) loss += t->losses[i];
    nlsh__pool_run(t->job->pool, t->n_weight_tasks, weights_task, t);
    return loss;
}

/* ---- making one ------------------------------------------------------------------------------ */

/* Zeros: what fills tiles up is never written. */
static enum nlsh_status tiles(uint16_t **out, size_t rows_of_16, size_t k, struct nlsh_error *error)
{
    size_t n;
    if (nlsh__mul(rows_of_16, k, &n) != 0)
        return nlsh__fail(error, NLSH_E_NOMEM, "take a smaller batch", "training: %zu x %zu tiles",
                          rows_of_16, k);
    return nlsh__calloc(out, n, NLSH__TILE * sizeof **out, error);
}

static enum nlsh_status make_layer(struct nlsh__bf16_trainer *t, size_t l, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct layer *layer = &t->layers[l];
    size_t n_tasks = t->n_blocks * NLSH__SIDE / ROWS;
    *layer = (struct layer){.from = t->mlp->sizes[l],
                            .to = t->mlp->sizes[l + 1],
                            .n_from = blocks(t->mlp->sizes[l]),
                            .n_to = blocks(t->mlp->sizes[l + 1]),
                            .weights = t->mlp->weights[l],
                            .biases = t->mlp->biases[l],
                            .first_task = t->n_weight_tasks};
    t->n_weight_tasks += layer->n_to;
    NLSH_TRY(tiles(&layer->forward, 2 * layer->n_to, layer->n_from, error));
    NLSH_TRY(tiles(&layer->backward, 2 * layer->n_from, layer->n_to, error));
    NLSH_TRY(tiles(&layer->x, 2 * layer->n_from, t->n_blocks, error));
    NLSH_TRY(tiles(&layer->delta, 2 * layer->n_to, t->n_blocks, error));
    NLSH_TRY(nlsh__calloc(&layer->bias, layer->n_to, NLSH__SIDE * sizeof(float), error));
    NLSH_TRY(
        nlsh__alloc(&layer->bias_sums, n_tasks * layer->n_to, NLSH__SIDE * sizeof(float), error));
    memcpy(layer->bias, layer->biases, layer->to * sizeof(float));
    for (size_t to = 0; to < layer->n_to; to++)
        for (size_t from = 0; from < layer->n_from; from++) pack_weights(t, layer, to, from);
out:
    return status;
}

static enum nlsh_status make_scratch(const struct nlsh__bf16_trainer *t, struct scratch *s,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t widest = 0;
    for (size_t l = 0; l < t->n_layers; l++) {
        NLSH_TRY(tiles(&s->left[l], ROWS / 16, t->layers[l].n_from, error));
        if (t->layers[l].n_to > widest) widest = t->layers[l].n_to;
    }
    NLSH_TRY(tiles(&s->delta[0], ROWS / 16, widest, error));
    NLSH_TRY(tiles(&s->delta[1], ROWS / 16, widest, error));
    NLSH_TRY(nlsh__alloc(&s->logits, ROWS * t->layers[t->n_layers - 1].n_to,
                         NLSH__SIDE * sizeof(float), error));
out:
    return status;
}

enum nlsh_status nlsh__bf16_trainer_create(struct nlsh__mlp *mlp, const float *inputs,
                                           const struct nlsh__labels *targets, size_t max_rows,
                                           float *first, float *second, const struct nlsh__job *job,
                                           struct nlsh__bf16_trainer **out,
                                           struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__bf16_trainer *t = NULL;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&t, 1, sizeof *t, error));
    *t = (struct nlsh__bf16_trainer){.mlp = mlp,
                                     .inputs = inputs,
                                     .targets = targets,
                                     .job = job,
                                     .kernels = nlsh__kernels()->bf16,
                                     .first = first,
                                     .second = second,
                                     .n_layers = mlp->n_layers,
                                     .n_threads = nlsh__pool_n_threads(job->pool)};
    size_t n_tasks = (max_rows + ROWS - 1) / ROWS;
    t->n_blocks = n_tasks * ROWS / NLSH__SIDE;
    NLSH_TRY(nlsh__alloc(&t->losses, n_tasks, sizeof *t->losses, error));
    for (size_t l = 0; l < t->n_layers; l++) NLSH_TRY(make_layer(t, l, error));
    NLSH_TRY(nlsh__calloc(&t->scratch, t->n_threads, sizeof *t->scratch, error));
    for (size_t i = 0; i < t->n_threads; i++) NLSH_TRY(make_scratch(t, &t->scratch[i], error));
    *out = t;
    return NLSH_OK;
out:
    nlsh__bf16_trainer_free(t);
    return status;
}

void nlsh__bf16_trainer_free(struct nlsh__bf16_trainer *t)
{
    if (t == NULL) return;
    for (size_t l = 0; l < NLSH__MAX_LAYERS; l++) {
        nlsh__free(t->layers[l].forward);
        nlsh__free(t->layers[l].backward);
        nlsh__free(t->layers[l].x);
        nlsh__free(t->layers[l].delta);
        nlsh__free(t->layers[l].bias);
        nlsh__free(t->layers[l].bias_sums);
    }
    for (size_t i = 0; t->scratch != NULL && i < t->n_threads; i++) {
        for (size_t l = 0; l < NLSH__MAX_LAYERS; l++) nlsh__free(t->scratch[i].left[l]);
        nlsh__free(t->scratch[i].delta[0]);
        nlsh__free(t->scratch[i].delta[1]);
        nlsh__free(t->scratch[i].logits);
    }
    nlsh__free(t->scratch);
    nlsh__free(t->losses);
    nlsh__free(t);
}
