/* sample_index.h - small index files to attack, with every section and a section of the future. */
#ifndef NLSH_TESTS_SAMPLE_INDEX_H
#define NLSH_TESTS_SAMPLE_INDEX_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "codes/leaves.h"
#include "index/layout.h"
#include "nlsh/learn.h"
#include "router/router.h"

#define SAMPLE_ROWS 37
#define SAMPLE_DIM 11
#define SAMPLE_BUCKETS 6
#define SAMPLE_TARGETS 5
#define SAMPLE_GROUPS 5 /* of 16 codes: 1 + 0 + 1 + 1 + 1 + 1 */
#define SAMPLE_LOSSES 5 /* of the margins of rows */
#define SAMPLE_SEGMENTS 3
#define SAMPLE_UNKNOWN 77 /* a section of the future */

struct sample {
    struct nlsh__meta meta;
    char settings[64];
    uint32_t buckets[SAMPLE_BUCKETS + 1];
    uint32_t rows[SAMPLE_ROWS];
    uint8_t bytes[SAMPLE_ROWS * SAMPLE_DIM];
    float floats[SAMPLE_ROWS * SAMPLE_DIM];
    uint8_t router[4096];
    size_t router_size;
    struct {
        struct nlsh__targets_header header;
        uint32_t tables[16]; /* (k, n_points) twice */
        float points[SAMPLE_TARGETS][2];
    } targets;
    uint8_t codes[1344];
    struct {
        struct nlsh__margins_header header;
        uint32_t k[16];
        float loss[16], margin[16];
        uint32_t leaf_k[16];
        float leaf_loss[16], leaf_margin[16];
    } margins;
    uint8_t future[33];
    struct nlsh__metric_meta metric;
    /* Of several segments: */
    uint8_t leaves[832];
    struct nlsh__segment_meta segments[SAMPLE_SEGMENTS];
    uint64_t keys[SAMPLE_SEGMENTS][SAMPLE_ROWS], tombstones[1];
    struct nlsh__section_data sections[40];
    size_t n_sections;
};

/* One layer on the shifted input; one behind two principal components where projected, and then the
 * buckets in two groups. */
static inline void sample_router(struct sample *s, uint32_t dim, uint32_t n_buckets, int projected)
{
    struct nlsh__router_header header = {.magic = {'N', 'L', 'S', 'H', 'R', 'T', '0', '1'},
                                         .dim = dim,
                                         .projected = (uint32_t)projected,
                                         .n_layers = 1,
                                         .scale = 0.25f,
                                         .sizes = {projected ? 2 : dim, n_buckets},
                                         .n_groups = projected ? 2 : 0,
                                         .n_outputs = projected ? 48 : 0};
    const uint32_t groups[] = {0, n_buckets / 3, n_buckets};
    struct nlsh__router_layout layout;
    if (nlsh__router_layout(&header, &layout) != 0 || layout.size > sizeof s->router) abort();
    s->router_size = header.size_bytes = layout.size;
    memset(s->router, 0, sizeof s->router);
    memcpy(s->router, &header, sizeof header);
    for (size_t i = 0; i < layout.size - sizeof header; i += sizeof(float)) {
        const float weight = (float)(i * 37 % 101) / 101.0f - 0.5f;
        memcpy(s->router + sizeof header + i, &weight, sizeof weight);
    }
    if (projected) memcpy(s->router + layout.groups, groups, sizeof groups);
}

/* nlsh_data_hash() of the base whose rows the sample holds in another order. */
static inline void sample_hash(struct sample *s)
{
    static union {
        uint8_t bytes[SAMPLE_ROWS * SAMPLE_DIM];
        float floats[SAMPLE_ROWS * SAMPLE_DIM];
    } base;
    for (size_t r = 0; r < SAMPLE_ROWS; r++)
        for (size_t d = 0; d < SAMPLE_DIM; d++) {
            size_t from = r * SAMPLE_DIM + d, to = s->rows[r] * (size_t)SAMPLE_DIM + d;
            if (s->meta.source_type == NLSH_F32)
                base.floats[to] = s->floats[from];
            else
                base.bytes[to] =
                    (uint8_t)(s->bytes[from] - (s->meta.source_type == NLSH_I8 ? 128 : 0));
        }
    const struct nlsh_matrix matrix = {&base, SAMPLE_ROWS, SAMPLE_DIM,
                                       (enum nlsh_type)s->meta.source_type, 0};
    s->meta.data_hash = nlsh_data_hash(&matrix);
}

/* Codes of 4 bytes a row: 8 components, be there so many or not. */
static inline void sample_codes(struct sample *s)
{
    struct nlsh__codes_layout layout;
    if (nlsh__codes_layout(SAMPLE_DIM, SAMPLE_BUCKETS, SAMPLE_GROUPS, 8, &layout) != 0 ||
        layout.size != sizeof s->codes)
        abort();
    struct nlsh__codes_header header = {.magic = {'N', 'L', 'S', 'H', 'C', 'D', '0', '2'},
                                        .size_bytes = sizeof s->codes,
                                        .n_groups = SAMPLE_GROUPS,
                                        .n_components = 8,
                                        .scale = 0.25f,
                                        .error_unit = 0.01f,
                                        .outside_weight = 1};
    memcpy(s->codes, &header, sizeof header);
    for (size_t i = sizeof header; i < layout.errors; i += sizeof(float)) {
        const float number = (float)(i * 37 % 101) / 101.0f;
        memcpy(s->codes + i, &number, sizeof number);
    }
    size_t lane = 0;
    for (size_t b = 0; b < SAMPLE_BUCKETS; b++) {
        size_t n = s->buckets[b + 1] - s->buckets[b];
        for (size_t i = 0; i < (n + 15) / 16 * 16; i++, lane++) {
            const float bias = i < n ? (float)(i * 7) : INFINITY;
            memcpy(s->codes + layout.bias + lane * sizeof bias, &bias, sizeof bias);
            s->codes[layout.errors + lane] = (uint8_t)(lane * 11);
        }
    }
    for (size_t i = layout.values; i < sizeof s->codes; i++) s->codes[i] = (uint8_t)(i * 29);
}

static inline void sample_margins(struct sample *s)
{
    static const uint32_t k[] = {1, 10, 100};
    static const float loss[] = {.0005f, .001f, .002f, .005f, .01f};
    s->margins.header = (struct nlsh__margins_header){.n_row_ks = 3,
                                                      .n_row_losses = SAMPLE_LOSSES,
                                                      .n_leaf_ks = 2,
                                                      .n_leaf_losses = 3,
                                                      .leaf_slope = 0.5f};
    memcpy(s->margins.k, k, sizeof k);
    memcpy(s->margins.loss, loss, sizeof loss);
    memcpy(s->margins.leaf_k, k, 2 * sizeof *k);
    memcpy(s->margins.leaf_loss, loss, 3 * sizeof *loss);
    for (size_t i = 0; i < 15; i++) s->margins.margin[i] = (float)(20 - i);
    for (size_t i = 0; i < 6; i++) s->margins.leaf_margin[i] = (float)i - 2;
}

/* source U8, I8 or F32. */
static inline void sample_make(struct sample *s, enum nlsh_type source)
{
    static const uint32_t buckets[] = {0, 5, 5, 6, 20, 30, SAMPLE_ROWS}; /* sizes 5 0 1 14 10 7 */
    static const float points[SAMPLE_TARGETS][2] = {
        {.5f, .25f}, {.8f, .125f}, {.95f, .0625f}, {.9f, .05f}, {.99f, .001f}};
    static const uint32_t tables[] = {1, 3, 10, SAMPLE_TARGETS - 3};
    memset(s, 0, sizeof *s);
    s->meta = (struct nlsh__meta){.n_rows = SAMPLE_ROWS,
                                  .dim = SAMPLE_DIM,
                                  .n_buckets = SAMPLE_BUCKETS,
                                  .source_type = source,
                                  .storage_type = source == NLSH_F32 ? NLSH_F32 : NLSH_U8,
                                  .disagreement = 0.125,
                                  .n_segments = 1};
    strcpy(s->settings, "{\"m\": 6, \"who\": \"\xc3\xa9t\xc3\xa9\"}");
    memcpy(s->buckets, buckets, sizeof buckets);
    s->targets.header.n = 2;
    memcpy(s->targets.tables, tables, sizeof tables);
    memcpy(s->targets.points, points, sizeof points);
    for (uint32_t i = 0; i < SAMPLE_ROWS; i++) s->rows[i] = i * 8 % SAMPLE_ROWS; /* 37 is prime */
    for (size_t i = 0; i < sizeof s->bytes; i++) {
        s->bytes[i] = (uint8_t)(i * 41 >> 2);
        s->floats[i] = (float)i * 0.375f - 60.0f;
    }
    sample_router(s, SAMPLE_DIM, SAMPLE_BUCKETS, source == NLSH_F32);
    sample_codes(s);
    sample_margins(s);
    sample_hash(s);
    memset(s->future, 0x5a, sizeof s->future);
    int f32 = source == NLSH_F32;
    const struct nlsh__section_data sections[] = {
        {NLSH__SECTION_META, 0, &s->meta, sizeof s->meta},
        {NLSH__SECTION_SETTINGS, 0, s->settings, strlen(s->settings) + 1},
        {NLSH__SECTION_BUCKETS, 0, s->buckets, sizeof s->buckets},
        {NLSH__SECTION_ROWS, 0, s->rows, sizeof s->rows},
        {NLSH__SECTION_VECTORS, 0, f32 ? (const void *)s->floats : s->bytes,
         f32 ? sizeof s->floats : sizeof s->bytes},
        {NLSH__SECTION_ROUTER, 0, s->router, s->router_size},
        {NLSH__SECTION_TARGETS, 0, &s->targets, sizeof s->targets},
        {(enum nlsh__section_kind)SAMPLE_UNKNOWN, 0, s->future, sizeof s->future},
        {NLSH__SECTION_CODES, 0, s->codes, sizeof s->codes},
        {NLSH__SECTION_MARGINS, 0, &s->margins, sizeof s->margins},
    };
    memcpy(s->sections, sections, sizeof sections);
    s->n_sections = sizeof sections / sizeof sections[0];
}

/* The F32 sample, as an index of another metric. */
static inline void sample_make_metric(struct sample *s, enum nlsh_metric metric)
{
    sample_make(s, NLSH_F32);
    s->metric = (struct nlsh__metric_meta){
        .metric = metric, .query_norm = 2.5f, .stored_hash = s->meta.data_hash};
    s->meta.data_hash++; /* that of the caller's vectors: not seen again */
    s->sections[s->n_sections++] =
        (struct nlsh__section_data){NLSH__SECTION_METRIC, 0, &s->metric, sizeof s->metric};
}

/* The same with its rows as bytes and a scale. */
static inline void sample_make_scaled(struct sample *s, enum nlsh_metric metric)
{
    const float scale = 0.75f;
    sample_make_metric(s, metric);
    s->meta.storage_type = NLSH_I8;
    s->meta.scale = scale;
    for (size_t i = 0; i < sizeof s->bytes; i++) {
        s->bytes[i] = (uint8_t)nlsh__to_scaled(s->floats[i], scale);
        s->floats[i] = nlsh__from_scaled((int8_t)s->bytes[i], scale);
    }
    sample_hash(s);
    s->metric.stored_hash = s->meta.data_hash++;
    s->sections[4].data = s->bytes;
    s->sections[4].size = sizeof s->bytes;
}

/* A leaf for each group of codes. */
static inline void sample_leaves(struct sample *s)
{
    struct nlsh__leaves_layout layout;
    if (nlsh__leaves_layout(SAMPLE_GROUPS, 8, &layout) != 0 || layout.size != sizeof s->leaves)
        abort();
    const struct nlsh__leaves_header header = {.magic = {'N', 'L', 'S', 'H', 'L', 'V', '0', '1'},
                                               .size_bytes = sizeof s->leaves,
                                               .n_groups = SAMPLE_GROUPS,
                                               .n_components = 8,
                                               .error_unit = 0.02f};
    memcpy(s->leaves, &header, sizeof header);
    for (size_t i = layout.errors; i < sizeof s->leaves; i++) s->leaves[i] = (uint8_t)(i * 23);
    for (size_t lane = 0; lane < 16 * SAMPLE_GROUPS; lane++) {
        const float bias = lane % 16 == 0 ? (float)lane : INFINITY;
        memcpy(s->leaves + layout.bias + lane * sizeof bias, &bias, sizeof bias);
    }
}

static inline void sample_add(struct sample *s, enum nlsh__section_kind kind, uint32_t segment,
                              const void *data, size_t size)
{
    s->sections[s->n_sections++] = (struct nlsh__section_data){kind, segment, data, size};
}

/* The sample's rows three times: with row numbers and some of them deleted, with keys and leaves, with keys
 * alone and no codes. */
static inline void sample_make_segments(struct sample *s, enum nlsh_type source)
{
    sample_make(s, source);
    sample_leaves(s);
    s->meta.n_segments = SAMPLE_SEGMENTS;
    s->meta.n_rows = SAMPLE_SEGMENTS * SAMPLE_ROWS;
    s->tombstones[0] = 0x1200000401;
    const struct nlsh__section_data vectors = s->sections[4];
    for (uint32_t i = 0; i < SAMPLE_SEGMENTS; i++) {
        s->segments[i] =
            (struct nlsh__segment_meta){.n_rows = SAMPLE_ROWS, .data_hash = s->meta.data_hash};
        for (size_t row = 0; row < SAMPLE_ROWS; row++)
            s->keys[i][row] = UINT64_MAX - 1 - 1000 * i - row;
        sample_add(s, NLSH__SECTION_SEGMENT, i, &s->segments[i], sizeof s->segments[i]);
        if (i == 0) {
            sample_add(s, NLSH__SECTION_TOMBSTONES, i, s->tombstones, sizeof s->tombstones);
            continue;
        }
        sample_add(s, NLSH__SECTION_BUCKETS, i, s->buckets, sizeof s->buckets);
        sample_add(s, NLSH__SECTION_ROWS, i, s->rows, sizeof s->rows);
        sample_add(s, NLSH__SECTION_VECTORS, i, vectors.data, vectors.size);
        sample_add(s, NLSH__SECTION_KEYS, i, s->keys[i], sizeof s->keys[i]);
        if (i > 1) continue;
        sample_add(s, NLSH__SECTION_CODES, i, s->codes, sizeof s->codes);
        sample_add(s, NLSH__SECTION_LEAVES, i, s->leaves, sizeof s->leaves);
    }
}

/* Makes header and sections agree with their checksums again, as a hostile writer would: sections
 * that do not lie in the file are left alone. */
static inline void sample_seal(uint8_t *file, size_t size)
{
    struct nlsh__index_header header;
    if (size < sizeof header) return;
    memcpy(&header, file, sizeof header);
    struct nlsh__index_entry *entries = (void *)(file + sizeof header);
    if (header.n_sections > (size - sizeof header) / sizeof *entries) return;
    for (size_t i = 0; i < header.n_sections; i++) {
        struct nlsh__index_entry entry;
        memcpy(&entry, &entries[i], sizeof entry);
        if (entry.offset > size || entry.size > size - entry.offset) continue;
        entry.checksum = nlsh__hash_of(file + entry.offset, (size_t)entry.size);
        memcpy(&entries[i], &entry, sizeof entry);
    }
    header.checksum = nlsh__index_checksum(&header, entries);
    memcpy(file, &header, sizeof header);
}

/* A copy that ends where the memory ends, so that a sanitizer sees a read past it; its alignment is
 * a map's. Freed with free(). */
static inline struct nlsh__map sample_copy(const uint8_t *bytes, size_t size)
{
    void *copy = NULL;
    if (size == 0) return (struct nlsh__map){NULL, 0};
    if (posix_memalign(&copy, 64, size) != 0) abort();
    memcpy(copy, bytes, size);
    return (struct nlsh__map){copy, size};
}

/* Searches each way: by number of buckets, by threshold, by recall; whatever the weights and the
 * vectors are by now, it answers, and with stored ids. */
static inline uint64_t sample_search(const struct nlsh_index *index)
{
    static const double probes[] = {2, 0.05, 0};
    struct nlsh_search_options options;
    struct nlsh_searcher *searcher;
    uint64_t sum = 0;
    float *query;
    if (index->meta.dim > 1 << 20 || nlsh__router_scratch_size(index->router) > (size_t)1 << 22)
        return 0; /* lawful, but slow */
    if (nlsh__calloc(&query, index->meta.dim, sizeof *query, NULL) != NLSH_OK) abort();
    for (size_t d = 0; d < index->meta.dim; d++) query[d] = (float)(d % 7);
    const struct nlsh_matrix queries = {query, 1, index->meta.dim, NLSH_F32, 0};
    nlsh_search_options_init(&options, sizeof options);
    options.k = 5;
    if (nlsh_searcher_create(index, &searcher, NULL) != NLSH_OK) abort();
    for (int i = 0; i < 3; i++) {
        uint64_t keys[5];
        float distances[5];
        struct nlsh_error error;
        options.probes = probes[i];
        if (nlsh_search(searcher, &queries, &options, keys, distances, NULL, &error) != NLSH_OK)
            abort();
        sum += keys[0];
    }
    nlsh_searcher_free(searcher);
    nlsh__free(query);
    return sum;
}

/* Touches everything that an open segment promises. */
static inline uint64_t sample_use_segment(const struct nlsh_index *index, size_t i)
{
    struct nlsh_segment segment = {.struct_size = sizeof segment};
    if (!nlsh_index_segment(index, i, &segment)) abort();
    const struct nlsh__segment *s = &index->segments[i];
    const uint8_t *vectors = s->vectors;
    size_t row = nlsh__index_row_bytes(index);
    uint64_t sum = 0;
    for (size_t b = 0; b < index->meta.n_buckets; b++)
        for (size_t r = segment.bucket_offsets[b]; r < segment.bucket_offsets[b + 1]; r++) {
            sum += segment.rows[r] + (segment.keys != NULL ? segment.keys[segment.rows[r]] : 0);
            for (size_t j = 0; j < row; j++) sum += vectors[r * row + j];
        }
    if (s->codes == NULL) return sum;
    const struct nlsh__grouped *g = &s->codes->rows;
    for (size_t j = 0; j < g->n_groups * 16; j++) sum += g->errors[j] + (g->bias[j] > 0);
    for (size_t j = 0; j < g->n_groups * g->n_chunks * 64; j++) sum += g->values[j];
    return sum;
}

static inline uint64_t sample_use_margins(const struct nlsh__margins *m)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < m->n_ks; i++) sum += m->k[i];
    for (size_t i = 0; i < m->n_losses; i++) sum += m->loss[i] > 0.1f;
    for (size_t i = 0; i < m->n_ks * m->n_losses; i++) sum += m->margin[i] > 1;
    return sum;
}

/* Touches everything that an open index promises; a crash is the failure. */
static inline uint64_t sample_use(const struct nlsh_index *index)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_section_info section = {.struct_size = sizeof section};
    if (nlsh_index_info(index, &info, NULL) != NLSH_OK) abort();
    uint64_t sum = strlen(info.settings) + info.bucket_min + info.bucket_max + info.router_weights;
    for (size_t i = 0; nlsh_index_section(index, i, &section); i++)
        sum += strlen(section.name) + section.offset + section.size_bytes;
    for (size_t i = 0; i < info.n_segments; i++) sum += sample_use_segment(index, i);
    for (size_t t = 0; t < index->targets.n; t++)
        for (size_t i = 0; i < index->targets.tables[t].n_points; i++)
            sum += index->targets.tables[t].points[i][0] > 0.7f;
    for (size_t t = 0; t < index->efforts.n; t++)
        for (size_t i = 0; i < index->efforts.tables[t].n_points; i++)
            sum += index->efforts.tables[t].points[i].recall > 0.7f;
    for (size_t i = 0; i < index->outside.n; i++) sum += index->outside.points[i].outside > 0.1f;
    sum += sample_use_margins(&index->row_margins) + sample_use_margins(&index->leaf_margins);
    return sum + sample_search(index);
}

#endif
