/* select.h - the n smallest of some distinct keys, at once or as they come; the largest of some floats. */
#ifndef NLSH_KERNELS_SELECT_H
#define NLSH_KERNELS_SELECT_H

#include <stddef.h>
#include <stdint.h>

/* Moves the n smallest of keys[size] to the front. Keys are distinct. */
void nlsh__select_smallest(uint64_t *keys, size_t size, size_t n);

/* The same, and the greatest of these last; n >= 1. */
void nlsh__settle_smallest(uint64_t *keys, size_t size, size_t n);

/* The n smallest of keys[n] and of those that came, into keys; n >= 1. These stand in any order but for the greatest,
 * which is the last: that takes half the time of a sorted list. UINT64_MAX is none. came has room for n more behind it,
 * and is spoilt. */
void nlsh__keep_smallest(uint64_t *keys, size_t n, uint64_t *came, size_t n_came);
/* The same of one that came. */
void nlsh__keep_smaller(uint64_t *keys, size_t n, uint64_t key);

/* Where the largest of values[n] stands, the first of equals; n >= 1. */
size_t nlsh__argmax(const float *values, size_t n);

#endif
