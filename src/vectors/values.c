/*
 * values.c - see values.h.
 *
 * Each pass runs over blocks of 4096 values with a loop that has no way out, which the compiler
 * turns into vector instructions; only a block known to hold a culprit is searched one by one.
 */
#include "vectors/values.h"

#include <string.h>

#define BLOCK ((size_t)4096) /* 16 KiB of floats: stays in the first-level cache */

static size_t block_of(size_t n, size_t done)
{
    return n - done < BLOCK ? n - done : BLOCK;
}

static int is_finite(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return (bits & 0x7f800000u) != 0x7f800000u;
}

size_t nlsh__first_not_finite(const float *values, size_t n)
{
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t count = block_of(n, done);
        const float *v = values + done;
        int bad = 0;
        for (size_t i = 0; i < count; i++) bad |= !is_finite(v[i]);
        for (size_t i = 0; bad && i < count; i++)
            if (!is_finite(v[i])) return done + i;
    }
    return n;
}

/* The nearest bytes' floor, NaN as 0: in range before the cast, which would be undefined else. */
static inline int32_t to_byte(float v, float low)
{
    v = v > low ? v : low;
    v = v < low + 255.0f ? v : low + 255.0f;
    return (int32_t)v;
}

static inline int is_byte(float v, float low)
{
    return (float)to_byte(v, low) == v;
}

size_t nlsh__first_not_byte(const float *values, size_t n, int low)
{
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t count = block_of(n, done);
        const float *v = values + done;
        int bad = 0;
        for (size_t i = 0; i < count; i++) bad |= !is_byte(v[i], (float)low);
        for (size_t i = 0; bad && i < count; i++)
            if (!is_byte(v[i], (float)low)) return done + i;
    }
    return n;
}

size_t nlsh__narrow(const float *values, size_t n, int low, uint8_t *out)
{
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t count = block_of(n, done);
        const float *restrict v = values + done;
        uint8_t *restrict o = out + done;
        size_t bad = nlsh__first_not_byte(v, count, low);
        if (bad != count) return done + bad;
        for (size_t i = 0; i < count; i++) o[i] = (uint8_t)(to_byte(v[i], (float)low) - low);
    }
    return n;
}

void nlsh__widen(const uint8_t *values, size_t n, int low, float *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (float)((int)values[i] + low);
}

void nlsh__flip_sign(const uint8_t *in, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) out[i] = in[i] ^ 0x80u;
}

size_t nlsh__first_high_bit(const uint8_t *values, size_t n)
{
    for (size_t done = 0; done < n; done += BLOCK) {
        size_t count = block_of(n, done);
        const uint8_t *v = values + done;
        uint8_t any = 0;
        for (size_t i = 0; i < count; i++) any |= v[i];
        for (size_t i = 0; (any & 0x80u) != 0 && i < count; i++)
            if (v[i] & 0x80u) return done + i;
    }
    return n;
}

void nlsh__swap32(uint32_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) values[i] = __builtin_bswap32(values[i]);
}
