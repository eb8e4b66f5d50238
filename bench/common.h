/* common.h - what measurements share. */
#ifndef NLSH_BENCH_COMMON_H
#define NLSH_BENCH_COMMON_H

#include <stdio.h>
#include <stdlib.h>

#include "nlsh/nlsh.h"

/* What has to go well, or the end. */
static inline void must(enum nlsh_status status, const struct nlsh_error *error)
{
    if (status == NLSH_OK) return;
    fprintf(stderr, "%s (%s)\n", error->message, error->hint);
    exit(1);
}

/* Cleared memory, or the end. */
static inline void *room(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);
    if (p != NULL) return p;
    fprintf(stderr, "out of memory\n");
    exit(1);
}

#endif
