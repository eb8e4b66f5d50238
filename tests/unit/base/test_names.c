/* test_names.c - every value of a public enum has its name, and every name its value. */
#include "testing.h"

#include "base/names.h"
#include "nlsh/learn.h"

static void names_and_values_agree(void **state)
{
    (void)state;
    static const struct {
        enum nlsh__named of;
        const char *choices; /* as a help page has them */
        size_t n;
    } all[] = {
        {NLSH__METRIC, NLSH__CHOICES(NLSH__METRIC_LIST), 3},
        {NLSH__GRAPH, NLSH__CHOICES(NLSH__GRAPH_LIST), 4},
        {NLSH__PARTITIONER, NLSH__CHOICES(NLSH__PARTITIONER_LIST), 5},
        {NLSH__LABELS, NLSH__CHOICES(NLSH__LABELS_LIST), 2},
        {NLSH__SCHEDULER, NLSH__CHOICES(NLSH__SCHEDULER_LIST), 4},
        {NLSH__SAMPLER, NLSH__CHOICES(NLSH__SAMPLER_LIST), 3},
        {NLSH__PRUNER, NLSH__CHOICES(NLSH__PRUNER_LIST), 3},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char text[128] = "{";
        size_t n = 0;
        for (const char *name; (name = nlsh__name(all[i].of, (int)n)) != NULL; n++) {
            assert_int_equal(nlsh__value(all[i].of, name), n);
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", n ? "," : "", name);
        }
        assert_int_equal(n, all[i].n);
        assert_string_equal(strcat(text, "}"), all[i].choices);
        assert_null(nlsh__name(all[i].of, -1));
        assert_null(nlsh__name(all[i].of, (int)n + 1));
        assert_int_equal(nlsh__value(all[i].of, ""), -1);
        assert_int_equal(nlsh__value(all[i].of, "Exact"), -1);
    }
}

/* The lists are in the order of the enums. */
static void the_names_are_the_right_ones(void **state)
{
    (void)state;
    static const struct {
        enum nlsh__named of;
        int value;
        const char *name;
    } some[] = {
        {NLSH__METRIC, NLSH_L2, "l2"},
        {NLSH__METRIC, NLSH_IP, "ip"},
        {NLSH__METRIC, NLSH_COSINE, "cosine"},
        {NLSH__GRAPH, NLSH_GRAPH_EXACT, "exact"},
        {NLSH__GRAPH, NLSH_GRAPH_IVFFLAT, "ivfflat"},
        {NLSH__GRAPH, NLSH_GRAPH_PIECES, "pieces"},
        {NLSH__GRAPH, NLSH_GRAPH_AUTO, "auto"},
        {NLSH__PARTITIONER, NLSH_PARTITIONER_AUTO, "auto"},
        {NLSH__PARTITIONER, NLSH_PARTITIONER_METIS, "metis"},
        {NLSH__PARTITIONER, NLSH_PARTITIONER_VCYCLE, "vcycle"},
        {NLSH__PARTITIONER, NLSH_PARTITIONER_KAHIP, "kahip"},
        {NLSH__PARTITIONER, NLSH_PARTITIONER_KMEANS, "kmeans"},
        {NLSH__LABELS, NLSH_LABELS_SOFT, "soft"},
        {NLSH__LABELS, NLSH_LABELS_HARD, "hard"},
        {NLSH__SCHEDULER, NLSH_SCHEDULER_COSINE, "cosine"},
        {NLSH__SCHEDULER, NLSH_SCHEDULER_STEP, "step"},
        {NLSH__SCHEDULER, NLSH_SCHEDULER_PLATEAU, "plateau"},
        {NLSH__SCHEDULER, NLSH_SCHEDULER_NONE, "none"},
        {NLSH__SAMPLER, NLSH_SAMPLER_TPE, "tpe"},
        {NLSH__SAMPLER, NLSH_SAMPLER_RANDOM, "random"},
        {NLSH__SAMPLER, NLSH_SAMPLER_GRID, "grid"},
        {NLSH__PRUNER, NLSH_PRUNER_NONE, "none"},
        {NLSH__PRUNER, NLSH_PRUNER_MEDIAN, "median"},
        {NLSH__PRUNER, NLSH_PRUNER_HYPERBAND, "hyperband"},
    };
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        assert_string_equal(nlsh__name(some[i].of, some[i].value), some[i].name);
    assert_string_equal(nlsh_metric_name(NLSH_COSINE), "cosine");
    assert_string_equal(nlsh_metric_name((enum nlsh_metric)3), "unknown");
    assert_string_equal(nlsh_metric_name((enum nlsh_metric) - 1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_agree),
        cmocka_unit_test(the_names_are_the_right_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
