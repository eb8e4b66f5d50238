/*
 * test_fit.c - filters that are measured: what is asked comes back though a filter hides what is like the query, less is
 * scanned for it than all that is allowed, and whoever asks gets the same answers.
 */
#include "search/fit.h"

#include "kernels/topk.h"
#include "search/filtered.h"
#include "search/search.h"
#include "support/built.h"
#include "support/counts.h"
#include "support/refused.h"

enum { N = 4000, DIM = 24, M = 48, Q = 120, CLUSTERS = 130, MOST_K = 10 }; /* groups of 30 */

static struct nlsh_matrix base, queries;
static struct nlsh_index *of_codes, *of_vectors, *of_products;
static uint64_t keys[Q * MOST_K], again[Q * MOST_K], bits[N / 64 + 1];
static uint32_t candidates[Q];
static uint8_t allowed[N];
static struct near want[N];

static struct nlsh_filter filter_of(void)
{
    memset(bits, 0, sizeof bits);
    for (size_t i = 0; i < N; i++) bits[i / 64] |= (uint64_t)allowed[i] << i % 64;
    return (struct nlsh_filter){.bits = bits, .n_bits = N};
}

/* The n rows nearest to one, or all others. */
static void allow_near(size_t row, size_t n, int others)
{
    naive_search(&base, NULL, &base, row, want);
    for (size_t i = 0; i < N; i++) allowed[want[i].id] = (i < n) != others;
}

static struct nlsh_counted_filter *counted_of(const struct nlsh_index *index)
{
    struct nlsh_counted_filter *by_filter;
    const struct nlsh_filter filter = filter_of();
    assert_int_equal(nlsh_counted_filter_create(index, &filter, &by_filter, NULL), NLSH_OK);
    return by_filter;
}

static struct nlsh_counted_filter *fitted_of(const struct nlsh_index *index)
{
    struct nlsh_counted_filter *by_filter = counted_of(index);
    assert_int_equal(nlsh_counted_filter_fit(by_filter, NULL), NLSH_OK);
    return by_filter;
}

static struct nlsh_search_options options(const struct nlsh_counted_filter *by_filter, size_t k,
                                          double recall)
{
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    o.k = k;
    o.recall = recall;
    o.counted = by_filter;
    return o;
}

/* Vectors scanned a query. */
static double search(const struct nlsh_index *index, const struct nlsh_search_options *o)
{
    struct nlsh_searcher *s;
    struct nlsh_search_stats stats = {.struct_size = sizeof stats, .candidates = candidates};
    double sum = 0;
    assert_int_equal(nlsh_searcher_create(index, &s, NULL), NLSH_OK);
    assert_int_equal(nlsh_search(s, &queries, o, keys, NULL, &stats, NULL), NLSH_OK);
    nlsh_searcher_free(s);
    for (size_t q = 0; q < Q; q++) sum += candidates[q];
    return sum / Q;
}

static void expect_the_same_in_batches(const struct nlsh_index *index, struct nlsh_search_options o)
{
    for (o.n_threads = 1; o.n_threads <= 3; o.n_threads += 2) {
        assert_int_equal(nlsh_search_batch(index, &queries, &o, again, NULL, NULL, NULL), NLSH_OK);
        assert_memory_equal(again, keys, Q * o.k * sizeof *keys);
    }
}

/* The share that was found of the k nearest that are allowed; and k that are allowed come back. */
static double recall_of(size_t k)
{
    size_t found = 0;
    for (size_t q = 0; q < Q; q++) {
        naive_search(&base, allowed, &queries, q, want);
        for (size_t i = 0; i < k; i++) {
            uint64_t key = keys[q * k + i];
            assert_true(key < N && allowed[key]);
            found += true_l2sq(&queries, q, &base, key) <= want[k - 1].l2sq * (1 + 1e-5);
        }
    }
    return (double)found / (double)(Q * k);
}

/* Two standard errors of Q queries that find all or nothing. */
static double slack_of(double recall)
{
    return 2 * sqrt(recall * (1 - recall) / Q);
}

static void what_is_asked_comes_back_for_less(void **state)
{
    (void)state;
    static const size_t ks[] = {1, 10};
    for (size_t turn = 0; turn < 4; turn++) {
        const struct nlsh_index *index = turn < 3 ? of_codes : of_vectors;
        allow_near(977 * turn + 5, turn == 2 ? N / 5 : N / 2, turn % 2 == 1);
        struct nlsh_counted_filter *by_filter = fitted_of(index);
        assert_non_null(by_filter->allowed.fit);
        for (size_t i = 0; i < 2; i++) {
            for (double recall = .8; recall < .96; recall += .15) {
                struct nlsh_search_options o = options(by_filter, ks[i], recall);
                double scanned = search(index, &o), reached = recall_of(o.k);
                if (reached < recall - slack_of(recall))
                    fail_msg("turn %zu, k %zu: %.3f of %g", turn, o.k, reached, recall);
                /* few may be scanned whole */
                double most = (turn == 2 ? 1 : .8) * (double)by_filter->allowed.n_scanned;
                assert_true(scanned <= most);
                expect_the_same_in_batches(index, o);
            }
        }
        nlsh_counted_filter_free(by_filter);
    }
}

/* The true neighbour's bucket, asked as the fit asks, lies within the limit for as many queries as were promised. */
static void limits_hold_what_was_promised(void **state)
{
    (void)state;
    struct nlsh_searcher *s;
    uint64_t needs[M];
    uint32_t bucket_of[N];
    const struct nlsh__segment *segment = &of_codes->segments[0];
    for (uint32_t b = 0; b < M; b++)
        for (size_t p = segment->bucket_offsets[b]; p < segment->bucket_offsets[b + 1]; p++)
            bucket_of[segment->rows[p]] = b;
    allow_near(17, N / 2, 1);
    struct nlsh_counted_filter *by_filter = fitted_of(of_codes);
    const struct nlsh__allowed *a = &by_filter->allowed;
    assert_int_equal(nlsh_searcher_create(of_codes, &s, NULL), NLSH_OK);
    for (int way = 0; way < NLSH__FIT_WAYS; way++) {
        struct nlsh__fit_point point;
        size_t within = 0;
        double rows = 0;
        assert_int_equal(nlsh__fit_at(a->fit, (enum nlsh__fit_way)way, 1, .8, &point), 1);
        for (size_t q = 0; q < Q; q++) {
            assert_int_equal(nlsh__query_set(&s->query, of_codes, &queries, q, NULL), NLSH_OK);
            const float *of = nlsh__ask_inputs(&s->asker, s->query.routed, NULL);
            if (way == NLSH__FIT_ROUTER) of = nlsh__ask_probabilities(&s->asker);
            size_t n = nlsh__fit_needs(a->fit, of_codes, a, (enum nlsh__fit_way)way, of, UINT32_MAX,
                                       needs);
            naive_search(&base, allowed, &queries, q, want);
            for (size_t i = 0; i < n; i++) {
                int inside = nlsh__key_score_f32(needs[i]) <= point.limit;
                within += inside && bucket_of[want[0].id] == (uint32_t)needs[i];
                rows += inside ? a->counts[(uint32_t)needs[i]] : 0;
            }
        }
        assert_true((double)within >= Q * (.8 - slack_of(.8)));
        assert_true(rows / Q < 1.3 * (double)point.rows && rows / Q > .7 * (double)point.rows);
    }
    nlsh_searcher_free(s);
    nlsh_counted_filter_free(by_filter);
}

static double score(uint64_t key)
{
    return (double)nlsh__key_score_f32(key);
}

/* By place: one more than the allowed rows of buckets that are nearer, by more than a step. */
static void needs_by_place_count_rows(void **state)
{
    (void)state;
    struct nlsh_searcher *s;
    uint64_t needs[M], by_distance[M];
    allow_near(99, N / 2, 0);
    struct nlsh_counted_filter *by_filter = fitted_of(of_codes);
    const struct nlsh__allowed *a = &by_filter->allowed;
    const struct nlsh__fit *fit = a->fit;
    assert_int_equal(nlsh_searcher_create(of_codes, &s, NULL), NLSH_OK);
    for (size_t q = 0; q < Q; q++) {
        size_t n = 0;
        assert_int_equal(nlsh__query_set(&s->query, of_codes, &queries, q, NULL), NLSH_OK);
        const float *inputs = nlsh__ask_inputs(&s->asker, s->query.routed, NULL);
        for (uint32_t b = 0; b < M; b++) {
            double l2sq = 0;
            for (size_t d = 0; d < fit->stride; d++) {
                double off = (double)inputs[d] - (double)fit->centres[b * fit->stride + d];
                l2sq += off * off;
            }
            if (a->counts[b] > 0) by_distance[n++] = nlsh__key_f32((float)l2sq, b);
        }
        assert_int_equal(
            nlsh__fit_needs(fit, of_codes, a, NLSH__FIT_PLACE, inputs, UINT32_MAX, needs), n);
        double nearest = INFINITY, farthest = 0;
        for (size_t i = 0; i < n; i++) {
            nearest = fmin(nearest, score(by_distance[i]));
            farthest = fmax(farthest, score(by_distance[i]));
        }
        double width = farthest - nearest;
        for (size_t i = 0; i < n; i++) {
            double least = 1, most = 1, l2sq = -1;
            for (size_t j = 0; j < n; j++)
                if ((uint32_t)by_distance[j] == (uint32_t)needs[i]) l2sq = score(by_distance[j]);
            for (size_t j = 0; j < n; j++) {
                double rows = a->counts[(uint32_t)by_distance[j]];
                least += score(by_distance[j]) < l2sq - width / 1000 ? rows : 0;
                most += score(by_distance[j]) < l2sq + width / 1e5 ? rows : 0;
            }
            assert_true(l2sq >= 0 && score(needs[i]) >= least && score(needs[i]) <= most);
        }
    }
    nlsh_searcher_free(s);
    nlsh_counted_filter_free(by_filter);
}

/* Where there are codes: less is lost with a larger margin. */
static void what_codes_lose_is_measured(void **state)
{
    (void)state;
    allow_near(5, N / 2, 0);
    struct nlsh_counted_filter *by_filter = fitted_of(of_vectors);
    assert_int_equal(by_filter->allowed.fit->margins.n_ks, 0);
    nlsh_counted_filter_free(by_filter);
    by_filter = fitted_of(of_codes);
    const struct nlsh__margins *margins = &by_filter->allowed.fit->margins;
    assert_true(margins->n_ks > 0);
    for (size_t i = 0; i < margins->n_ks; i++) {
        double much = (double)nlsh__margin_at(margins, margins->k[i], .05),
               little = (double)nlsh__margin_at(margins, margins->k[i], .01);
        assert_true(little > 0 && isfinite(little) && much <= little);
    }
    nlsh_counted_filter_free(by_filter);
}

static void the_cheapest_way_is_taken(void **state)
{
    (void)state;
    static const size_t counts[] = {60, N / 5, N / 2};
    for (size_t i = 0; i < 3; i++) {
        allow_near(5, counts[i], 0);
        struct nlsh_counted_filter *by_filter = fitted_of(of_codes);
        assert_non_null(by_filter->allowed.fit);
        struct nlsh__plan plan = {.k = 1, .recall = .8, .allowed = &by_filter->allowed};
        nlsh__plan_by_content(of_codes, &plan);
        assert_int_equal(plan.exactly, i == 0); /* which is all of it */
        assert_int_equal(plan.fitted, i > 0);
        nlsh_counted_filter_free(by_filter);
    }
}

/* By the router: what the mean allowed row has over what a row of the bucket has, be the bucket large or small. */
static void needs_by_router_are_of_a_row(void **state)
{
    (void)state;
    float probabilities[M];
    uint64_t needs[M];
    double sum = 0, total = 0;
    size_t n = 0;
    const uint32_t *offsets = of_codes->segments[0].bucket_offsets;
    allow_near(99, N / 2, 0);
    struct nlsh_counted_filter *by_filter = fitted_of(of_codes);
    const struct nlsh__allowed *a = &by_filter->allowed;
    for (uint32_t b = 0; b < M; b++) total += probabilities[b] = (float)(1 + b * 7 % 11);
    for (uint32_t b = 0; b < M; b++) {
        size_t size = offsets[b + 1] - offsets[b];
        probabilities[b] = (float)((double)probabilities[b] / total);
        n += a->counts[b] > 0;
        if (size > 0) sum += sqrt((double)probabilities[b] / (double)size) * a->counts[b];
    }
    assert_int_equal(
        nlsh__fit_needs(a->fit, of_codes, a, NLSH__FIT_ROUTER, probabilities, UINT32_MAX, needs),
        n);
    for (size_t i = 0; i < n; i++) {
        uint32_t b = (uint32_t)needs[i];
        double size = offsets[b + 1] - offsets[b];
        double want_need = sum / (double)a->n / sqrt((double)probabilities[b] / size);
        assert_true(fabs(score(needs[i]) - want_need) < 1e-4 * want_need);
    }
    nlsh_counted_filter_free(by_filter);
}

/* Between the points of a table, and beyond them. */
static void a_point_between_points(void **state)
{
    (void)state;
    struct nlsh__fit fit = {.n_tables = 2};
    const struct nlsh__fit_table one = {1, 2, {{.8f, 10, 100}, {.96f, 40, 300}}};
    const struct nlsh__fit_table ten = {10, 2, {{.8f, 5, 50}, {.96f, 50, 500}}};
    struct nlsh__fit_point p;
    fit.tables[NLSH__FIT_PLACE][0] = one;
    fit.tables[NLSH__FIT_PLACE][1] = ten;
    assert_int_equal(nlsh__fit_at(&fit, NLSH__FIT_PLACE, 1, .7, &p), 1);
    assert_true(p.limit == 10 && p.rows == 100);
    double share = (log(.1) - log(.2)) / (log(.04) - log(.2));
    assert_int_equal(nlsh__fit_at(&fit, NLSH__FIT_PLACE, 1, .9, &p), 1);
    assert_true(fabs((double)p.limit - 10 * pow(4, share)) < 1e-3);
    assert_true(fabs((double)p.rows - (100 + 200 * share)) < 1e-2);
    assert_int_equal(nlsh__fit_at(&fit, NLSH__FIT_PLACE, 3, .8, &p), 1);
    assert_true(p.limit == 10); /* the more of both */
    assert_int_equal(nlsh__fit_at(&fit, NLSH__FIT_PLACE, 3, .96, &p), 1);
    assert_true(fabs((double)p.limit - 50) < 1e-3);
    assert_int_equal(nlsh__fit_at(&fit, NLSH__FIT_PLACE, 1, .97, &p), 0);
    assert_int_equal(nlsh__fit_at(&fit, NLSH__FIT_PLACE, 11, .8, &p), 0);
    assert_int_equal(nlsh__fit_at(&fit, NLSH__FIT_ROUTER, 1, .8, &p), 0); /* an empty table */
}

/* What cannot be measured is searched whole: more neighbours, a higher recall. */
static void beyond_what_was_measured_all_is_scanned(void **state)
{
    (void)state;
    allow_near(17, N / 2, 0);
    struct nlsh_counted_filter *by_filter = fitted_of(of_codes);
    struct nlsh_search_options o = options(by_filter, 10, .9999);
    assert_true(search(of_codes, &o) >= (double)by_filter->allowed.n);
    assert_true(recall_of(10) > .999);
    expect_the_same_in_batches(of_codes, o);
    nlsh_counted_filter_free(by_filter);
}

static void what_is_not_fitted(void **state)
{
    (void)state;
    struct nlsh__rng rng;
    struct nlsh_error error;
    assert_int_equal(nlsh_counted_filter_fit(NULL, &error), NLSH_E_ARG);
    test_rng(&rng, 5);
    for (size_t i = 0; i < N; i++) allowed[i] = nlsh__rng_uniform(&rng) < .5;
    struct nlsh_counted_filter *by_filter = fitted_of(of_codes);
    assert_null(by_filter->allowed.fit);
    nlsh_counted_filter_free(by_filter);
    memset(allowed, 0, sizeof allowed);
    for (size_t turn = 0; turn < 2; turn++) { /* nothing, and one */
        by_filter = fitted_of(of_codes);
        assert_null(by_filter->allowed.fit);
        nlsh_counted_filter_free(by_filter);
        allowed[7] = 1;
    }
    allow_near(5, M - 1, 0); /* fewer than there are buckets */
    by_filter = fitted_of(of_codes);
    assert_null(by_filter->allowed.fit);
    nlsh_counted_filter_free(by_filter);
}

/* By inner product means tell nothing; the router is asked. */
static void products_are_fitted_by_the_router(void **state)
{
    (void)state;
    struct nlsh__fit_point point;
    allow_near(5, N / 2, 0);
    struct nlsh_counted_filter *by_filter = fitted_of(of_products);
    const struct nlsh__fit *fit = by_filter->allowed.fit;
    assert_null(fit->centres);
    assert_int_equal(nlsh__fit_at(fit, NLSH__FIT_PLACE, 1, .8, &point), 0);
    assert_int_equal(nlsh__fit_at(fit, NLSH__FIT_ROUTER, 1, .8, &point), 1);
    struct nlsh_search_options o = options(by_filter, 10, .8);
    search(of_products, &o);
    expect_the_same_in_batches(of_products, o);
    nlsh_counted_filter_free(by_filter);
}

static enum nlsh_status count_and_fit(void *user, struct nlsh_error *error)
{
    struct nlsh_counted_filter *by_filter;
    const struct nlsh_filter filter = filter_of();
    enum nlsh_status status = nlsh_counted_filter_create(user, &filter, &by_filter, error);
    if (status != NLSH_OK) return status;
    status = nlsh_counted_filter_fit(by_filter, error);
    assert_int_equal(status == NLSH_OK, by_filter->allowed.fit != NULL);
    nlsh_counted_filter_free(by_filter);
    return status;
}

static void memory_that_is_short_is_said(void **state)
{
    (void)state;
    allow_near(5, N / 50, 0);
    assert_true(refuse_each(count_and_fit, of_codes) > 10);
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
    o.metric = NLSH_IP;
    of_products = built_index(&base, &o, "products");
    o.metric = NLSH_L2;
    o.code_bytes = 0;
    of_vectors = built_index(&base, &o, "vectors");
    return 0;
}

static int end(void **state)
{
    (void)state;
    nlsh_index_close(of_codes);
    nlsh_index_close(of_vectors);
    nlsh_index_close(of_products);
    matrix_free(&base);
    matrix_free(&queries);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_comes_back_for_less),
        cmocka_unit_test(limits_hold_what_was_promised),
        cmocka_unit_test(needs_by_place_count_rows),
        cmocka_unit_test(what_codes_lose_is_measured),
        cmocka_unit_test(the_cheapest_way_is_taken),
        cmocka_unit_test(needs_by_router_are_of_a_row),
        cmocka_unit_test(a_point_between_points),
        cmocka_unit_test(beyond_what_was_measured_all_is_scanned),
        cmocka_unit_test(what_is_not_fitted),
        cmocka_unit_test(products_are_fitted_by_the_router),
        cmocka_unit_test(memory_that_is_short_is_said),
    };
    counted_begin(); /* before everything else */
    return counted_end(cmocka_run_group_tests_name("search/fit", tests, begin, end));
}
