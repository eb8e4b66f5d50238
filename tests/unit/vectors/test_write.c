/*
 * test_write.c - what was written reads back the same, from every format and type; what would lose
 * something is refused and leaves the old file alone.
 */
#include "testing.h"

#include <math.h>

#include "vectors/parse.h"

static struct nlsh_error error;

enum { N = 37, DIM = 19 };
static uint8_t u8s[N * DIM], small[N * DIM]; /* small: below 128, the same as u8 and i8 */
static int8_t i8s[N * DIM];
static float floats[N * DIM], bytes_as_floats[N * DIM];
static int32_t i32s[N * DIM];

static int fill(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 2);
    for (size_t i = 0; i < N * DIM; i++) {
        u8s[i] = (uint8_t)nlsh__rng_below(&rng, 256);
        small[i] = u8s[i] & 127;
        i8s[i] = (int8_t)(u8s[i] - 128);
        floats[i] = (float)nlsh__rng_normal(&rng);
        bytes_as_floats[i] = u8s[i];
        i32s[i] = (int32_t)nlsh__rng_u64(&rng);
    }
    floats[5] = 1e38f;
    floats[6] = 1e-42f;
    floats[7] = -0.0f;
    return 0;
}

static struct nlsh_matrix matrix(const void *data, enum nlsh_type type)
{
    return (struct nlsh_matrix){data, N, DIM, type, 0};
}

/* Writes from, reads it back, and finds `to`. */
static void round_trip(const char *name, struct nlsh_matrix from, struct nlsh_matrix to)
{
    const char *path = test_path(name);
    struct nlsh_vectors *v;
    if (nlsh_vectors_write(path, NLSH_FORMAT_AUTO, &from, &error) != NLSH_OK ||
        nlsh_vectors_read(path, NLSH_FORMAT_AUTO, &v, &error) != NLSH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(v->format, nlsh__format_of_path(name));
    assert_int_equal(v->matrix.type, to.type);
    assert_int_equal(v->matrix.n_rows, to.n_rows);
    assert_int_equal(v->matrix.dim, to.dim);
    assert_memory_equal(v->matrix.data, to.data, to.n_rows * to.dim * nlsh__type_size(to.type));
    nlsh_vectors_free(v);
}

static void every_format_and_type(void **state)
{
    (void)state;
    static const char *as_is[] = {"a.npy", "a.idx"};
    for (size_t i = 0; i < 2; i++) {
        round_trip(as_is[i], matrix(u8s, NLSH_U8), matrix(u8s, NLSH_U8));
        round_trip(as_is[i], matrix(i8s, NLSH_I8), matrix(i8s, NLSH_I8));
        round_trip(as_is[i], matrix(floats, NLSH_F32), matrix(floats, NLSH_F32));
    }
    round_trip("a.npy", matrix(i32s, NLSH_I32), matrix(i32s, NLSH_I32));
    round_trip("a.ivecs", matrix(i32s, NLSH_I32), matrix(i32s, NLSH_I32));
    round_trip("a.fvecs", matrix(floats, NLSH_F32), matrix(floats, NLSH_F32));
    round_trip("a.fbin", matrix(floats, NLSH_F32), matrix(floats, NLSH_F32));
    round_trip("a.bvecs", matrix(u8s, NLSH_U8), matrix(u8s, NLSH_U8));
    round_trip("a.u8bin", matrix(u8s, NLSH_U8), matrix(u8s, NLSH_U8));
    round_trip("a.i8bin", matrix(i8s, NLSH_I8), matrix(i8s, NLSH_I8));
}

static void conversions_that_lose_nothing(void **state)
{
    (void)state;
    float signed_floats[N * DIM];
    for (size_t i = 0; i < N * DIM; i++) signed_floats[i] = i8s[i];
    static const char *wide[] = {"c.fvecs", "c.fbin"};
    for (size_t i = 0; i < 2; i++) {
        round_trip(wide[i], matrix(u8s, NLSH_U8), matrix(bytes_as_floats, NLSH_F32));
        round_trip(wide[i], matrix(i8s, NLSH_I8), matrix(signed_floats, NLSH_F32));
    }
    round_trip("c.bvecs", matrix(bytes_as_floats, NLSH_F32), matrix(u8s, NLSH_U8));
    round_trip("c.u8bin", matrix(bytes_as_floats, NLSH_F32), matrix(u8s, NLSH_U8));
    round_trip("c.i8bin", matrix(signed_floats, NLSH_F32), matrix(i8s, NLSH_I8));
    round_trip("c.u8bin", matrix(small, NLSH_I8), matrix(small, NLSH_U8));
    round_trip("c.bvecs", matrix(small, NLSH_I8), matrix(small, NLSH_U8));
    round_trip("c.i8bin", matrix(small, NLSH_U8), matrix(small, NLSH_I8));
}

static void refuse(const char *name, struct nlsh_matrix m, enum nlsh_status status,
                   const char *words)
{
    static const char old[] = "the old file";
    size_t size;
    const char *path = test_path(name);
    test_write_file(path, old, sizeof old);
    enum nlsh_status is = nlsh_vectors_write(path, NLSH_FORMAT_AUTO, &m, &error);
    if (is != status || strstr(error.message, words) == NULL)
        fail_msg("%s: status %d, wanted %d with '%s': %s", name, is, status, words, error.message);
    uint8_t *now = test_read_file(path, &size);
    assert_int_equal(size, sizeof old);
    assert_memory_equal(now, old, size);
    free(now);
}

static void what_does_not_fit_is_named_and_not_written(void **state)
{
    (void)state;
    static const float bad[] = {0.5f, -1.0f, 256.0f, 1e30f, -1e30f, INFINITY, NAN, 254.99998f};
    enum { AT = 3 * DIM + 4 };
    float f[N * DIM];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memcpy(f, bytes_as_floats, sizeof f);
        f[AT] = bad[i];
        refuse("r.bvecs", matrix(f, NLSH_F32), NLSH_E_DATA, "row 3, column 4 is");
        refuse("r.u8bin", matrix(f, NLSH_F32), NLSH_E_DATA, "row 3, column 4 is");
    }
    for (size_t i = 0; i < N * DIM; i++) f[i] = i8s[i];
    f[AT] = 128.0f;
    refuse("r.i8bin", matrix(f, NLSH_F32), NLSH_E_DATA, "row 3, column 4 is 128");
    f[AT] = -129.0f;
    refuse("r.i8bin", matrix(f, NLSH_F32), NLSH_E_DATA, "row 3, column 4 is -129");
    f[AT] = NAN;
    refuse("r.npy", matrix(f, NLSH_F32), NLSH_E_DATA, "row 3, column 4 is");
    uint8_t b[N * DIM];
    memcpy(b, small, sizeof b);
    b[AT] = 200;
    refuse("r.i8bin", matrix(b, NLSH_U8), NLSH_E_DATA, "row 3, column 4 is 200");
    refuse("r.bvecs", matrix(b, NLSH_I8), NLSH_E_DATA, "row 3, column 4 is -56");
}

static void ids_and_vectors_are_not_mixed(void **state)
{
    (void)state;
    static const char *names[] = {"m.fvecs", "m.bvecs", "m.fbin", "m.u8bin", "m.i8bin", "m.idx"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        refuse(names[i], matrix(i32s, NLSH_I32), NLSH_E_ARG, "i32 values");
    refuse("m.ivecs", matrix(u8s, NLSH_U8), NLSH_E_ARG, "u8 values");
    refuse("m.ivecs", matrix(floats, NLSH_F32), NLSH_E_ARG, "f32 values");
}

static void arguments(void **state)
{
    (void)state;
    struct nlsh_matrix m = matrix(u8s, NLSH_U8);
    refuse("a.txt", m, NLSH_E_ARG, "does not tell");
    refuse("a.bvecs.gz", m, NLSH_E_ARG, ".gz is read, not written");
    refuse("a.bvecs.zst", m, NLSH_E_ARG, ".zst is read, not written");
    m.n_rows = 0;
    refuse("a.bvecs", m, NLSH_E_ARG, "no vectors");
    m.n_rows = SIZE_MAX / 2;
    refuse("a.bvecs", m, NLSH_E_ARG, "overflow");
    m = matrix(u8s, (enum nlsh_type)9);
    refuse("a.bvecs", m, NLSH_E_ARG, "no type");
    m = matrix(u8s, NLSH_U8);
    assert_int_equal(nlsh_vectors_write("/no/such/dir/a.bvecs", NLSH_FORMAT_AUTO, &m, &error),
                     NLSH_E_CANT_CREATE);
    assert_int_equal(nlsh_vectors_write(NULL, NLSH_FORMAT_AUTO, &m, NULL), NLSH_E_ARG);
    assert_int_equal(nlsh_vectors_write("a.bvecs", NLSH_FORMAT_AUTO, NULL, NULL), NLSH_E_ARG);
}

/* As numpy 1.24 writes np.save(path, np.array([[1,2,3],[4,5,255]], dtype=np.uint8)). */
static void numpy_golden_bytes(void **state)
{
    (void)state;
    static const uint8_t values[] = {1, 2, 3, 4, 5, 255};
    uint8_t golden[134];
    memcpy(golden, "\x93NUMPY\x01\x00v\x00", 10);
    memset(golden + 10, ' ', 118);
    static const char dict[] = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }";
    memcpy(golden + 10, dict, sizeof dict - 1);
    golden[127] = '\n';
    memcpy(golden + 128, values, 6);
    struct nlsh_matrix m = {values, 2, 3, NLSH_U8, 0};
    size_t size;
    const char *path = test_path("golden.npy");
    assert_int_equal(nlsh_vectors_write(path, NLSH_FORMAT_AUTO, &m, &error), NLSH_OK);
    uint8_t *bytes = test_read_file(path, &size);
    assert_int_equal(size, sizeof golden);
    assert_memory_equal(bytes, golden, size);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_and_type),
        cmocka_unit_test(conversions_that_lose_nothing),
        cmocka_unit_test(what_does_not_fit_is_named_and_not_written),
        cmocka_unit_test(ids_and_vectors_are_not_mixed),
        cmocka_unit_test(arguments),
        cmocka_unit_test(numpy_golden_bytes),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
