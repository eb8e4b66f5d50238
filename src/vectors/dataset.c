/*
 * dataset.c - see dataset.h.
 *
 * A dataset is bytes with an origin (0, or -128 where signed bytes were shifted) or floats. Two
 * datasets have comparable distances where both are floats, or both bytes of one origin. Pairing
 * tries to bring the queries to the base's origin; where a value does not fit both become floats.
 */
#include "vectors/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/neighbors.h"
#include "kernels/kernels.h"
#include "vectors/large.h"
#include "vectors/plain.h"
#include "vectors/values.h"

static size_t n_values(const struct nlsh__dataset *d)
{
    return d->matrix.n_rows * d->matrix.dim;
}

/* What a byte of 0 stands for. */
static int origin_of(const struct nlsh__dataset *d)
{
    return d->source_type == NLSH_I8 ? -128 : 0;
}

static enum nlsh_status check_shape(const struct nlsh_matrix *m, struct nlsh_error *error)
{
    size_t bytes;
    if (m == NULL || m->data == NULL || m->n_rows == 0 || m->dim == 0)
        return nlsh__fail(error, NLSH_E_ARG, "give at least one vector of at least one value",
                          "there are no vectors");
    if (nlsh__mul(m->n_rows, m->dim, &bytes) != 0 || nlsh__mul(bytes, 4, &bytes) != 0)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%zu rows of %zu values overflow", m->n_rows,
                          m->dim);
    if (m->n_rows >= NLSH__NO_ROW)
        return nlsh__fail(error, NLSH_E_ARG, "split the set",
                          "%zu rows: row numbers are 32 bits wide", m->n_rows);
    if (m->dim > NLSH__MAX_DIM)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "a dimension of %zu is above %zu", m->dim,
                          NLSH__MAX_DIM);
    int bytes_alone = m->type == NLSH_U8 || m->type == NLSH_I8;
    if (bytes_alone && m->dim > NLSH__MAX_DIM_U8)
        return nlsh__fail(error, NLSH_E_ARG, "convert the file to .fvecs: floats may have 2^20",
                          "a dimension of %zu is above %zu, the most for bytes", m->dim,
                          NLSH__MAX_DIM_U8);
    return NLSH_OK;
}

/* Other memory in place of what a conversion made before. */
static void replace(struct nlsh__dataset *d, void *memory, enum nlsh_type type,
                    enum nlsh_type source_type)
{
    nlsh__free(d->memory);
    d->memory = memory;
    d->matrix.data = memory;
    d->matrix.type = type;
    d->source_type = source_type;
}

static enum nlsh_status init_f32(struct nlsh__dataset *d, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const float *values = d->matrix.data;
    size_t n = n_values(d), dim = d->matrix.dim, at = nlsh__first_not_byte(values, n, 0);
    if (at == n && dim <= NLSH__MAX_DIM_U8) {
        uint8_t *bytes;
        NLSH_TRY(nlsh__alloc_large(&bytes, n, 1, error));
        (void)nlsh__narrow(values, n, 0, bytes);
        replace(d, bytes, NLSH_U8, NLSH_U8);
        return NLSH_OK;
    }
    at += nlsh__first_not_finite(values + at, n - at); /* bytes are finite */
    if (at < n)
        return nlsh__fail(error, NLSH_E_DATA, "remove or repair that row",
                          "row %zu, column %zu is %s (counted from 0)", at / dim, at % dim,
                          isnan(values[at]) ? "NaN" : "infinite");
out:
    return status;
}

static enum nlsh_status init_i8(struct nlsh__dataset *d, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint8_t *bytes;
    NLSH_TRY(nlsh__alloc_large(&bytes, n_values(d), 1, error));
    nlsh__flip_sign(d->matrix.data, n_values(d), bytes);
    replace(d, bytes, NLSH_U8, NLSH_I8);
out:
    return status;
}

enum nlsh_status nlsh__dataset_init(const struct nlsh_matrix *matrix, struct nlsh__dataset *out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    memset(out, 0, sizeof *out);
    NLSH_TRY(check_shape(matrix, error));
    NLSH_TRY(nlsh__matrix_plain(matrix, &out->matrix, &out->memory, error));
    out->source_type = out->matrix.type;
    /* Of the caller's values: shifted bytes are other vectors. Narrowed ones hash alike. */
    if (out->matrix.type == NLSH_I8) out->hash = nlsh_data_hash(&out->matrix);
    if (out->matrix.type == NLSH_I8) NLSH_TRY(init_i8(out, error));
    if (out->matrix.type == NLSH_F32) NLSH_TRY(init_f32(out, error));
    if (out->source_type != NLSH_I8) out->hash = nlsh_data_hash(&out->matrix);
    out->content = out->hash;
out:
    if (status != NLSH_OK) nlsh__dataset_free(out);
    return status;
}

void nlsh__dataset_free(struct nlsh__dataset *dataset)
{
    if (dataset == NULL) return;
    nlsh__free(dataset->memory);
    memset(dataset, 0, sizeof *dataset);
}

/* ---- rounding -------------------------------------------------------------------------------- */

/* |given - rounded| / |given|; 0 for a vector of zeros. */
static double moved(const float *given, const float *rounded, size_t dim)
{
    double off = 0, length = 0;
    for (size_t d = 0; d < dim; d++) {
        double by = (double)given[d] - (double)rounded[d];
        off += by * by;
        length += (double)given[d] * (double)given[d];
    }
    return length > 0 ? sqrt(off / length) : 0;
}

enum nlsh_status nlsh__dataset_round(struct nlsh__dataset *d, const struct nlsh__rounding *to,
                                     double *mean, double *most, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t n = d->matrix.n_rows, dim = d->matrix.dim;
    const float *given = d->matrix.data;
    uint32_t scale;
    float *rows;
    char what[64];
    memcpy(&scale, &to->scale, sizeof scale);
    const uint64_t rounded_as[3] = {d->content, to->type, scale};
    *mean = *most = 0;
    if (d->matrix.type != NLSH_F32) return NLSH_OK;
    NLSH_TRY(nlsh__alloc_large(&rows, n * dim, sizeof *rows, error));
    for (size_t i = 0; i < n; i++) {
        size_t at = nlsh__round_row(to, given + i * dim, dim, rows + i * dim);
        if (at < dim) {
            snprintf(what, sizeof what, "row %zu, column %zu", i, at);
            status = nlsh__not_kept(to, given[i * dim + at], what, NLSH_E_DATA, error);
            nlsh__free(rows);
            return status;
        }
        double off = moved(given + i * dim, rows + i * dim, dim);
        *mean += off / (double)n;
        *most = fmax(*most, off);
    }
    replace(d, rows, NLSH_F32, NLSH_F32);
    d->hash = nlsh__hash_of(rounded_as, sizeof rounded_as);
out:
    return status;
}

/* ---- pairing --------------------------------------------------------------------------------- */

enum nlsh_status nlsh__dataset_to_f32(struct nlsh__dataset *d, struct nlsh_error *error)
{
    float *memory;
    if (d->matrix.type == NLSH_F32) return NLSH_OK;
    enum nlsh_status status = nlsh__alloc_large(&memory, n_values(d), sizeof *memory, error);
    if (status != NLSH_OK) return status;
    nlsh__widen(d->matrix.data, n_values(d), origin_of(d), memory);
    replace(d, memory, NLSH_F32, NLSH_F32);
    return NLSH_OK;
}

/* *done 1 where all values fit and were brought to bytes of that source type. */
static enum nlsh_status to_bytes(struct nlsh__dataset *d, enum nlsh_type source_type, int *done,
                                 struct nlsh_error *error)
{
    uint8_t *memory;
    int low = source_type == NLSH_I8 ? -128 : 0;
    size_t n = n_values(d), at;
    enum nlsh_status status = nlsh__alloc_large(&memory, n, 1, error);
    if (status != NLSH_OK) return status;
    if (d->matrix.type == NLSH_F32) {
        at = nlsh__narrow(d->matrix.data, n, low, memory);
    } else {
        /* From one origin to the other: the halves 0 to 127 of both ranges are common; a signed
         * byte there is stored with its highest bit set, an unsigned one without. */
        nlsh__flip_sign(d->matrix.data, n, memory);
        at = nlsh__first_high_bit(low == 0 ? memory : d->matrix.data, n);
    }
    *done = at == n;
    if (*done)
        replace(d, memory, NLSH_U8, source_type);
    else
        nlsh__free(memory);
    return NLSH_OK;
}

enum nlsh_status nlsh__dataset_pair(struct nlsh__dataset *base, struct nlsh__dataset *queries,
                                    struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (base->matrix.dim != queries->matrix.dim)
        return nlsh__fail(error, NLSH_E_MISMATCH, "give queries of the same set as the base",
                          "the queries have dimension %zu, the base %zu", queries->matrix.dim,
                          base->matrix.dim);
    int alike = base->matrix.type == queries->matrix.type && origin_of(base) == origin_of(queries);
    if (alike) return NLSH_OK;
    if (base->matrix.type == NLSH_U8) {
        int done;
        NLSH_TRY(to_bytes(queries, base->source_type, &done, error));
        if (done) return NLSH_OK;
    }
    NLSH_TRY(nlsh__dataset_to_f32(queries, error));
    NLSH_TRY(nlsh__dataset_to_f32(base, error));
out:
    return status;
}
