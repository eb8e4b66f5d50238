/* search INDEX QUERIES.fvecs... in miniature: the five nearest neighbours of a made-up query. */
#include <nlsh/nlsh.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct nlsh_error error;
    struct nlsh_index *index;
    if (argc != 2 || nlsh_index_open(argv[1], &index, &error) != NLSH_OK) {
        fprintf(stderr, "%s\n", argc == 2 ? error.message : "usage: search INDEX");
        return 1;
    }
    struct nlsh_index_info info;
    nlsh_index_info(index, &info);
    float *query = calloc(info.dim, sizeof *query); /* yours goes here */
    struct nlsh_matrix queries = {query, 1, info.dim, NLSH_F32};

    struct nlsh_searcher *searcher;
    struct nlsh_search_options options;
    nlsh_search_options_init(&options);
    options.k = 5;
    uint32_t ids[5];
    float l2sq[5];
    if (nlsh_searcher_create(index, &searcher, &error) != NLSH_OK ||
        nlsh_search(searcher, &queries, &options, ids, l2sq, NULL, &error) != NLSH_OK) {
        fprintf(stderr, "%s\n", error.message);
        free(query);
        return 1;
    }
    for (int i = 0; i < 5; i++) printf("%u %g\n", ids[i], l2sq[i]);
    nlsh_searcher_free(searcher);
    nlsh_index_close(index);
    free(query);
    return 0;
}
