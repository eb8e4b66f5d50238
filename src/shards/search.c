/* search.c - the calls that search shards: rank 0 says what is to be done, block by block, and the others serve. */
#include <string.h>

#include "base/matrix.h"
#include "shards/shards.h"

enum what { GO, SEARCH, KNOW };

/* What rank 0 tells the others to do: to search for a block of queries, whose rows follow, or to tell what is known of k rows
 * of the whole for each. */
struct task {
    uint32_t what, type;
    uint64_t n_queries, k, top;
    double recall;
    float threshold, margin, leaf_margin, expected;
    uint32_t weighted, exactly, cautious, unused;
};

static struct task task_of(const struct nlsh__plan *plan, const struct nlsh_matrix *queries)
{
    return (struct task){.what = SEARCH,
                         .type = (uint32_t)queries->type,
                         .n_queries = queries->n_rows,
                         .k = plan->k,
                         .top = plan->rule.top,
                         .recall = plan->recall,
                         .threshold = plan->rule.threshold,
                         .margin = plan->margin,
                         .leaf_margin = plan->leaf_margin,
                         .expected = plan->expected,
                         .weighted = plan->rule.weights != NULL,
                         .exactly = (uint32_t)plan->exactly,
                         .cautious = (uint32_t)plan->cautious};
}

/* The same plan again, of the shard that this rank has. */
static struct nlsh__plan plan_of(const struct task *task, const struct nlsh_index *index)
{
    struct nlsh__plan plan = {.k = (size_t)task->k,
                              .rule = {.top = (size_t)task->top, .threshold = task->threshold},
                              .recall = task->recall,
                              .margin = task->margin,
                              .leaf_margin = task->leaf_margin,
                              .expected = task->expected,
                              .exactly = (int)task->exactly,
                              .cautious = (int)task->cautious};
    if (!task->weighted) return plan;
    plan.rule.weights = index->weights;
    plan.rule.group_weights = index->group_weights;
    return plan;
}

/* known: rows of the whole, k a query, or NULL. */
static enum nlsh_status send_task(struct nlsh__shards *s, const struct task *task,
                                  const struct nlsh_matrix *rows, const uint32_t *known,
                                  struct nlsh_error *error)
{
    struct nlsh__bytes bytes = {0};
    if (s->ranks.n == 1) return NLSH_OK;
    nlsh__bytes_add(&bytes, task, sizeof *task);
    for (size_t i = 0; rows != NULL && i < task->n_queries; i++)
        nlsh__bytes_add(&bytes, nlsh__row(rows, i), rows->dim * nlsh__type_size(rows->type));
    if (known != NULL) nlsh__bytes_add(&bytes, known, task->n_queries * task->k * sizeof *known);
    enum nlsh_status status = nlsh__shards_tell(s, &bytes, error);
    nlsh__bytes_free(&bytes);
    return status;
}

void nlsh__shards_let_go(struct nlsh__shards *s)
{
    const struct task go = {.what = GO};
    (void)!send_task(s, &go, NULL, NULL, NULL);
}

/* ---- rank 0 ------------------------------------------------------------------------------------ */

static enum nlsh_status check_call(const struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                   const struct nlsh_search_options *options,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__queries_check(s->lead, queries, error);
    if (status != NLSH_OK) return status;
    if (options->k < 1 || options->k > s->whole.n_rows)
        return nlsh__fail(error, NLSH_E_ARG, "ask for at least 1 and at most all vectors",
                          "k is %zu for an index of %zu vectors", options->k, s->whole.n_rows);
    if (options->filter != NULL || options->counted != NULL || options->rerank > 0)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "search the index that the shards were cut of",
                          "an index in shards is searched without filters and rerank");
    return NLSH_OK;
}

/* Queries from the first-th on, as many as a block has. */
static struct nlsh_matrix block_of(const struct nlsh_matrix *queries, size_t first)
{
    struct nlsh_matrix some = *queries;
    size_t left = queries->n_rows - first;
    some.data = nlsh__row(queries, first);
    some.n_rows = left < NLSH__SHARDS_BLOCK ? left : NLSH__SHARDS_BLOCK;
    return some;
}

static enum nlsh_status search_by(struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                  const struct nlsh__plan *plan,
                                  const struct nlsh__shards_found *out, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t i = 0; i < queries->n_rows; i += NLSH__SHARDS_BLOCK) {
        const struct nlsh_matrix some = block_of(queries, i);
        const struct task task = task_of(plan, &some);
        NLSH_TRY(send_task(s, &task, &some, NULL, error));
        NLSH_TRY(nlsh__shards_block_run(s, &some, plan, out, i, error));
    }
out:
    return status;
}

enum nlsh_status nlsh__shards_search(struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                     const struct nlsh_search_options *options, uint64_t *keys,
                                     float *distances, struct nlsh_search_stats *stats,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__wanted wanted;
    struct nlsh__plan plan;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__take_search(options, stats, &wanted, error));
    NLSH_TRY(check_call(s, queries, &wanted.options, error));
    NLSH_TRY(nlsh__plan_from_options(s->lead, &wanted.options, &plan, error));
    const struct nlsh__shards_found out = {.answers = {keys, distances, wanted.stats}};
    NLSH_TRY(search_by(s, queries, &plan, &out, error));
out:
    return status;
}

enum nlsh_status nlsh__shards_search_plan(struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                          const struct nlsh__plan *plan, uint64_t *best,
                                          uint8_t *scanned, struct nlsh_error *error)
{
    const struct nlsh__shards_found out = {.best = best, .scanned = scanned};
    return search_by(s, queries, plan, &out, error);
}

/* From the at-th on. */
static struct nlsh__shards_known known_from(const struct nlsh__shards_known *k, size_t at)
{
    return (struct nlsh__shards_known){k->scores != NULL ? k->scores + at : NULL,
                                       k->keys != NULL ? k->keys + at : NULL,
                                       k->distances != NULL ? k->distances + at : NULL};
}

enum nlsh_status nlsh__shards_know(struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                   const uint32_t *rows, size_t n_each,
                                   const struct nlsh__shards_known *out, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t i = 0; i < queries->n_rows; i += NLSH__SHARDS_BLOCK) {
        const struct nlsh_matrix some = block_of(queries, i);
        const struct nlsh__shards_known to = known_from(out, i * n_each);
        const struct task task = {
            .what = KNOW, .type = (uint32_t)some.type, .n_queries = some.n_rows, .k = n_each};
        NLSH_TRY(send_task(s, &task, &some, rows + i * n_each, error));
        NLSH_TRY(nlsh__shards_block_know(s, &some, rows + i * n_each, n_each, &to, error));
    }
out:
    return status;
}

/* ---- the others -------------------------------------------------------------------------------- */

static enum nlsh_status served(const struct nlsh__shards *s, enum nlsh_status status)
{
    return s->in_step ? NLSH_OK : status;
}

/* A block of another rank's queries. What is wrong with them rank 0 says, and goes on or not. */
static enum nlsh_status serve_block(struct nlsh__shards *s, const struct task *task,
                                    const struct nlsh__reader *from, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix rows = {from->at, (size_t)task->n_queries, s->manifest.dim,
                                     (enum nlsh_type)task->type, 0};
    size_t size = rows.n_rows * rows.dim * nlsh__type_size(rows.type);
    const struct nlsh__plan plan = plan_of(task, s->lead);
    size_t n_known = rows.n_rows * (size_t)task->k;
    uint32_t *known = NULL;
    if (task->what == SEARCH)
        return served(s, nlsh__shards_block_run(s, &rows, &plan, NULL, 0, error));
    s->in_step = 0;
    NLSH_TRY(nlsh__alloc(&known, n_known, sizeof *known, error)); /* the message is not aligned */
    memcpy(known, from->at + size, n_known * sizeof *known);
    status = nlsh__shards_block_know(s, &rows, known, (size_t)task->k, NULL, error);
out:
    nlsh__free(known);
    return served(s, status);
}

enum nlsh_status nlsh__shards_serve(struct nlsh__shards *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__bytes bytes = {0};
    struct task task;
    do {
        NLSH_TRY(nlsh__shards_tell(s, &bytes, error));
        struct nlsh__reader from = {bytes.at, bytes.n, 0};
        nlsh__bytes_take(&from, &task, sizeof task);
        if (task.what != GO) NLSH_TRY(serve_block(s, &task, &from, error));
    } while (task.what != GO);
out:
    nlsh__bytes_free(&bytes);
    return status;
}
