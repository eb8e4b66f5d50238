/* stored.h - a query of floats against a row as it is kept. */
#ifndef NLSH_KERNELS_STORED_H
#define NLSH_KERNELS_STORED_H

#include "base/rounding.h"
#include "kernels/kernels.h"

static inline float nlsh__l2sq_stored(const struct nlsh__rounding *as, const float *a,
                                      const void *b, size_t dim)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    if (as->type == NLSH_F32) return kernels->l2sq_f32(a, b, dim);
    if (as->type == NLSH_F16) return kernels->l2sq_f32_f16(a, b, dim);
    if (as->type == NLSH_BF16) return kernels->l2sq_f32_bf16(a, b, dim);
    if (as->type == NLSH_I8) return kernels->l2sq_f32_i8(a, b, as->scale, dim);
    return kernels->l2sq_f32_u8(a, b, dim);
}

/* Not of U8. */
static inline float nlsh__dot_stored(const struct nlsh__rounding *as, const float *a, const void *b,
                                     size_t dim)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    if (as->type == NLSH_F16) return kernels->dot_f32_f16(a, b, dim);
    if (as->type == NLSH_BF16) return kernels->dot_f32_bf16(a, b, dim);
    if (as->type == NLSH_I8) return kernels->dot_f32_i8(a, b, as->scale, dim);
    return kernels->dot_f32(a, b, dim);
}

#endif
