/* learn.h - buckets, the router that knows them, and what thresholds on its answers reach. */
#ifndef NLSH_MAKE_LEARN_H
#define NLSH_MAKE_LEARN_H

#include "make/ground.h"

/* What was learned, owned. */
struct nlsh__learned {
    uint32_t *bucket_of; /* [n] */
    void *router_bytes;
    size_t router_size;
    struct nlsh__router *router; /* views the bytes */
    struct nlsh__calibration calibration;
    enum nlsh_partitioner partitioner; /* what made the buckets */
    size_t nodes;                      /* of the network */
    double loss;                       /* mean cross-entropy of the last epoch, nats */
};

void nlsh__learned_free(struct nlsh__learned *learned);

/* A network on its way, as it would serve now. */
struct nlsh__glimpse {
    const struct nlsh__router *router;
    const uint32_t *bucket_of;
};

/* Who looks on. fn is told after each epoch; other than NLSH_OK stops the learning, which returns it. */
struct nlsh__watch {
    enum nlsh_status (*fn)(void *user, size_t epoch, const struct nlsh__glimpse *now,
                           struct nlsh_error *error);
    void *user;
};

/* Seconds of the steps, and whether the last partition came from the cache. */
struct nlsh__learn_times {
    double partition, train;
    int from_cache;
};

/* The buckets that the options ask for, or that measure best, and their router. watch may be NULL. */
enum nlsh_status nlsh__learn(const struct nlsh__ground *ground, const struct nlsh__watch *watch,
                             struct nlsh__learned *out, struct nlsh__learn_times *times,
                             struct nlsh_error *error);

/* Which of the partitions that auto tries is the better one. */
enum nlsh_status nlsh__compare_partitions(const struct nlsh__ground *ground,
                                          enum nlsh_partitioner *out, struct nlsh_error *error);

#endif
