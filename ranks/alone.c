/* alone.c - ranks.h in a build without MPI. */
#include "ranks/ranks.h"

struct nlsh__ranks ranks_begin(void)
{
    return NLSH__ALONE;
}

void ranks_end(const struct nlsh__ranks *ranks)
{
    (void)ranks;
}

void ranks_abort(const struct nlsh__ranks *ranks, int code)
{
    (void)ranks;
    (void)code;
}
