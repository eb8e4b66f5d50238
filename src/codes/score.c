/* score.c - see score.h. */
#include "codes/score.h"

#include <math.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"

void nlsh__score_units(const struct nlsh__codes *codes, int inner, const float *inputs, float whole,
                       struct nlsh__units *out)
{
    float scale = codes->scale;
    float inside = nlsh__kernels()->dot_f32(inputs, inputs, codes->stride);
    out->factor = scale * scale;
    out->outside = fmaxf(whole * scale * scale - inside, 0);
    out->offset = inner ? 0 : out->outside;
}

void nlsh__probe_bucket(const struct nlsh__codes *codes, int inner, const float *inputs,
                        float outside, size_t bucket, const float *origin, int8_t *weights,
                        struct nlsh__probe *out)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    struct nlsh__code_query code;
    size_t stride = codes->stride;
    const float *centroid = codes->centroids + bucket * stride;
    if (inner) {
        kernels->code_query(inputs, origin, codes->steps, stride, weights, &code);
        out->slope = code.unit;
        out->constant =
            7.5f * out->slope * (float)code.sum - kernels->dot_f32(inputs, centroid, stride);
    } else {
        kernels->code_query(inputs, centroid, codes->steps, stride, weights, &code);
        out->slope = 2 * code.unit;
        out->constant = code.length + 7.5f * out->slope * (float)code.sum;
    }
    out->length = sqrtf(code.length + outside);
    out->error_length = sqrtf(code.length + codes->outside_weight * outside);
}

void nlsh__score_groups(const struct nlsh__grouped *g, const struct nlsh__probe *probe,
                        const int8_t *weights, size_t first, size_t n_groups, float *scores)
{
    nlsh__kernels()->scan_u4(g->values + first * g->n_chunks * 64, g->bias + first * NLSH__GROUP,
                             n_groups, g->n_chunks, weights, probe->constant, probe->slope, scores);
}

void nlsh__score_groups_at(const struct nlsh__grouped *g, const struct nlsh__probe *probe,
                           const int8_t *weights, const uint32_t *groups, size_t n_groups,
                           size_t n_more, float *scores)
{
    nlsh__kernels()->scan_u4_at(g->values, g->bias, groups, n_groups, n_more, g->n_chunks, weights,
                                probe->constant, probe->slope, scores);
}
