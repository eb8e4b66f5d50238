/*
 * test_dataset.c - narrowing, shifting, pairing and hashing change no squared distance and no
 * identity. A distance computed from the caller's values in double is the reference.
 */
#include "testing.h"

#include <math.h>

#include "kernels/kernels.h"
#include "vectors/dataset.h"
#include "vectors/parse.h"

static struct nlsh_error error;

enum { N = 23, DIM = 411 }; /* N x DIM is above two blocks of 4096 values */

static double value_of(const struct nlsh_matrix *m, size_t at)
{
    switch (m->type) {
    case NLSH_U8: return ((const uint8_t *)m->data)[at];
    case NLSH_I8: return ((const int8_t *)m->data)[at];
    default: return (double)((const float *)m->data)[at];
    }
}

static double l2sq(const struct nlsh_matrix *a, size_t i, const struct nlsh_matrix *b, size_t j)
{
    double sum = 0;
    for (size_t d = 0; d < a->dim; d++) {
        double x = value_of(a, i * a->dim + d) - value_of(b, j * b->dim + d);
        sum += x * x;
    }
    return sum;
}

/* The kinds of set that a file may hold. */
enum kind { U8, U8_SMALL, I8, I8_POSITIVE, F32_BYTES, F32_SIGNED_BYTES, F32, N_KINDS };

static struct nlsh_matrix make(enum kind kind, struct nlsh__rng *rng)
{
    struct nlsh_matrix m = {NULL, N, DIM,
                            kind <= U8_SMALL      ? NLSH_U8
                            : kind <= I8_POSITIVE ? NLSH_I8
                                                  : NLSH_F32,
                            0};
    uint8_t *bytes = malloc(N * DIM * 4);
    float *floats = (float *)(void *)bytes;
    for (size_t i = 0; i < N * DIM; i++) {
        int v = (int)nlsh__rng_below(rng, 256);
        switch (kind) {
        case U8: bytes[i] = (uint8_t)v; break;
        case U8_SMALL:
        case I8_POSITIVE: bytes[i] = (uint8_t)(v & 127); break;
        case I8: bytes[i] = (uint8_t)v; break;
        case F32_BYTES: floats[i] = (float)v; break;
        case F32_SIGNED_BYTES: floats[i] = (float)(v - 128); break;
        default: floats[i] = (float)v + 0.25f; break;
        }
    }
    m.data = bytes;
    return m;
}

static void a_dataset_is_bytes_where_it_can_be(void **state)
{
    (void)state;
    static const enum nlsh_type type[N_KINDS] = {NLSH_U8, NLSH_U8,  NLSH_U8, NLSH_U8,
                                                 NLSH_U8, NLSH_F32, NLSH_F32};
    struct nlsh__rng rng;
    test_rng(&rng, 3);
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct nlsh_matrix m = make(kind, &rng);
        struct nlsh__dataset d;
        assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_OK);
        assert_int_equal(d.matrix.type, type[kind]);
        assert_int_equal(d.source_type, m.type == NLSH_I8 ? NLSH_I8 : type[kind]);
        assert_int_equal(d.hash, nlsh_data_hash(&m));
        /* Borrowed where nothing changes. */
        assert_int_equal(d.matrix.data == m.data, m.type == type[kind]);
        assert_int_equal(d.memory == NULL, d.matrix.data == m.data);
        for (size_t i = 0; i < N; i++)
            assert_true(l2sq(&d.matrix, i, &d.matrix, N - 1 - i) == l2sq(&m, i, &m, N - 1 - i));
        nlsh__dataset_free(&d);
        nlsh__dataset_free(&d);
        free((void *)(uintptr_t)m.data);
    }
}

static void every_pair_keeps_the_distances(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 4);
    for (enum kind b = 0; b < N_KINDS; b++)
        for (enum kind q = 0; q < N_KINDS; q++) {
            struct nlsh_matrix bm = make(b, &rng), qm = make(q, &rng);
            struct nlsh__dataset base, queries;
            assert_int_equal(nlsh__dataset_init(&bm, &base, &error), NLSH_OK);
            assert_int_equal(nlsh__dataset_init(&qm, &queries, &error), NLSH_OK);
            uint64_t base_hash = base.hash, query_hash = queries.hash;
            assert_int_equal(nlsh__dataset_pair(&base, &queries, &error), NLSH_OK);
            assert_int_equal(base.matrix.type, queries.matrix.type);
            for (size_t i = 0; i < N; i++)
                assert_true(l2sq(&base.matrix, i, &queries.matrix, N - 1 - i) ==
                            l2sq(&bm, i, &qm, N - 1 - i));
            int base_bytes = b <= F32_BYTES, base_signed = b == I8 || b == I8_POSITIVE;
            int fits = base_signed
                           ? q == U8_SMALL || q == I8 || q == I8_POSITIVE || q == F32_SIGNED_BYTES
                           : q == U8 || q == U8_SMALL || q == I8_POSITIVE || q == F32_BYTES;
            assert_int_equal(base.matrix.type, base_bytes && fits ? NLSH_U8 : NLSH_F32);
            if (base_bytes && fits) assert_int_equal(base.source_type, queries.source_type);
            assert_int_equal(base.hash, base_hash); /* the identity stays the caller's */
            assert_int_equal(queries.hash, query_hash);
            nlsh__dataset_free(&base);
            nlsh__dataset_free(&queries);
            free((void *)(uintptr_t)bm.data);
            free((void *)(uintptr_t)qm.data);
        }
}

static void one_value_out_of_range_decides(void **state)
{
    (void)state;
    static const float bad[] = {0.5f, 255.5f, 256.0f, -1.0f, 1e-40f, 3e38f, -3e38f};
    float f[N * DIM] = {0};
    struct nlsh_matrix m = {f, N, DIM, NLSH_F32, 0};
    struct nlsh__dataset d;
    f[7] = 255.0f;
    f[8] = -0.0f; /* is 0 */
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_OK);
    assert_int_equal(d.matrix.type, NLSH_U8);
    assert_int_equal(((const uint8_t *)d.matrix.data)[7], 255);
    nlsh__dataset_free(&d);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (size_t at = 0; at < N * DIM; at += at < 20 ? 1 : 1013) {
            float kept = f[at];
            f[at] = bad[i];
            assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_OK);
            assert_int_equal(d.matrix.type, NLSH_F32);
            assert_ptr_equal(d.matrix.data, f);
            nlsh__dataset_free(&d);
            f[at] = kept;
        }
}

static void what_is_refused(void **state)
{
    (void)state;
    static float f[40000];
    struct nlsh__dataset d;
    struct nlsh_matrix m = {f, 4, 100, NLSH_F32, 0};
    f[237] = NAN;
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 2, column 37 is NaN"));
    f[237] = -INFINITY;
    f[1] = 0.5f; /* also behind a first value that is no byte */
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_DATA);
    assert_non_null(strstr(error.message, "row 2, column 37 is infinite"));
    f[237] = f[1] = 0;
    m.type = NLSH_I32;
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.hint, "ids"));
    m = (struct nlsh_matrix){f, 0, 100, NLSH_F32, 0};
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_ARG);
    m = (struct nlsh_matrix){f, 1, 0, NLSH_F32, 0};
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_ARG);
    m = (struct nlsh_matrix){NULL, 1, 1, NLSH_F32, 0};
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_ARG);
    assert_int_equal(nlsh__dataset_init(NULL, &d, &error), NLSH_E_ARG);
    m = (struct nlsh_matrix){f, 1, NLSH__MAX_DIM + 1, NLSH_F32, 0};
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_ARG);
    m = (struct nlsh_matrix){f, SIZE_MAX / 2, 3, NLSH_F32, 0};
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_ARG);
    m = (struct nlsh_matrix){f, (size_t)UINT32_MAX, 1, NLSH_U8, 0};
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_ARG);
    m = (struct nlsh_matrix){f, 1, NLSH__MAX_DIM_U8 + 1, NLSH_U8, 0};
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_E_ARG);
    m.type = NLSH_F32; /* whole numbers, but of a dimension that bytes may not have */
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_OK);
    assert_int_equal(d.matrix.type, NLSH_F32);
    nlsh__dataset_free(&d);
    m.dim = NLSH__MAX_DIM_U8;
    assert_int_equal(nlsh__dataset_init(&m, &d, &error), NLSH_OK);
    assert_int_equal(d.matrix.type, NLSH_U8);
    struct nlsh_matrix other = {f, 1, 7, NLSH_U8, 0};
    struct nlsh__dataset queries;
    assert_int_equal(nlsh__dataset_init(&other, &queries, &error), NLSH_OK);
    assert_int_equal(nlsh__dataset_pair(&d, &queries, &error), NLSH_E_MISMATCH);
    assert_non_null(strstr(error.message, "7"));
    nlsh__dataset_free(&d);
    nlsh__dataset_free(&queries);
}

static void hashes(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 5);
    struct nlsh_matrix u = make(U8, &rng), f = u, s = u;
    float *floats = malloc(N * DIM * sizeof *floats);
    uint8_t *shifted = malloc(N * DIM);
    for (size_t i = 0; i < N * DIM; i++) {
        floats[i] = ((const uint8_t *)u.data)[i];
        shifted[i] = ((const uint8_t *)u.data)[i] ^ 0x80;
    }
    f.data = floats;
    f.type = NLSH_F32;
    s.data = shifted;
    s.type = NLSH_I8;
    uint64_t hash = nlsh_data_hash(&u);
    assert_int_equal(nlsh_data_hash(&f), hash); /* fvecs and bvecs of the same values */
    struct nlsh__dataset d;
    assert_int_equal(nlsh__dataset_init(&s, &d, &error), NLSH_OK);
    assert_memory_equal(d.matrix.data, u.data, N * DIM);
    assert_true(d.hash != hash); /* the same bytes after the shift, but other vectors */
    nlsh__dataset_free(&d);
    struct nlsh_matrix wide = u;
    wide.n_rows = DIM;
    wide.dim = N;
    assert_true(nlsh_data_hash(&wide) != hash);
    for (size_t at = 0; at < N * DIM; at += 97) {
        floats[at] += 0.5f;
        assert_true(nlsh_data_hash(&f) != hash);
        floats[at] -= 0.5f;
        ((uint8_t *)(uintptr_t)u.data)[at] ^= 1;
        assert_true(nlsh_data_hash(&u) != hash);
        ((uint8_t *)(uintptr_t)u.data)[at] ^= 1;
    }
    assert_int_equal(nlsh_data_hash(&u), hash);
    /* Frozen: indexes and caches are named by it. */
    static const uint8_t six[] = {1, 2, 3, 4, 5, 255};
    assert_int_equal(nlsh_data_hash(&(struct nlsh_matrix){six, 2, 3, NLSH_U8, 0}),
                     UINT64_C(0x8cfddd12e024443f));
    free((void *)(uintptr_t)u.data);
    free(floats);
    free(shifted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dataset_is_bytes_where_it_can_be),
        cmocka_unit_test(every_pair_keeps_the_distances),
        cmocka_unit_test(one_value_out_of_range_decides),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
