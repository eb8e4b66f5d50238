/*
 * epoch.c - seconds an epoch of training takes, for comparing with bench/epoch_torch.py.
 *
 *   ninja -C build/release bench_epoch
 *   build/release/bench_epoch ROWS INPUTS LAYERS NODES BUCKETS THREADS
 *
 * Random inputs, soft labels of 20 neighbours, batches of 512, AdamW. One epoch to warm up, two
 * measured.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/job.h"
#include "base/rng.h"
#include "router/train/train.h"

enum { LABEL_KNN = 20, BATCH = 512, MEASURED = 2 };

static void *room(size_t count, size_t size)
{
    void *memory = malloc(count * size);
    if (memory == NULL) abort();
    return memory;
}

static void run(struct nlsh__mlp *mlp, const float *inputs, const uint32_t *rows, size_t n,
                const struct nlsh__labels *targets, const struct nlsh__job *job, size_t epochs)
{
    struct nlsh__train_options options = {.epochs = epochs,
                                          .batch_size = BATCH,
                                          .lr = 1e-3,
                                          .weight_decay = 0.1,
                                          .scheduler = NLSH_SCHEDULER_NONE,
                                          .seed = 1};
    double loss, held;
    struct nlsh_error error;
    if (nlsh__train(mlp, inputs, rows, n, NULL, 0, targets, &options, job, &loss, &held, &error) ==
        NLSH_OK)
        return;
    fprintf(stderr, "error: %s\n", error.message);
    exit(1);
}

int main(int argc, char **argv)
{
    size_t a[6];
    if (argc != 7) {
        fprintf(stderr, "usage: %s ROWS INPUTS LAYERS NODES BUCKETS THREADS\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < 6; i++) a[i] = strtoull(argv[i + 1], NULL, 10);
    size_t n = a[0], dim = a[1], layers = a[2], nodes = a[3], m = a[4], threads = a[5];
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 1);
    float *inputs = room(n * dim, sizeof *inputs);
    uint32_t *rows = room(n, sizeof *rows), *bucket_of = room(n, sizeof *bucket_of);
    uint32_t *neighbors = room(n * LABEL_KNN, sizeof *neighbors);
    for (size_t i = 0; i < n * dim; i++) inputs[i] = (float)(3.4 * nlsh__rng_uniform(&rng) - 1.7);
    for (size_t i = 0; i < n; i++) {
        rows[i] = (uint32_t)i;
        bucket_of[i] = (uint32_t)nlsh__rng_below(&rng, m);
    }
    for (size_t i = 0; i < n * LABEL_KNN; i++) neighbors[i] = (uint32_t)nlsh__rng_below(&rng, n);
    struct nlsh__labels targets = {.bucket_of = bucket_of,
                                   .neighbors = neighbors,
                                   .stride = LABEL_KNN,
                                   .label_knn = LABEL_KNN};
    struct nlsh_run settings = {.struct_size = sizeof settings, .n_threads = threads};
    struct nlsh__job job;
    struct nlsh__mlp mlp;
    if (nlsh__job_begin(&settings, &job, NULL) != NLSH_OK ||
        nlsh__mlp_create(dim, layers, nodes, m, 1, &mlp, NULL) != NLSH_OK)
        return 1;
    run(&mlp, inputs, rows, n, &targets, &job, 1);
    double start = nlsh__now();
    run(&mlp, inputs, rows, n, &targets, &job, MEASURED);
    printf("nlsh     %zu x %zu through %zu layers of %zu to %zu, %zu threads: %.3f s an epoch\n", n,
           dim, layers, nodes, m, threads, (nlsh__now() - start) / MEASURED);
    nlsh__mlp_free(&mlp);
    nlsh__job_end(&job);
    free(inputs);
    free(rows);
    free(bucket_of);
    free(neighbors);
    return 0;
}
