/*
 * tables.h - the instruction sets, and how their tables are made.
 *
 * A table starts as a copy of the next narrower one. Then the set's fill function puts in the kernels
 * that the set does better. So every kernel is static in its file, and none is named twice.
 */
#ifndef NLSH_KERNELS_TABLES_H
#define NLSH_KERNELS_TABLES_H

#include "kernels/kernels.h"
#include "kernels/panel.h"

/* The one list of instruction sets, narrowest first. A set NAME has two functions:
 *   nlsh__kernels_has_NAME()   1 where this process may use it, and then all that it builds on
 *   nlsh__kernels_fill_NAME()  puts the set's kernels into the table of a narrower set */
#if defined(__x86_64__)
#define NLSH__SETS(SET)                                                                            \
    SET(scalar) SET(avx2) SET(avxvnni) SET(avx512) SET(avx512vnni) SET(avx512bf16) SET(amx)
#elif defined(__aarch64__) && defined(__clang__) && __clang_major__ < 17
#define NLSH__SETS(SET) SET(scalar) SET(neon)
#elif defined(__aarch64__)
/* The sets above neon. Older clangs (14 is what was tried) have their intrinsics for whole files only. */
#define NLSH__ARM_PRODUCTS
#define NLSH__SETS(SET) SET(scalar) SET(neon) SET(neondot) SET(neoni8mm)
#else
#define NLSH__SETS(SET) SET(scalar)
#endif

#define NLSH__DECLARE(name)                                                                        \
    int nlsh__kernels_has_##name(void);                                                            \
    void nlsh__kernels_fill_##name(struct nlsh__kernels *table);
NLSH__SETS(NLSH__DECLARE)
#undef NLSH__DECLARE

#endif
