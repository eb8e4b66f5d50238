/* sampler.c - the samplers by name, and what all of them check before they suggest. */
#include <string.h>

#include "base/error.h"
#include "tune/sample/sampler.h"

enum nlsh_status nlsh__sampler_by_name(const char *name, enum nlsh__sampler_kind *kind,
                                       struct nlsh_error *error)
{
    static const char *const names[] = {"tpe", "random", "grid"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *kind = (enum nlsh__sampler_kind)i;
        return NLSH_OK;
    }
    return nlsh__fail(error, NLSH_E_ARG, "one of tpe, random, grid", "there is no sampler %s",
                      name);
}

void nlsh__sampler_options_init(struct nlsh__sampler_options *options)
{
    *options = (struct nlsh__sampler_options){.kind = NLSH__SAMPLER_TPE,
                                              .seed = 1,
                                              .n_startup = 10,
                                              .n_candidates = 24,
                                              .grid_points = 5};
}

enum nlsh_status nlsh__suggest(const struct nlsh__search_space *space,
                               const struct nlsh__sampler_options *options,
                               const struct nlsh__observation *observations, size_t n,
                               double *values, struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__space_check(space, error);
    if (status != NLSH_OK) return status;
    switch (options->kind) {
    case NLSH__SAMPLER_TPE:
        return nlsh__suggest_tpe(space, options, observations, n, values, error);
    case NLSH__SAMPLER_RANDOM: nlsh__suggest_random(space, options, values); return NLSH_OK;
    case NLSH__SAMPLER_GRID:
        return nlsh__suggest_grid(space, options, observations, n, values, error);
    }
    return nlsh__fail(error, NLSH_E_ARG, NULL, "there is no sampler number %d", options->kind);
}
