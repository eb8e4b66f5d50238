/*
 * test_refused.c - each allocation of a statement is refused once, SQLite's and libnlsh's own alike: the statement says
 * that memory ran out, or does without; the table is then what it was or what it should be, and nothing is lost.
 * Of the allocations of longer statements one in some is refused; all of them with NLSH_SQL_EVERY=1.
 */
#include "common.h"

enum { DIM = 4, BASE = 1100 };

/* ---- memory that is refused ------------------------------------------------------------------- */

static struct {
    sqlite3_mem_methods real;
    long countdown; /* allocations until one is refused; 0: none is */
    int refused;
} memory;

/* One allocation fails; what comes behind it does not. */
static int is_refused(void)
{
    if (memory.countdown == 0 || --memory.countdown > 0) return 0;
    memory.refused = 1;
    return 1;
}

static void *refusing_malloc(int size)
{
    return is_refused() ? NULL : memory.real.xMalloc(size);
}

static void *refusing_realloc(void *old, int size)
{
    return is_refused() ? NULL : memory.real.xRealloc(old, size);
}

static void *allocate(void *user, size_t size, size_t alignment)
{
    (void)user;
    return is_refused() ? NULL
                        : aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void release(void *user, void *block)
{
    (void)user;
    free(block);
}

static void take_memory(void)
{
    static const struct nlsh_allocator allocator = {allocate, release, NULL};
    struct nlsh_error error;
    sqlite3_mem_methods ours;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.real), SQLITE_OK);
    ours = memory.real;
    ours.xMalloc = refusing_malloc;
    ours.xRealloc = refusing_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
    /* else SQLite hands out what it keeps, and nothing is refused */
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0), SQLITE_OK);
    assert_int_equal(nlsh_set_allocator(&allocator, &error), NLSH_OK);
}

/* ---- a database to begin with ------------------------------------------------------------------ */

static unsigned char *image; /* a trained table, with some that came later */
static sqlite3_int64 image_size;

static void make_image(void)
{
    struct nlsh__rng rng;
    sqlite3 *db = sql_open(":memory:");
    test_rng(&rng, 9);
    sql_run(db, "CREATE VIRTUAL TABLE t USING nlsh(e float[%d], metric=cosine)", DIM);
    sql_fill(db, "t", DIM, 1, BASE, &rng);
    sql_run(db, "INSERT INTO t(t) VALUES('train')");
    sql_fill(db, "t", DIM, 2000, 40, &rng);
    sql_run(db, "DELETE FROM t WHERE rowid BETWEEN 20 AND 39; UPDATE t SET e = '[1,2,3,4]' WHERE "
                "rowid < 5");
    image = sqlite3_serialize(db, "main", &image_size, 0);
    assert_non_null(image);
    sql_close(db);
}

/* ---- statements ------------------------------------------------------------------------------- */

/* One of `step` allocations. is_read: nothing can have changed, and it is not looked at. */
static void refuse_each(const char *sql, long step, int is_read)
{
    long at = 1;
    if (getenv("NLSH_SQL_EVERY") != NULL) step = 1;
    for (int more = 1; more; at += step) {
        sqlite3 *db = sql_open_image(image, image_size);
        char *message = NULL;
        memory.countdown = at;
        memory.refused = 0;
        int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
        memory.countdown = 0;
        more = memory.refused;
        if (rc != SQLITE_OK && (rc != SQLITE_NOMEM || !memory.refused))
            fail_msg("%s\n  allocation %ld: %d, %s", sql, at, rc, message);
        sqlite3_free(message);
        if (rc != SQLITE_OK && !sqlite3_get_autocommit(db)) sql_run(db, "ROLLBACK");
        if (!is_read) sql_is_whole(db, "t");
        sql_run(db, "%s", sql); /* and all of it can be done */
        if (!is_read) sql_is_whole(db, "t");
        sql_close(db);
    }
    printf("%ld allocations: %.60s\n", at - 1, sql);
    assert_true(at > 20);
}

static void test_searches(void **state)
{
    (void)state;
    refuse_each("SELECT rowid, distance, e FROM t WHERE e MATCH '[1,2,3,4]' AND k = 10", 1, 1);
    refuse_each(
        "SELECT rowid FROM t WHERE e MATCH '[1,2,3,4]' AND k = 5 AND rowid IN (SELECT id FROM "
        "t_vectors WHERE id % 3 = 0)",
        3, 1);
    refuse_each("SELECT rowid FROM t WHERE e MATCH '[1,2,3,4]' LIMIT 60", 5, 1);
}

static void test_changes(void **state)
{
    (void)state;
    refuse_each("INSERT INTO t(e) VALUES('[1,2,3,4]'), (nlsh_f32('[2,2,2,2]'))", 5, 0);
    refuse_each(
        "BEGIN; REPLACE INTO t(rowid, e) VALUES(7, '[1,2,3,4]'); UPDATE t SET rowid = 9000 WHERE "
        "rowid = 9 OR rowid = 9000; DELETE FROM t WHERE rowid > 2030; COMMIT",
        11, 0);
    refuse_each("INSERT INTO t(t) VALUES('optimize')", 17, 0);
    refuse_each("INSERT INTO t(t) VALUES('verify')", 31, 1);
}

static void test_tables(void **state)
{
    (void)state;
    refuse_each(
        "CREATE VIRTUAL TABLE IF NOT EXISTS u USING nlsh(a float[3], metric=ip); DROP TABLE u", 7,
        1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_searches),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_tables),
    };
    take_memory();
    sql_learn_quickly();
    make_image();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    sqlite3_free(image);
    return n_failed;
}
