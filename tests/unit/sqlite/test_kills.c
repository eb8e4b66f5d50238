/*
 * test_kills.c - processes that write to a table are killed: what was committed is there, and nothing else; and what
 * two connections and an interrupt do. NLSH_KILLS says how many are killed.
 */
#define _DEFAULT_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

enum { DIM = 4, BASE = 1100, KILLS = 16, MOST_MS = 40 };

/* ---- kills ------------------------------------------------------------------------------------ */

/* A vector that says of which rowid and which change it is. */
static void marked(sqlite3_int64 rowid, sqlite3_int64 change, float *v)
{
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, (uint64_t)rowid, (uint64_t)change);
    sql_vector(&rng, DIM, v);
    v[0] = (float)rowid;
    v[1] = (float)change;
}

/* One transaction after another, each noted in a plain table of the same file; done [2] is told what was committed, and
 * what was begun. */
static void write_until_killed(const char *path, sqlite3_int64 from, volatile sqlite3_int64 *done)
{
    sqlite3 *db = sql_open(path);
    sqlite3_stmt *put, *note;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, (uint64_t)from, 21);
    sql_run(db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -200");
    assert_int_equal(
        sqlite3_prepare_v2(db, "REPLACE INTO t(rowid, e) VALUES(?, ?)", -1, &put, NULL), 0);
    assert_int_equal(sqlite3_prepare_v2(db, "REPLACE INTO noted VALUES(?, ?)", -1, &note, NULL), 0);
    for (sqlite3_int64 change = from;; change++) {
        done[1] = change;
        sql_run(db, "BEGIN");
        for (uint64_t n = nlsh__rng_below(&rng, 60) + 1; n > 0; n--) {
            float v[DIM];
            sqlite3_int64 rowid = (sqlite3_int64)nlsh__rng_below(&rng, 3000) + 1;
            marked(rowid, change, v);
            sqlite3_bind_int64(put, 1, rowid);
            sqlite3_bind_blob(put, 2, v, sizeof v, SQLITE_STATIC);
            sqlite3_bind_int64(note, 1, rowid);
            sqlite3_bind_int64(note, 2, change);
            assert_int_equal(sqlite3_step(put), SQLITE_DONE);
            assert_int_equal(sqlite3_step(note), SQLITE_DONE);
            sqlite3_reset(put);
            sqlite3_reset(note);
        }
        sqlite3_int64 low = (sqlite3_int64)nlsh__rng_below(&rng, 3000);
        sql_run(
            db,
            "DELETE FROM t WHERE rowid BETWEEN %lld AND %lld; DELETE FROM noted WHERE id BETWEEN "
            "%lld AND %lld; UPDATE last SET change = %lld",
            low, low + 5, low, low + 5, change);
        if (change % 40 == 17) sql_run(db, "INSERT INTO t(t) VALUES('optimize')");
        sql_run(db, "COMMIT");
        done[0] = change;
    }
}

/* The table and the notes agree, and the last commit that was told of is there. */
static sqlite3_int64 check_after_kill(const char *path, const volatile sqlite3_int64 *done)
{
    sqlite3 *db = sql_open(path);
    sqlite3_stmt *s;
    sqlite3_int64 change = sql_number(db, "SELECT change FROM last");
    if (change < done[0] || change > done[1])
        fail_msg("%lld was committed, and %lld is there", (long long)done[0], (long long)change);
    sql_is_whole(db, "t");
    assert_string_equal(sql_rows(db,
                                 "SELECT count(*) FROM t_vectors LEFT JOIN noted USING(id) WHERE "
                                 "change IS NULL"),
                        "0");
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT id, change, vector FROM noted LEFT JOIN t_vectors USING(id)",
                           -1, &s, NULL),
        SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        float v[DIM];
        sqlite3_int64 rowid = sqlite3_column_int64(s, 0);
        marked(rowid, sqlite3_column_int64(s, 1), v);
        assert_int_equal(sqlite3_column_bytes(s, 2), sizeof v);
        assert_memory_equal(sqlite3_column_blob(s, 2), v, sizeof v);
    }
    sqlite3_finalize(s);
    sql_close(db);
    return change;
}

static void make_database(const char *path, const char *mode)
{
    sqlite3 *db = sql_open(path);
    sqlite3_stmt *put;
    sql_run(
        db,
        "PRAGMA journal_mode = %s; CREATE VIRTUAL TABLE t USING nlsh(e float[%d]); CREATE TABLE "
        "noted(id INTEGER PRIMARY KEY, change); CREATE TABLE last(change); INSERT INTO last "
        "VALUES(0); BEGIN",
        mode, DIM);
    assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO t(rowid, e) VALUES(?, ?)", -1, &put, NULL),
                     0);
    for (sqlite3_int64 rowid = 1; rowid <= BASE; rowid++) {
        float v[DIM];
        marked(rowid, 0, v);
        sqlite3_bind_int64(put, 1, rowid);
        sqlite3_bind_blob(put, 2, v, sizeof v, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(put), SQLITE_DONE);
        sqlite3_reset(put);
    }
    sqlite3_finalize(put);
    sql_run(
        db,
        "INSERT INTO noted SELECT id, 0 FROM t_vectors; COMMIT; INSERT INTO t(t) VALUES('train')");
    sql_close(db);
}

static void kill_writers(const char *mode, size_t n)
{
    const char *path = scratch_path("%s.db", mode);
    struct nlsh__rng rng;
    volatile sqlite3_int64 *done =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANON, -1, 0);
    assert_true(done != MAP_FAILED);
    test_rng(&rng, 31);
    make_database(path, mode);
    sqlite3_int64 change = 0;
    for (size_t i = 0; i < n; i++) {
        done[0] = done[1] = change;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            write_until_killed(path, change + 1, done);
            _exit(1);
        }
        const struct timespec wait = {0, (long)nlsh__rng_below(&rng, MOST_MS * 1000000)};
        while (done[1] == change && waitpid(child, NULL, WNOHANG) == 0) sched_yield();
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        change = check_after_kill(path, done);
    }
    printf("%s: %zu killed, %lld transactions were committed\n", mode, n, (long long)change);
    munmap((void *)(uintptr_t)done, 4096);
}

static size_t n_kills(void)
{
    const char *kills = getenv("NLSH_KILLS");
    return kills != NULL ? strtoul(kills, NULL, 10) : KILLS;
}

static void test_kills_with_a_wal(void **state)
{
    (void)state;
    kill_writers("wal", (n_kills() + 1) / 2);
}

static void test_kills_with_a_journal(void **state)
{
    (void)state;
    kill_writers("delete", n_kills() / 2);
}

/* ---- two connections --------------------------------------------------------------------------- */

/* Rowid 7's vector is inserted again: it must be found beside rowid 7, by what was learned then. */
static void test_one_sees_what_the_other_committed(void **state)
{
    (void)state;
    const char *path = scratch_path("two.db");
    struct nlsh__rng rng;
    static const char ask[] =
        "SELECT rowid FROM t WHERE e MATCH (SELECT vector FROM t_vectors WHERE id = 7) "
        "AND k = 2 AND distance = 0";
    static const char again[] =
        "INSERT INTO t(rowid, e) SELECT %d, vector FROM t_vectors WHERE id = 7";
    char rows[64];
    test_rng(&rng, 41);
    sqlite3 *a = sql_open(path), *b = sql_open(path);
    sql_run(a, "PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE t USING nlsh(e float[%d])", DIM);
    sql_fill(a, "t", DIM, 1, BASE, &rng);
    assert_string_equal(sql_rows(b, "SELECT count(*) FROM t"), "1100");
    sql_run(a, "INSERT INTO t(t) VALUES('train')");
    sql_run(b, "%s", ask);
    /* b has a snapshot while a changes everything, and sees none of it */
    sql_run(b, "BEGIN");
    assert_string_equal(sql_rows(b, ask), "7");
    sql_run(a, again, 5000);
    assert_string_equal(sql_rows(a, ask), "7 5000");
    assert_string_equal(sql_rows(b, ask), "7");
    sql_run(a, "INSERT INTO t(t) VALUES('train')");
    assert_string_equal(sql_rows(b, ask), "7");
    sql_run(b, "COMMIT");
    sql_is_whole(b, "t"); /* codes are compared with what b has of what was learned */
    assert_int_equal(sql_number(b, "SELECT count(*) FROM t"), BASE + 1);
    /* what b writes next belongs to what a has learned */
    sql_run(b, again, 5001);
    sql_run(a, "DELETE FROM t WHERE rowid = 5000");
    sql_is_whole(a, "t");
    sql_is_whole(b, "t");
    snprintf(rows, sizeof rows, "%s", sql_rows(a, ask));
    assert_string_equal(sql_rows(b, ask), rows);
    sql_run(a, "VACUUM; DROP TABLE t");
    assert_non_null(strstr(sql_rows(b, ask), "no such table"));
    sql_close(a);
    sql_close(b);
}

/* ---- an interrupt ------------------------------------------------------------------------------- */

static int interrupt_at_once(void *user)
{
    int *left = user;
    return --*left <= 0;
}

static void test_an_interrupt_ends_it(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    sqlite3 *db = sql_open(":memory:");
    static const char *const statements[] = {
        "INSERT INTO t(t) VALUES('train')",
        "INSERT INTO t(t) VALUES('verify')",
        "SELECT count(*) FROM t WHERE e MATCH '[1,2,3,4]' AND k = 10 AND recall = 1",
        "SELECT count(*) FROM t WHERE e MATCH '[1,2,3,4]'",
        "INSERT INTO t(t) VALUES('optimize')",
        "DELETE FROM t",
    };
    test_rng(&rng, 51);
    sql_run(db, "CREATE VIRTUAL TABLE t USING nlsh(e float[%d])", DIM);
    sql_fill(db, "t", DIM, 1, BASE, &rng);
    for (int trained = 0; trained < 2; trained++) {
        for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
            int left = 20;
            sqlite3_progress_handler(db, 50, interrupt_at_once, &left);
            const char *rows = sql_rows(db, "%s", statements[i]);
            sqlite3_progress_handler(db, 0, NULL, NULL);
            if (left <= 0) assert_non_null(strstr(rows, "interrupted"));
            sql_is_whole(db, "t");
        }
        sql_run(db, "INSERT INTO t(t) VALUES('train')");
    }
    assert_string_equal(sql_rows(db, "SELECT count(*) FROM t"), "1100");
    sql_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kills_with_a_wal),
        cmocka_unit_test(test_kills_with_a_journal),
        cmocka_unit_test(test_one_sees_what_the_other_committed),
        cmocka_unit_test(test_an_interrupt_ends_it),
    };
    sql_learn_quickly();
    scratch_make();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove();
    return n_failed;
}
