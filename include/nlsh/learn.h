/*
 * learn.h - make a Neural LSH index: read vectors, k-NN graph, partition, router, index file;
 * ground truth and evaluation. Part of libnlsh-learn, which holds libnlsh as well.
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
    size_t n_threads;           /* >= 1; the answer does not depend on it */
    const char *cache_dir;      /* borrowed; NULL: nothing is kept or taken */
    nlsh_progress_fn *progress; /* or NULL; see nlsh.h */
    nlsh_note_fn *note;         /* or NULL */
    void *user;                 /* given to both */
};

/* All processors, no cache, silent. */
NLSH_API void nlsh_run_init(struct nlsh_run *run);

/* ---- vector files ---------------------------------------------------------------------------- */

enum nlsh_format {
    NLSH_FORMAT_AUTO = 0, /* by name and content */
    NLSH_FORMAT_IDX,      /* MNIST's, big-endian; plain or .gz */
    NLSH_FORMAT_FVECS,    /* TEXMEX: each row its i32 dimension, then f32 */
    NLSH_FORMAT_BVECS,    /* the same with u8 */
    NLSH_FORMAT_IVECS,    /* the same with i32 */
    NLSH_FORMAT_NPY,      /* numpy: f32, u8, i8 or i32, two dimensions, C order */
    NLSH_FORMAT_FBIN,     /* big-ann: u32 rows, u32 dimension, then f32 */
    NLSH_FORMAT_U8BIN,    /* the same with u8 */
    NLSH_FORMAT_I8BIN     /* the same with i8 */
};

/* Vectors in memory that this library owns. */
struct nlsh_vectors {
    struct nlsh_matrix matrix;
    enum nlsh_format format; /* of the file they came from */
    void *memory;            /* private */
};

/*
 * nlsh_vectors_read() - a file of vectors, whole.
 *
 * Any format may be gzipped. Sizes in the file are checked against its length before memory is
 * asked for. Returns NLSH_OK; NLSH_E_NO_INPUT; NLSH_E_IO; NLSH_E_DATA (truncated, rows of unequal
 * dimension, no rows, NaN or infinity: the message names the row; a numpy type or order, or a
 * compression, that is not read); NLSH_E_NOMEM. Cost: one pass over the file.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_vectors_read(const char *path, enum nlsh_format format,
                                                          struct nlsh_vectors *out,
                                                          struct nlsh_error *error);
NLSH_API void nlsh_vectors_free(struct nlsh_vectors *vectors);

/*
 * nlsh_vectors_write() - a matrix to a file, whole or not at all.
 *
 * AUTO takes the format from the name's ending. Bytes may be written as f32 (fvecs, fbin, npy);
 * f32 as bytes only where every value is a whole number in range: else NLSH_E_DATA names the row.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_vectors_write(const char *path, enum nlsh_format format, const struct nlsh_matrix *matrix,
                   struct nlsh_error *error);

/* "fvecs" for NLSH_FORMAT_FVECS, and back; AUTO where the name is not known. */
NLSH_API const char *nlsh_format_name(enum nlsh_format format);
NLSH_API enum nlsh_format nlsh_format_from_name(const char *name);

/* XXH3-64 over the type, the dimension, the number of rows and the values, after bytes stored as
 * floats are narrowed to bytes: the same vectors hash alike in fvecs and in bvecs. */
NLSH_API uint64_t nlsh_data_hash(const struct nlsh_matrix *matrix);

/*
 * nlsh_index_vectors() - the vectors that an index holds, in the order of the base.
 *
 * For L2 they are the base, with its data hash; for cosine each has length 1, and bytes are floats
 * for cosine and IP. *out is freed with nlsh_vectors_free(). NLSH_E_DATA where the ids are damaged;
 * NLSH_E_NOMEM. Cost: a copy of the vectors.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_index_vectors(const struct nlsh_index *index,
                                                           struct nlsh_vectors *out,
                                                           struct nlsh_error *error);

/* ---- nearest neighbours: ground truth and graphs --------------------------------------------- */

/* k neighbours of n rows, each row ascending by (l2sq, id); l2sq holds scores of the metric that was
 * asked for (enum nlsh_metric). A graph leaves the row itself out. */
struct nlsh_neighbors {
    size_t n_rows, k;
    uint32_t *ids; /* [n_rows x k] */
    float *l2sq;   /* [n_rows x k], squared input units; NULL where it was read from .ivecs */
};

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

/* The graph file of docs/formats.md, or, by its ending, .ivecs (ids only). */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_neighbors_write(const char *path,
                                                             const struct nlsh_neighbors *neighbors,
                                                             struct nlsh_error *error);
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_neighbors_read(const char *path, struct nlsh_neighbors *out, struct nlsh_error *error);

/* ---- build ----------------------------------------------------------------------------------- */

enum nlsh_partitioner {
    NLSH_PARTITIONER_AUTO = 0, /* what needs fewest candidates on held-out vectors */
    NLSH_PARTITIONER_METIS,
    NLSH_PARTITIONER_KAHIP,
    NLSH_PARTITIONER_KMEANS
};
enum nlsh_labels { NLSH_LABELS_SOFT = 0, NLSH_LABELS_HARD };
enum nlsh_scheduler {
    NLSH_SCHEDULER_COSINE = 0, /* linear warm-up, then half a cosine to 0 */
    NLSH_SCHEDULER_STEP,       /* x 0.1 at 1/2 and 3/4 of the epochs */
    NLSH_SCHEDULER_PLATEAU,    /* x 0.5 when the held-out loss has not fallen for 2 epochs */
    NLSH_SCHEDULER_NONE
};

/* Where a size, or a number that is never negative, may be left to the build. */
#define NLSH_AUTO SIZE_MAX
#define NLSH_AUTO_REAL (-1.0)

struct nlsh_build_options {
    enum nlsh_metric metric;
    size_t n_buckets; /* m: 1 to min(n_rows, 65536), or NLSH_AUTO */
    size_t knn;       /* neighbours in the graph that is cut; 20 */
    double imbalance; /* a bucket holds at most (1 + imbalance) n / m vectors; NLSH_AUTO_REAL:
                          0.2 for metis and kahip, 0.5 for kmeans */
    uint64_t seed;    /* 1 */
    enum nlsh_graph_method graph;
    enum nlsh_partitioner partitioner;
    int kahip_mode; /* 0 fast, 1 eco, 2 strong, 3 to 5 the same for social graphs; 1 */
    enum nlsh_labels labels;
    size_t label_knn;  /* neighbours that make a soft label */
    size_t components; /* principal components that the router sees; or NLSH_AUTO */
    size_t code_bytes; /* a vector's code, two components a byte; 0: no codes; or NLSH_AUTO */
    /* 1: each 16 vectors of a bucket that lie close together have a code, which a search for a recall
     * looks at first; 0: none; NLSH_AUTO: from 128 vectors a bucket on, where it saves a fifth of the
     * scan of held-out vectors. */
    size_t leaves;
    size_t
        groups; /* of buckets, which the router tells apart first; at most m; 0: none; NLSH_AUTO */
    size_t layers;  /* hidden layers, 0 to 8 */
    size_t nodes;   /* in each, 1 to 4096; or NLSH_AUTO: by measurement; 256 */
    double dropout; /* 0 to 0.9 */
    size_t refine;  /* rounds of re-assigning vectors to the router's answer; 0 to 20 */
    size_t epochs;  /* or NLSH_AUTO: by the number of vectors */
    size_t batch_size;
    double lr;
    double weight_decay;
    enum nlsh_scheduler scheduler;
};

NLSH_API void nlsh_build_options_init(struct nlsh_build_options *options);

/* One setting of nlsh_build_options, for tables of options, JSON files and search spaces. */
struct nlsh_setting {
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
    double seconds;      /* by this machine's class: good to a factor of two */
    uint64_t peak_bytes; /* resident, the vectors included */
    uint64_t index_bytes;
};

/* Fills NLSH_AUTO settings, but for what is chosen by measurement as the index is made (partitioner,
 * nodes, code_bytes, leaves), in *options for the data and checks the rest against it. */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_build_resolve(const struct nlsh_matrix *base, struct nlsh_build_options *options,
                   const struct nlsh_run *run, struct nlsh_build_forecast *forecast,
                   struct nlsh_error *error);

enum { NLSH_STAGE_GRAPH, NLSH_STAGE_PARTITION, NLSH_STAGE_TRAIN, NLSH_STAGE_WRITE, NLSH_N_STAGES };

struct nlsh_build_report {
    double seconds[NLSH_N_STAGES];     /* wall clock */
    int from_cache[NLSH_N_STAGES];     /* 1 where the stage's answer was in the cache */
    enum nlsh_partitioner partitioner; /* what auto chose */
    double edge_cut;                   /* share of the graph's weight between buckets */
    double loss;                       /* mean cross-entropy of the last epoch, nats */
    double held_out_candidates; /* mean at recall@10 .95 on held-out base vectors, threshold */
    double held_out_scanned; /* with leaves, an estimate of those that are scanned; else the same */
    uint64_t index_bytes;
};

/*
 * nlsh_build() - a base to an index file: graph, partition, labels, router, file.
 *
 *  base     [n_rows x dim] NLSH_U8, NLSH_I8 or NLSH_F32, at least 2 rows, finite
 *  path     the file to write; it appears whole or not at all
 *  report   or NULL
 * The same bytes come out for any number of threads. Stages go through run->cache_dir, so a build
 * that was stopped goes on from the last whole stage. Where progress asks to stop as it is told
 * that the file has been written, the call is done: NLSH_OK.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_build(const struct nlsh_matrix *base, const struct nlsh_build_options *options,
           const char *path, const struct nlsh_run *run, struct nlsh_build_report *report,
           struct nlsh_error *error);

/* ---- tune ------------------------------------------------------------------------------------ */

enum nlsh_sampler { NLSH_SAMPLER_TPE = 0, NLSH_SAMPLER_RANDOM, NLSH_SAMPLER_GRID };
enum nlsh_pruner { NLSH_PRUNER_NONE = 0, NLSH_PRUNER_MEDIAN, NLSH_PRUNER_HYPERBAND };

/* Strings are borrowed while the call runs. */
struct nlsh_tune_options {
    struct nlsh_build_options build; /* the first trial, and what is not searched */
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

NLSH_API void nlsh_tune_options_init(struct nlsh_tune_options *options);

struct nlsh_tune_report {
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

/* A study: that of the network's settings, or the second stage's. */
struct nlsh_tune_stage_plan {
    char *name;                      /* in the study's file */
    int begun;                       /* 1: it is there and would go on */
    struct nlsh_build_options build; /* its first trial, and what is not searched */
    char *space;                     /* JSON, as --space takes it */
    size_t n_trials, n_done;         /* in all; of these there already, or running */
};

struct nlsh_tune_plan {
    char *study;        /* its file */
    char objective[64]; /* as the study calls it */
    int maximize;       /* 1: larger values are better */
    struct nlsh_tune_stage_plan stages[2];
    size_t n_stages;
};

/*
 * nlsh_tune_plan() - what nlsh_tune() would do, without doing it.
 *
 * Refuses what nlsh_tune() would refuse before its first trial, and writes nothing. A second stage
 * that has not begun is planned around the best trial so far.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_tune_plan(const struct nlsh_matrix *base, const struct nlsh_tune_options *options,
               struct nlsh_tune_plan *out, struct nlsh_error *error);
NLSH_API void nlsh_tune_plan_free(struct nlsh_tune_plan *plan);

/* ---- evaluate -------------------------------------------------------------------------------- */

/* recall@k of one query's answer, 0 to 1: a returned vector at exactly the k-th true distance
 * counts as true; an id never counts twice. truth_l2sq may be NULL: then only ids count. */
NLSH_API double nlsh_recall(const uint32_t *ids, const float *l2sq, const uint32_t *truth_ids,
                            const float *truth_l2sq, size_t k);

/* Mean over ranks of returned distance / true distance (not squared), over the ranks where
 * something was returned. 0/0 counts as 1; x/0 is left out. NaN where no rank counts. For scores of
 * cosine it is that of the unit vectors' distances; for inner products it has no meaning. */
NLSH_API double nlsh_approximation_factor(const float *l2sq, const float *truth_l2sq, size_t k);

enum nlsh_rule { NLSH_RULE_TOP = 0, NLSH_RULE_THRESHOLD = 1 };

struct nlsh_curve_point {
    enum nlsh_rule rule;
    double value;          /* T: buckets, or the threshold */
    double recall;         /* recall@k if every vector of the buckets is scanned */
    double candidates;     /* mean a query */
    double candidates_p95; /* 95th percentile over queries */
    double probes;         /* mean buckets a query */
    double oracle_recall;  /* of the best order of the same buckets, with as many buckets */
};

struct nlsh_curve {
    struct nlsh_curve_point *points; /* rule top first, each rule by rising recall */
    size_t n_points;
};

/*
 * nlsh_evaluate() - recall against candidates over the whole range of T, in one pass.
 *
 *  truth  ground truth of the queries, at least k a query
 * What counts is how many of the k true neighbours lie in the probed buckets, which a scan finds
 * exactly. A vector tied with the k-th counts as well as it, where truth shows the tie (more than
 * k neighbours, with distances); at most k count. NLSH_E_ARG (k), NLSH_E_MISMATCH (truth of other
 * queries, or an id that the index does not have), NLSH_E_DATA (a damaged index).
 * Cost: one routing a query and a pass over the buckets' ranks; nothing is scanned.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_evaluate(const struct nlsh_index *index, const struct nlsh_matrix *queries,
              const struct nlsh_neighbors *truth, size_t k, const struct nlsh_run *run,
              struct nlsh_curve *out, struct nlsh_error *error);
NLSH_API void nlsh_curve_free(struct nlsh_curve *curve);

/* The pairs of query and bucket whose probability is at least low and below high. */
struct nlsh_reliability_bin {
    double low, high;
    uint64_t n_pairs;
    double predicted; /* mean probability */
    double observed;  /* mean share of the query's k true neighbours that lie in the bucket */
    double error;     /* standard error of observed */
};

struct nlsh_reliability {
    struct nlsh_reliability_bin *bins; /* by rising probability; those without a pair left out */
    size_t n_bins;
    size_t n_queries;
    double gap; /* sum over the bins of |predicted - observed| x pairs a query: 0 to 2, 0 is best */
};

/*
 * nlsh_reliability() - whether the router's probabilities are the shares of the true neighbours.
 *
 * Arguments and statuses are nlsh_evaluate()'s; the queries should be ones that the build has not
 * seen. A tie with the k-th neighbour is not looked for.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_reliability(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                 const struct nlsh_neighbors *truth, size_t k, const struct nlsh_run *run,
                 struct nlsh_reliability *out, struct nlsh_error *error);
NLSH_API void nlsh_reliability_free(struct nlsh_reliability *reliability);

/* ---- baselines ------------------------------------------------------------------------------- */

enum nlsh_brute_method {
    NLSH_BRUTE_BEST = 0, /* our best exact scan for the type */
    NLSH_BRUTE_PLAIN = 1 /* a float loop in C, as a textbook has it, -O3 */
};

/* An exact scan, its data in the form that it scans: making that form is not part of a search. */
struct nlsh_brute;

/* base is borrowed. */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_brute_create(const struct nlsh_matrix *base, enum nlsh_brute_method method,
                  struct nlsh_brute **out, struct nlsh_error *error);
NLSH_API void nlsh_brute_free(struct nlsh_brute *brute);
/* One query at a time on the calling thread; outputs as nlsh_search()'s. */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_brute_search(const struct nlsh_brute *brute, const struct nlsh_matrix *queries, size_t k,
                  uint32_t *ids, float *l2sq, struct nlsh_error *error);

/* Buckets that the vectors are put into, all scanned exactly and in the same way: only the choice of
 * buckets differs. docs/baselines.md has what each does and the papers. */
enum nlsh_baseline_method {
    NLSH_BASELINE_IVFFLAT = 0,   /* k-means cells; a probe is one of the nearest */
    NLSH_BASELINE_IVFPQ = 1,     /* the same; product codes choose what is scanned exactly */
    NLSH_BASELINE_LSH = 2,       /* p-stable hashing; a probe is a table */
    NLSH_BASELINE_HYPERCUBE = 3, /* random bits; a probe is a corner, by Hamming distance */
    NLSH_BASELINE_ROUTED = 4     /* the buckets and the router of an index; probes is its T */
};

struct nlsh_baseline_options {
    enum nlsh_baseline_method method;
    uint64_t seed;                  /* 1 */
    size_t n_lists;                 /* IVF: cells; or NLSH_AUTO: the square root of the rows */
    size_t n_subspaces;             /* IVF-PQ: bytes of a code; or NLSH_AUTO: a 16th of dim */
    size_t n_tables;                /* LSH: L; 16 */
    size_t n_hashes;                /* LSH: k of a table; or NLSH_AUTO */
    size_t n_bits;                  /* Hypercube: d'; or NLSH_AUTO: log2 of the rows, less 4 */
    double window;                  /* LSH, Hypercube: w, a distance; or NLSH_AUTO_REAL */
    const struct nlsh_index *index; /* ROUTED; used while the baseline lives */
};

NLSH_API void nlsh_baseline_options_init(struct nlsh_baseline_options *options);

struct nlsh_baseline;

/*
 * nlsh_baseline_build() - put the vectors of a base into buckets.
 *
 *  base     [n_rows x dim], borrowed while the baseline lives
 *  options  what is left open in them is filled with what was taken
 * Returns NLSH_OK; NLSH_E_ARG (an option outside its meaning), NLSH_E_MISMATCH (an index of other
 * vectors), NLSH_E_DATA, NLSH_E_NOMEM, NLSH_E_INTERRUPTED. The answer does not depend on threads.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_baseline_build(const struct nlsh_matrix *base, struct nlsh_baseline_options *options,
                    const struct nlsh_run *run, struct nlsh_baseline **out,
                    struct nlsh_error *error);
NLSH_API void nlsh_baseline_free(struct nlsh_baseline *baseline);
/* Of memory that an answer needs, the vectors included. */
NLSH_API size_t nlsh_baseline_bytes(const struct nlsh_baseline *baseline);

/*
 * nlsh_baseline_search() - one query at a time on the calling thread; one thread at a time.
 *
 *  probes  cells, tables or corners, 1 or more, a whole number; ROUTED: T
 *  rerank  IVF-PQ: vectors whose exact distance is computed; 0: 10 k
 * Outputs and stats as nlsh_search()'s.
 */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_baseline_search(struct nlsh_baseline *baseline, const struct nlsh_matrix *queries,
                     double probes, size_t rerank, size_t k, uint32_t *ids, float *l2sq,
                     struct nlsh_search_stats *stats, struct nlsh_error *error);

/* ---- cache ----------------------------------------------------------------------------------- */

struct nlsh_cache_entry {
    char name[128]; /* of the file inside the directory */
    char what[160]; /* "k-NN graph, exact, k=10, 60000 rows" */
    uint64_t size_bytes;
    int64_t mtime; /* seconds since 1970 */
    int damaged;   /* its checksum does not agree */
};

/* $NLSH_CACHE, or $XDG_CACHE_HOME/nlsh, or $HOME/.cache/nlsh; NULL where none is set. The pointer
 * is static; call once before starting threads. */
NLSH_API const char *nlsh_cache_default_dir(void);

/* Every entry, by name; *out is freed with free(). A directory that is not there has none. */
NLSH_API NLSH_MUST_USE enum nlsh_status
nlsh_cache_list(const char *dir, struct nlsh_cache_entry **out, size_t *n_entries,
                struct nlsh_error *error);
/* Removes the entries (nothing else that lies in the directory) and says how many. */
NLSH_API NLSH_MUST_USE enum nlsh_status nlsh_cache_clear(const char *dir, size_t *n_removed,
                                                         struct nlsh_error *error);

#ifdef __cplusplus
}
#endif
#endif
