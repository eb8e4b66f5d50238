/* qps.c - the speed of a trial's index: it is written, opened and searched, one query at a time on
 * one thread, as a user would. The best of three rounds: what disturbs a round only slows it. */
#include "tune/run/qps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

enum { TRUTH_K = 10, MOST_QUERIES = 1000, ROUNDS = 3 };

static enum nlsh_status search_rounds(struct nlsh_index *index, const struct nlsh_matrix *queries,
                                      double threshold, double *qps, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_searcher *searcher = NULL;
    struct nlsh_search_options how;
    struct nlsh_matrix some = *queries;
    uint64_t *keys = NULL;
    float *distances = NULL;
    if (some.n_rows > MOST_QUERIES) some.n_rows = MOST_QUERIES;
    nlsh_search_options_init(&how, sizeof how);
    how.k = TRUTH_K;
    how.probes = threshold;
    NLSH_TRY(nlsh_searcher_create(index, &searcher, error));
    NLSH_TRY(nlsh__alloc(&keys, some.n_rows, TRUTH_K * sizeof *keys, error));
    NLSH_TRY(nlsh__alloc(&distances, some.n_rows, TRUTH_K * sizeof *distances, error));
    *qps = 0;
    for (int round = 0; round < ROUNDS + 1; round++) { /* the first brings the pages in */
        double start = nlsh__now();
        NLSH_TRY(nlsh_search(searcher, &some, &how, keys, distances, NULL, error));
        double seconds = nlsh__now() - start;
        if (round > 0) *qps = fmax(*qps, (double)some.n_rows / fmax(seconds, 1e-9));
    }
out:
    nlsh_searcher_free(searcher);
    nlsh__free(keys);
    nlsh__free(distances);
    return status;
}

enum nlsh_status nlsh__measure_qps(const struct nlsh__request *request,
                                   const struct nlsh__fold *fold, double threshold, double *qps,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *index = NULL;
    char name[64], *path;
    *qps = 0;
    if (!(threshold > 0)) return NLSH_OK;
    snprintf(name, sizeof name, "trial.%ld.tmp", (long)getpid());
    status = nlsh__request_path(request, name, &path, error);
    if (status != NLSH_OK) return status;
    NLSH_TRY(nlsh__learner_write(fold->learner, path, error));
    NLSH_TRY(nlsh_index_open(path, NULL, &index, error));
    unlink(path); /* it stays mapped, and nothing of it stays where we are killed */
    NLSH_TRY(search_rounds(index, &fold->input.queries, threshold, qps, error));
out:
    nlsh_index_close(index);
    unlink(path);
    free(path);
    return status;
}
