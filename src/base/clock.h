/* clock.h - wall clock. */
#ifndef NLSH_BASE_CLOCK_H
#define NLSH_BASE_CLOCK_H

/* Seconds, monotonic. */
double nlsh__now(void);

#endif
