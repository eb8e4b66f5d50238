/*
 * x86.c - x86-64's instruction sets: which of them this process may use, and the parts of their
 * tables.
 *
 * Linux gives a process the tiles of AMX when it asks (Documentation/arch/x86/xstate.rst). Where it
 * does not, or knows nothing of them, the next narrower table serves.
 */
#define _GNU_SOURCE /* syscall */
#if defined(__x86_64__)
#include "kernels/x86/x86.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/tables.h"

/* Conversions of f16 too, which no processor with AVX2 lacks; clang 14 knows no __builtin_cpu_supports("f16c"). */
int nlsh__kernels_has_avx2(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}

/* VNNI in 256 bits without AVX-512; clang 14 knows no __builtin_cpu_supports("avxvnni"). */
int nlsh__kernels_has_avxvnni(void)
{
    unsigned a, b, c, d;
    const unsigned avxvnni = 1u << 4;
    if (!nlsh__kernels_has_avx2()) return 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || a < 1) return 0; /* a: the last subleaf */
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & avxvnni) != 0;
}

int nlsh__kernels_has_avx512(void)
{
    return nlsh__kernels_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

int nlsh__kernels_has_avx512vnni(void)
{
    return nlsh__kernels_has_avx512() && __builtin_cpu_supports("avx512vnni");
}

int nlsh__kernels_has_avx512bf16(void)
{
    return nlsh__kernels_has_avx512vnni() && __builtin_cpu_supports("avx512bf16");
}

/* Asks the system for the tiles, for all threads of this process. */
int nlsh__kernels_has_amx(void)
{
    unsigned a, b, c, d;
    const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25;
    const long request_permission = 0x1023, tile_data = 18;
    if (!nlsh__kernels_has_avx512bf16()) return 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return 0;
    if ((d & bf16) == 0 || (d & tile) == 0 || (d & int8) == 0) return 0;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

void nlsh__kernels_fill_avx2(struct nlsh__kernels *table)
{
    nlsh__avx2_l2sq(table);
    nlsh__avx2_codes(table);
    nlsh__avx2_network(table);
    nlsh__avx2_training(table);
}

void nlsh__kernels_fill_avxvnni(struct nlsh__kernels *table)
{
    nlsh__avxvnni_l2sq(table);
    nlsh__avxvnni_codes(table);
    nlsh__avxvnni_network(table);
}

void nlsh__kernels_fill_avx512(struct nlsh__kernels *table)
{
    nlsh__avx512_l2sq(table);
    nlsh__avx512_codes(table);
    nlsh__avx512_network(table);
    nlsh__avx512_training(table);
}

void nlsh__kernels_fill_avx512vnni(struct nlsh__kernels *table)
{
    nlsh__avx512vnni_l2sq(table);
    nlsh__avx512vnni_codes(table);
    nlsh__avx512vnni_network(table);
}

void nlsh__kernels_fill_amx(struct nlsh__kernels *table)
{
    nlsh__amx_l2sq(table);
    nlsh__amx_network(table);
}
#endif
