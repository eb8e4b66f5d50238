/* next.c - see next.h. */
#include "tune/run/next.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "tune/run/points.h"
#include "tune/sample/pruner.h"

/* Of a study as it is read now, or as the caller has read it. */
static enum nlsh_status observe(const struct nlsh__request *request,
                                const struct nlsh__stage *stage, const struct nlsh__trials *trials,
                                uint64_t without, struct nlsh__observed *out,
                                struct nlsh_error *error)
{
    /* Hopeless settings report one step more than they made. */
    return nlsh__observe(&stage->space, trials, without,
                         nlsh__objective_maximize(&request->objective),
                         nlsh__steps_a_trial(request) + 1, out, error);
}

static struct nlsh__sampler_options sampler_of(const struct nlsh__request *request,
                                               const struct nlsh__stage *stage, uint64_t number)
{
    struct nlsh__sampler_options how;
    nlsh__sampler_options_init(&how);
    how.kind = request->options.sampler;
    how.seed = stage->build.seed;
    how.trial = number;
    return how;
}

/* A point where some values are given: the sampler's in the other places. */
static void merge(const struct nlsh__search_space *space, const double *suggested, double *values)
{
    for (size_t i = 0; i < space->n; i++) {
        const struct nlsh__param *p = &space->params[i];
        if (!nlsh__params_active(space, values, i)) {
            values[i] = NAN;
        } else if (isnan(values[i])) {
            /* Absent in the sampler's point where that point took another branch. */
            double lowest = p->kind == NLSH__PARAM_CHOICE ? 0 : p->low;
            values[i] = isnan(suggested[i]) ? lowest : suggested[i];
        }
    }
}

enum nlsh_status
nlsh__next_point(const struct nlsh__request *request, const struct nlsh__stage *stage,
                 const struct nlsh__trials *so_far, uint64_t number,
                 const struct nlsh__trial *queued, double *values, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__observed seen = {0};
    struct nlsh__sampler_options how = sampler_of(request, stage, number);
    double suggested[NLSH__MAX_PARAMS];
    for (size_t i = 0; i < stage->space.n; i++) values[i] = NAN;
    if (nlsh__stage_is_outside(stage, number)) return NLSH_OK; /* the settings as they are */
    if (queued != NULL) (void)nlsh__trial_point(&stage->space, so_far, queued, values);
    NLSH_TRY(observe(request, stage, so_far, number, &seen, error));
    NLSH_TRY(nlsh__suggest(&stage->space, &how, seen.list, seen.n, suggested, error));
    merge(&stage->space, suggested, values);
out:
    nlsh__observed_free(&seen);
    return status;
}

enum nlsh_status nlsh__next_left(const struct nlsh__request *request,
                                 const struct nlsh__stage *stage, int *left,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__trials trials = {0};
    struct nlsh__observed seen = {0};
    struct nlsh__sampler_options how = sampler_of(request, stage, 0);
    *left = 1;
    if (how.kind != NLSH_SAMPLER_GRID) return NLSH_OK;
    NLSH_TRY(nlsh__store_trials(stage->store, &trials, error));
    for (size_t i = 0; i < trials.n; i++)
        if (trials.trials[i].state == NLSH__TRIAL_WAITING) goto out;
    NLSH_TRY(observe(request, stage, &trials, UINT64_MAX, &seen, error));
    *left = nlsh__suggestions_left(&stage->space, &how, seen.list, seen.n) > 0;
out:
    nlsh__observed_free(&seen);
    nlsh__trials_free(&trials);
    return status;
}

enum nlsh_status nlsh__next_stop(const struct nlsh__request *request,
                                 const struct nlsh__stage *stage, uint64_t number,
                                 const double *steps, size_t n_steps, int *stop,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    double sign = nlsh__objective_maximize(&request->objective) ? -1 : 1;
    size_t a_fold = nlsh__steps_a_fold(request);
    struct nlsh__trials trials = {0};
    struct nlsh__observed seen = {0};
    struct nlsh__pruner_options how;
    double *own = NULL;
    *stop = 0;
    /* The first is the defaults: what all others are compared with has to be whole. */
    if (request->options.pruner == NLSH_PRUNER_NONE || number == 0) return NLSH_OK;
    nlsh__pruner_options_init(&how);
    how.kind = request->options.pruner;
    how.seed = stage->build.seed;
    how.trial = number;
    /* Half the epochs of a fold: a learning rate that starts high looks bad till it falls. */
    how.n_warmup = a_fold / 2;
    how.min_steps = a_fold < 3 ? 1 : a_fold / 3;
    how.max_steps = nlsh__steps_a_trial(request);
    NLSH_TRY(nlsh__store_trials(stage->store, &trials, error));
    NLSH_TRY(observe(request, stage, &trials, number, &seen, error));
    NLSH_TRY(nlsh__alloc(&own, n_steps, sizeof *own, error));
    for (size_t s = 0; s < n_steps; s++) own[s] = sign * steps[s];
    *stop = nlsh__should_prune(&how, seen.list, seen.n, own, n_steps);
out:
    nlsh__observed_free(&seen);
    nlsh__trials_free(&trials);
    nlsh__free(own);
    return status;
}
