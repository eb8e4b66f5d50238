/* test_projections.c - p-stable hash functions: how often near and far vectors share a value. */
#include <math.h>
#include <string.h>

#include "baselines/projections.h"
#include "testing.h"

enum { DIM = 30, FUNCTIONS = 4000 };

/* The share of the functions that two vectors so far apart have in common. */
static double shared(const struct nlsh__projections *p, struct nlsh__rng *rng, double distance)
{
    static float hashes[2][FUNCTIONS + 16] __attribute__((aligned(64)));
    float x[DIM], y[DIM];
    double step[DIM], norm = 0;
    for (size_t d = 0; d < DIM; d++) {
        x[d] = (float)(100 * nlsh__rng_normal(rng));
        step[d] = nlsh__rng_normal(rng);
        norm += step[d] * step[d];
    }
    for (size_t d = 0; d < DIM; d++) y[d] = x[d] + (float)(step[d] * distance / sqrt(norm));
    nlsh__project_hash(p, x, hashes[0]);
    nlsh__project_hash(p, y, hashes[1]);
    double n = 0;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        assert_true(floorf(hashes[0][i]) == hashes[0][i]);
        n += hashes[0][i] == hashes[1][i];
    }
    return n / FUNCTIONS;
}

/* Section 3.2 of the paper gives the probability; the share falls with the distance. */
static void test_collisions(void **state)
{
    (void)state;
    struct nlsh__projections p;
    struct nlsh__rng rng;
    test_rng(&rng, 40);
    const double window = 17;
    assert_int_equal(nlsh__projections_create(FUNCTIONS, DIM, window, 5, &p, NULL), NLSH_OK);
    double last = 1;
    assert_true(shared(&p, &rng, 0) == 1);
    for (double distance = 2; distance < 200; distance *= 1.7) {
        double mean = 0, expected = nlsh__collision_probability(distance, window);
        for (int i = 0; i < 5; i++) mean += shared(&p, &rng, distance) / 5;
        /* 20,000 throws: five standard deviations are .018 */
        if (fabs(mean - expected) > 0.02)
            fail_msg("distance %g: %g share a value, not %g", distance, mean, expected);
        assert_true(mean < last && expected < last);
        last = mean;
    }
    nlsh__projections_free(&p);
}

static void test_probability(void **state)
{
    (void)state;
    assert_true(nlsh__collision_probability(0, 3) == 1);
    assert_true(nlsh__collision_probability(1e-9, 3) > 0.999999);
    assert_true(nlsh__collision_probability(1e9, 3) < 1e-6);
    /* the paper's example: r = w / 4 */
    assert_true(fabs(nlsh__collision_probability(1, 4) - 0.8005) < 0.001);
}

/* A function is the same whatever the others are, and another seed gives others. */
static void test_streams(void **state)
{
    (void)state;
    struct nlsh__projections few, many, other;
    assert_int_equal(nlsh__projections_create(3, DIM, 2, 5, &few, NULL), NLSH_OK);
    assert_int_equal(nlsh__projections_create(40, DIM, 2, 5, &many, NULL), NLSH_OK);
    assert_int_equal(nlsh__projections_create(3, DIM, 2, 6, &other, NULL), NLSH_OK);
    for (size_t d = 0; d < DIM; d++)
        assert_memory_equal(few.values + 16 * d, many.values + 16 * d, 3 * sizeof(float));
    assert_memory_equal(few.bias, many.bias, 3 * sizeof(float));
    assert_memory_not_equal(few.bias, other.bias, 3 * sizeof(float));
    nlsh__projections_free(&few);
    nlsh__projections_free(&many);
    nlsh__projections_free(&other);
}

static void test_sampled_distances(void **state)
{
    (void)state;
    struct nlsh__distances d;
    struct nlsh__job job;
    struct nlsh__dataset base;
    float line[500];
    assert_int_equal(nlsh__job_begin(NULL, &job, NULL), NLSH_OK);
    /* 500 points on a line, 1/2 apart: the 10th neighbour is 2.5 away, or more near the ends */
    for (size_t i = 0; i < 500; i++) line[i] = 0.5f * (float)i;
    struct nlsh_matrix m = {line, 500, 1, NLSH_F32, 0};
    assert_int_equal(nlsh__dataset_init(&m, &base, NULL), NLSH_OK);
    assert_int_equal(nlsh__sample_distances(&base, 1, &job, &d, NULL), NLSH_OK);
    assert_true(d.near >= 2.5 && d.near < 3);
    assert_true(d.far > 60 && d.far < 110); /* a third of 250 in the mean */
    m.n_rows = 1;
    nlsh__dataset_free(&base);
    assert_int_equal(nlsh__dataset_init(&m, &base, NULL), NLSH_OK);
    assert_int_equal(nlsh__sample_distances(&base, 1, &job, &d, NULL), NLSH_OK);
    assert_true(d.near == 0 && d.far == 0);
    nlsh__dataset_free(&base);
    nlsh__job_end(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_probability),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_sampled_distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
