/* test_leaves.c - rows in leaves: whose rows stand together, what a leaf scores, and sections that are not
 * what they should be. */
#include "codes/make/leaves.h"

#include <math.h>

#include "codes/score.h"
#include "index/index.h"
#include "support/built.h"
#include "support/counting.h"
#include "support/counts.h"
#include "support/leaves.h"

enum { N = 1000, M = 5, DIM = 24, P = 16 };

static void *aligned(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    assert_non_null(memory);
    return memory;
}

static struct nlsh__job job_of(size_t n_threads)
{
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = n_threads};
    struct nlsh__job job;
    assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
    return job;
}

/* Buckets of very different sizes, one empty, one smaller than a leaf. */
static const uint32_t offsets[M + 1] = {0, 400, 400, 411, 427, N};

static float *inputs_of(int copies)
{
    float *inputs = malloc((size_t)N * P * sizeof *inputs);
    struct nlsh__rng rng;
    test_rng(&rng, 5);
    assert_non_null(inputs);
    for (size_t i = 0; i < (size_t)N * P; i++)
        inputs[i] = copies ? 1 : (float)nlsh__rng_normal(&rng) * (float)(1 + i % P % 3);
    return inputs;
}

/* Mean squared distance of rows to the mean of their 16. */
static double spread(const float *inputs, const uint32_t *ids)
{
    double sum = 0;
    for (size_t b = 0; b < M; b++)
        for (size_t first = offsets[b]; first < offsets[b + 1]; first += 16) {
            size_t n = offsets[b + 1] - first < 16 ? offsets[b + 1] - first : 16;
            for (size_t d = 0; d < P; d++) {
                double mean = 0;
                for (size_t i = 0; i < n; i++)
                    mean += (double)inputs[ids[first + i] * (size_t)P + d] / (double)n;
                for (size_t i = 0; i < n; i++) {
                    double v = (double)inputs[ids[first + i] * (size_t)P + d] - mean;
                    sum += v * v / N;
                }
            }
        }
    return sum;
}

static void rows_of_a_leaf_lie_close_together(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        float *inputs = inputs_of(copies);
        uint32_t ids[2][N];
        for (size_t t = 0; t < 2; t++) {
            struct nlsh__job job = job_of(t + 1);
            for (size_t i = 0; i < N; i++) ids[t][i] = (uint32_t)(N - 1 - i);
            double before = spread(inputs, ids[t]);
            assert_int_equal(nlsh__order_leaves(inputs, P, offsets, M, &job, ids[t], NULL),
                             NLSH_OK);
            /* normal rows in 16 dimensions: halving five times takes a quarter off */
            if (!copies) assert_true(spread(inputs, ids[t]) < 0.8 * before);
            nlsh__job_end(&job);
        }
        assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
        for (size_t b = 0; b < M; b++) { /* the same rows as before in every bucket */
            uint8_t seen[N] = {0};
            for (size_t i = offsets[b]; i < offsets[b + 1]; i++) seen[ids[0][i]]++;
            for (size_t i = 0; i < N; i++)
                assert_int_equal(seen[N - 1 - i], i >= offsets[b] && i < offsets[b + 1]);
        }
        free(inputs);
    }
}

/* Halving cuts through clusters, wherever their number is no power of two; exchanges between leaves gather their rows again. */
static void clusters_of_16_become_leaves(void **state)
{
    enum { CLUSTERS = 37, ROWS = 16 * CLUSTERS };
    static float inputs[ROWS * P];
    static const uint32_t all[2] = {0, ROWS};
    struct nlsh__job job = job_of(1);
    struct nlsh__rng rng;
    uint32_t ids[ROWS];
    size_t whole = 0;
    (void)state;
    test_rng(&rng, 11);
    for (size_t c = 0; c < CLUSTERS; c++)
        for (size_t d = 0; d < P; d++) {
            float middle = (float)nlsh__rng_normal(&rng);
            for (size_t i = 0; i < 16; i++)
                inputs[(c + CLUSTERS * i) * P + d] = middle + 0.1f * (float)nlsh__rng_normal(&rng);
        }
    for (size_t i = 0; i < ROWS; i++) ids[i] = (uint32_t)i;
    assert_int_equal(nlsh__order_leaves(inputs, P, all, 1, &job, ids, NULL), NLSH_OK);
    for (size_t leaf = 0; leaf < CLUSTERS; leaf++) {
        size_t same = 0;
        for (size_t i = 0; i < 16; i++)
            same += ids[16 * leaf + i] % CLUSTERS == ids[16 * leaf] % CLUSTERS;
        whole += same == 16;
    }
    assert_int_equal(whole, CLUSTERS);
    nlsh__job_end(&job);
}

/* ---- through an index ------------------------------------------------------------------------ */

static struct nlsh_index *index_in_leaves(struct nlsh_matrix *base, size_t leaves)
{
    struct nlsh_build_options o;
    small_options(&o, 6);
    o.leaves = leaves;
    return built_index(base, &o, "leaves");
}

static void a_leaf_scores_as_its_rows_do(void **state)
{
    (void)state;
    struct nlsh_matrix base = matrix_new(KIND_F32, N, DIM, 12, 14, 3);
    struct nlsh_index *index = index_in_leaves(&base, 1);
    check_leaves(index, &index->segments[0]);
    nlsh_index_close(index);
    matrix_free(&base);
}

/* What searches find with leaves: as much as was asked for, from fewer vectors; with T, what they find
 * without. */
static void leaves_leave_out_what_does_not_matter(void **state)
{
    (void)state;
    enum { ROWS = 6000, QUERIES = 200, K = 10 };
    static uint64_t keys[2][QUERIES * K];
    static struct counts stats[2];
    struct nlsh_matrix base = matrix_new(KIND_U8, ROWS, DIM, 30, 22, 7);
    struct nlsh_matrix queries = matrix_new(KIND_U8, QUERIES, DIM, 30, 22, 8);
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    const struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    assert_int_equal(nlsh_ground_truth(&base, &queries, NLSH_L2, K, &run, &truth, NULL), NLSH_OK);
    struct nlsh_index *indexes[2];
    for (size_t leaves = 0; leaves < 2; leaves++) {
        indexes[leaves] = index_in_leaves(&base, leaves);
        assert_int_equal(unlink(test_path("leaves")), 0); /* it is mapped */
    }
    for (int by_t = 0; by_t < 2; by_t++) {
        size_t hits = 0, scanned[2] = {0};
        for (size_t leaves = 0; leaves < 2; leaves++) {
            struct nlsh_search_options how;
            nlsh_search_options_init(&how, sizeof how);
            how.probes = by_t ? 3 : 0;
            assert_int_equal(nlsh_search_batch(indexes[leaves], &queries, &how, keys[leaves], NULL,
                                               COUNT_INTO(&stats[leaves]), NULL),
                             NLSH_OK);
            for (size_t q = 0; q < QUERIES; q++) scanned[leaves] += stats[leaves].candidates[q];
        }
        for (size_t q = 0; q < QUERIES; q++)
            for (size_t i = 0; i < K; i++)
                for (size_t j = 0; j < K; j++) hits += keys[1][q * K + i] == truth.ids[q * K + j];
        if (by_t) {
            assert_int_equal(scanned[0], scanned[1]);
            assert_memory_equal(keys[0], keys[1], sizeof keys[0]);
        } else {
            assert_true(hits >= 0.93 * QUERIES * K);
            assert_true(scanned[1] < 0.8 * (double)scanned[0]);
        }
    }
    for (size_t leaves = 0; leaves < 2; leaves++) nlsh_index_close(indexes[leaves]);
    nlsh_neighbors_free(&truth);
    matrix_free(&base);
    matrix_free(&queries);
}

/* What is asked for at 100 neighbours holds as at 10: their buckets are less probable ones. */
static void many_neighbours_are_found_too(void **state)
{
    (void)state;
    enum { ROWS = 6000, QUERIES = 200, K = 100 };
    static uint64_t keys[QUERIES * K];
    struct nlsh_matrix base = matrix_new(KIND_F32, ROWS, 96, 300, 8, 7);
    struct nlsh_matrix queries = matrix_new(KIND_F32, QUERIES, 96, 300, 8, 8);
    struct nlsh_neighbors truth = {.struct_size = sizeof truth};
    const struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 2};
    struct nlsh_build_options o;
    small_options(&o, 24);
    o.nodes = 64;
    o.epochs = 12;
    struct nlsh_index *index = built_index(&base, &o, "many");
    assert_non_null(index->segments[0].leaves);
    assert_int_equal(nlsh_ground_truth(&base, &queries, NLSH_L2, K, &run, &truth, NULL), NLSH_OK);
    struct nlsh_search_options how;
    nlsh_search_options_init(&how, sizeof how);
    how.k = K;
    for (size_t i = 0; i < 3; i++) {
        size_t hits = 0;
        how.recall = i == 0 ? 0.9 : i == 1 ? 0.95 : 0.99;
        assert_int_equal(nlsh_search_batch(index, &queries, &how, keys, NULL, NULL, NULL), NLSH_OK);
        for (size_t q = 0; q < QUERIES; q++)
            for (size_t a = q * K; a < (q + 1) * K; a++)
                for (size_t b = q * K; b < (q + 1) * K; b++) hits += keys[a] == truth.ids[b];
        if ((double)hits < (how.recall - 0.02) * QUERIES * K)
            fail_msg("recall@100 %g where %g was asked for", (double)hits / (QUERIES * K),
                     how.recall);
    }
    nlsh_neighbors_free(&truth);
    nlsh_index_close(index);
    matrix_free(&base);
    matrix_free(&queries);
}

/* ---- sections that are not what they should be ----------------------------------------------- */

/* words: of the refusal; "" where the section is taken all the same. */
static void expect_damage(const struct nlsh_index *index, const void *bytes, size_t size,
                          const char *words)
{
    struct nlsh__leaves *leaves;
    struct nlsh_error error = {0};
    enum nlsh_status status =
        nlsh__leaves_open(bytes, size, NLSH__LEAVES_VERSION, index->segments[0].codes,
                          index->meta.n_buckets, &leaves, &error);
    if (status != (words[0] != '\0' ? NLSH_E_DATA : NLSH_OK) ||
        strstr(error.message, words) == NULL)
        fail_msg("%s: status %d, %s", words, (int)status, error.message);
    assert_int_equal(leaves == NULL, status != NLSH_OK);
    nlsh__leaves_close(leaves);
}

/* The bytes of the section in the open file. */
static const void *leaves_of(const struct nlsh_index *index, size_t *size)
{
    struct nlsh_section_info section = {.struct_size = sizeof section};
    size_t i = 0;
    while (nlsh_index_section(index, i++, &section))
        if (strcmp(section.name, "leaves") == 0) {
            *size = (size_t)section.size_bytes;
            return index->map.data + section.offset;
        }
    fail_msg("no leaves");
    return NULL;
}

static void damaged_sections_are_refused(void **state)
{
    (void)state;
    struct nlsh_matrix base = matrix_new(KIND_U8, N, DIM, 12, 14, 3);
    struct nlsh_index *index = index_in_leaves(&base, 1);
    size_t size = 0, header = sizeof(struct nlsh__leaves_header);
    const void *whole = leaves_of(index, &size);
    struct nlsh__leaves_header *h = aligned(size);
#define WITH(change, words)                                                                        \
    do {                                                                                           \
        memcpy(h, whole, size);                                                                    \
        change;                                                                                    \
        expect_damage(index, h, size, words);                                                      \
    } while (0)
    for (size_t cut = 0; cut < size; cut += cut < 300 ? 1 : 64) {
        memcpy(h, whole, size);
        expect_damage(index, h, cut, cut < header ? "truncated" : "length");
    }
    WITH((void)0, "");
    WITH(h->magic[0] ^= 1, "first bytes");
    WITH(h->size_bytes++, "length");
    WITH(h->n_groups++, "these codes");
    WITH(h->n_groups = 0, "these codes");
    WITH(h->n_components += 8, "these codes");
    WITH(h->error_unit = NAN, "scale");
    WITH(h->error_unit = -1, "scale");
    WITH(h->reserved[35] = 1, "");
#undef WITH
    free(h);
    nlsh_index_close(index);
    matrix_free(&base);
}

/* Format 2 had the margins in a header of 256 bytes: slope at byte 28, then 3 numbers of neighbours, 8 shares
 * and 24 margins. */
static void margins_of_format_2(void **state)
{
    (void)state;
    static const float slopes[] = {0, 0.45f, 1e9f, 1.1e9f, -0.1f, NAN, INFINITY};
    struct nlsh_matrix base = matrix_new(KIND_U8, N, DIM, 12, 14, 3);
    struct nlsh_index *index = index_in_leaves(&base, 1);
    size_t size = 0, header = sizeof(struct nlsh__leaves_header);
    const uint8_t *whole = leaves_of(index, &size);
    const uint32_t ks[] = {1, 10, 100};
    float losses[8], margins[24];
    uint8_t *old = aligned(size + 192);
    uint64_t old_size = size + 192;
    for (size_t i = 0; i < 8; i++) losses[i] = (float)(i + 1) / 100;
    for (size_t i = 0; i < 24; i++) margins[i] = 3 - (float)(i % 8);
    memset(old, 0, 256);
    memcpy(old, whole, header);
    memcpy(old + 8, &old_size, sizeof old_size);
    memcpy(old + 32, ks, sizeof ks);
    memcpy(old + 44, losses, sizeof losses);
    memcpy(old + 76, margins, sizeof margins);
    memcpy(old + 256, whole + header, size - header);
    for (size_t i = 0; i < sizeof slopes / sizeof *slopes; i++) {
        struct nlsh__leaves *leaves;
        struct nlsh_error error = {0};
        memcpy(old + 28, &slopes[i], sizeof slopes[i]);
        enum nlsh_status status = nlsh__leaves_open(old, old_size, 0, index->segments[0].codes,
                                                    index->meta.n_buckets, &leaves, &error);
        assert_int_equal(status, i < 3 ? NLSH_OK : NLSH_E_DATA);
        if (i >= 3) assert_non_null(strstr(error.message, "scale"));
        if (i >= 3) continue;
        assert_true(leaves->slope == slopes[i]);
        assert_int_equal(leaves->margins.n_ks, 3);
        assert_int_equal(leaves->margins.n_losses, 8);
        assert_true(leaves->margins.margin[23] == -4);
        nlsh__leaves_close(leaves);
    }
    free(old);
    nlsh_index_close(index);
    matrix_free(&base);
}

static void less_than_was_measured_leaves_none_out(void **state)
{
    (void)state;
    struct nlsh_matrix base = matrix_new(KIND_U8, N, DIM, 12, 14, 3);
    struct nlsh_index *index = index_in_leaves(&base, 1);
    const struct nlsh__margins *m = &index->leaf_margins;
    assert_int_equal(m->n_ks, 3);
    assert_true(nlsh__margin_within(m, 10, 0.0001) == INFINITY);
    assert_true(nlsh__margin_within(m, 101, 0.05) == INFINITY);
    assert_true(nlsh__margin_within(m, 10, 0.01) >= nlsh__margin_within(m, 10, 0.05));
    assert_float_equal(nlsh__margin_within(m, 10, 0.3), nlsh__margin_within(m, 10, 0.1), 1e-4);
    nlsh_index_close(index);
    matrix_free(&base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_leaf_lie_close_together),
        cmocka_unit_test(clusters_of_16_become_leaves),
        cmocka_unit_test(a_leaf_scores_as_its_rows_do),
        cmocka_unit_test(leaves_leave_out_what_does_not_matter),
        cmocka_unit_test(many_neighbours_are_found_too),
        cmocka_unit_test(damaged_sections_are_refused),
        cmocka_unit_test(margins_of_format_2),
        cmocka_unit_test(less_than_was_measured_leaves_none_out),
    };
    counted_begin();
    return counted_end(cmocka_run_group_tests(tests, NULL, NULL));
}
