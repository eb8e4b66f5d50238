/* apart.c - see apart.h. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, prctl() */
#include "partition/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

static const char no_room[] = "free some memory, or use --partitioner kmeans";

/* What parent and child both see. */
struct shared {
    int answered, answer;
    uint32_t bucket_of[];
};

/* ---- the child --------------------------------------------------------------------------------- */

static void die_with(pid_t parent)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != parent) _exit(1);
}

static void hush(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) dup2(null, STDOUT_FILENO);
}

/* METIS raises these two at itself. What else comes is the parent's affair and stays blocked. */
static void take_own_signals(void)
{
    sigset_t own;
    signal(SIGABRT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigemptyset(&own);
    sigaddset(&own, SIGABRT);
    sigaddset(&own, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &own, NULL);
}

static _Noreturn void child(pid_t parent, nlsh__apart_fn *fn, void *ctx, struct shared *shared)
{
    die_with(parent);
    setpgid(0, 0); /* a Ctrl-C is for the parent, who ends this one */
    hush();
    take_own_signals();
    shared->answer = fn(ctx, shared->bucket_of);
    shared->answered = 1;
    _exit(0);
}

/* ---- the parent -------------------------------------------------------------------------------- */

/* No handler of the caller may run in the child, so nothing may come before the child has its own. Faults are not
 * blocked: they end a process one way or the other, and tools that watch for them want to see them. */
static pid_t start(nlsh__apart_fn *fn, void *ctx, struct shared *shared)
{
    sigset_t most, before;
    pid_t parent = getpid();
    sigfillset(&most);
    sigdelset(&most, SIGSEGV);
    sigdelset(&most, SIGBUS);
    sigdelset(&most, SIGFPE);
    sigdelset(&most, SIGILL);
    pthread_sigmask(SIG_SETMASK, &most, &before);
    pid_t pid = fork();
    if (pid == 0) child(parent, fn, ctx, shared);
    int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = why;
    return pid;
}

/* Whether it has ended, and how: -1 where the caller reaps all children and knows it in our place. */
static int ended(pid_t pid, int *how)
{
    pid_t found = waitpid(pid, how, WNOHANG);
    if (found < 0 && errno == ECHILD) *how = -1;
    return found == pid || (found < 0 && errno == ECHILD);
}

/* Small graphs take a millisecond, large ones a minute. */
static enum nlsh_status wait_for(pid_t pid, const struct nlsh__job *job, int *how,
                                 struct nlsh_error *error)
{
    struct timespec pause = {0, 50 * 1000};
    while (!ended(pid, how)) {
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 20 * 1000 * 1000) pause.tv_nsec += pause.tv_nsec / 4;
        enum nlsh_status status =
            job == NULL ? NLSH_OK : nlsh__job_progress(job, "graph partition", 0, 0, error);
        if (status == NLSH_OK) continue;
        kill(pid, SIGKILL);
        while (waitpid(pid, how, 0) < 0 && errno == EINTR) continue;
        return status;
    }
    return NLSH_OK;
}

static enum nlsh_status no_answer(const char *name, int how, struct nlsh_error *error)
{
    static const char remedy[] =
        "use --partitioner kmeans; where memory did not run out, report this";
    if (how == -1 || !WIFSIGNALED(how))
        return nlsh__fail(error, NLSH_E_INTERNAL, remedy, "%s ended without an answer", name);
    if (WTERMSIG(how) == SIGTERM)
        return nlsh__fail(error, NLSH_E_INTERRUPTED, NULL, "%s was stopped by SIGTERM", name);
    if (WTERMSIG(how) == SIGKILL) /* not by us */
        return nlsh__fail(error, NLSH_E_NOMEM, no_room,
                          "%s was killed: the system ran out of memory, or somebody did it", name);
    return nlsh__fail(error, NLSH_E_INTERNAL, remedy, "%s was ended by signal %d (%s)", name,
                      WTERMSIG(how), strsignal(WTERMSIG(how)));
}

enum nlsh_status nlsh__apart(const char *name, nlsh__apart_fn *fn, void *ctx, uint32_t *bucket_of,
                             size_t n, const struct nlsh__job *job, int *answer,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    int how = 0;
    size_t size = sizeof(struct shared) + n * sizeof(uint32_t);
    struct shared *shared =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return nlsh__fail(error, NLSH_E_NOMEM, no_room, "no memory for the answer of %s", name);
    pid_t pid = start(fn, ctx, shared);
    if (pid < 0) {
        status = nlsh__fail(error, NLSH_E_NOMEM, no_room, "no process for %s: %s", name,
                            strerror(errno));
        goto out;
    }
    NLSH_TRY(wait_for(pid, job, &how, error));
    if (!shared->answered) {
        status = no_answer(name, how, error);
        goto out;
    }
    *answer = shared->answer;
    memcpy(bucket_of, shared->bucket_of, n * sizeof *bucket_of);
out:
    munmap(shared, size);
    return status;
}
