/*
 * test_torch.c - training agrees with PyTorch's: the losses that tests/reference/torch_losses.py
 * recorded, from the same data, labels, initial weights and order of batches.
 */
#include "testing.h"

#include <math.h>

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
     {{2.01869, 1.59227},
      {1.33461, 1.38494},
      {1.16724, 1.27557},
      {1.09705, 1.24198},
      {1.06545, 1.22919},
      {1.05091, 1.22236},
      {1.03281, 1.22293},
      {1.02677, 1.21470}}},
    {1,
     NLSH_SCHEDULER_COSINE,
     {{2.11586, 1.97951},
      {1.54154, 1.57664},
      {1.26467, 1.40033},
      {1.17315, 1.33420},
      {1.11982, 1.28276},
      {1.08822, 1.25513},
      {1.06659, 1.24135},
      {1.05238, 1.23507}}},
    {0,
     NLSH_SCHEDULER_NONE,
     {{1.91678, 1.12553},
      {0.69582, 0.43475},
      {0.30775, 0.36279},
      {0.23094, 0.32849},
      {0.19368, 0.35235},
      {0.17501, 0.35078},
      {0.15504, 0.36345},
      {0.15187, 0.35489}}},
    {0,
     NLSH_SCHEDULER_COSINE,
     {{2.06259, 1.85263},
      {1.18819, 1.10744},
      {0.59003, 0.60696},
      {0.36182, 0.42381},
      {0.26684, 0.35992},
      {0.21992, 0.33153},
      {0.19178, 0.32475},
      {0.17288, 0.32084}}},
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
    double worst = 0;
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
                if (off > 0.02)
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
