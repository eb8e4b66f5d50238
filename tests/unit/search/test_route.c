/* test_route.c - which buckets are chosen, against sorting; how a recall becomes a threshold. */
#include "testing.h"

#include <math.h>

#include "search/route.h"

#define MOST 700

static float p[MOST];
static uint32_t buckets[MOST], wanted[MOST];
static uint64_t scratch[MOST];

/* More probable first, then the lower number. */
static int order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (p[x] != p[y]) return p[x] > p[y] ? -1 : 1;
    return (x > y) - (x < y);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Probabilities of several characters; they need not sum to 1. */
static void fill(struct nlsh__rng *rng, size_t m, int character)
{
    for (size_t b = 0; b < m; b++) switch (character) {
        case 0: p[b] = (float)nlsh__rng_uniform(rng); break;
        case 1: p[b] = (float)nlsh__rng_below(rng, 4) / 4; break; /* ties */
        case 2: p[b] = 1.0f / (float)m; break;
        case 3: p[b] = (float)b / (float)m; break;
        case 4: p[b] = (float)(m - b) / (float)m; break;
        case 5:
            p[b] = nlsh__rng_below(rng, 9) ? 0 : (float)exp(-60 * nlsh__rng_uniform(rng));
            break;
        default: p[b] = (float)exp(-100 * nlsh__rng_uniform(rng)); break; /* denormals too */
        }
}

static void compare(size_t m, const struct nlsh__rule *rule)
{
    size_t n_wanted = 0;
    for (size_t b = 0; b < m; b++) wanted[b] = (uint32_t)b;
    qsort(wanted, m, sizeof *wanted, order);
    if (rule->top > 0)
        n_wanted = rule->top < m ? rule->top : m;
    else
        while (n_wanted < m && p[wanted[n_wanted]] > rule->threshold) n_wanted++;
    if (n_wanted == 0) n_wanted = 1;
    size_t n = nlsh__choose_buckets(p, m, rule, buckets, scratch);
    assert_int_equal(n, n_wanted);
    qsort(wanted, n, sizeof *wanted, by_number);
    qsort(buckets, n, sizeof *buckets, by_number);
    assert_memory_equal(wanted, buckets, n * sizeof *wanted);
}

static void chosen_as_by_sorting(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 1);
    for (size_t round = 0; round < 3000; round++) {
        size_t m = 1 + (size_t)nlsh__rng_below(&rng, round % 10 == 0 ? MOST : 40);
        fill(&rng, m, (int)(round % 7));
        struct nlsh__rule rule = {.top = 1 + (size_t)nlsh__rng_below(&rng, m + 2)};
        compare(m, &rule);
        static const float thresholds[] = {0, 1e-30f, 0.01f, 0.25f, 0.5f, 0.75f, 0.999999f};
        rule = (struct nlsh__rule){.threshold = thresholds[round % 7]};
        compare(m, &rule);
        rule.threshold = p[nlsh__rng_below(&rng, m)]; /* exceeds, not reaches */
        compare(m, &rule);
    }
    for (size_t m = 1; m <= 70; m++) /* every top of every small m, tied and not */
        for (int character = 0; character < 7; character++) {
            fill(&rng, m, character);
            for (size_t top = 1; top <= m + 1; top++) compare(m, &(struct nlsh__rule){.top = top});
        }
}

/* What a damaged router may give: some valid buckets, each once, never a crash. */
static void not_numbers_are_survived(void **state)
{
    (void)state;
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY, -1, -0.0f, 2, 1e-45f};
    struct nlsh__rng rng;
    test_rng(&rng, 2);
    for (size_t round = 0; round < 3000; round++) {
        size_t m = 1 + (size_t)nlsh__rng_below(&rng, 90), all = round % 3 == 0;
        for (size_t b = 0; b < m; b++)
            p[b] = all || nlsh__rng_below(&rng, 3) == 0 ? odd[nlsh__rng_below(&rng, 8)]
                                                        : (float)nlsh__rng_uniform(&rng);
        if (round % 10 == 0)
            for (size_t b = 0; b < m; b++) p[b] = NAN;
        struct nlsh__rule rule = {.top = (size_t)nlsh__rng_below(&rng, m + 2), .threshold = 0.2f};
        size_t n = nlsh__choose_buckets(p, m, &rule, buckets, scratch);
        assert_true(n >= 1 && n <= m);
        if (rule.top > 0) assert_int_equal(n, rule.top < m ? rule.top : m);
        qsort(buckets, n, sizeof *buckets, by_number);
        for (size_t i = 0; i < n; i++)
            assert_true(buckets[i] < m && (i == 0 || buckets[i] > buckets[i - 1]));
    }
}

/* ---- recall to threshold --------------------------------------------------------------------- */

static float threshold_for(const struct nlsh_index *index, double recall)
{
    struct nlsh_search_options o = {.k = 1, .recall = recall};
    struct nlsh__rule rule;
    assert_int_equal(nlsh__rule_from_options(index, &o, &rule, NULL), NLSH_OK);
    assert_int_equal(rule.top, 0);
    assert_true(rule.threshold >= 0 && rule.threshold < 1);
    return rule.threshold;
}

static void thresholds_follow_the_table(void **state)
{
    (void)state;
    static const float table[] = {.5f, .4f, .8f, .1f, .9f, .05f, .95f, .01f, .98f, .001f};
    struct nlsh_index index = {.calibration = table, .n_calibration = 5, .meta.n_buckets = 10};
    for (size_t i = 0; i < 5; i++)
        assert_float_equal(threshold_for(&index, (double)table[2 * i]), table[2 * i + 1], 1e-6);
    assert_float_equal(threshold_for(&index, .85), sqrt(.1 * .05), 1e-6); /* the logarithms' mean */
    assert_float_equal(threshold_for(&index, .1), .4, 1e-6);
    float last = 1;
    for (double recall = 0.001; recall < 1; recall += 0.001) {
        float now = threshold_for(&index, recall);
        assert_true(now <= last);
        last = now;
    }
    assert_true(last < 1e-4f && last > 0);
    assert_true(threshold_for(&index, 1 - 1e-12) < 1e-10f);
    /* The same from fewer points, down to none: then every bucket that is possible at all. */
    index.n_calibration = 1;
    assert_true(threshold_for(&index, .4) == .4f);
    assert_true(threshold_for(&index, .9) < .4f && threshold_for(&index, .9) > 0);
    index.n_calibration = 0;
    assert_true(threshold_for(&index, .9) == 0);
}

static void probes_become_rules(void **state)
{
    (void)state;
    struct nlsh_index index = {.meta.n_buckets = 10};
    struct nlsh__rule rule;
    for (size_t t = 1; t <= 4294967296u; t = t < 20 ? t + 1 : t * 16) {
        struct nlsh_search_options o = {.k = 1, .probes = (double)t};
        assert_int_equal(nlsh__rule_from_options(&index, &o, &rule, NULL), NLSH_OK);
        assert_int_equal(rule.top, t < 10 ? t : 10);
    }
    for (double t = 1e-300; t < 1; t = t < 1e-9 ? t * 1e20 : t * 1.9) {
        struct nlsh_search_options o = {.k = 1, .probes = t};
        assert_int_equal(nlsh__rule_from_options(&index, &o, &rule, NULL), NLSH_OK);
        assert_int_equal(rule.top, 0);
        assert_true(rule.threshold == (float)t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_as_by_sorting),
        cmocka_unit_test(not_numbers_are_survived),
        cmocka_unit_test(thresholds_follow_the_table),
        cmocka_unit_test(probes_become_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
