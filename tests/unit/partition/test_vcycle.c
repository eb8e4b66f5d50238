/* test_vcycle.c - nlsh__partition_vcycle(): from any valid answer to a valid one, never a worse one, good where the best cut
 * is known, the same for the same seed; unseen rows draw no others; what is no graph and no answer is refused. */
#include <math.h>

#include "testing.h"
#include "unit/partition/graphs.h"

static void vcycle(const char *what, const struct nlsh__csr *csr, size_t m, double imbalance,
                   uint64_t seed, uint32_t *bucket_of)
{
    struct nlsh_error error = {0};
    if (nlsh__partition_vcycle(csr, m, imbalance, seed, NULL, NULL, bucket_of, &error) != NLSH_OK)
        fail_msg("%s, m %zu: %s", what, m, error.message);
    assert_valid(what, bucket_of, csr->n, m, imbalance);
}

/* In turn: vertex i in bucket i mod m. */
static void deal(uint32_t *bucket_of, size_t n, size_t m)
{
    for (size_t i = 0; i < n; i++) bucket_of[i] = (uint32_t)(i % m);
}

static void every_graph_m_and_imbalance(void **state)
{
    (void)state;
    static const double imbalances[] = {0.0, 0.03, 0.5, 100};
    struct named_graph graphs[N_GRAPHS];
    make_graphs(graphs);
    for (size_t g = 0; g < N_GRAPHS; g++) {
        const struct nlsh__csr *csr = &graphs[g].csr;
        size_t n = csr->n, ms[] = {1, 2, n / 40 + 1, n / 12, n / 8, n / 3, n - 1, n};
        uint32_t *bucket_of = malloc(n * sizeof *bucket_of), *again = malloc(n * sizeof *again);
        assert_true(bucket_of && again);
        for (size_t i = 0; i < sizeof ms / sizeof *ms; i++)
            for (size_t j = 0; j < sizeof imbalances / sizeof *imbalances; j++) {
                deal(bucket_of, n, ms[i]);
                deal(again, n, ms[i]);
                vcycle(graphs[g].name, csr, ms[i], imbalances[j], SEED + i, bucket_of);
                vcycle(graphs[g].name, csr, ms[i], imbalances[j], SEED + i, again);
                assert_memory_equal(bucket_of, again, n * sizeof *again);
            }
        free(bucket_of);
        free(again);
    }
    free_graphs(graphs);
}

/* A few vertices of each clique in another's bucket come home. */
static void strays_come_home(void **state)
{
    (void)state;
    struct nlsh__csr csr = clique_graph(16, 20, 1);
    uint32_t bucket_of[320];
    for (uint64_t seed = 0; seed < 5; seed++) {
        for (size_t i = 0; i < 320; i++) bucket_of[i] = (uint32_t)((i / 20 + (i % 20 < 6)) % 16);
        assert_true(cut_weight(&csr, bucket_of) > 1000);
        vcycle("cliques", &csr, 16, 0.5, seed, bucket_of);
        assert_int_equal(cut_weight(&csr, bucket_of), 16);
    }
    free_csr(&csr);
}

/* The cut and what sizes cost, as a move counts them. */
static double cost(const struct nlsh__csr *csr, const uint32_t *bucket_of, size_t m)
{
    double weight = 0, squares = 0;
    for (int32_t e = 0; e < csr->offsets[csr->n]; e++) weight += csr->weights[e];
    size_t *sizes = calloc(m, sizeof *sizes);
    assert_non_null(sizes);
    for (size_t v = 0; v < csr->n; v++) sizes[bucket_of[v]]++;
    for (size_t b = 0; b < m; b++) squares += (double)sizes[b] * (double)sizes[b];
    free(sizes);
    double n = (double)csr->n;
    return (double)cut_weight(csr, bucket_of) + 0.375 * weight * (double)m / n / n * squares / 2;
}

/* 60 x 60 in 16 stripes, which no small move betters, and dealt, which becomes better; a second time is no worse. */
static void a_cycle_makes_nothing_worse(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(60);
    uint32_t bucket_of[3600];
    for (int dealt = 0; dealt < 2; dealt++) {
        if (dealt)
            deal(bucket_of, 3600, 16);
        else
            for (size_t i = 0; i < 3600; i++) bucket_of[i] = (uint32_t)(i / 225);
        double before = cost(&csr, bucket_of, 16);
        vcycle("grid", &csr, 16, 0.5, SEED, bucket_of);
        double once = cost(&csr, bucket_of, 16);
        vcycle("grid", &csr, 16, 0.5, SEED, bucket_of);
        assert_true(dealt ? once < 0.9 * before : once <= before + 1e-6);
        assert_true(cost(&csr, bucket_of, 16) <= once + 1e-6);
    }
    free_csr(&csr);
}

/* Sizes of 30 and 10 where no edge says which: they become even, as a query pays for what it scans. */
static void sizes_become_even(void **state)
{
    (void)state;
    struct nlsh__csr csr = random_graph(2000, 20000, SEED);
    uint32_t bucket_of[2000];
    size_t sizes[100] = {0}, most = 0;
    for (size_t i = 0; i < 2000; i++) bucket_of[i] = (uint32_t)(i % 40 < 30 ? i / 40 : 50 + i / 40);
    vcycle("random", &csr, 100, 0.5, SEED, bucket_of);
    for (size_t i = 0; i < 2000; i++) sizes[bucket_of[i]]++;
    for (size_t b = 0; b < 100; b++) most = sizes[b] > most ? sizes[b] : most;
    assert_in_range(most, 20, 26);
    free_csr(&csr);
}

enum { N_UNSEEN = 100 };

static int compare_vertices(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* random_graph(), with the first of the unseen's edges as the last one's, the second's as the last but one's, and so on. */
static struct nlsh__csr exchanged(const uint32_t *unseen, int exchange)
{
    struct nlsh__csr csr = random_graph(2000, 20000, SEED), out = random_graph(2000, 20000, SEED);
    int32_t name[2000], end = 0;
    for (int32_t v = 0; v < 2000; v++) name[v] = v;
    for (size_t i = 0; exchange && i < N_UNSEEN; i++)
        name[unseen[i]] = (int32_t)unseen[N_UNSEEN - 1 - i];
    for (int32_t v = 0; v < 2000; v++) { /* a name's name is v */
        int32_t begin = end;
        for (int32_t e = csr.offsets[name[v]]; e < csr.offsets[name[v] + 1]; e++)
            out.neighbors[end++] = name[csr.neighbors[e]];
        qsort(out.neighbors + begin, (size_t)(end - begin), sizeof *out.neighbors,
              compare_vertices);
        for (int32_t e = begin; e < end; e++) out.weights[e] = 1 + ((v ^ out.neighbors[e]) & 1);
        out.offsets[v + 1] = end;
    }
    free_csr(&csr);
    return out;
}

/* Whose edges are unseen draws no row anywhere, and lies where its edges lead. */
static void unseen_rows_draw_no_others(void **state)
{
    (void)state;
    uint32_t rows[N_UNSEEN], *bucket_of[2][2];
    for (uint32_t i = 0; i < N_UNSEEN; i++) rows[i] = i * 20 + 7;
    for (int exchange = 0; exchange < 2; exchange++) {
        struct nlsh__csr csr = exchanged(rows, exchange);
        for (int all_move = 0; all_move < 2; all_move++) {
            const struct nlsh__unseen unseen = {rows, N_UNSEEN, all_move};
            uint32_t *of = bucket_of[all_move][exchange] = malloc(2000 * sizeof *of);
            assert_non_null(of);
            deal(of, 2000, 40);
            assert_int_equal(nlsh__partition_vcycle(&csr, 40, 0.5, SEED, &unseen, NULL, of, NULL),
                             NLSH_OK);
            assert_valid("random", of, 2000, 40, 0.5);
        }
        free_csr(&csr);
    }
    size_t differ[2] = {0}, unseen_differ = 0;
    for (size_t v = 0; v < 2000; v++)
        for (int all_move = 0; all_move < 2; all_move++)
            if (bucket_of[all_move][0][v] == bucket_of[all_move][1][v])
                continue;
            else if (v % 20 != 7)
                differ[all_move]++;
            else
                unseen_differ++;
    assert_int_equal(differ[0], 0);
    assert_true(differ[1] > 0 && unseen_differ > 0);
    for (int i = 0; i < 4; i++) free(bucket_of[i / 2][i % 2]);
}

static void expect(enum nlsh_status wanted, const char *word, const struct nlsh__csr *csr, size_t m,
                   double imbalance, const uint32_t *given)
{
    uint32_t bucket_of[500];
    struct nlsh_error error = {0};
    memcpy(bucket_of, given, csr->n * sizeof *given);
    assert_int_equal(nlsh__partition_vcycle(csr, m, imbalance, SEED, NULL, NULL, bucket_of, &error),
                     wanted);
    if (strstr(error.message, word) == NULL) fail_msg("no '%s' in '%s'", word, error.message);
    assert_int_equal(nlsh__partition_vcycle(csr, m, imbalance, SEED, NULL, NULL, bucket_of, NULL),
                     wanted);
}

static void what_is_no_graph_and_no_answer(void **state)
{
    (void)state;
    struct nlsh__csr csr = grid_graph(10);
    uint32_t given[100];
    deal(given, 100, 4);
    expect(NLSH_E_ARG, "0 buckets", &csr, 0, 0.03, given);
    expect(NLSH_E_ARG, "101 buckets for 100", &csr, 101, 0.03, given);
    expect(NLSH_E_ARG, "imbalance", &csr, 4, (double)NAN, given);
    expect(NLSH_E_INTERNAL, "bucket", &csr, 3, 0.5, given); /* numbers up to 3 */
    expect(NLSH_E_INTERNAL, "bucket", &csr, 5, 0.5, given); /* an empty one */
    int32_t saved = csr.neighbors[5];
    csr.neighbors[5] = 1000;
    expect(NLSH_E_DATA, "", &csr, 4, 0.03, given);
    csr.neighbors[5] = saved;
    free_csr(&csr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_graph_m_and_imbalance),
        cmocka_unit_test(strays_come_home),
        cmocka_unit_test(a_cycle_makes_nothing_worse),
        cmocka_unit_test(sizes_become_even),
        cmocka_unit_test(unseen_rows_draw_no_others),
        cmocka_unit_test(what_is_no_graph_and_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
