/* buckets.h - numbers counted into buckets. */
#ifndef NLSH_BASE_BUCKETS_H
#define NLSH_BASE_BUCKETS_H

#include <stddef.h>
#include <stdint.h>

/*
 * nlsh__count_sort() - the numbers 0 to n - 1 by their bucket, ascending inside.
 *
 *  bucket_of  [n] below m
 *  offsets    [m + 1] out: bucket b's numbers stand at offsets[b] to offsets[b + 1] - 1
 *  numbers    [n] out; or NULL: offsets only
 */
void nlsh__count_sort(const uint32_t *bucket_of, size_t n, size_t m, uint32_t *offsets,
                      uint32_t *numbers);

#endif
