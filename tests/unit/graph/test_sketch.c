/* test_sketch.c - rows that few components describe are sketched and found by it; others are not sketched. */
#include "graph/sketch.h"

#include "base/memory.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "sets.h"

enum { N = 21000, DIM = 260, LATENT = 10, K = 10 };

static struct nlsh__rng rng;

/* A few normal numbers, mixed into many, and noise. */
static struct nlsh_matrix make_mixed(enum nlsh_type type)
{
    float *mix = malloc(LATENT * DIM * sizeof *mix), *data = malloc(N * DIM * sizeof *data);
    assert_true(mix && data);
    for (size_t i = 0; i < LATENT * DIM; i++) mix[i] = (float)nlsh__rng_normal(&rng);
    for (size_t row = 0; row < N; row++) {
        float own[LATENT];
        for (size_t j = 0; j < LATENT; j++) own[j] = (float)nlsh__rng_normal(&rng);
        for (size_t d = 0; d < DIM; d++) {
            double v = 0.5 * nlsh__rng_normal(&rng);
            for (size_t j = 0; j < LATENT; j++) v += (double)(own[j] * mix[j * DIM + d]);
            if (type == NLSH_U8)
                ((uint8_t *)data)[row * DIM + d] = (uint8_t)fmin(fmax(128 + 5 * v, 0), 255);
            else
                data[row * DIM + d] = (float)v;
        }
    }
    free(mix);
    return (struct nlsh_matrix){data, N, DIM, type, 0};
}

static void free_set(const struct nlsh_matrix *m)
{
    free((void *)(uintptr_t)m->data);
}

static int is_sketched(const struct nlsh_matrix *rows, size_t n_threads, struct nlsh__sketch *out)
{
    struct nlsh__job job = job_of(n_threads, NULL, NULL);
    assert_int_equal(nlsh__sketch_create(rows, K, 3 * K, 1, &job, out, NULL), NLSH_OK);
    nlsh__job_end(&job);
    return out->values != NULL;
}

static void the_same_by_any_number_of_threads(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct nlsh_matrix rows = make_mixed(type ? NLSH_F32 : NLSH_U8);
        struct nlsh__sketch one, three;
        assert_true(is_sketched(&rows, 1, &one) && is_sketched(&rows, 3, &three));
        assert_memory_equal(one.values, three.values, N * one.dim);
        assert_memory_equal(one.rest, three.rest, N * sizeof *one.rest);
        nlsh__sketch_free(&one);
        nlsh__sketch_free(&three);
        free_set(&rows);
    }
}

/* Distances between sketches are those between rows, but for one factor. */
static void sketches_are_as_far_apart_as_rows(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct nlsh_matrix rows = make_mixed(type ? NLSH_F32 : NLSH_U8);
        struct nlsh__sketch s;
        double least = INFINITY, most = 0;
        assert_true(is_sketched(&rows, 2, &s));
        for (size_t i = 0; i + 1 < 2000; i++) {
            double inside =
                nlsh__kernels()->l2sq_u8(s.values + i * s.dim, s.values + (i + 1) * s.dim, s.dim);
            double ratio = (inside + s.rest[i] + s.rest[i + 1]) / set_l2sq(&rows, i, &rows, i + 1);
            least = fmin(least, ratio);
            most = fmax(most, ratio);
        }
        assert_true(least > 0 && most < 1.1 * least);
        nlsh__sketch_free(&s);
        free_set(&rows);
    }
}

static void a_graph_by_sketches_keeps_its_recall(void **state)
{
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct nlsh_matrix rows = make_mixed(type ? NLSH_F32 : NLSH_U8);
        struct nlsh__job job = job_of(2, NULL, NULL);
        struct nlsh__neighbors found, truth;
        size_t hits = 0;
        assert_int_equal(nlsh__pieces_neighbors(&rows, K, 1, &job, &found, NULL), NLSH_OK);
        struct nlsh_matrix some = {rows.data, 300, DIM, rows.type, 0};
        assert_int_equal(nlsh__exact_neighbors(&rows, &some, K + 1, 0, "", &job, &truth, NULL),
                         NLSH_OK);
        for (size_t i = 0; i < some.n_rows; i++)
            for (size_t j = 0; j < K; j++) {
                size_t at = i * K + j;
                assert_true(found.ids[at] != i && (j == 0 || found.l2sq[at] >= found.l2sq[at - 1]));
                double l2sq = set_l2sq(&rows, i, &rows, found.ids[at]);
                assert_true(fabs((double)found.l2sq[at] - l2sq) <= 1e-5 * l2sq);
                hits += found.l2sq[at] <= truth.l2sq[i * (K + 1) + K];
            }
        if (hits < 0.9 * 300 * K) fail_msg("type %d: %zu of %d found", type, hits, 300 * K);
        nlsh__neighbors_free(&found);
        nlsh__neighbors_free(&truth);
        nlsh__job_end(&job);
        free_set(&rows);
    }
}

/* Noise without a shape, clusters far narrower than a step, short rows, and squares that are no f32. */
static void others_are_not_sketched(void **state)
{
    struct nlsh__sketch s;
    (void)state;
    for (int type = 0; type < 2; type++) {
        struct nlsh_matrix rows = make_set(&rng, type ? NLSH_F32 : NLSH_U8, SET_RANDOM, N, DIM);
        assert_false(is_sketched(&rows, 2, &s));
        rows.dim = 100;
        assert_false(is_sketched(&rows, 2, &s));
        free_set(&rows);
    }
    struct nlsh_matrix rows = make_set(&rng, NLSH_F32, SET_CLUSTERS, N, DIM);
    assert_false(is_sketched(&rows, 2, &s));
    for (size_t i = 0; i < N * DIM; i++) ((float *)(uintptr_t)rows.data)[i] *= 1e20f;
    assert_false(is_sketched(&rows, 2, &s));
    free_set(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_by_any_number_of_threads),
        cmocka_unit_test(sketches_are_as_far_apart_as_rows),
        cmocka_unit_test(a_graph_by_sketches_keeps_its_recall),
        cmocka_unit_test(others_are_not_sketched),
    };
    test_rng(&rng, 0);
    return cmocka_run_group_tests_name("graph/sketch", tests, NULL, NULL);
}
