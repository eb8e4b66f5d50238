/* test_calibrate.c - what calibration promises holds on the very rows that it was measured on, counted anew in
 * the plainest way: docs/algorithm.md, calibration. */
#include "measure/calibrate.h"

#include "index/index.h"
#include "promise/weights.h"
#include "router/ask.h"
#include "search/route.h"
#include "support/built.h"
#include "support/refused.h"

enum { N = 3000, DIM = 16, M = 24, HELD = 150, K = 100 };

struct fixture {
    struct nlsh_matrix base;
    struct nlsh_index *index;
    uint32_t bucket_of[N], rows[HELD], truth_buckets[HELD * K];
    size_t sizes[M];
    struct nlsh__played played;
    struct nlsh__bucketed bucketed;
    float p[HELD][M]; /* probabilities a vector */
    size_t best[HELD];
};

static struct nlsh__job job_of(size_t n_threads)
{
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = n_threads};
    struct nlsh__job job;
    assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
    return job;
}

static void begin(struct fixture *f, size_t groups)
{
    struct nlsh_build_options o;
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    f->base = matrix_new(KIND_U8, N, DIM, 60, 22, 1);
    small_options(&o, M);
    o.groups = groups;
    f->index = built_index(&f->base, &o, "calibrated");
    const struct nlsh__segment *s = &f->index->segments[0];
    for (uint32_t b = 0; b < M; b++) {
        f->sizes[b] = s->bucket_offsets[b + 1] - s->bucket_offsets[b];
        for (size_t i = s->bucket_offsets[b]; i < s->bucket_offsets[b + 1]; i++)
            f->bucket_of[s->rows[i]] = b;
    }
    for (uint32_t i = 0; i < HELD; i++) f->rows[i] = i * 19;
    struct nlsh_matrix asked = f->base;
    assert_int_equal(nlsh_ground_truth(&f->base, &asked, NLSH_L2, K, &run, &truth, NULL), NLSH_OK);
    for (size_t i = 0; i < HELD * K; i++)
        f->truth_buckets[i] = f->bucket_of[truth.ids[f->rows[i / K] * (size_t)K + i % K]];
    nlsh_neighbors_free(&truth);
    f->played = (struct nlsh__played){&f->base, f->rows, HELD};
    f->bucketed = (struct nlsh__bucketed){f->bucket_of, N, M};
    struct nlsh__asker asker;
    assert_int_equal(nlsh__asker_create(f->index->router, &asker, NULL), NLSH_OK);
    for (size_t i = 0; i < HELD; i++) {
        const float *p = nlsh__ask_row(&asker, &f->base, f->rows[i]);
        f->best[i] = 0;
        for (size_t b = 0; b < M; b++) {
            if (p[b] > p[f->best[i]]) f->best[i] = b;
            f->p[i][b] = p[b] * nlsh__bucket_weight(N, M, f->sizes[b]);
        }
    }
    nlsh__asker_free(&asker);
}

static void end(struct fixture *f)
{
    nlsh_index_close(f->index);
    matrix_free(&f->base);
}

static int is_scanned(const struct fixture *f, size_t query, size_t b, double threshold)
{
    return b == f->best[query] || (double)f->p[query][b] > threshold;
}

static double recall_of(const struct fixture *f, size_t k, double threshold)
{
    size_t found = 0;
    for (size_t i = 0; i < HELD; i++)
        for (size_t j = 0; j < k; j++)
            found += is_scanned(f, i, f->truth_buckets[i * K + j], threshold);
    return (double)found / (double)(HELD * k);
}

static double squares_of(const struct fixture *f, size_t k, double threshold)
{
    double sum = 0;
    for (size_t i = 0; i < HELD; i++) {
        size_t found = 0;
        for (size_t j = 0; j < k; j++)
            found += is_scanned(f, i, f->truth_buckets[i * K + j], threshold);
        sum += (double)(found * found) / (double)(k * k);
    }
    return sum / HELD;
}

static double candidates_of(const struct fixture *f, double threshold)
{
    size_t n = 0;
    for (size_t i = 0; i < HELD; i++)
        for (size_t b = 0; b < M; b++)
            if (is_scanned(f, i, b, threshold)) n += f->sizes[b];
    return (double)n / HELD;
}

static void calibrate(const struct fixture *f, size_t n_threads, size_t k,
                      struct nlsh__calibration *out)
{
    struct nlsh__job job = job_of(n_threads);
    assert_int_equal(nlsh__calibrate(f->index->router, &f->played, &f->bucketed, f->truth_buckets,
                                     k, &job, out, NULL),
                     NLSH_OK);
    nlsh__job_end(&job);
}

static void thresholds_reach_their_recalls(void **state)
{
    struct fixture *f = *state;
    static struct nlsh__calibration c, again;
    struct nlsh__target_table tables[NLSH__CALIBRATION_KS];
    calibrate(f, 1, K, &c);
    calibrate(f, 3, K, &again);
    assert_memory_equal(&c, &again, sizeof c);
    struct nlsh__targets targets = nlsh__calibrated(&c, tables);
    static const size_t ks[] = {1, 2, 5, 10, 20, 50, 100};
    assert_int_equal(targets.n, 7);
    for (size_t t = 0; t < targets.n; t++) {
        assert_int_equal(tables[t].k, ks[t]);
        assert_int_equal(nlsh__targets_wrong(&tables[t]), tables[t].n_points);
        assert_true(tables[t].n_points >= 5);
        for (size_t i = 0; i < tables[t].n_points; i++) {
            double recall = (double)tables[t].points[i][0], T = (double)tables[t].points[i][1];
            assert_true(i == 0 || tables[t].points[i][1] < tables[t].points[i - 1][1]);
            if (fabs(recall_of(f, ks[t], T) - recall) > 1e-6)
                fail_msg("k = %zu: threshold %g reaches %g, not %g", ks[t], T,
                         recall_of(f, ks[t], T), recall);
            double want = nlsh__surely(recall, squares_of(f, ks[t], T), HELD);
            if (fabs((double)c.surely[t][i] - want) > 1e-5)
                fail_msg("k = %zu: threshold %g surely reaches %g, not %g", ks[t], T, want,
                         (double)c.surely[t][i]);
        }
        assert_true(c.all[t] == 0 || recall_of(f, ks[t], (double)c.all[t]) == 1);
        assert_true(c.all[t] == 0 || recall_of(f, ks[t], (double)c.all[t] / .86) < 1);
    }
}

/* What searches with this threshold find of K neighbours. */
static double searched(const struct fixture *f, float threshold)
{
    const struct nlsh__rule rule = {0, threshold, f->index->weights, f->index->group_weights};
    struct nlsh__asker asker;
    uint32_t buckets[M];
    uint64_t keys[M];
    float probabilities[M + 16];
    size_t found = 0;
    assert_int_equal(nlsh__asker_create(f->index->router, &asker, NULL), NLSH_OK);
    for (size_t i = 0; i < HELD; i++) {
        struct nlsh__answer answer;
        nlsh__ask_row(&asker, &f->base, f->rows[i]);
        nlsh__ask_router(f->index->router, asker.inputs, asker.scratch, &answer);
        size_t n = nlsh__choose_buckets(&answer, &rule, buckets, probabilities, keys);
        for (size_t j = 0; j < K; j++)
            for (size_t b = 0; b < n; b++) found += buckets[b] == f->truth_buckets[i * K + j];
    }
    nlsh__asker_free(&asker);
    return (double)found / (HELD * (double)K);
}

/* A search leaves out groups of buckets, and so does calibration. */
static void groups_are_left_out(void **state)
{
    (void)state;
    static struct fixture f;
    static struct nlsh__calibration c;
    struct nlsh__target_table tables[NLSH__CALIBRATION_KS];
    double lost = 0;
    begin(&f, 12);
    calibrate(&f, 1, K, &c);
    assert_int_equal(c.n, 7);
    nlsh__calibrated(&c, tables);
    for (size_t i = 0; i < tables[6].n_points; i++) {
        double recall = (double)tables[6].points[i][0], T = (double)tables[6].points[i][1];
        double found = searched(&f, tables[6].points[i][1]);
        /* not the same to the last: the most probable bucket of all may lie in a group that is left out */
        if (fabs(found - recall) > .001)
            fail_msg("threshold %g: %g promised, %g found", T, recall, found);
        lost = fmax(lost, recall_of(&f, K, T) - found);
    }
    assert_true(lost > .003);
    end(&f);
}

/* Between the thresholds of a grid whose steps are .87 the mean number of candidates is interpolated. */
static void candidates_at_95_lie_between(void **state)
{
    struct fixture *f = *state;
    static struct nlsh__calibration c;
    calibrate(f, 2, K, &c);
    double T = .5, last = .5;
    while (recall_of(f, 10, T) < .95) {
        last = T;
        T *= .87;
    }
    double low = recall_of(f, 10, last), high = recall_of(f, 10, T);
    double share = high > low ? (.95 - low) / (high - low) : 1;
    double want = candidates_of(f, last) + share * (candidates_of(f, T) - candidates_of(f, last));
    assert_true(fabs(c.candidates_95 / want - 1) < 1e-6);
    assert_true(want < N / 2);
}

/* Fewer neighbours than a table is for: there is no such table. */
static void tables_of_what_was_measured(void **state)
{
    struct fixture *f = *state;
    static struct nlsh__calibration c;
    struct fixture ten = *f;
    for (size_t i = 0; i < HELD; i++)
        memcpy(ten.truth_buckets + i * 10, f->truth_buckets + i * K, 10 * sizeof(uint32_t));
    calibrate(&ten, 1, 10, &c);
    assert_int_equal(c.n, 4);
    assert_int_equal(c.k[3], 10);
    struct nlsh__target_table tables[NLSH__CALIBRATION_KS] = {[4] = {.k = 77}};
    assert_int_equal(nlsh__calibrated(&c, tables).n, 4);
    assert_int_equal(tables[3].k, 10);
    assert_int_equal(tables[4].k, 77); /* it is none of its tables */
    /* all neighbours in the best bucket: no recall below 1, so no point, and no table */
    for (size_t i = 0; i < HELD; i++)
        for (size_t j = 0; j < 10; j++) ten.truth_buckets[i * 10 + j] = (uint32_t)f->best[i];
    calibrate(&ten, 1, 10, &c);
    assert_int_equal(c.n, 0);
    assert_true(c.candidates_95 > 0 && c.candidates_95 <= candidates_of(f, .5));
}

/* A router of zeros gives two buckets of one row a half each, which is the first threshold. The first bucket
 * is the best and counts from the start; the other is not above a half, and counts from the second threshold. */
static void a_half_is_not_above_a_half(void **state)
{
    (void)state;
    static uint8_t bytes[4096] __attribute__((aligned(64)));
    static struct nlsh__calibration c;
    struct nlsh__router_header header = {.magic = {'N', 'L', 'S', 'H', 'R', 'T', '0', '1'},
                                         .dim = 4,
                                         .n_layers = 1,
                                         .scale = 1,
                                         .sizes = {4, 2}};
    struct nlsh__router_layout layout;
    struct nlsh__router *router;
    struct nlsh__job job = job_of(1);
    const float query[4] = {1, 2, 3, 4};
    const struct nlsh_matrix queries = {query, 1, 4, NLSH_F32, 0};
    const uint32_t row = 0, bucket_of[] = {0, 1}, truth = 1;
    const struct nlsh__played played = {&queries, &row, 1};
    const struct nlsh__bucketed bucketed = {bucket_of, 2, 2};
    assert_int_equal(nlsh__router_layout(&header, &layout), 0);
    assert_true(layout.size <= sizeof bytes);
    header.size_bytes = layout.size;
    memcpy(bytes, &header, sizeof header);
    assert_int_equal(nlsh__router_open(bytes, layout.size, 4, 2, &router, NULL), NLSH_OK);
    assert_int_equal(nlsh__calibrate(router, &played, &bucketed, &truth, 1, &job, &c, NULL),
                     NLSH_OK);
    /* recall is 0 from one row, then 1 from two */
    assert_true(fabs(c.candidates_95 - (1 + 0.95 * (2 - 1))) < 1e-9);
    nlsh__router_close(router);
    nlsh__job_end(&job);
}

/* Worked by hand: a mean of .5 of ten queries that found all or nothing, and one more that found nothing. */
static void a_bound_by_hand(void **state)
{
    (void)state;
    double m = 5 / 11.0;
    assert_true(fabs(nlsh__surely(.5, .5, 10) - (m - 2 * sqrt((m - m * m) / 10))) < 1e-12);
    /* all found: three in n may be missing, as the rule of three has it */
    assert_true(fabs(nlsh__surely(1, 1, 1000) - (1 - 3 / 1000.0)) < 1e-5);
    assert_true(nlsh__surely(.9, .82, 1e9) > .8999);
}

/* Two routers' queries in one tally are as those of one: here the same router twice, so that means stay. */
static void a_tally_of_several(void **state)
{
    struct fixture *f = *state;
    static struct nlsh__calibration once, twice;
    struct nlsh__tally *tally;
    struct nlsh__job job = job_of(2);
    calibrate(f, 1, K, &once);
    assert_int_equal(nlsh__tally_create(K, &tally, NULL), NLSH_OK);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(nlsh__tally_add(tally, f->index->router, &f->played, &f->bucketed,
                                         f->truth_buckets, &job, NULL),
                         NLSH_OK);
    nlsh__tally_end(tally, N, &twice);
    nlsh__tally_free(tally);
    nlsh__job_end(&job);
    assert_int_equal(twice.n_queries, 2 * HELD);
    for (size_t t = 0; t < once.n; t++) {
        assert_int_equal(twice.n_points[t], once.n_points[t]);
        for (size_t i = 0; i < once.n_points[t]; i++) {
            assert_true(fabs((double)(twice.points[t][i][0] - once.points[t][i][0])) < 1e-6);
            assert_true(twice.surely[t][i] > once.surely[t][i]);
        }
    }
}

static void best_buckets(void **state)
{
    struct fixture *f = *state;
    uint32_t best[HELD];
    struct nlsh__job job = job_of(2);
    assert_int_equal(nlsh__best_buckets(f->index->router, &f->played, &job, best, NULL), NLSH_OK);
    for (size_t i = 0; i < HELD; i++) assert_int_equal(best[i], f->best[i]);
    nlsh__job_end(&job);
}

static struct fixture fixture;

static enum nlsh_status calibrate_with_little_memory(void *ctx, struct nlsh_error *error)
{
    const struct fixture *f = ctx;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    static struct nlsh__calibration c;
    struct nlsh__job job;
    uint32_t best[HELD];
    enum nlsh_status status = nlsh__job_begin(&run, &job, error);
    if (status != NLSH_OK) return status;
    status = nlsh__calibrate(f->index->router, &f->played, &f->bucketed, f->truth_buckets, K, &job,
                             &c, error);
    if (status == NLSH_OK)
        status = nlsh__best_buckets(f->index->router, &f->played, &job, best, error);
    nlsh__job_end(&job);
    return status;
}

static void memory_that_is_refused(void **state)
{
    assert_true(refuse_each(calibrate_with_little_memory, *state) > 10);
}

static int set_up(void **state)
{
    begin(&fixture, 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    end(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds_reach_their_recalls),
        cmocka_unit_test(groups_are_left_out),
        cmocka_unit_test(candidates_at_95_lie_between),
        cmocka_unit_test(tables_of_what_was_measured),
        cmocka_unit_test(a_half_is_not_above_a_half),
        cmocka_unit_test(a_bound_by_hand),
        cmocka_unit_test(a_tally_of_several),
        cmocka_unit_test(best_buckets),
        cmocka_unit_test(memory_that_is_refused),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("measure/calibrate", tests, set_up, tear_down));
}
