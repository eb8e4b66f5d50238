/*
 * metis.c - METIS 5.1, k-way.
 *
 * Source: Karypis and Kumar, "Multilevel k-way Partitioning Scheme for Irregular Graphs", 1998.
 *
 * What METIS leaves to its caller, and where it is done here:
 *  - m = 1 divides by log2(1) (SIGFPE): answered before, nlsh__partition_trivial().
 *  - an asymmetric graph gives nonsense and METIS_OK: nlsh__partition_input().
 *  - empty parts, and parts over the limit, come with METIS_OK: nlsh__partition_repair().
 *  - where the limit is loose it may leave nothing for half of the parts and then prints "Cannot
 *    bisect a graph with 0 vertices!" on stdout: it is told MAX_EXCESS at most.
 *  - it draws from libc's rand(), one sequence for the whole process: calls are held one at a time,
 *    and the caller's sequence is put back. A host that calls rand() from another thread meanwhile
 *    changes the answer; nothing here does.
 *  - while it runs it handles SIGABRT (out of memory) and SIGTERM (its own errors) to jump out, and
 *    puts the handlers back. So a SIGTERM ends METIS, not the process: NLSH_E_INTERRUPTED.
 */
#define _XOPEN_SOURCE 700 /* initstate(), setstate() */

#include <metis.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/rng.h"
#include "partition/partition.h"
#include "partition/repair.h"

_Static_assert(sizeof(idx_t) == sizeof(int32_t), "this METIS is built with another idx_t");

#define N_CUTS 4
#define N_ITER 100

/* Below this our own bisection answers, METIS is not asked. */
#define MIN_PER_PART 8

/* Thousandths. Of 5,000 cuts of 13 kinds of graphs, 2 to 150 vertices a part, none printed at an
 * imbalance up to 0.1, one at 0.3, a third at 100. */
#define MAX_EXCESS 100

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* METIS wants the excess over n / m in thousandths; the cap says it better than the imbalance, as
 * it is rounded to whole vertices. */
static idx_t excess_per_mille(size_t n, size_t m, size_t cap)
{
    double excess = ((double)cap * (double)m / (double)n - 1.0) * 1000.0;
    if (excess < 1.0) return 1;
    return excess > MAX_EXCESS ? MAX_EXCESS : (idx_t)excess;
}

static int run(const struct nlsh__csr *csr, size_t m, size_t cap, uint64_t seed, idx_t *part)
{
    char state[64];
    idx_t options[METIS_NOPTIONS], n = (idx_t)csr->n, one = 1, n_parts = (idx_t)m, cut;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, seed, 0);
    METIS_SetDefaultOptions(options);
    options[METIS_OPTION_NCUTS] = N_CUTS;
    options[METIS_OPTION_NITER] = N_ITER;
    options[METIS_OPTION_UFACTOR] = excess_per_mille(csr->n, m, cap);
    options[METIS_OPTION_SEED] = (idx_t)nlsh__rng_below(&rng, INT32_MAX);
    pthread_mutex_lock(&one_at_a_time);
    char *callers_state = initstate(1, state, sizeof state);
    int answer = METIS_PartGraphKway(&n, &one, csr->offsets, csr->neighbors, NULL, NULL,
                                     csr->weights, &n_parts, NULL, NULL, options, &cut, part);
    setstate(callers_state);
    pthread_mutex_unlock(&one_at_a_time);
    return answer;
}

static enum nlsh_status translate(int answer, struct nlsh_error *error)
{
    switch (answer) {
    case METIS_OK: return NLSH_OK;
    case METIS_ERROR_MEMORY:
        return nlsh__fail(error, NLSH_E_NOMEM, "free some memory, or use --partitioner kmeans",
                          "METIS: out of memory");
    case METIS_ERROR:
        return nlsh__fail(error, NLSH_E_INTERRUPTED, NULL, "METIS was stopped by SIGTERM");
    default:
        return nlsh__fail(error, NLSH_E_INTERNAL, "use --partitioner kmeans, and report this",
                          "METIS failed with status %d", answer);
    }
}

enum nlsh_status nlsh__partition_metis(const struct nlsh__csr *csr, size_t m, double imbalance,
                                       uint64_t seed, uint32_t *bucket_of,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = csr->n, cap = nlsh__bucket_cap(n, m, imbalance);
    NLSH_TRY(nlsh__partition_input(csr, m, imbalance, error));
    if (nlsh__partition_trivial(csr, m, bucket_of)) return NLSH_OK;
    if (n / m >= MIN_PER_PART)
        /* A part's number as int32 and as uint32 are the same bytes; a negative one is caught as
         * too large. */
        NLSH_TRY(translate(run(csr, m, cap, seed, (idx_t *)bucket_of), error));
    else
        for (size_t i = 0; i < n; i++) bucket_of[i] = 0;
    NLSH_TRY(nlsh__partition_repair(csr, m, cap, bucket_of, NULL, error));
    NLSH_TRY(nlsh__partition_check(bucket_of, n, m, cap, error));
out:
    return status;
}
