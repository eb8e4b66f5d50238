/* quantise.h - the scale between floats and bytes, as every instruction set's quantise_u8() has it. */
#ifndef NLSH_KERNELS_QUANTISE_H
#define NLSH_KERNELS_QUANTISE_H

#include <math.h>

/* The factor to bytes, and in scale that from bytes; 0 where most is not a number above 0. */
static inline float nlsh__quantise_scale(float most, int zero, float *scale)
{
    float room = zero == 0 ? 255.0f : 127.0f;
    if (!(most > 0 && most < INFINITY)) return 0;
    *scale = most / room;
    return room / most;
}

#endif
