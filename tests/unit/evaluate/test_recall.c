/* test_recall.c - recall@k and the approximation factor, by their definitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "base/rng.h"
#include "nlsh/learn.h"

#define NO NLSH_NO_KEY
#define INF INFINITY
#define FAR (UINT64_C(5) << 32) /* keys are wider than 32 bits */

static void close_to(double a, double b)
{
    if (fabs(a - b) > 1e-12) fail_msg("%.17g is not %.17g", a, b);
}

static void test_order_does_not_matter(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    uint64_t truth[20], ids[20];
    uint32_t order[20], other[20];
    nlsh__rng_init(&rng, 7, 0);
    for (uint32_t i = 0; i < 20; i++) order[i] = other[i] = i;
    for (int trial = 0; trial < 100; trial++) {
        nlsh__rng_shuffle(&rng, order, 20);
        nlsh__rng_shuffle(&rng, other, 20);
        for (size_t i = 0; i < 20; i++) {
            truth[i] = FAR + other[i] * 3;
            ids[i] = FAR + (order[i] < 7 ? 1000 + order[i] : order[i] * 3); /* 7 wrong ones */
        }
        close_to(nlsh_recall(ids, NULL, truth, NULL, 20), 13.0 / 20);
    }
}

static void test_against_sets(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 8, 0);
    for (int trial = 0; trial < 1000; trial++) {
        size_t k = 1 + (size_t)nlsh__rng_below(&rng, 12);
        uint32_t some[12], is_true[30] = {0}, seen[30] = {0}, hits = 0;
        uint64_t truth[12], ids[12];
        nlsh__rng_sample(&rng, 30, k, some);
        for (size_t i = 0; i < k; i++) truth[i] = some[i];
        for (size_t i = 0; i < k; i++) is_true[truth[i]] = 1;
        for (size_t i = 0; i < k; i++) ids[i] = nlsh__rng_below(&rng, 30);
        for (size_t i = 0; i < k; i++) {
            hits += is_true[ids[i]] && !seen[ids[i]];
            seen[ids[i]] = 1;
        }
        close_to(nlsh_recall(ids, NULL, truth, NULL, k), (double)hits / (double)k);
    }
}

static void test_duplicates_count_once(void **state)
{
    (void)state;
    const uint64_t truth[4] = {1, 2, 3, 4}, ids[4] = {1, 1, 1, 1}, ties[4] = {9, 9, 1, 9};
    const float t[4] = {1, 2, 3, 5}, d[4] = {5, 5, 1, 5};
    close_to(nlsh_recall(ids, NULL, truth, NULL, 4), 0.25);
    close_to(nlsh_recall(ties, d, truth, t, 4), 0.5);
}

static void test_ties_count(void **state)
{
    (void)state;
    const uint64_t truth[3] = {1, 2, 3}, ids[3] = {1, 8, 9};
    const float t[3] = {1, 4, 4}, tied[3] = {1, 4, 4}, beyond[3] = {1, 4, 4.5f};
    close_to(nlsh_recall(ids, tied, truth, t, 3), 1.0);
    close_to(nlsh_recall(ids, beyond, truth, t, 3), 2.0 / 3);
    close_to(nlsh_recall(ids, tied, truth, NULL, 3), 1.0 / 3);
    close_to(nlsh_recall(ids, NULL, truth, t, 3), 1.0 / 3);
    /* Only a tie with the last counts: what ties with the first is true already. */
    const uint64_t other[3] = {7, 8, 9};
    const float first[3] = {1, 1, 1};
    close_to(nlsh_recall(other, first, truth, t, 3), 0.0);
}

static void test_missing_slots(void **state)
{
    (void)state;
    const uint64_t truth[3] = {1, 2, 3}, ids[3] = {2, NO, NO}, none[3] = {NO, NO, NO};
    const float t[3] = {1, 2, 3}, d[3] = {2, INF, INF};
    close_to(nlsh_recall(ids, d, truth, t, 3), 1.0 / 3);
    close_to(nlsh_recall(none, NULL, truth, NULL, 3), 0.0);
    /* A base of one row has one neighbour to find; infinity is no tie. */
    const uint64_t few[3] = {2, NO, NO}, wrong[3] = {5, NO, NO};
    const float few_far[3] = {2, INF, INF}, wrong_far[3] = {3, INF, INF};
    close_to(nlsh_recall(ids, d, few, few_far, 3), 1.0);
    close_to(nlsh_recall(wrong, wrong_far, few, few_far, 3), 0.0);
    close_to(nlsh_recall(ids, d, none, few_far, 3), 1.0);
    /* A tie is one with the last that is there. */
    const uint64_t two[3] = {2, 5, NO}, tied[3] = {2, 7, NO};
    const float two_far[3] = {2, 3, INF};
    close_to(nlsh_recall(tied, two_far, two, two_far, 3), 1.0);
}

static void test_approximation_factor(void **state)
{
    (void)state;
    const float truth[3] = {1, 4, 9}, twice[3] = {2, 8, 18}, mixed[3] = {1, 8, 9};
    close_to(nlsh_approximation_factor(NLSH_L2, truth, truth, 3), 1.0);
    close_to(nlsh_approximation_factor(NLSH_L2, twice, truth, 3), 2.0);
    close_to(nlsh_approximation_factor(NLSH_L2, mixed, truth, 3), 4.0 / 3);
    const float zeros[3] = {0, 0, 2}, found[3] = {0, 5, 4};
    close_to(nlsh_approximation_factor(NLSH_L2, found, zeros, 3),
             1.5); /* 0/0 is 1, 5/0 is left out */
    const float missing[3] = {2, INF, INF}, nothing[3] = {INF, INF, INF};
    close_to(nlsh_approximation_factor(NLSH_L2, missing, truth, 3), 2.0);
    assert_true(isnan(nlsh_approximation_factor(NLSH_L2, nothing, truth, 3)));
    const float all_zero[1] = {0}, far[1] = {3};
    assert_true(isnan(nlsh_approximation_factor(NLSH_L2, far, all_zero, 1)));
    /* cosine: the ratio of the unit vectors' distances, which are the roots of twice 1 - cos */
    const float cosines[2] = {0.5f, 0.25f}, farther[2] = {2, 0.25f};
    close_to(nlsh_approximation_factor(NLSH_COSINE, farther, cosines, 2), 1.5);
    assert_true(isnan(nlsh_approximation_factor(NLSH_IP, truth, truth, 3)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_does_not_matter), cmocka_unit_test(test_against_sets),
        cmocka_unit_test(test_duplicates_count_once), cmocka_unit_test(test_ties_count),
        cmocka_unit_test(test_missing_slots),         cmocka_unit_test(test_approximation_factor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
