/* ranks.h - whether the command runs in several processes under mpirun. */
#ifndef NLSH_RANKS_RANKS_H
#define NLSH_RANKS_RANKS_H

#include "base/ranks.h"

/* Joins the others that mpirun started; without mpirun, or in a build without MPI, this process is alone. */
struct nlsh__ranks ranks_begin(void);

/* Processes that mpirun started, where this build cannot join them; else 0. */
size_t ranks_apart(void);

/* The end of a rank that did all that others wait for. */
void ranks_end(const struct nlsh__ranks *ranks);

/* The end of all ranks, at once, with an exit code: others may wait for this one. Of one alone it only returns. */
void ranks_abort(const struct nlsh__ranks *ranks, int code);

#endif
