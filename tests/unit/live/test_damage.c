/*
 * test_damage.c - logs that are not what was written. A byte that was durable and is another is found, with its
 * place, and what is before it counts; an end that is torn is no damage; what is no log of this index is refused with
 * words; what a hostile writer says never ends the program.
 */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "support/forge_log.h"
#include "support/live.h"

enum { RECORDS = 14 };

static struct nlsh_matrix pool;
static char path[512], log_path[600];

/* A base, a log of RECORDS records, and what there is after each. Behind them a writer that closes says that they are
 * durable: sealed bytes in all. One that is killed does not. */
static struct {
    uint8_t *base, *log;
    size_t base_size, log_size, sealed;
    struct model after[RECORDS + 1];
    size_t ends[RECORDS + 1]; /* bytes of the log then */
} was;

static size_t size_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(name, &st), 0);
    return (size_t)st.st_size;
}

static int set_up(void **state)
{
    struct nlsh_build_options o;
    struct nlsh_matrix base;
    struct nlsh__rng rng;
    struct nlsh_error error;
    (void)state;
    test_rng(&rng, 5);
    snprintf(path, sizeof path, "%s", test_path("damage"));
    snprintf(log_path, sizeof log_path, "%s", log_path_of(path));
    pool = matrix_new(KIND_U8, LIVE_POOL, LIVE_DIM, 10, 12, 7);
    for (size_t i = 0; i <= RECORDS; i++) model_init(&was.after[i]);
    base_of(&pool, NULL, &was.after[0], &base);
    small_options(&o, LIVE_BUCKETS);
    nlsh_index_close(built_index(&base, &o, "damage"));
    was.base = test_read_file(path, &was.base_size);
    struct nlsh_writer *w = writer_opened(path, NULL);
    was.ends[0] = size_of(log_path);
    for (size_t i = 1; i <= RECORDS; i++) {
        struct change c;
        size_t deleted;
        model_copy(&was.after[i], &was.after[i - 1]);
        do draw_change(&rng, &was.after[i], &c);
        while (c.n > 5);
        c.keys[0] = was.after[i].keys[i]; /* a deletion finds one at least */
        if (writer_change(w, &pool, &c, &deleted, &error) != NLSH_OK) fail_msg("%s", error.message);
        (void)model_change(&was.after[i], &c);
        was.ends[i] = size_of(log_path);
        assert_true(was.ends[i] > was.ends[i - 1]);
    }
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    was.log = test_read_file(log_path, &was.sealed);
    was.log_size = was.ends[RECORDS];
    assert_int_equal(was.sealed, was.log_size + 128);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i <= RECORDS; i++) model_free(&was.after[i]);
    matrix_free(&pool);
    free(was.base);
    free(was.log);
    return 0;
}

/* Base and log as they were, but for what a test did to the log. */
static void put_back(const uint8_t *log, size_t size)
{
    test_write_file(path, was.base, was.base_size);
    (void)unlink(log_path);
    test_write_file(log_path, log, size);
}

static void refused(enum nlsh_status wanted, const char *words)
{
    struct nlsh_index *index = (void *)1;
    struct nlsh_error error;
    enum nlsh_status status = nlsh_index_open(path, NULL, &index, &error);
    assert_null(index);
    if (status != wanted || strstr(error.message, words) == NULL || error.hint[0] == '\0' ||
        strstr(error.message, "damage-log") == NULL)
        fail_msg("status %d: %s (%s)", (int)status, error.message, error.hint);
    struct nlsh_writer *w = (void *)1;
    status = nlsh_writer_open(path, NULL, &w, &error);
    assert_null(w);
    if (status == NLSH_OK || error.message[0] == '\0' || error.hint[0] == '\0' ||
        strstr(error.message, "damage-log") == NULL)
        fail_msg("status %d: %s (%s)", (int)status, error.message, error.hint);
}

static void goes_on(struct model *m)
{
    struct nlsh_error error;
    const uint64_t keys[] = {7, 123456};
    const uint32_t of[] = {10, 11};
    struct nlsh_matrix rows = pool_rows(&pool, of, 2);
    struct nlsh_writer *w = writer_opened(path, NULL);
    assert_int_equal(nlsh_writer_put(w, keys, &rows, NULL), NLSH_OK);
    assert_int_equal(nlsh_writer_close(w, NULL), NLSH_OK);
    for (size_t i = 0; i < 2; i++) model_put(m, keys[i], of[i]);
    struct nlsh_index *index = index_opened(path);
    check_holds(m, index, &pool);
    assert_int_equal(index->log_now.left, 0);
    nlsh_index_close(index);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    matrix_free(&rows);
}

static void mended(const struct model *m)
{
    struct nlsh_compact_options o;
    struct nlsh_error error;
    nlsh_compact_options_init(&o, sizeof o);
    assert_int_equal(nlsh_compact(path, &o, NULL, NULL, &error), NLSH_E_DATA);
    o.drop_damaged = 1;
    if (nlsh_compact(path, &o, NULL, NULL, &error) != NLSH_OK) fail_msg("%s", error.message);
    struct nlsh_index *index = index_opened(path);
    check_holds(m, index, &pool);
    assert_int_equal(index->log_now.left, 0);
    nlsh_index_close(index);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
}

/* ---- damage ---------------------------------------------------------------------------------- */

/* Damage in record i, from 0: what is before it counts. */
static void check_damaged(size_t i, size_t size, int mend)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_error error;
    struct nlsh_writer *w;
    char place[32];
    struct nlsh_index *index = index_opened(path);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    assert_int_equal(info.log_damaged, 1);
    assert_int_equal(info.log_bytes, was.ends[i]);
    assert_int_equal(info.log_left, size - was.ends[i]);
    check_holds(&was.after[i], index, &pool);
    nlsh_index_close(index);
    snprintf(place, sizeof place, "byte %zu", was.ends[i]);
    assert_int_equal(nlsh_index_verify(path, &error), NLSH_E_DATA);
    if (strstr(error.message, place) == NULL) fail_msg("%s", error.message);
    assert_int_equal(nlsh_writer_open(path, NULL, &w, &error), NLSH_E_DATA);
    if (strstr(error.message, place) == NULL) fail_msg("%s", error.message);
    assert_int_equal(size_of(log_path), size);
    if (mend) mended(&was.after[i]);
}

static void every_byte_that_was_durable_is_missed(void **state)
{
    uint8_t *log = malloc(was.sealed);
    size_t i = 0, n = 0;
    (void)state;
    memcpy(log, was.log, was.sealed);
    for (size_t at = was.ends[0]; at < was.ends[RECORDS]; at++) {
        while (at >= was.ends[i + 1]) i++;
        log[at] ^= (uint8_t)(1u << at % 8);
        if (at % 3 == 0 || at - was.ends[i] < 64) {
            put_back(log, was.sealed);
            check_damaged(i, was.sealed, n++ % 100 == 0);
        }
        log[at] = was.log[at];
    }
    /* a block of zeros, as a disk gives that lost one */
    for (size_t at = 512; at + 512 < was.ends[RECORDS]; at += 512) {
        memset(log + at, 0, 512);
        put_back(log, was.sealed);
        for (i = 0; was.ends[i + 1] <= at;) i++;
        check_damaged(i, was.sealed, 0);
        memcpy(log + at, was.log + at, 512);
    }
    free(log);
}

static void what_is_whole_behind_damage_is_named(void **state)
{
    uint8_t *log = malloc(was.sealed);
    struct nlsh_error error;
    char place[96];
    (void)state;
    memcpy(log, was.log, was.sealed);
    log[was.ends[2] + 70] ^= 1; /* in the third record */
    log[was.ends[3] + 8] ^= 1;
    put_back(log, was.sealed);
    assert_int_equal(nlsh_index_verify(path, &error), NLSH_E_DATA);
    snprintf(place, sizeof place, "damaged at byte %zu, in record 3: %zu bytes", was.ends[2],
             was.sealed - was.ends[2]);
    if (strstr(error.message, place) == NULL) fail_msg("%s, not %s", error.message, place);
    snprintf(place, sizeof place, "record 5, at byte %zu, is whole again", was.ends[4]);
    if (strstr(error.message, place) == NULL) fail_msg("%s, not %s", error.message, place);
    free(log);
}

static void a_changed_header_is_refused(void **state)
{
    uint8_t *log = malloc(was.log_size);
    struct nlsh_error error;
    (void)state;
    memcpy(log, was.log, was.log_size);
    for (size_t at = 0; at < 64; at++) {
        log[at] ^= 0x10;
        put_back(log, was.log_size);
        refused(NLSH_E_DATA, at < 8 ? "not a log's" : "header is damaged");
        assert_int_equal(nlsh_index_verify(path, &error), NLSH_E_DATA);
        log[at] = was.log[at];
    }
    /* a header of zeros with records behind it was whole once */
    memset(log, 0, 64);
    put_back(log, was.log_size);
    refused(NLSH_E_DATA, "not a log's");
    free(log);
}

/* ---- an end that is torn ----------------------------------------------------------------------- */

static void a_torn_end_is_no_damage(void **state)
{
    struct model m;
    size_t i = 0;
    (void)state;
    model_init(&m);
    for (size_t size = 0; size <= was.log_size; size += size < 130 ? 1 : 7) {
        struct nlsh_index_info info = {.struct_size = sizeof info};
        put_back(was.log, size);
        while (i < RECORDS && size >= was.ends[i + 1]) i++;
        struct nlsh_index *index = index_opened(path);
        assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
        assert_int_equal(info.log_damaged, 0);
        assert_int_equal(info.log_bytes, size < 64 ? 0 : was.ends[i]);
        assert_int_equal(info.log_left, size < 64 ? 0 : size - was.ends[i]);
        check_holds(&was.after[i], index, &pool);
        nlsh_index_close(index);
        model_copy(&m, &was.after[i]);
        assert_int_equal(nlsh_index_verify(path, NULL), NLSH_OK);
        if (size < 66 || size % 5 == 0) goes_on(&m);
    }
    /* the last record, changed, and no writer closed behind it: nobody can say that it was whole */
    uint8_t *log = malloc(was.log_size);
    memcpy(log, was.log, was.log_size);
    log[was.log_size - 1] ^= 1;
    put_back(log, was.log_size);
    model_copy(&m, &was.after[RECORDS - 1]);
    goes_on(&m);
    free(log);
    /* what a writer says as it closes, changed or torn: with it nothing is lost */
    log = malloc(was.sealed);
    memcpy(log, was.log, was.sealed);
    log[was.sealed - 20] ^= 1;
    for (size_t size = was.log_size + 1; size <= was.sealed; size++) {
        put_back(log, size);
        struct nlsh_index *index = index_opened(path);
        check_holds(&was.after[RECORDS], index, &pool);
        assert_int_equal(index->log_now.damaged, 0);
        nlsh_index_close(index);
    }
    free(log);
    model_free(&m);
}

/* Who opens a log and closes it leaves one seal, be there one before or none; a record takes its place. */
static void a_log_has_one_seal(void **state)
{
    size_t size;
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        put_back(was.log, sealed ? was.sealed : was.log_size);
        for (int i = 0; i < 2; i++)
            assert_int_equal(nlsh_writer_close(writer_opened(path, NULL), NULL), NLSH_OK);
        uint8_t *log = test_read_file(log_path, &size);
        assert_int_equal(size, was.sealed);
        assert_memory_equal(log, was.log, size);
        struct nlsh_index *index = index_opened(path);
        assert_int_equal(index->log_now.bytes, was.log_size);
        assert_int_equal(index->log_now.left, 0);
        nlsh_index_close(index);
        free(log);
    }
    /* one that a reader did not know of, and wrote behind, is a record like any other */
    uint8_t *log = malloc(2 * was.sealed);
    memcpy(log, was.log, was.sealed);
    memcpy(log + was.sealed, was.log + was.log_size, 128);
    assert_int_equal(forge_log_seal(log, was.sealed + 128), was.sealed + 128);
    put_back(log, was.sealed + 128);
    struct nlsh_index *index = index_opened(path);
    check_holds(&was.after[RECORDS], index, &pool);
    assert_int_equal(index->log_now.bytes, was.sealed);
    assert_int_equal(index->log_now.left, 0);
    nlsh_index_close(index);
    free(log);
}

/* ---- what is no log of this index --------------------------------------------------------------- */

static void what_is_no_log_of_the_index_is_refused(void **state)
{
    uint8_t noise[300];
    struct nlsh__rng rng;
    struct nlsh__log_header h;
    (void)state;
    test_rng(&rng, 6);
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (uint8_t)nlsh__rng_u64(&rng);
    put_back(noise, sizeof noise);
    refused(NLSH_E_DATA, "not a log's");
    uint8_t *log = malloc(was.log_size);
    memcpy(log, was.log, was.log_size);
    memcpy(&h, log, sizeof h);
    h.index++;
    memcpy(log, &h, sizeof h);
    forge_log_seal(log, was.log_size);
    put_back(log, was.log_size);
    refused(NLSH_E_MISMATCH, "another index");
    h.index--;
    h.row_bytes++;
    memcpy(log, &h, sizeof h);
    forge_log_seal(log, was.log_size);
    put_back(log, was.log_size);
    refused(NLSH_E_MISMATCH, "another index");
    h.row_bytes--;
    h.version = h.oldest_reader = 2;
    memcpy(log, &h, sizeof h);
    forge_log_seal(log, was.log_size);
    put_back(log, was.log_size);
    refused(NLSH_E_UNSUPPORTED, "newer");
    h.oldest_reader = 1; /* we may read it */
    memcpy(log, &h, sizeof h);
    forge_log_seal(log, was.log_size);
    put_back(log, was.log_size);
    struct nlsh_index *index = index_opened(path);
    check_holds(&was.after[RECORDS], index, &pool);
    nlsh_index_close(index);
    free(log);
}

static void what_is_no_file_is_refused(void **state)
{
    char other[600];
    struct nlsh_error error;
    struct nlsh_writer *w;
    (void)state;
    put_back(was.log, was.log_size);
    assert_int_equal(unlink(log_path), 0);
    assert_int_equal(mkdir(log_path, 0777), 0);
    refused(NLSH_E_NO_INPUT, "regular file");
    assert_int_equal(rmdir(log_path), 0);
    assert_int_equal(mkfifo(log_path, 0666), 0);
    refused(NLSH_E_NO_INPUT, "regular file");
    assert_int_equal(nlsh_index_verify(path, &error), NLSH_E_NO_INPUT);
    assert_int_equal(unlink(log_path), 0);
    /* Who reads follows a link; who writes would write somewhere else. */
    snprintf(other, sizeof other, "%s", test_path("elsewhere"));
    test_write_file(other, was.log, was.log_size);
    assert_int_equal(symlink(other, log_path), 0);
    struct nlsh_index *index = index_opened(path);
    check_holds(&was.after[RECORDS], index, &pool);
    nlsh_index_close(index);
    assert_int_equal(nlsh_writer_open(path, NULL, &w, &error), NLSH_E_CANT_CREATE);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(nlsh_writer_open(path, NULL, &w, &error), NLSH_E_CANT_CREATE);
    assert_int_equal(unlink(log_path), 0);
    if (geteuid() == 0) return; /* who may read everything */
    put_back(was.log, was.log_size);
    assert_int_equal(chmod(log_path, 0), 0);
    refused(NLSH_E_NO_INPUT, "ermission");
    assert_int_equal(chmod(log_path, 0666), 0);
}

/* ---- what a hostile writer says ------------------------------------------------------------------ */

/* The record that is a put, and its rows. */
static struct nlsh__record_header *put_in(uint8_t *log, struct nlsh__log_rows *rows, size_t *record)
{
    const struct nlsh__row_form form = {
        LIVE_DIM, ((const struct nlsh__log_header *)(const void *)log)->code_bytes};
    for (size_t i = 3; i < RECORDS - 1; i++) {
        struct nlsh__record_header *h = (void *)(log + was.ends[i]);
        if (h->kind != NLSH__RECORD_PUT) continue;
        nlsh__rows_in(&form, (size_t)h->n, h + 1, rows);
        *record = i;
        return h;
    }
    fail();
    return NULL;
}

static void a_hostile_log_ends_where_it_cannot_be(void **state)
{
    (void)state;
    for (int way = 0; way < 12; way++) {
        uint8_t *log = aligned_alloc(64, was.log_size);
        struct nlsh__log_rows rows = {.n = 0};
        size_t i = 0;
        memcpy(log, was.log, was.log_size);
        struct nlsh__record_header *h = put_in(log, &rows, &i);
        switch (way) {
        case 0: rows.buckets[h->n - 1] = LIVE_BUCKETS; break;
        case 1: rows.buckets[0] = UINT32_MAX; break;
        case 2: rows.keys[0] = NLSH_NO_KEY; break;
        case 3: h->n = 0; break;
        case 4: h->n = UINT64_MAX; break;
        case 5: h->n = (uint64_t)1 << 40; break;
        case 6: h->size = UINT64_MAX - 63; break;
        case 7: h->size += 64; break;
        case 8: h->kind = 77; break;
        /* more than a record holds, and nothing of it: as long as what cannot be */
        case 9:
        case 10:
            h->kind = way == 9 ? NLSH__RECORD_PUT : NLSH__RECORD_DELETE;
            h->n = (uint64_t)1 << 29;
            h->size = 0;
            break;
        case 11:
            h->kind = 77;
            h->size = 0;
            break;
        default: break;
        }
        size_t sealed = forge_log_seal(log, was.log_size);
        put_back(log, was.log_size);
        struct nlsh_index *index = index_opened(path);
        check_holds(&was.after[i], index, &pool);
        assert_int_equal(index->log_now.bytes, was.ends[i]);
        /* what follows it knows that it was durable */
        if (sealed == was.log_size && way < 3) assert_int_equal(index->log_now.damaged, 1);
        nlsh_index_close(index);
        free(log);
    }
}

/* Headers that each claim all the rest of the log, one every 64 bytes; all checksums but the log's are wrong. Of the
 * first record a byte is wrong, so they all are behind it. */
static void a_log_of_nested_headers_is_opened_in_linear_time(void **state)
{
    size_t size = (size_t)8 << 20, at = was.ends[1];
    uint8_t *log = calloc(size, 1);
    (void)state;
    assert_non_null(log);
    memcpy(log, was.log, was.ends[1]);
    struct nlsh__record_header first;
    memcpy(&first, log + was.ends[0], sizeof first);
    for (at += 64; at + 128 <= size; at += 64) {
        struct nlsh__record_header h = first;
        h.kind = NLSH__RECORD_DELETE;
        h.size = size - at - 64;
        h.n = h.size / 8;
        h.number = 3 + at / 64;
        h.durable = size;
        memcpy(log + at, &h, sizeof h);
    }
    put_back(log, size);
    clock_t begin = clock();
    struct nlsh_index *index = index_opened(path);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    /* .01 s; with each header's bytes looked at they would be 5e11 bytes */
    if (seconds > 3) fail_msg("%g s", seconds);
    check_holds(&was.after[1], index, &pool);
    assert_int_equal(index->log_now.damaged,
                     1); /* no interrupted write leaves this: nothing may be cut off */
    nlsh_index_close(index);
    free(log);
}

/* Every other record puts one key, which has a row already, and every other deletes it: a hundred thousand in all. */
static void a_log_of_one_key_put_and_deleted_is_opened_in_linear_time(void **state)
{
    enum { MANY = 100000 };
    const struct nlsh__row_form form = {
        LIVE_DIM, ((const struct nlsh__log_header *)(const void *)was.log)->code_bytes};
    const size_t sizes[] = {nlsh__put_size(&form, 1), nlsh__delete_size(1)};
    size_t at = 64;
    uint8_t *log = calloc(64 + MANY * (64 + sizes[0]), 1);
    (void)state;
    assert_true(log != NULL && sizes[1] <= sizes[0]);
    memcpy(log, was.log, 64);
    for (size_t i = 0; i < MANY; i++) {
        struct nlsh__record_header *h = (void *)(log + at);
        uint64_t *keys = (void *)(h + 1); /* a put's keys come first, too */
        h->kind = i % 2 == 0 ? NLSH__RECORD_PUT : NLSH__RECORD_DELETE;
        h->size = sizes[i % 2];
        h->n = 1;
        keys[0] = 5;
        at += 64 + (size_t)h->size;
    }
    assert_int_equal(forge_log_seal(log, at), at);
    put_back(log, at);
    clock_t begin = clock();
    struct nlsh_index *index = index_opened(path);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    /* .04 s; a million take .5 s. An emulator takes 1 to 5 s, as busy as the machine is. */
    if (seconds > (getenv("NLSH_EMULATOR") != NULL ? 30 : 2)) fail_msg("%g s", seconds);
    assert_int_equal(index->log_now.rows, MANY / 2);
    assert_int_equal(index->n_deleted, MANY / 2 + 1);
    nlsh_index_close(index);
    free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_that_was_durable_is_missed),
        cmocka_unit_test(what_is_whole_behind_damage_is_named),
        cmocka_unit_test(a_changed_header_is_refused),
        cmocka_unit_test(a_torn_end_is_no_damage),
        cmocka_unit_test(a_log_has_one_seal),
        cmocka_unit_test(what_is_no_log_of_the_index_is_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(a_hostile_log_ends_where_it_cannot_be),
        cmocka_unit_test(a_log_of_nested_headers_is_opened_in_linear_time),
        cmocka_unit_test(a_log_of_one_key_put_and_deleted_is_opened_in_linear_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
