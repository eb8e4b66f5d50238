/* sampled.h - the first pass over a base that does not fit in memory: what is drawn from it, and what is learned of it. */
#ifndef NLSH_MAKE_SAMPLED_H
#define NLSH_MAKE_SAMPLED_H

#include "base/job.h"
#include "nlsh/learn.h"

/* Rows are as the base has them. */
struct nlsh__sampled {
    struct nlsh_matrix rows;   /* what the index learns from; all rows where those are no more */
    struct nlsh_matrix asking; /* other rows, which will say what searches reach */
    uint32_t *asking_rows;     /* [asking.n_rows] their numbers, ascending */
    uint64_t hash;             /* nlsh_data_hash() of the base */
    int by_f16;                /* 1: an index of f16 keeps all rows of the base as they are */
    float scale;               /* of bytes that stand for the rows, where that was asked for */
    void *memory, *asking_memory;
};

/*
 * nlsh__sample() - draws n rows, and others that ask, evenly and by seed. Where no row is whole numbers throughout but
 * the base is not, one of the others is among them: so the sample is stored as the base has to be.
 *
 *  block  rows that are read at once
 * NLSH_E_DATA names a row with a value that is not finite, or that has no cosine where that is the metric; NLSH_E_NOMEM; what base->read() returns.
 */
enum nlsh_status nlsh__sample(const struct nlsh_rows *base,
                              const struct nlsh_build_options *options, size_t n, size_t n_asking,
                              size_t block, const struct nlsh__job *job, struct nlsh__sampled *out,
                              struct nlsh_error *error);
void nlsh__sampled_free(struct nlsh__sampled *sampled);

/* What was left to the build and all rows say: not f16 where the sample alone would be kept so; the scale of bytes. */
void nlsh__sampled_store(const struct nlsh__sampled *sampled, struct nlsh_build_options *options);

#endif
