/*
 * visitors.h - the connections, and for how long each has kept the server waiting.
 *
 * The HTTP library closes a connection that is silent; one that sends a byte now and then would hold its place for
 * ever. So a connection has a time in which its next request must be whole, or its answer taken, and is shut then.
 */
#ifndef NLSH_SERVE_VISITORS_H
#define NLSH_SERVE_VISITORS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

struct nlsh__visitor {
    int fd;
    /* nlsh__now() when the server began to wait for it; infinite while it does not. */
    _Atomic double since;
    struct nlsh__visitor *previous, *next;
};

struct nlsh__visitors {
    pthread_mutex_t lock;
    struct nlsh__visitor *first;
};

void nlsh__visitors_init(struct nlsh__visitors *visitors);
void nlsh__visitors_free(struct nlsh__visitors *visitors); /* when all are gone */

/* One that has come; NULL without memory. */
struct nlsh__visitor *nlsh__visitor_come(struct nlsh__visitors *visitors, int fd);
/* The connection is about to be closed. Accepts NULL. */
void nlsh__visitor_go(struct nlsh__visitors *visitors, struct nlsh__visitor *visitor);

/* The server waits for it from now on; or does not wait. Accept NULL. */
void nlsh__visitor_waited_for(struct nlsh__visitor *visitor);
void nlsh__visitor_served(struct nlsh__visitor *visitor);

/* Shuts the connections that the server has waited for longer than that; returns how many. */
size_t nlsh__visitors_shut(struct nlsh__visitors *visitors, double patience);

#endif
