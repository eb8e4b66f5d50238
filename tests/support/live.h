/*
 * live.h - an index that changes, beside a plain array of what it has to hold: which keys, with which vectors of a
 * pool, in the order in which they came. That is the order of row numbers, too: a vector that is replaced goes, and
 * its successor comes last.
 */
#ifndef NLSH_TESTS_LIVE_H
#define NLSH_TESTS_LIVE_H

#include "support/built.h"

#include "index/index.h"
#include "nlsh/learn.h"

enum { LIVE_DIM = 12, LIVE_BUCKETS = 8, LIVE_BASE = 600, LIVE_POOL = 4000, LIVE_MOST = 30000 };

/* ---- the model ------------------------------------------------------------------------------- */

struct model {
    size_t n;
    uint64_t *keys; /* [LIVE_MOST] */
    uint32_t *of;   /* [LIVE_MOST] their vectors: rows of the pool */
    uint64_t next_key;
};

static inline void model_init(struct model *m)
{
    *m = (struct model){.keys = malloc(LIVE_MOST * sizeof *m->keys),
                        .of = malloc(LIVE_MOST * sizeof *m->of)};
    assert_true(m->keys && m->of);
}

static inline void model_free(struct model *m)
{
    free(m->keys);
    free(m->of);
    *m = (struct model){.n = 0};
}

static inline void model_copy(struct model *to, const struct model *from)
{
    memcpy(to->keys, from->keys, from->n * sizeof *to->keys);
    memcpy(to->of, from->of, from->n * sizeof *to->of);
    to->n = from->n;
    to->next_key = from->next_key;
}

/* Returns whether it was there. */
static inline int model_delete(struct model *m, uint64_t key)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->keys[i] != key) continue;
        size_t behind = m->n-- - i - 1;
        memmove(m->keys + i, m->keys + i + 1, behind * sizeof *m->keys);
        memmove(m->of + i, m->of + i + 1, behind * sizeof *m->of);
        return 1;
    }
    return 0;
}

static inline void model_put(struct model *m, uint64_t key, uint32_t of)
{
    (void)model_delete(m, key);
    assert_true(m->n < LIVE_MOST);
    m->keys[m->n] = key;
    m->of[m->n++] = of;
    if (key >= m->next_key) m->next_key = key + 1;
}

/* ---- changes, drawn -------------------------------------------------------------------------- */

/* A call of put or delete. */
struct change {
    int is_put;
    size_t n;
    uint64_t keys[200];
    uint32_t of[200];
};

/* A key: one that is there, the next one, one far off, or one of a few that come and go. */
static inline uint64_t draw_key(struct nlsh__rng *rng, const struct model *m, uint64_t *next)
{
    uint64_t draw = nlsh__rng_below(rng, 10);
    if (draw < 4 && m->n > 0) return m->keys[nlsh__rng_below(rng, m->n)];
    if (draw < 8) return (*next)++;
    if (draw < 9) return ((uint64_t)1 << 40) + nlsh__rng_below(rng, 1000);
    return 1000 + nlsh__rng_below(rng, 50);
}

static inline void draw_change(struct nlsh__rng *rng, const struct model *m, struct change *out)
{
    static const size_t most[] = {1, 5, 70, 200};
    uint64_t next = m->next_key < (uint64_t)1 << 40 ? m->next_key : 5000;
    out->is_put = nlsh__rng_below(rng, 3) > 0;
    out->n = 1 + nlsh__rng_below(rng, most[nlsh__rng_below(rng, 4)]);
    for (size_t i = 0; i < out->n; i++) {
        int again = i > 0 && nlsh__rng_below(rng, 20) == 0; /* twice in one call */
        out->keys[i] = again ? out->keys[nlsh__rng_below(rng, i)] : draw_key(rng, m, &next);
        out->of[i] = (uint32_t)nlsh__rng_below(rng, LIVE_POOL);
    }
}

/* Returns how many keys were deleted. */
static inline size_t model_change(struct model *m, const struct change *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->is_put)
            model_put(m, c->keys[i], c->of[i]);
        else
            n += (size_t)model_delete(m, c->keys[i]);
    return n;
}

static inline size_t value_bytes(const struct nlsh_matrix *m)
{
    return m->type == NLSH_F32 ? sizeof(float) : 1;
}

/* Rows of the pool as a matrix of their own; freed with matrix_free(). */
static inline struct nlsh_matrix pool_rows(const struct nlsh_matrix *pool, const uint32_t *of,
                                           size_t n)
{
    size_t row = pool->dim * value_bytes(pool);
    uint8_t *data = malloc(n * row + 1);
    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        memcpy(data + i * row, (const uint8_t *)pool->data + of[i] * row, row);
    return (struct nlsh_matrix){data, n, pool->dim, pool->type, 0};
}

/* The same change of the index; n_deleted: out, of a deletion. */
static inline enum nlsh_status writer_change(struct nlsh_writer *w, const struct nlsh_matrix *pool,
                                             const struct change *c, size_t *n_deleted,
                                             struct nlsh_error *error)
{
    *n_deleted = 0;
    if (!c->is_put) return nlsh_writer_delete(w, c->keys, c->n, n_deleted, error);
    struct nlsh_matrix rows = pool_rows(pool, c->of, c->n);
    enum nlsh_status status = nlsh_writer_put(w, c->keys, &rows, error);
    matrix_free(&rows);
    return status;
}

/* ---- what an index holds --------------------------------------------------------------------- */

/* Whether a row is stored as the pool has it. Bytes are flipped, and cosine's vectors are of length 1. */
static inline int same_vector(const struct nlsh_index *index, const uint8_t *stored,
                              const struct nlsh_matrix *pool, uint32_t of)
{
    double length = 1;
    float value;
    if (index->metric == NLSH_COSINE) {
        length = 0;
        for (size_t d = 0; d < pool->dim; d++)
            length += matrix_at(pool, of, d) * matrix_at(pool, of, d);
        length = sqrt(length);
    }
    for (size_t d = 0; d < pool->dim; d++) {
        double want = matrix_at(pool, of, d) / length, got = (double)stored[d];
        if (index->meta.storage_type == NLSH_F32) {
            memcpy(&value, stored + d * sizeof value, sizeof value);
            got = (double)value;
        } else if (pool->type == NLSH_I8) {
            got -= 128;
        }
        if (fabs(got - want) > (length == 1 ? 0 : 1e-6)) return 0;
    }
    return 1;
}

/* The rows that are not deleted, by their numbers, are the model's. Returns what differs, or NULL. */
static inline const char *model_differs(const struct model *m, const struct nlsh_index *index,
                                        const struct nlsh_matrix *pool)
{
    static char what[128];
    size_t at = 0, row_bytes = nlsh__index_row_bytes(index);
    uint32_t *places = malloc(((size_t)index->meta.n_rows + 1) * sizeof *places);
    assert_non_null(places);
    what[0] = '\0';
    for (size_t i = 0; i < index->n_segments && what[0] == '\0'; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        for (size_t place = 0; place < s->n_rows; place++) places[s->rows[place]] = (uint32_t)place;
        for (size_t row = 0; row < s->n_rows && what[0] == '\0'; row++) {
            if (s->tombstones != NULL && s->tombstones[row / 64] >> row % 64 & 1) continue;
            uint64_t key = s->keys != NULL ? s->keys[row] : s->first_row + (uint64_t)row;
            const uint8_t *stored = (const uint8_t *)s->vectors + places[row] * row_bytes;
            if (at == m->n || m->keys[at] != key)
                snprintf(what, sizeof what, "vector %zu has key %llu, not %llu of %zu", at,
                         (unsigned long long)key, at < m->n ? (unsigned long long)m->keys[at] : 0,
                         m->n);
            else if (!same_vector(index, stored, pool, m->of[at]))
                snprintf(what, sizeof what, "key %llu has another vector", (unsigned long long)key);
            at++;
        }
    }
    if (what[0] == '\0' && at != m->n)
        snprintf(what, sizeof what, "there are %zu vectors, not %zu", at, m->n);
    free(places);
    return what[0] != '\0' ? what : NULL;
}

static inline void check_holds(const struct model *m, const struct nlsh_index *index,
                               const struct nlsh_matrix *pool)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    const char *differs = model_differs(m, index, pool);
    if (differs != NULL) fail_msg("%s", differs);
    assert_int_equal(nlsh_index_info(index, &info, NULL), NLSH_OK);
    assert_int_equal(info.n_rows, m->n);
    assert_int_equal(info.n_rows + info.n_deleted, index->meta.n_rows);
}

/* ---- what a search has to find ---------------------------------------------------------------- */

struct found {
    double distance;
    size_t at; /* in the model */
};

static inline int found_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* A distance as the library gives it; by L2 before its root, so that whole numbers stay whole. */
static inline double model_distance(enum nlsh_metric metric, const struct nlsh_matrix *pool,
                                    size_t row, const struct nlsh_matrix *queries, size_t q)
{
    double dot = 0, x = 0, y = 0;
    if (metric == NLSH_L2) return true_l2sq(queries, q, pool, row);
    for (size_t d = 0; d < pool->dim; d++) {
        double a = matrix_at(pool, row, d), b = matrix_at(queries, q, d);
        dot += a * b;
        x += a * a;
        y += b * b;
    }
    return metric == NLSH_IP ? -dot : 1 - dot / sqrt(x * y);
}

/* A filter lets a key pass that is no multiple of 3. */
static inline int model_allows(void *user, uint64_t key)
{
    (void)user;
    return key % 3 != 0;
}

/* All that a filter lets pass, nearest first, into out [m->n]; returns how many. */
static inline size_t model_search(const struct model *m, const struct nlsh_matrix *pool,
                                  enum nlsh_metric metric, int filtered,
                                  const struct nlsh_matrix *queries, size_t q, struct found *out)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        if (!filtered || model_allows(NULL, m->keys[i]))
            out[n++] = (struct found){model_distance(metric, pool, m->of[i], queries, q), i};
    qsort(out, n, sizeof *out, found_order);
    return n;
}

/* One query's answer [k]: whole numbers exactly, others but for rounding. want [n]: of model_search(). */
static inline void check_found(const struct model *m, const struct nlsh_matrix *pool,
                               enum nlsh_metric metric, const struct nlsh_matrix *queries, size_t q,
                               const struct found *want, size_t n, size_t k, const uint64_t *keys,
                               const float *distances)
{
    int exact = metric == NLSH_L2 && pool->type != NLSH_F32;
    for (size_t i = 0; i < k; i++) {
        if (i >= n) {
            assert_int_equal(keys[i], NLSH_NO_KEY);
            continue;
        }
        if (exact && keys[i] != m->keys[want[i].at])
            fail_msg("query %zu, place %zu: key %llu, not %llu", q, i, (unsigned long long)keys[i],
                     (unsigned long long)m->keys[want[i].at]);
        if (exact) {
            assert_true(distances[i] == sqrtf((float)want[i].distance));
            continue;
        }
        size_t at = 0;
        while (at < m->n && m->keys[at] != keys[i]) at++;
        if (at == m->n) fail_msg("key %llu is not there", (unsigned long long)keys[i]);
        for (size_t j = 0; j < i; j++) assert_int_not_equal(keys[i], keys[j]);
        double d = model_distance(metric, pool, m->of[at], queries, q);
        double slack = 1e-4 * (1 + fabs(d)), said = (double)distances[i];
        if (metric == NLSH_L2) said *= said;
        if (fabs(d - want[i].distance) > slack || fabs(said - d) > slack)
            fail_msg("query %zu, place %zu: key %llu at %g, said %g, not at %g", q, i,
                     (unsigned long long)keys[i], d, said, want[i].distance);
    }
}

/* ---- files ----------------------------------------------------------------------------------- */

static inline struct nlsh_writer *writer_opened(const char *path,
                                                const struct nlsh_writer_options *options)
{
    struct nlsh_writer *w;
    struct nlsh_error error;
    if (nlsh_writer_open(path, options, &w, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    return w;
}

static inline struct nlsh_index *index_opened(const char *path)
{
    struct nlsh_index *index;
    struct nlsh_error error;
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK)
        fail_msg("%s (%s)", error.message, error.hint);
    return index;
}

/* Good until the next call. */
static inline const char *log_path_of(const char *path)
{
    static char out[600];
    snprintf(out, sizeof out, "%.500s-log", path);
    return out;
}

/* Rows 0 .. LIVE_BASE - 1 of the pool as a base, and as a model: keys are row numbers, or start + 7 i. */
static inline void base_of(const struct nlsh_matrix *pool, uint64_t *keys, struct model *m,
                           struct nlsh_matrix *base)
{
    *base = *pool;
    base->n_rows = LIVE_BASE;
    for (size_t i = 0; i < LIVE_BASE; i++) {
        if (keys != NULL) keys[i] = 3000 + 7 * (uint64_t)i;
        model_put(m, keys != NULL ? keys[i] : i, (uint32_t)i);
    }
}

#endif
