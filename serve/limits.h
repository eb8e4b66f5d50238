/* limits.h - how much one request, one client and all of them together may take. */
#ifndef NLSH_SERVE_LIMITS_H
#define NLSH_SERVE_LIMITS_H

#include <stddef.h>

struct nlsh__limits {
    size_t body_bytes;   /* of a request */
    size_t bodies_bytes; /* of all requests that are under way */
    size_t k;            /* neighbours a vector */
    size_t n_vectors;    /* of a request */
    size_t n_answers;    /* vectors x k of a request: an answer takes up to 40 bytes */
    double seconds;      /* of computing for a request */
    double patience;     /* seconds in which a client has to send a request, or to take an answer */
    size_t n_connections; /* at a time */
};

#endif
