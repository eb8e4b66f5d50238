/*
 * reads.c - bench_reads: ways to read rows of a large file that are known together, when none is in memory.
 *
 *   bench_reads FILE ROWS ROUNDS
 *
 * ROWS places of the file, of 128 bytes each, are drawn at random, and the system is asked to forget the file. Then one of
 * the ways brings the bytes, and they are added up. The ways take turns, each with places of its own. A line each: microseconds of
 * half and of 99 % of the rounds.
 *
 *   one by one  a map that is touched
 *   madvise     process_madvise() for all pages, then the map is touched: src/base/fetch.c
 *   uring       io_uring reads into memory of our own, through the page cache
 *   direct      the same around the page cache (O_DIRECT), 4 KiB each
 *   threads     8 threads of pread(), which wait for work
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../common.h"
#include "base/fetch.h"
#include "base/pool.h"
#include "base/rng.h"

enum { PAGE = 4096, ROW = 128, MOST = 1024, THREADS = 8, WAYS = 5 };

static const char *const names[WAYS] = {"one by one", "madvise", "uring", "direct", "threads"};

static struct {
    int fd, direct;
    const uint8_t *map;
    size_t size, n;
    uint64_t places[MOST]; /* of rows; a row does not cross a page */
    uint8_t *room;         /* [MOST][PAGE], on a page's border */
    struct nlsh__pool *pool;
} file;

static void die(const char *why, int code)
{
    fprintf(stderr, "%s\n", why);
    exit(code);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* ---- io_uring, by its system calls ------------------------------------------------------------- */

static struct {
    int fd;
    struct io_uring_params params;
    uint8_t *rings;
    struct io_uring_sqe *entries;
} uring;

static int uring_open(void)
{
    uring.fd = (int)syscall(SYS_io_uring_setup, MOST, &uring.params);
    if (uring.fd < 0) return 0;
    size_t sq = uring.params.sq_off.array + uring.params.sq_entries * sizeof(unsigned);
    size_t cq = uring.params.cq_off.cqes + uring.params.cq_entries * sizeof(struct io_uring_cqe);
    uring.rings = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                       uring.fd, IORING_OFF_SQ_RING); /* one map has both: Linux 5.4 */
    uring.entries =
        mmap(NULL, uring.params.sq_entries * sizeof *uring.entries, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_POPULATE, uring.fd, IORING_OFF_SQES);
    return uring.rings != MAP_FAILED && (void *)uring.entries != MAP_FAILED;
}

static _Atomic unsigned *ring_value(size_t offset)
{
    return (_Atomic unsigned *)(void *)(uring.rings + offset);
}

/* Reads size bytes around each place; returns the sum of the rows. */
static uint64_t uring_read(int fd, size_t size)
{
    _Atomic unsigned *tail = ring_value(uring.params.sq_off.tail);
    unsigned *array = (unsigned *)(void *)(uring.rings + uring.params.sq_off.array);
    unsigned mask = uring.params.sq_entries - 1, at = atomic_load(tail), done = 0;
    uint64_t sum = 0;
    for (size_t i = 0; i < file.n; i++, at++) {
        array[at & mask] = at & mask;
        uring.entries[at & mask] =
            (struct io_uring_sqe){.opcode = IORING_OP_READ,
                                  .fd = fd,
                                  .off = file.places[i] / size * size,
                                  .addr = (uint64_t)(uintptr_t)(file.room + i * PAGE),
                                  .len = (unsigned)size,
                                  .user_data = i};
    }
    atomic_store_explicit(tail, at, memory_order_release);
    long submitted =
        syscall(SYS_io_uring_enter, uring.fd, file.n, file.n, IORING_ENTER_GETEVENTS, NULL, 0);
    if (submitted != (long)file.n) die("io_uring_enter: not all was taken", 1);
    _Atomic unsigned *head = ring_value(uring.params.cq_off.head);
    const struct io_uring_cqe *answers =
        (const struct io_uring_cqe *)(const void *)(uring.rings + uring.params.cq_off.cqes);
    unsigned from = atomic_load(head);
    while (done < file.n) {
        unsigned end =
            atomic_load_explicit(ring_value(uring.params.cq_off.tail), memory_order_acquire);
        for (; from != end; from++, done++) {
            const struct io_uring_cqe *c = &answers[from & (uring.params.cq_entries - 1)];
            if (c->res != (int)size) die("a read failed", 1);
            const uint8_t *row = file.room + c->user_data * PAGE + file.places[c->user_data] % size;
            for (size_t d = 0; d < ROW; d++) sum += row[d];
        }
        atomic_store_explicit(head, from, memory_order_release);
    }
    return sum;
}

/* ---- the others -------------------------------------------------------------------------------- */

static uint64_t touch(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < file.n; i++)
        for (size_t d = 0; d < ROW; d++) sum += file.map[file.places[i] + d];
    return sum;
}

static uint64_t advise(void)
{
    struct nlsh__fetch fetch;
    nlsh__fetch_begin(&fetch);
    for (size_t i = 0; i < file.n; i++) nlsh__fetch_add(&fetch, file.map + file.places[i], ROW);
    nlsh__fetch_all(&fetch);
    return touch();
}

static void read_one(void *ctx, size_t i, size_t worker)
{
    (void)ctx;
    (void)worker;
    if (pread(file.fd, file.room + i * PAGE, ROW, (off_t)file.places[i]) != ROW)
        die("a read failed", 1);
}

static uint64_t by_threads(void)
{
    uint64_t sum = 0;
    nlsh__pool_run(file.pool, file.n, read_one, NULL);
    for (size_t i = 0; i < file.n; i++)
        for (size_t d = 0; d < ROW; d++) sum += file.room[i * PAGE + d];
    return sum;
}

static uint64_t one_way(size_t way)
{
    switch (way) {
    case 0: return touch();
    case 1: return advise();
    case 2: return uring_read(file.fd, ROW);
    case 3: return uring_read(file.direct, PAGE);
    default: return by_threads();
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct nlsh__rng rng;
    struct nlsh_error error;
    struct stat st;
    if (argc != 4) die("usage: bench_reads FILE ROWS ROUNDS", 2);
    size_t rounds = strtoul(argv[3], NULL, 10);
    file.n = strtoul(argv[2], NULL, 10);
    file.fd = open(argv[1], O_RDONLY);
    file.direct = open(argv[1], O_RDONLY | O_DIRECT);
    if (file.fd < 0 || file.direct < 0 || fstat(file.fd, &st) != 0) die("cannot open the file", 1);
    file.size = (size_t)st.st_size / PAGE * PAGE;
    if (file.n < 1 || file.n > MOST || rounds < 1 || file.size == 0) die("1 to 1024 rows", 2);
    file.map = mmap(NULL, file.size, PROT_READ, MAP_SHARED, file.fd, 0);
    if ((const void *)file.map == MAP_FAILED) die("cannot map the file", 1);
    (void)madvise((void *)(uintptr_t)file.map, file.size, MADV_RANDOM);
    file.room = aligned_alloc(PAGE, (size_t)MOST * PAGE);
    if (file.room == NULL || !uring_open()) die("there is no io_uring here", 1);
    memset(file.room, 0, (size_t)MOST * PAGE);
    must(nlsh__pool_create(THREADS, &file.pool, &error), &error);
    double *micros[WAYS];
    for (size_t w = 0; w < WAYS; w++) micros[w] = room(rounds, sizeof **micros);
    nlsh__rng_init(&rng, 1, 2);
    for (size_t r = 0; r < rounds; r++)
        for (size_t w = 0; w < WAYS; w++) {
            for (size_t i = 0; i < file.n; i++)
                file.places[i] = nlsh__rng_below(&rng, file.size / ROW) * ROW;
            (void)madvise((void *)(uintptr_t)file.map, file.size, MADV_DONTNEED);
            posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
            double begin = now();
            uint64_t sum = one_way(w);
            micros[w][r] = now() - begin;
            if (r == 0 && sum != touch()) die("two ways read other bytes", 1);
        }
    for (size_t w = 0; w < WAYS; w++) {
        qsort(micros[w], rounds, sizeof **micros, ascending);
        printf("%-11s %4zu rows: p50 %7.0f us, p99 %7.0f us\n", names[w], file.n,
               micros[w][rounds / 2], micros[w][rounds * 99 / 100]);
    }
    return 0;
}
