/* Links libnlsh-learn: builds a small index, searches it, and finds every vector itself. */
#include <stdio.h>
#include <stdlib.h>

#include <nlsh/learn.h>

enum { N_ROWS = 2000, DIM = 16, N_BUCKETS = 8 };

static int check(enum nlsh_status status, const struct nlsh_error *error)
{
    if (status == NLSH_OK) return 0;
    fprintf(stderr, "  %s: %s\n", nlsh_status_name(status), error->message);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    char path[4096];
    snprintf(path, sizeof path, "%s/consumer.nlsh", argv[1]);

    static uint8_t data[N_ROWS * DIM]; /* blobs round N_BUCKETS centres */
    uint32_t random = 1;
    for (size_t i = 0; i < N_ROWS * DIM; i++) {
        random = random * 1664525u + 1013904223u;
        data[i] = (uint8_t)(((i / DIM * 37 + i % DIM * 11) % N_BUCKETS) * 25 + (random >> 27));
    }
    struct nlsh_matrix base = {.data = data, .n_rows = N_ROWS, .dim = DIM, .type = NLSH_U8};
    struct nlsh_error error;

    struct nlsh_build_options options;
    nlsh_build_options_init(&options, sizeof options);
    options.n_buckets = N_BUCKETS;
    options.epochs = 2;
    if (check(nlsh_build(&base, &options, path, NULL, NULL, &error), &error)) return 1;

    struct nlsh_index *index;
    if (check(nlsh_index_open(path, NULL, &index, &error), &error)) return 1;
    struct nlsh_searcher *searcher;
    if (check(nlsh_searcher_create(index, &searcher, &error), &error)) return 1;
    struct nlsh_search_options how;
    nlsh_search_options_init(&how, sizeof how);
    how.k = 1;
    how.probes = N_BUCKETS; /* all of them: the answer is exact */
    static uint64_t keys[N_ROWS];
    static float distances[N_ROWS];
    if (check(nlsh_search(searcher, &base, &how, keys, distances, NULL, &error), &error)) return 1;
    size_t n_wrong = 0;
    for (size_t i = 0; i < N_ROWS; i++) n_wrong += distances[i] != 0.0f || keys[i] > i;
    printf("  built and searched: %d vectors, %zu not found\n", N_ROWS, n_wrong);
    nlsh_searcher_free(searcher);
    nlsh_index_close(index);
    return n_wrong != 0;
}
