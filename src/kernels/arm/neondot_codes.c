/* neondot_codes.c - scores of codes with sdot: a code of 0 .. 15 is a signed byte as well. */
#include "kernels/tables.h"
#if defined(NLSH__ARM_PRODUCTS)
#include "kernels/arm/arm.h"
#include "kernels/arm/neondot.h"

#include "kernels/arm/neon_scan.h"

INLINE void scan_quarters(const uint8_t *const *values, const uint8_t *const *ahead,
                          size_t n_chunks, const int8_t *weights, int32x4_t *sums, const int ng)
{
    UNROLL
    for (int i = 0; i < 4 * ng; i++) sums[i] = vdupq_n_s32(0);
    for (size_t c = 0; c < n_chunks; c++) {
        int8x16_t y = vreinterpretq_s8_u8(repeat4(weights + 8 * c));
        int8x16_t z = vreinterpretq_s8_u8(repeat4(weights + 8 * c + 4));
        UNROLL
        for (int i = 0; i < 4 * ng; i++) {
            if (ahead != NULL && i % 4 == 0) nlsh__prefetch(ahead[i / 4] + c * 64);
            uint8x16_t v = vld1q_u8(values[i / 4] + 64 * c + i % 4 * 16);
            sums[i] = vdotq_s32(sums[i], vreinterpretq_s8_u8(vandq_u8(v, vdupq_n_u8(15))), y);
            sums[i] = vdotq_s32(sums[i], vreinterpretq_s8_u8(vshrq_n_u8(v, 4)), z);
        }
    }
}

void nlsh__neondot_codes(struct nlsh__kernels *table)
{
    table->scan_u4 = scan_u4;
    table->scan_u4_at = scan_u4_at;
}
#endif
