/*
 * refused.h - a call is repeated, and each time there is no memory for another of its allocations. It must
 * then fail with words, release what it has, and write nothing where it does not belong.
 */
#ifndef NLSH_TESTS_REFUSED_H
#define NLSH_TESTS_REFUSED_H

#include <execinfo.h>

#include "support/counting.h"

typedef enum nlsh_status (*refused_call)(void *ctx, struct nlsh_error *error);

/* What is in use is what was before, and nothing was written where it does not belong. */
static inline void check_in_use(size_t n)
{
    assert_int_equal(counted.n_allocated - counted.n_released, n);
    assert_int_equal(counted.n_spoilt, 0);
}

/* Calls with one allocation refused, the at-th; returns whether it was reached. */
static inline int refuse_one(refused_call call, void *ctx, size_t at)
{
    struct nlsh_error error = {.status = NLSH_OK};
    size_t in_use = counted.n_allocated - counted.n_released;
    counted.refuse_at = counted.n_allocated + at;
    enum nlsh_status status = call(ctx, &error);
    int refused = counted.refuse_at == 0;
    counted.refuse_at = 0;
    check_in_use(in_use);
    if (!refused && status != NLSH_OK) fail_msg("%s (%s)", error.message, error.hint);
    if (refused && (status != NLSH_E_NOMEM || error.status != status))
        fail_msg("allocation %zu was refused, and the status is %d: %s", at, (int)status,
                 error.message);
    return refused;
}

/*
 * refuse_each() - call(ctx), with its first allocation refused, then the next, until none is reached.
 *
 * The call must succeed in the end, and have one thread. Returns how many allocations it has, about so with a sanitizer
 * (TEST_STRIDE).
 */
static inline size_t refuse_each(refused_call call, void *ctx)
{
    size_t at = 1;
    while (refuse_one(call, ctx, at)) at += TEST_STRIDE;
    return at - 1;
}

/* ---- each place in the program once ----------------------------------------------------------- */

enum { MOST_PLACES = 4096, MOST_FRAMES = 8 };

/* The last calls of the chains that ended in an allocation, and the first allocation of each. */
static struct {
    uint64_t chains[MOST_PLACES];
    size_t at[MOST_PLACES], n, begun;
} places;

static inline void note_place(size_t n)
{
    void *frames[MOST_FRAMES];
    int n_frames = backtrace(frames, MOST_FRAMES);
    uint64_t chain = 14695981039346656037u;
    for (int i = 0; i < n_frames; i++) chain = (chain ^ (uintptr_t)frames[i]) * 1099511628211u;
    for (size_t i = 0; i < places.n; i++)
        if (places.chains[i] == chain) return;
    assert_true(places.n < MOST_PLACES);
    places.chains[places.n] = chain;
    places.at[places.n++] = n - places.begun;
}

/*
 * refuse_places() - the same, where a call has very many allocations: of those that the same calls lead to, the
 * first is refused, once a program. The call must take memory in the same order each time. Returns how many
 * places were new.
 */
static inline size_t refuse_places(refused_call call, void *ctx)
{
    struct nlsh_error error;
    size_t known = places.n;
    places.begun = counted.n_allocated;
    counted.at = note_place;
    if (call(ctx, &error) != NLSH_OK) fail_msg("%s (%s)", error.message, error.hint);
    counted.at = NULL;
    for (size_t i = known; i < places.n; i += TEST_STRIDE)
        assert_true(refuse_one(call, ctx, places.at[i]));
    return places.n - known;
}

#endif
