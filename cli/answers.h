/* answers.h - the answers of an index to a set of queries at one setting: found, timed, judged. */
#ifndef NLSH_CLI_ANSWERS_H
#define NLSH_CLI_ANSWERS_H

#include <jansson.h>

#include "args.h"
#include "nlsh/learn.h"
#include "timing.h"

/* How good some answers are: means over the queries. */
struct score {
    double recall_1, recall_n;
    double recall_error; /* standard error of recall_n over the queries; NaN of one query */
    double factor;       /* approximation factor; NaN where no query has one */
    double candidates, p95, probes, ranked;
};

/* The answers to n queries, k each. */
struct answers {
    size_t n, k;
    uint64_t *keys;                 /* [n x k] */
    float *distances;               /* [n x k] */
    struct nlsh_search_stats stats; /* arrays [n] */
    struct timing timing;
    struct score score;
    struct nlsh_likeness likeness; /* of the queries */
};

/* Room for n queries; 0 or an exit code. */
int answers_create(size_t n, size_t k, struct answers *out);
void answers_free(struct answers *answers);

/* Judges the first n answers; truth holds at least k neighbours a query. Without distances there is no factor, and
 * a tie with the k-th counts as missed. */
void score_answers(const struct answers *answers, size_t n, const struct nlsh_neighbors *truth,
                   struct score *out);
/* The arrays' places from query i on. */
struct nlsh_search_stats stats_from(const struct nlsh_search_stats *stats, size_t i);

/* Searches the index for all queries, query by query on one thread or as a whole with
 * options->n_threads, and again until there are enough passes for a time. stage is the progress bar's.
 * Fills all but the score. */
int answers_find(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                 const struct nlsh_search_options *options, const char *stage,
                 struct answers *answers);

/* Where queries are unlike those that the index was calibrated for, a sentence that says so. */
void say_likeness(const struct nlsh_likeness *likeness, const struct nlsh_search_options *options);

/* Searches for the first of the queries once, so that pages are in memory. Writes over answers' arrays. */
int answers_warm(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                 const struct nlsh_search_options *options, const char *stage,
                 const struct answers *answers);

/* ---- settings ---------------------------------------------------------------------------- */

enum { MAX_POINTS = 64 };

/*
 * What -T or --recall asks for, each a list: a value of T, or where -T is not given a recall.
 * Returns how many options were filled, or 0 after saying which value is outside its meaning, or
 * that both were given.
 */
size_t read_points(const struct args *args, struct nlsh_search_options out[MAX_POINTS]);
/* What --recall asks for, of a verb without -T. */
size_t read_recalls(const struct args *args, struct nlsh_search_options out[MAX_POINTS]);
/* "5", "0.05" or "recall 0.95". */
const char *point_text(const struct nlsh_search_options *options, char buffer[32]);
/* 5, 0.05 or "recall 0.95". */
json_t *point_json(const struct nlsh_search_options *options);

#endif
