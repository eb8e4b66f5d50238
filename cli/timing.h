/* timing.h - what the clock says. */
#ifndef NLSH_CLI_TIMING_H
#define NLSH_CLI_TIMING_H

/* Of a clock that only goes forward. */
double now_seconds(void);

#endif
