/* test_round.c - a finished round's k best are those of brute force where scores are off by no more than their
 * errors say; and it does not rank what cannot matter. */
#include "search/round.h"

#include <math.h>

#include "kernels/topk.h"
#include "promise/budget.h"
#include "testing.h"

enum { N = 4096, DIM = 3, MOST_K = 100 };

static float vectors[N * DIM], query_floats[DIM];
static uint32_t rows[N];
static float scores[N] __attribute__((aligned(64)));
static uint8_t errors[N];
static uint64_t best[MOST_K];
static struct nlsh__piece pieces[N / 16];
static uint32_t places[N / 16];
static const struct nlsh__units plain = {1, 0, 0};

static struct nlsh__segment segment = {
    .n_rows = N, .first_row = 1000, .rows = rows, .vectors = vectors};
static struct nlsh_index index_of = {.meta = {.n_rows = N, .dim = DIM, .storage_type = NLSH_F32},
                                     .segments = &segment,
                                     .n_segments = 1};
static const struct nlsh__query query = {.floats = query_floats};

static double exact(size_t place)
{
    double sum = 0;
    for (size_t d = 0; d < DIM; d++) {
        double x = (double)(vectors[place * DIM + d] - query_floats[d]);
        sum += x * x;
    }
    return sum;
}

/* Scores that are off by at most margin x unit x errors; at both ends as often as between. */
static void fill(struct nlsh__rng *rng, float margin, float unit)
{
    for (size_t i = 0; i < DIM; i++) query_floats[i] = (float)nlsh__rng_normal(rng);
    for (size_t i = 0; i < N * DIM; i++) vectors[i] = (float)nlsh__rng_normal(rng);
    for (size_t i = 0; i < N; i++) {
        rows[i] = (uint32_t)(i * 1001 % N);
        errors[i] = (uint8_t)nlsh__rng_below(rng, 256);
        static const double ends[] = {-.9999, .9999};
        double share = nlsh__rng_below(rng, 2) ? ends[nlsh__rng_below(rng, 2)]
                                               : 2 * nlsh__rng_uniform(rng) - 1;
        scores[i] = (float)(exact(i) + share * (double)(margin * unit * (float)errors[i]));
    }
}

/* Places first .. end - 1 as pieces of one bucket each, in runs or in sixteens that stand anywhere. */
static struct nlsh__round round_of(size_t first, size_t end, int scattered, float unit)
{
    struct nlsh__round round = {scores + first, end - first, pieces, 0};
    for (size_t at = first; at < end;) {
        size_t n = scattered ? 160 : 16 * (1 + at / 16 % 20);
        if (n > end - at) n = end - at;
        struct nlsh__piece *p = &pieces[round.n_pieces++];
        *p = (struct nlsh__piece){.first_score = (uint32_t)(at - first),
                                  .n_rows = (uint32_t)n,
                                  .first_place = scattered ? 0 : (uint32_t)at,
                                  .errors = errors + at,
                                  .unit = unit};
        for (size_t i = 0; i < n / 16; i++) places[at / 16 + i] = (uint32_t)(at + 16 * i);
        if (scattered) p->places = places + at / 16;
        at += n;
    }
    return round;
}

static int by_distance(const void *a, const void *b)
{
    double x = exact(*(const uint32_t *)a), y = exact(*(const uint32_t *)b);
    return (x > y) - (x < y);
}

/* best against the k nearest of the n places in of, which it sorts. */
static void check_best(uint32_t *of, size_t n, size_t k)
{
    qsort(of, n, sizeof *of, by_distance);
    nlsh__topk_sort(best, k);
    for (size_t i = 0; i < k; i++) {
        if (i >= n) {
            assert_true(best[i] == UINT64_MAX);
        } else if ((uint32_t)best[i] != 1000 + rows[of[i]]) {
            fail_msg("rank %zu: row %u, not %u", i, (uint32_t)best[i], 1000 + rows[of[i]]);
        }
    }
}

static struct nlsh__ranking ranking_of(size_t k, const uint64_t *allowed)
{
    for (size_t i = 0; i < k; i++) best[i] = UINT64_MAX;
    return (struct nlsh__ranking){&index_of, &segment, &query, allowed, best, k};
}

static void rounds_find_the_nearest(void **state)
{
    (void)state;
    static const size_t ks[] = {1, 2, 10, 11, 57, MOST_K};
    struct nlsh__rng rng;
    struct nlsh__chooser c;
    static uint32_t all[N];
    test_rng(&rng, 1);
    assert_int_equal(nlsh__chooser_create(&c, NULL), NLSH_OK);
    for (size_t turn = 0; turn < 60; turn++) {
        size_t k = ks[turn % 6], n_rounds = 1 + turn % 3, ranked = 0;
        float margin = turn % 4 == 0 ? 1 : 2.5f, unit = turn % 2 ? .0005f : .004f;
        fill(&rng, margin, unit);
        struct nlsh__ranking r = ranking_of(k, NULL);
        for (size_t i = 0; i < n_rounds; i++) { /* the second goes on from the best of the first */
            struct nlsh__round round = round_of(
                i * N / n_rounds / 16 * 16,
                i + 1 == n_rounds ? N : (i + 1) * N / n_rounds / 16 * 16, turn % 5 == 0, unit);
            ranked += nlsh__finish_round(&c, &round, &r, &plain, margin);
        }
        for (uint32_t i = 0; i < N; i++) all[i] = i;
        check_best(all, N, k);
        assert_true(ranked >= k && ranked <= N);
    }
    nlsh__chooser_free(&c);
}

/* With scores that are exact, only the first rows are ranked, and few besides. */
static void exact_scores_spare_ranking(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    struct nlsh__chooser c;
    static uint32_t all[N];
    test_rng(&rng, 2);
    assert_int_equal(nlsh__chooser_create(&c, NULL), NLSH_OK);
    for (size_t turn = 0; turn < 120; turn++) { /* which row is the last of them, differs */
        size_t k = 1 + turn * 9 % MOST_K;
        fill(&rng, 0, 0);
        struct nlsh__ranking r = ranking_of(k, NULL);
        struct nlsh__round round = round_of(0, N, 0, 0);
        size_t ranked = nlsh__finish_round(&c, &round, &r, &plain, 0);
        for (uint32_t i = 0; i < N; i++) all[i] = i;
        check_best(all, N, k);
        if (ranked < nlsh__first_rows(k) || ranked > 2 * nlsh__first_rows(k) + 8)
            fail_msg("k = %zu: %zu rows ranked", k, ranked);
        /* the same rows again have nothing to add: their limit is known */
        struct nlsh__round empty = round_of(0, 16, 0, 0);
        for (size_t i = 0; i < 16; i++) scores[i] = INFINITY;
        assert_int_equal(nlsh__finish_round(&c, &empty, &r, &plain, 0), 0);
    }
    nlsh__chooser_free(&c);
}

/* Of 64 scores that are exact each is a column of its own: just the first rows are ranked. */
static void of_few_scores_the_first_rows_are_ranked(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    struct nlsh__chooser c;
    test_rng(&rng, 6);
    assert_int_equal(nlsh__chooser_create(&c, NULL), NLSH_OK);
    for (size_t turn = 0; turn < 300; turn++) {
        size_t k = 12 + turn % 30;
        if (turn % 60 == 0) fill(&rng, 0, 0);
        size_t first = turn % 60 * 64;
        struct nlsh__ranking r = ranking_of(k, NULL);
        struct nlsh__round round = round_of(first, first + 64, 0, 0);
        assert_int_equal(nlsh__finish_round(&c, &round, &r, &plain, 0), nlsh__first_rows(k));
    }
    nlsh__chooser_free(&c);
}

/* As many columns as there is room for are fewer than four a row, and yet bound what is ranked. */
static void many_neighbours_have_a_bound(void **state)
{
    enum { MOST = NLSH__ROUND };
    static float many[MOST] __attribute__((aligned(64)));
    struct nlsh__rng rng;
    struct nlsh__chooser c;
    (void)state;
    test_rng(&rng, 7);
    assert_int_equal(nlsh__chooser_create(&c, NULL), NLSH_OK);
    for (size_t i = 0; i < MOST; i++) many[i] = (float)nlsh__rng_normal(&rng);
    for (size_t n = 17; n <= nlsh__first_rows(1000); n += 53) {
        float bound = nlsh__bound(&c, many, MOST, n);
        size_t within = 0;
        for (size_t i = 0; i < MOST; i++) within += many[i] <= bound;
        if (within < n || within > n + n / 2 + 20) fail_msg("%zu rows for %zu", within, n);
    }
    assert_true(isinf(nlsh__bound(&c, many, MOST, MOST)));
    nlsh__chooser_free(&c);
}

/* An error that is larger than a code says is beyond the promise; a smaller margin ranks less. */
static void the_margin_is_what_is_allowed(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    struct nlsh__chooser c;
    size_t last = 0;
    assert_int_equal(nlsh__chooser_create(&c, NULL), NLSH_OK);
    for (int margin = 0; margin <= 6; margin += 2) {
        test_rng(&rng, 3);
        fill(&rng, 4, .002f);
        struct nlsh__ranking r = ranking_of(10, NULL);
        struct nlsh__round round = round_of(0, N, 0, .002f);
        size_t ranked = nlsh__finish_round(&c, &round, &r, &plain, (float)margin);
        assert_true(ranked > last);
        last = ranked;
    }
    nlsh__chooser_free(&c);
}

static void hidden_rows_are_not_ranked(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    struct nlsh__chooser c;
    static uint32_t seen[N];
    static uint64_t dead[N / 64], bits[N / 64];
    test_rng(&rng, 4);
    for (size_t i = 0; i < N / 64; i++) dead[i] = nlsh__rng_u64(&rng) & nlsh__rng_u64(&rng);
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) bits[i] = nlsh__rng_u64(&rng);
    assert_int_equal(nlsh__chooser_create(&c, NULL), NLSH_OK);
    for (int way = 0; way < 4;
         way++) { /* by tombstones of rows, or by the places that a filter leaves */
        int scattered = way & 1, filtered = way & 2;
        fill(&rng, 2, .002f);
        segment.tombstones = filtered ? NULL : dead;
        struct nlsh__ranking r = ranking_of(10, filtered ? bits : NULL);
        struct nlsh__round round = round_of(0, N, scattered, .002f);
        assert_true(nlsh__may_hide(&r));
        for (size_t p = 0; p < round.n_pieces; p++)
            nlsh__hide_rows(&r, &pieces[p], scores + pieces[p].first_score);
        nlsh__finish_round(&c, &round, &r, &plain, 2);
        size_t n = 0;
        for (uint32_t i = 0; i < N; i++) {
            uint32_t row = rows[i];
            int hidden = filtered ? (bits[i / 64] >> i % 64 & 1) == 0
                                  : (dead[row / 64] >> row % 64 & 1) != 0;
            assert_int_equal(nlsh__is_hidden(&r, i), hidden);
            if (!hidden) seen[n++] = i;
        }
        check_best(seen, n, 10);
    }
    segment.tombstones = NULL;
    nlsh__chooser_free(&c);
}

/* Where the caller says how many to rank: the best by score, of all rounds, and no others. */
static void kept_rows_are_the_best_by_score(void **state)
{
    (void)state;
    static const size_t reranks[] = {1, 10, 200, N};
    struct nlsh__rng rng;
    struct nlsh__chooser c;
    static uint32_t all[N];
    test_rng(&rng, 5);
    assert_int_equal(nlsh__chooser_create(&c, NULL), NLSH_OK);
    for (size_t i = 0; i < 4; i++) {
        size_t rerank = reranks[i], k = rerank < 10 ? rerank : 10;
        fill(&rng, 3, .002f);
        assert_int_equal(nlsh__chooser_reserve(&c, rerank, NULL), NLSH_OK);
        struct nlsh__ranking r = ranking_of(k, NULL);
        for (size_t first = 0; first < N; first += N / 4) {
            struct nlsh__round round = round_of(first, first + N / 4, 0, .002f);
            nlsh__keep_round(&c, &round, rerank);
        }
        assert_int_equal(nlsh__rank_kept(&c, &r, &plain), rerank);
        for (uint32_t a = 0; a < N; a++) all[a] = a;
        for (size_t a = 0; a < rerank; a++) /* the least scores to the front */
            for (size_t b = a + 1; b < N; b++)
                if (scores[all[b]] < scores[all[a]]) {
                    uint32_t swap = all[a];
                    all[a] = all[b];
                    all[b] = swap;
                }
        check_best(all, rerank, k);
    }
    nlsh__chooser_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_find_the_nearest),
        cmocka_unit_test(exact_scores_spare_ranking),
        cmocka_unit_test(of_few_scores_the_first_rows_are_ranked),
        cmocka_unit_test(many_neighbours_have_a_bound),
        cmocka_unit_test(the_margin_is_what_is_allowed),
        cmocka_unit_test(hidden_rows_are_not_ranked),
        cmocka_unit_test(kept_rows_are_the_best_by_score),
    };
    return cmocka_run_group_tests_name("search/round", tests, NULL, NULL);
}
