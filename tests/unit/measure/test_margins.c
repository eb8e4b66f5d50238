/* test_margins.c - margins hold on the very rows that they were measured on, and are no larger than that needs;
 * counted anew from scores that are decoded as docs/index-format.md says. */
#include "measure/margins.h"

#include "codes/score.h"
#include "index/index.h"
#include "promise/budget.h"
#include "promise/weights.h"
#include "router/ask.h"
#include "support/built.h"
#include "support/guard.h"
#include "support/refused.h"

enum { N = 3000, DIM = 16, M = 12, HELD = 120, K = 100, TRUTH = N - 1 };

struct fixture {
    struct nlsh_matrix base;
    struct nlsh_index *index;
    uint32_t rows[HELD];
    struct nlsh__encode encode;
    struct nlsh__measured of;
    struct nlsh__neighbors truth; /* of the rows: all but themselves */
};

/* The same routing for each number of neighbours. */
static const float *all(float threshold)
{
    static float thresholds[NLSH__MARGIN_KS];
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++) thresholds[i] = threshold;
    return thresholds;
}

static struct fixture fixture, close_fixture;

static struct nlsh__job job_of(size_t n_threads)
{
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = n_threads};
    struct nlsh__job job;
    assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
    return job;
}

/* Of a base, which it takes. */
static void fill(struct fixture *f, struct nlsh_matrix base)
{
    struct nlsh_build_options o;
    f->base = base;
    small_options(&o, M);
    o.components = 10; /* codes leave something out */
    f->index = built_index(&f->base, &o, "margins");
    const struct nlsh__segment *s = &f->index->segments[0];
    for (uint32_t i = 0; i < HELD; i++) f->rows[i] = i * 23;
    f->encode = (struct nlsh__encode){.base = &f->base,
                                      .queries = &f->base,
                                      .bucket_offsets = s->bucket_offsets,
                                      .n_buckets = M,
                                      .ids = s->rows};
    f->of =
        (struct nlsh__measured){&f->encode, s->codes, f->index->router, f->rows, HELD, &f->truth};
    f->truth = (struct nlsh__neighbors){.ids = malloc(HELD * TRUTH * sizeof(uint32_t)),
                                        .l2sq = malloc(HELD * TRUTH * sizeof(float)),
                                        .n_rows = HELD,
                                        .k = TRUTH};
    static struct near near[N];
    for (size_t i = 0; i < HELD; i++) {
        naive_search(&f->base, NULL, &f->base, f->rows[i], near);
        for (size_t j = 0, to = 0; to < TRUTH; j++) {
            if (near[j].id == f->rows[i]) continue;
            f->truth.ids[i * TRUTH + to] = near[j].id;
            f->truth.l2sq[i * TRUTH + to++] = (float)near[j].l2sq;
        }
    }
}

static void empty(struct fixture *f)
{
    free(f->truth.ids);
    free(f->truth.l2sq);
    nlsh_index_close(f->index);
    matrix_free(&f->base);
}

static int set_up(void **state)
{
    fill(&fixture, matrix_new(KIND_U8, N, DIM, 40, 22, 1));
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    empty(*state);
    return 0;
}

/* Of row q asked as a query: how many errors beyond the k-th exact score each of the k nearest scanned rows
 * scores. Scores come from the kernels, whose weights are rounded: tests/unit/codes/test_score.c. */
static size_t needs_of(const struct fixture *f, struct nlsh__asker *asker, uint32_t q,
                       float threshold, size_t k, float *out)
{
    static struct near near[N];
    static float scores[N + 16] __attribute__((aligned(64))), row_scores[N], row_errors[N];
    static float origin[64] __attribute__((aligned(64)));
    static int8_t weights[64] __attribute__((aligned(64)));
    const struct nlsh__codes *codes = f->of.codes;
    const float *p = nlsh__ask_row(asker, &f->base, q);
    const uint32_t *offsets = f->encode.bucket_offsets;
    struct nlsh__units units;
    double whole = 0;
    size_t n = 0;
    for (size_t d = 0; d < DIM; d++)
        whole += pow(matrix_at(&f->base, q, d) - (double)codes->mean[d], 2);
    nlsh__score_units(codes, 0, asker->inputs, (float)whole, &units);
    for (size_t b = 0; b < M; b++) {
        size_t first = codes->group_offsets[b], n_groups = codes->group_offsets[b + 1] - first;
        struct nlsh__probe probe;
        if (!(p[b] * nlsh__bucket_weight(N, M, offsets[b + 1] - offsets[b]) > threshold)) continue;
        nlsh__probe_bucket(codes, 0, asker->inputs, units.outside, b, origin, weights, &probe);
        nlsh__score_groups(&codes->rows, &probe, weights, first, n_groups, scores);
        for (size_t i = offsets[b]; i < offsets[b + 1]; i++) {
            size_t lane = i - offsets[b];
            uint32_t row = f->encode.ids[i];
            if (row == q) continue;
            row_scores[row] = scores[lane];
            row_errors[row] = codes->error_unit * probe.error_length *
                              (float)codes->rows.errors[16 * first + lane];
            near[n++] = (struct near){true_l2sq(&f->base, q, &f->base, row), row};
        }
    }
    if (n < k) return 0;
    qsort(near, n, sizeof *near, near_order);
    float limit = (float)near[k - 1].l2sq * units.factor - units.offset;
    for (size_t j = 0; j < k; j++) {
        float beyond = row_scores[near[j].id] - limit;
        out[j] = beyond > 0 ? beyond / row_errors[near[j].id] : 0;
    }
    return k;
}

/* Lost are the neighbours that need more than the margin: at most the share that may be; and one that needs just
 * the margin is there. Neighbours of one rank that are equally far may stand for each other. */
static void check_margins_of_rows(const struct fixture *f)
{
    static float needs[HELD * K];
    struct nlsh__row_margins found, again;
    struct nlsh__asker asker;
    const float threshold = .02f;
    for (size_t threads = 1; threads <= 3; threads += 2) {
        struct nlsh__job job = job_of(threads);
        assert_int_equal(
            nlsh__measure_rows(&f->of, all(threshold), &job, threads == 1 ? &found : &again, NULL),
            NLSH_OK);
        nlsh__job_end(&job);
    }
    assert_memory_equal(&found, &again, sizeof found);
    assert_int_equal(nlsh__asker_create(f->index->router, &asker, NULL), NLSH_OK);
    nlsh__asker_round(&asker, f->of.codes->query_mean);
    struct nlsh__margins m = nlsh__row_margins_of(&found);
    assert_null(nlsh__margins_wrong(&m, 0));
    for (size_t i = 0; i < m.n_ks; i++) {
        size_t n = 0;
        for (size_t q = 0; q < HELD; q++)
            n += needs_of(f, &asker, f->rows[q], threshold, m.k[i], needs + n);
        assert_true(n >= HELD * (size_t)m.k[i] / 2);
        for (size_t l = 0; l < m.n_losses; l++) {
            float margin = m.margin[i * m.n_losses + l];
            size_t lost = 0, lost_nearly = 0, may = (size_t)((double)m.loss[l] * (double)n);
            for (size_t j = 0; j < n; j++) {
                lost += needs[j] > margin * 1.0001f + 1e-6f;
                lost_nearly += needs[j] > margin * 0.9999f - 1e-6f;
            }
            if (lost > may || lost_nearly < may + 1)
                fail_msg("k = %u, loss %g: margin %g loses %zu to %zu of %zu", m.k[i],
                         (double)m.loss[l], (double)margin, lost, lost_nearly, n);
            assert_true(l == 0 || margin <= m.margin[i * m.n_losses + l - 1]);
        }
    }
    nlsh__asker_free(&asker);
}

static void margins_of_rows_hold(void **state)
{
    check_margins_of_rows(*state);
}

/* One neighbour of one row: the margin that finds it is the margin, whatever may be lost. */
static void the_margin_of_one_neighbour(void **state)
{
    const struct fixture *f = *state;
    struct nlsh__measured one = f->of;
    struct nlsh__row_margins found;
    struct nlsh__asker asker;
    struct nlsh__job job = job_of(1);
    float need = 0;
    one.n_rows = 1;
    assert_int_equal(nlsh__measure_rows(&one, all(0), &job, &found, NULL), NLSH_OK);
    nlsh__job_end(&job);
    assert_int_equal(nlsh__asker_create(f->index->router, &asker, NULL), NLSH_OK);
    nlsh__asker_round(&asker, f->of.codes->query_mean);
    assert_int_equal(needs_of(f, &asker, f->rows[0], 0, 1, &need), 1);
    nlsh__asker_free(&asker);
    struct nlsh__margins m = nlsh__row_margins_of(&found);
    assert_int_equal(m.k[0], 1);
    for (size_t l = 0; l < m.n_losses; l++)
        assert_float_equal(m.margin[l], need, 1e-4 * (1 + (double)need));
}

/* The cost of a search for 10 neighbours with the margin for .002. */
static void costs_are_counted(void **state)
{
    struct fixture *f = *state;
    struct nlsh__row_margins tight, loose;
    struct nlsh__job job = job_of(2);
    assert_int_equal(nlsh__measure_rows(&f->of, all(.1f), &job, &tight, NULL), NLSH_OK);
    assert_int_equal(nlsh__measure_rows(&f->of, all(0), &job, &loose, NULL), NLSH_OK);
    nlsh__job_end(&job);
    assert_true(tight.candidates < loose.candidates);
    assert_true(tight.candidates > 10 && loose.candidates < N - 0.5);
    assert_true(loose.ranked >= 10 && loose.ranked < loose.candidates / 2);
}

/* How far from the means of their own leaves the queries lay, in the codes' units: */
static size_t n_near, n_far; /* nearer than 1, and farther */

/* What a leaf that the query itself is one of would score without it: the mean of 15 of 16 rows lies 16/15 as
 * far from it. */
static float without_query(float score, float offset, float radius)
{
    float l2sq = score + offset - radius * radius;
    n_near += l2sq > 0 && l2sq < 1;
    n_far += l2sq >= 1;
    return l2sq < 0 ? score : score + l2sq * (256.0f / 225 - 1);
}

/* A neighbour's leaf is scanned where (S - L) / E <= margin + slope ln(100 p), S and E the leaf's score and
 * error, L the k-th exact score. */
static void check_margins_of_leaves(const struct fixture *f)
{
    const struct nlsh__segment *s = &f->index->segments[0];
    const struct nlsh__codes *codes = s->codes;
    const float thresholds[NLSH__MARGIN_KS] = {0, 0, 0};
    static float scores[N + 16] __attribute__((aligned(64)));
    static float origin[64] __attribute__((aligned(64)));
    static int8_t weights[64] __attribute__((aligned(64)));
    static uint32_t place_of[N], bucket_of[N];
    struct nlsh__leaf_margins found, again;
    struct nlsh__asker asker;
    for (size_t threads = 1; threads <= 3; threads += 2) {
        struct nlsh__job job = job_of(threads);
        assert_int_equal(nlsh__measure_leaves(&f->of, s->leaves, thresholds, &job,
                                              threads == 1 ? &found : &again, NULL),
                         NLSH_OK);
        nlsh__job_end(&job);
    }
    assert_memory_equal(&found, &again, sizeof found);
    assert_true(found.slope >= 0 && found.scanned > 1 && found.scanned < codes->rows.n_groups);
    assert_int_equal(nlsh__asker_create(f->index->router, &asker, NULL), NLSH_OK);
    nlsh__asker_round(&asker, f->of.codes->query_mean);
    for (uint32_t b = 0; b < M; b++)
        for (uint32_t i = s->bucket_offsets[b]; i < s->bucket_offsets[b + 1]; i++) {
            place_of[s->rows[i]] = i;
            bucket_of[s->rows[i]] = b;
        }
    struct nlsh__margins m = nlsh__leaf_margins_of(&found);
    assert_null(nlsh__margins_wrong(&m, -1e9f));
    size_t n[NLSH__MARGIN_KS] = {0};
    static float needs[NLSH__MARGIN_KS][HELD * K];
    for (size_t q = 0; q < HELD; q++) {
        uint32_t row = f->rows[q];
        const float *p = nlsh__ask_row(&asker, &f->base, row);
        struct nlsh__units units;
        double whole = 0;
        for (size_t d = 0; d < DIM; d++)
            whole += pow(matrix_at(&f->base, row, d) - (double)codes->mean[d], 2);
        nlsh__score_units(codes, 0, asker.inputs, (float)whole, &units);
        for (size_t j = 0; j < K; j++) {
            uint32_t near = f->truth.ids[q * TRUTH + j], b = bucket_of[near];
            size_t first = s->leaves->group_offsets[b],
                   rank = place_of[near] - s->bucket_offsets[b];
            struct nlsh__probe probe;
            nlsh__probe_bucket(codes, 0, asker.inputs, units.outside, b, origin, weights, &probe);
            nlsh__score_groups(&s->leaves->leaves, &probe, weights, first,
                               s->leaves->group_offsets[b + 1] - first, scores);
            float radius =
                s->leaves->error_unit * (float)s->leaves->leaves.errors[16 * first + rank / 16];
            float score = scores[rank / 16];
            float per_vector =
                p[b] * nlsh__bucket_weight(N, M, s->bucket_offsets[b + 1] - s->bucket_offsets[b]);
            if (bucket_of[row] == b && (place_of[row] - s->bucket_offsets[b]) / 16 == rank / 16)
                score = without_query(score, units.offset, radius);
            for (size_t i = 0; i < NLSH__MARGIN_KS; i++) {
                float limit = f->truth.l2sq[q * TRUTH + m.k[i] - 1] * units.factor - units.offset;
                if (j < m.k[i] && per_vector > 0)
                    needs[i][n[i]++] = (score - limit) / (radius * probe.length) -
                                       found.slope * logf(100 * per_vector);
            }
        }
    }
    for (size_t i = 0; i < m.n_ks; i++)
        for (size_t l = 0; l < m.n_losses; l++) {
            float margin = m.margin[i * m.n_losses + l], near = 1e-4f * (1 + fabsf(margin));
            size_t lost = 0, lost_nearly = 0, may = (size_t)((double)m.loss[l] * (double)n[i]);
            for (size_t j = 0; j < n[i]; j++) {
                lost += needs[i][j] > margin + near;
                lost_nearly += needs[i][j] > margin - near;
            }
            if (lost > may || lost_nearly < may + 1)
                fail_msg("k = %u, loss %g: margin %g loses %zu to %zu of %zu", m.k[i],
                         (double)m.loss[l], (double)margin, lost, lost_nearly, n[i]);
            assert_true(l == 0 || margin <= m.margin[i * m.n_losses + l - 1]);
        }
    nlsh__asker_free(&asker);
}

static void margins_of_leaves_hold(void **state)
{
    check_margins_of_leaves(*state);
    assert_true(n_far > 100);
}

/* The rows of a bucket lie close together, so that a query lies near the mean of its own leaf. */
static void margins_of_close_rows_hold(void **state)
{
    (void)state;
    fill(&close_fixture, matrix_new(KIND_F32, N, DIM, M, 8, 1));
    n_near = n_far = 0;
    check_margins_of_leaves(&close_fixture);
    check_margins_of_rows(&close_fixture);
    assert_true(n_near > 100);
    empty(&close_fixture);
}

static void where_nothing_is_scanned_no_margin_is_wide_enough(void **state)
{
    struct fixture *f = *state;
    struct nlsh__row_margins none;
    struct nlsh__job job = job_of(1);
    assert_int_equal(nlsh__measure_rows(&f->of, all(1e9f), &job, &none, NULL), NLSH_OK);
    nlsh__job_end(&job);
    struct nlsh__margins m = nlsh__row_margins_of(&none);
    for (size_t i = 0; i < m.n_ks * m.n_losses; i++) assert_true(m.margin[i] == 1e9f);
    assert_true(none.candidates == 0 && none.ranked == 0);
}

/* The second of row q's buckets, by probability a vector, which it returns; how many of its K neighbours are in
 * it. */
static float second_bucket(const struct fixture *f, struct nlsh__asker *asker, size_t q, size_t *n)
{
    const struct nlsh__segment *s = &f->index->segments[0];
    const float *p = nlsh__ask_row(asker, &f->base, f->rows[q]);
    size_t best = 0, second = 0;
    float now[M];
    for (size_t b = 0; b < M; b++) {
        now[b] = p[b] * nlsh__bucket_weight(N, M, s->bucket_offsets[b + 1] - s->bucket_offsets[b]);
        if (now[b] > now[best]) best = b;
    }
    second = best == 0;
    for (size_t b = 0; b < M; b++)
        if (b != best && now[b] > now[second]) second = b;
    *n = 0;
    for (size_t i = s->bucket_offsets[second]; i < s->bucket_offsets[second + 1]; i++)
        for (size_t j = 0; j < K; j++) *n += f->truth.ids[q * TRUTH + j] == s->rows[i];
    return now[second];
}

/* Nothing is above the largest probability that a bucket has for the one query. */
static void no_leaf_is_scanned_at_the_largest_probability(void **state)
{
    struct fixture *f = *state;
    const struct nlsh__segment *s = &f->index->segments[0];
    struct nlsh__measured one = f->of;
    struct nlsh__leaf_margins found;
    struct nlsh__asker asker;
    struct nlsh__job job = job_of(1);
    float most = 0;
    one.n_rows = 1;
    assert_int_equal(nlsh__asker_create(f->index->router, &asker, NULL), NLSH_OK);
    nlsh__asker_round(&asker, f->of.codes->query_mean);
    const float *p = nlsh__ask_row(&asker, &f->base, f->rows[0]);
    for (size_t b = 0; b < M; b++)
        most = fmaxf(most, p[b] * nlsh__bucket_weight(
                                      N, M, s->bucket_offsets[b + 1] - s->bucket_offsets[b]));
    nlsh__asker_free(&asker);
    const float at[] = {most, most, most}, below[] = {most * .999f, most * .999f, most * .999f};
    assert_int_equal(nlsh__measure_leaves(&one, s->leaves, below, &job, &found, NULL), NLSH_OK);
    assert_true(found.scanned > 0);
    assert_int_equal(nlsh__measure_leaves(&one, s->leaves, at, &job, &found, NULL), NLSH_OK);
    assert_true(found.scanned == 0);
    nlsh__job_end(&job);
}

/* Of one query, with a threshold just below a bucket's probability, at it and just above. */
static void a_bucket_at_the_threshold_is_not_scanned(void **state)
{
    struct fixture *f = *state;
    struct nlsh__measured one = f->of;
    struct nlsh__neighbors truth = f->truth;
    struct nlsh__row_margins rows[3];
    struct nlsh__leaf_margins leaves[3];
    struct nlsh__asker asker;
    struct nlsh__job job = job_of(1);
    size_t q = 0, n_there;
    assert_int_equal(nlsh__asker_create(f->index->router, &asker, NULL), NLSH_OK);
    nlsh__asker_round(&asker, f->of.codes->query_mean);
    float p = second_bucket(f, &asker, q, &n_there);
    while (n_there < K / 5 && ++q < HELD) p = second_bucket(f, &asker, q, &n_there);
    nlsh__asker_free(&asker);
    assert_true(q < HELD);
    one.rows += q;
    one.truth = &truth;
    truth.ids += q * TRUTH;
    truth.l2sq += q * TRUTH;
    one.n_rows = truth.n_rows = 1;
    const float around[] = {p * 0.999f, p, nextafterf(p, 2)};
    for (size_t i = 0; i < 3; i++) {
        const float thresholds[] = {around[i], around[i], around[i]};
        assert_int_equal(nlsh__measure_rows(&one, all(around[i]), &job, &rows[i], NULL), NLSH_OK);
        assert_int_equal(nlsh__measure_leaves(&one, f->index->segments[0].leaves, thresholds, &job,
                                              &leaves[i], NULL),
                         NLSH_OK);
    }
    nlsh__job_end(&job);
    assert_true(rows[0].candidates > rows[1].candidates);
    assert_true(rows[1].candidates == rows[2].candidates);
    assert_memory_not_equal(leaves[0].margin, leaves[1].margin, sizeof leaves[0].margin);
    assert_memory_equal(&leaves[1], &leaves[2], sizeof leaves[1]);
}

/* A copy that ends where the memory does. */
static struct nlsh__grouped guard(const struct nlsh__grouped *g, struct guarded *of)
{
    size_t size = g->n_groups * g->n_chunks * 64;
    struct nlsh__grouped copy = *g;
    *of = guarded_alloc(size);
    copy.values = memcpy(of->data, g->values, size);
    return copy;
}

/* The last bucket's codes and leaves are the last in the file. */
static void nothing_behind_the_codes_is_read(void **state)
{
    const struct fixture *f = *state;
    const float thresholds[NLSH__MARGIN_KS] = {0, 0, 0};
    const struct nlsh__segment *s = &f->index->segments[0];
    struct nlsh__codes codes = *s->codes;
    struct nlsh__leaves leaves = *s->leaves;
    struct nlsh__measured of = f->of;
    struct nlsh__row_margins rows[2];
    struct nlsh__leaf_margins by_leaves[2];
    struct guarded guards[2];
    struct nlsh__job job = job_of(1);
    codes.rows = guard(&s->codes->rows, &guards[0]);
    leaves.leaves = guard(&s->leaves->leaves, &guards[1]);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(nlsh__measure_rows(&of, all(.01f), &job, &rows[i], NULL), NLSH_OK);
        assert_int_equal(nlsh__measure_leaves(&of, i == 0 ? s->leaves : &leaves, thresholds, &job,
                                              &by_leaves[i], NULL),
                         NLSH_OK);
        of.codes = &codes;
    }
    assert_memory_equal(&rows[0], &rows[1], sizeof rows[0]);
    assert_memory_equal(&by_leaves[0], &by_leaves[1], sizeof by_leaves[0]);
    nlsh__job_end(&job);
    guarded_free(&guards[0]);
    guarded_free(&guards[1]);
}

static enum nlsh_status measure_with_little_memory(void *ctx, struct nlsh_error *error)
{
    const struct fixture *f = ctx;
    const float thresholds[NLSH__MARGIN_KS] = {.01f, .01f, .01f};
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh__row_margins rows;
    struct nlsh__leaf_margins leaves;
    struct nlsh__job job;
    enum nlsh_status status = nlsh__job_begin(&run, &job, error);
    if (status != NLSH_OK) return status;
    status = nlsh__measure_rows(&f->of, all(.01f), &job, &rows, error);
    if (status == NLSH_OK)
        status = nlsh__measure_leaves(&f->of, f->index->segments[0].leaves, thresholds, &job,
                                      &leaves, error);
    nlsh__job_end(&job);
    return status;
}

static void memory_that_is_refused(void **state)
{
    assert_true(refuse_each(measure_with_little_memory, *state) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(margins_of_rows_hold),
        cmocka_unit_test(costs_are_counted),
        cmocka_unit_test(margins_of_leaves_hold),
        cmocka_unit_test(margins_of_close_rows_hold),
        cmocka_unit_test(the_margin_of_one_neighbour),
        cmocka_unit_test(where_nothing_is_scanned_no_margin_is_wide_enough),
        cmocka_unit_test(no_leaf_is_scanned_at_the_largest_probability),
        cmocka_unit_test(a_bucket_at_the_threshold_is_not_scanned),
        cmocka_unit_test(nothing_behind_the_codes_is_read),
        cmocka_unit_test(memory_that_is_refused),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("measure/margins", tests, set_up, tear_down));
}
