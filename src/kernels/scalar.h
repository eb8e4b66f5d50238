/* scalar.h - the parts of the table of plain C, a file each. */
#ifndef NLSH_KERNELS_SCALAR_H
#define NLSH_KERNELS_SCALAR_H

struct nlsh__kernels;

void nlsh__scalar_l2sq(struct nlsh__kernels *table);
void nlsh__scalar_codes(struct nlsh__kernels *table);
void nlsh__scalar_network(struct nlsh__kernels *table);
void nlsh__scalar_training(struct nlsh__kernels *table);

#endif
