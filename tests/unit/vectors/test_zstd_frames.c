/* test_zstd_frames.c - how long what is in zstd frames can be. The frames are written here by hand, bit by bit. */
#include "testing.h"

#include "vectors/parse.h"
#include "vectors/source.h"
#include "vectors/zstd_frames.h"

static uint8_t bytes[4096];
static size_t n_bytes;

static void put(uint64_t value, size_t n)
{
    for (size_t i = 0; i < n; i++) bytes[n_bytes++] = (uint8_t)(value >> 8 * i);
}

/* A frame's head. n_size: bytes that its size takes, 0 for none; n_dictionary: those of a dictionary's number. */
static void head(size_t n_size, uint64_t size, size_t n_dictionary, int checksum)
{
    static const uint8_t of_size[] = {0, 0, 1, 0, 2, 0, 0, 0, 3}, of_number[] = {0, 1, 2, 0, 3};
    int single = n_size == 1;
    put(0xfd2fb528u, 4);
    put((uint64_t)(of_size[n_size] << 6 | single << 5 | checksum << 2 | of_number[n_dictionary]),
        1);
    if (!single) put(0x58, 1); /* a window of 2 MiB */
    put(7, n_dictionary);
    put(n_size == 2 ? size - 256 : size, n_size);
}

enum { RAW, RUN, COMPRESSED, RESERVED };

static void block(int type, size_t n, int last)
{
    put(n << 3 | (size_t)type << 1 | (size_t)last, 3);
    n_bytes += type == RUN ? 1 : n;
    assert_true(n_bytes <= sizeof bytes);
}

static void skipped(uint32_t number, size_t n)
{
    put(0x184d2a50u + number, 4);
    put(n, 4);
    n_bytes += n;
}

/* The bytes stand at the end of an allocation: ASan sees a read behind it. */
static void expect_cut(size_t size, uint64_t length, uint64_t bound, int cut)
{
    struct nlsh__zstd_sizes sizes;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (size > 0) memcpy(copy, bytes, size);
    assert_int_equal(nlsh__zstd_sizes(copy, size, "x", NULL, &sizes, NULL), NLSH_OK);
    free(copy);
    assert_true(sizes.length == length);
    assert_true(sizes.bound == bound);
    assert_int_equal(sizes.cut, cut);
}

static void expect(size_t size, uint64_t length, uint64_t bound)
{
    expect_cut(size, length, bound, 0);
}

static void every_width_of_a_size(void **state)
{
    static const size_t widths[] = {0, 1, 2, 4, 8}, numbers[] = {0, 1, 2, 4};
    (void)state;
    for (size_t w = 0; w < 5; w++)
        for (size_t d = 0; d < 4; d++)
            for (int checksum = 0; checksum < 2; checksum++) {
                size_t size = widths[w] == 1 ? 200 : 300;
                n_bytes = 0;
                head(widths[w], size, numbers[d], checksum);
                block(RAW, size - 100, 0);
                block(RUN, 100, 1);
                if (checksum) put(0, 4);
                expect(n_bytes, widths[w] == 0 ? NLSH__UNKNOWN : size, size);
            }
}

static void blocks_bound_what_a_head_says(void **state)
{
    static const uint64_t sizes[] = {(128 << 10) + 6, (128 << 10) + 7, 1ull << 42, 1ull << 63,
                                     UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        n_bytes = 0;
        head(8, sizes[i], 0, 0);
        block(RAW, 6, 0);
        block(COMPRESSED, 20, 1);
        expect(n_bytes, i == 0 ? sizes[0] : NLSH__UNKNOWN, (128 << 10) + 6);
    }
    n_bytes = 0; /* a byte, 2 M times, is not what a block may hold */
    head(0, 0, 0, 0);
    block(RUN, (1 << 21) - 1, 1);
    expect(n_bytes, NLSH__UNKNOWN, 128 << 10);
    n_bytes = 0; /* of nothing */
    head(1, 0, 0, 0);
    block(RAW, 0, 1);
    expect(n_bytes, 0, 0);
}

static void frames_behind_each_other(void **state)
{
    (void)state;
    n_bytes = 0;
    for (uint32_t i = 0; i < 3; i++) {
        skipped(i * 7, i * 5);
        skipped(15, 0);
        head(2, 300 + i, 0, 1);
        block(RAW, 300 + i, 1);
        put(0, 4);
    }
    size_t all = n_bytes;
    assert_true(nlsh__is_zstd(bytes, all));
    expect(all, 903, 903);
    skipped(3, 9);
    expect(n_bytes, 903, 903);
    expect_cut(n_bytes - 1, NLSH__UNKNOWN, 903, 1);
    n_bytes = all;
    head(0, 0, 0, 0); /* one that does not say it */
    block(RAW, 10, 1);
    expect(n_bytes, NLSH__UNKNOWN, 913);
    head(1, 5, 0, 0);
    block(RAW, 5, 1);
    expect(n_bytes, NLSH__UNKNOWN, 918);
    for (size_t n = 1; n < 9; n++) { /* behind it what is no frame */
        n_bytes = all;
        put(0x5a5a5a5a5a5a5a5a, n);
        expect(n_bytes, NLSH__UNKNOWN, 903);
    }
}

static void every_truncation(void **state)
{
    (void)state;
    n_bytes = 0;
    skipped(0, 3);
    head(4, 40, 4, 1);
    size_t first = n_bytes;
    block(RAW, 10, 0);
    size_t second = n_bytes;
    block(RUN, 30, 1);
    put(0, 4);
    for (size_t n = 0; n < n_bytes; n++) {
        uint64_t bound = n < first + 3 ? 0 : n < second + 3 ? 10 : 40;
        int whole = n == 0 || n == 11;                /* what is skipped stands there */
        int other = n < 4 || (n >= 12 && n < 11 + 4); /* half of a magic number is none */
        expect_cut(n, whole ? 0 : NLSH__UNKNOWN, bound, !whole && !other);
    }
    expect(n_bytes, 40, 40);
    bytes[second] |= RESERVED << 1;
    expect(n_bytes, NLSH__UNKNOWN, 10);
}

static void what_is_zstd(void **state)
{
    (void)state;
    n_bytes = 0;
    skipped(0, 4);
    skipped(15, 0);
    size_t before = n_bytes;
    put(0xfd2fb528u, 4);
    for (size_t n = 0; n < n_bytes; n++) assert_false(nlsh__is_zstd(bytes, n));
    assert_true(nlsh__is_zstd(bytes, n_bytes));
    assert_true(nlsh__is_zstd(bytes + before, 4));
    assert_true(nlsh__zstd_frame_begins(bytes, 4) && nlsh__zstd_frame_begins(bytes + before, 4));
    bytes[before]++; /* an older version's */
    assert_false(nlsh__is_zstd(bytes, n_bytes));
    assert_false(nlsh__zstd_frame_begins(bytes + before, 4));
    n_bytes = 0;
    put(0x184d2a50u, 4);
    put(UINT32_MAX, 4); /* skips 4 GiB that are not there */
    assert_false(nlsh__is_zstd(bytes, 100));
}

/* ---- stopped ------------------------------------------------------------------------------------ */

static int count_looks(void *user, const char *stage, uint64_t done, uint64_t total)
{
    int *left = user;
    assert_string_equal(stage, "reading");
    assert_true(done == 0 && total == 0);
    return --*left == 0;
}

static void a_run_can_stop_it(void **state)
{
    enum { N = 160, BYTES = 128 << 10 }; /* 20 MiB: looked at every 4 */
    size_t size = 6 + N * (size_t)(3 + BYTES);
    uint8_t *large = calloc(size, 1);
    struct nlsh__zstd_sizes sizes;
    struct nlsh_error error = {.status = NLSH_OK};
    int left = 0;
    struct nlsh_run run = {.struct_size = sizeof run, .progress = count_looks, .user = &left};
    (void)state;
    memcpy(large, "\x28\xb5\x2f\xfd\0\x58", 6);
    for (size_t i = 0; i < N; i++) {
        uint32_t bits = BYTES << 3 | (i == N - 1);
        memcpy(large + 6 + i * (3 + BYTES), &bits, 3);
    }
    assert_int_equal(nlsh__zstd_sizes(large, size, "x", &run, &sizes, &error), NLSH_OK);
    assert_true(sizes.bound == (uint64_t)N * BYTES);
    assert_int_equal(left, -5);
    left = 3;
    assert_int_equal(nlsh__zstd_sizes(large, size, "x", &run, &sizes, &error), NLSH_E_INTERRUPTED);
    assert_int_equal(left, 0);
    assert_non_null(strstr(error.message, "stopped while reading x"));
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_width_of_a_size),
        cmocka_unit_test(blocks_bound_what_a_head_says),
        cmocka_unit_test(frames_behind_each_other),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(what_is_zstd),
        cmocka_unit_test(a_run_can_stop_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
