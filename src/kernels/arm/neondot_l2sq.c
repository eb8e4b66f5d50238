/* neondot_l2sq.c - distances of bytes with udot, which adds exactly into 32 bits. */
#include "kernels/tables.h"
#if defined(NLSH__ARM_PRODUCTS)
#include "kernels/arm/arm.h"
#include "kernels/arm/neondot.h"

#include "kernels/arm/neon_rows.h"

INLINE uint32x4_t add_squares(uint32x4_t sum, uint8x16_t d)
{
    return vdotq_u32(sum, d, d);
}

void nlsh__neondot_l2sq(struct nlsh__kernels *table)
{
    table->l2sq_u8 = l2sq_u8;
    table->l2sq_u8_rows = l2sq_u8_rows;
}
#endif
