/*
 * learn.h - make a Neural LSH index: read vectors, k-NN graph, partition, router, index file; ground
 * truth, evaluation, tuning. Of libnlsh-learn, which needs libnlsh; both may be in one process.
 *
 * What nlsh.h says of statuses, pointers, threads and struct_size holds here too. Every call here may run
 * beside any other; each makes the threads that it needs and ends them.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NLSH_LEARN_H
#define NLSH_LEARN_H

#include "nlsh/nlsh.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- how a long call runs -------------------------------------------------------------------- */

/* A sentence about what the call did, e.g. "k-NN graph: taken from the cache". */
typedef void nlsh_note_fn(void *user, const char *sentence);

struct nlsh_run {
    size_t struct_size;
    size_t n_threads; /* 1 to 4096; the answer does not depend on it; default: all processors */
    const char *cache_dir;      /* borrowed; NULL, the default: nothing is kept or taken */
    nlsh_progress_fn *progress; /* or NULL, the default; see nlsh.h */
    nlsh_note_fn *note;         /* or NULL, the default */
    void *user;                 /* given to both */
};

/* All processors, no cache, silent: what a call does that is given NULL for its run. size is sizeof *run. */
NLSH_API void nlsh_run_init(struct nlsh_run *run, size_t size);

/* ---- vector files ---------------------------------------------------------------------------- */

enum nlsh_format {
    NLSH_FORMAT_AUTO = 0, /* by name and content */
    NLSH_FORMAT_IDX,      /* MNIST's, big-endian */
    NLSH_FORMAT_FVECS,    /* TEXMEX: each row its i32 dimension, then f32 */
    NLSH_FORMAT_BVECS,    /* the same with u8 */
    NLSH_FORMAT_IVECS,    /* the same with i32 */
    NLSH_FORMAT_NPY,      /* numpy: f32, f64, f16, u8, i8 or i32, two dimensions, any order */
    NLSH_FORMAT_FBIN,     /* big-ann: u32 rows, u32 dimension, then f32 */
    NLSH_FORMAT_U8BIN,    /* the same with u8 */
    NLSH_FORMAT_I8BIN,    /* the same with i8 */
    NLSH_FORMAT_IBIN,     /* the same with i32: ids such as ground truth */
    NLSH_FORMAT_F16BIN,   /* the same with 16-bit floats; read, as f32, not written */
    NLSH_FORMAT_TEXT, /* CSV, TSV, GloVe's, fastText's: a line a vector; read, as f32, not written */
    NLSH_FORMAT_HDF5  /* a dataset of a file, FILE.hdf5:train; read, where libhdf5 is installed */
};

/* Vectors in memory that this library owns. */
struct nlsh_vectors;

/*
 * nlsh_vectors_read() - a file of vectors, whole.
 *
 * Any format may be compressed by gzip or zstd. Sizes in the file are checked against its length before memory is
 * asked for. Returns NLSH_OK; NLSH_E_ARG; NLSH_E_NO_INPUT; NLSH_E_IO; NLSH_E_DATA (truncated, rows of
 * unequal dimension, no rows, NaN or infinity: the message names the row; a numpy type or order, or a
 * compression, that is not read); NLSH_E_UNSUPPORTED (zstd, where nlsh was built without libzstd). Cost: one pass over
 * the file.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_vectors_read(const char *path, enum nlsh_format format,
                                                          struct nlsh_vectors **out,
                                                          struct nlsh_error *error);
/* The vectors, and the format of the file they came from; they live as long as the vectors. */
NLSH_API const struct nlsh_matrix *nlsh_vectors_matrix(const struct nlsh_vectors *vectors);
NLSH_API enum nlsh_format nlsh_vectors_format(const struct nlsh_vectors *vectors);
NLSH_API void nlsh_vectors_free(struct nlsh_vectors *vectors);

/*
 * nlsh_vectors_write() - a matrix to a file, whole or not at all.
 *
 * AUTO takes the format from the name's ending. Bytes may be written as f32 (fvecs, fbin, npy);
 * f32 as bytes only where every value is a whole number in range: else NLSH_E_DATA names the row. F16,
 * BF16 and F64 are written as f32. NLSH_E_ARG, NLSH_E_CANT_CREATE.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_vectors_write(const char *path, enum nlsh_format format, const struct nlsh_matrix *matrix,
                   struct nlsh_error *error);

/* "fvecs" for NLSH_FORMAT_FVECS, and back; AUTO where the name is not known. */
NLSH_API const char *nlsh_format_name(enum nlsh_format format);
NLSH_API enum nlsh_format nlsh_format_from_name(const char *name);

/* XXH3-64 over the type, the dimension, the number of rows and the values, after bytes stored as
 * floats are narrowed to bytes: the same vectors hash alike in fvecs and in bvecs. F16, BF16 and F64 hash
 * as the F32 that they become. 0 for no vectors, or where memory ran out. */
NLSH_API uint64_t nlsh_data_hash(const struct nlsh_matrix *matrix);

/*
 * nlsh_index_vectors() - the vectors that an index holds, in the order of the base.
 *
 * For L2 they are the base, with its data hash; for cosine each has length 1, and bytes are floats
 * for cosine and IP. *out is freed with nlsh_vectors_free(). Of an index of several segments they stand one
 * behind the other; those that were deleted are among them. Cost: a copy of the vectors.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_index_vectors(const struct nlsh_index *index,
                                                           struct nlsh_vectors **out,
                                                           struct nlsh_error *error);

/* ---- nearest neighbours: ground truth and graphs --------------------------------------------- */

/* k neighbours of n rows, each row ascending by (distance, id). A graph leaves the row itself out. Both an
 * answer, and what callers may fill for themselves. */
struct nlsh_neighbors {
    size_t struct_size;
    size_t n_rows, k;
    uint64_t *ids; /* [n_rows x k] row numbers of the base; NLSH_NO_KEY where missing, at the end */
    float *distances; /* [n_rows x k] of the metric (enum nlsh_metric), or NULL: not known */
    enum nlsh_metric metric;
};

/* Empty. size is sizeof *neighbors. */
NLSH_API void nlsh_neighbors_init(struct nlsh_neighbors *neighbors, size_t size);
/* Frees the arrays of an answer and empties it. */
NLSH_API void nlsh_neighbors_free(struct nlsh_neighbors *neighbors);

enum nlsh_graph_method {
    NLSH_GRAPH_EXACT = 0,
    NLSH_GRAPH_IVFFLAT = 1, /* k-means cells against the cells nearest to them */
    NLSH_GRAPH_PIECES = 2,  /* each row against the rows of its nearest cells: large sets' */
    NLSH_GRAPH_AUTO = 3     /* exact where that is a matter of seconds, else pieces */
};

/*
 * nlsh_graph_build() - the k nearest neighbours of every row among the others.
 *
 *  metric  NLSH_IP knows the exact method alone: NLSH_E_UNSUPPORTED for ivfflat, and exact for the
 *          others
 *  k       1 <= k < n_rows
 *  seed    used by ivfflat and pieces
 * With run->cache_dir a graph of the same data and method and of at least this k is taken from
 * there. Exact: in integers for bytes; to f32 rounding for floats. Cost: O(n^2 dim) exact.
 * Pieces: about .97 of the 20 nearest of a million SIFT vectors; exact below 20,000 rows.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_graph_build(const struct nlsh_matrix *base, enum nlsh_metric metric,
                 enum nlsh_graph_method method, size_t k, uint64_t seed, const struct nlsh_run *run,
                 struct nlsh_neighbors *out, struct nlsh_error *error);

/*
 * nlsh_graph_recall() - the share of each row's true neighbours that a graph names, by looking some
 * rows up exactly. A neighbour as far as the k-th true one counts.
 *
 *  n_sample  rows looked up, chosen by seed; all of them where there are no more
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_graph_recall(const struct nlsh_matrix *base, enum nlsh_metric metric,
                  const struct nlsh_neighbors *graph, size_t n_sample, uint64_t seed,
                  const struct nlsh_run *run, double *recall, struct nlsh_error *error);

/*
 * nlsh_ground_truth() - the exact k nearest base rows of each query. Cached like a graph.
 * 1 <= k <= base->n_rows. Base and queries may differ in type: bytes are then taken as floats.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_ground_truth(const struct nlsh_matrix *base, const struct nlsh_matrix *queries,
                  enum nlsh_metric metric, size_t k, const struct nlsh_run *run,
                  struct nlsh_neighbors *out, struct nlsh_error *error);

/* The graph file of docs/formats.md, or, by its ending, ids alone as .ivecs, .ibin or .npy. Reading also takes
 * big-ann's ground truth and .npy of 64 bits, whatever their names, and FILE.hdf5:neighbors. NLSH_E_ARG,
 * NLSH_E_CANT_CREATE; NLSH_E_NO_INPUT, NLSH_E_IO, NLSH_E_DATA. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_neighbors_write(const char *path,
                                                             const struct nlsh_neighbors *neighbors,
                                                             struct nlsh_error *error);
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_neighbors_read(const char *path, struct nlsh_neighbors *out, struct nlsh_error *error);

/* ---- build ----------------------------------------------------------------------------------- */

enum nlsh_partitioner {
    NLSH_PARTITIONER_AUTO =
        0, /* kmeans or vcycle: what needs fewer candidates on held-out vectors */
    NLSH_PARTITIONER_METIS,
    NLSH_PARTITIONER_KAHIP,
    NLSH_PARTITIONER_KMEANS,
    NLSH_PARTITIONER_VCYCLE /* k-means cells, made better by the graph */
};
enum nlsh_labels { NLSH_LABELS_SOFT = 0, NLSH_LABELS_HARD };
enum nlsh_scheduler {
    NLSH_SCHEDULER_COSINE = 0, /* linear warm-up, then half a cosine to 0 */
    NLSH_SCHEDULER_STEP,       /* x 0.1 at 1/2 and 3/4 of the epochs */
    NLSH_SCHEDULER_PLATEAU,    /* x 0.5 when the held-out loss has not fallen for 2 epochs */
    NLSH_SCHEDULER_NONE
};

/* What vectors are kept as in the file. AUTO: the narrowest of bytes, f16 and f32 that holds exactly the values that were given;
 * with cosine f16 where vectors of length 1, rounded, are those that were given. F16: what would be f32, rounded to 11 bits, to the
 * nearest, and at most 65,504; all that is measured and promised is of the rounded vectors, and searches rank by them. F32: what
 * would be f16, as f32, for an index to which vectors will come that f16 does not hold. BF16: as F16, but rounded to 8 bits, with
 * the range of f32. I8: as F16, but to signed bytes times one scale, -127 to 127 steps; what is beyond is cut off, and a vector
 * that would lose more than a quarter of its length so is refused. AUTO takes none of the last two. */
enum nlsh_store {
    NLSH_STORE_AUTO = 0,
    NLSH_STORE_F16,
    NLSH_STORE_F32,
    NLSH_STORE_BF16,
    NLSH_STORE_I8
};

/* Where a size, or a number that is never negative, may be left to the build. */
#define NLSH_AUTO SIZE_MAX
#define NLSH_AUTO_REAL (-1.0)

struct nlsh_build_options {
    size_t struct_size;
    enum nlsh_metric metric;      /* NLSH_L2 */
    size_t n_buckets;             /* m: 1 to min(n_rows, 65536), or NLSH_AUTO, the default */
    size_t knn;                   /* neighbours in the graph that is cut, 1 to 1000; 20 */
    double imbalance;             /* a bucket holds at most (1 + imbalance) n / m vectors, 0 to 10;
                                 NLSH_AUTO_REAL, the default: 0.2 for metis and kahip, 0.5 else */
    uint64_t seed;                /* 1 */
    enum nlsh_graph_method graph; /* NLSH_GRAPH_AUTO */
    enum nlsh_partitioner partitioner; /* NLSH_PARTITIONER_AUTO */
    int kahip_mode;          /* 0 fast, 1 eco, 2 strong, 3 to 5 the same for social graphs; 1 */
    enum nlsh_labels labels; /* NLSH_LABELS_SOFT */
    size_t label_knn;        /* neighbours that make a soft label, 1 to 1000; 20 */
    size_t components;       /* principal components that the router sees, 1 to dim; or NLSH_AUTO */
    size_t code_bytes;       /* a vector's code, two components a byte; 0: no codes; or NLSH_AUTO */
    /* 1: each 16 vectors of a bucket that lie close together have a code, which a search for a recall
     * looks at first; 0: none; NLSH_AUTO, the default: from 128 vectors a bucket on, where it saves a
     * fifth of the scan of held-out vectors. */
    size_t leaves;
    /* Of buckets, which the router tells apart first; at most m; 0: none; or NLSH_AUTO, the default. */
    size_t groups;
    size_t layers;       /* hidden layers, 0 to 8; or NLSH_AUTO, the default: bytes 2, floats 1 */
    size_t nodes;        /* in each, 1 to 4096; or NLSH_AUTO: by measurement; 256 */
    double dropout;      /* 0 to 0.9; 0 */
    size_t refine;       /* rounds of re-assigning vectors to the router's answer; 0 to 20; 0 */
    size_t epochs;       /* 1 to 100000; or NLSH_AUTO, the default: by the number of vectors */
    size_t batch_size;   /* 1 to 1000000; 256 */
    double lr;           /* learning rate, 1e-9 to 10; .008 */
    double weight_decay; /* 0 to 10; .1 */
    enum nlsh_scheduler scheduler; /* NLSH_SCHEDULER_COSINE */
    /* [n_rows] the vectors' keys, none twice and none NLSH_NO_KEY; borrowed; or NULL, the default: row
     * numbers. No setting: it has no name and does not stand in the index's settings. */
    const uint64_t *keys;
    /* Queries like those that will be asked, where they do not come from where the base comes from; borrowed, or NULL,
     * the default. At least 60, better some thousands, and not those that are asked later. Half of them teach the
     * router beside the base's rows, half say what searches reach: what is promised then is promised for queries
     * like these. labels must be soft. No setting, as keys is none. */
    const struct nlsh_matrix *train_queries;
    enum nlsh_store store; /* NLSH_STORE_AUTO */
    /* Of NLSH_STORE_I8: what a step is; 0, the default: the scale of the least squared error over the vectors as they are
     * stored. No setting, as keys is none. */
    float store_scale;
};

/* The defaults. size is sizeof *options. */
NLSH_API void nlsh_build_options_init(struct nlsh_build_options *options, size_t size);

/* One setting of nlsh_build_options, for tables of options, JSON files and search spaces. The library's own
 * and constant: struct_size says which members it has. */
struct nlsh_setting {
    size_t struct_size;
    const char *name;          /* as on the command line without dashes: "knn", "batch_size" */
    const char *argument;      /* "K", "{soft,hard}" */
    const char *help;          /* one line, no full stop */
    const char *default_value; /* as text */
};

/* The i-th setting; NULL past the last. */
NLSH_API const struct nlsh_setting *nlsh_build_setting(size_t i);

/* Sets one by name. NLSH_E_ARG names the setting, the value and what it may be. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_build_options_set(struct nlsh_build_options *options,
                                                               const char *name, const char *value,
                                                               struct nlsh_error *error);
/* The value of one as text into buffer (always ended by NUL); returns 0 where there is no such. */
NLSH_API int nlsh_build_options_get(const struct nlsh_build_options *options, const char *name,
                                    char *buffer, size_t buffer_size);

/* Reads a JSON object whose names are the settings' ("m": 256, "labels": "soft"). */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_build_options_read(const char *path,
                                                                struct nlsh_build_options *options,
                                                                struct nlsh_error *error);

/* What a build of these vectors would come to, without doing it. */
struct nlsh_build_forecast {
    size_t struct_size;
    double seconds;      /* from loops measured on this machine: good to a factor of 1.5 */
    uint64_t peak_bytes; /* resident, the vectors included */
    uint64_t index_bytes;
    uint64_t disk_bytes; /* of the index's disk when most are taken, the index included */
};

/* Fills NLSH_AUTO settings, but for what is chosen by measurement as the index is made (partitioner,
 * nodes, code_bytes, leaves), in *options for the data and checks the rest against it. run and forecast may be
 * NULL. NLSH_E_ARG names the setting; NLSH_E_DATA names a row. */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_build_resolve(const struct nlsh_matrix *base, struct nlsh_build_options *options,
                   const struct nlsh_run *run, struct nlsh_build_forecast *forecast,
                   struct nlsh_error *error);

/* Frozen: what is timed apart. */
enum { NLSH_STAGE_GRAPH, NLSH_STAGE_PARTITION, NLSH_STAGE_TRAIN, NLSH_STAGE_WRITE, NLSH_N_STAGES };

struct nlsh_build_report {
    size_t struct_size;
    double seconds[NLSH_N_STAGES];     /* wall clock */
    int from_cache[NLSH_N_STAGES];     /* 1 where the stage's answer was in the cache */
    enum nlsh_partitioner partitioner; /* what auto chose */
    double edge_cut;                   /* share of the graph's weight between buckets */
    double loss;                       /* mean cross-entropy of the last epoch, nats */
    double held_out_candidates; /* mean at recall@10 .95 on held-out base vectors, threshold */
    double held_out_scanned; /* with leaves, an estimate of those that are scanned; else the same */
    uint64_t index_bytes;
    /* Where they are rounded: how far stored vectors are from those given, over their length; the mean and the largest. Of a build of
     * more vectors than memory, of its sample. Else 0. */
    double store_error, store_error_most;
};

/*
 * nlsh_build() - a base to an index file: graph, partition, labels, router, file.
 *
 *  base     [n_rows x dim] of any type of vectors, at least 2 rows, finite
 *  options  or NULL: the defaults
 *  path     the file to write; it appears whole or not at all
 *  run      or NULL: all processors, no cache, silent
 *  report   or NULL
 * Returns NLSH_OK; NLSH_E_ARG (a setting, a key that is there twice), NLSH_E_DATA (a value or a row that
 * has no place), NLSH_E_MISMATCH (train_queries of another dimension), NLSH_E_CANT_CREATE, NLSH_E_UNSUPPORTED (KaHIP is not here), NLSH_E_INTERRUPTED.
 * The same bytes come out for any number of threads. Stages go through run->cache_dir, so a build
 * that was stopped goes on from the last whole stage. Where progress asks to stop as it is told
 * that the file has been written, the call is done: NLSH_OK.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_build(const struct nlsh_matrix *base, const struct nlsh_build_options *options,
           const char *path, const struct nlsh_run *run, struct nlsh_build_report *report,
           struct nlsh_error *error);

/* ---- more vectors than memory ----------------------------------------------------------------- */

/* Vectors that are read block by block. A caller fills it, or nlsh_rows_open(), nlsh_rows_join() or nlsh_rows_part(). */
struct nlsh_rows {
    size_t struct_size;
    size_t n_rows, dim;
    enum nlsh_type type; /* NLSH_U8, NLSH_I8 or NLSH_F32 */
    void *user;
    /*
     * Rows first .. first + n - 1 into values [n x dim] of that type. first is where the call before it ended, or 0 to
     * begin again; nlsh_build_rows() goes over them three times. Called from the calling thread only. What it returns
     * other than NLSH_OK ends the build with it; it says why in *error.
     */
    enum nlsh_status (*read)(void *user, size_t first, size_t n, void *values,
                             struct nlsh_error *error);
    const char *name; /* for messages, the file's for example; borrowed, or NULL */
};

/* Empty. size is sizeof *rows. */
NLSH_API void nlsh_rows_init(struct nlsh_rows *rows, size_t size);

/*
 * nlsh_rows_open() - a file of vectors, plain or compressed, in every format of nlsh_vectors_read() that has rows one
 * behind the other: not text, HDF5, and arrays in columns, which are NLSH_E_UNSUPPORTED.
 *
 *  out  struct_size is set; closed with nlsh_rows_close() before it is filled again
 * Values are not looked at yet. NLSH_E_NO_INPUT, NLSH_E_IO, NLSH_E_DATA, NLSH_E_NOMEM.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_rows_open(const char *path, enum nlsh_format format,
                                                       struct nlsh_rows *out,
                                                       struct nlsh_error *error);

/*
 * nlsh_rows_join() - several sets of rows as one, in their order.
 *
 *  parts  [n], all with one struct_size; copied. What they read through (user) is borrowed: they are closed after out,
 *         and nobody reads them meanwhile
 *  out    struct_size is set; closed with nlsh_rows_close()
 * NLSH_E_MISMATCH (a dimension or a type that is not the first one's: names both files), NLSH_E_ARG (none, or one that is
 * not open), NLSH_E_NOMEM. Cost of reading: that of the parts.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_rows_join(const struct nlsh_rows *parts, size_t n,
                                                       struct nlsh_rows *out,
                                                       struct nlsh_error *error);

/*
 * nlsh_rows_part() - rows first .. first + n - 1 of others, as rows 0 .. n - 1. As nlsh_rows_join() besides.
 *
 * NLSH_E_ARG: n is 0, or there are not so many. What stands outside is not checked. Cost of reading: whoever begins again
 * passes by what is before first. That is nothing in a file that is not compressed, but a look at each row in fvecs and
 * bvecs; a compressed file is unpacked, and a caller's own rows are read.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_rows_part(const struct nlsh_rows *whole, size_t first,
                                                       size_t n, struct nlsh_rows *out,
                                                       struct nlsh_error *error);

/* Frees what one of these three opened; of rows that read through others the others stay. */
NLSH_API void nlsh_rows_close(struct nlsh_rows *rows);

/* nlsh_data_hash() of them: a pass. What read() returns, NLSH_E_NOMEM. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_rows_hash(const struct nlsh_rows *rows, uint64_t *out,
                                                       struct nlsh_error *error);

/* Bytes that nlsh_build() of them would take, the vectors included; values are not looked at. NLSH_E_ARG: a setting. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_build_memory(const struct nlsh_rows *rows,
                                                          const struct nlsh_build_options *options,
                                                          uint64_t *out, struct nlsh_error *error);

/*
 * nlsh_build_rows_resolve() - what nlsh_build_rows() in so much memory would come to, without doing it.
 *
 * Fills the NLSH_AUTO settings that the number of vectors decides (n_buckets, epochs, groups, graph) in *options and checks
 * the rest. seconds are as good as nlsh_build_resolve()'s and without waiting for disks, peak_bytes is memory or less. The
 * first vectors are read. run and forecast may be NULL. NLSH_E_ARG names the setting, or says how much memory would do; what
 * read() returns.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_build_rows_resolve(const struct nlsh_rows *base, struct nlsh_build_options *options,
                        uint64_t memory, const struct nlsh_run *run,
                        struct nlsh_build_forecast *forecast, struct nlsh_error *error);

/*
 * nlsh_build_rows() - nlsh_build() of more vectors than memory holds.
 *
 *  memory   bytes that the build may take for itself, at least 64 a vector and 64 MB. Pages of files that it reads and
 *           writes are not among them: the system takes those back when it needs them
 *  options  as nlsh_build()'s; train_queries is NLSH_E_UNSUPPORTED
 * A sample of the vectors, as large as memory allows, a million at most, is built as nlsh_build() does; where all of
 * them are no more than that, that is all. Then the vectors pass by twice more: each gets its bucket from the router,
 * of those with room, and its place in the file; codes, leaves and promises are made of all. The same bytes come out for any number of
 * threads. On the disk of path there must be room for the index twice, for the sample's, and 4 bytes a component and vector; that is
 * looked at or reserved before the work that needs it.
 * A call that does not come to its end, because it fails, is asked to stop or is killed, leaves what it has done in the files
 * path.unfinished and path.unfinished-sample. The next call with the same vectors, settings, memory, release and instruction set goes
 * on from there, to the same bytes, and says so (run->note). Any other begins anew. They are gone when the index
 * stands; who does not want to go on removes them. As nlsh_build() besides; NLSH_E_ARG where memory is too little.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_build_rows(const struct nlsh_rows *base, const struct nlsh_build_options *options,
                uint64_t memory, const char *path, const struct nlsh_run *run,
                struct nlsh_build_report *report, struct nlsh_error *error);

/* ---- calibrate ------------------------------------------------------------------------------- */

/* What a search for recall@10 of .95 reaches on the queries that were given, and the vectors it scans, as the index
 * was and as it is. The second is of the very queries that it was measured with. */
struct nlsh_calibrate_report {
    size_t struct_size;
    size_t n_queries;
    double recall_before, candidates_before;
    double recall, candidates;
};

/*
 * nlsh_calibrate() - makes an index promise recall for queries like these, without training.
 *
 *  path      the index; it stays as it is where out_path names another file
 *  queries   [n_rows x dim] at least 30, better 500, of any type of vectors; not those that are asked later: a
 *            sample like them. They are no rows of the base.
 *  out_path  or NULL: in place of path. It appears whole or not at all, under searches that go on.
 *  run       or NULL: all processors, silent
 *  report    or NULL
 * What was promised before, for queries like the base's own rows, is promised no more. NLSH_E_ARG (too few, or a
 * value of a query), NLSH_E_MISMATCH (their dimension), NLSH_E_NO_INPUT, NLSH_E_DATA, NLSH_E_UNSUPPORTED (a file
 * of an older nlsh), NLSH_E_CANT_CREATE, NLSH_E_INTERRUPTED. Cost: an exact search of the index for each
 * query, and some seconds. docs/recall.md.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_calibrate(const char *path, const struct nlsh_matrix *queries, const char *out_path,
               const struct nlsh_run *run, struct nlsh_calibrate_report *report,
               struct nlsh_error *error);

/* ---- compact --------------------------------------------------------------------------------- */

struct nlsh_compact_options {
    size_t struct_size;
    int retrain; /* 1: buckets and router are learned anew, from what the index holds, by its settings */
    int drop_damaged; /* 1: of a damaged log what is before the damage counts, and the rest is lost */
    /* 1: does what is due. Nothing, where fewer than a tenth of the vectors came or went since the file was made, or
     * fewer than 2 % where they are unlike the others; one file of file and log, where more did; and training, where a
     * query then needs 1.25 times the vectors that it needed when the router was trained, or where an index that began
     * empty holds 1,000. */
    int automatic;
};

/* The defaults; size is sizeof *options. */
NLSH_API void nlsh_compact_options_init(struct nlsh_compact_options *options, size_t size);

/* Frozen. */
enum nlsh_compact_done {
    NLSH_COMPACT_NOTHING = 0,  /* nothing was due, and all is as it was */
    NLSH_COMPACT_MERGED = 1,   /* one file of file and log, with the same buckets and router */
    NLSH_COMPACT_RETRAINED = 2 /* one file, learned anew */
};

struct nlsh_compact_report {
    size_t struct_size;
    enum nlsh_compact_done done;
    size_t n_rows;      /* vectors that the index holds */
    size_t n_dropped;   /* rows that were deleted or replaced, and are gone */
    size_t log_rows;    /* that were in the log */
    uint64_t log_bytes; /* that the log had */
    int measured;       /* 1: what a recall takes was measured anew */
};

/*
 * nlsh_compact() - makes one file of an index and its log, in the file's place.
 *
 *  path     an index file that nobody writes: else NLSH_E_BUSY
 *  options  or NULL: the defaults
 *  run      or NULL: all processors, silent
 *  report   or NULL
 * Nothing is trained unless retrain or automatic says so. Vectors keep their keys, and their buckets but where one holds
 * more than 1.5 times the mean of what is left. Promises are measured anew, with vectors that the router has not learned
 * from, where more than a fifth of them came or went since they were measured; more than 2 %, where what came is unlike
 * what was there, or what came or went was so of a few buckets. Searches go on meanwhile, and
 * nlsh_index_refresh() finds the new file. Killed at any moment, the old state is there or the new one. The same bytes
 * for the same calls in the same order, and for any number of threads. Statuses: those of nlsh_writer_open() and
 * nlsh_build(); NLSH_E_ARG where all vectors were deleted. Cost: reading and writing the index, its codes, and
 * where promises are measured an exact search for 1,000 vectors.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_compact(const char *path, const struct nlsh_compact_options *options,
             const struct nlsh_run *run, struct nlsh_compact_report *report,
             struct nlsh_error *error);

/* ---- tune ------------------------------------------------------------------------------------ */

enum nlsh_sampler { NLSH_SAMPLER_TPE = 0, NLSH_SAMPLER_RANDOM, NLSH_SAMPLER_GRID };
enum nlsh_pruner { NLSH_PRUNER_NONE = 0, NLSH_PRUNER_MEDIAN, NLSH_PRUNER_HYPERBAND };

/* Strings and build are borrowed while the call runs. */
struct nlsh_tune_options {
    size_t struct_size;
    const struct nlsh_build_options
        *build;         /* the first trial, and what is not searched; NULL: the defaults */
    const char *folder; /* of the run: models, index.json, trials.csv; made where it is not there */
    const char *study;  /* the study's file; NULL: study.db in the folder */
    const char *name;   /* of the study in its file; NULL: the folder's last part */
    const char *data_file; /* what index.json calls the base; or NULL */
    const char *space;     /* JSON file, see docs/tuning.md; NULL: the default space */
    const char *objective; /* recall@T, candidates@R or qps@R, R a recall; "candidates@.95" */
    enum nlsh_sampler sampler;
    enum nlsh_pruner pruner;
    size_t n_trials;     /* 50, those of earlier calls included; half as many of a second stage */
    size_t n_folds;      /* 3; 1: one fifth is held out */
    size_t epochs;       /* of a trial, in each fold; 10 */
    size_t top_k;        /* models that are trained on all data; 5 */
    size_t final_epochs; /* of these; 100 */
    double timeout;      /* seconds after which no trial begins; 0: none */
    int resume;          /* 1: the study is there, and goes on */
    int two_stage;       /* 1: then over the partition, the network being the first stage's best */
};

/* size is sizeof *options. */
NLSH_API void nlsh_tune_options_init(struct nlsh_tune_options *options, size_t size);

struct nlsh_tune_report {
    size_t struct_size;
    size_t n_complete, n_pruned, n_failed; /* trials of the study, both stages */
    size_t n_models;                       /* in index.json */
    double best, first;                    /* objective of the best trial, and of the defaults */
    double best_held_out, first_held_out;  /* candidates at recall@10 .95 of the finished models */
    int defaults_stand;                    /* 1: no finished model needs fewer than the defaults */
    int left_to_another;                   /* 1: trials of other processes run; they finish it */
    char best_file[128];                   /* of the model with the fewest, in the folder */
};

/*
 * nlsh_tune() - looks for better settings than the defaults.
 *
 * The base is cut into folds; a trial learns from all folds but one, whose vectors then are the
 * queries, with their exact neighbours among the rest; this for each fold. No other vectors are
 * seen. Unpromising trials stop early. The best top_k settings are then built from the whole base
 * with final_epochs, and the folder says what came out: docs/tuning.md.
 * Returns NLSH_OK; NLSH_E_INTERRUPTED (the study is whole, resume goes on); NLSH_E_ARG (an option, or
 * the space file); NLSH_E_MISMATCH (the study is of other data, objective, space or settings);
 * NLSH_E_NO_INPUT (nothing to resume); NLSH_E_DATA (a damaged study); NLSH_E_CANT_CREATE.
 * The same study comes of the same seed wherever trials run one after another.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_tune(const struct nlsh_matrix *base, const struct nlsh_tune_options *options,
          const struct nlsh_run *run, struct nlsh_tune_report *report, struct nlsh_error *error);

/* ---- evaluate -------------------------------------------------------------------------------- */

/* recall@k of one query's answer, 0 to 1: a returned vector at exactly the k-th true distance
 * counts as true; a key never counts twice. truth_ids and keys are of one kind; distances and
 * truth_distances may be NULL: then only keys count. Cost: O(k^2) at worst, 20 us for k = 1000. */
NLSH_API double nlsh_recall(const uint64_t *keys, const float *distances, const uint64_t *truth_ids,
                            const float *truth_distances, size_t k);

/* Mean over ranks of returned distance / true distance, over the ranks where something was returned. 0/0
 * counts as 1; x/0 is left out. NaN where no rank counts. COSINE: of the unit vectors' distances, which are
 * sqrt(2 (1 - cos)). IP: NaN, it has no meaning there. */
NLSH_API double nlsh_approximation_factor(enum nlsh_metric metric, const float *distances,
                                          const float *truth_distances, size_t k);

enum nlsh_rule { NLSH_RULE_TOP = 0, NLSH_RULE_THRESHOLD = 1 };

struct nlsh_curve_point {
    size_t struct_size;
    enum nlsh_rule rule;
    double value;          /* T: buckets, or the threshold */
    double recall;         /* recall@k if every vector of the buckets is scanned */
    double candidates;     /* mean a query */
    double candidates_p95; /* 95th percentile over queries */
    double probes;         /* mean buckets a query */
    double oracle_recall;  /* of the best order of the same buckets, with as many buckets */
};

struct nlsh_curve;

/*
 * nlsh_evaluate() - recall against candidates over the whole range of T, in one pass.
 *
 *  truth  ground truth of the queries by row number, at least k a query
 *  run    or NULL
 * What counts is how many of the k true neighbours lie in the probed buckets, which a scan finds
 * exactly. A vector tied with the k-th counts as well as it, where truth shows the tie (more than
 * k neighbours, with distances); at most k count. NLSH_E_ARG (k), NLSH_E_MISMATCH (truth of other
 * queries, or an id that the index does not have), NLSH_E_DATA (a damaged index).
 * Cost: one routing a query and a pass over the buckets' ranks; nothing is scanned.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_evaluate(const struct nlsh_index *index, const struct nlsh_matrix *queries,
              const struct nlsh_neighbors *truth, size_t k, const struct nlsh_run *run,
              struct nlsh_curve **out, struct nlsh_error *error);
NLSH_API size_t nlsh_curve_n_points(const struct nlsh_curve *curve);
/* The i-th point: rule top first, each rule by rising recall. Returns 0 where there is none, or where out's
 * struct_size is not set. */
NLSH_API int nlsh_curve_point(const struct nlsh_curve *curve, size_t i,
                              struct nlsh_curve_point *out);
NLSH_API void nlsh_curve_free(struct nlsh_curve *curve);

/* The pairs of query and bucket whose probability is at least low and below high. */
struct nlsh_reliability_bin {
    size_t struct_size;
    double low, high;
    uint64_t n_pairs;
    double predicted; /* mean probability */
    double observed;  /* mean share of the query's k true neighbours that lie in the bucket */
    double error;     /* standard error of observed */
};

struct nlsh_reliability;

/*
 * nlsh_reliability() - whether the router's probabilities are the shares of the true neighbours.
 *
 * Arguments and statuses are nlsh_evaluate()'s; the queries should be ones that the build has not
 * seen. A tie with the k-th neighbour is not looked for.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_reliability(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                 const struct nlsh_neighbors *truth, size_t k, const struct nlsh_run *run,
                 struct nlsh_reliability **out, struct nlsh_error *error);
NLSH_API size_t nlsh_reliability_n_queries(const struct nlsh_reliability *reliability);
/* Sum over the bins of |predicted - observed| x pairs a query: 0 to 2, 0 is best. */
NLSH_API double nlsh_reliability_gap(const struct nlsh_reliability *reliability);
NLSH_API size_t nlsh_reliability_n_bins(const struct nlsh_reliability *reliability);
/* The i-th bin, by rising probability; those without a pair are left out. Returns 0 where there is none, or
 * where out's struct_size is not set. */
NLSH_API int nlsh_reliability_bin(const struct nlsh_reliability *reliability, size_t i,
                                  struct nlsh_reliability_bin *out);
NLSH_API void nlsh_reliability_free(struct nlsh_reliability *reliability);

/* ---- cache ----------------------------------------------------------------------------------- */

/* $NLSH_CACHE, or $XDG_CACHE_HOME/nlsh, or $HOME/.cache/nlsh; NULL where none is set. The pointer
 * is static; call it before threads are started. */
NLSH_API const char *nlsh_cache_default_dir(void);

#ifdef __cplusplus
}
#endif
#endif
