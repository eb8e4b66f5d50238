/* child.h - this test program again as a child with NLSH_CPU set: kernels are chosen once a process.
 * The child gets the argument "answer", by which main() tells itself apart. */
#ifndef NLSH_TESTS_CHILD_H
#define NLSH_TESTS_CHILD_H

#include <sys/wait.h>

#include "testing.h"

/* What the child writes to stdout, cut at size - 1. cap NULL: NLSH_CPU is not set. */
static inline void ask_child(const char *cap, char *out, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        if (cap != NULL)
            setenv("NLSH_CPU", cap, 1);
        else
            unsetenv("NLSH_CPU");
        execl("/proc/self/exe", "test", "answer", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n < size - 1 && (got = read(ends[0], out + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    out[n] = '\0';
    close(ends[0]);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

#endif
