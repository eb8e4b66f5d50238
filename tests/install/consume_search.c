/* Links libnlsh alone: its version, and an index that is not there. */
#include <stdio.h>
#include <string.h>

#include <nlsh/nlsh.h>

int main(int argc, char **argv)
{
    if (argc != 2) return 2;
    if (strcmp(argv[1], "--version") == 0) {
        puts(nlsh_version());
        return 0;
    }
    char path[4096];
    snprintf(path, sizeof path, "%s/no such index.nlsh", argv[1]);
    struct nlsh_index *index = NULL;
    struct nlsh_error error;
    enum nlsh_status status = nlsh_index_open(path, NULL, &index, &error);
    printf("  nlsh %s, %s: %s: %s\n", nlsh_version(), nlsh_cpu(), nlsh_status_name(status),
           error.message);
    if (status != NLSH_E_NO_INPUT || index != NULL || error.status != status) return 1;
    if (strstr(error.message, path) == NULL) return 1; /* an error names its file */
    nlsh_index_close(NULL);
    return 0;
}
