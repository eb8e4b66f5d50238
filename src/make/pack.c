/* pack.c - see pack.h. */
#include "make/pack.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum nlsh_status nlsh__pack_efforts(const struct nlsh__measured_efforts *e, int sampled,
                                    void **bytes, size_t *size, struct nlsh_error *error)
{
    const struct nlsh__efforts_header header = {
        .n = (uint32_t)e->n, .n_queries = (uint32_t)e->n_queries, .sampled = (uint32_t)sampled};
    size_t at = sizeof header + nlsh__padded(e->n * 8);
    *size = at;
    for (size_t i = 0; i < e->n; i++) *size += e->n_points[i] * sizeof e->points[0][0];
    enum nlsh_status status = nlsh__calloc(bytes, *size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*bytes, &header, sizeof header);
    for (size_t i = 0; i < e->n; i++) {
        const uint32_t list[2] = {(uint32_t)e->k[i], (uint32_t)e->n_points[i]};
        size_t points = e->n_points[i] * sizeof e->points[0][0];
        memcpy((char *)*bytes + sizeof header + 8 * i, list, sizeof list);
        memcpy((char *)*bytes + at, e->points[i], points);
        at += points;
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__pack_outside(const struct nlsh__measured_efforts *e, void **bytes,
                                    size_t *size, struct nlsh_error *error)
{
    const struct nlsh__outside_header header = {.n = NLSH__CALIBRATION_POINTS,
                                                .far = fabsf(e->far)};
    *size = sizeof header + sizeof e->outside;
    enum nlsh_status status = nlsh__calloc(bytes, *size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*bytes, &header, sizeof header);
    memcpy((char *)*bytes + sizeof header, e->outside, sizeof e->outside);
    return NLSH_OK;
}

static size_t margins_size(const struct nlsh__margins *m)
{
    return nlsh__padded(4 * m->n_ks) + nlsh__padded(4 * m->n_losses) +
           nlsh__padded(4 * m->n_ks * m->n_losses);
}

static char *put_margins(char *at, const struct nlsh__margins *m)
{
    memcpy(at, m->k, 4 * m->n_ks);
    at += nlsh__padded(4 * m->n_ks);
    memcpy(at, m->loss, 4 * m->n_losses);
    at += nlsh__padded(4 * m->n_losses);
    memcpy(at, m->margin, 4 * m->n_ks * m->n_losses);
    return at + nlsh__padded(4 * m->n_ks * m->n_losses);
}

enum nlsh_status nlsh__pack_margins(const struct nlsh__row_margins *of_rows,
                                    const struct nlsh__leaf_margins *of_leaves, void **bytes,
                                    size_t *size, struct nlsh_error *error)
{
    const struct nlsh__margins rows = nlsh__row_margins_of(of_rows);
    struct nlsh__margins leaves = {.n_ks = 0};
    struct nlsh__margins_header header = {.n_row_ks = (uint32_t)rows.n_ks,
                                          .n_row_losses = (uint32_t)rows.n_losses};
    if (of_leaves != NULL) {
        leaves = nlsh__leaf_margins_of(of_leaves);
        header.n_leaf_ks = (uint32_t)leaves.n_ks;
        header.n_leaf_losses = (uint32_t)leaves.n_losses;
        header.leaf_slope = of_leaves->slope;
    }
    *size = sizeof header + margins_size(&rows) + margins_size(&leaves);
    enum nlsh_status status = nlsh__calloc(bytes, *size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*bytes, &header, sizeof header);
    char *at = put_margins((char *)*bytes + sizeof header, &rows);
    if (of_leaves != NULL) put_margins(at, &leaves);
    return NLSH_OK;
}

enum nlsh_status nlsh__pack_meter(const struct nlsh__meter_header *meter, const uint32_t *rows,
                                  void **bytes, size_t *size, struct nlsh_error *error)
{
    *size = sizeof *meter + meter->n * sizeof *rows;
    enum nlsh_status status = nlsh__calloc(bytes, *size, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(*bytes, meter, sizeof *meter);
    if (meter->n > 0) memcpy((char *)*bytes + sizeof *meter, rows, meter->n * sizeof *rows);
    return NLSH_OK;
}
