/*
 * softmax.h - softmax as one body for every instruction set: gcc's vector types become the
 * registers of whatever target the including function has.
 *
 * exp(x) = 2^n e^r with r = x - n ln 2 split in two parts, and a polynomial of degree 6 for e^r:
 * relative error below 3e-7 (the classic scheme of Cephes' expf).
 */
#ifndef NLSH_KERNELS_SOFTMAX_H
#define NLSH_KERNELS_SOFTMAX_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef float nlsh__v16f __attribute__((vector_size(64)));
typedef int32_t nlsh__v16i __attribute__((vector_size(64)));
typedef uint32_t nlsh__v16u __attribute__((vector_size(64)));

#define NLSH__BODY static inline __attribute__((always_inline))

/* In place over 16 values: vectors do not travel through calls, whose convention would differ
 * between instruction sets. x must lie in [-87, 0]; of NaN it makes NaN. */
NLSH__BODY void nlsh__exp16(nlsh__v16f *x)
{
    const float magic = 12582912.0f; /* 1.5 x 2^23: adding it rounds to a whole number */
    nlsh__v16f n = *x * 1.44269504f + magic;
    nlsh__v16u power = ((nlsh__v16u)n + 127) << 23; /* the bits of 2^n; unsigned: NaN's may wrap */
    n -= magic;
    nlsh__v16f r = *x - n * 0.693359375f + n * 2.12194440e-4f;
    nlsh__v16f p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    *x = p * (nlsh__v16f)power;
}

/* The larger of each value. most is a number, and what is none does not take its place. */
NLSH__BODY void nlsh__max16(nlsh__v16f *most, const float *x)
{
    nlsh__v16f v;
    memcpy(&v, x, sizeof v);
    nlsh__v16i above = v > *most; /* all ones where true */
    *most = (nlsh__v16f)(((nlsh__v16i)v & above) | ((nlsh__v16i)*most & ~above));
}

/* x[16] to e^(x - most), 0 below e^-87; and added to total. */
NLSH__BODY void nlsh__weigh16(float *x, float most, nlsh__v16f *total)
{
    nlsh__v16f v;
    memcpy(&v, x, sizeof v);
    v -= most;
    nlsh__v16i low = v < -87.0f;
    v = (nlsh__v16f)((nlsh__v16i)v & ~low);
    nlsh__exp16(&v);
    v = (nlsh__v16f)((nlsh__v16i)v & ~low);
    *total += v;
    memcpy(x, &v, sizeof v);
}

/* See softmax_f32() in kernels.h. Whole registers are one path and the rest another: a copy of a
 * variable length is a call. A NaN is in no maximum, but in the sum, and so in every answer. */
NLSH__BODY float nlsh__softmax_body(float *x, size_t n)
{
    float rest[16], sums[16], most = -INFINITY;
    size_t i = 0, whole = n / 16 * 16;
    nlsh__v16f total = {0}, largest = total - INFINITY;
    for (; i < whole; i += 16) nlsh__max16(&largest, x + i);
    memcpy(sums, &largest, sizeof sums);
    for (size_t j = 0; j < 16; j++) most = sums[j] > most ? sums[j] : most;
    for (; i < n; i++) most = x[i] > most ? x[i] : most;
    for (i = 0; i < whole; i += 16) nlsh__weigh16(x + i, most, &total);
    if (whole < n) {
        for (size_t j = 0; j < 16; j++) rest[j] = whole + j < n ? x[whole + j] : -INFINITY;
        nlsh__weigh16(rest, most, &total);
        for (size_t j = 0; whole + j < n; j++) x[whole + j] = rest[j];
    }
    memcpy(sums, &total, sizeof sums);
    for (size_t width = 8; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++) sums[j] += sums[j + width];
    float scale = 1.0f / sums[0];
    for (i = 0; i < n; i++) x[i] *= scale;
    return most + logf(sums[0]);
}

#endif
