/* row.c - see row.h. */
#include "codes/row.h"

#include <math.h>
#include <string.h>

/* Squared lengths and products of a row: among the coded components, and outside them. */
struct parts {
    double inside, error;                   /* |x - c|^2, and what of it the code does not hold */
    double length, with_centroid, centroid; /* outside: |x|^2, x.c, |c|^2 */
};

/* mean: the inputs of the mean that add_outside() takes. */
static void code_inside(const struct nlsh__codes *codes, const float *z, const float *centroid,
                        const float *mean, uint8_t *bytes, struct parts *out)
{
    memset(bytes, 0, codes->n_components / 2);
    for (size_t c = 0; c < codes->n_components; c++) {
        float v = z[c] - centroid[c];
        uint32_t level = nlsh__code_level(v, codes->steps[c]);
        bytes[c / 8 * 4 + c % 4] |= (uint8_t)(level << (c % 8 < 4 ? 0 : 4));
        double off = (double)v - ((double)level - 7.5) * (double)codes->steps[c];
        out->inside += (double)v * (double)v;
        out->error += off * off;
        out->length -= (double)z[c] * (double)z[c];
        out->with_centroid -= (double)z[c] * (double)mean[c];
        out->centroid -= (double)mean[c] * (double)mean[c];
    }
}

static void add_outside(const struct nlsh__coder *coder, const float *vector, size_t bucket,
                        struct parts *out)
{
    const struct nlsh__codes *codes = coder->codes;
    const float *mean = coder->inner ? NULL : coder->means + bucket * coder->dim;
    for (size_t d = 0; d < coder->dim; d++) {
        double x = ((double)vector[d] - (double)codes->mean[d]) * (double)codes->scale;
        out->length += x * x;
        if (mean == NULL) continue;
        out->with_centroid += x * (double)mean[d];
        out->centroid += (double)mean[d] * (double)mean[d];
    }
    out->length = fmax(out->length, 0);
}

void nlsh__code_row(const struct nlsh__coder *coder, const float *vector, const float *inputs,
                    size_t bucket, uint8_t *bytes, struct nlsh__row_code *out)
{
    const struct nlsh__codes *codes = coder->codes;
    const float *centroid = codes->centroids + bucket * codes->stride;
    const float *mean = coder->inner ? centroid : coder->mean_inputs + bucket * codes->stride;
    struct parts p = {0};
    code_inside(codes, inputs, centroid, mean, bytes, &p);
    add_outside(coder, vector, bucket, &p);
    double coded = (double)coder->n_coded, rest = (double)coder->dim - coded;
    double length = coder->inside + (double)codes->outside_weight * coder->outside;
    double sum = length > 0 ? length : 1;
    double outside = coder->inner ? p.length : p.length - 2 * p.with_centroid + p.centroid;
    double square = coder->inside / sum * p.error / coded;
    if (rest > 0) square += coder->outside / sum * fmax(outside, 0) / rest;
    double error = (coder->inner ? 1 : 2) * sqrt(square);
    double level = codes->error_unit > 0 ? ceil(error / (double)codes->error_unit) : 0;
    out->bias = coder->inner ? 0 : (float)(p.inside + p.length - 2 * p.with_centroid);
    out->error = (uint8_t)fmin(level, 255);
}
