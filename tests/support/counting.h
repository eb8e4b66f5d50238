/*
 * counting.h - an allocator that counts, refuses on demand, and sees what is written before or behind a
 * block, released twice, or never.
 */
#ifndef NLSH_TESTS_COUNTING_H
#define NLSH_TESTS_COUNTING_H

#include <stdatomic.h>

#include "nlsh/nlsh.h"
#include "testing.h"

enum { COUNTED_ROOM = 64, COUNTED_MARK = 0x5e };

static struct {
    atomic_size_t n_allocated, n_released;
    atomic_size_t refuse_at; /* the allocation, counted from 1, that is refused; 0: none */
    atomic_int n_spoilt;     /* blocks whose surroundings were written to */
    void (*at)(size_t n);    /* told of the n-th allocation, counted from 1; or NULL */
} counted;

/* Before each block stands its size, and marks up to it and behind it. */
static inline void *counted_allocate(void *user, size_t size, size_t alignment)
{
    assert_ptr_equal(user, &counted);
    assert_true(alignment <= COUNTED_ROOM && (alignment & (alignment - 1)) == 0);
    size_t n = atomic_fetch_add(&counted.n_allocated, 1) + 1;
    if (counted.at != NULL) counted.at(n);
    if (n == counted.refuse_at) {
        atomic_fetch_sub(&counted.n_allocated, 1);
        counted.refuse_at = 0;
        return NULL;
    }
    size_t whole = (size + 3 * COUNTED_ROOM - 1) / COUNTED_ROOM * COUNTED_ROOM;
    uint8_t *block = aligned_alloc(COUNTED_ROOM, whole);
    if (block == NULL) return NULL;
    memset(block, COUNTED_MARK, whole);
    memcpy(block, &size, sizeof size);
    return block + COUNTED_ROOM;
}

static inline void counted_release(void *user, void *memory)
{
    assert_ptr_equal(user, &counted);
    assert_non_null(memory);
    uint8_t *block = (uint8_t *)memory - COUNTED_ROOM;
    size_t size, spoilt = 0;
    memcpy(&size, block, sizeof size);
    for (size_t i = sizeof size; i < COUNTED_ROOM; i++) spoilt += block[i] != COUNTED_MARK;
    for (size_t i = 0; i < COUNTED_ROOM; i++)
        spoilt += block[COUNTED_ROOM + size + i] != COUNTED_MARK;
    if (spoilt > 0) atomic_fetch_add(&counted.n_spoilt, 1);
    atomic_fetch_add(&counted.n_released, 1);
    free(block);
}

/* From here on the libraries' memory is counted. */
static inline void counted_begin(void)
{
    static const struct nlsh_allocator allocator = {counted_allocate, counted_release, &counted};
    struct nlsh_error error;
    if (nlsh_set_allocator(&allocator, &error) != NLSH_OK) fail_msg("%s", error.message);
}

/* Everything was released, and nothing written where it does not belong. */
static inline void counted_check(void)
{
    assert_int_equal(counted.n_allocated, counted.n_released);
    assert_int_equal(counted.n_spoilt, 0);
}

/* A program that began with counted_begin() returns this of its tests' result. */
static inline int counted_end(int n_failed)
{
    if (n_failed == 0) counted_check();
    return n_failed;
}

#endif
