/* cut.c - see cut.h. docs/index-format.md has the sections. */
#include "shards/cut.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "codes/leaves.h"
#include "index/layout.h"
#include "kernels/panel.h"
#include "live/open.h"
#include "shards/spread.h"

enum { MOST_SECTIONS = 32 };

/* A shard on its way into a file. */
struct cut {
    const struct nlsh_index *index;
    const uint32_t *owners;
    uint32_t number, n;
    size_t n_rows, n_groups, n_leaf_groups; /* of this shard */
    uint32_t *offsets;                      /* [m + 1] */
    uint32_t *rows;                         /* [n_rows] by place: the shard's rows */
    uint32_t *place_of;                     /* [n_rows] the other way round */
    uint8_t *shard;                         /* the section */
    uint32_t *rows_of_whole;                /* [n_rows] in it */
    uint8_t *vectors, *codes, *leaves;
    size_t shard_size, codes_size, leaves_size;
    uint64_t *keys;
    struct nlsh__meta meta;
    struct nlsh__metric_meta metric;
    struct nlsh__segment_meta segment;
    struct nlsh__section_data sections[MOST_SECTIONS];
    size_t n_sections;
};

static void cut_free(struct cut *c)
{
    void *all[] = {c->offsets, c->rows,  c->place_of, c->shard,
                   c->vectors, c->codes, c->leaves,   c->keys};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) nlsh__free(all[i]);
}

enum nlsh_status nlsh__shard_check(const struct nlsh_index *index, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__index_table table;
    NLSH_TRY(nlsh__whole_check(index, "nlsh shard", error));
    if (index->n_segments != 1 || index->n_deleted > 0 || index->log_now.rows > 0)
        return nlsh__fail(
            error, NLSH_E_UNSUPPORTED, "run `nlsh compact` on it first",
            "%s has a log, deleted vectors or several segments: shards are cut of one",
            index->path);
    NLSH_TRY(nlsh__index_read_table(index->path, &index->map, &table, error));
    NLSH_TRY(nlsh__index_check_current(index->path, &table, error));
out:
    return status;
}

static int is_own(const struct cut *c, size_t bucket)
{
    return c->owners[bucket] == c->number;
}

/* ---- which rows -------------------------------------------------------------------------------- */

static enum nlsh_status count_rows(struct cut *c, struct nlsh_error *error)
{
    size_t m = c->index->meta.n_buckets;
    const uint32_t *from = c->index->segments[0].bucket_offsets;
    enum nlsh_status status = nlsh__calloc(&c->offsets, m + 1, sizeof *c->offsets, error);
    if (status != NLSH_OK) return status;
    for (size_t b = 0; b < m; b++) {
        uint32_t size = is_own(c, b) ? from[b + 1] - from[b] : 0;
        c->offsets[b + 1] = c->offsets[b] + size;
    }
    c->n_rows = c->offsets[m];
    return NLSH_OK;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

enum nlsh_status nlsh__shard_section(const struct nlsh__shard_header *header, const uint32_t *sizes,
                                     const uint32_t *owners, size_t m, const uint32_t *rows,
                                     size_t n, uint8_t **out, size_t *size, uint32_t *numbers,
                                     struct nlsh_error *error)
{
    size_t table = m * sizeof *sizes;
    *size = sizeof *header + 2 * table + n * sizeof *rows;
    enum nlsh_status status = nlsh__alloc(out, *size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*out, header, sizeof *header);
    memcpy(*out + sizeof *header, sizes, table);
    memcpy(*out + sizeof *header + table, owners, table);
    uint32_t *of_whole = (uint32_t *)(void *)(*out + sizeof *header + 2 * table);
    memcpy(of_whole, rows, n * sizeof *rows);
    qsort(of_whole, n, sizeof *of_whole, ascending);
    for (size_t i = 0; i < n; i++) {
        const uint32_t *at = bsearch(&rows[i], of_whole, n, sizeof *at, ascending);
        numbers[i] = (uint32_t)(at - of_whole);
    }
    return NLSH_OK;
}

static enum nlsh_status make_shard_section(struct cut *c, uint64_t set, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = c->index->meta.n_buckets, place = 0;
    const struct nlsh__segment *s = &c->index->segments[0];
    const struct nlsh__shard_header header = {.number = c->number,
                                              .n = c->n,
                                              .n_rows = s->n_rows,
                                              .data_hash = c->index->meta.data_hash,
                                              .set = set};
    uint32_t *sizes = NULL, *rows = NULL;
    NLSH_TRY(nlsh__alloc(&sizes, m, sizeof *sizes, error));
    NLSH_TRY(nlsh__alloc(&rows, c->n_rows, sizeof *rows, error));
    NLSH_TRY(nlsh__alloc(&c->rows, c->n_rows, sizeof *c->rows, error));
    NLSH_TRY(nlsh__alloc(&c->place_of, c->n_rows, sizeof *c->place_of, error));
    for (size_t b = 0; b < m; b++) {
        sizes[b] = s->bucket_offsets[b + 1] - s->bucket_offsets[b];
        for (size_t i = 0; i < sizes[b] && is_own(c, b); i++)
            rows[place++] = s->rows[s->bucket_offsets[b] + i];
    }
    NLSH_TRY(nlsh__shard_section(&header, sizes, c->owners, m, rows, c->n_rows, &c->shard,
                                 &c->shard_size, c->rows, error));
    for (size_t i = 0; i < c->n_rows; i++) c->place_of[c->rows[i]] = (uint32_t)i;
    c->rows_of_whole = (uint32_t *)(void *)(c->shard + sizeof header) + 2 * m;
out:
    nlsh__free(sizes);
    nlsh__free(rows);
    return status;
}

/* ---- what they have ---------------------------------------------------------------------------- */

/* Elements of size bytes that buckets have from offsets on, those of own buckets behind one another. */
static void gather(const struct cut *c, const uint32_t *offsets, size_t size, const void *from,
                   void *to)
{
    uint8_t *at = to;
    for (size_t b = 0; b < c->index->meta.n_buckets; b++) {
        size_t n = (size_t)(offsets[b + 1] - offsets[b]) * size;
        if (!is_own(c, b) || n == 0) continue;
        memcpy(at, (const uint8_t *)from + offsets[b] * size, n);
        at += n;
    }
}

static size_t count_own(const struct cut *c, const uint32_t *offsets)
{
    size_t n = 0;
    for (size_t b = 0; b < c->index->meta.n_buckets; b++)
        if (is_own(c, b)) n += offsets[b + 1] - offsets[b];
    return n;
}

static void gather_groups(const struct cut *c, const uint32_t *offsets,
                          const struct nlsh__grouped *from, uint8_t *section, size_t bias,
                          size_t errors, size_t values)
{
    gather(c, offsets, NLSH__GROUP * sizeof(float), from->bias, section + bias);
    gather(c, offsets, NLSH__GROUP, from->errors, section + errors);
    gather(c, offsets, from->n_chunks * 64, from->values, section + values);
}

/* A section of the index as it stands in the file. */
static const uint8_t *section_of(const struct nlsh_index *index, enum nlsh__section_kind kind)
{
    struct nlsh__index_table table;
    (void)!nlsh__index_read_table(index->path, &index->map, &table, NULL); /* it was read before */
    return index->map.data + nlsh__index_find(&table, kind, 0)->offset;
}

static enum nlsh_status make_codes(struct cut *c, struct nlsh_error *error)
{
    const struct nlsh__codes *from = c->index->segments[0].codes;
    struct nlsh__codes_header header;
    struct nlsh__codes_layout at;
    size_t n_groups = count_own(c, from->group_offsets);
    const uint8_t *section = section_of(c->index, NLSH__SECTION_CODES);
    if (nlsh__codes_layout(c->index->meta.dim, c->index->meta.n_buckets, n_groups,
                           from->n_components, &at) != 0)
        return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    enum nlsh_status status = nlsh__calloc(&c->codes, at.size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(c->codes, section, at.bias); /* header, mean, steps and centroids */
    memcpy(&header, section, sizeof header);
    header.size_bytes = c->codes_size = at.size;
    header.n_groups = (uint32_t)n_groups;
    header.outside_weight = from->outside_weight; /* which an older section does not say */
    memcpy(c->codes, &header, sizeof header);
    gather_groups(c, from->group_offsets, &from->rows, c->codes, at.bias, at.errors, at.values);
    return NLSH_OK;
}

static enum nlsh_status make_leaves(struct cut *c, struct nlsh_error *error)
{
    const struct nlsh__leaves *from = c->index->segments[0].leaves;
    struct nlsh__leaves_header header;
    struct nlsh__leaves_layout at;
    size_t n_groups = count_own(c, from->group_offsets);
    if (nlsh__leaves_layout(n_groups, c->index->segments[0].codes->n_components, &at) != 0)
        return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    enum nlsh_status status = nlsh__calloc(&c->leaves, at.size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(&header, section_of(c->index, NLSH__SECTION_LEAVES), sizeof header);
    header.size_bytes = c->leaves_size = at.size;
    header.n_groups = (uint32_t)n_groups;
    memcpy(c->leaves, &header, sizeof header);
    gather_groups(c, from->group_offsets, &from->leaves, c->leaves, at.bias, at.errors, at.values);
    return NLSH_OK;
}

static enum nlsh_status make_rows(struct cut *c, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__segment *s = &c->index->segments[0];
    size_t row_bytes = nlsh__index_row_bytes(c->index);
    NLSH_TRY(nlsh__alloc(&c->vectors, c->n_rows, row_bytes, error));
    gather(c, s->bucket_offsets, row_bytes, s->vectors, c->vectors);
    if (s->keys != NULL) {
        NLSH_TRY(nlsh__alloc(&c->keys, c->n_rows, sizeof *c->keys, error));
        for (size_t i = 0; i < c->n_rows; i++) c->keys[i] = s->keys[c->rows_of_whole[i]];
    }
    if (s->codes != NULL) NLSH_TRY(make_codes(c, error));
    if (s->leaves != NULL) NLSH_TRY(make_leaves(c, error));
out:
    return status;
}

/* Verify compares the hash of its vectors with what the file says. */
static enum nlsh_status describe(struct cut *c, struct nlsh_error *error)
{
    uint64_t hash;
    struct nlsh_index part = {.meta = c->index->meta, .metric = c->index->metric};
    const struct nlsh__segment segment = {.n_rows = c->n_rows, .vectors = c->vectors};
    enum nlsh_status status = nlsh__hash_rows(&part, &segment, c->place_of, &hash, error);
    if (status != NLSH_OK) return status;
    int as_given = nlsh__stored_as_given(c->index);
    c->meta = c->index->meta;
    c->meta.n_rows = c->n_rows;
    if (as_given)
        c->meta.data_hash = hash; /* else that of the whole: of the vectors as they came */
    c->segment = (struct nlsh__segment_meta){
        .n_rows = c->n_rows, .data_hash = c->meta.data_hash, .stored_hash = as_given ? 0 : hash};
    c->metric = (struct nlsh__metric_meta){.metric = (uint32_t)c->index->metric,
                                           .query_norm = c->index->query_norm,
                                           .stored_hash = c->segment.stored_hash};
    return NLSH_OK;
}

/* ---- the file ---------------------------------------------------------------------------------- */

/* What of a section goes into a shard; size 0: nothing. */
static struct nlsh__section_data section_for(const struct cut *c, const struct nlsh__index_entry *e)
{
    size_t m = c->index->meta.n_buckets, n = c->n_rows;
    struct nlsh__section_data s = {(enum nlsh__section_kind)e->kind, e->segment,
                                   c->index->map.data + e->offset, (size_t)e->size};
    const struct nlsh__section_data own[] = {
        {NLSH__SECTION_META, 0, &c->meta, sizeof c->meta},
        {NLSH__SECTION_METRIC, 0, &c->metric, sizeof c->metric},
        {NLSH__SECTION_SEGMENT, 0, &c->segment, sizeof c->segment},
        {NLSH__SECTION_BUCKETS, 0, c->offsets, (m + 1) * sizeof *c->offsets},
        {NLSH__SECTION_ROWS, 0, c->rows, n * sizeof *c->rows},
        {NLSH__SECTION_VECTORS, 0, c->vectors, n * nlsh__index_row_bytes(c->index)},
        {NLSH__SECTION_KEYS, 0, c->keys, n * sizeof *c->keys},
        {NLSH__SECTION_CODES, 0, c->codes, c->codes_size},
        {NLSH__SECTION_LEAVES, 0, c->leaves, c->leaves_size},
        {NLSH__SECTION_METER, 0, NULL, 0}, /* rows of the whole */
        {NLSH__SECTION_LOG, 0, NULL, 0},
    };
    if (c->n == 1) return s;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i].kind == s.kind) return own[i];
    return s;
}

static enum nlsh_status write_sections(struct cut *c, const char *path, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__index_table table;
    NLSH_TRY(nlsh__index_read_table(c->index->path, &c->index->map, &table, error));
    if (table.n_entries >= MOST_SECTIONS)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "build it again with this nlsh",
                          "%s has %zu sections, more than one segment needs", c->index->path,
                          table.n_entries);
    for (size_t i = 0; i < table.n_entries; i++) {
        const struct nlsh__section_data s = section_for(c, &table.entries[i]);
        if (s.size > 0) c->sections[c->n_sections++] = s;
    }
    if (c->n > 1)
        c->sections[c->n_sections++] =
            (struct nlsh__section_data){NLSH__SECTION_SHARD, 0, c->shard, c->shard_size};
    NLSH_TRY(nlsh__index_write(path, c->sections, c->n_sections, error));
out:
    return status;
}

/* What the file is like, by opening it: so it is known to open. */
static enum nlsh_status name_file(const struct cut *c, const char *path,
                                  struct nlsh__named_shard *out, struct nlsh_error *error)
{
    struct nlsh_index *written;
    enum nlsh_status status = nlsh__open_file(path, NLSH_MEMORY_MAP, &written, error);
    if (status != NLSH_OK) return status;
    nlsh__shard_name(written, out);
    out->n_buckets = 0;
    for (size_t b = 0; b < c->index->meta.n_buckets; b++) out->n_buckets += (size_t)is_own(c, b);
    nlsh__index_free(written);
    return NLSH_OK;
}

/* Shards that were cut of the same file in the same way have the same number, and others another. */
static uint64_t set_of(const struct nlsh_index *index, const uint32_t *owners, uint32_t n)
{
    struct nlsh__hash hash;
    struct nlsh__named_shard whole;
    if (n == 1) return 0;
    nlsh__shard_name(index, &whole);
    nlsh__hash_begin(&hash);
    nlsh__hash_add(&hash, &whole.checksum, sizeof whole.checksum);
    nlsh__hash_add(&hash, &n, sizeof n);
    nlsh__hash_add(&hash, owners, index->meta.n_buckets * sizeof *owners);
    return nlsh__hash_end(&hash);
}

enum nlsh_status nlsh__cut_shard(const struct nlsh_index *index, const uint32_t *owners,
                                 uint32_t number, uint32_t n, const char *path,
                                 struct nlsh__named_shard *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct cut c = {.index = index, .owners = owners, .number = number, .n = n};
    out->path = NULL;
    NLSH_TRY(nlsh__shard_path(path, number, &out->path, error));
    if (n > 1) {
        NLSH_TRY(count_rows(&c, error));
        NLSH_TRY(make_shard_section(&c, set_of(index, owners, n), error));
        NLSH_TRY(make_rows(&c, error));
        NLSH_TRY(describe(&c, error));
    }
    NLSH_TRY(write_sections(&c, out->path, error));
    NLSH_TRY(name_file(&c, out->path, out, error));
out:
    cut_free(&c);
    return status;
}

void nlsh__manifest_of(const struct nlsh_index *index, const uint32_t *owners, uint32_t n,
                       struct nlsh__manifest *out)
{
    *out = (struct nlsh__manifest){.n = n,
                                   .set = set_of(index, owners, n),
                                   .n_rows = index->meta.n_rows,
                                   .data_hash = index->meta.data_hash,
                                   .dim = index->meta.dim,
                                   .n_buckets = index->meta.n_buckets};
}

enum nlsh_status nlsh__cut_index(const struct nlsh_index *index, uint32_t n, const char *path,
                                 nlsh_progress_fn *progress, struct nlsh__manifest *out,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *owners = NULL;
    *out = (struct nlsh__manifest){.n = 0};
    NLSH_TRY(nlsh__shard_check(index, error));
    NLSH_TRY(nlsh__alloc(&owners, index->meta.n_buckets, sizeof *owners, error));
    NLSH_TRY(nlsh__spread_buckets(index, n, owners, error));
    nlsh__manifest_of(index, owners, n, out);
    NLSH_TRY(nlsh__calloc(&out->shards, n, sizeof *out->shards, error));
    for (uint32_t i = 0; i < n; i++) {
        if (progress != NULL && progress(NULL, "shards", i, n) != 0) {
            status = nlsh__fail(error, NLSH_E_INTERRUPTED, NULL, "stopped");
            goto out;
        }
        NLSH_TRY(nlsh__cut_shard(index, owners, i, n, path, &out->shards[i], error));
    }
    NLSH_TRY(nlsh__manifest_write(path, out, error));
out:
    nlsh__free(owners);
    if (status != NLSH_OK) nlsh__manifest_free(out);
    return status;
}
