/* manifest.h - the file that names the shards of an index: JSON beside them, written last. */
#ifndef NLSH_SHARDS_MANIFEST_H
#define NLSH_SHARDS_MANIFEST_H

#include <stdint.h>

#include "index/index.h"

/* Most shards: names have their numbers. */
#define NLSH__MOST_SHARDS 1024

/* A shard as the manifest knows it. */
struct nlsh__named_shard {
    char *path;
    uint64_t size, checksum; /* of the file; of its header, which has those of its sections */
    uint64_t n_rows, n_buckets;
};

struct nlsh__manifest {
    size_t n;
    struct nlsh__named_shard *shards;
    uint64_t set; /* struct nlsh__shard_header; 0 where there is one shard */
    uint64_t n_rows, data_hash;
    size_t dim, n_buckets;
};

/* Whether a file is a manifest, and no index, by how it begins. 0 where it cannot be read. */
int nlsh__is_manifest(const char *path);

/* Shard i of the manifest at path: "x.shards.2.nlsh". NLSH_E_NOMEM. */
enum nlsh_status nlsh__shard_path(const char *path, size_t i, char **out, struct nlsh_error *error);

/* NLSH_E_NO_INPUT, NLSH_E_DATA, NLSH_E_UNSUPPORTED (a newer nlsh wrote it), NLSH_E_NOMEM. */
enum nlsh_status nlsh__manifest_read(const char *path, struct nlsh__manifest *out,
                                     struct nlsh_error *error);
/* Whole or not at all. NLSH_E_CANT_CREATE and its like. */
enum nlsh_status nlsh__manifest_write(const char *path, const struct nlsh__manifest *manifest,
                                      struct nlsh_error *error);
void nlsh__manifest_free(struct nlsh__manifest *manifest);

/* Size and checksum of an open index's file. */
void nlsh__shard_name(const struct nlsh_index *index, struct nlsh__named_shard *out);

#endif
