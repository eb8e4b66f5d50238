/* test_heldout.c - what a router does on queries that are none of its rows, counted anew by scanning the
 * buckets that a search would: the most probable ones, or those above a threshold and the best. */
#include "measure/heldout.h"

#include "evaluate/curve.h"
#include "index/index.h"
#include "router/ask.h"
#include "support/built.h"
#include "support/refused.h"

enum { N = 1200, DIM = 10, M = 16, Q = 150, K = 7 };

struct fixture {
    struct nlsh_matrix base, queries;
    struct nlsh_index *index;
    uint32_t truth[Q * K], bucket_of[N], sizes[M];
    float p[Q][M];
};

static struct fixture fixture;

static int begin(void **state)
{
    struct fixture *f = *state = &fixture;
    struct nlsh_build_options o;
    struct nlsh__asker asker;
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    f->base = matrix_new(KIND_F32, N, DIM, 40, 25, 1);
    f->queries = matrix_new(KIND_F32, Q, DIM, 40, 25, 2);
    small_options(&o, M);
    f->index = built_index(&f->base, &o, "held-out");
    assert_int_equal(nlsh_ground_truth(&f->base, &f->queries, NLSH_L2, K, NULL, &truth, NULL),
                     NLSH_OK);
    for (size_t i = 0; i < Q * K; i++) f->truth[i] = (uint32_t)truth.ids[i];
    nlsh_neighbors_free(&truth);
    const struct nlsh__segment *s = &f->index->segments[0];
    for (uint32_t b = 0; b < M; b++) {
        f->sizes[b] = s->bucket_offsets[b + 1] - s->bucket_offsets[b];
        for (size_t i = s->bucket_offsets[b]; i < s->bucket_offsets[b + 1]; i++)
            f->bucket_of[s->rows[i]] = b;
    }
    assert_int_equal(nlsh__asker_create(f->index->router, &asker, NULL), NLSH_OK);
    for (size_t i = 0; i < Q; i++)
        memcpy(f->p[i], nlsh__ask_row(&asker, &f->queries, i), sizeof f->p[i]);
    nlsh__asker_free(&asker);
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    nlsh_index_close(f->index);
    matrix_free(&f->base);
    matrix_free(&f->queries);
    return 0;
}

/* How many buckets come before b for a query. */
static size_t place_of(const struct fixture *f, size_t query, size_t b)
{
    const float *p = f->p[query];
    size_t n = 0;
    for (size_t i = 0; i < M; i++) n += p[i] > p[b] || (p[i] == p[b] && i < b);
    return n;
}

/* T of 1 and more: so many buckets; below 1 a threshold. */
static int is_scanned(const struct fixture *f, size_t query, size_t b, double T)
{
    size_t place = place_of(f, query, b);
    if (T >= 1) return place < (size_t)T;
    return place == 0 || f->p[query][b] > (float)T;
}

static double recall_of(const struct fixture *f, size_t n_queries, double T)
{
    size_t found = 0;
    for (size_t i = 0; i < n_queries; i++)
        for (size_t j = 0; j < K; j++)
            found += is_scanned(f, i, f->bucket_of[f->truth[i * K + j]], T);
    return (double)found / (double)(n_queries * K);
}

static double candidates_of(const struct fixture *f, size_t n_queries, double T)
{
    size_t n = 0;
    for (size_t i = 0; i < n_queries; i++)
        for (size_t b = 0; b < M; b++)
            if (is_scanned(f, i, b, T)) n += f->sizes[b];
    return (double)n / (double)n_queries;
}

static struct nlsh__held_out_score score_on(const struct fixture *f,
                                            const struct nlsh__held_out *held, size_t n_queries,
                                            double T, double wanted, size_t n_threads)
{
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = n_threads};
    struct nlsh__held_out_score score;
    struct nlsh__job job;
    assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
    assert_int_equal(nlsh__held_out_score(f->index->router, held, n_queries, f->bucket_of, N, M, T,
                                          wanted, &job, &score, NULL),
                     NLSH_OK);
    nlsh__job_end(&job);
    return score;
}

static struct nlsh__held_out_score score_of(const struct fixture *f, size_t n_queries, double T,
                                            double wanted, size_t n_threads)
{
    const struct nlsh__held_out held = {f->queries, f->truth, K};
    return score_on(f, &held, n_queries, T, wanted, n_threads);
}

static void agree(double a, double b)
{
    if (!(fabs(a - b) <= 1e-9 * (1 + fabs(b)))) fail_msg("%.12g, not %.12g", a, b);
}

static void recall_at_T(void **state)
{
    static const double Ts[] = {0.001, 0.05, 0.4, 1, 2, 5, M - 1, M, M + 9};
    const struct fixture *f = *state;
    for (size_t i = 0; i < sizeof Ts / sizeof *Ts; i++)
        for (size_t n = 1; n <= Q; n += 63) /* part of a block, blocks and a part */
            agree(score_of(f, n, Ts[i], 0.9, 1 + i % 3).recall, recall_of(f, n, Ts[i]));
    agree(score_of(f, 10 * Q, 3, 0.9, 2).recall, recall_of(f, Q, 3)); /* no more than there are */
}

/* Between the two thresholds of the grid that enclose it; the first one's candidates grow from nothing. */
static void candidates_at_a_recall(void **state)
{
    static const double wanted[] = {0.3, 0.7, 0.8, 0.9, 0.95, 0.99};
    const struct fixture *f = *state;
    struct nlsh__curve_grid grid;
    size_t n_between = 0;
    assert_int_equal(nlsh__curve_grid_init(M, K, f->sizes, &grid, NULL), NLSH_OK);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        struct nlsh__held_out_score score = score_of(f, Q, 1, wanted[i], 2);
        double low = 0, low_candidates = 0, low_log = 0;
        for (size_t t = 0; t < grid.n_thresholds; t++) {
            double T = grid.thresholds[t], high = recall_of(f, Q, T);
            double candidates = candidates_of(f, Q, T), share = (wanted[i] - low) / (high - low);
            if (high >= wanted[i]) {
                agree(score.candidates, low_candidates + share * (candidates - low_candidates));
                agree(log(score.threshold), t == 0 ? log(T) : low_log + share * (log(T) - low_log));
                n_between += t > 0;
                break;
            }
            low = high;
            low_candidates = candidates;
            low_log = log(T);
        }
    }
    assert_true(n_between >= 2);
    nlsh__curve_grid_free(&grid);
}

/* No threshold of the grid finds a neighbour whose bucket has less than 1e-6: only a scan of all does. The
 * router is sure of the bucket of a query that is far out. */
static void nothing_and_all(void **state)
{
    const struct fixture *f = *state;
    struct nlsh__asker asker;
    float far[DIM];
    uint32_t row = 0;
    for (size_t d = 0; d < DIM; d++) far[d] = 100 * (float)matrix_at(&f->queries, 0, d);
    const struct nlsh__held_out held = {{far, 1, DIM, NLSH_F32, 0}, &row, 1};
    assert_int_equal(nlsh__asker_create(f->index->router, &asker, NULL), NLSH_OK);
    const float *p = nlsh__ask_row(&asker, &held.queries, 0);
    while (row < N && p[f->bucket_of[row]] >= 1e-6f) row++;
    nlsh__asker_free(&asker);
    assert_true(row < N);
    struct nlsh__held_out_score score = score_on(f, &held, 1, 1, 1, 1);
    agree(score.candidates, N);
    agree(score.threshold, 0);
    agree(score_of(f, Q, 1, 0, 1).candidates, 0);
}

static enum nlsh_status score_with_little_memory(void *ctx, struct nlsh_error *error)
{
    const struct fixture *f = &fixture;
    const struct nlsh__held_out held = {f->queries, f->truth, K};
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh__held_out_score score;
    struct nlsh__job job;
    enum nlsh_status status = nlsh__job_begin(&run, &job, error);
    if (status != NLSH_OK) return status;
    status = nlsh__held_out_score(f->index->router, &held, 64, f->bucket_of, N, M, *(double *)ctx,
                                  0.9, &job, &score, error);
    nlsh__job_end(&job);
    return status;
}

static void memory_that_is_refused(void **state)
{
    (void)state;
    double Ts[] = {0.05, 3};
    for (size_t i = 0; i < 2; i++) assert_true(refuse_each(score_with_little_memory, &Ts[i]) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recall_at_T),
        cmocka_unit_test(candidates_at_a_recall),
        cmocka_unit_test(nothing_and_all),
        cmocka_unit_test(memory_that_is_refused),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests_name("measure/heldout", tests, begin, end));
}
