/*
 * tune.c - nlsh_tune(): a study from its first trial to its models.
 *
 *   folds -> the defaults as an index -> trials over the network -> trials over the partition
 *         -> the best settings on all data
 *
 * The study's file holds everything that a run knows: one that was stopped, or killed, goes on from
 * there, and several processes may work on it; the last to end a trial makes the models. Here stands
 * who needs what of whom; each step takes what it needs and gives back what it makes.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/names.h"
#include "base/sized.h"
#include "cache/directory.h"
#include "tune/run/loop.h"
#include "tune/run/models.h"
#include "tune/run/space.h"
#include "tune/run/trials_csv.h"

void nlsh_tune_options_init(struct nlsh_tune_options *options, size_t size)
{
    static const struct nlsh_tune_options defaults = {
        .objective = "candidates@.95",
        .sampler = NLSH_SAMPLER_TPE,
        .pruner = NLSH_PRUNER_MEDIAN,
        .n_trials = 50,
        .n_folds = 3,
        .epochs = 10,
        .top_k = 5,
        .final_epochs = 100,
    };
    nlsh__options_init(options, size, &defaults, sizeof defaults);
}

/* ---- before the trials ----------------------------------------------------------------------- */

/* The graphs that a stage's points name. */
static unsigned graph_methods(const struct nlsh__stage *stage)
{
    unsigned methods = 1u << stage->build.graph;
    int at = nlsh__space_find(&stage->space, "graph");
    for (size_t c = 0; at >= 0 && c < stage->space.params[at].n_choices; c++) {
        int graph = nlsh__value(NLSH__GRAPH, stage->space.params[at].choices[c]);
        if (graph >= 0 && graph < NLSH__N_GRAPHS) methods |= 1u << graph;
    }
    return methods;
}

/* The folds that the trials of both stages need. */
static enum nlsh_status make_folds(const struct nlsh__request *request,
                                   const struct nlsh__stage *first, const struct nlsh__job *job,
                                   struct nlsh__folds *out, struct nlsh_error *error)
{
    struct nlsh__search_space partition = {0};
    if (request->options.two_stage) nlsh__space_partition(&first->build, &partition);
    size_t neighbors = nlsh__space_neighbors(&first->space, &first->build);
    size_t second = nlsh__space_neighbors(&partition, &first->build);
    return nlsh__folds_create(&request->base, &first->build, request->options.n_folds,
                              neighbors > second ? neighbors : second, graph_methods(first),
                              &request->run, job, out, error);
}

/* ---- behind the trials ----------------------------------------------------------------------- */

static enum nlsh_status count_trials(const struct nlsh__request *request,
                                     const struct nlsh__stage *stages, size_t n_stages,
                                     struct nlsh_tune_report *report, struct nlsh_error *error)
{
    report->best = report->first = NAN;
    for (size_t s = 0; s < n_stages; s++) {
        struct nlsh__trials trials;
        enum nlsh_status status = nlsh__store_trials(stages[s].store, &trials, error);
        if (status != NLSH_OK) return status;
        for (size_t i = 0; i < trials.n; i++) {
            const struct nlsh__trial *t = &trials.trials[i];
            report->n_complete += t->state == NLSH__TRIAL_COMPLETE;
            report->n_pruned += t->state == NLSH__TRIAL_PRUNED;
            report->n_failed += t->state == NLSH__TRIAL_FAILED;
            if (s == 0 && t->number == 0) report->first = t->value;
        }
        const struct nlsh__trial *best =
            nlsh__trials_best(&trials, nlsh__objective_maximize(&request->objective));
        if (best != NULL && nlsh__objective_better(&request->objective, best->value, report->best))
            report->best = best->value;
        nlsh__trials_free(&trials);
    }
    return NLSH_OK;
}

static enum nlsh_status make_models(const struct nlsh__request *request,
                                    const struct nlsh__stage *stages, size_t n_stages,
                                    const struct nlsh__model *defaults,
                                    struct nlsh_tune_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__models models = {0};
    NLSH_TRY(nlsh__models_make(request, stages, n_stages, defaults, &models, error));
    const struct nlsh__model *best = nlsh__models_best(&models, defaults);
    report->n_models = models.n;
    report->best_held_out = nlsh__models_fewest(&models)->held_out;
    report->first_held_out = defaults->held_out;
    report->defaults_stand = best == defaults;
    snprintf(report->best_file, sizeof report->best_file, "%s", best->file);
    NLSH_TRY(nlsh__models_write(request, &models, defaults, report->first, error));
    /* One that left meanwhile may have put its older view over the table. */
    NLSH_TRY(nlsh__trials_csv(request, stages, n_stages, error));
out:
    nlsh__models_free(&models);
    return status;
}

/* The last process makes the models. */
static enum nlsh_status finish(const struct nlsh__request *request,
                               const struct nlsh__stage *stages, size_t n_stages,
                               const struct nlsh__model *defaults, struct nlsh_tune_report *report,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_others;
    int mine;
    NLSH_TRY(count_trials(request, stages, n_stages, report, error));
    NLSH_TRY(nlsh__loop_running(&stages[n_stages - 1], &n_others, error));
    mine = n_others == 0;
    if (mine) NLSH_TRY(nlsh__store_claim(stages[0].store, &mine, error));
    if (mine) {
        NLSH_TRY(make_models(request, stages, n_stages, defaults, report, error));
    } else {
        report->left_to_another = 1;
        nlsh__request_note(request, "another process works on this study and will finish it");
    }
out:
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The trials of all stages. *n_stages is how many have begun. */
static enum nlsh_status run_stages(const struct nlsh__request *request,
                                   const struct nlsh__folds *folds, double until,
                                   struct nlsh__meter *meter, struct nlsh__stage stages[2],
                                   size_t *n_stages, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__loop_end first = {0}, second = {0};
    int two = request->options.two_stage;
    size_t n_others = 0;
    NLSH_TRY(nlsh__loop_run(request, &stages[0], folds, until, two, meter, &first, error));
    if (two) NLSH_TRY(nlsh__loop_running(&stages[0], &n_others, error));
    /* The second stage stands on the whole of the first. */
    if (!two || n_others > 0) goto out;
    NLSH_TRY(nlsh__stage_second(request, 0, &stages[0], &stages[1], error));
    *n_stages = 2;
    NLSH_TRY(nlsh__stage_enqueue(&stages[1], error));
    NLSH_TRY(nlsh__loop_run(request, &stages[1], folds, until, 0, meter, &second, error));
out:
    if (first.n_partitions + second.n_partitions > 0)
        nlsh__request_note(
            request,
            "partitions of trials: %zu of %zu from the cache; graphs: none was made in a trial",
            first.n_partitions_cached + second.n_partitions_cached,
            first.n_partitions + second.n_partitions);
    return status;
}

static enum nlsh_status run_all(const struct nlsh__request *request, double until,
                                struct nlsh__meter *meter, const struct nlsh__job *job,
                                struct nlsh_tune_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__stage stages[2] = {0};
    size_t n_stages = 1;
    struct nlsh__folds folds = {0};
    struct nlsh__model defaults = {0};
    NLSH_TRY(nlsh__stage_first(request, 0, &stages[0], error));
    NLSH_TRY(make_folds(request, &stages[0], job, &folds, error));
    NLSH_TRY(nlsh__defaults_make(request, &stages[0], &defaults, error));
    stages[0].build.partitioner = defaults.options.partitioner;
    NLSH_TRY(nlsh__stage_enqueue(&stages[0], error));
    status = run_stages(request, &folds, until, meter, stages, &n_stages, error);
    /* Also of a run that was stopped; the first error counts. */
    enum nlsh_status written =
        nlsh__trials_csv(request, stages, n_stages, status == NLSH_OK ? error : NULL);
    if (status == NLSH_OK) status = written;
    if (status == NLSH_OK) status = finish(request, stages, n_stages, &defaults, report, error);
out:
    nlsh__model_free(&defaults);
    nlsh__folds_free(&folds);
    for (size_t s = 0; s < 2; s++) nlsh__stage_close(&stages[s]);
    return status;
}

static void clear_own_cache(const struct nlsh__request *request)
{
    size_t n;
    if (request->own_cache != NULL && nlsh__cache_clear(request->own_cache, &n, NULL) == NLSH_OK)
        rmdir(request->own_cache);
}

enum nlsh_status nlsh_tune(const struct nlsh_matrix *base, const struct nlsh_tune_options *options,
                           const struct nlsh_run *run, struct nlsh_tune_report *report,
                           struct nlsh_error *error)
{
    enum nlsh_status status;
    double began = nlsh__now();
    struct nlsh__request request = {0};
    struct nlsh__meter meter;
    struct nlsh__job job = {0};
    struct nlsh_tune_report ours = {.struct_size = sizeof ours};
    nlsh__error_clear(error);
    if (report != NULL) NLSH_TRY(nlsh__answer_check(report, "nlsh_tune_report", error));
    NLSH_TRY(nlsh__request_take(base, options, run, &request, error));
    NLSH_TRY(nlsh__make_dirs(request.options.folder, error));
    nlsh__meter_init(&meter, &request.run);
    struct nlsh_run metered = nlsh__meter_run(&meter);
    NLSH_TRY(nlsh__job_begin(&metered, &job, error));
    double most = request.options.timeout;
    NLSH_TRY(
        run_all(&request, most > 0 ? began + most : (double)INFINITY, &meter, &job, &ours, error));
out:
    /* What was counted is told of a run that was stopped, too. */
    if (report != NULL && nlsh__answer_check(report, "", NULL) == NLSH_OK)
        nlsh__answer_give(report, &ours, sizeof ours);
    nlsh__job_end(&job);
    clear_own_cache(&request);
    nlsh__request_free(&request);
    return status;
}
