/* test_likeness.c - queries from elsewhere: the library notices them and not others, a cautious search finds what was
 * asked for, alone and in batches alike, and nobody else pays for it. */
#include "search/likeness.h"

#include "support/built.h"

enum { N = 12000, DIM = 24, M = 64, Q = 600, K = 10 };

static struct nlsh_matrix base, own, strange;
static struct nlsh_index *bare;

/* Between two rows, and noise. */
static struct nlsh_matrix strange_queries(size_t n)
{
    struct nlsh__rng rng;
    float *out = malloc(n * DIM * sizeof *out);
    const float *rows = base.data;
    nlsh__rng_init(&rng, 5, 3);
    for (size_t i = 0; i < n; i++) {
        const float *a = rows + nlsh__rng_below(&rng, N) * DIM;
        const float *b = rows + nlsh__rng_below(&rng, N) * DIM;
        for (size_t j = 0; j < DIM; j++)
            out[i * DIM + j] = (a[j] + b[j]) / 2 + (float)nlsh__rng_normal(&rng);
    }
    return (struct nlsh_matrix){out, n, DIM, NLSH_F32, 0};
}

static int make(void **state)
{
    (void)state;
    struct nlsh_build_options o;
    struct nlsh_matrix all = matrix_new(KIND_F32, N + Q, DIM, 60, 22, 1);
    const float *rows = all.data;
    base = (struct nlsh_matrix){rows, N, DIM, NLSH_F32, 0};
    own = (struct nlsh_matrix){rows + (size_t)N * DIM, Q, DIM, NLSH_F32, 0};
    strange = strange_queries(Q);
    small_options(&o, M);
    bare = built_index(&base, &o, "bare");
    return 0;
}

static int unmake(void **state)
{
    (void)state;
    nlsh_index_close(bare);
    matrix_free(&base);
    matrix_free(&strange);
    return 0;
}

struct answer {
    uint64_t keys[Q * K];
    float distances[Q * K], outside[Q];
    uint32_t candidates[Q], probes[Q];
    double recall, scanned;
};

static struct nlsh_search_options wish(int cautious)
{
    struct nlsh_search_options o;
    nlsh_search_options_init(&o, sizeof o);
    o.k = K;
    o.cautious = cautious;
    return o;
}

static void ask(const struct nlsh_matrix *queries, const struct nlsh_search_options *o,
                struct answer *out)
{
    static struct truth { /* of all buckets; once for each set in turn */
        const void *of;
        uint64_t keys[Q * K];
        float distances[Q * K];
    } truths[2], *truth;
    struct nlsh_search_options all = wish(0);
    struct nlsh_search_stats stats = {.struct_size = sizeof stats,
                                      .probes = out->probes,
                                      .candidates = out->candidates,
                                      .outside = out->outside};
    all.probes = M;
    truth = &truths[queries == &strange];
    if (truth->of != queries->data)
        assert_int_equal(
            nlsh_search_batch(bare, queries, &all, truth->keys, truth->distances, NULL, NULL),
            NLSH_OK);
    truth->of = queries->data;
    assert_int_equal(nlsh_search_batch(bare, queries, o, out->keys, out->distances, &stats, NULL),
                     NLSH_OK);
    out->recall = out->scanned = 0;
    for (size_t i = 0; i < queries->n_rows; i++) {
        out->recall += nlsh_recall(out->keys + i * K, out->distances + i * K, truth->keys + i * K,
                                   truth->distances + i * K, K) /
                       (double)queries->n_rows;
        out->scanned += out->candidates[i] / (double)queries->n_rows;
    }
}

static struct nlsh_likeness likeness_of(const struct nlsh_search_options *o, const struct answer *a,
                                        size_t n)
{
    struct nlsh_likeness l = {.struct_size = sizeof l};
    assert_int_equal(nlsh_likeness(bare, o, a->outside, a->distances, n, &l, NULL), NLSH_OK);
    assert_int_equal(l.n_queries, n);
    return l;
}

static struct answer a, b;

static void strangers_are_noticed_and_others_are_not(void **state)
{
    (void)state;
    for (double recall = .8; recall < .99; recall += .05) {
        struct nlsh_search_options o = wish(0);
        o.recall = recall;
        ask(&own, &o, &a);
        struct nlsh_likeness l = likeness_of(&o, &a, Q);
        if (l.unlike) fail_msg("recall %g: %g outside of %g", recall, l.outside, l.expected);
        assert_true(l.expected > 0 && l.outside > .6 * l.expected && l.error > 0);
        ask(&strange, &o, &b);
        l = likeness_of(&o, &b, Q);
        if (!l.unlike || b.recall > recall - .03)
            fail_msg("recall %g: reached %g, %g outside of %g", recall, b.recall, l.outside,
                     l.expected);
    }
}

static void outside_is_what_probabilities_leave_over(void **state)
{
    (void)state;
    static float p[M];
    struct nlsh_searcher *s;
    struct nlsh_search_options o = wish(0);
    assert_int_equal(nlsh_searcher_create(bare, &s, NULL), NLSH_OK);
    for (size_t T = 1; T <= M; T += 7) {
        o.probes = (double)T;
        ask(&strange, &o, &a);
        for (size_t i = 0; i < 20; i++) {
            const struct nlsh_matrix one = {(const float *)strange.data + i * DIM, 1, DIM, NLSH_F32,
                                            0};
            double left = 1;
            assert_int_equal(nlsh_route(s, &one, p, NULL), NLSH_OK);
            for (size_t t = 0; t < T; t++) {
                size_t best = 0;
                for (size_t j = 0; j < M; j++)
                    if (p[j] > p[best]) best = j;
                left -= (double)p[best];
                p[best] = 0;
            }
            assert_float_equal(a.outside[i], left, 1e-4);
        }
        assert_true(isnan(likeness_of(&o, &a, Q).expected)); /* T promises nothing */
        assert_false(likeness_of(&o, &a, Q).unlike);
    }
    nlsh_searcher_free(s);
}

static void caution_finds_what_was_asked_for(void **state)
{
    (void)state;
    struct nlsh_search_options o = wish(0), careful = wish(1);
    ask(&strange, &o, &a);
    ask(&strange, &careful, &b);
    if (b.recall < .9) fail_msg("asked .95: %g, with caution %g", a.recall, b.recall);
    assert_true(b.scanned > a.scanned && b.scanned < N);
    assert_memory_equal(a.outside, b.outside, sizeof a.outside);
    assert_true(likeness_of(&careful, &b, Q).unlike); /* it is said all the same */
    double expected = likeness_of(&o, &a, Q).expected;
    for (size_t i = 0; i < Q; i++) /* a usual query is searched as ever */
        if ((double)a.outside[i] <= expected) {
            assert_true(a.probes[i] == b.probes[i] && a.candidates[i] == b.candidates[i]);
            assert_memory_equal(a.keys + i * K, b.keys + i * K, K * sizeof *a.keys);
        } else {
            assert_true(a.probes[i] < b.probes[i]);
        }
    ask(&own, &o, &a);
    ask(&own, &careful, &b);
    assert_true(b.recall >= a.recall && b.scanned < 3 * a.scanned);
}

static void alone_and_in_batches_alike(void **state)
{
    (void)state;
    struct nlsh_searcher *s;
    struct nlsh_search_options careful = wish(1);
    struct nlsh_search_stats stats = {.struct_size = sizeof stats,
                                      .probes = b.probes,
                                      .candidates = b.candidates,
                                      .outside = b.outside};
    assert_int_equal(nlsh_searcher_create(bare, &s, NULL), NLSH_OK);
    assert_int_equal(nlsh_search(s, &strange, &careful, b.keys, b.distances, &stats, NULL),
                     NLSH_OK);
    for (size_t threads = 1; threads <= 3; threads += 2) {
        careful.n_threads = threads;
        ask(&strange, &careful, &a);
        assert_memory_equal(a.keys, b.keys, sizeof a.keys);
        assert_memory_equal(a.probes, b.probes, sizeof a.probes);
        for (size_t i = 0; i < Q; i++) assert_float_equal(a.outside[i], b.outside[i], 1e-5);
    }
    nlsh_searcher_free(s);
}

static void filters_are_left_out(void **state)
{
    (void)state;
    static uint64_t bits[(N + 63) / 64];
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) bits[i] = ~UINT64_C(0);
    const struct nlsh_filter all = {.bits = bits, .n_bits = N};
    struct nlsh_search_options o = wish(1);
    struct nlsh_likeness l = {.struct_size = sizeof l};
    o.filter = &all;
    ask(&strange, &o, &a);
    for (size_t i = 0; i < Q; i++) assert_true(isnan(a.outside[i]));
    assert_int_equal(nlsh_likeness(bare, &o, a.outside, a.distances, Q, &l, NULL), NLSH_OK);
    assert_true(l.n_queries == 0 && !l.unlike);
}

/* Of a router that is sure of the wrong buckets distances tell. */
static void the_far_are_noticed(void **state)
{
    (void)state;
    struct nlsh_search_options o = wish(0);
    float *values = malloc((size_t)Q * DIM * sizeof *values);
    for (size_t i = 0; i < (size_t)Q * DIM; i++) values[i] = -8 * ((const float *)own.data)[i];
    const struct nlsh_matrix away = {values, Q, DIM, NLSH_F32, 0};
    ask(&own, &o, &a);
    struct nlsh_likeness l = likeness_of(&o, &a, Q);
    assert_true(l.far < .05 && !l.unlike);
    ask(&away, &o, &b);
    l = likeness_of(&o, &b, Q);
    assert_true(l.far > .9 && l.unlike);
    for (size_t i = 0; i < Q; i++) b.outside[i] = 0; /* as if the router were sure */
    assert_true(likeness_of(&o, &b, Q).unlike);
    assert_int_equal(nlsh_likeness(bare, &o, b.outside, NULL, Q, &l, NULL), NLSH_OK);
    assert_true(isnan(l.far) && !l.unlike);
    assert_int_equal(nlsh_likeness(bare, &o, b.outside, b.distances, 4, &l, NULL), NLSH_OK);
    assert_true(l.far == 1 && !l.unlike); /* four may be chance */
    free(values);
}

static void few_queries_and_wrong_arguments(void **state)
{
    (void)state;
    struct nlsh_search_options o = wish(0);
    struct nlsh_likeness l = {.struct_size = sizeof l}, unset = {0};
    const float sure[] = {0, 0, 0}, lost[] = {1, 1, 1, 1};
    assert_int_equal(nlsh_likeness(bare, NULL, NULL, NULL, 0, &l, NULL), NLSH_OK);
    assert_true(l.n_queries == 0 && l.outside == 0 && isnan(l.error) && !l.unlike);
    assert_int_equal(nlsh_likeness(bare, &o, lost, NULL, 1, &l, NULL), NLSH_OK);
    assert_true(l.outside == 1 && isnan(l.error) && !l.unlike); /* one says nothing of others */
    assert_int_equal(nlsh_likeness(bare, &o, lost, NULL, 4, &l, NULL), NLSH_OK);
    assert_true(l.error == 0 && l.unlike);
    assert_int_equal(nlsh_likeness(bare, &o, sure, NULL, 3, &l, NULL), NLSH_OK);
    assert_true(l.outside == 0 && !l.unlike);
    assert_int_equal(nlsh_likeness(bare, &o, sure, NULL, 3, &unset, NULL), NLSH_E_ARG);
    o.recall = 2;
    assert_int_equal(nlsh_likeness(bare, &o, sure, NULL, 3, &l, NULL), NLSH_E_ARG);
}

/* A file of before: it is searched, but not with caution. */
static void what_is_usual_must_be_known(void **state)
{
    (void)state;
    struct nlsh_search_options o = wish(0), careful = wish(1);
    struct nlsh__outside known = bare->outside;
    struct nlsh_likeness l = {.struct_size = sizeof l};
    struct nlsh_error error;
    bare->outside.n = 0;
    ask(&strange, &o, &a);
    assert_int_equal(nlsh_likeness(bare, &o, a.outside, a.distances, Q, &l, NULL), NLSH_OK);
    assert_true(isnan(l.expected) && !l.unlike && l.outside > 0);
    assert_int_equal(nlsh_search_batch(bare, &strange, &careful, a.keys, NULL, NULL, &error),
                     NLSH_E_UNSUPPORTED);
    assert_non_null(strstr(error.hint, "calibrate"));
    careful.probes = 3;
    assert_int_equal(nlsh_search_batch(bare, &strange, &careful, a.keys, NULL, NULL, NULL),
                     NLSH_OK);
    bare->outside = known;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_noticed_and_others_are_not),
        cmocka_unit_test(outside_is_what_probabilities_leave_over),
        cmocka_unit_test(caution_finds_what_was_asked_for),
        cmocka_unit_test(alone_and_in_batches_alike),
        cmocka_unit_test(filters_are_left_out),
        cmocka_unit_test(the_far_are_noticed),
        cmocka_unit_test(few_queries_and_wrong_arguments),
        cmocka_unit_test(what_is_usual_must_be_known),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
