/* inspect.c - what an open index says of itself. */
#include <string.h>

#include "base/error.h"
#include "base/sized.h"
#include "index/layout.h"
#include "router/router.h"

size_t nlsh__index_changed(const struct nlsh_index *index)
{
    size_t all = index->n_deleted + index->log_now.rows, seen = index->meter.seen;
    return index->meter.changed + (all > seen ? all - seen : 0);
}

enum nlsh_status nlsh_index_info(const struct nlsh_index *index, struct nlsh_index_info *out,
                                 struct nlsh_error *error)
{
    const struct nlsh__meta *m = &index->meta;
    struct nlsh_index_info info = {
        .n_rows = (size_t)m->n_rows - index->n_deleted,
        .dim = m->dim,
        /* signed bytes stand shifted in the file, and are signed bytes to the caller; those of floats are floats */
        .type = m->source_type == NLSH_I8    ? NLSH_I8
                : m->storage_type == NLSH_I8 ? NLSH_F32
                                             : (enum nlsh_type)m->storage_type,
        .metric = index->metric,
        .n_buckets = m->n_buckets,
        .bucket_min = index->bucket_min,
        .bucket_max = index->bucket_max,
        .data_hash = m->data_hash,
        .router_weights = nlsh__router_n_weights(index->router),
        .size_bytes = index->map.size,
        .settings = index->settings,
        .disagreement = m->disagreement,
        .format = index->format,
        .n_segments = index->n_segments,
        .n_deleted = index->n_deleted,
        .log_rows = index->log_now.rows,
        .log_bytes = index->log_now.bytes,
        .log_left = index->log_now.left,
        .log_damaged = index->log_now.damaged,
        .n_changed = nlsh__index_changed(index),
        .needed_trained = index->meter.trained,
        .needed_now = index->meter.now,
        .store_scale = m->storage_type == NLSH_I8 ? m->scale : 0,
    };
    nlsh__error_clear(error);
    for (size_t i = 0; i < index->n_segments; i++) info.has_keys |= index->segments[i].keys != NULL;
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
    const struct nlsh_section_info info = {.name = nlsh__section_name(entry.kind),
                                           .offset = entry.offset,
                                           .size_bytes = entry.size,
                                           .segment = entry.segment,
                                           .used = nlsh__section_used(&entry)};
    nlsh__answer_give(out, &info, sizeof info);
    return 1;
}

int nlsh_index_segment(const struct nlsh_index *index, size_t i, struct nlsh_segment *out)
{
    if (i >= index->n_segments) return 0;
    if (nlsh__answer_check(out, "nlsh_segment", NULL) != NLSH_OK) return 0;
    const struct nlsh__segment *s = &index->segments[i];
    const struct nlsh_segment segment = {.n_rows = s->n_rows,
                                         .bucket_offsets = s->bucket_offsets,
                                         .rows = s->rows,
                                         .keys = s->keys,
                                         .tombstones = s->tombstones};
    nlsh__answer_give(out, &segment, sizeof segment);
    return 1;
}

int nlsh_index_promise(const struct nlsh_index *index, size_t i, struct nlsh_promise *out)
{
    if (i >= index->efforts.n) return 0;
    if (nlsh__answer_check(out, "nlsh_promise", NULL) != NLSH_OK) return 0;
    const struct nlsh__effort_table *t = &index->efforts.tables[i];
    const struct nlsh_promise promise = {.k = t->k,
                                         .most = (double)t->points[t->n_points - 1].recall,
                                         .n_queries = index->efforts_header.n_queries,
                                         .sampled = index->efforts_header.sampled == 1};
    nlsh__answer_give(out, &promise, sizeof promise);
    return 1;
}
