/* test_table.c - the virtual table by examples: what statements answer, and in which words they fail. */
#include "common.h"

static const char make[] = "CREATE VIRTUAL TABLE t USING nlsh(e float[3])";

static sqlite3 *small_table(void)
{
    sqlite3 *db = sql_open(":memory:");
    sql_run(db, make);
    sql_run(db,
            "INSERT INTO t(rowid, e) VALUES(1, '[0, 0, 0]'), (2, '[3, 0, 0]'), (5, '[0, 4, 0]'), "
            "(9, '[0, 0, 12]')");
    return db;
}

static void test_searches_answer_nearest_first(void **state)
{
    (void)state;
    sqlite3 *db = small_table();
    assert_string_equal(
        sql_rows(db, "SELECT rowid, distance FROM t WHERE e MATCH '[0,0,0]' AND k = 3"),
        "1|0.0 2|3.0 5|4.0");
    assert_string_equal(sql_rows(db, "SELECT rowid FROM t WHERE e MATCH '[0,0,0]' AND k = 100"),
                        "1 2 5 9");
    assert_string_equal(sql_rows(db, "SELECT count(*) FROM t WHERE e MATCH '[0,0,0]' AND k = 0"),
                        "0");
    assert_string_equal(
        sql_rows(
            db, "SELECT rowid, k, recall FROM t WHERE e MATCH '[0,3,0]' AND k = 1 AND recall = .9"),
        "5|1|0.9");
    assert_string_equal(sql_rows(db, "SELECT rowid, nlsh_to_json(e) FROM t WHERE e MATCH "
                                     "nlsh_f32('[0,3,0]') AND k = 1"),
                        "5|[0,4,0]");
    /* farthest first is another order, which SQLite makes */
    assert_string_equal(sql_rows(db, "SELECT rowid FROM t WHERE e MATCH '[0,0,0]' AND k = 2 "
                                     "ORDER BY distance DESC"),
                        "2 1");
    sql_close(db);
}

static void test_a_search_without_k_goes_on(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    sqlite3 *db = small_table();
    assert_string_equal(
        sql_rows(db, "SELECT rowid FROM t WHERE e MATCH '[0,0,0]' ORDER BY distance LIMIT 2"),
        "1 2");
    assert_string_equal(
        sql_rows(db, "SELECT rowid FROM t WHERE e MATCH '[0,0,0]' LIMIT 2 OFFSET 1"), "2 5");
    assert_string_equal(sql_rows(db,
                                 "SELECT rowid FROM t WHERE e MATCH '[0,0,0]' AND distance > 3.5 "
                                 "ORDER BY distance LIMIT 1"),
                        "5");
    assert_string_equal(sql_rows(db, "SELECT rowid FROM t WHERE e MATCH '[0,0,0]'"), "1 2 5 9");
    nlsh__rng_init(&rng, 5, 5);
    sql_fill(db, "t", 3, 100, 500, &rng);
    assert_string_equal(
        sql_rows(db,
                 "SELECT count(*), count(DISTINCT id), sum(d < before) FROM (SELECT rowid id, "
                 "distance d, lag(distance, 1, 0) OVER (ROWS UNBOUNDED PRECEDING) before FROM t "
                 "WHERE e MATCH '[1,2,3]')"),
        "504|504|0");
    sql_close(db);
}

static void test_rowids_filter(void **state)
{
    (void)state;
    sqlite3 *db = small_table();
    static const struct {
        const char *where, *rows;
    } all[] = {
        {"rowid IN (2, 9, 77)", "2 9"},
        {"rowid IN (SELECT 9 UNION SELECT 5)", "5 9"},
        {"rowid IN ()", ""},
        {"rowid IN (NULL, 'x', 5.0, 2.5, '9')", "5 9"},
        {"rowid IN (1, 2) AND rowid IN (2, 5)", "2"},
        {"rowid = 5", "5"},
        {"rowid = 6", ""},
        {"rowid = 5.5", ""},
        {"rowid > 2", "5 9"},
        {"rowid >= 2 AND rowid < 9", "2 5"},
        {"rowid <= 4.5", "1 2"},
        {"rowid < 1", ""},
        {"rowid > 9223372036854775807", ""},
        {"rowid < 1e300", "1 2 5 9"},
        {"rowid > 1e300", ""},
        {"rowid > NULL", ""},
        {"rowid BETWEEN 2 AND 5 AND rowid IN (1, 2, 9)", "2"},
        {"rowid % 2 = 1", "1 5 9"}, /* which SQLite looks at */
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_string_equal(sql_rows(db,
                                     "SELECT rowid FROM t WHERE e MATCH '[0,0,0]' AND k = 4 AND %s",
                                     all[i].where),
                            all[i].rows);
        assert_string_equal(sql_rows(db, "SELECT rowid FROM t WHERE %s", all[i].where),
                            all[i].rows);
    }
    /* k of those that are allowed, not of all */
    assert_string_equal(
        sql_rows(db, "SELECT rowid FROM t WHERE e MATCH '[0,0,0]' AND k = 1 AND rowid IN (5, 9)"),
        "5");
    sql_run(db,
            "CREATE TABLE a(id INTEGER, year INTEGER); INSERT INTO a VALUES(9, 1), (5, 1), (1, 2)");
    assert_string_equal(sql_rows(db, "SELECT t.rowid FROM t WHERE e MATCH '[0,0,0]' AND k = 2 AND "
                                     "rowid IN (SELECT id FROM a WHERE year = 1)"),
                        "5 9");
    assert_string_equal(sql_rows(db, "SELECT t.rowid FROM a JOIN t ON t.rowid = a.id WHERE e MATCH "
                                     "'[0,0,0]' AND k = 2 AND year = 1 ORDER BY distance"),
                        "5 9");
    /* a query for each row of another table */
    sql_run(db, "CREATE TABLE q(v); INSERT INTO q VALUES('[0,0,11]'), ('[2,0,0]')");
    assert_string_equal(
        sql_rows(db, "SELECT q.rowid, t.rowid FROM q, t WHERE e MATCH v AND k = 1 ORDER BY 1"),
        "1|9 2|2");
    sql_close(db);
}

static void test_scans_go_by_rowid(void **state)
{
    (void)state;
    sqlite3 *db = small_table();
    assert_string_equal(sql_rows(db, "SELECT rowid FROM t ORDER BY rowid DESC"), "9 5 2 1");
    assert_string_equal(sql_rows(db, "SELECT max(rowid), min(rowid), count(*) FROM t"), "9|1|4");
    assert_string_equal(
        sql_rows(db, "SELECT a.rowid, b.rowid FROM t a, t b WHERE a.rowid = b.rowid - 1"), "1|2");
    assert_string_equal(sql_rows(db, "SELECT distance, k, recall, t FROM t WHERE rowid = 2"),
                        "NULL|NULL|NULL|NULL");
    sql_close(db);
}

static void test_rows_change(void **state)
{
    (void)state;
    sqlite3 *db = small_table();
    sql_run(db, "INSERT INTO t(e) VALUES('[1,1,1]')");
    assert_int_equal(sqlite3_last_insert_rowid(db), 10);
    sql_run(db, "UPDATE t SET e = '[8,8,8]' WHERE rowid = 1");
    sql_run(db, "UPDATE t SET rowid = 20 WHERE rowid = 2");
    sql_run(db, "UPDATE t SET rowid = 21, e = '[7,7,7]' WHERE rowid = 5");
    sql_run(db, "DELETE FROM t WHERE rowid = 9");
    sql_run(db, "REPLACE INTO t(rowid, e) VALUES(10, '[2,2,2]')");
    sql_run(db, "INSERT OR IGNORE INTO t(rowid, e) VALUES(10, '[9,9,9]'), (30, '[1,2,3]')");
    sql_run(db, "UPDATE OR REPLACE t SET rowid = 30 WHERE rowid = 21");
    assert_string_equal(sql_rows(db, "SELECT rowid, nlsh_to_json(e) FROM t"),
                        "1|[8,8,8] 10|[2,2,2] 20|[3,0,0] 30|[7,7,7]");
    sql_fails(db, "INSERT INTO t(rowid, e) VALUES(10, '[1,1,1]')", "rowid 10 is there already");
    sql_fails(db, "UPDATE t SET rowid = 1 WHERE rowid = 10", "rowid 1 is there already");
    assert_string_equal(sql_rows(db, "SELECT count(*) FROM t"), "4");
    sql_is_whole(db, "t");
    sql_run(db, "ALTER TABLE t RENAME TO u; INSERT INTO u(e) VALUES('[0,0,0]')");
    assert_string_equal(sql_rows(db, "SELECT count(*) FROM u WHERE e MATCH '[0,0,0]' AND k = 9"),
                        "5");
    sql_is_whole(db, "u");
    sql_run(db, "DROP TABLE u");
    assert_string_equal(sql_rows(db, "SELECT count(*) FROM sqlite_schema"), "0");
    sql_close(db);
}

static void test_errors_are_words(void **state)
{
    (void)state;
    sqlite3 *db = small_table();
    static const struct {
        const char *sql, *words;
    } all[] = {
        {"INSERT INTO t(e) VALUES('[1,2]')", "e: a vector of dimension 2, where the table has 3"},
        {"INSERT INTO t(e) VALUES(x'0000000000000000')", "dimension 2, where the table has 3"},
        {"INSERT INTO t(e) VALUES(x'00000000000000')", "a blob of 7 bytes is no vector"},
        {"INSERT INTO t(e) VALUES('[1,,2]')", "at character 4: a number should stand here"},
        {"INSERT INTO t(e) VALUES('[1,2,3')", "at character 7: behind a number"},
        {"INSERT INTO t(e) VALUES('{}')", "at character 1: an array begins with ["},
        {"INSERT INTO t(e) VALUES('[]')", "there is no number"},
        {"INSERT INTO t(e) VALUES('[1,2,3] 4')", "at character 9: more stands"},
        {"INSERT INTO t(e) VALUES('[1,2,1e999]')", "value 2 is infinite"},
        {"INSERT INTO t(e) VALUES(x'0000c07f0000000000000000')", "value 0 is NaN"},
        {"INSERT INTO t(e) VALUES(7)", "an integer is no vector"},
        {"INSERT INTO t(e) VALUES(NULL)", "NULL is no vector"},
        {"INSERT INTO t(rowid, e) VALUES('x', '[1,2,3]')", "mismatch"},
        {"INSERT INTO t(e, k) VALUES('[1,2,3]', 5)", "column k is of searches"},
        {"INSERT INTO t(t) VALUES('dance')", "no command is called 'dance'"},
        {"INSERT INTO t(t) VALUES('train')", "4 vectors are too few to learn from"},
        {"INSERT INTO t(t) VALUES('calibrate')", "nothing was learned yet"},
        {"SELECT * FROM t WHERE e MATCH '[1,2]' AND k = 1", "dimension 2, where the table has 3"},
        {"SELECT * FROM t WHERE e MATCH NULL AND k = 1", "NULL is no vector"},
        {"SELECT * FROM t WHERE e MATCH '[1,2,3]' AND k = -1", "k is -1"},
        {"SELECT * FROM t WHERE e MATCH '[1,2,3]' AND k = 'all'", "k is all"},
        {"SELECT * FROM t WHERE e MATCH '[1,2,3]' AND k = NULL", "k is NULL"},
        {"SELECT * FROM t WHERE e MATCH '[1,2,3]' AND k = 1 AND recall = 0", "recall is 0"},
        {"SELECT * FROM t WHERE e MATCH '[1,2,3]' AND k = 1 AND recall = 'x'", "recall is x"},
        {"CREATE VIRTUAL TABLE u USING nlsh", "name a column of vectors"},
        {"CREATE VIRTUAL TABLE u USING nlsh(e)", "write its type as float[512]"},
        {"CREATE VIRTUAL TABLE u USING nlsh(e float)", "write its type as float[512]"},
        {"CREATE VIRTUAL TABLE u USING nlsh(e float[])", "write its type as float[512]"},
        {"CREATE VIRTUAL TABLE u USING nlsh(e float[0])", "dimension 0 is not between"},
        {"CREATE VIRTUAL TABLE u USING nlsh(e float[9999999999999])", "is not between"},
        {"CREATE VIRTUAL TABLE u USING nlsh(e int8[4])", "write its type as float[512]"},
        {"CREATE VIRTUAL TABLE u USING nlsh(e float[4], f float[4])", "f is a second one behind e"},
        {"CREATE VIRTUAL TABLE u USING nlsh(e float[4], metric = far)", "metric 'far' is not"},
        {"CREATE VIRTUAL TABLE u USING nlsh(e float[4], speed = 9)", "no option is called speed"},
        {"CREATE VIRTUAL TABLE u USING nlsh(distance float[4])", "cannot be called distance"},
        {"CREATE VIRTUAL TABLE u USING nlsh(u float[4])", "cannot be called u"},
        {"CREATE VIRTUAL TABLE t USING nlsh(e float[3])", "already exists"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) sql_fails(db, all[i].sql, all[i].words);
    assert_string_equal(sql_rows(db, "SELECT count(*) FROM t"), "4");
    sql_run(db, "CREATE VIRTUAL TABLE c USING nlsh(e float[2], metric = 'cosine')");
    sql_fails(db, "INSERT INTO c(e) VALUES('[0, 0]')", "no direction");
    sql_fails(db, "SELECT * FROM c WHERE e MATCH '[0,0]' AND k = 1", "no direction");
    assert_string_equal(sql_rows(db, "SELECT name FROM sqlite_schema WHERE name LIKE 'u%%'"), "");
    sql_close(db);
}

/* Codes say nothing of vectors far from all that was learned from: they are found all the same. */
static void test_what_is_far_from_all_is_found(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    sqlite3 *db = sql_open(":memory:");
    test_rng(&rng, 61);
    sql_run(db, "CREATE VIRTUAL TABLE t USING nlsh(e float[4])");
    sql_fill(db, "t", 4, 1, 1100, &rng);
    sql_run(db, "INSERT INTO t(t) VALUES('train'); INSERT INTO t(rowid, e) VALUES(5000, "
                "'[100,100,100,100]'), (5001, '[101,101,101,101]')");
    assert_string_equal(
        sql_rows(db, "SELECT rowid FROM t WHERE e MATCH '[100,100,100,100]' AND k = 2"),
        "5000 5001");
    sql_is_whole(db, "t");
    sql_close(db);
}

static void test_names_are_quoted(void **state)
{
    (void)state;
    sqlite3 *db = sql_open(":memory:");
    sql_run(db, "ATTACH ':memory:' AS \"an \"\" other\"");
    sql_run(db,
            "CREATE VIRTUAL TABLE \"an \"\" other\".\"a %% \"\" t\" USING nlsh(\"an e\" float[2], "
            "METRIC='Cosine')");
    sql_run(db, "INSERT INTO \"a %% \"\" t\"(\"an e\") VALUES('[1,0]'), ('[0,3]')");
    assert_string_equal(sql_rows(db,
                                 "SELECT rowid, distance FROM \"a %% \"\" t\" WHERE \"an e\" MATCH "
                                 "'[2,0]' AND k = 2"),
                        "1|0.0 2|1.0");
    sql_run(db, "INSERT INTO \"a %% \"\" t\"(\"a %% \"\" t\") VALUES('verify')");
    sql_run(db, "DROP TABLE \"a %% \"\" t\"");
    assert_string_equal(sql_rows(db, "SELECT count(*) FROM \"an \"\" other\".sqlite_schema"), "0");
    sql_close(db);
}

static void test_functions(void **state)
{
    (void)state;
    sqlite3 *db = sql_open(":memory:");
    static const struct {
        const char *expression, *value;
    } all[] = {
        {"hex(nlsh_f32('[1, -2]'))", "0000803F000000C0"},
        {"hex(nlsh_f16('[1, -2, 65504, 6e-8, 1e-9, 0.1]'))", "003C00C0FF7B01000000662E"},
        {"nlsh_to_json(nlsh_f16('[1, -2, 65504, 0.1]'))", "[1,-2,65504,0.099975586]"},
        {"nlsh_to_json(nlsh_f32('[ 0.1 ,1e2,\n-3.25E-1,0.3333333432674408 ]'))",
         "[0.1,100,-0.325,0.33333334]"},
        {"nlsh_to_json(x'0000803f')", "[1]"},
        {"json_array_length(nlsh_to_json('[1,2,3]'))", "3"},
        {"nlsh_distance_l2('[0,0]', '[3,4]')", "5.0"},
        {"nlsh_distance_ip('[1,2]', nlsh_f32('[3,4]'))", "-11.0"},
        {"nlsh_distance_cosine('[1,0]', '[0,5]')", "1.0"},
        {"nlsh_distance_l2(NULL, '[1]')", "NULL"},
        {"nlsh_to_json(NULL)", "NULL"},
        {"nlsh_f32('[1') ", "error: nlsh_f32: no JSON array of numbers: at character 3: behind a "
                            "number , or ] should stand"},
        {"nlsh_distance_l2('[1]', '[1,2]')",
         "error: nlsh_distance_l2: vectors of dimensions 1 and 2"},
        {"nlsh_distance_cosine('[0]', '[1]')",
         "error: nlsh_distance_cosine: a vector of zeros has no direction, and so no cosine"},
        {"nlsh_f16('[65520]')", "error: nlsh_f16: value 0 is too large: f16 ends at 65504"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_string_equal(sql_rows(db, "SELECT %s", all[i].expression), all[i].value);
    assert_string_equal(sql_rows(db, "SELECT nlsh_version()"), nlsh_version());
    sql_close(db);
}

/* Every f16 there is comes back as it was. */
static void test_f16_there_and_back(void **state)
{
    (void)state;
    sqlite3 *db = sql_open(":memory:");
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT nlsh_f16(nlsh_to_json(nlsh_f32(nlsh_f16(?))))",
                                        -1, &s, NULL),
                     SQLITE_OK);
    for (uint32_t first = 0; first < 65536; first += 1024) {
        uint16_t halves[1024], back[1024];
        float floats[1024];
        size_t n = 0;
        for (uint32_t h = first; h < first + 1024; h++)
            if ((h >> 10 & 31) != 31) halves[n++] = (uint16_t)h;
        for (size_t i = 0; i < n; i++) { /* from the bits, without the code that is tested */
            int exponent = halves[i] >> 10 & 31, fraction = halves[i] & 1023;
            double size =
                exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
            floats[i] = (float)(halves[i] & 0x8000 ? -size : size);
        }
        if (n == 0) continue;
        sqlite3_bind_blob(s, 1, floats, (int)(n * sizeof(float)), SQLITE_STATIC);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        assert_int_equal(sqlite3_column_bytes(s, 0), n * 2);
        memcpy(back, sqlite3_column_blob(s, 0), n * 2);
        for (size_t i = 0; i < n; i++)
            if (back[i] != halves[i] && (halves[i] & 0x7fff) != 0)
                fail_msg("%04x came back as %04x", halves[i], back[i]);
        sqlite3_reset(s);
    }
    sqlite3_finalize(s);
    sql_close(db);
}

static void test_nlsh_search_of_a_file(void **state)
{
    (void)state;
    struct nlsh_error error;
    struct nlsh_writer *writer;
    const char *path = scratch_path("a.nlsh");
    const float vectors[] = {0, 0, 3, 4, 1, 1};
    const uint64_t keys[] = {7, 8, 9};
    const struct nlsh_matrix some = {vectors, 3, 2, NLSH_F32, 0};
    assert_int_equal(nlsh_index_create(path, 2, NLSH_F32, NLSH_L2, &error), NLSH_OK);
    sqlite3 *db = sql_open(":memory:");
    assert_string_equal(sql_rows(db, "SELECT count(*) FROM nlsh_search(%Q, '[0,0]')", path), "0");
    assert_int_equal(nlsh_writer_open(path, NULL, &writer, &error), NLSH_OK);
    assert_int_equal(nlsh_writer_put(writer, keys, &some, &error), NLSH_OK);
    assert_int_equal(nlsh_writer_close(writer, &error), NLSH_OK);
    assert_string_equal(sql_rows(db,
                                 "SELECT key, printf('%%.6f', distance) FROM nlsh_search(%Q, "
                                 "'[0,0]', 2)",
                                 path),
                        "7|0.000000 9|1.414214");
    assert_string_equal(
        sql_rows(db, "SELECT key FROM nlsh_search(%Q, '[0,0]', 9, 1) ORDER BY distance DESC", path),
        "8 9 7");
    sql_fails(db, "SELECT * FROM nlsh_search('no such file', '[0]')", "no such file");
    sql_fails(db, "SELECT * FROM nlsh_search", "give a file and a vector");
    sql_fails(db, "SELECT * FROM nlsh_search('x', '[0]', 0)", "k is '0'");
    assert_non_null(
        strstr(sql_rows(db, "SELECT * FROM nlsh_search(%Q, '[0]')", path), "dimension 1"));
    sql_close(db);
}

/* Most vectors are passed over by a score that is off by rounding; with k = all of them none is. Directions differ by
 * less than that, and lengths by what floats have. */
static void test_cosine_passes_over_none_of_the_nearest(void **state)
{
    (void)state;
    enum { N = 2000, D = 24, SHOWN = 40 };
    struct nlsh__rng rng;
    float vector[D];
    sqlite3 *db = sql_open(":memory:");
    sqlite3_stmt *insert;
    test_rng(&rng, 5);
    sql_run(db, "CREATE VIRTUAL TABLE t USING nlsh(e float[%d], metric = 'cosine')", D);
    assert_int_equal(
        sqlite3_prepare_v2(db, "INSERT INTO t(rowid, e) VALUES(?, ?)", -1, &insert, NULL),
        SQLITE_OK);
    for (int i = 0; i < N; i++) {
        double length = pow(10, 35 * nlsh__rng_uniform(&rng) - 22);
        for (int d = 0; d < D; d++)
            vector[d] = (float)((1 + d + 1e-4 * nlsh__rng_normal(&rng)) * length);
        sqlite3_bind_int(insert, 1, i);
        sqlite3_bind_blob(insert, 2, vector, sizeof vector, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    for (int query = 0; query < 20; query++) {
        static char expected[4096];
        static const char ask[] = "SELECT rowid, distance FROM t WHERE e MATCH (SELECT e FROM t "
                                  "WHERE rowid = %d) AND recall = 1 AND k = %d LIMIT %d";
        snprintf(expected, sizeof expected, "%s", sql_rows(db, ask, query, N, SHOWN));
        assert_string_equal(sql_rows(db, ask, query, SHOWN, SHOWN), expected);
    }
    sql_close(db);
}

enum { ASKED_DIM = 8, ASKED = 400 };

/* The share of the 10 nearest that comes back of queries in the table q, every second of them, with recall .9. */
static double comes_back(sqlite3 *db)
{
    double found = 0;
    for (int i = 1; i < ASKED; i += 2)
        found += (double)strtoll(
            sql_rows(
                db,
                "SELECT count(*) FROM (SELECT rowid FROM t WHERE e MATCH (SELECT e FROM q "
                "WHERE id = %d) AND k = 10 AND recall = .9 INTERSECT SELECT rowid FROM t WHERE "
                "e MATCH (SELECT e FROM q WHERE id = %d) AND k = 10 AND recall = 1)",
                i, i),
            NULL, 10);
    return found / (10 * ASKED / 2);
}

/* Queries from between the centres, of which the table knows nothing, are promised what they get once they were
 * measured with. */
static void test_calibrate_by_queries_of_a_table(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    float a[ASKED_DIM], b[ASKED_DIM];
    sqlite3_stmt *insert;
    sqlite3 *db = sql_open(":memory:");
    test_rng(&rng, 8);
    sql_run(db, "CREATE VIRTUAL TABLE t USING nlsh(e float[%d])", ASKED_DIM);
    sql_run(db, "CREATE TABLE q(id INTEGER PRIMARY KEY, e)");
    sql_fill(db, "t", ASKED_DIM, 1, 3000, &rng);
    sql_run(db, "INSERT INTO t(t) VALUES('train')");
    assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO q(e) VALUES(?)", -1, &insert, NULL),
                     SQLITE_OK);
    for (int i = 0; i < ASKED; i++) {
        sql_vector(&rng, ASKED_DIM, a);
        sql_vector(&rng, ASKED_DIM, b);
        for (int d = 0; d < ASKED_DIM; d++) a[d] = (a[d] + b[d]) / 2;
        sqlite3_bind_blob(insert, 1, a, sizeof a, SQLITE_STATIC);
        assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    double before = comes_back(db);
    sql_run(db, "CREATE TEMP VIEW sample AS SELECT e FROM q WHERE id %% 2 = 0");
    sql_run(db, "INSERT INTO t(t) VALUES('calibrate sample')");
    double after = comes_back(db);
    if (before > .88 || after < .88) fail_msg("%g before, %g after", before, after);
    sql_is_whole(db, "t");
    sql_run(db, "CREATE TABLE few AS SELECT * FROM q LIMIT 29; CREATE TABLE bad(e); INSERT INTO "
                "bad VALUES('[1]')");
    sql_fails(db, "INSERT INTO t(t) VALUES('calibrate few')", "few has 29 queries");
    sql_fails(db, "INSERT INTO t(t) VALUES('calibrate bad')", "a query: a vector of dimension 1");
    sql_fails(db, "INSERT INTO t(t) VALUES('calibrate nothing')", "no such table: nothing");
    sql_fails(db, "INSERT INTO t(t) VALUES('calibrate ')", "no such table");
    sql_is_whole(db, "t");
    sql_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_searches_answer_nearest_first),
        cmocka_unit_test(test_a_search_without_k_goes_on),
        cmocka_unit_test(test_rowids_filter),
        cmocka_unit_test(test_scans_go_by_rowid),
        cmocka_unit_test(test_rows_change),
        cmocka_unit_test(test_errors_are_words),
        cmocka_unit_test(test_what_is_far_from_all_is_found),
        cmocka_unit_test(test_cosine_passes_over_none_of_the_nearest),
        cmocka_unit_test(test_names_are_quoted),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_f16_there_and_back),
        cmocka_unit_test(test_nlsh_search_of_a_file),
        cmocka_unit_test(test_calibrate_by_queries_of_a_table),
    };
    sql_learn_quickly();
    scratch_make();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove();
    return n_failed;
}
