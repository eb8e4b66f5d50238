/*
 * disk.c - bench_disk: searches whose vectors lie on the disk, one query at a time, beside the same in memory.
 *
 *   bench_disk INDEX QUERIES [HOW MANY]
 *
 * "cold": codes in memory, and before each query the system is asked to forget the file's pages. "warm": the same
 * without forgetting, when all were asked once. "in memory": the whole file was read when it was opened. A line each: microseconds of half and
 * of 99 % of the queries, vectors that were ranked exactly, and what the disk was read for, in 4 KiB pages.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../common.h"
#include "base/resident.h"
#include "index/index.h"
#include "nlsh/learn.h"

enum { K = 10 };

struct asked {
    const char *name;
    enum nlsh_memory memory;
    int forgets;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* Bytes that this process had read from disks; a page that was asked for counts, too. */
static double bytes_read(void)
{
    unsigned long long bytes = 0;
    char line[100];
    FILE *f = fopen("/proc/self/io", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "read_bytes: %llu", &bytes) == 1) break;
    if (f != NULL) fclose(f);
    return (double)bytes;
}

static void forget(const struct nlsh_index *index, int fd)
{
    nlsh__map_forget(&index->map);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct nlsh_matrix query_of(const struct nlsh_matrix *queries, size_t i)
{
    size_t row = queries->dim * (queries->type == NLSH_F32 ? sizeof(float) : 1);
    return (struct nlsh_matrix){(const char *)queries->data + i * row, 1, queries->dim,
                                queries->type, 0};
}

static void ask(const char *path, const struct nlsh_matrix *queries, double recall,
                const struct asked *how)
{
    struct nlsh_error error;
    struct nlsh_index *index;
    struct nlsh_searcher *searcher;
    struct nlsh_open_options opening;
    struct nlsh_search_options options;
    struct nlsh_search_stats stats = {.struct_size = sizeof stats};
    size_t n = queries->n_rows;
    uint32_t ranked;
    uint64_t keys[K];
    double *micros = room(n, sizeof *micros), all_ranked = 0, pages = 0;
    int fd = open(path, O_RDONLY);
    nlsh_open_options_init(&opening, sizeof opening);
    opening.memory = how->memory;
    nlsh_search_options_init(&options, sizeof options);
    options.k = K;
    options.recall = recall;
    stats.ranked = &ranked;
    must(nlsh_index_open(path, &opening, &index, &error), &error);
    must(nlsh_searcher_create(index, &searcher, &error), &error);
    if (!how->forgets)
        for (size_t i = 0; i < n; i++) {
            struct nlsh_matrix query = query_of(queries, i);
            must(nlsh_search(searcher, &query, &options, keys, NULL, &stats, &error), &error);
        }
    for (size_t i = 0; i < n; i++) {
        struct nlsh_matrix query = query_of(queries, i);
        if (how->forgets) forget(index, fd);
        double read = bytes_read(), begin = now();
        must(nlsh_search(searcher, &query, &options, keys, NULL, &stats, &error), &error);
        micros[i] = now() - begin;
        pages += (bytes_read() - read) / 4096;
        all_ranked += ranked;
    }
    qsort(micros, n, sizeof *micros, ascending);
    printf("recall %.2f, %-9s  p50 %8.0f us  p99 %8.0f us  %7.1f ranked  %7.1f pages read\n",
           recall, how->name, micros[n / 2], micros[n * 99 / 100], all_ranked / (double)n,
           pages / (double)n);
    fflush(stdout);
    nlsh_searcher_free(searcher);
    nlsh_index_close(index);
    close(fd);
    free(micros);
}

int main(int argc, char **argv)
{
    static const struct asked hows[] = {{"cold", NLSH_MEMORY_CODES, 1},
                                        {"warm", NLSH_MEMORY_CODES, 0},
                                        {"in memory", NLSH_MEMORY_ALL, 0}};
    struct nlsh_error error;
    struct nlsh_vectors *vectors;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: bench_disk INDEX QUERIES [HOW MANY]\n");
        return 64;
    }
    must(nlsh_vectors_read(argv[2], NLSH_FORMAT_AUTO, &vectors, &error), &error);
    struct nlsh_matrix queries = *nlsh_vectors_matrix(vectors);
    size_t most = argc == 4 ? strtoul(argv[3], NULL, 10) : 1000;
    if (queries.n_rows > most) queries.n_rows = most;
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        ask(argv[1], &queries, 0.95, &hows[i]);
        ask(argv[1], &queries, 0.99, &hows[i]);
    }
    nlsh_vectors_free(vectors);
    return 0;
}
