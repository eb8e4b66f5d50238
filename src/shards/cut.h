/* cut.h - an index file, cut into shards by bucket. */
#ifndef NLSH_SHARDS_CUT_H
#define NLSH_SHARDS_CUT_H

#include "shards/manifest.h"

/* NLSH_E_UNSUPPORTED, with what to do first, where the index has a log, deleted rows, several segments, sections of an
 * older version, or is a shard. */
enum nlsh_status nlsh__shard_check(const struct nlsh_index *index, struct nlsh_error *error);

/*
 * nlsh__cut_shard() - one shard's file: of the index what every search needs, and the rows of its buckets.
 *
 *  owners [n_buckets] the shard that holds each, below n
 *  path   of the manifest; the file is nlsh__shard_path()'s
 *  out    its entry in the manifest, whose path nlsh__manifest_free() frees
 * Of one shard the file has the index's own bytes. Memory: the shard's file, and 4 bytes a row of the index.
 */
enum nlsh_status nlsh__cut_shard(const struct nlsh_index *index, const uint32_t *owners,
                                 uint32_t number, uint32_t n, const char *path,
                                 struct nlsh__named_shard *out, struct nlsh_error *error);

/*
 * nlsh__shard_section() - the section that says which part of an index a file is (struct nlsh__shard_header).
 *
 *  rows     [n] of the whole, by place
 *  numbers  [n] out: the file's own number of each, by place
 * NLSH_E_NOMEM.
 */
enum nlsh_status nlsh__shard_section(const struct nlsh__shard_header *header, const uint32_t *sizes,
                                     const uint32_t *owners, size_t m, const uint32_t *rows,
                                     size_t n, uint8_t **out, size_t *size, uint32_t *numbers,
                                     struct nlsh_error *error);

/* All shards and, last, the manifest at path; *out is what it says. progress may be NULL. */
enum nlsh_status nlsh__cut_index(const struct nlsh_index *index, uint32_t n, const char *path,
                                 nlsh_progress_fn *progress, struct nlsh__manifest *out,
                                 struct nlsh_error *error);

/* Reads all shards of a manifest, every byte, as nlsh_index_verify() does; and whether they are its. NLSH_E_DATA, and what
 * opening them returns. */
enum nlsh_status nlsh__shards_verify(const char *path, struct nlsh_error *error);

/* What a manifest says of the index, without its shards; of one shard owners may be NULL. */
void nlsh__manifest_of(const struct nlsh_index *index, const uint32_t *owners, uint32_t n,
                       struct nlsh__manifest *out);

#endif
