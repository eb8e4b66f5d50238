/*
 * lsh.c - locality-sensitive hashing (Datar, Immorlica, Indyk and Mirrokni, SoCG 2004): L tables,
 * each of buckets of the vectors on which k functions h(x) = floor((a.x + b) / w) agree.
 *
 * A query looks into its bucket of each table; a probe is a table, so that an index of many tables
 * answers for fewer as well. The k values of a table are mixed to 64 bits, which name the bucket: of
 * 10^7 buckets two share a name with a probability of 3 in a million, and then only cost candidates.
 *
 * Left to the index: w is four times the mean distance to the 10th neighbour (of a sample of the
 * base), where h is shared by neighbours with a probability of .80; k is what leaves about 100
 * strangers in a bucket, by the collision probability at the sample's mean distance.
 */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "baselines/baseline.h"
#include "baselines/projections.h"

enum { MOST_TABLES = 1024, MOST_HASHES = 64, STRANGERS = 100 };
static const double window_times_near = 4;

struct lsh {
    size_t n_tables, n_hashes;
    struct nlsh__projections projections; /* n_tables x n_hashes */
    uint32_t *first;                      /* [n_tables + 1] each table's first bucket */
    uint64_t *names;                      /* [n_buckets] ascending in a table */
    float *hashes;                        /* of the query */
};

/* A vector's bucket in a table. */
struct entry {
    uint64_t name;
    uint32_t id;
};

static uint64_t bucket_name(const float *hashes, size_t n)
{
    uint64_t name = 0;
    for (size_t i = 0; i < n; i++) {
        name = nlsh__mix(name + UINT64_C(0x9e3779b97f4a7c15) + nlsh__hash_bits(hashes[i]));
    }
    return name;
}

/* ---- build ----------------------------------------------------------------------------------- */

struct filling {
    const struct lsh *lsh;
    size_t n_rows;
    struct entry *entries; /* [n_tables][n_rows] */
};

static void name_row(void *ctx, size_t row, const float *hashes)
{
    struct filling *f = ctx;
    for (size_t t = 0; t < f->lsh->n_tables; t++) {
        struct entry *entry = &f->entries[t * f->n_rows + row];
        entry->name = bucket_name(hashes + t * f->lsh->n_hashes, f->lsh->n_hashes);
        entry->id = (uint32_t)row;
    }
}

static int by_name(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->name != y->name) return x->name < y->name ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static void sort_table(void *ctx, size_t task, size_t worker)
{
    struct filling *f = ctx;
    (void)worker;
    qsort(f->entries + task * f->n_rows, f->n_rows, sizeof *f->entries, by_name);
}

static int begins_bucket(const struct filling *f, size_t at)
{
    return at % f->n_rows == 0 || f->entries[at].name != f->entries[at - 1].name;
}

/* The sorted entries to buckets. */
static enum nlsh_status make_buckets(struct nlsh__baseline *b, struct lsh *lsh,
                                     const struct nlsh__dataset *base, const struct filling *f,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *offsets = NULL, *ids = NULL;
    size_t n = lsh->n_tables * f->n_rows, n_buckets = 0;
    for (size_t at = 0; at < n; at++) n_buckets += (size_t)begins_bucket(f, at);
    NLSH_TRY(nlsh__alloc(&lsh->first, lsh->n_tables + 1, sizeof *lsh->first, error));
    NLSH_TRY(nlsh__alloc(&lsh->names, n_buckets, sizeof *lsh->names, error));
    NLSH_TRY(nlsh__alloc(&offsets, n_buckets + 1, sizeof *offsets, error));
    NLSH_TRY(nlsh__alloc(&ids, n, sizeof *ids, error));
    size_t bucket = 0;
    for (size_t at = 0; at < n; at++) {
        if (at % f->n_rows == 0) lsh->first[at / f->n_rows] = (uint32_t)bucket;
        ids[at] = f->entries[at].id;
        if (!begins_bucket(f, at)) continue;
        offsets[bucket] = (uint32_t)at;
        lsh->names[bucket++] = f->entries[at].name;
    }
    offsets[bucket] = (uint32_t)n;
    lsh->first[lsh->n_tables] = (uint32_t)bucket;
    return nlsh__buckets_tables(base, offsets, ids, n_buckets, &b->buckets, error);
out:
    nlsh__free(offsets);
    nlsh__free(ids);
    return status;
}

/* k, so that a bucket holds about STRANGERS of the vectors that are as far as any. */
static size_t enough_hashes(size_t n_rows, const struct nlsh__distances *d, double window)
{
    double shared = nlsh__collision_probability(d->far, window);
    if (n_rows <= STRANGERS || shared >= 1) return 1;
    double k = round(log((double)n_rows / STRANGERS) / -log(shared));
    return k < 1 ? 1 : k > MOST_HASHES ? MOST_HASHES : (size_t)k;
}

static enum nlsh_status resolve(const struct nlsh__dataset *base,
                                struct nlsh__baseline_options *options, const struct nlsh__job *job,
                                struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__resolve_window(base, options, window_times_near, job, error);
    if (status != NLSH_OK) return status;
    if (options->n_hashes == NLSH_AUTO) {
        struct nlsh__distances d;
        status = nlsh__sample_distances(base, options->seed, job, &d, error);
        if (status != NLSH_OK) return status;
        options->n_hashes = enough_hashes(base->matrix.n_rows, &d, options->window);
    }
    if (options->n_tables < 1 || options->n_tables > MOST_TABLES) {
        return nlsh__fail(error, NLSH_E_ARG, "16 are usual", "%zu tables: take 1 to %d",
                          options->n_tables, MOST_TABLES);
    }
    if (options->n_hashes < 1 || options->n_hashes > MOST_HASHES) {
        return nlsh__fail(error, NLSH_E_ARG, "4 to 20 are usual",
                          "%zu hashes a table: take 1 to %d", options->n_hashes, MOST_HASHES);
    }
    if (base->matrix.n_rows > UINT32_MAX / options->n_tables) {
        return nlsh__fail(error, NLSH_E_ARG, "take fewer tables",
                          "%zu tables of %zu rows are more than 2^32 entries", options->n_tables,
                          base->matrix.n_rows);
    }
    return NLSH_OK;
}

static enum nlsh_status lsh_build(struct nlsh__baseline *b, const struct nlsh__dataset *base,
                                  struct nlsh__baseline_options *options,
                                  const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_rows = base->matrix.n_rows;
    struct lsh *lsh;
    struct filling f = {.n_rows = n_rows};
    NLSH_TRY(resolve(base, options, job, error));
    NLSH_TRY(nlsh__calloc(&b->state, 1, sizeof *lsh, error));
    f.lsh = lsh = b->state;
    lsh->n_tables = options->n_tables;
    lsh->n_hashes = options->n_hashes;
    size_t n = lsh->n_tables * lsh->n_hashes;
    NLSH_TRY(nlsh__projections_create(n, base->matrix.dim, options->window, options->seed,
                                      &lsh->projections, error));
    NLSH_TRY(nlsh__alloc(&lsh->hashes, n + 16, sizeof *lsh->hashes, error));
    NLSH_TRY(nlsh__alloc(&f.entries, lsh->n_tables * n_rows, sizeof *f.entries, error));
    NLSH_TRY(nlsh__project_rows(&lsh->projections, &base->matrix, job, name_row, &f, error));
    NLSH_TRY(nlsh__job_tasks(job, "tables", lsh->n_tables, sort_table, &f, error));
    NLSH_TRY(make_buckets(b, lsh, base, &f, error));
out:
    nlsh__free(f.entries);
    return status;
}

/* ---- search ---------------------------------------------------------------------------------- */

/* The bucket of that name in a table; n_buckets where there is none. */
static size_t find_bucket(const struct lsh *lsh, size_t table, uint64_t name, size_t n_buckets)
{
    size_t low = lsh->first[table], end = lsh->first[table + 1], high = end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (lsh->names[middle] < name) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < end && lsh->names[low] == name ? low : n_buckets;
}

static enum nlsh_status lsh_choose(struct nlsh__baseline *b, const struct nlsh__asked *asked,
                                   size_t *n, struct nlsh_error *error)
{
    struct lsh *lsh = b->state;
    struct nlsh__projections some = lsh->projections; /* of the tables that are probed */
    size_t n_tables = asked->probes < (double)lsh->n_tables ? (size_t)asked->probes : lsh->n_tables;
    (void)error;
    some.n = n_tables * lsh->n_hashes;
    some.n_groups = (some.n + 15) / 16;
    nlsh__project_hash(&some, asked->floats, lsh->hashes);
    *n = 0;
    for (size_t t = 0; t < n_tables; t++) {
        uint64_t name = bucket_name(lsh->hashes + t * lsh->n_hashes, lsh->n_hashes);
        size_t bucket = find_bucket(lsh, t, name, b->buckets.n_buckets);
        if (bucket < b->buckets.n_buckets) b->chosen[(*n)++] = (uint32_t)bucket;
    }
    return NLSH_OK;
}

static size_t lsh_bytes(const struct nlsh__baseline *b)
{
    const struct lsh *lsh = b->state;
    return nlsh__projections_bytes(&lsh->projections) + b->buckets.n_buckets * sizeof(uint64_t);
}

static void lsh_free(struct nlsh__baseline *b)
{
    struct lsh *lsh = b->state;
    nlsh__projections_free(&lsh->projections);
    nlsh__free(lsh->first);
    nlsh__free(lsh->names);
    nlsh__free(lsh->hashes);
}

const struct nlsh__bucketing nlsh__lsh = {
    .build = lsh_build, .choose = lsh_choose, .bytes = lsh_bytes, .free = lsh_free};
