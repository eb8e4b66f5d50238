/*
 * promises.c - what was measured when the index was made, from the file: what a search does for which recall
 * (efforts; in older files which threshold reaches which, targets), what the router expected elsewhere (outside), and
 * how far scores may be off (margins).
 * Tables of any length; format 2 had short ones in other places.
 */
#include <float.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "index/layout.h"

static const char *const remedy = NLSH__INDEX_REMEDY;

static enum nlsh_status damaged(const struct nlsh_index *index, const char *section,
                                const char *what, struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: section %s: %s", index->path, section, what);
}

/* ---- targets --------------------------------------------------------------------------------- */

enum { OLD_TABLES = 4 };

/* Of format 2. */
struct targets_header_0 {
    uint32_t n;
    uint32_t reserved[3];
    uint32_t k[OLD_TABLES];
    uint32_t n_points[OLD_TABLES];
    uint32_t reserved_b[4];
};
_Static_assert(sizeof(struct targets_header_0) == 64, "no padding");

/* The lists of k and of n_points, stride u32 apart, and where the points begin. */
struct table_lists {
    const uint32_t *k, *n_points;
    size_t n, stride, points_at;
};

/* Behind a header of 64 bytes whose first word says how many. */
static enum nlsh_status find_lists(const struct nlsh_index *index, const char *section,
                                   const void *bytes, size_t size, struct table_lists *out,
                                   struct nlsh_error *error)
{
    const uint32_t *words = bytes;
    size_t header = sizeof(struct nlsh__targets_header);
    if (size < header) return damaged(index, section, "it is truncated", error);
    size_t n = words[0];
    if (n > (size - header) / 8) return damaged(index, section, "too many tables", error);
    *out = (struct table_lists){words + header / 4, words + header / 4 + 1, n, 2,
                                header + (n * 8 + 63) / 64 * 64};
    return NLSH_OK;
}

static enum nlsh_status find_old_lists(const struct nlsh_index *index, const void *bytes,
                                       size_t size, struct table_lists *out,
                                       struct nlsh_error *error)
{
    const struct targets_header_0 *h = bytes;
    if (size < sizeof *h) return damaged(index, "targets", "it is truncated", error);
    if (h->n > OLD_TABLES) return damaged(index, "targets", "too many tables", error);
    *out = (struct table_lists){h->k, h->n_points, h->n, 1, sizeof *h};
    return NLSH_OK;
}

/* The i-th table of a section, whose points are point_size bytes each and begin at *at, which moves behind them:
 * its k and how many. last_k: of the table before it. NULL after saying what is wrong. */
static const void *next_table(const struct nlsh_index *index, const char *section,
                              const struct table_lists *lists, size_t i, size_t last_k,
                              size_t point_size, const void *bytes, size_t size, uint64_t *at,
                              struct nlsh_error *error)
{
    size_t k = lists->k[i * lists->stride], n_points = lists->n_points[i * lists->stride];
    const char *points = (const char *)bytes + (*at < size ? *at : 0);
    *at += (uint64_t)n_points * point_size;
    if (k > last_k && n_points > 0 && *at <= size) return points;
    (void)!damaged(index, section,
                   k > last_k && n_points > 0 ? "its length does not agree with its header"
                                              : "a table's header is out of range or order",
                   error);
    return NULL;
}

static enum nlsh_status take_targets(struct nlsh_index *index, const void *bytes, size_t size,
                                     unsigned version, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct table_lists lists = {.n = 0};
    if (version == 0)
        NLSH_TRY(find_old_lists(index, bytes, size, &lists, error));
    else
        NLSH_TRY(find_lists(index, "targets", bytes, size, &lists, error));
    NLSH_TRY(nlsh__alloc(&index->target_tables, lists.n, sizeof *index->target_tables, error));
    index->targets = (struct nlsh__targets){lists.n, index->target_tables};
    uint64_t at = lists.points_at;
    for (size_t i = 0; i < lists.n; i++) {
        struct nlsh__target_table *t = &index->target_tables[i];
        *t =
            (struct nlsh__target_table){lists.k[i * lists.stride], lists.n_points[i * lists.stride],
                                        next_table(index, "targets", &lists, i, i > 0 ? t[-1].k : 0,
                                                   sizeof *t->points, bytes, size, &at, error)};
        if (t->points == NULL) return NLSH_E_DATA;
        size_t wrong = nlsh__targets_wrong(t);
        if (wrong < t->n_points)
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: target %zu of k = %zu (recall %g, threshold %g) is out of range "
                              "or order",
                              index->path, wrong, t->k, (double)t->points[wrong][0],
                              (double)t->points[wrong][1]);
    }
    if (at != size)
        return damaged(index, "targets", "its length does not agree with its header", error);
out:
    return status;
}

/* ---- efforts --------------------------------------------------------------------------------- */

static enum nlsh_status take_efforts(struct nlsh_index *index, const void *bytes, size_t size,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct table_lists lists;
    NLSH_TRY(find_lists(index, "efforts", bytes, size, &lists, error));
    memcpy(&index->efforts_header, bytes, sizeof index->efforts_header);
    NLSH_TRY(nlsh__alloc(&index->effort_tables, lists.n, sizeof *index->effort_tables, error));
    index->efforts = (struct nlsh__efforts){lists.n, index->effort_tables};
    uint64_t at = lists.points_at;
    for (size_t i = 0; i < lists.n; i++) {
        struct nlsh__effort_table *t = &index->effort_tables[i];
        *t =
            (struct nlsh__effort_table){lists.k[i * lists.stride], lists.n_points[i * lists.stride],
                                        next_table(index, "efforts", &lists, i, i > 0 ? t[-1].k : 0,
                                                   sizeof *t->points, bytes, size, &at, error)};
        if (t->points == NULL) return NLSH_E_DATA;
        size_t wrong = nlsh__efforts_wrong(t);
        if (wrong < t->n_points)
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: effort %zu of k = %zu (recall %g, threshold %g, margins %g and "
                              "%g) is out of range or order",
                              index->path, wrong, t->k, (double)t->points[wrong].recall,
                              (double)t->points[wrong].threshold, (double)t->points[wrong].margin,
                              (double)t->points[wrong].leaf_margin);
    }
    if (at != size)
        return damaged(index, "efforts", "its length does not agree with its header", error);
out:
    return status;
}

/* ---- outside --------------------------------------------------------------------------------- */

static enum nlsh_status take_outside(struct nlsh_index *index, const void *bytes, size_t size,
                                     struct nlsh_error *error)
{
    const uint32_t *words = bytes;
    size_t header = sizeof(struct nlsh__outside_header);
    if (size < header) return damaged(index, "outside", "it is truncated", error);
    struct nlsh__outside *o = &index->outside;
    *o = (struct nlsh__outside){words[0], (const void *)((const char *)bytes + header)};
    if (o->n != (size - header) / sizeof *o->points || (size - header) % sizeof *o->points != 0)
        return damaged(index, "outside", "its length does not agree with its header", error);
    memcpy(&index->far, (const char *)bytes + offsetof(struct nlsh__outside_header, far),
           sizeof index->far);
    if (!nlsh__inside(index->far, 0, FLT_MAX))
        return damaged(index, "outside", "the distance is not a number >= 0", error);
    if (index->metric == NLSH_IP) index->far = -index->far;
    size_t wrong = nlsh__outside_wrong(o);
    if (wrong == o->n) return NLSH_OK;
    return nlsh__fail(
        error, NLSH_E_DATA, remedy,
        "%s: point %zu of section outside (threshold %g, share %g) is out of range or "
        "order",
        index->path, wrong, (double)o->points[wrong].threshold, (double)o->points[wrong].outside);
}

/* ---- margins --------------------------------------------------------------------------------- */

/* Takes count words, padded to 64 bytes, from *at on; NULL where they do not fit. */
static const void *words_at(const void *bytes, size_t size, size_t *at, size_t count)
{
    const char *from = (const char *)bytes + *at;
    size_t padded = (count * 4 + 63) / 64 * 64;
    if (count > size / 4 || padded > size - *at) return NULL;
    *at += padded;
    return from;
}

static enum nlsh_status take_table(const struct nlsh_index *index, const void *bytes, size_t size,
                                   size_t *at, size_t n_ks, size_t n_losses, float least,
                                   struct nlsh__margins *out, struct nlsh_error *error)
{
    size_t n;
    *out = (struct nlsh__margins){.n_ks = n_ks, .n_losses = n_losses};
    if (n_ks == 0 || n_losses == 0) return NLSH_OK;
    out->k = words_at(bytes, size, at, n_ks);
    out->loss = words_at(bytes, size, at, n_losses);
    if (nlsh__mul(n_ks, n_losses, &n) == 0) out->margin = words_at(bytes, size, at, n);
    if (out->k == NULL || out->loss == NULL || out->margin == NULL)
        return damaged(index, "margins", "its length does not agree with its header", error);
    const char *wrong = nlsh__margins_wrong(out, least);
    return wrong != NULL ? damaged(index, "margins", wrong, error) : NLSH_OK;
}

static enum nlsh_status take_margins(struct nlsh_index *index, const void *bytes, size_t size,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__margins_header h;
    size_t at = sizeof h;
    if (size < sizeof h) return damaged(index, "margins", "it is truncated", error);
    memcpy(&h, bytes, sizeof h);
    NLSH_TRY(take_table(index, bytes, size, &at, h.n_row_ks, h.n_row_losses, 0, &index->row_margins,
                        error));
    NLSH_TRY(take_table(index, bytes, size, &at, h.n_leaf_ks, h.n_leaf_losses, -1e9f,
                        &index->leaf_margins, error));
    if (!nlsh__inside(h.leaf_slope, 0, 1e9f))
        return damaged(index, "margins", "the slope is not a number >= 0", error);
    index->leaf_slope = h.leaf_slope;
    if (at != size)
        return damaged(index, "margins", "its length does not agree with its header", error);
out:
    return status;
}

/* ---- all ------------------------------------------------------------------------------------- */

enum nlsh_status nlsh__take_promises(struct nlsh_index *index,
                                     const struct nlsh__sections *sections,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    const void *bytes;
    size_t size;
    unsigned version;
    NLSH_TRY(nlsh__section_blob(index, sections, NLSH__SECTION_TARGETS, 0, &bytes, &size, &version,
                                error));
    if (bytes != NULL) NLSH_TRY(take_targets(index, bytes, size, version, error));
    NLSH_TRY(nlsh__section_blob(index, sections, NLSH__SECTION_EFFORTS, 0, &bytes, &size, &version,
                                error));
    if (bytes != NULL) NLSH_TRY(take_efforts(index, bytes, size, error));
    NLSH_TRY(nlsh__section_blob(index, sections, NLSH__SECTION_OUTSIDE, 0, &bytes, &size, &version,
                                error));
    if (bytes != NULL) NLSH_TRY(take_outside(index, bytes, size, error));
    NLSH_TRY(nlsh__section_blob(index, sections, NLSH__SECTION_MARGINS, 0, &bytes, &size, &version,
                                error));
    if (bytes != NULL) NLSH_TRY(take_margins(index, bytes, size, error));
out:
    return status;
}
