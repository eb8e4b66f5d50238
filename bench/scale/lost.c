/*
 * lost.c - bench_lost: which stage of a search loses the neighbours that do not come back, and what other efforts would
 * find as many with.
 *
 *   bench_lost INDEX QUERIES [HOW MANY [hindsight]]
 *
 * Of an index by l2 without a log. First a line for each recall that is asked: what comes back of 10 neighbours; the share that lies in buckets that were
 * not scanned, in leaves that were left out of those that were, and that codes judged too far; buckets; vectors in
 * them; vectors scanned, in the mean and of the query of a hundred that scans most; rows ranked. With the word hindsight then, for each, of all
 * thresholds and leaf margins around the one that is used, those that scan fewest for at least as many found: in
 * hindsight, and so a little lower than any rule could get.
 */
#include <math.h>
#include <string.h>

#include "../common.h"
#include "index/index.h"
#include "nlsh/learn.h"
#include "search/search.h"

enum { K = 10, THRESHOLDS = 13, MARGINS = 17 };

static const double recalls[] = {.9, .95, .97, .99};

struct sums {
    double found, routed, buckets, inside, scanned, ranked;
};

static struct {
    struct nlsh_index *index;
    struct nlsh_searcher *searcher;
    struct nlsh_matrix queries;
    struct nlsh_neighbors truth; /* places */
    size_t n;
    uint32_t *bucket_of; /* [rows] by place */
    uint8_t *is_scanned; /* [buckets] */
    double *each;        /* [n] vectors scanned */
} g;

static void find_buckets(void)
{
    const struct nlsh__segment *s = &g.index->segments[0];
    g.bucket_of = room(s->n_rows, sizeof *g.bucket_of);
    g.is_scanned = room(g.index->meta.n_buckets, 1);
    for (uint32_t b = 0; b < g.index->meta.n_buckets; b++)
        for (uint32_t p = s->bucket_offsets[b]; p < s->bucket_offsets[b + 1]; p++)
            g.bucket_of[p] = b;
}

/* The place of query q's j-th neighbour. */
static uint32_t truth_of(size_t q, size_t j)
{
    return (uint32_t)g.truth.ids[q * K + j];
}

static int is_true(size_t q, uint32_t row)
{
    for (size_t j = 0; j < K; j++)
        if (g.index->segments[0].rows[truth_of(q, j)] == row) return 1;
    return 0;
}

static void search_one(size_t q, const struct nlsh__plan *plan, struct sums *to)
{
    const uint32_t *offsets = g.index->segments[0].bucket_offsets;
    struct nlsh_error error;
    struct nlsh__routed by;
    struct nlsh__cost cost;
    must(nlsh__query_set(&g.searcher->query, g.index, &g.queries, q, &error), &error);
    nlsh__search_by_plan(g.searcher, plan, &by, &cost);
    for (size_t i = 0; i < by.n_buckets; i++) {
        g.is_scanned[by.buckets[i]] = 1;
        to->inside += offsets[by.buckets[i] + 1] - offsets[by.buckets[i]];
    }
    for (size_t j = 0; j < K; j++) {
        to->routed += g.is_scanned[g.bucket_of[truth_of(q, j)]];
        if (g.searcher->best[j] != UINT64_MAX)
            to->found += is_true(q, (uint32_t)g.searcher->best[j]);
    }
    for (size_t i = 0; i < by.n_buckets; i++) g.is_scanned[by.buckets[i]] = 0;
    to->buckets += (double)by.n_buckets;
    to->scanned += (double)cost.candidates;
    to->ranked += (double)cost.ranked;
    g.each[q] = (double)cost.candidates;
}

/* Means over the queries. */
static struct sums search_all(const struct nlsh__plan *plan)
{
    struct sums s = {0};
    for (size_t q = 0; q < g.n; q++) search_one(q, plan, &s);
    double n = (double)g.n;
    return (struct sums){s.found / n / K, s.routed / n / K, s.buckets / n,
                         s.inside / n,    s.scanned / n,    s.ranked / n};
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct nlsh__plan plan_of(struct nlsh__effort_point effort)
{
    struct nlsh__plan plan = {.k = K};
    nlsh__plan_effort(g.index, &effort, &plan);
    return plan;
}

static void account(double recall)
{
    struct nlsh__effort_point e = nlsh__effort_for(&g.index->efforts, K, recall), open = e;
    const struct nlsh__plan plan = plan_of(e);
    open.margin = NLSH__NO_MARGIN / 2;
    const struct nlsh__plan no_codes = plan_of(open);
    struct sums without = search_all(&no_codes), with = search_all(&plan);
    qsort(g.each, g.n, sizeof *g.each, ascending);
    printf("%.2f,%.4f,%.4f,%.4f,%.4f,%.1f,%.0f,%.0f,%.0f,%.0f,%.3g,%.3f,%.3f\n", recall, with.found,
           1 - with.routed, with.routed - without.found, without.found - with.found, with.buckets,
           with.inside, with.scanned, g.each[(99 * g.n + 99) / 100 - 1], with.ranked,
           (double)e.threshold, (double)e.leaf_margin, (double)e.margin);
    fflush(stdout);
}

static void hindsight(double recall)
{
    const struct nlsh__effort_point e = nlsh__effort_for(&g.index->efforts, K, recall);
    struct nlsh__plan plan = plan_of(e);
    const struct sums as_is = search_all(&plan);
    struct sums best = as_is;
    struct nlsh__effort_point at = e;
    for (int t = 0; t < THRESHOLDS; t++)
        for (int m = 0; m < MARGINS; m++) {
            struct nlsh__effort_point other = e;
            other.threshold = e.threshold * powf(2, (float)(t - 9) / 2);
            other.leaf_margin = e.leaf_margin + (float)(m - 8) * .06f;
            plan = plan_of(other);
            struct sums s = search_all(&plan);
            if (s.found < as_is.found || s.scanned >= best.scanned) continue;
            best = s;
            at = other;
        }
    printf("%.2f,%.4f,%.0f,%.4f,%.0f,%.4f,%.4f,%.0f,%.3g,%.3f\n", recall, as_is.found,
           as_is.scanned, best.found, best.scanned, 1 - best.routed, best.routed - best.found,
           best.inside, (double)at.threshold, (double)at.leaf_margin);
    fflush(stdout);
}

static void all_in_hindsight(void)
{
    printf("asked,reached,scanned,in hindsight: reached,scanned,lost by buckets,by leaves and "
           "codes,vectors in buckets,threshold,leaf margin\n");
    for (size_t i = 0; i < sizeof recalls / sizeof *recalls; i++) hindsight(recalls[i]);
}

static void find_truth(void)
{
    struct nlsh_error error;
    struct nlsh_run run;
    const struct nlsh__segment *s = &g.index->segments[0];
    const struct nlsh_matrix base = {s->vectors, s->n_rows, g.index->meta.dim,
                                     g.index->meta.storage_type, 0};
    g.queries.n_rows = g.n;
    nlsh_run_init(&run, sizeof run);
    nlsh_neighbors_init(&g.truth, sizeof g.truth);
    must(nlsh_ground_truth(&base, &g.queries, NLSH_L2, K, &run, &g.truth, &error), &error);
}

int main(int argc, char **argv)
{
    struct nlsh_error error;
    struct nlsh_vectors *read;
    if (argc < 3) {
        fprintf(stderr, "bench_lost INDEX QUERIES [HOW MANY [hindsight]]\n");
        return 2;
    }
    must(nlsh_index_open(argv[1], NULL, &g.index, &error), &error);
    must(nlsh_searcher_create(g.index, &g.searcher, &error), &error);
    must(nlsh__reserve_best(g.searcher, K, &error), &error);
    must(nlsh_vectors_read(argv[2], NLSH_FORMAT_AUTO, &read, &error), &error);
    g.queries = *nlsh_vectors_matrix(read);
    g.n = g.queries.n_rows;
    if (argc > 3 && strtoull(argv[3], NULL, 10) < g.n) g.n = strtoull(argv[3], NULL, 10);
    g.each = room(g.n, sizeof *g.each);
    find_buckets();
    find_truth();
    printf(
        "asked,reached,lost by buckets,by leaves,by codes,buckets,vectors in them,scanned,scanned "
        "p99,ranked,threshold,leaf margin,margin\n");
    for (size_t i = 0; i < sizeof recalls / sizeof *recalls; i++) account(recalls[i]);
    if (argc > 4) all_in_hindsight();
    nlsh_neighbors_free(&g.truth);
    nlsh_searcher_free(g.searcher);
    nlsh_index_close(g.index);
    nlsh_vectors_free(read);
    return 0;
}
