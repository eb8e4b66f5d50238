/*
 * pieces.c - the approximate k-NN graph of large sets: overlapping pieces, brute force inside.
 *
 * k-means on a sample cuts the rows into cells of about CELL_ROWS; each row belongs to one and asks
 * a few dozen nearest to it, its own first. So a piece is a cell with all rows that ask it, and
 * pieces overlap as often. In round r every row asks its r-th cell: a task is a cell and its rows of the
 * round, which no other task has, and what a row has found goes with it as its threshold. Inside a
 * piece panels (kernels/panel.h) do what they do in exact.c.
 *
 * The parts are known (inverted files: Jegou, Douze and Schmid, "Product quantization for nearest
 * neighbor search", 2011, section IV; overlapping divide and conquer: Chen, Fang and Saad, "Fast
 * approximate kNN graph construction", 2009); rounds without locks are ours. Unlike ivfflat.c, where
 * a cell's rows share the cells that are near its centroid, each row has its own.
 *
 * Floats come as bytes where the processor multiplies these faster: each cell's rows, and those that ask it, less
 * the cell's mean in steps that the largest value gives. A row whose neighbours are so near that the steps blur them is
 * compared in floats, as all are in the first round, which tells how near that is. Bytes choose SPARE more than k, and
 * direct distances rank them.
 *
 * Long rows are compared by sketches (sketch.h), where these do: SKETCHED times k are chosen, and direct distances
 * rank them.
 *
 * A cell takes at most MOST_ROWS; what is over goes to the next nearest with room, so that many equal
 * rows cost no more than others. A row that finds fewer than k is looked for everywhere.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "graph/cells.h"
#include "graph/graph.h"
#include "graph/sketch.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/prefetch.h"
#include "kernels/select.h"
#include "kernels/topk.h"

enum {
    FEWEST = 20000, /* rows, below which the exact graph takes a second */
    CELL_ROWS = 512,
    MOST_ROWS = 1024,
    MOST_PROBES = 60,
    BLOCK = 512,       /* queries at a time */
    GROUPS = 64,       /* of a panel between two updates of the thresholds, */
    FIRST_GROUPS = 16, /* and in the first round */
    SPARE = 8,         /* floats: kept besides k, as in exact.c */
    SKETCHED = 3,      /* sketches: so many times k are kept */
    LEAST_DIM = 16,    /* floats: below it they are no slower than bytes are rounded */
    TASKS = 512        /* between two reports of progress */
};

/* One worker's. */
struct scratch {
    uint8_t *rows; /* [MOST_ROWS] of the cell */
    void *queries; /* [BLOCK] as panels take them */
    union {
        int32_t *i32;
        float *f32;
    } thresholds;
    union {
        int32_t *i32;
        float *f32;
    } norms;                             /* squared lengths */
    float *mean;                         /* [dim] of the cell, floats */
    uint8_t *rounded;                    /* [MOST_ROWS x dim], or NULL: floats as bytes */
    uint32_t fine[BLOCK], coarse[BLOCK]; /* rows that ask, and that bytes do for or not */
    struct nlsh__hits hits;
    uint64_t *keys; /* [keep + hits of a row] */
    enum nlsh_status status;
};

struct pieces {
    const struct nlsh_matrix *given; /* the rows, */
    const struct nlsh_matrix *base;  /* and what they are compared by: themselves or sketches */
    const int32_t *rest;             /* [n] of the sketches; or NULL */
    size_t n, dim, k, keep, row_bytes, n_cells, n_probes;
    int bytes;         /* base is U8 */
    int rounds;        /* 1: floats are rounded to bytes */
    uint32_t *probes;  /* [n x n_probes] */
    size_t *offsets;   /* [n_cells + 1] */
    uint32_t *members; /* [n] by cell */
    size_t *ask_from;  /* [n_cells + 1] */
    uint32_t *asking;  /* [n] rows by the cell that they ask in this round */
    uint64_t *keys;    /* [n x keep] */
    struct scratch *scratch;
    size_t n_threads, round, first_task;
    struct nlsh__neighbors *out;
};

/* ---- cells ----------------------------------------------------------------------------------- */

/* Each row to the nearest cell with room, which becomes its first; where none of its cells has any, to
 * the next one that has. */
static enum nlsh_status fill_cells(struct pieces *p, struct nlsh_error *error)
{
    size_t *sizes, roomy = 0, P = p->n_probes;
    enum nlsh_status status = nlsh__calloc(&sizes, p->n_cells, sizeof *sizes, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < p->n; i++) {
        uint32_t *probes = p->probes + i * P;
        size_t r = 0;
        while (r < P && sizes[probes[r]] >= MOST_ROWS) r++;
        uint32_t own;
        if (r < P) {
            own = probes[r];
        } else {
            while (sizes[roomy] >= MOST_ROWS) roomy++;
            own = (uint32_t)roomy;
            r = P - 1;
        }
        for (; r > 0; r--) probes[r] = probes[r - 1];
        probes[0] = own;
        sizes[own]++;
    }
    for (size_t c = 0; c < p->n_cells; c++) p->offsets[c + 1] = p->offsets[c] + sizes[c];
    memcpy(sizes, p->offsets, p->n_cells * sizeof *sizes);
    for (size_t i = 0; i < p->n; i++) p->members[sizes[p->probes[i * P]]++] = (uint32_t)i;
    nlsh__free(sizes);
    return NLSH_OK;
}

/* ---- a cell and those that ask it ------------------------------------------------------------ */

/* A cell as panels take it. Floats as bytes stand for mean + step x (byte - 128). */
struct cell {
    const uint32_t *members;
    size_t n;
    int bytes; /* 1: by u8 */
    struct nlsh__panel_u8 u8;
    struct nlsh__panel_f32 f32;
    float step; /* 0: bytes are bytes */
};

/* The score that a row's worst key is in this cell. */
static void set_threshold(const struct cell *c, struct scratch *s, size_t q, uint64_t worst)
{
    uint32_t score = (uint32_t)(worst >> 32);
    if (!c->bytes)
        s->thresholds.f32[q] =
            worst == UINT64_MAX
                ? INFINITY
                : nextafterf(nlsh__from_ordered_f32(score) - s->norms.f32[q], INFINITY);
    else if (worst == UINT64_MAX)
        s->thresholds.i32[q] = INT32_MAX;
    else if (c->step == 0)
        s->thresholds.i32[q] = (int32_t)score - s->norms.i32[q];
    else
        s->thresholds.i32[q] =
            (int32_t)fminf(nlsh__from_ordered_f32(score) / (c->step * c->step), 2e9f) -
            s->norms.i32[q];
}

/* A row of floats in steps from the mean, 128 being none. */
static void round_row(const float *restrict x, const float *restrict mean, float step, size_t dim,
                      uint8_t *restrict out)
{
    float inverse = 1 / step;
    for (size_t d = 0; d < dim; d++) out[d] = (uint8_t)(int)((x[d] - mean[d]) * inverse + 128.5f);
}

static void prepare_u8(const struct pieces *p, const struct cell *c, struct scratch *s, size_t row,
                       size_t q)
{
    const uint8_t *x = (const uint8_t *)p->base->data + row * p->dim;
    if (c->step != 0) {
        round_row((const float *)p->base->data + row * p->dim, s->mean, c->step, p->dim,
                  s->rounded);
        x = s->rounded;
    }
    nlsh__panel_u8_query(x, p->dim, (int8_t *)s->queries + q * ((p->dim + 3) / 4 * 4));
    s->norms.i32[q] = nlsh__norm_u8(x, p->dim) + (p->rest != NULL ? p->rest[row] : 0);
}

/* Floats are taken about the cell's mean: about any other place distances inside a tight cell would be lost in
 * what its rows have in common. */
static void prepare_f32(const struct pieces *p, struct scratch *s, size_t row, size_t q)
{
    const float *x = (const float *)p->base->data + row * p->dim;
    float *query = (float *)s->queries + q * p->dim;
    for (size_t d = 0; d < p->dim; d++) query[d] = x[d] - s->mean[d];
    s->norms.f32[q] = nlsh__kernels()->dot_f32(query, query, p->dim);
}

/* Rows of a cell, and those that ask it, lie anywhere. */
static void fetch_row(const struct pieces *p, size_t row)
{
    nlsh__prefetch_bytes((const uint8_t *)p->base->data + row * p->row_bytes, p->row_bytes);
}

/* What prepare() and merge() will read of a row. */
static void fetch(const struct pieces *p, size_t row)
{
    fetch_row(p, row);
    nlsh__prefetch_bytes((const uint8_t *)(p->keys + row * p->keep), p->keep * sizeof *p->keys);
}

/* Queries and thresholds of n rows. */
static void prepare(const struct pieces *p, const struct cell *c, struct scratch *s,
                    const uint32_t *asking, size_t n)
{
    for (size_t q = 0; q < n; q++) {
        size_t row = asking[q];
        if (q + NLSH__AHEAD < n) fetch(p, asking[q + NLSH__AHEAD]);
        if (c->bytes)
            prepare_u8(p, c, s, row, q);
        else
            prepare_f32(p, s, row, q);
        set_threshold(c, s, q, p->keys[row * p->keep + p->keep - 1]);
    }
}

/* What hit h of query q says of the squared distance, as a key has it. */
static uint32_t score_of(const struct cell *c, const struct scratch *s, size_t q, size_t h)
{
    if (!c->bytes) return nlsh__ordered_f32(s->hits.scores.f32[h] + s->norms.f32[q]);
    uint32_t l2sq = (uint32_t)(s->hits.scores.i32[h] + s->norms.i32[q]);
    return c->step == 0 ? l2sq : nlsh__ordered_f32((float)l2sq * (c->step * c->step));
}

/* What came out nearer, to the rows' own lists. */
static void merge(const struct pieces *p, const struct cell *c, struct scratch *s,
                  const uint32_t *asking, size_t n)
{
    for (size_t q = 0; q < n; q++) {
        if (s->hits.n[q] == 0) continue;
        size_t row = asking[q], at = q * s->hits.capacity;
        uint64_t *keys = p->keys + row * p->keep, *came = s->keys;
        for (size_t h = at; h < at + s->hits.n[q]; h++) {
            uint32_t id = c->members[s->hits.ids[h]];
            if (id != row) *came++ = nlsh__key_u32(score_of(c, s, q, h), id);
        }
        nlsh__keep_smallest(keys, p->keep, s->keys, (size_t)(came - s->keys));
        s->hits.n[q] = 0;
        set_threshold(c, s, q, keys[p->keep - 1]);
    }
}

/* Whether a score plus norm may be off by more than a fiftieth of the worst that a row keeps: then what
 * is kept besides k may not be enough. So it is where a cell holds clusters
 * much farther apart than wide. */
static int doubtful(const struct pieces *p, double norm, uint64_t worst)
{
    if (worst == UINT64_MAX) return 1;
    double l2sq = (double)nlsh__from_ordered_f32((uint32_t)(worst >> 32));
    return !(nlsh__panel_f32_rounding(p->dim, norm, fmax(l2sq, 0)) <= 0.02 * l2sq);
}

/* A row against all of a cell by direct distances. */
static void measure(const struct pieces *p, uint32_t row, const uint32_t *members, size_t n)
{
    const float *rows = p->base->data, *x = rows + row * p->dim;
    uint64_t *keys = p->keys + row * p->keep;
    for (size_t i = 0; i < n; i++) {
        float l2sq = nlsh__kernels()->l2sq_f32(x, rows + members[i] * p->dim, p->dim);
        if (members[i] == row) continue;
        nlsh__keep_smaller(keys, p->keep, nlsh__key_u32(nlsh__ordered_f32(l2sq), members[i]));
    }
}

/* Rows of which it is doubtful before they ask: their thresholds then let nothing through. */
static void measure_before(const struct pieces *p, struct scratch *s, const uint32_t *asking,
                           size_t n, const uint32_t *members, size_t n_members)
{
    for (size_t q = 0; q < n; q++) {
        if (!doubtful(p, (double)s->norms.f32[q], p->keys[asking[q] * p->keep + p->keep - 1]))
            continue;
        measure(p, asking[q], members, n_members);
        s->thresholds.f32[q] = -INFINITY;
    }
}

/* Rows of which it turns out so in the first cell, the only one so far. */
static void measure_again(const struct pieces *p, const struct scratch *s, const uint32_t *asking,
                          size_t n, const uint32_t *members, size_t n_members)
{
    for (size_t q = 0; q < n; q++) {
        uint64_t *keys = p->keys + asking[q] * p->keep;
        if (!doubtful(p, (double)s->norms.f32[q], keys[p->keep - 1])) continue;
        nlsh__topk_clear(keys, p->keep);
        measure(p, asking[q], members, n_members);
    }
}

/* At most BLOCK rows. */
static void search(const struct pieces *p, const struct cell *c, struct scratch *s,
                   const uint32_t *asking, size_t n)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh__limits_u8 limits_u8 = {s->thresholds.i32, NULL, NULL};
    const struct nlsh__limits_f32 limits_f32 = {s->thresholds.f32, NULL, NULL};
    size_t n_groups = (c->n + NLSH__GROUP - 1) / NLSH__GROUP;
    size_t most = p->round == 0 ? FIRST_GROUPS : GROUPS;
    prepare(p, c, s, asking, n);
    if (!c->bytes && p->round > 0) measure_before(p, s, asking, n, c->members, c->n);
    for (size_t g = 0; g < n_groups; g += most) {
        size_t count = n_groups - g < most ? n_groups - g : most;
        if (c->bytes)
            kernels->panel_u8(&c->u8, g, count, s->queries, n, &limits_u8, &s->hits);
        else
            kernels->panel_f32(&c->f32, g, count, s->queries, n, &limits_f32, &s->hits);
        merge(p, c, s, asking, n);
    }
    if (!c->bytes && p->round == 0) measure_again(p, s, asking, n, c->members, c->n);
}

static void mean_of(const float *rows, size_t n, size_t dim, float *mean)
{
    memset(mean, 0, dim * sizeof *mean);
    for (size_t i = 0; i < n; i++)
        for (size_t d = 0; d < dim; d++) mean[d] += rows[i * dim + d] * (1 / (float)n);
}

/* The largest difference from the mean, and most. Sizes of floats order as their bits do, which compilers compare
 * side by side. */
static float largest(const float *restrict x, const float *restrict mean, size_t dim, float most)
{
    int32_t bits;
    memcpy(&bits, &most, sizeof bits);
    for (size_t d = 0; d < dim; d++) {
        float size = fabsf(x[d] - mean[d]);
        int32_t of_size;
        memcpy(&of_size, &size, sizeof of_size);
        bits = of_size > bits ? of_size : bits;
    }
    memcpy(&most, &bits, sizeof most);
    return most;
}

/* The rows that bytes in these steps blur go to s->coarse, the others to s->fine; returns how many these are. Two
 * rounded rows are off by step / sqrt(6) a value, and their squared distance by sqrt(2 / 3) step times their
 * distance: that is to be a fiftieth of the worst that a row keeps, as in doubtful(). */
static size_t divide(const struct pieces *p, const struct cell *c, struct scratch *s,
                     const uint32_t *asking, size_t n)
{
    size_t n_fine = 0;
    for (size_t q = 0; q < n; q++) {
        uint64_t worst = p->keys[asking[q] * p->keep + p->keep - 1];
        float l2sq = nlsh__from_ordered_f32((uint32_t)(worst >> 32));
        if (worst != UINT64_MAX && l2sq >= c->step * c->step * (float)(2500 * 2 / 3))
            s->fine[n_fine++] = asking[q];
        else
            s->coarse[q - n_fine] = asking[q];
    }
    return n_fine;
}

/* The cell's rows as bytes. */
static enum nlsh_status round_cell(const struct pieces *p, struct scratch *s,
                                   const uint32_t *asking, size_t n_asking, struct cell *c)
{
    const float *rows = (const float *)(const void *)s->rows;
    float most = 0;
    for (size_t i = 0; i < c->n; i++) most = largest(rows + i * p->dim, s->mean, p->dim, most);
    for (size_t i = 0; i < n_asking; i++) {
        if (i + NLSH__AHEAD < n_asking) fetch_row(p, asking[i + NLSH__AHEAD]);
        most = largest((const float *)p->base->data + asking[i] * p->dim, s->mean, p->dim, most);
    }
    c->step = fmaxf(most / 127, FLT_MIN);
    for (size_t i = 0; i < c->n; i++)
        round_row(rows + i * p->dim, s->mean, c->step, p->dim, s->rounded + i * p->dim);
    return nlsh__panel_u8_create(s->rounded, c->n, p->dim, &c->u8, NULL);
}

/* Those that bytes do for, and then the others. */
static enum nlsh_status search_rounded(const struct pieces *p, struct cell *c, struct scratch *s,
                                       const uint32_t *asking, size_t n)
{
    enum nlsh_status status = NLSH_OK;
    struct cell floats = {.members = c->members, .n = c->n};
    size_t n_fine;
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t some = n - first < BLOCK ? n - first : BLOCK;
        n_fine = divide(p, c, s, asking + first, some);
        search(p, c, s, s->fine, n_fine);
        if (n_fine == some) continue;
        if (floats.f32.values == NULL)
            NLSH_TRY(nlsh__panel_f32_create((const float *)(const void *)s->rows, s->mean, c->n,
                                            p->dim, &floats.f32, NULL));
        search(p, &floats, s, s->coarse, some - n_fine);
    }
out:
    nlsh__panel_f32_free(&floats.f32);
    return status;
}

static enum nlsh_status search_cell(const struct pieces *p, struct scratch *s,
                                    const uint32_t *asking, size_t n, struct cell *c)
{
    enum nlsh_status status;
    const float *rows = (const float *)(const void *)s->rows;
    c->bytes = p->bytes || (p->rounds && p->round > 0);
    if (!p->bytes) mean_of(rows, c->n, p->dim, s->mean);
    if (p->bytes)
        NLSH_TRY(nlsh__panel_u8_create(s->rows, c->n, p->dim, &c->u8, NULL));
    else if (c->bytes)
        NLSH_TRY(round_cell(p, s, asking, n, c));
    else
        NLSH_TRY(nlsh__panel_f32_create(rows, s->mean, c->n, p->dim, &c->f32, NULL));
    for (size_t i = 0; p->rest != NULL && i < c->n; i++) c->u8.bias[i] += p->rest[c->members[i]];
    if (c->step != 0) {
        NLSH_TRY(search_rounded(p, c, s, asking, n));
    } else {
        for (size_t first = 0; first < n; first += BLOCK)
            search(p, c, s, asking + first, n - first < BLOCK ? n - first : BLOCK);
    }
out:
    nlsh__panel_u8_free(&c->u8);
    nlsh__panel_f32_free(&c->f32);
    return status;
}

static void cell_task(void *ctx, size_t task, size_t worker)
{
    const struct pieces *p = ctx;
    struct scratch *s = &p->scratch[worker];
    size_t number = p->first_task + task;
    size_t n_asking = p->ask_from[number + 1] - p->ask_from[number];
    struct cell c = {.members = p->members + p->offsets[number],
                     .n = p->offsets[number + 1] - p->offsets[number]};
    if (c.n == 0 || n_asking == 0) return;
    for (size_t i = 0; i < c.n; i++) {
        if (i + NLSH__AHEAD < c.n) fetch_row(p, c.members[i + NLSH__AHEAD]);
        memcpy(s->rows + i * p->row_bytes,
               (const uint8_t *)p->base->data + c.members[i] * p->row_bytes, p->row_bytes);
    }
    enum nlsh_status status = search_cell(p, s, p->asking + p->ask_from[number], n_asking, &c);
    if (status != NLSH_OK) s->status = status;
}

/* The rows by the cell that they ask in this round, ascending. */
static void sort_asking(struct pieces *p)
{
    size_t n = p->n_cells;
    memset(p->ask_from, 0, (n + 1) * sizeof *p->ask_from);
    for (size_t i = 0; i < p->n; i++) p->ask_from[p->probes[i * p->n_probes + p->round] + 1]++;
    for (size_t c = 0; c < n; c++) p->ask_from[c + 1] += p->ask_from[c];
    for (size_t i = 0; i < p->n; i++)
        p->asking[p->ask_from[p->probes[i * p->n_probes + p->round]]++] = (uint32_t)i;
    for (size_t c = n; c > 0; c--) p->ask_from[c] = p->ask_from[c - 1];
    p->ask_from[0] = 0;
}

static enum nlsh_status run_rounds(struct pieces *p, const struct nlsh__job *job,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t total = p->n_probes * p->n_cells;
    for (p->round = 0; p->round < p->n_probes; p->round++) {
        sort_asking(p);
        for (p->first_task = 0; p->first_task < p->n_cells; p->first_task += TASKS) {
            size_t n = p->n_cells - p->first_task < TASKS ? p->n_cells - p->first_task : TASKS;
            NLSH_TRY(nlsh__job_progress(job, "k-NN graph", p->round * p->n_cells + p->first_task,
                                        total, error));
            nlsh__pool_run(job->pool, n, cell_task, p);
        }
    }
    for (size_t i = 0; i < p->n_threads && status == NLSH_OK; i++)
        if (p->scratch[i].status != NLSH_OK)
            status = nlsh__fail(error, p->scratch[i].status, "free some memory",
                                "k-NN graph: a piece of it failed");
    NLSH_TRY(status);
    NLSH_TRY(nlsh__job_progress(job, "k-NN graph", total, total, error));
out:
    return status;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* The distance of a row that was found, as a key. */
static uint64_t measured(const struct pieces *p, size_t row, uint32_t id)
{
    size_t dim = p->given->dim;
    if (p->given->type == NLSH_U8) {
        const uint8_t *rows = p->given->data;
        return nlsh__key_u32(nlsh__kernels()->l2sq_u8(rows + row * dim, rows + id * dim, dim), id);
    }
    const float *rows = p->given->data;
    return nlsh__key_f32(nlsh__kernels()->l2sq_f32(rows + row * dim, rows + id * dim, dim), id);
}

/* The k nearest of what was found, in order, to the front. Of sketches and floats they are measured directly. */
static void rank(const struct pieces *p, size_t row, uint64_t *keys)
{
    int measures = p->given->type != NLSH_U8 || p->rest != NULL;
    for (size_t i = 0; i < p->keep; i++) {
        uint64_t key = keys[i];
        if (measures && key != UINT64_MAX) key = measured(p, row, (uint32_t)key);
        if (i >= p->k && key >= keys[p->k - 1]) continue;
        size_t j = i < p->k ? i : p->k - 1;
        for (; j > 0 && keys[j - 1] > key; j--) keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

/* What a row will be measured from. */
static void fetch_found(const struct pieces *p, size_t row)
{
    size_t bytes = nlsh__row_bytes(p->given);
    for (size_t i = 0; i < p->keep; i++) {
        uint64_t key = p->keys[row * p->keep + i];
        if (key != UINT64_MAX)
            nlsh__prefetch_bytes((const uint8_t *)p->given->data + (uint32_t)key * bytes, bytes);
    }
}

/* In the order of cells: rows of one find the same. */
static void answer_task(void *ctx, size_t task, size_t worker)
{
    const struct pieces *p = ctx;
    size_t end = (task + 1) * BLOCK < p->n ? (task + 1) * BLOCK : p->n;
    (void)worker;
    for (size_t at = task * BLOCK; at < end; at++) {
        size_t row = p->members[at];
        uint64_t *keys = p->keys + row * p->keep;
        if (at + 1 < end && p->rest != NULL) fetch_found(p, p->members[at + 1]);
        rank(p, row, keys);
        for (size_t i = 0; i < p->k; i++) {
            p->out->ids[row * p->k + i] = (uint32_t)keys[i];
            p->out->l2sq[row * p->k + i] = keys[i] == UINT64_MAX ? INFINITY
                                           : p->given->type == NLSH_U8
                                               ? (float)(uint32_t)(keys[i] >> 32)
                                               : nlsh__key_score_f32(keys[i]);
        }
    }
}

/* Rows that found fewer than k, or distances that are none, against all: exactly, with its errors. */
static enum nlsh_status complete(const struct pieces *p, const struct nlsh__job *job,
                                 struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t n = 0, size = nlsh__row_bytes(p->given);
    uint32_t *rows = NULL;
    uint8_t *values = NULL;
    struct nlsh__neighbors found = {0};
    for (size_t i = 0; i < p->n; i++) n += !isfinite(p->out->l2sq[(i + 1) * p->k - 1]);
    if (n == 0) return NLSH_OK;
    NLSH_TRY(nlsh__alloc(&rows, n, sizeof *rows, error));
    NLSH_TRY(nlsh__alloc(&values, n, size, error));
    n = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (isfinite(p->out->l2sq[(i + 1) * p->k - 1])) continue;
        memcpy(values + n * size, (const uint8_t *)p->given->data + i * size, size);
        rows[n++] = (uint32_t)i;
    }
    struct nlsh_matrix queries = {values, n, p->given->dim, p->given->type, 0};
    NLSH_TRY(
        nlsh__exact_neighbors(p->given, &queries, p->k + 1, 0, "k-NN graph", job, &found, error));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0, kept = 0; j <= p->k && kept < p->k; j++) {
            size_t from = i * (p->k + 1) + j, to = rows[i] * p->k + kept;
            if (found.ids[from] == rows[i])
                continue; /* itself; behind k equal ones it is not there */
            p->out->ids[to] = found.ids[from];
            p->out->l2sq[to] = found.l2sq[from];
            kept++;
        }
out:
    nlsh__free(rows);
    nlsh__free(values);
    nlsh__neighbors_free(&found);
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static enum nlsh_status make_scratch(const struct pieces *p, struct scratch *s,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    s->hits.capacity = NLSH__GROUP * (GROUPS + 1);
    NLSH_TRY(nlsh__alloc(&s->keys, p->keep + s->hits.capacity, sizeof *s->keys, error));
    NLSH_TRY(nlsh__alloc(&s->rows, MOST_ROWS, p->row_bytes, error));
    NLSH_TRY(
        nlsh__alloc(&s->queries, BLOCK, p->bytes ? (p->dim + 3) / 4 * 4 : p->row_bytes, error));
    NLSH_TRY(nlsh__alloc(&s->thresholds.i32, BLOCK, 4, error));
    NLSH_TRY(nlsh__alloc(&s->norms.i32, BLOCK, 4, error));
    NLSH_TRY(nlsh__alloc(&s->mean, p->dim, sizeof *s->mean, error));
    if (p->rounds) NLSH_TRY(nlsh__alloc(&s->rounded, MOST_ROWS, p->dim, error));
    NLSH_TRY(nlsh__calloc(&s->hits.n, BLOCK, 4, error));
    NLSH_TRY(nlsh__alloc(&s->hits.ids, BLOCK * s->hits.capacity, 4, error));
    NLSH_TRY(nlsh__alloc(&s->hits.scores.i32, BLOCK * s->hits.capacity, 4, error));
out:
    return status;
}

static enum nlsh_status allocate(struct pieces *p, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(&p->probes, p->n * p->n_probes, sizeof *p->probes, error));
    NLSH_TRY(nlsh__calloc(&p->offsets, p->n_cells + 1, sizeof *p->offsets, error));
    NLSH_TRY(nlsh__alloc(&p->members, p->n, sizeof *p->members, error));
    NLSH_TRY(nlsh__alloc(&p->ask_from, p->n_cells + 1, sizeof *p->ask_from, error));
    NLSH_TRY(nlsh__alloc(&p->asking, p->n, sizeof *p->asking, error));
    NLSH_TRY(nlsh__alloc(&p->keys, p->n * p->keep, sizeof *p->keys, error));
    nlsh__topk_clear(p->keys, p->n * p->keep);
    NLSH_TRY(nlsh__calloc(&p->scratch, p->n_threads, sizeof *p->scratch, error));
    for (size_t i = 0; i < p->n_threads; i++) NLSH_TRY(make_scratch(p, &p->scratch[i], error));
    NLSH_TRY(nlsh__alloc(&p->out->ids, p->n * p->k, sizeof *p->out->ids, error));
    NLSH_TRY(nlsh__alloc(&p->out->l2sq, p->n * p->k, sizeof *p->out->l2sq, error));
out:
    return status;
}

static void pieces_free(struct pieces *p)
{
    nlsh__free(p->probes);
    nlsh__free(p->offsets);
    nlsh__free(p->members);
    nlsh__free(p->ask_from);
    nlsh__free(p->asking);
    nlsh__free(p->keys);
    for (size_t i = 0; p->scratch != NULL && i < p->n_threads; i++) {
        nlsh__free(p->scratch[i].keys);
        nlsh__free(p->scratch[i].rows);
        nlsh__free(p->scratch[i].queries);
        nlsh__free(p->scratch[i].thresholds.i32);
        nlsh__free(p->scratch[i].norms.i32);
        nlsh__free(p->scratch[i].mean);
        nlsh__free(p->scratch[i].rounded);
        nlsh__free(p->scratch[i].hits.n);
        nlsh__free(p->scratch[i].hits.ids);
        nlsh__free(p->scratch[i].hits.scores.i32);
    }
    nlsh__free(p->scratch);
}

/* Of SIFT's vectors 28 of 391 cells hold .971 of the 20 nearest (200,000 rows), 56 of 1,954 .970
 * (1,000,000), 28 of 1,954 .919: they must grow as the root of the cells' number. */
static size_t n_probes(size_t n_rows)
{
    size_t n = (size_t)ceil(1.27 * sqrt((double)n_rows / CELL_ROWS));
    return n < MOST_PROBES ? n : MOST_PROBES;
}

/* By what rows are compared settles how. */
static void settle(struct pieces *p, const struct nlsh_matrix *base, size_t k)
{
    p->base = base;
    p->n = base->n_rows;
    p->dim = base->dim;
    p->k = k;
    p->row_bytes = nlsh__row_bytes(base);
    p->n_cells = (p->n + CELL_ROWS - 1) / CELL_ROWS;
    p->n_probes = n_probes(p->n);
    p->bytes = base->type == NLSH_U8;
    p->rounds = !p->bytes && nlsh__kernels()->fast_bytes && p->dim >= LEAST_DIM &&
                p->dim <= NLSH__MAX_DIM_U8;
}

enum nlsh_status nlsh__pieces_neighbors(const struct nlsh_matrix *base, size_t k, uint64_t seed,
                                        const struct nlsh__job *job, struct nlsh__neighbors *out,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__sketch sketch = {.values = NULL};
    struct pieces p = {.given = base, .n_threads = nlsh__pool_n_threads(job->pool), .out = out};
    if (base->n_rows < FEWEST)
        return nlsh__exact_neighbors(base, base, k, 1, "k-NN graph", job, out, error);
    *out = (struct nlsh__neighbors){.n_rows = base->n_rows, .k = k};
    if (nlsh__sketch_worth(base->n_rows, base->dim) > 0)
        NLSH_TRY(nlsh__sketch_create(base, k, SKETCHED * k, seed, job, &sketch, error));
    const struct nlsh_matrix sketches = {sketch.values, sketch.n, sketch.dim, NLSH_U8, 0};
    settle(&p, sketch.values != NULL ? &sketches : base, k);
    p.rest = sketch.rest;
    p.keep = sketch.values != NULL ? SKETCHED * k : p.bytes ? k : k + SPARE;
    NLSH_TRY(allocate(&p, error));
    NLSH_TRY(nlsh__cells_to_ask(p.base, p.n_cells, p.n_probes, seed, job, p.probes, error));
    NLSH_TRY(fill_cells(&p, error));
    NLSH_TRY(run_rounds(&p, job, error));
    nlsh__pool_run(job->pool, (p.n + BLOCK - 1) / BLOCK, answer_task, &p);
    NLSH_TRY(complete(&p, job, error));
out:
    nlsh__sketch_free(&sketch);
    pieces_free(&p);
    if (status != NLSH_OK) nlsh__neighbors_free(out);
    return status;
}
