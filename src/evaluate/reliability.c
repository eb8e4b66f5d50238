/*
 * reliability.c - nlsh_reliability(): does the router's probability mean what it says?
 *
 * With soft labels the probability of a bucket is the share of a query's true neighbours that is
 * expected there. Pairs of query and bucket are sorted into bins by their probability, and each bin
 * compares the mean probability with the mean share: a reliability diagram (Murphy and Winkler,
 * "Reliability of subjective probability forecasts", 1977), here of a share in place of an event.
 * Bins have equal widths on a logarithm, since most of m buckets are improbable. The gap is the
 * expected calibration error (Naeini et al., 2015) with bins weighed by their probability, not by
 * their number of pairs: else the thousand buckets of almost none would hide the few that count.
 *
 * Queries are independent, a query's buckets are not: the standard error of a bin's mean is that of
 * a ratio over clusters (Cochran, Sampling Techniques, 3rd ed., section 2.11).
 *
 * Each block of queries has sums of its own, added in their order: the same answer from any number
 * of threads.
 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/job.h"
#include "base/memory.h"
#include "base/sized.h"
#include "evaluate/check.h"

enum { A_DECADE = 4, DECADES = 6, N_BINS = A_DECADE * DECADES + 1, BLOCK = 64 };

struct nlsh_reliability {
    struct nlsh_reliability_bin bins[N_BINS];
    size_t n_bins, n_queries;
    double gap;
};

/* Over the queries, n pairs of one query in the bin, p their probability, s their share. */
struct sums {
    double n, p, s, ss, sn, nn;
};

struct worker {
    struct nlsh_searcher *searcher;
    float *probabilities; /* [BLOCK x m] */
    uint32_t *hits;       /* [m] true neighbours in each bucket; zero between queries */
};

struct judge {
    const struct nlsh_matrix *queries;
    struct nlsh__neighbors truth;
    size_t k, m, n_blocks;
    float edges[N_BINS]; /* lower ones; bin 0 has what is below all others */
    uint32_t *bucket_of; /* [n_rows] */
    uint32_t *sizes;     /* [m] */
    struct sums *sums;   /* [n_blocks x N_BINS] */
    struct worker *workers;
    size_t n_workers;
    struct nlsh_error *errors; /* [n_blocks] */
};

static size_t bin_of(const struct judge *j, float p)
{
    size_t low = 0, high = N_BINS; /* edges[low] <= p < edges[high] */
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (p >= j->edges[middle]) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static void add_query(const struct judge *j, struct worker *w, const float *probabilities,
                      const uint32_t *ids, struct sums *sums)
{
    struct sums query[N_BINS] = {{0}};
    for (size_t i = 0; i < j->k; i++) w->hits[j->bucket_of[ids[i]]]++;
    for (size_t b = 0; b < j->m; b++) {
        struct sums *bin = &query[bin_of(j, probabilities[b])];
        bin->n++;
        bin->p += (double)probabilities[b];
        bin->s += w->hits[b] / (double)j->k;
    }
    for (size_t i = 0; i < j->k; i++) w->hits[j->bucket_of[ids[i]]] = 0;
    for (size_t i = 0; i < N_BINS; i++) {
        const struct sums *q = &query[i];
        sums[i].n += q->n;
        sums[i].p += q->p;
        sums[i].s += q->s;
        sums[i].ss += q->s * q->s;
        sums[i].sn += q->s * q->n;
        sums[i].nn += q->n * q->n;
    }
}

static void block_task(void *ctx, size_t task, size_t worker)
{
    struct judge *j = ctx;
    struct worker *w = &j->workers[worker];
    size_t first = task * BLOCK, n = j->queries->n_rows - first;
    if (n > BLOCK) n = BLOCK;
    struct nlsh_matrix block = nlsh__some_queries(j->queries, first, n);
    enum nlsh_status status = nlsh_route(w->searcher, &block, w->probabilities, &j->errors[task]);
    j->errors[task].status = status;
    if (status != NLSH_OK) return;
    for (size_t i = 0; i < n; i++)
        add_query(j, w, w->probabilities + i * j->m, j->truth.ids + (first + i) * j->truth.k,
                  j->sums + task * N_BINS);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum nlsh_status set_up(struct judge *j, const struct nlsh_index *index,
                               const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    NLSH_TRY(nlsh_index_info(index, &info, error));
    j->m = info.n_buckets;
    j->n_blocks = (j->queries->n_rows + BLOCK - 1) / BLOCK;
    j->edges[0] = -1;
    for (int i = 1; i < N_BINS; i++)
        j->edges[i] = (float)pow(10, (double)(i - 1) / A_DECADE - DECADES);
    NLSH_TRY(nlsh__alloc(&j->bucket_of, nlsh__index_rows(index), sizeof *j->bucket_of, error));
    NLSH_TRY(nlsh__alloc(&j->sizes, j->m, sizeof *j->sizes, error));
    nlsh__buckets_of_rows(index, j->m, j->bucket_of, j->sizes);
    NLSH_TRY(nlsh__calloc(&j->sums, j->n_blocks, N_BINS * sizeof *j->sums, error));
    NLSH_TRY(nlsh__calloc(&j->errors, j->n_blocks, sizeof *j->errors, error));
    size_t n_workers = nlsh__pool_n_threads(job->pool);
    NLSH_TRY(nlsh__calloc(&j->workers, n_workers, sizeof *j->workers, error));
    j->n_workers = n_workers;
    for (size_t i = 0; i < n_workers; i++) {
        struct worker *w = &j->workers[i];
        NLSH_TRY(nlsh__alloc(&w->probabilities, BLOCK, j->m * sizeof(float), error));
        NLSH_TRY(nlsh__calloc(&w->hits, j->m, sizeof *w->hits, error));
        NLSH_TRY(nlsh_searcher_create(index, &w->searcher, error));
    }
out:
    return status;
}

static void tear_down(struct judge *j)
{
    for (size_t i = 0; i < j->n_workers; i++) {
        nlsh_searcher_free(j->workers[i].searcher);
        nlsh__free(j->workers[i].probabilities);
        nlsh__free(j->workers[i].hits);
    }
    nlsh__free(j->workers);
    nlsh__free(j->errors);
    nlsh__free(j->sums);
    nlsh__free(j->bucket_of);
    nlsh__free(j->sizes);
    nlsh__neighbors_free(&j->truth);
}

/* Adds up the blocks; bins without a pair are left out. */
static enum nlsh_status finish(const struct judge *j, struct nlsh_reliability **answer,
                               struct nlsh_error *error)
{
    struct nlsh_reliability *out;
    enum nlsh_status status = nlsh__calloc(&out, 1, sizeof *out, error);
    if (status != NLSH_OK) return status;
    *answer = out;
    out->n_queries = j->queries->n_rows;
    for (size_t i = 0; i < N_BINS; i++) {
        struct sums all = {0};
        for (size_t block = 0; block < j->n_blocks; block++) {
            const struct sums *s = &j->sums[block * N_BINS + i];
            all.n += s->n, all.p += s->p, all.s += s->s;
            all.ss += s->ss, all.sn += s->sn, all.nn += s->nn;
        }
        if (all.n == 0) continue;
        struct nlsh_reliability_bin *bin = &out->bins[out->n_bins++];
        double share = all.s / all.n;
        double squares = all.ss - 2 * share * all.sn + share * share * all.nn;
        *bin = (struct nlsh_reliability_bin){.low = i == 0 ? 0 : (double)j->edges[i],
                                             .high = i + 1 < N_BINS ? (double)j->edges[i + 1] : 1,
                                             .n_pairs = (uint64_t)all.n,
                                             .predicted = all.p / all.n,
                                             .observed = share,
                                             .error = sqrt(fmax(squares, 0)) / all.n};
        out->gap += fabs(all.p - all.s) / (double)out->n_queries;
    }
    return NLSH_OK;
}

enum nlsh_status nlsh_reliability(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                                  const struct nlsh_neighbors *truth, size_t k,
                                  const struct nlsh_run *run, struct nlsh_reliability **out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {0};
    struct judge j = {.queries = queries, .k = k};
    nlsh__error_clear(error);
    *out = NULL;
    NLSH_TRY(nlsh__take_truth(index, queries, truth, k, &j.truth, error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(set_up(&j, index, &job, error));
    NLSH_TRY(nlsh__job_tasks(&job, "reliability", j.n_blocks, block_task, &j, error));
    for (size_t i = 0; i < j.n_blocks; i++) {
        status = j.errors[i].status;
        if (status == NLSH_OK) continue;
        if (error != NULL) *error = j.errors[i];
        goto out;
    }
    status = finish(&j, out, error);
out:
    tear_down(&j);
    nlsh__job_end(&job);
    return status;
}

void nlsh_reliability_free(struct nlsh_reliability *reliability)
{
    nlsh__free(reliability);
}

size_t nlsh_reliability_n_queries(const struct nlsh_reliability *reliability)
{
    return reliability->n_queries;
}

double nlsh_reliability_gap(const struct nlsh_reliability *reliability)
{
    return reliability->gap;
}

size_t nlsh_reliability_n_bins(const struct nlsh_reliability *reliability)
{
    return reliability->n_bins;
}

int nlsh_reliability_bin(const struct nlsh_reliability *reliability, size_t i,
                         struct nlsh_reliability_bin *out)
{
    if (i >= reliability->n_bins) return 0;
    if (nlsh__answer_check(out, "nlsh_reliability_bin", NULL) != NLSH_OK) return 0;
    nlsh__answer_give(out, &reliability->bins[i], sizeof reliability->bins[i]);
    return 1;
}
