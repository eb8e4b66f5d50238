/* test_kmeans.c - cells against loops in double, buckets against their cap. */
#include "partition/kmeans.h"

#include <math.h>

#include "partition/partition.h"
#include "testing.h"

#define UNIT 5.9604644775390625e-8

enum kind { NORMAL, FAR_OFF, CLUSTERS, COPIES, ONE_ROW, HUGE_VALUES, N_KINDS };

static struct nlsh__rng rng;

static struct nlsh__job job_of(size_t n_threads, nlsh_progress_fn *progress, void *user)
{
    struct nlsh_run run = {
        .struct_size = sizeof run, .n_threads = n_threads, .progress = progress, .user = user};
    struct nlsh__job job;
    assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
    return job;
}

static float *make_rows(enum kind kind, size_t n, size_t dim)
{
    enum { CENTERS = 20 };
    float *rows = malloc(n * dim * sizeof *rows), centers[CENTERS];
    assert_non_null(rows);
    for (size_t i = 0; i < CENTERS; i++) centers[i] = (float)nlsh__rng_normal(&rng);
    for (size_t i = 0; i < n * dim; i++) {
        float center = centers[(i / dim + 7 * (i % dim)) % CENTERS];
        float v = (float)nlsh__rng_normal(&rng);
        rows[i] = kind == FAR_OFF       ? 1e4f + v
                  : kind == CLUSTERS    ? 100 * center + v
                  : kind == COPIES      ? center
                  : kind == ONE_ROW     ? 0.3f
                  : kind == HUGE_VALUES ? 1e30f * v
                                        : v;
    }
    return rows;
}

static double l2sq_of(const float *a, const float *b, size_t dim)
{
    double sum = 0;
    for (size_t d = 0; d < dim; d++)
        sum += ((double)a[d] - (double)b[d]) * ((double)a[d] - (double)b[d]);
    return sum;
}

/* ---- the nearest centroids ------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What f32 products about the centroids' mean may be off: as rounding() of graph/exact.c. */
static double slack(const float *row, const float *centroids, size_t k, size_t dim, double l2sq)
{
    double norm = 0;
    for (size_t d = 0; d < dim; d++) {
        double mean = 0;
        for (size_t j = 0; j < k; j++) mean += (double)centroids[j * dim + d] / (double)k;
        norm += ((double)row[d] - mean) * ((double)row[d] - mean);
    }
    double length = 2 * sqrt(norm) + sqrt(l2sq);
    return 2 * ((double)dim + 6) * UNIT * length * length;
}

typedef enum nlsh_status nearest_fn(const float *rows, size_t n, size_t dim, const float *centroids,
                                    const float *penalty, size_t k, size_t n_best,
                                    const float *at_most, const struct nlsh__job *job,
                                    uint32_t *best, float *l2sq, struct nlsh_error *error);

/* missed: how much farther an answer may be, in units of what bf16 rounds. */
static void check_nearest(nearest_fn *nearest, double missed, enum kind kind, size_t n, size_t dim,
                          size_t k, size_t n_best, int with_penalty)
{
    float *rows = make_rows(kind, n, dim), *centroids = make_rows(kind, k, dim);
    float *penalty = with_penalty ? malloc(k * sizeof *penalty) : NULL;
    float *l2sq = malloc(n * n_best * sizeof *l2sq);
    uint32_t *best = malloc(n * n_best * sizeof *best), *alone = malloc(n * n_best * sizeof *best);
    float *at_most = malloc(n * sizeof *at_most);
    double *all = malloc(k * sizeof *all);
    struct nlsh__job job = job_of(2, NULL, NULL);
    for (size_t j = 0; with_penalty && j < k; j++) penalty[j] = (float)nlsh__rng_uniform(&rng);
    assert_int_equal(
        nearest(rows, n, dim, centroids, penalty, k, n_best, NULL, &job, best, l2sq, NULL),
        NLSH_OK);
    /* Told how far the last is, or up to twice as far, it names the same. */
    for (int told = 0; told < 3; told++) {
        for (size_t i = 0; i < n; i++)
            at_most[i] = l2sq[(i + 1) * n_best - 1] * (1 + (float)((told - 1) * (int)(i % 3)) / 2);
        assert_int_equal(nearest(rows, n, dim, centroids, penalty, k, n_best,
                                 told > 0 ? at_most : NULL, &job, alone, NULL, NULL),
                         NLSH_OK);
        assert_memory_equal(best, alone, n * n_best * sizeof *best);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < k; j++)
            all[j] = l2sq_of(rows + i * dim, centroids + j * dim, dim) +
                     (with_penalty ? (double)penalty[j] : 0);
        double bound = 0;
        for (size_t b = 0; b < n_best; b++) {
            uint32_t id = best[i * n_best + b];
            float found = l2sq[i * n_best + b];
            assert_true(id < k);
            for (size_t c = 0; c < b; c++) assert_true(best[i * n_best + c] != id);
            bound = slack(rows + i * dim, centroids, k, dim, all[id]);
            if (fabs((double)found - all[id]) > bound)
                fail_msg("row %zu, centroid %u: %.9g, not %.9g", i, id, (double)found, all[id]);
            assert_true(b == 0 || found >= l2sq[i * n_best + b - 1]);
        }
        qsort(all, k, sizeof *all, by_value);
        bound *= 1 + missed * 65536 / (double)(dim + 6); /* f32's 24 bits, bf16's 8 */
        for (size_t b = 0; b < n_best; b++)              /* nothing nearer was left out */
            assert_true(fabs((double)l2sq[i * n_best + b] - all[b]) <= bound);
    }
    nlsh__job_end(&job);
    free(rows);
    free(centroids);
    free(penalty);
    free(l2sq);
    free(best);
    free(alone);
    free(at_most);
    free(all);
}

static void nearest_cells_equal_a_loop(void **state)
{
    static const size_t shapes[][4] = {/* n, dim, k, n_best */
                                       {1, 1, 1, 1},     {5, 3, 15, 15},   {95, 8, 16, 1},
                                       {96, 2, 17, 4},   {97, 33, 64, 5},  {200, 5, 257, 16},
                                       {50, 64, 530, 1}, {3, 5, 600, 600}, {2, 4, 300, 100}};
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (enum kind kind = s % TEST_STRIDE; kind <= ONE_ROW; kind += TEST_STRIDE)
            for (int with_penalty = 0; with_penalty < 2; with_penalty++)
                check_nearest(nlsh__nearest_cells, 0, kind, shapes[s][0], shapes[s][1],
                              shapes[s][2], shapes[s][3], with_penalty);
}

/* As balancing asks: how far the last can be is known from other penalties. */
static void what_the_last_has_at_most_changes_nothing(void **state)
{
    enum { N = 120, DIM = 40, K = 500, BEST = 16 };
    static uint32_t told[N * BEST], best[N * BEST];
    static float l2sq[N * BEST], at_most[N], penalty[K], before[K];
    struct nlsh__job job = job_of(2, NULL, NULL);
    (void)state;
    for (enum kind kind = 0; kind <= ONE_ROW; kind++) {
        float *rows = make_rows(kind, N, DIM), *centroids = make_rows(kind, K, DIM);
        for (size_t j = 0; j < K; j++) before[j] = 9 * (float)nlsh__rng_uniform(&rng);
        for (size_t j = 0; j < K; j++) penalty[j] = j % 3 > 0 ? before[j] / (float)(j % 7 + 1) : 0;
        assert_int_equal(nlsh__nearest_cells(rows, N, DIM, centroids, before, K, BEST, NULL, &job,
                                             told, l2sq, NULL),
                         NLSH_OK);
        for (size_t i = 0; i < N; i++) {
            at_most[i] = 0;
            for (size_t b = i * BEST; b < (i + 1) * BEST; b++)
                at_most[i] = fmaxf(at_most[i], l2sq[b] - before[told[b]] + penalty[told[b]]);
            at_most[i] += 9 * 1e-6f;
        }
        assert_int_equal(nlsh__nearest_cells(rows, N, DIM, centroids, penalty, K, BEST, at_most,
                                             &job, told, NULL, NULL),
                         NLSH_OK);
        assert_int_equal(nlsh__nearest_cells(rows, N, DIM, centroids, penalty, K, BEST, NULL, &job,
                                             best, NULL, NULL),
                         NLSH_OK);
        assert_memory_equal(told, best, sizeof best);
        free(rows);
        free(centroids);
    }
    nlsh__job_end(&job);
}

/* Sizes at which products in bf16 serve, where there are any; the last goes over several chunks. */
static void near_cells_are_as_near(void **state)
{
    static const size_t shapes[][4] = {
        {1, 1, 128, 1},   {63, 31, 130, 4},  {64, 32, 191, 16},  {65, 33, 193, 1},
        {97, 64, 500, 5}, {200, 5, 257, 16}, {150, 70, 2100, 3},
    };
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (enum kind kind = s % TEST_STRIDE; kind <= ONE_ROW; kind += TEST_STRIDE)
            for (int with_penalty = 0; with_penalty < 2; with_penalty++)
                check_nearest(nlsh__near_cells, 2, kind, shapes[s][0], shapes[s][1], shapes[s][2],
                              shapes[s][3], with_penalty);
}

static void equal_centroids_tie_to_the_first(void **state)
{
    float rows[40 * 3], centroids[300 * 3];
    uint32_t best[40];
    struct nlsh__job job = job_of(1, NULL, NULL);
    (void)state;
    for (size_t i = 0; i < 40 * 3; i++) rows[i] = (float)nlsh__rng_normal(&rng);
    for (size_t i = 0; i < 300 * 3; i++) centroids[i] = i / 3 % 2 == 0 ? 0.25f : -3.5f;
    assert_int_equal(
        nlsh__nearest_cells(rows, 40, 3, centroids, NULL, 300, 1, NULL, &job, best, NULL, NULL),
        NLSH_OK);
    for (size_t i = 0; i < 40; i++) assert_true(best[i] < 2);
    nlsh__job_end(&job);
}

/* ---- Lloyd ----------------------------------------------------------------------------------- */

static double objective(const float *rows, size_t n, size_t dim, const float *centroids, size_t k)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double least = INFINITY;
        for (size_t j = 0; j < k; j++)
            least = fmin(least, l2sq_of(rows + i * dim, centroids + j * dim, dim));
        sum += least;
    }
    return sum;
}

/* Textbook Lloyd from random rows, in double where it counts; an empty cell stays where it is. */
static double naive_lloyd(const float *rows, size_t n, size_t dim, size_t k, size_t iterations)
{
    float *centroids = malloc(k * dim * sizeof *centroids);
    double *sums = malloc(k * dim * sizeof *sums);
    size_t *sizes = malloc(k * sizeof *sizes);
    for (size_t j = 0; j < k; j++)
        memcpy(centroids + j * dim, rows + nlsh__rng_below(&rng, n) * dim, dim * sizeof *rows);
    for (size_t it = 0; it < iterations; it++) {
        memset(sums, 0, k * dim * sizeof *sums);
        memset(sizes, 0, k * sizeof *sizes);
        for (size_t i = 0; i < n; i++) {
            size_t best = 0;
            double least = INFINITY;
            for (size_t j = 0; j < k; j++) {
                double l2sq = l2sq_of(rows + i * dim, centroids + j * dim, dim);
                if (l2sq < least) {
                    least = l2sq;
                    best = j;
                }
            }
            sizes[best]++;
            for (size_t d = 0; d < dim; d++) sums[best * dim + d] += (double)rows[i * dim + d];
        }
        for (size_t j = 0; j < k; j++)
            for (size_t d = 0; sizes[j] > 0 && d < dim; d++)
                centroids[j * dim + d] = (float)(sums[j * dim + d] / (double)sizes[j]);
    }
    double result = objective(rows, n, dim, centroids, k);
    free(centroids);
    free(sums);
    free(sizes);
    return result;
}

static double our_objective(const float *rows, size_t n, size_t dim, size_t k, size_t iterations,
                            uint64_t seed)
{
    float *centroids = malloc(k * dim * sizeof *centroids);
    struct nlsh__job job = job_of(1, NULL, NULL);
    assert_int_equal(nlsh__kmeans(rows, n, dim, k, iterations, seed, &job, centroids, NULL, NULL),
                     NLSH_OK);
    double result = objective(rows, n, dim, centroids, k);
    nlsh__job_end(&job);
    free(centroids);
    return result;
}

static void as_good_as_a_textbook(void **state)
{
    static const size_t shapes[][3] = {{1000, 6, 20}, {2000, 3, 4}, {600, 12, 90}};
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (enum kind kind = NORMAL; kind <= FAR_OFF; kind++) {
            size_t n = shapes[s][0], dim = shapes[s][1], k = shapes[s][2];
            float *rows = make_rows(kind, n, dim);
            double ours = 0, naive = 0;
            for (uint64_t seed = 0; seed < 3; seed += TEST_STRIDE) {
                ours += our_objective(rows, n, dim, k, 10, seed);
                naive += naive_lloyd(rows, n, dim, k, 10);
            }
            if (!(ours <= 1.05 * naive))
                fail_msg("n %zu, dim %zu, k %zu: %g, and %g for a textbook", n, dim, k, ours,
                         naive);
            free(rows);
        }
}

static void more_iterations_are_not_worse(void **state)
{
    float *rows = make_rows(NORMAL, 900, 5);
    double before = INFINITY;
    (void)state;
    for (size_t iterations = 0; iterations < 15; iterations++) {
        double now = our_objective(rows, 900, 5, 12, iterations, 3);
        assert_true(now <= before * (1 + 1e-5));
        before = now;
    }
    free(rows);
}

static void answers_for_every_row(void **state)
{
    float *rows = make_rows(CLUSTERS, 700, 4), centroids[30 * 4];
    uint32_t cell_of[700];
    struct nlsh__job job = job_of(2, NULL, NULL);
    (void)state;
    assert_int_equal(nlsh__kmeans(rows, 700, 4, 30, 5, 1, &job, centroids, cell_of, NULL), NLSH_OK);
    for (size_t i = 0; i < 700; i++) {
        double mine = l2sq_of(rows + i * 4, centroids + cell_of[i] * 4, 4);
        for (size_t j = 0; j < 30; j++) {
            double other = l2sq_of(rows + i * 4, centroids + j * 4, 4);
            assert_true(mine <= other + slack(rows + i * 4, centroids, 30, 4, mine));
        }
    }
    nlsh__job_end(&job);
    free(rows);
}

static void one_cell_and_a_cell_each(void **state)
{
    float *rows = make_rows(FAR_OFF, 60, 3), centroids[60 * 3];
    uint32_t cell_of[60], seen[60] = {0};
    struct nlsh__job job = job_of(1, NULL, NULL);
    (void)state;
    assert_int_equal(nlsh__kmeans(rows, 60, 3, 1, 4, 1, &job, centroids, cell_of, NULL), NLSH_OK);
    for (size_t d = 0; d < 3; d++) {
        double mean = 0;
        for (size_t i = 0; i < 60; i++) mean += (double)rows[i * 3 + d] / 60;
        assert_true(fabs((double)centroids[d] - mean) <= 2 * UNIT * fabs(mean));
    }
    for (size_t i = 0; i < 60; i++) assert_int_equal(cell_of[i], 0);
    assert_int_equal(nlsh__kmeans(rows, 60, 3, 60, 4, 1, &job, centroids, cell_of, NULL), NLSH_OK);
    for (size_t i = 0; i < 60; i++) {
        assert_int_equal(seen[cell_of[i]]++, 0);
        assert_memory_equal(rows + i * 3, centroids + cell_of[i] * 3, 3 * sizeof *rows);
    }
    nlsh__job_end(&job);
    free(rows);
}

static void finite_whatever_the_rows(void **state)
{
    float centroids[50 * 4];
    uint32_t cell_of[200];
    struct nlsh__job job = job_of(1, NULL, NULL);
    (void)state;
    for (enum kind kind = NORMAL; kind < N_KINDS; kind++) {
        float *rows = make_rows(kind, 200, 4);
        assert_int_equal(nlsh__kmeans(rows, 200, 4, 50, 5, 1, &job, centroids, cell_of, NULL),
                         NLSH_OK);
        for (size_t i = 0; i < 50 * 4; i++) assert_true(isfinite(centroids[i]));
        for (size_t i = 0; i < 200; i++) assert_true(cell_of[i] < 50);
        free(rows);
    }
    nlsh__job_end(&job);
}

static void same_for_any_number_of_threads(void **state)
{
    float *rows = make_rows(NORMAL, 3000, 7), centroids[3][10 * 7];
    uint32_t *cell_of = malloc(3 * 3000 * sizeof *cell_of);
    uint32_t *bucket_of = malloc(3 * 3000 * sizeof *bucket_of);
    (void)state;
    for (size_t t = 0; t < 3; t++) { /* 3000 rows for 10 centroids: a sample */
        struct nlsh__job job = job_of(t + 1, NULL, NULL);
        assert_int_equal(
            nlsh__kmeans(rows, 3000, 7, 10, 6, 9, &job, centroids[t], cell_of + t * 3000, NULL),
            NLSH_OK);
        assert_int_equal(
            nlsh__partition_kmeans(rows, 3000, 7, 31, 0.05, 9, &job, bucket_of + t * 3000, NULL),
            NLSH_OK);
        nlsh__job_end(&job);
        assert_memory_equal(centroids[t], centroids[0], sizeof centroids[0]);
        assert_memory_equal(cell_of + t * 3000, cell_of, 3000 * sizeof *cell_of);
        assert_memory_equal(bucket_of + t * 3000, bucket_of, 3000 * sizeof *bucket_of);
    }
    free(rows);
    free(cell_of);
    free(bucket_of);
}

/* ---- buckets --------------------------------------------------------------------------------- */

static void check_buckets(enum kind kind, size_t n, size_t dim, size_t m, double imbalance)
{
    float *rows = make_rows(kind, n, dim);
    uint32_t *bucket_of = malloc(n * sizeof *bucket_of);
    size_t *sizes = calloc(m, sizeof *sizes);
    size_t even = (n + m - 1) / m, wide = (size_t)((1 + imbalance) * (double)n / (double)m + 1e-9);
    struct nlsh__job job = job_of(2, NULL, NULL);
    struct nlsh_error error = {0};
    enum nlsh_status status =
        nlsh__partition_kmeans(rows, n, dim, m, imbalance, 5, &job, bucket_of, &error);
    if (status != NLSH_OK) fail_msg("%zu rows in %zu: %s", n, m, error.message);
    for (size_t i = 0; i < n; i++) {
        assert_true(bucket_of[i] < m);
        sizes[bucket_of[i]]++;
    }
    for (size_t j = 0; j < m; j++) {
        assert_true(sizes[j] >= 1);
        assert_true(sizes[j] <= (even > wide ? even : wide));
    }
    nlsh__job_end(&job);
    free(rows);
    free(bucket_of);
    free(sizes);
}

static void buckets_keep_the_cap(void **state)
{
    static const size_t shapes[][3] = {/* n, dim, m */
                                       {1, 1, 1},   {50, 2, 1},    {50, 3, 50},  {51, 3, 50},
                                       {103, 4, 7}, {1003, 5, 16}, {997, 3, 64}, {400, 2, 399}};
    static const double imbalances[] = {0, 0.03, 0.5, 1e6};
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (size_t i = 0; i < sizeof imbalances / sizeof *imbalances; i++)
            for (enum kind kind = (s + i) % TEST_STRIDE; kind < N_KINDS; kind += TEST_STRIDE)
                check_buckets(kind, shapes[s][0], shapes[s][1], shapes[s][2], imbalances[i]);
}

static double spread_of(const float *rows, size_t n, size_t dim, const uint32_t *bucket_of,
                        size_t m)
{
    double *sums = calloc(m * dim, sizeof *sums), result = 0;
    size_t *sizes = calloc(m, sizeof *sizes);
    for (size_t i = 0; i < n; i++) {
        sizes[bucket_of[i]]++;
        for (size_t d = 0; d < dim; d++) sums[bucket_of[i] * dim + d] += (double)rows[i * dim + d];
    }
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < dim; d++) {
            double mean = sums[bucket_of[i] * dim + d] / (double)sizes[bucket_of[i]];
            result += ((double)rows[i * dim + d] - mean) * ((double)rows[i * dim + d] - mean);
        }
    free(sums);
    free(sizes);
    return result;
}

/* The cap is paid for, but not with the cells' sense: uneven data in even buckets. */
static void a_cap_costs_little(void **state)
{
    enum { N = 2000, DIM = 4, M = 25 };
    float *rows = make_rows(NORMAL, N, DIM);
    uint32_t bucket_of[N];
    struct nlsh__job job = job_of(1, NULL, NULL);
    double naive = naive_lloyd(rows, N, DIM, M, 12);
    (void)state;
    assert_int_equal(nlsh__partition_kmeans(rows, N, DIM, M, 0.5, 1, &job, bucket_of, NULL),
                     NLSH_OK);
    assert_true(spread_of(rows, N, DIM, bucket_of, M) <= 1.1 * naive);
    assert_int_equal(nlsh__partition_kmeans(rows, N, DIM, M, 0.03, 1, &job, bucket_of, NULL),
                     NLSH_OK);
    assert_true(spread_of(rows, N, DIM, bucket_of, M) <= 1.3 * naive);
    nlsh__job_end(&job);
    free(rows);
}

/* Half of the rows are divided; the others go by cells, and fill buckets as those did. */
static void others_go_where_such_rows_are(void **state)
{
    enum { N = 8000, DIM = 12, M = 40 };
    static const double imbalances[] = {0.5, 0.05};
    (void)state;
    for (int kind = NORMAL; kind <= CLUSTERS; kind++)
        for (size_t i = 0; i < 2; i++) {
            float *rows = make_rows((enum kind)kind, 2 * N, DIM);
            uint32_t bucket_of[N], best[2 * N];
            float centroids[M * DIM], penalty[M];
            size_t sizes[M] = {0}, same = 0, over = 0, n_stay = 0,
                   cap = nlsh__bucket_cap(N, M, imbalances[i]);
            struct nlsh__job job = job_of(2, NULL, NULL);
            assert_int_equal(
                nlsh__partition_kmeans(rows, N, DIM, M, imbalances[i], 1, &job, bucket_of, NULL),
                NLSH_OK);
            assert_int_equal(nlsh__capped_cells(rows, N, DIM, M, imbalances[i], bucket_of, &job,
                                                centroids, penalty, &n_stay, NULL),
                             NLSH_OK);
            assert_int_equal(nlsh__near_cells(rows, 2 * N, DIM, centroids, penalty, M, 1, NULL,
                                              &job, best, NULL, NULL),
                             NLSH_OK);
            for (size_t r = 0; r < N; r++) same += best[r] == bucket_of[r];
            for (size_t r = N; r < 2 * N; r++) sizes[best[r]]++;
            for (size_t b = 0; b < M; b++) over += sizes[b] > cap ? sizes[b] - cap : 0;
            print_message("kind %d, imbalance %g: %zu of %d rows stay, %zu are over the cap\n",
                          kind, imbalances[i], same, N, over);
            assert_true(n_stay <= same + N / 50 && same <= n_stay + N / 50); /* the last step */
            /* groups that hold several buckets have no borders that penalties could move */
            if (kind != CLUSTERS) assert_true(same * 100 >= (size_t)N * 95);
            if (kind != CLUSTERS) assert_true(over * 100 <= (size_t)N * 4);
            nlsh__job_end(&job);
            free(rows);
        }
}

static void refuses_impossible_numbers(void **state)
{
    float rows[10] = {0};
    uint32_t bucket_of[10];
    struct nlsh__job job = job_of(1, NULL, NULL);
    static const size_t ms[] = {0, 11, 1000};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct nlsh_error error = {0};
        char number[32];
        snprintf(number, sizeof number, "%zu", ms[i]);
        assert_int_equal(
            nlsh__partition_kmeans(rows, 10, 1, ms[i], 0.1, 1, &job, bucket_of, &error),
            NLSH_E_ARG);
        assert_non_null(strstr(error.message, number));
        assert_true(error.hint[0] != '\0');
    }
    nlsh__job_end(&job);
}

static int stop_at(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)stage;
    assert_true(done <= total);
    return (*(int *)user)-- <= 0;
}

static void stops_when_asked(void **state)
{
    float *rows = make_rows(CLUSTERS, 500, 3);
    uint32_t bucket_of[500];
    enum nlsh_status status = NLSH_E_INTERRUPTED;
    int calls = 0;
    (void)state;
    for (; status != NLSH_OK; calls++) {
        int left = calls;
        struct nlsh__job job = job_of(2, stop_at, &left);
        status = nlsh__partition_kmeans(rows, 500, 3, 9, 0, 1, &job, bucket_of, NULL);
        nlsh__job_end(&job);
        assert_true(status == NLSH_OK || status == NLSH_E_INTERRUPTED);
        assert_true(calls < 1000);
    }
    assert_true(calls > 12); /* it asked at every iteration */
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_cells_equal_a_loop),
        cmocka_unit_test(what_the_last_has_at_most_changes_nothing),
        cmocka_unit_test(near_cells_are_as_near),
        cmocka_unit_test(equal_centroids_tie_to_the_first),
        cmocka_unit_test(as_good_as_a_textbook),
        cmocka_unit_test(more_iterations_are_not_worse),
        cmocka_unit_test(answers_for_every_row),
        cmocka_unit_test(one_cell_and_a_cell_each),
        cmocka_unit_test(finite_whatever_the_rows),
        cmocka_unit_test(same_for_any_number_of_threads),
        cmocka_unit_test(buckets_keep_the_cap),
        cmocka_unit_test(a_cap_costs_little),
        cmocka_unit_test(others_go_where_such_rows_are),
        cmocka_unit_test(refuses_impossible_numbers),
        cmocka_unit_test(stops_when_asked),
    };
    test_rng(&rng, 0);
    return cmocka_run_group_tests_name("partition/kmeans", tests, NULL, NULL);
}
