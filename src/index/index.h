/*
 * index.h - the index file: sections behind a checked header (docs/index-format.md), written whole
 * or not at all, and mapped.
 */
#ifndef NLSH_INDEX_INDEX_H
#define NLSH_INDEX_INDEX_H

#include "base/file.h"
#include "nlsh/nlsh.h"

/* Frozen: they stand in files. A reader skips sections that it does not know. */
enum nlsh__section_id {
    NLSH__SECTION_META = 1,        /* struct nlsh__meta */
    NLSH__SECTION_SETTINGS = 2,    /* JSON text, UTF-8, ended by one NUL */
    NLSH__SECTION_BUCKETS = 3,     /* u32[n_buckets + 1] row offsets */
    NLSH__SECTION_IDS = 4,         /* u32[n_rows] base row of each row */
    NLSH__SECTION_VECTORS = 5,     /* [n_rows x dim] of storage_type, in bucket order */
    NLSH__SECTION_ROUTER = 6,      /* router/router.h */
    NLSH__SECTION_CALIBRATION = 7, /* of format version 1: not read any more */
    NLSH__SECTION_CODES_1 = 8,     /* the same */
    NLSH__SECTION_METRIC = 9,      /* struct nlsh__metric_meta; absent: L2 */
    NLSH__SECTION_CODES = 10,      /* codes of the rows: index/codes.h; may be absent */
    NLSH__SECTION_TARGETS = 11,    /* struct nlsh__targets_header and its tables */
    NLSH__SECTION_LEAVES = 12 /* what is looked at before codes: index/leaves.h; may be absent */
};

/* Little-endian, no padding. */
struct nlsh__meta {
    uint64_t n_rows;
    uint64_t data_hash;
    uint32_t dim;
    uint32_t n_buckets;
    uint32_t source_type;  /* enum nlsh_type of the base: U8, I8 or F32 */
    uint32_t storage_type; /* U8 or F32; I8 is stored as U8 + 128 */
    double disagreement;   /* share of rows that the router would put in another bucket */
    uint8_t reserved[24];  /* zero */
};

/* What an index of another metric than L2 has besides. */
struct nlsh__metric_meta {
    uint32_t metric;      /* enum nlsh_metric: NLSH_IP or NLSH_COSINE */
    float query_norm;     /* queries are brought to this length to be routed; above 0 */
    uint64_t stored_hash; /* nlsh_data_hash() of the stored rows in the base's order, as F32 */
    uint8_t reserved[48]; /* zero */
};

/* Which threshold reaches which recall@k. Behind it n_points pairs f32 (recall, threshold) for each
 * k, table by table, recall rising. */
#define NLSH__MAX_TARGETS 4
struct nlsh__targets_header {
    uint32_t n; /* tables: 0 to NLSH__MAX_TARGETS */
    uint32_t reserved[3];
    uint32_t k[NLSH__MAX_TARGETS]; /* rising; 0 where there is no table */
    uint32_t n_points[NLSH__MAX_TARGETS];
    uint32_t reserved_b[4];
};

struct nlsh__targets_view {
    size_t n, k[NLSH__MAX_TARGETS], n_points[NLSH__MAX_TARGETS];
    const float (*table[NLSH__MAX_TARGETS])[2];
};

struct nlsh__section_data {
    enum nlsh__section_id id;
    const void *data;
    size_t size;
};

/* Writes sections (in the given order) as an index file. NLSH_E_CANT_CREATE and its like. */
enum nlsh_status nlsh__index_write(const char *path, const struct nlsh__section_data *sections,
                                   size_t n_sections, struct nlsh_error *error);

/* An open index: pointers into the map, checked to lie inside it and to have the right sizes. */
struct nlsh_index {
    char *path;
    struct nlsh__map map;
    int borrowed;              /* the map is the caller's memory */
    struct nlsh__map resident; /* copies of the sections that a scan reads, or nothing */
    struct nlsh__meta meta;
    enum nlsh_metric metric;
    struct nlsh__metric_meta metric_meta; /* zeros for L2 */
    const char *settings;
    const uint32_t *bucket_offsets; /* [n_buckets + 1], ascending from 0 to n_rows */
    const uint32_t *ids;
    const void *vectors;
    const void *router; /* a blob; nlsh__router_open() checks it */
    size_t router_size;
    const void *targets_bytes; /* the section, or NULL */
    size_t targets_size;
    struct nlsh__targets_view targets;
    /* A bucket's probability per vector, relative to the mean bucket's: [n_buckets], and each group's
     * largest. 0 for an empty bucket. */
    float *weights, *group_weights;
    const void *codes; /* a blob; nlsh__codes_open() checks it; or NULL */
    size_t codes_size;
    const void *leaves; /* a blob; nlsh__leaves_open() checks it; or NULL */
    size_t leaves_size;
    size_t bucket_min, bucket_max;
    struct nlsh__router *router_view; /* made at opening */
    struct nlsh__codes *codes_view;   /* the same, or NULL */
    struct nlsh__leaves *leaves_view; /* the same, or NULL */
};

#endif
