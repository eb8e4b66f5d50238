/* passing.h - a base passes by, block after block: what passes of one process and of several have in common. */
#ifndef NLSH_MAKE_PASSING_H
#define NLSH_MAKE_PASSING_H

#include "live/coder.h"
#include "make/placed.h"
#include "vectors/data_hash.h"

/* What passes are made with. */
struct nlsh__passing {
    const struct nlsh_rows *base;
    size_t begin, end; /* rows of it that pass */
    size_t
        from; /* begin; or behind rows of which an earlier build knows what this pass would say */
    const struct nlsh_rows *part; /* rows from .. end - 1, as they are read: from 0 on */
    const struct nlsh_index *index;
    const struct nlsh__bucket_cells *cells; /* or NULL: the router says where rows belong */
    const struct nlsh__job *job;
    struct nlsh__unfinished *unfinished; /* or NULL */
    struct nlsh__placed *to;
    struct nlsh__row_maker *makers; /* [n_workers] */
    struct nlsh_error *errors;      /* [n_workers] */
    size_t *failed; /* [n_workers] the first row that could not be taken; SIZE_MAX: none */
    size_t n_workers, block;
    size_t row_bytes, form_bytes; /* of a row as it is stored, and as it is worked with */
    void *values;                 /* [block] rows as the base has them */
    uint8_t *stored;    /* [block] with the values that the index stores, as it works with them */
    float *seen;        /* [block][p] by cells: what the router sees of rows */
    uint32_t *choices;  /* [block][n_best] */
    uint8_t *n_choices; /* [block] */
    size_t n_best;
    uint32_t *places;     /* [block] */
    uint32_t *merged_ids; /* [k + 1] scratch */
    float *merged_l2sq;
    struct nlsh__data_hash hash; /* of stored rows */
    size_t first, n_rows;        /* of the block that is at hand */
    const uint32_t *numbers;     /* [n_rows] of its rows in the base; or NULL: from first on */
};

/* What stands in *p by then says how much room is made. NLSH_E_NOMEM. Freed in any case. */
enum nlsh_status nlsh__passing_create(struct nlsh__passing *p, struct nlsh_error *error);
void nlsh__passing_free(struct nlsh__passing *p);
/* Room in p->to, before hours of work: for what is there of each row; for n rows in their places. */
enum nlsh_status nlsh__pass_reserve(const struct nlsh__passing *p, size_t n_asking, size_t k,
                                    struct nlsh_error *error);
enum nlsh_status nlsh__pass_spool(const struct nlsh__passing *p, const char *beside, size_t n,
                                  struct nlsh_error *error);

/* One pass: each block is read, task() works on its rows in threads, before() and behind(), or NULL, on the whole. */
typedef enum nlsh_status nlsh__pass_fn(struct nlsh__passing *p, struct nlsh_error *error);
enum nlsh_status nlsh__pass(struct nlsh__passing *p, const char *stage, nlsh__task_fn *task,
                            nlsh__pass_fn *before, nlsh__pass_fn *behind, struct nlsh_error *error);
/* The same of the block that is at hand. */
enum nlsh_status nlsh__pass_rows(struct nlsh__passing *p, nlsh__task_fn *task,
                                 struct nlsh_error *error);

/* Tasks: a row's buckets by the router; what the router sees of it, for the cells; the row into its place. */
nlsh__task_fn nlsh__pass_ask_router, nlsh__pass_see, nlsh__pass_put;

/* Behind these: the block's buckets by the cells. */
enum nlsh_status nlsh__pass_ask_cells(struct nlsh__passing *p, struct nlsh_error *error);
/* Row i of the block at hand goes to the best of all buckets that are not full. */
typedef enum nlsh_status nlsh__further_fn(struct nlsh__passing *p, size_t i, const uint32_t *sizes,
                                          size_t most, uint32_t *bucket, struct nlsh_error *error);
nlsh__further_fn nlsh__pass_look_further;
/* Buckets of n rows, from the first-th of the base on, in their order; sizes [m] grow. further: where all choices of the
 * i-th are full. */
enum nlsh_status nlsh__pass_assign(struct nlsh__passing *p, const uint32_t *choices,
                                   const uint8_t *n_choices, size_t first, size_t n,
                                   uint32_t *sizes, nlsh__further_fn *further,
                                   struct nlsh_error *error);

/* The rows that ask, as the index stores them; their true neighbours, and those rows themselves, as far as blocks have
 * passed; and without themselves, one fewer. */
enum nlsh_status nlsh__pass_take_asking(struct nlsh__passing *p,
                                        const struct nlsh__sampled *sampled,
                                        struct nlsh_error *error);
enum nlsh_status nlsh__pass_find_truth(struct nlsh__passing *p, struct nlsh_error *error);
void nlsh__leave_own_out(struct nlsh__neighbors *truth, const uint32_t *own);
/* The n_have nearest so far, ids and l2sq [k], and a query's of a block, become the k nearest of both; ties go to the
 * smaller number. The block's ids count from first on. scratch [k] each. */
void nlsh__merge_truth(const struct nlsh__neighbors *block, size_t query, size_t first,
                       size_t n_have, size_t k, uint32_t *ids, float *l2sq, uint32_t *scratch_ids,
                       float *scratch_l2sq);

/* Rows that are in their places into the order of leaves. */
enum nlsh_status nlsh__pass_order(struct nlsh__passing *p, struct nlsh_error *error);

#endif
