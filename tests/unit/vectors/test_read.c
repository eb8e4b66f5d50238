/*
 * test_read.c - what the reader takes and what it refuses.
 *
 * The files are written out here by hand, byte by byte, so that a mistake made twice (in our
 * writer and in our reader) shows.
 */
#include "testing.h"

#include <zlib.h>

#include "vectors/parse.h"

/* ---- the files ------------------------------------------------------------------------------- */

#define F1 0, 0, 128, 63  /* 1.0f */
#define F2 0, 0, 0, 64    /* 2.0f */
#define FH 0, 0, 0, 191   /* -0.5f */
#define FE 0, 36, 116, 73 /* 1000000.0f */

static const uint8_t idx_u8[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0,
                                 1, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255};
static const uint8_t idx_f32[] = {0, 0, 13, 2, 0, 0, 0,   2, 0, 0, 0,  2,   63, 128,
                                  0, 0, 64, 0, 0, 0, 191, 0, 0, 0, 73, 116, 36, 0};
static const uint8_t fvecs[] = {2, 0, 0, 0, F1, F2, 2, 0, 0, 0, FH, FE};
static const uint8_t bvecs[] = {3, 0, 0, 0, 1, 2, 3, 3, 0, 0, 0, 4, 5, 255};
static const uint8_t ivecs[] = {2, 0, 0, 0, 7,   0,   0,   0,   0, 1, 0, 0,
                                2, 0, 0, 0, 255, 255, 255, 255, 1, 0, 0, 0};
static const uint8_t fbin[] = {2, 0, 0, 0, 2, 0, 0, 0, F1, F2, FH, FE};
static const uint8_t ibin[] = {2, 0, 0, 0, 2,   0,   0,   0,   7, 0, 0, 0,
                               0, 1, 0, 0, 255, 255, 255, 255, 1, 0, 0, 0};
static const uint8_t u8bin[] = {2, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3, 4, 5, 255};

/* 1, -2, the least and the greatest of 16 bits */
static const uint8_t f16bin[] = {2, 0, 0, 0, 2, 0, 0, 0, 0, 0x3c, 0, 0xc0, 1, 0, 0xff, 0x7b};
static const float halves[] = {1.0f, -2.0f, 0x1p-24f, 65504.0f};
static const float floats[] = {1.0f, 2.0f, -0.5f, 1000000.0f};
static const uint8_t u8s[] = {1, 2, 3, 4, 5, 255};
static const int8_t i8s[] = {1, 2, 3, 4, 5, -1};
static const int32_t i32s[] = {7, 256, -1, 1};

struct file {
    const char *name; /* its ending tells the format */
    enum nlsh_format format;
    enum nlsh_type type;
    size_t n_rows, dim;
    const void *values;
    const uint8_t *bytes;
    size_t size;
};

#define N_FILES 15
static struct file files[N_FILES];
static uint8_t npy_bytes[5][160];

static size_t make_npy(uint8_t *out, const char *descr, const char *shape, const void *values,
                       size_t size)
{
    char dict[96];
    int n = snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n",
                     descr, shape);
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (uint8_t)n;
    out[9] = 0;
    memcpy(out + 10, dict, (size_t)n);
    memcpy(out + 10 + n, values, size);
    return 10 + (size_t)n + size;
}

static void make_files(void)
{
    static const uint8_t fbytes[] = {F1, F2, FH, FE};
    static const uint8_t ibytes[] = {7, 0, 0, 0, 0, 1, 0, 0, 255, 255, 255, 255, 1, 0, 0, 0};
    struct file *f = files;
#define ADD(n, form, t, r, d, v, b, s)                                                             \
    *f++ = (struct file){n, NLSH_FORMAT_##form, NLSH_##t, r, d, v, b, s}
    ADD("a-idx3-ubyte", IDX, U8, 2, 3, u8s, idx_u8, sizeof idx_u8);
    ADD("a.idx", IDX, F32, 2, 2, floats, idx_f32, sizeof idx_f32);
    ADD("a.fvecs", FVECS, F32, 2, 2, floats, fvecs, sizeof fvecs);
    ADD("a.bvecs", BVECS, U8, 2, 3, u8s, bvecs, sizeof bvecs);
    ADD("a.ivecs", IVECS, I32, 2, 2, i32s, ivecs, sizeof ivecs);
    ADD("a.fbin", FBIN, F32, 2, 2, floats, fbin, sizeof fbin);
    ADD("a.u8bin", U8BIN, U8, 2, 3, u8s, u8bin, sizeof u8bin);
    ADD("a.i8bin", I8BIN, I8, 2, 3, i8s, u8bin, sizeof u8bin);
    ADD("a.ibin", IBIN, I32, 2, 2, i32s, ibin, sizeof ibin);
    ADD("a.f16bin", F16BIN, F32, 2, 2, halves, f16bin, sizeof f16bin);
    ADD("h.npy", NPY, F32, 2, 2, halves, npy_bytes[4],
        make_npy(npy_bytes[4], "<f2", "(2, 2)", f16bin + 8, 8));
    ADD("f.npy", NPY, F32, 2, 2, floats, npy_bytes[0],
        make_npy(npy_bytes[0], "<f4", "(2, 2)", fbytes, sizeof fbytes));
    ADD("u.npy", NPY, U8, 2, 3, u8s, npy_bytes[1],
        make_npy(npy_bytes[1], "|u1", "(2, 3)", u8s, sizeof u8s));
    ADD("i.npy", NPY, I8, 2, 3, i8s, npy_bytes[2],
        make_npy(npy_bytes[2], "|i1", "(2, 3)", u8s, sizeof u8s));
    ADD("l.npy", NPY, I32, 2, 2, i32s, npy_bytes[3],
        make_npy(npy_bytes[3], "<i4", "(2, 2)", ibytes, sizeof ibytes));
    assert_int_equal(f - files, N_FILES);
}

/* ---- helpers --------------------------------------------------------------------------------- */

static struct nlsh_error error;

/* The bytes stand at the end of an allocation of just their size: ASan sees a read behind it. */
static enum nlsh_status parse(const void *bytes, size_t size, const char *name,
                              enum nlsh_format format, struct nlsh_vectors *out)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0) memcpy(copy, bytes, size);
    memset(&error, 0, sizeof error);
    enum nlsh_status status = nlsh__vectors_parse(copy, size, name, format, NULL, out, &error);
    free(copy);
    if (status != NLSH_OK) { /* nothing is left, and there are words for it */
        assert_null(out->memory);
        assert_null(out->matrix.data);
        assert_int_equal(error.status, status);
        assert_non_null(strstr(error.message, name));
    }
    return status;
}

static void expect(const char *name, const void *bytes, size_t size, enum nlsh_format format,
                   enum nlsh_status status, const char *words)
{
    struct nlsh_vectors v;
    enum nlsh_status is = parse(bytes, size, name, format, &v);
    if (is != status || (words != NULL && strstr(error.message, words) == NULL))
        fail_msg("%s: status %d, wanted %d with '%s': %s", name, is, status,
                 words != NULL ? words : "", error.message);
    nlsh__vectors_clear(&v);
}

static void check_same(const struct file *f, const struct nlsh_vectors *v)
{
    assert_int_equal(v->format, f->format);
    assert_int_equal(v->matrix.type, f->type);
    assert_int_equal(v->matrix.n_rows, f->n_rows);
    assert_int_equal(v->matrix.dim, f->dim);
    assert_memory_equal(v->matrix.data, f->values, f->n_rows * f->dim * nlsh__type_size(f->type));
}

static size_t gzip(const void *bytes, size_t size, uint8_t *out, size_t room)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (z_const Bytef *)bytes;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = room - z.avail_out;
    deflateEnd(&z);
    return n;
}

/* ---- what is read ---------------------------------------------------------------------------- */

static void every_format_by_name_by_argument_and_by_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        const struct file *f = &files[i];
        struct nlsh_vectors v;
        assert_int_equal(parse(f->bytes, f->size, f->name, NLSH_FORMAT_AUTO, &v), NLSH_OK);
        check_same(f, &v);
        nlsh__vectors_clear(&v);
        assert_int_equal(parse(f->bytes, f->size, "x", f->format, &v), NLSH_OK);
        check_same(f, &v);
        nlsh__vectors_clear(&v);
        enum nlsh_status status = parse(f->bytes, f->size, "x", NLSH_FORMAT_AUTO, &v);
        int alike = f->format == NLSH_FORMAT_U8BIN || f->format == NLSH_FORMAT_I8BIN;
        assert_int_equal(status, alike ? NLSH_E_DATA : NLSH_OK);
        if (alike) assert_non_null(strstr(error.message, "look alike"));
        if (!alike) check_same(f, &v);
        nlsh__vectors_clear(&v);
    }
}

static void ids_are_told_from_floats_by_content(void **state)
{
    (void)state;
    static const uint8_t ids[] = {2, 0, 0, 0, 7, 0, 0, 0, 0, 1, 0, 0};
    struct nlsh_vectors v;
    assert_int_equal(parse(ids, sizeof ids, "x", NLSH_FORMAT_AUTO, &v), NLSH_OK);
    assert_int_equal(v.format, NLSH_FORMAT_IVECS);
    nlsh__vectors_clear(&v);
    expect("x.fvecs", ids, sizeof ids, NLSH_FORMAT_AUTO, NLSH_E_DATA, "content is ivecs");
}

static void gzipped_in_one_and_in_many_members(void **state)
{
    (void)state;
    uint8_t packed[1024];
    char name[64];
    for (size_t i = 0; i < N_FILES; i++) {
        const struct file *f = &files[i];
        struct nlsh_vectors v;
        snprintf(name, sizeof name, "%s.gz", f->name);
        size_t n = gzip(f->bytes, f->size, packed, sizeof packed);
        assert_int_equal(parse(packed, n, name, NLSH_FORMAT_AUTO, &v), NLSH_OK);
        check_same(f, &v);
        nlsh__vectors_clear(&v);
        assert_int_equal(parse(packed, n, "x", f->format, &v), NLSH_OK); /* by its magic */
        check_same(f, &v);
        nlsh__vectors_clear(&v);
        for (size_t cut = 0; cut <= f->size; cut++) { /* an empty member is legal too */
            n = gzip(f->bytes, cut, packed, sizeof packed);
            n += gzip(f->bytes + cut, f->size - cut, packed + n, sizeof packed - n);
            assert_int_equal(parse(packed, n, name, NLSH_FORMAT_AUTO, &v), NLSH_OK);
            check_same(f, &v);
            nlsh__vectors_clear(&v);
        }
    }
}

static void large_gzip_streams_cross_the_window(void **state)
{
    (void)state;
    enum { N = 4001, DIM = 257 }; /* 4 x the window of 256 KiB, rows that straddle its end */
    uint8_t *rows = malloc(N * (DIM + 4)), *packed = malloc(N * (DIM + 4) + 4096);
    struct nlsh__rng rng;
    test_rng(&rng, 1);
    for (size_t i = 0; i < N; i++) {
        uint32_t dim = DIM;
        memcpy(rows + i * (DIM + 4), &dim, 4);
        for (size_t j = 0; j < DIM; j++)
            rows[i * (DIM + 4) + 4 + j] = (uint8_t)nlsh__rng_below(&rng, 40);
    }
    size_t n = gzip(rows, N * (DIM + 4), packed, N * (DIM + 4) + 4096);
    struct nlsh_vectors v;
    assert_int_equal(parse(packed, n, "x.bvecs.gz", NLSH_FORMAT_AUTO, &v), NLSH_OK);
    assert_int_equal(v.matrix.n_rows, N);
    for (size_t i = 0; i < N; i++)
        assert_memory_equal((const uint8_t *)v.matrix.data + i * DIM, rows + i * (DIM + 4) + 4,
                            DIM);
    nlsh__vectors_clear(&v);
    /* The same bytes as one block behind a header: the path that inflates into place. */
    uint32_t shape[2] = {N, DIM + 4};
    n = gzip(shape, sizeof shape, packed, 4096);
    n += gzip(rows, N * (DIM + 4), packed + n, N * (DIM + 4) + 4096 - n);
    assert_int_equal(parse(packed, n, "x.u8bin", NLSH_FORMAT_AUTO, &v), NLSH_OK);
    assert_memory_equal(v.matrix.data, rows, N * (DIM + 4));
    nlsh__vectors_clear(&v);
    expect("x.u8bin", packed, n - 1, NLSH_FORMAT_AUTO, NLSH_E_DATA, "cut short");
    packed[n / 2] ^= 0x10;
    expect("x.u8bin", packed, n, NLSH_FORMAT_AUTO, NLSH_E_DATA, NULL);
    free(rows);
    free(packed);
}

static void a_plain_file_that_begins_like_gzip(void **state)
{
    (void)state;
    enum { N = 0x00088b1f }; /* as u32: 1f 8b 08 00 */
    uint8_t *bytes = calloc(8 + N, 1);
    const uint32_t shape[2] = {N, 1};
    memcpy(bytes, shape, 8);
    bytes[8 + N - 1] = 9;
    struct nlsh_vectors v;
    assert_int_equal(parse(bytes, 8 + N, "x.u8bin", NLSH_FORMAT_AUTO, &v), NLSH_OK);
    assert_int_equal(v.matrix.n_rows, N);
    assert_int_equal(((const uint8_t *)v.matrix.data)[N - 1], 9);
    nlsh__vectors_clear(&v);
    free(bytes);
}

static void numpy_headers_of_other_versions_and_spacings(void **state)
{
    (void)state;
    static const char *dicts[] = {
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }   \n",
        "{\"shape\":(2,3),\"descr\":\"|u1\",\"fortran_order\":False}",
        "{'fortran_order': False, 'shape': (2L, 3L,), 'descr': '<u1',}\n",
    };
    for (int version = 1; version <= 3; version++)
        for (size_t i = 0; i < sizeof dicts / sizeof dicts[0]; i++) {
            uint8_t bytes[160] = "\x93NUMPY";
            size_t at = version == 1 ? 10 : 12, n = strlen(dicts[i]);
            bytes[6] = (uint8_t)version;
            bytes[8] = (uint8_t)n;
            memcpy(bytes + at, dicts[i], n);
            memcpy(bytes + at + n, u8s, sizeof u8s);
            struct nlsh_vectors v;
            assert_int_equal(parse(bytes, at + n + sizeof u8s, "x.npy", NLSH_FORMAT_AUTO, &v),
                             NLSH_OK);
            assert_int_equal(v.matrix.dim, 3);
            assert_memory_equal(v.matrix.data, u8s, sizeof u8s);
            nlsh__vectors_clear(&v);
        }
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        const struct file *f = &files[i];
        for (size_t n = 0; n < f->size; n++) {
            size_t row = f->size / 2; /* of the prefixed ones: one row is a whole file */
            int whole =
                n == row && (f->format == NLSH_FORMAT_FVECS || f->format == NLSH_FORMAT_BVECS ||
                             f->format == NLSH_FORMAT_IVECS);
            expect(f->name, f->bytes, n, NLSH_FORMAT_AUTO, whole ? NLSH_OK : NLSH_E_DATA, NULL);
            expect("x", f->bytes, n, f->format, whole ? NLSH_OK : NLSH_E_DATA, NULL);
        }
        uint8_t longer[256];
        memcpy(longer, f->bytes, f->size);
        longer[f->size] = 7;
        expect("x", longer, f->size + 1, f->format, NLSH_E_DATA, NULL);
    }
}

static void every_truncation_and_every_damage_of_a_gzip_file(void **state)
{
    (void)state;
    uint8_t packed[1024];
    for (size_t i = 0; i < N_FILES; i++) {
        const struct file *f = &files[i];
        size_t size = gzip(f->bytes, f->size, packed, sizeof packed);
        for (size_t n = 3; n < size; n++) /* shorter ones do not show they are gzip */
            expect("x", packed, n, f->format, NLSH_E_DATA, NULL);
        for (size_t n = 10; n < size; n++) { /* bytes 4 to 9: time and system, free to change */
            packed[n] ^= 0x41;
            expect("x", packed, n < 10 ? n : size, f->format, NLSH_E_DATA, NULL);
            packed[n] ^= 0x41;
        }
        packed[size] = 0;
        packed[size + 1] = 0x8b;
        expect("x", packed, size + 1, f->format, NLSH_E_DATA, "1 bytes behind the end of the gzip");
        expect("x", packed, size + 2, f->format, NLSH_E_DATA, "2 bytes behind the end of the gzip");
    }
}

static void messages_say_how_much_is_missing(void **state)
{
    (void)state;
    expect("a.fbin", fbin, sizeof fbin - 3, NLSH_FORMAT_AUTO, NLSH_E_DATA, "3 bytes are missing");
    expect("a.fvecs", fvecs, sizeof fvecs - 3, NLSH_FORMAT_AUTO, NLSH_E_DATA,
           "row 1 misses 3 of its 12 bytes");
    expect("a-idx3-ubyte", idx_u8, sizeof idx_u8 - 2, NLSH_FORMAT_AUTO, NLSH_E_DATA,
           "2 bytes are missing");
    expect("a.u8bin", u8bin, 0, NLSH_FORMAT_AUTO, NLSH_E_DATA, "empty");
    uint8_t longer[sizeof fbin + 5] = {0};
    memcpy(longer, fbin, sizeof fbin);
    expect("a.fbin", longer, sizeof longer, NLSH_FORMAT_AUTO, NLSH_E_DATA, "5 bytes too many");
    uint8_t packed[256];
    size_t n = gzip(fbin, sizeof fbin - 3, packed, sizeof packed);
    expect("a.fbin.gz", packed, n, NLSH_FORMAT_AUTO, NLSH_E_DATA, "3 bytes are missing");
    n = gzip(longer, sizeof longer, packed, sizeof packed);
    expect("a.fbin.gz", packed, n, NLSH_FORMAT_AUTO, NLSH_E_DATA, "bytes follow the last row");
    n = gzip(fvecs, sizeof fvecs - 3, packed, sizeof packed);
    expect("a.fvecs.gz", packed, n, NLSH_FORMAT_AUTO, NLSH_E_DATA, "row 1 misses 3 of its 12");
}

static void rows_of_unequal_dimension_are_named(void **state)
{
    (void)state;
    static const uint8_t uneven[] = {1, 0, 0, 0, F1, 1, 0, 0, 0, F1, 2, 0, 0, 0, F1, F2};
    static const uint8_t negative[] = {1, 0, 0, 0, F1, 255, 255, 255, 255, F2};
    uint8_t packed[256];
    expect("a.fvecs", uneven, sizeof uneven, NLSH_FORMAT_AUTO, NLSH_E_DATA,
           "row 2 has dimension 2, the rows before it 1");
    expect("a.fvecs", negative, sizeof negative, NLSH_FORMAT_AUTO, NLSH_E_DATA, "row 1");
    size_t n = gzip(uneven, sizeof uneven, packed, sizeof packed);
    expect("a.fvecs.gz", packed, n, NLSH_FORMAT_AUTO, NLSH_E_DATA, "row 2 has dimension 2");
    static const uint8_t zero[] = {0, 0, 0, 0, 0, 0, 0, 0};
    expect("a.fvecs", zero, sizeof zero, NLSH_FORMAT_FVECS, NLSH_E_DATA, "dimension 0");
}

static void not_a_number_is_named_by_row_and_column(void **state)
{
    (void)state;
    static const uint32_t bits[] = {0x7fc00000, 0x7f800001, 0xffffffff, 0x7f800000, 0xff800000};
    enum { N = 70, DIM = 100 }; /* more than one block of the search */
    uint32_t *bin = calloc(2 + N * DIM, 4);
    bin[0] = N;
    bin[1] = DIM;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        for (size_t row = 0; row < N; row += 23) {
            char words[64];
            snprintf(words, sizeof words, "row %zu, column 99 is %s", row,
                     i < 3 ? "NaN" : "infinite");
            bin[2 + row * DIM + 99] = bits[i];
            expect("a.fbin", bin, (2 + N * DIM) * 4, NLSH_FORMAT_AUTO, NLSH_E_DATA, words);
            bin[2 + row * DIM + 99] = 0x7f7fffff; /* the largest float is one */
            expect("a.fbin", bin, (2 + N * DIM) * 4, NLSH_FORMAT_AUTO, NLSH_OK, NULL);
            bin[2 + row * DIM + 99] = 0;
        }
    free(bin);
}

static void headers_that_lie(void **state)
{
    (void)state;
    static const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 2};
    static const uint8_t huge[] = {0,   0,   8,   8,   255, 255, 255, 255, 255, 255, 255, 255,
                                   255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                   255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    static const uint8_t none[] = {0, 0, 0, 0, 5, 0, 0, 0};
    static const uint8_t flat[] = {5, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t billions[] = {255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4};
    uint8_t packed[256];
    expect("t-ubyte", labels, sizeof labels, NLSH_FORMAT_AUTO, NLSH_E_DATA, "labels");
    expect("t-ubyte", huge, sizeof huge, NLSH_FORMAT_AUTO, NLSH_E_DATA, "overflow");
    expect("a.fbin", none, sizeof none, NLSH_FORMAT_FBIN, NLSH_E_DATA, "no vectors");
    expect("a.fbin", flat, sizeof flat, NLSH_FORMAT_FBIN, NLSH_E_DATA, "no vectors");
    expect("a.fbin", billions, sizeof billions, NLSH_FORMAT_FBIN, NLSH_E_DATA, "no file has");
    expect("a.u8bin", billions, sizeof billions, NLSH_FORMAT_U8BIN, NLSH_E_DATA, "missing");
    size_t n = gzip(billions, sizeof billions, packed, sizeof packed);
    expect("a.u8bin", packed, n, NLSH_FORMAT_U8BIN, NLSH_E_DATA, "so small a compressed file");
    for (unsigned type = 0; type < 256; type++) { /* IDX's type byte */
        uint8_t bytes[sizeof idx_u8];
        memcpy(bytes, idx_u8, sizeof bytes);
        bytes[2] = (uint8_t)type;
        int ok = type == 8 || type == 9, other = type == 11 || type == 12 || type == 14;
        expect("x", bytes, sizeof bytes, NLSH_FORMAT_IDX, ok ? NLSH_OK : NLSH_E_DATA,
               other ? "are not read" : NULL);
    }
}

/* Each byte of each header to three other values: an answer or an error, never a crash (ASan);
 * where it is an answer, it has as many values as the file. */
static void damaged_headers(void **state)
{
    (void)state;
    static const uint8_t flips[] = {0x01, 0x80, 0xff};
    for (size_t i = 0; i < N_FILES; i++) {
        const struct file *f = &files[i];
        uint8_t bytes[256];
        size_t values = f->n_rows * f->dim * nlsh__type_size(f->type);
        memcpy(bytes, f->bytes, f->size);
        for (size_t at = 0; at < f->size; at++)
            for (size_t j = 0; j < 3; j++) {
                struct nlsh_vectors v;
                bytes[at] ^= flips[j];
                if (parse(bytes, f->size, "x", f->format, &v) == NLSH_OK)
                    assert_int_equal(
                        v.matrix.n_rows * v.matrix.dim * nlsh__type_size(v.matrix.type), values);
                nlsh__vectors_clear(&v);
                bytes[at] ^= flips[j];
            }
    }
}

/* Value d of row i, a whole number that every type holds. */
static int value_at(size_t i, size_t d)
{
    return (int)((i * 31 + d * 7) % 60);
}

/* A value of numpy's type into out, in the byte order that descr begins with; returns its size. */
static size_t put_value(uint8_t *out, const char *descr, int value)
{
    size_t size = (size_t)(descr[2] - '0');
    uint64_t bits = (uint64_t)value;
    double wide = value;
    float narrow = (float)value;
    if (descr[1] == 'f' && size == 8) memcpy(&bits, &wide, 8);
    if (descr[1] == 'f' && size == 4) memcpy(&bits, &narrow, 4);
    if (descr[1] == 'f' && size == 2) { /* the sign, the lower 5 bits of the exponent, 10 bits */
        uint32_t single;
        memcpy(&single, &narrow, 4);
        bits = value == 0 ? 0 : (single >> 13) - ((127 - 15) << 10);
    }
    for (size_t b = 0; b < size; b++)
        out[descr[0] == '>' ? size - 1 - b : b] = (uint8_t)(bits >> (8 * b));
    return size;
}

/* All types, byte orders and orders of rows and columns mean the same values. */
static void every_kind_of_numpy_array(void **state)
{
    (void)state;
    static const char *const kinds[] = {"<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "|u1",
                                        "|i1", "<i4", ">i4", "=f4", ">u1", "<i1"};
    static const size_t shapes[][2] = {{1, 1}, {1, 5}, {5, 1}, {3, 4}, {37, 19}, {16, 16}};
    static uint8_t values[37 * 19 * 8], bytes[200 + sizeof values];
    for (size_t c = 0; c < sizeof kinds / sizeof kinds[0] * 2 * 6; c++) {
        const char *kind = kinds[c / 12];
        size_t n = shapes[c % 6][0], dim = shapes[c % 6][1], size = 0;
        int columns = c / 6 % 2;
        for (size_t at = 0; at < n * dim; at++)
            size += put_value(values + size, kind,
                              columns ? value_at(at % n, at / n) : value_at(at / dim, at % dim));
        int length = snprintf((char *)bytes + 10, 180,
                              "{'descr': '%s', 'fortran_order': %s, 'shape': (%zu, %zu), }", kind,
                              columns ? "True" : "False", n, dim);
        memcpy(bytes, "\x93NUMPY\x01", 8);
        bytes[8] = (uint8_t)length;
        bytes[9] = 0;
        memcpy(bytes + 10 + length, values, size);

        struct nlsh_vectors v;
        assert_int_equal(parse(bytes, 10 + (size_t)length + size, "a.npy", NLSH_FORMAT_AUTO, &v),
                         NLSH_OK);
        assert_int_equal(v.matrix.n_rows, n);
        assert_int_equal(v.matrix.dim, dim);
        for (size_t at = 0; at < n * dim; at++) {
            int is = v.matrix.type == NLSH_F32   ? (int)((const float *)v.matrix.data)[at]
                     : v.matrix.type == NLSH_I32 ? ((const int32_t *)v.matrix.data)[at]
                                                 : ((const uint8_t *)v.matrix.data)[at];
            if (is != value_at(at / dim, at % dim))
                fail_msg("%s, columns %d, %zu x %zu: value %zu is %d", kind, columns, n, dim, at,
                         is);
        }
        nlsh__vectors_clear(&v);
    }
}

/* An f64 that f32 does not hold is an error that names its place. */
static void doubles_too_large_are_named(void **state)
{
    (void)state;
    double values[4] = {1, 2, 3, 1e300};
    uint8_t bytes[160];
    size_t n = make_npy(bytes, "<f8", "(2, 2)", values, sizeof values);
    expect("a.npy", bytes, n, NLSH_FORMAT_AUTO, NLSH_E_DATA, "row 1, column 1");
}

static void numpy_arrays_that_are_not_read(void **state)
{
    (void)state;
    static const struct {
        const char *descr, *shape;
        enum nlsh_status status;
        const char *hint;
    } cases[] = {
        {"<i2", "(2, 2)", NLSH_E_DATA, "astype"},
        {"<c8", "(2, 2)", NLSH_E_DATA, "astype"},
        {"f4", "(2, 2)", NLSH_E_DATA, "astype"},
        {"<i8", "(2, 2)", NLSH_E_DATA, "astype"},
        {"|b1", "(2, 2)", NLSH_E_DATA, "astype"},
        {"<f4", "(4,)", NLSH_E_DATA, "reshape"},
        {"<f4", "()", NLSH_E_DATA, "reshape"},
        {"<f4", "(2, 1, 2)", NLSH_E_DATA, "reshape"},
        {"<f4", "(0, 2)", NLSH_E_DATA, NULL},
        {"<f4", "(2, 0)", NLSH_E_DATA, NULL},
        {"<f4", "(2, 3)", NLSH_E_DATA, NULL},
        {"<f4", "(2, 1)", NLSH_E_DATA, NULL},
        {"<f4", "(-2, 2)", NLSH_E_DATA, NULL},
        {"<f4", "(2 2)", NLSH_E_DATA, NULL},
        {"<f4", "(2, 2", NLSH_E_DATA, NULL},
        {"<f4", "(4294967296, 4294967296)", NLSH_E_DATA, NULL},
        {"<f4", "(4611686018427387904, 2)", NLSH_E_DATA, NULL},
        {"<f4", "(99999999999999999999999, 2)", NLSH_E_DATA, NULL},
        {"<f4", "(1,1,1,1,1,1,1,1,4)", NLSH_E_DATA, NULL},
        {"<f4567890123456789", "(2, 2)", NLSH_E_DATA, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[160];
        size_t n = make_npy(bytes, cases[i].descr, cases[i].shape, floats, sizeof floats);
        expect("a.npy", bytes, n, NLSH_FORMAT_AUTO, cases[i].status, NULL);
        if (cases[i].hint != NULL) assert_non_null(strstr(error.hint, cases[i].hint));
    }
    static const char *dicts[] = {
        "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (4,), }",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 2), }",
        "{'descr': '<f4', 'fortran_order': False, 'descr': '<f4', 'shape': (2, 2), }",
        "{'descr': '<f4', 'shape': (2, 2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), } 1",
        "",
        "{",
    };
    for (size_t i = 0; i < sizeof dicts / sizeof dicts[0]; i++) {
        uint8_t bytes[160] = "\x93NUMPY\x01";
        size_t n = strlen(dicts[i]);
        bytes[8] = (uint8_t)n;
        memcpy(bytes + 10, dicts[i], n);
        memcpy(bytes + 10 + n, floats, sizeof floats);
        expect("a.npy", bytes, 10 + n + sizeof floats, NLSH_FORMAT_AUTO, NLSH_E_DATA, NULL);
    }
}

static void a_name_that_lies_is_told_what_the_content_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++)
        for (size_t j = 0; j < N_FILES; j++) {
            const struct file *is = &files[i], *says = &files[j];
            struct nlsh_vectors v;
            int as_wide = nlsh__type_size(is->type) == nlsh__type_size(says->type);
            int prefixed = is->format == NLSH_FORMAT_FVECS || is->format == NLSH_FORMAT_IVECS;
            int says_prefixed =
                says->format == NLSH_FORMAT_FVECS || says->format == NLSH_FORMAT_IVECS;
            if (is->format == says->format || (prefixed && says_prefixed) ||
                (as_wide && is->format >= NLSH_FORMAT_FBIN && says->format >= NLSH_FORMAT_FBIN))
                continue;
            assert_int_equal(parse(is->bytes, is->size, says->name, NLSH_FORMAT_AUTO, &v),
                             NLSH_E_DATA);
            const char *word = is->format == NLSH_FORMAT_U8BIN || is->format == NLSH_FORMAT_I8BIN
                                   ? "u8bin or i8bin"
                                   : nlsh_format_name(is->format);
            if (strstr(error.message, word) == NULL || strstr(error.message, "name says") == NULL)
                fail_msg("%s read as %s: %s", is->name, says->name, error.message);
        }
}

static void other_files_get_a_remedy(void **state)
{
    (void)state;
    expect("a.bvecs", "\3757zXZ\0\0", 7, NLSH_FORMAT_BVECS, NLSH_E_DATA, "xz");
    assert_non_null(strstr(error.hint, "xz -d"));
    expect("a", "\x89HDF\r\n\x1a\n", 8, NLSH_FORMAT_AUTO, NLSH_E_DATA, "HDF5");
    expect("a.npy", "PK\3\4\0\0\0\0\0\0\0\0\0", 13, NLSH_FORMAT_AUTO, NLSH_E_DATA, "npz");
    expect("a", "hello, world", 12, NLSH_FORMAT_AUTO, NLSH_E_DATA, "neither name nor content");
    expect("a.fvecs.gz", fvecs, sizeof fvecs, NLSH_FORMAT_FVECS, NLSH_OK, NULL);
    expect("a.bvecs.gz", "hello, world", 12, NLSH_FORMAT_AUTO, NLSH_E_DATA,
           "named .gz, but not compressed");
    expect("a.bvecs.ZST", "hello, world", 12, NLSH_FORMAT_AUTO, NLSH_E_DATA, "named .zst");
    expect("a", fvecs, sizeof fvecs, (enum nlsh_format)99, NLSH_E_ARG, NULL);
}

static void files_on_disk(void **state)
{
    (void)state;
    struct nlsh_vectors *v;
    const char *path = test_path("disk.fvecs");
    test_write_file(path, fvecs, sizeof fvecs);
    assert_int_equal(nlsh_vectors_read(path, NLSH_FORMAT_AUTO, &v, &error), NLSH_OK);
    assert_memory_equal(nlsh_vectors_matrix(v)->data, floats, sizeof floats);
    assert_int_equal(nlsh_vectors_format(v), NLSH_FORMAT_FVECS);
    nlsh_vectors_free(v);
    nlsh_vectors_free(NULL);
    assert_int_equal(nlsh_vectors_read(test_dir(), NLSH_FORMAT_AUTO, &v, &error), NLSH_E_NO_INPUT);
    assert_null(v);
    assert_int_equal(nlsh_vectors_read(test_path("absent"), NLSH_FORMAT_AUTO, &v, NULL),
                     NLSH_E_NO_INPUT);
    assert_int_equal(nlsh_vectors_read(NULL, NLSH_FORMAT_AUTO, &v, NULL), NLSH_E_ARG);
    path = test_path("empty.npy");
    test_write_file(path, "", 0);
    assert_int_equal(nlsh_vectors_read(path, NLSH_FORMAT_AUTO, &v, &error), NLSH_E_DATA);
}

static void format_names(void **state)
{
    (void)state;
    for (int f = NLSH_FORMAT_IDX; f <= NLSH_FORMAT_HDF5; f++)
        assert_int_equal(nlsh_format_from_name(nlsh_format_name((enum nlsh_format)f)), f);
    assert_int_equal(nlsh_format_from_name("auto"), NLSH_FORMAT_AUTO);
    assert_int_equal(nlsh_format_from_name("fvec"), NLSH_FORMAT_AUTO);
    assert_int_equal(nlsh_format_from_name(NULL), NLSH_FORMAT_AUTO);
    assert_int_equal(nlsh__format_of_path("/d.npy/a.FVECS.gz"), NLSH_FORMAT_FVECS);
    assert_int_equal(nlsh__format_of_path("/d.npy/fvecs"), NLSH_FORMAT_AUTO);
    assert_int_equal(nlsh__format_of_path("t10k-images-idx3-ubyte.gz"), NLSH_FORMAT_IDX);
    assert_int_equal(nlsh__format_of_path("glove.6B.100d.txt"), NLSH_FORMAT_TEXT);
    assert_int_equal(nlsh__format_of_path("wiki.vec.gz"), NLSH_FORMAT_TEXT);
    assert_int_equal(nlsh__format_of_path("a.fvecs.zst"), NLSH_FORMAT_FVECS);
    assert_int_equal(nlsh__format_of_path("a.npy.ZST"), NLSH_FORMAT_NPY);
    assert_int_equal(nlsh__format_of_path("a.zst"), NLSH_FORMAT_AUTO);
    assert_int_equal(nlsh__format_of_path("base.u8bin.crop_nb_9.zst"), NLSH_FORMAT_U8BIN);
    assert_int_equal(nlsh__format_of_path("A.CSV"), NLSH_FORMAT_TEXT);
    assert_int_equal(nlsh__format_of_path("a.hdf5:train"), NLSH_FORMAT_HDF5);
    assert_int_equal(nlsh__format_of_path("b/a.h5:x"), NLSH_FORMAT_HDF5);
    assert_int_equal(nlsh__format_of_path("a:b.npy"), NLSH_FORMAT_NPY);
    assert_int_equal(nlsh__format_of_path(""), NLSH_FORMAT_AUTO);
    assert_int_equal(nlsh__format_of_path("base.1B.u8bin.crop_nb_10000000"), NLSH_FORMAT_U8BIN);
    assert_int_equal(nlsh__format_of_path("base.fbin.crop_nb_1.gz"), NLSH_FORMAT_FBIN);
    assert_int_equal(nlsh__format_of_path("base.fbin.crop_nb_"), NLSH_FORMAT_AUTO);
    assert_int_equal(nlsh__format_of_path(".crop_nb_1"), NLSH_FORMAT_AUTO);
    assert_int_equal(nlsh__format_of_path("10"), NLSH_FORMAT_AUTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_by_name_by_argument_and_by_content),
        cmocka_unit_test(ids_are_told_from_floats_by_content),
        cmocka_unit_test(gzipped_in_one_and_in_many_members),
        cmocka_unit_test(large_gzip_streams_cross_the_window),
        cmocka_unit_test(a_plain_file_that_begins_like_gzip),
        cmocka_unit_test(numpy_headers_of_other_versions_and_spacings),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(every_truncation_and_every_damage_of_a_gzip_file),
        cmocka_unit_test(messages_say_how_much_is_missing),
        cmocka_unit_test(rows_of_unequal_dimension_are_named),
        cmocka_unit_test(not_a_number_is_named_by_row_and_column),
        cmocka_unit_test(headers_that_lie),
        cmocka_unit_test(damaged_headers),
        cmocka_unit_test(every_kind_of_numpy_array),
        cmocka_unit_test(doubles_too_large_are_named),
        cmocka_unit_test(numpy_arrays_that_are_not_read),
        cmocka_unit_test(a_name_that_lies_is_told_what_the_content_is),
        cmocka_unit_test(other_files_get_a_remedy),
        cmocka_unit_test(files_on_disk),
        cmocka_unit_test(format_names),
    };
    make_files();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
