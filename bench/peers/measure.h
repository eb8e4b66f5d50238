/* measure.h - timing and checking, the same for every method. */
#ifndef NLSH_BENCH_MEASURE_H
#define NLSH_BENCH_MEASURE_H

#include "nlsh/learn.h"
#include "peer.h"

enum mode { MODE_SINGLE, MODE_BATCH1, MODE_BATCH2, N_MODES };
extern const char *const mode_names[N_MODES];

/* How the machine is held while something is timed. */
struct quiet {
    int core;     /* what runs on one thread runs there */
    int realtime; /* first-in-first-out priority, where that is allowed, for a pass at a time */
    const char
        *lock; /* a file locked meanwhile, or NULL: programs that hold it wait for each other */
};
extern struct quiet quiet;

/* Waits for the lock; keeps it over several calls, but lets others in every 45 seconds. */
void quiet_take(void);
void quiet_leave(void);

struct timing {
    double qps, p50_us, p95_us, p99_us; /* the last three of MODE_SINGLE only */
};

/* One pass over the first n queries; ids [n x k] or NULL. Single: one query a call, each timed. */
void time_pass(const struct peer *peer, void *index, const struct peer_data *queries, size_t n,
               size_t k, enum mode mode, uint32_t *ids, struct timing *out);

/* The same on one thread by its processor time, with the machine as it is: for tuning. */
void time_roughly(const struct peer *peer, void *index, const struct peer_data *queries, size_t n,
                  size_t k, enum mode mode, uint32_t *ids, struct timing *out);

/* Mean recall@k of the first n queries' answers: distances computed again from the ids, a tie with
 * the k-th true distance counted, an id counted once. */
double check_recall(const struct peer_data *base, const struct peer_data *queries, size_t n,
                    size_t k, const uint32_t *ids, const struct nlsh_neighbors *truth);

double cpu_seconds(void); /* of this process, all threads */
double resident_mb(void);
void *room(size_t count, size_t size); /* memory or the end */

/* ours and the exact scans (nlsh.c); index files are given by the command line */
struct own_index {
    const char *label, *file;
};
extern struct own_index own_indexes[16];
extern size_t n_own_indexes;
extern const struct peer own_peers[];

#endif
