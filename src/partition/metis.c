/*
 * metis.c - METIS 5.1, k-way.
 *
 * Source: Karypis and Kumar, "Multilevel k-way Partitioning Scheme for Irregular Graphs", 1998.
 *
 * What METIS leaves to its caller, and where it is done here:
 *  - m = 1 divides by log2(1) (SIGFPE): answered before, nlsh__partition_trivial().
 *  - an asymmetric graph gives nonsense and METIS_OK: nlsh__partition_input().
 *  - empty parts, and parts over the limit, come with METIS_OK: nlsh__partition_repair().
 *  - a limit less than a vertex over the mean ruins its answer: it is told ROOM more, and the
 *    repair takes the rest.
 *  - it may leave nothing for half of the parts and then prints "Cannot bisect a graph with 0
 *    vertices!". With an imbalance of 100 it did so in 366 of 772 cuts of small ugly graphs, at 0.3
 *    in one: it is told MAX_EXCESS at most, up to where 2 of 15,000 printed.
 *  - it prints, draws from libc's rand(), one sequence for the whole process, and handles SIGABRT
 *    (out of memory) and SIGTERM (its own errors) to jump out: it runs in a process of its own,
 *    apart.h. A SIGTERM from outside would have it free blocks twice: SIGTERM waits meanwhile, and
 *    who wants it to stop says so to the parent.
 *  - where memory runs out in the first cut it says "its own error": errno tells the two apart.
 */
#define _XOPEN_SOURCE 700 /* initstate(), setstate() */

#include <errno.h>
#include <math.h>
#include <metis.h>
#include <stdlib.h>

#include "base/csr.h"
#include "base/error.h"
#include "base/rng.h"
#include "partition/apart.h"
#include "partition/partition.h"
#include "partition/repair.h"

_Static_assert(sizeof(idx_t) == sizeof(int32_t), "this METIS is built with another idx_t");

/*
 * Fashion-MNIST's 10-NN graph (60,000 vertices), imbalance 0.03, share of the weight cut and
 * seconds of one core on a busy machine, two seeds:
 *
 *        m    1 cut, 10 iterations   4 cuts, 10       4 cuts, 100      8 cuts, 100
 *       64    17.3 / 16.7 %  0.3 s   16.7 / 16.7  1   17.0 / 16.7  1   16.8 / 16.7  2.3
 *      256    29.8 / 30.0 %  0.9 s   29.8 / 29.8  3   29.8 / 29.8  4   29.8 / 29.7  6
 *     1024    44.9 / 45.0 %  2.0 s   44.9 / 44.8  8   44.8 / 44.7  8   44.8 / 44.7 15
 *     4096    65.5 / 65.5 %  3.6 s   65.5 / 65.5 14   63.6 / 63.6 18   63.6 / 63.6 36
 *
 * More cuts guard against a bad one where parts are few and gain 0.1 to 0.2 points where they are
 * many: four where they take 1 s at most, by n x m. More iterations gain where parts are small: 100 where they
 * have less than 32 vertices. Elsewhere they bring nothing (candidates for recall .95 with seeds 2 and 3, m = 1024: 100
 * iterations 375.2 and 369.2, 10 iterations 374.7 and 366.7) and can take long: 200,000 rows of SIFT into 1024 parts 19 s
 * for 56.2 % against 6.5 s for 56.3 % (1 cut).
 */
#define MANY_CUTS 4
#define MANY_CUTS_UP_TO 4000000.0 /* n x m */
#define MANY_ITERATIONS 100
#define FEW_ITERATIONS 10
#define MANY_ITERATIONS_UP_TO 32 /* n / m */

/*
 * Vertices over the mean that METIS is allowed at least, whatever the cap. Same graph, 1 cut, after
 * the repair: m = 1000 (cap 61, mean 60) with a limit of 60.96: 59.5 %, of 61: 44.6 %, of 62:
 * 44.4 %. m = 2000 (cap and mean 30) with a limit of 30: 68.3 %, 31: 53.2 %, 32: 52.6 %. m = 7500
 * (cap and mean 8): 8: 86.5 %, 9: 72.6 %, 10: 71.5 %.
 */
#define ROOM 2.0

/* Below this many vertices a part our own bisection answers. Same graph, METIS after the repair
 * against bisection: at 8 a part 71.5 % and 76.0 %; at 6, 76.7 % (5 % of the parts were empty) and
 * 79.7 %; at 4 METIS puts all vertices into one part. METIS takes ten times as long. */
#define MIN_PER_PART 8

/* Thousandths. */
#define MAX_EXCESS 250

/* METIS wants the excess over n / m in thousandths; the cap says it better than the imbalance, as
 * it is rounded to whole vertices. Rounded up: a limit of 60.96 would be one of 60. */
static idx_t excess_per_mille(size_t n, size_t m, size_t cap)
{
    double mean = (double)n / (double)m, room = (double)cap - mean;
    double excess = ceil((room > ROOM ? room : ROOM) / mean * 1000.0 - 1e-6);
    return excess > MAX_EXCESS ? MAX_EXCESS : (idx_t)excess;
}

struct cut {
    const struct nlsh__csr *csr;
    size_t m, cap;
    uint64_t seed;
};

/* In a process of its own. */
static int run(void *ctx, uint32_t *bucket_of)
{
    const struct cut *c = ctx;
    char state[64];
    idx_t options[METIS_NOPTIONS], n = (idx_t)c->csr->n, one = 1, n_parts = (idx_t)c->m, weight;
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, c->seed, 0);
    METIS_SetDefaultOptions(options);
    options[METIS_OPTION_NCUTS] = (double)n * (double)c->m <= MANY_CUTS_UP_TO ? MANY_CUTS : 1;
    options[METIS_OPTION_NITER] =
        n / n_parts < MANY_ITERATIONS_UP_TO ? MANY_ITERATIONS : FEW_ITERATIONS;
    options[METIS_OPTION_UFACTOR] = excess_per_mille(c->csr->n, c->m, c->cap);
    options[METIS_OPTION_SEED] = (idx_t)nlsh__rng_below(&rng, INT32_MAX);
    initstate(1, state, sizeof state); /* the caller may have set a state of another size */
    errno = 0;
    /* A part's number as int32 and as uint32 are the same bytes; a negative one is caught as too large. */
    int answer = METIS_PartGraphKway(&n, &one, c->csr->offsets, c->csr->neighbors, NULL, NULL,
                                     c->csr->weights, &n_parts, NULL, NULL, options, &weight,
                                     (idx_t *)bucket_of);
    return answer == METIS_ERROR && errno == ENOMEM ? METIS_ERROR_MEMORY : answer;
}

static enum nlsh_status translate(int answer, struct nlsh_error *error)
{
    switch (answer) {
    case METIS_OK: return NLSH_OK;
    case METIS_ERROR_MEMORY:
        return nlsh__fail(error, NLSH_E_NOMEM, "free some memory, or use --partitioner kmeans",
                          "METIS: out of memory");
    default:
        return nlsh__fail(error, NLSH_E_INTERNAL, "use --partitioner kmeans, and report this",
                          "METIS failed with status %d", answer);
    }
}

enum nlsh_status nlsh__partition_metis(const struct nlsh__csr *csr, size_t m, double imbalance,
                                       uint64_t seed, const struct nlsh__job *job,
                                       uint32_t *bucket_of, struct nlsh_error *error)
{
    enum nlsh_status status;
    int answer = METIS_OK;
    size_t n = csr->n, cap = nlsh__bucket_cap(n, m, imbalance);
    struct cut cut = {csr, m, cap, seed};
    NLSH_TRY(nlsh__partition_input(csr, m, imbalance, error));
    if (nlsh__partition_trivial(csr, m, bucket_of)) return NLSH_OK;
    if (n / m >= MIN_PER_PART) {
        NLSH_TRY(nlsh__apart("METIS", run, &cut, bucket_of, n, job, &answer, error));
        NLSH_TRY(translate(answer, error));
    } else {
        for (size_t i = 0; i < n; i++) bucket_of[i] = 0;
    }
    NLSH_TRY(nlsh__partition_repair(csr, m, cap, bucket_of, NULL, error));
    NLSH_TRY(nlsh__partition_check(bucket_of, n, m, cap, error));
out:
    return status;
}
