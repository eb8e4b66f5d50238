/* score.c - see score.h. */
#include "search/score.h"

#include <math.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"

void nlsh__score_units(const struct nlsh__codes *codes, int inner, const float *inputs, float whole,
                       struct nlsh__units *out)
{
    float scale = codes->header.scale;
    float inside = nlsh__kernels()->dot_f32(inputs, inputs, codes->layout.stride);
    out->factor = scale * scale;
    out->outside = fmaxf(whole * scale * scale - inside, 0);
    out->offset = inner ? 0 : out->outside;
}

float nlsh__score_groups(const struct nlsh__codes *codes, int inner, const float *inputs,
                         float outside, size_t bucket, size_t first, size_t n_groups,
                         const float *origin, int8_t *weights, float *scores)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    struct nlsh__code_query code;
    size_t stride = codes->layout.stride, n_chunks = codes->header.n_components / 8;
    size_t group = codes->group_offsets[bucket] + first;
    const float *centroid = codes->centroids + bucket * stride;
    float constant, slope;
    if (inner) {
        kernels->code_query(inputs, origin, codes->steps, stride, weights, &code);
        slope = code.unit;
        constant = 7.5f * slope * (float)code.sum - kernels->dot_f32(inputs, centroid, stride);
    } else {
        kernels->code_query(inputs, centroid, codes->steps, stride, weights, &code);
        slope = 2 * code.unit;
        constant = code.length + 7.5f * slope * (float)code.sum;
    }
    kernels->scan_u4(codes->values + group * n_chunks * 64, codes->bias + group * NLSH__GROUP,
                     n_groups, n_chunks, weights, constant, slope, scores);
    return codes->header.error_unit * sqrtf(code.length + outside);
}
