/*
 * speed.c - see speed.h.
 *
 * The stages' own functions run on random data on one thread. Each runs with a number of rows and with
 * twice that number; the difference is what the added rows take, without what a call costs once. The
 * number is doubled until that difference is long enough to be measured. Time is the thread's own, so
 * that other processes do not count.
 *
 * Two shapes of each loop tell apart what grows with the dimension and what does not.
 */
#include "make/speed.h"

#include <math.h>
#include <pthread.h>
#include <time.h>

#include "base/error.h"
#include "base/job.h"
#include "base/memory.h"
#include "base/rng.h"
#include "graph/graph.h"
#include "partition/kmeans.h"
#include "router/train/train.h"

static const double enough_seconds = 0.008;

enum {
    BASE_ROWS = 12288, /* of the graph: each query's thresholds fall for the first few thousand */
    FEW_DIM = 64,
    MANY_DIM = 256,
    GRAPH_K = 20,
    FIRST_ROWS = 96,
    MOST_ROWS = 3072,
    LABEL_KNN = 20,
    BATCH = 256,
    CELLS = 1024
};

static double thread_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Does the work on so many rows. */
typedef enum nlsh_status work_fn(void *ctx, size_t n_rows, struct nlsh_error *error);

static enum nlsh_status time_once(work_fn *work, void *ctx, size_t n, double *seconds,
                                  struct nlsh_error *error)
{
    double start = thread_seconds();
    enum nlsh_status status = work(ctx, n, error);
    *seconds = thread_seconds() - start;
    return status;
}

/* The least of a few: what else the machine does can only slow it down. */
static enum nlsh_status time_least(work_fn *work, void *ctx, size_t n, double *least,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    *least = INFINITY;
    for (int i = 0; i < 3; i++) {
        double seconds;
        NLSH_TRY(time_once(work, ctx, n, &seconds, error));
        *least = fmin(*least, seconds);
    }
out:
    return status;
}

/* Seconds that one more row takes. */
static enum nlsh_status time_row(work_fn *work, void *ctx, size_t first, double *out,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    double few, many;
    size_t n = first;
    NLSH_TRY(work(ctx, n, error)); /* pages, caches and oneDNN's code are then there */
    NLSH_TRY(time_once(work, ctx, n, &few, error));
    while (few < enough_seconds && 4 * n <= MOST_ROWS) {
        n *= 2;
        NLSH_TRY(time_once(work, ctx, n, &few, error));
    }
    NLSH_TRY(time_least(work, ctx, n, &few, error));
    NLSH_TRY(time_least(work, ctx, 2 * n, &many, error));
    *out = fmax(many - few, 1e-9) / (double)n;
out:
    return status;
}

/* ---- graph ----------------------------------------------------------------------------------- */

struct graph_work {
    struct nlsh_matrix base;
    const struct nlsh__job *job;
};

static enum nlsh_status graph_work(void *ctx, size_t n, struct nlsh_error *error)
{
    struct graph_work *w = ctx;
    struct nlsh_matrix queries = w->base;
    struct nlsh__neighbors found = {0};
    queries.n_rows = n;
    enum nlsh_status status =
        nlsh__exact_neighbors(&w->base, &queries, GRAPH_K, 0, "", w->job, &found, error);
    nlsh__neighbors_free(&found);
    return status;
}

/* Random bytes, or floats of one cluster. */
static void fill_random(void *values, enum nlsh_type type, size_t n, struct nlsh__rng *rng)
{
    for (size_t i = 0; i < n; i++) {
        double u = nlsh__rng_uniform(rng);
        if (type == NLSH_U8)
            ((uint8_t *)values)[i] = (uint8_t)(256 * u);
        else
            ((float *)values)[i] = (float)(2 * u - 1);
    }
}

static enum nlsh_status measure_graph(enum nlsh_type type, const struct nlsh__job *job,
                                      struct nlsh__speed *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    double few, many;
    float *values = NULL;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 1);
    NLSH_TRY(nlsh__alloc(&values, (size_t)BASE_ROWS * MANY_DIM, sizeof *values, error));
    fill_random(values, type, (size_t)BASE_ROWS * MANY_DIM, &rng);
    struct graph_work w = {{values, BASE_ROWS, FEW_DIM, type, 0}, job};
    NLSH_TRY(time_row(graph_work, &w, FIRST_ROWS, &few, error));
    w.base.dim = MANY_DIM;
    NLSH_TRY(time_row(graph_work, &w, FIRST_ROWS, &many, error));
    out->pair_dim = fmax(many - few, 0) / BASE_ROWS / (MANY_DIM - FEW_DIM);
    out->pair = fmax(few / BASE_ROWS - FEW_DIM * out->pair_dim, 0);
out:
    nlsh__free(values);
    return status;
}

/* ---- k-means --------------------------------------------------------------------------------- */

struct cell_work {
    const float *rows, *centroids; /* of FEW_DIM */
    uint32_t *cell_of;
    const struct nlsh__job *job;
};

static enum nlsh_status cell_work(void *ctx, size_t n, struct nlsh_error *error)
{
    struct cell_work *w = ctx;
    return nlsh__near_cells(w->rows, n, FEW_DIM, w->centroids, NULL, CELLS, 1, NULL, w->job,
                            w->cell_of, NULL, error);
}

static enum nlsh_status measure_cells(const struct nlsh__job *job, struct nlsh__speed *out,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    double row;
    float *values = NULL;
    uint32_t *cell_of = NULL;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 2);
    NLSH_TRY(nlsh__alloc(&values, (size_t)(MOST_ROWS + CELLS) * FEW_DIM, sizeof *values, error));
    NLSH_TRY(nlsh__alloc(&cell_of, MOST_ROWS, sizeof *cell_of, error));
    fill_random(values, NLSH_F32, (size_t)(MOST_ROWS + CELLS) * FEW_DIM, &rng);
    struct cell_work w = {values, values + (size_t)MOST_ROWS * FEW_DIM, cell_of, job};
    NLSH_TRY(time_row(cell_work, &w, FIRST_ROWS, &row, error));
    out->cell_dim = row / CELLS / FEW_DIM;
out:
    nlsh__free(values);
    nlsh__free(cell_of);
    return status;
}

/* ---- training -------------------------------------------------------------------------------- */

struct train_work {
    struct nlsh__mlp mlp;
    const float *inputs;
    const uint32_t *rows; /* all numbers in order */
    struct nlsh__labels targets;
    const struct nlsh__job *job;
};

static enum nlsh_status train_work(void *ctx, size_t n, struct nlsh_error *error)
{
    struct train_work *w = ctx;
    struct nlsh__train_options options = {.epochs = 1,
                                          .batch_size = BATCH,
                                          .lr = 1e-3,
                                          .weight_decay = 0.1,
                                          .scheduler = NLSH_SCHEDULER_NONE,
                                          .seed = 1};
    double loss, held;
    return nlsh__train(&w->mlp, w->inputs, w->rows, n, NULL, 0, &w->targets, &options, w->job,
                       &loss, &held, error);
}

/* Seconds a row through two hidden layers. */
static enum nlsh_status time_network(size_t inputs, size_t nodes, size_t outputs,
                                     const struct nlsh__job *job, double *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct train_work w = {.job = job};
    float *values = NULL;
    uint32_t *numbers = NULL;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 3);
    NLSH_TRY(nlsh__alloc(&values, MOST_ROWS * inputs, sizeof *values, error));
    NLSH_TRY(nlsh__alloc(&numbers, (size_t)MOST_ROWS * (2 + LABEL_KNN), sizeof *numbers, error));
    fill_random(values, NLSH_F32, MOST_ROWS * inputs, &rng);
    for (size_t i = 0; i < MOST_ROWS; i++) numbers[i] = (uint32_t)i;
    uint32_t *bucket_of = numbers + MOST_ROWS, *neighbors = bucket_of + MOST_ROWS;
    for (size_t i = 0; i < MOST_ROWS; i++) bucket_of[i] = (uint32_t)nlsh__rng_below(&rng, outputs);
    for (size_t i = 0; i < (size_t)MOST_ROWS * LABEL_KNN; i++)
        neighbors[i] = (uint32_t)nlsh__rng_below(&rng, MOST_ROWS);
    w.inputs = values;
    w.rows = numbers;
    w.targets = (struct nlsh__labels){.bucket_of = bucket_of,
                                      .neighbors = neighbors,
                                      .stride = LABEL_KNN,
                                      .label_knn = LABEL_KNN};
    NLSH_TRY(nlsh__mlp_create(inputs, 2, nodes, outputs, 1, &w.mlp, error));
    NLSH_TRY(time_row(train_work, &w, BATCH, out, error));
out:
    nlsh__mlp_free(&w.mlp);
    nlsh__free(values);
    nlsh__free(numbers);
    return status;
}

/* Two networks of nearly as many weights: one with many outputs, one with few. */
static enum nlsh_status measure_training(const struct nlsh__job *job, struct nlsh__speed *out,
                                         struct nlsh_error *error)
{
    enum nlsh_status status;
    double wide, narrow, wide_weights = 256 * (64 + 256 + 1024.0),
                         narrow_weights = 512 * (128 + 512 + 64.0);
    NLSH_TRY(time_network(64, 256, 1024, job, &wide, error));
    NLSH_TRY(time_network(128, 512, 64, job, &narrow, error));
    /* wide = weights x weight + 1024 x output, narrow likewise. Of narrow most is weights. */
    out->output = fmax(0, (wide - narrow * wide_weights / narrow_weights) /
                              (1024 - 64 * wide_weights / narrow_weights));
    out->weight = fmax(narrow - 64 * out->output, 0.7 * narrow) / narrow_weights;
out:
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum nlsh_status measure(enum nlsh_type type, struct nlsh__speed *out,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct nlsh_run run;
    nlsh_run_init(&run, sizeof run);
    run.n_threads = 1; /* this one, whose time is taken */
    NLSH_TRY(nlsh__job_begin(&run, &job, error));
    NLSH_TRY(measure_graph(type, &job, out, error));
    NLSH_TRY(measure_cells(&job, out, error));
    NLSH_TRY(measure_training(&job, out, error));
out:
    nlsh__job_end(&job);
    return status;
}

enum nlsh_status nlsh__speed(enum nlsh_type type, struct nlsh__speed *out, struct nlsh_error *error)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct nlsh__speed measured[2];
    static int known[2];
    enum nlsh_status status = NLSH_OK;
    size_t kind = type == NLSH_U8 ? 0 : 1;
    pthread_mutex_lock(&lock);
    if (!known[kind]) status = measure(type, &measured[kind], error);
    known[kind] |= status == NLSH_OK;
    *out = measured[kind];
    pthread_mutex_unlock(&lock);
    return status;
}
