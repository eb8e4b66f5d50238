/* avx512vnni.h - what the files of AVX-512 with VNNI share. */
#ifndef NLSH_KERNELS_X86_AVX512VNNI_H
#define NLSH_KERNELS_X86_AVX512VNNI_H

#define AND_MORE ",avx512vnni"
#include "kernels/x86/avx512.h"

/* acc += x . y over groups of four bytes. gcc 12 turns the intrinsic into three moves and a product
 * where accumulators are many; the instruction itself has none. */
INLINE __m512i dot4(__m512i acc, __m512i x, __m512i y)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(y));
    return acc;
}

#endif
