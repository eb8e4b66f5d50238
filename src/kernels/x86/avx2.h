/* avx2.h - what the files of AVX2 with FMA share. */
#ifndef NLSH_KERNELS_X86_AVX2_H
#define NLSH_KERNELS_X86_AVX2_H

#include <immintrin.h>

#include "kernels/x86/simd.h"

#define NLSH__AVX2 "avx2,fma"
#define TARGET __attribute__((target(NLSH__AVX2)))

#endif
