/*
 * code_query.h - a query against a bucket's centroid, as weights of the bucket's codes: one body for
 * every instruction set, as in softmax.h. Sums are taken in 16 lanes and then in one order, so that
 * all of them agree bit for bit.
 */
#ifndef NLSH_KERNELS_CODE_QUERY_H
#define NLSH_KERNELS_CODE_QUERY_H

#include "kernels/kernels.h"
#include "kernels/softmax.h"

NLSH__BODY void nlsh__code_query_body(const float *inputs, const float *centroid,
                                      const float *steps, size_t n, int8_t *weights,
                                      struct nlsh__code_query *out)
{
    const float magic = 12582912.0f; /* 1.5 x 2^23: adding it rounds to a whole number */
    const nlsh__v16i abs_mask = (nlsh__v16i){0} + 0x7fffffff;
    nlsh__v16f length = {0}, most = {0};
    nlsh__v16i sum = {0};
    float lengths[16], mosts[16];
    int32_t sums[16];
    for (size_t i = 0; i < n; i += 16) {
        nlsh__v16f q, c, step;
        memcpy(&q, inputs + i, sizeof q);
        memcpy(&c, centroid + i, sizeof c);
        memcpy(&step, steps + i, sizeof step);
        q -= c;
        length += q * q;
        q *= step;
        nlsh__v16f size = (nlsh__v16f)((nlsh__v16i)q & abs_mask);
        nlsh__v16i more = size > most;
        most = (nlsh__v16f)(((nlsh__v16i)size & more) | ((nlsh__v16i)most & ~more));
    }
    memcpy(lengths, &length, sizeof lengths);
    memcpy(mosts, &most, sizeof mosts);
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++) {
            lengths[j] += lengths[j + width];
            mosts[j] = mosts[j + width] > mosts[j] ? mosts[j + width] : mosts[j];
        }
    float inverse = mosts[0] > 0 && mosts[0] < INFINITY ? 127.0f / mosts[0] : 0;
    for (size_t i = 0; i < n; i += 16) {
        nlsh__v16f q, c, step;
        memcpy(&q, inputs + i, sizeof q);
        memcpy(&c, centroid + i, sizeof c);
        memcpy(&step, steps + i, sizeof step);
        q = (q - c) * step * inverse + magic;
        nlsh__v16i whole = (nlsh__v16i)q - 0x4b400000; /* magic's own bits */
        /* A value that is not finite (a damaged file) becomes some byte. */
        typedef int8_t bytes16 __attribute__((vector_size(16)));
        bytes16 narrow = __builtin_convertvector(whole, bytes16);
        sum += __builtin_convertvector(narrow, nlsh__v16i);
        memcpy(weights + i, &narrow, sizeof narrow);
    }
    memcpy(sums, &sum, sizeof sums);
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++) sums[j] += sums[j + width];
    *out = (struct nlsh__code_query){lengths[0], inverse > 0 ? mosts[0] / 127.0f : 0, sums[0]};
}

#endif
