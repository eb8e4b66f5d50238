/* child.h - this test program again as a child with NLSH_CPU set: kernels are chosen once a process.
 * The child gets the argument "answer", by which main() tells itself apart. Where programs run under an emulator,
 * NLSH_EMULATOR names it: to the system /proc/self/exe is the emulator then. */
#ifndef NLSH_TESTS_CHILD_H
#define NLSH_TESTS_CHILD_H

#include <sys/wait.h>

#include "testing.h"

/* This program in this process's place. Returns only where that fails. */
static inline void run_answer(void)
{
    const char *emulator = getenv("NLSH_EMULATOR");
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (emulator == NULL)
        execl("/proc/self/exe", "test", "answer", (char *)NULL);
    else if (n > 0) {
        self[n] = '\0'; /* the emulator answers for the program */
        execlp(emulator, emulator, self, "answer", (char *)NULL);
    }
}

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
        run_answer();
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
