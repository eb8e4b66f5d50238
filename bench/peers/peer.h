/*
 * peer.h - what a method has to offer to be measured by bench/peers/compare.c.
 *
 * Ours is linked in (nlsh.c); others are shared objects that export nlsh_bench_peers(), which returns
 * a list of filled `struct peer`: hnswlib.cpp and faiss.cpp beside this file for Debian's packages.
 * Any other library can be measured the same way, by a shared object made outside the project and
 * named in NLSH_BENCH_PEERS=a.so:b.so. A peer never measures itself: time, recall and memory are taken
 * by the caller, the same way for all.
 */
#ifndef NLSH_BENCH_PEER_H
#define NLSH_BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peer_data {
    const float *rows;    /* [n_rows x dim] */
    const uint8_t *bytes; /* the same values; NULL unless the file holds bytes */
    size_t n_rows, dim;
};

struct peer {
    const char *name;    /* NULL ends the list */
    const char *version; /* with the instruction set that it was compiled for */
    int own_threads;     /* search() makes n_threads threads itself; else the caller does */
    /* The i-th way to build, NULL past the last; quick: the few that are worth most. */
    const char *(*build)(const struct peer_data *base, int quick, size_t i);
    /* The index from file; where there is none, made on one thread and written there. NULL: failed,
     * with a line on standard error. The base outlives the index. */
    void *(*open)(const struct peer_data *base, const char *build, const char *file);
    void (*close)(void *index);
    /* The i-th setting of a search for k, NULL past the last. */
    const char *(*setting)(void *index, size_t k, int quick, size_t i);
    void (*set)(void *index, size_t k, const char *setting);
    /* Rows first to first + n - 1 of the queries; ids [n x k] best first, UINT32_MAX where missing.
     * Called from several threads at once unless own_threads. */
    void (*search)(void *index, const struct peer_data *queries, size_t first, size_t n, size_t k,
                   size_t n_threads, uint32_t *ids);
    /* Means a query since set(): distances or codes computed; bytes read; byte products. NaN or NULL
     * where not known. */
    void (*cost)(void *index, double *candidates, double *bytes, double *products);
    /* Memory that the index takes; NULL: as much as its file. */
    double (*size)(void *index);
    /* Of those that can filter (bench/filters/peers.c), else NULL. Searches return rows whose bit is 1 alone, until the
     * next call; bits outlive it. knob: of a setting with one number, "ef=". */
    void (*filter)(void *index, const uint64_t *bits, size_t n_rows);
    const char *knob;
    /* Of an index that changes, else NULL: rows of data come, under their numbers, and go. Each returns 0 where it
     * failed, with a line on standard error. */
    int (*add)(void *index, const struct peer_data *data, const uint32_t *rows, size_t n);
    int (*remove)(void *index, const uint32_t *rows, size_t n);
};

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const struct peer *
nlsh_bench_peers(void);

/* The same for bench/live/churn.c: those with add() and remove(). */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const struct peer *
nlsh_bench_changing(void);

#ifdef __cplusplus
}
#endif
#endif
