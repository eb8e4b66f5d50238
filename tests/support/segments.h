/*
 * segments.h - an index of one segment cut into several: the same rows, buckets, router and codes, so that it
 * must find the same. Segments hold rows one behind the other, so row numbers stay what they were.
 */
#ifndef NLSH_TESTS_SEGMENTS_H
#define NLSH_TESTS_SEGMENTS_H

#include "support/built.h"

#include "index/layout.h"

enum { MOST_SEGMENTS = 3, MOST_SECTIONS = 64, MOST_OWNED = 64 };

struct segmented {
    struct nlsh__meta meta;
    struct nlsh__segment_meta of[MOST_SEGMENTS];
    size_t first[MOST_SEGMENTS + 1]; /* rows of the segments */
    struct nlsh__section_data sections[MOST_SECTIONS];
    size_t n_sections;
    void *owned[MOST_OWNED];
    size_t n_owned;
};

static inline void *segmented_alloc(struct segmented *s, size_t size)
{
    assert_true(s->n_owned < MOST_OWNED);
    void *memory = calloc(size + 1, 1);
    assert_non_null(memory);
    return s->owned[s->n_owned++] = memory;
}

static inline void segmented_free(struct segmented *s)
{
    for (size_t i = 0; i < s->n_owned; i++) free(s->owned[i]);
    s->n_owned = 0;
}

static inline void segmented_add(struct segmented *s, enum nlsh__section_kind kind, size_t segment,
                                 const void *data, size_t size)
{
    assert_true(s->n_sections < MOST_SECTIONS);
    s->sections[s->n_sections++] = (struct nlsh__section_data){kind, (uint32_t)segment, data, size};
}

static inline struct nlsh__section_data *
segmented_find(struct segmented *s, enum nlsh__section_kind kind, size_t segment)
{
    for (size_t i = 0; i < s->n_sections; i++)
        if (s->sections[i].kind == kind && s->sections[i].segment == segment)
            return &s->sections[i];
    fail_msg("no section %s of segment %zu", nlsh__section_name((unsigned)kind), segment);
    return NULL;
}

static inline void segmented_drop(struct segmented *s, enum nlsh__section_kind kind, size_t segment)
{
    struct nlsh__section_data *at = segmented_find(s, kind, segment);
    size_t behind = (size_t)(s->sections + --s->n_sections - at);
    memmove(at, at + 1, behind * sizeof *at);
}

/* The codes of the whole that belong to a segment's rows; from [n] says from which place each comes. */
static inline void segmented_codes(struct segmented *s, const struct nlsh_index *whole,
                                   size_t segment, const uint32_t *offsets, const uint32_t *from)
{
    const struct nlsh__segment *all = &whole->segments[0];
    const struct nlsh__codes *codes = all->codes;
    size_t m = whole->meta.n_buckets, dim = whole->meta.dim, n_chunks = codes->rows.n_chunks;
    struct nlsh__codes_layout layout;
    uint32_t *groups = segmented_alloc(s, (m + 1) * sizeof *groups);
    size_t n_groups = nlsh__group_offsets(offsets, m, groups);
    assert_int_equal(nlsh__codes_layout(dim, m, n_groups, codes->n_components, &layout), 0);
    uint8_t *bytes = segmented_alloc(s, layout.size);
    struct nlsh__codes_header header = {.size_bytes = layout.size,
                                        .n_groups = (uint32_t)n_groups,
                                        .n_components = (uint32_t)codes->n_components,
                                        .scale = codes->scale,
                                        .error_unit = codes->error_unit,
                                        .outside_weight = codes->outside_weight};
    memcpy(header.magic, NLSH__CODES_MAGIC, sizeof header.magic);
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + layout.mean, codes->mean, dim * sizeof(float));
    memcpy(bytes + layout.steps, codes->steps, codes->stride * sizeof(float));
    memcpy(bytes + layout.centroids, codes->centroids, m * codes->stride * sizeof(float));
    float *bias = (float *)(void *)(bytes + layout.bias);
    for (size_t i = 0; i < 16 * n_groups; i++) bias[i] = INFINITY;
    for (size_t b = 0; b < m; b++)
        for (size_t place = offsets[b]; place < offsets[b + 1]; place++) {
            size_t lane = 16 * groups[b] + place - offsets[b];
            size_t old = 16 * codes->group_offsets[b] + from[place] - all->bucket_offsets[b];
            bias[lane] = codes->rows.bias[old];
            bytes[layout.errors + lane] = codes->rows.errors[old];
            for (size_t c = 0; c < n_chunks; c++)
                memcpy(bytes + layout.values + (lane / 16 * n_chunks + c) * 64 + lane % 16 * 4,
                       codes->rows.values + (old / 16 * n_chunks + c) * 64 + old % 16 * 4, 4);
        }
    segmented_add(s, NLSH__SECTION_CODES, segment, bytes, layout.size);
}

/* Rows first to end - 1 of the whole as a segment; base: what the index was built of. */
static inline void segmented_segment(struct segmented *s, const struct nlsh_index *whole,
                                     const struct nlsh_matrix *base, size_t segment, int has_codes)
{
    const struct nlsh__segment *all = &whole->segments[0];
    size_t first = s->first[segment], n = s->first[segment + 1] - first;
    size_t m = whole->meta.n_buckets, row_bytes = nlsh__index_row_bytes(whole);
    uint32_t *offsets = segmented_alloc(s, (m + 1) * sizeof *offsets);
    uint32_t *rows = segmented_alloc(s, n * sizeof *rows), *from = segmented_alloc(s, n * 4);
    uint8_t *vectors = segmented_alloc(s, n * row_bytes);
    size_t to = 0;
    for (size_t b = 0; b < m; b++) {
        for (size_t p = all->bucket_offsets[b]; p < all->bucket_offsets[b + 1]; p++) {
            if (all->rows[p] < first || all->rows[p] >= first + n) continue;
            rows[to] = all->rows[p] - (uint32_t)first;
            from[to] = (uint32_t)p;
            memcpy(vectors + to++ * row_bytes, (const uint8_t *)all->vectors + p * row_bytes,
                   row_bytes);
        }
        offsets[b + 1] = (uint32_t)to;
    }
    size_t value = base->type == NLSH_F32 ? sizeof(float) : 1;
    const struct nlsh_matrix part = {(const uint8_t *)base->data + first * base->dim * value, n,
                                     base->dim, base->type, 0};
    s->of[segment] = (struct nlsh__segment_meta){.n_rows = n, .data_hash = nlsh_data_hash(&part)};
    segmented_add(s, NLSH__SECTION_SEGMENT, segment, &s->of[segment], sizeof s->of[segment]);
    segmented_add(s, NLSH__SECTION_BUCKETS, segment, offsets, (m + 1) * sizeof *offsets);
    segmented_add(s, NLSH__SECTION_ROWS, segment, rows, n * sizeof *rows);
    segmented_add(s, NLSH__SECTION_VECTORS, segment, vectors, n * row_bytes);
    if (has_codes) segmented_codes(s, whole, segment, offsets, from);
}

/* whole: of L2. Segments n, of n_rows rows each [n]; has_codes: a bit for each. */
static inline void segmented_cut(struct segmented *s, const struct nlsh_index *whole,
                                 const struct nlsh_matrix *base, size_t n, const size_t *n_rows,
                                 unsigned has_codes)
{
    struct nlsh_section_info section = {.struct_size = sizeof section};
    *s = (struct segmented){.meta = whole->meta};
    s->meta.n_segments = (uint32_t)n;
    segmented_add(s, NLSH__SECTION_META, 0, &s->meta, sizeof s->meta);
    for (size_t i = 0; nlsh_index_section(whole, i, &section); i++) {
        const struct nlsh__index_entry *entry =
            (const void *)(whole->map.data + sizeof(struct nlsh__index_header) + i * 32);
        if (entry->kind != NLSH__SECTION_META && !nlsh__known_sections[entry->kind].of_segment)
            segmented_add(s, (enum nlsh__section_kind)entry->kind, 0,
                          whole->map.data + entry->offset, (size_t)entry->size);
    }
    for (size_t i = 0; i < n; i++) s->first[i + 1] = s->first[i] + n_rows[i];
    assert_int_equal(s->first[n], base->n_rows);
    for (size_t i = 0; i < n; i++) segmented_segment(s, whole, base, i, has_codes >> i & 1);
    s->meta.data_hash = s->of[0].data_hash;
}

/* Every row's score is within so many errors: each is ranked. */
static inline void segmented_wide_margins(struct segmented *s, float margin)
{
    struct {
        struct nlsh__margins_header header;
        uint32_t k[16];
        float loss[16], margin[16];
    } *m = segmented_alloc(s, sizeof *m);
    m->header.n_row_ks = m->header.n_row_losses = 1;
    m->k[0] = 1;
    m->loss[0] = 0.01f;
    m->margin[0] = margin;
    segmented_drop(s, NLSH__SECTION_MARGINS, 0);
    segmented_add(s, NLSH__SECTION_MARGINS, 0, m, sizeof *m);
}

static inline uint64_t *segmented_tombstones(struct segmented *s, size_t segment)
{
    size_t n = s->first[segment + 1] - s->first[segment], size = (n + 63) / 64 * 8;
    uint64_t *bits = segmented_alloc(s, size);
    segmented_add(s, NLSH__SECTION_TOMBSTONES, segment, bits, size);
    return bits;
}

static inline uint64_t *segmented_keys(struct segmented *s, size_t segment)
{
    size_t n = s->first[segment + 1] - s->first[segment];
    uint64_t *keys = segmented_alloc(s, n * sizeof *keys);
    segmented_add(s, NLSH__SECTION_KEYS, segment, keys, n * sizeof *keys);
    return keys;
}

#endif
