/* half.h - floats of 16 bits and back: IEEE 754 binary16, and bf16, the upper half of an f32. */
#ifndef NLSH_BASE_HALF_H
#define NLSH_BASE_HALF_H

#include <stdint.h>
#include <string.h>

/* The largest of them. */
#define NLSH__MOST_F16 65504.0f

/* Exact. A subnormal number is its fraction times 2^-24. */
static inline float nlsh__from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31;
    uint32_t fraction = half & 0x3ff, bits;
    float value;
    if (exponent == 0) {
        value = (float)fraction * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    } else {
        bits = sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The nearest, of two the even one; what is larger than NLSH__MOST_F16 by more than half a step is infinite. */
static inline uint16_t nlsh__to_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return sign | 0x7e00;  /* NaN */
    if (bits >= 0x477ff000) return sign | 0x7c00; /* 65,520 and more */
    if (bits < 0x38800000) {                      /* below 2^-14: subnormal, in steps of 2^-24 */
        float size;
        memcpy(&size, &bits, sizeof size);
        size = size * 0x1p24f + 8388608.0f; /* whose sum with 2^23 is rounded to a whole number */
        memcpy(&bits, &size, sizeof bits);
        return sign | (uint16_t)(bits - 0x4b000000);
    }
    bits += 0xfff + (bits >> 13 & 1);
    return sign | (uint16_t)((bits >> 13) - (112 << 10));
}

/* Exact. */
static inline float nlsh__from_bf16(uint16_t upper)
{
    uint32_t bits = (uint32_t)upper << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The nearest, of two the even one; what is larger than all of them by half a step is infinite. */
static inline uint16_t nlsh__to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); /* NaN */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
