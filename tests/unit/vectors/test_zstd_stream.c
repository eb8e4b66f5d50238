/*
 * test_zstd_stream.c - vectors in .zst files: the same values as without, at once and block by block, and
 * what is refused. libzstd packs; where it cannot be made to do what is wanted, frames are written by hand.
 */
#include <zlib.h>
#include <zstd.h>

#include "base/matrix.h"
#include "support/built.h"
#include "vectors/parse.h"
#include "vectors/source.h"
#include "vectors/zstd_stream.h"

enum { N = 23, DIM = 6, ROOM = 1 << 16 };

static const struct {
    const char *name;
    enum nlsh_format format;
    enum kind kind;
} files[] = {
    {"a.fvecs", NLSH_FORMAT_FVECS, KIND_F32}, {"a.bvecs", NLSH_FORMAT_BVECS, KIND_U8},
    {"a.npy", NLSH_FORMAT_NPY, KIND_F32},     {"b.npy", NLSH_FORMAT_NPY, KIND_U8},
    {"a.fbin", NLSH_FORMAT_FBIN, KIND_F32},   {"a.u8bin", NLSH_FORMAT_U8BIN, KIND_U8},
    {"a.i8bin", NLSH_FORMAT_I8BIN, KIND_I8},  {"a.idx", NLSH_FORMAT_IDX, KIND_U8},
};
enum { N_FILES = sizeof files / sizeof *files };

static struct nlsh_error error;

/* The file of that number, plain. */
static uint8_t *plain(size_t i, size_t *size)
{
    struct nlsh_matrix m = matrix_new(files[i].kind, N, DIM, 5, 20, i);
    const char *path = test_path(files[i].name);
    assert_int_equal(nlsh_vectors_write(path, files[i].format, &m, NULL), NLSH_OK);
    matrix_free(&m);
    return test_read_file(path, size);
}

/* A frame of them; stated: it says how many bytes it holds. */
static size_t pack(const void *bytes, size_t size, int stated, int checksum, uint8_t *out,
                   size_t room)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, stated);
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, checksum);
    size_t n = ZSTD_compress2(c, out, room, bytes, size);
    assert_false(ZSTD_isError(n));
    ZSTD_freeCCtx(c);
    return n;
}

/* A frame to be skipped. */
static size_t skipped(uint8_t *out, uint32_t n)
{
    const uint32_t head[2] = {0x184d2a5cu, n};
    memcpy(out, head, 8);
    memset(out + 8, 0x28, n);
    return 8 + n;
}

/* The bytes stand at the end of an allocation: ASan sees a read behind it. */
static enum nlsh_status parse(const void *bytes, size_t size, const char *name,
                              enum nlsh_format format, struct nlsh_vectors *out)
{
    uint8_t *copy = malloc(size);
    memcpy(copy, bytes, size);
    memset(&error, 0, sizeof error);
    enum nlsh_status status = nlsh__vectors_parse(copy, size, name, format, NULL, out, &error);
    free(copy);
    return status;
}

static void expect(const void *bytes, size_t size, const char *name, enum nlsh_status wanted,
                   const char *words)
{
    struct nlsh_vectors v;
    enum nlsh_status status = parse(bytes, size, name, NLSH_FORMAT_AUTO, &v);
    if (status != wanted || strstr(error.message, words) == NULL)
        fail_msg("%s: status %d, wanted %d with '%s': %s", name, status, wanted, words,
                 error.message);
    nlsh__vectors_clear(&v);
}

/* In blocks of five rows, twice, since whoever reads begins again. */
static void same_in_blocks(const uint8_t *bytes, size_t size, const char *name,
                           const struct nlsh_matrix *m)
{
    struct nlsh_rows rows = {.struct_size = sizeof rows};
    if (nlsh__rows_parse(bytes, size, name, NLSH_FORMAT_AUTO, &rows, &error) != NLSH_OK)
        fail_msg("%s: %s", name, error.message);
    assert_true(rows.n_rows == m->n_rows && rows.dim == m->dim && rows.type == m->type);
    size_t row = m->dim * nlsh__type_size(m->type);
    uint8_t *values = malloc(5 * row);
    for (int pass = 0; pass < 2; pass++)
        for (size_t first = 0; first < m->n_rows; first += 5) {
            size_t n = m->n_rows - first < 5 ? m->n_rows - first : 5;
            assert_int_equal(rows.read(rows.user, first, n, values, &error), NLSH_OK);
            assert_memory_equal(values, (const uint8_t *)m->data + first * row, n * row);
        }
    free(values);
    nlsh_rows_close(&rows);
}

/* They are the plain file: by name, by content, by argument and block by block. */
static void same(const uint8_t *packed, size_t size, size_t i, const struct nlsh_vectors *whole)
{
    char name[64];
    snprintf(name, sizeof name, "%s.zst", files[i].name);
    int alike = files[i].format == NLSH_FORMAT_U8BIN || files[i].format == NLSH_FORMAT_I8BIN;
    for (int how = 0; how < 3; how++) {
        struct nlsh_vectors v;
        enum nlsh_status status = parse(packed, size, how == 0 ? name : "x",
                                        how == 2 ? files[i].format : NLSH_FORMAT_AUTO, &v);
        if (status != NLSH_OK && !(alike && how == 1)) fail_msg("%s: %s", name, error.message);
        if (status == NLSH_OK) {
            assert_int_equal(v.format, files[i].format);
            assert_true(v.matrix.n_rows == N && v.matrix.dim == DIM);
            assert_memory_equal(v.matrix.data, whole->matrix.data,
                                N * DIM * nlsh__type_size(v.matrix.type));
        }
        nlsh__vectors_clear(&v);
    }
    same_in_blocks(packed, size, name, &whole->matrix);
}

static void every_format_in_one_and_in_many_frames(void **state)
{
    static uint8_t packed[ROOM];
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        size_t size;
        struct nlsh_vectors whole;
        uint8_t *bytes = plain(i, &size);
        assert_int_equal(parse(bytes, size, files[i].name, NLSH_FORMAT_AUTO, &whole), NLSH_OK);
        for (int how = 0; how < 4; how++)
            same(packed, pack(bytes, size, how & 1, how >> 1, packed, ROOM), i, &whole);
        for (size_t cut = 0; cut <= size;
             cut += 7 * TEST_STRIDE) { /* an empty frame is legal too */
            size_t n = skipped(packed, cut & 15);
            n += pack(bytes, cut, (int)cut & 1, 1, packed + n, ROOM - n);
            n += skipped(packed + n, 0);
            n += pack(bytes + cut, size - cut, (int)cut >> 1 & 1, 0, packed + n, ROOM - n);
            n += skipped(packed + n, 5);
            same(packed, n, i, &whole);
        }
        nlsh__vectors_clear(&whole);
        free(bytes);
    }
}

static void text_and_halves(void **state)
{
    static const char csv[] = "a,b,c\n1,2,3\n4,5,6.5\n";
    static const uint8_t halves[] = {1, 0, 0, 0, 2, 0, 0, 0, 0, 0x3c, 0, 0xc0};
    uint8_t packed[256];
    struct nlsh_vectors v;
    (void)state;
    size_t n = pack(csv, sizeof csv - 1, 1, 1, packed, sizeof packed);
    assert_int_equal(parse(packed, n, "a.csv.zst", NLSH_FORMAT_AUTO, &v), NLSH_OK);
    assert_true(v.matrix.n_rows == 2 && ((const float *)v.matrix.data)[5] == 6.5f);
    nlsh__vectors_clear(&v);
    n = pack(halves, sizeof halves, 1, 1, packed, sizeof packed);
    assert_int_equal(parse(packed, n, "a.f16bin.zst", NLSH_FORMAT_AUTO, &v), NLSH_OK);
    assert_true(((const float *)v.matrix.data)[1] == -2.0f);
    nlsh__vectors_clear(&v);
}

/* Several windows of 256 KiB and many blocks, rows that straddle their ends, by every path: rows behind their
 * dimension, a block into its place, lengths that are stated and that are not. */
static void large_streams_cross_the_window(void **state)
{
    enum { ROWS = 5003, WIDTH = 257, SIZE = ROWS * (WIDTH + 4), SPACE = 2 * SIZE };
    uint8_t *rows = malloc(8 + SIZE), *packed = malloc(SPACE);
    struct nlsh__rng rng;
    struct nlsh_vectors v;
    (void)state;
    test_rng(&rng, 1);
    memcpy(rows, (uint32_t[]){ROWS, WIDTH + 4}, 8);
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t *row = rows + 8 + i * (WIDTH + 4);
        memcpy(row, &(uint32_t){WIDTH}, 4);
        for (size_t j = 0; j < WIDTH; j++) row[4 + j] = (uint8_t)nlsh__rng_below(&rng, 40);
    }
    for (int stated = 0; stated < 2; stated++) {
        size_t n = pack(rows + 8, SIZE, stated, 1, packed, SPACE);
        assert_int_equal(parse(packed, n, "x.bvecs.zst", NLSH_FORMAT_AUTO, &v), NLSH_OK);
        assert_int_equal(v.matrix.n_rows, ROWS);
        for (size_t i = 0; i < ROWS; i++)
            assert_memory_equal((const uint8_t *)v.matrix.data + i * WIDTH,
                                rows + 8 + i * (WIDTH + 4) + 4, WIDTH);
        same_in_blocks(packed, n, "x.bvecs.zst", &v.matrix);
        nlsh__vectors_clear(&v);
        n = pack(rows, 8 + SIZE, stated, 1, packed, SPACE);
        assert_int_equal(parse(packed, n, "x.u8bin", NLSH_FORMAT_AUTO, &v), NLSH_OK);
        assert_memory_equal(v.matrix.data, rows + 8, SIZE);
        nlsh__vectors_clear(&v);
        expect(packed, n - 1, "x.u8bin", NLSH_E_DATA, "cut short");
        packed[n / 2] ^= 0x10;
        expect(packed, n, "x.u8bin", NLSH_E_DATA, "x.u8bin");
    }
    free(rows);
    free(packed);
}

/* What we say of the length is what comes out. */
static void lengths_are_known_where_frames_say_them(void **state)
{
    static uint8_t bytes[300000], packed[400000];
    static const size_t sizes[] = {0, 1, 255, 256, 257, 65791, 65792, 131072, 131073, 300000};
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * i >> 9);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int how = 0; how < 4; how++) {
            struct nlsh__source *source;
            uint64_t got;
            size_t n = pack(bytes, sizes[i], how & 1, how >> 1, packed, sizeof packed);
            assert_int_equal(nlsh__source_open(packed, n, NLSH__ZSTD, "x", NULL, &source, &error),
                             NLSH_OK);
            assert_true(nlsh__source_length(source) == (how & 1 ? sizes[i] : NLSH__UNKNOWN));
            assert_true(nlsh__source_bound(source) >= sizes[i]);
            assert_true(nlsh__source_bound(source) <= sizes[i] + ((size_t)128 << 10));
            for (int pass = 0; pass < 2; pass++) {
                assert_int_equal(nlsh__source_read(source, NULL, UINT64_MAX, &got, &error),
                                 NLSH_OK);
                assert_true(got == sizes[i] && nlsh__source_length(source) == sizes[i]);
                assert_int_equal(nlsh__source_rewind(source, &error), NLSH_OK);
            }
            nlsh__source_close(source);
        }
}

/* ---- refused ------------------------------------------------------------------------------------ */

static void every_truncation_and_every_damage(void **state)
{
    static uint8_t packed[ROOM];
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        size_t size;
        uint8_t *bytes = plain(i, &size);
        for (int stated = 0; stated < 2; stated++) {
            size_t n = pack(bytes, size, stated, 1, packed, ROOM);
            for (size_t cut = 4; cut < n; cut += TEST_STRIDE)
                expect(packed, cut, files[i].name, NLSH_E_DATA, "cut short");
            for (size_t at = 4; at < n; at += TEST_STRIDE) {
                struct nlsh_vectors v;
                packed[at] ^= 0x41;
                enum nlsh_status status = parse(packed, n, files[i].name, NLSH_FORMAT_AUTO, &v);
                /* Another window, and a head's bit without a meaning, are no harm. */
                if (status == NLSH_OK && at > 5) fail_msg("%s: byte %zu", files[i].name, at);
                nlsh__vectors_clear(&v);
                packed[at] ^= 0x41;
            }
            packed[n] = 0x28;
            packed[n + 1] = 0xb5;
            packed[n + 2] = 0x2f;
            packed[n + 3] = 0xfe;
            for (size_t more = 1; more <= 4; more++) {
                char words[80];
                snprintf(words, sizeof words, "%zu bytes behind the end of the zstd stream", more);
                expect(packed, n + more, files[i].name, NLSH_E_DATA, words);
            }
            packed[n + 3] = 0xfd; /* another frame begins, and that is all */
            expect(packed, n + 4, files[i].name, NLSH_E_DATA, "cut short");
            expect(packed, n + skipped(packed + n, 9) - 1, files[i].name, NLSH_E_DATA, "cut short");
        }
        free(bytes);
    }
}

/* Who unpacks does not rely on the file having been gone through before: by 7 bytes at a time. */
static void a_cut_stream_has_no_end(void **state)
{
    static uint8_t packed[ROOM];
    uint8_t out[7];
    size_t size, got, done;
    uint8_t *bytes = plain(1, &size);
    size_t n = pack(bytes, size, 0, 1, packed, ROOM);
    (void)state;
    for (size_t cut = 4; cut <= n; cut++) {
        struct nlsh__zstd_stream *stream = NULL;
        enum nlsh_status status = nlsh__zstd_begin(&stream, packed, cut, "x", &error);
        int ended = 0;
        for (done = 0; status == NLSH_OK && !ended; done += got) {
            status = nlsh__zstd_read(stream, out, sizeof out, &got, &ended, &error);
            assert_memory_equal(out, bytes + done, got);
            assert_true(got == sizeof out || ended || status != NLSH_OK);
        }
        assert_int_equal(status, cut < n ? NLSH_E_DATA : NLSH_OK);
        if (cut < n) assert_non_null(strstr(error.message, "x: the zstd stream is cut short"));
        if (cut == n) assert_int_equal(done, size);
        nlsh__zstd_end(stream);
    }
    free(bytes);
}

/* What a head claims is refused before memory is asked for: 2^40 rows in some hundred bytes. */
static void headers_that_lie(void **state)
{
    static const uint32_t billions[] = {UINT32_MAX, 256, 1, 2};
    static const char dict[] =
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 256), }\n";
    uint8_t npy[512] = "\x93NUMPY\1\0", packed[1024];
    (void)state;
    npy[8] = sizeof dict - 1;
    memcpy(npy + 10, dict, sizeof dict - 1);
    for (int stated = 0; stated < 2; stated++) {
        const char *words = stated ? "truncated: " : "so small a compressed file holds";
        size_t n = pack(npy, sizeof npy, stated, 1, packed, sizeof packed);
        expect(packed, n, "a.npy.zst", NLSH_E_DATA, words);
        n = pack(billions, sizeof billions, stated, 1, packed, sizeof packed);
        expect(packed, n, "a.fbin.zst", NLSH_E_DATA, words);
        struct nlsh_rows rows = {.struct_size = sizeof rows};
        assert_int_equal(nlsh__rows_parse(packed, n, "a.fbin.zst", NLSH_FORMAT_AUTO, &rows, &error),
                         NLSH_E_DATA);
    }
}

/* The frame's own head lies too, as the header inside does, and its blocks say that it does: 8 bytes and four runs of
 * 128 KiB, more than is unpacked before a header is read. */
static void frames_that_lie(void **state)
{
    uint8_t frame[64] = "\x28\xb5\x2f\xfd\xc0\x58";
    const uint64_t claimed = 8 + ((uint64_t)UINT32_MAX << 10);
    const uint32_t first = 8 << 3, run = 128 << 13 | 1 << 1, last = run | 1;
    size_t n = 25;
    (void)state;
    memcpy(frame + 6, &claimed, 8);
    memcpy(frame + 14, &first, 3);
    memcpy(frame + 17, (uint32_t[]){UINT32_MAX, 256}, 8);
    for (int i = 0; i < 4; i++, n += 4) memcpy(frame + n, i < 3 ? &run : &last, 3);
    expect(frame, n, "a.fbin.zst", NLSH_E_DATA, "so small a compressed file holds 524296 at most");
    memcpy(frame + 17, (uint32_t[]){1 << 16, 2}, 8); /* as much as there is */
    expect(frame, n, "a.fbin.zst", NLSH_E_DATA, "damaged");
    memcpy(frame + 6, &(uint64_t){8 + (512 << 10)}, 8);
    expect(frame, n, "a.fbin.zst", NLSH_OK, "");
    memcpy(frame + 6, &(uint64_t){8 + (512 << 10) - 8}, 8);
    expect(frame, n, "a.fbin.zst", NLSH_E_DATA, "truncated: 8 bytes are missing");
    memcpy(frame + 17, (uint32_t[]){1, (1 << 17) - 2}, 8);
    expect(frame, n, "a.fbin.zst", NLSH_E_DATA, "damaged");
}

static void dictionaries_and_windows(void **state)
{
    static const uint8_t with_dictionary[] = {0x28, 0xb5, 0x2f, 0xfd, 0x21, 77, 9, 0x49, 0, 0,
                                              1,    0,    0,    0,    1,    0,  0, 0,    7};
    uint8_t window[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0x49, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7};
    (void)state;
    expect(with_dictionary, sizeof with_dictionary, "a.u8bin.zst", NLSH_E_DATA, "a dictionary");
    assert_non_null(strstr(error.hint, "zstd -d -D DICTIONARY a.u8bin.zst"));
    window[5] = (27 - 10) << 3;
    expect(window, sizeof window, "a.u8bin.zst", NLSH_OK, "");
    window[5]++; /* an eighth more */
    expect(window, sizeof window, "a.u8bin.zst", NLSH_E_DATA, "more than 128 MiB");
    assert_non_null(strstr(error.hint, "zstd -d --long=31 a.u8bin.zst"));
    window[5] = 0xff;
    expect(window, sizeof window, "$(a).u8bin.zst", NLSH_E_DATA, "more than 128 MiB");
    assert_non_null(strstr(error.hint, "--long=31 FILE"));
}

static void compressed_twice(void **state)
{
    static uint8_t once[ROOM], twice[ROOM];
    size_t size;
    uint8_t *bytes = plain(0, &size);
    (void)state;
    size_t n = pack(bytes, size, 1, 1, once, ROOM);
    expect(twice, pack(once, n, 1, 1, twice, ROOM), "a.fvecs.zst", NLSH_E_DATA, "compressed twice");
    gzFile out = gzopen(test_path("a.gz"), "wb");
    assert_int_equal(gzwrite(out, once, (unsigned)n), (int)n);
    assert_int_equal(gzclose(out), Z_OK);
    free(bytes);
    bytes = test_read_file(test_path("a.gz"), &size);
    expect(bytes, size, "a.fvecs.gz", NLSH_E_DATA, "compressed twice");
    expect(twice, pack(bytes, size, 1, 1, twice, ROOM), "a", NLSH_E_DATA, "compressed twice");
    free(bytes);
}

static int count_looks(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)stage, (void)done, (void)total;
    return --*(int *)user == 0;
}

/* 64 MiB in some KiB: a run is asked as the bytes come out, not as the file is gone through. */
static void reading_can_be_stopped(void **state)
{
    enum { SIZE = 64 << 20 };
    static uint8_t packed[ROOM];
    uint8_t *zeros = calloc(1, SIZE + 8);
    int left = 0;
    struct nlsh_run run = {
        .struct_size = sizeof run, .n_threads = 1, .progress = count_looks, .user = &left};
    struct nlsh_vectors v;
    (void)state;
    memcpy(zeros, (uint32_t[]){SIZE / 64, 64}, 8);
    size_t n = pack(zeros, SIZE + 8, 1, 0, packed, ROOM);
    assert_int_equal(
        nlsh__vectors_parse(packed, n, "a.u8bin.zst", NLSH_FORMAT_AUTO, &run, &v, &error), NLSH_OK);
    nlsh__vectors_clear(&v);
    assert_in_range(-left, 16, 20);
    for (int stop = 1; stop < 9; stop += 3) {
        left = stop;
        assert_int_equal(
            nlsh__vectors_parse(packed, n, "a.u8bin.zst", NLSH_FORMAT_AUTO, &run, &v, &error),
            NLSH_E_INTERRUPTED);
        assert_int_equal(left, 0);
        assert_null(v.memory);
    }
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_in_one_and_in_many_frames),
        cmocka_unit_test(text_and_halves),
        cmocka_unit_test(large_streams_cross_the_window),
        cmocka_unit_test(lengths_are_known_where_frames_say_them),
        cmocka_unit_test(every_truncation_and_every_damage),
        cmocka_unit_test(a_cut_stream_has_no_end),
        cmocka_unit_test(headers_that_lie),
        cmocka_unit_test(frames_that_lie),
        cmocka_unit_test(dictionaries_and_windows),
        cmocka_unit_test(compressed_twice),
        cmocka_unit_test(reading_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
