/*
 * methods.h - what the command compares an index with: exact scans, and buckets made by other methods.
 * docs/baselines.md has what each does and the papers. Statuses, pointers and threads as nlsh.h says.
 */
#ifndef NLSH_BASELINES_METHODS_H
#define NLSH_BASELINES_METHODS_H

#include "nlsh/learn.h"

enum nlsh__brute_method {
    NLSH__BRUTE_BEST = 0, /* our best exact scan for the type */
    NLSH__BRUTE_PLAIN = 1 /* a float loop in C, as a textbook has it, -O3 */
};

/* An exact scan, its data in the form that it scans: making that form is not part of a search. */
struct nlsh__brute;

/* base is borrowed. */
enum nlsh_status nlsh__brute_create(const struct nlsh_matrix *base, enum nlsh__brute_method method,
                                    struct nlsh__brute **out, struct nlsh_error *error);
void nlsh__brute_free(struct nlsh__brute *brute);
/* One query at a time on the calling thread; outputs as nlsh_search()'s. */
enum nlsh_status nlsh__brute_search(const struct nlsh__brute *brute,
                                    const struct nlsh_matrix *queries, size_t k, uint64_t *keys,
                                    float *distances, struct nlsh_error *error);

/* Buckets that the vectors are put into, all scanned exactly and in the same way: only the choice of
 * buckets differs. docs/baselines.md has what each does and the papers. */
enum nlsh__baseline_method {
    NLSH__BASELINE_IVFFLAT = 0,   /* k-means cells; a probe is one of the nearest */
    NLSH__BASELINE_IVFPQ = 1,     /* the same; product codes choose what is scanned exactly */
    NLSH__BASELINE_LSH = 2,       /* p-stable hashing; a probe is a table */
    NLSH__BASELINE_HYPERCUBE = 3, /* random bits; a probe is a corner, by Hamming distance */
    NLSH__BASELINE_ROUTED = 4     /* the buckets and the router of an index; probes is its T */
};

struct nlsh__baseline_options {
    enum nlsh__baseline_method method;
    uint64_t seed;                  /* 1 */
    size_t n_lists;                 /* IVF: cells; or NLSH_AUTO: the square root of the rows */
    size_t n_subspaces;             /* IVF-PQ: bytes of a code; or NLSH_AUTO: a 16th of dim */
    size_t n_tables;                /* LSH: L; 16 */
    size_t n_hashes;                /* LSH: k of a table; or NLSH_AUTO */
    size_t n_bits;                  /* Hypercube: d'; or NLSH_AUTO: log2 of the rows, less 4 */
    double window;                  /* LSH, Hypercube: w, a distance; or NLSH_AUTO_REAL */
    const struct nlsh_index *index; /* ROUTED; used while the baseline lives */
};

void nlsh__baseline_options_init(struct nlsh__baseline_options *options);

struct nlsh__baseline;

/*
 * nlsh__baseline_build() - put the vectors of a base into buckets.
 *
 *  base     [n_rows x dim], borrowed while the baseline lives
 *  options  what is left open in them is filled with what was taken
 * Returns NLSH_OK; NLSH_E_ARG (an option outside its meaning), NLSH_E_MISMATCH (an index of other
 * vectors), NLSH_E_DATA, NLSH_E_NOMEM, NLSH_E_INTERRUPTED. The answer does not depend on threads.
 */
enum nlsh_status nlsh__baseline_build(const struct nlsh_matrix *base,
                                      struct nlsh__baseline_options *options,
                                      const struct nlsh_run *run, struct nlsh__baseline **out,
                                      struct nlsh_error *error);
void nlsh__baseline_free(struct nlsh__baseline *baseline);
/* Of memory that an answer needs, the vectors included. */
size_t nlsh__baseline_bytes(const struct nlsh__baseline *baseline);

/*
 * nlsh__baseline_search() - one query at a time on the calling thread; one thread at a time.
 *
 *  probes  cells, tables or corners, 1 or more, a whole number; ROUTED: T
 *  rerank  IVF-PQ: vectors whose exact distance is computed; 0: 10 k
 * Outputs and stats as nlsh_search()'s.
 */
enum nlsh_status nlsh__baseline_search(struct nlsh__baseline *baseline,
                                       const struct nlsh_matrix *queries, double probes,
                                       size_t rerank, size_t k, uint64_t *keys, float *distances,
                                       struct nlsh_search_stats *stats, struct nlsh_error *error);

#endif
