/* walk.c - see walk.h. The order of things is that of scan_by_leaves(), scan_by_codes() and nlsh__finish_round() in search/. */
#include "shards/walk.h"

#include <float.h>
#include <math.h>

#include "promise/budget.h"

/* Groups of a round. */
#define MOST_GROUPS ((size_t)NLSH__ROUND / NLSH__GROUP)

static void begin_round(struct nlsh__walk *w);

/* Groups of the i-th bucket's rows, in all. */
static size_t groups_of(const struct nlsh__walk *w, size_t i)
{
    return nlsh__groups_of_rows(w->whole->sizes[w->routed.buckets[i]]);
}

size_t nlsh__walk_groups(const struct nlsh__walk *w, size_t i)
{
    return w->by_leaves ? w->counts[i] : groups_of(w, i);
}

/* All groups of all buckets, or of leaves those that were chosen. */
static void begin_groups(struct nlsh__walk *w)
{
    w->n_groups = w->first = 0;
    for (size_t i = 0; i < w->routed.n_buckets; i++) w->n_groups += nlsh__walk_groups(w, i);
    begin_round(w);
}

static void end_groups(struct nlsh__walk *w)
{
    w->ask = NLSH__ASK_KEYS;
    if (!w->by_leaves || w->n_shares == NLSH__LEAF_SHARES) return;
    w->share = nlsh__leaf_shares[w->n_shares++];
    w->leaf_limit = w->limit;
    w->ask = NLSH__ASK_COUNTS;
}

static void begin_round(struct nlsh__walk *w)
{
    if (w->first == w->n_groups) {
        end_groups(w);
        return;
    }
    w->n_round = w->n_groups - w->first < MOST_GROUPS ? w->n_groups - w->first : MOST_GROUPS;
    w->round++;
    w->done = -INFINITY;
    w->ask = w->full ? NLSH__ASK_NEAR : NLSH__ASK_BOUND;
}

void nlsh__walk_begin(struct nlsh__walk *w, const struct nlsh__whole *whole,
                      const struct nlsh__plan *plan, const struct nlsh__routed *routed,
                      int has_codes, int has_leaves)
{
    size_t n_groups = 0;
    uint32_t *counts = w->counts;
    *w = (struct nlsh__walk){.whole = whole, .plan = plan, .routed = *routed, .counts = counts};
    w->limit = INFINITY;
    if (plan->exactly || !has_codes) {
        w->ask = NLSH__ASK_ALL;
        return;
    }
    for (size_t i = 0; i < routed->n_buckets; i++)
        n_groups += nlsh__groups_of_rows(groups_of(w, i));
    w->by_leaves = has_leaves && plan->leaf_margin < INFINITY && plan->rule.top == 0;
    if (w->by_leaves) {
        w->n_groups = n_groups;
        w->ask = NLSH__ASK_LEAVES;
    } else {
        begin_groups(w);
    }
}

void nlsh__walk_on(struct nlsh__walk *w, const struct nlsh__reply *reply)
{
    switch (w->ask) {
    case NLSH__ASK_LEAVES:
        w->leaf_limit = reply->value;
        w->share = 0;
        w->ask = NLSH__ASK_COUNTS;
        break;
    case NLSH__ASK_COUNTS: begin_groups(w); break;
    case NLSH__ASK_BOUND:
        w->done = fminf(reply->value, FLT_MAX);
        w->ask = NLSH__ASK_FIRST;
        break;
    case NLSH__ASK_FIRST:
        w->limit = reply->value;
        w->full = (int)reply->full;
        w->ask = NLSH__ASK_NEAR;
        break;
    case NLSH__ASK_NEAR:
        w->limit = reply->value;
        w->full = (int)reply->full;
        w->first += w->n_round;
        begin_round(w);
        break;
    case NLSH__ASK_ALL: w->ask = NLSH__ASK_KEYS; break;
    default: w->ask = NLSH__ASK_NOTHING; break;
    }
}

size_t nlsh__walk_scores(const struct nlsh__walk *w)
{
    return (w->ask == NLSH__ASK_LEAVES ? w->n_groups : w->n_round) * NLSH__GROUP;
}

size_t nlsh__walk_columns(const struct nlsh__walk *w)
{
    size_t k = w->plan->k;
    size_t n = w->ask == NLSH__ASK_LEAVES ? nlsh__first_leaves(k) : nlsh__first_rows(k);
    return nlsh__bound_columns(nlsh__walk_scores(w), n);
}
