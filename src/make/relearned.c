/* relearned.c - see relearned.h. */
#include "make/relearned.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/metric.h"
#include "router/ask.h"
#include "router/train/export.h"
#include "router/train/train.h"
#include "vectors/values.h"

enum {
    BLOCK = 8192,    /* queries that are searched at once */
    PROBES = 8,      /* buckets that neighbours are looked for in where nothing is promised */
    VISITS = 3000000 /* of rows while it learns on */
};

/* Neighbours that a search misses lie where the router does not expect them, and it would learn that none are there:
 * with .9 in place of .99 SIFT-1M in 400 MB needs the buckets of 17,678 vectors in place of 16,578 for .95. */
#define ENOUGH_FOUND 0.99

/* Rows that teach, and where their neighbours lie. */
struct teaching {
    const struct nlsh_index *index;
    const struct nlsh__placed *placed;
    size_t n, knn;
    uint32_t *places;  /* [n] ascending */
    float *inputs;     /* [n x p] as queries */
    uint32_t *buckets; /* [n x knn] */
};

static void teaching_free(struct teaching *t)
{
    nlsh__free(t->places);
    nlsh__free(t->inputs);
    nlsh__free(t->buckets);
}

static int compare_rows(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Evenly, but for rows that ask: who learned from a row cannot say what it would have found. */
static enum nlsh_status draw(struct teaching *t, const struct nlsh__sampled *sampled, uint64_t seed,
                             struct nlsh_error *error)
{
    struct nlsh__rng rng;
    size_t n = (size_t)t->index->meta.n_rows, left = t->n, kept = 0;
    enum nlsh_status status = nlsh__alloc(&t->places, t->n, sizeof *t->places, error);
    if (status != NLSH_OK) return status;
    nlsh__rng_init(&rng, seed, 0x74656163);
    for (size_t place = 0; place < n && left > 0; place++) {
        if (nlsh__rng_below(&rng, n - place) >= left) continue;
        left--;
        if (bsearch(&t->placed->rows[place], sampled->asking_rows, sampled->asking.n_rows,
                    sizeof(uint32_t), compare_rows) == NULL)
            t->places[kept++] = (uint32_t)place;
    }
    t->n = kept;
    return NLSH_OK;
}

/* ---- what they are asked ----------------------------------------------------------------------- */

/* By inner product a row comes as a query of another length. */
static enum nlsh_status take_inputs(struct teaching *t, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *index = t->index;
    size_t p = t->placed->p, dim = index->meta.dim;
    struct nlsh__asker asker = {.router = NULL};
    float *scaled = NULL;
    int inner = index->metric == NLSH_IP;
    NLSH_TRY(nlsh__alloc(&t->inputs, t->n, p * sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&scaled, dim, sizeof *scaled, error));
    NLSH_TRY(nlsh__asker_create(index->router, &asker, error));
    for (size_t i = 0; i < t->n; i++) {
        const float *inputs = (const float *)t->placed->inputs.data + t->places[i] * p;
        if (inner) {
            (void)nlsh__scale_to((const float *)t->placed->vectors.data + t->places[i] * dim, dim,
                                 (double)index->query_norm, scaled);
            inputs = nlsh__ask_inputs(&asker, scaled, NULL);
        }
        memcpy(t->inputs + i * p, inputs, p * sizeof *inputs);
    }
out:
    nlsh__asker_free(&asker);
    nlsh__free(scaled);
    return status;
}

/* ---- what they should answer ------------------------------------------------------------------- */

/* The vectors of places first .. first + n - 1 of those that teach, as a caller would ask them. */
static struct nlsh_matrix as_queries(const struct teaching *t, size_t first, size_t n, uint8_t *to)
{
    const struct nlsh_index *index = t->index;
    size_t row_bytes = nlsh__index_row_bytes(index);
    enum nlsh_type type = index->meta.storage_type == NLSH_U8 ? NLSH_U8 : NLSH_F32;
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * row_bytes,
               (const uint8_t *)index->segments[0].vectors + t->places[first + i] * row_bytes,
               row_bytes);
    if (index->meta.source_type == NLSH_I8 && type == NLSH_U8) {
        nlsh__flip_sign(to, n * row_bytes, to);
        type = NLSH_I8;
    }
    return (struct nlsh_matrix){to, n, index->meta.dim, type, 0};
}

/* Their buckets without the row itself. Fewer were found than knn: those that were, again. */
static void keep_buckets(const struct teaching *t, size_t i, const uint64_t *keys)
{
    uint32_t *to = t->buckets + i * t->knn;
    uint32_t own = t->placed->rows[t->places[i]];
    size_t n = 0;
    for (size_t j = 0; j <= t->knn && n < t->knn; j++)
        if (keys[j] != own && keys[j] != NLSH_NO_KEY) to[n++] = t->placed->bucket_of[keys[j]];
    if (n == 0) to[n++] = t->placed->bucket_of[own];
    for (size_t j = n; j < t->knn; j++) to[j] = to[j % n];
}

static enum nlsh_status find_buckets(struct teaching *t, const struct nlsh__job *job,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_searcher_pool *pool = NULL;
    struct nlsh_search_options options;
    uint8_t *rows = NULL;
    uint64_t *keys = NULL;
    size_t m = t->index->meta.n_buckets;
    nlsh_search_options_init(&options, sizeof options);
    options.k = t->knn + 1;
    options.recall = ENOUGH_FOUND;
    if (t->index->efforts.n == 0) options.probes = m < PROBES ? (double)m : PROBES;
    NLSH_TRY(nlsh__alloc(&t->buckets, t->n, t->knn * sizeof *t->buckets, error));
    NLSH_TRY(nlsh__alloc(&rows, BLOCK, nlsh__index_row_bytes(t->index), error));
    NLSH_TRY(nlsh__alloc(&keys, BLOCK, options.k * sizeof *keys, error));
    NLSH_TRY(nlsh_searcher_pool_create(t->index, nlsh__pool_n_threads(job->pool), &pool, error));
    for (size_t first = 0; first < t->n; first += BLOCK) {
        size_t n = t->n - first < BLOCK ? t->n - first : BLOCK;
        NLSH_TRY(nlsh__job_progress(job, "neighbours of all", first, t->n, error));
        const struct nlsh_matrix queries = as_queries(t, first, n, rows);
        NLSH_TRY(nlsh_searcher_pool_search(pool, &queries, &options, keys, NULL, NULL, error));
        for (size_t i = 0; i < n; i++) keep_buckets(t, first + i, keys + i * options.k);
    }
    NLSH_TRY(nlsh__job_progress(job, "neighbours of all", t->n, t->n, error));
out:
    nlsh_searcher_pool_free(pool);
    nlsh__free(rows);
    nlsh__free(keys);
    return status;
}

/* ---- learning on ------------------------------------------------------------------------------- */

static enum nlsh_status learn_on(const struct teaching *t, const void *router,
                                 const struct nlsh_build_options *o, const struct nlsh__job *job,
                                 struct nlsh__relearned *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = t->index->meta.n_buckets, epochs = (VISITS + t->n - 1) / t->n;
    struct nlsh__mlp mlp = {0};
    uint32_t *itself = NULL, *group_of = NULL, *rows = NULL;
    double held_loss;
    struct nlsh__labels labels = {.neighbors = t->buckets, .stride = t->knn, .label_knn = t->knn};
    const struct nlsh__train_options options = {.epochs = epochs < o->epochs ? epochs : o->epochs,
                                                .batch_size = o->batch_size,
                                                .lr = o->lr,
                                                .weight_decay = o->weight_decay,
                                                .dropout = o->dropout,
                                                .scheduler = o->scheduler,
                                                .seed = o->seed + 1};
    NLSH_TRY(nlsh__router_import(router, &mlp, &labels.groups, error));
    NLSH_TRY(nlsh__alloc(&itself, m, sizeof *itself, error));
    NLSH_TRY(nlsh__alloc(&group_of, m, sizeof *group_of, error));
    NLSH_TRY(nlsh__alloc(&rows, t->n, sizeof *rows, error));
    for (size_t b = 0, g = 0; b < m; b++) {
        while (labels.groups.n > 0 && b >= labels.groups.first[g + 1]) g++;
        itself[b] = (uint32_t)b; /* labels name buckets in place of rows */
        group_of[b] = (uint32_t)g;
    }
    for (size_t i = 0; i < t->n; i++) rows[i] = (uint32_t)i;
    labels.bucket_of = itself;
    labels.group_of = group_of;
    NLSH_TRY(nlsh__train(&mlp, t->inputs, rows, t->n, NULL, 0, &labels, &options, job, &out->loss,
                         &held_loss, error));
    NLSH_TRY(nlsh__router_export_again(router, &mlp, &out->router, &out->size, error));
out:
    nlsh__mlp_free(&mlp);
    nlsh__free(itself);
    nlsh__free(group_of);
    nlsh__free(rows);
    return status;
}

enum nlsh_status
nlsh__relearn(const struct nlsh_index *index, const void *router, const struct nlsh__placed *placed,
              const struct nlsh__sampled *sampled, size_t n_teach,
              const struct nlsh_build_options *options, const struct nlsh__job *job,
              struct nlsh__relearned *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = (size_t)index->meta.n_rows;
    struct teaching t = {.index = index, .placed = placed, .knn = options->label_knn};
    *out = (struct nlsh__relearned){.router = NULL};
    t.n = n_teach < n ? n_teach : n;
    if (t.knn > n - 1) t.knn = n - 1;
    NLSH_TRY(draw(&t, sampled, options->seed, error));
    if (t.n == 0) goto out;
    NLSH_TRY(take_inputs(&t, error));
    NLSH_TRY(find_buckets(&t, job, error));
    NLSH_TRY(learn_on(&t, router, options, job, out, error));
out:
    teaching_free(&t);
    return status;
}
