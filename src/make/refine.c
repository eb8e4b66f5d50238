/*
 * refine.c - see refine.h. Training and re-assigning in turn is what IRLI (Gupta et al., 2021) and
 * BLISS (Gupta et al., KDD 2022) do from random buckets; here it starts from a good partition, and
 * the build keeps a round only where held-out candidates fall.
 */
#include "make/refine.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/topk.h"
#include "measure/askers.h"

enum { BLOCK = 64, CHOICES = 8 };

struct reassign {
    const struct nlsh__router *router;
    const float *inputs;
    size_t n, m;
    struct nlsh__askers askers;
    uint64_t *best; /* [n x CHOICES] complemented probability << 32 | bucket, ascending */
};

static void route_task(void *ctx, size_t task, size_t worker)
{
    const struct reassign *c = ctx;
    size_t p = nlsh__router_n_inputs(c->router);
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < c->n; i++) {
        uint64_t *best = c->best + i * CHOICES;
        const float *probabilities = nlsh__ask_projected(&c->askers.of[worker], c->inputs + i * p);
        nlsh__topk_clear(best, CHOICES);
        for (size_t b = 0; b < c->m; b++) {
            uint32_t bits;
            memcpy(&bits, &probabilities[b], sizeof bits);
            nlsh__topk_insert(best, CHOICES, nlsh__key_u32(~bits, (uint32_t)b));
        }
    }
}

struct wish {
    uint32_t rank; /* complemented probability: the surest first */
    uint32_t row, bucket;
};

static int by_rank(const void *a, const void *b)
{
    const struct wish *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    if (x->row != y->row) return x->row < y->row ? -1 : 1;
    return (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

static size_t emptiest(const size_t *sizes, size_t m)
{
    size_t best = 0;
    for (size_t b = 1; b < m; b++)
        if (sizes[b] < sizes[best]) best = b;
    return best;
}

/* Rows take their wishes in order; returns the new buckets in to. */
static void grant(const struct wish *wishes, size_t n_wishes, const uint32_t *from, size_t n,
                  size_t m, size_t cap, size_t *sizes, uint32_t *to)
{
    memset(sizes, 0, m * sizeof *sizes);
    memset(to, 0xff, n * sizeof *to);
    for (size_t i = 0; i < n_wishes; i++) {
        if (to[wishes[i].row] != UINT32_MAX || sizes[wishes[i].bucket] >= cap) continue;
        to[wishes[i].row] = wishes[i].bucket;
        sizes[wishes[i].bucket]++;
    }
    for (size_t i = 0; i < n; i++) {
        if (to[i] != UINT32_MAX) continue;
        to[i] = sizes[from[i]] < cap ? from[i] : (uint32_t)emptiest(sizes, m);
        sizes[to[i]]++;
    }
    for (size_t b = 0; b < m; b++) {
        if (sizes[b] > 0) continue;
        for (size_t i = 0; i < n; i++) /* somebody who was there, else anybody who is not alone */
            if (sizes[to[i]] > 1 && from[i] == b) {
                sizes[to[i]]--;
                to[i] = (uint32_t)b;
                sizes[b]++;
                break;
            }
        for (size_t i = 0; sizes[b] == 0 && i < n; i++)
            if (sizes[to[i]] > 1) {
                sizes[to[i]]--;
                to[i] = (uint32_t)b;
                sizes[b]++;
            }
    }
}

enum nlsh_status nlsh__reassign(const struct nlsh__router *router, const float *inputs, size_t n,
                                size_t cap, const struct nlsh__job *job, uint32_t *bucket_of,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_wishes = 0;
    size_t m = nlsh__router_n_buckets(router);
    struct reassign c = {.router = router, .inputs = inputs, .n = n, .m = m};
    struct wish *wishes = NULL;
    size_t *sizes = NULL;
    uint32_t *to = NULL;
    NLSH_TRY(nlsh__askers_create(router, job, &c.askers, error));
    NLSH_TRY(nlsh__alloc(&c.best, n * CHOICES, sizeof *c.best, error));
    NLSH_TRY(nlsh__job_tasks(job, "re-assigning", (n + BLOCK - 1) / BLOCK, route_task, &c, error));
    NLSH_TRY(nlsh__alloc(&wishes, n * CHOICES, sizeof *wishes, error));
    for (size_t i = 0; i < n * CHOICES; i++) {
        if (c.best[i] == UINT64_MAX) continue; /* fewer buckets than choices */
        wishes[n_wishes++] = (struct wish){(uint32_t)(c.best[i] >> 32), (uint32_t)(i / CHOICES),
                                           (uint32_t)c.best[i]};
    }
    qsort(wishes, n_wishes, sizeof *wishes, by_rank);
    NLSH_TRY(nlsh__alloc(&sizes, m, sizeof *sizes, error));
    NLSH_TRY(nlsh__alloc(&to, n, sizeof *to, error));
    grant(wishes, n_wishes, bucket_of, n, m, cap, sizes, to);
    memcpy(bucket_of, to, n * sizeof *bucket_of);
out:
    nlsh__askers_free(&c.askers);
    nlsh__free(c.best);
    nlsh__free(wishes);
    nlsh__free(sizes);
    nlsh__free(to);
    return status;
}
