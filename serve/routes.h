/* routes.h - what the server answers: paths, methods, and who may ask. */
#ifndef NLSH_SERVE_ROUTES_H
#define NLSH_SERVE_ROUTES_H

#include "serve/call.h"

struct nlsh__route {
    const char *method; /* "GET" or "POST" */
    const char *path;
    int is_open; /* 1: asks for no token: the page, which has nothing of the index in it */
    void (*answer)(struct nlsh__call *call);
};

/* The i-th route's path, for metrics; NULL past the last. */
const char *nlsh__route_name(unsigned i);

/* The route of a path, and its number; NULL where there is none. Where the path is there, but for another method,
 * *allow is that method; else NULL. HEAD goes with GET. */
const struct nlsh__route *nlsh__route_of(const char *method, const char *path, unsigned *number,
                                         const char **allow);

#endif
