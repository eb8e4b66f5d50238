/* sampler.c - which sampler it is, and what all of them check before they suggest. */
#include "tune/sample/sampler.h"
#include "base/error.h"

void nlsh__sampler_options_init(struct nlsh__sampler_options *options)
{
    *options = (struct nlsh__sampler_options){
        .kind = NLSH_SAMPLER_TPE, .seed = 1, .n_startup = 10, .n_candidates = 24, .grid_points = 5};
}

enum nlsh_status nlsh__suggest(const struct nlsh__search_space *space,
                               const struct nlsh__sampler_options *options,
                               const struct nlsh__observation *observations, size_t n,
                               double *values, struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__space_check(space, error);
    if (status != NLSH_OK) return status;
    switch (options->kind) {
    case NLSH_SAMPLER_TPE: return nlsh__suggest_tpe(space, options, observations, n, values, error);
    case NLSH_SAMPLER_RANDOM: nlsh__suggest_random(space, options, values); return NLSH_OK;
    case NLSH_SAMPLER_GRID:
        return nlsh__suggest_grid(space, options, observations, n, values, error);
    }
    return nlsh__fail(error, NLSH_E_ARG, NULL, "there is no sampler number %d", options->kind);
}
