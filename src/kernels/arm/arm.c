/*
 * arm.c - aarch64's instruction sets: which of them this process may use, and the parts of their
 * tables.
 *
 * neon is in every aarch64. neondot adds products of four bytes (FEAT_DotProd: sdot, udot), neoni8mm
 * products of small matrices of bytes (FEAT_I8MM: usmmla). Linux says in the auxiliary vector what
 * there is (Documentation/arch/arm64/elf_hwcaps.rst). Elsewhere nobody is asked: what the compiler may
 * use anywhere serves.
 */
#if defined(__aarch64__)
#include "kernels/arm/arm.h"

#if defined(__linux__)
#include <sys/auxv.h>
#endif

#include "kernels/tables.h"

int nlsh__kernels_has_neon(void)
{
    return 1;
}

void nlsh__kernels_fill_neon(struct nlsh__kernels *table)
{
    nlsh__neon_l2sq(table);
    nlsh__neon_bytes(table);
    nlsh__neon_codes(table);
    nlsh__neon_choice(table);
    nlsh__neon_network(table);
}

#if defined(NLSH__ARM_PRODUCTS)
int nlsh__kernels_has_neondot(void)
{
#if defined(__linux__)
    const unsigned long dotprod = 1ul << 20; /* HWCAP_ASIMDDP */
    return (getauxval(AT_HWCAP) & dotprod) != 0;
#elif defined(__ARM_FEATURE_DOTPROD)
    return 1;
#else
    return 0;
#endif
}

int nlsh__kernels_has_neoni8mm(void)
{
    if (!nlsh__kernels_has_neondot()) return 0;
#if defined(__linux__)
    const unsigned long i8mm = 1ul << 13; /* HWCAP2_I8MM */
    return (getauxval(AT_HWCAP2) & i8mm) != 0;
#elif defined(__ARM_FEATURE_MATMUL_INT8)
    return 1;
#else
    return 0;
#endif
}

void nlsh__kernels_fill_neondot(struct nlsh__kernels *table)
{
    nlsh__neondot_l2sq(table);
    nlsh__neondot_bytes(table);
    nlsh__neondot_codes(table);
}

void nlsh__kernels_fill_neoni8mm(struct nlsh__kernels *table)
{
    nlsh__neoni8mm_bytes(table);
}
#endif
#endif
