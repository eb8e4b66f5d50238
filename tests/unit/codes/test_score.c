/* test_score.c - scores by codes against the written format (docs/index-format.md, codes), decoded naively in
 * double; units and lengths of errors. */
#include "codes/score.h"

#include <math.h>

#include "kernels/panel.h"
#include "testing.h"

enum { GROUPS = 5, MOST = 40, STRIDE = 48 };

/* Two buckets: the second one's codes are scored. */
struct codes_new {
    struct nlsh__codes codes;
    float *steps, *centroids, *bias;
    uint8_t *values, *errors;
};

static void *aligned(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(memory);
    memset(memory, 0, (size + 63) / 64 * 64);
    return memory;
}

/* Steps are powers of two and centroids whole numbers, so that a query of whole numbers loses nothing when it
 * becomes bytes: what is compared is the formula. */
static struct codes_new codes_new(struct nlsh__rng *rng, size_t n_components, int one_step)
{
    struct codes_new c;
    size_t n_chunks = n_components / 8;
    c.steps = aligned(STRIDE * sizeof(float));
    c.centroids = aligned(2 * STRIDE * sizeof(float));
    c.bias = aligned(16 * GROUPS * sizeof(float));
    c.values = aligned(GROUPS * n_chunks * 64);
    c.errors = aligned(16 * GROUPS);
    for (size_t i = 0; i < n_components; i++) {
        c.steps[i] = one_step ? 0.25f : (float)nlsh__rng_uniform(rng);
        c.centroids[i] = c.centroids[(n_components + 15) / 16 * 16 + i] =
            (float)nlsh__rng_below(rng, 9) - 4;
    }
    for (size_t i = 0; i < 16 * GROUPS; i++) c.bias[i] = (float)nlsh__rng_below(rng, 500);
    for (size_t i = 0; i < GROUPS * n_chunks * 64; i++)
        c.values[i] = (uint8_t)nlsh__rng_below(rng, 256);
    c.codes = (struct nlsh__codes){.n_components = n_components,
                                   .stride = (n_components + 15) / 16 * 16,
                                   .scale = 0.5f,
                                   .outside_weight = 3,
                                   .steps = c.steps,
                                   .centroids = c.centroids,
                                   .rows = {GROUPS, n_chunks, c.bias, c.errors, c.values}};
    return c;
}

static void codes_free(struct codes_new *c)
{
    free(c->steps);
    free(c->centroids);
    free(c->bias);
    free(c->values);
    free(c->errors);
}

/* steps x (code - 7.5) of a row's component. */
static double decoded(const struct codes_new *c, size_t row, size_t component)
{
    size_t n_chunks = c->codes.rows.n_chunks;
    uint8_t byte =
        c->values[((row / 16 * n_chunks + component / 8) * 16 + row % 16) * 4 + component % 4];
    int level = component % 8 < 4 ? byte & 15 : byte >> 4;
    return (double)c->steps[component] * (level - 7.5);
}

static double naive_score(const struct codes_new *c, int inner, const float *q, size_t row)
{
    const float *centroid = c->centroids + c->codes.stride;
    double score = inner ? 0 : (double)c->bias[row];
    for (size_t i = 0; i < c->codes.n_components; i++) {
        double h = decoded(c, row, i), d = (double)(q[i] - centroid[i]);
        score += inner ? -(double)q[i] * ((double)centroid[i] + h) : d * d - 2 * d * h;
    }
    return score;
}

/* most: how far scores may be off. */
static void compare(struct codes_new *c, int inner, const float *q, double most)
{
    float *origin = aligned(STRIDE * sizeof(float)),
          scores[16 * GROUPS] __attribute__((aligned(64)));
    int8_t *weights = aligned(STRIDE);
    struct nlsh__probe probe;
    if (inner) memset(c->bias, 0, 16 * GROUPS * sizeof *c->bias);
    nlsh__probe_bucket(&c->codes, inner, q, 2, 1, origin, weights, &probe);
    double length = 2;
    for (size_t i = 0; i < c->codes.n_components; i++) {
        double d = (double)(q[i] - (inner ? 0 : c->centroids[c->codes.stride + i]));
        length += d * d;
    }
    assert_true(fabs((double)probe.length - sqrt(length)) <= 1e-5 * sqrt(length));
    length += (3 - 1) * 2; /* 2 of it is outside */
    assert_true(fabs((double)probe.error_length - sqrt(length)) <= 1e-5 * sqrt(length));
    for (size_t first = 0; first < GROUPS; first++) {
        nlsh__score_groups(&c->codes.rows, &probe, weights, first, GROUPS - first, scores);
        for (size_t i = 0; i < 16 * (GROUPS - first); i++) {
            double want = naive_score(c, inner, q, 16 * first + i);
            if (!(fabs((double)scores[i] - want) <= most))
                fail_msg("row %zu: %.9g, not %.9g", 16 * first + i, (double)scores[i], want);
        }
    }
    const uint32_t groups[] = {3, 0, 4, 1};
    nlsh__score_groups_at(&c->codes.rows, &probe, weights, groups, 3, 1, scores);
    for (size_t i = 0; i < 48; i++) {
        double want = naive_score(c, inner, q, 16 * (size_t)groups[i / 16] + i % 16);
        assert_true(fabs((double)scores[i] - want) <= most);
    }
    free(origin);
    free(weights);
}

/* (q - c) x steps, in quarters, are whole numbers up to 127: just what a weight can be. */
static void scores_are_the_formula(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 1);
    for (size_t n = 8; n <= MOST; n += 8)
        for (int inner = 0; inner < 2; inner++)
            for (int round = 0; round < 20; round++) {
                struct codes_new c = codes_new(&rng, n, 1);
                float *q = aligned(STRIDE * sizeof(float));
                const float *centre = c.centroids + c.codes.stride;
                for (size_t i = 0; i < n; i++)
                    q[i] = (float)nlsh__rng_below(&rng, 255) - 127 + (inner ? 0 : centre[i]);
                q[n - 1] = 127 + (inner ? 0 : centre[n - 1]);
                compare(&c, inner, q, 0.05); /* of sums up to some 100,000, in f32 */
                free(q);
                codes_free(&c);
            }
}

/* Any query: a weight is rounded by half a unit at most, and a code is 7.5 steps at most. */
static void scores_are_off_by_the_rounding_of_weights(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 2);
    for (size_t n = 8; n <= MOST; n += 8)
        for (int inner = 0; inner < 2; inner++)
            for (int round = 0; round < 20; round++) {
                struct codes_new c = codes_new(&rng, n, 0);
                float *q = aligned(STRIDE * sizeof(float));
                double largest = 0;
                for (size_t i = 0; i < n; i++) {
                    q[i] = (float)(3 * nlsh__rng_normal(&rng));
                    double d = (double)(q[i] - (inner ? 0 : c.centroids[c.codes.stride + i]));
                    largest = fmax(largest, fabs(d * (double)c.steps[i]));
                }
                double unit = largest / 127, half = (inner ? 1 : 2) * unit / 2;
                compare(&c, inner, q, (double)n * 7.5 * half * 1.02 + 1e-3);
                free(q);
                codes_free(&c);
            }
}

/* An exact squared distance d is a score of scale^2 d - r; a negated product p one of scale^2 p. */
static void units_bring_distances_to_scores(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 3);
    struct codes_new c = codes_new(&rng, 16, 1);
    float *q = aligned(STRIDE * sizeof(float));
    struct nlsh__units u;
    for (size_t i = 0; i < 16; i++) q[i] = (float)i / 4; /* their squares are 77.5 together */
    nlsh__score_units(&c.codes, 0, q, 400, &u);
    assert_true(u.factor == .25f && u.outside == 22.5f && u.offset == 22.5f);
    nlsh__score_units(&c.codes, 1, q, 400, &u);
    assert_true(u.factor == .25f && u.outside == 22.5f && u.offset == 0);
    nlsh__score_units(&c.codes, 0, q, 300, &u); /* rounding may leave less than nothing outside */
    assert_true(u.outside == 0 && u.offset == 0);
    free(q);
    codes_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_the_formula),
        cmocka_unit_test(scores_are_off_by_the_rounding_of_weights),
        cmocka_unit_test(units_bring_distances_to_scores),
    };
    return cmocka_run_group_tests_name("codes/score", tests, NULL, NULL);
}
