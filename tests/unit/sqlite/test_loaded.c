/* test_loaded.c - nlsh0.so as SQLite loads it: its entry point, its memory, and what it says without libnlsh-learn. */
#include "common.h"

static sqlite3 *open_and_load(void)
{
    sqlite3 *db;
    char *message = NULL;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    if (sqlite3_load_extension(db, NLSH0, NULL, &message) != SQLITE_OK) fail_msg("%s", message);
    return db;
}

static void use(sqlite3 *db)
{
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 3, 3);
    sql_run(db, "CREATE VIRTUAL TABLE t USING nlsh(e float[4], metric=cosine)");
    sql_fill(db, "t", 4, 1, 100, &rng);
    assert_string_equal(
        sql_rows(db,
                 "SELECT count(*), sum(distance BETWEEN 0 AND 2) FROM t WHERE e MATCH '[1,2,3,4]' "
                 "AND k = 7"),
        "7|7");
}

/* What is allocated inside is SQLite's to count, and all of it comes back. */
static void test_memory_is_sqlites(void **state)
{
    (void)state;
    sql_close(open_and_load()); /* what the process keeps for good */
    sqlite3_int64 before = sqlite3_memory_used();
    sqlite3 *db = open_and_load();
    use(db);
    assert_true(sqlite3_memory_used() > before);
    sql_close(db);
    assert_int_equal(sqlite3_memory_used(), before);
}

static void test_it_is_found_for_other_connections_too(void **state)
{
    (void)state;
    sqlite3 *a = open_and_load(), *b = open_and_load();
    use(a);
    use(b);
    sql_close(a);
    use(b = (sql_close(b), open_and_load()));
    sql_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_sqlites),
        cmocka_unit_test(test_it_is_found_for_other_connections_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
