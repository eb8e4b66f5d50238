/*
 * index.h - the index file: sections behind a checked header (docs/index-format.md), written whole
 * or not at all, and mapped.
 */
#ifndef NLSH_INDEX_INDEX_H
#define NLSH_INDEX_INDEX_H

#include <stdatomic.h>

#include "base/file.h"
#include "base/rounding.h"
#include "codes/leaves.h"
#include "nlsh/nlsh.h"
#include "promise/efforts.h"
#include "promise/margins.h"
#include "promise/outside.h"
#include "promise/targets.h"

/* Frozen: they stand in files. A reader skips sections that it does not know. */
enum nlsh__section_kind {
    NLSH__SECTION_META = 1,        /* struct nlsh__meta */
    NLSH__SECTION_SETTINGS = 2,    /* JSON text, UTF-8, ended by one NUL */
    NLSH__SECTION_BUCKETS = 3,     /* u32[n_buckets + 1] offsets; of a segment */
    NLSH__SECTION_ROWS = 4,        /* u32[n_rows] base row at each place; of a segment */
    NLSH__SECTION_VECTORS = 5,     /* [n_rows x dim] of storage_type, by place; of a segment */
    NLSH__SECTION_ROUTER = 6,      /* router/router.h */
    NLSH__SECTION_CALIBRATION = 7, /* of format version 1: not read any more */
    NLSH__SECTION_CODES_1 = 8,     /* the same */
    NLSH__SECTION_METRIC = 9,      /* struct nlsh__metric_meta; absent: L2 */
    NLSH__SECTION_CODES = 10,      /* codes/codes.h; may be absent; of a segment */
    NLSH__SECTION_TARGETS = 11,    /* struct nlsh__targets_header and its tables */
    NLSH__SECTION_LEAVES = 12,     /* codes/leaves.h; may be absent; of a segment */
    NLSH__SECTION_SEGMENT = 13,    /* struct nlsh__segment_meta; absent in format 2; of a segment */
    NLSH__SECTION_KEYS = 14,       /* u64[n_rows] by row; absent: row numbers; of a segment */
    NLSH__SECTION_TOMBSTONES =
        15,                     /* u64[ceil(n_rows / 64)] bits by row; absent: none; of a segment */
    NLSH__SECTION_MARGINS = 16, /* struct nlsh__margins_header and its tables */
    NLSH__SECTION_EFFORTS = 17, /* struct nlsh__efforts_header and its tables */
    NLSH__SECTION_OUTSIDE = 18, /* struct nlsh__outside_header and its points */
    NLSH__SECTION_LOG = 19,     /* struct nlsh__log_taken; absent: no log but one of its own */
    NLSH__SECTION_METER = 20,   /* struct nlsh__meter_header and its rows */
    NLSH__SECTION_SHARD = 21 /* struct nlsh__shard_header and its tables; absent: a whole index */
};

/* Little-endian, no padding. */
struct nlsh__meta {
    uint64_t n_rows;    /* of all segments */
    uint64_t data_hash; /* of the base of segment 0 */
    uint32_t dim;
    uint32_t n_buckets;
    uint32_t source_type;  /* enum nlsh_type of the base: U8, I8 or F32 */
    uint32_t storage_type; /* U8, F32, F16, BF16 or I8; a source of I8 is stored as U8 + 128 */
    double disagreement;   /* share of rows that the router would put in another bucket */
    uint32_t n_segments;   /* reserved in format 2, and 1 */
    float scale;           /* of storage I8: a value is scale times its byte; else reserved */
    uint8_t reserved[16];  /* written as 0, ignored when read: so everywhere */
};

/* What an index of another metric than L2 has besides. */
struct nlsh__metric_meta {
    uint32_t metric;      /* enum nlsh_metric: NLSH_IP or NLSH_COSINE */
    float query_norm;     /* queries are brought to this length to be routed; above 0 */
    uint64_t stored_hash; /* of segment 0, as struct nlsh__segment_meta has it */
    uint8_t reserved[48];
};

struct nlsh__segment_meta {
    uint64_t n_rows;
    uint64_t data_hash; /* nlsh_data_hash() of the segment's base */
    /* The same of the stored rows as F32, in the base's order; of rows that are stored as given it is not used. */
    uint64_t stored_hash;
    uint8_t reserved[40];
};

/* Which threshold reaches which recall@k. Behind it, from byte 64 on, n pairs u32 (k, n_points), zeros up to a
 * multiple of 64, and then n_points pairs f32 (recall, threshold) for each k, table by table. */
struct nlsh__targets_header {
    uint32_t n; /* tables */
    uint8_t reserved[60];
};

/* What a search does for which recall@k. Behind it, from byte 64 on, n pairs u32 (k, n_points), zeros up to a
 * multiple of 64, and then n_points of struct nlsh__effort_point for each k, table by table. */
struct nlsh__efforts_header {
    uint32_t n;         /* tables */
    uint32_t n_queries; /* that they were measured on */
    uint32_t
        sampled; /* 0: on rows that were held out; 1: on queries that nlsh calibrate was given */
    uint8_t reserved[52];
};

/* What the router expected outside of the scanned buckets, of the queries that efforts were measured on. Behind it,
 * from byte 64 on, n of struct nlsh__outside_point. */
struct nlsh__outside_header {
    uint32_t n;
    float
        far; /* the distance to the nearest of 99 in 100 of these queries is at most this, by inner product the largest product at
                least, of queries as they are routed; 0: not known */
    uint8_t reserved[56];
};

/* How far scores may be off. Behind it, each padded to 64 bytes: of rows k u32 [n_row_ks], loss f32
 * [n_row_losses], margin f32 [n_row_ks][n_row_losses]; the same of leaves. */
struct nlsh__margins_header {
    uint32_t n_row_ks, n_row_losses;
    uint32_t n_leaf_ks, n_leaf_losses;
    float
        leaf_slope; /* of a leaf's margin, by the logarithm of its bucket's probability per vector */
    uint8_t reserved[44];
};

/* How well the router still knows the rows. Behind it, from byte 64 on, u32 [n]: rows, ascending, that the router did
 * not learn from; a sample of all rows, as good as queries. */
struct nlsh__meter_header {
    uint32_t n;
    uint32_t changed; /* rows that came or went since promises were measured */
    /* Vectors in the buckets that a query for recall@10 of .95 needs: when the router was trained, and when that was
     * last measured; 0: not known. */
    double trained, now;
    uint32_t n_trained; /* rows that there were when it was trained */
    uint32_t
        seen; /* rows of the file and its log that had come or gone when promises were measured with both */
    /* As trained and now, for recall@1 and for recall@100. */
    float few_trained, few_now, many_trained, many_now;
    uint8_t reserved[16];
};

/* A log that was made for a file before this one, and still serves: what of it this file does not hold. */
struct nlsh__log_taken {
    uint64_t log;      /* the checksum of its header */
    uint64_t position; /* of the first record that counts, and what is known of it: live/log.h */
    uint64_t previous;
    uint64_t number;
    uint8_t reserved[32];
};

/* Which buckets of an index a file holds. Behind it, from byte 64 on, u32 [n_buckets] the size of each bucket of the whole;
 * u32 [n_buckets] the number of the shard that holds it; u32 [n_rows of the file], ascending: which row of the whole each is. */
struct nlsh__shard_header {
    uint32_t number, n; /* this shard, of how many */
    uint64_t n_rows;    /* of the whole */
    uint64_t data_hash; /* of the whole's segment */
    uint64_t set;       /* the same in shards that were made together, and in no others */
    uint8_t reserved[32];
};

struct nlsh__section_data {
    enum nlsh__section_kind kind;
    uint32_t segment;
    const void *data;
    size_t size;
};

/* Writes sections (in the given order) as an index file. NLSH_E_CANT_CREATE and its like. */
enum nlsh_status nlsh__index_write(const char *path, const struct nlsh__section_data *sections,
                                   size_t n_sections, struct nlsh_error *error);

/* The same bytes in memory, aligned to 64 and freed with nlsh__free(). NLSH_E_NOMEM. */
enum nlsh_status nlsh__index_bytes(const struct nlsh__section_data *sections, size_t n_sections,
                                   uint8_t **out, size_t *size, struct nlsh_error *error);

/*
 * nlsh__index_try() - the same file, opened and handed to use() and then removed: an index is asked before it
 * stands. It lies beside its target as long as use() runs. resident: 1: all but the vectors is copied into memory.
 * Statuses are writing's, opening's and use()'s.
 */
typedef enum nlsh_status nlsh__index_use_fn(void *user, const struct nlsh_index *index,
                                            struct nlsh_error *error);
enum nlsh_status nlsh__index_try(const char *path, const struct nlsh__section_data *sections,
                                 size_t n_sections, int resident, nlsh__index_use_fn *use,
                                 void *user, struct nlsh_error *error);

/* Rows that were written together. Pointers into the map, checked. */
struct nlsh__segment {
    size_t n_rows;
    uint32_t first_row; /* row numbers of all segments: its own begin here */
    uint64_t data_hash, stored_hash;
    const uint32_t *bucket_offsets; /* [n_buckets + 1], ascending from 0 to n_rows */
    const uint32_t *rows;           /* [n_rows] a permutation */
    const void *vectors;
    const uint64_t *keys;        /* [n_rows] by row, or NULL */
    const uint64_t *tombstones;  /* bits by row, or NULL */
    struct nlsh__codes *codes;   /* or NULL */
    struct nlsh__leaves *leaves; /* or NULL; never without codes */
};

/* What a file is a part of. Pointers into the map, checked. */
struct nlsh__shard {
    struct nlsh__shard_header header; /* n 0: of nothing, it is whole */
    const uint32_t *sizes, *owners;   /* [n_buckets] */
    const uint32_t *rows;             /* [n_rows of the file] */
};

struct nlsh__state;

/* What was read of a log. */
struct nlsh__log_read {
    size_t rows;          /* that it holds */
    uint64_t bytes, left; /* that are records; that are none, behind those */
    int damaged;          /* 1: they were durable once */
};

/* An open index. */
struct nlsh_index {
    _Atomic size_t owners;
    struct nlsh__state *state; /* live/state.h, of a file with its log; NULL: of a file alone */
    int has_file;              /* 1: path is of a file, which may be opened again */
    enum nlsh_memory memory;   /* as it was opened */
    char *path;
    struct nlsh__map map;
    int borrowed;              /* the map is the caller's memory */
    struct nlsh__map resident; /* copies of the sections that a scan reads, or nothing */
    unsigned format;           /* of the file */
    struct nlsh__meta meta;
    enum nlsh_metric metric;
    float query_norm; /* of the metric */
    const char *settings;
    struct nlsh__router *router;
    struct nlsh__targets targets;
    struct nlsh__target_table *target_tables; /* what targets views */
    struct nlsh__efforts efforts;             /* n 0 in files of before: then targets serve */
    struct nlsh__effort_table *effort_tables;
    struct nlsh__efforts_header efforts_header;
    struct nlsh__outside outside; /* n 0 where it was not measured */
    float far; /* of its header, as nlsh__routed_distance(): a product negated; 0: not known */
    struct nlsh__margins row_margins, leaf_margins;
    float leaf_slope;
    struct nlsh__segment *segments;
    size_t n_segments;
    size_t n_deleted; /* rows with tombstones */
    double
        thinned; /* rows when promises were measured, over those that are left; 1 where more are */
    /* nlsh__bucket_weight() of each bucket [n_buckets], and each group's largest. */
    float *weights, *group_weights;
    size_t bucket_min, bucket_max;
    struct nlsh__log_taken log; /* of the file; zeros: none */
    struct nlsh__log_read log_now;
    float
        strange; /* what nlsh__how_strange() says of the log; 0: its vectors are like the file's */
    struct nlsh__meter_header meter;
    const uint32_t *untaught; /* [meter.n] */
    struct nlsh__shard shard;
};

/* The index that a file holds, without its log; closed when nobody owns it any more. */
void nlsh__index_free(struct nlsh_index *index);

/* Rows that came or went since promises were measured. */
size_t nlsh__index_changed(const struct nlsh_index *index);

/* Refuses what a part of an index cannot do, such as `what`: "a search". NLSH_E_UNSUPPORTED. */
enum nlsh_status nlsh__whole_check(const struct nlsh_index *index, const char *what,
                                   struct nlsh_error *error);

/* What queries of floats are rounded less, for nlsh__asker_round(); or NULL. */
const float *nlsh__index_query_mean(const struct nlsh_index *index);

/* Bytes of a stored row. */
size_t nlsh__index_row_bytes(const struct nlsh_index *index);
/* How rows are stored. */
static inline struct nlsh__rounding nlsh__index_rounding(const struct nlsh_index *index)
{
    return (struct nlsh__rounding){(enum nlsh_type)index->meta.storage_type, index->meta.scale};
}
/* Rows are worked with as U8 or F32: as they are stored, but F16 and its like as F32, which loses nothing. Back, values must
 * be such (nlsh__round_row()), or they are rounded. */
enum nlsh_type nlsh__index_form(const struct nlsh_index *index);
size_t nlsh__index_form_bytes(const struct nlsh_index *index);
/* Whether stored rows are the base's values, so that data_hash is theirs too; else stored_hash is theirs. */
int nlsh__stored_as_given(const struct nlsh_index *index);
void nlsh__row_of_stored(const struct nlsh_index *index, const void *stored, void *row);
void nlsh__row_to_stored(const struct nlsh_index *index, const void *row, void *stored);

#endif
