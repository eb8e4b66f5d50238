/* search.c - see search.h. */
#include "search.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/metric.h"
#include "model.h"
#include "pending.h"
#include "scan.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

double nlsh__sqlite_distance(enum nlsh_metric metric, float score)
{
    if (metric == NLSH_L2) return (double)sqrtf(score);
    return metric == NLSH_COSINE ? (double)(0.5f * score) : (double)score;
}

/* As many as there can be. */
static size_t most_found(const struct nlsh__sqlite_table *table,
                         const struct nlsh__sqlite_question *question)
{
    size_t most = question->k, rows = (size_t)table->state.rows;
    if (rows < most) most = rows;
    if (question->filter->rowids != NULL && question->filter->n < most) most = question->filter->n;
    return most;
}

static int search(struct nlsh__sqlite_table *table, const struct nlsh__sqlite_question *question,
                  struct nlsh__sqlite_best *best, float *scratch)
{
    int done = 0, rc = SQLITE_OK;
    float *query = scratch + table->dim;
    const struct nlsh__sqlite_exact exact = {table, query, scratch, best};
    memcpy(query, question->query, table->dim * sizeof *query);
    if (table->metric == NLSH_COSINE) (void)nlsh__scale_to(query, table->dim, 1, query);
    if (table->model != NULL && question->recall < 1)
        rc = nlsh__sqlite_scan(&exact, question, &done);
    if (rc != SQLITE_OK || done) return rc;
    best->n = 0;
    return nlsh__sqlite_rank_all(&exact, question->filter);
}

static int find(struct nlsh__sqlite_table *table, const struct nlsh__sqlite_question *question,
                struct nlsh__sqlite_found **found, size_t *n)
{
    struct nlsh__sqlite_best best = {.n = 0};
    float *scratch = NULL;
    int rc = nlsh__sqlite_flush(table);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_refresh(table);
    if (rc != SQLITE_OK) return rc;
    best.k = most_found(table, question);
    if (best.k == 0 || question->filter->low > question->filter->high) return SQLITE_OK;
    best.found = sqlite3_malloc64(best.k * sizeof *best.found);
    if (best.found == NULL ||
        nlsh__alloc(&scratch, 2 * table->dim, sizeof *scratch, NULL) != NLSH_OK)
        rc = SQLITE_NOMEM;
    if (rc == SQLITE_OK) rc = search(table, question, &best, scratch);
    nlsh__free(scratch);
    if (rc != SQLITE_OK) {
        sqlite3_free(best.found);
        return rc;
    }
    nlsh__sqlite_best_sort(&best);
    *found = best.found;
    *n = best.n;
    return SQLITE_OK;
}

int nlsh__sqlite_search(struct nlsh__sqlite_table *table,
                        const struct nlsh__sqlite_question *question,
                        struct nlsh__sqlite_found **found, size_t *n)
{
    *found = NULL;
    *n = 0;
    nlsh__sqlite_ahead_begin(table);
    int rc = find(table, question, found, n);
    nlsh__sqlite_blobs_close(table);
    nlsh__sqlite_ahead_end(table);
    return rc;
}
