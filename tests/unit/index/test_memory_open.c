/*
 * test_memory_open.c - an index that lies in memory: borrowed or copied as it is asked for, at any
 * address, and damaged or cut short as a file may be.
 */
#include "support/counting.h"
#include "written.h"

static const enum nlsh_memory modes[] = {NLSH_MEMORY_MAP, NLSH_MEMORY_CODES, NLSH_MEMORY_ALL};

static enum nlsh_status open_bytes(const void *bytes, size_t size, enum nlsh_memory memory,
                                   struct nlsh_index **index, struct nlsh_error *error)
{
    struct nlsh_open_options how;
    nlsh_open_options_init(&how, sizeof how);
    how.memory = memory;
    *index = (void *)1;
    nlsh__error_clear(error);
    enum nlsh_status status = nlsh_index_open_memory(bytes, size, "the bytes", &how, index, error);
    assert_int_equal(error->status, status);
    if (status != NLSH_OK) {
        assert_null(*index);
        assert_true(error->hint[0] != '\0');
    }
    return status;
}

/* What an index answers, as one number, from a file. */
static uint64_t use_file(const uint8_t *bytes, size_t size)
{
    const char *path = scratch_path("file.nlsh");
    struct nlsh_index *index;
    spit(path, bytes, size);
    assert_int_equal(nlsh_index_open(path, NULL, &index, NULL), NLSH_OK);
    uint64_t used = sample_use(index);
    nlsh_index_close(index);
    return used;
}

/* Where what is no vector is read: in the caller's bytes, or in memory of the index's own. */
static void check_places(const struct nlsh_index *index, const uint8_t *lent, size_t size,
                         enum nlsh_memory memory)
{
    const struct nlsh__segment *s = &index->segments[0];
    const void *const at[] = {s->bucket_offsets, s->rows, s->codes->mean, s->codes->rows.values};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        const uint8_t *p = at[i];
        assert_int_equal(p >= lent && p < lent + size, memory == NLSH_MEMORY_MAP);
    }
}

/* A file is mapped, or all of it but the vectors copied, or all of it. */
static void a_file_is_read_as_it_is_asked_for(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes;
    const char *path = scratch_path("modes.nlsh");
    sample_make(&sample, NLSH_U8);
    const struct nlsh__section_data meta = sample.sections[0]; /* the first is copied, too */
    sample.sections[0] = sample.sections[2];
    sample.sections[2] = meta;
    bytes = sample_bytes(&size);
    spit(path, bytes, size);
    uint64_t want = use_file(bytes, size);
    for (int m = 0; m < 3; m++) {
        struct nlsh_open_options how;
        struct nlsh_index *index;
        nlsh_open_options_init(&how, sizeof how);
        how.memory = modes[m];
        assert_int_equal(nlsh_index_open(path, &how, &index, NULL), NLSH_OK);
        assert_int_equal(index->resident.data != NULL, modes[m] == NLSH_MEMORY_CODES);
        check_places(index, index->map.data, index->map.size,
                     modes[m] == NLSH_MEMORY_ALL ? NLSH_MEMORY_MAP : modes[m]);
        assert_true(sample_use(index) == want);
        nlsh_index_close(index);
    }
    free(bytes);
}

static void every_mode_answers_alike(void **state)
{
    (void)state;
    for (int source = NLSH_U8; source <= NLSH_F32; source++) {
        size_t size;
        struct nlsh_error error;
        struct nlsh_index *index;
        uint8_t *bytes = written((enum nlsh_type)source, &size);
        uint64_t want = use_file(bytes, size);
        for (int m = 0; m < 3; m++) {
            const struct nlsh__map map = sample_copy(bytes, size);
            uint8_t *lent = (uint8_t *)(uintptr_t)map.data;
            if (open_bytes(lent, size, modes[m], &index, &error) != NLSH_OK)
                fail_msg("%s", error.message);
            struct nlsh_index_info info = {.struct_size = sizeof info};
            assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
            assert_int_equal(info.size_bytes, size);
            assert_true(sample_use(index) == want);
            int inside = (const uint8_t *)index->segments[0].vectors >= lent &&
                         (const uint8_t *)index->segments[0].vectors < lent + size;
            assert_int_equal(inside, modes[m] != NLSH_MEMORY_ALL);
            assert_int_equal(index->resident.data != NULL, modes[m] == NLSH_MEMORY_CODES);
            check_places(index, lent, size, modes[m]);
            if (modes[m] == NLSH_MEMORY_ALL) memset(lent, 0xee, size); /* it has a copy */
            if (modes[m] == NLSH_MEMORY_ALL) assert_true(sample_use(index) == want);
            nlsh_index_close(index);
            free(lent); /* the caller's own in every mode: ASan sees it freed twice */
        }
        free(bytes);
    }
}

static void at_any_address(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_F32, &size), *room;
    uint64_t want = use_file(bytes, size);
    for (size_t shift = 0; shift < 64; shift++) {
        assert_int_equal(posix_memalign((void **)&room, 64, size + shift), 0);
        memcpy(room + shift, bytes, size);
        for (int m = 0; m < 3; m++) {
            struct nlsh_error error;
            struct nlsh_index *index;
            enum nlsh_status status = open_bytes(room + shift, size, modes[m], &index, &error);
            int lawful = shift == 0 || modes[m] == NLSH_MEMORY_ALL;
            assert_int_equal(status, lawful ? NLSH_OK : NLSH_E_ARG);
            if (!lawful) {
                assert_non_null(strstr(error.message, "the bytes"));
                assert_non_null(strstr(error.message, "aligned"));
                assert_non_null(strstr(error.hint, "64"));
                continue;
            }
            assert_true(sample_use(index) == want);
            nlsh_index_close(index);
        }
        free(room);
    }
    free(bytes);
}

/* Of just its size at every length, so that ASan sees a byte that is read behind it. */
static void cut_at_every_length(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    for (size_t n = 0; n < size; n++)
        for (int m = 0; m < 3; m++) {
            struct nlsh_error error;
            struct nlsh_index *index;
            void *cut;
            assert_int_equal(posix_memalign(&cut, 64, n > 0 ? n : 1), 0);
            memcpy(cut, bytes, n);
            if (open_bytes(cut, n, modes[m], &index, &error) != NLSH_E_DATA)
                fail_msg("%zu of %zu bytes: %s", n, size, error.message);
            assert_non_null(strstr(error.message, "the bytes"));
            free(cut);
        }
    free(bytes);
}

/* Wherever open_memory opens a damaged index, open() would, and what it then says is harmless. */
static void damage_is_what_it_is_in_a_file(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_F32, &size);
    for (size_t i = 0; i < size; i += 3) {
        bytes[i] ^= 0x41;
        const struct nlsh__map map = sample_copy(bytes, size);
        struct nlsh_error error, other;
        struct nlsh_index *index;
        enum nlsh_status status = NLSH_OK;
        for (int m = 0; m < 3; m++) {
            enum nlsh_status now =
                open_bytes(map.data, size, modes[m], &index, m == 0 ? &error : &other);
            if (m == 0) status = now;
            assert_int_equal(now, status);
            if (now == NLSH_OK) sample_use(index);
            if (now != NLSH_OK && m > 0) assert_string_equal(error.message, other.message);
            nlsh_index_close(index);
        }
        free((void *)(uintptr_t)map.data);
        bytes[i] ^= 0x41;
    }
    free(bytes);
}

static void arguments(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    const struct nlsh__map map = sample_copy(bytes, size);
    struct nlsh_error error;
    struct nlsh_index *index = (void *)1;
    assert_int_equal(nlsh_index_open_memory(NULL, size, "x", NULL, &index, &error), NLSH_E_ARG);
    assert_null(index);
    assert_int_equal(nlsh_index_open_memory(map.data, size, NULL, NULL, &index, &error),
                     NLSH_E_ARG);
    assert_int_equal(nlsh_index_open_memory(map.data, size, "x", NULL, NULL, &error), NLSH_E_ARG);
    struct nlsh_open_options how;
    nlsh_open_options_init(&how, sizeof how);
    how.memory = (enum nlsh_memory)3;
    assert_int_equal(nlsh_index_open_memory(map.data, size, "x", &how, &index, &error), NLSH_E_ARG);
    how.struct_size = 0;
    assert_int_equal(nlsh_index_open_memory(map.data, size, "x", &how, &index, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "nlsh_open_options"));
    char name[] = "a name"; /* copied */
    assert_int_equal(nlsh_index_open_memory(map.data, size, name, NULL, &index, NULL), NLSH_OK);
    memset(name, 'x', sizeof name - 1);
    assert_string_equal(index->path, "a name");
    nlsh_index_close(index);
    free((void *)(uintptr_t)map.data);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_answers_alike),
        cmocka_unit_test(a_file_is_read_as_it_is_asked_for),
        cmocka_unit_test(at_any_address),
        cmocka_unit_test(cut_at_every_length),
        cmocka_unit_test(damage_is_what_it_is_in_a_file),
        cmocka_unit_test(arguments),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("index/memory_open", tests, setup, teardown));
}
