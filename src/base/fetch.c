/* fetch.c - see fetch.h. One process_madvise() asks for all (Linux 5.13); elsewhere it is madvise() for each. */
#define _GNU_SOURCE
#include "base/fetch.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/resident.h"

/* Sets of rows, a query's are some, behind the last for which a disk was read. */
enum { STILL_COLD = 64 };

int nlsh__fetch_pays(void)
{
    static _Thread_local long seen;
    static _Thread_local int since;
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) != 0) return 1;
    since = usage.ru_inblock != seen ? 0 : since < STILL_COLD ? since + 1 : STILL_COLD;
    seen = usage.ru_inblock;
    return since < STILL_COLD;
}

#if defined SYS_process_madvise && defined SYS_pidfd_open

/* Returns whether all were asked for. The descriptor is made anew: a process may have been forked since. */
static int ask_together(const struct nlsh__fetch *f)
{
    int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (self < 0) return 0;
    long done = syscall(SYS_process_madvise, self, f->of, f->n, MADV_WILLNEED, 0);
    close(self);
    return done >= 0;
}

#else

static int ask_together(const struct nlsh__fetch *f)
{
    (void)f;
    return 0;
}

#endif

void nlsh__fetch_all(struct nlsh__fetch *f)
{
    if (f->n > 0 && !ask_together(f))
        for (size_t i = 0; i < f->n; i++)
            (void)madvise(f->of[i].iov_base, f->of[i].iov_len, MADV_WILLNEED);
    f->n = 0;
}

void nlsh__fetch_add(struct nlsh__fetch *f, const void *data, size_t size)
{
    size_t page = nlsh__page_size();
    uintptr_t first = (uintptr_t)data / page * page;
    uintptr_t end = ((uintptr_t)data + size + page - 1) / page * page;
    const struct iovec *last = f->n > 0 ? &f->of[f->n - 1] : NULL;
    if (size == 0) return;
    if (last != NULL && first >= (uintptr_t)last->iov_base &&
        end <= (uintptr_t)last->iov_base + last->iov_len)
        return; /* rows of one page are often neighbours */
    if (f->n == NLSH__FETCHED_AT_ONCE) nlsh__fetch_all(f);
    f->of[f->n++] =
        (struct iovec){(void *)first, end - first}; /* NOLINT(performance-no-int-to-ptr) */
}
