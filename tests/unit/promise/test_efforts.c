/* test_efforts.c - efforts for recalls and numbers of neighbours, between and beyond what was measured; worked
 * by hand from docs/index-format.md. */
#include "promise/efforts.h"

#include <math.h>

#include "testing.h"

/* Of one neighbour less is needed than of ten for .9, and more for .99. */
static const struct nlsh__effort_point one[] = {
    {.5f, .2f, 1, -2}, {.9f, .05f, 2, 0}, {.99f, .0001f, 7, 8}};
static const struct nlsh__effort_point ten[] = {{.9f, .01f, 3, 1},
                                                {.99f, .001f, 4, NLSH__NO_MARGIN}};
static const struct nlsh__effort_table tables[] = {{1, 3, one}, {10, 2, ten}};
static const struct nlsh__efforts both = {2, tables};

static struct nlsh__effort_point of(size_t k, double recall)
{
    return nlsh__effort_for(&both, k, recall);
}

#define CLOSE(got, want) assert_true(fabs((double)(got) / (want)-1) < 1e-5)

static void measured_points_stand(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct nlsh__effort_point e = of(1, (double)one[i].recall);
        CLOSE(e.threshold, (double)one[i].threshold);
        assert_float_equal(e.margin, one[i].margin, 1e-5);
        assert_float_equal(e.leaf_margin, one[i].leaf_margin, 1e-5);
    }
}

/* .03162 is missing half way from .1 to .01, by logarithms; so is the threshold, and margins are in the middle.
 * A margin of one that leaves nothing out is one that leaves nothing out. */
static void between_points(void **state)
{
    (void)state;
    struct nlsh__effort_point e = of(10, 1 - sqrt(.1 * .01));
    CLOSE(e.threshold, sqrt(.01 * .001));
    assert_float_equal(e.margin, 3.5f, 1e-4);
    assert_true(e.leaf_margin == NLSH__NO_MARGIN);
    e = of(1, 1 - sqrt(.1 * .01));
    assert_float_equal(e.leaf_margin, 4, 1e-4);
}

static void below_the_first_and_beyond_the_last(void **state)
{
    (void)state;
    CLOSE(of(1, .01).threshold, .2);
    CLOSE(of(10, .2).threshold, .01);
    static const struct {
        size_t k;
        double recall;
    } beyond[] = {{1, .9901}, {10, .9999}, {11, .5}, {1000000, .5}, {5, .995}};
    for (size_t i = 0; i < 5; i++) {
        struct nlsh__effort_point e = of(beyond[i].k, beyond[i].recall);
        assert_true(e.threshold == 0 && e.margin == NLSH__NO_MARGIN);
    }
    const struct nlsh__efforts none = {0, NULL};
    assert_true(nlsh__effort_for(&none, 1, .5).threshold == 0);
}

/* The last point may be for all buckets: what lies in front of it takes all, too. */
static void all_buckets_last(void **state)
{
    (void)state;
    static const struct nlsh__effort_point p[] = {
        {.5f, .2f, 1, 0}, {.9f, .1f, 2, 0}, {.99f, 0, 3, 5}};
    const struct nlsh__effort_table t = {7, 3, p};
    const struct nlsh__efforts e = {1, &t};
    assert_int_equal(nlsh__efforts_wrong(&t), 3);
    CLOSE(nlsh__effort_for(&e, 7, .9).threshold, .1);
    for (double r = .91; r < .99; r += .02) {
        struct nlsh__effort_point all = nlsh__effort_for(&e, 7, r);
        assert_true(all.threshold == 0 && all.margin == 3 && all.leaf_margin == 5);
    }
    assert_true(nlsh__effort_for(&e, 7, .999).margin == NLSH__NO_MARGIN);
}

/* Of two numbers of neighbours the lower threshold and the wider margins, whichever has them. */
static void between_numbers_the_more_of_both(void **state)
{
    (void)state;
    for (size_t k = 2; k < 10; k++) {
        struct nlsh__effort_point e = of(k, .9);
        CLOSE(e.threshold, .01); /* of ten */
        assert_float_equal(e.margin, 3, 1e-5);
        assert_float_equal(e.leaf_margin, 1, 1e-5);
        e = of(k, .99);
        CLOSE(e.threshold, .0001); /* of one */
        assert_float_equal(e.margin, 7, 1e-5);
        assert_true(e.leaf_margin == NLSH__NO_MARGIN);
    }
}

/* A higher recall never takes less. */
static void more_for_more(void **state)
{
    (void)state;
    for (size_t k = 1; k <= 10; k++)
        for (double r = .01; r < .999; r += .001) {
            struct nlsh__effort_point a = of(k, r), b = of(k, r + .001);
            assert_true(b.threshold <= a.threshold && b.margin >= a.margin);
        }
}

static void what_is_outside_its_meaning(void **state)
{
    (void)state;
    struct nlsh__effort_point p[3];
    const struct nlsh__effort_table t = {1, 3, p};
    const float wrong[][4] = {{0, .05f, 2, 0},     {1, .05f, 2, 0},      {NAN, .05f, 2, 0},
                              {.9f, -.1f, 2, 0},   {.9f, 0, 2, 0},       {.9f, 1, 2, 0},
                              {.9f, NAN, 2, 0},    {.9f, .05f, -1, 0},   {.9f, .05f, 2e9f, 0},
                              {.9f, .05f, NAN, 0}, {.9f, .05f, 2, 2e9f}, {.9f, .05f, 2, NAN},
                              {.5f, .05f, 2, 0},   {.9f, .21f, 2, 0}};
    memcpy(p, one, sizeof p);
    assert_int_equal(nlsh__efforts_wrong(&t), 3);
    p[1].threshold = p[0].threshold; /* as much for more is possible */
    assert_int_equal(nlsh__efforts_wrong(&t), 3);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        memcpy(p, one, sizeof p);
        memcpy(&p[1], wrong[i], sizeof *p);
        if (nlsh__efforts_wrong(&t) != 1) fail_msg("%zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measured_points_stand),
        cmocka_unit_test(between_points),
        cmocka_unit_test(below_the_first_and_beyond_the_last),
        cmocka_unit_test(all_buckets_last),
        cmocka_unit_test(between_numbers_the_more_of_both),
        cmocka_unit_test(more_for_more),
        cmocka_unit_test(what_is_outside_its_meaning),
    };
    return cmocka_run_group_tests_name("promise/efforts", tests, NULL, NULL);
}
