/* strange.c - see strange.h. That 99 in 100 have a neighbour within index->far was measured as promises were. */
#include "live/strange.h"

#include <math.h>

#include "base/error.h"
#include "kernels/metric.h"
#include "search/search.h"

/* A row asks as a query does for which a promise was measured well. */
enum { ASKED_K = 10 };
#define ASKED_RECALL 0.95

enum { OFTEN = 8192 }; /* so many first rows are asked about often: one of each chunk */

/* Of rows that are like the file's .4 to 1.8 in 100 are far; one alone is never enough. */
#define FAR 0.02
#define ERRORS 3
enum { FEWEST_FAR = 2 };

void nlsh__strange_free(struct nlsh__strange *strange)
{
    nlsh_searcher_free(strange->searcher);
    *strange = (struct nlsh__strange){.next = 0};
}

static size_t step_at(size_t row)
{
    size_t step = NLSH__CHUNK;
    for (; row >= OFTEN; row /= 2) step *= 2;
    return step;
}

static void ask(struct nlsh__strange *strange, const struct nlsh__store *store,
                const struct nlsh__plan *plan, size_t row)
{
    struct nlsh_searcher *s = strange->searcher;
    const struct nlsh__segment rows = {.vectors = store->rows.vectors};
    struct nlsh__routed routed;
    struct nlsh__cost cost;
    nlsh__query_from_stored(&s->query, store->file, &rows, row);
    nlsh__search_by_plan(s, plan, &routed, &cost);
    float distance = INFINITY;
    if (s->best[0] != UINT64_MAX)
        distance = nlsh__routed_distance(store->file, &s->query, s->best[0]);
    strange->n_asked++;
    if (!(distance > store->file->far)) return;
    strange->n_far++;
    strange->distances += (double)distance;
    strange->longest = fmax(strange->longest, nlsh__length(s->query.floats, store->file->meta.dim));
}

enum nlsh_status nlsh__strange_ask(struct nlsh__strange *strange, const struct nlsh__store *store,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh_index *file = store->file;
    struct nlsh_search_options options;
    struct nlsh__plan plan;
    if (file->far == 0 || file->meta.n_rows < ASKED_K) return NLSH_OK;
    nlsh_search_options_init(&options, sizeof options);
    options.k = ASKED_K;
    options.recall = ASKED_RECALL;
    NLSH_TRY(nlsh__plan_from_options(file, &options, &plan, error));
    if (plan.exactly) return NLSH_OK; /* so is every search */
    if (strange->searcher == NULL) NLSH_TRY(nlsh__searcher_create(file, &strange->searcher, error));
    NLSH_TRY(nlsh__reserve_best(strange->searcher, ASKED_K, error));
    for (; strange->next < store->rows.n; strange->next += step_at(strange->next))
        ask(strange, store, &plan, strange->next);
out:
    return status;
}

float nlsh__how_strange(const struct nlsh__strange *strange)
{
    double usual = FAR * (double)strange->n_asked, n_far = (double)strange->n_far;
    if (strange->n_far < FEWEST_FAR || n_far <= usual + ERRORS * sqrt(usual)) return 0;
    const struct nlsh_index *file = strange->searcher->index;
    if (file->metric == NLSH_IP) return (float)(-strange->longest * (double)file->query_norm);
    return (float)(strange->distances / n_far);
}
