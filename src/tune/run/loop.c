/* loop.c - see loop.h. */
#include "tune/run/loop.h"

#include <math.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "tune/run/next.h"

/* Tells how many trials there are and which one is the best. */
static enum nlsh_status tell(const struct nlsh__request *request, const struct nlsh__stage *stage,
                             struct nlsh__meter *meter, struct nlsh_error *error)
{
    struct nlsh__trials trials;
    enum nlsh_status status = nlsh__store_trials(stage->store, &trials, error);
    if (status != NLSH_OK) return status;
    const struct nlsh__trial *best =
        nlsh__trials_best(&trials, nlsh__objective_maximize(&request->objective));
    size_t n = 0;
    for (size_t i = 0; i < trials.n; i++) {
        const struct nlsh__trial *t = &trials.trials[i];
        n += t->state == NLSH__TRIAL_COMPLETE || t->state == NLSH__TRIAL_PRUNED ||
             (t->state == NLSH__TRIAL_FAILED && !t->lost);
    }
    nlsh__meter_trials(meter, stage->prefix[0] ? "partition trials" : "trials", n, stage->most,
                       best != NULL ? best->value : (double)NAN);
    nlsh__trials_free(&trials);
    return nlsh__meter_tell(meter, error);
}

/* *why_not is NULL where a trial may begin. */
static enum nlsh_status may_begin(const struct nlsh__request *request,
                                  const struct nlsh__stage *stage, double until,
                                  const char **why_not, struct nlsh_error *error)
{
    int left;
    *why_not = nlsh__now() > until ? "the time for trials is over" : NULL;
    if (*why_not != NULL) return NLSH_OK;
    enum nlsh_status status = nlsh__next_left(request, stage, &left, error);
    if (status == NLSH_OK && !left) *why_not = "every point of the grid has been tried";
    return status;
}

/* Waits for a trial of another process to end. *again is 1 where it is worth looking again: one that was
 * stopped leaves its place. */
static enum nlsh_status
wait_for_others(const struct nlsh__request *request, const struct nlsh__stage *stage, double until,
                struct nlsh__meter *meter, int *again, struct nlsh_error *error)
{
    const struct timespec pause = {0, 50 * 1000 * 1000};
    enum nlsh_status status;
    size_t n_reaped, n_alive, n_first;
    NLSH_TRY(nlsh__store_reap(stage->store, &n_reaped, &n_first, error));
    *again = n_reaped > 0 || n_first > 0;
    if (n_first > 0)
        nlsh__request_note(request, "the second stage waits for %zu trials of others", n_first);
    n_alive = n_first;
    while (n_reaped == 0 && n_alive > 0 && n_alive == n_first && nlsh__now() <= until) {
        NLSH_TRY(nlsh__meter_tell(meter, error));
        nanosleep(&pause, NULL);
        NLSH_TRY(nlsh__store_reap(stage->store, &n_reaped, &n_alive, error));
    }
    if (nlsh__now() > until) *again = 0;
out:
    return status;
}

enum nlsh_status nlsh__loop_run(const struct nlsh__request *request,
                                const struct nlsh__stage *stage, const struct nlsh__folds *folds,
                                double until, int others, struct nlsh__meter *meter,
                                struct nlsh__loop_end *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_reaped, n_alive;
    const char *why_not = NULL;
    *out = (struct nlsh__loop_end){0};
    NLSH_TRY(nlsh__store_reap(stage->store, &n_reaped, &n_alive, error));
    if (n_reaped > 0)
        nlsh__request_note(request, "%zu trials of processes that are gone count as failed",
                           n_reaped);
    for (int again = 1; again;) {
        struct nlsh__trial_end end = {.none = 1};
        NLSH_TRY(tell(request, stage, meter, error));
        NLSH_TRY(may_begin(request, stage, until, &why_not, error));
        if (why_not == NULL) status = nlsh__trial_run(request, stage, folds, meter, &end, error);
        out->n_partitions += end.n_partitions;
        out->n_partitions_cached += end.n_partitions_cached;
        if (status != NLSH_OK) goto out;
        again = !end.none;
        if (end.none && others)
            NLSH_TRY(wait_for_others(request, stage, until, meter, &again, error));
    }
    if (why_not != NULL) nlsh__request_note(request, "%s", why_not);
    nlsh__meter_end(meter);
out:
    return status;
}

enum nlsh_status nlsh__loop_running(const struct nlsh__stage *stage, size_t *n,
                                    struct nlsh_error *error)
{
    struct nlsh__trials trials;
    size_t n_reaped, n_alive;
    enum nlsh_status status = nlsh__store_reap(stage->store, &n_reaped, &n_alive, error);
    *n = 0;
    if (status == NLSH_OK) status = nlsh__store_trials(stage->store, &trials, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < trials.n; i++) *n += trials.trials[i].state == NLSH__TRIAL_RUNNING;
    nlsh__trials_free(&trials);
    return NLSH_OK;
}
