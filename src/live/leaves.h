/* leaves.h - leaves of rows of a log (codes/leaves.h), made of the rows' codes: what their order needs is all there. */
#ifndef NLSH_LIVE_LEAVES_H
#define NLSH_LIVE_LEAVES_H

#include "index/index.h"
#include "live/log.h"

/* Rows first .. first + bucket_offsets[m] - 1 of a log, in buckets. */
struct nlsh__bucketed {
    const struct nlsh_index *file;
    const struct nlsh__row_form *form;
    const struct nlsh__log_rows *rows;
    size_t first;
    const uint32_t *bucket_offsets; /* [m + 1] */
};

/* Puts numbers [bucket_offsets[m]], rows less first in bucket order, into the order of leaves. NLSH_E_NOMEM. */
enum nlsh_status nlsh__order_log_rows(const struct nlsh__bucketed *b, uint32_t *numbers,
                                      struct nlsh_error *error);

/* Where leaves go: arrays of n_groups groups of 16, and each bucket's first [m + 1]. */
struct nlsh__leaves_out {
    const uint32_t *group_offsets;
    size_t n_groups;
    float *biases;
    uint8_t *errors, *values;
    float *error_unit;
};

/* The leaves of rows in that order. NLSH_E_NOMEM. */
enum nlsh_status nlsh__code_log_leaves(const struct nlsh__bucketed *b, const uint32_t *numbers,
                                       const struct nlsh__leaves_out *out,
                                       struct nlsh_error *error);

#endif
