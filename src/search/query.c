/*
 * query.c - see query.h. Signed bytes are stored as u8 + 128, so 128 is added to queries of such an
 * index, whatever their type; distances do not change.
 */
#include "search/query.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "kernels/metric.h"
#include "router/router.h"

enum nlsh_status nlsh__queries_check(const struct nlsh_index *index,
                                     const struct nlsh_matrix *queries, struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__matrix_check(queries, "queries", error);
    if (status != NLSH_OK) return status;
    if (!nlsh__is_vector_type(queries->type))
        return nlsh__fail(error, NLSH_E_MISMATCH, "give vectors of bytes or floats",
                          "queries: of type %s, which is no vector's",
                          nlsh__type_name(queries->type));
    if (queries->dim != index->meta.dim)
        return nlsh__fail(error, NLSH_E_MISMATCH, "give queries of the index's dimension",
                          "queries: dimension %zu, but %s has %u", queries->dim, index->path,
                          index->meta.dim);
    return NLSH_OK;
}

static enum nlsh_status bad_value(size_t i, size_t d, float value, struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_ARG, "take the query out, or replace the value",
                      "query %zu: value %zu is %s", i, d,
                      isfinite(value) ? "too large: its square does not fit in f32" : "not finite");
}

static enum nlsh_status take(struct nlsh__query *query, const struct nlsh_index *index,
                             const struct nlsh_matrix *queries, size_t i, struct nlsh_error *error)
{
    size_t dim = queries->dim;
    int shift = index->meta.source_type == NLSH_I8 ? 128 : 0;
    int storage_bytes = index->meta.storage_type == NLSH_U8;
    query->as_bytes = 0;
    if (queries->type == NLSH_U8) {
        const uint8_t *x = nlsh__row(queries, i);
        if (storage_bytes && shift == 0) {
            query->as_bytes = 1;
            memcpy(query->bytes, x, dim);
            if (nlsh__router_projects_bytes(index->router)) return NLSH_OK;
        }
        for (size_t d = 0; d < dim; d++) query->floats[d] = (float)(x[d] + shift);
        if (query->as_bytes) return NLSH_OK;
    } else {
        nlsh__row_to_f32(nlsh__row(queries, i), queries->type, dim, query->floats);
        int bad = 0; /* no branch: several values are looked at together */
        for (size_t d = 0; d < dim; d++) bad |= !(fabsf(query->floats[d]) <= NLSH__MOST_VALUE);
        for (size_t d = 0; d < dim && bad; d++)
            if (!(fabsf(query->floats[d]) <= NLSH__MOST_VALUE))
                return bad_value(i, d, query->floats[d], error);
        for (size_t d = 0; d < dim && shift != 0; d++) query->floats[d] += (float)shift;
    }
    if (!storage_bytes) return NLSH_OK;
    /* Whole numbers from 0 to 255 throughout: the exact way. */
    for (size_t d = 0; d < dim; d++) {
        float v = query->floats[d];
        if (!(v >= 0 && v <= 255) || v != (float)(uint8_t)v) return NLSH_OK;
        query->bytes[d] = (uint8_t)v;
    }
    query->as_bytes = 1;
    return NLSH_OK;
}

enum nlsh_status nlsh__query_set(struct nlsh__query *query, const struct nlsh_index *index,
                                 const struct nlsh_matrix *queries, size_t i,
                                 struct nlsh_error *error)
{
    size_t dim = queries->dim;
    enum nlsh_status status = take(query, index, queries, i, error);
    if (status != NLSH_OK || index->metric == NLSH_L2) return status;
    if (index->metric == NLSH_IP) {
        double norm = (double)index->query_norm;
        (void)nlsh__scale_to(query->floats, dim, norm, query->routed);
    } else if (!nlsh__scale_to(query->floats, dim, 1, query->floats)) {
        return nlsh__fail(error, NLSH_E_ARG,
                          "take the query out: no vector is near it by its angle",
                          "query %zu is all zeros: it has no direction, and so no cosine", i);
    }
    return NLSH_OK;
}

/* ---- rows as queries ------------------------------------------------------------------------- */

void nlsh__stored_add(const struct nlsh_index *index, const struct nlsh__segment *segment,
                      size_t place, float *sum)
{
    size_t dim = index->meta.dim;
    const void *row = (const uint8_t *)segment->vectors + place * nlsh__index_row_bytes(index);
    const struct nlsh__rounding as = nlsh__index_rounding(index);
    for (size_t d = 0; d < dim; d++) sum[d] += nlsh__stored_value(&as, row, d);
}

void nlsh__query_from_stored(struct nlsh__query *query, const struct nlsh_index *index,
                             const struct nlsh__segment *segment, size_t place)
{
    size_t dim = index->meta.dim;
    query->as_bytes = index->meta.storage_type == NLSH_U8;
    if (query->as_bytes) memcpy(query->bytes, (const uint8_t *)segment->vectors + place * dim, dim);
    memset(query->floats, 0, dim * sizeof *query->floats);
    nlsh__stored_add(index, segment, place, query->floats);
    if (index->metric == NLSH_IP)
        (void)nlsh__scale_to(query->floats, dim, (double)index->query_norm, query->routed);
}
