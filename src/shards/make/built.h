/*
 * built.h - an index of more vectors than one memory holds, made by several ranks, each of which keeps some buckets.
 *
 * Rank 0 draws the sample and learns from it; what follows is done by all: each rank reads a part of the base and says where
 * its rows belong, each keeps the rows of its buckets, codes them, and writes a shard. Searches that teach and measure go
 * through the shards (shards/shards.h). Sums of all buckets are made in the order of buckets.
 */
#ifndef NLSH_SHARDS_MAKE_BUILT_H
#define NLSH_SHARDS_MAKE_BUILT_H

#include "make/merged.h"
#include "make/of_sample.h"
#include "make/relearned.h"
#include "shards/manifest.h"
#include "shards/shards.h"

/*
 * nlsh__build_in_ranks() - by all ranks with the same arguments: nlsh_build_rows() into the shards of a manifest.
 *
 *  plan    of memory; or NULL: by memory, of each rank
 *  path    of the manifest, which rank 0 writes last; shard i is rank i's file
 * The shards hold the rows, codes, router and promises of the index that nlsh_build_rows() makes with the same memory; of
 * one rank the file has its bytes. All ranks return the same status, and rank 0's error counts. Where *in_step is 0 behind
 * an error, other ranks wait in vain: end them.
 */
enum nlsh_status
nlsh__build_in_ranks(const struct nlsh_rows *base, const struct nlsh_build_options *options,
                     const struct nlsh__memory_plan *plan, uint64_t memory, const char *path,
                     const struct nlsh_run *run, const struct nlsh__ranks *ranks,
                     struct nlsh_build_report *report, int *in_step, struct nlsh_error *error);

/* ---- inside ------------------------------------------------------------------------------------ */

/* An index on its way, as one rank has it. */
struct nlsh__build_apart {
    const struct nlsh_rows *base;
    struct nlsh_build_options options;
    const char *path; /* of the manifest */
    char *shard_path;
    const struct nlsh__job *job;
    const struct nlsh__ranks *ranks;
    struct nlsh__memory_plan plan;
    struct nlsh__sampled sampled; /* of other ranks only the rows that ask */
    struct nlsh__map sample_file; /* of other ranks: the sample's index in memory */
    struct nlsh_index *sample;
    struct nlsh__router *router; /* that learned from all, or NULL */
    struct nlsh__bucket_cells cells;
    struct nlsh__placed placed;
    uint32_t *sizes, *owners; /* [m] */
    uint64_t set;
    uint32_t *rows; /* [own rows] the shard's rows by place */
    uint64_t *keys; /* [own rows] by the shard's rows, or NULL */
    uint8_t *shard;
    size_t shard_size;
    struct nlsh__merged sections;
    size_t router_at; /* among the sections */
    struct nlsh__relearned relearned;
    void *taught; /* of other ranks: the router that rank 0 trained */
    struct nlsh__meta meta;
    struct nlsh__metric_meta metric;
    struct nlsh__segment_meta segment;
    int in_step;
};

/* By all ranks, of a shard that was written to try it: nlsh__relearn(), on rank 0 with the rows of all. */
enum nlsh_status nlsh__teach_apart(void *build, const struct nlsh_index *index,
                                   struct nlsh_error *error);
/* By all ranks: sections that promise. Rank 0's rows ask all shards. candidates: as nlsh__ask_merged() has them. */
enum nlsh_status nlsh__promise_apart(struct nlsh__build_apart *build, double *candidates,
                                     struct nlsh_error *error);

#endif
