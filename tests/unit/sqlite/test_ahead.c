/*
 * test_ahead.c - pages that are read ahead: what the file says of them is what SQLite says (the table dbstat), bytes of
 * any kind are borne, and the system has the pages in memory afterwards.
 */
#define _GNU_SOURCE /* mincore */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "store.h"
#include "table.h"

enum { ROWS = 200, STEP = 7 };

/* Rows of many lengths, with gaps between their rowids, in a shadow table. */
static sqlite3 *make(const char *path, int page)
{
    sqlite3 *db = sql_open(path);
    sql_run(db, "PRAGMA page_size = %d", page);
    sql_run(db, "CREATE TABLE t_chunks(id INTEGER PRIMARY KEY, data BLOB)");
    sql_run(db,
            "WITH RECURSIVE i(n) AS (VALUES(0) UNION ALL SELECT n + 1 FROM i WHERE n < %d) "
            "INSERT INTO t_chunks SELECT n * %d, randomblob(n * n %% 30011) FROM i",
            ROWS - 1, STEP);
    return db;
}

static void read_page(const char *path, uint32_t number, size_t size, uint8_t *out)
{
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    assert_int_equal(pread(file, out, size, (off_t)(number - 1) * (off_t)size), (ssize_t)size);
    close(file);
}

/* Down from the root to the leaf of a row. */
static uint32_t leaf_of(const char *path, uint32_t page, struct nlsh__sqlite_paging paging,
                        int64_t rowid, uint8_t *bytes)
{
    for (;;) {
        read_page(path, page, paging.size, bytes);
        if (nlsh__sqlite_page_is_leaf(bytes)) return page;
        page = nlsh__sqlite_page_below(bytes, paging, rowid);
        assert_true(page > 0);
    }
}

static void test_pages_are_those_of_sqlite(void **state)
{
    (void)state;
    for (int size = 512; size <= 65536; size *= 2) {
        const char *path = scratch_path("pages.db");
        (void)unlink(path);
        sqlite3 *db = make(path, size);
        if (strncmp(sql_rows(db, "SELECT count(*) FROM dbstat"), "error", 5) == 0) {
            sql_close(db);
            skip(); /* this SQLite has no dbstat */
        }
        const struct nlsh__sqlite_paging paging = {(uint32_t)size, (uint32_t)size};
        uint8_t *bytes = malloc(paging.size);
        assert_non_null(bytes);
        uint32_t root =
            (uint32_t)sql_number(db, "SELECT rootpage FROM sqlite_master WHERE name = 't_chunks'");
        size_t n_overflow = 0;
        for (int64_t i = 0; i < ROWS; i += 5) {
            uint32_t leaf = leaf_of(path, root, paging, i * STEP, bytes);
            struct nlsh__sqlite_chain chain = nlsh__sqlite_page_overflow(bytes, paging, i * STEP);
            sqlite3_int64 first = chain.first, n = chain.n, length = i * i % 30011;
            char *sql = sqlite3_mprintf("SELECT count(*) FROM dbstat WHERE name = 't_chunks' AND "
                                        "pageno = %u AND pagetype = 'leaf'",
                                        leaf);
            assert_int_equal(sql_number(db, sql), 1);
            sqlite3_free(sql);
            /* a row is its blob and 3 to 5 bytes in front of it */
            if (length > size - 35) assert_true(n > 0);
            if (length < size - 35 - 5) assert_int_equal(n, 0);
            if (n == 0) continue;
            n_overflow++;
            /* the chain with this page has n pages; a path is of a cell, and of a page of its chain */
            sql = sqlite3_mprintf("SELECT count(*) FROM dbstat WHERE name = 't_chunks' AND "
                                  "pagetype = 'overflow' AND substr(path, 1, instr(path, '+') - 1) "
                                  "= (SELECT substr(path, 1, instr(path, '+') - 1) FROM dbstat "
                                  "WHERE name = 't_chunks' AND pageno = %lld)",
                                  first);
            assert_int_equal(sql_number(db, sql), n);
            sqlite3_free(sql);
            /* a rowid that is not there has none */
            assert_int_equal(nlsh__sqlite_page_overflow(bytes, paging, i * STEP + 1).n, 0);
        }
        assert_true(n_overflow > 0 || size > 16384);
        free(bytes);
        sql_close(db);
    }
}

/* Of the chains of two pages and more, how many go on where the guess has it. */
static double guessed(sqlite3 *db, const char *path)
{
    const struct nlsh__sqlite_paging paging = {4096, 4096};
    uint8_t *bytes = malloc(paging.size);
    uint32_t root =
        (uint32_t)sql_number(db, "SELECT rootpage FROM sqlite_master WHERE name = 't_chunks'");
    double n = 0, right = 0;
    assert_non_null(bytes);
    sql_run(db, "DROP TABLE IF EXISTS temp.pages; CREATE TEMP TABLE pages AS SELECT path, pageno "
                "FROM dbstat WHERE name = 't_chunks' AND pagetype = 'overflow'");
    for (int64_t i = 0; i < ROWS; i++) {
        (void)leaf_of(path, root, paging, i * STEP, bytes);
        struct nlsh__sqlite_chain chain = nlsh__sqlite_page_overflow(bytes, paging, i * STEP);
        if (chain.n < 2) continue;
        char *sql =
            sqlite3_mprintf("SELECT b.pageno FROM pages AS a, pages AS b WHERE a.pageno = %u AND "
                            "b.path = replace(a.path, '+000000', '+000001')",
                            chain.first);
        sqlite3_int64 next = sql_number(db, sql), up = next - (sqlite3_int64)chain.first;
        sqlite3_free(sql);
        right += up == chain.step || (chain.step == 0 && (up == 1 || up == -1));
        n++;
    }
    free(bytes);
    assert_true(n > 50);
    return right / n;
}

static void test_where_chains_go_is_guessed(void **state)
{
    (void)state;
    const char *path = scratch_path("guess.db");
    sqlite3 *db = make(path, 4096);
    if (strncmp(sql_rows(db, "SELECT count(*) FROM dbstat"), "error", 5) == 0) {
        sql_close(db);
        skip(); /* this SQLite has no dbstat */
    }
    assert_true(guessed(db, path) > .9);
    /* all of it once more, in the pages that were freed, as a second 'train' does */
    sql_run(db, "BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM t_chunks; DELETE FROM t_chunks; "
                "INSERT INTO t_chunks SELECT * FROM kept; COMMIT");
    assert_true(guessed(db, path) > .7);
    sql_close(db);
}

/* No byte outside the page is read: the sanitizer would say so. */
static void test_any_bytes_are_borne(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 31);
    for (size_t turn = 0; turn < 200000; turn++) {
        size_t size = (size_t)512 << nlsh__rng_below(&rng, 2);
        const struct nlsh__sqlite_paging paging = {(uint32_t)size,
                                                   (uint32_t)(size - nlsh__rng_below(&rng, 256))};
        uint8_t *bytes = malloc(size);
        assert_non_null(bytes);
        for (size_t i = 0; i < size; i += 8) {
            uint64_t value = nlsh__rng_u64(&rng);
            memcpy(bytes + i, &value, 8);
        }
        bytes[0] = nlsh__rng_below(&rng, 2) ? 5 : 13;
        if (nlsh__rng_below(&rng, 2)) bytes[3] = 0;
        struct nlsh__sqlite_chain chain =
            nlsh__sqlite_page_overflow(bytes, paging, (int64_t)nlsh__rng_u64(&rng));
        assert_true(chain.n <= INT32_MAX / 400);
        (void)nlsh__sqlite_page_below(bytes, paging, (int64_t)nlsh__rng_u64(&rng));
        free(bytes);
    }
}

/* How many pages of a file are in the system's memory. */
static size_t resident(const char *path)
{
    struct stat found;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
    int file = open(path, O_RDONLY);
    assert_int_equal(fstat(file, &found), 0);
    size_t pages = ((size_t)found.st_size + page - 1) / page;
    unsigned char *is_there = calloc(pages, 1);
    void *map = mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_SHARED, file, 0);
    assert_true(map != MAP_FAILED && is_there != NULL);
    assert_int_equal(mincore(map, (size_t)found.st_size, is_there), 0);
    for (size_t i = 0; i < pages; i++) n += is_there[i] & 1;
    munmap(map, (size_t)found.st_size);
    free(is_there);
    close(file);
    return n;
}

static void drop(const char *path)
{
    int file = open(path, O_RDONLY);
    (void)fsync(file);
    (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    close(file);
}

static void test_pages_come_into_memory(void **state)
{
    (void)state;
    const char *path = scratch_path("ahead.db");
    sqlite3 *db = make(path, 4096);
    struct nlsh__sqlite_table table = {.db = db, .schema = (char *)"main", .name = (char *)"t"};
    sqlite3_int64 rowids[] = {170 * STEP, 120 * STEP, 100 * STEP};
    drop(path);
    size_t before = resident(path);
    nlsh__sqlite_ahead_begin(&table);
    if (!table.ahead.is_on) skip(); /* no such system */
    nlsh__sqlite_ahead_rows(&table, NLSH__SQL_AHEAD_CHUNKS, rowids, 3, 1);
    assert_true(table.ahead.n_looked >= 4);
    size_t missing = table.ahead.n_missing, wanted = 100 * 100 / 4096 + 120 * 120 / 4096;
    nlsh__sqlite_ahead_end(&table);
    if (missing > 0) { /* where the folder is on a disk */
        size_t after = 0;
        for (int wait = 0; wait < 200 && after < before + wanted; wait++) {
            after = resident(path);
            usleep(10000);
        }
        assert_true(after >= before + wanted);
        assert_int_equal(table.ahead.left, 0);
    }
    /* where all is there, the next searches do not look */
    for (int turn = 0; turn < 8; turn++) {
        (void)sql_rows(db, "SELECT sum(length(data)) FROM t_chunks");
        nlsh__sqlite_ahead_begin(&table);
        nlsh__sqlite_ahead_rows(&table, NLSH__SQL_AHEAD_CHUNKS, rowids, 3, 1);
        nlsh__sqlite_ahead_end(&table);
    }
    assert_true(table.ahead.pause >= 3);
    assert_true(table.ahead.left <= table.ahead.pause);
    nlsh__sqlite_finalize(&table);
    sql_close(db);
}

/* What is no file of this system goes without. */
static void test_no_file(void **state)
{
    (void)state;
    sqlite3 *db = make(":memory:", 4096);
    struct nlsh__sqlite_table table = {.db = db, .schema = (char *)"main", .name = (char *)"t"};
    sqlite3_int64 rowid = 100 * STEP;
    nlsh__sqlite_ahead_begin(&table);
    assert_int_equal(table.ahead.is_on, 0);
    nlsh__sqlite_ahead_rows(&table, NLSH__SQL_AHEAD_CHUNKS, &rowid, 1, 1);
    nlsh__sqlite_ahead_end(&table);
    assert_int_equal(table.ahead.n_looked, 0);
    nlsh__sqlite_finalize(&table);
    sql_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_are_those_of_sqlite),
        cmocka_unit_test(test_where_chains_go_is_guessed),
        cmocka_unit_test(test_any_bytes_are_borne),
        cmocka_unit_test(test_pages_come_into_memory),
        cmocka_unit_test(test_no_file),
    };
    scratch_make();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove();
    return n_failed;
}
