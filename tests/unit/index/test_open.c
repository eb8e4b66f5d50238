/*
 * test_open.c - other files, damaged files, none: refused by verify, harmless to open.
 */
#define _GNU_SOURCE
#include "support/child.h"
#include "support/counting.h"
#include "written.h"

/* ---- damage ----------------------------------------------------------------------------------- */

static void damage_every_byte(uint8_t *bytes, size_t size)
{
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
    size_t size = 0;
    uint8_t *bytes = written(NLSH_U8, &size);
    damage_every_byte(bytes, size);
    bytes = written(NLSH_F32, &size);
    damage_every_byte(bytes, size);
    bytes = written_segments(NLSH_U8, &size);
    damage_every_byte(bytes, size);
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
    static const uint32_t one[] = {1, 3, 0, 0, 0}, none[] = {0, 3}, flat[] = {3, 0};
    expect_kind(one, sizeof one, ".fbin");
    expect_kind(one, 11, ".u8bin");
    expect_kind(none, sizeof none, "not an nlsh index"); /* and nothing more */
    expect_kind(flat, sizeof flat, "not an nlsh index");
    expect_kind("x", 1, "text");
    expect_kind("\x89", 1, "not an nlsh index");
    expect_kind(as_text, sizeof as_text, "damaged");
    expect_kind(NLSH__INDEX_MAGIC, 8, "cut short");
}

/* The first two numbers of a file of this size, all else 0. */
static void expect_sizes(uint32_t first, uint32_t second, size_t size, const char *words)
{
    uint8_t *file = calloc(1, size);
    assert_non_null(file);
    memcpy(file, &first, sizeof first);
    memcpy(file + 4, &second, sizeof second);
    expect_kind(file, size, words);
    struct nlsh_error error;
    (void)judge(file, size, &error);
    if (words[0] == ' ') assert_null(strstr(error.message, "vectors"));
    free(file);
}

/* Vectors have at most 2^20 dimensions: a length that fits more of them is chance. */
static void test_sizes_of_other_kinds(void **state)
{
    (void)state;
    const uint32_t most = 1u << 20;
    expect_sizes(1, most, 8 + 4 * (size_t)most, "(.fbin)");
    expect_sizes(1, most + 1, 8 + 4 * (size_t)(most + 1), " not an nlsh index");
    expect_sizes(1, most, 8 + (size_t)most, "(.u8bin");
    expect_sizes(1, most + 1, 8 + (size_t)(most + 1), " not an nlsh index");
    expect_sizes(most, 7, 4 + 4 * (size_t)most, "(.fvecs");
    expect_sizes(most + 1, 7, 4 + 4 * (size_t)(most + 1), " not an nlsh index");
    expect_sizes(most, 7, 4 + (size_t)most, "(.bvecs)");
    expect_sizes(most + 1, 7, 4 + (size_t)(most + 1), " not an nlsh index");
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
        if (nlsh_index_open(path, NULL, &index, NULL) == NLSH_OK) sample_use(index);
        nlsh_index_close(index);
        bytes[i] ^= 4;
        spit(path, bytes, i);
        assert_int_equal(nlsh_index_verify(path, &error), NLSH_E_DATA);
        assert_int_equal(nlsh_index_open(path, NULL, &index, &error), NLSH_E_DATA);
        assert_null(index);
    }
    free(bytes);
}

static void test_no_input(void **state)
{
    (void)state;
    struct nlsh_error error;
    struct nlsh_index *index = (void *)1;
    assert_int_equal(nlsh_index_open(scratch_path("absent"), NULL, &index, &error),
                     NLSH_E_NO_INPUT);
    assert_null(index);
    assert_int_equal(nlsh_index_open(scratch, NULL, &index, &error), NLSH_E_NO_INPUT);
    assert_non_null(strstr(error.message, "directory"));
    assert_int_equal(nlsh_index_open("", NULL, &index, &error), NLSH_E_ARG);
    assert_int_equal(nlsh_index_open(NULL, NULL, &index, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_index_open("x", NULL, NULL, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_index_verify(NULL, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_index_verify(scratch_path("absent"), NULL), NLSH_E_NO_INPUT);
    nlsh_index_close(NULL);
}

/* The child's part of the next test: what an open says where nothing has chosen kernels before. */
static int answer(void)
{
    struct nlsh_index *index;
    struct nlsh_error error;
    enum nlsh_status status = nlsh_index_open("/absent", NULL, &index, &error);
    printf("%s: %s", nlsh_status_name(status), error.message);
    return 0;
}

static void test_unknown_instruction_set(void **state)
{
    (void)state;
    char words[512], want[512];
    ask_child("sse17", words, sizeof words);
    snprintf(want, sizeof want, "%s: NLSH_CPU is \"sse17\"", nlsh_status_name(NLSH_E_UNSUPPORTED));
    assert_memory_equal(words, want, strlen(want));
    ask_child("scalar", words, sizeof words);
    assert_non_null(strstr(words, "/absent"));
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) return answer();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_trailing_bytes),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_no_input),
        cmocka_unit_test(test_unknown_instruction_set),
        cmocka_unit_test(test_sizes_of_other_kinds),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests(tests, setup, teardown));
}
