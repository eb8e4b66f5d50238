/*
 * placed.c - see placed.h.
 *
 * The second pass asks the router, or the cells, and looks for the true neighbours of the rows that ask. Then it is known how large
 * buckets are, and the third pass writes each row into its place, of a file that is mapped: a block's rows of a bucket
 * lie together there. Last, bucket by bucket, rows are put into the order of leaves.
 */
#include "make/placed.h"

#include <string.h>

#include "base/memory.h"
#include "make/passing.h"
#include "router/router.h"

/* ---- the second pass -------------------------------------------------------------------------- */

/* Of what the pass says of a block: the first rows' numbers, their buckets, how many of them each asking row counts among
 * its nearest so far, and those: numbers, and how near they are. */
static enum nlsh_status keep_block(struct nlsh__passing *p, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__neighbors *truth = &p->to->asking.truth;
    size_t n = truth->n_rows, k = truth->k, most = n * (p->n_rows < k ? p->n_rows : k), found = 0;
    size_t known = p->first + p->n_rows < k ? p->first + p->n_rows : k;
    const struct nlsh__step_rows of = {p->first, p->n_rows};
    uint32_t *counts = NULL, *ids = NULL;
    float *l2sq = NULL;
    NLSH_TRY(nlsh__calloc(&counts, n, sizeof *counts, error));
    NLSH_TRY(nlsh__alloc(&ids, most, sizeof *ids, error));
    NLSH_TRY(nlsh__alloc(&l2sq, most, sizeof *l2sq, error));
    for (size_t i = 0; i < n; i++)
        for (size_t j = i * k; j < i * k + known; j++) {
            if (truth->ids[j] < p->first) continue;
            counts[i]++;
            ids[found] = truth->ids[j];
            l2sq[found++] = truth->l2sq[j];
        }
    const struct nlsh__step_part parts[] = {
        {&of, sizeof of},
        {p->to->bucket_of + p->first, p->n_rows * sizeof *p->to->bucket_of},
        {counts, n * sizeof *counts},
        {ids, found * sizeof *ids},
        {l2sq, found * sizeof *l2sq},
    };
    nlsh__unfinished_add(p->unfinished, NLSH__STEP_BUCKETS, parts, sizeof parts / sizeof *parts);
out:
    nlsh__free(counts);
    nlsh__free(ids);
    nlsh__free(l2sq);
    return status;
}

/* Such a block again; 0: it is none that could follow. */
static int take_block(struct nlsh__passing *p, const uint8_t *data, size_t size)
{
    struct nlsh__neighbors *truth = &p->to->asking.truth;
    struct nlsh__step_rows of;
    size_t n = truth->n_rows, k = truth->k, found = 0, m = p->index->meta.n_buckets;
    if (size < sizeof of) return 0;
    memcpy(&of, data, sizeof of);
    size_t left = p->end - p->from, expected = left < p->block ? left : p->block;
    if (of.first != p->from || of.n != expected) return 0;
    size_t room = (size - sizeof of) / sizeof(uint32_t);
    if (room < expected + n) return 0;
    const uint32_t *buckets = (const uint32_t *)(const void *)(data + sizeof of);
    const uint32_t *counts = buckets + expected;
    for (size_t i = 0; i < expected; i++)
        if (buckets[i] >= m) return 0;
    for (size_t i = 0; i < n; i++) {
        if (counts[i] > k) return 0;
        found += counts[i];
    }
    if (room != expected + n + 2 * found) return 0;
    uint32_t *ids = (uint32_t *)(uintptr_t)(counts + n); /* only read */
    float *l2sq = (float *)(void *)(ids + found);
    for (size_t i = 0; i < n; ids += counts[i], l2sq += counts[i], i++) {
        const struct nlsh__neighbors one = {1, counts[i], ids, l2sq};
        nlsh__merge_truth(&one, 0, 0, p->from < k ? p->from : k, k, truth->ids + i * k,
                          truth->l2sq + i * k, p->merged_ids, p->merged_l2sq);
    }
    memcpy(p->to->bucket_of + p->from, buckets, expected * sizeof *buckets);
    for (size_t i = 0; i < expected; i++) p->to->offsets[buckets[i] + 1]++;
    p->from += expected;
    return 1;
}

/* In the order of rows, whoever routed them. */
static enum nlsh_status assign(struct nlsh__passing *p, struct nlsh_error *error)
{
    if (p->cells != NULL) {
        enum nlsh_status status = nlsh__pass_ask_cells(p, error);
        if (status != NLSH_OK) return status;
    }
    enum nlsh_status status = nlsh__pass_assign(p, p->choices, p->n_choices, p->first, p->n_rows,
                                                p->to->offsets + 1, nlsh__pass_look_further, error);
    if (status != NLSH_OK) return status;
    status = nlsh__pass_find_truth(p, error);
    return status == NLSH_OK && p->unfinished != NULL ? keep_block(p, error) : status;
}

/* What an earlier build knows of the pass, and the rest of it. */
static enum nlsh_status route(struct nlsh__passing *p, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh_rows rest = {.struct_size = sizeof rest};
    const void *step;
    size_t size;
    while (p->from < p->end &&
           (step = nlsh__unfinished_next(p->unfinished, NLSH__STEP_BUCKETS, &size)) != NULL)
        if (!take_block(p, step, size)) nlsh__unfinished_refuse(p->unfinished);
    if (p->from > 0 && p->from < p->end) {
        NLSH_TRY(nlsh_rows_part(p->base, p->from, p->end - p->from, &rest, error));
        p->part = &rest;
    }
    NLSH_TRY(nlsh__pass(p, "routing", p->cells != NULL ? nlsh__pass_see : nlsh__pass_ask_router,
                        NULL, assign, error));
out:
    if (rest.read != NULL) nlsh_rows_close(&rest);
    p->part = p->base;
    p->from = 0;
    return status;
}

/* ---- the third pass --------------------------------------------------------------------------- */

static enum nlsh_status find_places(struct nlsh__passing *p, struct nlsh_error *error)
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

static enum nlsh_status hash_stored(struct nlsh__passing *p, struct nlsh_error *error)
{
    (void)error;
    nlsh__data_hash_add(&p->hash, p->stored, p->n_rows * p->base->dim);
    return NLSH_OK;
}

/* Offsets that became the next bucket's while places were given, become their own again. */
static void shift_back(uint32_t *offsets, size_t m)
{
    memmove(offsets + 1, offsets, m * sizeof *offsets);
    offsets[0] = 0;
}

/* ---- all of it -------------------------------------------------------------------------------- */

static void asking_free(struct nlsh__askers_of *a)
{
    nlsh__free(a->memory);
    nlsh__free(a->routed_memory);
    nlsh__free(a->inputs);
    nlsh__neighbors_free(&a->truth);
}

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

enum nlsh_status
nlsh__place_rows(const struct nlsh_rows *base, const struct nlsh_index *index,
                 const struct nlsh__bucket_cells *cells, const struct nlsh__sampled *sampled,
                 const char *beside, size_t block, size_t k, struct nlsh__unfinished *unfinished,
                 const struct nlsh__job *job, struct nlsh__placed *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = index->meta.n_buckets;
    struct nlsh__passing p = {.base = base,
                              .part = base,
                              .end = base->n_rows,
                              .index = index,
                              .cells = cells,
                              .job = job,
                              .unfinished = unfinished,
                              .to = out,
                              .block = block,
                              .n_best =
                                  cells != NULL && m < NLSH__MOST_CHOICES ? m : NLSH__MOST_CHOICES};
    *out = (struct nlsh__placed){.p = nlsh__router_n_inputs(index->router)};
    NLSH_TRY(nlsh__pass_reserve(&p, sampled->asking.n_rows, k, error));
    NLSH_TRY(nlsh__pass_spool(&p, beside, base->n_rows, error));
    NLSH_TRY(nlsh__passing_create(&p, error));
    NLSH_TRY(nlsh__pass_take_asking(&p, sampled, error));
    NLSH_TRY(route(&p, error));
    nlsh__leave_own_out(&out->asking.truth, sampled->asking_rows);
    for (size_t b = 0; b < m; b++) out->offsets[b + 1] += out->offsets[b];
    NLSH_TRY(nlsh__pass(&p, "placing", nlsh__pass_put, find_places,
                        nlsh__stored_as_given(index) ? NULL : hash_stored, error));
    if (!nlsh__stored_as_given(index)) out->stored_hash = nlsh__data_hash_end(&p.hash);
    shift_back(out->offsets, m);
    nlsh__spool_use(&out->vectors, NLSH__SPOOL_IN_ORDER);
    nlsh__spool_use(&out->inputs, NLSH__SPOOL_IN_ORDER);
    if (index->segments[0].leaves != NULL) NLSH_TRY(nlsh__pass_order(&p, error));
out:
    nlsh__passing_free(&p);
    if (status != NLSH_OK) nlsh__placed_free(out);
    return status;
}
