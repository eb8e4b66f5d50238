/* rounding.h - what vectors are kept as, and what that makes of floats. */
#ifndef NLSH_BASE_ROUNDING_H
#define NLSH_BASE_ROUNDING_H

#include <stdint.h>

#include "base/half.h"
#include "base/matrix.h"

/* Bytes with a scale go this far to both sides. */
#define NLSH__MOST_STEPS 127.0f
/* What these bytes cannot reach is cut off. A vector that loses more than this share of its length so is refused. */
#define NLSH__MOST_CUT 0.25

/* U8 and F32: values as they are; F16 and BF16: the nearest of them; I8: scale x a signed byte. */
struct nlsh__rounding {
    enum nlsh_type type;
    float scale; /* of I8, above 0: nlsh__is_scale(); of others anything */
};

/* Whether it is a number that bytes can be scaled by, with products that are numbers kernels take. */
int nlsh__is_scale(float scale);

/* The product is rounded once, so that every kernel knows the same value. */
static inline float nlsh__from_scaled(int8_t byte, float scale)
{
    return scale * (float)byte;
}

/* The nearest byte, of two the even one. */
static inline int8_t nlsh__to_scaled(float value, float scale)
{
    const float whole = 12582912.0f; /* a sum with 1.5 x 2^23 is rounded to a whole number */
    float steps = value / scale;
    steps = steps < NLSH__MOST_STEPS ? steps : NLSH__MOST_STEPS;
    steps = steps > -NLSH__MOST_STEPS ? steps : -NLSH__MOST_STEPS;
    return (int8_t)((steps + whole) - whole);
}

/* One value of a row that is kept. */
static inline float nlsh__stored_value(const struct nlsh__rounding *as, const void *row, size_t d)
{
    if (as->type == NLSH_F32) return ((const float *)row)[d];
    if (as->type == NLSH_F16) return nlsh__from_f16(((const uint16_t *)row)[d]);
    if (as->type == NLSH_BF16) return nlsh__from_bf16(((const uint16_t *)row)[d]);
    if (as->type == NLSH_I8) return nlsh__from_scaled(((const int8_t *)row)[d], as->scale);
    return (float)((const uint8_t *)row)[d];
}

/* A row of floats to what is kept, and back; rows of U8 stay what they are. What is kept is aligned to its values. */
void nlsh__row_keep(const struct nlsh__rounding *as, const void *row, size_t dim, void *kept);
void nlsh__row_kept(const struct nlsh__rounding *as, const void *kept, size_t dim, void *row);

/*
 * nlsh__round_row() - floats to the values that are kept of them; out may be the row.
 *
 * Returns dim; or, where the row cannot be kept, the value to blame, and then out is unspecified.
 */
size_t nlsh__round_row(const struct nlsh__rounding *to, const float *row, size_t dim, float *out);

/* The status given, with what is wrong, for the value at which nlsh__round_row() stopped. what: "row 5, column 3". */
enum nlsh_status nlsh__not_kept(const struct nlsh__rounding *to, float value, const char *what,
                                enum nlsh_status status, struct nlsh_error *error);

/* The share of its length that a row loses where values are cut off at most. */
double nlsh__cut_share(const float *row, size_t dim, float most);

#endif
