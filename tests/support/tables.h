/* tables.h - the same tests once for every instruction set: the table of kernels is chosen once a
 * process, so each has a process of its own. */
#ifndef NLSH_TESTS_TABLES_H
#define NLSH_TESTS_TABLES_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/kernels.h"

/* Calls run() under each table that this processor has; returns how many processes failed. Where
 * NLSH_CPU is set already, that one alone. */
static inline int each_table(int (*run)(void))
{
    const struct nlsh__kernels *all[8];
    size_t n = nlsh__kernels_all(all, 8);
    int failed = 0;
    if (getenv("NLSH_CPU") != NULL) return run();
    for (size_t i = 0; i < n; i++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            setenv("NLSH_CPU", all[i]->name, 1);
            printf("---- %s\n", nlsh_cpu());
            exit(run() != 0);
        }
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "failed with NLSH_CPU=%s\n", all[i]->name);
            failed++;
        }
    }
    return failed;
}

#endif
