/* test_stored.c - the vectors back out of an index are those that went in. */
#include "support/built.h"

#include "index/index.h"

static void the_base_comes_back(void **state)
{
    (void)state;
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct nlsh_matrix base = matrix_new(kind, 300, 9, 5, 12, 1);
        struct nlsh_build_options o;
        struct nlsh_error error;
        struct nlsh_vectors stored;
        small_options(&o, 8);
        struct nlsh_index *index = built_index(&base, &o, "stored.nlsh");
        if (nlsh_index_vectors(index, &stored, &error) != NLSH_OK) fail_msg("%s", error.message);
        assert_int_equal(stored.matrix.n_rows, base.n_rows);
        assert_int_equal(stored.matrix.dim, base.dim);
        assert_int_equal(stored.matrix.type, kind == KIND_WHOLE ? NLSH_U8 : base.type);
        assert_true(nlsh_data_hash(&stored.matrix) == nlsh_data_hash(&base));
        for (size_t i = 0; i < base.n_rows; i++)
            for (size_t d = 0; d < base.dim; d++)
                if (matrix_at(&stored.matrix, i, d) != matrix_at(&base, i, d))
                    fail_msg("%s: row %zu, column %zu", kind_names[kind], i, d);
        nlsh_vectors_free(&stored);
        nlsh_index_close(index);
        matrix_free(&base);
    }
}

/* Opening a file does not read its ids; this does. */
static void damaged_ids_are_an_error(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {300, UINT32_MAX, 0}; /* out of range; twice */
    struct nlsh_matrix base = matrix_new(KIND_U8, 300, 9, 5, 12, 1);
    struct nlsh_build_options o;
    struct nlsh_error error;
    struct nlsh_vectors stored;
    small_options(&o, 8);
    struct nlsh_index *index = built_index(&base, &o, "stored.nlsh");
    uint32_t ids[300];
    memcpy(ids, index->ids, sizeof ids);
    for (size_t i = 0; i < 3; i++) {
        memcpy(ids, index->ids, sizeof ids);
        ids[7] = wrong[i];
        if (wrong[i] == 0) ids[8] = 0;
        struct nlsh_index damaged = *index;
        damaged.ids = ids;
        assert_int_equal(nlsh_index_vectors(&damaged, &stored, &error), NLSH_E_DATA);
        assert_non_null(strstr(error.message, "stored.nlsh"));
        assert_null(stored.memory);
    }
    nlsh_index_close(index);
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_base_comes_back),
        cmocka_unit_test(damaged_ids_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
