/* passing.c - see passing.h. */
#include "make/passing.h"

#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "codes/make/leaves.h"
#include "graph/graph.h"
#include "partition/kmeans.h"

enum { ROWS = 64 /* of a task */ };

void nlsh__passing_free(struct nlsh__passing *p)
{
    for (size_t i = 0; p->makers != NULL && i < p->n_workers; i++)
        nlsh__row_maker_free(&p->makers[i]);
    void *all[] = {p->makers,  p->errors,    p->failed, p->values,     p->stored,     p->seen,
                   p->choices, p->n_choices, p->places, p->merged_ids, p->merged_l2sq};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) nlsh__free(all[i]);
}

enum nlsh_status nlsh__passing_create(struct nlsh__passing *p, struct nlsh_error *error)
{
    enum nlsh_status status;
    p->n_workers = nlsh__pool_n_threads(p->job->pool);
    p->row_bytes = nlsh__index_row_bytes(p->index);
    p->form_bytes = nlsh__index_form_bytes(p->index);
    NLSH_TRY(nlsh__calloc(&p->makers, p->n_workers, sizeof *p->makers, error));
    NLSH_TRY(nlsh__calloc(&p->errors, p->n_workers, sizeof *p->errors, error));
    NLSH_TRY(nlsh__alloc(&p->failed, p->n_workers, sizeof *p->failed, error));
    for (size_t i = 0; i < p->n_workers; i++)
        NLSH_TRY(nlsh__row_maker_create(p->index, &p->makers[i], error));
    NLSH_TRY(
        nlsh__alloc(&p->values, p->block, p->base->dim * nlsh__type_size(p->base->type), error));
    NLSH_TRY(nlsh__alloc(&p->stored, p->block, p->form_bytes, error));
    if (p->cells != NULL)
        NLSH_TRY(nlsh__alloc(&p->seen, p->block, p->to->p * sizeof *p->seen, error));
    NLSH_TRY(nlsh__alloc(&p->choices, p->block, p->n_best * sizeof *p->choices, error));
    NLSH_TRY(nlsh__alloc(&p->n_choices, p->block, 1, error));
    NLSH_TRY(nlsh__alloc(&p->places, p->block, sizeof *p->places, error));
    NLSH_TRY(nlsh__alloc(&p->merged_ids, p->to->asking.truth.k, sizeof(uint32_t), error));
    NLSH_TRY(nlsh__alloc(&p->merged_l2sq, p->to->asking.truth.k, sizeof(float), error));
    nlsh__data_hash_begin(nlsh__index_form(p->index), p->base->n_rows, p->base->dim, &p->hash);
out:
    return status;
}

/* Row i of the block at hand, into stored; a row that cannot be taken is remembered. */
static int take(struct nlsh__passing *p, size_t i, size_t worker, void *stored)
{
    const struct nlsh_matrix rows = {p->values, p->n_rows, p->base->dim, p->base->type, 0};
    struct nlsh_error error = {.status = NLSH_OK};
    size_t number = p->numbers != NULL ? p->numbers[i] : p->first + i;
    if (nlsh__take_row(&p->makers[worker], &rows, i, number, stored, &error) == NLSH_OK) return 1;
    if (number < p->failed[worker]) {
        p->failed[worker] = number;
        p->errors[worker] = error;
    }
    return 0;
}

/* Of all workers' the first row's, so that it does not depend on their number. */
static enum nlsh_status what_failed(const struct nlsh__passing *p, struct nlsh_error *error)
{
    size_t first = 0;
    for (size_t i = 1; i < p->n_workers; i++)
        if (p->failed[i] < p->failed[first]) first = i;
    if (p->failed[first] == SIZE_MAX) return NLSH_OK;
    if (error != NULL) *error = p->errors[first];
    return p->errors[first].status;
}

enum nlsh_status nlsh__pass_rows(struct nlsh__passing *p, nlsh__task_fn *task,
                                 struct nlsh_error *error)
{
    for (size_t i = 0; i < p->n_workers; i++) p->failed[i] = SIZE_MAX;
    nlsh__pool_run(p->job->pool, (p->n_rows + ROWS - 1) / ROWS, task, p);
    return what_failed(p, error);
}

enum nlsh_status nlsh__pass(struct nlsh__passing *p, const char *stage, nlsh__task_fn *task,
                            nlsh__pass_fn *before, nlsh__pass_fn *behind, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = p->end - p->begin;
    for (p->first = p->from; p->first < p->end; p->first += p->n_rows) {
        p->n_rows = p->end - p->first < p->block ? p->end - p->first : p->block;
        NLSH_TRY(nlsh__job_progress(p->job, stage, p->first - p->begin, n, error));
        NLSH_TRY(p->part->read(p->part->user, p->first - p->from, p->n_rows, p->values, error));
        if (before != NULL) NLSH_TRY(before(p, error));
        NLSH_TRY(nlsh__pass_rows(p, task, error));
        if (behind != NULL) NLSH_TRY(behind(p, error));
    }
    NLSH_TRY(nlsh__job_progress(p->job, stage, n, n, error));
out:
    return status;
}

/* ---- room -------------------------------------------------------------------------------------- */

enum nlsh_status nlsh__pass_reserve(const struct nlsh__passing *p, size_t n_asking, size_t k,
                                    struct nlsh_error *error)
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
out:
    return status;
}

enum nlsh_status nlsh__pass_spool(const struct nlsh__passing *p, const char *beside, size_t n,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__placed *to = p->to;
    NLSH_TRY(nlsh__spool_create(beside, n, nlsh__index_row_bytes(p->index), &to->vectors, error));
    if (p->index->segments[0].codes != NULL)
        NLSH_TRY(nlsh__spool_create(beside, n, to->p * sizeof(float), &to->inputs, error));
out:
    return status;
}

/* ---- rows that ask ---------------------------------------------------------------------------- */

enum nlsh_status nlsh__pass_take_asking(struct nlsh__passing *p,
                                        const struct nlsh__sampled *sampled,
                                        struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__askers_of *a = &p->to->asking;
    struct nlsh__row_maker *maker = &p->makers[0];
    size_t n = sampled->asking.n_rows, dim = p->base->dim, inputs = p->to->p;
    int inner = p->index->metric == NLSH_IP;
    enum nlsh_type type = nlsh__index_form(p->index);
    NLSH_TRY(nlsh__alloc(&a->memory, n, p->form_bytes, error));
    if (inner) NLSH_TRY(nlsh__alloc(&a->routed_memory, n, dim * sizeof(float), error));
    if (inner) NLSH_TRY(nlsh__alloc(&a->inputs, n, inputs * sizeof(float), error));
    for (size_t i = 0; i < n; i++) {
        NLSH_TRY(nlsh__take_row(maker, &sampled->asking, i, sampled->asking_rows[i],
                                (uint8_t *)a->memory + i * p->form_bytes, error));
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
void nlsh__merge_truth(const struct nlsh__neighbors *block, size_t query, size_t first,
                       size_t n_have, size_t k, uint32_t *ids, float *l2sq, uint32_t *scratch_ids,
                       float *scratch_l2sq)
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
enum nlsh_status nlsh__pass_find_truth(struct nlsh__passing *p, struct nlsh_error *error)
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
    size_t before = p->first - p->begin, n_have = before < k ? before : k;
    for (size_t i = 0; i < a->stored.n_rows; i++)
        nlsh__merge_truth(&found, i, p->first, n_have, k, a->truth.ids + i * k,
                          a->truth.l2sq + i * k, p->merged_ids, p->merged_l2sq);
out:
    nlsh__neighbors_free(&found);
    return status;
}

/* Leaves the rows themselves out: one neighbour fewer. */
void nlsh__leave_own_out(struct nlsh__neighbors *truth, const uint32_t *own)
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

void nlsh__pass_ask_router(void *ctx, size_t task, size_t worker)
{
    struct nlsh__passing *p = ctx;
    for (size_t i = task * ROWS; i < (task + 1) * ROWS && i < p->n_rows; i++)
        if (take(p, i, worker, p->stored + i * p->form_bytes))
            p->n_choices[i] =
                (uint8_t)nlsh__row_choices(&p->makers[worker], p->choices + i * p->n_best);
}

void nlsh__pass_see(void *ctx, size_t task, size_t worker)
{
    struct nlsh__passing *p = ctx;
    size_t n_inputs = p->to->p;
    for (size_t i = task * ROWS; i < (task + 1) * ROWS && i < p->n_rows; i++)
        if (take(p, i, worker, p->stored + i * p->form_bytes))
            memcpy(p->seen + i * n_inputs, nlsh__row_inputs(&p->makers[worker]),
                   n_inputs * sizeof *p->seen);
}

enum nlsh_status nlsh__pass_ask_cells(struct nlsh__passing *p, struct nlsh_error *error)
{
    const struct nlsh__bucket_cells *c = p->cells;
    struct nlsh__job quiet = *p->job; /* it is a part of this pass */
    quiet.run.progress = NULL;
    memset(p->n_choices, (int)p->n_best, p->n_rows);
    return nlsh__near_cells(p->seen, p->n_rows, c->dim, c->centroids, c->penalty, c->n, p->n_best,
                            NULL, &quiet, p->choices, NULL, error);
}

enum nlsh_status nlsh__pass_look_further(struct nlsh__passing *p, size_t i, const uint32_t *sizes,
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
                              c->n, NULL, &quiet, choices, NULL, error));
    *bucket = nlsh__choose_bucket(choices, c->n, sizes, most);
out:
    nlsh__free(choices);
    return status;
}

enum nlsh_status nlsh__pass_assign(struct nlsh__passing *p, const uint32_t *choices,
                                   const uint8_t *n_choices, size_t first, size_t n,
                                   uint32_t *sizes, nlsh__further_fn *further,
                                   struct nlsh_error *error)
{
    size_t most = nlsh__bucket_full(p->base->n_rows, p->index->meta.n_buckets, NLSH__MOST_OF_MEAN);
    for (size_t i = 0; i < n; i++) {
        uint32_t bucket = nlsh__choose_bucket(choices + i * p->n_best, n_choices[i], sizes, most);
        if (bucket == NLSH__NO_BUCKET) {
            enum nlsh_status status = further(p, i, sizes, most, &bucket, error);
            if (status != NLSH_OK) return status;
        }
        p->to->bucket_of[first + i] = bucket;
        sizes[bucket]++;
    }
    return NLSH_OK;
}

/* ---- the third pass --------------------------------------------------------------------------- */

void nlsh__pass_put(void *ctx, size_t task, size_t worker)
{
    struct nlsh__passing *p = ctx;
    size_t n_inputs = p->to->p;
    float *inputs = p->to->inputs.data;
    uint8_t *vectors = p->to->vectors.data;
    for (size_t i = task * ROWS; i < (task + 1) * ROWS && i < p->n_rows; i++) {
        uint8_t *row = p->stored + i * p->form_bytes;
        if (!take(p, i, worker, row)) continue;
        nlsh__row_to_stored(p->index, row, vectors + p->places[i] * p->row_bytes);
        if (inputs != NULL)
            memcpy(inputs + p->places[i] * n_inputs, nlsh__row_inputs(&p->makers[worker]),
                   n_inputs * sizeof *inputs);
    }
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

enum nlsh_status nlsh__pass_order(struct nlsh__passing *p, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__placed *to = p->to;
    size_t m = p->index->meta.n_buckets, n = to->offsets[m];
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
