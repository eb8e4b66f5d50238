/* bench.h - the rows of `nlsh bench`: measured in bench.c, by the methods of bench_methods.c, shown
 * by bench_show.c. */
#ifndef NLSH_CLI_BENCH_BENCH_H
#define NLSH_CLI_BENCH_BENCH_H

#include "answers.h"
#include "baselines/methods.h"
#include "inputs.h"

/* One method at one setting. */
struct bench_row {
    const char *method;
    char group[64];   /* what several rows of a method share, or "" ; no commas */
    char setting[48]; /* no commas */
    struct score score;
    double seconds;       /* mean a query */
    double build_seconds; /* NaN where nobody knows */
    size_t bytes;         /* 0 where nobody knows */
    size_t n_queries;     /* that were answered */
};

struct bench {
    const struct args *args;
    struct nlsh_run run;
    struct loaded base, queries;
    struct nlsh_neighbors truth;
    size_t k;
    double row_seconds; /* most time for a row */
    struct bench_row *rows;
    size_t n_rows, capacity;
    double best_seconds, plain_seconds; /* of the exact scans, a query */
    /* the index, where one is given or asked for; else index is NULL */
    struct nlsh_index *index;
    const char *index_name; /* NULL where it was made for this run */
    struct nlsh_index_info info;
    double index_seconds; /* NaN, or what its making took */
    struct answers answers;
    /* the stage under way, for the bar */
    const char *stage;
    uint64_t stage_done, stage_total;
};

/* Answers some queries, one at a time. */
typedef enum nlsh_status bench_answer_fn(void *ctx, const struct nlsh_matrix *some, size_t k,
                                         uint64_t *keys, float *distances,
                                         struct nlsh_search_stats *stats, struct nlsh_error *error);

/* What is measured: how to answer, and what that took to build. */
struct bench_method {
    const char *name;
    bool by_row;    /* answers with row numbers, not with the index's keys */
    char group[64]; /* of its rows */
    bench_answer_fn *answer;
    void *ctx;
    double build_seconds;
    size_t bytes;
};

/* Begins a stage of the bar; total queries, or 0 where that is not known. */
void bench_stage(struct bench *b, const char *stage, uint64_t total);
/* Measures one row over at most `most` queries and appends it; 0 or an exit code. */
int bench_row(struct bench *b, const struct bench_method *m, size_t most, const char *setting);
/* Answers a few queries that are not counted. */
int bench_warm(struct bench *b, const struct bench_method *m);

/* The methods that --methods may name. */
struct bench_kind {
    const char *word;
    bool needs_index;
    int (*run)(struct bench *b);
};
extern const struct bench_kind bench_kinds[];
extern const size_t n_bench_kinds;

/* The table on stdout: as text, --csv or --json. */
int bench_print(const struct bench *b);
/* -o FILE.csv: the table, and beside it FILE.candidates.svg and FILE.qps.svg. */
int bench_write(const struct bench *b, const char *path);
/* Whether they can be written. */
int bench_check_output(const struct args *args, const char *path);

#endif
