/*
 * fetch.h - parts of mapped files asked of the system together, before they are read.
 *
 * A page that is not in memory comes when it is touched, and the next is touched only then: on a disk that
 * answers many reads at once, one that has to wait for each is slow. SIFT-1M, recall .95, no page in memory: half of the
 * queries in 12.7 ms; where 100 rows are asked for together, in 2.1 (bench_disk, docs/scale.md).
 */
#ifndef NLSH_BASE_FETCH_H
#define NLSH_BASE_FETCH_H

#include <stddef.h>
#include <sys/uio.h>

enum { NLSH__FETCHED_AT_ONCE = 256 };

/* Whether a disk was read for this thread lately: if not, its pages are in memory, and asking for them costs more than
 * it saves. To be asked once for each set of rows. Cost: a quarter of a microsecond. */
int nlsh__fetch_pays(void);

struct nlsh__fetch {
    size_t n;
    struct iovec of[NLSH__FETCHED_AT_ONCE];
};

static inline void nlsh__fetch_begin(struct nlsh__fetch *fetch)
{
    fetch->n = 0;
}
/* size bytes at data, in a map of a file; what was added is asked for when there is no more room. */
void nlsh__fetch_add(struct nlsh__fetch *fetch, const void *data, size_t size);
/* Asks for what was added; does not wait, and says nothing where the system does not want to. */
void nlsh__fetch_all(struct nlsh__fetch *fetch);

#endif
