/*
 * open.c - an index from a file that nobody vouches for: map it, check header and table (table.c),
 * then the sections' sizes against each other, the small sections' values, and that the rows' numbers are
 * a permutation. What is O(rows x dim) is left to verify (verify.c), which comes through the same code with
 * `whole`.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/resident.h"
#include "base/sized.h"
#include "codes/codes.h"
#include "codes/leaves.h"
#include "index/layout.h"
#include "kernels/kernels.h"
#include "router/router.h"

static const char *const remedy = "copy the index again, or build it again";

/* ---- the small sections ---------------------------------------------------------------------- */

static enum nlsh_status check_meta(const char *path, const struct nlsh__meta *meta,
                                   struct nlsh_error *error)
{
    int u8 = meta->storage_type == NLSH_U8;
    if (meta->source_type != NLSH_U8 && meta->source_type != NLSH_I8 &&
        meta->source_type != NLSH_F32)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: vectors of type %u, which is none", path,
                          meta->source_type);
    if (!u8 && (meta->storage_type != NLSH_F32 || meta->source_type != NLSH_F32))
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: vectors of type %u cannot be stored as type %u", path,
                          meta->source_type, meta->storage_type);
    size_t limit = u8 ? NLSH__MAX_DIM_U8 : NLSH__MAX_DIM;
    if (meta->dim < 1 || meta->dim > limit)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: dimension %u is not between 1 and %zu",
                          path, meta->dim, limit);
    if (meta->n_rows < 1 || meta->n_rows > UINT32_MAX)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: %llu rows: not between 1 and 2^32 - 1",
                          path, (unsigned long long)meta->n_rows);
    if (meta->n_buckets < 1)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: there are no buckets", path);
    if (!(meta->disagreement >= 0 && meta->disagreement <= 1))
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: disagreement %g is not between 0 and 1",
                          path, meta->disagreement);
    return NLSH_OK;
}

/* The section that another metric than L2 has. */
static enum nlsh_status check_metric(const struct nlsh_index *index, struct nlsh_error *error)
{
    const struct nlsh__metric_meta *m = &index->metric_meta;
    static const uint8_t zeros[sizeof m->reserved];
    if (m->metric != NLSH_IP && m->metric != NLSH_COSINE)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: metric %u, which is none", index->path,
                          m->metric);
    if (index->meta.storage_type != NLSH_F32)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: metric %s, but its vectors are bytes",
                          index->path, nlsh_metric_name((enum nlsh_metric)m->metric));
    if (!isfinite(m->query_norm) || m->query_norm <= 0)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: queries are to have the length %g",
                          index->path, (double)m->query_norm);
    if (memcmp(m->reserved, zeros, sizeof zeros) != 0)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: reserved bytes of the section metric are not zero", index->path);
    return NLSH_OK;
}

static enum nlsh_status check_settings(const char *path, const char *settings, size_t size,
                                       struct nlsh_error *error)
{
    if (size == 0 || memchr(settings, 0, size) != settings + size - 1)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: the settings are not a text ended by one NUL", path);
    return NLSH_OK;
}

/* O(buckets), and the smallest and largest while we are there. */
static enum nlsh_status check_buckets(struct nlsh_index *index, struct nlsh_error *error)
{
    const uint32_t *offsets = index->bucket_offsets;
    size_t m = index->meta.n_buckets;
    index->bucket_min = SIZE_MAX;
    index->bucket_max = 0;
    for (size_t b = 0; b < m; b++) {
        if (offsets[b] > offsets[b + 1])
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: bucket %zu begins at row %u and ends at row %u", index->path, b,
                              offsets[b], offsets[b + 1]);
        size_t n = offsets[b + 1] - offsets[b];
        if (n < index->bucket_min) index->bucket_min = n;
        if (n > index->bucket_max) index->bucket_max = n;
    }
    if (offsets[0] != 0 || offsets[m] != index->meta.n_rows)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: the buckets hold rows %u to %u, and there are %llu rows",
                          index->path, offsets[0], offsets[m],
                          (unsigned long long)index->meta.n_rows);
    return NLSH_OK;
}

/* Every row of the base once: what a search answers with is then in range, and nothing twice. */
static enum nlsh_status check_rows(const struct nlsh_index *index, struct nlsh_error *error)
{
    size_t n = (size_t)index->meta.n_rows;
    uint64_t *seen;
    enum nlsh_status status = nlsh__calloc(&seen, n / 64 + 1, sizeof *seen, error);
    for (size_t i = 0; i < n && status == NLSH_OK; i++) {
        uint32_t row = index->ids[i];
        if (row >= n || (seen[row / 64] >> row % 64 & 1) != 0)
            status =
                nlsh__fail(error, NLSH_E_DATA, remedy, "%s: place %zu holds row %u, which is %s",
                           index->path, i, row, row >= n ? "too large" : "at another place too");
        else
            seen[row / 64] |= UINT64_C(1) << row % 64;
    }
    nlsh__free(seen);
    return status;
}

static int inside_0_1(float x)
{
    return x > 0 && x < 1; /* false for NaN */
}

static enum nlsh_status damaged_targets(const struct nlsh_index *index, const char *what,
                                        struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: section targets: %s", index->path, what);
}

static enum nlsh_status check_table(const struct nlsh_index *index, size_t k,
                                    const float (*table)[2], size_t n, struct nlsh_error *error)
{
    for (size_t i = 0; i < n; i++)
        if (!inside_0_1(table[i][0]) || !inside_0_1(table[i][1]) ||
            (i > 0 && table[i][0] <= table[i - 1][0]))
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: target %zu of k = %zu (recall %g, threshold %g) is out of range "
                              "or order",
                              index->path, i, k, (double)table[i][0], (double)table[i][1]);
    return NLSH_OK;
}

static enum nlsh_status open_targets(struct nlsh_index *index, struct nlsh_error *error)
{
    struct nlsh__targets_header h;
    struct nlsh__targets_view *view = &index->targets;
    if (index->targets_bytes == NULL) return NLSH_OK;
    if (index->targets_size < sizeof h) return damaged_targets(index, "it is truncated", error);
    memcpy(&h, index->targets_bytes, sizeof h);
    const float(*next)[2] = (const void *)((const char *)index->targets_bytes + sizeof h);
    uint64_t size = sizeof h;
    if (h.n > NLSH__MAX_TARGETS) return damaged_targets(index, "too many tables", error);
    for (size_t i = 0; i < NLSH__MAX_TARGETS; i++) {
        size += (uint64_t)h.n_points[i] * sizeof *next;
        if (i >= h.n ? h.k[i] != 0 || h.n_points[i] != 0
                     : h.k[i] == 0 || h.n_points[i] == 0 || (i > 0 && h.k[i] <= h.k[i - 1]))
            return damaged_targets(index, "a table's header is out of range or order", error);
    }
    if (size != index->targets_size)
        return damaged_targets(index, "its length does not agree with its header", error);
    for (size_t i = 0; i < h.n; next += h.n_points[i++]) {
        enum nlsh_status status = check_table(index, h.k[i], next, h.n_points[i], error);
        if (status != NLSH_OK) return status;
        view->k[i] = h.k[i];
        view->n_points[i] = h.n_points[i];
        view->table[i] = next;
    }
    view->n = h.n;
    return NLSH_OK;
}

/* Behind the router's opening. */
static enum nlsh_status weigh_buckets(struct nlsh_index *index, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = index->meta.n_buckets;
    const struct nlsh__groups *groups = nlsh__router_groups(index->router_view);
    double mean = (double)index->meta.n_rows / (double)m;
    NLSH_TRY(nlsh__alloc(&index->weights, m, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&index->group_weights, groups->n, sizeof(float), error));
    for (size_t g = 0; g < groups->n; g++)
        for (size_t b = groups->first[g]; b < groups->first[g + 1]; b++) {
            uint32_t size = index->bucket_offsets[b + 1] - index->bucket_offsets[b];
            float weight = size > 0 ? (float)(mean / (double)size) : 0;
            index->weights[b] = weight;
            if (weight > index->group_weights[g]) index->group_weights[g] = weight;
        }
out:
    return status;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* A section's start, where its size is count x size bytes. */
static enum nlsh_status take(const struct nlsh_index *index, const struct nlsh__index_entry *entry,
                             uint64_t count, size_t size, const void **out,
                             struct nlsh_error *error)
{
    uint64_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes != entry->size)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: section %s has %llu bytes where %llu x %zu belong", index->path,
                          nlsh__section_name(entry->id), (unsigned long long)entry->size,
                          (unsigned long long)count, size);
    *out = index->map.data + entry->offset;
    return NLSH_OK;
}

/* Points the index at its sections, their sizes checked. */
static enum nlsh_status take_sections(struct nlsh_index *index,
                                      const struct nlsh__index_table *table,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    const void *meta = NULL, *buckets = NULL, *ids = NULL;
    const struct nlsh__index_entry *const *known = table->known;
    NLSH_TRY(take(index, known[NLSH__SECTION_META], 1, sizeof index->meta, &meta, error));
    memcpy(&index->meta, meta, sizeof index->meta);
    NLSH_TRY(check_meta(index->path, &index->meta, error));
    const struct nlsh__meta *m = &index->meta;
    size_t row = m->dim * (m->storage_type == NLSH_U8 ? 1 : sizeof(float));
    NLSH_TRY(take(index, known[NLSH__SECTION_BUCKETS], (uint64_t)m->n_buckets + 1, sizeof(uint32_t),
                  &buckets, error));
    NLSH_TRY(take(index, known[NLSH__SECTION_IDS], m->n_rows, sizeof(uint32_t), &ids, error));
    NLSH_TRY(take(index, known[NLSH__SECTION_VECTORS], m->n_rows, row, &index->vectors, error));
    index->bucket_offsets = buckets;
    index->ids = ids;

    const struct nlsh__index_entry *e = known[NLSH__SECTION_METRIC];
    if (e != NULL) {
        const void *metric = NULL;
        NLSH_TRY(take(index, e, 1, sizeof index->metric_meta, &metric, error));
        memcpy(&index->metric_meta, metric, sizeof index->metric_meta);
        NLSH_TRY(check_metric(index, error));
        index->metric = (enum nlsh_metric)index->metric_meta.metric;
    }
    e = known[NLSH__SECTION_SETTINGS];
    index->settings = (const char *)index->map.data + e->offset;
    NLSH_TRY(check_settings(index->path, index->settings, (size_t)e->size, error));
    e = known[NLSH__SECTION_ROUTER];
    index->router = index->map.data + e->offset;
    index->router_size = (size_t)e->size;
    e = known[NLSH__SECTION_TARGETS];
    if (e != NULL && e->size > 0) {
        index->targets_bytes = index->map.data + e->offset;
        index->targets_size = (size_t)e->size;
    }
    e = known[NLSH__SECTION_CODES];
    if (e != NULL && e->size > 0) {
        index->codes = index->map.data + e->offset;
        index->codes_size = (size_t)e->size;
    }
    e = known[NLSH__SECTION_LEAVES];
    if (e != NULL && e->size > 0 && index->codes != NULL) {
        index->leaves = index->map.data + e->offset;
        index->leaves_size = (size_t)e->size;
    }
out:
    return status;
}

/* The router does not know the file's name; its words get it here. */
static enum nlsh_status open_router(struct nlsh_index *index, struct nlsh_error *error)
{
    struct nlsh_error inner = {.status = NLSH_OK};
    enum nlsh_status status = nlsh__router_open(index->router, index->router_size, index->meta.dim,
                                                index->meta.n_buckets, &index->router_view, &inner);
    if (status == NLSH_OK) return NLSH_OK;
    return nlsh__fail(error, status, inner.hint[0] != '\0' ? inner.hint : remedy, "%s: %s",
                      index->path, inner.message);
}

static enum nlsh_status open_codes(struct nlsh_index *index, struct nlsh_error *error)
{
    struct nlsh_error inner = {.status = NLSH_OK};
    if (index->codes == NULL) return NLSH_OK;
    enum nlsh_status status = nlsh__codes_open(
        index->codes, index->codes_size, index->bucket_offsets, index->meta.n_buckets,
        nlsh__router_n_inputs(index->router_view), index->meta.dim, &index->codes_view, &inner);
    if (status == NLSH_OK && index->leaves != NULL)
        status = nlsh__leaves_open(index->leaves, index->leaves_size, index->codes_view,
                                   index->meta.n_buckets, &index->leaves_view, &inner);
    if (status == NLSH_OK) return NLSH_OK;
    return nlsh__fail(error, status, inner.hint, "%s: %s", index->path, inner.message);
}

/* ---- the calls ------------------------------------------------------------------------------- */

enum nlsh_status nlsh__index_load(const char *path, const struct nlsh__map *bytes, int whole,
                                  struct nlsh_index **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *index = NULL;
    struct nlsh__index_table table;
    *out = NULL;
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__calloc(&index, 1, sizeof *index, error));
    NLSH_TRY(nlsh__alloc(&index->path, strlen(path) + 1, 1, error));
    strcpy(index->path, path);
    if (bytes != NULL) {
        index->map = *bytes;
        index->borrowed = 1;
    } else {
        NLSH_TRY(nlsh__map_open(path, &index->map, error));
    }
    NLSH_TRY(nlsh__index_read_table(path, &index->map, &table, error));
    /* The checksums come before the values, so that damage is called damage. */
    if (whole) NLSH_TRY(nlsh__index_check_bytes(path, &index->map, &table, error));
    NLSH_TRY(take_sections(index, &table, error));
    NLSH_TRY(check_buckets(index, error));
    NLSH_TRY(check_rows(index, error));
    NLSH_TRY(open_targets(index, error));
    NLSH_TRY(open_router(index, error));
    NLSH_TRY(weigh_buckets(index, error));
    NLSH_TRY(open_codes(index, error));
    if (whole) NLSH_TRY(nlsh__index_check_rows(index, error));
    *out = index;
    return NLSH_OK;
out:
    nlsh_index_close(index);
    return status;
}

static enum nlsh_status check_path(const char *path, struct nlsh_error *error)
{
    if (path != NULL && path[0] != '\0') return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "name the file that nlsh build wrote",
                      "no index file was named");
}

/* What a section holds, in index->resident from *offset on; returns where. */
static const void *copy_section(struct nlsh_index *index, const void *section, size_t size,
                                size_t *offset)
{
    uint8_t *at = (uint8_t *)(uintptr_t)index->resident.data + *offset;
    memcpy(at, section, size);
    *offset += (size + NLSH__SECTION_ALIGN - 1) / NLSH__SECTION_ALIGN * NLSH__SECTION_ALIGN;
    return at;
}

/* Everything that a search reads but the vectors goes to memory of our own. */
static enum nlsh_status make_resident(struct nlsh_index *index, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__meta *m = &index->meta;
    size_t ids = (size_t)m->n_rows * sizeof *index->ids, offset = 0;
    size_t buckets = ((size_t)m->n_buckets + 1) * sizeof *index->bucket_offsets;
    size_t row = m->dim * (m->storage_type == NLSH_U8 ? 1 : sizeof(float));
    NLSH_TRY(nlsh__map_anonymous(ids + buckets + index->router_size + index->codes_size +
                                     index->leaves_size + 5 * NLSH__SECTION_ALIGN,
                                 &index->resident, error));
    index->ids = copy_section(index, index->ids, ids, &offset);
    index->bucket_offsets = copy_section(index, index->bucket_offsets, buckets, &offset);
    index->router = copy_section(index, index->router, index->router_size, &offset);
    if (index->codes != NULL)
        index->codes = copy_section(index, index->codes, index->codes_size, &offset);
    if (index->leaves != NULL)
        index->leaves = copy_section(index, index->leaves, index->leaves_size, &offset);
    nlsh__router_close(index->router_view);
    nlsh__codes_close(index->codes_view);
    nlsh__leaves_close(index->leaves_view);
    index->router_view = NULL;
    index->codes_view = NULL;
    index->leaves_view = NULL;
    NLSH_TRY(open_router(index, error));
    NLSH_TRY(open_codes(index, error));
    nlsh__map_scattered(&index->map, (size_t)((const uint8_t *)index->vectors - index->map.data),
                        (size_t)m->n_rows * row);
out:
    return status;
}

void nlsh_open_options_init(struct nlsh_open_options *options, size_t size)
{
    static const struct nlsh_open_options defaults = {.memory = NLSH_MEMORY_MAP};
    nlsh__options_init(options, size, &defaults, sizeof defaults);
}

static enum nlsh_status take_options(const struct nlsh_open_options *given,
                                     struct nlsh_open_options *out, struct nlsh_error *error)
{
    nlsh_open_options_init(out, sizeof *out);
    enum nlsh_status status =
        nlsh__options_take(out, sizeof *out, given, "nlsh_open_options", error);
    if (status == NLSH_OK && (out->memory < NLSH_MEMORY_MAP || out->memory > NLSH_MEMORY_ALL))
        status = nlsh__fail(error, NLSH_E_ARG, "take map, codes or all", "memory is %d",
                            (int)out->memory);
    return status;
}

enum nlsh_status nlsh_index_open(const char *path, const struct nlsh_open_options *options,
                                 struct nlsh_index **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_open_options how;
    struct nlsh__map map = {0};
    struct nlsh_index *index = NULL;
    nlsh__error_clear(error);
    if (out == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "out is NULL");
    *out = NULL;
    NLSH_TRY(check_path(path, error));
    NLSH_TRY(take_options(options, &how, error));
    int all = how.memory == NLSH_MEMORY_ALL;
    if (all) NLSH_TRY(nlsh__map_read(path, &map, error));
    NLSH_TRY(nlsh__index_load(path, all ? &map : NULL, 0, &index, error));
    if (how.memory == NLSH_MEMORY_CODES) NLSH_TRY(make_resident(index, error));
    if (all) {
        index->borrowed = 0; /* it is the index's own from here on */
        map = (struct nlsh__map){0};
    }
    *out = index;
    return NLSH_OK;
out:
    nlsh_index_close(index);
    nlsh__map_close(&map);
    return status;
}

/* A copy of the caller's bytes, which need no alignment. */
static enum nlsh_status copy_bytes(const void *bytes, size_t size, struct nlsh__map *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__map_anonymous(size, out, error);
    if (status == NLSH_OK && size > 0) memcpy((uint8_t *)(uintptr_t)out->data, bytes, size);
    if (status == NLSH_OK) out->size = size;
    return status;
}

enum nlsh_status nlsh_index_open_memory(const void *bytes, size_t size, const char *name,
                                        const struct nlsh_open_options *options,
                                        struct nlsh_index **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_open_options how;
    struct nlsh__map copy = {0}, map = {bytes, size};
    struct nlsh_index *index = NULL;
    nlsh__error_clear(error);
    if (out == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "out is NULL");
    *out = NULL;
    if (bytes == NULL || name == NULL)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s is NULL", bytes == NULL ? "bytes" : "name");
    NLSH_TRY(take_options(options, &how, error));
    int all = how.memory == NLSH_MEMORY_ALL;
    if (all) NLSH_TRY(copy_bytes(bytes, size, &copy, error));
    if (!all && (uintptr_t)bytes % NLSH__SECTION_ALIGN != 0)
        return nlsh__fail(error, NLSH_E_ARG, "align it to 64 bytes, or open it with memory all",
                          "%s: the bytes of an index that is not copied must be aligned", name);
    NLSH_TRY(nlsh__index_load(name, all ? &copy : &map, 0, &index, error));
    if (how.memory == NLSH_MEMORY_CODES) NLSH_TRY(make_resident(index, error));
    if (all) {
        index->borrowed = 0;
        copy = (struct nlsh__map){0};
    }
    *out = index;
    return NLSH_OK;
out:
    nlsh_index_close(index);
    nlsh__map_close(&copy);
    return status;
}

enum nlsh_status nlsh_index_verify(const char *path, struct nlsh_error *error)
{
    struct nlsh_index *index = NULL;
    nlsh__error_clear(error);
    enum nlsh_status status = check_path(path, error);
    if (status == NLSH_OK) status = nlsh__index_load(path, NULL, 1, &index, error);
    nlsh_index_close(index);
    return status;
}

void nlsh_index_close(struct nlsh_index *index)
{
    if (index == NULL) return;
    nlsh__router_close(index->router_view);
    nlsh__codes_close(index->codes_view);
    nlsh__leaves_close(index->leaves_view);
    if (!index->borrowed) nlsh__map_close(&index->map);
    nlsh__map_close(&index->resident);
    nlsh__free(index->weights);
    nlsh__free(index->group_weights);
    nlsh__free(index->path);
    nlsh__free(index);
}

/* ---- looking inside -------------------------------------------------------------------------- */

enum nlsh_status nlsh_index_info(const struct nlsh_index *index, struct nlsh_index_info *out,
                                 struct nlsh_error *error)
{
    const struct nlsh__meta *m = &index->meta;
    const struct nlsh_index_info info = {
        .n_rows = (size_t)m->n_rows,
        .dim = m->dim,
        /* signed bytes stand shifted in the file, and are signed bytes to the caller */
        .type = m->source_type == NLSH_I8 ? NLSH_I8 : (enum nlsh_type)m->storage_type,
        .metric = index->metric,
        .n_buckets = m->n_buckets,
        .bucket_min = index->bucket_min,
        .bucket_max = index->bucket_max,
        .data_hash = m->data_hash,
        .router_weights = nlsh__router_n_weights(index->router_view),
        .size_bytes = index->map.size,
        .settings = index->settings,
        .disagreement = m->disagreement,
        .format = NLSH__INDEX_VERSION,
        .n_segments = 1,
    };
    nlsh__error_clear(error);
    enum nlsh_status status = nlsh__answer_check(out, "nlsh_index_info", error);
    if (status == NLSH_OK) nlsh__answer_give(out, &info, sizeof info);
    return status;
}

int nlsh_index_section(const struct nlsh_index *index, size_t i, struct nlsh_section_info *out)
{
    struct nlsh__index_header header;
    struct nlsh__index_entry entry;
    memcpy(&header, index->map.data, sizeof header);
    if (i >= header.n_sections) return 0;
    if (nlsh__answer_check(out, "nlsh_section_info", NULL) != NLSH_OK) return 0;
    memcpy(&entry, index->map.data + sizeof header + i * sizeof entry, sizeof entry);
    const struct nlsh_section_info info = {.name = nlsh__section_name(entry.id),
                                           .offset = entry.offset,
                                           .size_bytes = entry.size,
                                           .used = entry.id < NLSH__N_KNOWN};
    nlsh__answer_give(out, &info, sizeof info);
    return 1;
}

int nlsh_index_segment(const struct nlsh_index *index, size_t i, struct nlsh_segment *out)
{
    if (i > 0 || nlsh__answer_check(out, "nlsh_segment", NULL) != NLSH_OK) return 0;
    const struct nlsh_segment segment = {.n_rows = (size_t)index->meta.n_rows,
                                         .bucket_offsets = index->bucket_offsets,
                                         .rows = index->ids};
    nlsh__answer_give(out, &segment, sizeof segment);
    return 1;
}
