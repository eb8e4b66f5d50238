/* test_rows.c - files of vectors block by block: the same values as at once, and the same refusals. */
#include "base/matrix.h"
#include "support/built.h"
#include "support/gzipped.h"
#include "vectors/parse.h"

enum { N = 101, DIM = 12 };

static const struct {
    const char *name;
    enum nlsh_format format;
    enum kind kind;
} files[] = {
    {"a.fvecs", NLSH_FORMAT_FVECS, KIND_F32}, {"a.bvecs", NLSH_FORMAT_BVECS, KIND_U8},
    {"a.npy", NLSH_FORMAT_NPY, KIND_F32},     {"b.npy", NLSH_FORMAT_NPY, KIND_U8},
    {"c.npy", NLSH_FORMAT_NPY, KIND_I8},      {"a.fbin", NLSH_FORMAT_FBIN, KIND_F32},
    {"a.u8bin", NLSH_FORMAT_U8BIN, KIND_U8},  {"a.i8bin", NLSH_FORMAT_I8BIN, KIND_I8},
    {"a.idx", NLSH_FORMAT_IDX, KIND_U8},
};
enum { N_FILES = sizeof files / sizeof *files };

/* All rows in blocks of so many; twice, since whoever reads begins again. */
static void compare(const char *path, size_t block)
{
    struct nlsh_vectors *whole;
    struct nlsh_rows rows;
    struct nlsh_error error;
    uint64_t hash;
    assert_int_equal(nlsh_vectors_read(path, NLSH_FORMAT_AUTO, &whole, NULL), NLSH_OK);
    const struct nlsh_matrix *m = nlsh_vectors_matrix(whole);
    nlsh_rows_init(&rows, sizeof rows);
    if (nlsh_rows_open(path, NLSH_FORMAT_AUTO, &rows, &error) != NLSH_OK)
        fail_msg("%s: %s", path, error.message);
    assert_true(rows.n_rows == m->n_rows && rows.dim == m->dim && rows.type == m->type);
    size_t row = m->dim * nlsh__type_size(m->type);
    uint8_t *values = malloc(block * row);
    for (int pass = 0; pass < 2; pass++)
        for (size_t first = 0; first < m->n_rows; first += block) {
            size_t n = m->n_rows - first < block ? m->n_rows - first : block;
            assert_int_equal(rows.read(rows.user, first, n, values, &error), NLSH_OK);
            assert_memory_equal(values, (const uint8_t *)m->data + first * row, n * row);
        }
    assert_int_equal(nlsh_rows_hash(&rows, &hash, &error), NLSH_OK);
    assert_int_equal(hash, nlsh_data_hash(m));
    free(values);
    nlsh_rows_close(&rows);
    nlsh_rows_close(&rows); /* once more is nothing */
    nlsh_vectors_free(whole);
}

static void every_format_in_blocks(void **state)
{
    static const size_t blocks[] = {1, 7, 64, N, 1000};
    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        char packed[64];
        struct nlsh_matrix m = matrix_new(files[i].kind, N, DIM, 5, 20, i);
        const char *path = test_path(files[i].name);
        assert_int_equal(nlsh_vectors_write(path, files[i].format, &m, NULL), NLSH_OK);
        snprintf(packed, sizeof packed, "%s.gz", files[i].name);
        gzip(path, test_path(packed));
        for (size_t b = 0; b < 5; b++) {
            compare(test_path(files[i].name), blocks[b]);
            compare(test_path(packed), blocks[b]);
        }
        matrix_free(&m);
    }
}

/* An array of a type and a byte order that has to be changed. */
static void write_npy(const char *path, const char *descr, int columns, const void *values,
                      size_t size)
{
    char header[128 + 1];
    FILE *file = fopen(path, "wb");
    int n = snprintf(header, sizeof header,
                     "\x93NUMPY\x01%c\x76%c{'descr': '%s', 'fortran_order': %s, 'shape': (3, 2), }",
                     0, 0, descr, columns ? "True" : "False");
    assert_non_null(file);
    memset(header + n, ' ', sizeof header - (size_t)n);
    header[127] = '\n';
    assert_int_equal(fwrite(header, 1, 128, file), 128);
    assert_int_equal(fwrite(values, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void what_is_converted(void **state)
{
    static const double doubles[6] = {1, 2, 3, -4, 5.5, 6};
    static const uint16_t halves[6] = {0x3c00, 0x4000, 0x4200, 0xc400, 0x4580, 0x4600};
    uint8_t swapped[48];
    (void)state;
    for (size_t i = 0; i < 48; i++) swapped[i] = ((const uint8_t *)doubles)[i / 8 * 8 + 7 - i % 8];
    write_npy(test_path("f8.npy"), "<f8", 0, doubles, 48);
    write_npy(test_path("be.npy"), ">f8", 0, swapped, 48);
    write_npy(test_path("f2.npy"), "<f2", 0, halves, 12);
    for (size_t block = 1; block < 4; block++) {
        compare(test_path("f8.npy"), block);
        compare(test_path("be.npy"), block);
        compare(test_path("f2.npy"), block);
    }
}

/* ---- refusals ----------------------------------------------------------------------------------- */

static void refuse(const char *path, enum nlsh_status wanted, const char *words)
{
    struct nlsh_rows rows;
    struct nlsh_error error = {.status = NLSH_OK};
    nlsh_rows_init(&rows, sizeof rows);
    enum nlsh_status status = nlsh_rows_open(path, NLSH_FORMAT_AUTO, &rows, &error);
    if (status == NLSH_OK) { /* it is told as the rows are read */
        uint8_t *values = malloc(rows.n_rows * rows.dim * 4);
        status = rows.read(rows.user, 0, rows.n_rows, values, &error);
        free(values);
        nlsh_rows_close(&rows);
    }
    assert_int_equal(status, wanted);
    if (strstr(error.message, words) == NULL) fail_msg("%s: %s", words, error.message);
    assert_true(rows.read == NULL);
}

static void what_is_no_file_of_rows(void **state)
{
    static const float columns[6] = {1, 2, 3, 4, 5, 6};
    static const int32_t ids[] = {2, 5, 6, 2, 7, 8};
    struct nlsh_matrix m = matrix_new(KIND_F32, N, DIM, 5, 20, 77);
    size_t size;
    (void)state;
    refuse(test_path("none.fvecs"), NLSH_E_NO_INPUT, "none.fvecs");
    refuse("some.hdf5:train", NLSH_E_UNSUPPORTED, "HDF5 cannot be read block by block");
    test_write_file(test_path("a.csv"), "1,2,3\n4,5,6\n", 12);
    refuse(test_path("a.csv"), NLSH_E_UNSUPPORTED, "text cannot be read block by block");
    write_npy(test_path("columns.npy"), "<f4", 1, columns, 24);
    refuse(test_path("columns.npy"), NLSH_E_UNSUPPORTED, "in columns");
    test_write_file(test_path("a.ivecs"), ids, sizeof ids);
    refuse(test_path("a.ivecs"), NLSH_E_UNSUPPORTED, "whole numbers");
    test_write_file(test_path("ids.fvecs"), ids, sizeof ids);
    refuse(test_path("ids.fvecs"), NLSH_E_DATA, "whole numbers");
    test_write_file(test_path("empty.fbin"), "", 0);
    refuse(test_path("empty.fbin"), NLSH_E_DATA, "empty");

    assert_int_equal(nlsh_vectors_write(test_path("w.fvecs"), NLSH_FORMAT_FVECS, &m, NULL),
                     NLSH_OK);
    uint8_t *bytes = test_read_file(test_path("w.fvecs"), &size);
    test_write_file(test_path("cut.fvecs"), bytes, size - 5);
    refuse(test_path("cut.fvecs"), NLSH_E_DATA, "truncated: row 100");
    bytes[50 * (4 + 4 * DIM)]++;
    test_write_file(test_path("uneven.fvecs"), bytes, size);
    refuse(test_path("uneven.fvecs"), NLSH_E_DATA, "row 50 has dimension 13");
    gzip(test_path("w.fvecs"), test_path("whole.fvecs.gz"));
    free(bytes);
    bytes = test_read_file(test_path("whole.fvecs.gz"), &size);
    test_write_file(test_path("cut.fvecs.gz"), bytes, size - 40);
    refuse(test_path("cut.fvecs.gz"), NLSH_E_DATA, "cut");
    free(bytes);
    matrix_free(&m);
}

static void rows_come_in_order(void **state)
{
    struct nlsh_matrix m = matrix_new(KIND_U8, N, DIM, 5, 20, 78);
    struct nlsh_rows rows;
    struct nlsh_error error;
    uint8_t values[N * DIM];
    (void)state;
    assert_int_equal(nlsh_vectors_write(test_path("o.bvecs"), NLSH_FORMAT_BVECS, &m, NULL),
                     NLSH_OK);
    nlsh_rows_init(&rows, sizeof rows);
    assert_int_equal(nlsh_rows_open(test_path("o.bvecs"), NLSH_FORMAT_AUTO, &rows, NULL), NLSH_OK);
    assert_int_equal(rows.read(rows.user, 0, 10, values, &error), NLSH_OK);
    assert_int_equal(rows.read(rows.user, 11, 10, values, &error), NLSH_E_ARG);
    assert_int_equal(rows.read(rows.user, 10, N, values, &error), NLSH_E_ARG);
    assert_int_equal(rows.read(rows.user, 10, N - 10, values, &error), NLSH_OK);
    assert_memory_equal(values, (const uint8_t *)m.data + 10 * DIM, (N - 10) * DIM);
    nlsh_rows_close(&rows);
    matrix_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_in_blocks),
        cmocka_unit_test(what_is_converted),
        cmocka_unit_test(what_is_no_file_of_rows),
        cmocka_unit_test(rows_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
