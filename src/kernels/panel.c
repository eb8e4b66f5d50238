/* panel.c - packing rows into panels: see panel.h. */
#include "kernels/panel.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum nlsh_status nlsh__panel_u8_create(const uint8_t *rows, size_t n_rows, size_t dim,
                                       struct nlsh__panel_u8 *out, struct nlsh_error *error)
{
    size_t n_groups = (n_rows + NLSH__GROUP - 1) / NLSH__GROUP;
    size_t n_chunks = (dim + 3) / 4;
    *out = (struct nlsh__panel_u8){
        .n_rows = n_rows, .dim = dim, .n_groups = n_groups, .n_chunks = n_chunks};
    enum nlsh_status status = nlsh__alloc(&out->values, n_groups * n_chunks, 64, error);
    if (status == NLSH_OK) status = nlsh__alloc(&out->bias, n_groups * NLSH__GROUP, 4, error);
    if (status != NLSH_OK) {
        nlsh__panel_u8_free(out);
        return status;
    }
    for (size_t g = 0; g < n_groups; g++) {
        uint8_t *group = out->values + g * n_chunks * 64;
        for (size_t r = 0; r < NLSH__GROUP; r++) {
            size_t row = g * NLSH__GROUP + r;
            if (row >= n_rows) {
                for (size_t c = 0; c < n_chunks; c++) memset(group + c * 64 + r * 4, 0, 4);
                out->bias[row] = INT32_MAX;
                continue;
            }
            const uint8_t *x = rows + row * dim;
            int32_t bias = 0;
            for (size_t d = 0; d < dim; d++) bias += (int32_t)x[d] * ((int32_t)x[d] - 256);
            out->bias[row] = bias;
            for (size_t c = 0; c < dim / 4; c++) memcpy(group + c * 64 + r * 4, x + 4 * c, 4);
            if (dim % 4 != 0) {
                uint8_t last[4] = {0};
                memcpy(last, x + dim / 4 * 4, dim % 4);
                memcpy(group + dim / 4 * 64 + r * 4, last, 4);
            }
        }
    }
    return NLSH_OK;
}

void nlsh__panel_u8_free(struct nlsh__panel_u8 *panel)
{
    nlsh__free(panel->values);
    nlsh__free(panel->bias);
    *panel = (struct nlsh__panel_u8){0};
}

void nlsh__panel_u8_query(const uint8_t *query, size_t dim, int8_t *out)
{
    size_t padded = (dim + 3) / 4 * 4;
    for (size_t d = 0; d < dim; d++) out[d] = (int8_t)((int)query[d] - 128);
    for (size_t d = dim; d < padded; d++) out[d] = 0;
}

enum nlsh_status nlsh__panel_f32_create(const float *rows, const float *offset, size_t n_rows,
                                        size_t dim, struct nlsh__panel_f32 *out,
                                        struct nlsh_error *error)
{
    size_t n_groups = (n_rows + NLSH__GROUP - 1) / NLSH__GROUP;
    *out = (struct nlsh__panel_f32){.n_rows = n_rows, .dim = dim, .n_groups = n_groups};
    enum nlsh_status status = nlsh__alloc(&out->values, n_groups * dim, 64, error);
    if (status == NLSH_OK) status = nlsh__alloc(&out->bias, n_groups * NLSH__GROUP, 4, error);
    if (status != NLSH_OK) {
        nlsh__panel_f32_free(out);
        return status;
    }
    for (size_t g = 0; g < n_groups; g++) {
        float *group = out->values + g * dim * NLSH__GROUP;
        for (size_t r = 0; r < NLSH__GROUP; r++) {
            size_t row = g * NLSH__GROUP + r;
            double norm = 0;
            for (size_t d = 0; d < dim; d++) {
                float v = 0;
                if (row < n_rows) v = rows[row * dim + d] - (offset != NULL ? offset[d] : 0);
                group[d * NLSH__GROUP + r] = v;
                norm += (double)v * (double)v;
            }
            out->bias[row] = row < n_rows ? (float)norm : INFINITY;
        }
    }
    return NLSH_OK;
}

void nlsh__panel_f32_free(struct nlsh__panel_f32 *panel)
{
    nlsh__free(panel->values);
    nlsh__free(panel->bias);
    *panel = (struct nlsh__panel_f32){0};
}

double nlsh__panel_f32_rounding(size_t dim, double norm, double l2sq)
{
    double length = 2 * sqrt(norm) + sqrt(l2sq);
    return 2 * ((double)dim + 9) * (FLT_EPSILON / 2.0) * length * length + (double)dim * FLT_MIN;
}
