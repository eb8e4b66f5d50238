/* values.h - passes over values: finite or not, floats that are bytes, conversions. */
#ifndef NLSH_VECTORS_VALUES_H
#define NLSH_VECTORS_VALUES_H

#include <stddef.h>
#include <stdint.h>

/* The first value that is NaN or infinite, or n. */
size_t nlsh__first_not_finite(const float *values, size_t n);

/* out = the bytes that the floats are. Returns the place of the first that is no whole number from
 * low to low + 255 (then out is unspecified), or n. low is 0 or -128; out holds value - low. */
size_t nlsh__narrow(const float *values, size_t n, int low, uint8_t *out);
/* The same answer without the bytes. */
size_t nlsh__first_not_byte(const float *values, size_t n, int low);

/* out = value + low. */
void nlsh__widen(const uint8_t *values, size_t n, int low, float *out);

/* 128 added to (or taken from) each byte: signed bytes to shifted ones and back. out may be in. */
void nlsh__flip_sign(const uint8_t *in, size_t n, uint8_t *out);

/* The first byte with its highest bit set: above 127, or negative. Or n. */
size_t nlsh__first_high_bit(const uint8_t *values, size_t n);

/* Reverses the four bytes of each value in place. */
void nlsh__swap32(uint32_t *values, size_t n);

#endif
