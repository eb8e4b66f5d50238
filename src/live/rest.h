/*
 * rest.h - what stands behind the last record of a log: nothing; a seal; what an interrupted write left, which nobody was
 * promised; or damage.
 */
#ifndef NLSH_LIVE_REST_H
#define NLSH_LIVE_REST_H

#include "live/log.h"

struct nlsh__log_rest {
    int sealed;             /* 1: nothing but a seal */
    uint64_t left;          /* bytes behind the last record, none of which is read */
    int damaged;            /* 1: they were durable once */
    uint64_t again, number; /* where a later record is whole again, and which; 0: not known */
};

/*
 * nlsh__log_rest() - of a log of so many bytes, whose last record ends at *at.
 *
 * Cost: what is left is read once, and of what looks like records no more than twice as many bytes. NLSH_E_IO, NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__log_rest(int fd, const char *log_path, uint64_t size,
                                const struct nlsh__row_form *form, const struct nlsh__log_at *at,
                                struct nlsh__log_rest *out, struct nlsh_error *error);

#endif
