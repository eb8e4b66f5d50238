/*
 * test_recall.c - how good the answers are, on fixed data: a recall that is asked for is reached on
 * queries that the build has not seen, and what it costs does not grow unnoticed.
 *
 * The floors stand some way below what was measured, so that another compiler or processor passes
 * and a mistake in training, routing or codes does not.
 */
#include "support/built.h"
#include "support/counts.h"

enum { N_QUERIES = 1000, K = 10 };

static uint64_t keys[N_QUERIES * K];
static float distances[N_QUERIES * K];
static struct counts stats;

/* Recall and mean candidates of a search. */
static double measure(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                      const struct nlsh_neighbors *truth, const struct nlsh_search_options *o,
                      double *candidates)
{
    double recall = 0;
    struct nlsh_error error;
    *candidates = 0;
    if (nlsh_search_batch(index, queries, o, keys, distances, COUNT_INTO(&stats), &error) !=
        NLSH_OK)
        fail_msg("%s", error.message);
    for (size_t q = 0; q < queries->n_rows; q++) {
        recall += nlsh_recall(keys + q * K, distances + q * K, truth->ids + q * truth->k,
                              truth->distances + q * truth->k, K);
        *candidates += stats.candidates[q];
    }
    *candidates /= (double)queries->n_rows;
    return recall / (double)queries->n_rows;
}

/* most: the mean candidates that recall .8, .9, .95 and .99 may cost; top_recall: what the ten best
 * buckets must reach. */
static void check_quality(const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                          const struct nlsh_build_options *o, const double most[4],
                          double top_recall)
{
    static const double asked[] = {0.8, 0.9, 0.95, 0.99};
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    struct nlsh_search_options how;
    struct nlsh_index *index = built_index(base, o, "recall");
    double candidates;
    assert_int_equal(nlsh_ground_truth(base, queries, o->metric, K, &run, &truth, NULL), NLSH_OK);
    nlsh_search_options_init(&how, sizeof how);
    how.k = K;
    how.n_threads = 2;
    for (size_t i = 0; i < 4; i++) {
        how.recall = asked[i];
        double recall = measure(index, queries, &truth, &how, &candidates);
        printf("asked for %.2f: %.4f with %.0f candidates\n", asked[i], recall, candidates);
        assert_true(recall >= asked[i] - 0.02);
        assert_true(candidates <= most[i]);
    }
    how.probes = 10;
    double recall = measure(index, queries, &truth, &how, &candidates);
    printf("ten buckets: %.4f with %.0f candidates\n", recall, candidates);
    assert_true(recall >= top_recall);
    nlsh_neighbors_free(&truth);
    nlsh_index_close(index);
}

static void clustered_vectors(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        enum kind kind = type ? KIND_F32 : KIND_U8;
        /* Measured with four seeds: k-means 140-171, 459-488, 981-1047, 2898-3286 and .919-.924,
         * METIS 146-165, 494-517, 1088-1181, 3323-3948 and .907-.911. */
        static const double most[2][4] = {{200, 570, 1250, 4200}, {195, 600, 1400, 4900}};
        struct nlsh_build_options o;
        struct nlsh_matrix base = matrix_new(kind, 20000, 24, 300, 45, 1);
        struct nlsh_matrix queries = matrix_new(kind, N_QUERIES, 24, 300, 45, 2);
        nlsh_build_options_init(&o, sizeof o);
        o.partitioner = type ? NLSH_PARTITIONER_METIS : NLSH_PARTITIONER_KMEANS;
        o.n_buckets = 256;
        o.nodes = 128;
        o.epochs = 5;
        check_quality(&base, &queries, &o, most[type], type ? 0.895 : 0.905);
        matrix_free(&base);
        matrix_free(&queries);
    }
}

static void fashion_mnist(void **state)
{
    (void)state;
    static const char train[] = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz";
    static const char test[] = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz";
    /* Measured on four instruction sets, whose training differs: 149-150, 213-215, 289-291, 503-514. */
    static const double most[] = {175, 245, 330, 580};
    struct nlsh_vectors *base, *queries;
    struct nlsh_build_options o;
    if (access(train, R_OK) != 0 || access(test, R_OK) != 0) {
        printf("Debian's dataset-fashion-mnist is not installed\n");
        skip();
    }
    assert_int_equal(nlsh_vectors_read(train, NLSH_FORMAT_AUTO, &base, NULL), NLSH_OK);
    assert_int_equal(nlsh_vectors_read(test, NLSH_FORMAT_AUTO, &queries, NULL), NLSH_OK);
    struct nlsh_matrix some = *nlsh_vectors_matrix(base), asked = *nlsh_vectors_matrix(queries);
    some.n_rows = 10000;
    asked.n_rows = N_QUERIES;
    nlsh_build_options_init(&o, sizeof o);
    o.partitioner = NLSH_PARTITIONER_KMEANS;
    o.epochs = 10;
    check_quality(&some, &asked, &o, most, 0.993);
    nlsh_vectors_free(base);
    nlsh_vectors_free(queries);
}

/* The other metrics, where the lengths of vectors differ by a factor of ten. most: a quarter above what was
 * measured. */
static void inner_products_and_cosines(void **state)
{
    static const double most[3][4] = {{0}, {430, 680, 960, 1800}, {140, 375, 870, 3300}};
    (void)state;
    struct nlsh__rng rng;
    test_rng(&rng, 11);
    struct nlsh_matrix base = matrix_new(KIND_F32, 20000, 24, 300, 45, 14);
    struct nlsh_matrix queries = matrix_new(KIND_F32, N_QUERIES, 24, 300, 45, 15);
    float *values = (float *)(uintptr_t)base.data;
    for (size_t i = 0; i < base.n_rows; i++) {
        double factor = exp(0.4 * nlsh__rng_normal(&rng));
        for (size_t d = 0; d < base.dim; d++)
            values[i * base.dim + d] = (float)((double)values[i * base.dim + d] * factor);
    }
    for (enum nlsh_metric metric = NLSH_IP; metric <= NLSH_COSINE; metric++) {
        struct nlsh_build_options o;
        nlsh_build_options_init(&o, sizeof o);
        o.metric = metric;
        o.partitioner = NLSH_PARTITIONER_KMEANS;
        o.n_buckets = 256;
        o.nodes = 128;
        o.epochs = 5;
        check_quality(&base, &queries, &o, most[metric], 0);
    }
    matrix_free(&base);
    matrix_free(&queries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clustered_vectors),
        cmocka_unit_test(fashion_mnist),
        cmocka_unit_test(inner_products_and_cosines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
