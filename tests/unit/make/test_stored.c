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
        struct nlsh_vectors *stored;
        small_options(&o, 8);
        struct nlsh_index *index = built_index(&base, &o, "stored.nlsh");
        if (nlsh_index_vectors(index, &stored, &error) != NLSH_OK) fail_msg("%s", error.message);
        const struct nlsh_matrix *matrix = nlsh_vectors_matrix(stored);
        assert_int_equal(matrix->n_rows, base.n_rows);
        assert_int_equal(matrix->dim, base.dim);
        assert_int_equal(matrix->type, kind == KIND_WHOLE ? NLSH_U8 : base.type);
        assert_true(nlsh_data_hash(matrix) == nlsh_data_hash(&base));
        for (size_t i = 0; i < base.n_rows; i++)
            for (size_t d = 0; d < base.dim; d++)
                if (matrix_at(matrix, i, d) != matrix_at(&base, i, d))
                    fail_msg("%s: row %zu, column %zu", kind_names[kind], i, d);
        nlsh_vectors_free(stored);
        nlsh_index_close(index);
        matrix_free(&base);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_base_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
