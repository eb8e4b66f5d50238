/* test_store.c - a study is what was written into it, whoever writes, and whoever was killed. That
 * Optuna reads it as its own is tests/cli/test_optuna.sh's to ask. */
#include "testing.h"

#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "base/error.h"
#include "tune/study/store.h"
#include "tune/study/studies.h"

static const char real[] = "{\"name\": \"FloatDistribution\", \"attributes\": {\"step\": null,"
                           " \"low\": 0.0001, \"high\": 0.1, \"log\": true}}";
static const char labels[] = "{\"name\": \"CategoricalDistribution\","
                             " \"attributes\": {\"choices\": [\"soft\", \"hard\"]}}";

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

/* What a trial is begun with: soft labels in even ones. */
struct choice {
    struct nlsh__store *store;
    size_t n_seen;
    char queued[64]; /* what the queue said of it */
};

static enum nlsh_status choose(void *user, const struct nlsh__begun *begun,
                               const struct nlsh__trials *so_far, const struct nlsh__trial *queued,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    struct choice *c = user;
    c->n_seen = so_far->n;
    c->queued[0] = '\0';
    if (queued != NULL) {
        assert_int_equal(queued->id, begun->id);
        assert_int_equal(queued->state, NLSH__TRIAL_WAITING);
        snprintf(c->queued, sizeof c->queued, "%s", queued->queued);
    }
    NLSH_TRY(nlsh__store_param(c->store, begun->id, "labels", (double)(begun->number % 2), labels,
                               error));
    NLSH_TRY(nlsh__store_param(c->store, begun->id, "lr", 0.001 * (double)(begun->number + 1), real,
                               error));
out:
    return status;
}

static struct nlsh__begun begin_as(struct choice *choice, size_t most)
{
    struct nlsh__begun begun;
    struct nlsh_error error;
    if (nlsh__store_begin(choice->store, most, choose, choice, &begun, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    return begun;
}

static struct nlsh__begun begin(struct nlsh__store *store, size_t most)
{
    return begin_as(&(struct choice){.store = store}, most);
}

/* The value that a trial was given; NAN where it has none. */
static double given(const struct nlsh__trials *trials, size_t i, const char *name)
{
    const struct nlsh__trial *t = &trials->trials[i];
    for (size_t g = 0; g < t->n_given; g++)
        if (strcmp(trials->parameters[t->given[g].parameter].name, name) == 0)
            return t->given[g].value;
    return NAN;
}

#define OK(call) assert_int_equal((call), NLSH_OK)

static void what_is_written_is_read(void **state)
{
    (void)state;
    const char *path = test_path("a.db");
    struct nlsh__store *store = opened(path, NLSH__STORE_CREATE);
    struct nlsh__trials trials;
    char *json;
    struct choice choice = {.store = store};
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
    OK(nlsh__store_enqueue_first(store, "{\"lr\": 0.05}", NULL));
    OK(nlsh__store_enqueue_first(store, "{\"lr\": 0.07}", NULL)); /* it has a trial: nothing */
    struct nlsh__begun b = begin_as(&choice, 4);                  /* the queue's */
    assert_int_equal(b.number, 0);
    assert_string_equal(choice.queued, "{\"lr\": 0.05}");
    assert_int_equal(choice.n_seen, 1);
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
    OK(nlsh__store_trials(store, &trials, NULL));
    static const enum nlsh__trial_state states[] = {NLSH__TRIAL_COMPLETE, NLSH__TRIAL_PRUNED,
                                                    NLSH__TRIAL_FAILED, NLSH__TRIAL_FAILED,
                                                    NLSH__TRIAL_RUNNING};
    assert_int_equal(trials.n, 5);
    for (size_t i = 0; i < 5; i++) {
        const struct nlsh__trial *t = &trials.trials[i];
        assert_int_equal(t->number, i);
        assert_int_equal(t->state, states[i]);
        assert_true(t->lost == (i == 2));
        assert_true(isnan(t->value) == (i != 0));
        assert_true(i == 4 ? isnan(t->seconds) : t->seconds >= 0 && t->seconds < 60);
        assert_float_equal(given(&trials, i, "lr"), 0.001 * (double)(i + 1), 0);
        assert_float_equal(given(&trials, i, "labels"), (double)(i % 2), 0);
    }
    assert_int_equal(trials.n_parameters, 2); /* not once for each trial */
    assert_int_equal(trials.parameters[0].kind, NLSH__DRAWN_CHOICE);
    assert_true(trials.parameters[1].kind == NLSH__DRAWN_FLOAT && trials.parameters[1].log &&
                trials.parameters[1].low == 0.0001 && trials.parameters[1].high == 0.1);
    assert_ptr_equal(nlsh__trials_best(&trials, 0), &trials.trials[0]);
    assert_float_equal(trials.trials[0].value, 8.125, 0);
    const struct nlsh__step *steps = trials.trials[0].steps;
    assert_int_equal(trials.trials[0].n_steps, 3);
    assert_true(steps[0].step == 1 && steps[0].value == 9.5);
    assert_true(steps[1].step == 3 && isnan(steps[1].value));
    assert_true(steps[2].step == 4 && steps[2].value == 8.25);
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
    OK(nlsh__store_trials(store, &trials, NULL));
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
    struct nlsh__store *store = opened(path, NLSH__STORE_EITHER);
    if (read(go, &byte, 1) != 1) _exit(1);
    if (nlsh__store_settle(store, "who", json, &stands, NULL) != NLSH_OK) _exit(1);
    if (nlsh__store_enqueue_first(store, "{}", NULL) != NLSH_OK) _exit(1);
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
    OK(nlsh__store_trials(store, &trials, NULL));
    assert_int_equal(trials.n, 1);
    assert_int_equal(trials.trials[0].state, NLSH__TRIAL_WAITING);
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
    OK(nlsh__store_trials(store, &trials, NULL));
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

/* ---- files that somebody else wrote ---------------------------------------------------------- */

/* A file with a study of three trials. */
static void make_study(const char *path)
{
    struct nlsh__store *store = opened(path, NLSH__STORE_CREATE);
    OK(nlsh__store_set(store, "hash", "\"00ff\"", NULL));
    for (int i = 0; i < 3; i++) {
        struct nlsh__begun b = begin(store, 10);
        for (size_t step = 1; step < 4; step++) OK(nlsh__store_report(store, b.id, step, 1, NULL));
        OK(nlsh__store_end(store, b.id, NLSH__TRIAL_COMPLETE, i, 0, NULL));
    }
    nlsh__store_close(store);
}

/* Both readers refuse the file: NLSH_E_DATA, with these words. */
static void not_read(const char *path, const char *text)
{
    struct nlsh__studies studies;
    struct nlsh__trials trials;
    struct nlsh__store *store;
    struct nlsh_error error = {0};
    assert_int_equal(nlsh__studies_read(path, &studies, &error), NLSH_E_DATA);
    assert_int_equal(studies.n, 0);
    if (strstr(error.message, text) == NULL) fail_msg("%s lacks %s", error.message, text);
    enum nlsh_status status = nlsh__store_open(path, "s", NLSH__STORE_RESUME, 0, &store, &error);
    if (status == NLSH_OK) status = nlsh__store_trials(store, &trials, &error);
    assert_int_equal(status, NLSH_E_DATA);
    nlsh__store_close(store);
}

static void what_no_study_has_is_an_error(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"UPDATE trials SET state = 'HALF' WHERE number = 1", "HALF"},
        {"UPDATE trials SET number = -7 WHERE number = 1", "-7"},
        {"UPDATE trial_params SET param_value = 2 WHERE param_name = 'labels'", "labels"},
        {"UPDATE trial_params SET param_value = -0.5 WHERE param_name = 'labels'", "labels"},
        {"DROP TABLE trial_params", "trial_params"},
        {"ALTER TABLE trials DROP COLUMN state", "state"},
        /* Reading this table would never end. */
        {"DROP TABLE trial_intermediate_values; CREATE VIEW trial_intermediate_values AS"
         " WITH RECURSIVE r(trial_id, step, intermediate_value, intermediate_value_type) AS"
         " (VALUES (1, 1, 1, 'FINITE') UNION ALL SELECT trial_id, step + 1, 1, 'FINITE' FROM r)"
         " SELECT * FROM r",
         "case6.db"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[32];
        snprintf(name, sizeof name, "case%zu.db", i);
        make_study(test_path(name));
        run_sql(test_path(name), cases[i][0]);
        not_read(test_path(name), cases[i][1]);
    }
}

/* What is strange but can be: it is read, and costs no more memory than the file has bytes. */
static void what_is_strange_is_read(void **state)
{
    (void)state;
    const char *path = test_path("strange.db");
    struct nlsh__studies studies;
    struct nlsh_error error;
    make_study(path);
    run_sql(path,
            "UPDATE trial_intermediate_values SET step = 9223372036854775807 WHERE step = 3;"
            "UPDATE trial_intermediate_values SET step = -9223372036854775807 - 1 WHERE step = 2;"
            "UPDATE trial_params SET distribution_json = '[' WHERE param_name = 'lr';"
            "UPDATE trial_params SET param_value = 'much' WHERE param_name = 'labels';"
            "UPDATE trials SET number = 4611686018427387904 WHERE number = 2;"
            "UPDATE studies SET study_name = CAST(x'41ff1b5b' AS TEXT);"
            "UPDATE trial_values SET value = 9e999 WHERE trial_id = 1");
    if (nlsh__studies_read(path, &studies, &error) != NLSH_OK) fail_msg("%s", error.message);
    assert_int_equal(studies.n, 1);
    const struct nlsh__trials *trials = &studies.studies[0].trials;
    assert_int_equal(trials->n, 3);
    assert_int_equal(trials->trials[0].n_steps, 3);
    assert_true(trials->trials[0].steps[0].step == INT64_MIN);
    assert_true(trials->trials[0].steps[2].step == INT64_MAX);
    assert_int_equal(trials->n_parameters, 1); /* words are no value */
    assert_int_equal(trials->parameters[0].kind, NLSH__DRAWN_UNKNOWN);
    assert_true(trials->trials[2].number == (uint64_t)1 << 62);
    assert_true(isnan(trials->trials[0].value));
    assert_string_equal(studies.studies[0].attributes[0].json, "\"00ff\"");
    nlsh__studies_free(&studies);
}

/* Reads as the report and as the tuner; whatever comes of it, it comes back. Returns whether the report's
 * reader took it. */
static int read_both(const char *path)
{
    struct nlsh__studies studies;
    struct nlsh__trials trials;
    struct nlsh__store *store = NULL;
    struct nlsh_error error;
    size_t n;
    int read = nlsh__studies_read(path, &studies, &error) == NLSH_OK;
    if (!read && (error.message[0] == '\0' || studies.n != 0)) fail_msg("an error without words");
    nlsh__studies_free(&studies);
    if (nlsh__store_open(path, "s", NLSH__STORE_RESUME, 0, &store, &error) == NLSH_OK) {
        if (nlsh__store_trials(store, &trials, &error) == NLSH_OK) nlsh__trials_free(&trials);
        (void)!nlsh__store_count(store, &n, &error);
    }
    nlsh__store_close(store);
    return read;
}

/* A file as damage leaves it: cut at every length, and with bytes turned over. Never a crash. */
static void damage_is_an_error(void **state)
{
    (void)state;
    enum { N_FLIPS = 1500, PAGE = 512 };
    const char *whole = test_path("whole.db"), *path = test_path("damaged.db");
    struct nlsh__rng rng;
    size_t size, n_read = 0;
    test_rng(&rng, 7);
    make_study(whole);
    run_sql(whole, "PRAGMA journal_mode = DELETE; PRAGMA page_size = 512; VACUUM");
    uint8_t *bytes = test_read_file(whole, &size);
    assert_true(size > 30 * PAGE);
    for (size_t cut = 0; cut < size; cut += cut < 200 ? 7 : PAGE / 4 + 1) {
        test_write_file(path, bytes, cut);
        /* A short last page is filled up with zeros; any other cut leaves a page out. */
        if (read_both(path) && cut <= size - PAGE) fail_msg("%zu of %zu bytes are read", cut, size);
    }
    uint8_t *bad = malloc(size);
    assert_non_null(bad);
    for (int flip = 0; flip < N_FLIPS; flip++) {
        memcpy(bad, bytes, size);
        size_t n_bytes = 1 + nlsh__rng_below(&rng, 4);
        for (size_t i = 0; i < n_bytes; i++)
            bad[nlsh__rng_below(&rng, (uint32_t)size)] ^= (uint8_t)(1 + nlsh__rng_below(&rng, 255));
        test_write_file(path, bad, size);
        n_read += (size_t)read_both(path);
    }
    /* Some of it changes what is read, most of it is seen. */
    assert_true(n_read > 0 && n_read < N_FLIPS);
    free(bad);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),  cmocka_unit_test(numbers_never_collide),
        cmocka_unit_test(one_of_several_decides),   cmocka_unit_test(the_killed_are_reaped),
        cmocka_unit_test(what_is_no_study_is_said), cmocka_unit_test(what_no_study_has_is_an_error),
        cmocka_unit_test(what_is_strange_is_read),  cmocka_unit_test(damage_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
