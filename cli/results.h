/* results.h - the results file: for every query its neighbours, and at the end how good they are. */
#ifndef NLSH_CLI_RESULTS_H
#define NLSH_CLI_RESULTS_H

#include "answers.h"
#include "inputs.h"
#include "output.h"
#include "words.h"

/* What stays the same for all results of a run. */
struct results_of {
    enum nlsh_metric metric; /* what the distances are of */
    const char *format;      /* "text", "csv" or "json" */
    bool many;               /* several settings in one file: each says which it is */
    bool summarise;          /* stdout gets the summaries, as JSON */
    bool range;              /* the R-near neighbours too */
    double radius;
    const struct nlsh_matrix *queries;
    const struct nlsh_neighbors *truth;
    struct timing exact;       /* of an exact search */
    const struct words *words; /* said in place of keys, or NULL */
    json_t *shards;            /* what searching in shards cost, or NULL: it was an index */
    double
        not_searched; /* the share of the buckets that queries asked for, where shards are missing */
};

/* A results file under way. */
struct results {
    const struct results_of *of;
    struct output output;
    size_t n_blocks;
    uint64_t *near_keys; /* R-near neighbours of the query under way */
    float *near_distances;
    size_t n_near, near_capacity;
    json_t *summaries; /* of the settings so far */
};

/* -range and -R; without -R the radius that the predecessor took for the kind of data. 0 or an exit code. */
int read_range(const struct args *args, const struct loaded *queries, struct results_of *of);

/* Each returns 0 or an exit code after saying why; then results_abort() is called. */
int results_open(const struct results_of *of, const char *path, struct results *out);
/* The answers at one setting, from the index that gave them. */
int results_add(struct results *results, const struct nlsh_index *index,
                const struct nlsh_search_options *options, const struct answers *answers);
/* Ends the file and puts it in its place, and says the summaries. */
int results_commit(struct results *results);
void results_abort(struct results *results);

/*
 * results_write() - the results file of a search with n settings, in the form that the flags ask for.
 *
 *  point  searches with the i-th setting, and adds to the results; 0 or an exit code
 * All or nothing is written. 0 or an exit code.
 */
typedef int results_point_fn(void *ctx, size_t i, struct results *results);
int results_write(const struct args *args, struct results_of *of, size_t n, results_point_fn *point,
                  void *ctx);

/* The summary of one setting as JSON. */
json_t *summary_json(const struct results_of *of, const struct nlsh_search_options *options,
                     const struct answers *answers);

#endif
