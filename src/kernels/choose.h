/*
 * choose.h - which instruction set serves. Pure functions of what a processor has and of the cap, so
 * that they are tested for processors that we do not have.
 */
#ifndef NLSH_KERNELS_CHOOSE_H
#define NLSH_KERNELS_CHOOSE_H

#include <stddef.h>
#include <stdint.h>

/* Where name stands among names[n], in any case of letters; n where it does not. */
size_t nlsh__set_find(const char *const *names, size_t n, const char *name);

/*
 * nlsh__set_choose() - the widest instruction set that serves. Sets are numbered narrowest first.
 *
 *  has    bit i is 1 where the processor has set i. Bit 0 must be 1.
 *  avoid  bit i is 1 where set i is slower than a narrower one: it serves only where cap is i.
 *  cap    no set above this number serves.
 * Returns the number of the set, which has[] holds and which is at most cap.
 */
size_t nlsh__set_choose(uint32_t has, uint32_t avoid, size_t cap);

#endif
