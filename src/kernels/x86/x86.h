/* x86.h - the parts of each instruction set's table, a file each: x86.c puts them together. */
#ifndef NLSH_KERNELS_X86_X86_H
#define NLSH_KERNELS_X86_X86_H

struct nlsh__kernels;

void nlsh__avx2_l2sq(struct nlsh__kernels *table);
void nlsh__avx2_codes(struct nlsh__kernels *table);
void nlsh__avx2_network(struct nlsh__kernels *table);
void nlsh__avx2_training(struct nlsh__kernels *table);
void nlsh__avxvnni_l2sq(struct nlsh__kernels *table);
void nlsh__avxvnni_codes(struct nlsh__kernels *table);
void nlsh__avxvnni_network(struct nlsh__kernels *table);
void nlsh__avx512_l2sq(struct nlsh__kernels *table);
void nlsh__avx512_codes(struct nlsh__kernels *table);
void nlsh__avx512_network(struct nlsh__kernels *table);
void nlsh__avx512_training(struct nlsh__kernels *table);
void nlsh__avx512vnni_l2sq(struct nlsh__kernels *table);
void nlsh__avx512vnni_codes(struct nlsh__kernels *table);
void nlsh__avx512vnni_network(struct nlsh__kernels *table);
void nlsh__amx_l2sq(struct nlsh__kernels *table);
void nlsh__amx_network(struct nlsh__kernels *table);

#endif
