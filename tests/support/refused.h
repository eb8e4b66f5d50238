/*
 * refused.h - a call is repeated, and each time there is no memory for another of its allocations. It must
 * then fail with words, release what it has, and write nothing where it does not belong.
 */
#ifndef NLSH_TESTS_REFUSED_H
#define NLSH_TESTS_REFUSED_H

#include "support/counting.h"

typedef enum nlsh_status (*refused_call)(void *ctx, struct nlsh_error *error);

/* What is in use is what was before, and nothing was written where it does not belong. */
static inline void check_in_use(size_t n)
{
    assert_int_equal(counted.n_allocated - counted.n_released, n);
    assert_int_equal(counted.n_spoilt, 0);
}

/*
 * refuse_each() - call(ctx), with its first allocation refused, then the next, until none is reached.
 *
 *  all_up_to  from this allocation on some are left out: a fifth more each time
 * The call must succeed in the end, and have one thread. Returns how often it was refused.
 */
static inline size_t refuse_each(refused_call call, void *ctx, size_t all_up_to)
{
    size_t n = 0, in_use = counted.n_allocated - counted.n_released;
    for (size_t at = 1;; at += at < all_up_to ? 1 : 1 + at / 5, n++) {
        struct nlsh_error error = {.status = NLSH_OK};
        counted.refuse_at = counted.n_allocated + at;
        enum nlsh_status status = call(ctx, &error);
        int refused = counted.refuse_at == 0;
        counted.refuse_at = 0;
        check_in_use(in_use);
        if (!refused) {
            if (status != NLSH_OK) fail_msg("%s (%s)", error.message, error.hint);
            return n;
        }
        if (status != NLSH_E_NOMEM || error.status != status)
            fail_msg("allocation %zu was refused, and the status is %d: %s", at, (int)status,
                     error.message);
    }
}

#endif
