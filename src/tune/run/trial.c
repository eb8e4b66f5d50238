/*
 * trial.c - one trial: its point from the sampler, a router learned in each fold, its value to the
 * study, and the pruner's say after every step.
 *
 * Steps are numbered through the folds: trials are compared at the same step, so in the same fold at
 * the same age.
 */
#include "tune/run/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "tune/run/next.h"
#include "tune/run/points.h"
#include "tune/run/qps.h"
#include "tune/run/space.h"

/* Queries of a fold that an epoch is judged by; recall is then known to +-.002. */
enum { QUERIES_A_STEP = 2000 };

/* A trial that runs. */
struct trial {
    const struct nlsh__request *request;
    const struct nlsh__stage *stage;
    struct nlsh__meter *meter;
    struct nlsh__begun begun;
    double values[NLSH__MAX_PARAMS];
    struct nlsh_build_options options;
    const struct nlsh__fold *fold;
    size_t n_fold; /* its number */
    double *steps; /* [n_steps] reported, as the study has them */
    size_t n_steps;
    int pruned;
};

/* ---- a fold ---------------------------------------------------------------------------------- */

static double value_of(const struct trial *t, const struct nlsh__held_out_score *score)
{
    return t->request->objective.kind == NLSH__RECALL_AT ? score->recall : score->candidates;
}

/* now: a network on its way; NULL: what the fold learned. */
static enum nlsh_status score(const struct trial *t, const struct nlsh__glimpse *now,
                              size_t n_queries, struct nlsh__held_out_score *out,
                              struct nlsh_error *error)
{
    const struct nlsh__objective *o = &t->request->objective;
    int is_recall = o->kind == NLSH__RECALL_AT;
    double T = is_recall ? o->at : 1, wanted = is_recall ? 0.95 : o->at;
    const struct nlsh__learner *learner = t->fold->learner;
    if (now == NULL) return nlsh__learner_score(learner, n_queries, T, wanted, out, error);
    return nlsh__learner_glimpse(learner, now, n_queries, T, wanted, out, error);
}

static enum nlsh_status report(struct trial *t, double value, struct nlsh_error *error)
{
    enum nlsh_status status;
    int stop;
    size_t all = nlsh__steps_a_trial(t->request);
    t->steps[t->n_steps++] = value;
    nlsh__meter_share(t->meter, (double)t->n_steps / (double)all);
    NLSH_TRY(nlsh__store_report(t->stage->store, t->begun.id, t->n_steps, value, error));
    NLSH_TRY(
        nlsh__next_stop(t->request, t->stage, t->begun.number, t->steps, t->n_steps, &stop, error));
    /* Behind the last step there is nothing to save. */
    t->pruned = stop && t->n_steps < all;
    if (t->pruned) status = NLSH_E_INTERRUPTED;
out:
    return status;
}

static enum nlsh_status watch(void *user, size_t epoch, const struct nlsh__glimpse *network,
                              struct nlsh_error *error)
{
    struct trial *t = user;
    struct nlsh__held_out_score now;
    /* A build that trains more than once (refine) is judged while it does so first. */
    size_t step = t->n_fold * nlsh__steps_a_fold(t->request) + epoch;
    if (t->request->objective.kind == NLSH__QPS_AT || step != t->n_steps ||
        epoch >= t->request->options.epochs)
        return NLSH_OK;
    enum nlsh_status status = score(t, network, QUERIES_A_STEP, &now, error);
    return status == NLSH_OK ? report(t, value_of(t, &now), error) : status;
}

static enum nlsh_status run_fold(struct trial *t, double *value, struct nlsh__trial_end *end,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__watch on = {.fn = watch, .user = t};
    int from_cache;
    struct nlsh__held_out_score all;
    NLSH_TRY(nlsh__learner_run(t->fold->learner, &t->options, &on, &from_cache, error));
    end->n_partitions++;
    end->n_partitions_cached += (size_t)from_cache;
    NLSH_TRY(score(t, NULL, SIZE_MAX, &all, error));
    *value = value_of(t, &all);
    if (t->request->objective.kind != NLSH__QPS_AT) goto out;
    NLSH_TRY(nlsh__measure_qps(t->request, t->fold, all.threshold, value, error));
    NLSH_TRY(report(t, *value, error));
out:
    return status;
}

/* ---- a trial --------------------------------------------------------------------------------- */

static void note_end(struct trial *t, const char *what, double value)
{
    struct nlsh__trials trials;
    if (nlsh__store_trials(t->stage->store, &trials, NULL) != NLSH_OK) return;
    const struct nlsh__trial *best =
        nlsh__trials_best(&trials, nlsh__objective_maximize(&t->request->objective));
    char end[160] = "";
    if (best != NULL)
        snprintf(end, sizeof end, "; best %.6g, trial %llu", best->value,
                 (unsigned long long)best->number);
    nlsh__request_note(t->request, "trial %llu: %s %.6g%s", (unsigned long long)t->begun.number,
                       what, value, end);
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
    *to++ = '"';
    *to = '\0';
    return nlsh__store_trial_set(t->stage->store, t->begun.id, "error", json, NULL);
}

/* Settings that cannot be learned with (a rate that diverges) are the worst there are: the sampler
 * is to keep away from them. */
static enum nlsh_status end_hopeless(struct trial *t, const struct nlsh_error *why,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = keep_words(t, why);
    double worst = nlsh__objective_worst(&t->request->objective, t->fold->input.rows.n_rows);
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
    if (t->pruned) {
        status = nlsh__store_end(store, t->begun.id, NLSH__TRIAL_PRUNED, NAN, 0, error);
        char what[64];
        snprintf(what, sizeof what, "stopped at step %zu of %zu,", t->n_steps,
                 nlsh__steps_a_trial(t->request));
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
    for (size_t f = 0; f < t->n_fold; f++) {
        mean += values[f] / (double)t->n_fold;
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

/* nlsh__choose_fn: the trial's point, and into the study with it. */
static enum nlsh_status choose(void *user, const struct nlsh__begun *begun,
                               const struct nlsh__trials *so_far, const struct nlsh__trial *queued,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    struct trial *t = user;
    const struct nlsh__stage *stage = t->stage;
    NLSH_TRY(nlsh__next_point(t->request, stage, so_far, begun->number, queued, t->values, error));
    NLSH_TRY(nlsh__store_point(stage->store, begun->id, &stage->space, t->values, error));
out:
    return status;
}

enum nlsh_status nlsh__trial_run(const struct nlsh__request *request,
                                 const struct nlsh__stage *stage, const struct nlsh__folds *folds,
                                 struct nlsh__meter *meter, struct nlsh__trial_end *out,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    double values[NLSH__MAX_FOLDS];
    struct nlsh_error why = {0};
    struct trial t = {.request = request,
                      .stage = stage,
                      .meter = meter,
                      .options = stage->build,
                      .fold = folds->folds};
    *out = (struct nlsh__trial_end){0};
    NLSH_TRY(nlsh__alloc(&t.steps, nlsh__steps_a_trial(request) + 1, sizeof *t.steps, error));
    NLSH_TRY(nlsh__store_begin(stage->store, stage->most, choose, &t, &t.begun, error));
    out->none = t.begun.none;
    if (out->none) goto out;
    nlsh__meter_share(meter, 0);
    status = nlsh__space_apply(&stage->space, t.values, &t.options, &why);
    t.options.epochs = request->options.epochs;
    for (t.n_fold = 0; t.n_fold < folds->n && status == NLSH_OK; t.n_fold++) {
        t.fold = &folds->folds[t.n_fold];
        status = run_fold(&t, &values[t.n_fold], out, &why);
    }
    status = end_trial(&t, status, values, &why, error);
out:
    nlsh__free(t.steps);
    return status;
}
