/* metrics.h - what the server counts, as text that Prometheus reads. Any thread may count. */
#ifndef NLSH_SERVE_METRICS_H
#define NLSH_SERVE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "serve/served.h"
#include "serve/text.h"

enum { NLSH__N_ROUTE_COUNTS = 16, NLSH__N_DURATIONS = 14 };

struct nlsh__metrics {
    _Atomic uint64_t requests[NLSH__N_ROUTE_COUNTS][5]; /* by route; 2xx 3xx 4xx 5xx, other */
    _Atomic uint64_t durations[NLSH__N_DURATIONS];      /* of requests that search, by bound */
    _Atomic uint64_t duration_ns;
    _Atomic uint64_t queries, candidates, query_ns; /* the library's own time */
    _Atomic uint64_t put, deleted;
    _Atomic uint64_t bodies_bytes; /* held now */
    _Atomic uint64_t connections;  /* open now */
    _Atomic uint64_t too_slow;     /* connections that were closed for that */
};

static inline void nlsh__count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void nlsh__metrics_request(struct nlsh__metrics *metrics, unsigned route, unsigned code);
void nlsh__metrics_duration(struct nlsh__metrics *metrics, double seconds);

/* name(i): the i-th route's name, or NULL. */
void nlsh__metrics_print(const struct nlsh__metrics *metrics, const char *(*name)(unsigned i),
                         const struct nlsh__served_state *state, struct nlsh__text *out);

#endif
