/*
 * measure.c - a pass over queries, timed; answers, checked.
 *
 * Single and batch1 of a round run pinned to one processor. A pass lasts well under a second, so that with
 * real-time priority it stays below the kernel's limit of 95 % a second, and sleeps a little after.
 */
#define _GNU_SOURCE
#include "measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

const char *const mode_names[N_MODES] = {"single", "batch1", "batch2"};
struct quiet quiet;

void *room(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory != NULL) return memory;
    fprintf(stderr, "error: out of memory\n");
    exit(70);
}

/* Of children that ended as well: METIS is one. */
double cpu_seconds(void)
{
    struct timespec t;
    struct rusage children;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    getrusage(RUSAGE_CHILDREN, &children);
    return (double)(t.tv_sec + children.ru_utime.tv_sec + children.ru_stime.tv_sec) +
           (double)t.tv_nsec / 1e9 +
           (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) / 1e6;
}

double resident_mb(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL) return NAN;
    int n = fscanf(f, "%lu %lu", &size, &resident);
    fclose(f);
    return n == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6 : NAN;
}

/* ---- the machine ----------------------------------------------------------------------------- */

static int lock_file = -1;
static double lock_since;

void quiet_leave(void)
{
    if (lock_file < 0) return;
    close(lock_file);
    lock_file = -1;
}

void quiet_take(void)
{
    if (quiet.lock == NULL) return;
    if (lock_file >= 0 && nlsh__now() - lock_since < 45) return;
    if (lock_file >= 0) {
        quiet_leave();
        nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    }
    lock_file = open(quiet.lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_file < 0 || flock(lock_file, LOCK_EX) != 0) {
        perror(quiet.lock);
        exit(73);
    }
    lock_since = nlsh__now();
}

/* Every thread of the process: a library's own threads were made earlier and stay as they are. */
static void hold_threads(int pinned, int realtime)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int c = 0; c < CPU_SETSIZE; c++)
        if (!pinned || c == quiet.core) CPU_SET(c, &set);
    struct sched_param priority = {.sched_priority = realtime ? 10 : 0};
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL) return;
    for (struct dirent *d; (d = readdir(tasks)) != NULL;) {
        int thread = atoi(d->d_name);
        if (thread == 0) continue;
        sched_setaffinity(thread, sizeof set, &set);
        if (quiet.realtime)
            sched_setscheduler(thread, realtime ? SCHED_FIFO : SCHED_OTHER, &priority);
    }
    closedir(tasks);
}

/* ---- a pass ---------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Processor time of this thread: what else the machine does counts less, and no lock is needed. */
static double own_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void time_single(const struct peer *peer, void *index, const struct peer_data *queries,
                        size_t n, size_t k, uint32_t *ids, struct timing *out)
{
    double *spent = room(n, sizeof *spent), total = 0;
    for (size_t q = 0; q < n; q++) {
        double start = nlsh__now();
        peer->search(index, queries, q, 1, k, 1, ids + q * k);
        spent[q] = nlsh__now() - start;
        total += spent[q];
    }
    qsort(spent, n, sizeof *spent, by_size);
    out->qps = (double)n / total;
    out->p50_us = 1e6 * spent[(n - 1) * 50 / 100];
    out->p95_us = 1e6 * spent[(n - 1) * 95 / 100];
    out->p99_us = 1e6 * spent[(n - 1) * 99 / 100];
    free(spent);
}

/* Threads for a library that answers on the thread that asks: 32 queries at a time. */
struct shared {
    const struct peer *peer;
    void *index;
    const struct peer_data *queries;
    size_t n, k;
    uint32_t *ids;
    atomic_size_t next;
};

static void *take_queries(void *arg)
{
    enum { BLOCK = 32 };
    struct shared *s = arg;
    for (size_t q; (q = atomic_fetch_add(&s->next, BLOCK)) < s->n;)
        s->peer->search(s->index, s->queries, q, s->n - q < BLOCK ? s->n - q : BLOCK, s->k, 1,
                        s->ids + q * s->k);
    return NULL;
}

static void search_on_two(const struct peer *peer, void *index, const struct peer_data *queries,
                          size_t n, size_t k, uint32_t *ids)
{
    struct shared s = {peer, index, queries, n, k, ids, 0};
    pthread_t other;
    int made = pthread_create(&other, NULL, take_queries, &s) == 0;
    take_queries(&s);
    if (made) pthread_join(other, NULL);
}

void time_roughly(const struct peer *peer, void *index, const struct peer_data *queries, size_t n,
                  size_t k, enum mode mode, uint32_t *ids, struct timing *out)
{
    *out = (struct timing){0, NAN, NAN, NAN};
    double start = own_seconds();
    if (mode == MODE_SINGLE)
        for (size_t q = 0; q < n; q++) peer->search(index, queries, q, 1, k, 1, ids + q * k);
    else
        peer->search(index, queries, 0, n, k, 1, ids);
    out->qps = (double)n / (own_seconds() - start);
}

void time_pass(const struct peer *peer, void *index, const struct peer_data *queries, size_t n,
               size_t k, enum mode mode, uint32_t *ids, struct timing *out)
{
    uint32_t *own = ids == NULL ? room(n * k, sizeof *own) : ids;
    size_t n_threads = mode == MODE_BATCH2 ? 2 : 1;
    *out = (struct timing){0, NAN, NAN, NAN};
    hold_threads(mode != MODE_BATCH2, 1);
    if (mode == MODE_SINGLE) {
        time_single(peer, index, queries, n, k, own, out);
    } else {
        double start = nlsh__now();
        if (n_threads == 1 || peer->own_threads)
            peer->search(index, queries, 0, n, k, n_threads, own);
        else
            search_on_two(peer, index, queries, n, k, own);
        out->qps = (double)n / (nlsh__now() - start);
    }
    hold_threads(0, 0);
    if (quiet.realtime) nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    if (ids == NULL) free(own);
}

/* ---- the check ------------------------------------------------------------------------------- */

static float distance(const struct peer_data *base, const struct peer_data *queries, size_t q,
                      uint32_t id)
{
    size_t dim = base->dim;
    if (id >= base->n_rows) return INFINITY;
    if (base->bytes != NULL && queries->bytes != NULL) {
        const uint8_t *a = base->bytes + id * dim, *b = queries->bytes + q * dim;
        int64_t sum = 0;
        for (size_t d = 0; d < dim; d++) sum += ((int)a[d] - b[d]) * ((int)a[d] - b[d]);
        return sqrtf((float)sum);
    }
    const float *a = base->rows + id * dim, *b = queries->rows + q * dim;
    double sum = 0;
    for (size_t d = 0; d < dim; d++) sum += ((double)a[d] - b[d]) * ((double)a[d] - b[d]);
    return sqrtf((float)sum);
}

double check_recall(const struct peer_data *base, const struct peer_data *queries, size_t n,
                    size_t k, const uint32_t *ids, const struct nlsh_neighbors *truth)
{
    float *distances = room(k, sizeof *distances);
    uint64_t *keys = room(k, sizeof *keys);
    double sum = 0;
    for (size_t q = 0; q < n; q++) {
        for (size_t j = 0; j < k; j++) {
            uint32_t id = ids[q * k + j];
            keys[j] = id == UINT32_MAX ? NLSH_NO_KEY : id;
            distances[j] = distance(base, queries, q, id);
        }
        sum += nlsh_recall(keys, distances, truth->ids + q * truth->k,
                           truth->distances + q * truth->k, k);
    }
    free(distances);
    free(keys);
    return sum / (double)n;
}
