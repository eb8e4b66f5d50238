/* timing.h - the clock, and the time of what is done again and again: its median and its spread. */
#ifndef NLSH_CLI_TIMING_H
#define NLSH_CLI_TIMING_H

#include <stdbool.h>
#include <stddef.h>

/* Of a clock that only goes forward. */
double now_seconds(void);

enum { MOST_PASSES = 200 };

/* Passes over the same queries. */
struct passes {
    double seconds[MOST_PASSES]; /* mean a query, of each pass */
    double total;                /* seconds of all */
    size_t n;
};

void passes_add(struct passes *passes, double seconds, size_t n_queries);
/* Whether there are enough: half a second in all and three passes, or 200 passes. Beyond five seconds
 * one is enough: it is a mean over many queries, or over long ones. */
bool passes_enough(const struct passes *passes);

/* Seconds a query. */
struct timing {
    double median, fastest, slowest; /* of the passes */
    size_t n_passes;
};

/* Of one pass or more; sorts them. */
struct timing passes_timing(struct passes *passes);

#endif
