/*
 * open.c - an index from a file that nobody vouches for: map it, check header and table (table.c),
 * then the sections' sizes against each other, the small sections' values, and that the rows' numbers
 * are a permutation (meta.c, promises.c, segment.c). What is O(rows x dim) is left to verify (verify.c),
 * which comes through the same code with `whole`.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/resident.h"
#include "index/layout.h"
#include "kernels/kernels.h"
#include "promise/weights.h"
#include "router/router.h"

/* ---- loading --------------------------------------------------------------------------------- */

/* The router does not know the file's name; its words get it here. */
static enum nlsh_status take_router(struct nlsh_index *index, const struct nlsh__sections *sections,
                                    struct nlsh_error *error)
{
    struct nlsh_error inner = {.status = NLSH_OK};
    const void *bytes;
    size_t size;
    unsigned version;
    enum nlsh_status status = nlsh__section_blob(index, sections, NLSH__SECTION_ROUTER, 0, &bytes,
                                                 &size, &version, error);
    if (status != NLSH_OK) return status;
    status = nlsh__router_open(bytes, size, index->meta.dim, index->meta.n_buckets, &index->router,
                               &inner);
    if (status == NLSH_OK) return NLSH_OK;
    return nlsh__fail(error, status, inner.hint[0] != '\0' ? inner.hint : NLSH__INDEX_REMEDY,
                      "%s: %s", index->path, inner.message);
}

/* Of all segments; of a shard, the whole's. */
static size_t bucket_size(const struct nlsh_index *index, size_t b)
{
    size_t size = 0;
    if (index->shard.header.n > 0) return index->shard.sizes[b];
    for (size_t i = 0; i < index->n_segments; i++) {
        const uint32_t *offsets = index->segments[i].bucket_offsets;
        size += offsets[b + 1] - offsets[b];
    }
    return size;
}

/* Behind router, segments and shard: what a bucket's probability is worth, and the sizes of buckets. */
static enum nlsh_status weigh_buckets(struct nlsh_index *index, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = index->meta.n_buckets;
    size_t n =
        (size_t)(index->shard.header.n > 0 ? index->shard.header.n_rows : index->meta.n_rows);
    const struct nlsh__groups *groups = nlsh__router_groups(index->router);
    NLSH_TRY(nlsh__alloc(&index->weights, m, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&index->group_weights, groups->n, sizeof(float), error));
    index->bucket_min = SIZE_MAX;
    index->bucket_max = 0;
    for (size_t g = 0; g < groups->n; g++)
        for (size_t b = groups->first[g]; b < groups->first[g + 1]; b++) {
            size_t size = bucket_size(index, b);
            float weight = nlsh__bucket_weight(n, m, size);
            index->weights[b] = weight;
            if (weight > index->group_weights[g]) index->group_weights[g] = weight;
            if (size < index->bucket_min) index->bucket_min = size;
            if (size > index->bucket_max) index->bucket_max = size;
        }
out:
    return status;
}

static enum nlsh_status take_segments(struct nlsh_index *index,
                                      const struct nlsh__sections *sections,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(
        nlsh__calloc(&index->segments, index->meta.n_segments, sizeof *index->segments, error));
    uint64_t n_rows = 0;
    for (size_t i = 0; i < index->meta.n_segments; i++) {
        index->n_segments = i + 1;
        NLSH_TRY(nlsh__take_segment(index, sections, i, error));
        n_rows += index->segments[i].n_rows;
    }
    if (n_rows != index->meta.n_rows)
        return nlsh__fail(error, NLSH_E_DATA, NLSH__INDEX_REMEDY,
                          "%s: the segments hold %llu rows, and there are to be %llu", index->path,
                          (unsigned long long)n_rows, (unsigned long long)index->meta.n_rows);
out:
    return status;
}

/* Where each section is read: in the map, or all but the vectors in copies of our own. */
static enum nlsh_status place_sections(struct nlsh_index *index, int resident,
                                       struct nlsh__sections *sections, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__index_table *table = &sections->table;
    size_t size = NLSH__SECTION_ALIGN, offset = 0;
    NLSH_TRY(nlsh__alloc(&sections->at, table->n_entries, sizeof *sections->at, error));
    for (size_t i = 0; i < table->n_entries; i++)
        sections->at[i] = index->map.data + table->entries[i].offset;
    if (!resident) return NLSH_OK;
    for (size_t i = 0; i < table->n_entries; i++)
        if (table->entries[i].kind != NLSH__SECTION_VECTORS)
            size += (size_t)table->entries[i].size + NLSH__SECTION_ALIGN;
    NLSH_TRY(nlsh__map_anonymous(size, &index->resident, error));
    for (size_t i = 0; i < table->n_entries; i++) {
        const struct nlsh__index_entry *e = &table->entries[i];
        uint8_t *at = (uint8_t *)(uintptr_t)index->resident.data + offset;
        if (e->kind == NLSH__SECTION_VECTORS && index->borrowed) continue;
        if (e->kind == NLSH__SECTION_VECTORS) {
            nlsh__map_scattered(&index->map, (size_t)e->offset, (size_t)e->size);
            continue;
        }
        if (e->size > 0) memcpy(at, sections->at[i], (size_t)e->size);
        sections->at[i] = at;
        offset +=
            ((size_t)e->size + NLSH__SECTION_ALIGN - 1) / NLSH__SECTION_ALIGN * NLSH__SECTION_ALIGN;
    }
out:
    return status;
}

static enum nlsh_status take_all(struct nlsh_index *index, const struct nlsh__sections *sections,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    index->format = sections->table.format;
    index->query_norm = 1;
    index->thinned = 1;
    NLSH_TRY(nlsh__take_meta(index, sections, error));
    NLSH_TRY(nlsh__take_promises(index, sections, error));
    NLSH_TRY(take_router(index, sections, error));
    NLSH_TRY(take_segments(index, sections, error));
    NLSH_TRY(nlsh__take_shard(index, sections, error));
    NLSH_TRY(weigh_buckets(index, error));
out:
    return status;
}

enum nlsh_status nlsh__index_load(const struct nlsh__source_of_index *source,
                                  struct nlsh_index **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *index = NULL;
    struct nlsh__sections sections = {.at = NULL};
    *out = NULL;
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__calloc(&index, 1, sizeof *index, error));
    NLSH_TRY(nlsh__alloc(&index->path, strlen(source->name) + 1, 1, error));
    memcpy(index->path, source->name, strlen(source->name) + 1);
    atomic_init(&index->owners, 1);
    index->borrowed = source->bytes != NULL;
    if (source->bytes != NULL)
        index->map = *source->bytes;
    else
        NLSH_TRY(nlsh__map_open(source->name, &index->map, error));
    NLSH_TRY(nlsh__index_read_table(index->path, &index->map, &sections.table, error));
    /* The checksums come before the values, so that damage is called damage. */
    if (source->whole)
        NLSH_TRY(nlsh__index_check_bytes(index->path, &index->map, &sections.table, error));
    NLSH_TRY(place_sections(index, source->resident, &sections, error));
    NLSH_TRY(take_all(index, &sections, error));
    if (source->whole) NLSH_TRY(nlsh__index_check_rows(index, error));
    /* what was copied need not stand in memory twice */
    if (source->resident && !index->borrowed) nlsh__map_forget(&index->map);
    *out = index;
    index = NULL;
out:
    nlsh__free(sections.at);
    nlsh__index_free(index);
    return status;
}

/* ---- the end --------------------------------------------------------------------------------- */

void nlsh__index_free(struct nlsh_index *index)
{
    if (index == NULL) return;
    for (size_t i = 0; i < index->n_segments; i++) {
        nlsh__codes_close(index->segments[i].codes);
        nlsh__leaves_close(index->segments[i].leaves);
    }
    nlsh__free(index->segments);
    nlsh__router_close(index->router);
    if (!index->borrowed) nlsh__map_close(&index->map);
    nlsh__map_close(&index->resident);
    nlsh__free(index->target_tables);
    nlsh__free(index->effort_tables);
    nlsh__free(index->weights);
    nlsh__free(index->group_weights);
    nlsh__free(index->path);
    nlsh__free(index);
}
