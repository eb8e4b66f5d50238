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
        "SELECT rowid, e FROM t",
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify_finds_it),
        cmocka_unit_test(test_any_bytes),
    };
    sql_learn_quickly();
    make_image();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    sqlite3_free(image);
    return n_failed;
}
