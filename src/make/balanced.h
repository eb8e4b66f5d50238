/* balanced.h - buckets that hold too many of the rows that are left, after others went. */
#ifndef NLSH_MAKE_BALANCED_H
#define NLSH_MAKE_BALANCED_H

#include "base/job.h"
#include "router/router.h"

/* Rows that have a bucket. */
struct nlsh__in_buckets {
    const float *inputs; /* [n x p] what the router sees of them, as they come as queries */
    size_t n, m;
    uint32_t *bucket_of; /* [n] below m */
};

/*
 * nlsh__balance_rows() - no bucket holds more than most rows, of which m times as many would be more than all.
 *
 * From a bucket that does, those rows go that the router would as well see elsewhere, each to the most probable bucket that
 * has room. n_moved: out. The same for any number of threads. NLSH_E_NOMEM. Cost: the router is asked about the rows of
 * such buckets.
 */
enum nlsh_status nlsh__balance_rows(const struct nlsh__router *router,
                                    const struct nlsh__in_buckets *rows, size_t most,
                                    const struct nlsh__job *job, size_t *n_moved,
                                    struct nlsh_error *error);

#endif
