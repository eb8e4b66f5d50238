/*
 * merge.c - see merge.h.
 *
 * A bound is of the least scores of columns, and the least of all shards' is the least of all. Rows up to the bound are
 * ranked whatever their order. Those that may be within the limit are gone through in the order of the round, as
 * nlsh__rank_places() does it, since the limit falls meanwhile: shards have sent all that the first limit lets through.
 */
#include "shards/merge.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/topk.h"
#include "promise/budget.h"

void nlsh__merge_free(struct nlsh__merge *m)
{
    nlsh__free(m->best);
    nlsh__free(m->keys);
    nlsh__free(m->columns);
    nlsh__bytes_free(&m->near);
}

enum nlsh_status nlsh__merge_begin(struct nlsh__merge *m, size_t k, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    m->candidates = m->ranked = 0;
    if (k > m->room) {
        nlsh__free(m->best);
        nlsh__free(m->keys);
        m->best = m->keys = NULL;
        m->room = 0;
        NLSH_TRY(nlsh__alloc(&m->best, k, sizeof *m->best, error));
        NLSH_TRY(nlsh__alloc(&m->keys, k, sizeof *m->keys, error));
        m->room = k;
    }
    nlsh__topk_clear(m->best, k);
out:
    return status;
}

static enum nlsh_status reserve_columns(struct nlsh__merge *m, size_t n, struct nlsh_error *error)
{
    if (n <= m->n_columns) return NLSH_OK;
    nlsh__free(m->columns);
    m->columns = NULL;
    m->n_columns = 0;
    enum nlsh_status status = nlsh__alloc(&m->columns, n, sizeof *m->columns, error);
    if (status == NLSH_OK) m->n_columns = n;
    return status;
}

enum nlsh_status nlsh__merge_ask(struct nlsh__merge *m, struct nlsh__walk *w,
                                 struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    m->near.n = 0;
    switch (w->ask) {
    case NLSH__ASK_LEAVES:
    case NLSH__ASK_BOUND: {
        size_t n = nlsh__walk_columns(w);
        NLSH_TRY(reserve_columns(m, n, error));
        for (size_t i = 0; i < n; i++) m->columns[i] = INFINITY;
        break;
    }
    case NLSH__ASK_COUNTS: /* of what is missing nothing is chosen */
        memset(w->counts, 0, w->routed.n_buckets * sizeof *w->counts);
        break;
    case NLSH__ASK_KEYS:
        nlsh__topk_sort(m->best, w->plan->k);
        for (size_t j = 0; j < w->plan->k; j++)
            m->keys[j] = m->best[j] == UINT64_MAX ? NLSH_NO_KEY : (uint32_t)m->best[j];
        break;
    default: break;
    }
out:
    return status;
}

/* ---- what shards say --------------------------------------------------------------------------- */

static void take_columns(struct nlsh__merge *m, const struct nlsh__walk *w,
                         struct nlsh__reader *from)
{
    size_t n = nlsh__walk_columns(w);
    for (size_t i = 0; i < n; i++) {
        float value;
        nlsh__bytes_take(from, &value, sizeof value);
        if (value < m->columns[i]) m->columns[i] = value;
    }
}

static void take_counts(struct nlsh__walk *w, uint32_t shard, struct nlsh__reader *from)
{
    for (size_t i = 0; i < w->routed.n_buckets; i++)
        if (w->whole->owners[w->routed.buckets[i]] == shard)
            nlsh__bytes_take(from, &w->counts[i], sizeof w->counts[i]);
}

static uint32_t take_number(struct nlsh__reader *from)
{
    uint32_t n;
    nlsh__bytes_take(from, &n, sizeof n);
    return n;
}

static void take_best(struct nlsh__merge *m, const struct nlsh__walk *w, struct nlsh__reader *from)
{
    uint32_t n = take_number(from);
    if (w->ask == NLSH__ASK_FIRST) m->ranked += n;
    for (uint32_t i = 0; i < n && !from->failed; i++) {
        uint64_t key;
        nlsh__bytes_take(from, &key, sizeof key);
        nlsh__topk_push(m->best, w->plan->k, key);
    }
}

static void take_near(struct nlsh__merge *m, struct nlsh__reader *from)
{
    size_t size = take_number(from) * sizeof(struct nlsh__near_row);
    if (size > from->left) {
        from->failed = 1;
        return;
    }
    nlsh__bytes_add(&m->near, from->at, size);
    from->at += size;
    from->left -= size;
}

static void take_keys(struct nlsh__merge *m, const struct nlsh__walk *w, uint32_t shard,
                      struct nlsh__reader *from, uint64_t *work)
{
    uint32_t candidates = take_number(from), n = take_number(from);
    m->candidates += candidates;
    work[shard] += candidates;
    for (uint32_t i = 0; i < n && !from->failed; i++) {
        uint32_t at = take_number(from);
        uint64_t key;
        nlsh__bytes_take(from, &key, sizeof key);
        if (at < w->plan->k) m->keys[at] = key;
    }
}

enum nlsh_status nlsh__merge_take(struct nlsh__merge *m, struct nlsh__walk *w, uint32_t shard,
                                  struct nlsh__reader *from, uint64_t *work,
                                  struct nlsh_error *error)
{
    switch (w->ask) {
    case NLSH__ASK_LEAVES:
    case NLSH__ASK_BOUND: take_columns(m, w, from); break;
    case NLSH__ASK_COUNTS: take_counts(w, shard, from); break;
    case NLSH__ASK_FIRST:
    case NLSH__ASK_ALL: take_best(m, w, from); break;
    case NLSH__ASK_NEAR: take_near(m, from); break;
    case NLSH__ASK_KEYS: take_keys(m, w, shard, from, work); break;
    default: break;
    }
    if (m->near.failed) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    if (!from->failed) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_INTERNAL, "please report this",
                      "shard %u said less than it was asked for", shard);
}

/* ---- what follows ------------------------------------------------------------------------------ */

static int by_position(const void *a, const void *b)
{
    uint32_t x = ((const struct nlsh__near_row *)a)->position;
    uint32_t y = ((const struct nlsh__near_row *)b)->position;
    return (x > y) - (x < y);
}

/* As nlsh__rank_places() goes through them: a batch at a time is ranked at the same limit. */
static void rank_near(struct nlsh__merge *m, const struct nlsh__ranking *r,
                      const struct nlsh__units *units)
{
    struct nlsh__near_row *rows = (void *)m->near.at;
    size_t n = m->near.n / sizeof *rows;
    if (n > 0) qsort(rows, n, sizeof *rows, by_position);
    for (size_t i = 0; i < n;) {
        float limit = nlsh__rank_limit(r, units);
        size_t found = 0;
        uint64_t batch[NLSH__RANK_BATCH];
        for (; i < n && found < NLSH__RANK_BATCH; i++)
            if (rows[i].least <= limit) batch[found++] = rows[i].key;
        for (size_t j = 0; j < found; j++) nlsh__topk_push(m->best, r->k, batch[j]);
        m->ranked += found;
    }
}

void nlsh__merge_reply(struct nlsh__merge *m, const struct nlsh__walk *w,
                       const struct nlsh_index *index, const struct nlsh__query *query,
                       struct nlsh__chooser *chooser, struct nlsh__reply *reply)
{
    const struct nlsh__ranking ranking = {
        .index = index, .query = query, .best = m->best, .k = w->plan->k};
    size_t columns = 0;
    *reply = (struct nlsh__reply){.value = INFINITY};
    switch (w->ask) {
    case NLSH__ASK_LEAVES:
    case NLSH__ASK_BOUND:
        columns = nlsh__walk_columns(w);
        if (columns > 0)
            reply->value = nlsh__bound(chooser, m->columns, columns,
                                       w->ask == NLSH__ASK_LEAVES ? nlsh__first_leaves(w->plan->k)
                                                                  : nlsh__first_rows(w->plan->k));
        break;
    case NLSH__ASK_NEAR: rank_near(m, &ranking, &w->units); break;
    default: break;
    }
    if (w->ask == NLSH__ASK_FIRST || w->ask == NLSH__ASK_NEAR) {
        reply->value = nlsh__rank_limit(&ranking, &w->units);
        reply->full = m->best[w->plan->k - 1] != UINT64_MAX;
    }
    if (w->ask == NLSH__ASK_KEYS && w->plan->exactly) m->ranked = m->candidates;
}
