/* test_map.c - where rows are, and a map of the buckets beside principal components from elsewhere. */
#include "support/built.h"

#include "base/memory.h"
#include "index/index.h"
#include "linalg/pca.h"
#include "serve/map.h"

enum { DIM = 24, N_BASE = 900, N_BUCKETS = 30 };

static struct nlsh_matrix base;
static struct nlsh_index *index_of[3]; /* by metric and type: see set_up() */

static void rows_are_found_where_they_are(void **state)
{
    struct nlsh__found found[40];
    struct nlsh__rng rng;
    float vector[DIM];
    (void)state;
    test_rng(&rng, 1);
    for (int t = 0; t < 50; t++) {
        for (size_t i = 0; i < 40; i++)
            found[i].row = nlsh__rng_below(&rng, t % 2 ? N_BASE : 2 * N_BASE);
        found[7].row = found[3].row; /* one of them twice */
        nlsh__find_rows(index_of[0], found, 40);
        for (size_t i = 0; i < 40; i++) {
            if (found[i].row >= N_BASE) {
                assert_null(found[i].segment);
                continue;
            }
            assert_int_equal(found[i].segment->rows[found[i].place], found[i].row);
            nlsh__row_vector(index_of[0], found[i].segment, found[i].place, vector);
            for (size_t d = 0; d < DIM; d++)
                assert_true((double)vector[d] == matrix_at(&base, found[i].row, d));
            size_t b = nlsh__bucket_of(index_of[0], found[i].segment, found[i].place);
            assert_true(found[i].segment->bucket_offsets[b] <= found[i].place);
            assert_true(found[i].segment->bucket_offsets[b + 1] > found[i].place);
        }
    }
}

static void samples_are_rows_of_their_bucket(void **state)
{
    size_t rows[6], n_rows = 0;
    (void)state;
    for (size_t b = 0; b < N_BUCKETS; b++) {
        size_t n = nlsh__bucket_sample(index_of[0], b, 6, rows);
        size_t size = nlsh__bucket_size(index_of[0], b);
        assert_int_equal(n, size < 6 ? size : 6);
        n_rows += size;
        for (size_t i = 0; i < n; i++) {
            struct nlsh__found found = {.row = rows[i]};
            nlsh__find_rows(index_of[0], &found, 1);
            assert_int_equal(nlsh__bucket_of(index_of[0], found.segment, found.place), b);
            for (size_t j = 0; j < i; j++) assert_int_not_equal(rows[i], rows[j]);
        }
    }
    assert_int_equal(n_rows, N_BASE);
}

/* Means of whole buckets, which are smaller than what the map takes of each. */
static float *bucket_means(const struct nlsh_index *index)
{
    const struct nlsh__segment *s = &index->segments[0];
    float *means = calloc(N_BUCKETS * DIM, sizeof *means), vector[DIM];
    assert_non_null(means);
    for (size_t b = 0; b < N_BUCKETS; b++) {
        size_t n = s->bucket_offsets[b + 1] - s->bucket_offsets[b];
        assert_true(n > 0 && n <= 64);
        for (size_t p = s->bucket_offsets[b]; p < s->bucket_offsets[b + 1]; p++) {
            nlsh__row_vector(index, s, p, vector);
            for (size_t d = 0; d < DIM; d++) means[b * DIM + d] += vector[d] / (float)n;
        }
    }
    return means;
}

/* Sum of squares along two directions, of what has mean 0 there. */
static double spread(const float *points, double scale)
{
    double sum = 0, mean[2] = {0};
    for (size_t b = 0; b < N_BUCKETS; b++)
        for (size_t a = 0; a < 2; a++) mean[a] += (double)points[2 * b + a] / N_BUCKETS;
    for (size_t b = 0; b < N_BUCKETS; b++)
        for (size_t a = 0; a < 2; a++) sum += pow(((double)points[2 * b + a] - mean[a]) / scale, 2);
    return sum;
}

static void the_map_shows_as_much_as_principal_components_can(void **state)
{
    struct nlsh__map_2d map;
    struct nlsh__projection pca;
    const struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    struct nlsh__job job;
    float points[2 * N_BUCKETS];
    (void)state;
    float *means = bucket_means(index_of[0]);
    const struct nlsh_matrix rows = {means, N_BUCKETS, DIM, NLSH_F32, 0};
    assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
    assert_int_equal(nlsh__map_create(index_of[0], &map, NULL), NLSH_OK);
    assert_int_equal(nlsh__pca(&rows, 2, 1, &job, &pca, NULL), NLSH_OK);
    assert_int_equal(nlsh__project(&pca, &rows, &job, points, NULL), NLSH_OK);
    double length = 0, across = 0, second = 0, most = 0;
    for (size_t d = 0; d < DIM; d++) {
        length += (double)map.axes[d] * (double)map.axes[d];
        second += (double)map.axes[DIM + d] * (double)map.axes[DIM + d];
        across += (double)map.axes[d] * (double)map.axes[DIM + d];
    }
    assert_true(fabs(length - second) < 1e-4 * length && fabs(across) < 1e-4 * length);
    double ours = spread(map.points, sqrt(length)), theirs = spread(points, (double)pca.scale);
    if (!(ours > .97 * theirs)) fail_msg("%g of %g", ours, theirs);
    for (size_t i = 0; i < 2 * N_BUCKETS; i++) most = fmax(most, fabs((double)map.points[i]));
    assert_true(fabs(most - 1) < 1e-5);
    /* A mean lies where its bucket does. */
    float at[2];
    for (size_t b = 0; b < N_BUCKETS; b++) {
        nlsh__map_place(&map, index_of[0], means + b * DIM, at);
        assert_true(fabsf(at[0] - map.points[2 * b]) < 1e-3f);
        assert_true(fabsf(at[1] - map.points[2 * b + 1]) < 1e-3f);
    }
    nlsh__projection_free(&pca);
    nlsh__job_end(&job);
    nlsh__map_free(&map);
    free(means);
}

/* Signed bytes, which are stored as others; floats of length 1. */
static void vectors_lie_on_the_map_as_they_are_stored(void **state)
{
    (void)state;
    for (int i = 1; i < 3; i++) {
        struct nlsh__map_2d map;
        float vector[DIM], at[2], large[DIM], again[2];
        const struct nlsh__segment *s = &index_of[i]->segments[0];
        uint8_t picture[DIM];
        assert_int_equal(nlsh__map_create(index_of[i], &map, NULL), NLSH_OK);
        double off = 0;
        for (size_t b = 0; b < N_BUCKETS; b++) {
            size_t p = s->bucket_offsets[b];
            if (p == s->bucket_offsets[b + 1]) continue;
            nlsh__row_vector(index_of[i], s, p, vector);
            nlsh__map_place(&map, index_of[i], vector, at);
            for (size_t d = 0; d < DIM; d++) large[d] = 3 * vector[d];
            nlsh__map_place(&map, index_of[i], large, again);
            if (i == 2)
                assert_true(fabsf(at[0] - again[0]) < 1e-3f); /* a direction is all it has */
            off +=
                hypot((double)(at[0] - map.points[2 * b]), (double)(at[1] - map.points[2 * b + 1]));
            nlsh__row_picture(&map, index_of[i], s, p, picture);
        }
        if (!(off / N_BUCKETS < .5))
            fail_msg("%s: %g off", i == 1 ? "i8" : "cosine", off / N_BUCKETS);
        nlsh__map_free(&map);
    }
}

static int set_up(void **state)
{
    struct nlsh_build_options o;
    (void)state;
    base = matrix_new(KIND_U8, N_BASE, DIM, 40, 9, 1);
    small_options(&o, N_BUCKETS);
    index_of[0] = built_index(&base, &o, "u8.nlsh");
    struct nlsh_matrix other = matrix_new(KIND_I8, N_BASE, DIM, 40, 9, 1);
    index_of[1] = built_index(&other, &o, "i8.nlsh");
    matrix_free(&other);
    other = matrix_new(KIND_F32, N_BASE, DIM, 40, 9, 1);
    o.metric = NLSH_COSINE;
    index_of[2] = built_index(&other, &o, "cosine.nlsh");
    matrix_free(&other);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) nlsh_index_close(index_of[i]);
    matrix_free(&base);
    return 0;
}

static void what_has_values_below_0_is_no_picture(void **state)
{
    (void)state;
    assert_true(nlsh__may_be_pictures(index_of[0]));
    assert_false(nlsh__may_be_pictures(index_of[1])); /* signed bytes are stored with 128 more */
    assert_false(nlsh__may_be_pictures(index_of[2]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_where_they_are),
        cmocka_unit_test(samples_are_rows_of_their_bucket),
        cmocka_unit_test(the_map_shows_as_much_as_principal_components_can),
        cmocka_unit_test(what_has_values_below_0_is_no_picture),
        cmocka_unit_test(vectors_lie_on_the_map_as_they_are_stored),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
