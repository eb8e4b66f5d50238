/* shard.c - of a file that holds some buckets of an index: which, and what the whole is like. */
#include <string.h>

#include "base/error.h"
#include "index/layout.h"

static const char *const remedy = NLSH__INDEX_REMEDY;

static enum nlsh_status check_header(const struct nlsh_index *index,
                                     const struct nlsh__shard_header *h, struct nlsh_error *error)
{
    if (h->n < 2 || h->number >= h->n || h->n_rows >= UINT32_MAX || index->n_segments != 1)
        return nlsh__fail(
            error, NLSH_E_DATA, remedy,
            "%s: section shard: it says shard %u of %u, of %llu rows, in %zu segments", index->path,
            h->number, h->n, (unsigned long long)h->n_rows, index->n_segments);
    return NLSH_OK;
}

/* Its own buckets are as large as the whole's, and others are empty. */
static enum nlsh_status check_buckets(const struct nlsh_index *index, struct nlsh_error *error)
{
    const struct nlsh__shard *s = &index->shard;
    const uint32_t *offsets = index->segments[0].bucket_offsets;
    uint64_t n = 0;
    for (size_t b = 0; b < index->meta.n_buckets; b++) {
        uint32_t size = offsets[b + 1] - offsets[b];
        uint32_t wanted = s->owners[b] == s->header.number ? s->sizes[b] : 0;
        n += s->sizes[b];
        if (s->owners[b] >= s->header.n || size != wanted)
            return nlsh__fail(
                error, NLSH_E_DATA, remedy,
                "%s: section shard: bucket %zu belongs to shard %u and has %u rows, and "
                "the file has %u of it",
                index->path, b, s->owners[b], s->sizes[b], size);
    }
    if (n == s->header.n_rows) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_DATA, remedy,
                      "%s: section shard: the buckets have %llu rows together, and all are %llu",
                      index->path, (unsigned long long)n, (unsigned long long)s->header.n_rows);
}

static enum nlsh_status check_rows(const struct nlsh_index *index, struct nlsh_error *error)
{
    const struct nlsh__shard *s = &index->shard;
    for (size_t i = 0; i < index->meta.n_rows; i++)
        if (s->rows[i] >= s->header.n_rows || (i > 0 && s->rows[i] <= s->rows[i - 1]))
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: section shard: row %zu is row %u of the whole, out of range or "
                              "order",
                              index->path, i, s->rows[i]);
    return NLSH_OK;
}

enum nlsh_status nlsh__take_shard(struct nlsh_index *index, const struct nlsh__sections *sections,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    const void *bytes;
    size_t size, m = index->meta.n_buckets, n = (size_t)index->meta.n_rows;
    unsigned version;
    struct nlsh__shard *s = &index->shard;
    NLSH_TRY(nlsh__section_blob(index, sections, NLSH__SECTION_SHARD, 0, &bytes, &size, &version,
                                error));
    if (bytes == NULL) goto out;
    if (size != sizeof s->header + (2 * m + n) * sizeof(uint32_t))
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: section shard has %zu bytes, which %zu buckets and %zu rows do not "
                          "agree with",
                          index->path, size, m, n);
    memcpy(&s->header, bytes, sizeof s->header);
    s->sizes = (const uint32_t *)(const void *)((const char *)bytes + sizeof s->header);
    s->owners = s->sizes + m;
    s->rows = s->owners + m;
    NLSH_TRY(check_header(index, &s->header, error));
    NLSH_TRY(check_buckets(index, error));
    NLSH_TRY(check_rows(index, error));
out:
    return status;
}

enum nlsh_status nlsh__whole_check(const struct nlsh_index *index, const char *what,
                                   struct nlsh_error *error)
{
    const struct nlsh__shard_header *h = &index->shard.header;
    if (h->n == 0) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_UNSUPPORTED,
                      "search by the manifest that `nlsh shard` wrote, which names all shards",
                      "%s is shard %u of %u, of an index of %llu vectors: %s needs all of them",
                      index->path, h->number, h->n, (unsigned long long)h->n_rows, what);
}
