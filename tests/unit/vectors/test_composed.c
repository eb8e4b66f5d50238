/* test_composed.c - rows through others: the same values in the same order, and no more read than it takes. */
#include "base/matrix.h"
#include "support/built.h"
#include "support/gzipped.h"

enum { N = 101, DIM = 12, ROW = DIM * sizeof(float) };

/* All tests read these rows: whole in memory, and in three files. */
static struct nlsh_matrix all;
static const size_t cuts[] = {0, 40, 41, N};
static const char *const names[] = {"0.fvecs", "1.fbin", "2.npy.gz"};

static int write_files(void **state)
{
    static const enum nlsh_format formats[] = {NLSH_FORMAT_FVECS, NLSH_FORMAT_FBIN,
                                               NLSH_FORMAT_NPY};
    static const char *const plain[] = {"0.fvecs", "1.fbin", "2.npy"};
    (void)state;
    all = matrix_new(KIND_F32, N, DIM, 5, 20, 41);
    for (size_t i = 0; i < 3; i++) {
        struct nlsh_matrix m = all;
        m.data = (const uint8_t *)all.data + cuts[i] * ROW;
        m.n_rows = cuts[i + 1] - cuts[i];
        assert_int_equal(nlsh_vectors_write(test_path(plain[i]), formats[i], &m, NULL), NLSH_OK);
    }
    gzip(test_path("2.npy"), test_path("2.npy.gz"));
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    matrix_free(&all);
    return 0;
}

static struct nlsh_rows open_rows(const char *name)
{
    struct nlsh_rows rows;
    struct nlsh_error error;
    nlsh_rows_init(&rows, sizeof rows);
    if (nlsh_rows_open(test_path(name), NLSH_FORMAT_AUTO, &rows, &error) != NLSH_OK)
        fail_msg("%s: %s", name, error.message);
    return rows;
}

/* A caller's own rows, which count what is read. */
struct own {
    struct nlsh_matrix m;
    size_t next, n_read;
};

static enum nlsh_status read_own(void *user, size_t first, size_t n, void *values,
                                 struct nlsh_error *error)
{
    struct own *own = user;
    (void)error;
    assert_true(first == 0 || first == own->next);
    assert_true(n > 0 && n <= own->m.n_rows - first);
    memcpy(values, (const uint8_t *)own->m.data + first * ROW, n * ROW);
    own->next = first + n;
    own->n_read += n;
    return NLSH_OK;
}

static struct nlsh_rows own_rows(struct own *own, size_t first, size_t n)
{
    struct nlsh_rows rows;
    nlsh_rows_init(&rows, sizeof rows);
    *own = (struct own){.m = all};
    own->m.data = (const uint8_t *)all.data + first * ROW;
    own->m.n_rows = rows.n_rows = n;
    rows.dim = DIM;
    rows.type = NLSH_F32;
    rows.user = own;
    rows.read = read_own;
    return rows;
}

/* They are rows first .. first + n - 1 of all, in blocks of every size, as often as one likes. */
static void expect(const struct nlsh_rows *rows, size_t first, size_t n)
{
    static const size_t blocks[] = {1, 7, 40, N};
    float *values = malloc(N * ROW);
    struct nlsh_error error;
    uint64_t hash;
    const uint8_t *wanted = (const uint8_t *)all.data + first * ROW;
    assert_true(rows->n_rows == n && rows->dim == DIM && rows->type == NLSH_F32);
    for (size_t b = 0; b < 4; b++)
        for (size_t at = 0; at < n; at += blocks[b]) {
            size_t count = n - at < blocks[b] ? n - at : blocks[b];
            if (rows->read(rows->user, at, count, values, &error) != NLSH_OK)
                fail_msg("row %zu: %s", at, error.message);
            assert_memory_equal(values, wanted + at * ROW, count * ROW);
        }
    assert_int_equal(rows->read(rows->user, 0, n / 2 + 1, values, &error), NLSH_OK); /* and leave */
    assert_int_equal(nlsh_rows_hash(rows, &hash, &error), NLSH_OK);
    struct nlsh_matrix m = all;
    m.data = wanted;
    m.n_rows = n;
    assert_int_equal(hash, nlsh_data_hash(&m));
    free(values);
}

static void expect_parts(const struct nlsh_rows *whole, size_t n_rows)
{
    for (size_t first = 0; first < n_rows; first += first < 5 ? 1 : 17)
        for (size_t n = 1; n <= n_rows - first; n += n < 3 ? 1 : 19) {
            struct nlsh_rows part;
            nlsh_rows_init(&part, sizeof part);
            assert_int_equal(nlsh_rows_part(whole, first, n, &part, NULL), NLSH_OK);
            expect(&part, first, n);
            nlsh_rows_close(&part);
            nlsh_rows_close(&part); /* once more is nothing */
            assert_null(part.read);
        }
}

static void parts_of_files_and_of_joins(void **state)
{
    struct nlsh_rows parts[3], joined;
    (void)state;
    for (size_t i = 0; i < 3; i++) parts[i] = open_rows(names[i]);
    expect_parts(&parts[0], cuts[1]);
    nlsh_rows_init(&joined, sizeof joined);
    assert_int_equal(nlsh_rows_join(parts, 3, &joined, NULL), NLSH_OK);
    expect(&joined, 0, N);
    expect_parts(&joined, N);
    nlsh_rows_close(&joined);
    assert_int_equal(nlsh_rows_join(parts, 1, &joined, NULL), NLSH_OK);
    expect(&joined, 0, cuts[1]);
    nlsh_rows_close(&joined);
    expect(&parts[0], 0, cuts[1]); /* they stay */
    for (size_t i = 0; i < 3; i++) nlsh_rows_close(&parts[i]);
}

static void of_all_formats_the_way_past_is_right(void **state)
{
    static const struct {
        const char *name;
        enum nlsh_format format;
    } kinds[] = {
        {"w.fvecs", NLSH_FORMAT_FVECS}, {"w.fbin", NLSH_FORMAT_FBIN}, {"w.npy", NLSH_FORMAT_NPY}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char packed[32];
        snprintf(packed, sizeof packed, "%s.gz", kinds[i].name);
        assert_int_equal(nlsh_vectors_write(test_path(kinds[i].name), kinds[i].format, &all, NULL),
                         NLSH_OK);
        gzip(test_path(kinds[i].name), test_path(packed));
        struct nlsh_rows plain = open_rows(kinds[i].name), inflated = open_rows(packed);
        expect_parts(&plain, N);
        expect_parts(&inflated, N);
        nlsh_rows_close(&plain);
        nlsh_rows_close(&inflated);
    }
}

/* The same rows may be there twice, and parts of one whole one behind the other. */
static void compositions_of_compositions(void **state)
{
    struct own own;
    struct nlsh_rows halves[2], joined, part, whole = own_rows(&own, 0, N);
    float *values = malloc(2 * N * ROW);
    (void)state;
    for (int i = 0; i < 2; i++) nlsh_rows_init(&halves[i], sizeof halves[i]);
    nlsh_rows_init(&joined, sizeof joined);
    nlsh_rows_init(&part, sizeof part);
    assert_int_equal(nlsh_rows_part(&whole, 10, 30, &halves[0], NULL), NLSH_OK);
    assert_int_equal(nlsh_rows_part(&whole, 40, N - 40, &halves[1], NULL), NLSH_OK);
    assert_int_equal(nlsh_rows_join(halves, 2, &joined, NULL), NLSH_OK);
    expect(&joined, 10, N - 10);
    assert_int_equal(nlsh_rows_part(&joined, 25, 20, &part, NULL), NLSH_OK);
    expect(&part, 35, 20);
    nlsh_rows_close(&part);
    nlsh_rows_close(&joined);

    assert_int_equal(nlsh_rows_part(&halves[0], 5, 20, &part, NULL), NLSH_OK);
    expect(&part, 15, 20);
    nlsh_rows_close(&part);
    nlsh_rows_close(&halves[0]);
    halves[0] = whole;
    nlsh_rows_close(&halves[1]);
    halves[1] = whole;
    assert_int_equal(nlsh_rows_join(halves, 2, &joined, NULL), NLSH_OK);
    assert_int_equal(joined.n_rows, 2 * N);
    assert_int_equal(joined.read(joined.user, 0, 2 * N, values, NULL), NLSH_OK);
    assert_memory_equal(values, all.data, N * ROW);
    assert_memory_equal((uint8_t *)values + N * ROW, all.data, N * ROW);
    nlsh_rows_close(&joined);
    free(values);
}

/* Of a join those are left out that end before the part begins, or begin behind its end. */
static void only_what_it_takes_is_read(void **state)
{
    struct own own[3];
    struct nlsh_rows parts[3], joined, part;
    float *values = malloc(N * ROW);
    (void)state;
    for (size_t i = 0; i < 3; i++) parts[i] = own_rows(&own[i], cuts[i], cuts[i + 1] - cuts[i]);
    nlsh_rows_init(&joined, sizeof joined);
    nlsh_rows_init(&part, sizeof part);
    assert_int_equal(nlsh_rows_join(parts, 3, &joined, NULL), NLSH_OK);
    assert_int_equal(nlsh_rows_part(&joined, 45, 10, &part, NULL), NLSH_OK);
    assert_true(own[0].n_read + own[1].n_read + own[2].n_read == 0);
    assert_int_equal(part.read(part.user, 0, 10, values, NULL), NLSH_OK);
    assert_true(own[0].n_read == 0 && own[1].n_read == 0 && own[2].n_read == 4 + 10);
    nlsh_rows_close(&part);
    assert_int_equal(nlsh_rows_part(&joined, 40, 1, &part, NULL), NLSH_OK);
    assert_int_equal(part.read(part.user, 0, 1, values, NULL), NLSH_OK);
    assert_true(own[0].n_read == 0 && own[1].n_read == 1 && own[2].n_read == 14);
    nlsh_rows_close(&part);
    nlsh_rows_close(&joined);
    free(values);
}

/* ---- refusals ----------------------------------------------------------------------------------- */

static void expect_words(const struct nlsh_error *error, const char *words)
{
    if (strstr(error->message, words) == NULL) fail_msg("%s: %s", words, error->message);
}

static void refuse_join(const struct nlsh_rows *parts, size_t n, enum nlsh_status wanted,
                        const char *a, const char *b)
{
    struct nlsh_rows out;
    struct nlsh_error error;
    nlsh_rows_init(&out, sizeof out);
    assert_int_equal(nlsh_rows_join(parts, n, &out, &error), wanted);
    expect_words(&error, a);
    expect_words(&error, b);
    assert_null(out.read);
}

static void what_does_not_go_together(void **state)
{
    struct own own[2];
    struct nlsh_rows parts[2] = {open_rows("0.fvecs"), {.struct_size = 0}};
    struct nlsh_matrix narrow = matrix_new(KIND_F32, 5, 4, 1, 20, 9);
    struct nlsh_matrix bytes = matrix_new(KIND_U8, 5, DIM, 1, 20, 9);
    (void)state;
    assert_int_equal(nlsh_vectors_write(test_path("n.fbin"), NLSH_FORMAT_FBIN, &narrow, NULL),
                     NLSH_OK);
    assert_int_equal(nlsh_vectors_write(test_path("b.u8bin"), NLSH_FORMAT_U8BIN, &bytes, NULL),
                     NLSH_OK);
    parts[1] = open_rows("n.fbin");
    refuse_join(parts, 2, NLSH_E_MISMATCH, "0.fvecs holds vectors of 12 values", "n.fbin of 4");
    nlsh_rows_close(&parts[1]);
    parts[1] = open_rows("b.u8bin");
    refuse_join(parts, 2, NLSH_E_MISMATCH, "0.fvecs holds values of type f32",
                "b.u8bin of type u8");
    nlsh_rows_close(&parts[1]);
    refuse_join(parts, 2, NLSH_E_ARG, "no rows to read", "");
    parts[1] = own_rows(&own[1], 0, 5);
    parts[1].dim = 3;
    refuse_join(parts, 2, NLSH_E_MISMATCH, "0.fvecs", "part 1 of 3");
    parts[1].dim = DIM;
    parts[1].name = "somewhere";
    parts[1].type = NLSH_I8;
    refuse_join(parts, 2, NLSH_E_MISMATCH, "0.fvecs", "somewhere of type i8");
    parts[1].name = NULL;
    parts[1].type = NLSH_F32;
    parts[1].n_rows = SIZE_MAX;
    refuse_join(parts, 2, NLSH_E_ARG, "part 1 has", "too many");
    parts[1].struct_size = 0;
    refuse_join(parts, 2, NLSH_E_ARG, "struct_size is 0", "");
    refuse_join(parts, 0, NLSH_E_ARG, "nothing to join", "");
    refuse_join(NULL, 2, NLSH_E_ARG, "nothing to join", "");
    nlsh_rows_close(&parts[0]);
    matrix_free(&narrow);
    matrix_free(&bytes);
}

static void what_is_no_part(void **state)
{
    static const size_t wrong[][2] = {{0, 0},     {0, N + 1}, {N, 1},        {N - 1, 2},
                                      {N + 1, 1}, {1, N},     {1, SIZE_MAX}, {SIZE_MAX, 2}};
    struct own own;
    struct nlsh_rows part, whole = own_rows(&own, 0, N);
    struct nlsh_error error;
    (void)state;
    nlsh_rows_init(&part, sizeof part);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(nlsh_rows_part(&whole, wrong[i][0], wrong[i][1], &part, &error),
                         NLSH_E_ARG);
        expect_words(&error, "of 101");
        assert_null(part.read);
    }
    whole.read = NULL;
    assert_int_equal(nlsh_rows_part(&whole, 0, 1, &part, &error), NLSH_E_ARG);
    expect_words(&error, "no rows to read");
}

static void rows_come_in_order(void **state)
{
    struct own own;
    struct nlsh_rows composed[2], whole = own_rows(&own, 0, N);
    struct nlsh_error error;
    float *values = malloc(N * ROW);
    (void)state;
    for (int i = 0; i < 2; i++) nlsh_rows_init(&composed[i], sizeof composed[i]);
    assert_int_equal(nlsh_rows_join(&whole, 1, &composed[0], NULL), NLSH_OK);
    assert_int_equal(nlsh_rows_part(&whole, 1, N - 1, &composed[1], NULL), NLSH_OK);
    for (int i = 0; i < 2; i++) {
        const struct nlsh_rows *rows = &composed[i];
        size_t n = rows->n_rows;
        assert_int_equal(rows->read(rows->user, 1, 1, values, &error), NLSH_E_ARG);
        assert_int_equal(rows->read(rows->user, 0, n + 1, values, &error), NLSH_E_ARG);
        assert_int_equal(rows->read(rows->user, 0, 10, values, &error), NLSH_OK);
        assert_int_equal(rows->read(rows->user, 11, 1, values, &error), NLSH_E_ARG);
        assert_int_equal(rows->read(rows->user, 10, n, values, &error), NLSH_E_ARG);
        assert_int_equal(rows->read(rows->user, 10, 0, values, &error), NLSH_OK);
        assert_int_equal(rows->read(rows->user, 10, n - 10, values, &error), NLSH_OK);
        assert_int_equal(rows->read(rows->user, n, 1, values, &error), NLSH_E_ARG);
        assert_int_equal(rows->read(rows->user, 0, 0, values, &error), NLSH_OK);
        assert_int_equal(rows->read(rows->user, 0, n, values, &error), NLSH_OK);
        nlsh_rows_close(&composed[i]);
    }
    free(values);
}

/* Of a damaged file a part can be read that is whole. */
static void damage_is_told_by_the_file(void **state)
{
    struct nlsh_rows files[2], joined, part;
    struct nlsh_error error;
    float *values = malloc(N * ROW);
    size_t size;
    (void)state;
    uint8_t *bytes = test_read_file(test_path("0.fvecs"), &size);
    bytes[30 * (4 + ROW)]++; /* the dimension of row 30 */
    test_write_file(test_path("damaged.fvecs"), bytes, size);
    free(bytes);
    files[0] = open_rows("1.fbin");
    files[1] = open_rows("damaged.fvecs");
    nlsh_rows_init(&joined, sizeof joined);
    nlsh_rows_init(&part, sizeof part);
    assert_int_equal(nlsh_rows_join(files, 2, &joined, NULL), NLSH_OK);
    assert_int_equal(joined.read(joined.user, 0, 41, values, &error), NLSH_E_DATA);
    expect_words(&error, "damaged.fvecs: row 30 has dimension 13");
    assert_int_equal(nlsh_rows_part(&joined, 35, 3, &part, NULL), NLSH_OK);
    assert_int_equal(part.read(part.user, 0, 3, values, &error), NLSH_E_DATA); /* it is passed by */
    expect_words(&error, "damaged.fvecs: row 30 has dimension 13");
    nlsh_rows_close(&part);
    assert_int_equal(nlsh_rows_part(&joined, 2, 29, &part, NULL), NLSH_OK);
    assert_int_equal(part.read(part.user, 0, 29, values, &error), NLSH_OK);
    assert_memory_equal(values, (const uint8_t *)all.data + ROW, 29 * ROW);
    nlsh_rows_close(&part);
    nlsh_rows_close(&joined);
    for (int i = 0; i < 2; i++) nlsh_rows_close(&files[i]);
    free(values);
}

/* Structs of a program that was compiled with newer headers. */
static void structs_may_be_longer(void **state)
{
    struct {
        struct nlsh_rows rows;
        uint64_t of_the_future;
    } theirs[2], out;
    struct own own[2];
    (void)state;
    memset(theirs, 0, sizeof theirs);
    for (size_t i = 0; i < 2; i++) {
        theirs[i].rows = own_rows(&own[i], cuts[i], cuts[i + 1] - cuts[i]);
        theirs[i].rows.struct_size = sizeof theirs[i];
    }
    nlsh_rows_init(&out.rows, sizeof out);
    assert_int_equal(nlsh_rows_join(&theirs[0].rows, 2, &out.rows, NULL), NLSH_OK);
    out.rows.struct_size = sizeof out.rows;
    expect(&out.rows, 0, cuts[2]);
    nlsh_rows_close(&out.rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_files_and_of_joins),
        cmocka_unit_test(of_all_formats_the_way_past_is_right),
        cmocka_unit_test(compositions_of_compositions),
        cmocka_unit_test(only_what_it_takes_is_read),
        cmocka_unit_test(what_does_not_go_together),
        cmocka_unit_test(what_is_no_part),
        cmocka_unit_test(rows_come_in_order),
        cmocka_unit_test(damage_is_told_by_the_file),
        cmocka_unit_test(structs_may_be_longer),
    };
    return cmocka_run_group_tests(tests, write_files, free_rows);
}
