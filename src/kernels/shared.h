/*
 * shared.h - numbers and formulas that the kernels of every instruction set share, so that they round
 * alike.
 */
#ifndef NLSH_KERNELS_SHARED_H
#define NLSH_KERNELS_SHARED_H

#include <math.h>

/* 1.5 x 2^23. Added to a float of less than 2^22 it rounds that to a whole number, which then stands in
 * the sum's lowest bits: the sum's bits less ROUND_BITS are the number. */
#define NLSH__ROUND 12582912.0f
#define NLSH__ROUND_BITS 0x4b400000

/*
 * exp(x) for x in [-87, 0]: 2^n e^r, where n is x / ln 2 rounded, and r = x - n ln 2 with ln 2 split in
 * two parts, LN2_HIGH + LN2_LOW. e^r = 1 + r + r^2 p(r) with p a polynomial of degree 5, its highest
 * power first. The relative error is below 3e-7 (the scheme of Cephes' expf).
 */
#define NLSH__LOG2_E 1.44269504f
#define NLSH__LN2_HIGH 0.693359375f
#define NLSH__LN2_LOW (-2.12194440e-4f)
static const float nlsh__exp_p[6] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                     4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
/* Below this softmax_f32() gives 0: e^-87 is near the least float that keeps all its digits. */
#define NLSH__EXP_LEAST (-87.0f)

/* The factor that makes bytes of floats whose largest size is most, and in *scale its inverse. 0, and 0
 * in *scale, where most is not a number above 0. */
static inline float nlsh__quantise_factor(float most, int zero, float *scale)
{
    float room = zero == 0 ? 255.0f : 127.0f;
    *scale = 0;
    if (!(most > 0 && most < INFINITY)) return 0;
    *scale = most / room;
    return room / most;
}

/* The factor that makes weights of floats whose largest size is most, and in *unit its inverse; 0 as
 * above. */
static inline float nlsh__weight_factor(float most, float *unit)
{
    return nlsh__quantise_factor(most, 128, unit);
}

#endif
