/* choice.c - see choice.h. */
#include "graph/choice.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/select.h"
#include "kernels/topk.h"

enum {
    LEAST_BLOCK = 96,
    BLOCK_BYTES = 600 << 10,
    /* Groups between two updates of the thresholds, fewer while these fall fast. */
    TILE_GROUPS = 64,
    FIRST_TILE_GROUPS = 16,
    FIRST_GROUPS = 256,
    /* Lists of so many keys and more take twice as many as they come, and then keep the least: of 1,000 in a heap each
     * of some thousands sinks through ten levels. */
    LONG_LIST = 32
};

static int is_long(const struct nlsh__choice *c)
{
    return c->keys == NULL && c->keep >= LONG_LIST;
}

size_t nlsh__choose_groups(size_t g, size_t n_groups)
{
    size_t n = g < FIRST_GROUPS ? FIRST_TILE_GROUPS : TILE_GROUPS;
    return n < n_groups - g ? n : n_groups - g;
}

/* ---- room ------------------------------------------------------------------------------------ */

/* A multiple of 32, which is what the widest kernel takes at once. */
static size_t block_size(const struct nlsh_matrix *queries)
{
    size_t bytes = queries->dim * (queries->type == NLSH_U8 ? 1 : sizeof(float));
    size_t n = BLOCK_BYTES / bytes, few = queries->n_rows / 32;
    if (n > few) n = few;
    n = n / 32 * 32;
    return n < LEAST_BLOCK ? LEAST_BLOCK : n > NLSH__MOST_BLOCK ? NLSH__MOST_BLOCK : n;
}

static enum nlsh_status mean_of(const struct nlsh_matrix *base, float *mean,
                                struct nlsh_error *error)
{
    double *sum;
    enum nlsh_status status = nlsh__calloc(&sum, base->dim, sizeof *sum, error);
    if (status != NLSH_OK) return status;
    const float *rows = base->data;
    for (size_t i = 0; i < base->n_rows; i++)
        for (size_t d = 0; d < base->dim; d++) sum[d] += (double)rows[i * base->dim + d];
    for (size_t d = 0; d < base->dim; d++) mean[d] = (float)(sum[d] / (double)base->n_rows);
    nlsh__free(sum);
    return NLSH_OK;
}

enum nlsh_status nlsh__choice_prepare(struct nlsh__choice *c, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *base = c->base;
    c->block = block_size(c->queries);
    if (base->type == NLSH_U8)
        return nlsh__panel_u8_create(base->data, base->n_rows, base->dim, &c->panel_u8, error);
    NLSH_TRY(nlsh__calloc(&c->mean, base->dim, sizeof *c->mean, error));
    if (!c->inner) NLSH_TRY(mean_of(base, c->mean, error));
    NLSH_TRY(
        nlsh__panel_f32_create(base->data, c->mean, base->n_rows, base->dim, &c->panel_f32, error));
    /* By inner product scores are -2 x.q: a row that is there adds nothing of its own. */
    for (size_t i = 0; c->inner && i < base->n_rows; i++) c->panel_f32.bias[i] = 0;
out:
    return status;
}

/* What only fills up the last group is near nothing: 0, or -infinity. */
enum nlsh_status nlsh__choice_of_both(struct nlsh__choice *c, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = c->base->n_rows, n_lanes = (n + NLSH__GROUP - 1) / NLSH__GROUP * NLSH__GROUP;
    NLSH_TRY(nlsh__alloc(&c->keys, n * c->keep, sizeof *c->keys, error));
    NLSH_TRY(nlsh__calloc(&c->limits.i32, n_lanes, 4, error));
    for (size_t i = n; c->base->type != NLSH_U8 && i < n_lanes; i++) c->limits.f32[i] = -INFINITY;
out:
    return status;
}

void nlsh__choice_free(struct nlsh__choice *c)
{
    nlsh__free(c->mean);
    nlsh__free(c->keys);
    nlsh__free(c->limits.i32);
    nlsh__panel_u8_free(&c->panel_u8);
    nlsh__panel_f32_free(&c->panel_f32);
}

enum nlsh_status nlsh__picker_create(const struct nlsh__choice *c, struct nlsh__picker *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t block = c->block, n_keys = c->keys == NULL ? block * c->keep : 0;
    out->hits.capacity = NLSH__GROUP * (TILE_GROUPS + 1);
    NLSH_TRY(nlsh__alloc(&out->queries, block, (c->base->dim + 3) / 4 * 16, error));
    NLSH_TRY(nlsh__alloc(&out->thresholds.i32, block, 4, error));
    NLSH_TRY(nlsh__alloc(&out->norms.i32, block, 4, error));
    NLSH_TRY(nlsh__alloc(&out->keys, n_keys, sizeof *out->keys, error));
    if (is_long(c)) NLSH_TRY(nlsh__alloc(&out->lists, block, sizeof *out->lists, error));
    if (is_long(c)) NLSH_TRY(nlsh__alloc(&out->taken, n_keys, 2 * sizeof *out->taken, error));
    NLSH_TRY(nlsh__calloc(&out->hits.n, block, 4, error));
    NLSH_TRY(nlsh__alloc(&out->hits.ids, block * out->hits.capacity, 4, error));
    NLSH_TRY(nlsh__alloc(&out->hits.scores.i32, block * out->hits.capacity, 4, error));
out:
    return status;
}

void nlsh__picker_free(struct nlsh__picker *s)
{
    nlsh__free(s->queries);
    nlsh__free(s->thresholds.i32);
    nlsh__free(s->norms.i32);
    nlsh__free(s->keys);
    nlsh__free(s->lists);
    nlsh__free(s->taken);
    nlsh__free(s->hits.n);
    nlsh__free(s->hits.ids);
    nlsh__free(s->hits.scores.i32);
}

/* ---- queries --------------------------------------------------------------------------------- */

static void load_u8(const struct nlsh__choice *c, struct nlsh__picker *s, size_t first, size_t n)
{
    size_t dim = c->base->dim, padded = c->panel_u8.n_chunks * 4;
    for (size_t q = 0; q < n; q++) {
        const uint8_t *query = (const uint8_t *)c->queries->data + (first + q) * dim;
        nlsh__panel_u8_query(query, dim, (int8_t *)s->queries + q * padded);
        s->norms.i32[q] = nlsh__norm_u8(query, dim);
    }
}

static void load_f32(const struct nlsh__choice *c, struct nlsh__picker *s, size_t first, size_t n)
{
    size_t dim = c->base->dim;
    const float *rows = (const float *)c->queries->data + first * dim;
    for (size_t q = 0; q < n; q++) {
        float *query = (float *)s->queries + q * dim;
        for (size_t d = 0; d < dim; d++) query[d] = rows[q * dim + d] - c->mean[d];
        s->norms.f32[q] = c->inner ? 0 : nlsh__kernels()->dot_f32(query, query, dim);
    }
}

void nlsh__choose_load(const struct nlsh__choice *c, struct nlsh__picker *s, size_t first, size_t n)
{
    if (c->base->type == NLSH_U8)
        load_u8(c, s, first, n);
    else
        load_f32(c, s, first, n);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* What is nearer than the worst comes in, and of what is as near the lower numbers: those from least on may yet
 * come. */
static int32_t limit_u8(uint64_t worst, size_t least)
{
    if (worst == UINT64_MAX) return INT32_MAX;
    return (int32_t)(worst >> 32) + ((uint32_t)worst > least);
}

/* Of floats another step ranks what is as near as the worst. */
static float limit_f32(uint64_t worst)
{
    return worst == UINT64_MAX ? INFINITY : nlsh__from_ordered_f32((uint32_t)(worst >> 32));
}

static void set_threshold(const struct nlsh__choice *c, struct nlsh__picker *s, size_t q,
                          uint64_t worst, size_t least)
{
    if (c->base->type != NLSH_U8)
        s->thresholds.f32[q] = limit_f32(worst) - s->norms.f32[q];
    else if (worst == UINT64_MAX)
        s->thresholds.i32[q] = INT32_MAX;
    else
        s->thresholds.i32[q] = limit_u8(worst, least) - s->norms.i32[q];
}

static void set_limit(const struct nlsh__choice *c, size_t row, size_t least)
{
    uint64_t worst = c->keys[row * c->keep + c->keep - 1];
    if (c->base->type == NLSH_U8)
        c->limits.i32[row] = limit_u8(worst, least);
    else
        c->limits.f32[row] = limit_f32(worst);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* The key of hit h of query q, or UINT64_MAX where it does not count: it is the query itself, or does not fit in f32. */
static uint64_t key_of(const struct nlsh__choice *c, const struct nlsh__picker *s, size_t first,
                       size_t q, size_t h)
{
    size_t at = q * s->hits.capacity + h;
    uint32_t id = s->hits.ids[at];
    if (c->exclude_self && id == first + q) return UINT64_MAX;
    if (c->base->type == NLSH_U8)
        return nlsh__key_u32((uint32_t)(s->hits.scores.i32[at] + s->norms.i32[q]), id);
    float sum = s->hits.scores.f32[at] + s->norms.f32[q];
    return sum < INFINITY ? nlsh__key_u32(nlsh__ordered_f32(sum), id) : UINT64_MAX;
}

/* A product to the list of its row, where it belongs there. */
static void give_row(const struct nlsh__choice *c, uint32_t row, uint64_t key, size_t least)
{
    uint64_t *keys = c->keys + row * c->keep;
    if (key >= keys[c->keep - 1]) return;
    nlsh__topk_push(keys, c->keep, key);
    set_limit(c, row, least);
}

/* The hits of n queries to their lists, and with both to those of the rows. The queries that come next are first
 * or more, the rows least or more. */
static void merge(const struct nlsh__choice *c, struct nlsh__picker *s, size_t first, size_t n,
                  uint64_t *keys, size_t least, const int both)
{
    for (size_t q = 0; q < n; q++) {
        uint64_t *own = keys + q * c->keep;
        size_t n_hits = s->hits.n[q];
        if (n_hits == 0) continue;
        s->hits.n[q] = 0;
        for (size_t h = 0; h < n_hits; h++) {
            uint64_t key = key_of(c, s, first, q, h);
            if (key == UINT64_MAX) continue;
            nlsh__topk_push(own, c->keep, key);
            if (both)
                give_row(c, (uint32_t)key,
                         nlsh__key_u32((uint32_t)(key >> 32), (uint32_t)(first + q)), first);
        }
        set_threshold(c, s, q, own[c->keep - 1], least);
    }
}

/* Products of n queries with the rows of some groups, which stay below the limits. */
static void tile(const struct nlsh__choice *c, struct nlsh__picker *s, size_t n, size_t group,
                 size_t n_groups, const int both)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    if (c->base->type == NLSH_U8) {
        struct nlsh__limits_u8 limits = {s->thresholds.i32, both ? c->limits.i32 : NULL,
                                         s->norms.i32};
        kernels->panel_u8(&c->panel_u8, group, n_groups, s->queries, n, &limits, &s->hits);
    } else {
        struct nlsh__limits_f32 limits = {s->thresholds.f32, both ? c->limits.f32 : NULL,
                                          s->norms.f32};
        kernels->panel_f32(&c->panel_f32, group, n_groups, s->queries, n, &limits, &s->hits);
    }
}

/* ---- long lists ------------------------------------------------------------------------------ */

/* The hits of n queries behind what their lists have. */
static void take(const struct nlsh__choice *c, struct nlsh__picker *s, size_t first, size_t n,
                 size_t least)
{
    for (size_t q = 0; q < n; q++) {
        struct nlsh__long_list *list = &s->lists[q];
        uint64_t *keys = s->taken + q * 2 * c->keep;
        size_t n_hits = s->hits.n[q];
        s->hits.n[q] = 0;
        for (size_t h = 0; h < n_hits; h++) {
            uint64_t key = key_of(c, s, first, q, h);
            if (key >= list->worst) continue;
            keys[list->n++] = key;
            if (list->n < 2 * c->keep) continue;
            nlsh__settle_smallest(keys, list->n, c->keep);
            *list = (struct nlsh__long_list){c->keep, keys[c->keep - 1]};
        }
        set_threshold(c, s, q, list->worst, least);
    }
}

/* What n queries have in the end, into keys, which are clear, in the order that nlsh__topk_push() gives. */
static void end_lists(const struct nlsh__choice *c, const struct nlsh__picker *s, size_t n,
                      uint64_t *keys)
{
    for (size_t q = 0; q < n; q++) {
        const uint64_t *taken = s->taken + q * 2 * c->keep;
        for (size_t i = 0; i < s->lists[q].n; i++)
            nlsh__topk_push(keys + q * c->keep, c->keep, taken[i]);
    }
}

/* ---- queries against rows -------------------------------------------------------------------- */

void nlsh__choose(const struct nlsh__choice *c, struct nlsh__picker *s, size_t first, size_t n,
                  uint64_t *keys, size_t group, size_t n_groups)
{
    nlsh__topk_clear(keys, n * c->keep);
    for (size_t q = 0; q < n; q++) set_threshold(c, s, q, UINT64_MAX, 0);
    for (size_t q = 0; is_long(c) && q < n; q++)
        s->lists[q] = (struct nlsh__long_list){0, UINT64_MAX};
    for (size_t g = 0, step; g < n_groups; g += step) {
        step = nlsh__choose_groups(g, n_groups);
        size_t least = (group + g + step) * NLSH__GROUP;
        tile(c, s, n, group + g, step, 0);
        if (is_long(c))
            take(c, s, first, n, least);
        else
            merge(c, s, first, n, keys, least, 0);
    }
    if (is_long(c)) end_lists(c, s, n, keys);
}

/* ---- both sides ------------------------------------------------------------------------------ */

struct piece {
    size_t first, n, group, n_groups;
};

static struct piece piece_of(const struct nlsh__choice *c, size_t block)
{
    size_t first = block * c->block, n = c->base->n_rows - first;
    if (n > c->block) n = c->block;
    return (struct piece){first, n, first / NLSH__GROUP, (n + NLSH__GROUP - 1) / NLSH__GROUP};
}

void nlsh__choose_inside(const struct nlsh__choice *c, struct nlsh__picker *s, size_t block)
{
    struct piece p = piece_of(c, block);
    nlsh__choose_load(c, s, p.first, p.n);
    nlsh__choose(c, s, p.first, p.n, c->keys + p.first * c->keep, p.group, p.n_groups);
}

void nlsh__choose_between(const struct nlsh__choice *c, struct nlsh__picker *s, size_t block,
                          size_t other)
{
    struct piece p = piece_of(c, block), rows = piece_of(c, other);
    uint64_t *keys = c->keys + p.first * c->keep;
    nlsh__choose_load(c, s, p.first, p.n);
    for (size_t q = 0; q < p.n; q++)
        set_threshold(c, s, q, keys[q * c->keep + c->keep - 1], rows.first);
    for (size_t i = 0; i < rows.n; i++) set_limit(c, rows.first + i, p.first);
    for (size_t g = 0, step; g < rows.n_groups; g += step) {
        step = rows.n_groups - g < TILE_GROUPS ? rows.n_groups - g : TILE_GROUPS;
        tile(c, s, p.n, rows.group + g, step, 1);
        merge(c, s, p.first, p.n, keys, rows.first, 1);
    }
}
