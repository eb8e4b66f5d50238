/* avxvnni.h - what the files of AVX-VNNI share. */
#ifndef NLSH_KERNELS_X86_AVXVNNI_H
#define NLSH_KERNELS_X86_AVXVNNI_H

#define AND_MORE ",avxvnni"
#include "kernels/x86/avx2.h"

/* acc += x . y over groups of four bytes, x unsigned and y signed. gcc 12 turns the intrinsic into
 * three moves and a product where accumulators are many; the instruction itself has none. Without
 * {vex} the assembler takes the form of AVX-512. */
INLINE __m256i dot4(__m256i acc, __m256i x, __m256i y)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(x), "x"(y));
    return acc;
}

#endif
