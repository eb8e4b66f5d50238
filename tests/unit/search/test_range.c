/* test_range.c - what lies within a radius: the recall is a share of it, however much it is, with a filter too; and no
 * more is scanned than need be. */
#include "search/search.h"

#include "support/built.h"

enum { N = 12000, DIM = 24, M = 96, Q = 200 };

static struct nlsh_matrix all, base, queries;
static struct nlsh_index *bare;
static struct nlsh_searcher *s;
static float distances[Q][N]; /* of each query, ascending */
static uint64_t keys[Q][N], found_keys[N];
static float found_distances[N];

static int make(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_search_options exact;
    all = matrix_new(KIND_F32, N + Q, DIM, 60, 22, 1);
    base = (struct nlsh_matrix){all.data, N, DIM, NLSH_F32, 0};
    queries = (struct nlsh_matrix){(const float *)all.data + (size_t)N * DIM, Q, DIM, NLSH_F32, 0};
    small_options(&o, M);
    bare = built_index(&base, &o, "bare");
    assert_int_equal(nlsh_searcher_create(bare, &s, NULL), NLSH_OK);
    nlsh_search_options_init(&exact, sizeof exact);
    exact.k = N;
    exact.probes = M;
    assert_int_equal(nlsh_search_batch(bare, &queries, &exact, keys[0], distances[0], NULL, NULL),
                     NLSH_OK);
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    nlsh_searcher_free(s);
    nlsh_index_close(bare);
    matrix_free(&all);
    return 0;
}

static struct nlsh_matrix query(size_t i)
{
    return (struct nlsh_matrix){(const float *)queries.data + i * DIM, 1, DIM, NLSH_F32, 0};
}

static size_t find(size_t i, const struct nlsh_search_options *o, double radius)
{
    size_t n;
    const struct nlsh_matrix one = query(i);
    assert_int_equal(
        nlsh_search_range(s, &one, o, radius, found_keys, found_distances, N, &n, NULL), NLSH_OK);
    static uint8_t is_found[N];
    memset(is_found, 0, sizeof is_found);
    for (size_t j = 0; j < n; j++) {
        assert_true(found_keys[j] < N && !is_found[found_keys[j]]++);
        assert_true((double)found_distances[j] <= radius * 1.00001);
        assert_true(j == 0 || found_distances[j] >= found_distances[j - 1]);
    }
    return n;
}

/* Buckets that the last search scanned. */
static size_t n_scanned(void)
{
    size_t n = 0;
    for (size_t b = 0; b < M; b++) n += s->is_scanned[b];
    return n;
}

static void a_recall_is_the_share_of_what_lies_within(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 3, 10, 40, 150, 400, 900};
    for (double recall = .8; recall < .96; recall += .05) {
        struct nlsh_search_options o;
        nlsh_search_options_init(&o, sizeof o);
        o.recall = recall;
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            double share = 0, scanned = 0;
            for (size_t i = 0; i < Q; i++) {
                double radius = (double)distances[i][counts[c] - 1] * 1.000001;
                share += (double)find(i, &o, radius) / (double)counts[c] / Q;
                scanned += (double)n_scanned() / Q;
            }
            /* beyond a query's own group of 200 the router has no order to go by */
            if (share < recall - .01 || (counts[c] < 200 && scanned > M / 5.0))
                fail_msg("asked for %g of %zu: %g, in %g of %d buckets", recall, counts[c], share,
                         scanned, M);
        }
    }
}

/* Beyond 1,000 everything is compared. */
static void many_come_back_whole(void **state)
{
    (void)state;
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    o.recall = .5;
    for (size_t i = 0; i < 20; i++) {
        assert_true(find(i, &o, (double)distances[i][4999] * 1.000001) >= 5000);
        for (size_t j = 0; j < 5000; j++) /* of equal distances either may come first */
            assert_true(found_distances[j] == distances[i][j]);
        assert_int_equal(find(i, &o, 1e30), N);
    }
}

/* The last step may ask for more rows than are left. */
static void buckets_may_all_be_needed(void **state)
{
    (void)state;
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    for (o.recall = .9; o.recall < .9995; o.recall += .033)
        for (size_t i = 0; i < Q; i += 20)
            for (size_t share = 1; share <= 10; share++) {
                size_t within = N / 10 * share;
                size_t n = find(i, &o, (double)distances[i][within - 1]);
                assert_true((double)n >= .5 * (double)within);
            }
}

static void nothing_within_is_nothing_found(void **state)
{
    (void)state;
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(find(i, &o, (double)distances[i][0] * .999), 0);
        assert_true(n_scanned() >= 1 && n_scanned() < M / 2);
    }
}

/* What T says is scanned, and nothing else. */
static void t_stays_t(void **state)
{
    (void)state;
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    for (size_t T = 1; T <= M; T += 19) {
        o.probes = (double)T;
        for (size_t i = 0; i < 20; i++) {
            (void)find(i, &o, (double)distances[i][2000]);
            assert_int_equal(n_scanned(), T);
        }
    }
}

static void of_what_a_filter_allows(void **state)
{
    (void)state;
    static uint64_t bits[(N + 63) / 64];
    struct nlsh_search_options o;
    struct nlsh_counted_filter *counted;
    for (size_t every = 2; every <= 50; every *= 5) {
        memset(bits, 0, sizeof bits);
        for (size_t r = 0; r < N; r += every) bits[r / 64] |= UINT64_C(1) << r % 64;
        const struct nlsh_filter filter = {.bits = bits, .n_bits = N};
        assert_int_equal(nlsh_counted_filter_create(bare, &filter, &counted, NULL), NLSH_OK);
        for (int before = 0; before < 2; before++) {
            double share = 0;
            nlsh_search_options_init(&o, sizeof o);
            o.recall = .9;
            if (before)
                o.counted = counted;
            else
                o.filter = &filter;
            for (size_t i = 0; i < Q; i++) {
                size_t inside = 0;
                for (size_t j = 0; j < 600; j++) inside += keys[i][j] % every == 0;
                size_t found = find(i, &o, (double)distances[i][599] * 1.000001);
                for (size_t j = 0; j < found; j++) assert_int_equal(found_keys[j] % every, 0);
                share += inside > 0 ? (double)found / (double)inside / Q : 1.0 / Q;
            }
            if (share < .89) fail_msg("every %zu. is allowed: %g", every, share);
        }
        nlsh_counted_filter_free(counted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recall_is_the_share_of_what_lies_within),
        cmocka_unit_test(many_come_back_whole),
        cmocka_unit_test(buckets_may_all_be_needed),
        cmocka_unit_test(nothing_within_is_nothing_found),
        cmocka_unit_test(t_stays_t),
        cmocka_unit_test(of_what_a_filter_allows),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
