/*
 * cost.h - what a query costs, as a formula: settings that were left to a build are chosen by it.
 *
 * The constants are of an Intel Xeon with AVX-512 VNNI. What is compared is settings with each other, for
 * which their ratios count.
 */
#ifndef NLSH_PROMISE_COST_H
#define NLSH_PROMISE_COST_H

#include <stddef.h>

/* Nanoseconds to scan rows by codes of so many bytes: a row's code, bias and error (5 bytes) come at 22 GB/s.
 * Exact distances of rows with code_bytes 0 count their own bytes. */
double nlsh__cost_of_scan(double rows, size_t code_bytes);

/* Nanoseconds to rank rows exactly: 20 each and 25 GB/s. Measured with Fashion-MNIST (784 bytes a row: 50 ns)
 * and SIFT-1M (128: 25 to 33). */
double nlsh__cost_of_ranking(double rows, size_t row_bytes);

/* Nanoseconds of so many weights of a network: they come at 110 a nanosecond (128 and 256 nodes on Fashion-MNIST,
 * by nlsh bench). */
double nlsh__cost_of_weights(double weights);

/* The network of a router. */
struct nlsh__network_size {
    size_t inputs, layers, nodes, buckets, groups;
};

/* Nanoseconds of a query's network. Of a last layer in groups a query computes the groups and the buckets of some ten of them. */
double nlsh__cost_of_network(const struct nlsh__network_size *network);

/* Nanoseconds to bring a query to a router's inputs: bytes at 110 a nanosecond as above, floats at 20 (bench_kernels,
 * matvec_f32). */
double nlsh__cost_of_projection(size_t dim, size_t inputs, int as_bytes);

/* With leaves, the share of the rows of a query's buckets that is scanned, and the leaves themselves: 14,300
 * of 32,400 and a 16th on SIFT-1M (nlsh search --recall 0.99, with --leaves 1 and 0). */
#define NLSH__LEAVES_SCAN 0.5
/* With leaves, rows ranked exactly for one that is ranked without: the limit is loose while the first leaves are
 * scanned. nlsh search --recall 0.99 against what is measured without leaves: SIFT-1M 165 for 89, GloVe-100 3,402
 * for 456 (3 times the rows are scanned there) and 1,061 for 145. */
#define NLSH__LEAVES_RANK 3

#endif
