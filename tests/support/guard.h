/*
 * guard.h - memory that ends where a page that may not be touched begins: whoever reads or writes
 * one byte past it dies of a signal, masked loads and inline assembly included, which no sanitizer
 * watches.
 */
#ifndef NLSH_TESTS_GUARD_H
#define NLSH_TESTS_GUARD_H

#include <fcntl.h>
#include <sys/mman.h>

#include "testing.h"

struct guarded {
    void *data; /* [size] the next byte faults */
    void *pages;
    size_t n_bytes; /* of pages */
};

static inline struct guarded guarded_alloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page;
    struct guarded g = {.n_bytes = whole + page};
    int zero = open("/dev/zero", O_RDWR);
    assert_true(zero >= 0);
    g.pages = mmap(NULL, g.n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    close(zero);
    assert_true(g.pages != MAP_FAILED);
    assert_int_equal(mprotect((char *)g.pages + whole, page, PROT_NONE), 0);
    g.data = (char *)g.pages + whole - size;
    return g;
}

/* The end of the memory as a buffer of size bytes. */
static inline void *guarded_tail(const struct guarded *g, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_true(size <= g->n_bytes - page);
    return (char *)g->pages + g->n_bytes - page - size;
}

static inline void guarded_free(struct guarded *g)
{
    munmap(g->pages, g->n_bytes);
    *g = (struct guarded){0};
}

#endif
