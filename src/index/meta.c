/* meta.c - the small sections that belong to the whole index, each value checked before it is used. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "index/layout.h"
#include "kernels/kernels.h"

static const char *const remedy = NLSH__INDEX_REMEDY;

/* ---- taking a section ------------------------------------------------------------------------ */

enum nlsh_status nlsh__section_blob(const struct nlsh_index *index,
                                    const struct nlsh__sections *sections,
                                    enum nlsh__section_kind kind, size_t segment, const void **out,
                                    size_t *size, unsigned *version, struct nlsh_error *error)
{
    const struct nlsh__index_entry *e = nlsh__index_find(&sections->table, kind, segment);
    *out = NULL;
    *size = 0;
    *version = 0;
    if (e == NULL && nlsh__known_sections[kind].may_be_absent) return NLSH_OK;
    if (e == NULL)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: there is no section %s of segment %zu",
                          index->path, nlsh__section_name((unsigned)kind), segment);
    *out = sections->at[e - sections->table.entries];
    *size = (size_t)e->size;
    *version = e->version;
    return NLSH_OK;
}

enum nlsh_status nlsh__section_take(const struct nlsh_index *index,
                                    const struct nlsh__sections *sections,
                                    enum nlsh__section_kind kind, size_t segment, uint64_t count,
                                    size_t size, const void **out, struct nlsh_error *error)
{
    uint64_t bytes;
    size_t has;
    unsigned version;
    enum nlsh_status status =
        nlsh__section_blob(index, sections, kind, segment, out, &has, &version, error);
    if (status != NLSH_OK || *out == NULL) return status;
    if (!__builtin_mul_overflow(count, size, &bytes) && bytes == has) return NLSH_OK;
    *out = NULL;
    return nlsh__fail(error, NLSH_E_DATA, remedy,
                      "%s: section %s of segment %zu has %zu bytes where %llu x %zu belong",
                      index->path, nlsh__section_name((unsigned)kind), segment, has,
                      (unsigned long long)count, size);
}

/* Copies a section of one element, where it is there. */
static enum nlsh_status copy_section(const struct nlsh_index *index,
                                     const struct nlsh__sections *sections,
                                     enum nlsh__section_kind kind, size_t size, void *to,
                                     int *there, struct nlsh_error *error)
{
    const void *bytes;
    enum nlsh_status status = nlsh__section_take(index, sections, kind, 0, 1, size, &bytes, error);
    *there = status == NLSH_OK && bytes != NULL;
    if (*there) memcpy(to, bytes, size);
    return status;
}

/* ---- meta, metric, settings ------------------------------------------------------------------ */

static enum nlsh_status check_meta(const char *path, const struct nlsh__meta *meta,
                                   struct nlsh_error *error)
{
    int u8 = meta->storage_type == NLSH_U8;
    if (meta->source_type != NLSH_U8 && meta->source_type != NLSH_I8 &&
        meta->source_type != NLSH_F32)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: vectors of type %u, which is none", path,
                          meta->source_type);
    int scaled = meta->storage_type == NLSH_I8;
    int floats = meta->storage_type == NLSH_F32 || meta->storage_type == NLSH_F16 ||
                 meta->storage_type == NLSH_BF16 || scaled;
    if (!u8 && (!floats || meta->source_type != NLSH_F32))
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: vectors of type %u cannot be stored as type %u", path,
                          meta->source_type, meta->storage_type);
    if (scaled && !nlsh__is_scale(meta->scale))
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: its bytes are to be scaled by %g, which is no scale", path,
                          (double)meta->scale);
    size_t limit = u8 ? NLSH__MAX_DIM_U8 : NLSH__MAX_DIM;
    if (meta->dim < 1 || meta->dim > limit)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: dimension %u is not between 1 and %zu",
                          path, meta->dim, limit);
    if (meta->n_rows >= UINT32_MAX)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: %llu rows: more than 2^32 - 2", path,
                          (unsigned long long)meta->n_rows);
    if (meta->n_buckets < 1)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: there are no buckets", path);
    if (meta->n_segments < 1 || meta->n_segments > NLSH__MAX_SEGMENTS)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: %u segments: not between 1 and %u", path,
                          meta->n_segments, NLSH__MAX_SEGMENTS);
    if (!(meta->disagreement >= 0 && meta->disagreement <= 1))
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: disagreement %g is not between 0 and 1",
                          path, meta->disagreement);
    return NLSH_OK;
}

static enum nlsh_status take_metric(struct nlsh_index *index, const struct nlsh__metric_meta *m,
                                    struct nlsh_error *error)
{
    if (m->metric != NLSH_IP && m->metric != NLSH_COSINE)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: metric %u, which is none", index->path,
                          m->metric);
    if (index->meta.storage_type == NLSH_U8)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: metric %s, but its vectors are bytes",
                          index->path, nlsh_metric_name((enum nlsh_metric)m->metric));
    if (!isfinite(m->query_norm) || m->query_norm <= 0)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: queries are to have the length %g",
                          index->path, (double)m->query_norm);
    index->metric = (enum nlsh_metric)m->metric;
    index->query_norm = m->query_norm;
    return NLSH_OK;
}

static enum nlsh_status take_log(struct nlsh_index *index, const struct nlsh__sections *sections,
                                 struct nlsh_error *error)
{
    int there;
    enum nlsh_status status = copy_section(index, sections, NLSH__SECTION_LOG, sizeof index->log,
                                           &index->log, &there, error);
    if (!there) return status;
    if (index->log.position % NLSH__SECTION_ALIGN == 0) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_DATA, remedy,
                      "%s: its log is to go on at byte %llu, which is no multiple of %u",
                      index->path, (unsigned long long)index->log.position, NLSH__SECTION_ALIGN);
}

static int is_needed(double needed)
{
    return needed >= 0 && needed < 1e10;
}

static int meter_wrong(const struct nlsh__meter_header *h)
{
    return !is_needed(h->trained) || !is_needed(h->now) || !is_needed((double)h->few_trained) ||
           !is_needed((double)h->few_now) || !is_needed((double)h->many_trained) ||
           !is_needed((double)h->many_now);
}

static enum nlsh_status take_meter(struct nlsh_index *index, const struct nlsh__sections *sections,
                                   struct nlsh_error *error)
{
    const void *bytes;
    size_t size;
    unsigned version;
    struct nlsh__meter_header *h = &index->meter;
    enum nlsh_status status =
        nlsh__section_blob(index, sections, NLSH__SECTION_METER, 0, &bytes, &size, &version, error);
    if (status != NLSH_OK || bytes == NULL) return status;
    if (size >= sizeof *h) memcpy(h, bytes, sizeof *h);
    if (size < sizeof *h || (size - sizeof *h) / sizeof(uint32_t) != h->n ||
        (size - sizeof *h) % sizeof(uint32_t) != 0 || meter_wrong(h))
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: section meter: its numbers are out of range", index->path);
    const uint32_t *rows = (const uint32_t *)(const void *)((const char *)bytes + sizeof *h);
    for (size_t i = 0; i < h->n; i++)
        if (rows[i] >= index->meta.n_rows || (i > 0 && rows[i] <= rows[i - 1]))
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: section meter: number %zu is row %u, out of range or order",
                              index->path, i, rows[i]);
    index->untaught = rows;
    return NLSH_OK;
}

enum nlsh_status nlsh__take_meta(struct nlsh_index *index, const struct nlsh__sections *sections,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    const void *settings = NULL;
    struct nlsh__metric_meta metric;
    int there;
    size_t size;
    unsigned version;
    NLSH_TRY(copy_section(index, sections, NLSH__SECTION_META, sizeof index->meta, &index->meta,
                          &there, error));
    if (index->format < 3) index->meta.n_segments = 1; /* it was reserved, and to be ignored */
    NLSH_TRY(check_meta(index->path, &index->meta, error));
    NLSH_TRY(
        copy_section(index, sections, NLSH__SECTION_METRIC, sizeof metric, &metric, &there, error));
    if (there) NLSH_TRY(take_metric(index, &metric, error));
    NLSH_TRY(nlsh__section_blob(index, sections, NLSH__SECTION_SETTINGS, 0, &settings, &size,
                                &version, error));
    if (memchr(settings, 0, size) != (const char *)settings + size - 1)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: the settings are not a text ended by one NUL", index->path);
    index->settings = settings;
    NLSH_TRY(take_log(index, sections, error));
    NLSH_TRY(take_meter(index, sections, error));
out:
    return status;
}
