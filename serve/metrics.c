/* metrics.c - see metrics.h. The text is of Prometheus's exposition format 0.0.4. */
#include "serve/metrics.h"

#include <inttypes.h>

/* Bounds of durations in seconds: a search takes tens of microseconds, a large batch a second. */
static const double bounds[NLSH__N_DURATIONS - 1] = {2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3,
                                                     5e-3, 1e-2, 5e-2, .1,   .5,   1};

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void nlsh__metrics_request(struct nlsh__metrics *m, unsigned route, unsigned code)
{
    unsigned class = code / 100 - 2;
    if (route < NLSH__N_ROUTE_COUNTS) nlsh__count(&m->requests[route][class < 4 ? class : 4], 1);
}

void nlsh__metrics_duration(struct nlsh__metrics *m, double seconds)
{
    unsigned i = 0;
    while (i < NLSH__N_DURATIONS - 1 && seconds > bounds[i]) i++;
    nlsh__count(&m->durations[i], 1);
    nlsh__count(&m->duration_ns, (uint64_t)(seconds * 1e9));
}

static void head(struct nlsh__text *out, const char *name, const char *type, const char *help)
{
    nlsh__text_print(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct nlsh__text *out, const char *name, const char *type, const char *help,
                double value)
{
    head(out, name, type, help);
    nlsh__text_print(out, "%s %.15g\n", name, value);
}

static void print_requests(const struct nlsh__metrics *m, const char *(*name)(unsigned),
                           struct nlsh__text *out)
{
    static const char *const classes[] = {"2xx", "3xx", "4xx", "5xx", "other"};
    head(out, "nlsh_requests_total", "counter", "Requests that were answered.");
    for (unsigned i = 0; i < NLSH__N_ROUTE_COUNTS && name(i) != NULL; i++)
        for (unsigned c = 0; c < 5; c++) {
            uint64_t n = get(&m->requests[i][c]);
            if (n > 0)
                nlsh__text_print(out, "nlsh_requests_total{route=\"%s\",code=\"%s\"} %" PRIu64 "\n",
                                 name(i), classes[c], n);
        }
}

static void print_durations(const struct nlsh__metrics *m, struct nlsh__text *out)
{
    static const char name[] = "nlsh_search_request_seconds";
    uint64_t n = 0;
    head(out, name, "histogram", "From a whole search request to its answer.");
    for (unsigned i = 0; i < NLSH__N_DURATIONS; i++) {
        n += get(&m->durations[i]);
        if (i < NLSH__N_DURATIONS - 1)
            nlsh__text_print(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i], n);
        else
            nlsh__text_print(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, n);
    }
    nlsh__text_print(out, "%s_sum %.9g\n%s_count %" PRIu64 "\n", name,
                     (double)get(&m->duration_ns) * 1e-9, name, n);
}

void nlsh__metrics_print(const struct nlsh__metrics *m, const char *(*name)(unsigned i),
                         const struct nlsh__served_state *state, struct nlsh__text *out)
{
    const struct nlsh_index_info *info = &state->info;
    print_requests(m, name, out);
    print_durations(m, out);
    one(out, "nlsh_queries_total", "counter", "Vectors that were searched for.",
        (double)get(&m->queries));
    one(out, "nlsh_query_seconds_total", "counter", "Time inside the library for them.",
        (double)get(&m->query_ns) * 1e-9);
    one(out, "nlsh_candidates_total", "counter", "Vectors that were scanned for them.",
        (double)get(&m->candidates));
    one(out, "nlsh_put_total", "counter", "Vectors that were put.", (double)get(&m->put));
    one(out, "nlsh_deleted_total", "counter", "Vectors that were deleted.",
        (double)get(&m->deleted));
    one(out, "nlsh_connections", "gauge", "Open connections.", (double)get(&m->connections));
    one(out, "nlsh_connections_too_slow_total", "counter", "Closed for being too slow, or idle.",
        (double)get(&m->too_slow));
    one(out, "nlsh_body_bytes", "gauge", "Bytes of requests under way.",
        (double)get(&m->bodies_bytes));
    one(out, "nlsh_index_vectors", "gauge", "Vectors in the index.", (double)info->n_rows);
    one(out, "nlsh_index_deleted", "gauge", "Deleted vectors that still take room.",
        (double)info->n_deleted);
    one(out, "nlsh_index_log_bytes", "gauge", "Bytes of the log beside it.",
        (double)info->log_bytes);
    one(out, "nlsh_index_changed", "gauge", "Vectors that came or went since it was measured.",
        (double)info->n_changed);
    one(out, "nlsh_index_state", "counter", "States of the index since the server began.",
        (double)state->number);
}
