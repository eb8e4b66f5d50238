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
     {{2.16202, 1.60814},
      {1.37701, 1.41039},
      {1.22544, 1.32326},
      {1.15396, 1.26886},
      {1.10954, 1.25367},
      {1.08400, 1.24135},
      {1.06069, 1.24056},
      {1.04975, 1.23282}}},
    {1,
     NLSH_SCHEDULER_COSINE,
     {{2.27400, 1.93070},
      {1.52539, 1.59318},
      {1.33207, 1.44926},
      {1.24654, 1.38271},
      {1.19197, 1.34061},
      {1.15404, 1.30438},
      {1.12817, 1.28271},
      {1.10835, 1.26921}}},
    {0,
     NLSH_SCHEDULER_NONE,
     {{1.93678, 1.02336},
      {0.69102, 0.51144},
      {0.36613, 0.35083},
      {0.26381, 0.31719},
      {0.21532, 0.31066},
      {0.20057, 0.30433},
      {0.16645, 0.30124},
      {0.16035, 0.32470}}},
    {0,
     NLSH_SCHEDULER_COSINE,
     {{2.10222, 1.61794},
      {1.01405, 1.00485},
      {0.62938, 0.67253},
      {0.44317, 0.50718},
      {0.34243, 0.41645},
      {0.28240, 0.36296},
      {0.24327, 0.33164},
      {0.21721, 0.31700}}},
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
