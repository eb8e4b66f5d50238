/*
 * test_index.c - the index file: what is written is read; any other byte is refused by verify and
 * harmless to open; a hostile file that keeps its checksums meets the checks behind them; a writer
 * that fails or dies leaves the target alone.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "router/router.h"
#include "support/sample_index.h"
#include "support/scratch.h"

/* ---- helpers ---------------------------------------------------------------------------------- */

static struct sample sample;

/* The sample's bytes as the writer makes them. */
static uint8_t *written(enum nlsh_type source, size_t *size)
{
    struct nlsh_error error;
    const char *path = scratch_path("written.nlsh");
    sample_make(&sample, source);
    if (nlsh__index_write(path, sample.sections, sample.n_sections, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    return slurp(path, size);
}

/* Both calls on these bytes: verify's status; open must agree, or open what it can be used for. */
static enum nlsh_status judge(const uint8_t *bytes, size_t size, struct nlsh_error *error)
{
    static const char name[] = "some/index.nlsh";
    const struct nlsh__map map = sample_copy(bytes, size);
    struct nlsh_index *index = (void *)1;
    struct nlsh_error other;
    nlsh__error_clear(&other);
    enum nlsh_status opened = nlsh__index_load(name, &map, 0, &index, &other);
    assert_int_equal(opened, other.status);
    if (opened == NLSH_OK) {
        volatile uint64_t sum = sample_use(index);
        (void)sum;
    } else {
        assert_null(index);
        assert_non_null(strstr(other.message, name));
        assert_true(other.hint[0] != '\0');
    }
    nlsh_index_close(index);

    nlsh__error_clear(error);
    enum nlsh_status status = nlsh__index_load(name, &map, 1, &index, error);
    assert_int_equal(status, error->status);
    nlsh_index_close(index);
    if (opened != NLSH_OK) assert_true(status != NLSH_OK);
    if (status != NLSH_OK) {
        assert_non_null(strstr(error->message, name));
        assert_true(error->hint[0] != '\0');
    }
    free((void *)(uintptr_t)map.data);
    return status;
}

static void expect(const uint8_t *bytes, size_t size, enum nlsh_status status, const char *words)
{
    struct nlsh_error error;
    enum nlsh_status got = judge(bytes, size, &error);
    if (got != status || strstr(error.message, words) == NULL)
        fail_msg("wanted %s (%s), got %s: %s", nlsh_status_name(status), words,
                 nlsh_status_name(got), error.message);
}

static struct nlsh__index_header *header_of(uint8_t *file)
{
    return (void *)file;
}

static struct nlsh__index_entry *entry_of(uint8_t *file, uint32_t id)
{
    struct nlsh__index_entry *e = (void *)(file + sizeof(struct nlsh__index_header));
    for (uint32_t i = 0; i < header_of(file)->n_sections; i++)
        if (e[i].id == id) return &e[i];
    fail_msg("no section %u", id);
    return NULL;
}

static void *section_of(uint8_t *file, uint32_t id)
{
    return file + entry_of(file, id)->offset;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size + 8192);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    memset(copy + size, 0, 8192);
    return copy;
}

/* ---- round trip ------------------------------------------------------------------------------- */

static void check_round_trip(enum nlsh_type source)
{
    size_t size;
    uint8_t *bytes = written(source, &size);
    const char *path = scratch_path("written.nlsh");
    struct nlsh_index *index;
    struct nlsh_index_info info;
    struct nlsh_error error = {.status = NLSH_E_DATA, .message = "left over"};
    assert_int_equal(nlsh_index_open(path, &index, &error), NLSH_OK);
    assert_int_equal(error.status, NLSH_OK);
    assert_int_equal(error.message[0], '\0');
    nlsh_index_info(index, &info);
    assert_int_equal(info.n_rows, SAMPLE_ROWS);
    assert_int_equal(info.dim, SAMPLE_DIM);
    assert_int_equal(info.type, source);
    assert_int_equal(info.n_buckets, SAMPLE_BUCKETS);
    assert_int_equal(info.bucket_min, 0);
    assert_int_equal(info.bucket_max, 14);
    assert_true(info.data_hash == sample.meta.data_hash);
    assert_true(info.router_weights > SAMPLE_BUCKETS);
    assert_int_equal(info.router_weights, nlsh__router_n_weights(index->router_view));
    assert_int_equal(info.size_bytes, size);
    assert_string_equal(info.settings, sample.settings);
    assert_true(info.disagreement == 0.125);
    assert_memory_equal(nlsh_index_bucket_offsets(index), sample.buckets, sizeof sample.buckets);
    assert_memory_equal(nlsh_index_ids(index), sample.ids, sizeof sample.ids);
    assert_memory_equal(index->vectors, sample.sections[4].data, sample.sections[4].size);
    assert_int_equal(index->n_calibration, SAMPLE_CALIBRATION);
    assert_memory_equal(index->calibration, sample.calibration, sizeof sample.calibration);
    assert_int_equal(index->codes_size, sizeof sample.codes);
    assert_memory_equal(index->codes, sample.codes, sizeof sample.codes);
    assert_int_equal(index->router_size, sample.router_size);
    assert_memory_equal(index->router, sample.router, sample.router_size);
    assert_int_equal((uintptr_t)index->router % 64, 0);

    /* The account of the file: in order, aligned, every section with what was written. */
    struct nlsh_section_info section;
    uint64_t end = 64 + 32 * sample.n_sections;
    for (size_t i = 0; i < sample.n_sections; i++) {
        assert_int_equal(nlsh_index_section(index, i, &section), 1);
        assert_int_equal(section.offset % 64, 0);
        assert_int_equal(section.offset, (end + 63) / 64 * 64);
        assert_int_equal(section.size_bytes, sample.sections[i].size);
        assert_memory_equal(bytes + section.offset, sample.sections[i].data, section.size_bytes);
        end = section.offset + section.size_bytes;
        assert_string_equal(section.name, nlsh__section_name(sample.sections[i].id));
    }
    assert_int_equal(end, size);
    assert_int_equal(nlsh_index_section(index, sample.n_sections, &section), 0);
    assert_int_equal(nlsh_index_section(index, SIZE_MAX, &section), 0);
    nlsh_index_close(index);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);

    size_t again_size;
    uint8_t *again = written(source, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(again);
    free(bytes);
}

static void test_round_trip(void **state)
{
    (void)state;
    check_round_trip(NLSH_U8);
    check_round_trip(NLSH_I8);
    check_round_trip(NLSH_F32);
}

/* Floats that were all bytes: the stored type is what callers see. */
static void test_narrowed_floats(void **state)
{
    (void)state;
    struct nlsh_index *index;
    struct nlsh_index_info info;
    const char *path = scratch_path("narrowed.nlsh");
    sample_make(&sample, NLSH_U8);
    sample.meta.source_type = NLSH_F32;
    assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_open(path, &index, NULL), NLSH_OK);
    nlsh_index_info(index, &info);
    assert_int_equal(info.type, NLSH_U8);
    nlsh_index_close(index);
}

static void test_smallest(void **state)
{
    (void)state;
    struct nlsh_index *index;
    struct nlsh_index_info info;
    struct nlsh_error error;
    const char *path = scratch_path("smallest.nlsh");
    sample_make(&sample, NLSH_U8);
    sample.meta.n_rows = sample.meta.dim = sample.meta.n_buckets = 1;
    sample.buckets[1] = 1;
    sample.sections[1] = (struct nlsh__section_data){NLSH__SECTION_SETTINGS, "", 1};
    sample.sections[2].size = 2 * sizeof(uint32_t);
    sample.sections[3].size = sizeof(uint32_t);
    sample.sections[4].size = 1;
    sample_router(&sample, 1, 1, 0);
    sample.sections[5].size = sample.router_size;
    sample.n_sections = 6;
    sample.meta.data_hash = nlsh_data_hash(&(struct nlsh_matrix){sample.bytes, 1, 1, NLSH_U8});
    assert_int_equal(nlsh__index_write(path, sample.sections, 6, &error), NLSH_OK);
    assert_int_equal(nlsh_index_verify(path, &error), NLSH_OK);
    assert_int_equal(nlsh_index_open(path, &index, &error), NLSH_OK);
    assert_null(index->calibration);
    assert_null(index->codes);
    nlsh_index_info(index, &info);
    assert_int_equal(info.bucket_min, 1);
    assert_int_equal(info.bucket_max, 1);
    nlsh_index_close(index);
}

/* Larger than every buffer on the way; empty sections anywhere, the last place too. */
static void test_large_and_empty_sections(void **state)
{
    (void)state;
    struct nlsh_error error;
    const char *path = scratch_path("large.nlsh");
    sample_make(&sample, NLSH_U8);
    size_t size = ((size_t)5 << 20) + 3;
    uint8_t *large = malloc(size);
    assert_non_null(large);
    for (size_t i = 0; i < size; i++) large[i] = (uint8_t)(i * 2654435761u >> 13);
    sample.sections[8] = (struct nlsh__section_data){(enum nlsh__section_id)1003, large, size};
    sample.sections[9] = (struct nlsh__section_data){(enum nlsh__section_id)1000, NULL, 0};
    sample.sections[10] = sample.sections[6]; /* calibration, last */
    sample.sections[6] = (struct nlsh__section_data){(enum nlsh__section_id)1001, NULL, 0};
    sample.sections[11] = (struct nlsh__section_data){(enum nlsh__section_id)1002, NULL, 0};
    if (nlsh__index_write(path, sample.sections, 12, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    size_t file_size;
    uint8_t *file = slurp(path, &file_size);
    const struct nlsh__index_entry *entry = entry_of(file, 1003);
    assert_memory_equal(file + entry->offset, large, size);
    file[entry->offset + size - 1] ^= 1;
    expect(file, file_size, NLSH_E_DATA, "section unknown");
    free(file);
    free(large);
}

/* ---- damage ----------------------------------------------------------------------------------- */

static void damage_every_byte(enum nlsh_type source)
{
    size_t size;
    uint8_t *bytes = written(source, &size);
    struct nlsh_error error;
    for (size_t i = 0; i < size; i++) {
        const uint8_t was = bytes[i];
        const uint8_t others[] = {was ^ 0x01, was ^ 0x80, (uint8_t)(was + 0x33)};
        for (int j = 0; j < 3; j++) {
            bytes[i] = others[j];
            if (judge(bytes, size, &error) == NLSH_OK)
                fail_msg("byte %zu of %zu: %02x instead of %02x was not found", i, size, bytes[i],
                         was);
        }
        bytes[i] = was;
    }
    assert_int_equal(judge(bytes, size, &error), NLSH_OK); /* else it all proved nothing */
    free(bytes);
}

static void test_every_byte(void **state)
{
    (void)state;
    damage_every_byte(NLSH_U8);
    damage_every_byte(NLSH_F32);
}

static void test_every_truncation(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    struct nlsh_error error;
    for (size_t n = 0; n < size; n++) {
        assert_int_equal(judge(bytes, n, &error), NLSH_E_DATA);
        if (n >= 64) assert_non_null(strstr(error.message, "cut short"));
        /* the same for one who mends the header: some section does not fit any more */
        uint8_t *mended = copy_of(bytes, n);
        if (n >= sizeof(struct nlsh__index_header)) {
            header_of(mended)->file_size = n;
            sample_seal(mended, n);
        }
        assert_int_equal(judge(mended, n, &error), NLSH_E_DATA);
        free(mended);
    }
    expect(bytes, 0, NLSH_E_DATA, "empty");
    free(bytes);
}

static void test_trailing_bytes(void **state)
{
    (void)state;
    static const size_t extra[] = {1, 7, 64, 4096};
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    for (int i = 0; i < 4; i++) {
        uint8_t *longer = copy_of(bytes, size);
        expect(longer, size + extra[i], NLSH_E_DATA, "before the file does");
        header_of(longer)->file_size = size + extra[i];
        sample_seal(longer, size + extra[i]);
        expect(longer, size + extra[i], NLSH_E_DATA, "behind the last section");
        free(longer);
    }
    free(bytes);
}

/* ---- hostile files: the checksums hold -------------------------------------------------------- */

static void test_hostile_header(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    static const struct {
        size_t offset, width;
        uint64_t value;
        enum nlsh_status status;
        const char *words;
    } attacks[] = {
        {8, 4, 0, NLSH_E_DATA, "contradicts itself"},
        {8, 4, 9, NLSH_OK, ""}, /* newer, but readable from version 1 on */
        {12, 4, 0, NLSH_E_DATA, "contradicts itself"},
        {12, 4, 2, NLSH_E_UNSUPPORTED, "newer nlsh"},
        {12, 4, UINT32_MAX, NLSH_E_UNSUPPORTED, "newer nlsh"},
        {16, 8, 0, NLSH_E_DATA, "before the file does"},
        {16, 8, UINT64_MAX, NLSH_E_DATA, "cut short"},
        {16, 8, (uint64_t)1 << 63, NLSH_E_DATA, "cut short"},
        {24, 4, 0, NLSH_E_DATA, "0 sections"},
        {24, 4, 257, NLSH_E_DATA, "257 sections"},
        {24, 4, UINT32_MAX, NLSH_E_DATA, "sections"},
        {24, 4, 1, NLSH_E_DATA, "behind the last section"},
        {24, 4, 8, NLSH_E_DATA, "behind the last section"}, /* codes forgotten */
        {28, 4, UINT32_MAX, NLSH_OK, ""},                   /* reserved: ignored */
        {48, 8, UINT64_MAX, NLSH_OK, ""},
    };
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        uint8_t *file = copy_of(bytes, size);
        memcpy(file + attacks[i].offset, &attacks[i].value, attacks[i].width);
        sample_seal(file, size);
        expect(file, size, attacks[i].status, attacks[i].words);
        free(file);
    }
    free(bytes);
}

/* Each field of each entry, to each of many values: nothing may crash, and a section may not lie
 * elsewhere than where the table's rules allow. */
static void test_hostile_table(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    struct nlsh_error error;
    for (size_t i = 0; i < sample.n_sections; i++) {
        struct nlsh__index_entry was;
        uint8_t *at = bytes + 64 + 32 * i;
        memcpy(&was, at, sizeof was);
        const uint64_t offsets[] = {0,
                                    1,
                                    63,
                                    64,
                                    128,
                                    was.offset - 64,
                                    was.offset + 1,
                                    was.offset + 64,
                                    was.offset + 32,
                                    size,
                                    size - 1,
                                    (size + 63) / 64 * 64,
                                    UINT32_MAX,
                                    (uint64_t)1 << 32,
                                    (uint64_t)1 << 63,
                                    UINT64_MAX,
                                    UINT64_MAX - 63,
                                    UINT64_MAX - was.size + 1,
                                    -was.size};
        for (size_t j = 0; j < sizeof offsets / sizeof offsets[0]; j++) {
            uint8_t *file = copy_of(bytes, size);
            memcpy(file + (at - bytes) + 8, &offsets[j], 8);
            sample_seal(file, size);
            assert_int_equal(judge(file, size, &error), NLSH_E_DATA);
            free(file);
        }
        const uint64_t sizes[] = {0,
                                  1,
                                  was.size - 1,
                                  was.size + 1,
                                  was.size + 64,
                                  was.size * 2,
                                  size,
                                  size - was.offset + 1,
                                  UINT32_MAX,
                                  (uint64_t)1 << 32,
                                  (uint64_t)1 << 62,
                                  (uint64_t)1 << 63,
                                  UINT64_MAX,
                                  UINT64_MAX - was.offset + 1,
                                  -was.offset + 64};
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            uint8_t *file = copy_of(bytes, size);
            memcpy(file + (at - bytes) + 16, &sizes[j], 8);
            sample_seal(file, size);
            enum nlsh_status status = judge(file, size, &error);
            /* The unknown section may be of any size that lies before the next one, where the rest
             * is zeros; an optional one may be empty, where the rest is not. */
            if (was.id == SAMPLE_UNKNOWN && sizes[j] == was.size + 1)
                assert_int_equal(status, NLSH_OK);
            else
                assert_int_equal(status, NLSH_E_DATA);
            free(file);
        }
        const uint32_t ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1000, UINT32_MAX};
        for (size_t j = 0; j < sizeof ids / sizeof ids[0]; j++) {
            uint8_t *file = copy_of(bytes, size);
            memcpy(file + (at - bytes), &ids[j], 4);
            sample_seal(file, size);
            enum nlsh_status status = judge(file, size, &error);
            int optional = was.id >= NLSH__SECTION_CALIBRATION;
            int renamed = ids[j] == 0 || ids[j] > 8; /* to one that nobody knows */
            if (ids[j] == was.id || (optional && renamed))
                assert_int_equal(status, NLSH_OK);
            else if (renamed) /* has the required flag, and is unknown */
                assert_int_equal(status, NLSH_E_UNSUPPORTED);
            else
                assert_non_null(strstr(error.message, "twice"));
            free(file);
        }
    }
    free(bytes);
}

static void test_newer_sections(void **state)
{
    (void)state;
    size_t size;
    uint8_t *file = written(NLSH_U8, &size);
    entry_of(file, SAMPLE_UNKNOWN)->flags = 0xfffffffe; /* flags of the future: ignored */
    sample_seal(file, size);
    expect(file, size, NLSH_OK, "");
    ((uint8_t *)section_of(file, SAMPLE_UNKNOWN))[5] ^= 1; /* skipped, but looked after */
    expect(file, size, NLSH_E_DATA, "section unknown (id 77");
    ((uint8_t *)section_of(file, SAMPLE_UNKNOWN))[5] ^= 1;
    entry_of(file, SAMPLE_UNKNOWN)->flags = NLSH__SECTION_REQUIRED;
    sample_seal(file, size);
    expect(file, size, NLSH_E_UNSUPPORTED, "newer nlsh");
    free(file);
}

static void test_missing_sections(void **state)
{
    (void)state;
    for (size_t left_out = 0; left_out < 9; left_out++) {
        struct nlsh_error error;
        char words[64];
        const char *path = scratch_path("missing.nlsh");
        sample_make(&sample, NLSH_U8);
        uint32_t id = sample.sections[left_out].id;
        memmove(&sample.sections[left_out], &sample.sections[left_out + 1],
                (8 - left_out) * sizeof sample.sections[0]);
        assert_int_equal(nlsh__index_write(path, sample.sections, 8, &error), NLSH_OK);
        enum nlsh_status status = nlsh_index_verify(path, &error);
        if (id > 6) {
            assert_int_equal(status, NLSH_OK);
            continue;
        }
        assert_int_equal(status, NLSH_E_DATA);
        snprintf(words, sizeof words, "no section %s", nlsh__section_name(id));
        assert_non_null(strstr(error.message, words));
    }
}

static void attack_meta(const uint8_t *bytes, size_t size, size_t offset, const void *value,
                        size_t width, const char *words)
{
    uint8_t *file = copy_of(bytes, size);
    memcpy((uint8_t *)section_of(file, NLSH__SECTION_META) + offset, value, width);
    sample_seal(file, size);
    expect(file, size, words[0] != '\0' ? NLSH_E_DATA : NLSH_OK, words);
    free(file);
}

static void test_hostile_meta(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    static const struct {
        size_t offset, width;
        uint64_t value;
        const char *words;
    } attacks[] = {
        {0, 8, 0, "0 rows"},
        {0, 8, 36, "section ids"},
        {0, 8, 38, "section ids"},
        {0, 8, UINT32_MAX, "section ids"},
        {0, 8, (uint64_t)1 << 32, "rows"},
        {0, 8, UINT64_MAX, "rows"},
        {0, 8, ((uint64_t)1 << 62) + 37, "rows"}, /* x 4 wraps to 148 */
        {8, 8, 1, "not those it says"},
        {16, 4, 0, "dimension 0"},
        {16, 4, 10, "section vectors"},
        {16, 4, 12, "section vectors"},
        {16, 4, NLSH__MAX_DIM_U8, "section vectors"},
        {16, 4, NLSH__MAX_DIM_U8 + 1, "dimension"},
        {16, 4, UINT32_MAX, "dimension"},
        {20, 4, 0, "no buckets"},
        {20, 4, 5, "section buckets"},
        {20, 4, 7, "section buckets"},
        {20, 4, UINT32_MAX, "section buckets"}, /* + 1 wraps to 0 in 32 bits */
        {24, 4, 0, "type 0"},
        {24, 4, 4, "type 4"},
        {24, 4, UINT32_MAX, "which is none"},
        {28, 4, 0, "stored as type 0"},
        {28, 4, 2, "stored as type 2"},
        {28, 4, 3, "stored as type 3"}, /* bytes as floats */
        {40, 8, 1, ""},                 /* reserved: ignored */
        {56, 8, UINT64_MAX, ""},
    };
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++)
        attack_meta(bytes, size, attacks[i].offset, &attacks[i].value, attacks[i].width,
                    attacks[i].words);
    const double wrong[] = {-0.001, 1.001, (double)NAN, (double)INFINITY, -(double)INFINITY};
    for (int i = 0; i < 5; i++) attack_meta(bytes, size, 32, &wrong[i], 8, "disagreement");
    free(bytes);
    /* the limit for floats */
    bytes = written(NLSH_F32, &size);
    const uint32_t dims[] = {1 << 20, (1 << 20) + 1};
    attack_meta(bytes, size, 16, &dims[0], 4, "section vectors");
    attack_meta(bytes, size, 16, &dims[1], 4, "dimension");
    free(bytes);
}

static void test_hostile_buckets(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    for (int b = 0; b <= SAMPLE_BUCKETS; b++) {
        const uint32_t values[] = {0, 1, 21, 36, 38, 1u << 31, UINT32_MAX};
        for (int j = 0; j < 7; j++) {
            uint8_t *file = copy_of(bytes, size);
            uint32_t *offsets = section_of(file, NLSH__SECTION_BUCKETS);
            offsets[b] = values[j];
            int ascending = offsets[0] == 0 && offsets[SAMPLE_BUCKETS] == SAMPLE_ROWS;
            for (int i = 0; i < SAMPLE_BUCKETS; i++) ascending &= offsets[i] <= offsets[i + 1];
            uint32_t groups = 0; /* other sizes may be lawful, but not beside these codes */
            for (int i = 0; i < SAMPLE_BUCKETS; i++)
                groups += (offsets[i + 1] - offsets[i] + 15) / 16;
            int lawful = ascending && groups == SAMPLE_GROUPS;
            sample_seal(file, size);
            expect(file, size, lawful ? NLSH_OK : NLSH_E_DATA, lawful ? "" : "bucket");
            free(file);
        }
    }
    free(bytes);
}

static void test_hostile_calibration(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    const float wrong[] = {0, 1, -0.5f, 1.5f, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 2 * SAMPLE_CALIBRATION; i++)
        for (size_t j = 0; j < 7; j++) {
            uint8_t *file = copy_of(bytes, size);
            ((float *)section_of(file, NLSH__SECTION_CALIBRATION))[i] = wrong[j];
            sample_seal(file, size);
            expect(file, size, NLSH_E_DATA, "calibration entry");
            free(file);
        }
    ((float *)section_of(bytes, NLSH__SECTION_CALIBRATION))[2] = 0.5f; /* the same recall twice */
    sample_seal(bytes, size);
    expect(bytes, size, NLSH_E_DATA, "calibration entry 1");
    free(bytes);
}

static void test_hostile_settings(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    char *settings = section_of(bytes, NLSH__SECTION_SETTINGS);
    size_t length = strlen(settings);
    settings[length] = 'x';
    sample_seal(bytes, size);
    expect(bytes, size, NLSH_E_DATA, "settings");
    settings[length] = '\0';
    settings[3] = '\0';
    sample_seal(bytes, size);
    expect(bytes, size, NLSH_E_DATA, "settings");
    free(bytes);
}

/* What only verify looks at: open takes it, verify says no. */
static void test_what_verify_adds(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_F32, &size);
    struct nlsh_index *index;
    const char *path = scratch_path("deep.nlsh");
    const uint32_t ids[] = {1, SAMPLE_ROWS, UINT32_MAX}; /* a double, two out of range */
    for (int i = 0; i < 3; i++) {
        uint8_t *file = copy_of(bytes, size);
        ((uint32_t *)section_of(file, NLSH__SECTION_IDS))[0] = ids[i];
        sample_seal(file, size);
        expect(file, size, NLSH_E_DATA, i == 0 ? "another row's" : "too large");
        spit(path, file, size);
        assert_int_equal(nlsh_index_open(path, &index, NULL), NLSH_OK);
        nlsh_index_close(index);
        free(file);
    }
    const float values[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        uint8_t *file = copy_of(bytes, size);
        ((float *)section_of(file, NLSH__SECTION_VECTORS))[3 * SAMPLE_DIM + 2] = values[i];
        sample_seal(file, size);
        expect(file, size, NLSH_E_DATA, "value 2 of stored row 3 is not finite");
        free(file);
    }
    /* two ids changed places: nothing but the data hash can tell */
    uint8_t *swapped = copy_of(bytes, size);
    uint32_t *swapped_ids = section_of(swapped, NLSH__SECTION_IDS);
    const uint32_t first = swapped_ids[0];
    swapped_ids[0] = swapped_ids[1];
    swapped_ids[1] = first;
    sample_seal(swapped, size);
    expect(swapped, size, NLSH_E_DATA, "not those it says");
    free(swapped);
    /* a gap that is wider than need be is lawful; what hides in it is not */
    uint8_t *file = copy_of(bytes, size);
    struct nlsh__index_entry *last = entry_of(file, NLSH__SECTION_CODES);
    memmove(file + last->offset + 4096, file + last->offset, last->size);
    memset(file + last->offset, 0, 4096);
    last->offset += 4096;
    header_of(file)->file_size = size + 4096;
    sample_seal(file, size + 4096);
    expect(file, size + 4096, NLSH_OK, "");
    file[last->offset - 2000] = 1;
    expect(file, size + 4096, NLSH_E_DATA, "between two sections");
    free(file);
    free(bytes);
}

static void test_router_refuses(void **state)
{
    (void)state;
    struct nlsh_error error;
    const char *path = scratch_path("router.nlsh");
    sample_make(&sample, NLSH_U8);
    sample.sections[5].size -= 64;
    assert_int_equal(nlsh__index_write(path, sample.sections, 9, &error), NLSH_OK);
    assert_int_equal(nlsh_index_verify(path, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, path)); /* the router cannot know it */
    assert_non_null(strstr(error.message, "router"));
}

/* Random damage of several places at once behind good checksums. */
static void test_random_hostility(void **state)
{
    (void)state;
    static const uint64_t special[] = {0, 1, 2, 63, 64, 255, UINT32_MAX, INT32_MAX, UINT64_MAX};
    size_t size;
    uint8_t *bytes = written(NLSH_F32, &size);
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 20200426, 0);
    size_t n_good = 0, n_bad = 0;
    for (int round = 0; round < 20000; round++) {
        struct nlsh_error error;
        uint8_t *file = copy_of(bytes, size);
        size_t n_places = 1 + nlsh__rng_below(&rng, 4);
        /* header, table and the small sections are where the decisions are */
        size_t limit = nlsh__rng_below(&rng, 4) == 0 ? size : 700;
        while (n_places-- > 0) {
            size_t width = (size_t)1 << nlsh__rng_below(&rng, 4);
            size_t at = nlsh__rng_below(&rng, limit / width) * width;
            uint64_t value =
                nlsh__rng_below(&rng, 2) ? special[nlsh__rng_below(&rng, 9)] : nlsh__rng_u64(&rng);
            memcpy(file + at, &value, width);
        }
        sample_seal(file, size);
        if (judge(file, size, &error) == NLSH_OK)
            n_good++;
        else
            n_bad++;
        free(file);
    }
    /* Both outcomes must happen, or the test looks at one side only. */
    assert_true(n_good > 200 && n_bad > 2000);
    free(bytes);
}

/* ---- other files ------------------------------------------------------------------------------ */

static void expect_kind(const void *bytes, size_t size, const char *words)
{
    expect(bytes, size, NLSH_E_DATA, words);
}

static void test_other_kinds(void **state)
{
    (void)state;
    static const uint32_t fvecs[] = {2, 0x3f800000, 0x40000000, 2, 0, 0};
    static const uint32_t fbin[] = {3, 2, 0, 0, 0, 0, 0, 0};
    static const uint8_t idx[16] = {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};
    static const uint8_t bvecs[14] = {3, 0, 0, 0, 9, 9, 9, 3, 0, 0, 0, 9, 9, 9};
    static const uint8_t zeros[100];
    static const uint8_t as_text[80] = "\x89NLSH\n\x1a"; /* CR LF became LF */
    static const uint8_t noise[100] = {0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef, 1};
    expect_kind("\x1f\x8b\x08\0\0\0\0\0", 8, "gzip");
    expect_kind("\x93NUMPY\x01\0", 8, "numpy");
    expect_kind("\x89HDF\r\n\x1a\n", 8, "HDF5");
    expect_kind("PK\x03\x04 and so on", 14, "zip");
    expect_kind("SQLite format 3", 16, "SQLite");
    expect_kind("<!DOCTYPE html>", 15, "web page");
    expect_kind(fvecs, sizeof fvecs, ".fvecs");
    expect_kind(bvecs, sizeof bvecs, ".bvecs");
    expect_kind(fbin, sizeof fbin, ".fbin");
    expect_kind(fbin, 14, ".u8bin");
    expect_kind(idx, sizeof idx, "IDX");
    expect_kind("{\"m\": 256}\n", 11, "text");
    expect_kind(zeros, sizeof zeros, "zeros");
    expect_kind(noise, sizeof noise, "not an nlsh index");
    expect_kind("x", 1, "text");
    expect_kind("\x89", 1, "not an nlsh index");
    expect_kind(as_text, sizeof as_text, "damaged");
    expect_kind(NLSH__INDEX_MAGIC, 8, "cut short");
}

/* The public calls on files agree with what the tests above saw of memory. */
static void test_damaged_files(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = written(NLSH_U8, &size);
    const char *path = scratch_path("damaged.nlsh");
    struct nlsh_error error;
    struct nlsh_index *index;
    for (size_t i = 0; i < size; i += 97) {
        bytes[i] ^= 4;
        spit(path, bytes, size);
        assert_int_equal(nlsh_index_verify(path, &error), judge(bytes, size, &error));
        assert_int_equal(nlsh_index_verify(path, &error) == NLSH_OK, 0);
        assert_non_null(strstr(error.message, path));
        if (nlsh_index_open(path, &index, NULL) == NLSH_OK) sample_use(index);
        nlsh_index_close(index);
        bytes[i] ^= 4;
        spit(path, bytes, i);
        assert_int_equal(nlsh_index_verify(path, &error), NLSH_E_DATA);
        assert_int_equal(nlsh_index_open(path, &index, &error), NLSH_E_DATA);
        assert_null(index);
    }
    free(bytes);
}

static void test_no_input(void **state)
{
    (void)state;
    struct nlsh_error error;
    struct nlsh_index *index = (void *)1;
    assert_int_equal(nlsh_index_open(scratch_path("absent"), &index, &error), NLSH_E_NO_INPUT);
    assert_null(index);
    assert_int_equal(nlsh_index_open(scratch, &index, &error), NLSH_E_NO_INPUT);
    assert_non_null(strstr(error.message, "directory"));
    assert_int_equal(nlsh_index_open("", &index, &error), NLSH_E_ARG);
    assert_int_equal(nlsh_index_open(NULL, &index, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_index_open("x", NULL, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_index_verify(NULL, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_index_verify(scratch_path("absent"), NULL), NLSH_E_NO_INPUT);
    nlsh_index_close(NULL);
}

/* ---- writers that fail ------------------------------------------------------------------------ */

static void test_write_fails(void **state)
{
    (void)state;
    struct nlsh_error error;
    sample_make(&sample, NLSH_U8);
    assert_int_equal(nlsh__index_write("/dev/full", sample.sections, 9, &error),
                     NLSH_E_CANT_CREATE);
    assert_non_null(strstr(error.message, "/dev/full"));
    assert_non_null(strstr(error.hint, "room"));
    assert_int_equal(
        nlsh__index_write(scratch_path("no/such/directory"), sample.sections, 9, &error),
        NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__index_write(scratch, sample.sections, 9, &error), NLSH_E_CANT_CREATE);
    const char *locked = scratch_path("locked");
    assert_int_equal(mkdir(locked, 0500), 0);
    if (geteuid() != 0) /* root may write everywhere */
        assert_int_equal(
            nlsh__index_write(scratch_path("locked/index"), sample.sections, 9, &error),
            NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__index_write("/proc/index", sample.sections, 9, &error),
                     NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh__index_write(scratch_path("x"), sample.sections, 0, &error),
                     NLSH_E_INTERNAL);
    assert_int_equal(nlsh__index_write(scratch_path("x"), sample.sections, 257, &error),
                     NLSH_E_INTERNAL);
    sample.sections[8] = sample.sections[3];
    assert_int_equal(nlsh__index_write(scratch_path("x"), sample.sections, 9, &error),
                     NLSH_E_INTERNAL);
    assert_int_equal(access(scratch_path("x"), F_OK), -1);
}

/* The system stops the writer at its n-th byte (SIGXFSZ kills): the old index stays whole, and the
 * next writer clears away what lies about. */
static void test_killed_half_way(void **state)
{
    (void)state;
    struct nlsh_error error;
    const char *path = scratch_path("killed.nlsh");
    sample_make(&sample, NLSH_U8);
    size_t large_size = (size_t)3 << 20;
    uint8_t *large = calloc(large_size, 1);
    assert_non_null(large);
    assert_int_equal(nlsh__index_write(path, sample.sections, 9, &error), NLSH_OK);
    sample.sections[8] =
        (struct nlsh__section_data){(enum nlsh__section_id)1003, large, large_size};
    static const rlim_t limits[] = {0, 1, 1000, 4096, (1 << 20) + 5, 3 << 20};
    for (int i = 0; i < 6; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const struct rlimit limit = {limits[i], limits[i]};
            const struct rlimit no_core = {0, 0};
            if (setrlimit(RLIMIT_CORE, &no_core) != 0 || setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
                signal(SIGXFSZ, SIG_DFL) == SIG_ERR)
                _exit(2);
            enum nlsh_status status =
                nlsh__index_write(path, sample.sections, sample.n_sections, NULL);
            _exit(status == NLSH_OK ? 0 : 1);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGXFSZ);
        assert_int_equal(nlsh_index_verify(path, &error), NLSH_OK);
        /* one orphan: this round's; the one before was removed by this round's writer */
        assert_int_equal(scratch_count(".killed.nlsh"), 1);
    }
    assert_int_equal(nlsh__index_write(path, sample.sections, 9, &error), NLSH_OK);
    assert_int_equal(nlsh_index_verify(path, &error), NLSH_OK);
    assert_int_equal(scratch_count(".killed.nlsh"), 0);
    free(large);
}

/* An index that is open when its file is replaced stays what it was. */
static void test_replaced_while_open(void **state)
{
    (void)state;
    const char *path = scratch_path("replaced.nlsh");
    struct nlsh_index *index;
    struct nlsh_index_info info;
    sample_make(&sample, NLSH_U8);
    assert_int_equal(nlsh__index_write(path, sample.sections, 9, NULL), NLSH_OK);
    assert_int_equal(nlsh_index_open(path, &index, NULL), NLSH_OK);
    const uint64_t hash = sample.meta.data_hash;
    sample.meta.data_hash = 1;
    assert_int_equal(nlsh__index_write(path, sample.sections, 9, NULL), NLSH_OK);
    nlsh_index_info(index, &info);
    assert_true(info.data_hash == hash);
    sample_use(index);
    nlsh_index_close(index);
}

static int setup(void **state)
{
    (void)state;
    scratch_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_narrowed_floats),
        cmocka_unit_test(test_smallest),         cmocka_unit_test(test_large_and_empty_sections),
        cmocka_unit_test(test_every_byte),       cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_trailing_bytes),   cmocka_unit_test(test_hostile_header),
        cmocka_unit_test(test_hostile_table),    cmocka_unit_test(test_newer_sections),
        cmocka_unit_test(test_missing_sections), cmocka_unit_test(test_hostile_meta),
        cmocka_unit_test(test_hostile_buckets),  cmocka_unit_test(test_hostile_calibration),
        cmocka_unit_test(test_hostile_settings), cmocka_unit_test(test_what_verify_adds),
        cmocka_unit_test(test_router_refuses),   cmocka_unit_test(test_random_hostility),
        cmocka_unit_test(test_other_kinds),      cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_no_input),         cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_killed_half_way),  cmocka_unit_test(test_replaced_while_open),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
