/* test_plan.c - what a call's options come to: buckets, margins, and what is exact; worked by hand from
 * docs/algorithm.md. */
#include "search/plan.h"

#include <math.h>

#include "testing.h"

static const float points[][2] = {{.5f, .1f}, {.9f, .01f}, {.99f, .001f}};
static const struct nlsh__target_table tables[] = {{10, 3, points}};
static const uint32_t ks[] = {1, 100};
static const float losses[] = {.001f, .01f}, margins[] = {9, 5, 7, 3};
static const float leaf_losses[] = {.001f, .1f}, leaf_margins[] = {4, 2, 3, 1};
static float weights[8], group_weights[1];
static struct nlsh__codes codes;
static struct nlsh__leaves leaves;

struct parts {
    int codes, leaves, leaf_margins;
};

static struct nlsh__segment segments[2];

/* The second of two segments has what any has. */
static struct nlsh_index index_with(struct parts p)
{
    segments[0] = segments[1] = (struct nlsh__segment){.n_rows = 500};
    segments[1].codes = p.codes ? &codes : NULL;
    segments[1].leaves = p.leaves ? &leaves : NULL;
    return (struct nlsh_index){
        .meta = {.n_rows = 1000, .n_buckets = 8},
        .targets = {1, tables},
        .row_margins = {2, 2, ks, losses, margins},
        .leaf_margins = {p.leaf_margins ? 2 : 0, p.leaf_margins ? 2 : 0, ks, leaf_losses,
                         leaf_margins},
        .segments = segments,
        .n_segments = 2,
        .weights = weights,
        .group_weights = group_weights,
    };
}

static struct nlsh__plan plan_of(const struct nlsh_index *index, double probes, double recall,
                                 size_t rerank)
{
    const struct nlsh_search_options o = {
        .struct_size = sizeof o, .k = 10, .probes = probes, .recall = recall, .rerank = rerank};
    struct nlsh__plan plan;
    assert_int_equal(nlsh__plan_from_options(index, &o, &plan, NULL), NLSH_OK);
    assert_int_equal(plan.k, 10);
    return plan;
}

/* Between two points of the table, linear in the threshold's logarithm. */
static void has_threshold(const struct nlsh__plan *plan, double recall)
{
    double want = pow(10, -2 - (recall - .9) / .09);
    assert_int_equal(plan->rule.top, 0);
    assert_true(fabs((double)plan->rule.threshold / want - 1) < 1e-4);
    assert_true(plan->rule.weights == weights && plan->rule.group_weights == group_weights);
}

static void a_recall_is_spent(void **state)
{
    (void)state;
    struct nlsh_index bare = index_with((struct parts){0, 0, 0});
    struct nlsh__plan plan = plan_of(&bare, 0, .95, 0);
    has_threshold(&plan, .95); /* nothing but buckets can lose a neighbour */
    assert_true(plan.leaf_margin == INFINITY);

    struct nlsh_index coded = index_with((struct parts){1, 0, 1});
    plan = plan_of(&coded, 0, .95, 0);
    has_threshold(&plan, .95 / .995); /* codes may lose .01 and lose half of it */
    assert_float_equal(plan.margin, (5. + 3.) / 2, 1e-5); /* k = 10 is half way from 1 to 100 */
    assert_true(plan.leaf_margin == INFINITY);
    plan = plan_of(&coded, 0, .98, 0);
    has_threshold(&plan, .98 / .998);
    double share = log(4) / log(10); /* .004 between .001 and .01 */
    assert_float_equal(plan.margin, 8 - 4 * share, 1e-4);

    struct nlsh_index leafy = index_with((struct parts){1, 1, 1});
    plan = plan_of(&leafy, 0, .9, 0);
    has_threshold(&plan, .95);  /* half of what may be missing stays with buckets */
    share = log(90) / log(100); /* leaves may lose .09, of .001 to .1 */
    assert_float_equal(plan.leaf_margin, 3.5 - 2 * share, 1e-4);
}

/* Margins that were not measured leave no leaf out; nor do leaves where the caller says how many to rank. */
static void what_was_not_measured_is_not_spent(void **state)
{
    (void)state;
    struct nlsh_index none = index_with((struct parts){1, 1, 0});
    struct nlsh__plan plan = plan_of(&none, 0, .95, 0);
    has_threshold(&plan, .95 / .995);
    assert_true(plan.leaf_margin == INFINITY);
    struct nlsh_index leafy = index_with((struct parts){1, 1, 1});
    plan = plan_of(&leafy, 0, .95, 50);
    has_threshold(&plan, .95 / .995);
    assert_true(plan.leaf_margin == INFINITY && plan.rerank == 50);
    plan = plan_of(&leafy, 0, .9999, 0); /* .00005 may be lost by leaves: less than was measured */
    assert_true(plan.leaf_margin == INFINITY);
}

/* Where efforts were measured, they say all of it; what ranks by number leaves no leaf out. */
static void efforts_say_it_all(void **state)
{
    (void)state;
    static const struct nlsh__effort_point point[] = {{.5f, .2f, 1, -2}, {.9f, .05f, 2, 3}};
    static const struct nlsh__effort_table table = {10, 2, point};
    struct nlsh_index leafy = index_with((struct parts){1, 1, 1});
    leafy.efforts = (struct nlsh__efforts){1, &table};
    struct nlsh__plan plan = plan_of(&leafy, 0, .9, 0);
    assert_true(fabs((double)plan.rule.threshold / .05 - 1) < 1e-5 && plan.rule.top == 0);
    assert_true(plan.rule.weights == weights && plan.rule.group_weights == group_weights);
    assert_float_equal(plan.margin, 2, 1e-5);
    assert_float_equal(plan.leaf_margin, 3, 1e-5);
    assert_true(!plan.exactly);
    plan = plan_of(&leafy, 0, .9, 40);
    assert_true(plan.rerank == 40 && plan.leaf_margin == INFINITY);
    static const struct nlsh__effort_point all[] = {{.9f, 0, 2, 3}};
    static const struct nlsh__effort_table of_all = {10, 1, all};
    leafy.efforts.tables = &of_all;
    plan = plan_of(&leafy, 0, .9, 0); /* all buckets, by codes */
    assert_true(!plan.exactly && plan.rule.top == 8);
    leafy.efforts.tables = &table;
    plan = plan_of(&leafy, 0, .91, 0); /* more than was measured */
    assert_true(plan.exactly && plan.rule.top == 8);
    plan = plan_of(&leafy, .02, .9, 0);
    assert_true(plan.rule.threshold == .02f && plan.rule.top == 0);
    assert_float_equal(plan.margin, 8, 1e-5);
}

static void probes_are_taken_as_they_are(void **state)
{
    (void)state;
    struct nlsh_index leafy = index_with((struct parts){1, 1, 1});
    struct nlsh__plan plan = plan_of(&leafy, 3, .5, 0);
    assert_int_equal(plan.rule.top, 3);
    assert_true(!plan.exactly && plan.leaf_margin == INFINITY);
    assert_float_equal(plan.margin, 8, 1e-5); /* one in 1,000 */
    plan = plan_of(&leafy, 8, .5, 0);
    assert_true(plan.exactly);
    plan = plan_of(&leafy, 100, .5, 0);
    assert_true(plan.exactly && plan.rule.top == 8);
    plan = plan_of(&leafy, 7, .5, 0);
    assert_true(!plan.exactly);
    plan = plan_of(&leafy, .02, .5, 0);
    assert_true(plan.rule.top == 0 && plan.rule.threshold == .02f && !plan.exactly);
}

static void as_many_are_ranked_as_can_be(void **state)
{
    (void)state;
    struct nlsh_index coded = index_with((struct parts){1, 0, 0});
    static const size_t asked[] = {0, 1, 9, 10, 11, 999, 1000, 1001, SIZE_MAX};
    static const size_t given[] = {0, 10, 10, 10, 11, 999, 1000, 1000, 1000};
    for (size_t i = 0; i < 9; i++) {
        struct nlsh__plan plan = plan_of(&coded, 2, .5, asked[i]);
        assert_int_equal(plan.rerank, given[i]);
    }
}

static int allow(void *user, uint64_t key)
{
    (void)user;
    return key > 0;
}

static void what_means_nothing_is_refused(void **state)
{
    (void)state;
    struct nlsh_index coded = index_with((struct parts){1, 0, 0});
    static const uint64_t one_bit[] = {1};
    static const struct nlsh_filter empty = {.n_bits = 5}, of_bits = {.bits = one_bit},
                                    of_keys = {.allows = allow};
    static const struct {
        double probes, recall;
        const struct nlsh_filter *filter;
        enum nlsh_status status;
    } tries[] = {
        {0, .9, NULL, NLSH_OK},
        {0, .9, &of_bits, NLSH_OK},
        {0, .9, &of_keys, NLSH_OK},
        {0, .9, &empty, NLSH_E_ARG},
        {0, 0, NULL, NLSH_E_ARG},
        {0, 1, NULL, NLSH_E_ARG},
        {0, (double)NAN, NULL, NLSH_E_ARG},
        {-1, .9, NULL, NLSH_E_ARG},
        {1.5, .9, NULL, NLSH_E_ARG},
        {(double)NAN, .9, NULL, NLSH_E_ARG},
        {2, (double)NAN, NULL, NLSH_OK}, /* not used then */
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        struct nlsh__plan plan;
        struct nlsh_error error;
        const struct nlsh_search_options o = {.struct_size = sizeof o,
                                              .k = 10,
                                              .probes = tries[i].probes,
                                              .recall = tries[i].recall,
                                              .filter = tries[i].filter};
        if (nlsh__plan_from_options(&coded, &o, &plan, &error) != tries[i].status)
            fail_msg("try %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recall_is_spent),
        cmocka_unit_test(what_was_not_measured_is_not_spent),
        cmocka_unit_test(efforts_say_it_all),
        cmocka_unit_test(probes_are_taken_as_they_are),
        cmocka_unit_test(as_many_are_ranked_as_can_be),
        cmocka_unit_test(what_means_nothing_is_refused),
    };
    return cmocka_run_group_tests_name("search/plan", tests, NULL, NULL);
}
