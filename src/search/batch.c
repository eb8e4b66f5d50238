/* batch.c - many queries over threads. Every thread has a searcher; a task is a run of queries, so
 * the answers do not depend on threads. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "search/search.h"

enum { BLOCK = 32 }; /* queries a task */

struct batch {
    struct nlsh_searcher **searchers; /* [n_threads] */
    struct nlsh_error *errors;        /* [n_tasks] */
    const struct nlsh_matrix *queries;
    const struct nlsh_search_options *options;
    uint32_t *ids;
    float *l2sq;
    struct nlsh_search_stats *stats;
};

static void task(void *ctx, size_t number, size_t worker)
{
    const struct batch *b = ctx;
    size_t first = number * BLOCK, left = b->queries->n_rows - first;
    struct nlsh_error *error = &b->errors[number];
    error->status = nlsh__search_rows(b->searchers[worker], b->queries, first,
                                      first + (left < BLOCK ? left : BLOCK), b->options, b->ids,
                                      b->l2sq, b->stats, error);
}

enum nlsh_status
nlsh_search_batch(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                  const struct nlsh_search_options *options, uint32_t *ids, float *l2sq,
                  struct nlsh_search_stats *stats, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__pool *pool = NULL;
    size_t n_tasks = queries != NULL ? (queries->n_rows + BLOCK - 1) / BLOCK : 0;
    size_t n_threads = options->n_threads;
    struct batch b = {
        .queries = queries, .options = options, .ids = ids, .l2sq = l2sq, .stats = stats};
    nlsh__error_clear(error);
    if (n_threads < 1 || n_threads > 4096)
        return nlsh__fail(error, NLSH_E_ARG, "use the number of cores, or 1",
                          "threads is %zu: it must lie between 1 and 4096", n_threads);
    if (n_threads > n_tasks) n_threads = n_tasks > 0 ? n_tasks : 1;
    NLSH_TRY(nlsh__calloc(&b.searchers, n_threads, sizeof *b.searchers, error));
    NLSH_TRY(nlsh__calloc(&b.errors, n_tasks, sizeof *b.errors, error));
    for (size_t i = 0; i < n_threads; i++)
        NLSH_TRY(nlsh_searcher_create(index, &b.searchers[i], error));
    /* No query at all: what is wrong with the call shows here, with or without queries. */
    NLSH_TRY(nlsh__search_rows(b.searchers[0], queries, 0, 0, options, ids, l2sq, stats, error));
    NLSH_TRY(nlsh__pool_create(n_threads, &pool, error));
    nlsh__pool_run(pool, n_tasks, task, &b);
    for (size_t t = 0; t < n_tasks && status == NLSH_OK; t++) {
        if (b.errors[t].status == NLSH_OK) continue;
        status = b.errors[t].status;
        if (error != NULL) *error = b.errors[t];
    }
out:
    for (size_t i = 0; b.searchers != NULL && i < n_threads; i++)
        nlsh_searcher_free(b.searchers[i]);
    free(b.searchers);
    free(b.errors);
    nlsh__pool_free(pool);
    return status;
}
