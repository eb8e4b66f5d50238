/* meeting.h - ranks as threads of one process, which speak through its memory. */
#ifndef NLSH_TESTS_MEETING_H
#define NLSH_TESTS_MEETING_H

#include <pthread.h>

#include "shards/shards.h"
#include "support/built.h"

enum { MOST_RANKS = 8 };

struct meeting {
    pthread_barrier_t barrier;
    size_t n;
    const struct nlsh__bytes *own[MOST_RANKS];
    const struct nlsh__bytes *said;
};

struct attendant {
    struct meeting *meeting;
    struct nlsh__ranks ranks;
};

static enum nlsh_status meeting_gather(void *user, const struct nlsh__bytes *own,
                                       struct nlsh__bytes *all, size_t *ends,
                                       struct nlsh_error *error)
{
    const struct attendant *a = user;
    (void)error;
    a->meeting->own[a->ranks.own] = own;
    pthread_barrier_wait(&a->meeting->barrier);
    for (size_t i = 0; i < a->meeting->n && a->ranks.own == 0; i++) {
        nlsh__bytes_add(all, a->meeting->own[i]->at, a->meeting->own[i]->n);
        ends[i] = all->n;
    }
    pthread_barrier_wait(&a->meeting->barrier);
    return NLSH_OK;
}

static enum nlsh_status meeting_tell(void *user, struct nlsh__bytes *bytes,
                                     struct nlsh_error *error)
{
    const struct attendant *a = user;
    (void)error;
    if (a->ranks.own == 0) a->meeting->said = bytes;
    pthread_barrier_wait(&a->meeting->barrier);
    if (a->ranks.own != 0) {
        bytes->n = 0;
        nlsh__bytes_add(bytes, a->meeting->said->at, a->meeting->said->n);
    }
    pthread_barrier_wait(&a->meeting->barrier);
    return NLSH_OK;
}

static enum nlsh_status meeting_swap(void *user, const struct nlsh__bytes *to,
                                     struct nlsh__bytes *from, size_t *ends,
                                     struct nlsh_error *error)
{
    const struct attendant *a = user;
    (void)error;
    a->meeting->own[a->ranks.own] = to;
    pthread_barrier_wait(&a->meeting->barrier);
    from->n = 0;
    for (size_t i = 0; i < a->meeting->n; i++) {
        const struct nlsh__bytes *for_this = &a->meeting->own[i][a->ranks.own];
        nlsh__bytes_add(from, for_this->at, for_this->n);
        ends[i] = from->n;
    }
    pthread_barrier_wait(&a->meeting->barrier);
    return NLSH_OK;
}

/* All ranks run; rank 0 in the caller's thread. */
static inline void meet(size_t n, void *(*run)(void *), struct attendant *attendants)
{
    struct meeting meeting = {.n = n};
    pthread_t threads[MOST_RANKS];
    assert_int_equal(pthread_barrier_init(&meeting.barrier, NULL, (unsigned)n), 0);
    for (size_t i = 0; i < n; i++) {
        attendants[i].meeting = &meeting;
        attendants[i].ranks =
            (struct nlsh__ranks){n, i, &attendants[i], meeting_gather, meeting_tell, meeting_swap};
        if (i > 0) assert_int_equal(pthread_create(&threads[i], NULL, run, &attendants[i]), 0);
    }
    run(&attendants[0]);
    for (size_t i = 1; i < n; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&meeting.barrier);
}

#endif
