/*
 * trial.c - one trial: its point from the sampler, a router learned in each fold, its value to the
 * study, and the pruner's say after every step.
 *
 * A step is an epoch of a fold; for qps, which only a finished index shows, it is a fold. Steps are
 * numbered through the folds: trials are compared at the same step, so in the same fold at the same
 * age.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "tune/run/run.h"

/* Queries of a fold that an epoch is judged by; recall is then known to +-.002. */
enum { QUERIES_A_STEP = 2000 };

struct trial {
    struct nlsh__tune *tune;
    struct nlsh__stage *stage;
    struct nlsh__begun begun;
    double values[NLSH__MAX_PARAMS];
    struct nlsh_build_options options;
    const struct nlsh__fold *fold;
    size_t n_fold; /* its number */
    double *steps; /* [n_steps] reported, as the study has them */
    size_t n_steps;
    int pruned;
};

int nlsh__better(const struct nlsh__tune *tune, double a, double b)
{
    if (isnan(a) || isnan(b)) return !isnan(a);
    return nlsh__objective_maximize(&tune->objective) ? a > b : a < b;
}

const struct nlsh__trial *nlsh__best_trial(const struct nlsh__tune *tune,
                                           const struct nlsh__trials *trials)
{
    const struct nlsh__trial *best = NULL;
    for (size_t i = 0; i < trials->n; i++) {
        const struct nlsh__trial *t = &trials->trials[i];
        if (t->state != NLSH__TRIAL_COMPLETE || isnan(t->value)) continue;
        if (best == NULL || nlsh__better(tune, t->value, best->value)) best = t;
    }
    return best;
}

static size_t steps_a_fold(const struct nlsh__tune *tune)
{
    return tune->objective.kind == NLSH__QPS_AT ? 1 : tune->options.epochs;
}

/* ---- what sampler and pruner see ------------------------------------------------------------- */

/* Trials but the one with this number, smaller being better. The steps of larger-is-better
 * objectives are turned round in place: the trials are ours. */
static enum nlsh_status observe(const struct nlsh__tune *tune, const struct nlsh__trials *trials,
                                uint64_t without, struct nlsh__observation **out, size_t *n,
                                struct nlsh_error *error)
{
    double sign = nlsh__objective_maximize(&tune->objective) ? -1 : 1;
    enum nlsh_status status = nlsh__alloc(out, trials->n, sizeof **out, error);
    if (status != NLSH_OK) return status;
    *n = 0;
    for (size_t i = 0; i < trials->n; i++) {
        struct nlsh__trial *t = &trials->trials[i];
        if (!t->belongs || t->waiting || t->number == without) continue;
        if (t->state == NLSH__TRIAL_COMPLETE && isnan(t->value)) continue;
        for (size_t s = 0; s < t->n_steps; s++) t->steps[s] *= sign;
        (*out)[(*n)++] = (struct nlsh__observation){.values = t->values,
                                                    .value = sign * t->value,
                                                    .state = t->state,
                                                    .number = t->number,
                                                    .steps = t->steps,
                                                    .n_steps = t->n_steps};
    }
    return NLSH_OK;
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

static enum nlsh_status choose(void *user, const struct nlsh__trials *so_far, uint64_t number,
                               double *values, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct trial *t = user;
    struct nlsh__observation *observations = NULL;
    struct nlsh__sampler_options how;
    double suggested[NLSH__MAX_PARAMS];
    size_t n;
    if (number == 0 && !t->stage->first_is_point) return NLSH_OK; /* the defaults as they are */
    nlsh__sampler_options_init(&how);
    how.kind = t->tune->options.sampler;
    how.seed = t->stage->build.seed;
    how.trial = number;
    NLSH_TRY(observe(t->tune, so_far, number, &observations, &n, error));
    NLSH_TRY(nlsh__suggest(&t->stage->space, &how, observations, n, suggested, error));
    merge(&t->stage->space, suggested, values);
out:
    nlsh__free(observations);
    return status;
}

static enum nlsh_status ask_pruner(struct trial *t, int *stop, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__tune *tune = t->tune;
    double sign = nlsh__objective_maximize(&tune->objective) ? -1 : 1;
    struct nlsh__trials trials;
    struct nlsh__observation *observations = NULL;
    struct nlsh__pruner_options how;
    double *steps = NULL;
    size_t n;
    *stop = 0;
    /* The first is the defaults: what all others are compared with has to be whole. */
    if (tune->options.pruner == NLSH_PRUNER_NONE || t->begun.number == 0) return NLSH_OK;
    nlsh__pruner_options_init(&how);
    how.kind = tune->options.pruner;
    how.seed = t->stage->build.seed;
    how.trial = t->begun.number;
    /* Half the epochs of a fold: a learning rate that starts high looks bad till it falls. */
    how.n_warmup = steps_a_fold(tune) / 2;
    how.min_steps = steps_a_fold(tune) < 3 ? 1 : steps_a_fold(tune) / 3;
    how.max_steps = steps_a_fold(tune) * tune->folds.n;
    NLSH_TRY(nlsh__store_trials(t->stage->store, &t->stage->space, &trials, error));
    NLSH_TRY(nlsh__alloc(&steps, t->n_steps, sizeof *steps, error));
    for (size_t s = 0; s < t->n_steps; s++) steps[s] = sign * t->steps[s];
    NLSH_TRY(observe(tune, &trials, t->begun.number, &observations, &n, error));
    *stop = nlsh__should_prune(&how, observations, n, steps, t->n_steps);
out:
    nlsh__free(observations);
    nlsh__free(steps);
    nlsh__trials_free(&trials);
    return status;
}

/* ---- a fold ---------------------------------------------------------------------------------- */

static double value_of(const struct nlsh__tune *tune, const struct nlsh__held_out_score *score)
{
    return tune->objective.kind == NLSH__RECALL_AT ? score->recall : score->candidates;
}

static enum nlsh_status score(const struct trial *t, const struct nlsh__learned *learned,
                              size_t n_queries, struct nlsh__held_out_score *out,
                              struct nlsh_error *error)
{
    const struct nlsh__objective *o = &t->tune->objective;
    int is_recall = o->kind == NLSH__RECALL_AT;
    return nlsh__learner_score(t->fold->learner, learned, n_queries, is_recall ? o->at : 1,
                               is_recall ? 0.95 : o->at, out, error);
}

static enum nlsh_status report(struct trial *t, double value, struct nlsh_error *error)
{
    enum nlsh_status status;
    int stop;
    size_t all = steps_a_fold(t->tune) * t->tune->folds.n;
    t->steps[t->n_steps++] = value;
    t->tune->share = (double)t->n_steps / (double)all;
    NLSH_TRY(nlsh__store_report(t->stage->store, t->begun.id, t->n_steps, value, error));
    NLSH_TRY(ask_pruner(t, &stop, error));
    /* Behind the last step there is nothing to save. */
    t->pruned = stop && t->n_steps < all;
    if (t->pruned) status = NLSH_E_INTERRUPTED;
out:
    return status;
}

static enum nlsh_status watch(void *user, size_t epoch, const struct nlsh__learned *learned,
                              struct nlsh_error *error)
{
    struct trial *t = user;
    struct nlsh__held_out_score now;
    /* A build that trains more than once (refine) is judged while it does so first. */
    size_t step = t->n_fold * steps_a_fold(t->tune) + epoch;
    if (t->tune->objective.kind == NLSH__QPS_AT || step != t->n_steps ||
        epoch >= t->tune->options.epochs)
        return NLSH_OK;
    enum nlsh_status status = score(t, learned, QUERIES_A_STEP, &now, error);
    return status == NLSH_OK ? report(t, value_of(t->tune, &now), error) : status;
}

static enum nlsh_status run_fold(struct trial *t, size_t f, double *value, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__learned learned;
    struct nlsh__held_out_score all;
    struct nlsh__tune *tune = t->tune;
    t->fold = &tune->folds.folds[f];
    t->n_fold = f;
    NLSH_TRY(nlsh__learner_run(t->fold->learner, &t->options, watch, t, &learned, error));
    tune->n_partitions++;
    tune->n_partitions_cached += (size_t)learned.partition_from_cache;
    NLSH_TRY(score(t, &learned, SIZE_MAX, &all, error));
    *value = value_of(tune, &all);
    if (tune->objective.kind != NLSH__QPS_AT) goto out;
    NLSH_TRY(nlsh__measure_qps(tune, t->fold, all.threshold, value, error));
    NLSH_TRY(report(t, *value, error));
out:
    return status;
}

/* ---- a trial --------------------------------------------------------------------------------- */

static void note_end(struct trial *t, const char *what, double value)
{
    struct nlsh__trials trials;
    const struct nlsh__tune *tune = t->tune;
    if (nlsh__store_trials(t->stage->store, &t->stage->space, &trials, NULL) != NLSH_OK) return;
    const struct nlsh__trial *best = nlsh__best_trial(tune, &trials);
    char end[160] = "";
    if (best != NULL)
        snprintf(end, sizeof end, "; best %.6g, trial %llu", best->value,
                 (unsigned long long)best->number);
    struct nlsh__job said = {.run = tune->run};
    nlsh__job_note(&said, "trial %llu: %s %.6g%s", (unsigned long long)t->begun.number, what, value,
                   end);
    nlsh__trials_free(&trials);
}

static enum nlsh_status keep_words(struct trial *t, const struct nlsh_error *why)
{
    char json[700], *to = json;
    *to++ = '"';
    for (const char *c = why->message; *c != '\0' && to < json + sizeof json - 4; c++) {
        if (*c == '"' || *c == '\\') *to++ = '\\';
        *to++ = (unsigned char)*c < ' ' ? ' ' : *c;
    }
    strcpy(to, "\"");
    return nlsh__store_trial_set(t->stage->store, t->begun.id, "error", json, NULL);
}

/* Settings that cannot be learned with (a rate that diverges) are the worst there are: the sampler
 * is to keep away from them. */
static enum nlsh_status end_hopeless(struct trial *t, const struct nlsh_error *why,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = keep_words(t, why);
    double worst = nlsh__objective_worst(&t->tune->objective, t->fold->input.rows.n_rows);
    if (status == NLSH_OK)
        status = nlsh__store_report(t->stage->store, t->begun.id, t->n_steps + 1, worst, error);
    if (status == NLSH_OK)
        status = nlsh__store_end(t->stage->store, t->begun.id, NLSH__TRIAL_PRUNED, NAN, 0, error);
    char what[sizeof why->message + 16];
    snprintf(what, sizeof what, "%s; counts as", why->message);
    if (status == NLSH_OK) note_end(t, what, worst);
    return status;
}

static enum nlsh_status end_trial(struct trial *t, enum nlsh_status status, const double *values,
                                  const struct nlsh_error *why, struct nlsh_error *error)
{
    struct nlsh__store *store = t->stage->store;
    double mean = 0;
    size_t n_folds = t->tune->folds.n;
    if (t->pruned) {
        status = nlsh__store_end(store, t->begun.id, NLSH__TRIAL_PRUNED, NAN, 0, error);
        char what[64];
        snprintf(what, sizeof what, "stopped at step %zu of %zu,", t->n_steps,
                 steps_a_fold(t->tune) * n_folds);
        note_end(t, what, t->steps[t->n_steps - 1]);
        return status;
    }
    if (status == NLSH_E_ARG) return end_hopeless(t, why, error);
    if (status != NLSH_OK) {
        (void)!keep_words(t, why);
        if (nlsh__store_end(store, t->begun.id, NLSH__TRIAL_FAILED, NAN, 1, NULL) != NLSH_OK)
            return status; /* the first error counts */
        if (error != NULL) *error = *why;
        return status;
    }
    char json[1024] = "[";
    for (size_t f = 0; f < n_folds; f++) {
        mean += values[f] / (double)n_folds;
        size_t used = strlen(json);
        snprintf(json + used, sizeof json - used, "%s%.9g", f > 0 ? ", " : "", values[f]);
    }
    strncat(json, "]", sizeof json - strlen(json) - 1);
    status = nlsh__store_trial_set(store, t->begun.id, "folds", json, error);
    if (status == NLSH_OK)
        status = nlsh__store_end(store, t->begun.id, NLSH__TRIAL_COMPLETE, mean, 0, error);
    if (status == NLSH_OK) note_end(t, t->begun.number == 0 ? "the defaults," : "value", mean);
    return status;
}

enum nlsh_status nlsh__tune_trial(struct nlsh__tune *tune, struct nlsh__stage *stage, int *none,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    double values[64];
    struct nlsh_error why = {0};
    struct trial t = {.tune = tune, .stage = stage, .options = stage->build};
    t.begun.values = t.values;
    t.fold = &tune->folds.folds[0];
    size_t all = steps_a_fold(tune) * tune->folds.n;
    NLSH_TRY(nlsh__alloc(&t.steps, all + 1, sizeof *t.steps, error));
    NLSH_TRY(
        nlsh__store_begin(stage->store, &stage->space, stage->most, choose, &t, &t.begun, error));
    *none = t.begun.none;
    if (*none) goto out;
    tune->share = 0;
    status = nlsh__space_apply(&stage->space, t.values, &t.options, &why);
    t.options.epochs = tune->options.epochs;
    for (size_t f = 0; f < tune->folds.n && status == NLSH_OK; f++)
        status = run_fold(&t, f, &values[f], &why);
    status = end_trial(&t, status, values, &why, error);
out:
    nlsh__free(t.steps);
    return status;
}
