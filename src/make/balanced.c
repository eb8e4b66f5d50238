/*
 * balanced.c - see balanced.h. Ours: rows in buckets over the limit are ranked by how probable the best bucket with room is,
 * measured by their own bucket's probability; as many as are too many go, in that order. Buckets fill meanwhile, so
 * that a row's bucket is chosen when it goes.
 */
#include "make/balanced.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "live/coder.h"
#include "measure/askers.h"

enum { BLOCK = 64 /* rows of a task */ };

/* A row that may go, and what it would lose: less is better. */
struct going {
    uint32_t row;
    float kept; /* of its own bucket's probability; more where another is more probable */
};

struct balancing {
    const struct nlsh__in_buckets *rows;
    size_t most, n;
    uint32_t *sizes;     /* [m] */
    struct going *going; /* [n] */
    struct nlsh__askers askers;
};

static void balancing_free(struct balancing *b)
{
    nlsh__askers_free(&b->askers);
    nlsh__free(b->sizes);
    nlsh__free(b->going);
}

static const float *ask(const struct balancing *b, uint32_t row, size_t worker)
{
    struct nlsh__asker *asker = &b->askers.of[worker];
    return nlsh__ask_projected(asker, b->rows->inputs + row * nlsh__router_n_inputs(asker->router));
}

/* Sizes as they are at first: those of other rows do not matter then. */
static void rank_block(void *ctx, size_t task, size_t worker)
{
    const struct balancing *b = ctx;
    for (size_t i = task * BLOCK; i < (task + 1) * BLOCK && i < b->n; i++) {
        struct going *g = &b->going[i];
        const float *p = ask(b, g->row, worker);
        uint32_t other = nlsh__best_not_full(p, b->rows->m, b->sizes, b->most);
        float kept = p[other] / p[b->rows->bucket_of[g->row]];
        g->kept = kept >= 0 ? kept : 1; /* where there are no numbers */
    }
}

/* Those that lose least first, of equals the first row. */
static int by_loss(const void *a, const void *b)
{
    const struct going *x = a, *y = b;
    if (x->kept != y->kept) return x->kept > y->kept ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Rows of buckets that hold too many; 0: there are none. */
static size_t list(const struct nlsh__in_buckets *rows, const uint32_t *sizes, size_t most,
                   struct going *out)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->n; i++) {
        if (sizes[rows->bucket_of[i]] <= most) continue;
        if (out != NULL) out[n].row = (uint32_t)i;
        n++;
    }
    return n;
}

static size_t move(const struct balancing *b)
{
    size_t n_moved = 0;
    for (size_t i = 0; i < b->n; i++) {
        uint32_t row = b->going[i].row, *bucket = &b->rows->bucket_of[row];
        if (b->sizes[*bucket] <= b->most) continue;
        uint32_t to = nlsh__best_not_full(ask(b, row, 0), b->rows->m, b->sizes, b->most);
        b->sizes[*bucket]--;
        b->sizes[to]++;
        *bucket = to;
        n_moved++;
    }
    return n_moved;
}

enum nlsh_status nlsh__balance_rows(const struct nlsh__router *router,
                                    const struct nlsh__in_buckets *rows, size_t most,
                                    const struct nlsh__job *job, size_t *n_moved,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct balancing b = {.rows = rows, .most = most};
    *n_moved = 0;
    NLSH_TRY(nlsh__calloc(&b.sizes, rows->m, sizeof *b.sizes, error));
    for (size_t i = 0; i < rows->n; i++) b.sizes[rows->bucket_of[i]]++;
    b.n = list(rows, b.sizes, most, NULL);
    if (b.n == 0) goto out;
    NLSH_TRY(nlsh__alloc(&b.going, b.n, sizeof *b.going, error));
    (void)list(rows, b.sizes, most, b.going);
    NLSH_TRY(nlsh__askers_create(router, job, &b.askers, error));
    NLSH_TRY(nlsh__job_tasks(job, "balance", (b.n + BLOCK - 1) / BLOCK, rank_block, &b, error));
    qsort(b.going, b.n, sizeof *b.going, by_loss);
    *n_moved = move(&b);
out:
    balancing_free(&b);
    return status;
}
