/* neondot.h - NEON with products of four bytes. A file of a set above defines TARGET first. */
#ifndef NLSH_KERNELS_ARM_NEONDOT_H
#define NLSH_KERNELS_ARM_NEONDOT_H

/* gcc's intrinsics are of the architecture that first had them, clang's of the feature. */
#ifndef TARGET
#if defined(__clang__)
#define TARGET __attribute__((target("dotprod")))
#else
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#endif

#include "kernels/arm/neon.h"

#endif
