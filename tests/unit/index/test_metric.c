/*
 * test_metric.c - the section that an index of another metric than L2 has: whole, cut, changed byte
 * for byte, and hostile behind checksums that hold.
 */
#include <math.h>

#include "support/counting.h"
#include "written.h"

static const enum nlsh_metric metrics[] = {NLSH_IP, NLSH_COSINE};

static void whole_files_open(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        size_t size = 0;
        struct nlsh_index *index;
        struct nlsh_index_info info = {.struct_size = sizeof info};
        uint8_t *file = written_metric(metrics[i], &size);
        expect(file, size, NLSH_OK, "");
        /* Readers that do not know the section must not read past it. */
        assert_int_equal(entry_of(file, NLSH__SECTION_METRIC)->flags, NLSH__SECTION_REQUIRED);
        const struct nlsh__map map = sample_copy(file, size);
        const struct nlsh__source_of_index source = {.name = "x", .bytes = &map};
        assert_int_equal(nlsh__index_load(&source, &index, NULL), NLSH_OK);
        assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
        assert_int_equal(info.metric, metrics[i]);
        assert_true(info.data_hash == sample.meta.data_hash);
        nlsh_index_close(index);
        free((void *)(uintptr_t)map.data);
        free(file);
    }
}

static void every_byte_and_every_length(void **state)
{
    (void)state;
    struct nlsh_error error;
    size_t size = 0;
    uint8_t *file = written_metric(NLSH_COSINE, &size);
    for (size_t i = 0; i < size; i++) {
        file[i] ^= 0x10;
        if (judge(file, size, &error) == NLSH_OK) fail_msg("byte %zu changed, and nobody saw", i);
        file[i] ^= 0x10;
    }
    for (size_t length = 0; length < size; length++)
        assert_int_not_equal(judge(file, length, &error), NLSH_OK);
    free(file);
}

/* words: of the refusal; "" where the file is taken all the same. */
static void attack(size_t offset, const void *value, size_t width, const char *words)
{
    for (int i = 0; i < 2; i++) {
        size_t size = 0;
        uint8_t *file = written_metric(metrics[i], &size);
        memcpy((uint8_t *)section_of(file, NLSH__SECTION_METRIC) + offset, value, width);
        sample_seal(file, size);
        expect(file, size, words[0] != '\0' ? NLSH_E_DATA : NLSH_OK, words);
        free(file);
    }
}

static void hostile_values(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {0, 3, 256, UINT32_MAX};
    static const float lengths[] = {0, -1, -0.0f, NAN, INFINITY, -INFINITY};
    const uint64_t one = 1;
    for (int i = 0; i < 4; i++) attack(0, &wrong[i], 4, "metric");
    for (int i = 0; i < 6; i++) attack(4, &lengths[i], 4, "queries are to have the length");
    attack(8, &one, 8, "not those it says");
    for (size_t at = 16; at < 64; at += 8) attack(at, &one, 8, ""); /* reserved: ignored */
}

static void hostile_files(void **state)
{
    (void)state;
    size_t size = 0;
    struct nlsh_error error;
    /* Bytes have no other metric. */
    sample_make_metric(&sample, NLSH_IP);
    struct nlsh__section_data metric = sample.sections[sample.n_sections - 1];
    struct nlsh__metric_meta meta = sample.metric;
    sample_make(&sample, NLSH_U8);
    sample.metric = meta;
    sample.sections[sample.n_sections++] = metric;
    const char *path = scratch_path("bytes.nlsh");
    assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, &error), NLSH_OK);
    uint8_t *file = slurp(path, &size);
    expect(file, size, NLSH_E_DATA, "bytes");
    free(file);
    /* Of another length. */
    for (size_t length = 0; length < 64; length += 9) {
        sample_make_metric(&sample, NLSH_IP);
        sample.sections[sample.n_sections - 1].size = length;
        assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, &error),
                         NLSH_OK);
        file = slurp(path, &size);
        expect(file, size, NLSH_E_DATA, "section metric");
        free(file);
    }
    /* Rows that are all bytes, in floats: one hash for both. */
    sample_make_metric(&sample, NLSH_COSINE);
    for (size_t i = 0; i < SAMPLE_ROWS * SAMPLE_DIM; i++) sample.floats[i] = (float)(i % 256);
    sample_hash(&sample);
    sample.metric.stored_hash = sample.meta.data_hash;
    assert_int_equal(nlsh__index_write(path, sample.sections, sample.n_sections, &error), NLSH_OK);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    file = slurp(path, &size);
    ((float *)section_of(file, NLSH__SECTION_VECTORS))[7] = 0.5f;
    sample_seal(file, size);
    expect(file, size, NLSH_E_DATA, "not those it says");
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_files_open),
        cmocka_unit_test(every_byte_and_every_length),
        cmocka_unit_test(hostile_values),
        cmocka_unit_test(hostile_files),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("index/metric", tests, setup, teardown));
}
