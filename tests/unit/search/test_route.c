/* test_route.c - which buckets are chosen, against sorting; how a recall becomes a threshold. */
#include "testing.h"

#include <math.h>

#include "search/route.h"

#define MOST 700

/* What the made-up router says: logits of all buckets, and groups of them. */
static float logits[MOST], group_p[MOST], weights[MOST], group_weights[MOST];
static uint32_t first[MOST + 1];
static struct nlsh__groups groups = {.first = first};
static uint8_t computed[MOST]; /* groups that were asked for, from the first to the last */
static size_t last_group;

static float p[MOST]; /* as they should become */
static uint32_t buckets[MOST], wanted[MOST];
static float probabilities[MOST + 16];
static uint64_t scratch[MOST];

static void group_of(const struct nlsh__answer *answer, size_t g, float *out)
{
    size_t n = first[g + 1] - first[g];
    assert_true(answer->groups == &groups && g < groups.n);
    if (g <= last_group) memset(computed, 0, sizeof computed); /* no bucket was above: once more */
    computed[g] = 1;
    last_group = g;
    memcpy(out, logits + first[g], n * sizeof *out);
    for (size_t i = n; i < (n + 15) / 16 * 16; i++) out[i] = NAN; /* padding is nobody's */
}

static size_t choose(const struct nlsh__rule *rule)
{
    struct nlsh__answer answer = {.groups = &groups, .probabilities = group_p, .group = group_of};
    memset(computed, 0, sizeof computed);
    last_group = 0;
    return nlsh__choose_buckets(&answer, rule, buckets, probabilities, scratch);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Logits of several characters; a softmax is made of them. */
static void fill(struct nlsh__rng *rng, size_t m, int character)
{
    for (size_t b = 0; b < m; b++) switch (character) {
        case 0: logits[b] = (float)(4 * nlsh__rng_normal(rng)); break;
        case 1: logits[b] = (float)nlsh__rng_below(rng, 4); break; /* ties */
        case 2: logits[b] = 1; break;
        case 3: logits[b] = (float)b / 8; break;
        case 4: logits[b] = (float)(m - b) / 8; break;
        default: logits[b] = -(float)(200 * nlsh__rng_uniform(rng)); break; /* 0 and denormals */
        }
}

/* Buckets in random groups, whose probabilities are their buckets' sums, give or take. */
static void fill_groups(struct nlsh__rng *rng, size_t m, size_t n_groups, double give)
{
    double most = (double)logits[0], total = 0;
    groups.n = n_groups;
    for (size_t g = 0; g <= n_groups; g++) first[g] = (uint32_t)(m * g / n_groups);
    for (size_t b = 1; b < m; b++) most = fmax(most, (double)logits[b]);
    for (size_t b = 0; b < m; b++) total += exp((double)logits[b] - most);
    for (size_t g = 0; g < n_groups; g++) {
        double sum = 0;
        for (size_t b = first[g]; b < first[g + 1]; b++) sum += exp((double)logits[b] - most);
        group_p[g] = (float)(sum / total * exp(give * nlsh__rng_normal(rng)));
        if (n_groups == 1) group_p[g] = 1;
        group_weights[g] = 0;
        for (size_t b = first[g]; b < first[g + 1]; b++) {
            weights[b] = (float)(0.2 + 2 * nlsh__rng_uniform(rng));
            group_weights[g] = fmaxf(group_weights[g], weights[b]);
        }
    }
}

/* The rule by sorting, over the buckets of the groups that were computed: their probabilities are
 * a softmax among themselves of what the groups have together. */
static void compare(size_t m, const struct nlsh__rule *rule)
{
    size_t n = choose(rule), n_wanted = 0, n_left = 0;
    double most = -INFINITY, total = 0, mass = 0;
    for (size_t g = 0; g < groups.n; g++) {
        if (!computed[g]) continue;
        mass += (double)group_p[g];
        for (uint32_t b = first[g]; b < first[g + 1]; b++) {
            most = fmax(most, (double)logits[b]);
            wanted[n_left++] = b;
        }
    }
    for (size_t i = 0; i < n_left; i++) total += exp((double)logits[wanted[i]] - most);
    for (size_t i = 0; i < n_left; i++)
        p[wanted[i]] = (float)(mass * exp((double)logits[wanted[i]] - most) / total);
    if (rule->top >= m) {
        assert_int_equal(n, m);
        return;
    }
    /* Ties and thresholds within rounding may fall either way. */
    double last = INFINITY, most_p = 0;
    size_t with_best =
        rule->top > 0 ? 0 : 1; /* the most probable one is there, whatever its score */
    for (size_t i = with_best; i < n; i++) {
        double score = (double)p[buckets[i]];
        assert_true(i == 0 || score <= (double)p[buckets[0]] * (1 + 1e-5));
        if (rule->weights != NULL) score *= (double)rule->weights[buckets[i]];
        last = fmin(last, score);
    }
    for (size_t i = 0; i < n_left; i++) {
        double score = (double)p[wanted[i]];
        if (rule->weights != NULL) score *= (double)rule->weights[wanted[i]];
        most_p = fmax(most_p, (double)p[wanted[i]]);
        n_wanted += rule->top == 0 && score > (double)rule->threshold * (1 + 1e-5) + 1e-37;
        int chosen = 0;
        for (size_t j = 0; j < n; j++) chosen |= buckets[j] == wanted[i];
        if (!chosen && rule->top > 0) assert_true(score <= last * (1 + 1e-5) + 1e-37);
    }
    if (rule->top > 0)
        assert_int_equal(n, rule->top);
    else if (n_wanted > 0)
        assert_true(n >= n_wanted && last >= (double)rule->threshold * (1 - 1e-5) &&
                    (double)p[buckets[0]] >= most_p * (1 - 1e-5));
    else
        assert_true(n >= 1);
    for (size_t i = 0; i < n && n_left >= n; i++) /* leaves are weighed by them */
        assert_true(fabsf(probabilities[i] - p[buckets[i]]) <= 1e-5f * p[buckets[i]] + 1e-37f);
    qsort(buckets, n, sizeof *buckets, by_number);
    for (size_t i = 0; i < n; i++)
        assert_true(buckets[i] < m && (i == 0 || buckets[i] > buckets[i - 1]));
}

static void chosen_as_by_sorting(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 1);
    for (size_t round = 0; round < 3000; round++) {
        size_t m = 1 + (size_t)nlsh__rng_below(&rng, round % 10 == 0 ? MOST : 40);
        size_t n_groups = round % 3 == 0 ? 1 : 1 + (size_t)nlsh__rng_below(&rng, m);
        fill(&rng, m, (int)(round % 6));
        fill_groups(&rng, m, n_groups, round % 2 ? 0.1 : 0);
        struct nlsh__rule rule = {.top = 1 + (size_t)nlsh__rng_below(&rng, m + 2)};
        compare(m, &rule);
        static const float thresholds[] = {0, 1e-30f, 0.01f, 0.25f, 0.5f, 0.75f, 0.999999f};
        rule = (struct nlsh__rule){.threshold = thresholds[round % 7]};
        compare(m, &rule);
        rule.weights = weights;
        rule.group_weights = group_weights;
        compare(m, &rule);
    }
}

/* Buckets of one probability, which is the threshold: none is above it, and the first stands for all. */
static void a_threshold_is_not_above_itself(void **state)
{
    (void)state;
    groups.n = 1;
    first[0] = 0;
    first[1] = 4;
    group_p[0] = 1;
    for (size_t b = 0; b < 4; b++) logits[b] = 1;
    struct nlsh__rule rule = {.threshold = 0};
    assert_int_equal(choose(&rule), 4);
    rule.threshold = probabilities[0];
    for (size_t b = 1; b < 4; b++) assert_true(probabilities[b] == rule.threshold);
    assert_int_equal(choose(&rule), 1);
    assert_int_equal(buckets[0], 0);
}

/* Leaving groups out loses nothing where groups and buckets agree, and spares most of the work. */
static void groups_change_nothing(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    size_t n_computed = 0, n_all = 0;
    test_rng(&rng, 3);
    for (size_t round = 0; round < 500; round++) {
        const size_t m = 640, n_groups = 40;
        for (size_t b = 0; b < m; b++) /* neighbours are alike */
            logits[b] = (float)(nlsh__rng_normal(&rng) - fabs((double)b - 320) / 8);
        fill_groups(&rng, m, n_groups, 0.1);
        for (size_t t = 0; t < 2; t++) {
            struct nlsh__rule rule = {.top = t == 0 ? 5 : 0, .threshold = 0.01f};
            uint32_t few[MOST];
            size_t n = choose(&rule);
            memcpy(few, buckets, n * sizeof *few);
            for (size_t g = 0; g < n_groups; g++) n_computed += computed[g];
            n_all += n_groups;
            groups.n = 1; /* the same buckets in one group */
            first[1] = (uint32_t)m;
            float kept = group_p[0];
            group_p[0] = 1;
            size_t n_flat = choose(&rule);
            fill_groups(&rng, m, n_groups, 0);
            group_p[0] = kept;
            if (t == 0) assert_int_equal(n, n_flat);
            size_t missing = 0; /* the two answers' sums differ a little: so may the last ones */
            for (size_t i = 0; i < n_flat; i++) {
                int found = 0;
                for (size_t j = 0; j < n; j++) found |= few[j] == buckets[i];
                missing += !found;
            }
            assert_true(missing <= 1);
        }
    }
    assert_true(n_computed * 2 < n_all);
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
        fill(&rng, m, (int)(round % 6));
        fill_groups(&rng, m, 1 + (size_t)nlsh__rng_below(&rng, m), 1);
        for (size_t b = 0; b < m; b++)
            if (all || nlsh__rng_below(&rng, 3) == 0) logits[b] = odd[nlsh__rng_below(&rng, 8)];
        for (size_t g = 0; g < groups.n; g++)
            if (all || nlsh__rng_below(&rng, 3) == 0) group_p[g] = odd[nlsh__rng_below(&rng, 8)];
        struct nlsh__rule rule = {.top = (size_t)nlsh__rng_below(&rng, m + 2), .threshold = 0.2f};
        size_t n = choose(&rule);
        assert_true(n >= 1 && n <= m);
        if (rule.top > 0) assert_int_equal(n, rule.top < m ? rule.top : m);
        qsort(buckets, n, sizeof *buckets, by_number);
        for (size_t i = 0; i < n; i++)
            assert_true(buckets[i] < m && (i == 0 || buckets[i] > buckets[i - 1]));
    }
}

/* ---- recall to threshold --------------------------------------------------------------------- */

static float threshold_for(const struct nlsh_index *index, size_t k, double recall)
{
    struct nlsh_search_options o = {.k = k, .recall = recall};
    struct nlsh__rule rule;
    assert_int_equal(nlsh__rule_from_options(index, &o, &rule, NULL), NLSH_OK);
    assert_int_equal(rule.top, 0);
    assert_true(rule.threshold >= 0 && rule.threshold < 1);
    assert_true(rule.weights == index->weights && rule.group_weights == index->group_weights);
    return rule.threshold;
}

static void thresholds_follow_the_table(void **state)
{
    (void)state;
    static const float table[][2] = {
        {.5f, .4f}, {.8f, .1f}, {.9f, .05f}, {.95f, .01f}, {.98f, .001f}};
    static const float hundred[][2] = {{.5f, .04f}, {.98f, .0001f}};
    struct nlsh__target_table tables[2] = {{10, 5, table}, {1000, 2, hundred}};
    struct nlsh_index index = {
        .targets = {.n = 1, .tables = tables},
        .weights = weights,
        .group_weights = group_weights,
        .meta.n_buckets = 10,
    };
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 1; k <= 1000; k *= 10) /* one table serves every k */
            assert_float_equal(threshold_for(&index, k, (double)table[i][0]), table[i][1], 1e-6);
    assert_float_equal(threshold_for(&index, 10, .85), sqrt(.1 * .05), 1e-6); /* logarithms' mean */
    assert_float_equal(threshold_for(&index, 10, .1), .4, 1e-6);
    float last = 1;
    for (double recall = 0.001; recall < 1; recall += 0.001) {
        float now = threshold_for(&index, 10, recall);
        assert_true(now <= last);
        last = now;
    }
    assert_true(last < 1e-4f && last > 0);
    assert_true(threshold_for(&index, 10, 1 - 1e-12) < 1e-10f);
    /* Two tables: between their k by the logarithm, below them the nearer one, above them as between. */
    index.targets.n = 2;
    assert_float_equal(threshold_for(&index, 3, .5), .4, 1e-6);
    assert_float_equal(threshold_for(&index, 10, .5), .4, 1e-6);
    assert_float_equal(threshold_for(&index, 100, .5), sqrt(.4 * .04), 1e-6);
    assert_float_equal(threshold_for(&index, 1000, .5), .04, 1e-7);
    assert_float_equal(threshold_for(&index, 5000, .5), .04 / sqrt(5), 1e-6);
    /* The same from fewer points, down to none: then every bucket that is possible at all. */
    index.targets.n = 1;
    tables[0].n_points = 1;
    assert_true(threshold_for(&index, 10, .4) == .4f);
    assert_true(threshold_for(&index, 10, .9) < .4f && threshold_for(&index, 10, .9) > 0);
    index.targets.n = 0;
    assert_true(threshold_for(&index, 10, .9) == 0);
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
        cmocka_unit_test(groups_change_nothing),
        cmocka_unit_test(not_numbers_are_survived),
        cmocka_unit_test(thresholds_follow_the_table),
        cmocka_unit_test(probes_become_rules),
        cmocka_unit_test(a_threshold_is_not_above_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
