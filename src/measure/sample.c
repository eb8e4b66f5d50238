/* sample.c - see sample.h. */
#include "measure/sample.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "search/plan.h"
#include "search/search.h"

enum { BLOCK = 8 }; /* queries of a task */

struct sample {
    const struct nlsh_index *index;
    const struct nlsh_matrix *queries;
    size_t n, k;
    struct nlsh_searcher **searchers; /* [n_searchers] */
    size_t n_searchers;
    float *nearest;               /* [n] the distance to the nearest */
    struct nlsh__neighbors truth; /* [n x k] rows of the index, nearest first */
    float *routed;                /* [n x dim] as the router takes floats */
    uint8_t *bytes;               /* [n x dim] as it takes bytes */
    uint8_t *as_bytes;            /* [n] the bytes are set */
    struct nlsh_error *errors;    /* [n] */
};

/* Query i, all of whose neighbours are found by comparing it with everything. */
static void find_one(const struct sample *s, struct nlsh_searcher *searcher, size_t i)
{
    size_t dim = s->index->meta.dim;
    struct nlsh__routed routed;
    const struct nlsh__plan everything = {
        .rule = {.top = s->index->meta.n_buckets}, .k = s->k, .exactly = 1};
    struct nlsh__cost cost;
    struct nlsh__query *query = &searcher->query;
    s->errors[i].status = nlsh__query_set(query, s->index, s->queries, i, &s->errors[i]);
    if (s->errors[i].status != NLSH_OK) return;
    s->as_bytes[i] = query->as_bytes && nlsh__router_projects_bytes(s->index->router);
    if (s->as_bytes[i])
        memcpy(s->bytes + i * dim, query->bytes, dim);
    else
        memcpy(s->routed + i * dim, query->routed, dim * sizeof(float));
    nlsh__search_by_plan(searcher, &everything, &routed, &cost);
    for (size_t j = 0; j < s->k; j++) s->truth.ids[i * s->k + j] = (uint32_t)searcher->best[j];
    s->nearest[i] = nlsh__routed_distance(s->index, query, searcher->best[0]);
}

static void find_task(void *ctx, size_t task, size_t worker)
{
    const struct sample *s = ctx;
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < s->n; i++)
        find_one(s, s->searchers[worker], i);
}

static enum nlsh_status first_error(const struct sample *s, struct nlsh_error *error)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->errors[i].status == NLSH_OK) continue;
        if (error != NULL) *error = s->errors[i];
        return s->errors[i].status;
    }
    return NLSH_OK;
}

/* Those queries that come in one of the two forms, into the tally. */
static enum nlsh_status tally_form(const struct sample *s, int as_bytes, const uint32_t *bucket_of,
                                   struct nlsh__tally *tally, const struct nlsh__job *job,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = 0, m = s->index->meta.n_buckets;
    uint32_t *rows = NULL, *buckets = NULL;
    struct nlsh_matrix form = {s->routed, s->n, s->index->meta.dim, NLSH_F32, 0};
    if (as_bytes) form = (struct nlsh_matrix){s->bytes, s->n, form.dim, NLSH_U8, 0};
    NLSH_TRY(nlsh__alloc(&rows, s->n, sizeof *rows, error));
    NLSH_TRY(nlsh__alloc(&buckets, s->n * s->k, sizeof *buckets, error));
    for (size_t i = 0; i < s->n; i++) {
        if (s->as_bytes[i] != as_bytes) continue;
        for (size_t j = 0; j < s->k; j++)
            buckets[n * s->k + j] = bucket_of[s->truth.ids[i * s->k + j]];
        rows[n++] = (uint32_t)i;
    }
    const struct nlsh__played played = {&form, rows, n};
    const struct nlsh__bucketed bucketed = {bucket_of, (size_t)s->index->meta.n_rows, m};
    if (n > 0)
        NLSH_TRY(nlsh__tally_add(tally, s->index->router, &played, &bucketed, buckets, job, error));
out:
    nlsh__free(rows);
    nlsh__free(buckets);
    return status;
}

static enum nlsh_status calibrate(const struct sample *s, const struct nlsh__job *job,
                                  struct nlsh__calibration *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *index = s->index;
    uint32_t *bucket_of = NULL;
    struct nlsh__tally *tally = NULL;
    NLSH_TRY(nlsh__alloc(&bucket_of, (size_t)index->meta.n_rows, sizeof *bucket_of, error));
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *g = &index->segments[i];
        for (uint32_t b = 0; b < index->meta.n_buckets; b++)
            for (uint32_t p = g->bucket_offsets[b]; p < g->bucket_offsets[b + 1]; p++)
                bucket_of[g->first_row + g->rows[p]] = b;
    }
    NLSH_TRY(nlsh__tally_create(s->k, &tally, error));
    NLSH_TRY(tally_form(s, 0, bucket_of, tally, job, error));
    NLSH_TRY(tally_form(s, 1, bucket_of, tally, job, error));
    nlsh__tally_end(tally, (size_t)index->meta.n_rows, out);
out:
    nlsh__tally_free(tally);
    nlsh__free(bucket_of);
    return status;
}

static enum nlsh_status sample_create(struct sample *s, const struct nlsh__job *job,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t dim = s->index->meta.dim, n_threads = nlsh__pool_n_threads(job->pool);
    NLSH_TRY(nlsh__queries_check(s->index, s->queries, error));
    NLSH_TRY(nlsh__calloc(&s->searchers, n_threads, sizeof(struct nlsh_searcher *), error));
    s->n_searchers = n_threads;
    for (size_t i = 0; i < n_threads; i++) {
        NLSH_TRY(nlsh_searcher_create(s->index, &s->searchers[i], error));
        NLSH_TRY(nlsh__reserve_best(s->searchers[i], s->k, error));
    }
    s->truth = (struct nlsh__neighbors){.n_rows = s->n, .k = s->k};
    NLSH_TRY(nlsh__alloc(&s->truth.ids, s->n * s->k, sizeof *s->truth.ids, error));
    NLSH_TRY(nlsh__calloc(&s->nearest, s->n, sizeof *s->nearest, error));
    NLSH_TRY(nlsh__calloc(&s->routed, s->n * dim, sizeof *s->routed, error));
    NLSH_TRY(nlsh__calloc(&s->bytes, s->n * dim, 1, error));
    NLSH_TRY(nlsh__calloc(&s->as_bytes, s->n, 1, error));
    NLSH_TRY(nlsh__calloc(&s->errors, s->n, sizeof *s->errors, error));
out:
    return status;
}

static void sample_free(struct sample *s)
{
    for (size_t i = 0; i < s->n_searchers; i++) nlsh_searcher_free(s->searchers[i]);
    nlsh__free(s->searchers);
    nlsh__neighbors_free(&s->truth);
    nlsh__free(s->nearest);
    nlsh__free(s->routed);
    nlsh__free(s->bytes);
    nlsh__free(s->as_bytes);
    nlsh__free(s->errors);
}

enum nlsh_status nlsh__measure_sample(const struct nlsh_index *index,
                                      const struct nlsh_matrix *queries, size_t most_k,
                                      const struct nlsh__job *job,
                                      struct nlsh__measured_efforts *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t alive = (size_t)index->meta.n_rows - index->n_deleted;
    struct sample s = {.index = index,
                       .queries = queries,
                       .n = queries->n_rows,
                       .k = most_k < alive ? most_k : alive};
    struct nlsh__calibration calibration;
    struct nlsh__shares shares = {.found = {{0}}};
    NLSH_TRY(sample_create(&s, job, error));
    NLSH_TRY(
        nlsh__job_tasks(job, "exact neighbours", (s.n + BLOCK - 1) / BLOCK, find_task, &s, error));
    NLSH_TRY(first_error(&s, error));
    NLSH_TRY(calibrate(&s, job, &calibration, error));
    const struct nlsh__known known = {
        .index = index, .queries = *queries, .truth = &s.truth, .n_asking = NLSH__EFFORT_QUERIES};
    NLSH_TRY(nlsh__shares_add(&known, &calibration, job, &shares, error));
    nlsh__efforts_from(&calibration, &index->row_margins, &index->leaf_margins,
                       nlsh__index_row_bytes(index), &shares, out);
    out->far = nlsh__far(s.nearest, s.n);
    if (index->metric == NLSH_IP) out->far = fminf(out->far, 0);
out:
    sample_free(&s);
    return status;
}
