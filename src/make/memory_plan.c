/* memory_plan.c - see memory_plan.h. */
#include "make/memory_plan.h"

#include <stdio.h>

#include "base/error.h"
#include "base/matrix.h"
#include "make/asking.h"
#include "make/forecast.h"
#include "make/resolve.h"

enum {
    LEAST_BLOCK = 1024,
    MOST_BLOCK = 131072,
    MOST_COMPONENTS = 128, /* that auto chooses */
    MOST_ASKING = 5000,
    ASKING_SHARE = 10 /* of memory for their true neighbours: a tenth */
};

/* Bytes a row that are in memory throughout: its bucket, row, place and code. */
#define ROW_BYTES 64
/* What a build needs whatever the rows are. */
#define FIXED_BYTES ((uint64_t)64 << 20)

/* What a build of n of the rows takes. */
uint64_t nlsh__bytes_of_build(const struct nlsh_rows *base,
                              const struct nlsh_build_options *options, size_t n)
{
    struct nlsh_build_options o = *options;
    struct nlsh_matrix rows = {NULL, n, base->dim, base->type, 0};
    struct nlsh_build_forecast f;
    if (o.components == NLSH_AUTO)
        o.components = base->dim < MOST_COMPONENTS ? base->dim : MOST_COMPONENTS;
    if (o.groups == NLSH_AUTO) o.groups = nlsh__auto_groups(o.n_buckets);
    if (rows.type == NLSH_I8) rows.type = NLSH_U8;
    nlsh__forecast_bytes(&rows, &o, &f);
    return f.peak_bytes;
}

/* The rows that a build in so many bytes may have. */
static size_t sample_in(const struct nlsh_rows *base, const struct nlsh_build_options *options,
                        uint64_t bytes)
{
    size_t low = 0, high = base->n_rows;
    while (low < high) {
        size_t n = low + (high - low + 1) / 2;
        if (nlsh__bytes_of_build(base, options, n) <= bytes)
            low = n;
        else
            high = n - 1;
    }
    return low;
}

/* The rows of a sample that k-means may divide, of which *compared are to be cut by their graph as well while all of them are in
 * memory; or as many as may be cut so, and 0. */
static size_t plan_comparison(const struct nlsh_rows *base,
                              const struct nlsh_build_options *options, uint64_t memory,
                              size_t of_graph, size_t least, size_t *compared)
{
    struct nlsh_build_options o = *options;
    o.partitioner = NLSH_PARTITIONER_KMEANS;
    size_t sample = sample_in(base, &o, memory);
    if (sample > NLSH__MOST_SAMPLE) sample = NLSH__MOST_SAMPLE;
    if (sample >= base->n_rows) sample = base->n_rows - 1;
    if (sample <= of_graph) return of_graph;
    uint64_t rows = (uint64_t)sample * base->dim * nlsh__type_size(base->type);
    *compared = sample_in(base, options, memory - rows);
    if (*compared >= least) return sample;
    *compared = 0;
    return of_graph;
}

enum nlsh_status nlsh__plan_memory(const struct nlsh_rows *base,
                                   const struct nlsh_build_options *options, uint64_t memory,
                                   struct nlsh__memory_plan *out, struct nlsh_error *error)
{
    char hint[128];
    uint64_t always = FIXED_BYTES + (uint64_t)base->n_rows * ROW_BYTES;
    /* of a row that passes: as it is read, as it is stored, as the router sees it, as a panel of products */
    size_t passing = base->dim * (2 * nlsh__type_size(base->type) + 2 * sizeof(float)) + 64;
    uint64_t least = always + (uint64_t)LEAST_BLOCK * passing;
    size_t sample = sample_in(base, options, memory);
    if (sample < base->n_rows && memory < least) sample = 0;
    out->compared = 0;
    size_t wanted = 2 * options->n_buckets < base->n_rows ? 2 * options->n_buckets : base->n_rows;
    if (sample < wanted || sample < 2) {
        unsigned long long enough = least / 1000000 * 5 / 4 + 1;
        snprintf(hint, sizeof hint, "give it more; %llu MB would begin to do", enough);
        return nlsh__fail(
            error, NLSH_E_ARG, hint,
            "%llu MB of memory are too little for %zu vectors of %zu values and %zu buckets",
            (unsigned long long)(memory / 1000000), base->n_rows, base->dim, options->n_buckets);
    }
    if (sample < base->n_rows && options->partitioner == NLSH_PARTITIONER_AUTO)
        sample = plan_comparison(base, options, memory, sample, wanted, &out->compared);
    if (sample < base->n_rows && sample > NLSH__MOST_SAMPLE) sample = NLSH__MOST_SAMPLE;
    if (out->compared >= sample) out->compared = 0;
    /* Half of what is left: the other half is for pages of the index that is searched meanwhile. */
    out->teaching_bytes = memory > always ? (memory - always) / 2 : 0;
    uint64_t block = memory > always ? (memory - always) / 2 / passing : 0;
    out->asking = (size_t)(memory / ASKING_SHARE / (NLSH__ASKING_K * 8));
    if (out->asking < NLSH__MOST_ASKING) out->asking = NLSH__MOST_ASKING;
    if (out->asking > MOST_ASKING) out->asking = MOST_ASKING;
    /* Whoever asks is not in the sample. */
    if (sample < base->n_rows && base->n_rows - sample < out->asking)
        sample = base->n_rows > 2 * out->asking ? base->n_rows - out->asking : base->n_rows / 2;
    out->sample = sample;
    out->block = block < LEAST_BLOCK  ? LEAST_BLOCK
                 : block > MOST_BLOCK ? MOST_BLOCK
                                      : (size_t)block;
    return NLSH_OK;
}
