/* search INDEX: in miniature, the five nearest neighbours of a made-up query. */
#include <inttypes.h>
#include <nlsh/nlsh.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct nlsh_error error;
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    if (argc != 2 || nlsh_index_open(argv[1], NULL, &index, &error) != NLSH_OK ||
        nlsh_index_info(index, &info, &error) != NLSH_OK) {
        fprintf(stderr, "%s\n", argc == 2 ? error.message : "usage: search INDEX");
        return 1;
    }
    float *query = calloc(info.dim, sizeof *query); /* yours goes here */
    for (size_t i = 0; i < info.dim; i++) query[i] = (float)(i % 3);
    struct nlsh_matrix queries = {.data = query, .n_rows = 1, .dim = info.dim, .type = NLSH_F32};

    struct nlsh_searcher *searcher;
    struct nlsh_search_options options;
    nlsh_search_options_init(&options, sizeof options);
    options.k = 5;
    uint64_t keys[5];
    float distances[5];
    if (nlsh_searcher_create(index, &searcher, &error) != NLSH_OK ||
        nlsh_search(searcher, &queries, &options, keys, distances, NULL, &error) != NLSH_OK) {
        fprintf(stderr, "%s\n", error.message);
        free(query);
        return 1;
    }
    for (int i = 0; i < 5; i++) printf("%" PRIu64 " %g\n", keys[i], (double)distances[i]);
    nlsh_searcher_free(searcher);
    nlsh_index_close(index);
    free(query);
    return 0;
}
