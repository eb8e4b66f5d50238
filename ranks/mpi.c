/*
 * mpi.c - ranks.h by MPI.
 *
 * mpirun starts each process with a variable that says how many there are; a process without one is alone and does not
 * wait for MPI to begin. Errors of MPI end all ranks: that is its default, and no rank can go on without the others.
 */
#include <limits.h>
#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "ranks/ranks.h"

/* Of Open MPI, of MPICH and its like, of Slurm's launcher. */
static int started_by_mpirun(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i]) != NULL) return 1;
    return 0;
}

/* The end of a call that all ranks make. MPI's own way to wait takes a whole core, which rank 0 may need for minutes while
 * it trains: whoever waits long looks less and less often, at last every millisecond. A search waits thousands of times: with
 * 2,000 looks at once a build by two ranks took 14.8 s of processor time in place of 10.1 (docs/scale.md). */
static void wait_for(MPI_Request *request)
{
    enum { AT_ONCE = 100, MOST_NS = 1000000 };
    long ns = 1000;
    int done = 0;
    for (size_t i = 0; MPI_Test(request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done; i++) {
        if (i < AT_ONCE) {
            sched_yield();
            continue;
        }
        nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
        if (ns < MOST_NS) ns += ns / 4;
    }
}

static enum nlsh_status too_large(size_t size, struct nlsh_error *error)
{
    return nlsh__fail(
        error, NLSH_E_UNSUPPORTED,
        "search for fewer neighbours; build with less --memory, which makes blocks smaller",
        "a message of %zu bytes: MPI takes 2 GB at most", size);
}

static enum nlsh_status reserve(struct nlsh__bytes *bytes, size_t size, struct nlsh_error *error)
{
    bytes->n = 0;
    if (size > bytes->room) {
        nlsh__bytes_free(bytes);
        enum nlsh_status status = nlsh__alloc(&bytes->at, size, 1, error);
        if (status != NLSH_OK) return status;
        bytes->room = size;
    }
    bytes->n = size;
    return NLSH_OK;
}

static enum nlsh_status gather(void *user, const struct nlsh__bytes *own, struct nlsh__bytes *all,
                               size_t *ends, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh__ranks *ranks = user;
    int size = own->n <= INT_MAX ? (int)own->n : -1, *sizes = NULL, *begins = NULL;
    size_t n = 0;
    NLSH_TRY(nlsh__alloc(&sizes, ranks->n, sizeof *sizes, error));
    NLSH_TRY(nlsh__alloc(&begins, ranks->n, sizeof *begins, error));
    if (size < 0) return too_large(own->n, error);
    MPI_Request request;
    MPI_Igather(&size, 1, MPI_INT, sizes, 1, MPI_INT, 0, MPI_COMM_WORLD, &request);
    wait_for(&request);
    for (size_t i = 0; i < ranks->n && ranks->own == 0; i++) {
        begins[i] = (int)n;
        ends[i] = n += (size_t)sizes[i];
        if (n > INT_MAX) return too_large(n, error);
    }
    if (ranks->own == 0) NLSH_TRY(reserve(all, n, error));
    MPI_Igatherv(own->at, size, MPI_BYTE, all->at, sizes, begins, MPI_BYTE, 0, MPI_COMM_WORLD,
                 &request);
    wait_for(&request);
out:
    nlsh__free(sizes);
    nlsh__free(begins);
    return status;
}

static enum nlsh_status tell(void *user, struct nlsh__bytes *bytes, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct nlsh__ranks *ranks = user;
    int size = (int)bytes->n;
    if (ranks->own == 0 && bytes->n > INT_MAX) return too_large(bytes->n, error);
    MPI_Request request;
    MPI_Ibcast(&size, 1, MPI_INT, 0, MPI_COMM_WORLD, &request);
    wait_for(&request);
    if (ranks->own != 0) NLSH_TRY(reserve(bytes, (size_t)size, error));
    MPI_Ibcast(bytes->at, size, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
    wait_for(&request);
out:
    return status;
}

/* Sizes first; then what each has for each. */
static enum nlsh_status swap(void *user, const struct nlsh__bytes *to, struct nlsh__bytes *from,
                             size_t *ends, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__ranks *ranks = user;
    struct nlsh__bytes all = {0};
    int *numbers = NULL; /* sizes and begins, of what goes and of what comes */
    size_t n_from = 0, n = ranks->n;
    NLSH_TRY(nlsh__calloc(&numbers, 4 * n, sizeof *numbers, error));
    int *sizes = numbers, *begins = numbers + n, *come = begins + n, *come_at = come + n;
    for (size_t i = 0; i < n; i++) {
        if (to[i].failed) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
        begins[i] = (int)all.n;
        sizes[i] = (int)to[i].n;
        nlsh__bytes_add(&all, to[i].at, to[i].n);
        if (all.n > INT_MAX) return too_large(all.n, error);
    }
    if (all.failed) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    MPI_Request request;
    MPI_Ialltoall(sizes, 1, MPI_INT, come, 1, MPI_INT, MPI_COMM_WORLD, &request);
    wait_for(&request);
    for (size_t i = 0; i < n; i++) {
        come_at[i] = (int)n_from;
        ends[i] = n_from += (size_t)come[i];
        if (n_from > INT_MAX) return too_large(n_from, error);
    }
    NLSH_TRY(reserve(from, n_from, error));
    MPI_Ialltoallv(all.at, sizes, begins, MPI_BYTE, from->at, come, come_at, MPI_BYTE,
                   MPI_COMM_WORLD, &request);
    wait_for(&request);
out:
    nlsh__bytes_free(&all);
    nlsh__free(numbers);
    return status;
}

struct nlsh__ranks ranks_begin(void)
{
    static struct nlsh__ranks ranks;
    int n, own, level;
    ranks = NLSH__ALONE;
    if (!started_by_mpirun()) return ranks;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level);
    MPI_Comm_size(MPI_COMM_WORLD, &n);
    MPI_Comm_rank(MPI_COMM_WORLD, &own);
    ranks = (struct nlsh__ranks){(size_t)n, (size_t)own, &ranks, gather, tell, swap};
    return ranks;
}

size_t ranks_apart(void)
{
    return 0;
}

void ranks_end(const struct nlsh__ranks *ranks)
{
    if (ranks->user != NULL) MPI_Finalize();
}

void ranks_abort(const struct nlsh__ranks *ranks, int code)
{
    if (ranks->user != NULL) MPI_Abort(MPI_COMM_WORLD, code);
}
