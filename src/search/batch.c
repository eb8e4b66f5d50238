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
    struct nlsh_searcher **searchers;   /* [n_threads] */
    struct nlsh_error *errors;          /* [n_tasks] */
    const struct nlsh_matrix *queries;
    const struct nlsh_search_options *options;
    uint32_t *ids;
    float *l2sq;
    struct nlsh_search_stats *stats;
};

static void task(void *ctx, size_t number, size_t worker)
{
    const struct batch *b = ctx;
    const struct nlsh_matrix *all = b->queries;
    size_t first = number * BLOCK, left = all->n_rows - first, k = b->options->k;
    size_t row_bytes = all->dim * (all->type == NLSH_F32 ? sizeof(float) : 1);
    struct nlsh_matrix some = *all;
    some.data = (const uint8_t *)all->data + first * row_bytes;
    some.n_rows = left < BLOCK ? left : BLOCK;
    b->errors[number].status =
        nlsh_search(b->searchers[worker], &some, b->options, b->ids + first * k,
                    b->l2sq != NULL ? b->l2sq + first * k : NULL,
                    b->stats != NULL ? b->stats + first : NULL, &b->errors[number]);
}

enum nlsh_status nlsh_search_batch(const struct nlsh_index *index,
                                   const struct nlsh_matrix *queries,
                                   const struct nlsh_search_options *options, uint32_t *ids,
                                   float *l2sq, struct nlsh_search_stats *stats,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__pool *pool = NULL;
    size_t n_tasks = (queries->n_rows + BLOCK - 1) / BLOCK, n_threads = options->n_threads;
    struct batch b = {.queries = queries, .options = options, .ids = ids, .l2sq = l2sq,
                      .stats = stats};
    nlsh__error_clear(error);
    if (n_threads < 1 || n_threads > 4096)
        return nlsh__fail(error, NLSH_E_ARG, "use the number of cores, or 1",
                          "threads is %zu: it must lie between 1 and 4096", n_threads);
    if (n_threads > n_tasks) n_threads = n_tasks > 0 ? n_tasks : 1;
    NLSH_TRY(nlsh__pool_create(n_threads, &pool, error));
    NLSH_TRY(nlsh__calloc(&b.searchers, n_threads, sizeof *b.searchers, error));
    NLSH_TRY(nlsh__calloc(&b.errors, n_tasks, sizeof *b.errors, error));
    for (size_t i = 0; i < n_threads; i++)
        NLSH_TRY(nlsh_searcher_create(index, &b.searchers[i], error));
    nlsh__pool_run(pool, n_tasks, task, &b);
    for (size_t t = 0; t < n_tasks && status == NLSH_OK; t++) {
        if (b.errors[t].status == NLSH_OK) continue;
        status = b.errors[t].status;
        if (error != NULL) *error = b.errors[t];
    }
out:
    for (size_t i = 0; b.searchers != NULL && i < n_threads; i++) nlsh_searcher_free(b.searchers[i]);
    free(b.searchers);
    free(b.errors);
    nlsh__pool_free(pool);
    return status;
}
