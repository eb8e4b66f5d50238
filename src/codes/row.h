/* row.h - the code of a single row that comes later, in the codes that an index has: codes.h. */
#ifndef NLSH_CODES_ROW_H
#define NLSH_CODES_ROW_H

#include <math.h>

#include "codes/codes.h"

/* The code of a difference from the centroid, 0 to 15: it stands for (level - 7.5) steps. */
static inline uint32_t nlsh__code_level(float difference, float step)
{
    float level = step > 0 ? floorf(difference / step) + 8 : 8;
    return (uint32_t)(level < 0 ? 0 : level > 15 ? 15 : level);
}

/* Into values [n_groups][n_chunks][16][4], zero before: codes/codes.h. */
static inline void nlsh__put_level(uint8_t *values, size_t n_chunks, size_t lane, size_t component,
                                   uint32_t level)
{
    uint8_t *group = values + lane / 16 * n_chunks * 64 + lane % 16 * 4;
    group[component / 8 * 64 + component % 4] |= (uint8_t)(level << (component % 8 < 4 ? 0 : 4));
}

/* What codes do not say of the rows that they were made of, and what the code of another row needs. */
struct nlsh__coder {
    const struct nlsh__codes *codes;
    size_t dim, n_coded; /* components that a code says something of */
    int inner;           /* 1: scores are by inner product */
    double inside,
        outside; /* mean squared lengths of a query, in the coded components and outside */
    /* Means of a bucket's vectors, in units of the inputs, and what the router sees of them; not used where inner. A
     * sample's do: only what they are outside the coded components counts. */
    const float *means;       /* [m][dim] */
    const float *mean_inputs; /* [m][stride] */
};

/* A row's code: its 4 bytes of each chunk, one behind the other; what else its score needs. */
struct nlsh__row_code {
    float bias;
    uint8_t error; /* 255 where it is larger than a code can say */
};

/*
 * nlsh__code_row() - the code of a row.
 *
 *  vector  [dim] as it is stored, as floats
 *  inputs  [stride] what the router sees of it
 *  bytes   [n_components / 2] out
 * O(dim). Source: ours; codes/make/encode.c has the derivation.
 */
void nlsh__code_row(const struct nlsh__coder *coder, const float *vector, const float *inputs,
                    size_t bucket, uint8_t *bytes, struct nlsh__row_code *out);

#endif
