/*
 * segment.c - the rows that were written together, from the file: their buckets, row numbers, keys,
 * tombstones, vectors, codes and leaves. What is O(rows x dim) is left to verify.
 */
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "index/layout.h"
#include "router/router.h"

static const char *const remedy = NLSH__INDEX_REMEDY;

const float *nlsh__index_query_mean(const struct nlsh_index *index)
{
    const struct nlsh__codes *codes = index->segments[0].codes;
    return codes != NULL && index->meta.storage_type != NLSH_U8 ? codes->query_mean : NULL;
}

size_t nlsh__index_row_bytes(const struct nlsh_index *index)
{
    return index->meta.dim * nlsh__type_size((enum nlsh_type)index->meta.storage_type);
}

enum nlsh_type nlsh__index_form(const struct nlsh_index *index)
{
    return index->meta.storage_type == NLSH_U8 ? NLSH_U8 : NLSH_F32;
}

size_t nlsh__index_form_bytes(const struct nlsh_index *index)
{
    return index->meta.dim * nlsh__type_size(nlsh__index_form(index));
}

void nlsh__row_of_stored(const struct nlsh_index *index, const void *stored, void *row)
{
    const struct nlsh__rounding as = nlsh__index_rounding(index);
    nlsh__row_kept(&as, stored, index->meta.dim, row);
}

void nlsh__row_to_stored(const struct nlsh_index *index, const void *row, void *stored)
{
    const struct nlsh__rounding as = nlsh__index_rounding(index);
    nlsh__row_keep(&as, row, index->meta.dim, stored);
}

/* O(buckets). */
static enum nlsh_status check_buckets(const struct nlsh_index *index, size_t i,
                                      const struct nlsh__segment *s, struct nlsh_error *error)
{
    const uint32_t *offsets = s->bucket_offsets;
    size_t m = index->meta.n_buckets;
    for (size_t b = 0; b < m; b++)
        if (offsets[b] > offsets[b + 1])
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: segment %zu: bucket %zu begins at place %u and ends at place %u",
                              index->path, i, b, offsets[b], offsets[b + 1]);
    if (offsets[0] != 0 || offsets[m] != s->n_rows)
        return nlsh__fail(
            error, NLSH_E_DATA, remedy,
            "%s: segment %zu: the buckets hold places %u to %u, and there are %zu rows",
            index->path, i, offsets[0], offsets[m], s->n_rows);
    return NLSH_OK;
}

/* Every row of the base once: what a search answers with is then in range, and nothing twice. */
static enum nlsh_status check_rows(const struct nlsh_index *index, size_t i,
                                   const struct nlsh__segment *s, struct nlsh_error *error)
{
    uint64_t *seen;
    enum nlsh_status status = nlsh__calloc(&seen, s->n_rows / 64 + 1, sizeof *seen, error);
    for (size_t place = 0; place < s->n_rows && status == NLSH_OK; place++) {
        uint32_t row = s->rows[place];
        if (row >= s->n_rows || (seen[row / 64] >> row % 64 & 1) != 0)
            status =
                nlsh__fail(error, NLSH_E_DATA, remedy,
                           "%s: segment %zu: place %zu holds row %u, which is %s", index->path, i,
                           place, row, row >= s->n_rows ? "too large" : "at another place too");
        else
            seen[row / 64] |= UINT64_C(1) << row % 64;
    }
    nlsh__free(seen);
    return status;
}

/* n_rows and hashes: format 2 has them in the sections of the whole. */
static enum nlsh_status take_sizes(struct nlsh_index *index, const struct nlsh__sections *sections,
                                   size_t i, struct nlsh__segment *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    const void *bytes = NULL;
    struct nlsh__segment_meta own = {.n_rows = index->meta.n_rows,
                                     .data_hash = index->meta.data_hash};
    struct nlsh__metric_meta metric;
    NLSH_TRY(nlsh__section_take(index, sections, NLSH__SECTION_SEGMENT, i, 1, sizeof own, &bytes,
                                error));
    if (bytes != NULL) {
        memcpy(&own, bytes, sizeof own);
    } else {
        NLSH_TRY(nlsh__section_take(index, sections, NLSH__SECTION_METRIC, 0, 1, sizeof metric,
                                    &bytes, error));
        if (bytes != NULL) {
            memcpy(&metric, bytes, sizeof metric);
            own.stored_hash = metric.stored_hash;
        }
    }
    /* an index without rows has a segment without rows */
    if ((own.n_rows < 1 && index->meta.n_rows > 0) ||
        own.n_rows > index->meta.n_rows - s->first_row)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: segment %zu has %llu rows, all have %llu", index->path, i,
                          (unsigned long long)own.n_rows, (unsigned long long)index->meta.n_rows);
    s->n_rows = (size_t)own.n_rows;
    s->data_hash = own.data_hash;
    s->stored_hash = own.stored_hash;
out:
    return status;
}

static enum nlsh_status take_rows(struct nlsh_index *index, const struct nlsh__sections *sections,
                                  size_t i, struct nlsh__segment *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    const void *buckets, *rows, *keys, *tombstones;
    size_t n = s->n_rows;
    NLSH_TRY(nlsh__section_take(index, sections, NLSH__SECTION_BUCKETS, i,
                                (uint64_t)index->meta.n_buckets + 1, sizeof(uint32_t), &buckets,
                                error));
    NLSH_TRY(nlsh__section_take(index, sections, NLSH__SECTION_ROWS, i, n, sizeof(uint32_t), &rows,
                                error));
    NLSH_TRY(nlsh__section_take(index, sections, NLSH__SECTION_VECTORS, i, n,
                                nlsh__index_row_bytes(index), &s->vectors, error));
    NLSH_TRY(nlsh__section_take(index, sections, NLSH__SECTION_KEYS, i, n, sizeof(uint64_t), &keys,
                                error));
    NLSH_TRY(nlsh__section_take(index, sections, NLSH__SECTION_TOMBSTONES, i, (n + 63) / 64,
                                sizeof(uint64_t), &tombstones, error));
    s->bucket_offsets = buckets;
    s->rows = rows;
    s->keys = keys;
    s->tombstones = tombstones;
    NLSH_TRY(check_buckets(index, i, s, error));
    NLSH_TRY(check_rows(index, i, s, error));
    for (size_t row = 0; row < n && s->tombstones != NULL; row++)
        index->n_deleted += s->tombstones[row / 64] >> row % 64 & 1;
out:
    return status;
}

/* Codes and leaves do not know the file's name; their words get it here. */
static enum nlsh_status take_codes(struct nlsh_index *index, const struct nlsh__sections *sections,
                                   size_t i, struct nlsh__segment *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_error inner = {.status = NLSH_OK};
    const void *codes, *leaves;
    size_t codes_size, leaves_size, m = index->meta.n_buckets;
    unsigned codes_version, leaves_version;
    const struct nlsh__codes_of of = {s->bucket_offsets, m, nlsh__router_n_inputs(index->router),
                                      index->meta.dim};
    NLSH_TRY(nlsh__section_blob(index, sections, NLSH__SECTION_CODES, i, &codes, &codes_size,
                                &codes_version, error));
    NLSH_TRY(nlsh__section_blob(index, sections, NLSH__SECTION_LEAVES, i, &leaves, &leaves_size,
                                &leaves_version, error));
    if (codes == NULL) return NLSH_OK;
    status = nlsh__codes_open(codes, codes_size, codes_version, &of, &s->codes, &inner);
    if (status == NLSH_OK && leaves != NULL)
        status =
            nlsh__leaves_open(leaves, leaves_size, leaves_version, s->codes, m, &s->leaves, &inner);
    if (status != NLSH_OK)
        return nlsh__fail(error, status, inner.hint, "%s: segment %zu: %s", index->path, i,
                          inner.message);
    if (s->codes->margins.n_ks > 0) index->row_margins = s->codes->margins; /* format 2 */
    if (s->leaves != NULL && s->leaves->margins.n_ks > 0) {
        index->leaf_margins = s->leaves->margins;
        index->leaf_slope = s->leaves->slope;
    }
out:
    return status;
}

enum nlsh_status nlsh__take_segment(struct nlsh_index *index, const struct nlsh__sections *sections,
                                    size_t i, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__segment *s = &index->segments[i];
    if (i > 0) s->first_row = s[-1].first_row + (uint32_t)s[-1].n_rows;
    NLSH_TRY(take_sizes(index, sections, i, s, error));
    NLSH_TRY(take_rows(index, sections, i, s, error));
    NLSH_TRY(take_codes(index, sections, i, s, error));
out:
    return status;
}
