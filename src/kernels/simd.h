/* simd.h - what every file of SIMD kernels shares. A file says its TARGET first. */
#ifndef NLSH_KERNELS_SIMD_H
#define NLSH_KERNELS_SIMD_H

/* A piece of a kernel. It must be inlined: its counts are constants only then. */
#define INLINE TARGET static inline __attribute__((always_inline))

/* Accumulators stay in registers only if every loop over them is unrolled; gcc must be told.
 * UNROLL_4: four steps of a long loop. gcc 12 copies each accumulator once in every round of a loop. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define UNROLL_4 _Pragma("unroll 4")
#else
#define UNROLL _Pragma("GCC unroll 32")
#define UNROLL_4 _Pragma("GCC unroll 4")
#endif

#endif
