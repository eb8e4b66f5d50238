/* write.c - rows in bucket order, their codes, and what the router measured, as an index file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/rng.h"
#include "codes/make/leaves.h"
#include "index/index.h"
#include "kernels/panel.h"
#include "make/pipeline.h"
#include "make/resolve.h"
#include "make/settings.h"

enum { MAX_DISAGREEMENT = 20000 }; /* rows on which bucket and router are compared */

static enum nlsh_status disagreement(const struct nlsh__build *b, double *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = b->data.matrix.n_rows, count = n < MAX_DISAGREEMENT ? n : MAX_DISAGREEMENT;
    uint32_t *rows = NULL, *best = NULL;
    struct nlsh__rng rng;
    NLSH_TRY(nlsh__alloc(&rows, count, sizeof *rows, error));
    NLSH_TRY(nlsh__alloc(&best, count, sizeof *best, error));
    nlsh__rng_init(&rng, b->options.seed, 0x64697361);
    nlsh__rng_sample(&rng, n, count, rows);
    NLSH_TRY(nlsh__best_buckets(b->router, &b->space.queries, rows, count, b->job, best, error));
    size_t differ = 0;
    for (size_t i = 0; i < count; i++) differ += best[i] != b->bucket_of[rows[i]];
    *out = (double)differ / (double)count;
out:
    nlsh__free(rows);
    nlsh__free(best);
    return status;
}

/* Rows by bucket, ids ascending inside. */
static void order_rows(const struct nlsh__build *b, uint32_t *offsets, uint32_t *ids)
{
    size_t n = b->data.matrix.n_rows, m = b->options.n_buckets;
    memset(offsets, 0, (m + 1) * sizeof *offsets);
    for (size_t i = 0; i < n; i++) offsets[b->bucket_of[i] + 1]++;
    for (size_t j = 0; j < m; j++) offsets[j + 1] += offsets[j];
    for (size_t i = 0; i < n; i++) ids[offsets[b->bucket_of[i]]++] = (uint32_t)i;
    for (size_t j = m; j > 0; j--) offsets[j] = offsets[j - 1];
    offsets[0] = 0;
}

/* The recall of buckets alone up to which neighbours are looked for in leaves. */
#define LOOSEST 0.9995f

/* Leaves that auto keeps scan at most this share of the buckets' rows. */
#define WORTH_LEAVES 0.8

/* With leaves, the share of the rows of a query's buckets that is scanned, and the leaves themselves:
 * 14,300 of 32,400 and a 16th on SIFT-1M (nlsh search --recall 0.99, with and without). */
#define LEAVES_SCAN 0.5

/* Nanoseconds that a query's scan takes with codes of some bytes: a row's code, bias and error come
 * at 22 GB/s, a row that is ranked costs 20 and 25 GB/s. Measured with Fashion-MNIST (784 bytes a row:
 * 50 ns) and SIFT-1M (128: 25 to 33) on a Xeon with AVX-512; docs/algorithm.md has what comes of it. */
static double scan_nanoseconds(const struct nlsh__scan_cost *cost, size_t code_bytes,
                               size_t row_bytes)
{
    return cost->candidates * 0.045 * (double)(code_bytes + 5) +
           cost->ranked * (20 + 0.04 * (double)row_bytes);
}

/* The threshold that reaches a recall@k on held-out rows, or the nearest to it that was measured. */
static float threshold_for(const struct nlsh__calibration *c, size_t k, float recall)
{
    float threshold = 0;
    for (size_t t = 0; t < c->n; t++)
        for (size_t i = 0; c->k[t] == k && i < c->n_points[t] && c->table[t][i][0] < recall; i++)
            threshold = c->table[t][i][1];
    return threshold;
}

/* Codes of 4 bits for the first n_components components, and the measure of them. */
static enum nlsh_status make_codes_of(const struct nlsh__build *b, struct nlsh__encode *encode,
                                      size_t n_components, void **bytes, size_t *size,
                                      struct nlsh__scan_cost *cost, struct nlsh_error *error)
{
    encode->n_components = n_components;
    if (n_components > b->projection.n_components)
        encode->n_components = b->projection.n_components;
    /* Routed as for recall .99: looser routing scans fewer rows and needs no more of them. */
    float threshold = threshold_for(&b->calibration, 10, 0.99f);
    enum nlsh_status status = nlsh__encode_rows(encode, b->job, bytes, size, error);
    if (status == NLSH_OK)
        status = nlsh__measure_margins(encode, b->router, b->held_rows, b->n_held, threshold,
                                       b->job, *bytes, *size, cost, error);
    if (status == NLSH_OK) return status;
    nlsh__free(*bytes);
    *bytes = NULL;
    return status;
}

/* Where nobody said how long codes are to be, the quickest of a half, three quarters and all of the
 * router's components. */
static enum nlsh_status make_codes(struct nlsh__build *b, struct nlsh__encode *encode, void **bytes,
                                   size_t *size, struct nlsh_error *error)
{
    size_t row_bytes = b->data.matrix.dim * (b->data.matrix.type == NLSH_U8 ? 1 : sizeof(float));
    int choose = b->options.code_bytes == NLSH_AUTO;
    size_t whole = choose ? nlsh__whole_code(&b->options) : b->options.code_bytes, best = 0;
    double least = INFINITY;
    *bytes = NULL;
    if (whole == 0) return NLSH_OK;
    for (size_t quarters = choose ? 2 : 4; quarters <= 4; quarters++) {
        struct nlsh__scan_cost cost;
        size_t code_bytes = (whole * quarters + 3) / 4, one_size;
        void *one = NULL;
        if (code_bytes == best) continue;
        enum nlsh_status status =
            make_codes_of(b, encode, 2 * code_bytes, &one, &one_size, &cost, error);
        if (status != NLSH_OK) {
            nlsh__free(*bytes);
            *bytes = NULL;
            return status;
        }
        if (nlsh__in_leaves(&b->options, b->data.matrix.n_rows)) cost.candidates *= LEAVES_SCAN;
        double ns = scan_nanoseconds(&cost, code_bytes, row_bytes);
        if (choose)
            nlsh__job_note(b->job,
                           "codes of %zu bytes: a query scans %.0f of them and ranks %.0f vectors "
                           "exactly, in about %.1f us",
                           code_bytes, cost.candidates, cost.ranked, ns / 1000);
        if (ns >= least && *bytes != NULL) {
            nlsh__free(one);
            continue;
        }
        least = ns;
        best = code_bytes;
        nlsh__free(*bytes);
        *bytes = one;
        *size = one_size;
    }
    b->options.code_bytes = best;
    encode->n_components =
        2 * best < b->projection.n_components ? 2 * best : b->projection.n_components;
    return NLSH_OK;
}

/* The loosest routing that searches for k neighbours may use: 0 where it was not measured. */
static float loosest_for(const struct nlsh__calibration *c, size_t k)
{
    for (size_t t = 0; t < c->n; t++)
        if (c->k[t] == k && c->table[t][c->n_points[t] - 1][0] >= LOOSEST)
            return threshold_for(c, k, LOOSEST);
    return 0;
}

/* Behind the codes, whose components encode has. Where auto finds that leaves save nothing, none. */
static enum nlsh_status make_leaves(struct nlsh__build *b, const struct nlsh__encode *encode,
                                    const void *codes_bytes, size_t codes_size, void **bytes,
                                    size_t *size, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__calibration *c = &b->calibration;
    struct nlsh__codes *codes = NULL;
    const float thresholds[] = {loosest_for(c, 1), loosest_for(c, 10), loosest_for(c, 100)};
    double leaves;
    int keep = b->options.leaves != NLSH_AUTO;
    *bytes = NULL;
    NLSH_TRY(nlsh__codes_open(codes_bytes, codes_size, encode->bucket_offsets, encode->n_buckets,
                              nlsh__router_n_inputs(b->router), encode->base->dim, &codes, error));
    NLSH_TRY(nlsh__encode_leaves(encode, codes, b->job, bytes, size, error));
    NLSH_TRY(nlsh__measure_leaves(encode, codes, b->router, b->held_rows, b->n_held, &b->held_truth,
                                  thresholds, b->job, *bytes, *size, &leaves, error));
    double scanned = fmin(NLSH__GROUP * leaves, c->candidates_95);
    keep |= scanned < WORTH_LEAVES * c->candidates_95;
    nlsh__job_note(b->job, "leaves: for recall .95 a query scans about %.0f of %.0f codes%s",
                   scanned, c->candidates_95, keep ? "" : "; not kept");
    if (keep) {
        b->report.held_out_scanned = scanned;
    } else {
        nlsh__free(*bytes);
        *bytes = NULL;
    }
out:
    nlsh__codes_close(codes);
    return status;
}

/* *bytes [*size] is freed by the caller. */
static enum nlsh_status pack_targets(const struct nlsh__calibration *c, void **bytes, size_t *size,
                                     struct nlsh_error *error)
{
    struct nlsh__targets_header header = {.n = (uint32_t)c->n};
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        header.k[i] = c->k[i];
        header.n_points[i] = c->n_points[i];
        n += c->n_points[i];
    }
    *size = sizeof header + n * sizeof c->table[0][0];
    enum nlsh_status status = nlsh__alloc(bytes, *size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*bytes, &header, sizeof header);
    char *at = (char *)*bytes + sizeof header;
    for (size_t i = 0; i < c->n; i++) {
        memcpy(at, c->table[i], c->n_points[i] * sizeof c->table[0][0]);
        at += c->n_points[i] * sizeof c->table[0][0];
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__write_index(struct nlsh__build *b, const char *path,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *rows = &b->data.matrix;
    size_t n = rows->n_rows, m = b->options.n_buckets;
    size_t row_bytes = rows->dim * (rows->type == NLSH_U8 ? 1 : sizeof(float));
    uint32_t *offsets = NULL, *ids = NULL;
    uint8_t *vectors = NULL;
    char *settings = NULL;
    void *codes = NULL, *targets = NULL, *leaves = NULL;
    size_t codes_size = 0, targets_size = 0, leaves_size = 0;
    int in_leaves = nlsh__in_leaves(&b->options, n);
    struct nlsh__meta meta = {
        .n_rows = n,
        .data_hash = b->data.hash,
        .dim = (uint32_t)rows->dim,
        .n_buckets = (uint32_t)m,
        .source_type = b->data.source_type,
        .storage_type = rows->type,
    };
    struct nlsh__metric_meta metric = {
        .metric = (uint32_t)b->options.metric,
        .query_norm = b->space.query_norm,
    };
    int has_metric = metric.metric != NLSH_L2;
    if (has_metric) metric.stored_hash = nlsh_data_hash(rows);
    NLSH_TRY(nlsh__job_progress(b->job, "writing", 0, 0, error));
    NLSH_TRY(disagreement(b, &meta.disagreement, error));
    NLSH_TRY(nlsh__alloc(&offsets, m + 1, sizeof *offsets, error));
    NLSH_TRY(nlsh__alloc(&ids, n, sizeof *ids, error));
    NLSH_TRY(nlsh__alloc(&vectors, n, row_bytes, error));
    order_rows(b, offsets, ids);
    if (in_leaves)
        NLSH_TRY(nlsh__order_leaves(b->inputs, b->projection.n_components, offsets, m, b->job, ids,
                                    error));
    for (size_t i = 0; i < n; i++)
        memcpy(vectors + i * row_bytes, (const uint8_t *)rows->data + (size_t)ids[i] * row_bytes,
               row_bytes);
    struct nlsh__encode encode = {
        .base = &b->data.matrix,
        .inner = b->options.metric == NLSH_IP,
        .projection = &b->projection,
        .inputs = b->inputs,
        .query_inputs = b->query_inputs,
        .queries = &b->space.queries,
        .bucket_offsets = offsets,
        .n_buckets = b->options.n_buckets,
        .ids = ids,
    };
    NLSH_TRY(make_codes(b, &encode, &codes, &codes_size, error));
    b->report.held_out_scanned = b->report.held_out_candidates;
    if (in_leaves)
        NLSH_TRY(make_leaves(b, &encode, codes, codes_size, &leaves, &leaves_size, error));
    b->options.leaves = leaves != NULL;
    struct nlsh_build_options record = b->options;
    record.partitioner = b->report.partitioner;
    record.imbalance = nlsh__imbalance(&b->options, b->report.partitioner);
    settings = nlsh__settings_json(&record);
    NLSH_TRY(pack_targets(&b->calibration, &targets, &targets_size, error));
    if (settings == NULL) {
        status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
        goto out;
    }
    struct nlsh__section_data sections[10] = {
        {NLSH__SECTION_META, &meta, sizeof meta},
        {NLSH__SECTION_SETTINGS, settings, strlen(settings) + 1},
        {NLSH__SECTION_BUCKETS, offsets, (m + 1) * sizeof *offsets},
        {NLSH__SECTION_IDS, ids, n * sizeof *ids},
        {NLSH__SECTION_ROUTER, b->router_bytes, b->router_size},
        {NLSH__SECTION_TARGETS, targets, targets_size},
        {NLSH__SECTION_VECTORS, vectors, n * row_bytes},
    };
    size_t n_sections = 7;
    if (codes != NULL)
        sections[n_sections++] =
            (struct nlsh__section_data){NLSH__SECTION_CODES, codes, codes_size};
    if (leaves != NULL)
        sections[n_sections++] =
            (struct nlsh__section_data){NLSH__SECTION_LEAVES, leaves, leaves_size};
    if (has_metric)
        sections[n_sections++] =
            (struct nlsh__section_data){NLSH__SECTION_METRIC, &metric, sizeof metric};
    NLSH_TRY(nlsh__job_progress(b->job, "writing", 0, 0, error));
    NLSH_TRY(nlsh__index_write(path, sections, n_sections, error));
    /* The file stands: a stop asked for now comes too late. */
    (void)nlsh__job_progress(b->job, "writing", 1, 1, NULL);
out:
    nlsh__free(offsets);
    nlsh__free(ids);
    nlsh__free(vectors);
    nlsh__free(settings);
    nlsh__free(codes);
    nlsh__free(leaves);
    nlsh__free(targets);
    return status;
}
