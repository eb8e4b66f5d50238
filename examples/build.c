/* build VECTORS INDEX: an index of a file of vectors, all settings as they come. */
#include <nlsh/learn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: build VECTORS INDEX\n");
        return 2;
    }
    struct nlsh_error error;
    struct nlsh_vectors *vectors;
    struct nlsh_build_options options;
    struct nlsh_build_report report = {.struct_size = sizeof report};
    nlsh_build_options_init(&options, sizeof options);
    if (nlsh_vectors_read(argv[1], NLSH_FORMAT_AUTO, &vectors, &error) != NLSH_OK ||
        nlsh_build(nlsh_vectors_matrix(vectors), &options, argv[2], NULL, &report, &error) !=
            NLSH_OK) {
        fprintf(stderr, "%s\n%s\n", error.message, error.hint);
        return 1;
    }
    printf("%s: %llu bytes\n", argv[2], (unsigned long long)report.index_bytes);
    nlsh_vectors_free(vectors);
    return 0;
}
