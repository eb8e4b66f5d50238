/* askers.c - see askers.h. */
#include "measure/askers.h"

#include "base/error.h"
#include "base/memory.h"

enum nlsh_status nlsh__askers_create(const struct nlsh__router *router, const struct nlsh__job *job,
                                     struct nlsh__askers *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    *out = (struct nlsh__askers){0};
    NLSH_TRY(nlsh__calloc(&out->of, nlsh__pool_n_threads(job->pool), sizeof *out->of, error));
    out->n = nlsh__pool_n_threads(job->pool);
    for (size_t i = 0; i < out->n; i++) NLSH_TRY(nlsh__asker_create(router, &out->of[i], error));
out:
    return status;
}

void nlsh__askers_free(struct nlsh__askers *askers)
{
    for (size_t i = 0; i < askers->n; i++) nlsh__asker_free(&askers->of[i]);
    nlsh__free(askers->of);
    *askers = (struct nlsh__askers){0};
}
