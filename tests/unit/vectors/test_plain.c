/* test_plain.c - matrices of every type, with gaps and without, become plain ones of the same values. */
#include "vectors/plain.h"

#include <math.h>

#include "base/matrix.h"
#include "base/memory.h"
#include "testing.h"

enum { N = 9, DIM = 5, GAP = 3 };

static const enum nlsh_type vector_types[] = {NLSH_U8,  NLSH_I8,   NLSH_F32,
                                              NLSH_F16, NLSH_BF16, NLSH_F64};

/* Values of the type, finite in all of them, that need no rounding. */
static void fill(enum nlsh_type type, uint8_t *row, size_t i)
{
    for (size_t d = 0; d < DIM; d++) {
        double value = (double)(i * DIM + d) * 0.5;
        float narrow = (float)value;
        uint32_t bits;
        uint16_t half = (uint16_t)(0x3c00 + i * DIM + d); /* f16: 1 and above; bf16: small */
        memcpy(&bits, &narrow, sizeof bits);
        switch (type) {
        case NLSH_F32: memcpy(row + 4 * d, &narrow, 4); break;
        case NLSH_F64: memcpy(row + 8 * d, &value, 8); break;
        case NLSH_F16:
        case NLSH_BF16: memcpy(row + 2 * d, &half, 2); break;
        default: row[d] = (uint8_t)(200 + i * DIM + d);
        }
    }
}

static int is_narrow(enum nlsh_type type)
{
    return type == NLSH_U8 || type == NLSH_I8 || type == NLSH_F32;
}

static void check(const struct nlsh_matrix *m)
{
    struct nlsh_matrix plain;
    struct nlsh_error error;
    void *memory = (void *)1;
    if (nlsh__matrix_plain(m, &plain, &memory, &error) != NLSH_OK) fail_msg("%s", error.message);
    int view = is_narrow(m->type) && nlsh__is_dense(m);
    assert_int_equal(memory == NULL, view);
    assert_ptr_equal(plain.data, view ? m->data : memory);
    assert_int_equal(plain.n_rows, m->n_rows);
    assert_int_equal(plain.dim, m->dim);
    assert_int_equal(plain.type, is_narrow(m->type) ? m->type : NLSH_F32);
    assert_int_equal(plain.stride, 0);
    for (size_t i = 0; i < m->n_rows; i++) {
        float want[DIM], got[DIM];
        nlsh__row_to_f32(nlsh__row(m, i), m->type, DIM, want);
        nlsh__row_to_f32(nlsh__row(&plain, i), plain.type, DIM, got);
        assert_memory_equal(want, got, sizeof want);
    }
    nlsh__free(memory);
}

static void every_type_and_stride(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof vector_types / sizeof *vector_types; t++)
        for (size_t gap = 0; gap <= GAP; gap++) {
            enum nlsh_type type = vector_types[t];
            size_t row = DIM * nlsh__type_size(type), stride = row + gap;
            /* of just its size, for ASan: nothing stands behind the last row */
            uint8_t *data = malloc((N - 1) * stride + row);
            assert_non_null(data);
            memset(data, 0xee, (N - 1) * stride + row);
            for (size_t i = 0; i < N; i++) fill(type, data + i * stride, i);
            struct nlsh_matrix m = {data, N, DIM, type, stride};
            check(&m);
            if (gap == 0) m.stride = 0;
            check(&m);
            m.n_rows = 1;
            check(&m);
            free(data);
        }
}

static void refused(const struct nlsh_matrix *m, enum nlsh_status status, const char *words)
{
    struct nlsh_matrix plain;
    struct nlsh_error error;
    void *memory = (void *)1;
    assert_int_equal(nlsh__matrix_plain(m, &plain, &memory, &error), status);
    if (strstr(error.message, words) == NULL) fail_msg("no '%s' in '%s'", words, error.message);
    assert_null(memory);
}

static void what_is_refused(void **state)
{
    (void)state;
    double wide[2 * 3] = {0, 1, 2, 3, -4e38, 5};
    struct nlsh_matrix m = {wide, 2, 3, NLSH_F64, 0};
    refused(&m, NLSH_E_DATA, "row 1, column 1");
    wide[4] =
        3.4e38; /* what f32 can hold, and what is not finite from the beginning, is not its matter */
    wide[5] = (double)INFINITY;
    struct nlsh_matrix plain;
    void *memory;
    assert_int_equal(nlsh__matrix_plain(&m, &plain, &memory, NULL), NLSH_OK);
    assert_true(isinf(((const float *)plain.data)[5]));
    nlsh__free(memory);
    m.type = NLSH_I32;
    refused(&m, NLSH_E_ARG, "ids");
    m.type = NLSH_F64;
    m.stride = 23;
    refused(&m, NLSH_E_ARG, "stride");
    m.data = NULL;
    refused(&m, NLSH_E_ARG, "no data");
    refused(NULL, NLSH_E_ARG, "no data");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_stride),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
