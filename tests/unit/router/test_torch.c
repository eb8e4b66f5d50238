/*
 * test_torch.c - training agrees with PyTorch's: the losses that tests/reference/torch_losses.py
 * recorded, from the same data, labels, initial weights and order of batches.
 */
#include "testing.h"

#include <math.h>

#include "kernels/kernels.h"
#include "router/train/train.h"
#include "support/network.h"

enum {
    N = 1200,
    N_TRAIN = 1000,
    DIM = 12,
    NODES = 32,
    M = 10,
    STRIDE = 6,
    LABEL_KNN = 5,
    BATCH = 96,
    EPOCHS = 8
};

/* {training loss of the last epoch, loss of the held-out rows behind it} of runs of 1 to 8 epochs;
 * without a schedule those are the epochs of one run. PyTorch 1.13 (Debian 12). */
static const struct {
    int soft;
    enum nlsh_scheduler scheduler;
    double losses[EPOCHS][2];
} recorded[] = {
    {1,
     NLSH_SCHEDULER_NONE,
     {{1.92607, 1.52295},
      {1.29422, 1.34789},
      {1.13932, 1.24852},
      {1.08660, 1.22084},
      {1.06218, 1.21193},
      {1.04936, 1.19908},
      {1.02851, 1.19981},
      {1.02120, 1.19567}}},
    {1,
     NLSH_SCHEDULER_COSINE,
     {{2.02117, 1.84794},
      {1.45994, 1.51399},
      {1.23736, 1.37429},
      {1.15272, 1.31146},
      {1.10601, 1.26279},
      {1.08105, 1.23781},
      {1.06507, 1.22547},
      {1.05187, 1.21838}}},
    {0,
     NLSH_SCHEDULER_NONE,
     {{1.76610, 0.99916},
      {0.63416, 0.41162},
      {0.28073, 0.32759},
      {0.19885, 0.30838},
      {0.17150, 0.33785},
      {0.16583, 0.32461},
      {0.14477, 0.33895},
      {0.14896, 0.34427}}},
    {0,
     NLSH_SCHEDULER_COSINE,
     {{1.91226, 1.62976},
      {1.03575, 0.98953},
      {0.54419, 0.57154},
      {0.34186, 0.39859},
      {0.24367, 0.32779},
      {0.19567, 0.30130},
      {0.16972, 0.30087},
      {0.15573, 0.30311}}},
};

static float inputs[N * DIM];
static uint32_t bucket_of[N], neighbors[N * STRIDE], rows[N];

/* data() of the script. */
static void make_data(void)
{
    struct nlsh__rng rng;
    double centres[M][DIM];
    nlsh__rng_init(&rng, 2024, 1);
    for (size_t b = 0; b < M; b++)
        for (size_t d = 0; d < DIM; d++) centres[b][d] = 1.2 * nlsh__rng_normal(&rng);
    for (size_t i = 0; i < N; i++)
        for (size_t d = 0; d < DIM; d++)
            inputs[i * DIM + d] = (float)(centres[i % M][d] + nlsh__rng_normal(&rng));
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < STRIDE; j++) {
            size_t other = (size_t)nlsh__rng_below(&rng, N);
            int own = nlsh__rng_uniform(&rng) < 0.8;
            neighbors[i * STRIDE + j] = (uint32_t)(own ? other / M * M + i % M : other);
        }
    for (size_t i = 0; i < N; i++) {
        bucket_of[i] = (uint32_t)(i % M);
        rows[i] = (uint32_t)i;
    }
}

static void losses_are_pytorchs(void **state)
{
    (void)state;
    double worst = 0,
           most = nlsh__kernels()->bf16 != NULL ? 0.03 : 0.02; /* bf16 rounds what it multiplies */
    make_data();
    for (size_t r = 0; r < sizeof recorded / sizeof *recorded; r++)
        for (size_t e = 1; e <= EPOCHS; e++) {
            struct nlsh__mlp mlp;
            struct nlsh__job job;
            struct nlsh__labels targets = {.bucket_of = bucket_of,
                                           .neighbors = recorded[r].soft ? neighbors : NULL,
                                           .stride = STRIDE,
                                           .label_knn = LABEL_KNN};
            struct nlsh__train_options options = {.epochs = e,
                                                  .batch_size = BATCH,
                                                  .lr = 0.01,
                                                  .weight_decay = 0.1,
                                                  .scheduler = recorded[r].scheduler,
                                                  .seed = 7};
            double loss[2];
            job_start(&job, 1);
            assert_int_equal(nlsh__mlp_create(DIM, 2, NODES, M, 7, &mlp, NULL), NLSH_OK);
            assert_int_equal(nlsh__train(&mlp, inputs, rows, N_TRAIN, rows + N_TRAIN, N - N_TRAIN,
                                         &targets, &options, &job, &loss[0], &loss[1], NULL),
                             NLSH_OK);
            for (size_t i = 0; i < 2; i++) {
                double off = fabs(loss[i] / recorded[r].losses[e - 1][i] - 1);
                if (off > most)
                    fail_msg("row %zu, epoch %zu: loss %.5f, PyTorch's %.5f", r, e, loss[i],
                             recorded[r].losses[e - 1][i]);
                worst = fmax(worst, off);
            }
            nlsh__mlp_free(&mlp);
            nlsh__job_end(&job);
        }
    printf("largest difference from PyTorch: %.4f %%\n", 100 * worst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_pytorchs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
