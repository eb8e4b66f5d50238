/* arm.h - the parts of each instruction set's table, a file each: arm.c puts them together. */
#ifndef NLSH_KERNELS_ARM_ARM_H
#define NLSH_KERNELS_ARM_ARM_H

struct nlsh__kernels;

void nlsh__neon_l2sq(struct nlsh__kernels *table);
void nlsh__neon_bytes(struct nlsh__kernels *table);
void nlsh__neon_codes(struct nlsh__kernels *table);
void nlsh__neon_choice(struct nlsh__kernels *table);
void nlsh__neon_network(struct nlsh__kernels *table);
void nlsh__neondot_l2sq(struct nlsh__kernels *table);
void nlsh__neondot_bytes(struct nlsh__kernels *table);
void nlsh__neondot_codes(struct nlsh__kernels *table);
void nlsh__neoni8mm_bytes(struct nlsh__kernels *table);

#endif
