/*
 * apart.c - nlsh__place_apart(): see placed.h.
 *
 * Each rank asks for the buckets of its part of the base. They are given in the order of rows all the same, since a bucket
 * may be full: rank after rank. Then all ranks know where each row goes, and in the last pass each sends what it reads to
 * whoever keeps it, a block of all ranks at a time.
 */
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "make/passing.h"
#include "router/router.h"

/* Rows on their way to their places. */
struct apart {
    struct nlsh__passing p;
    const struct nlsh__apart *with;
    const struct nlsh__ranks *ranks;
    size_t m;
    uint32_t *choices; /* [rows of the part][n_best] */
    uint8_t *n_choices;
    uint32_t *numbers;      /* [block] */
    struct nlsh_rows part;  /* what is read */
    struct nlsh__bytes *to; /* [ranks] */
    struct nlsh__bytes from;
    size_t *ends; /* [ranks] */
};

size_t nlsh__part_begins(size_t n, size_t block, size_t n_ranks, size_t i)
{
    size_t blocks = (n + block - 1) / block, at = blocks * i / n_ranks * block;
    return i < n_ranks && at < n ? at : n;
}

static size_t part_begins(const struct apart *a, size_t i)
{
    return nlsh__part_begins(a->p.base->n_rows, a->p.block, a->ranks->n, i);
}

static void apart_free(struct apart *a)
{
    for (size_t i = 0; a->to != NULL && i < a->ranks->n; i++) nlsh__bytes_free(&a->to[i]);
    nlsh__bytes_free(&a->from);
    nlsh__free(a->to);
    nlsh__free(a->ends);
    nlsh__free(a->choices);
    nlsh__free(a->n_choices);
    nlsh__free(a->numbers);
    if (a->part.read != NULL) nlsh_rows_close(&a->part);
    nlsh__passing_free(&a->p);
}

static enum nlsh_status apart_create(struct apart *a, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = a->p.end - a->p.begin;
    NLSH_TRY(nlsh__passing_create(&a->p, error));
    a->part = (struct nlsh_rows){.struct_size = sizeof a->part};
    a->p.part = &a->part;
    if (n > 0) NLSH_TRY(nlsh_rows_part(a->p.base, a->p.begin, n, &a->part, error));
    NLSH_TRY(nlsh__alloc(&a->choices, n, a->p.n_best * sizeof *a->choices, error));
    NLSH_TRY(nlsh__alloc(&a->n_choices, n, 1, error));
    NLSH_TRY(nlsh__alloc(&a->numbers, a->p.block, sizeof *a->numbers, error));
    NLSH_TRY(nlsh__calloc(&a->to, a->ranks->n, sizeof *a->to, error));
    NLSH_TRY(nlsh__alloc(&a->ends, a->ranks->n, sizeof *a->ends, error));
out:
    return status;
}

/* ---- the second pass -------------------------------------------------------------------------- */

/* p is the first member of struct apart. */
static enum nlsh_status keep_choices(struct nlsh__passing *p, struct nlsh_error *error)
{
    struct apart *a = (struct apart *)p;
    size_t at = p->first - p->begin;
    if (p->cells != NULL) {
        enum nlsh_status status = nlsh__pass_ask_cells(p, error);
        if (status != NLSH_OK) return status;
    }
    memcpy(a->choices + at * p->n_best, p->choices, p->n_rows * p->n_best * sizeof *p->choices);
    memcpy(a->n_choices + at, p->n_choices, p->n_rows);
    return nlsh__pass_find_truth(p, error);
}

/* Row i of the part, all of whose choices are full, is read once more. */
static enum nlsh_status look_further(struct nlsh__passing *p, size_t i, const uint32_t *sizes,
                                     size_t most, uint32_t *bucket, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_rows one = {.struct_size = sizeof one};
    NLSH_TRY(nlsh_rows_part(p->base, p->begin + i, 1, &one, error));
    status = one.read(one.user, 0, 1, p->values, error);
    nlsh_rows_close(&one);
    if (status != NLSH_OK) return status;
    p->first = p->begin + i;
    p->n_rows = 1;
    if (p->cells != NULL) NLSH_TRY(nlsh__pass_rows(p, nlsh__pass_see, error));
    NLSH_TRY(nlsh__pass_look_further(p, 0, sizes, most, bucket, error));
out:
    return status;
}

/* Buckets of all rows, and their sizes: one rank after another gives those of its part. */
static enum nlsh_status assign_all(struct apart *a, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK, spoken = NLSH_OK;
    uint32_t *bucket_of = a->p.to->bucket_of, *sizes = a->with->sizes;
    struct nlsh__bytes own = {0};
    memset(sizes, 0, a->m * sizeof *sizes);
    for (size_t r = 0; r < a->ranks->n; r++) {
        size_t first = part_begins(a, r), n = part_begins(a, r + 1) - first;
        own.n = 0;
        if (r == a->ranks->own)
            status = nlsh__pass_assign(&a->p, a->choices, a->n_choices, first, n, sizes,
                                       look_further, error);
        if (r == a->ranks->own && status == NLSH_OK) {
            nlsh__bytes_add(&own, sizes, a->m * sizeof *sizes);
            nlsh__bytes_add(&own, bucket_of + first, n * sizeof *bucket_of);
        }
        spoken = nlsh__ranks_gather(a->ranks, &own, &a->from, a->ends, error);
        if (spoken == NLSH_OK) spoken = nlsh__ranks_tell(a->ranks, &a->from, error);
        if (spoken != NLSH_OK || a->from.n == 0) break; /* it failed */
        struct nlsh__reader from = {a->from.at, a->from.n, 0};
        nlsh__bytes_take(&from, sizes, a->m * sizeof *sizes);
        nlsh__bytes_take(&from, bucket_of + first, n * sizeof *bucket_of);
    }
    nlsh__bytes_free(&own);
    return spoken != NLSH_OK ? spoken : nlsh__ranks_agree(a->ranks, status, error);
}

/* Into rank 0's neighbours those of rank r's part, which come behind. */
static void merge_part(struct apart *a, size_t r)
{
    struct nlsh__neighbors *to = &a->p.to->asking.truth;
    size_t n = to->n_rows, k = to->k, first = part_begins(a, r);
    size_t rows = part_begins(a, r + 1) - first, k_part = rows < k ? rows : k;
    uint32_t *ids = (uint32_t *)(void *)a->from.at;
    float *l2sq = (float *)(void *)(a->from.at + n * k * sizeof *ids);
    for (size_t i = 0; i < n && k_part > 0; i++) {
        /* a part's lists have room for k, whatever they hold */
        const struct nlsh__neighbors one = {1, k_part, ids + i * k, l2sq + i * k};
        nlsh__merge_truth(&one, 0, 0, first < k ? first : k, k, to->ids + i * k, to->l2sq + i * k,
                          a->p.merged_ids, a->p.merged_l2sq);
    }
}

/* One part after another: all together would not fit. */
static enum nlsh_status merge_truths(struct apart *a, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh__neighbors *truth = &a->p.to->asking.truth;
    size_t n = truth->n_rows * truth->k;
    struct nlsh__bytes own = {0};
    for (size_t r = 1; r < a->ranks->n; r++) {
        own.n = 0;
        if (r == a->ranks->own) {
            nlsh__bytes_add(&own, truth->ids, n * sizeof *truth->ids);
            nlsh__bytes_add(&own, truth->l2sq, n * sizeof *truth->l2sq);
        }
        NLSH_TRY(nlsh__ranks_gather(a->ranks, &own, &a->from, a->ends, error));
        if (a->ranks->own == 0) merge_part(a, r);
    }
out:
    nlsh__bytes_free(&own);
    return status;
}

/* ---- the third pass --------------------------------------------------------------------------- */

/* Places of the rows that this rank keeps: bucket after bucket, ascending in each. */
static enum nlsh_status number_places(struct apart *a, struct nlsh_error *error)
{
    struct nlsh__placed *to = a->p.to;
    uint32_t *offsets = to->offsets, *next, own = (uint32_t)a->ranks->own;
    enum nlsh_status status = nlsh__alloc(&next, a->m, sizeof *next, error);
    if (status != NLSH_OK) return status;
    offsets[0] = 0;
    for (size_t b = 0; b < a->m; b++) {
        next[b] = offsets[b];
        offsets[b + 1] = offsets[b] + (a->with->owners[b] == own ? a->with->sizes[b] : 0);
    }
    for (size_t row = 0; row < a->p.base->n_rows; row++) {
        uint32_t b = to->bucket_of[row];
        if (a->with->owners[b] == own) to->rows[next[b]++] = (uint32_t)row;
    }
    nlsh__free(next);
    return NLSH_OK;
}

/* Where a row of this rank's goes. */
static uint32_t place_of(const struct apart *a, uint32_t row)
{
    const struct nlsh__placed *to = a->p.to;
    uint32_t low = to->offsets[to->bucket_of[row]], high = to->offsets[to->bucket_of[row] + 1];
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;
        if (to->rows[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* A block of this rank's part, for whoever keeps its rows: each row's number and values. */
static enum nlsh_status send_block(struct apart *a, size_t first, size_t n,
                                   struct nlsh_error *error)
{
    struct nlsh__passing *p = &a->p;
    size_t size = p->base->dim * nlsh__type_size(p->base->type);
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): ranks agreed that all of it is there */
    for (size_t r = 0; r < a->ranks->n; r++) a->to[r].n = 0;
    if (n == 0) return NLSH_OK;
    enum nlsh_status status = p->part->read(p->part->user, first - p->begin, n, p->values, error);
    for (size_t i = 0; i < n && status == NLSH_OK; i++) {
        uint32_t row = (uint32_t)(first + i);
        struct nlsh__bytes *to = &a->to[a->with->owners[p->to->bucket_of[row]]];
        nlsh__bytes_add(to, &row, sizeof row);
        nlsh__bytes_add(to, (const uint8_t *)p->values + i * size, size);
    }
    return status;
}

/* The rows that came, into their places. */
static enum nlsh_status put_received(struct apart *a, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__passing *p = &a->p;
    size_t size = p->base->dim * nlsh__type_size(p->base->type);
    struct nlsh__reader from = {a->from.at, a->from.n, 0};
    p->numbers = a->numbers;
    while (from.left > 0 && status == NLSH_OK) {
        for (p->n_rows = 0; p->n_rows < p->block && from.left > 0; p->n_rows++) {
            uint32_t row;
            nlsh__bytes_take(&from, &row, sizeof row);
            nlsh__bytes_take(&from, (uint8_t *)p->values + p->n_rows * size, size);
            a->numbers[p->n_rows] = row;
            p->places[p->n_rows] = place_of(a, row);
        }
        status = nlsh__pass_rows(p, nlsh__pass_put, error);
    }
    p->numbers = NULL;
    return status;
}

/* Whatever becomes of one rank, it goes along to the end: others wait for it. */
static enum nlsh_status place_all(struct apart *a, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK, swapped = NLSH_OK;
    struct nlsh__passing *p = &a->p;
    size_t steps = 0;
    for (size_t r = 0; r < a->ranks->n; r++) {
        size_t n = part_begins(a, r + 1) - part_begins(a, r);
        if ((n + p->block - 1) / p->block > steps) steps = (n + p->block - 1) / p->block;
    }
    for (size_t i = 0; i < steps; i++) {
        size_t first = p->begin + i * p->block, left = first < p->end ? p->end - first : 0;
        if (status == NLSH_OK) status = nlsh__job_progress(p->job, "placing", i, steps, error);
        if (status == NLSH_OK)
            status = send_block(a, first, left < p->block ? left : p->block, error);
        swapped = a->ranks->swap(a->ranks->user, a->to, &a->from, a->ends, error);
        if (swapped != NLSH_OK) return swapped;
        if (status == NLSH_OK) status = put_received(a, error);
    }
    if (status == NLSH_OK) status = nlsh__job_progress(p->job, "placing", steps, steps, error);
    return nlsh__ranks_agree(a->ranks, status, error);
}

/* ---- all of it -------------------------------------------------------------------------------- */

static enum nlsh_status route(struct apart *a, const struct nlsh__sampled *sampled,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__passing *p = &a->p;
    NLSH_TRY(nlsh__pass_take_asking(p, sampled, error));
    NLSH_TRY(nlsh__pass(p, "routing", p->cells != NULL ? nlsh__pass_see : nlsh__pass_ask_router,
                        NULL, keep_choices, error));
out:
    return status;
}

enum nlsh_status
nlsh__place_apart(const struct nlsh_rows *base, const struct nlsh_index *index,
                  const struct nlsh__bucket_cells *cells, const struct nlsh__sampled *sampled,
                  const char *beside, size_t block, size_t k, const struct nlsh__apart *with,
                  const struct nlsh__job *job, struct nlsh__placed *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = index->meta.n_buckets;
    struct apart a = {.with = with, .ranks = with->ranks, .m = m};
    a.p = (struct nlsh__passing){
        .base = base,
        .index = index,
        .cells = cells,
        .job = job,
        .to = out,
        .block = block,
        .n_best = cells != NULL && m < NLSH__MOST_CHOICES ? m : NLSH__MOST_CHOICES};
    a.p.begin = a.p.from = part_begins(&a, a.ranks->own);
    a.p.end = part_begins(&a, a.ranks->own + 1);
    *out = (struct nlsh__placed){.p = nlsh__router_n_inputs(index->router)};
    status = nlsh__pass_reserve(&a.p, sampled->asking.n_rows, k, error);
    if (status == NLSH_OK) status = apart_create(&a, error);
    if (status == NLSH_OK) status = route(&a, sampled, error);
    NLSH_TRY(nlsh__ranks_agree(a.ranks, status, error));
    NLSH_TRY(assign_all(&a, error));
    NLSH_TRY(merge_truths(&a, error));
    nlsh__leave_own_out(&out->asking.truth, sampled->asking_rows);
    NLSH_TRY(with->deal(with->user, with->sizes, with->owners, error));
    status = number_places(&a, error);
    if (status == NLSH_OK) status = nlsh__pass_spool(&a.p, beside, out->offsets[m], error);
    NLSH_TRY(nlsh__ranks_agree(a.ranks, status, error));
    NLSH_TRY(place_all(&a, error));
    nlsh__spool_use(&out->vectors, NLSH__SPOOL_IN_ORDER);
    nlsh__spool_use(&out->inputs, NLSH__SPOOL_IN_ORDER);
    if (index->segments[0].leaves != NULL) status = nlsh__pass_order(&a.p, error);
    NLSH_TRY(nlsh__ranks_agree(a.ranks, status, error));
out:
    apart_free(&a);
    if (status != NLSH_OK) nlsh__placed_free(out);
    return status;
}
