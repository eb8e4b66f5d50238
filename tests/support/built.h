/* built.h - clustered vectors of every type, an index built of them, and the plainest search there
 * is to compare with. */
#ifndef NLSH_TESTS_BUILT_H
#define NLSH_TESTS_BUILT_H

#include "testing.h"

#include <math.h>

#include "cache/directory.h"

/* How vectors are stored: the three types, and floats that are whole numbers from 0 to 255. */
enum kind { KIND_U8, KIND_I8, KIND_F32, KIND_WHOLE, N_KINDS };
static const char *const kind_names[] = {"u8", "i8", "f32", "whole f32"};

static inline enum nlsh_type kind_type(enum kind kind)
{
    return kind == KIND_U8 ? NLSH_U8 : kind == KIND_I8 ? NLSH_I8 : NLSH_F32;
}

/* n rows around n_clusters centres, which depend on the seed of the program alone, so that sets of
 * other streams lie where this one does. Freed with matrix_free(). */
static inline struct nlsh_matrix matrix_new(enum kind kind, size_t n, size_t dim, size_t n_clusters,
                                            double spread, uint64_t stream)
{
    struct nlsh__rng rng, centres_rng;
    struct nlsh_matrix out = {NULL, n, dim, kind_type(kind), 0};
    uint8_t *data = malloc(n * dim * sizeof(float) + 1);
    float *centres = malloc(n_clusters * dim * sizeof *centres);
    assert_true(data && centres);
    test_rng(&centres_rng, 1000 + dim);
    test_rng(&rng, 2000 + stream);
    for (size_t i = 0; i < n_clusters * dim; i++)
        centres[i] = (float)(40 + 176 * nlsh__rng_uniform(&centres_rng));
    for (size_t i = 0; i < n; i++) {
        const float *centre = centres + nlsh__rng_below(&rng, n_clusters) * dim;
        for (size_t d = 0; d < dim; d++) {
            double v = (double)centre[d] + spread * nlsh__rng_normal(&rng);
            double whole = fmin(fmax(rint(v), 0), 255);
            float as_float = (float)(kind == KIND_F32 ? (v - 128) / 7 : whole);
            int as_signed = (int)whole - 128;
            size_t at = i * dim + d;
            if (kind == KIND_U8)
                data[at] = (uint8_t)whole;
            else if (kind == KIND_I8)
                ((int8_t *)data)[at] = (int8_t)as_signed;
            else
                memcpy(data + at * sizeof as_float, &as_float, sizeof as_float);
        }
    }
    free(centres);
    out.data = data;
    return out;
}

static inline void matrix_free(struct nlsh_matrix *m)
{
    free((void *)(uintptr_t)m->data);
    m->data = NULL;
}

static inline double matrix_at(const struct nlsh_matrix *m, size_t i, size_t d)
{
    size_t at = i * m->dim + d;
    float v;
    if (m->type == NLSH_U8) return ((const uint8_t *)m->data)[at];
    if (m->type == NLSH_I8) return ((const int8_t *)m->data)[at];
    memcpy(&v, (const float *)m->data + at, sizeof v);
    return (double)v;
}

static inline double true_l2sq(const struct nlsh_matrix *a, size_t i, const struct nlsh_matrix *b,
                               size_t j)
{
    double sum = 0;
    if (a->type == NLSH_F32 && b->type == NLSH_F32) { /* where brute force spends its time */
        const float *x = (const float *)a->data + i * a->dim;
        const float *y = (const float *)b->data + j * a->dim;
        for (size_t d = 0; d < a->dim; d++) {
            double by = (double)x[d] - (double)y[d];
            sum += by * by;
        }
        return sum;
    }
    for (size_t d = 0; d < a->dim; d++) {
        double x = matrix_at(a, i, d) - matrix_at(b, j, d);
        sum += x * x;
    }
    return sum;
}

struct near {
    double l2sq;
    uint32_t id;
};

static inline int near_order(const void *a, const void *b)
{
    const struct near *x = a, *y = b;
    if (x->l2sq != y->l2sq) return x->l2sq < y->l2sq ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* The rows of base that allowed (or NULL) allows, by (l2sq, id); returns how many. out [n_rows]. */
static inline size_t naive_search(const struct nlsh_matrix *base, const uint8_t *allowed,
                                  const struct nlsh_matrix *queries, size_t q, struct near *out)
{
    size_t n = 0;
    for (size_t i = 0; i < base->n_rows; i++)
        if (allowed == NULL || allowed[i])
            out[n++] = (struct near){true_l2sq(queries, q, base, i), (uint32_t)i};
    qsort(out, n, sizeof *out, near_order);
    return n;
}

/* An answer against naive_search()'s. exact: keys and distances are those; else floats were summed,
 * and only what rounding can turn may be turned. */
static inline void check_answer(const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                                size_t q, const struct near *want, size_t n_want, size_t k,
                                const uint64_t *keys, const float *distances, int exact)
{
    for (size_t i = 0; i < k; i++) {
        if (i >= n_want) {
            assert_int_equal(keys[i], NLSH_NO_KEY);
            assert_true(distances == NULL || (isinf(distances[i]) && distances[i] > 0));
            continue;
        }
        if (exact) {
            if (keys[i] != want[i].id)
                fail_msg("query %zu, place %zu: key %llu, not %u", q, i,
                         (unsigned long long)keys[i], want[i].id);
            assert_true(distances == NULL || distances[i] == sqrtf((float)want[i].l2sq));
            continue;
        }
        if (keys[i] >= base->n_rows)
            fail_msg("query %zu, place %zu: key %llu", q, i, (unsigned long long)keys[i]);
        for (size_t j = 0; j < i; j++) assert_int_not_equal(keys[i], keys[j]);
        double l = true_l2sq(queries, q, base, keys[i]), slack = 2e-6 * (double)(base->dim + 8);
        assert_true(fabs(l - want[i].l2sq) <= slack * (1 + want[i].l2sq));
        if (distances == NULL) continue;
        assert_true(fabs((double)distances[i] * (double)distances[i] - l) <= slack * (1 + l));
        /* distances are rounded: those that read the same need not be the same */
        assert_true(i == 0 || distances[i] > distances[i - 1] ||
                    (distances[i] == distances[i - 1] &&
                     (keys[i] > keys[i - 1] || true_l2sq(queries, q, base, keys[i - 1]) < l)));
    }
}

/* Both byte values in one range: distances are whole numbers below 2^53 and computed exactly. */
static inline int exact_pair(enum kind base, enum kind query)
{
    return (base != KIND_F32 && base == query) || (base == KIND_U8 && query == KIND_WHOLE) ||
           (base == KIND_WHOLE && query == KIND_U8);
}

/* Settings for a small network that is trained in no time. */
static inline void small_options(struct nlsh_build_options *o, size_t m)
{
    nlsh_build_options_init(o, sizeof *o);
    o->n_buckets = m;
    o->partitioner = NLSH_PARTITIONER_KMEANS;
    o->layers = 1;
    o->nodes = 16;
    o->epochs = 3;
    o->batch_size = 64;
    o->leaves = 1;
}

/* Builds into test_path(name) on one thread and opens it. */
static inline struct nlsh_index *built_index(const struct nlsh_matrix *base,
                                             const struct nlsh_build_options *options,
                                             const char *name)
{
    struct nlsh_index *index;
    struct nlsh_error error;
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = 1};
    const char *path = test_path(name);
    if (nlsh_build(base, options, path, &run, NULL, &error) != NLSH_OK ||
        nlsh_index_open(path, NULL, &index, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    return index;
}

/* ---- builds as bytes -------------------------------------------------------------------------- */

/* Builds; fails the test where that fails. Returns the file's bytes. */
static inline uint8_t *build(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                             const struct nlsh_run *run, struct nlsh_build_report *report,
                             size_t *size)
{
    struct nlsh_error error;
    const char *path = test_path("built");
    if (nlsh_build(base, o, path, run, report, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    uint8_t *bytes = test_read_file(path, size);
    if (nlsh_index_verify(path, &error) != NLSH_OK) fail_msg("%s", error.message);
    assert_int_equal(unlink(path), 0);
    return bytes;
}

/* The same build, which has to give the same bytes. */
static inline void build_again(const struct nlsh_matrix *base, const struct nlsh_build_options *o,
                               const struct nlsh_run *run, const uint8_t *bytes, size_t size)
{
    size_t again_size;
    uint8_t *again = build(base, o, run, NULL, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(bytes, again, size);
    free(again);
}

/* An empty cache directory beside the test's; its files lie in test_dir()-cache. */
static inline const char *cache_new(void)
{
    static char path[sizeof test_dir_path + 8];
    size_t n_removed;
    snprintf(path, sizeof path, "%s-cache", test_dir());
    assert_int_equal(nlsh__cache_clear(path, &n_removed, NULL), NLSH_OK);
    return path;
}

static inline void cache_end(void)
{
    rmdir(cache_new());
}

#endif
