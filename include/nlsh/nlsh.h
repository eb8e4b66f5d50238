/*
 * nlsh.h - open a Neural LSH index, inspect it, search it.
 *
 * libnlsh needs libc, libm and pthreads, nothing else. It never prints, exits or touches signals.
 * Making an index is the other library's work: see <nlsh/learn.h> and libnlsh-learn, which holds
 * everything libnlsh has as well; a program links one of the two.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NLSH_NLSH_H
#define NLSH_NLSH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define NLSH_API __attribute__((visibility("default")))
#define NLSH_MUST_USE __attribute__((warn_unused_result))
#else
#define NLSH_API
#define NLSH_MUST_USE
#endif

#define NLSH_VERSION_MAJOR 0
#define NLSH_VERSION_MINOR 2
#define NLSH_VERSION_PATCH 0
#define NLSH_TEXT_(x) #x
#define NLSH_DOTTED_(major, minor, patch) NLSH_TEXT_(major) "." NLSH_TEXT_(minor) "." NLSH_TEXT_(patch)
#define NLSH_VERSION NLSH_DOTTED_(NLSH_VERSION_MAJOR, NLSH_VERSION_MINOR, NLSH_VERSION_PATCH)

/* The version of the library that runs, "0.1.0". */
NLSH_API const char *nlsh_version(void);

/* The instruction set that the kernels use: "scalar", "avx2", "avx512", "avx512vnni", "avx512bf16" or
 * "amx". The environment variable NLSH_CPU caps it; a name it does not know makes
 * nlsh_index_open() fail. */
NLSH_API const char *nlsh_cpu(void);

/* ---- errors ---------------------------------------------------------------------------------- */

/* Values are frozen: they may be stored and compared across versions. */
enum nlsh_status {
    NLSH_OK = 0,
    NLSH_E_ARG = 1,         /* the caller's argument or option is outside its meaning */
    NLSH_E_NOMEM = 2,       /* memory could not be had */
    NLSH_E_NO_INPUT = 3,    /* an input file does not exist or may not be read */
    NLSH_E_IO = 4,          /* reading or writing failed half-way */
    NLSH_E_CANT_CREATE = 5, /* an output cannot be created or completed (permission, disk full) */
    NLSH_E_DATA = 6,        /* an input's content is damaged, or not what it says it is */
    NLSH_E_MISMATCH = 7,    /* two inputs do not belong together (dimension, type, content hash) */
    NLSH_E_UNSUPPORTED = 8, /* a library or an instruction set that was asked for is not here */
    NLSH_E_INTERRUPTED = 9, /* the caller's progress function asked to stop */
    NLSH_E_INTERNAL = 10    /* a bug in nlsh: please report it */
};

/* What went wrong, in words for a person. Belongs to the caller; may be NULL in every call. */
struct nlsh_error {
    enum nlsh_status status;
    char message[512]; /* which input, which value, what is wrong with it */
    char hint[256];    /* what to do about it; empty where there is nothing to say */
};

/* A constant name for a status, "NLSH_E_DATA". */
NLSH_API const char *nlsh_status_name(enum nlsh_status status);

/* ---- vectors --------------------------------------------------------------------------------- */

enum nlsh_type { NLSH_U8 = 1, NLSH_I8 = 2, NLSH_F32 = 3, NLSH_I32 = 4 };

/* A borrowed view of rows in memory, row-major without gaps. */
struct nlsh_matrix {
    const void *data; /* [n_rows x dim] of type */
    size_t n_rows;
    size_t dim;
    enum nlsh_type type;
};

/*
 * What makes a vector near. Every array of scores (the parameters called l2sq) is ascending, smaller
 * is nearer, and holds
 *   NLSH_L2      the squared distance, in squared input units
 *   NLSH_IP      the negated inner product: the largest product comes first
 *   NLSH_COSINE  the cosine distance, 1 - cos, from 0 to 2
 * as exact as f32 is. With IP and COSINE bytes are taken as floats. COSINE has no place for a vector
 * of zeros: an error names the row. Values are frozen: they stand in files.
 */
enum nlsh_metric { NLSH_L2 = 0, NLSH_IP = 1, NLSH_COSINE = 2 };

/* "l2", "ip", "cosine". */
NLSH_API const char *nlsh_metric_name(enum nlsh_metric metric);

/* ---- progress -------------------------------------------------------------------------------- */

/*
 * Called now and then from the thread that made the call, never from a worker.
 *
 *  stage  what is being done, e.g. "k-NN graph"; the pointer is constant for a stage
 *  done   of total units; total is 0 where it is not known; done == total ends the stage
 * Returns 0 to go on; anything else stops the call with NLSH_E_INTERRUPTED.
 */
typedef int nlsh_progress_fn(void *user, const char *stage, uint64_t done, uint64_t total);

/* ---- an index -------------------------------------------------------------------------------- */

struct nlsh_index;

/*
 * nlsh_index_open() - map an index file.
 *
 *  path  a file that nlsh_build() wrote
 *  out   the index; NULL on error
 * Checks the header, the table of sections and the bucket table, not the sections' checksums
 * (nlsh_index_verify() does); a damaged file may therefore give wrong answers, never a crash.
 * The file must not be truncated while it is open.
 * Returns NLSH_OK, NLSH_E_ARG, NLSH_E_NO_INPUT, NLSH_E_IO, NLSH_E_DATA, NLSH_E_NOMEM,
 * NLSH_E_UNSUPPORTED (NLSH_CPU names an unknown instruction set; the file was made by a newer nlsh
 * and needs it).
 * Threads: an open index is immutable; any number of threads may use it. Cost: O(buckets).
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_index_open(const char *path, struct nlsh_index **out,
                                                        struct nlsh_error *error);

/* What of an index is read into memory when it is opened. Copies lie on huge pages where the system
 * gives them, which searches gain from. */
enum nlsh_memory {
    NLSH_MEMORY_MAP = 0,   /* nothing: the file is mapped, its pages come as they are touched */
    NLSH_MEMORY_CODES = 1, /* all but the vectors, which stay in the map */
    NLSH_MEMORY_ALL = 2    /* the whole file; it may then be removed or truncated */
};

struct nlsh_open_options {
    enum nlsh_memory memory; /* default NLSH_MEMORY_MAP */
};

NLSH_API void nlsh_open_options_init(struct nlsh_open_options *options);

/* nlsh_index_open() with options. Cost besides: reading what is to be in memory. */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_index_open_with(const char *path, const struct nlsh_open_options *options,
                     struct nlsh_index **out, struct nlsh_error *error);

/* Accepts NULL. Every searcher made from the index must be freed first. */
NLSH_API void nlsh_index_close(struct nlsh_index *index);

/*
 * nlsh_index_verify() - read a whole index file and compare every section with its checksum; check
 * too that the ids are every row of the base once and that the vectors have the index's data hash.
 *
 * Returns NLSH_OK where all agree, NLSH_E_DATA with the section's name where one does not; the
 * other statuses are nlsh_index_open()'s. Cost: two passes over the file, 4 bytes of memory a row.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_index_verify(const char *path,
                                                          struct nlsh_error *error);

/* What an index holds. Pointers live as long as the index. */
struct nlsh_index_info {
    size_t n_rows;       /* vectors */
    size_t dim;          /* their dimension */
    enum nlsh_type type; /* of the stored vectors: NLSH_U8, NLSH_I8 or NLSH_F32 */
    enum nlsh_metric metric;
    size_t n_buckets;      /* m */
    size_t bucket_min;     /* vectors in the smallest bucket */
    size_t bucket_max;     /* and in the largest */
    uint64_t data_hash;    /* XXH3-64 of the base vectors: see docs/index-format.md */
    size_t router_weights; /* number of weights of the network */
    size_t size_bytes;     /* of the file */
    const char *settings;  /* JSON: how the index was built; not NUL inside, NUL at its end */
    double disagreement;   /* share of vectors that the router would put in another bucket */
};

NLSH_API void nlsh_index_info(const struct nlsh_index *index, struct nlsh_index_info *out);

/* One part of the file, for an account of where the bytes go. */
struct nlsh_section_info {
    const char *name;
    uint64_t offset, size_bytes;
};

/* The i-th section; returns 0 when there is none. */
NLSH_API int nlsh_index_section(const struct nlsh_index *index, size_t i,
                                struct nlsh_section_info *out);

/* The bucket table: [n_buckets + 1] row offsets; bucket b holds rows [b] to [b + 1] - 1 of the
 * index's order. */
NLSH_API const uint32_t *nlsh_index_bucket_offsets(const struct nlsh_index *index);

/* The ids (row numbers of the base file) in the index's order: [n_rows]. */
NLSH_API const uint32_t *nlsh_index_ids(const struct nlsh_index *index);

/* ---- search ---------------------------------------------------------------------------------- */

#define NLSH_NO_ID UINT32_MAX

struct nlsh_search_options {
    size_t k; /* neighbours wanted a query; 10 */
    /* T. A whole number >= 1: scan the T most probable buckets. Between 0 and 1: scan every bucket
     * whose probability exceeds T, and at least the best one. 0: use recall. Default 0. */
    double probes;
    /* Used where probes is 0: the recall@k wanted, above 0 and below 1. The build measured, on
     * held-out vectors, which threshold reaches which recall. Default 0.95. */
    double recall;
    /* Vectors a query whose exact distance is computed, out of those whose short codes were
     * compared; 0: as many as the build measured that k needs. Default 0. With probes >= the
     * number of buckets every distance is exact, and so is the answer. */
    size_t rerank;
    size_t n_threads; /* for nlsh_search_batch(); default 1 */
};

NLSH_API void nlsh_search_options_init(struct nlsh_search_options *options);

/* What one query cost. */
struct nlsh_search_stats {
    uint32_t n_probes;   /* buckets scanned */
    uint32_t candidates; /* distinct vectors scanned, by their codes or exactly */
    uint32_t reranked;   /* vectors whose exact distance was computed */
};

struct nlsh_searcher;

/* Scratch for searching an index: one a thread. NLSH_OK, NLSH_E_ARG or NLSH_E_NOMEM. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_searcher_create(const struct nlsh_index *index,
                                                             struct nlsh_searcher **out,
                                                             struct nlsh_error *error);
NLSH_API void nlsh_searcher_free(struct nlsh_searcher *searcher);

/*
 * nlsh_search() - the k nearest neighbours of each query, approximately, one query at a time.
 *
 *  queries  [n x dim], the index's dimension; of its type, or NLSH_F32. Borrowed. Finite.
 *  ids      [n x k] out, ascending by (l2sq, id); a missing slot holds NLSH_NO_ID.
 *  l2sq     [n x k] f32 out, scores of the index's metric (enum nlsh_metric), +infinity where
 *           missing; or NULL. Exact: the answer is ranked by the true distance, in integers where
 *           base and query are bytes.
 *  stats    [n] out, or NULL.
 * Returns NLSH_OK; NLSH_E_ARG (an option outside its meaning, a query that is not finite, a query
 * of zeros where the metric is cosine);
 * NLSH_E_MISMATCH (dimension or type); NLSH_E_NOMEM (k grew). On error outputs are unspecified.
 * Threads: one searcher a thread. Cost: O(weights + candidates x dim) a query.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_search(struct nlsh_searcher *searcher, const struct nlsh_matrix *queries,
            const struct nlsh_search_options *options, uint32_t *ids, float *l2sq,
            struct nlsh_search_stats *stats, struct nlsh_error *error);

/* The same answers for many queries at once, on options->n_threads threads. */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_search_batch(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                  const struct nlsh_search_options *options, uint32_t *ids, float *l2sq,
                  struct nlsh_search_stats *stats, struct nlsh_error *error);

/*
 * nlsh_search_range() - every vector within a radius in the buckets that are scanned.
 *
 *  query     one row, as for nlsh_search(); options->k is not used
 *  radius    L2: a distance, not squared, >= 0; COSINE: a cosine distance, >= 0; IP: the least
 *            inner product, of any sign
 *  ids, l2sq [capacity] out, ascending by (l2sq, id); l2sq may be NULL
 *  n_found   out: may exceed capacity; then the nearest capacity are written
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_search_range(struct nlsh_searcher *searcher, const struct nlsh_matrix *query,
                  const struct nlsh_search_options *options, double radius, uint32_t *ids,
                  float *l2sq, size_t capacity, size_t *n_found, struct nlsh_error *error);

/*
 * nlsh_route() - the router's answer: how probable it is that a neighbour lies in each bucket.
 *
 *  queries        [n x dim], as for nlsh_search()
 *  probabilities  [n x n_buckets] f32 out; each row sums to 1
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_route(struct nlsh_searcher *searcher,
                                                   const struct nlsh_matrix *queries,
                                                   float *probabilities, struct nlsh_error *error);

#ifdef __cplusplus
}
#endif
#endif
