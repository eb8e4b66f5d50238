/*
 * codes.h - short codes of the rows, in bucket order: what a search scans before it computes exact
 * distances.
 *
 * A code is the row as the router sees it (its principal components), as bytes; its score is the
 * squared distance to the query among these components plus the row's squared length outside
 * them, in units of the codes. Groups of 16 rows as in kernels/panel.h; every bucket begins a
 * group of its own.
 */
#ifndef NLSH_INDEX_CODES_H
#define NLSH_INDEX_CODES_H

#include "nlsh/nlsh.h"

#define NLSH__CODES_MAGIC "NLSHCD01"
#define NLSH__RERANK_POINTS 3

/* The section's first 128 bytes; little-endian. Behind it bias [16 x n_groups] i32, then values
 * [n_groups][n_bytes / 4][16 rows][4] u8. A row that only fills a group up has bias INT32_MAX. */
struct nlsh__codes_header {
    char magic[8];
    uint64_t size_bytes; /* of the section */
    uint32_t n_groups;
    uint32_t n_bytes; /* a row's: a multiple of 4; the components, padded with zeros */
    float scale;      /* code = round(scale x component) + 128 */
    uint32_t reserved_a;
    /* For k neighbours so many rows are ranked exactly; k ascending. Measured at build time. */
    uint32_t rerank_k[NLSH__RERANK_POINTS];
    uint32_t rerank[NLSH__RERANK_POINTS];
    uint8_t reserved[72]; /* zero */
};

struct nlsh__codes {
    struct nlsh__codes_header header;
    const int32_t *bias;
    const uint8_t *values;
    uint32_t *group_offsets; /* [m + 1] */
};

/* Bytes of a section; 0 where they overflow. */
size_t nlsh__codes_size(size_t n_groups, size_t n_bytes);

/* Checks a section against the index's buckets and the router's inputs. NLSH_E_DATA, NLSH_E_NOMEM. */
enum nlsh_status nlsh__codes_open(const void *bytes, size_t size, const uint32_t *bucket_offsets,
                                  size_t n_buckets, size_t n_inputs, struct nlsh__codes **out,
                                  struct nlsh_error *error);
void nlsh__codes_close(struct nlsh__codes *codes);

/* How many rows to rank exactly for k neighbours. */
size_t nlsh__codes_rerank(const struct nlsh__codes *codes, size_t k);

/* The router's inputs of a query [n_inputs] as panel kernels take it: [n_bytes]. */
void nlsh__codes_query(const struct nlsh__codes *codes, const float *inputs, size_t n_inputs,
                       int8_t *out);

#endif
