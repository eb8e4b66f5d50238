/*
 * test_damaged.c - shadow tables that somebody else wrote to: every statement ends with an answer or an error in words,
 * and 'verify' finds what matters.
 */
#include "common.h"

enum { DIM = 4, BASE = 1100, TURNS = 60, LATE = 30 };

static unsigned char *image;
static sqlite3_int64 image_size;

static void make_image(void)
{
    struct nlsh__rng rng;
    sqlite3 *db = sql_open(":memory:");
    nlsh__rng_init(&rng, 1, 9);
    sql_run(db, "CREATE VIRTUAL TABLE t USING nlsh(e float[%d])", DIM);
    sql_fill(db, "t", DIM, 1, BASE, &rng);
    sql_run(db, "INSERT INTO t(t) VALUES('train')");
    sql_fill(db, "t", DIM, 2000, LATE, &rng);
    image = sqlite3_serialize(db, "main", &image_size, 0);
    assert_non_null(image);
    sql_close(db);
}

/* What people do with a table; whatever comes of it. */
static void use(sqlite3 *db)
{
    static const char *const statements[] = {
        "SELECT rowid, distance, e FROM t WHERE e MATCH '[1,2,3,4]' AND k = 20",
        "SELECT rowid FROM t WHERE e MATCH '[-5,2,0,4]' AND k = 20 AND recall = 1",
        "SELECT rowid FROM t WHERE e MATCH '[1,2,3,4]' AND k = 9 AND rowid IN (SELECT id FROM "
        "t_vectors "
        "WHERE id % 2)",
        "SELECT rowid FROM t WHERE e MATCH '[1,2,3,4]' LIMIT 100",
        "SELECT count(rowid), sum(length(e)) FROM t",
        "INSERT INTO t(e) VALUES('[1,2,3,4]'), ('[5,5,5,5]')",
        "UPDATE t SET e = '[4,3,2,1]' WHERE rowid < 40",
        "DELETE FROM t WHERE rowid BETWEEN 50 AND 60",
        "INSERT INTO t(t) VALUES('verify')",
        "INSERT INTO t(t) VALUES('optimize')",
        "SELECT rowid FROM t WHERE e MATCH '[1,2,3,4]' AND k = 20",
        "INSERT INTO t(t) VALUES('verify')",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        const char *rows = sql_rows(db, "%s", statements[i]);
        /* an error has words, and not only a code's */
        assert_true(strncmp(rows, "error: ", 7) != 0 || strlen(rows) > 12);
    }
}

/* What verify must find, and whether 'optimize' mends it. */
static void test_verify_finds_it(void **state)
{
    (void)state;
    static const struct {
        const char *damage, *words;
        int is_mended;
    } all[] = {
        {"DELETE FROM t_info WHERE name = 'version'", "its numbers are missing", 0},
        {"DELETE FROM t_info", "its numbers are missing", 0},
        {"UPDATE t_info SET value = 99 WHERE name = 'format'", "written by a newer nlsh", 0},
        {"UPDATE t_info SET value = -4 WHERE name = 'rows'", "its numbers are missing", 0},
        {"UPDATE t_info SET value = 7 WHERE name = 'rows'",
         "it has 1130 vectors, and 7 were counted", 1},
        {"DELETE FROM t_vectors WHERE id = 5", "it has 1129 vectors, and 1130 were counted", 1},
        {"UPDATE t_vectors SET vector = x'00' WHERE id = 5", "a vector has another length", 0},
        {"UPDATE t_vectors SET vector = NULL WHERE id = 5", "a vector has another length", 0},
        {"UPDATE t_vectors SET vector = x'0000c07f0000c07f0000c07f0000c07f' WHERE id = 5",
         "the vector of rowid 5 is damaged: value 0", 0},
        {"UPDATE t_vectors SET vector = x'0000c8420000c8420000c8420000c842' WHERE id = 5",
         "the entry of rowid 5 is of another vector", 0},
        {"INSERT INTO t_vectors VALUES(-9, x'0000803f0000803f0000803f0000803f'); UPDATE t_info SET "
         "value "
         "= value + 1 WHERE name = 'rows'",
         "rowid -9 has a vector, but no entry", 1},
        {"DELETE FROM t_chunks WHERE id = (SELECT max(id) FROM t_chunks)", "entries, and", 1},
        {"DELETE FROM t_chunks", "entries, and", 1},
        {"UPDATE t_chunks SET data = x'00'", "a chunk of entries cannot be so", 0},
        {"UPDATE t_chunks SET data = NULL", "a chunk of entries cannot be so", 0},
        {"UPDATE t_chunks SET data = substr(data, 1, 200)", "a chunk of entries cannot be so", 0},
        {"UPDATE t_chunks SET id = -id - 1", "a chunk is of no bucket", 0},
        {"UPDATE t_chunks SET id = id + 65536 * 40000", "a chunk is of no bucket", 0},
        {"UPDATE t_buckets SET n = n + 1 WHERE bucket = 2", "bucket 2 has", 1},
        {"UPDATE t_buckets SET bucket = bucket + 90", "a bucket's size cannot be so", 0},
        {"UPDATE t_buckets SET n = -1", "a bucket's size cannot be so", 0},
        {"DELETE FROM t_model WHERE part = 1", "what was learned is not there", 0},
        {"DELETE FROM t_model WHERE part = 2", "what makes codes has another length", 0},
        {"UPDATE t_model SET data = substr(data, 1, 300) WHERE part = 1", "what was learned", 0},
        {"UPDATE t_model SET data = zeroblob(5000) WHERE part = 1", "what was learned", 0},
        {"DROP TABLE t_chunks", "no such table", 0},
        {"DROP TABLE t_chunks; CREATE VIEW t_chunks AS SELECT 1 AS id, x'00' AS data",
         "a chunk of entries cannot be so", 0},
        {"DROP TABLE t_model; CREATE VIEW t_model AS SELECT 1 AS part, x'00' AS data",
         "what was learned is not there", 0},
        {"ALTER TABLE t_chunks RENAME COLUMN data TO datum", "no such column", 0},
        {"ALTER TABLE t_model RENAME COLUMN data TO datum", "what was learned is not there", 0},
        {"UPDATE t_model SET data = 7 WHERE part = 1", "what was learned is not there", 0},
        {"UPDATE t_model SET data = 'text' WHERE part = 1", "what was learned", 0},
        {"UPDATE t_model SET part = part + 3", "what was learned is not there", 0},
        {"UPDATE t_chunks SET data = 7", "a chunk of entries cannot be so", 0},
        {"UPDATE t_chunks SET data = data || x'00'", "a chunk of entries cannot be so", 0},
        {"UPDATE t_buckets SET n = 4294967295", "entries, and", 1},
        {"UPDATE t_buckets SET n = 'many'", "entries, and", 1},
        {"UPDATE t_buckets SET n = NULL", "entries, and", 1},
        {"DELETE FROM t_buckets", "entries, and", 1},
        {"UPDATE t_info SET value = 'x'", "its numbers are missing", 0},
        {"UPDATE t_info SET value = NULL WHERE name = 'format'", "its numbers are missing", 0},
        {"DROP TABLE t_info", "no such table", 0},
        {"DROP TABLE t_vectors", "no such table", 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        sqlite3 *db = sql_open_image(image, image_size);
        sql_run(db, "%s", all[i].damage);
        /* a new version, as another connection's writing would have */
        (void)sqlite3_exec(db, "UPDATE t_info SET value = 12345 WHERE name = 'version'", NULL, NULL,
                           NULL);
        sql_fails(db, "INSERT INTO t(t) VALUES('verify')", all[i].words);
        if (all[i].is_mended) {
            sql_run(db, "INSERT INTO t(t) VALUES('optimize')");
            sql_is_whole(db, "t");
        }
        use(db);
        sql_close(db);
        db = sql_open_image(image, image_size);
        sql_run(db, "%s", all[i].damage);
        use(db);
        (void)sqlite3_exec(db, "DROP TABLE t", NULL, NULL, NULL);
        sql_close(db);
    }
}

/* Bytes of blobs, and bits of numbers, changed at random. */
static void test_any_bytes(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    const char *turns = getenv("NLSH_SQL_TURNS");
    size_t n = turns != NULL ? strtoul(turns, NULL, 10) : TURNS;
    test_rng(&rng, 12);
    for (size_t turn = 0; turn < n; turn++) {
        static const struct {
            const char *table, *id, *blob;
        } blobs[] = {
            {"t_model", "part", "data"}, {"t_chunks", "id", "data"}, {"t_vectors", "id", "vector"}};
        size_t b = (size_t)nlsh__rng_below(&rng, 3);
        sqlite3 *db = sql_open_image(image, image_size);
        sqlite3_blob *blob;
        char *sql = sqlite3_mprintf("SELECT %s FROM %s ORDER BY random() LIMIT 1", blobs[b].id,
                                    blobs[b].table);
        sqlite3_int64 id = sql_number(db, sql);
        sqlite3_free(sql);
        assert_int_equal(sqlite3_blob_open(db, "main", blobs[b].table, blobs[b].blob, id, 1, &blob),
                         SQLITE_OK);
        int size = sqlite3_blob_bytes(blob), near = size < 300 ? size : 300;
        for (size_t k = nlsh__rng_below(&rng, 20) + 1; k > 0; k--) {
            unsigned char byte = (unsigned char)nlsh__rng_u64(&rng);
            uint64_t at = nlsh__rng_below(&rng, (uint64_t)(nlsh__rng_below(&rng, 2) ? near : size));
            assert_int_equal(sqlite3_blob_write(blob, &byte, 1, (int)at), SQLITE_OK);
        }
        sqlite3_blob_close(blob);
        use(db);
        sql_close(db);
    }
}

/* A value of any kind, as SQL; blobs that are near to what `column` holds now as well. */
static char *any_value(struct nlsh__rng *rng, const char *column)
{
    static const char *const fixed[] = {"NULL",
                                        "0",
                                        "-1",
                                        "9223372036854775807",
                                        "-9223372036854775807 - 1",
                                        "4294967296",
                                        "1e300",
                                        "'text'",
                                        "''",
                                        "x''",
                                        "zeroblob(100000)"};
    int r = (int)nlsh__rng_below(rng, 1000) + 1;
    switch (nlsh__rng_below(rng, 8)) {
    case 0: return sqlite3_mprintf("%d", r - 500);
    case 1: return sqlite3_mprintf("randomblob(%d)", r);
    case 2: return sqlite3_mprintf("substr(%s, 1, length(%s) - %d)", column, column, r % 80);
    case 3: return sqlite3_mprintf("substr(%s, %d)", column, r % 80 + 2);
    case 4: return sqlite3_mprintf("%s || randomblob(%d)", column, r % 80 + 1);
    case 5:
        return sqlite3_mprintf("substr(%s, 1, %d) || randomblob(%d) || substr(%s, %d)", column, r,
                               r % 9 + 1, column, r + r % 9 + 2);
    default:
        return sqlite3_mprintf("%s", fixed[nlsh__rng_below(rng, sizeof fixed / sizeof *fixed)]);
    }
}

/* One row, or all of them, of any shadow table: another value, gone, or there twice. What SQLite itself refuses is no
 * damage. */
static void damage(sqlite3 *db, struct nlsh__rng *rng)
{
    static const struct {
        const char *table, *columns[2];
    } all[] = {{"t_info", {"name", "value"}},
               {"t_vectors", {"id", "vector"}},
               {"t_model", {"part", "data"}},
               {"t_chunks", {"id", "data"}},
               {"t_buckets", {"bucket", "n"}}};
    size_t i = (size_t)nlsh__rng_below(rng, 5);
    const char *table = all[i].table, *key = all[i].columns[0];
    const char *column = all[i].columns[nlsh__rng_below(rng, 4) != 0];
    uint64_t what = nlsh__rng_below(rng, 8);
    char *value = any_value(rng, column), *to = any_value(rng, key);
    char *where =
        nlsh__rng_below(rng, 4) == 0
            ? sqlite3_mprintf("1")
            : sqlite3_mprintf("%s = (SELECT %s FROM %s LIMIT 1 OFFSET %lld %% (SELECT "
                              "count(*) + 1 FROM %s))",
                              key, key, table, (sqlite3_int64)nlsh__rng_below(rng, 5000), table);
    char *sql = what == 0 ? sqlite3_mprintf("DELETE FROM %s WHERE %s", table, where)
                : what == 1
                    ? sqlite3_mprintf("INSERT OR REPLACE INTO %s SELECT %s, %s FROM %s WHERE %s",
                                      table, to, all[i].columns[1], table, where)
                    : sqlite3_mprintf("UPDATE OR REPLACE %s SET %s = %s WHERE %s", table, column,
                                      value, where);
    assert_non_null(sql);
    (void)sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(value);
    sqlite3_free(to);
    sqlite3_free(where);
    sqlite3_free(sql);
}

/* Every column of every shadow table. What a search then returns, if it does, is there, and as far away as it says. */
static void test_any_values(void **state)
{
    (void)state;
    static const char check[] =
        "SELECT count(*) FROM (SELECT rowid AS r, distance AS d FROM t WHERE e MATCH '[1,2,3,4]' "
        "AND k = 20%s) LEFT JOIN t_vectors ON id = r "
        "WHERE vector IS NULL OR abs(nlsh_distance_l2(vector, '[1,2,3,4]') - d) > 1e-3 * (1 + d)";
    struct nlsh__rng rng;
    const char *turns = getenv("NLSH_SQL_TURNS");
    size_t n = turns != NULL ? strtoul(turns, NULL, 10) : 4 * TURNS, answered = 0;
    test_rng(&rng, 13);
    for (size_t turn = 0; turn < n; turn++) {
        sqlite3 *db = sql_open_image(image, image_size);
        if (nlsh__rng_below(&rng, 2)) /* what was read before is kept */
            (void)sql_rows(db, "SELECT rowid FROM t WHERE e MATCH '[1,2,3,4]' AND k = 3");
        for (uint64_t k = nlsh__rng_below(&rng, 3) + 1; k > 0; k--) damage(db, &rng);
        for (int exactly = 0; exactly < 2; exactly++) {
            const char *rows = sql_rows(db, check, exactly ? " AND recall = 1" : "");
            if (strncmp(rows, "error: ", 7) == 0) continue;
            assert_string_equal(rows, "0");
            answered++;
        }
        use(db);
        if (turn % 8 == 0) (void)sql_rows(db, "INSERT INTO t(t) VALUES('calibrate')");
        if (turn % 8 == 1) (void)sql_rows(db, "ALTER TABLE t RENAME TO u");
        sql_close(db);
    }
    assert_true(answered > n / 4); /* some damage does no harm to a search */
}

/* Since SQLite 3.44 PRAGMA integrity_check asks the table. */
static void test_integrity_check_verifies(void **state)
{
    (void)state;
#if SQLITE_VERSION_NUMBER < 3044000
    skip();
#else
    sqlite3 *db = sql_open_image(image, image_size);
    assert_string_equal(sql_rows(db, "PRAGMA integrity_check"), "ok");
    sql_run(db, "DELETE FROM t_chunks WHERE id = (SELECT max(id) FROM t_chunks)");
    assert_non_null(strstr(sql_rows(db, "PRAGMA integrity_check"), "entries, and"));
    assert_string_equal(sql_rows(db, "PRAGMA quick_check"), "ok");
    sql_close(db);
    db = sql_open_image(image, image_size);
    sql_run(db, "DELETE FROM t_info");
    assert_non_null(strstr(sql_rows(db, "PRAGMA quick_check"), "its numbers are missing"));
    assert_non_null(strstr(sql_rows(db, "PRAGMA integrity_check"), "its numbers are missing"));
    sql_close(db);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_finds_it),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_any_values),
        cmocka_unit_test(test_integrity_check_verifies),
    };
    sql_learn_quickly();
    make_image();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    sqlite3_free(image);
    return n_failed;
}
