/* test_store.c - a study is what was written into it, whoever writes, and whoever was killed. That
 * Optuna reads it as its own is tests/cli/test_optuna.sh's to ask. */
#include "testing.h"

#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "tune/study/store.h"

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
}

static struct nlsh__store *opened(const char *path, enum nlsh__store_mode mode)
{
    struct nlsh__store *store;
    struct nlsh_error error;
    if (nlsh__store_open(path, "s", mode, 0, &store, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    return store;
}

static void refused(const char *path, const char *name, enum nlsh__store_mode mode, int maximize,
                    enum nlsh_status wanted, const char *text)
{
    struct nlsh__store *store;
    struct nlsh_error error = {0};
    assert_int_equal(nlsh__store_open(path, name, mode, maximize, &store, &error), wanted);
    assert_null(store);
    if (strstr(error.message, text) == NULL) fail_msg("%s lacks %s", error.message, text);
    assert_true(error.hint[0] != '\0');
}

/* Soft labels in even trials. */
static enum nlsh_status choose(void *user, const struct nlsh__trials *so_far, uint64_t number,
                               double *values, struct nlsh_error *error)
{
    (void)error;
    if (user != NULL) *(size_t *)user = so_far->n;
    if (isnan(values[0])) values[0] = (double)(number % 2);
    if (values[0] == 0 && isnan(values[1])) values[1] = 20;
    if (isnan(values[2])) values[2] = 0.001 * (double)(number + 1);
    if (isnan(values[3])) values[3] = 2;
    return NLSH_OK;
}

static struct nlsh__begun begin(struct nlsh__store *store, size_t most)
{
    static double values[NLSH__MAX_PARAMS];
    struct nlsh__begun begun = {.values = values};
    struct nlsh_error error;
    if (nlsh__store_begin(store, &space, most, choose, NULL, &begun, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    return begun;
}

#define OK(call) assert_int_equal((call), NLSH_OK)

static void what_is_written_is_read(void **state)
{
    (void)state;
    const char *path = test_path("a.db");
    struct nlsh__store *store = opened(path, NLSH__STORE_CREATE);
    struct nlsh__trials trials;
    char *json;
    double first[] = {0, 15, 0.05, 1};
    OK(nlsh__store_set(store, "hash", "\"00ff\"", NULL));
    OK(nlsh__store_set(store, "hash", "\"0aff\"", NULL));
    OK(nlsh__store_get(store, "hash", &json, NULL));
    assert_string_equal(json, "\"0aff\"");
    free(json);
    OK(nlsh__store_get(store, "nothing", &json, NULL));
    assert_null(json);
    OK(nlsh__store_settle(store, "hash", "\"1\"", &json, NULL));
    assert_string_equal(json, "\"0aff\"");
    free(json);
    OK(nlsh__store_enqueue_first(store, &space, first, NULL));
    OK(nlsh__store_enqueue_first(store, &space, first, NULL)); /* it has a trial: nothing */
    struct nlsh__begun b = begin(store, 4);                    /* the queue's */
    assert_int_equal(b.number, 0);
    assert_memory_equal(b.values, first, sizeof first);
    OK(nlsh__store_report(store, b.id, 1, 9.5, NULL));
    OK(nlsh__store_report(store, b.id, 3, INFINITY, NULL));
    OK(nlsh__store_report(store, b.id, 4, 8.25, NULL));
    OK(nlsh__store_trial_set(store, b.id, "why", "[1, 2]", NULL));
    OK(nlsh__store_end(store, b.id, NLSH__TRIAL_COMPLETE, 8.125, 0, NULL));
    b = begin(store, 4);
    assert_int_equal(b.number, 1);
    OK(nlsh__store_report(store, b.id, 1, 11, NULL));
    OK(nlsh__store_end(store, b.id, NLSH__TRIAL_PRUNED, NAN, 0, NULL));
    b = begin(store, 4);
    OK(nlsh__store_end(store, b.id, NLSH__TRIAL_FAILED, NAN, 1, NULL)); /* counts for nothing */
    b = begin(store, 4);
    OK(nlsh__store_end(store, b.id, NLSH__TRIAL_FAILED, NAN, 0, NULL));
    b = begin(store, 4);
    assert_false(b.none);
    assert_int_equal(b.number, 4);
    assert_true(begin(store, 4).none);
    nlsh__store_close(store);
    refused(path, "s", NLSH__STORE_CREATE, 0, NLSH_E_CANT_CREATE, "a.db");
    store = opened(path, NLSH__STORE_RESUME);
    OK(nlsh__store_trials(store, &space, &trials, NULL));
    static const enum nlsh__trial_state states[] = {NLSH__TRIAL_COMPLETE, NLSH__TRIAL_PRUNED,
                                                    NLSH__TRIAL_FAILED, NLSH__TRIAL_FAILED,
                                                    NLSH__TRIAL_RUNNING};
    assert_int_equal(trials.n, 5);
    for (size_t i = 0; i < 5; i++) {
        const struct nlsh__trial *t = &trials.trials[i];
        assert_int_equal(t->number, i);
        assert_int_equal(t->state, states[i]);
        assert_true(t->belongs && !t->waiting && t->lost == (i == 2));
        assert_true(isnan(t->value) == (i != 0));
        assert_true(i == 4 ? isnan(t->seconds) : t->seconds >= 0 && t->seconds < 60);
        if (i > 0) assert_float_equal(t->values[2], 0.001 * (double)(i + 1), 0);
        assert_true(i % 2 == 1 ? isnan(t->values[1]) : t->values[1] == (i == 0 ? 15 : 20));
    }
    assert_float_equal(trials.trials[0].value, 8.125, 0);
    assert_int_equal(trials.trials[0].n_steps, 4);
    assert_float_equal(trials.trials[0].steps[0], 9.5, 0);
    assert_true(isnan(trials.trials[0].steps[1]) && isnan(trials.trials[0].steps[2]));
    assert_float_equal(trials.trials[0].steps[3], 8.25, 0);
    OK(nlsh__store_trial_get(store, trials.trials[0].id, "why", &json, NULL));
    assert_string_equal(json, "[1, 2]");
    free(json);
    nlsh__trials_free(&trials);
    nlsh__store_close(store);
}

/* Processes at once: every trial has a number of its own, and all numbers are there. */
static void numbers_never_collide(void **state)
{
    (void)state;
    enum { N_PROCESSES = 4, EACH = 12 };
    const char *path = test_path("many.db");
    nlsh__store_close(opened(path, NLSH__STORE_CREATE));
    for (int i = 0; i < N_PROCESSES; i++) {
        if (fork() != 0) continue;
        struct nlsh__store *store = opened(path, NLSH__STORE_RESUME);
        for (int j = 0; j < EACH; j++) {
            struct nlsh__begun b = begin(store, 1000);
            if (nlsh__store_report(store, b.id, 1, 1, NULL) != NLSH_OK) _exit(1);
            if (nlsh__store_end(store, b.id, NLSH__TRIAL_COMPLETE, (double)b.number, 0, NULL) !=
                NLSH_OK)
                _exit(1);
        }
        _exit(0);
    }
    for (int i = 0; i < N_PROCESSES; i++) {
        int ended;
        assert_true(wait(&ended) > 0);
        assert_int_equal(ended, 0);
    }
    struct nlsh__store *store = opened(path, NLSH__STORE_RESUME);
    struct nlsh__trials trials;
    OK(nlsh__store_trials(store, &space, &trials, NULL));
    assert_int_equal(trials.n, N_PROCESSES * EACH);
    for (size_t i = 0; i < trials.n; i++) {
        assert_int_equal(trials.trials[i].number, i);
        assert_float_equal(trials.trials[i].value, (double)i, 0);
    }
    nlsh__trials_free(&trials);
    nlsh__store_close(store);
}

/* A process that is killed in its trial: the trial is lost, the others are not. One that lives is
 * left alone, and so is a claim of its. */
/* What a process that shares the study's beginning does; its answer in one byte. */
static void begin_together(const char *path, char name, int go, int answer)
{
    char byte, json[] = {'"', name, '"', '\0'}, *stands;
    double first[] = {1, NAN, 0.05, 1};
    struct nlsh__store *store = opened(path, NLSH__STORE_EITHER);
    if (read(go, &byte, 1) != 1) _exit(1);
    if (nlsh__store_settle(store, "who", json, &stands, NULL) != NLSH_OK) _exit(1);
    if (nlsh__store_enqueue_first(store, &space, first, NULL) != NLSH_OK) _exit(1);
    if (write(answer, stands + 1, 1) != 1) _exit(1);
    _exit(0);
}

static void one_of_several_decides(void **state)
{
    (void)state;
    enum { N = 6 };
    const char *path = test_path("together.db");
    int go[2], answer[2], how;
    char said[N], *stands;
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(answer), 0);
    for (int i = 0; i < N; i++)
        if (fork() == 0) begin_together(path, (char)('a' + i), go[0], answer[1]);
    assert_int_equal(write(go[1], "xxxxxx", N), N);
    for (int i = 0; i < N; i++) {
        assert_true(wait(&how) > 0);
        assert_int_equal(how, 0);
        assert_int_equal(read(answer[0], &said[i], 1), 1);
    }
    struct nlsh__store *store = opened(path, NLSH__STORE_RESUME);
    struct nlsh__trials trials;
    OK(nlsh__store_get(store, "who", &stands, NULL));
    for (int i = 0; i < N; i++) assert_int_equal(said[i], stands[1]);
    OK(nlsh__store_trials(store, &space, &trials, NULL));
    assert_int_equal(trials.n, 1);
    assert_true(trials.trials[0].waiting);
    nlsh__trials_free(&trials);
    nlsh__store_close(store);
    free(stands);
    for (int i = 0; i < 2; i++) {
        close(go[i]);
        close(answer[i]);
    }
}

static void the_killed_are_reaped(void **state)
{
    (void)state;
    const char *path = test_path("killed.db");
    struct nlsh__store *store = opened(path, NLSH__STORE_CREATE);
    int ready[2], mine;
    size_t n, n_alive;
    char byte;
    struct nlsh__begun b = begin(store, 10);
    OK(nlsh__store_end(store, b.id, NLSH__TRIAL_COMPLETE, 1, 0, NULL));
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct nlsh__store *own = opened(path, NLSH__STORE_RESUME);
        begin(own, 10);
        if (nlsh__store_claim(own, &mine, NULL) != NLSH_OK || !mine) _exit(1);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    begin(store, 10); /* ours, running */
    OK(nlsh__store_reap(store, &n, &n_alive, NULL));
    assert_int_equal(n, 0);
    assert_int_equal(n_alive, 2);
    OK(nlsh__store_claim(store, &mine, NULL));
    assert_false(mine);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    OK(nlsh__store_reap(store, &n, &n_alive, NULL));
    assert_int_equal(n, 1);
    assert_int_equal(n_alive, 1);
    OK(nlsh__store_claim(store, &mine, NULL));
    assert_true(mine);
    struct nlsh__trials trials;
    OK(nlsh__store_trials(store, &space, &trials, NULL));
    assert_int_equal(trials.n, 3);
    assert_int_equal(trials.trials[0].state, NLSH__TRIAL_COMPLETE);
    assert_int_equal(trials.trials[1].state, NLSH__TRIAL_FAILED);
    assert_true(trials.trials[1].lost);
    assert_int_equal(trials.trials[2].state, NLSH__TRIAL_RUNNING);
    nlsh__trials_free(&trials);
    nlsh__store_close(store);
    close(ready[0]);
    close(ready[1]);
}

static void run_sql(const char *path, const char *text)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void what_is_no_study_is_said(void **state)
{
    (void)state;
    refused(test_path("none.db"), "s", NLSH__STORE_RESUME, 0, NLSH_E_NO_INPUT, "none.db");
    refused(test_path("no/where.db"), "s", NLSH__STORE_CREATE, 0, NLSH_E_CANT_CREATE, "where.db");
    test_write_file(test_path("text.db"), "this is no database, but it is long enough to be one",
                    52);
    refused(test_path("text.db"), "s", NLSH__STORE_RESUME, 0, NLSH_E_DATA, "text.db");
    run_sql(test_path("other.db"), "CREATE TABLE t (a)");
    refused(test_path("other.db"), "s", NLSH__STORE_EITHER, 0, NLSH_E_DATA, "version_info");
    nlsh__store_close(opened(test_path("b.db"), NLSH__STORE_EITHER));
    refused(test_path("b.db"), "t", NLSH__STORE_RESUME, 0, NLSH_E_NO_INPUT, "no study t");
    refused(test_path("b.db"), "s", NLSH__STORE_RESUME, 1, NLSH_E_MISMATCH, "MINIMIZE");
    run_sql(test_path("b.db"), "UPDATE alembic_version SET version_num = 'v9'");
    refused(test_path("b.db"), "s", NLSH__STORE_RESUME, 0, NLSH_E_DATA, "v9");
    /* A hole in the middle of the file. */
    size_t size;
    nlsh__store_close(opened(test_path("c.db"), NLSH__STORE_EITHER));
    uint8_t *bytes = test_read_file(test_path("c.db"), &size);
    memset(bytes + 4096, 0xa5, size > 12288 ? 8192 : 4096);
    test_write_file(test_path("c.db"), bytes, size);
    free(bytes);
    refused(test_path("c.db"), "s", NLSH__STORE_RESUME, 0, NLSH_E_DATA, "c.db");
}

/* A trial of Optuna's with choices in another order, one that is not of the space, and a state that
 * nobody knows. */
static void others_may_write(void **state)
{
    (void)state;
    const char *path = test_path("others.db");
    struct nlsh__store *store = opened(path, NLSH__STORE_CREATE);
    struct nlsh__trials trials;
    run_sql(path, "INSERT INTO trials (number, study_id, state) VALUES (0, 1, 'COMPLETE'),"
                  " (1, 1, 'COMPLETE');"
                  "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES"
                  " (1, 0, 3, 'FINITE'), (2, 0, NULL, 'INF_POS');"
                  "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)"
                  " VALUES (1, 'labels', 0, '{\"name\": \"CategoricalDistribution\","
                  " \"attributes\": {\"choices\": [\"hard\", \"soft\"]}}'),"
                  " (1, 'lr', 0.01, '{\"name\": \"FloatDistribution\", \"attributes\": {}}'),"
                  " (1, 'batch_size', 1, '{\"name\": \"CategoricalDistribution\","
                  " \"attributes\": {\"choices\": [1024, 512.0]}}'),"
                  " (1, 'unheard_of', 1, '{}'),"
                  " (2, 'lr', 77, '{\"name\": \"FloatDistribution\", \"attributes\": {}}')");
    OK(nlsh__store_trials(store, &space, &trials, NULL));
    assert_int_equal(trials.n, 2);
    assert_float_equal(trials.trials[0].values[0], 1, 0);
    assert_float_equal(trials.trials[0].values[3], 1, 0);
    assert_true(trials.trials[0].belongs && trials.trials[0].value == 3);
    assert_true(!trials.trials[1].belongs && isnan(trials.trials[1].value));
    nlsh__trials_free(&trials);
    assert_int_equal(begin(store, 10).number, 2);
    run_sql(path, "UPDATE trials SET state = 'HALF' WHERE number = 1");
    struct nlsh_error error;
    assert_int_equal(nlsh__store_trials(store, &space, &trials, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "HALF"));
    nlsh__store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),  cmocka_unit_test(numbers_never_collide),
        cmocka_unit_test(one_of_several_decides),   cmocka_unit_test(the_killed_are_reaped),
        cmocka_unit_test(what_is_no_study_is_said), cmocka_unit_test(others_may_write),
    };
    make_space();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
