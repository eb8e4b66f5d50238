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
    BLOCK = 8192, /* queries that are searched at once */
    PROBES = 8,   /* buckets that neighbours are looked for in where nothing is promised */
};

/* Neighbours that a search misses lie where the router does not expect them, and it would learn that none are there:
 * with .9 in place of .99 SIFT-1M in 400 MB needs the buckets of 17,678 vectors in place of 16,578 for .95. With .99 a
 * query for .99 scans 1.07 times what it scans of the index that was built in memory, with .996 1.03 times. */
#define ENOUGH_FOUND 0.996
/* Where the sample's index promises less than that, a search for it would scan all. */
#define LESS_FOUND 0.99

/* Each has to search first. SIFT-1M's 1,024 buckets need no more. */
#define MOST_TEACHING 400000

size_t nlsh__n_teaching(const struct nlsh__memory_plan *plan, size_t p, size_t label_knn)
{
    size_t row = p * sizeof(float) + (label_knn + 2) * sizeof(uint32_t);
    uint64_t rows = plan->teaching_bytes / row;
    return rows < MOST_TEACHING ? (size_t)rows : MOST_TEACHING;
}

/* Evenly. */
void nlsh__draw_teachers(size_t n, size_t n_teach, uint64_t seed,
                         void (*use)(void *user, uint32_t place), void *user)
{
    struct nlsh__rng rng;
    size_t left = n_teach < n ? n_teach : n;
    nlsh__rng_init(&rng, seed, 0x74656163);
    for (size_t place = 0; place < n && left > 0; place++) {
        if (nlsh__rng_below(&rng, n - place) >= left) continue;
        left--;
        use(user, (uint32_t)place);
    }
}

static int compare_rows(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Who learned from a row cannot say what it would have found. */
int nlsh__may_teach(const struct nlsh__sampled *sampled, uint32_t row)
{
    return bsearch(&row, sampled->asking_rows, sampled->asking.n_rows, sizeof row, compare_rows) ==
           NULL;
}

const float *nlsh__teacher_inputs(const struct nlsh_index *index, struct nlsh__asker *asker,
                                  const float *inputs, const void *stored, float *scaled)
{
    if (index->metric != NLSH_IP) return inputs;
    /* by inner product a row comes as a query of another length */
    nlsh__row_of_stored(index, stored, scaled);
    (void)nlsh__scale_to(scaled, index->meta.dim, (double)index->query_norm, scaled);
    return nlsh__ask_inputs(asker, scaled, NULL);
}

/* ---- what they should answer ------------------------------------------------------------------- */

/* Rows that teach, and where their neighbours lie. */
struct teaching {
    const struct nlsh__teachers *teachers;
    const struct nlsh_index *index;
    const uint32_t *bucket_of;
    size_t knn;
    uint32_t *buckets; /* [n x knn] */
};

/* The vectors of n of those that teach, from the first-th on, as a caller would ask them. */
static struct nlsh_matrix as_queries(const struct teaching *t, size_t first, size_t n,
                                     uint8_t *stored, uint8_t *to)
{
    const struct nlsh_index *index = t->index;
    enum nlsh_type type = nlsh__index_form(index);
    size_t row_bytes = nlsh__index_row_bytes(index), form_bytes = nlsh__index_form_bytes(index);
    t->teachers->vectors(t->teachers->user, first, n, stored);
    for (size_t i = 0; i < n; i++)
        nlsh__row_of_stored(index, stored + i * row_bytes, to + i * form_bytes);
    if (index->meta.source_type == NLSH_I8) {
        nlsh__flip_sign(to, n * form_bytes, to);
        type = NLSH_I8;
    }
    return (struct nlsh_matrix){to, n, index->meta.dim, type, 0};
}

/* Their buckets without the row itself. Fewer were found than knn: those that were, again. */
static void keep_buckets(const struct teaching *t, size_t i, const uint64_t *keys)
{
    uint32_t *to = t->buckets + i * t->knn;
    uint32_t own = t->teachers->rows[i];
    size_t n = 0;
    for (size_t j = 0; j <= t->knn && n < t->knn; j++)
        if (keys[j] != own && keys[j] != NLSH_NO_KEY) to[n++] = t->bucket_of[keys[j]];
    if (n == 0) to[n++] = t->bucket_of[own];
    for (size_t j = n; j < t->knn; j++) to[j] = to[j % n];
}

/* Whether an earlier build has found the buckets of n of those that teach, from the first-th on. */
static int known(const struct teaching *t, size_t first, size_t n)
{
    struct nlsh__unfinished *u = t->teachers->unfinished;
    struct nlsh__step_rows of;
    size_t size, count = n * t->knn, m = t->index->meta.n_buckets;
    const uint8_t *step = nlsh__unfinished_next(u, NLSH__STEP_NEIGHBORS, &size);
    if (step == NULL) return 0;
    const uint32_t *buckets = (const uint32_t *)(const void *)(step + sizeof of);
    int right = size == sizeof of + count * sizeof *buckets;
    if (right) memcpy(&of, step, sizeof of);
    right = right && of.first == first && of.n == n;
    for (size_t i = 0; i < count && right; i++) right = buckets[i] < m;
    if (right)
        memcpy(t->buckets + first * t->knn, buckets, count * sizeof *buckets);
    else
        nlsh__unfinished_refuse(u);
    return right;
}

static double enough_found(const struct nlsh__efforts *efforts, size_t k)
{
    return nlsh__effort_for(efforts, k, ENOUGH_FOUND).threshold > 0 ? ENOUGH_FOUND : LESS_FOUND;
}

static enum nlsh_status find_buckets(struct teaching *t, const struct nlsh__job *job,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_search_options options;
    uint8_t *stored = NULL, *rows = NULL;
    uint64_t *keys = NULL;
    size_t m = t->index->meta.n_buckets, n_teach = t->teachers->n;
    nlsh_search_options_init(&options, sizeof options);
    options.k = t->knn + 1;
    options.recall = enough_found(&t->index->efforts, options.k);
    if (t->index->efforts.n == 0) options.probes = m < PROBES ? (double)m : PROBES;
    NLSH_TRY(nlsh__alloc(&t->buckets, n_teach, t->knn * sizeof *t->buckets, error));
    NLSH_TRY(nlsh__alloc(&stored, BLOCK, nlsh__index_row_bytes(t->index), error));
    NLSH_TRY(nlsh__alloc(&rows, BLOCK, nlsh__index_form_bytes(t->index), error));
    NLSH_TRY(nlsh__alloc(&keys, BLOCK, options.k * sizeof *keys, error));
    for (size_t first = 0; first < n_teach; first += BLOCK) {
        size_t n = n_teach - first < BLOCK ? n_teach - first : BLOCK;
        NLSH_TRY(nlsh__job_progress(job, "neighbours of all", first, n_teach, error));
        if (known(t, first, n)) continue;
        const struct nlsh_matrix queries = as_queries(t, first, n, stored, rows);
        NLSH_TRY(t->teachers->search(t->teachers->user, &queries, &options, keys, error));
        for (size_t i = 0; i < n; i++) keep_buckets(t, first + i, keys + i * options.k);
        const struct nlsh__step_rows of = {first, n};
        const struct nlsh__step_part parts[] = {
            {&of, sizeof of}, {t->buckets + first * t->knn, n * t->knn * sizeof *t->buckets}};
        nlsh__unfinished_add(t->teachers->unfinished, NLSH__STEP_NEIGHBORS, parts, 2);
    }
    NLSH_TRY(nlsh__job_progress(job, "neighbours of all", n_teach, n_teach, error));
out:
    nlsh__free(stored);
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
    size_t n = t->teachers->n, m = t->index->meta.n_buckets, epochs = (NLSH__VISITS_ON + n - 1) / n;
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
    NLSH_TRY(nlsh__alloc(&rows, n, sizeof *rows, error));
    for (size_t b = 0, g = 0; b < m; b++) {
        while (labels.groups.n > 0 && b >= labels.groups.first[g + 1]) g++;
        itself[b] = (uint32_t)b; /* labels name buckets in place of rows */
        group_of[b] = (uint32_t)g;
    }
    for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)i;
    labels.bucket_of = itself;
    labels.group_of = group_of;
    NLSH_TRY(nlsh__train(&mlp, t->teachers->inputs, rows, n, NULL, 0, &labels, &options, job,
                         &out->loss, &held_loss, error));
    NLSH_TRY(nlsh__router_export_again(router, &mlp, &out->router, &out->size, error));
out:
    nlsh__mlp_free(&mlp);
    nlsh__free(itself);
    nlsh__free(group_of);
    nlsh__free(rows);
    return status;
}

enum nlsh_status
nlsh__learn_from(const struct nlsh__teachers *teachers, const struct nlsh_index *index,
                 size_t n_rows, const void *router, const uint32_t *bucket_of,
                 const struct nlsh_build_options *options, const struct nlsh__job *job,
                 struct nlsh__relearned *out, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct teaching t = {
        .teachers = teachers, .index = index, .bucket_of = bucket_of, .knn = options->label_knn};
    *out = (struct nlsh__relearned){.router = NULL};
    if (t.knn > n_rows - 1) t.knn = n_rows - 1;
    if (teachers->n == 0) return NLSH_OK;
    NLSH_TRY(find_buckets(&t, job, error));
    NLSH_TRY(learn_on(&t, router, options, job, out, error));
out:
    nlsh__free(t.buckets);
    return status;
}

/* ---- in one process ---------------------------------------------------------------------------- */

struct own_rows {
    const struct nlsh_index *index;
    const struct nlsh__placed *placed;
    const struct nlsh__sampled *sampled;
    struct nlsh_searcher_pool *pool;
    size_t n;
    uint32_t *places, *rows; /* [n] places ascending */
    float *inputs;           /* [n x p] */
};

static void take_place(void *user, uint32_t place)
{
    struct own_rows *o = user;
    uint32_t row = o->placed->rows[place];
    if (!nlsh__may_teach(o->sampled, row)) return;
    o->places[o->n] = place;
    o->rows[o->n++] = row;
}

static enum nlsh_status take_inputs(struct own_rows *o, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t p = o->placed->p, row_bytes = nlsh__index_row_bytes(o->index);
    struct nlsh__asker asker = {.router = NULL};
    float *scaled = NULL;
    NLSH_TRY(nlsh__alloc(&o->inputs, o->n, p * sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&scaled, o->index->meta.dim, sizeof *scaled, error));
    NLSH_TRY(nlsh__asker_create(o->index->router, &asker, error));
    for (size_t i = 0; i < o->n; i++) {
        size_t place = o->places[i];
        const float *inputs = (const float *)o->placed->inputs.data + place * p;
        const uint8_t *stored = (const uint8_t *)o->placed->vectors.data + place * row_bytes;
        memcpy(o->inputs + i * p, nlsh__teacher_inputs(o->index, &asker, inputs, stored, scaled),
               p * sizeof(float));
    }
out:
    nlsh__asker_free(&asker);
    nlsh__free(scaled);
    return status;
}

static void own_vectors(void *user, size_t first, size_t n, uint8_t *to)
{
    const struct own_rows *o = user;
    size_t row_bytes = nlsh__index_row_bytes(o->index);
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * row_bytes,
               (const uint8_t *)o->index->segments[0].vectors + o->places[first + i] * row_bytes,
               row_bytes);
}

static enum nlsh_status own_search(void *user, const struct nlsh_matrix *queries,
                                   const struct nlsh_search_options *options, uint64_t *keys,
                                   struct nlsh_error *error)
{
    const struct own_rows *o = user;
    return nlsh_searcher_pool_search(o->pool, queries, options, keys, NULL, NULL, error);
}

enum nlsh_status
nlsh__relearn(const struct nlsh_index *index, const void *router, const struct nlsh__placed *placed,
              const struct nlsh__sampled *sampled, size_t n_teach,
              const struct nlsh_build_options *options, struct nlsh__unfinished *unfinished,
              const struct nlsh__job *job, struct nlsh__relearned *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = (size_t)index->meta.n_rows;
    struct own_rows o = {.index = index, .placed = placed, .sampled = sampled};
    *out = (struct nlsh__relearned){.router = NULL};
    NLSH_TRY(nlsh__alloc(&o.places, n_teach < n ? n_teach : n, sizeof *o.places, error));
    NLSH_TRY(nlsh__alloc(&o.rows, n_teach < n ? n_teach : n, sizeof *o.rows, error));
    nlsh__draw_teachers(n, n_teach, options->seed, take_place, &o);
    NLSH_TRY(take_inputs(&o, error));
    NLSH_TRY(nlsh_searcher_pool_create(index, nlsh__pool_n_threads(job->pool), &o.pool, error));
    const struct nlsh__teachers teachers = {.n = o.n,
                                            .rows = o.rows,
                                            .inputs = o.inputs,
                                            .unfinished = unfinished,
                                            .user = &o,
                                            .vectors = own_vectors,
                                            .search = own_search};
    NLSH_TRY(
        nlsh__learn_from(&teachers, index, n, router, placed->bucket_of, options, job, out, error));
out:
    nlsh_searcher_pool_free(o.pool);
    nlsh__free(o.places);
    nlsh__free(o.rows);
    nlsh__free(o.inputs);
    return status;
}
