/* write.c - see write.h. docs/index-format.md describes every section. */
#include "make/write.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/rng.h"
#include "index/index.h"
#include "make/encoded.h"
#include "make/resolve.h"
#include "make/settings.h"

enum { MOST_COMPARED = 20000, MOST_SECTIONS = 13 };

/* The share of rows that the router would put in another bucket. */
static enum nlsh_status disagreement(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                     double *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = g->data->matrix.n_rows, count = n < MOST_COMPARED ? n : MOST_COMPARED;
    uint32_t *rows = NULL, *best = NULL;
    struct nlsh__rng rng;
    NLSH_TRY(nlsh__alloc(&rows, count, sizeof *rows, error));
    NLSH_TRY(nlsh__alloc(&best, count, sizeof *best, error));
    nlsh__rng_init(&rng, g->options->seed, 0x64697361);
    nlsh__rng_sample(&rng, n, count, rows);
    const struct nlsh__played played = {&g->space->queries, rows, count};
    NLSH_TRY(nlsh__best_buckets(l->router, &played, g->job, best, error));
    size_t differ = 0;
    for (size_t i = 0; i < count; i++) differ += best[i] != l->bucket_of[rows[i]];
    *out = (double)differ / (double)count;
out:
    nlsh__free(rows);
    nlsh__free(best);
    return status;
}

/* ---- sections that are packed ---------------------------------------------------------------- */

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static enum nlsh_status pack_targets(const struct nlsh__calibration *c, void **bytes, size_t *size,
                                     struct nlsh_error *error)
{
    const struct nlsh__targets_header header = {.n = (uint32_t)c->n};
    size_t at = sizeof header + padded(c->n * 8);
    *size = at;
    for (size_t i = 0; i < c->n; i++) *size += c->n_points[i] * sizeof c->points[0][0];
    enum nlsh_status status = nlsh__calloc(bytes, *size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*bytes, &header, sizeof header);
    for (size_t i = 0; i < c->n; i++) {
        const uint32_t list[2] = {(uint32_t)c->k[i], (uint32_t)c->n_points[i]};
        size_t points = c->n_points[i] * sizeof c->points[0][0];
        memcpy((char *)*bytes + sizeof header + 8 * i, list, sizeof list);
        memcpy((char *)*bytes + at, c->points[i], points);
        at += points;
    }
    return NLSH_OK;
}

static size_t margins_size(const struct nlsh__margins *m)
{
    return padded(4 * m->n_ks) + padded(4 * m->n_losses) + padded(4 * m->n_ks * m->n_losses);
}

static char *put_margins(char *at, const struct nlsh__margins *m)
{
    memcpy(at, m->k, 4 * m->n_ks);
    at += padded(4 * m->n_ks);
    memcpy(at, m->loss, 4 * m->n_losses);
    at += padded(4 * m->n_losses);
    memcpy(at, m->margin, 4 * m->n_ks * m->n_losses);
    return at + padded(4 * m->n_ks * m->n_losses);
}

static enum nlsh_status pack_margins(const struct nlsh__encoded *e, void **bytes, size_t *size,
                                     struct nlsh_error *error)
{
    const struct nlsh__margins rows = nlsh__row_margins_of(&e->row_margins);
    const struct nlsh__margins leaves = nlsh__leaf_margins_of(&e->leaf_margins);
    struct nlsh__margins_header header = {.n_row_ks = (uint32_t)rows.n_ks,
                                          .n_row_losses = (uint32_t)rows.n_losses};
    *size = sizeof header + margins_size(&rows);
    if (e->leaves != NULL) {
        header.n_leaf_ks = (uint32_t)leaves.n_ks;
        header.n_leaf_losses = (uint32_t)leaves.n_losses;
        header.leaf_slope = e->leaf_margins.slope;
        *size += margins_size(&leaves);
    }
    enum nlsh_status status = nlsh__calloc(bytes, *size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*bytes, &header, sizeof header);
    char *at = put_margins((char *)*bytes + sizeof header, &rows);
    if (e->leaves != NULL) put_margins(at, &leaves);
    return NLSH_OK;
}

/* The rows' vectors in the order of the file. */
static enum nlsh_status gather(const struct nlsh_matrix *rows, const uint32_t *order, uint8_t **out,
                               struct nlsh_error *error)
{
    size_t row_bytes = nlsh__row_bytes(rows);
    enum nlsh_status status = nlsh__alloc(out, rows->n_rows, row_bytes, error);
    for (size_t i = 0; i < rows->n_rows && status == NLSH_OK; i++)
        memcpy(*out + i * row_bytes, nlsh__row(rows, order[i]), row_bytes);
    return status;
}

/* The settings as they were settled: what was auto is what was chosen. */
static enum nlsh_status settle(const struct nlsh__ground *g, const struct nlsh__learned *l,
                               const struct nlsh__encoded *e, char **json, struct nlsh_error *error)
{
    struct nlsh_build_options record = *g->options;
    record.partitioner = l->partitioner;
    record.imbalance = nlsh__imbalance(g->options, l->partitioner);
    record.nodes = l->nodes;
    record.code_bytes = e->code_bytes;
    record.leaves = e->leaves != NULL;
    *json = nlsh__settings_json(&record);
    return *json != NULL ? NLSH_OK : nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Sections on their way to a file; those of size 0 are left out. */
struct sections {
    struct nlsh__section_data of[MOST_SECTIONS];
    size_t n;
};

static void add(struct sections *s, enum nlsh__section_kind kind, const void *data, size_t size)
{
    if (data != NULL && size > 0) s->of[s->n++] = (struct nlsh__section_data){kind, 0, data, size};
}

enum nlsh_status nlsh__write_index(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                   const uint64_t *keys, const char *path,
                                   struct nlsh__written *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *rows = &g->data->matrix;
    size_t n = rows->n_rows, m = g->options->n_buckets;
    struct nlsh__encoded e = {.rows = NULL};
    struct sections s = {.n = 0};
    uint8_t *vectors = NULL;
    char *settings = NULL;
    void *targets = NULL, *margins = NULL;
    size_t targets_size = 0, margins_bytes = 0;
    struct nlsh__meta meta = {
        .n_rows = n,
        .data_hash = g->data->hash,
        .dim = (uint32_t)rows->dim,
        .n_buckets = (uint32_t)m,
        .source_type = g->data->source_type,
        .storage_type = rows->type,
        .n_segments = 1,
    };
    const struct nlsh__metric_meta metric = {.metric = (uint32_t)g->options->metric,
                                             .query_norm = g->space->query_norm};
    int has_metric = g->options->metric != NLSH_L2;
    const struct nlsh__segment_meta segment = {
        .n_rows = n,
        .data_hash = g->data->hash,
        .stored_hash = has_metric ? nlsh_data_hash(rows) : 0,
    };
    NLSH_TRY(nlsh__job_progress(g->job, "writing", 0, 0, error));
    NLSH_TRY(disagreement(g, l, &meta.disagreement, error));
    NLSH_TRY(nlsh__encode_segment(g, l, &e, error));
    NLSH_TRY(gather(rows, e.rows, &vectors, error));
    NLSH_TRY(settle(g, l, &e, &settings, error));
    NLSH_TRY(pack_targets(&l->calibration, &targets, &targets_size, error));
    if (e.codes != NULL) NLSH_TRY(pack_margins(&e, &margins, &margins_bytes, error));
    add(&s, NLSH__SECTION_META, &meta, sizeof meta);
    add(&s, NLSH__SECTION_SETTINGS, settings, strlen(settings) + 1);
    if (has_metric) add(&s, NLSH__SECTION_METRIC, &metric, sizeof metric);
    add(&s, NLSH__SECTION_ROUTER, l->router_bytes, l->router_size);
    add(&s, NLSH__SECTION_TARGETS, targets, targets_size);
    add(&s, NLSH__SECTION_MARGINS, margins, margins_bytes);
    add(&s, NLSH__SECTION_SEGMENT, &segment, sizeof segment);
    add(&s, NLSH__SECTION_BUCKETS, e.bucket_offsets, (m + 1) * sizeof *e.bucket_offsets);
    add(&s, NLSH__SECTION_ROWS, e.rows, n * sizeof *e.rows);
    add(&s, NLSH__SECTION_KEYS, keys, n * sizeof *keys);
    add(&s, NLSH__SECTION_VECTORS, vectors, n * nlsh__row_bytes(rows));
    add(&s, NLSH__SECTION_CODES, e.codes, e.codes_size);
    add(&s, NLSH__SECTION_LEAVES, e.leaves, e.leaves_size);
    NLSH_TRY(nlsh__job_progress(g->job, "writing", 0, 0, error));
    NLSH_TRY(nlsh__index_write(path, s.of, s.n, error));
    out->scanned = e.scanned;
    /* The file stands: a stop asked for now comes too late. */
    (void)nlsh__job_progress(g->job, "writing", 1, 1, NULL);
out:
    nlsh__encoded_free(&e);
    nlsh__free(vectors);
    nlsh__free(targets);
    nlsh__free(margins);
    free(settings);
    return status;
}
