/* made.h - kinds of sets that are made: for promises that must hold on data that nobody tuned to. */
#ifndef NLSH_BENCH_MADE_H
#define NLSH_BENCH_MADE_H

#include "nlsh/learn.h"

/* Vectors of one kind: the rows of a base, and queries from where they come from. */
struct made {
    const char *name;
    enum nlsh_metric metric;
    struct nlsh_matrix base, queries; /* owned: made_free() */
};

/* How many kinds there are, and the name of the i-th. */
size_t made_n_kinds(void);
const char *made_name(size_t i);

/* The i-th kind; the same numbers for the same seed. Exits where memory runs out. */
void made_create(size_t i, size_t n_rows, size_t n_queries, uint64_t seed, struct made *out);
void made_free(struct made *made);

#endif
