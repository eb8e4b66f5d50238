/*
 * spread.c - see spread.h.
 *
 * The largest goes first, each to the shard that it makes the least full: Graham, "Bounds on multiprocessing timing
 * anomalies", 1969, of two loads in place of one, of which the larger share counts.
 */
#include "shards/spread.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "search/search.h"

/* Shares of all, so that they can be compared. */
struct load {
    double rows, work;
    uint32_t bucket;
};

static int heaviest_first(const void *a, const void *b)
{
    const struct load *x = a, *y = b;
    double left = x->rows + x->work, right = y->rows + y->work;
    return left != right ? (left < right) - (left > right)
                         : (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

enum nlsh_status nlsh__count_asked(const struct nlsh_index *index, uint32_t *asked,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__segment *segment = &index->segments[0];
    struct nlsh_searcher *s = NULL;
    struct nlsh_search_options options;
    struct nlsh__plan plan;
    uint32_t *place_of = NULL;
    size_t n = segment->n_rows;
    nlsh_search_options_init(&options, sizeof options);
    NLSH_TRY(nlsh__plan_from_options(index, &options, &plan, error));
    NLSH_TRY(nlsh__searcher_create(index, &s, error));
    NLSH_TRY(nlsh__alloc(&place_of, n, sizeof *place_of, error));
    for (size_t i = 0; i < n; i++) place_of[segment->rows[i]] = (uint32_t)i;
    for (size_t i = 0; i < index->meter.n; i++) {
        nlsh__query_from_stored(&s->query, index, segment, place_of[index->untaught[i]]);
        const struct nlsh__routed routed = nlsh__route_query(s, &plan);
        for (size_t j = 0; j < routed.n_buckets; j++) asked[routed.buckets[j]]++;
    }
out:
    nlsh_searcher_free(s);
    nlsh__free(place_of);
    return status;
}

/* Where nobody asks, rows are work. */
static void weigh(const uint32_t *sizes, const uint32_t *asked, size_t m, struct load *loads)
{
    double n = 0, work = 0;
    for (size_t b = 0; b < m; b++) {
        n += (double)sizes[b];
        work += (double)sizes[b] * asked[b];
    }
    for (size_t b = 0; b < m; b++) {
        double rows = (double)sizes[b];
        loads[b] =
            (struct load){rows / n, work > 0 ? rows * asked[b] / work : rows / n, (uint32_t)b};
    }
}

static void deal(const struct load *loads, size_t m, size_t n, struct load *full, uint32_t *owners)
{
    for (size_t i = 0; i < m; i++) {
        size_t best = 0;
        double least = 2 * (double)m + 2;
        for (size_t s = 0; s < n; s++) {
            double rows = full[s].rows + loads[i].rows, work = full[s].work + loads[i].work;
            double larger = rows > work ? rows : work;
            if (larger >= least) continue;
            least = larger;
            best = s;
        }
        full[best].rows += loads[i].rows;
        full[best].work += loads[i].work;
        owners[loads[i].bucket] = (uint32_t)best;
    }
}

enum nlsh_status nlsh__spread_by(const uint32_t *sizes, const uint32_t *asked, size_t m, size_t n,
                                 uint32_t *owners, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_filled = 0;
    struct load *loads = NULL, *full = NULL;
    for (size_t b = 0; b < m; b++) n_filled += sizes[b] > 0;
    if (n < 1 || n > n_filled)
        return nlsh__fail(error, NLSH_E_ARG, "take fewer shards",
                          "%zu shards of %zu buckets with vectors", n, n_filled);
    NLSH_TRY(nlsh__alloc(&loads, m, sizeof *loads, error));
    NLSH_TRY(nlsh__calloc(&full, n, sizeof *full, error));
    weigh(sizes, asked, m, loads);
    qsort(loads, m, sizeof *loads, heaviest_first);
    deal(loads, m, n, full, owners);
out:
    nlsh__free(loads);
    nlsh__free(full);
    return status;
}

enum nlsh_status nlsh__spread_buckets(const struct nlsh_index *index, size_t n, uint32_t *owners,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = index->meta.n_buckets;
    const uint32_t *offsets = index->segments[0].bucket_offsets;
    uint32_t *asked = NULL, *sizes = NULL;
    NLSH_TRY(nlsh__calloc(&asked, m, sizeof *asked, error));
    NLSH_TRY(nlsh__alloc(&sizes, m, sizeof *sizes, error));
    for (size_t b = 0; b < m; b++) sizes[b] = offsets[b + 1] - offsets[b];
    NLSH_TRY(nlsh__count_asked(index, asked, error));
    NLSH_TRY(nlsh__spread_by(sizes, asked, m, n, owners, error));
out:
    nlsh__free(asked);
    nlsh__free(sizes);
    return status;
}
