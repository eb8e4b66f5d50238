/*
 * test_filtered.c - searches through filters. Whoever asks gets the same answers; all of them are allowed; there
 * are as many as there can be; and what was asked comes back, whether the filter goes with the vectors or not.
 */
#include "search/filtered.h"

#include "support/built.h"
#include "support/counts.h"

enum { N = 4000, DIM = 24, M = 48, Q = 60, MOST_K = 100, CLUSTERS = 12 };

static struct nlsh_matrix base, queries;
static struct nlsh_index *of_codes, *of_leaves, *of_vectors;
static uint64_t keys[Q * MOST_K], again[Q * MOST_K], bits[N / 64 + 1];
static float distances[Q * MOST_K], distances_again[Q * MOST_K];
static uint8_t allowed[N];
static struct near want[N];
static struct {
    uint8_t allowed[N]; /* what they were found with */
    struct near nearest[Q][MOST_K];
    size_t n; /* rows that are allowed; SIZE_MAX: none was asked yet */
} truths = {.n = SIZE_MAX};
static struct counts stats, stats_again;

/* ---- filters --------------------------------------------------------------------------------- */

static struct nlsh_filter filter_of(void)
{
    memset(bits, 0, sizeof bits);
    for (size_t i = 0; i < N; i++) bits[i / 64] |= (uint64_t)allowed[i] << i % 64;
    return (struct nlsh_filter){.bits = bits, .n_bits = N};
}

static void allow_by_chance(uint64_t stream, double share)
{
    struct nlsh__rng rng;
    test_rng(&rng, stream);
    for (size_t i = 0; i < N; i++) allowed[i] = nlsh__rng_uniform(&rng) < share;
}

/* The n rows nearest to one, or all others. */
static void allow_near(size_t row, size_t n, int others)
{
    naive_search(&base, NULL, &base, row, want);
    for (size_t i = 0; i < N; i++) allowed[want[i].id] = (i < n) != others;
}

static int allows(void *user, uint64_t key)
{
    *(size_t *)user += 1;
    return allowed[key];
}

/* ---- asking ---------------------------------------------------------------------------------- */

static struct nlsh_search_options options(size_t k, double recall, const struct nlsh_filter *filter)
{
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    o.k = k;
    o.recall = recall;
    o.filter = filter;
    return o;
}

static void search(const struct nlsh_index *index, const struct nlsh_search_options *o)
{
    struct nlsh_searcher *s;
    struct nlsh_error error;
    memset(&stats, 0, sizeof stats);
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    if (nlsh_search(s, &queries, o, keys, distances, COUNT_INTO(&stats), &error) != NLSH_OK)
        fail_msg("%s", error.message);
    nlsh_searcher_free(s);
}

/* A batch says the same as one query after another. */
static void search_batches(const struct nlsh_index *index, struct nlsh_search_options o)
{
    for (size_t threads = 1; threads <= 3; threads += 2) {
        o.n_threads = threads;
        memset(&stats_again, 0, sizeof stats_again);
        assert_int_equal(nlsh_search_batch(index, &queries, &o, again, distances_again,
                                           COUNT_INTO(&stats_again), NULL),
                         NLSH_OK);
        assert_memory_equal(again, keys, Q * o.k * sizeof *keys);
        assert_memory_equal(distances_again, distances, Q * o.k * sizeof *distances);
        assert_memory_equal(&stats_again, &stats, sizeof stats);
    }
}

/* Finds the nearest allowed rows of each query, once for what is allowed; returns how many are. */
static size_t know_truths(void)
{
    if (truths.n != SIZE_MAX && memcmp(truths.allowed, allowed, N) == 0) return truths.n;
    memcpy(truths.allowed, allowed, N);
    for (size_t q = 0; q < Q; q++) {
        truths.n = naive_search(&base, allowed, &queries, q, want);
        memcpy(truths.nearest[q], want, sizeof truths.nearest[q]);
    }
    return truths.n;
}

/* Allowed, and as many as there can be; returns the share of the true ones that was found. */
static double check(size_t k)
{
    size_t found = 0, of = 0, n = know_truths(), most = n < k ? n : k;
    for (size_t q = 0; q < Q; q++) {
        for (size_t i = 0; i < k; i++) {
            uint64_t key = keys[q * k + i];
            assert_int_equal(key == NLSH_NO_KEY, i >= most);
            if (i >= most) continue;
            assert_true(key < N && allowed[key]);
            for (size_t j = 0; j < i; j++) assert_true(keys[q * k + j] != key);
            found +=
                true_l2sq(&queries, q, &base, key) <= truths.nearest[q][most - 1].l2sq * (1 + 1e-5);
        }
        of += most;
    }
    return of == 0 ? 1 : (double)found / (double)of;
}

static void check_exact(size_t k)
{
    size_t n = know_truths();
    for (size_t q = 0; q < Q; q++)
        check_answer(&base, &queries, q, truths.nearest[q], n, k, keys + q * k, distances + q * k,
                     0);
}

/* ---- what holds for every filter ------------------------------------------------------------- */

static void check_all_ways(const struct nlsh_index *index)
{
    static const size_t ks[] = {1, 10, MOST_K};
    size_t asked = 0;
    const struct nlsh_filter by_bits = filter_of(), by_key = {.allows = allows, .user = &asked};
    for (size_t i = 0; i < 3; i++) {
        struct nlsh_search_options o = options(ks[i], .9, &by_bits);
        search(index, &o);
        check(o.k);
        search_batches(index, o);
        o.filter = &by_key;
        search_batches(index, o);
        assert_int_equal(asked, 2 * (i + 1) * N); /* once a call, whatever the queries */
        o.filter = &by_bits;
        struct nlsh_counted_filter *counted;
        assert_int_equal(nlsh_counted_filter_create(index, &by_bits, &counted, NULL), NLSH_OK);
        assert_int_equal(nlsh_counted_filter_n(counted),
                         naive_search(&base, allowed, &base, 0, want));
        o.filter = NULL;
        o.counted = counted;
        search_batches(index, o);
        nlsh_counted_filter_free(counted);
        o.counted = NULL;
        o.filter = &by_bits;
        for (double probes = .01; probes < 10; probes *= 5) {
            o.probes = probes < 1 ? probes : (double)(int)probes;
            search(index, &o);
            check(o.k);
            search_batches(index, o);
        }
        o.rerank = 20;
        search(index, &o);
        check(o.k);
        search_batches(index, o);
        o.probes = M;
        search(index, &o);
        check_exact(o.k);
        search_batches(index, o);
    }
}

static void answers_are_allowed_and_as_many_as_can_be(void **state)
{
    (void)state;
    const struct nlsh_index *indexes[] = {of_codes, of_leaves, of_vectors};
    for (size_t i = 0; i < 3; i++) {
        static const double shares[] = {1.1, .5, .1, .02};
        for (size_t s = 0; s < 4; s++) {
            allow_by_chance(s, shares[s]);
            check_all_ways(indexes[i]);
        }
        memset(allowed, 0, sizeof allowed);
        check_all_ways(indexes[i]);
        allowed[1234] = 1;
        check_all_ways(indexes[i]);
        allow_near(17, N / 2, 0);
        check_all_ways(indexes[i]);
        allow_near(17, N - N / 20, 1);
        check_all_ways(indexes[i]);
    }
}

/* As a search without a filter, and no dearer than by its own rounding of k. */
static void a_filter_of_all_costs_little(void **state)
{
    (void)state;
    memset(allowed, 1, sizeof allowed);
    const struct nlsh_filter filter = filter_of();
    struct nlsh_search_options o = options(10, .95, NULL);
    double without = 0, with = 0;
    search(of_codes, &o);
    for (size_t q = 0; q < Q; q++) without += stats.candidates[q];
    o.filter = &filter;
    search(of_codes, &o);
    for (size_t q = 0; q < Q; q++) with += stats.candidates[q];
    assert_true(with <= 1.2 * without && with >= .8 * without);
}

/* ---- the promise ----------------------------------------------------------------------------- */

static void expect_recall(const struct nlsh_index *index, const char *what)
{
    static const size_t ks[] = {1, 10};
    const struct nlsh_filter filter = filter_of();
    for (size_t i = 0; i < 2; i++) {
        struct nlsh_search_options o = options(ks[i], .9, &filter);
        search(index, &o);
        double reached = check(o.k), slack = ks[i] == 1 ? .08 : .03; /* two errors of 60 queries */
        if (reached < .9 - slack) fail_msg("%s, k = %zu: %.3f of .9", what, o.k, reached);
    }
}

static void what_is_asked_comes_back(void **state)
{
    (void)state;
    const struct nlsh_index *indexes[] = {of_codes, of_leaves, of_vectors};
    for (size_t i = 0; i < 3; i++) {
        allow_by_chance(5, .5);
        expect_recall(indexes[i], "half by chance");
        allow_by_chance(6, .1);
        expect_recall(indexes[i], "a tenth by chance");
        for (size_t row = 3; row < N; row += 1500) {
            allow_near(row, N / 2, 0);
            expect_recall(indexes[i], "the near half");
            allow_near(row, N / 2, 1);
            expect_recall(indexes[i], "the far half");
            allow_near(row, N / 10, 0);
            expect_recall(indexes[i], "the near tenth");
            allow_near(row, N - N / 10, 1);
            expect_recall(indexes[i], "the far tenth");
        }
    }
}

/* A bucket without an allowed row is not scanned, nor a group of 16 without one. */
/* Where a recall needs all buckets without a filter, the router is not asked, and its last answer means nothing. */
static void what_needs_all_buckets_gets_those_with_something_allowed(void **state)
{
    (void)state;
    static const struct nlsh__effort_point all = {
        .recall = .995f, .margin = 1e6f, .leaf_margin = NLSH__NO_MARGIN};
    const struct nlsh__effort_table table = {1, 1, &all};
    struct nlsh__efforts measured = of_codes->efforts;
    allow_near(7, N / 2, 0);
    const struct nlsh_filter filter = filter_of();
    struct nlsh_search_options o = options(1, .99, &filter);
    of_codes->efforts = (struct nlsh__efforts){1, &table};
    search(of_codes, &o);
    assert_true(check(1) == 1);
    search_batches(of_codes, o);
    of_codes->efforts = measured;
}

static void what_has_nothing_allowed_is_not_scanned(void **state)
{
    (void)state;
    const struct nlsh__segment *s = &of_codes->segments[0];
    memset(allowed, 0, sizeof allowed);
    size_t n_groups = 0, n_buckets = 0, n = 0;
    for (size_t b = 0; b < M; b += 2) { /* one in 16 of every second bucket */
        size_t first = s->bucket_offsets[b], end = s->bucket_offsets[b + 1];
        n_buckets += end > first;
        for (size_t p = first; p < end; p += 32, n_groups++, n++) allowed[s->rows[p]] = 1;
    }
    const struct nlsh_filter filter = filter_of();
    struct nlsh_search_options o = options(10, .9, &filter);
    o.probes = M - 1;
    search(of_codes, &o);
    for (size_t q = 0; q < Q; q++) {
        assert_true(stats.probes[q] <= n_buckets);
        assert_true(stats.candidates[q] <= 16 * n_groups);
        assert_true(stats.ranked[q] <= n);
    }
}

static void what_is_no_filter(void **state)
{
    (void)state;
    struct nlsh_counted_filter *counted, *none;
    struct nlsh_error error;
    const struct nlsh_filter filter = filter_of(), empty = {.n_bits = 3};
    struct nlsh_search_options o = options(5, .9, &filter);
    assert_int_equal(nlsh_counted_filter_create(of_codes, &empty, &none, &error), NLSH_E_ARG);
    assert_null(none);
    assert_int_equal(nlsh_counted_filter_create(of_codes, NULL, &none, &error), NLSH_E_ARG);
    assert_int_equal(nlsh_counted_filter_create(NULL, &filter, &none, &error), NLSH_E_ARG);
    nlsh_counted_filter_free(NULL);
    assert_int_equal(nlsh_counted_filter_create(of_codes, &filter, &counted, &error), NLSH_OK);
    o.counted = counted;
    assert_int_equal(nlsh_search_batch(of_codes, &queries, &o, keys, distances, NULL, &error),
                     NLSH_E_ARG);
    assert_non_null(strstr(error.message, "a filter and one that was counted"));
    o.filter = NULL;
    assert_int_equal(nlsh_search_batch(of_leaves, &queries, &o, keys, distances, NULL, &error),
                     NLSH_E_ARG);
    assert_non_null(strstr(error.message, "another index"));
    nlsh_counted_filter_free(counted);
}

static struct nlsh_counted_filter *counted_of(void)
{
    struct nlsh_counted_filter *counted;
    const struct nlsh_filter filter = filter_of();
    assert_int_equal(nlsh_counted_filter_create(of_codes, &filter, &counted, NULL), NLSH_OK);
    return counted;
}

/* What is counted, and whether a filter by chance is told from one by content. */
static void chance_is_told_from_content(void **state)
{
    (void)state;
    static const double shares[] = {.9, .5, .1, .01, .002};
    const struct nlsh__segment *s = &of_codes->segments[0];
    for (size_t i = 0; i < 5; i++)
        for (uint64_t stream = 0; stream < 10; stream++) {
            allow_by_chance(stream, shares[i]);
            struct nlsh_counted_filter *counted = counted_of();
            assert_int_equal(counted->allowed.by_content, counted->allowed.n < M);
            size_t sum = 0;
            for (size_t b = 0; b < M; b++) {
                size_t n = 0;
                for (size_t p = s->bucket_offsets[b]; p < s->bucket_offsets[b + 1]; p++) {
                    n += allowed[s->rows[p]];
                    assert_int_equal(counted->allowed.bits[p / 64] >> p % 64 & 1,
                                     allowed[s->rows[p]]);
                }
                assert_int_equal(counted->allowed.counts[b], n);
                sum += n;
            }
            assert_int_equal(counted->allowed.n, sum);
            assert_true(counted->allowed.n_scanned >= sum &&
                        counted->allowed.n_scanned <= 16 * sum);
            nlsh_counted_filter_free(counted);
        }
    for (size_t n = N / 50; n < N; n += N / 7) {
        allow_near(99, n, 0);
        struct nlsh_counted_filter *counted = counted_of();
        assert_int_equal(counted->allowed.by_content, 1);
        nlsh_counted_filter_free(counted);
    }
    for (size_t n = 0; n <= N; n += N) { /* nothing and everything are of no content */
        allow_near(99, n, 0);
        struct nlsh_counted_filter *counted = counted_of();
        assert_int_equal(counted->allowed.n, n);
        assert_int_equal(counted->allowed.by_content, 0);
        nlsh_counted_filter_free(counted);
    }
}

/* By chance, the nearest allowed row is farther than the x / s nearest of all in exp(-x) of all cases. Twice what may be
 * missed is taken for that. */
static void one_neighbour_by_chance_is_so_many_of_all(void **state)
{
    (void)state;
    size_t n_told = 0;
    for (double wanted = .05; wanted < 1; wanted *= 1.1) {
        struct nlsh__plan so_many = {.k = 1}, fewer = {.k = 1};
        allow_by_chance(3, wanted);
        struct nlsh_counted_filter *counted = counted_of();
        double share = (double)counted->allowed.n / N;
        nlsh__plan_recall(of_codes, (size_t)ceil(-log(.1) / share), .95, &so_many);
        nlsh__plan_recall(of_codes, (size_t)ceil(2 / share), .95, &fewer);
        n_told += so_many.rule.threshold != fewer.rule.threshold;
        struct nlsh__plan plan = {.k = 1, .recall = .95, .allowed = &counted->allowed};
        nlsh__plan_by_chance(of_codes, &plan);
        assert_true(plan.rule.threshold == so_many.rule.threshold);
        nlsh_counted_filter_free(counted);
    }
    assert_true(n_told > 0); /* or nothing was to be seen */
}

/* By chance, beyond what was measured: codes do where they are cheaper by far, and the recall can still be reached. */
static void beyond_what_was_measured_codes_choose(void **state)
{
    (void)state;
    const struct nlsh__efforts *efforts = &of_codes->efforts;
    const size_t most = efforts->tables[efforts->n - 1].k;
    struct nlsh__plan measured = {.k = most};
    nlsh__plan_recall(of_codes, most, .9, &measured);
    assert_int_equal(measured.exactly, 0);
    allow_by_chance(3, .95);
    struct nlsh_counted_filter *counted = counted_of();
    assert_int_equal(counted->allowed.by_content, 0);
    struct nlsh__plan plan = {.k = most, .recall = .9, .allowed = &counted->allowed};
    nlsh__plan_by_chance(of_codes, &plan);
    assert_int_equal(plan.rule.top, M);
    assert_int_equal(plan.exactly, 0);
    assert_true(plan.margin == measured.margin);
    nlsh_counted_filter_free(counted);
}

/* ---- a radius -------------------------------------------------------------------------------- */

static void a_radius_has_all_that_are_allowed(void **state)
{
    (void)state;
    struct nlsh_searcher *s;
    static uint64_t found[N];
    assert_int_equal(nlsh_searcher_create(of_codes, &s, NULL), NLSH_OK);
    for (size_t way = 0; way < 3; way++) {
        allow_by_chance(way, way == 0 ? .5 : .003); /* some, and so few that all are looked at */
        if (way == 2) memset(allowed, 0, sizeof allowed);
        const struct nlsh_filter filter = filter_of();
        struct nlsh_search_options o = options(10, .9, &filter);
        if (way == 0) o.probes = M;
        for (size_t q = 0; q < Q; q++) {
            const struct nlsh_matrix one = {(const float *)queries.data + q * DIM, 1, DIM, NLSH_F32,
                                            0};
            size_t n_found, n = naive_search(&base, allowed, &queries, q, want), inside = 0;
            double radius = sqrt(want[n / 3].l2sq) * 1.0001;
            if (n == 0) radius = 1e9;
            while (inside < n && want[inside].l2sq <= radius * radius) inside++;
            assert_int_equal(nlsh_search_range(s, &one, &o, radius, found, NULL, N, &n_found, NULL),
                             NLSH_OK);
            assert_int_equal(n_found, inside);
            for (size_t i = 0; i < n_found; i++) assert_true(allowed[found[i]]);
        }
    }
    nlsh_searcher_free(s);
}

static int begin(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    base = matrix_new(KIND_F32, N, DIM, CLUSTERS, 20, 1);
    queries = matrix_new(KIND_F32, Q, DIM, CLUSTERS, 20, 2);
    small_options(&o, M);
    o.epochs = 6;
    o.leaves = 0;
    of_codes = built_index(&base, &o, "codes");
    o.leaves = 1;
    of_leaves = built_index(&base, &o, "leaves");
    o.leaves = 0;
    o.code_bytes = 0;
    of_vectors = built_index(&base, &o, "vectors");
    assert_non_null(of_codes->segments[0].codes);
    assert_non_null(of_leaves->segments[0].leaves);
    assert_null(of_vectors->segments[0].codes);
    return 0;
}

static int end(void **state)
{
    (void)state;
    nlsh_index_close(of_codes);
    nlsh_index_close(of_leaves);
    nlsh_index_close(of_vectors);
    matrix_free(&base);
    matrix_free(&queries);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_allowed_and_as_many_as_can_be),
        cmocka_unit_test(a_filter_of_all_costs_little),
        cmocka_unit_test(what_is_asked_comes_back),
        cmocka_unit_test(what_needs_all_buckets_gets_those_with_something_allowed),
        cmocka_unit_test(what_has_nothing_allowed_is_not_scanned),
        cmocka_unit_test(chance_is_told_from_content),
        cmocka_unit_test(what_is_no_filter),
        cmocka_unit_test(one_neighbour_by_chance_is_so_many_of_all),
        cmocka_unit_test(beyond_what_was_measured_codes_choose),
        cmocka_unit_test(a_radius_has_all_that_are_allowed),
    };
    return cmocka_run_group_tests_name("search/filtered", tests, begin, end);
}
