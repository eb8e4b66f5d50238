/*
 * apart.h - a partitioner of others, in a process of its own.
 *
 * METIS and KaHIP were written to be programs. They print, draw from libc's rand(), end the process where memory runs
 * out, and METIS jumps out of signal handlers, which breaks the heap where the signal came from outside. In a child of
 * their own none of that reaches the caller, and a child can be stopped at any moment.
 *
 * The child allocates. So malloc() has to survive a fork() beside other threads, as glibc's, musl's and jemalloc's do;
 * AddressSanitizer's does only since GCC 14 and LLVM 17: before, a child forked while another thread allocates may wait
 * for ever.
 */
#ifndef NLSH_PARTITION_APART_H
#define NLSH_PARTITION_APART_H

#include "base/job.h"

/* Fills bucket_of; what it returns comes back in *answer. Runs in the child: of the caller's memory it sees a copy, and
 * what else it writes is lost. */
typedef int nlsh__apart_fn(void *ctx, uint32_t *bucket_of);

/* Runs fn(ctx, bucket_of[n]) and waits for it; job is asked 50 times a second whether to go on (NULL: it goes on). name: the
 * partitioner's, for errors. Any number of threads at once. The caller's handlers, standard output and rand() are left
 * alone; host programs see one SIGCHLD. Cost: a fork and 4 n bytes.
 * NLSH_E_INTERRUPTED; NLSH_E_NOMEM (no child, or it was killed); NLSH_E_INTERNAL (the child ended without
 * an answer: the signal is named). */
enum nlsh_status nlsh__apart(const char *name, nlsh__apart_fn *fn, void *ctx, uint32_t *bucket_of,
                             size_t n, const struct nlsh__job *job, int *answer,
                             struct nlsh_error *error);

#endif
