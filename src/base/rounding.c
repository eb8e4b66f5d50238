/* rounding.c - see rounding.h. */
#include "base/rounding.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/error.h"

/* Far below the 3.4e38 of f32, as squares of differences are to fit too: NLSH__MOST_VALUE has the account. */
#define MOST_SCALE 1e13f

int nlsh__is_scale(float scale)
{
    return scale >= FLT_MIN && scale <= MOST_SCALE;
}

void nlsh__row_keep(const struct nlsh__rounding *as, const void *row, size_t dim, void *kept)
{
    const float *floats = row;
    uint16_t *halves = kept;
    int8_t *bytes = kept;
    switch (as->type) {
    case NLSH_F16:
        for (size_t d = 0; d < dim; d++) halves[d] = nlsh__to_f16(floats[d]);
        return;
    case NLSH_BF16:
        for (size_t d = 0; d < dim; d++) halves[d] = nlsh__to_bf16(floats[d]);
        return;
    case NLSH_I8:
        for (size_t d = 0; d < dim; d++) bytes[d] = nlsh__to_scaled(floats[d], as->scale);
        return;
    default: memcpy(kept, row, dim * nlsh__type_size(as->type));
    }
}

void nlsh__row_kept(const struct nlsh__rounding *as, const void *kept, size_t dim, void *row)
{
    float *floats = row;
    const int8_t *bytes = kept;
    switch (as->type) {
    case NLSH_F16:
    case NLSH_BF16: nlsh__row_to_f32(kept, as->type, dim, floats); return;
    case NLSH_I8:
        for (size_t d = 0; d < dim; d++) floats[d] = nlsh__from_scaled(bytes[d], as->scale);
        return;
    default: memcpy(row, kept, dim * nlsh__type_size(as->type));
    }
}

/* ---- rounding -------------------------------------------------------------------------------- */

double nlsh__cut_share(const float *row, size_t dim, float most)
{
    double cut = 0, whole = 0;
    for (size_t d = 0; d < dim; d++) {
        double size = fabs((double)row[d]), beyond = size - (double)most;
        whole += size * size;
        if (beyond > 0) cut += beyond * beyond;
    }
    return whole > 0 ? sqrt(cut / whole) : 0;
}

static size_t largest(const float *row, size_t dim)
{
    size_t at = 0;
    for (size_t d = 1; d < dim; d++)
        if (fabsf(row[d]) > fabsf(row[at])) at = d;
    return at;
}

static size_t round_scaled(float scale, const float *row, size_t dim, float *out)
{
    float most = NLSH__MOST_STEPS * scale;
    size_t at = largest(row, dim);
    if (!(fabsf(row[at]) <= most) && !(nlsh__cut_share(row, dim, most) <= NLSH__MOST_CUT))
        return at;
    for (size_t d = 0; d < dim; d++)
        out[d] = nlsh__from_scaled(nlsh__to_scaled(row[d], scale), scale);
    return dim;
}

static size_t round_half(int is_bf16, const float *row, size_t dim, float *out)
{
    for (size_t d = 0; d < dim; d++) {
        float value =
            is_bf16 ? nlsh__from_bf16(nlsh__to_bf16(row[d])) : nlsh__from_f16(nlsh__to_f16(row[d]));
        if (!isfinite(value)) return d;
        out[d] = value;
    }
    return dim;
}

size_t nlsh__round_row(const struct nlsh__rounding *to, const float *row, size_t dim, float *out)
{
    if (to->type == NLSH_I8) return round_scaled(to->scale, row, dim, out);
    if (to->type == NLSH_F16 || to->type == NLSH_BF16)
        return round_half(to->type == NLSH_BF16, row, dim, out);
    if (out != row) memcpy(out, row, dim * sizeof *out);
    return dim;
}

enum nlsh_status nlsh__not_kept(const struct nlsh__rounding *to, float value, const char *what,
                                enum nlsh_status status, struct nlsh_error *error)
{
    if (to->type == NLSH_I8)
        return nlsh__fail(
            error, status, "keep f16 or f32, or build anew of vectors such as this one",
            "%s is %g (counted from 0): bytes with the scale %g end at %g, and the vector would "
            "lose more than a quarter of its length",
            what, (double)value, (double)to->scale, (double)(NLSH__MOST_STEPS * to->scale));
    return nlsh__fail(error, status, "scale all vectors down, or store f32",
                      "%s is %g (counted from 0): the largest that %s holds is %g", what,
                      (double)value, nlsh__type_name(to->type),
                      to->type == NLSH_F16 ? (double)NLSH__MOST_F16 : 0x1.fep127);
}
