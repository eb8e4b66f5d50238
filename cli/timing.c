/* timing.c - see timing.h. */
#include "timing.h"

#include <stdlib.h>
#include <time.h>

static const double short_seconds = 0.5, long_seconds = 5;
enum { FEWEST_PASSES = 3 };

double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void passes_add(struct passes *passes, double seconds, size_t n_queries)
{
    passes->seconds[passes->n++] = seconds / (double)n_queries;
    passes->total += seconds;
}

bool passes_enough(const struct passes *passes)
{
    if (passes->n == MOST_PASSES || passes->total >= long_seconds) return true;
    return passes->n >= FEWEST_PASSES && passes->total >= short_seconds;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct timing passes_timing(struct passes *passes)
{
    size_t n = passes->n;
    qsort(passes->seconds, n, sizeof *passes->seconds, by_value);
    return (struct timing){.median = (passes->seconds[(n - 1) / 2] + passes->seconds[n / 2]) / 2,
                           .fastest = passes->seconds[0],
                           .slowest = passes->seconds[n - 1],
                           .n_passes = n};
}
