/* asked.h - the recall that is asked for beside the one that is reached. */
#ifndef NLSH_CLI_ASKED_H
#define NLSH_CLI_ASKED_H

#include <jansson.h>
#include <stdio.h>

#include "answers.h"

/* By recall asked for. */
struct asked {
    size_t k, n_queries, n;
    struct score score[MAX_POINTS];
    struct nlsh_search_options options[MAX_POINTS];
    struct nlsh_likeness likeness[MAX_POINTS];
};

/* What --recall names; 0, or an exit code after saying what is wrong. */
int asked_read(const struct args *args, struct asked *out);

/* Searches for each of them. truth: row numbers of the index, at least k a query. 0 or an exit code. */
int asked_find(const struct nlsh_index *index, const struct nlsh_matrix *queries,
               const struct nlsh_neighbors *truth, size_t k, size_t n_threads, struct asked *out);

/* A sentence each. */
void asked_say(const struct asked *asked);
/* Lines of evaluate's CSV, and objects into its array. */
void asked_csv(const struct asked *asked, FILE *to);
void asked_json(const struct asked *asked, json_t **array);

#endif
