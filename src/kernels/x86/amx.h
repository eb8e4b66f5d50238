/* amx.h - what the files of tile registers share. */
#ifndef NLSH_KERNELS_X86_AMX_H
#define NLSH_KERNELS_X86_AMX_H

#define AND_MORE ",amx-tile,amx-bf16,amx-int8"
#include <stdint.h>

#include "kernels/kernels.h"
#include "kernels/x86/avx512.h"

/* A tile is 16 rows of 64 bytes: 16 chunks of a panel's group or of a layer's. Two tiles hold the 32
 * queries or inputs that are multiplied at once. */
enum { CHUNKS = 16, Q = 32 };

/* What was written before is read by tiles after: gcc's tile loads do not say that they read. */
#define WRITTEN() __asm__ volatile("" ::: "memory")

/* Eight tiles of 16 rows of 64 bytes: 0 to 3 sums, 4 and 5 left, 6 and 7 right. */
TARGET static inline void begin_tiles(void)
{
    static const struct {
        uint8_t palette, start, none[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1,
                .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    _tile_loadconfig(&config);
}

TARGET static inline void end_tiles(void)
{
    _tile_release();
}

#endif
