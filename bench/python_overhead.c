/*
 * python_overhead.c - what bench/python_overhead.py compares with: the same searches from C.
 *
 *   bench_python_overhead INDEX QUERIES K RECALL
 *
 * Reads a word a line, "single" or "batch", and answers each with the nanoseconds of the processor that
 * a query took: one query a
 * call, one thread, over all queries; or all queries in one call of a pool of one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nlsh/learn.h"

static struct nlsh_error error;

static void must(enum nlsh_status status)
{
    if (status == NLSH_OK) return;
    fprintf(stderr, "error: %s\n", error.message);
    exit(1);
}

/* Of the processor: what other programs take meanwhile does not count. */
static double used_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return 1e9 * (double)now.tv_sec + (double)now.tv_nsec;
}

static void single(struct nlsh_searcher *searcher, const struct nlsh_matrix *queries,
                   const struct nlsh_search_options *options, uint64_t *keys, float *distances)
{
    struct nlsh_matrix query = *queries;
    size_t bytes = queries->dim * (queries->type == NLSH_F32 ? sizeof(float) : 1);
    query.n_rows = 1;
    for (size_t i = 0; i < queries->n_rows; i++) {
        query.data = (const char *)queries->data + i * bytes;
        must(nlsh_search(searcher, &query, options, keys, distances, NULL, &error));
    }
}

int main(int argc, char **argv)
{
    struct nlsh_index *index;
    struct nlsh_vectors *vectors;
    struct nlsh_searcher *searcher;
    struct nlsh_searcher_pool *pool;
    struct nlsh_search_options options;
    char word[16];
    if (argc != 5) {
        fprintf(stderr, "usage: bench_python_overhead INDEX QUERIES K RECALL\n");
        return 2;
    }
    must(nlsh_index_open(argv[1], NULL, &index, &error));
    must(nlsh_vectors_read(argv[2], NLSH_FORMAT_AUTO, &vectors, &error));
    must(nlsh_searcher_create(index, &searcher, &error));
    must(nlsh_searcher_pool_create(index, 1, &pool, &error));
    nlsh_search_options_init(&options, sizeof options);
    options.k = strtoul(argv[3], NULL, 10);
    options.recall = strtod(argv[4], NULL);
    const struct nlsh_matrix *queries = nlsh_vectors_matrix(vectors);
    uint64_t *keys = malloc(queries->n_rows * options.k * sizeof *keys);
    float *distances = malloc(queries->n_rows * options.k * sizeof *distances);
    if (keys == NULL || distances == NULL) return 1;

    while (scanf("%15s", word) == 1) {
        double begun = used_ns();
        if (strcmp(word, "single") == 0)
            single(searcher, queries, &options, keys, distances);
        else
            must(nlsh_searcher_pool_search(pool, queries, &options, keys, distances, NULL, &error));
        printf("%.1f\n", (used_ns() - begun) / (double)queries->n_rows);
        fflush(stdout);
    }
    free(keys);
    free(distances);
    nlsh_searcher_pool_free(pool);
    nlsh_searcher_free(searcher);
    nlsh_vectors_free(vectors);
    nlsh_index_close(index);
    return 0;
}
