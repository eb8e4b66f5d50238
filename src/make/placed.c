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
    if (p->index->metric != NLSH_L2)
        nlsh__data_hash_add(&p->hash, p->stored, p->n_rows * p->base->dim);
    return nlsh__pass_find_truth(p, error);
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

enum nlsh_status nlsh__place_rows(const struct nlsh_rows *base, const struct nlsh_index *index,
                                  const struct nlsh__bucket_cells *cells,
                                  const struct nlsh__sampled *sampled, const char *beside,
                                  size_t block, size_t k, const struct nlsh__job *job,
                                  struct nlsh__placed *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = index->meta.n_buckets;
    struct nlsh__passing p = {.base = base,
                              .part = base,
                              .end = base->n_rows,
                              .index = index,
                              .cells = cells,
                              .job = job,
                              .to = out,
                              .block = block,
                              .n_best =
                                  cells != NULL && m < NLSH__MOST_CHOICES ? m : NLSH__MOST_CHOICES};
    *out = (struct nlsh__placed){.p = nlsh__router_n_inputs(index->router)};
    NLSH_TRY(nlsh__pass_reserve(&p, sampled->asking.n_rows, k, error));
    NLSH_TRY(nlsh__pass_spool(&p, beside, base->n_rows, error));
    NLSH_TRY(nlsh__passing_create(&p, error));
    NLSH_TRY(nlsh__pass_take_asking(&p, sampled, error));
    NLSH_TRY(nlsh__pass(&p, "routing", cells != NULL ? nlsh__pass_see : nlsh__pass_ask_router, NULL,
                        assign, error));
    nlsh__leave_own_out(&out->asking.truth, sampled->asking_rows);
    if (index->metric != NLSH_L2) out->stored_hash = nlsh__data_hash_end(&p.hash);
    for (size_t b = 0; b < m; b++) out->offsets[b + 1] += out->offsets[b];
    NLSH_TRY(nlsh__pass(&p, "placing", nlsh__pass_put, find_places, NULL, error));
    shift_back(out->offsets, m);
    nlsh__spool_use(&out->vectors, NLSH__SPOOL_IN_ORDER);
    nlsh__spool_use(&out->inputs, NLSH__SPOOL_IN_ORDER);
    if (index->segments[0].leaves != NULL) NLSH_TRY(nlsh__pass_order(&p, error));
out:
    nlsh__passing_free(&p);
    if (status != NLSH_OK) nlsh__placed_free(out);
    return status;
}
