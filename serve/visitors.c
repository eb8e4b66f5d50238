/* visitors.c - see visitors.h. */
#include "serve/visitors.h"

#include <math.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/memory.h"

void nlsh__visitors_init(struct nlsh__visitors *visitors)
{
    pthread_mutex_init(&visitors->lock, NULL);
    visitors->first = NULL;
}

void nlsh__visitors_free(struct nlsh__visitors *visitors)
{
    while (visitors->first != NULL) {
        struct nlsh__visitor *visitor = visitors->first;
        visitors->first = visitor->next;
        nlsh__free(visitor);
    }
    pthread_mutex_destroy(&visitors->lock);
}

struct nlsh__visitor *nlsh__visitor_come(struct nlsh__visitors *visitors, int fd)
{
    struct nlsh__visitor *visitor;
    if (nlsh__calloc(&visitor, 1, sizeof *visitor, NULL) != NLSH_OK) return NULL;
    visitor->fd = fd;
    nlsh__visitor_waited_for(visitor);
    pthread_mutex_lock(&visitors->lock);
    visitor->next = visitors->first;
    if (visitor->next != NULL) visitor->next->previous = visitor;
    visitors->first = visitor;
    pthread_mutex_unlock(&visitors->lock);
    return visitor;
}

void nlsh__visitor_go(struct nlsh__visitors *visitors, struct nlsh__visitor *visitor)
{
    if (visitor == NULL) return;
    pthread_mutex_lock(&visitors->lock);
    if (visitor->next != NULL) visitor->next->previous = visitor->previous;
    if (visitor->previous != NULL)
        visitor->previous->next = visitor->next;
    else
        visitors->first = visitor->next;
    pthread_mutex_unlock(&visitors->lock);
    nlsh__free(visitor);
}

void nlsh__visitor_waited_for(struct nlsh__visitor *visitor)
{
    if (visitor != NULL) atomic_store_explicit(&visitor->since, nlsh__now(), memory_order_relaxed);
}

void nlsh__visitor_served(struct nlsh__visitor *visitor)
{
    if (visitor != NULL) atomic_store_explicit(&visitor->since, INFINITY, memory_order_relaxed);
}

/* Under the lock a socket is still its visitor's own. */
size_t nlsh__visitors_shut(struct nlsh__visitors *visitors, double patience)
{
    size_t n = 0;
    double now = nlsh__now();
    pthread_mutex_lock(&visitors->lock);
    for (struct nlsh__visitor *v = visitors->first; v != NULL; v = v->next) {
        if (!(now - atomic_load_explicit(&v->since, memory_order_relaxed) > patience)) continue;
        shutdown(v->fd, SHUT_RDWR);
        nlsh__visitor_served(v);
        n++;
    }
    pthread_mutex_unlock(&visitors->lock);
    return n;
}
