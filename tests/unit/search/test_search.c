/*
 * test_search.c - the answers of a search against the plainest search there is, over the buckets
 * that the router names; options outside their meaning; queries that do not fit.
 */
#include "support/built.h"

#include "kernels/metric.h"
#include "search/search.h"
#include "support/counting.h"
#include "support/counts.h"

#define MOST 2000

static struct near want[MOST];
static uint8_t allowed[MOST];
static uint64_t keys[50 * MOST];
static float distances[50 * MOST];
static struct counts stats;

static struct nlsh_search_options options(size_t k, double probes)
{
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    o.k = k;
    o.probes = probes;
    return o;
}

static struct nlsh_searcher *searcher_new(const struct nlsh_index *index)
{
    struct nlsh_searcher *s;
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    return s;
}

static void search(struct nlsh_searcher *s, const struct nlsh_matrix *queries,
                   const struct nlsh_search_options *o)
{
    struct nlsh_error error;
    if (nlsh_search(s, queries, o, keys, distances, COUNT_INTO(&stats), &error) != NLSH_OK)
        fail_msg("%s", error.message);
}

/* ---- all buckets ----------------------------------------------------------------------------- */

static void compare_all_buckets(enum kind base_kind, size_t n, size_t dim, size_t m)
{
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(base_kind, n, dim, 12, 12, dim);
    small_options(&o, m);
    struct nlsh_index *index = built_index(&base, &o, "all");
    struct nlsh_searcher *s = searcher_new(index);
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct nlsh_matrix queries = matrix_new(kind, 6, dim, 12, 12, 50 + dim);
        const size_t ks[] = {1, 10, n};
        for (size_t i = 0; i < 3; i++) {
            struct nlsh_search_options how = options(ks[i], (double)(i == 1 ? m + 5 : m));
            search(s, &queries, &how);
            for (size_t q = 0; q < queries.n_rows; q++) {
                naive_search(&base, NULL, &queries, q, want);
                check_answer(&base, &queries, q, want, n, ks[i], keys + q * ks[i],
                             distances + q * ks[i], exact_pair(base_kind, kind));
                assert_int_equal(stats.probes[q], m);
                assert_int_equal(stats.candidates[q], n);
                assert_int_equal(stats.ranked[q], n);
            }
        }
        matrix_free(&queries);
    }
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    matrix_free(&base);
}

static void all_buckets_are_brute_force(void **state)
{
    (void)state;
    const size_t dims[] = {1, 3, 16, 33, 100};
    for (enum kind kind = 0; kind < N_KINDS; kind++)
        for (size_t d = kind % TEST_STRIDE; d < 5; d += TEST_STRIDE)
            compare_all_buckets(kind, 150 + 17 * d, dims[d], 3 + d);
}

/* A vector of the base finds itself at 0, and copies of it by rising id. */
static void copies_come_by_id(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, 240, 8, 12, 10, 3);
    uint8_t *rows = (uint8_t *)(uintptr_t)base.data;
    for (size_t i = 60; i < 240; i++) memcpy(rows + 8 * i, rows + 8 * (i % 60), 8);
    small_options(&o, 5);
    struct nlsh_index *index = built_index(&base, &o, "copies");
    struct nlsh_searcher *s = searcher_new(index);
    for (double probes = 1; probes <= 5; probes++) { /* copies share a bucket with k-means */
        struct nlsh_search_options how = options(10, probes);
        struct nlsh_matrix queries = {base.data, 50, 8, NLSH_U8, 0};
        search(s, &queries, &how);
        for (size_t q = 0; q < 50; q++)
            for (size_t i = 0; i < 10; i++) {
                assert_true(i == 0 || keys[10 * q + i] == NLSH_NO_KEY ||
                            distances[10 * q + i] > distances[10 * q + i - 1] ||
                            keys[10 * q + i] > keys[10 * q + i - 1]);
                if (probes == 5 && i < 4) {
                    assert_int_equal(keys[10 * q + i], q + 60 * i);
                    assert_true(distances[10 * q + i] == 0);
                }
            }
    }
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    matrix_free(&base);
}

/* ---- some buckets ---------------------------------------------------------------------------- */

/* The buckets that should be scanned, by the rules of nlsh.h; marks their rows in allowed[]. */
static size_t mark_buckets(const struct nlsh_index *index, const float *p, double probes,
                           size_t *candidates)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    struct nlsh_segment segment = {.struct_size = sizeof segment};
    assert_int_equal(nlsh_index_segment(index, 0, &segment), 1);
    const uint32_t *offsets = segment.bucket_offsets;
    size_t n = 0, best = 0;
    *candidates = 0;
    memset(allowed, 0, sizeof allowed);
    for (size_t b = 1; b < info.n_buckets; b++)
        if (p[b] > p[best]) best = b;
    for (size_t b = 0; b < info.n_buckets; b++) {
        size_t before = 0; /* buckets that are asked first */
        for (size_t c = 0; c < info.n_buckets; c++)
            before += p[c] > p[b] || (p[c] == p[b] && c < b);
        if (probes >= 1 ? before >= (size_t)probes : !(p[b] > (float)probes) && b != best) continue;
        n++;
        for (size_t r = offsets[b]; r < offsets[b + 1]; r++) allowed[segment.rows[r]] = 1;
        *candidates += offsets[b + 1] - offsets[b];
    }
    return n;
}

/* Some T, every row of its buckets ranked exactly: the plain search over the same rows. */
static void compare_some_buckets(enum kind base_kind, enum kind kind, size_t code_bytes)
{
    static const double probes[] = {1, 2, 5, 1e-9, 0.02, 0.05, 0.3, 0.9999999};
    enum { N = 500, M = 14, DIM = 24, Q = 12, K = 12 };
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(base_kind, N, DIM, 20, 14, 5);
    struct nlsh_matrix queries = matrix_new(kind, Q, DIM, 20, 30, 55);
    float p[Q * M];
    small_options(&o, M);
    o.code_bytes = code_bytes;
    struct nlsh_index *index = built_index(&base, &o, "some");
    struct nlsh_searcher *s = searcher_new(index);
    assert_int_equal(nlsh_route(s, &queries, p, NULL), NLSH_OK);
    for (size_t q = 0; q < Q; q++) {
        double total = 0;
        for (size_t b = 0; b < M; b++) {
            assert_true(p[q * M + b] >= 0);
            total += (double)p[q * M + b];
        }
        assert_float_equal(total, 1, 1e-5);
    }
    for (size_t t = 0; t < sizeof probes / sizeof *probes; t++)
        for (size_t rerank = 0; rerank <= N; rerank += N) {
            struct nlsh_search_options how = options(K, probes[t]);
            how.rerank = rerank;
            search(s, &queries, &how);
            for (size_t q = 0; q < Q; q++) {
                size_t candidates, n = mark_buckets(index, p + q * M, probes[t], &candidates);
                assert_int_equal(stats.probes[q], n);
                assert_int_equal(stats.candidates[q], candidates);
                assert_true(stats.ranked[q] <= candidates);
                size_t found = naive_search(&base, allowed, &queries, q, want);
                assert_int_equal(found, candidates);
                if (rerank == N || code_bytes == 0) {
                    assert_int_equal(stats.ranked[q], candidates);
                    check_answer(&base, &queries, q, want, found, K, keys + q * K,
                                 distances + q * K, exact_pair(base_kind, kind));
                    continue;
                }
                /* Ranked by codes first: whatever comes is from those buckets, and as it says. */
                for (size_t i = 0; i < K; i++) {
                    uint64_t id = keys[q * K + i];
                    assert_int_equal(id == NLSH_NO_KEY, i >= found);
                    if (id == NLSH_NO_KEY) continue;
                    assert_true(id < N && allowed[id]);
                    allowed[id] = 0; /* never twice */
                    double l = true_l2sq(&queries, q, &base, id);
                    double found_l2sq = (double)distances[q * K + i] * (double)distances[q * K + i];
                    assert_true(fabs(found_l2sq - l) <= 1e-4 * (1 + l));
                    assert_true(i == 0 || distances[q * K + i] >= distances[q * K + i - 1]);
                }
            }
        }
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    matrix_free(&base);
    matrix_free(&queries);
}

static void some_buckets_are_searched_whole(void **state)
{
    (void)state;
    for (enum kind base = 0; base < N_KINDS; base++)
        for (enum kind kind = base % TEST_STRIDE; kind < N_KINDS; kind += TEST_STRIDE)
            compare_some_buckets(base, kind, (base + kind) % 2 ? 0 : NLSH_AUTO);
}

/* ---- k, options, queries that do not fit ----------------------------------------------------- */

struct fixture {
    struct nlsh_matrix base, queries;
    struct nlsh_index *index;
    struct nlsh_searcher *s;
};

enum { N = 300, DIM = 6, M = 7, Q = 8 };

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct nlsh_build_options o;
    if (f == NULL) return -1;
    f->base = matrix_new(KIND_F32, N, DIM, 9, 10, 7);
    f->queries = matrix_new(KIND_F32, Q, DIM, 9, 10, 77);
    small_options(&o, M);
    f->index = built_index(&f->base, &o, "fixture");
    f->s = searcher_new(f->index);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    nlsh_searcher_free(f->s);
    nlsh_index_close(f->index);
    matrix_free(&f->base);
    matrix_free(&f->queries);
    free(f);
    return 0;
}

static void refuses(struct fixture *f, const struct nlsh_search_options *o,
                    const struct nlsh_matrix *queries, enum nlsh_status status, const char *word)
{
    struct nlsh_error error;
    for (int batch = 0; batch < 2; batch++) {
        memset(&error, 0x55, sizeof error);
        assert_int_equal(
            batch ? nlsh_search_batch(f->index, queries, o, keys, distances, COUNT_INTO(&stats),
                                      &error)
                  : nlsh_search(f->s, queries, o, keys, distances, COUNT_INTO(&stats), &error),
            status);
        assert_int_equal(error.status, status);
        if (strstr(error.message, word) == NULL) fail_msg("no '%s' in '%s'", word, error.message);
        assert_int_equal(batch ? nlsh_search_batch(f->index, queries, o, keys, NULL, NULL, NULL)
                               : nlsh_search(f->s, queries, o, keys, NULL, NULL, NULL),
                         status);
    }
}

static void options_outside_their_meaning(void **state)
{
    struct fixture *f = *state;
    const size_t ks[] = {0, N + 1, SIZE_MAX};
    const double probes[] = {-1, -1e-9, 1.5, 7.25, NAN, INFINITY, -INFINITY, 1e300};
    const double recalls[] = {0, 1, -0.5, 1.5, NAN, INFINITY};
    struct nlsh_search_options o;
    struct nlsh_matrix none = {NULL, 0, DIM, NLSH_F32, 0};
    const struct nlsh_matrix *sets[] = {&f->queries, &none}; /* no queries is no excuse */
    for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < 3; i++) {
            o = options(ks[i], 2);
            refuses(f, &o, sets[s], NLSH_E_ARG, "k is ");
        }
        for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
            o = options(3, probes[i]);
            refuses(f, &o, sets[s], NLSH_E_ARG, "T is ");
        }
        for (size_t i = 0; i < sizeof recalls / sizeof *recalls; i++) {
            o = options(3, 0);
            o.recall = recalls[i];
            refuses(f, &o, sets[s], NLSH_E_ARG, "recall is ");
        }
    }
    struct nlsh_error error;
    o = options(3, 2);
    o.n_threads = 0;
    assert_int_equal(
        nlsh_search_batch(f->index, &f->queries, &o, keys, distances, COUNT_INTO(&stats), &error),
        NLSH_E_ARG);
    assert_non_null(strstr(error.message, "threads is 0"));
    struct nlsh_searcher *none_made = f->s;
    assert_int_equal(nlsh_searcher_create(NULL, &none_made, &error), NLSH_E_ARG);
    assert_null(none_made);
    o.n_threads = 1;
    assert_int_equal(
        nlsh_search_batch(NULL, &f->queries, &o, keys, distances, COUNT_INTO(&stats), &error),
        NLSH_E_ARG);
    nlsh_searcher_free(NULL);
}

static void queries_that_do_not_fit(void **state)
{
    struct fixture *f = *state;
    struct nlsh_search_options o = options(3, 2);
    struct nlsh_matrix bad = f->queries;
    for (bad.dim = 0; bad.dim < 20; bad.dim++)
        if (bad.dim != DIM) {
            bad.n_rows = Q * DIM / 20;
            refuses(f, &o, &bad, NLSH_E_MISMATCH, "dimension");
        }
    bad = f->queries;
    bad.n_rows = 0;
    bad.dim = DIM + 1;
    refuses(f, &o, &bad, NLSH_E_MISMATCH, "dimension 7");
    bad = f->queries;
    bad.type = NLSH_I32;
    refuses(f, &o, &bad, NLSH_E_MISMATCH, "type");
    bad.type = (enum nlsh_type)99;
    refuses(f, &o, &bad, NLSH_E_ARG, "99 is no type");
    bad = f->queries;
    bad.data = NULL;
    refuses(f, &o, &bad, NLSH_E_ARG, "no data");
    refuses(f, &o, NULL, NLSH_E_ARG, "no data");
}

/* The number in the message is the caller's, in a batch too. */
static void the_query_that_is_not_finite_is_named(void **state)
{
    struct fixture *f = *state;
    static const size_t places[] = {0, 1, 31, 32, 33, 64, 99};
    static const float values[] = {NAN, INFINITY, -INFINITY};
    struct nlsh_matrix queries = matrix_new(KIND_F32, 100, DIM, 9, 10, 78);
    float *data = (float *)(uintptr_t)queries.data;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (size_t v = 0; v < 3; v++) {
            char word[64];
            struct nlsh_error error;
            struct nlsh_search_options o = options(2, 2);
            o.n_threads = 1 + i % 3;
            size_t at = places[i] * DIM + (i + v) % DIM;
            float kept = data[at], later = data[99 * DIM + 1];
            data[at] = values[v];
            if (i == 2) data[99 * DIM + 1] = NAN; /* the first one is named */
            snprintf(word, sizeof word, "query %zu: value %zu ", places[i], (i + v) % DIM);
            refuses(f, &o, &queries, NLSH_E_ARG, word);
            static float p[100 * M];
            assert_int_equal(nlsh_route(f->s, &queries, p, &error), NLSH_E_ARG);
            assert_non_null(strstr(error.message, word));
            data[at] = kept;
            data[99 * DIM + 1] = later;
        }
    matrix_free(&queries);
}

static void huge_queries_do_no_harm(void **state)
{
    struct fixture *f = *state;
    float row[DIM];
    struct nlsh_matrix query = {row, 1, DIM, NLSH_F32, 0};
    for (double size = 1e3; size < 4e38; size *= 33)
        for (int sign = -1; sign <= 1; sign += 2) {
            for (size_t d = 0; d < DIM; d++) row[d] = (float)((d % 2 ? -sign : sign) * size);
            for (double probes = 0; probes <= M; probes += 3.5) {
                struct nlsh_search_options o = options(20, probes == 3.5 ? 0.05 : probes);
                struct nlsh_error error;
                if (size > (double)NLSH__MOST_VALUE) { /* its squares do not fit */
                    assert_int_equal(nlsh_search(f->s, &query, &o, keys, NULL, NULL, &error),
                                     NLSH_E_ARG);
                    assert_non_null(strstr(error.message, "query 0: value 0 is too large"));
                    continue;
                }
                search(f->s, &query, &o);
                for (size_t i = 0; i < 20 && keys[i] != NLSH_NO_KEY; i++) {
                    assert_true(keys[i] < N && isfinite(distances[i]));
                    assert_true(i == 0 || distances[i] >= distances[i - 1]);
                }
                assert_true(stats.probes[0] >= 1);
            }
        }
}

/* One searcher, k up and down, every output left out in turn: the answers do not change. */
static void a_searcher_is_used_again(void **state)
{
    struct fixture *f = *state;
    static uint64_t again[Q * N];
    const size_t ks[] = {1, 40, 3, N, 7, 1};
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        struct nlsh_search_options o = options(ks[i], 3);
        struct nlsh_searcher *fresh = searcher_new(f->index);
        search(f->s, &f->queries, &o);
        assert_int_equal(nlsh_search(fresh, &f->queries, &o, again, NULL, NULL, NULL), NLSH_OK);
        assert_memory_equal(keys, again, Q * ks[i] * sizeof *keys);
        nlsh_searcher_free(fresh);
    }
}

/* The share of what was asked for rises with what is asked, and takes more buckets. Of these a little less may be scanned: the
 * first leaves of more buckets hold nearer rows, and leaves beyond them are spared. */
static void the_recall_option_orders(void **state)
{
    struct fixture *f = *state;
    double last = 0, first = INFINITY;
    size_t last_probes = 0;
    for (double recall = 0.05; recall < 0.9999; recall += 0.05) {
        double candidates = 0;
        size_t probes = 0;
        struct nlsh_search_options o = options(5, 0);
        o.recall = recall;
        search(f->s, &f->queries, &o);
        for (size_t q = 0; q < Q; q++) {
            candidates += stats.candidates[q];
            probes += stats.probes[q];
        }
        assert_true(probes >= last_probes);
        assert_true(candidates >= 0.9 * last);
        last_probes = probes;
        first = fmin(first, candidates);
        last = candidates;
    }
    assert_true(first > 0 && last > 2 * first);
}

/* ---- a radius -------------------------------------------------------------------------------- */

static void compare_range(enum kind base_kind, enum kind kind)
{
    enum { RN = 500, RDIM = 16, RM = 6, RQ = 5 };
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(base_kind, RN, RDIM, 10, 12, 8);
    struct nlsh_matrix queries = matrix_new(kind, RQ, RDIM, 10, 12, 88);
    float p[RQ * RM];
    small_options(&o, RM);
    struct nlsh_index *index = built_index(&base, &o, "range");
    struct nlsh_searcher *s = searcher_new(index);
    assert_int_equal(nlsh_route(s, &queries, p, NULL), NLSH_OK);
    int exact = exact_pair(base_kind, kind);
    for (size_t q = 0; q < RQ; q++)
        for (double probes = 0.2; probes <= RM; probes = probes < 1 ? 1 : probes + 1) {
            size_t candidates, n_found;
            mark_buckets(index, p + q * RM, probes, &candidates);
            size_t n = naive_search(&base, allowed, &queries, q, want);
            struct nlsh_matrix one = queries;
            one.n_rows = 1;
            one.data = (const uint8_t *)queries.data +
                       q * RDIM * (kind == KIND_F32 || kind == KIND_WHOLE ? 4 : 1);
            for (size_t rank = 0; rank < n; rank += 1 + n / 9) {
                /* A radius that just holds this row: of bytes its exact root, else between two. */
                double radius = exact || rank + 1 == n
                                    ? sqrt(want[rank].l2sq)
                                    : sqrt((want[rank].l2sq + want[rank + 1].l2sq) / 2);
                if (exact)
                    radius = nextafter(radius, 1e9); /* the root squared may fall short */
                else
                    radius *= rank + 1 == n ? 1.001 : 1;
                size_t inside = rank + 1;
                while (inside < n && want[inside].l2sq <= radius * radius) inside++;
                if (!exact && rank + 1 < n && want[rank + 1].l2sq - want[rank].l2sq < 1e-3)
                    continue;
                struct nlsh_search_options how = options(1, probes);
                for (size_t capacity = 0; capacity <= inside + 2; capacity += 1 + inside / 2) {
                    memset(keys, 0x77, (inside + 3) * sizeof *keys);
                    assert_int_equal(nlsh_search_range(s, &one, &how, radius, keys,
                                                       capacity % 3 ? distances : NULL, capacity,
                                                       &n_found, NULL),
                                     NLSH_OK);
                    assert_int_equal(n_found, inside);
                    size_t written = capacity < inside ? capacity : inside;
                    check_answer(&base, &queries, q, want, n, written, keys,
                                 capacity % 3 ? distances : NULL, exact);
                    assert_true(keys[written] == UINT64_C(0x7777777777777777)); /* not one more */
                }
            }
        }
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    matrix_free(&base);
    matrix_free(&queries);
}

static void range_is_the_plain_search(void **state)
{
    (void)state;
    for (enum kind kind = 0; kind < N_KINDS; kind++) compare_range(kind, kind);
    compare_range(KIND_U8, KIND_F32);
    compare_range(KIND_WHOLE, KIND_U8);
}

static void range_at_its_limits(void **state)
{
    struct fixture *f = *state;
    struct nlsh_search_options o = options(0, M); /* k is not used */
    struct nlsh_error error;
    size_t n_found = 9;
    struct nlsh_matrix own = {f->base.data, 1, DIM, NLSH_F32, 0};
    assert_int_equal(nlsh_search_range(f->s, &own, &o, 0, keys, distances, 10, &n_found, NULL),
                     NLSH_OK);
    assert_int_equal(n_found, 1); /* itself */
    assert_int_equal(keys[0], 0);
    assert_int_equal(
        nlsh_search_range(f->s, &own, &o, INFINITY, keys, distances, N, &n_found, NULL), NLSH_OK);
    assert_int_equal(n_found, N);
    assert_int_equal(nlsh_search_range(f->s, &own, &o, 1e300, NULL, NULL, 0, &n_found, NULL),
                     NLSH_OK);
    assert_int_equal(n_found, N);
    const double bad[] = {-1e-9, -INFINITY, NAN};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            nlsh_search_range(f->s, &own, &o, bad[i], keys, distances, 10, &n_found, &error),
            NLSH_E_ARG);
        assert_int_equal(n_found, 0);
        assert_non_null(strstr(error.message, "radius"));
    }
    assert_int_equal(
        nlsh_search_range(f->s, &f->queries, &o, 1, keys, distances, 10, &n_found, &error),
        NLSH_E_ARG);
    own.n_rows = 0;
    assert_int_equal(nlsh_search_range(f->s, &own, &o, 1, keys, distances, 10, &n_found, &error),
                     NLSH_E_ARG);
    own.n_rows = 1;
    own.dim = DIM - 1;
    assert_int_equal(nlsh_search_range(f->s, &own, &o, 1, keys, distances, 10, &n_found, &error),
                     NLSH_E_MISMATCH);
    own.dim = DIM;
    o.probes = 1.5;
    assert_int_equal(nlsh_search_range(f->s, &own, &o, 1, keys, distances, 10, &n_found, &error),
                     NLSH_E_ARG);
}

/* Distances of bytes beyond 2^24 are still compared exactly with the radius. */
static void far_bytes_are_compared_exactly(void **state)
{
    (void)state;
    enum { FAR_DIM = 300, FAR_N = 60 };
    struct nlsh_build_options o;
    struct nlsh_matrix base = matrix_new(KIND_U8, FAR_N, FAR_DIM, 3, 1, 9);
    uint8_t *rows = (uint8_t *)(uintptr_t)base.data, zero[FAR_DIM] = {0};
    struct nlsh_matrix query = {zero, 1, FAR_DIM, NLSH_U8, 0};
    memset(rows, 255,
           FAR_N * FAR_DIM); /* 300 x 255^2 = 19,507,500; one value less by 1: 509 less */
    for (size_t i = 0; i < FAR_N; i++) rows[i * FAR_DIM + i] = (uint8_t)(200 + i % 55);
    small_options(&o, 2);
    struct nlsh_index *index = built_index(&base, &o, "far");
    struct nlsh_searcher *s = searcher_new(index);
    struct nlsh_search_options how = options(FAR_N, 2);
    naive_search(&base, NULL, &query, 0, want);
    search(s, &query, &how);
    check_answer(&base, &query, 0, want, FAR_N, FAR_N, keys, distances, 1);
    assert_true(want[0].l2sq > 16777216);
    for (size_t i = 0; i < FAR_N; i++)
        for (int step = -1; step <= 1; step++) {
            size_t inside = 0, n_found;
            double radius = sqrt(want[i].l2sq + 0.5 * step);
            while (inside < FAR_N && want[inside].l2sq <= radius * radius) inside++;
            assert_int_equal(
                nlsh_search_range(s, &query, &how, radius, keys, NULL, 1, &n_found, NULL), NLSH_OK);
            assert_int_equal(n_found, inside);
        }
    nlsh_searcher_free(s);
    nlsh_index_close(index);
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_buckets_are_brute_force),
        cmocka_unit_test(copies_come_by_id),
        cmocka_unit_test(some_buckets_are_searched_whole),
        cmocka_unit_test_setup_teardown(options_outside_their_meaning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queries_that_do_not_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_query_that_is_not_finite_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(huge_queries_do_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_searcher_is_used_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_recall_option_orders, set_up, tear_down),
        cmocka_unit_test(range_is_the_plain_search),
        cmocka_unit_test_setup_teardown(range_at_its_limits, set_up, tear_down),
        cmocka_unit_test(far_bytes_are_compared_exactly),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests(tests, NULL, NULL));
}
