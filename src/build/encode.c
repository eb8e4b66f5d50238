/* encode.c - see encode.h. */
#include "build/encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "index/codes.h"
#include "kernels/kernels.h"
#include "kernels/panel.h"
#include "kernels/select.h"

enum {
    MAX_QUERIES = 1000,
    MAX_RANK = 4096, /* ranks beyond count as this one */
    SAMPLE_VALUES = 1 << 20
};

/* ---- codes ----------------------------------------------------------------------------------- */

struct encode {
    const struct nlsh__encode *in;
    struct nlsh__codes_header *header;
    const uint32_t *group_offsets;
    int32_t *bias;
    uint8_t *values;
};

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Brings all but one value in 5,000 into the bytes' range. */
static enum nlsh_status choose_scale(const struct nlsh__encode *in, float *scale,
                                     struct nlsh_error *error)
{
    size_t p = in->projection->n_components, n = in->base->n_rows;
    size_t step = n * in->n_components / SAMPLE_VALUES + 1, count = 0;
    float *values;
    enum nlsh_status status =
        nlsh__alloc(&values, n / step + 1, in->n_components * sizeof(float), error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < n; i += step)
        for (size_t c = 0; c < in->n_components; c++)
            values[count++] = fabsf(in->inputs[i * p + c]);
    qsort(values, count, sizeof *values, by_value);
    float most = values[count - 1 - count / 5000];
    *scale = most > 0 ? 127.0f / most : 1;
    free(values);
    return NLSH_OK;
}

/* The row's squared length outside the code's components, in units of the code. */
static double residual(const struct nlsh__encode *in, size_t row, double unit)
{
    const struct nlsh_matrix *m = in->base;
    const struct nlsh__projection *p = in->projection;
    const float *z = in->inputs + row * p->n_components;
    double whole = 0, inside = 0;
    for (size_t d = 0; d < m->dim; d++) {
        float v = m->type == NLSH_U8 ? (float)((const uint8_t *)m->data)[row * m->dim + d]
                                     : ((const float *)m->data)[row * m->dim + d];
        v -= p->mean[d];
        whole += (double)v * (double)v;
    }
    for (size_t c = 0; c < in->n_components; c++) inside += (double)z[c] * (double)z[c];
    double outside = whole * (double)p->scale * (double)p->scale - inside;
    return outside > 0 ? outside * unit * unit : 0;
}

static void encode_bucket(void *ctx, size_t bucket, size_t worker)
{
    const struct encode *e = ctx;
    const struct nlsh__encode *in = e->in;
    size_t n_bytes = e->header->n_bytes, p = in->projection->n_components;
    size_t first = in->bucket_offsets[bucket], n = in->bucket_offsets[bucket + 1] - first;
    size_t lanes = (n + NLSH__GROUP - 1) / NLSH__GROUP * NLSH__GROUP;
    float scale = e->header->scale;
    (void)worker;
    for (size_t i = 0; i < lanes; i++) {
        size_t lane = e->group_offsets[bucket] * NLSH__GROUP + i;
        uint8_t *out =
            e->values + lane / NLSH__GROUP * n_bytes * NLSH__GROUP + lane % NLSH__GROUP * 4;
        e->bias[lane] = INT32_MAX;
        if (i >= n) continue;
        size_t row = in->ids[first + i];
        int64_t bias = 0;
        for (size_t c = 0; c < in->n_components; c++) {
            float v = roundf(in->inputs[row * p + c] * scale) + 128;
            uint8_t code = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            out[c / 4 * 64 + c % 4] = code;
            bias += (int64_t)code * ((int64_t)code - 256);
        }
        double outside = in->inner ? 0 : residual(in, row, (double)scale);
        bias += (int64_t)fmin(outside, 1e9);
        e->bias[lane] = in->inner ? 0 : (int32_t)bias;
    }
}

enum nlsh_status nlsh__encode_rows(const struct nlsh__encode *in, const struct nlsh__job *job,
                                   void **bytes, size_t *size, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct encode e = {.in = in};
    uint32_t *group_offsets = NULL;
    size_t n_groups = 0, n_bytes = (in->n_components + 3) / 4 * 4;
    *bytes = NULL;
    NLSH_TRY(nlsh__alloc(&group_offsets, in->n_buckets + 1, sizeof *group_offsets, error));
    for (size_t b = 0; b < in->n_buckets; b++) {
        group_offsets[b] = (uint32_t)n_groups;
        n_groups +=
            (in->bucket_offsets[b + 1] - in->bucket_offsets[b] + NLSH__GROUP - 1) / NLSH__GROUP;
    }
    *size = nlsh__codes_size(n_groups, n_bytes);
    NLSH_TRY(nlsh__calloc(bytes, *size > 0 ? *size : SIZE_MAX, 1, error));
    e.header = *bytes;
    memcpy(e.header->magic, NLSH__CODES_MAGIC, sizeof e.header->magic);
    e.header->size_bytes = *size;
    e.header->n_groups = (uint32_t)n_groups;
    e.header->n_bytes = (uint32_t)n_bytes;
    for (size_t i = 0; i < NLSH__RERANK_POINTS; i++)
        e.header->rerank_k[i] = e.header->rerank[i] = 1;
    NLSH_TRY(choose_scale(in, &e.header->scale, error));
    e.group_offsets = group_offsets;
    e.bias = (int32_t *)(void *)((uint8_t *)*bytes + sizeof *e.header);
    e.values = (uint8_t *)(e.bias + n_groups * NLSH__GROUP);
    nlsh__pool_run(job->pool, in->n_buckets, encode_bucket, &e);
out:
    free(group_offsets);
    if (status != NLSH_OK) {
        free(*bytes);
        *bytes = NULL;
    }
    return status;
}

/* ---- how many rows to rank ------------------------------------------------------------------- */

struct measure {
    const struct nlsh__encode *in;
    const struct nlsh__router *router;
    const struct nlsh__codes *codes;
    const uint32_t *rows;
    const struct nlsh_neighbors *neighbors;
    float threshold;
    uint64_t **keys;   /* [n_threads][n_rows, padded] */
    float **scratch;   /* [n_threads] */
    int8_t **codes_of; /* [n_threads][n_bytes] */
    uint32_t *ranks;   /* [n_queries x stride] of each true neighbour; 0: not scanned */
    size_t stride;     /* the largest k */
};

static int by_key(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Ranks, from 1, among the scanned rows of the query's true neighbours. */
static void measure_task(void *ctx, size_t query, size_t worker)
{
    const struct measure *c = ctx;
    const struct nlsh__codes *codes = c->codes;
    const uint32_t *offsets = c->in->bucket_offsets;
    size_t row = c->rows[query], m = c->in->n_buckets, n = 0, rank = 0;
    size_t p = c->in->projection->n_components, n_chunks = codes->header.n_bytes / 4;
    float *inputs = c->scratch[worker];
    float *probabilities = inputs + nlsh__router_input_size(c->router);
    float *work = probabilities + nlsh__router_output_size(c->router);
    uint64_t *keys = c->keys[worker];
    memcpy(inputs, c->in->query_inputs + row * p, p * sizeof *inputs);
    nlsh__router_forward(c->router, inputs, work, probabilities);
    nlsh__codes_query(codes, inputs, p, c->codes_of[worker]);
    for (size_t b = 0; b < m; b++)
        if (probabilities[b] > c->threshold) {
            size_t group = codes->group_offsets[b];
            n += nlsh__kernels()->scan_u8(codes->values + group * n_chunks * 64,
                                          codes->bias + group * NLSH__GROUP,
                                          codes->group_offsets[b + 1] - group, n_chunks,
                                          c->codes_of[worker], INT32_MAX, offsets[b], keys + n);
        }
    if (n > MAX_RANK) {
        nlsh__select_smallest(keys, n, MAX_RANK);
        n = MAX_RANK;
    }
    qsort(keys, n, sizeof *keys, by_key);
    const uint32_t *truth = c->neighbors->ids + row * c->neighbors->k;
    for (size_t i = 0; i < n; i++) {
        uint32_t id = c->in->ids[(uint32_t)keys[i]];
        if (id == row) continue;
        rank++;
        for (size_t j = 0; j < c->stride; j++)
            if (truth[j] == id) c->ranks[query * c->stride + j] = (uint32_t)rank;
    }
}

/* The least number of rows that keeps 99.8 % of what was scanned. */
static size_t enough(const struct measure *c, size_t n_queries, size_t k)
{
    size_t total = 0, counts[MAX_RANK + 1];
    memset(counts, 0, sizeof counts);
    for (size_t q = 0; q < n_queries; q++)
        for (size_t j = 0; j < k; j++) {
            uint32_t rank = c->ranks[q * c->stride + j];
            if (rank == 0) continue;
            counts[rank < MAX_RANK ? rank : MAX_RANK]++;
            total++;
        }
    size_t sum = 0, rank = 0;
    while (rank < MAX_RANK && (double)sum < 0.998 * (double)total) sum += counts[++rank];
    return rank > k ? rank : k;
}

enum nlsh_status nlsh__measure_rerank(const struct nlsh__encode *in,
                                      const struct nlsh__router *router, const uint32_t *rows,
                                      size_t n_rows, const struct nlsh_neighbors *neighbors,
                                      float threshold, const struct nlsh__job *job, void *bytes,
                                      size_t size, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_threads = nlsh__pool_n_threads(job->pool);
    size_t n_queries = n_rows < MAX_QUERIES ? n_rows : MAX_QUERIES;
    struct nlsh__codes *codes = NULL;
    struct measure c = {
        .in = in, .router = router, .rows = rows, .neighbors = neighbors, .threshold = threshold};
    size_t most = neighbors->k < 20 ? neighbors->k : 20;
    size_t ks[NLSH__RERANK_POINTS] = {1, most < 10 ? most : 10, most};
    c.stride = most;
    NLSH_TRY(nlsh__codes_open(bytes, size, in->bucket_offsets, in->n_buckets,
                              nlsh__router_n_inputs(router), &codes, error));
    c.codes = codes;
    size_t lanes = codes->header.n_groups * NLSH__GROUP + NLSH__GROUP;
    size_t floats = nlsh__router_input_size(router) + nlsh__router_output_size(router) +
                    nlsh__router_scratch_size(router);
    NLSH_TRY(nlsh__calloc(&c.keys, n_threads, sizeof *c.keys, error));
    NLSH_TRY(nlsh__calloc(&c.scratch, n_threads, sizeof *c.scratch, error));
    NLSH_TRY(nlsh__calloc(&c.codes_of, n_threads, sizeof *c.codes_of, error));
    for (size_t i = 0; i < n_threads; i++) {
        NLSH_TRY(nlsh__alloc(&c.keys[i], lanes, sizeof **c.keys, error));
        NLSH_TRY(nlsh__alloc(&c.scratch[i], floats, sizeof(float), error));
        NLSH_TRY(nlsh__alloc(&c.codes_of[i], codes->header.n_bytes, 1, error));
    }
    NLSH_TRY(nlsh__calloc(&c.ranks, n_queries * c.stride, sizeof *c.ranks, error));
    nlsh__pool_run(job->pool, n_queries, measure_task, &c);
    struct nlsh__codes_header *header = bytes;
    for (size_t i = 0; i < NLSH__RERANK_POINTS; i++) {
        size_t rerank = enough(&c, n_queries, ks[i]);
        header->rerank_k[i] = (uint32_t)ks[i];
        header->rerank[i] = (uint32_t)rerank;
        if (i > 0 && header->rerank[i] < header->rerank[i - 1])
            header->rerank[i] = header->rerank[i - 1];
    }
out:
    for (size_t i = 0; i < n_threads; i++) {
        if (c.keys != NULL) free(c.keys[i]);
        if (c.scratch != NULL) free(c.scratch[i]);
        if (c.codes_of != NULL) free(c.codes_of[i]);
    }
    free(c.keys);
    free(c.scratch);
    free(c.codes_of);
    free(c.ranks);
    nlsh__codes_close(codes);
    return status;
}
