/*
 * test_exact.c - exact neighbours against a sort of all distances.
 *
 * Bytes are compared with integers in double, which are exact. Floats twice: with a sort of what
 * the direct kernel says of every row, which the answer must equal, and with double arithmetic
 * inside the direct kernel's bound.
 */
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "kernels/topk.h"
#include "sets.h"
#include "support/child.h"

#define UNIT 5.9604644775390625e-8

struct pair {
    double l2sq;
    uint32_t id;
};

static struct nlsh__rng rng;

static int by_l2sq(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->l2sq != y->l2sq) return x->l2sq < y->l2sq ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static double direct(const struct nlsh_matrix *queries, size_t q, const struct nlsh_matrix *base,
                     size_t id)
{
    if (base->type == NLSH_U8) return set_l2sq(queries, q, base, id);
    return (double)nlsh__kernels()->l2sq_f32((const float *)queries->data + q * base->dim,
                                             (const float *)base->data + id * base->dim, base->dim);
}

/* The pairs of query q, sorted by the kernel's distances, or by double's. */
static size_t sorted(const struct nlsh_matrix *base, const struct nlsh_matrix *queries, size_t q,
                     int exclude_self, int in_double, struct pair *out)
{
    size_t n = 0;
    for (size_t id = 0; id < base->n_rows; id++) {
        if (exclude_self && id == q) continue;
        double l2sq = in_double ? set_l2sq(queries, q, base, id) : direct(queries, q, base, id);
        out[n++] = (struct pair){l2sq, (uint32_t)id};
    }
    qsort(out, n, sizeof *out, by_l2sq);
    return n;
}

static void check_answer(const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                         const struct nlsh__neighbors *found, size_t k, int exclude_self,
                         const char *what)
{
    struct pair *pairs = malloc(base->n_rows * sizeof *pairs);
    assert_non_null(pairs);
    assert_int_equal(found->n_rows, queries->n_rows);
    assert_int_equal(found->k, k);
    for (size_t q = 0; q < queries->n_rows; q++) {
        const uint32_t *ids = found->ids + q * k;
        const float *l2sq = found->l2sq + q * k;
        assert_true(sorted(base, queries, q, exclude_self, 0, pairs) >= k);
        for (size_t i = 0; i < k; i++)
            if (ids[i] != pairs[i].id || l2sq[i] != (float)pairs[i].l2sq)
                fail_msg("%s: n %zu, dim %zu, k %zu: neighbour %zu of %zu is %u (%.9g), not %u "
                         "(%.9g)",
                         what, base->n_rows, base->dim, k, i, q, (unsigned)ids[i], (double)l2sq[i],
                         (unsigned)pairs[i].id, pairs[i].l2sq);
        if (base->type == NLSH_U8 || q % 7 != 0) continue;
        sorted(base, queries, q, exclude_self, 1, pairs);
        for (size_t i = 0; i < k; i++)
            assert_true(fabs((double)l2sq[i] - pairs[i].l2sq) <=
                        UNIT * (double)(base->dim + 4) * pairs[i].l2sq + 1e-37);
    }
    free(pairs);
}

static void check(const struct nlsh_matrix *base, const struct nlsh_matrix *queries, size_t k,
                  int exclude_self, const char *what)
{
    struct nlsh__job job = job_of(1, NULL, NULL);
    struct nlsh__neighbors found;
    struct nlsh_error error = {0};
    enum nlsh_status status =
        nlsh__exact_neighbors(base, queries, k, exclude_self, "test", &job, &found, &error);
    if (status != NLSH_OK) fail_msg("%s: %s", what, error.message);
    check_answer(base, queries, &found, k, exclude_self, what);
    nlsh__neighbors_free(&found);
    nlsh__job_end(&job);
}

static void graphs_equal_a_sort(void **state)
{
    static const size_t shapes[][3] = {/* n, dim, k */
                                       {2, 1, 1},    {2, 5, 1},     {17, 3, 1},    {17, 3, 16},
                                       {17, 64, 5},  {200, 1, 10},  {200, 33, 10}, {200, 7, 199},
                                       {1000, 4, 1}, {1000, 12, 10}};
    (void)state;
    for (int type = 0; type < 2; type++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (enum set_kind kind = SET_RANDOM; kind < SET_N_KINDS; kind++) {
                char what[64];
                struct nlsh_matrix m =
                    make_set(&rng, type ? NLSH_F32 : NLSH_U8, kind, shapes[s][0], shapes[s][1]);
                snprintf(what, sizeof what, "%s, set %d", type ? "floats" : "bytes", (int)kind);
                check(&m, &m, shapes[s][2], 1, what);
                free((void *)m.data);
            }
}

static void other_queries_equal_a_sort(void **state)
{
    static const size_t shapes[][4] = {
        /* n, queries, dim, k: k = n here, for none is left out */
        {1, 3, 2, 1},       {20, 193, 9, 20},
        {300, 11, 130, 10}, {700, 40, 6, 32}, /* long lists, in the order of either kind of list */
        {700, 40, 6, 40},   {700, 40, 6, 150}};
    (void)state;
    for (int type = 0; type < 2; type++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
            for (enum set_kind kind = SET_RANDOM; kind < SET_N_KINDS; kind++) {
                enum nlsh_type t = type ? NLSH_F32 : NLSH_U8;
                struct nlsh_matrix m = make_set(&rng, t, kind, shapes[s][0], shapes[s][2]);
                struct nlsh_matrix q = make_set(&rng, t, kind, shapes[s][1], shapes[s][2]);
                check(&m, &q, shapes[s][3], 0, "queries");
                free((void *)m.data);
                free((void *)q.data);
            }
}

/* Wide rows, where a bound that grows with the dimension must still let the first pass do. */
static void wide_rows(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct nlsh_matrix m = make_set(&rng, type ? NLSH_F32 : NLSH_U8, SET_RANDOM, 60, 5001);
        check(&m, &m, 7, 1, "wide");
        free((void *)m.data);
    }
}

static void any_number_of_threads(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++)
        for (int far_off = 0; far_off < 2; far_off++) {
            struct nlsh_matrix m = make_set(&rng, type ? NLSH_F32 : NLSH_U8,
                                            far_off ? SET_CLUSTERS : SET_FEW_LEVELS, 1100, 10);
            struct nlsh__neighbors found[3];
            for (size_t t = 0; t < 3; t++) {
                struct nlsh__job job = job_of(t + 1, NULL, NULL);
                assert_int_equal(
                    nlsh__exact_neighbors(&m, &m, 10, 1, "test", &job, &found[t], NULL), NLSH_OK);
                nlsh__job_end(&job);
                assert_memory_equal(found[t].ids, found[0].ids, 1100 * 10 * 4);
                assert_memory_equal(found[t].l2sq, found[0].l2sq, 1100 * 10 * 4);
            }
            for (size_t t = 0; t < 3; t++) nlsh__neighbors_free(&found[t]);
            free((void *)m.data);
        }
}

/* Squares that do not fit in a float are an error that names the row, never a wrong answer. */
static void too_large_to_square(void **state)
{
    static const float scales[] = {1e30f, 1e38f, 1e20f};
    struct nlsh__job job = job_of(2, NULL, NULL);
    (void)state;
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
        struct nlsh_matrix m = make_set(&rng, NLSH_F32, SET_RANDOM, 300, 8);
        struct nlsh__neighbors found;
        struct nlsh_error error = {0};
        for (size_t i = 0; i < 300 * 8; i++) {
            float *x = (float *)m.data + i;
            *x = scales[s] * (*x > 3 ? 3 : *x < -3 ? -3 : *x);
        }
        assert_int_equal(nlsh__exact_neighbors(&m, &m, 3, 1, "test", &job, &found, &error),
                         NLSH_E_DATA);
        assert_non_null(strstr(error.message, "row "));
        assert_non_null(strstr(error.message, "do not fit"));
        assert_non_null(strstr(error.hint, "scale"));
        assert_null(found.ids);
        assert_null(found.l2sq);
        free((void *)m.data);
    }
    nlsh__job_end(&job);
}

/* From small to too large there is no scale at which the answer is wrong. */
static void right_or_refused_at_any_scale(void **state)
{
    struct nlsh__job job = job_of(1, NULL, NULL);
    int n_right = 0, n_refused = 0;
    (void)state;
    for (int exponent = -24; exponent <= 24; exponent++) {
        struct nlsh_matrix m = make_set(&rng, NLSH_F32, SET_RANDOM, 90, 6);
        struct nlsh__neighbors found;
        for (size_t i = 0; i < 90 * 6; i++)
            ((float *)m.data)[i] *= (float)pow(10, exponent) * (i / 6 % 4 == 0 ? 30 : 1);
        enum nlsh_status status = nlsh__exact_neighbors(&m, &m, 4, 1, "test", &job, &found, NULL);
        if (status == NLSH_OK) {
            check_answer(&m, &m, &found, 4, 1, "scales");
            nlsh__neighbors_free(&found);
            n_right++;
        } else {
            assert_int_equal(status, NLSH_E_DATA);
            assert_true(exponent >= 16);
            n_refused++;
        }
        free((void *)m.data);
    }
    assert_true(n_right > 0 && n_refused > 0);
    nlsh__job_end(&job);
}

static void stops_when_asked(void **state)
{
    struct nlsh_matrix m = make_set(&rng, NLSH_U8, SET_RANDOM, 1000, 16);
    (void)state;
    for (int calls = 0; calls < 2; calls++) {
        int left = calls;
        struct nlsh__job job = job_of(2, stop_after, &left);
        struct nlsh__neighbors found;
        struct nlsh_error error = {0};
        assert_int_equal(nlsh__exact_neighbors(&m, &m, 5, 1, "a stage", &job, &found, &error),
                         NLSH_E_INTERRUPTED);
        assert_non_null(strstr(error.message, "a stage"));
        assert_null(found.ids);
        nlsh__job_end(&job);
    }
    free((void *)m.data);
}

/* ---- every instruction set ------------------------------------------------------------------- */

/* Neighbours of byte vectors as a number: FNV-1a over ids and distances. */
static int answer(void)
{
    struct nlsh__job job = job_of(2, NULL, NULL);
    uint64_t hash = 14695981039346656037u;
    for (size_t dim = 1; dim <= 131; dim += 13) {
        struct nlsh_matrix m =
            make_set(&rng, NLSH_U8, dim % 2 ? SET_RANDOM : SET_FEW_LEVELS, 333, dim);
        struct nlsh__neighbors found;
        if (nlsh__exact_neighbors(&m, &m, 10, 1, "test", &job, &found, NULL) != NLSH_OK) return 1;
        for (size_t i = 0; i < 3330; i++) {
            hash = (hash ^ found.ids[i]) * 1099511628211u;
            hash = (hash ^ (uint64_t)found.l2sq[i]) * 1099511628211u;
        }
        nlsh__neighbors_free(&found);
        free((void *)m.data);
    }
    printf("%s %016llx\n", nlsh_cpu(), (unsigned long long)hash);
    nlsh__job_end(&job);
    return 0;
}

static void bytes_agree_on_every_instruction_set(void **state)
{
    const struct nlsh__kernels *all[NLSH__N_TABLES];
    size_t n = nlsh__kernels_all(all, NLSH__N_TABLES);
    char first[64], said[64];
    (void)state;
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(all[i]->name);
        ask_child(all[i]->name, said, sizeof said);
        assert_memory_equal(said, all[i]->name, length); /* it did run on these */
        assert_int_equal(strlen(said), length + 1 + 16 + 1);
        if (i == 0) strcpy(first, said + length);
        assert_string_equal(said + length, first);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graphs_equal_a_sort),
        cmocka_unit_test(other_queries_equal_a_sort),
        cmocka_unit_test(wide_rows),
        cmocka_unit_test(any_number_of_threads),
        cmocka_unit_test(too_large_to_square),
        cmocka_unit_test(right_or_refused_at_any_scale),
        cmocka_unit_test(stops_when_asked),
        cmocka_unit_test(bytes_agree_on_every_instruction_set),
    };
    test_rng(&rng, 0);
    if (argc > 1 && strcmp(argv[1], "answer") == 0) return answer();
    return cmocka_run_group_tests_name("graph/exact", tests, NULL, NULL);
}
