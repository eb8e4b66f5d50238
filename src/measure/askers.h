/* askers.h - an asker (router/ask.h) for each thread of a job. */
#ifndef NLSH_MEASURE_ASKERS_H
#define NLSH_MEASURE_ASKERS_H

#include "base/job.h"
#include "router/ask.h"

struct nlsh__askers {
    struct nlsh__asker *of; /* [n] by worker */
    size_t n;
};

/* NLSH_E_NOMEM; freed in any case. */
enum nlsh_status nlsh__askers_create(const struct nlsh__router *router, const struct nlsh__job *job,
                                     struct nlsh__askers *out, struct nlsh_error *error);
void nlsh__askers_free(struct nlsh__askers *askers);

#endif
