/* test_memory.c - an index answers alike wherever its bytes lie, and needs its file only where it
 * says so. */
#include <unistd.h>

#include "support/built.h"

enum { N = 700, DIM = 20, Q = 40, K = 9 };

static void search(const struct nlsh_index *index, const struct nlsh_matrix *queries, double probes,
                   uint64_t *keys, float *distances)
{
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    o.probes = probes;
    assert_int_equal(nlsh_search_batch(index, queries, &o, keys, distances, NULL, NULL), NLSH_OK);
}

static void compare(const struct nlsh_index *a, const struct nlsh_index *b,
                    const struct nlsh_matrix *queries)
{
    static uint64_t keys[2][Q * K];
    static float distances[2][Q * K];
    static const double probes[] = {0, 1, 3, 1e9};
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        search(a, queries, probes[i], keys[0], distances[0]);
        search(b, queries, probes[i], keys[1], distances[1]);
        assert_memory_equal(keys[0], keys[1], sizeof keys[0]);
        assert_memory_equal(distances[0], distances[1], sizeof distances[0]);
    }
    struct nlsh_segment one = {.struct_size = sizeof one}, other = one;
    assert_true(nlsh_index_segment(a, 0, &one) && nlsh_index_segment(b, 0, &other));
    assert_memory_equal(one.rows, other.rows, N * sizeof *one.rows);
}

static void answers_are_the_same(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/memory.nlsh", test_dir());
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct nlsh_build_options o;
        struct nlsh_matrix base = matrix_new(kind, N, DIM, 15, 12, kind);
        struct nlsh_matrix queries = matrix_new(kind, Q, DIM, 15, 14, 20 + kind);
        struct nlsh_index *indexes[3];
        small_options(&o, 12);
        if (kind % 2) o.code_bytes = 0;
        assert_int_equal(nlsh_build(&base, &o, path, NULL, NULL, NULL), NLSH_OK);
        for (int memory = NLSH_MEMORY_MAP; memory <= NLSH_MEMORY_ALL; memory++) {
            struct nlsh_open_options how;
            nlsh_open_options_init(&how, sizeof how);
            how.memory = (enum nlsh_memory)memory;
            assert_int_equal(nlsh_index_open(path, &how, &indexes[memory], NULL), NLSH_OK);
        }
        compare(indexes[0], indexes[1], &queries);
        compare(indexes[0], indexes[2], &queries);
        compare(indexes[0], indexes[2], &queries);
        nlsh_index_close(indexes[0]);
        nlsh_index_close(indexes[1]);
        /* cut to nothing, a map would end in a signal */
        struct nlsh_index *again;
        assert_int_equal(nlsh_index_open(path, NULL, &again, NULL), NLSH_OK);
        nlsh_index_close(again);
        assert_int_equal(truncate(path, 0), 0);
        compare(indexes[2], indexes[2], &queries);
        nlsh_index_close(indexes[2]);
        matrix_free(&base);
        matrix_free(&queries);
    }
}

static void what_cannot_be_opened(void **state)
{
    (void)state;
    char path[512];
    struct nlsh_open_options how;
    struct nlsh_index *index;
    struct nlsh_error error;
    nlsh_open_options_init(&how, sizeof how);
    snprintf(path, sizeof path, "%s/none.nlsh", test_dir());
    for (int memory = NLSH_MEMORY_MAP; memory <= NLSH_MEMORY_ALL; memory++) {
        how.memory = (enum nlsh_memory)memory;
        assert_int_equal(nlsh_index_open(path, &how, &index, &error), NLSH_E_NO_INPUT);
        assert_non_null(strstr(error.message, path));
        assert_null(index);
        assert_int_equal(nlsh_index_open(NULL, &how, &index, NULL), NLSH_E_ARG);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs("no index at all, but long enough to be looked at: it has more than a header's bytes",
              f);
        fclose(f);
        assert_int_equal(nlsh_index_open(path, &how, &index, &error), NLSH_E_DATA);
        assert_null(index);
        unlink(path);
    }
    how.memory = (enum nlsh_memory)3;
    assert_int_equal(nlsh_index_open(path, &how, &index, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "memory is 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same),
        cmocka_unit_test(what_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
