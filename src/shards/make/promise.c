/* promise.c - nlsh__promise_apart(): the rows that ask are rank 0's, and all shards answer them. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "make/asking.h"
#include "shards/make/built.h"

/* What is measured, on rank 0. */
struct promising {
    struct nlsh__build_apart *build;
    const struct nlsh__asking *asking;
    struct nlsh__shards *shards;
    struct nlsh__asked asked;
};

static enum nlsh_status search(void *user, const struct nlsh__plan *plan,
                               const struct nlsh_matrix *queries, uint64_t *best, uint8_t *scanned,
                               struct nlsh_error *error)
{
    const struct promising *p = user;
    return nlsh__shards_search_plan(p->shards, queries, plan, best, scanned, error);
}

static enum nlsh_status scores(void *user, const struct nlsh_matrix *queries, const uint32_t *rows,
                               uint32_t *out, struct nlsh_error *error)
{
    const struct promising *p = user;
    return nlsh__shards_know(p->shards, queries, rows, 1,
                             &(struct nlsh__shards_known){.scores = out}, error);
}

static enum nlsh_status ask(void *user, const struct nlsh_index *index, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct promising *p = user;
    struct nlsh__build_apart *b = p->build;
    const struct nlsh__known_by by = {p, b->placed.bucket_of, search, scores};
    status =
        nlsh__shards_join(index, nlsh__pool_n_threads(b->job->pool), b->ranks, &p->shards, error);
    status = nlsh__ranks_agree(b->ranks, status, error);
    if (status != NLSH_OK || p->shards == NULL) {
        if (p->shards != NULL) p->shards->in_step = 0; /* nobody serves */
        goto out;
    }
    status = b->ranks->own == 0
                 ? nlsh__ask_index(p->asking, index, &by, b->base->n_rows, b->job, &p->asked, error)
                 : nlsh__shards_serve(p->shards, error);
    b->in_step = p->shards->in_step;
out:
    nlsh__shards_close(p->shards);
    return status;
}

/* What buckets hold, by the router alone. */
static enum nlsh_status ask_buckets(struct promising *p, uint32_t **numbers,
                                    struct nlsh__asking *asking, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__build_apart *b = p->build;
    const struct nlsh__router *router = b->router != NULL ? b->router : b->sample->router;
    const struct nlsh__bucketed bucketed = {b->placed.bucket_of, b->base->n_rows,
                                            b->sample->meta.n_buckets};
    NLSH_TRY(nlsh__asking_of_sample(&b->sampled, &b->placed.asking, numbers, asking, error));
    NLSH_TRY(nlsh__estimate_elsewhere(router, asking, b->placed.bucket_of, b->job,
                                      &b->meta.disagreement, error));
    NLSH_TRY(nlsh__ask_buckets(asking, router, &bucketed, b->job, &p->asked, error));
out:
    return status;
}

enum nlsh_status nlsh__promise_apart(struct nlsh__build_apart *b, double *candidates,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    uint32_t *numbers = NULL;
    struct nlsh__asking asking = {.n = 0};
    struct promising *p = NULL;
    NLSH_TRY(nlsh__calloc(&p, 1, sizeof *p, error));
    p->build = b;
    p->asking = &asking;
    if (b->ranks->own == 0) status = ask_buckets(p, &numbers, &asking, error);
    NLSH_TRY(nlsh__ranks_agree(b->ranks, status, error));
    b->in_step = 0;
    status = nlsh__index_try(b->shard_path, b->sections.of, b->sections.n, 1, ask, p, error);
    if (!b->in_step) goto out;
    NLSH_TRY(nlsh__ranks_agree(b->ranks, status, error));
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, &p->asked, sizeof p->asked, error));
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, &b->meta.disagreement, sizeof b->meta.disagreement,
                                     error));
    NLSH_TRY(nlsh__asked_add(&p->asked, &b->sections, error));
    *candidates = p->asked.calibration.candidates_95;
out:
    nlsh__free(numbers);
    nlsh__free(p);
    return status;
}
