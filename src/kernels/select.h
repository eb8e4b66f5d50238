/* select.h - the n smallest of some distinct keys, in any order; the largest of some floats. */
#ifndef NLSH_KERNELS_SELECT_H
#define NLSH_KERNELS_SELECT_H

#include <stddef.h>
#include <stdint.h>

/* Moves the n smallest of keys[size] to the front. Keys are distinct. */
void nlsh__select_smallest(uint64_t *keys, size_t size, size_t n);

/* Where the largest of values[n] stands, the first of equals; n >= 1. */
size_t nlsh__argmax(const float *values, size_t n);

#endif
