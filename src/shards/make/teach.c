/* teach.c - nlsh__teach_apart(): rows of all ranks teach the router on rank 0. Their order is that of one process. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "shards/make/built.h"

#define PIECE ((size_t)64 << 20)

/* A rank's rows that teach, on their way to rank 0: place among all, row, what the router sees, the vector. */
struct drawing {
    const struct nlsh__build_apart *build;
    const struct nlsh_index *index;
    struct nlsh__asker asker;
    float *scaled;
    size_t bucket;
    uint64_t bucket_begins; /* among all */
    struct nlsh__bytes own;
};

static size_t record_bytes(const struct drawing *d)
{
    return 2 * sizeof(uint32_t) + d->build->placed.p * sizeof(float) +
           nlsh__index_row_bytes(d->index);
}

/* A place of all: buckets come one after another. */
static void take_place(void *user, uint32_t place)
{
    struct drawing *d = user;
    const struct nlsh__build_apart *b = d->build;
    while (place >= d->bucket_begins + b->sizes[d->bucket])
        d->bucket_begins += b->sizes[d->bucket++];
    if (b->owners[d->bucket] != b->ranks->own) return;
    size_t at = b->placed.offsets[d->bucket] + (size_t)(place - d->bucket_begins);
    size_t p = b->placed.p, row_bytes = nlsh__index_row_bytes(d->index);
    uint32_t row = b->placed.rows[at];
    if (!nlsh__may_teach(&b->sampled, row)) return;
    const uint8_t *stored = (const uint8_t *)b->placed.vectors.data + at * row_bytes;
    const float *inputs = (const float *)b->placed.inputs.data + at * p;
    inputs = nlsh__teacher_inputs(d->index, &d->asker, inputs, stored, d->scaled);
    nlsh__bytes_add(&d->own, &place, sizeof place);
    nlsh__bytes_add(&d->own, &row, sizeof row);
    nlsh__bytes_add(&d->own, inputs, p * sizeof *inputs);
    nlsh__bytes_add(&d->own, stored, row_bytes);
}

/* ---- rank 0 ------------------------------------------------------------------------------------- */

/* All ranks' rows, in the order of places. */
struct taught {
    struct nlsh__shards *shards;
    size_t n, row_bytes;
    uint32_t *rows;
    float *inputs;
    uint8_t *vectors;
};

static void give_vectors(void *user, size_t first, size_t n, uint8_t *to)
{
    const struct taught *t = user;
    memcpy(to, t->vectors + first * t->row_bytes, n * t->row_bytes);
}

static enum nlsh_status search(void *user, const struct nlsh_matrix *queries,
                               const struct nlsh_search_options *options, uint64_t *keys,
                               struct nlsh_error *error)
{
    const struct taught *t = user;
    return nlsh__shards_search(t->shards, queries, options, keys, NULL, NULL, error);
}

static int by_place(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, *(const uint8_t *const *)a, sizeof x);
    memcpy(&y, *(const uint8_t *const *)b, sizeof y);
    return (x > y) - (x < y);
}

static enum nlsh_status order(const struct drawing *d, const struct nlsh__bytes *all,
                              struct taught *t, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t size = record_bytes(d), p = d->build->placed.p;
    const uint8_t **records = NULL;
    t->n = all->n / size;
    t->row_bytes = nlsh__index_row_bytes(d->index);
    NLSH_TRY(nlsh__alloc(&records, t->n, sizeof *records, error));
    NLSH_TRY(nlsh__alloc(&t->rows, t->n, sizeof *t->rows, error));
    NLSH_TRY(nlsh__alloc(&t->inputs, t->n, p * sizeof *t->inputs, error));
    NLSH_TRY(nlsh__alloc(&t->vectors, t->n, t->row_bytes, error));
    for (size_t i = 0; i < t->n; i++) records[i] = all->at + i * size;
    qsort(records, t->n, sizeof *records, by_place);
    for (size_t i = 0; i < t->n; i++) {
        const uint8_t *at = records[i] + sizeof(uint32_t);
        memcpy(&t->rows[i], at, sizeof t->rows[i]);
        memcpy(t->inputs + i * p, at + sizeof(uint32_t), p * sizeof *t->inputs);
        memcpy(t->vectors + i * t->row_bytes, at + sizeof(uint32_t) + p * sizeof *t->inputs,
               t->row_bytes);
    }
out:
    nlsh__free(records);
    return status;
}

static enum nlsh_status teach(struct nlsh__build_apart *b, const struct drawing *d,
                              const struct nlsh__bytes *all, struct nlsh__shards *shards,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    struct taught t = {.shards = shards};
    NLSH_TRY(order(d, all, &t, error));
    const struct nlsh__teachers teachers = {.n = t.n,
                                            .rows = t.rows,
                                            .inputs = t.inputs,
                                            .user = &t,
                                            .vectors = give_vectors,
                                            .search = search};
    NLSH_TRY(nlsh__learn_from(&teachers, d->index, b->base->n_rows,
                              b->sections.of[b->router_at].data, b->placed.bucket_of, &b->options,
                              b->job, &b->relearned, error));
out:
    nlsh__free(t.rows);
    nlsh__free(t.inputs);
    nlsh__free(t.vectors);
    return status;
}

/* All ranks' records to rank 0, some at a time: a message has a largest size. */
static enum nlsh_status gather(const struct drawing *d, struct nlsh__bytes *all,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__ranks *ranks = d->build->ranks;
    size_t piece = PIECE / record_bytes(d) * record_bytes(d), at = 0, *ends = NULL;
    struct nlsh__bytes some = {0};
    uint32_t more = 1;
    if (piece == 0) piece = record_bytes(d);
    NLSH_TRY(nlsh__alloc(&ends, ranks->n, sizeof *ends, error));
    while (more) {
        size_t left = d->own.n - at, n = left < piece ? left : piece;
        const struct nlsh__bytes now = {.at = d->own.at + at, .n = n};
        NLSH_TRY(nlsh__ranks_gather(ranks, &now, &some, ends, error));
        if (ranks->own == 0) nlsh__bytes_add(all, some.at, some.n);
        at += n;
        more = some.n > 0; /* nobody had any: that was the end */
        NLSH_TRY(nlsh__ranks_tell_values(ranks, &more, sizeof more, error));
    }
    if (all->failed) status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
out:
    nlsh__bytes_free(&some);
    nlsh__free(ends);
    return status;
}

/* ---- all ---------------------------------------------------------------------------------------- */

static enum nlsh_status draw(struct drawing *d, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__build_apart *b = d->build;
    size_t n = b->base->n_rows;
    size_t n_teach = nlsh__n_teaching(&b->plan, b->placed.p, b->options.label_knn);
    NLSH_TRY(nlsh__asker_create(d->index->router, &d->asker, error));
    NLSH_TRY(nlsh__alloc(&d->scaled, d->index->meta.dim, sizeof *d->scaled, error));
    nlsh__draw_teachers(n, n_teach < n ? n_teach : n, b->options.seed, take_place, d);
    if (d->own.failed) status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
out:
    return status;
}

enum nlsh_status nlsh__teach_apart(void *user, const struct nlsh_index *index,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__build_apart *b = user;
    struct drawing d = {.build = b, .index = index};
    struct nlsh__bytes all = {0};
    struct nlsh__shards *shards = NULL;
    status = draw(&d, error);
    if (status == NLSH_OK)
        status =
            nlsh__shards_join(index, nlsh__pool_n_threads(b->job->pool), b->ranks, &shards, error);
    status = nlsh__ranks_agree(b->ranks, status, error);
    if (status != NLSH_OK || shards == NULL) {
        if (shards != NULL) shards->in_step = 0; /* nobody serves */
        goto out;
    }
    b->in_step = 0;
    NLSH_TRY(gather(&d, &all, error));
    status =
        b->ranks->own == 0 ? teach(b, &d, &all, shards, error) : nlsh__shards_serve(shards, error);
    b->in_step = shards->in_step;
out:
    nlsh__shards_close(shards);
    nlsh__asker_free(&d.asker);
    nlsh__free(d.scaled);
    nlsh__bytes_free(&d.own);
    nlsh__bytes_free(&all);
    return status;
}
