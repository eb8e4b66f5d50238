/*
 * epoch.c - seconds an epoch of training takes, for comparing with bench/epoch_torch.py.
 *
 *   ninja -C build/release bench_epoch
 *   build/release/bench_epoch ROWS INPUTS LAYERS NODES BUCKETS THREADS [GROUPS]
 *
 * Random inputs, soft labels of 20 neighbours, batches of 512, AdamW. One epoch to warm up, two
 * measured. With GROUPS of buckets inputs lie about a random centre of each bucket, and neighbours in
 * the next few buckets, since then it matters which groups a row meets.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/job.h"
#include "base/rng.h"
#include "router/train/train.h"

enum { LABEL_KNN = 20, BATCH = 512, MEASURED = 2, NEAR = 12 /* buckets that neighbours are in */ };

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

/* Row i is in bucket i % m; buckets of consecutive numbers are a group. */
static void make_groups(size_t n, size_t dim, size_t m, size_t n_groups, struct nlsh__rng *rng,
                        float *inputs, uint32_t *bucket_of, uint32_t *neighbors,
                        struct nlsh__labels *targets)
{
    uint32_t *first = room(n_groups + 1, sizeof *first), *group_of = room(m, sizeof *group_of);
    float *centres = room(m * dim, sizeof *centres);
    for (size_t g = 0; g <= n_groups; g++) first[g] = (uint32_t)(g * m / n_groups);
    for (size_t g = 0; g < n_groups; g++)
        for (size_t b = first[g]; b < first[g + 1]; b++) group_of[b] = (uint32_t)g;
    for (size_t i = 0; i < m * dim; i++) centres[i] = (float)nlsh__rng_normal(rng);
    for (size_t i = 0; i < n; i++) {
        bucket_of[i] = (uint32_t)(i % m);
        for (size_t d = 0; d < dim; d++) inputs[i * dim + d] += centres[i % m * dim + d];
        for (size_t j = 0; j < LABEL_KNN; j++)
            neighbors[i * LABEL_KNN + j] = (uint32_t)((i % m + nlsh__rng_below(rng, NEAR)) % m % n);
    }
    free(centres);
    targets->groups = (struct nlsh__groups){n_groups, first};
    targets->group_of = group_of;
}

int main(int argc, char **argv)
{
    size_t a[7] = {0};
    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: %s ROWS INPUTS LAYERS NODES BUCKETS THREADS [GROUPS]\n", argv[0]);
        return 2;
    }
    for (int i = 0; i + 1 < argc; i++) a[i] = strtoull(argv[i + 1], NULL, 10);
    size_t n = a[0], dim = a[1], layers = a[2], nodes = a[3], m = a[4], threads = a[5],
           groups = a[6];
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
    if (groups > 0) make_groups(n, dim, m, groups, &rng, inputs, bucket_of, neighbors, &targets);
    struct nlsh_run settings = {.struct_size = sizeof settings, .n_threads = threads};
    struct nlsh__job job;
    struct nlsh__mlp mlp;
    if (nlsh__job_begin(&settings, &job, NULL) != NLSH_OK ||
        nlsh__mlp_create(dim, layers, nodes, groups + m, 1, &mlp, NULL) != NLSH_OK)
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
