/*
 * placed.c - see placed.h.
 *
 * The second pass asks the router, or the cells, and looks for the true neighbours of the rows that ask. Then it is known how large
 * buckets are, and the third pass writes each row into its place, of a file that is mapped: a block's rows of a bucket
 * lie together there. Last, bucket by bucket, rows are put into the order of leaves.
 */
#include "make/placed.h"

#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "codes/make/leaves.h"
#include "graph/graph.h"
#include "live/coder.h"
#include "partition/kmeans.h"
#include "router/router.h"
#include "vectors/data_hash.h"

enum { CHOICES = NLSH__MOST_CHOICES, ROWS = 64 /* of a task */ };

/* What passes are made with. */
struct passing {
    const struct nlsh_rows *base;
    const struct nlsh_index *index;
    const struct nlsh__bucket_cells *cells; /* or NULL: the router says where rows belong */
    const struct nlsh__job *job;
    struct nlsh__placed *to;
    struct nlsh__row_maker *makers; /* [n_workers] */
    struct nlsh_error *errors;      /* [n_workers] */
    size_t *failed; /* [n_workers] the first row that could not be taken; SIZE_MAX: none */
    size_t n_workers, block, row_bytes;
    void *values;       /* [block] rows as the base has them */
    uint8_t *stored;    /* [block] as the index stores them */
    float *seen;        /* [block][p] by cells: what the router sees of rows */
    uint32_t *choices;  /* [block][n_best] */
    uint8_t *n_choices; /* [block] */
    size_t n_best;
    uint32_t *places;     /* [block] */
    uint32_t *merged_ids; /* [k + 1] scratch */
    float *merged_l2sq;
    struct nlsh__data_hash hash; /* of stored rows */
    size_t first, n_rows;        /* of the block that is at hand */
};

static void passing_free(struct passing *p)
{
    for (size_t i = 0; p->makers != NULL && i < p->n_workers; i++)
        nlsh__row_maker_free(&p->makers[i]);
    void *all[] = {p->makers,  p->errors,    p->failed, p->values,     p->stored,     p->seen,
                   p->choices, p->n_choices, p->places, p->merged_ids, p->merged_l2sq};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) nlsh__free(all[i]);
}

static enum nlsh_status passing_create(struct passing *p, struct nlsh_error *error)
{
    enum nlsh_status status;
    p->n_workers = nlsh__pool_n_threads(p->job->pool);
    p->row_bytes = nlsh__index_row_bytes(p->index);
    NLSH_TRY(nlsh__calloc(&p->makers, p->n_workers, sizeof *p->makers, error));
    NLSH_TRY(nlsh__calloc(&p->errors, p->n_workers, sizeof *p->errors, error));
    NLSH_TRY(nlsh__alloc(&p->failed, p->n_workers, sizeof *p->failed, error));
    for (size_t i = 0; i < p->n_workers; i++)
        NLSH_TRY(nlsh__row_maker_create(p->index, &p->makers[i], error));
    NLSH_TRY(
        nlsh__alloc(&p->values, p->block, p->base->dim * nlsh__type_size(p->base->type), error));
    NLSH_TRY(nlsh__alloc(&p->stored, p->block, p->row_bytes, error));
    if (p->cells != NULL)
        NLSH_TRY(nlsh__alloc(&p->seen, p->block, p->to->p * sizeof *p->seen, error));
    NLSH_TRY(nlsh__alloc(&p->choices, p->block, p->n_best * sizeof *p->choices, error));
    NLSH_TRY(nlsh__alloc(&p->n_choices, p->block, 1, error));
    NLSH_TRY(nlsh__alloc(&p->places, p->block, sizeof *p->places, error));
    NLSH_TRY(nlsh__alloc(&p->merged_ids, p->to->asking.truth.k, sizeof(uint32_t), error));
    NLSH_TRY(nlsh__alloc(&p->merged_l2sq, p->to->asking.truth.k, sizeof(float), error));
    nlsh__data_hash_begin(p->index->meta.storage_type == NLSH_U8 ? NLSH_U8 : NLSH_F32,
                          p->base->n_rows, p->base->dim, &p->hash);
out:
    return status;
}

/* Row i of the block at hand, into stored; a row that cannot be taken is remembered. */
static int take(struct passing *p, size_t i, size_t worker, void *stored)
{
    const struct nlsh_matrix rows = {p->values, p->n_rows, p->base->dim, p->base->type, 0};
    struct nlsh_error error = {.status = NLSH_OK};
    if (nlsh__take_row(&p->makers[worker], &rows, i, p->first + i, stored, &error) == NLSH_OK)
        return 1;
    if (p->first + i < p->failed[worker]) {
        p->failed[worker] = p->first + i;
        p->errors[worker] = error;
    }
    return 0;
}

/* Of all workers' the first row's, so that it does not depend on their number. */
static enum nlsh_status what_failed(const struct passing *p, struct nlsh_error *error)
{
    size_t first = 0;
    for (size_t i = 1; i < p->n_workers; i++)
        if (p->failed[i] < p->failed[first]) first = i;
    if (p->failed[first] == SIZE_MAX) return NLSH_OK;
    if (error != NULL) *error = p->errors[first];
    return p->errors[first].status;
}

/* One pass: each block is read, task() works on its rows in threads, and behind() on the whole. */
static enum nlsh_status pass(struct passing *p, const char *stage, nlsh__task_fn *task,
                             enum nlsh_status (*before)(struct passing *, struct nlsh_error *),
                             enum nlsh_status (*behind)(struct passing *, struct nlsh_error *),
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = p->base->n_rows;
    for (size_t i = 0; i < p->n_workers; i++) p->failed[i] = SIZE_MAX;
    for (p->first = 0; p->first < n; p->first += p->n_rows) {
        p->n_rows = n - p->first < p->block ? n - p->first : p->block;
        NLSH_TRY(nlsh__job_progress(p->job, stage, p->first, n, error));
        NLSH_TRY(p->base->read(p->base->user, p->first, p->n_rows, p->values, error));
        if (before != NULL) NLSH_TRY(before(p, error));
        nlsh__pool_run(p->job->pool, (p->n_rows + ROWS - 1) / ROWS, task, p);
        NLSH_TRY(what_failed(p, error));
        if (behind != NULL) NLSH_TRY(behind(p, error));
    }
    NLSH_TRY(nlsh__job_progress(p->job, stage, n, n, error));
out:
    return status;
}

/* ---- rows that ask ---------------------------------------------------------------------------- */

static void asking_free(struct nlsh__askers_of *a)
{
    nlsh__free(a->memory);
    nlsh__free(a->routed_memory);
    nlsh__free(a->inputs);
    nlsh__neighbors_free(&a->truth);
}

static enum nlsh_status take_asking(struct passing *p, const struct nlsh__sampled *sampled,
                                    struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__askers_of *a = &p->to->asking;
    struct nlsh__row_maker *maker = &p->makers[0];
    size_t n = sampled->asking.n_rows, dim = p->base->dim, inputs = p->to->p;
    int inner = p->index->metric == NLSH_IP;
    enum nlsh_type type = p->index->meta.storage_type == NLSH_U8 ? NLSH_U8 : NLSH_F32;
    NLSH_TRY(nlsh__alloc(&a->memory, n, p->row_bytes, error));
    if (inner) NLSH_TRY(nlsh__alloc(&a->routed_memory, n, dim * sizeof(float), error));
    if (inner) NLSH_TRY(nlsh__alloc(&a->inputs, n, inputs * sizeof(float), error));
    for (size_t i = 0; i < n; i++) {
        NLSH_TRY(nlsh__take_row(maker, &sampled->asking, i, sampled->asking_rows[i],
                                (uint8_t *)a->memory + i * p->row_bytes, error));
        if (!inner) continue;
        memcpy((float *)a->routed_memory + i * dim, maker->query.routed, dim * sizeof(float));
        memcpy(a->inputs + i * inputs, nlsh__ask_inputs(&maker->asker, maker->query.routed, NULL),
               inputs * sizeof(float));
    }
    a->stored = (struct nlsh_matrix){a->memory, n, dim, type, 0};
    a->routed = a->stored;
    if (inner) a->routed = (struct nlsh_matrix){a->routed_memory, n, dim, NLSH_F32, 0};
out:
    return status;
}

/* The n_have nearest so far, ids and l2sq [k], and a query's of a block, become the k nearest of both; ties go to the
 * smaller number. scratch [k] each. */
static void merge(const struct nlsh__neighbors *block, size_t query, size_t first, size_t n_have,
                  size_t k, uint32_t *ids, float *l2sq, uint32_t *scratch_ids, float *scratch_l2sq)
{
    const uint32_t *new_ids = block->ids + query * block->k;
    const float *new_l2sq = block->l2sq + query * block->k;
    size_t i = 0, j = 0, n = 0;
    for (; n < k && (i < n_have || j < block->k); n++) {
        int old = j == block->k || (i < n_have && l2sq[i] <= new_l2sq[j]);
        scratch_l2sq[n] = old ? l2sq[i] : new_l2sq[j];
        scratch_ids[n] = old ? ids[i] : (uint32_t)first + new_ids[j];
        i += (size_t)old;
        j += (size_t)!old;
    }
    memcpy(ids, scratch_ids, n * sizeof *ids);
    memcpy(l2sq, scratch_l2sq, n * sizeof *l2sq);
}

/* The true neighbours of the rows that ask, and those rows themselves, as far as blocks have passed. */
static enum nlsh_status find_truth(struct passing *p, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__askers_of *a = &p->to->asking;
    struct nlsh__neighbors found = {0};
    struct nlsh__job quiet = *p->job; /* it is a part of this pass */
    size_t k = a->truth.k, of_block = p->n_rows < k ? p->n_rows : k;
    struct nlsh_matrix rows = {p->stored, p->n_rows, p->base->dim, a->stored.type, 0};
    if (a->stored.n_rows == 0) return NLSH_OK;
    quiet.run.progress = NULL;
    NLSH_TRY(p->index->metric == NLSH_IP
                 ? nlsh__exact_inner(&rows, &a->routed, of_block, 0, "exact neighbours", &quiet,
                                     &found, error)
                 : nlsh__exact_neighbors(&rows, &a->routed, of_block, 0, "exact neighbours", &quiet,
                                         &found, error));
    size_t n_have = p->first < k ? p->first : k;
    for (size_t i = 0; i < a->stored.n_rows; i++)
        merge(&found, i, p->first, n_have, k, a->truth.ids + i * k, a->truth.l2sq + i * k,
              p->merged_ids, p->merged_l2sq);
out:
    nlsh__neighbors_free(&found);
    return status;
}

/* Leaves the rows themselves out: one neighbour fewer. */
static void leave_own_out(struct nlsh__neighbors *truth, const uint32_t *own)
{
    size_t with = truth->k, k = with - 1;
    for (size_t i = 0; i < truth->n_rows; i++)
        for (size_t j = 0, kept = 0; j < with && kept < k; j++) {
            if (truth->ids[i * with + j] == own[i]) continue;
            truth->ids[i * k + kept] = truth->ids[i * with + j];
            truth->l2sq[i * k + kept++] = truth->l2sq[i * with + j];
        }
    truth->k = k;
}

/* ---- the second pass -------------------------------------------------------------------------- */

static void ask_router(void *ctx, size_t task, size_t worker)
{
    struct passing *p = ctx;
    for (size_t i = task * ROWS; i < (task + 1) * ROWS && i < p->n_rows; i++)
        if (take(p, i, worker, p->stored + i * p->row_bytes))
            p->n_choices[i] =
                (uint8_t)nlsh__row_choices(&p->makers[worker], p->choices + i * p->n_best);
}

static void see(void *ctx, size_t task, size_t worker)
{
    struct passing *p = ctx;
    size_t n_inputs = p->to->p;
    for (size_t i = task * ROWS; i < (task + 1) * ROWS && i < p->n_rows; i++)
        if (take(p, i, worker, p->stored + i * p->row_bytes))
            memcpy(p->seen + i * n_inputs, nlsh__row_inputs(&p->makers[worker]),
                   n_inputs * sizeof *p->seen);
}

static enum nlsh_status ask_cells(struct passing *p, struct nlsh_error *error)
{
    const struct nlsh__bucket_cells *c = p->cells;
    struct nlsh__job quiet = *p->job; /* it is a part of this pass */
    quiet.run.progress = NULL;
    memset(p->n_choices, (int)p->n_best, p->n_rows);
    return nlsh__near_cells(p->seen, p->n_rows, c->dim, c->centroids, c->penalty, c->n, p->n_best,
                            &quiet, p->choices, NULL, error);
}

/* Row i of the block at hand goes to the best of all buckets that are not full. */
static enum nlsh_status look_further(struct passing *p, size_t i, const uint32_t *sizes,
                                     size_t most, uint32_t *bucket, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh__bucket_cells *c = p->cells;
    struct nlsh__job quiet = *p->job;
    uint32_t *choices = NULL;
    size_t n_inputs = p->to->p;
    quiet.run.progress = NULL;
    if (c == NULL) {
        if (take(p, i, 0, NULL)) *bucket = nlsh__look_further(&p->makers[0], sizes, most);
        return NLSH_OK;
    }
    NLSH_TRY(nlsh__alloc(&choices, c->n, sizeof *choices, error));
    NLSH_TRY(nlsh__near_cells(p->seen + i * n_inputs, 1, c->dim, c->centroids, c->penalty, c->n,
                              c->n, &quiet, choices, NULL, error));
    *bucket = nlsh__choose_bucket(choices, c->n, sizes, most);
out:
    nlsh__free(choices);
    return status;
}

/* In the order of rows, whoever routed them. */
static enum nlsh_status assign(struct passing *p, struct nlsh_error *error)
{
    struct nlsh__placed *to = p->to;
    size_t most = nlsh__bucket_full(p->base->n_rows, p->index->meta.n_buckets, NLSH__MOST_OF_MEAN);
    uint32_t *sizes = to->offsets + 1;
    if (p->cells != NULL) {
        enum nlsh_status status = ask_cells(p, error);
        if (status != NLSH_OK) return status;
    }
    for (size_t i = 0; i < p->n_rows; i++) {
        const uint32_t *choices = p->choices + i * p->n_best;
        uint32_t bucket = nlsh__choose_bucket(choices, p->n_choices[i], sizes, most);
        if (bucket == NLSH__NO_BUCKET) {
            enum nlsh_status status = look_further(p, i, sizes, most, &bucket, error);
            if (status != NLSH_OK) return status;
        }
        to->bucket_of[p->first + i] = bucket;
        sizes[bucket]++;
    }
    if (p->index->metric != NLSH_L2)
        nlsh__data_hash_add(&p->hash, p->stored, p->n_rows * p->base->dim);
    return find_truth(p, error);
}

/* ---- the third pass --------------------------------------------------------------------------- */

static enum nlsh_status find_places(struct passing *p, struct nlsh_error *error)
{
    struct nlsh__placed *to = p->to;
    (void)error;
    for (size_t i = 0; i < p->n_rows; i++) {
        /* where the next row of the bucket goes; it ends as where the next bucket begins */
        uint32_t place = to->offsets[to->bucket_of[p->first + i]]++;
        p->places[i] = place;
        to->rows[place] = (uint32_t)(p->first + i);
    }
    return NLSH_OK;
}

static void put(void *ctx, size_t task, size_t worker)
{
    struct passing *p = ctx;
    size_t n_inputs = p->to->p;
    float *inputs = p->to->inputs.data;
    uint8_t *vectors = p->to->vectors.data;
    for (size_t i = task * ROWS; i < (task + 1) * ROWS && i < p->n_rows; i++) {
        uint8_t *stored = p->stored + i * p->row_bytes;
        if (!take(p, i, worker, stored)) continue;
        memcpy(vectors + p->places[i] * p->row_bytes, stored, p->row_bytes);
        if (inputs != NULL)
            memcpy(inputs + p->places[i] * n_inputs, nlsh__row_inputs(&p->makers[worker]),
                   n_inputs * sizeof *inputs);
    }
}

/* Offsets that became the next bucket's while places were given, become their own again. */
static void shift_back(uint32_t *offsets, size_t m)
{
    memmove(offsets + 1, offsets, m * sizeof *offsets);
    offsets[0] = 0;
}

/* ---- the order of leaves ---------------------------------------------------------------------- */

struct ordering {
    struct nlsh__placed *to;
    const uint32_t *ids; /* [n] the place where each place's row stands so far */
    size_t row_bytes, largest;
    uint8_t *scratch; /* [n_workers][largest][larger of row_bytes and inputs] */
    size_t scratch_row;
};

/* Rows of row_bytes from places ids[n] to first .. first + n - 1. */
static void permute(void *rows, size_t row_bytes, const uint32_t *ids, size_t first, size_t n,
                    uint8_t *scratch)
{
    for (size_t i = 0; i < n; i++)
        memcpy(scratch + i * row_bytes, (uint8_t *)rows + ids[i] * row_bytes, row_bytes);
    if (n > 0) memcpy((uint8_t *)rows + first * row_bytes, scratch, n * row_bytes);
}

static void order_bucket(void *ctx, size_t bucket, size_t worker)
{
    const struct ordering *o = ctx;
    size_t first = o->to->offsets[bucket], n = o->to->offsets[bucket + 1] - first;
    uint8_t *scratch = o->scratch + worker * o->largest * o->scratch_row;
    permute(o->to->vectors.data, o->row_bytes, o->ids + first, first, n, scratch);
    permute(o->to->inputs.data, o->to->p * sizeof(float), o->ids + first, first, n, scratch);
    permute(o->to->rows, sizeof *o->to->rows, o->ids + first, first, n, scratch);
}

static enum nlsh_status order(struct passing *p, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__placed *to = p->to;
    size_t n = p->base->n_rows, m = p->index->meta.n_buckets;
    struct ordering o = {.to = to, .row_bytes = p->row_bytes};
    uint32_t *ids = NULL;
    o.largest = 1;
    for (size_t b = 0; b < m; b++)
        if (to->offsets[b + 1] - to->offsets[b] > o.largest)
            o.largest = to->offsets[b + 1] - to->offsets[b];
    o.scratch_row = p->row_bytes > to->p * sizeof(float) ? p->row_bytes : to->p * sizeof(float);
    NLSH_TRY(nlsh__alloc(&o.scratch, p->n_workers * o.largest, o.scratch_row, error));
    NLSH_TRY(nlsh__alloc(&ids, n, sizeof *ids, error));
    for (size_t i = 0; i < n; i++) ids[i] = (uint32_t)i;
    NLSH_TRY(nlsh__order_leaves(to->inputs.data, to->p, to->offsets, m, p->job, ids, error));
    o.ids = ids;
    NLSH_TRY(nlsh__job_tasks(p->job, "leaves", m, order_bucket, &o, error));
out:
    nlsh__free(o.scratch);
    nlsh__free(ids);
    return status;
}

/* ---- all of it -------------------------------------------------------------------------------- */

void nlsh__placed_free(struct nlsh__placed *p)
{
    nlsh__free(p->bucket_of);
    nlsh__free(p->offsets);
    nlsh__free(p->rows);
    asking_free(&p->asking);
    nlsh__spool_free(&p->vectors);
    nlsh__spool_free(&p->inputs);
    *p = (struct nlsh__placed){.rows = NULL};
}

/* The room for all, before hours of work. */
static enum nlsh_status placed_create(const struct passing *p, const char *beside, size_t n_asking,
                                      size_t k, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__placed *to = p->to;
    size_t n = p->base->n_rows, m = p->index->meta.n_buckets;
    to->asking.truth = (struct nlsh__neighbors){.n_rows = n_asking, .k = k + 1};
    NLSH_TRY(nlsh__alloc(&to->bucket_of, n, sizeof *to->bucket_of, error));
    NLSH_TRY(nlsh__calloc(&to->offsets, m + 1, sizeof *to->offsets, error));
    NLSH_TRY(nlsh__alloc(&to->rows, n, sizeof *to->rows, error));
    NLSH_TRY(nlsh__alloc(&to->asking.truth.ids, n_asking * (k + 1), sizeof(uint32_t), error));
    NLSH_TRY(nlsh__alloc(&to->asking.truth.l2sq, n_asking * (k + 1), sizeof(float), error));
    NLSH_TRY(nlsh__spool_create(beside, n, nlsh__index_row_bytes(p->index), &to->vectors, error));
    if (p->index->segments[0].codes != NULL)
        NLSH_TRY(nlsh__spool_create(beside, n, to->p * sizeof(float), &to->inputs, error));
out:
    return status;
}

enum nlsh_status nlsh__place_rows(const struct nlsh_rows *base, const struct nlsh_index *index,
                                  const struct nlsh__bucket_cells *cells,
                                  const struct nlsh__sampled *sampled, const char *beside,
                                  size_t block, size_t k, const struct nlsh__job *job,
                                  struct nlsh__placed *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = index->meta.n_buckets;
    struct passing p = {.base = base,
                        .index = index,
                        .cells = cells,
                        .job = job,
                        .to = out,
                        .block = block,
                        .n_best = cells != NULL && m < CHOICES ? m : CHOICES};
    *out = (struct nlsh__placed){.p = nlsh__router_n_inputs(index->router)};
    NLSH_TRY(placed_create(&p, beside, sampled->asking.n_rows, k, error));
    NLSH_TRY(passing_create(&p, error));
    NLSH_TRY(take_asking(&p, sampled, error));
    NLSH_TRY(pass(&p, "routing", cells != NULL ? see : ask_router, NULL, assign, error));
    leave_own_out(&out->asking.truth, sampled->asking_rows);
    if (index->metric != NLSH_L2) out->stored_hash = nlsh__data_hash_end(&p.hash);
    for (size_t b = 0; b < m; b++) out->offsets[b + 1] += out->offsets[b];
    NLSH_TRY(pass(&p, "placing", put, find_places, NULL, error));
    shift_back(out->offsets, m);
    nlsh__spool_use(&out->vectors, NLSH__SPOOL_IN_ORDER);
    nlsh__spool_use(&out->inputs, NLSH__SPOOL_IN_ORDER);
    if (index->segments[0].leaves != NULL) NLSH_TRY(order(&p, error));
out:
    passing_free(&p);
    if (status != NLSH_OK) nlsh__placed_free(out);
    return status;
}
