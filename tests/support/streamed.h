/* streamed.h - a build of rows that pass by, which has room for few. */
#ifndef NLSH_TESTS_STREAMED_H
#define NLSH_TESTS_STREAMED_H

#include "make/streamed.h"
#include "support/built.h"
#include "support/rows.h"

enum { N = 4000, M = 32 };

static const struct nlsh__memory_plan few = {
    .sample = N / 4, .block = 700, .asking = 1000, .teaching_bytes = N / 2 * 200};

static inline void settings(struct nlsh_build_options *o, enum nlsh_metric metric)
{
    small_options(o, M);
    o->metric = metric;
    o->epochs = 10;
    o->nodes = 64;
}

#endif
