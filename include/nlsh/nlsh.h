/*
 * nlsh.h - open a Neural LSH index, inspect it, search it.
 *
 * libnlsh needs libc, libm and pthreads, nothing else. It never prints, exits or touches signals.
 * Making an index is the work of another library on top of it: <nlsh/learn.h>, libnlsh-learn.
 *
 * What holds for every call, unless it says otherwise:
 * - Statuses. A call that can fail returns enum nlsh_status and, where `error` is not NULL, tells in
 *   words what was wrong. Every such call may return NLSH_E_NOMEM. On an error `*out` is NULL and other
 *   outputs are unspecified.
 * - Pointers are borrowed for the call only. A pointer must not be NULL where nothing says it may be.
 * - Threads. An index may be used by any number of threads. A searcher or a pool serves one call at a
 *   time. `_free` and `_close` accept NULL.
 * - Structs that may grow begin with `struct_size`, the sizeof of the caller's own declaration, so
 *   that programs and libraries of different versions understand each other:
 *     options  are filled by their _init() function, which is told that size. Members that an older
 *              program does not have take their defaults. A member that an older library does not
 *              know must be 0, or the call returns NLSH_E_UNSUPPORTED.
 *     answers  have struct_size set by the caller before the call. Only members inside that size are
 *              written.
 *   A struct_size that is not set is NLSH_E_ARG. Structs without one are frozen and never change.
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
#define NLSH_DOTTED_(major, minor, patch)                                                          \
    NLSH_TEXT_(major) "." NLSH_TEXT_(minor) "." NLSH_TEXT_(patch)
/* "0.2.0", of this header. */
#define NLSH_VERSION NLSH_DOTTED_(NLSH_VERSION_MAJOR, NLSH_VERSION_MINOR, NLSH_VERSION_PATCH)

/* The version of the library that runs. The text is constant. */
NLSH_API const char *nlsh_version(void);

/* The instruction set that the kernels use, e.g. "scalar", "avx2" or "amx"; constant text. The
 * environment variable NLSH_CPU caps it, and is read once, at the first call that needs it. A name
 * that it does not know makes nlsh_index_open() fail. */
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
    NLSH_E_UNSUPPORTED = 8, /* what was asked for is not in this library or on this machine */
    NLSH_E_INTERRUPTED = 9, /* the caller's progress function asked to stop */
    NLSH_E_INTERNAL = 10,   /* a bug in nlsh: please report it */
    NLSH_E_BUSY = 11        /* another process or thread has it open for writing */
};

/* What went wrong, in words for a person. Belongs to the caller; may be NULL in every call. Frozen. */
struct nlsh_error {
    enum nlsh_status status;
    char message[512]; /* which input, which value, what is wrong with it */
    char hint[256];    /* what to do about it; empty where there is nothing to say */
};

/* A constant name for a status, "NLSH_E_DATA"; "unknown status" for any other number. */
NLSH_API const char *nlsh_status_name(enum nlsh_status status);

/* ---- memory ---------------------------------------------------------------------------------- */

/* Where the libraries' memory comes from. Both are called from any thread. Frozen. */
struct nlsh_allocator {
    /* size bytes, aligned to alignment (a power of two, at most 64); NULL where there are none. */
    void *(*allocate)(void *user, size_t size, size_t alignment);
    /* What allocate() gave, never NULL. */
    void (*release)(void *user, void *memory);
    void *user;
};

/*
 * nlsh_set_allocator() - memory of the process's own choice in place of malloc's.
 *
 *  allocator  copied; NULL: malloc's again
 * Call it before any other function of the libraries: NLSH_E_ARG where memory of theirs is in use. Files
 * are mapped, and large copies of them, by the system all the same. In libnlsh-learn it serves what is
 * nlsh's own; libraries that it uses have theirs. Threads: no other call may run meanwhile.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_set_allocator(const struct nlsh_allocator *allocator,
                                                           struct nlsh_error *error);

/* ---- vectors --------------------------------------------------------------------------------- */

/* Values are frozen. F16 is IEEE binary16, BF16 the upper half of an F32. I32 is of ids, not of vectors. */
enum nlsh_type {
    NLSH_U8 = 1,
    NLSH_I8 = 2,
    NLSH_F32 = 3,
    NLSH_I32 = 4,
    NLSH_F16 = 5,
    NLSH_BF16 = 6,
    NLSH_F64 = 7
};

/* A borrowed view of rows in memory, in the machine's byte order. Frozen. F16, BF16 and F64 are
 * converted to F32 where they are read; an F64 too large for that is an error that names the row. */
struct nlsh_matrix {
    const void *data; /* the first row: dim values of type */
    size_t n_rows;
    size_t dim;
    enum nlsh_type type;
    size_t stride; /* bytes from one row to the next, at least a row's; 0: no gaps */
};

/*
 * What makes a vector near. A distance, of what was found as of a radius, is smaller where a vector is
 * nearer, and is
 *   NLSH_L2      the Euclidean distance, in units of the input, >= 0
 *   NLSH_IP      the negated inner product: the largest product comes first
 *   NLSH_COSINE  the cosine distance, 1 - cos, from 0 to 2
 * rounded to f32. Answers are in order before they are rounded: of two distances that read the same the
 * farther may have the smaller row number. With IP and COSINE bytes are taken as floats. COSINE has no
 * place for a vector of zeros: an error names the row. Values are frozen: they stand in files.
 */
enum nlsh_metric { NLSH_L2 = 0, NLSH_IP = 1, NLSH_COSINE = 2 };

/* "l2", "ip", "cosine"; "unknown" for any other number. */
NLSH_API const char *nlsh_metric_name(enum nlsh_metric metric);

/* A vector's name: what the caller gave it when the index was made, or else its row number in the base,
 * from 0. Any number but NLSH_NO_KEY. */
#define NLSH_NO_KEY UINT64_MAX

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

/* What of an index is read into memory when it is opened. Copies lie on huge pages where the system
 * gives them, which searches gain from. */
enum nlsh_memory {
    NLSH_MEMORY_MAP = 0,   /* nothing: the file is mapped, its pages come as they are touched */
    NLSH_MEMORY_CODES = 1, /* all but the vectors, which stay in the map */
    NLSH_MEMORY_ALL = 2    /* the whole file; it may then be removed or truncated */
};

struct nlsh_open_options {
    size_t struct_size;
    enum nlsh_memory memory; /* default NLSH_MEMORY_MAP */
};

/* The defaults; size is sizeof *options. */
NLSH_API void nlsh_open_options_init(struct nlsh_open_options *options, size_t size);

/*
 * nlsh_index_open() - open an index file.
 *
 *  path     a file that nlsh_build() wrote
 *  options  or NULL: the defaults
 *  out      the index; NULL on error
 * Checks the header, the tables and the rows' numbers, not the sections' checksums (nlsh_index_verify()
 * does). A damaged file may therefore give wrong answers, but never a crash, a key that is not in it, or
 * one oftener than it is there. A mapped file must not be truncated while it is open.
 * Beside x.nlsh may lie its log, x.nlsh-log, which nlsh_writer_open() begins: the index is then the file with
 * what the log says, as far as that is whole, at the moment of the call (struct nlsh_index_info: log_bytes).
 * Returns NLSH_OK, NLSH_E_ARG, NLSH_E_NO_INPUT, NLSH_E_IO, NLSH_E_DATA, NLSH_E_MISMATCH (the log belongs to
 * another index), NLSH_E_UNSUPPORTED (NLSH_CPU names an unknown instruction set; the file was made by a newer
 * nlsh and needs it).
 * Threads: any number may use the index. Cost: 4 bytes read a row, and those of the options; the log's bytes.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_index_open(const char *path, const struct nlsh_open_options *options, struct nlsh_index **out,
                struct nlsh_error *error);

/*
 * nlsh_index_open_memory() - open an index that lies in memory.
 *
 *  bytes    [size] an index file's content. With NLSH_MEMORY_MAP borrowed until the index is closed, and
 *           aligned to 64 bytes: else NLSH_E_ARG. With the others copied (ALL) or borrowed in part (CODES).
 *  name     what errors call it; copied
 * Otherwise nlsh_index_open().
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_index_open_memory(const void *bytes, size_t size, const char *name,
                       const struct nlsh_open_options *options, struct nlsh_index **out,
                       struct nlsh_error *error);

/* Every searcher and pool made from the index must be freed first. */
NLSH_API void nlsh_index_close(struct nlsh_index *index);

/*
 * nlsh_index_refresh() - the index as its file and its log are now.
 *
 *  index  one that nlsh_index_open(), nlsh_writer_snapshot() or this call gave. It stays as it is, and open
 *  out    the state of now, which shares its memory with index and is closed by itself; NULL where nothing
 *         has changed, as of memory nothing ever has
 * Statuses are nlsh_index_open()'s. Threads: as for a search. Cost: three system calls; the log's new bytes; where the
 * file was replaced, as nlsh_compact() does, opening it.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_index_refresh(const struct nlsh_index *index,
                                                           struct nlsh_index **out,
                                                           struct nlsh_error *error);

/*
 * nlsh_index_verify() - read a whole index file and compare every section with its checksum; check
 * too that the vectors have the index's data hash and that no key is there twice.
 *
 * Returns NLSH_OK where all agree, NLSH_E_DATA with the section's name where one does not; the
 * other statuses are nlsh_index_open()'s. Cost: two passes over the file, 4 bytes of memory a row, 12
 * where it has keys.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_index_verify(const char *path,
                                                          struct nlsh_error *error);

/* What an index holds. Pointers live as long as the index. */
struct nlsh_index_info {
    size_t struct_size;
    size_t n_rows; /* vectors, without those that were deleted */
    size_t dim;    /* their dimension */
    /* Of the stored vectors: NLSH_U8, NLSH_I8, NLSH_F16, NLSH_BF16, NLSH_F32; the last too where they are bytes times
     * store_scale. */
    enum nlsh_type type;
    enum nlsh_metric metric;
    size_t n_buckets;      /* m */
    size_t bucket_min;     /* vectors in the smallest bucket */
    size_t bucket_max;     /* and in the largest */
    uint64_t data_hash;    /* XXH3-64 of the base vectors: see docs/index-format.md */
    size_t router_weights; /* number of weights of the network */
    size_t size_bytes;     /* of the file */
    const char *settings;  /* JSON: how the index was built; not NUL inside, NUL at its end */
    double disagreement;   /* share of vectors that the router would put in another bucket */
    unsigned format;       /* version of the file's format */
    size_t n_segments;     /* sets of rows: nlsh_index_segment() */
    int has_keys;          /* 1: the caller's keys; 0: row numbers */
    size_t n_deleted;      /* rows that were deleted or replaced, and still take room */
    size_t log_rows;       /* vectors that the log holds beside the file, deleted ones too */
    uint64_t log_bytes;    /* of the log, as far as it is whole; 0: there is none */
    uint64_t
        log_left; /* bytes behind that which are no record: what an interrupted call left, or damage */
    int log_damaged;  /* 1: they were durable once. Nothing behind log_bytes is read */
    size_t n_changed; /* rows that came or went since promises were measured */
    /* Vectors in the buckets that a query for recall@10 of .95 needs: when the router was trained, and when promises
     * were last measured. 0: not known. */
    double needed_trained, needed_now;
    /* Above 0: floats are stored as signed bytes, a value is its byte times this. 0: they are not. */
    float store_scale;
};

/* NLSH_OK or NLSH_E_ARG. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_index_info(const struct nlsh_index *index,
                                                        struct nlsh_index_info *out,
                                                        struct nlsh_error *error);

/* One part of the file, for an account of where the bytes go. */
struct nlsh_section_info {
    size_t struct_size;
    const char *name; /* constant; "unknown" for a section of a newer nlsh */
    uint64_t offset, size_bytes;
    size_t segment; /* the set of rows that it belongs to; 0 also where it belongs to all */
    int used; /* 0: this library does not know the section, or not its version, and left it out */
};

/* The i-th section; returns 0 where there is none, or where out's struct_size is not set. */
NLSH_API int nlsh_index_section(const struct nlsh_index *index, size_t i,
                                struct nlsh_section_info *out);

/* Rows that were written together. Views into the index, as long as that lives. */
struct nlsh_segment {
    size_t struct_size;
    size_t n_rows;
    const uint32_t *bucket_offsets; /* [n_buckets + 1] bucket b holds places [b] to [b + 1] - 1 */
    const uint32_t *rows; /* [n_rows] the row number in the segment's base at each place */
    const uint64_t *keys; /* [n_rows] by row number; NULL: the row number is the key */
    /* By row number: bit r % 64 of word r / 64 is 1 where row r was deleted; NULL: none was. */
    const uint64_t *tombstones;
};

/* The i-th segment; returns 0 where there is none, or where out's struct_size is not set. */
NLSH_API int nlsh_index_segment(const struct nlsh_index *index, size_t i, struct nlsh_segment *out);

/* What is promised of searches for k neighbours: docs/recall.md. */
struct nlsh_promise {
    size_t struct_size;
    size_t k;
    double most; /* the highest recall@k that was measured: beyond it all vectors are compared */
    size_t n_queries; /* that asked as it was measured; a bound of two standard errors is kept */
    int sampled; /* 0: they were held-out vectors of the base; 1: queries that nlsh_calibrate() was given */
};

/* The i-th, by rising k; between two the more of both is done, and for more neighbours than the last everything is
 * compared. Returns 0 where there is none, as in files of before 0.2, or where out's struct_size is not set. */
NLSH_API int nlsh_index_promise(const struct nlsh_index *index, size_t i, struct nlsh_promise *out);

/* ---- search ---------------------------------------------------------------------------------- */

/* Which vectors an answer may hold: those that pass both tests that are set. Frozen. */
struct nlsh_filter {
    /* Bit r % 64 of word r / 64 is 1 where row number r may be returned, or NULL. Rows from n_bits on may
     * not. */
    const uint64_t *bits;
    size_t n_bits;
    /* Other than 0 where a key may be returned, or NULL. Called by the thread that makes the call, before it
     * searches: once for each vector that was not deleted and that bits allow. */
    int (*allows)(void *user, uint64_t key);
    void *user;
};

/* A filter that was counted for an index: for many calls, and from many threads. Frozen. */
struct nlsh_counted_filter;

/*
 * nlsh_counted_filter_create() - looks once at what a filter says of each vector.
 *
 * A search with a filter begins with that, so a call with few queries is mostly that. The filter is not needed
 * afterwards. NLSH_OK, NLSH_E_ARG or NLSH_E_NOMEM. The index must outlive it. Cost: O(vectors), about a nanosecond
 * each for bits; memory: a bit each.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_counted_filter_create(const struct nlsh_index *index, const struct nlsh_filter *filter,
                           struct nlsh_counted_filter **out, struct nlsh_error *error);
/*
 * nlsh_counted_filter_fit() - measures how far searches through a filter have to go.
 *
 * For filters that go with what the vectors show, as one class of pictures does, before a thousand queries or more:
 * each then costs a fraction of what it costs without, where all that is allowed is scanned. It does nothing for
 * filters that were drawn by chance, which need no measurement, or that allow few, all of which are compared. The
 * recall that was asked for is kept on average over queries like the base. Before any search with it: it is not
 * frozen until then. NLSH_OK, NLSH_E_ARG or NLSH_E_NOMEM. Cost: that of about a thousand exact scans of 4,096
 * vectors.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_counted_filter_fit(struct nlsh_counted_filter *counted,
                                                                struct nlsh_error *error);
NLSH_API void nlsh_counted_filter_free(struct nlsh_counted_filter *counted);
/* Vectors that are allowed and were not deleted. */
NLSH_API size_t nlsh_counted_filter_n(const struct nlsh_counted_filter *counted);

struct nlsh_search_options {
    size_t struct_size;
    size_t k; /* neighbours wanted a query, 1 to the number of vectors; default 10 */
    /* T. A whole number from 1 to 2^32: scan the T most probable buckets. Between 0 and 1: scan every
     * bucket whose probability exceeds T, and at least the best one. 0: use recall. Default 0. With a filter only
     * buckets that have something allowed count, the probability of the T most probable by the share of them that is
     * allowed; and more are scanned where they hold fewer than k vectors that are allowed. */
    double probes;
    /* Used where probes is 0: the recall@k wanted, above 0 and below 1. The build measured, on
     * held-out vectors, which threshold reaches which recall. Default 0.95. */
    double recall;
    /* Vectors a query whose exact distance is computed, out of those whose short codes were
     * compared; 0: as many as the build measured that k needs. Default 0. With probes >= the
     * number of buckets every distance is exact, and so is the answer. */
    size_t rerank;
    size_t n_threads; /* of nlsh_search_batch(): 1 to 4096; default 1 */
    /* Borrowed; or NULL, the default: all. What is not allowed counts as not there: the recall is that of the
     * allowed neighbours, and k come back wherever k are allowed. Few are compared exactly. docs/recall.md */
    const struct nlsh_filter *filter;
    /* In place of filter, one that was counted, and perhaps fitted; borrowed, or NULL, the default. */
    const struct nlsh_counted_filter *counted;
    /* 1: a search for a recall scans more buckets where a query is unlike those that the index was calibrated for,
     * until the router expects few of its neighbours outside of them. 0, the default: it does not, and queries
     * from elsewhere may reach less than was asked for. Without effect with probes, or through a filter.
     * NLSH_E_UNSUPPORTED with older files, which do not say what is usual. docs/recall.md */
    int cautious;
};

/* The defaults; size is sizeof *options. */
NLSH_API void nlsh_search_options_init(struct nlsh_search_options *options, size_t size);

/* What each query cost: arrays of the caller's, [n_queries], any of them NULL. */
struct nlsh_search_stats {
    size_t struct_size;
    uint32_t *probes; /* buckets scanned */
    uint32_t *
        candidates; /* distinct vectors scanned, by their codes or exactly; of a filter's without codes those
                           * that are allowed */
    uint32_t *ranked; /* vectors whose exact distance was computed */
    /* The share of the query's neighbours that the router expects outside of the buckets that the recall asks
     * for, or that T names: what its probabilities leave over. NaN through a filter. */
    float *outside;
};

/* Whether queries are like those that an index was calibrated for. */
struct nlsh_likeness {
    size_t struct_size;
    size_t n_queries; /* that were looked at */
    double
        outside; /* the share of their neighbours that the router expects outside of the scanned buckets, mean */
    double
        expected; /* the same of the queries that the index was calibrated with; NaN where it is not known */
    double error; /* standard error of outside; NaN of one query */
    /* 1: so much more is outside, or so many are far, that less may come back than was asked for. With
     * options->cautious more is scanned; nlsh_calibrate() measures anew. */
    int unlike;
    /* The share of the queries whose nearest neighbour is farther than that of 99 in 100 of those that the index was
     * calibrated with; NaN where it is not known, as with inner products. */
    double far;
};

/*
 * nlsh_likeness() - what searches have noticed of their queries.
 *
 *  options    those of the searches, or NULL: the defaults
 *  outside    [n_queries] as struct nlsh_search_stats has them, of any number of calls; NaN is left out
 *  distances  [n_queries x options->k] as the searches gave them; or NULL: far is not known then
 * Queries are told by what a search computes anyway, so by signs: docs/recall.md. expected is not known where
 * probes was given, through a filter, and of older files; unlike is then 0. NLSH_OK or NLSH_E_ARG.
 * Cost: O(n_queries).
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_likeness(const struct nlsh_index *index, const struct nlsh_search_options *options,
              const float *outside, const float *distances, size_t n_queries,
              struct nlsh_likeness *out, struct nlsh_error *error);

/* Scratch for searching an index, for one thread at a time. */
struct nlsh_searcher;

/* NLSH_OK or NLSH_E_ARG. The index must outlive it. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_searcher_create(const struct nlsh_index *index,
                                                             struct nlsh_searcher **out,
                                                             struct nlsh_error *error);
NLSH_API void nlsh_searcher_free(struct nlsh_searcher *searcher);

/* The searcher serves another state of its index from now on: one that nlsh_index_refresh() or nlsh_writer_snapshot()
 * gave; the one before must still be open. NLSH_OK; NLSH_E_NOMEM, and the searcher is as it was. Cost: next to
 * nothing, but that of nlsh_searcher_create() where the file was replaced. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_searcher_use(struct nlsh_searcher *searcher,
                                                          const struct nlsh_index *index,
                                                          struct nlsh_error *error);

/*
 * nlsh_search() - the k nearest neighbours of each query, approximately, one query at a time.
 *
 *  queries    [n x dim], the index's dimension, any type of vectors, finite, and of a length whose square
 *             f32 can hold. n may be 0. An index of I8 takes U8 queries as the numbers that they are.
 *  options    or NULL: the defaults. n_threads is not used.
 *  keys       [n x k] out, ascending by (distance, row number); a missing slot holds NLSH_NO_KEY
 *  distances  [n x k] out, +infinity where missing; or NULL. The answer is ranked by the true distance,
 *             in integers where base and query are bytes.
 *  stats      or NULL
 * Returns NLSH_OK; NLSH_E_ARG (an option outside its range; a query that is not finite, or too long, or of
 * zeros where the metric is cosine: the message counts queries from 0); NLSH_E_MISMATCH (dimension or
 * type); NLSH_E_NOMEM (k grew). On error outputs are unspecified.
 * Threads: one call at a time a searcher. Cost: O(weights + candidates x dim) a query.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_search(struct nlsh_searcher *searcher, const struct nlsh_matrix *queries,
            const struct nlsh_search_options *options, uint64_t *keys, float *distances,
            struct nlsh_search_stats *stats, struct nlsh_error *error);

/*
 * nlsh_search_range() - the vectors within a radius.
 *
 *  query            one row, as for nlsh_search()
 *  options          or NULL: the defaults. The recall is the share of what lies within the radius, however much
 *                   that is; k is how many are thought of at first, and as much is scanned as for k neighbours at
 *                   least. rerank and n_threads are not used.
 *  radius           a distance of the metric: L2 and COSINE >= 0, IP any number (-p: products of at least p)
 *  keys, distances  [capacity] out, ascending by (distance, row number); distances may be NULL
 *  n_found          out: may exceed capacity; then the nearest capacity are written
 * Statuses and threads as nlsh_search()'s; NLSH_E_ARG too for a radius outside its range or not one query.
 * With a recall more buckets are scanned as more is found: all of them where more than 1,000 are likely. With probes
 * what lies in other buckets is not found. Cost: an exact distance of every candidate.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_search_range(struct nlsh_searcher *searcher, const struct nlsh_matrix *query,
                  const struct nlsh_search_options *options, double radius, uint64_t *keys,
                  float *distances, size_t capacity, size_t *n_found, struct nlsh_error *error);

/*
 * nlsh_route() - the router's answer: how probable it is that a neighbour lies in each bucket.
 *
 *  queries        [n x dim], as for nlsh_search()
 *  probabilities  [n x n_buckets] f32 out; each row sums to 1, but for rounding
 * Statuses and threads as nlsh_search()'s. Cost: O(weights) a query.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_route(struct nlsh_searcher *searcher,
                                                   const struct nlsh_matrix *queries,
                                                   float *probabilities, struct nlsh_error *error);

/* Threads and their searchers, kept for many batches. */
struct nlsh_searcher_pool;

/* n_threads from 1 to 4096, the caller's own among them. NLSH_OK or NLSH_E_ARG. The index must outlive it. */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_searcher_pool_create(const struct nlsh_index *index, size_t n_threads,
                          struct nlsh_searcher_pool **out, struct nlsh_error *error);
NLSH_API void nlsh_searcher_pool_free(struct nlsh_searcher_pool *pool);

/*
 * nlsh_searcher_pool_search() - nlsh_search() of many queries at once: the same answers.
 *
 * Queries are brought into an order in which they share what they read. options->n_threads is not used.
 * Threads: one call at a time a pool. Cost: as nlsh_search(), over the pool's threads; memory for inputs of
 * at most 16,384 queries at a time stays with the pool.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_searcher_pool_search(struct nlsh_searcher_pool *pool, const struct nlsh_matrix *queries,
                          const struct nlsh_search_options *options, uint64_t *keys,
                          float *distances, struct nlsh_search_stats *stats,
                          struct nlsh_error *error);

/* The same once, with options->n_threads threads that are made and ended by the call. Any number of
 * threads may call it for one index at the same time. */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_search_batch(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                  const struct nlsh_search_options *options, uint64_t *keys, float *distances,
                  struct nlsh_search_stats *stats, struct nlsh_error *error);

/* ---- an index that changes ------------------------------------------------------------------- */

/*
 * nlsh_index_create() - an index file that holds no vectors, to be put into.
 *
 *  path    the file to write; it appears whole or not at all, and replaces what has that name
 *  dim     of the vectors: up to 1,048,576, of bytes up to 26,000
 *  type    that it stores: NLSH_U8, NLSH_I8, NLSH_F32, or NLSH_F16 or NLSH_BF16, to which floats are rounded as they
 *          come; with NLSH_IP and NLSH_COSINE one of the latter three
 * Searches compare everything, exactly, until nlsh_compact() learns buckets from what was put. Returns NLSH_OK,
 * NLSH_E_ARG or NLSH_E_CANT_CREATE.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_index_create(const char *path, size_t dim, enum nlsh_type type, enum nlsh_metric metric,
                  struct nlsh_error *error);

/* When what was put survives a loss of power. It survives the end of the process in any case. */
enum nlsh_sync {
    NLSH_SYNC_ALWAYS = 0,   /* when the call returns */
    NLSH_SYNC_INTERVAL = 1, /* sync_seconds later at the latest */
    NLSH_SYNC_FLUSH = 2     /* when nlsh_writer_flush() returns */
};

struct nlsh_writer_options {
    size_t struct_size;
    enum nlsh_memory memory; /* of the snapshots: as struct nlsh_open_options has it */
    enum nlsh_sync sync;     /* default NLSH_SYNC_ALWAYS */
    double sync_seconds;     /* of NLSH_SYNC_INTERVAL: .001 to 3600; default .1 */
};

/* The defaults; size is sizeof *options. */
NLSH_API void nlsh_writer_options_init(struct nlsh_writer_options *options, size_t size);

/* An index that is open for writing: its file, which stays as it is, and the log beside it. */
struct nlsh_writer;

/*
 * nlsh_writer_open() - open an index file to put and delete vectors.
 *
 *  path     an index file; its log, PATH-log, is made where there is none
 *  options  or NULL: the defaults
 * There is one writer of an index at a time, on a machine: NLSH_E_BUSY says that there is another. One whose process
 * ended is none. What an interrupted call left at the log's end is cut off. NLSH_E_DATA where the log is damaged
 * elsewhere, with the place. NLSH_E_CANT_CREATE (the log cannot be made or written). Other statuses as
 * nlsh_index_open()'s. Cost: nlsh_index_open()'s, and a look at up to 64 rows of each bucket.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_writer_open(const char *path, const struct nlsh_writer_options *options,
                 struct nlsh_writer **out, struct nlsh_error *error);

/* What was put is made durable first: NLSH_E_CANT_CREATE where that fails. The writer is freed in any case. Accepts
 * NULL: NLSH_OK. Snapshots stay open. */
NLSH_API enum nlsh_status nlsh_writer_close(struct nlsh_writer *writer, struct nlsh_error *error);

/*
 * nlsh_writer_put() - insert vectors, or replace those that have the same keys.
 *
 *  keys     [vectors->n_rows] any but NLSH_NO_KEY; of two equal ones the later counts
 *  vectors  [n x dim], of the index's dimension, any type of vectors, finite. Where the index stores bytes: whole
 *           numbers of their range
 * All of them are there afterwards, or none: also for readers, and where the process is killed or power fails
 * meanwhile. They go to the buckets that the router names; one that holds more than 1.5 times the mean is passed over.
 * NLSH_OK; NLSH_E_ARG (a key, a value; too many at once: a record holds 1 GiB), NLSH_E_MISMATCH (dimension, type,
 * values), NLSH_E_CANT_CREATE (disk full: nothing was put), NLSH_E_NOMEM, NLSH_E_UNSUPPORTED (2^32 rows).
 * Where a sync fails, this call and all that follow return NLSH_E_CANT_CREATE: open the index again to see what is
 * there. Threads: one call of put, delete or flush at a time. Cost: O(weights + dim) a vector, and the sync.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_writer_put(struct nlsh_writer *writer, const uint64_t *keys, const struct nlsh_matrix *vectors,
                struct nlsh_error *error);

/* Deletes the vectors of keys [n]; those that are not there are passed over. n_deleted: out, or NULL. All or nothing,
 * statuses and threads as of nlsh_writer_put(). */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_writer_delete(struct nlsh_writer *writer, const uint64_t *keys, size_t n, size_t *n_deleted,
                   struct nlsh_error *error);

/* What was put and deleted so far is durable when this returns. NLSH_E_CANT_CREATE. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_writer_flush(struct nlsh_writer *writer,
                                                          struct nlsh_error *error);

/*
 * nlsh_writer_snapshot() - the index as it is after the last call that returned.
 *
 *  out  never changes; closed with nlsh_index_close(), also after the writer
 * NLSH_E_NOMEM only where memory had run out as the last call ended, or at a first snapshot. Threads: any number, also
 * while another one puts, and it is not waited for. Cost: next to nothing; but the first one behind a put or a deletion
 * makes the state that until then nobody wanted, which may take a second for each million rows of the log, and waits for
 * a call that is at work.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_writer_snapshot(struct nlsh_writer *writer, struct nlsh_index **out, struct nlsh_error *error);

/* A key that is larger than all that the index has ever had since its file was made: for vectors that come without
 * one. */
NLSH_API uint64_t nlsh_writer_next_key(struct nlsh_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
