/* common.h - what the measurements of an index that changes share. */
#ifndef NLSH_BENCH_LIVE_COMMON_H
#define NLSH_BENCH_LIVE_COMMON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common.h"
#include "base/clock.h"
#include "base/matrix.h"
#include "nlsh/learn.h"

static inline struct nlsh_matrix read_matrix(const char *path)
{
    struct nlsh_error error = {0};
    struct nlsh_vectors *vectors;
    must(nlsh_vectors_read(path, NLSH_FORMAT_AUTO, &vectors, &error), &error);
    return *nlsh_vectors_matrix(vectors); /* kept until the end */
}

static inline struct nlsh_matrix rows_of(const struct nlsh_matrix *m, size_t first, size_t n)
{
    return (struct nlsh_matrix){nlsh__row(m, first), n, m->dim, m->type, m->stride};
}

#endif
