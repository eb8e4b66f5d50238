/*
 * train.c - mini-batches over threads.
 *
 * A batch is cut into SLICES, always as many, each with its own gradient; they are added in order.
 * So the sums, and the weights, do not depend on the number of threads. AdamW after Loshchilov and
 * Hutter, "Decoupled weight decay regularization", 2019, with Nesterov's momentum after Dozat, "Incorporating
 * Nesterov momentum into Adam", 2016; both moments' corrections here have one divisor.
 *
 * Where buckets stand in groups, a row meets those groups only that can matter to it
 * (router/train/grouped.c). A group's weights are then a task of the second round: its gradient over the
 * whole batch, and the optimiser on it.
 *
 * Where the processor has a matrix unit for bf16, or products in bf16 and no groups, steps are
 * router/train/bf16.c's; losses of held-out rows are in f32 always.
 */
#include "router/train/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/bf16.h"
#include "kernels/kernels.h"
#include "router/train/bf16.h"
#include "router/train/grouped.h"

enum {
    SLICES = 4,
    CHUNK = 16384 /* parameters that one task updates */
};

struct trainer {
    struct nlsh__mlp *mlp;
    const float *inputs;
    const struct nlsh__labels *targets;
    const struct nlsh__train_options *options;
    const struct nlsh__job *job;
    struct nlsh__mlp_scratch slices[SLICES];
    double losses[SLICES];
    enum nlsh_status statuses[SLICES];
    const uint32_t *batch; /* rows of this step */
    size_t n_batch;
    float *first, *second; /* moments */
    uint64_t step;         /* from 1 */
    double lr;
    int backward;
    struct nlsh__bf16_trainer *bf16; /* NULL: steps in f32 */
    /* Where buckets are met by group: what all rows go through, which ends with the groups' outputs. */
    int by_group;
    struct nlsh__mlp trunk;
    struct nlsh__grouped grouped[SLICES];
    struct group_room *rooms; /* [threads] */
    size_t n_rooms;
};

/* One worker's, to update a group's buckets. */
struct group_room {
    struct nlsh__grouped_room gradient;
    float *weights, *biases;
};

static struct nlsh__adamw adamw_step(uint64_t step, double lr, double weight_decay, double scale)
{
    return (struct nlsh__adamw){
        .scale = (float)scale,
        .rate = (float)(lr / (1 - pow((double)0.9f, (double)step + 1))),
        .correction = (float)(1 / sqrt(1 - pow((double)0.999f, (double)step))),
        .keep = (float)(1 - lr * weight_decay),
    };
}

void nlsh__adamw(float *parameters, const float *gradient, float *first, float *second, size_t n,
                 uint64_t step, double lr, double weight_decay)
{
    const struct nlsh__adamw s = adamw_step(step, lr, weight_decay, 1);
    nlsh__kernels()->adamw_f32(parameters, gradient, first, second, n, &s);
}

double nlsh__schedule(enum nlsh_scheduler scheduler, size_t step, size_t n_steps)
{
    double t = ((double)step + 0.5) / (double)n_steps;
    const double warm = 0.05;
    switch (scheduler) {
    case NLSH_SCHEDULER_COSINE:
        if (t < warm) return t / warm;
        return 0.5 * (1 + cos(3.14159265358979323846 * (t - warm) / (1 - warm)));
    case NLSH_SCHEDULER_STEP: return t < 0.5 ? 1 : t < 0.75 ? 0.1 : 0.01;
    case NLSH_SCHEDULER_PLATEAU:
    case NLSH_SCHEDULER_NONE: break;
    }
    return 1;
}

/* What goes into the last layer, of a slice's rows. */
static const float *hidden_of(const struct trainer *t, size_t slice)
{
    return t->slices[slice].activations[t->mlp->n_layers - 1];
}

static enum nlsh_status grouped_loss(struct trainer *t, size_t slice, const uint32_t *rows,
                                     size_t n, struct nlsh__rng *rng)
{
    enum nlsh_status status;
    size_t last = t->trunk.n_layers;
    struct nlsh__mlp_scratch *s = &t->slices[slice];
    double dropout = rng != NULL ? t->options->dropout : 0;
    float *delta = t->backward && last > 1 ? s->delta[(last - 1) % 2] : NULL;
    NLSH_TRY(nlsh__mlp_forward(&t->trunk, t->inputs, rows, n, dropout, rng, s, NULL));
    t->losses[slice] = nlsh__grouped_loss(&t->grouped[slice], rows, n, s->activations[last],
                                          hidden_of(t, slice), delta);
    if (t->backward) NLSH_TRY(nlsh__mlp_backward(&t->trunk, n, dropout, delta != NULL, s, NULL));
out:
    return status;
}

static void slice_task(void *ctx, size_t slice, size_t worker)
{
    struct trainer *t = ctx;
    (void)worker;
    size_t first = t->n_batch * slice / SLICES, end = t->n_batch * (slice + 1) / SLICES;
    struct nlsh__rng rng;
    t->losses[slice] = 0;
    t->statuses[slice] = NLSH_OK;
    if (first == end) {
        memset(t->slices[slice].gradient, 0, t->mlp->n_parameters * sizeof(float));
        if (t->by_group) nlsh__grouped_none(&t->grouped[slice]);
        return;
    }
    int drops = t->backward && t->options->dropout > 0;
    if (drops) nlsh__rng_init(&rng, t->options->seed, t->step * SLICES + slice);
    if (t->by_group) {
        t->statuses[slice] =
            grouped_loss(t, slice, t->batch + first, end - first, drops ? &rng : NULL);
        return;
    }
    t->statuses[slice] = nlsh__mlp_loss(t->mlp, t->inputs, t->batch + first, end - first,
                                        t->targets, t->options->dropout, drops ? &rng : NULL,
                                        t->backward, &t->slices[slice], &t->losses[slice], NULL);
}

/* A step of n parameters from at on, with the sum of their gradient over the batch. */
static void step(struct trainer *t, const float *at, const float *gradient, size_t n)
{
    size_t first = (size_t)(at - t->mlp->parameters);
    const struct nlsh__adamw s =
        adamw_step(t->step, t->lr, t->options->weight_decay, 1.0 / (double)t->n_batch);
    nlsh__kernels()->adamw_f32(t->mlp->parameters + first, gradient, t->first + first,
                               t->second + first, n, &s);
}

/* The same where the slices have the gradient. */
static void step_of_slices(struct trainer *t, const float *at, size_t n)
{
    size_t first = (size_t)(at - t->mlp->parameters);
    float *sum = t->slices[0].gradient + first;
    for (size_t s = 1; s < SLICES; s++)
        for (size_t i = 0; i < n; i++) sum[i] += t->slices[s].gradient[first + i];
    step(t, at, sum, n);
}

/* The parameters that slices have gradients of; of a layer with groups the buckets' are others. */
static size_t n_in_slices(const struct trainer *t)
{
    size_t last = t->mlp->n_layers - 1;
    if (!t->by_group) return t->mlp->n_parameters;
    return (size_t)(t->mlp->weights[last] - t->mlp->parameters) +
           t->targets->groups.n * t->mlp->sizes[last];
}

static void update_task(void *ctx, size_t chunk, size_t worker)
{
    struct trainer *t = ctx;
    (void)worker;
    size_t first = chunk * CHUNK, left = n_in_slices(t) - first;
    step_of_slices(t, t->mlp->parameters + first, left < CHUNK ? left : CHUNK);
}

/* A group's buckets; behind the last group the groups' biases. */
static void group_task(void *ctx, size_t group, size_t worker)
{
    struct trainer *t = ctx;
    struct group_room *room = &t->rooms[worker];
    const struct nlsh__groups *groups = &t->targets->groups;
    size_t last = t->mlp->n_layers - 1, inputs = t->mlp->sizes[last];
    if (group == groups->n) {
        step_of_slices(t, t->mlp->biases[last], groups->n);
        return;
    }
    size_t first = groups->n + groups->first[group];
    size_t n = groups->first[group + 1] - groups->first[group];
    memset(room->weights, 0, n * inputs * sizeof *room->weights);
    memset(room->biases, 0, n * sizeof *room->biases);
    for (size_t s = 0; s < SLICES; s++)
        nlsh__grouped_gradient(&t->grouped[s], hidden_of(t, s), group, &room->gradient,
                               room->weights, room->biases);
    step(t, t->mlp->weights[last] + first * inputs, room->weights, n * inputs);
    step(t, t->mlp->biases[last] + first, room->biases, n);
}

static void update_all(struct trainer *t)
{
    nlsh__pool_run(t->job->pool, (n_in_slices(t) + CHUNK - 1) / CHUNK, update_task, t);
    if (t->by_group) nlsh__pool_run(t->job->pool, t->targets->groups.n + 1, group_task, t);
}

static void bf16_step(struct trainer *t, const uint32_t *rows, size_t n, double *loss)
{
    const struct nlsh__adamw step =
        adamw_step(++t->step, t->lr, t->options->weight_decay, 1.0 / (double)n);
    *loss +=
        nlsh__bf16_step(t->bf16, rows, n, t->options->dropout, t->options->seed, t->step, &step);
}

/* Loss of some rows; with backward 1 a step of the optimiser as well. */
static enum nlsh_status run_batch(struct trainer *t, const uint32_t *rows, size_t n, int backward,
                                  double *loss, struct nlsh_error *error)
{
    if (backward && t->bf16 != NULL) {
        bf16_step(t, rows, n, loss);
        return NLSH_OK;
    }
    t->batch = rows;
    t->n_batch = n;
    t->backward = backward;
    t->step += (uint64_t)backward;
    nlsh__pool_run(t->job->pool, SLICES, slice_task, t);
    for (size_t s = 0; s < SLICES; s++) {
        if (t->statuses[s] != NLSH_OK)
            return nlsh__fail(error, t->statuses[s], "please report it",
                              "a product failed while training");
        *loss += t->losses[s];
    }
    if (backward) update_all(t);
    return NLSH_OK;
}

static enum nlsh_status mean_loss(struct trainer *t, const uint32_t *rows, size_t n, double *loss,
                                  struct nlsh_error *error)
{
    double sum = 0;
    for (size_t i = 0; i < n; i += t->options->batch_size) {
        size_t count = n - i < t->options->batch_size ? n - i : t->options->batch_size;
        enum nlsh_status status = run_batch(t, rows + i, count, 0, &sum, error);
        if (status != NLSH_OK) return status;
    }
    *loss = n > 0 ? sum / (double)n : NAN;
    return NLSH_OK;
}

/* ---- making one ------------------------------------------------------------------------------ */

static enum nlsh_status make_by_group(struct trainer *t, size_t slice_rows,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t last = t->mlp->n_layers - 1, inputs = t->mlp->sizes[last];
    size_t most = nlsh__grouped_most(t->targets);
    t->trunk = *t->mlp;
    t->trunk.sizes[last + 1] = t->targets->groups.n;
    for (size_t s = 0; s < SLICES; s++)
        NLSH_TRY(nlsh__grouped_create(t->mlp, t->targets, slice_rows, &t->grouped[s], error));
    size_t n_rooms = nlsh__pool_n_threads(t->job->pool);
    NLSH_TRY(nlsh__calloc(&t->rooms, n_rooms, sizeof *t->rooms, error));
    t->n_rooms = n_rooms;
    for (size_t i = 0; i < n_rooms; i++) {
        struct group_room *r = &t->rooms[i];
        NLSH_TRY(nlsh__alloc(&r->gradient.block, most, slice_rows * sizeof(float), error));
        NLSH_TRY(nlsh__alloc(&r->gradient.x, slice_rows, sizeof *r->gradient.x, error));
        NLSH_TRY(nlsh__alloc(&r->gradient.weights, most, sizeof *r->gradient.weights, error));
        NLSH_TRY(nlsh__alloc(&r->weights, most, inputs * sizeof(float), error));
        NLSH_TRY(nlsh__alloc(&r->biases, most, sizeof(float), error));
    }
out:
    return status;
}

static void free_by_group(struct trainer *t)
{
    for (size_t s = 0; s < SLICES; s++) nlsh__grouped_free(&t->grouped[s]);
    for (size_t i = 0; i < t->n_rooms; i++) {
        nlsh__free(t->rooms[i].gradient.block);
        nlsh__free(t->rooms[i].gradient.x);
        nlsh__free(t->rooms[i].gradient.weights);
        nlsh__free(t->rooms[i].weights);
        nlsh__free(t->rooms[i].biases);
    }
    nlsh__free(t->rooms);
}

int nlsh__trains_by_group(size_t n_groups)
{
    const struct nlsh__bf16 *bf16 = nlsh__kernels()->bf16;
    return n_groups > 0 && (bf16 == NULL || !bf16->tiles);
}

/* All that a step needs: in bf16, or in f32 with groups or without. */
static enum nlsh_status make(struct trainer *t, size_t batch, size_t most_rows,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__bf16 *bf16 = t->options->f32 ? NULL : nlsh__kernels()->bf16;
    size_t slice_rows = most_rows / SLICES + 1;
    NLSH_TRY(nlsh__calloc(&t->first, t->mlp->n_parameters, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&t->second, t->mlp->n_parameters, sizeof(float), error));
    t->by_group = nlsh__trains_by_group(t->targets->groups.n);
    if (t->by_group) NLSH_TRY(make_by_group(t, slice_rows, error));
    if (bf16 != NULL && !t->by_group)
        NLSH_TRY(nlsh__bf16_trainer_create(t->mlp, t->inputs, t->targets, batch, t->first,
                                           t->second, t->job, &t->bf16, error));
    for (size_t s = 0; s < SLICES; s++)
        NLSH_TRY(nlsh__mlp_scratch_create(t->by_group ? &t->trunk : t->mlp, slice_rows,
                                          &t->slices[s], error));
out:
    return status;
}

static void unmake(struct trainer *t)
{
    for (size_t s = 0; s < SLICES; s++) nlsh__mlp_scratch_free(&t->slices[s]);
    free_by_group(t);
    nlsh__bf16_trainer_free(t->bf16);
    nlsh__free(t->first);
    nlsh__free(t->second);
}

enum nlsh_status nlsh__train(struct nlsh__mlp *mlp, const float *inputs, const uint32_t *train_rows,
                             size_t n_train, const uint32_t *held_rows, size_t n_held,
                             const struct nlsh__labels *targets,
                             const struct nlsh__train_options *options, const struct nlsh__job *job,
                             double *loss, double *held_loss, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t batch = options->batch_size < n_train ? options->batch_size : n_train;
    size_t steps = (n_train + batch - 1) / batch, n_steps = steps * options->epochs, done = 0;
    double plateau = 1, best_held = INFINITY;
    /* A guess loses ln m, a fresh network little more. With too high a rate the first epoch loses
     * hundreds and the network is dead from then on: its later losses look like a guess's. */
    const double bound = 10 * (log((double)mlp->sizes[mlp->n_layers]) + 1);
    size_t since_best = 0;
    uint32_t *order = NULL;
    size_t most_rows = n_train > n_held ? n_train : n_held;
    if (most_rows > options->batch_size) most_rows = options->batch_size;
    struct trainer t = {
        .mlp = mlp, .inputs = inputs, .targets = targets, .options = options, .job = job};
    NLSH_TRY(nlsh__alloc(&order, n_train, sizeof *order, error));
    NLSH_TRY(make(&t, batch, most_rows, error));
    *loss = NAN;
    for (size_t epoch = 0; epoch < options->epochs; epoch++) {
        struct nlsh__rng rng;
        double sum = 0;
        nlsh__rng_init(&rng, options->seed, 0x65706f00 + epoch);
        memcpy(order, train_rows, n_train * sizeof *order);
        nlsh__rng_shuffle(&rng, order, n_train);
        for (size_t i = 0; i < n_train; i += batch, done++) {
            NLSH_TRY(nlsh__job_progress(job, "training", done, n_steps, error));
            t.lr = options->lr * plateau * nlsh__schedule(options->scheduler, done, n_steps);
            size_t n = n_train - i < batch ? n_train - i : batch;
            NLSH_TRY(run_batch(&t, order + i, n, 1, &sum, error));
        }
        *loss = sum / (double)n_train;
        if (!(*loss < bound)) {
            status = nlsh__fail(error, NLSH_E_ARG, "take a smaller learning rate (--lr)",
                                "training diverged in epoch %zu with lr %g: loss %g", epoch + 1,
                                options->lr, *loss);
            goto out;
        }
        if (options->scheduler == NLSH_SCHEDULER_PLATEAU && n_held > 0) {
            NLSH_TRY(mean_loss(&t, held_rows, n_held, held_loss, error));
            since_best = *held_loss < best_held ? 0 : since_best + 1;
            best_held = fmin(best_held, *held_loss);
            if (since_best >= 2) {
                plateau *= 0.5;
                since_best = 0;
            }
        }
        if (options->epoch_end != NULL) NLSH_TRY(options->epoch_end(options->user, epoch, error));
    }
    NLSH_TRY(mean_loss(&t, held_rows, n_held, held_loss, error));
    NLSH_TRY(nlsh__job_progress(job, "training", n_steps, n_steps, error));
out:
    unmake(&t);
    nlsh__free(order);
    return status;
}
