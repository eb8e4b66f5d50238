/* test_budget.c - what buckets, codes and leaves may each lose, worked by hand from docs/algorithm.md: codes a
 * fifth of what may be missing, leaves .55 to .9 of it, the buckets the rest. */
#include "promise/budget.h"

#include <math.h>

#include "testing.h"

static void close_to(double got, double want)
{
    assert_float_equal(got, want, 1e-12);
}

static void without_codes_buckets_have_it_all(void **state)
{
    (void)state;
    for (int leaves = 0; leaves < 2; leaves++)
        for (double recall = .01; recall < 1; recall += .01) {
            struct nlsh__budget b = nlsh__budget_of(recall, 0, leaves);
            assert_true(b.routed == recall && b.codes == 0 && b.leaves == 0);
        }
}

static void codes_lose_a_fifth(void **state)
{
    (void)state;
    static const struct {
        double recall, codes, routed;
    } worked[] = {
        {.98, .004, .98 / .998},
        {.99, .002, .99 / .999},
        {.96, .008, .96 / .996},
        {.5, .01, .5 / .995},         /* at most one in 100 */
        {.999, .0005, .999 / .99975}, /* at least one in 2,000 */
        /* .9998 / .99975 is above 1: half of what may be missing stays with the buckets */
        {.9998, .0005, .9999},
    };
    for (size_t i = 0; i < sizeof worked / sizeof *worked; i++) {
        struct nlsh__budget b = nlsh__budget_of(worked[i].recall, .2, 0);
        close_to(b.codes, worked[i].codes);
        close_to(b.routed, worked[i].routed);
        assert_true(b.leaves == 0);
    }
}

/* Of rows of 1,000 bytes and more, a half. */
static void codes_of_long_rows_lose_more(void **state)
{
    (void)state;
    close_to(nlsh__codes_share(0), .2);
    close_to(nlsh__codes_share(999), .2);
    close_to(nlsh__codes_share(1000), .5);
    close_to(nlsh__codes_share(1 << 20), .5);
    struct nlsh__budget b = nlsh__budget_of(.98, .5, 0);
    close_to(b.codes, .01);
    close_to(b.routed, .98 / .995);
    close_to(nlsh__budget_of(.9, .5, 0).codes, .025); /* half of .05 */
}

static void leaves_lose_more_the_more_may_be_missing(void **state)
{
    (void)state;
    static const struct {
        double recall, leaves, routed;
    } worked[] = {
        {.98, .0124, .98 / .998 / .9876}, /* .02 (.55 + 3.5 x .02); .99427 */
        {.99, .00585, .995},              /* .01 x .585; .99 / .999 / .99415 is .9968 */
        {.95, .03625, .975},              /* .05 x .725; half of what may be missing stays */
        {.9, .09, .95},
        {.8, .1, .8 / .995 / .9}, /* a tenth at most */
    };
    for (size_t i = 0; i < sizeof worked / sizeof *worked; i++) {
        struct nlsh__budget b = nlsh__budget_of(worked[i].recall, .2, 1);
        close_to(b.leaves, worked[i].leaves);
        if (i == 0)
            close_to(b.routed, .99); /* its cap: 1 - .5 x .02 */
        else
            close_to(b.routed, worked[i].routed);
    }
}

/* For any recall: shares are shares, and what is kept in all is what was asked for, counting half of what
 * codes may lose, unless the buckets' cap bites. */
static void together_they_keep_the_recall(void **state)
{
    (void)state;
    for (int leaves = 0; leaves < 2; leaves++)
        for (double recall = .001; recall < .99999; recall += .000997) {
            struct nlsh__budget b = nlsh__budget_of(recall, .2, leaves);
            assert_true(b.codes >= .0005 && b.codes <= .01 + 1e-12);
            assert_true(b.leaves >= 0 && b.leaves <= .1);
            assert_true(b.routed > 0 && b.routed <= 1 - (1 - recall) / 2 + 1e-12);
            double kept = b.routed * (1 - b.codes / 2) * (1 - b.leaves);
            int capped = b.routed > 1 - (1 - recall) / 2 - 1e-12;
            assert_true(capped ? kept <= recall + 1e-12 : fabs(kept - recall) < 1e-12);
        }
}

static void first_rows(void **state)
{
    (void)state;
    assert_int_equal(nlsh__first_rows(1), 1);
    assert_int_equal(nlsh__first_rows(2), 3);
    assert_int_equal(nlsh__first_rows(10), 15);
    assert_int_equal(nlsh__first_rows(100), 150);
    close_to(NLSH__CODES_LOSS_OF_T, .001);
    close_to((double)NLSH__LEAF_UNIT, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_codes_buckets_have_it_all),
        cmocka_unit_test(codes_lose_a_fifth),
        cmocka_unit_test(codes_of_long_rows_lose_more),
        cmocka_unit_test(leaves_lose_more_the_more_may_be_missing),
        cmocka_unit_test(together_they_keep_the_recall),
        cmocka_unit_test(first_rows),
    };
    return cmocka_run_group_tests_name("promise/budget", tests, NULL, NULL);
}
