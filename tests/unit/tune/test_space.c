/* test_space.c - settings as points and back, and what an objective's name means. */
#include "testing.h"

#include <math.h>

#include "tune/run/objective.h"
#include "tune/run/space.h"
#include "tune/sample/sampler.h"

static void check_default(const struct nlsh__search_space *space,
                          const struct nlsh_build_options *build)
{
    double values[NLSH__MAX_PARAMS];
    struct nlsh_error error;
    if (nlsh__space_check(space, &error) != NLSH_OK) fail_msg("%s", error.message);
    assert_true(nlsh__space_point(space, build, values)); /* the defaults belong to it */
    struct nlsh_build_options back = *build;
    assert_int_equal(nlsh__space_apply(space, values, &back, &error), NLSH_OK);
    assert_memory_equal(&back, build, sizeof back);
}

/* Every point that a sampler may draw is one that a build takes, and comes back as it is. */
static void check_points(const struct nlsh__search_space *space,
                         const struct nlsh_build_options *build)
{
    double values[NLSH__MAX_PARAMS], back[NLSH__MAX_PARAMS];
    struct nlsh__sampler_options how;
    struct nlsh_error error;
    nlsh__sampler_options_init(&how);
    how.kind = NLSH_SAMPLER_RANDOM;
    for (how.trial = 0; how.trial < 200; how.trial++) {
        struct nlsh_build_options o = *build;
        assert_int_equal(nlsh__suggest(space, &how, NULL, 0, values, &error), NLSH_OK);
        if (nlsh__space_apply(space, values, &o, &error) != NLSH_OK) fail_msg("%s", error.message);
        assert_true(nlsh__space_point(space, &o, back));
        assert_true(nlsh__params_equal(space, values, back));
        size_t most = nlsh__space_neighbors(space, build);
        assert_true(o.knn <= most && o.label_knn <= most);
    }
}

static void settings_are_points(void **state)
{
    (void)state;
    struct nlsh__search_space space;
    struct nlsh_build_options build;
    nlsh_build_options_init(&build, sizeof build);
    build.n_buckets = 256;
    build.partitioner = NLSH_PARTITIONER_METIS;
    build.imbalance = 0.2;
    build.layers = 2;
    build.graph = NLSH_GRAPH_EXACT; /* auto is never searched */
    nlsh__space_network(&build, &space);
    check_default(&space, &build);
    check_points(&space, &build);
    build.labels = NLSH_LABELS_HARD;
    check_default(&space, &build);
    build.graph = NLSH_GRAPH_PIECES;
    nlsh__space_network(&build, &space);
    check_default(&space, &build);
    build.graph = NLSH_GRAPH_EXACT;
    build.metric = NLSH_IP;
    nlsh__space_network(&build, &space);
    assert_int_equal(nlsh__space_find(&space, "graph"), -1);
    build.metric = NLSH_L2;
    nlsh__space_partition(&build, &space);
    check_default(&space, &build);
    check_points(&space, &build);
    assert_int_equal(space.params[nlsh__space_find(&space, "partitioner")].n_choices, 2);
    build.partitioner = NLSH_PARTITIONER_KAHIP; /* a choice where it is the given one */
    nlsh__space_partition(&build, &space);
    assert_int_equal(nlsh__space_check(&space, NULL), NLSH_OK);
    check_default(&space, &build);
    check_points(&space, &build);
    build.partitioner = NLSH_PARTITIONER_METIS;
    nlsh__space_partition(&build, &space);
    build.imbalance = 0.17; /* no choice of this space */
    double values[NLSH__MAX_PARAMS];
    assert_false(nlsh__space_point(&space, &build, values));
    build.n_buckets = 2; /* halved it would be 1, no partition */
    nlsh__space_partition(&build, &space);
    int m = nlsh__space_find(&space, "m");
    assert_true(m >= 0 && space.params[m].n_choices == 2);
    assert_string_equal(space.params[m].choices[0], "2");
}

/* Every setting that a file may name is taken, at both ends of its range. */
static void files_may_name_settings(void **state)
{
    (void)state;
    const struct nlsh_setting *setting;
    struct nlsh__search_space space;
    struct nlsh_error error;
    const char *path = test_path("space.json");
    size_t n_taken = 0;
    for (size_t i = 0; (setting = nlsh_build_setting(i)) != NULL; i++) {
        char text[256];
        const char *argument = setting->argument;
        if (argument[0] == '{')
            snprintf(text, sizeof text,
                     "{\"parameters\": [{\"name\": \"%s\", \"choices\": [\"%.*s\"]}]}",
                     setting->name, (int)strcspn(argument + 1, ",}"), argument + 1);
        else
            snprintf(text, sizeof text, "{\"parameters\": [{\"name\": \"%s\", \"range\": [1, 2]}]}",
                     setting->name);
        if (strcmp(setting->name, "dropout") == 0 || strcmp(setting->name, "leaves") == 0)
            continue; /* 2 is out of their range */
        test_write_file(path, text, strlen(text));
        enum nlsh_status status = nlsh__space_file(path, &space, &error);
        int refused = strcmp(setting->name, "seed") == 0 || strcmp(setting->name, "metric") == 0 ||
                      strcmp(setting->name, "epochs") == 0;
        if (status != (refused ? NLSH_E_ARG : NLSH_OK)) fail_msg("%s: %s", text, error.message);
        n_taken += !refused;
    }
    assert_true(n_taken >= 15);
}

static void objectives_have_names(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name;
        int maximize;
        double worst;
    } good[] = {{"recall@5", "recall@5", 1, 0},
                {"recall@.05", "recall@0.05", 1, 0},
                {"recall", "recall@1", 1, 0},
                {"candidates@.95", "candidates@0.95", 0, 1000},
                {"candidates", "candidates@0.95", 0, 1000},
                {"qps@.9", "qps@0.9", 1, 0}};
    static const char *const bad[] = {"",          "recal@5",      "recall@0",    "recall@1.5",
                                      "recall@-1", "candidates@1", "candidates@", "qps@nan",
                                      "qps@inf",   "recall@70000", "qps@.9x",     "candidates@5"};
    struct nlsh__objective o;
    struct nlsh_error error;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(nlsh__objective_parse(good[i].text, &o, &error), NLSH_OK);
        assert_string_equal(o.name, good[i].name);
        assert_int_equal(nlsh__objective_maximize(&o), good[i].maximize);
        assert_float_equal(nlsh__objective_worst(&o, 1000), good[i].worst, 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(nlsh__objective_parse(bad[i], &o, &error), NLSH_E_ARG);
        assert_non_null(strstr(error.message, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_points),
        cmocka_unit_test(files_may_name_settings),
        cmocka_unit_test(objectives_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
