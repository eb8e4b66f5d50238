/* test_points.c - a point that goes through a study comes back as it was, whoever wrote it, and what
 * samplers see of a study is the trials that teach something. */
#include "testing.h"

#include <math.h>
#include <sqlite3.h>

#include "tune/run/points.h"

#define OK(call) assert_int_equal((call), NLSH_OK)

static struct nlsh__search_space space;

static void make_space(void)
{
    static const char *const labels[] = {"soft", "hard"};
    static const char *const sizes[] = {"256", "512", "1024"};
    space = (struct nlsh__search_space){0};
    assert_int_equal(nlsh__space_choice(&space, "labels", labels, 2), 0);
    assert_int_equal(nlsh__space_int(&space, "label_knn", 5, 40, 0, 5), 1);
    nlsh__space_when(&space, 0, 1);
    assert_int_equal(nlsh__space_float(&space, "lr", 1e-4, 1e-1, 1, 0), 2);
    assert_int_equal(nlsh__space_choice(&space, "batch_size", sizes, 3), 3);
    assert_int_equal(nlsh__space_float(&space, "dropout", 0, 0.5, 0, 0.05), 4);
}

static struct nlsh__store *opened(const char *path)
{
    struct nlsh__store *store;
    struct nlsh_error error;
    if (nlsh__store_open(path, "s", NLSH__STORE_EITHER, 0, &store, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    return store;
}

static void run_sql(const char *path, const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

struct write {
    struct nlsh__store *store;
    const double *values;
    double queued[NLSH__MAX_PARAMS];
};

static enum nlsh_status choose(void *user, const struct nlsh__begun *begun,
                               const struct nlsh__trials *so_far, const struct nlsh__trial *queued,
                               struct nlsh_error *error)
{
    struct write *w = user;
    if (queued != NULL) (void)nlsh__trial_point(&space, so_far, queued, w->queued);
    return nlsh__store_point(w->store, begun->id, &space, w->values, error);
}

static void points_come_back(void **state)
{
    (void)state;
    enum { N = 60 };
    static double points[N][NLSH__MAX_PARAMS];
    struct nlsh__store *store = opened(test_path("points.db"));
    struct nlsh__sampler_options how;
    struct nlsh__trials trials;
    struct nlsh__begun begun;
    double values[NLSH__MAX_PARAMS];
    nlsh__sampler_options_init(&how);
    how.kind = NLSH_SAMPLER_RANDOM;
    for (how.trial = 0; how.trial < N; how.trial++) {
        OK(nlsh__suggest(&space, &how, NULL, 0, points[how.trial], NULL));
        struct write w = {store, points[how.trial], {0}};
        OK(nlsh__store_begin(store, 1000, choose, &w, &begun, NULL));
    }
    OK(nlsh__store_trials(store, &trials, NULL));
    assert_int_equal(trials.n, N);
    assert_int_equal(trials.n_parameters, space.n);
    for (size_t i = 0; i < N; i++) {
        assert_true(nlsh__trial_point(&space, &trials, &trials.trials[i], values));
        assert_true(nlsh__params_equal(&space, values, points[i]));
    }
    nlsh__trials_free(&trials);
    nlsh__store_close(store);
}

/* Through the queue, where what is free stays free. */
static void the_queue_keeps_a_point(void **state)
{
    (void)state;
    const double first[] = {0, 15, 0.05, NAN, 0.25};
    struct nlsh__store *store = opened(test_path("queue.db"));
    struct nlsh__begun begun;
    struct write w = {store, first, {0}};
    OK(nlsh__store_enqueue_point(store, &space, first, NULL));
    OK(nlsh__store_begin(store, 10, choose, &w, &begun, NULL));
    assert_int_equal(begun.number, 0);
    for (size_t i = 0; i < space.n; i++)
        assert_true(isnan(first[i]) ? isnan(w.queued[i]) : w.queued[i] == first[i]);
    nlsh__store_close(store);
}

/* A trial of Optuna's with choices in another order, and one that is not of the space. */
static void others_may_write(void **state)
{
    (void)state;
    const char *path = test_path("others.db");
    struct nlsh__store *store = opened(path);
    struct nlsh__trials trials;
    double values[NLSH__MAX_PARAMS];
    run_sql(path, "INSERT INTO trials (number, study_id, state) VALUES (0, 1, 'COMPLETE'),"
                  " (1, 1, 'COMPLETE');"
                  "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES"
                  " (1, 0, 3, 'FINITE'), (2, 0, NULL, 'INF_POS');"
                  "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)"
                  " VALUES (1, 'labels', 0, '{\"name\": \"CategoricalDistribution\","
                  " \"attributes\": {\"choices\": [\"hard\", \"soft\"]}}'),"
                  " (1, 'lr', 0.01, '{\"name\": \"FloatDistribution\", \"attributes\": {}}'),"
                  " (1, 'dropout', 0.1, '{\"name\": \"FloatDistribution\", \"attributes\": {}}'),"
                  " (1, 'batch_size', 1, '{\"name\": \"CategoricalDistribution\","
                  " \"attributes\": {\"choices\": [1024, 512.0]}}'),"
                  " (1, 'unheard_of', 1, '{}'),"
                  " (2, 'lr', 77, '{\"name\": \"FloatDistribution\", \"attributes\": {}}')");
    OK(nlsh__store_trials(store, &trials, NULL));
    assert_int_equal(trials.n, 2);
    assert_true(nlsh__trial_point(&space, &trials, &trials.trials[0], values));
    assert_true(values[0] == 1 && values[3] == 1 && isnan(values[1]));
    assert_true(trials.trials[0].value == 3 && isnan(trials.trials[1].value));
    assert_false(nlsh__trial_point(&space, &trials, &trials.trials[1], values));
    nlsh__trials_free(&trials);
    nlsh__store_close(store);
}

static void samplers_see_what_teaches(void **state)
{
    (void)state;
    const double point[] = {1, NAN, 0.05, 2, 0.25};
    const char *path = test_path("seen.db");
    struct nlsh__store *store = opened(path);
    struct write w = {store, point, {0}};
    struct nlsh__trials trials;
    struct nlsh__begun b;
    struct nlsh__observed seen;
    for (int i = 0; i < 4; i++) {
        OK(nlsh__store_begin(store, 10, choose, &w, &b, NULL));
        OK(nlsh__store_report(store, b.id, 2, 10 + i, NULL));
        OK(nlsh__store_report(store, b.id, 3, NAN, NULL));
        OK(nlsh__store_report(store, b.id, 1000000000000, 1, NULL)); /* no step that a trial has */
        if (i > 0)
            OK(nlsh__store_end(store, b.id, i < 3 ? NLSH__TRIAL_COMPLETE : NLSH__TRIAL_PRUNED,
                               i == 2 ? (double)NAN : i, 0, NULL));
    }
    run_sql(path, "INSERT INTO trials (number, study_id, state) VALUES (4, 1, 'WAITING'),"
                  " (5, 1, 'COMPLETE')"); /* one of the queue, one without a point */
    OK(nlsh__store_trials(store, &trials, NULL));
    assert_int_equal(trials.n, 6);
    for (int maximize = 0; maximize < 2; maximize++) {
        double sign = maximize ? -1 : 1;
        OK(nlsh__observe(&space, &trials, 3, maximize, 5, &seen, NULL));
        assert_int_equal(seen.n, 2); /* 0 runs and 1 is complete; 2 has no value, 3 is left out */
        for (size_t i = 0; i < seen.n; i++) {
            const struct nlsh__observation *o = &seen.list[i];
            assert_int_equal(o->number, i);
            assert_int_equal(o->state, i == 0 ? NLSH__TRIAL_RUNNING : NLSH__TRIAL_COMPLETE);
            assert_true(nlsh__params_equal(&space, o->values, point));
            assert_int_equal(o->n_steps, 5);
            assert_true(isnan(o->steps[0]) && isnan(o->steps[2]) && isnan(o->steps[4]));
            assert_true(o->steps[1] == sign * (double)(10 + i));
        }
        assert_true(seen.list[1].value == sign * 1);
        nlsh__observed_free(&seen);
    }
    nlsh__trials_free(&trials);
    nlsh__store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_come_back),
        cmocka_unit_test(the_queue_keeps_a_point),
        cmocka_unit_test(others_may_write),
        cmocka_unit_test(samplers_see_what_teaches),
    };
    make_space();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
