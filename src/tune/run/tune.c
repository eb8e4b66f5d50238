/*
 * tune.c - nlsh_tune(): a study from its first trial to its models.
 *
 *   folds -> the defaults as an index -> trials over the network -> trials over the partition
 *         -> the best settings on all data
 *
 * The study's file holds everything that a run knows: one that was stopped, or killed, goes on from
 * there, and several processes may work on it; the last to end a trial makes the models.
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/names.h"
#include "base/sized.h"
#include "cache/directory.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "tune/run/run.h"
#include "vectors/plain.h"

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

char *nlsh__tune_path(const struct nlsh__tune *tune, const char *name)
{
    const char *folder = tune->options.folder;
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path != NULL) snprintf(path, size, "%s/%s", folder, name);
    return path;
}

static void note(const struct nlsh__tune *tune, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(const struct nlsh__tune *tune, const char *format, ...)
{
    char sentence[256];
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    if (tune->run.note != NULL) tune->run.note(tune->run.user, sentence);
}

/* ---- what is told while trials run ----------------------------------------------------------- */

/* Stages of a trial are told as the trials' own progress: one bar for all of them. */
static int trial_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    const struct nlsh__tune *tune = user;
    const double units = 1000; /* a trial */
    (void)stage;
    (void)done;
    (void)total;
    if (tune->run.progress == NULL) return 0;
    double so_far = ((double)tune->n_done + tune->share) * units;
    double all = (double)tune->n_wanted * units;
    /* Never the last unit: the bar ends when the trials have. */
    return tune->run.progress(tune->run.user, tune->label, (uint64_t)fmin(so_far, all - 1),
                              (uint64_t)all);
}

static void trial_note(void *user, const char *sentence)
{
    (void)user;
    (void)sentence;
}

static enum nlsh_status update_label(struct nlsh__tune *tune, struct nlsh__stage *stage,
                                     struct nlsh_error *error)
{
    struct nlsh__trials trials;
    enum nlsh_status status = nlsh__store_trials(stage->store, &stage->space, &trials, error);
    if (status != NLSH_OK) return status;
    const struct nlsh__trial *best = nlsh__best_trial(tune, &trials);
    size_t n = 0;
    for (size_t i = 0; i < trials.n; i++) {
        const struct nlsh__trial *t = &trials.trials[i];
        n += t->state != NLSH__TRIAL_RUNNING && !(t->state == NLSH__TRIAL_FAILED && t->lost);
    }
    tune->n_done = n < stage->most ? n : stage->most;
    tune->n_wanted = stage->most;
    const char *name = stage->prefix[0] ? "partition trials" : "trials";
    if (best == NULL)
        snprintf(tune->label, sizeof tune->label, "%s: %zu of %zu", name, n, stage->most);
    else
        snprintf(tune->label, sizeof tune->label, "%s: %zu of %zu, best %.5g", name, n, stage->most,
                 best->value);
    nlsh__trials_free(&trials);
    return NLSH_OK;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static enum nlsh_status check_range(const char *name, double value, double low, double high,
                                    struct nlsh_error *error)
{
    if (value >= low && value <= high) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "nlsh tune --help lists what there is",
                      "%s is %g: it must lie between %g and %g", name, value, low, high);
}

static enum nlsh_status check_options(const struct nlsh_tune_options *o, struct nlsh_error *error)
{
    enum nlsh_status status;
    if (o->folder == NULL || o->folder[0] == '\0')
        return nlsh__fail(error, NLSH_E_ARG, "name one", "a tuning run needs a folder");
    NLSH_TRY(check_range("tune_trials", (double)o->n_trials, 1, 1e6, error));
    NLSH_TRY(check_range("tune_folds", (double)o->n_folds, 1, 20, error));
    NLSH_TRY(check_range("tune_epochs", (double)o->epochs, 1, 1e5, error));
    NLSH_TRY(check_range("top_k", (double)o->top_k, 1, 1e4, error));
    NLSH_TRY(check_range("final_epochs", (double)o->final_epochs, 1, 1e5, error));
    NLSH_TRY(check_range("timeout", o->timeout, 0, 1e9, error));
    NLSH_TRY(check_range("sampler", o->sampler, 0, 2, error));
    NLSH_TRY(check_range("pruner", o->pruner, 0, 2, error));
out:
    return status;
}

/* ---- a stage --------------------------------------------------------------------------------- */

static int time_is_over(const struct nlsh__tune *tune)
{
    double most = tune->options.timeout;
    return most > 0 && nlsh__now() - tune->started > most;
}

/* *why_not is NULL where a trial may begin. */
static enum nlsh_status may_begin(const struct nlsh__tune *tune, struct nlsh__stage *stage,
                                  const char **why_not, struct nlsh_error *error)
{
    const struct nlsh_tune_options *o = &tune->options;
    struct nlsh__sampler_options how;
    struct nlsh__trials trials;
    struct nlsh__observation *seen = NULL;
    size_t n = 0;
    *why_not = time_is_over(tune) ? "the time for trials is over" : NULL;
    if (*why_not != NULL || o->sampler != NLSH_SAMPLER_GRID) return NLSH_OK;
    enum nlsh_status status = nlsh__store_trials(stage->store, &stage->space, &trials, error);
    if (status != NLSH_OK) return status;
    NLSH_TRY(nlsh__alloc(&seen, trials.n, sizeof *seen, error));
    int waiting = 0;
    for (size_t i = 0; i < trials.n; i++) {
        const struct nlsh__trial *t = &trials.trials[i];
        waiting |= t->waiting;
        if (t->belongs && !t->waiting)
            seen[n++] = (struct nlsh__observation){
                .values = t->values, .state = t->state, .number = t->number};
    }
    nlsh__sampler_options_init(&how);
    how.kind = NLSH_SAMPLER_GRID;
    how.seed = stage->build.seed;
    if (!waiting && nlsh__suggestions_left(&stage->space, &how, seen, n) == 0)
        *why_not = "every point of the grid has been tried";
out:
    nlsh__free(seen);
    nlsh__trials_free(&trials);
    return status;
}

/* The second stage stands on the whole of the first. Where this process has nothing more to begin
 * there, it waits for a trial of another one to end. *again is 1 where it is worth looking again: one
 * that was stopped leaves its place. */
static enum nlsh_status wait_for_others(const struct nlsh__tune *tune,
                                        const struct nlsh__stage *stage, int *again,
                                        struct nlsh_error *error)
{
    const struct timespec pause = {0, 50 * 1000 * 1000};
    enum nlsh_status status;
    size_t n_reaped, n_alive, n_first;
    NLSH_TRY(nlsh__store_reap(stage->store, &n_reaped, &n_first, error));
    *again = n_reaped > 0 || n_first > 0;
    if (n_first > 0) note(tune, "the second stage waits for %zu trials of others", n_first);
    n_alive = n_first;
    while (n_reaped == 0 && n_alive > 0 && n_alive == n_first && !time_is_over(tune)) {
        NLSH_TRY(nlsh__job_progress(&tune->job, "trials", 0, 0, error));
        nanosleep(&pause, NULL);
        NLSH_TRY(nlsh__store_reap(stage->store, &n_reaped, &n_alive, error));
    }
    if (time_is_over(tune)) *again = 0;
out:
    return status;
}

static enum nlsh_status run_trials(struct nlsh__tune *tune, struct nlsh__stage *stage,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_reaped, n_alive;
    int none = 0, again = 0, others_first = tune->options.two_stage && stage == &tune->stages[0];
    const char *why_not;
    NLSH_TRY(nlsh__store_reap(stage->store, &n_reaped, &n_alive, error));
    if (n_reaped > 0) note(tune, "%zu trials of processes that are gone count as failed", n_reaped);
    for (;;) {
        NLSH_TRY(update_label(tune, stage, error));
        tune->share = 0;
        NLSH_TRY(nlsh__job_progress(&tune->job, "trials", 0, 0, error));
        NLSH_TRY(may_begin(tune, stage, &why_not, error));
        none = why_not != NULL;
        if (!none) NLSH_TRY(nlsh__tune_trial(tune, stage, &none, error));
        if (none && others_first) NLSH_TRY(wait_for_others(tune, stage, &again, error));
        if (none && !again) break;
    }
    if (why_not != NULL) note(tune, "%s", why_not);
    if (tune->run.progress != NULL) {
        uint64_t all = 1000 * (uint64_t)tune->n_wanted;
        (void)tune->run.progress(tune->run.user, tune->label, all, all);
    }
out:
    return status;
}

/* Trials that living processes still run. */
static enum nlsh_status n_running(const struct nlsh__stage *stage, size_t *n,
                                  struct nlsh_error *error)
{
    struct nlsh__trials trials;
    size_t n_reaped, n_alive;
    enum nlsh_status status = nlsh__store_reap(stage->store, &n_reaped, &n_alive, error);
    *n = 0;
    if (status == NLSH_OK) status = nlsh__store_trials(stage->store, &stage->space, &trials, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < trials.n; i++)
        *n += trials.trials[i].state == NLSH__TRIAL_RUNNING && !trials.trials[i].waiting;
    nlsh__trials_free(&trials);
    return NLSH_OK;
}

static enum nlsh_status second_stage(struct nlsh__tune *tune, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__stage_second(tune, error));
    NLSH_TRY(nlsh__stage_enqueue(&tune->stages[1], error));
    NLSH_TRY(run_trials(tune, &tune->stages[1], error));
out:
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* A caller without a cache gets one for the run: no partition is to be made twice. */
static enum nlsh_status own_cache(struct nlsh__tune *tune, struct nlsh_run *run,
                                  struct nlsh_error *error)
{
    if (run->cache_dir != NULL) return NLSH_OK;
    tune->cache = nlsh__tune_path(tune, "cache.tmp");
    if (tune->cache == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    run->cache_dir = tune->cache;
    return NLSH_OK;
}

enum nlsh_status nlsh__tune_begin(struct nlsh__tune *tune, const struct nlsh_matrix *base,
                                  const struct nlsh_tune_options *options,
                                  const struct nlsh_run *run, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__stage *stage = &tune->stages[0];
    nlsh_run_init(&tune->run, sizeof tune->run);
    nlsh_tune_options_init(&tune->options, sizeof tune->options);
    NLSH_TRY(nlsh__options_take(&tune->run, sizeof tune->run, run, "nlsh_run", error));
    NLSH_TRY(nlsh__options_take(&tune->options, sizeof tune->options, options, "nlsh_tune_options",
                                error));
    NLSH_TRY(nlsh__take_settings(tune->options.build, &tune->build, error));
    NLSH_TRY(nlsh__matrix_plain(base, &tune->base, &tune->memory, error));
    NLSH_TRY(check_options(&tune->options, error));
    NLSH_TRY(nlsh__objective_parse(tune->options.objective, &tune->objective, error));
    stage->build = tune->build;
    NLSH_TRY(nlsh__resolve(&tune->base, &stage->build, error));
    stage->prefix = "";
    stage->most = tune->options.n_trials;
    if (tune->options.space != NULL)
        NLSH_TRY(nlsh__space_file(tune->options.space, &stage->space, error));
    else
        nlsh__space_network(&stage->build, &stage->space);
    tune->data_hash = nlsh_data_hash(&tune->base);
out:
    return status;
}

/* The graphs that its points name. */
static unsigned graph_methods(const struct nlsh__stage *stage)
{
    unsigned methods = 1u << stage->build.graph;
    int at = nlsh__space_find(&stage->space, "graph");
    for (size_t c = 0; at >= 0 && c < stage->space.params[at].n_choices; c++)
        for (unsigned g = 0; g < NLSH__N_GRAPHS; g++)
            if (strcmp(stage->space.params[at].choices[c], nlsh__name(NLSH__GRAPH, (int)g)) == 0)
                methods |= 1u << g;
    return methods;
}

/* Everything in the study and in the folder that trials lean on. */
static enum nlsh_status prepare(struct nlsh__tune *tune, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__stage *stage = &tune->stages[0];
    const struct nlsh_tune_options *o = &tune->options;
    struct nlsh_run loud = tune->run;
    struct nlsh__search_space partition = {0};
    char *path = NULL;
    NLSH_TRY(nlsh__stage_open(tune, 0, &path, error));
    NLSH_TRY(nlsh__stage_agree(tune, stage, path, error));
    if (o->two_stage) nlsh__space_partition(&stage->build, &partition);
    size_t neighbors = nlsh__space_neighbors(&stage->space, &stage->build);
    size_t second = nlsh__space_neighbors(&partition, &stage->build);
    loud.cache_dir = tune->job.run.cache_dir;
    NLSH_TRY(nlsh__folds_create(&tune->base, &stage->build, o->n_folds,
                                neighbors > second ? neighbors : second, graph_methods(stage),
                                &loud, &tune->job, &tune->folds, error));
    NLSH_TRY(nlsh__tune_defaults(tune, &stage->build, stage->store, error));
    NLSH_TRY(nlsh__stage_enqueue(stage, error));
out:
    free(path);
    return status;
}

static enum nlsh_status count_trials(const struct nlsh__tune *tune, struct nlsh_tune_report *report,
                                     struct nlsh_error *error)
{
    report->best = report->first = NAN;
    for (size_t s = 0; s < tune->n_stages; s++) {
        struct nlsh__trials trials;
        const struct nlsh__stage *stage = &tune->stages[s];
        enum nlsh_status status = nlsh__store_trials(stage->store, &stage->space, &trials, error);
        if (status != NLSH_OK) return status;
        for (size_t i = 0; i < trials.n; i++) {
            const struct nlsh__trial *t = &trials.trials[i];
            report->n_complete += t->state == NLSH__TRIAL_COMPLETE;
            report->n_pruned += t->state == NLSH__TRIAL_PRUNED;
            report->n_failed += t->state == NLSH__TRIAL_FAILED;
            if (s == 0 && t->number == 0) report->first = t->value;
        }
        const struct nlsh__trial *best = nlsh__best_trial(tune, &trials);
        if (best != NULL && nlsh__better(tune, best->value, report->best))
            report->best = best->value;
        nlsh__trials_free(&trials);
    }
    return NLSH_OK;
}

/* Behind the trials: the last process makes the models. */
static enum nlsh_status finish(struct nlsh__tune *tune, struct nlsh_tune_report *report,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_others;
    int mine;
    struct nlsh__stage *last = &tune->stages[tune->n_stages - 1];
    NLSH_TRY(n_running(last, &n_others, error));
    mine = n_others == 0;
    if (mine) NLSH_TRY(nlsh__store_claim(tune->stages[0].store, &mine, error));
    if (!mine) {
        report->left_to_another = 1;
        note(tune, "another process works on this study and will finish it");
        goto out;
    }
    NLSH_TRY(nlsh__tune_models(tune, report, error));
    /* One that left meanwhile may have put its older view over the table. */
    NLSH_TRY(nlsh__write_trials(tune, error));
out:
    return status;
}

static enum nlsh_status run_all(struct nlsh__tune *tune, struct nlsh_tune_report *report,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_others = 0;
    NLSH_TRY(prepare(tune, error));
    status = run_trials(tune, &tune->stages[0], error);
    if (status == NLSH_OK && tune->options.two_stage)
        status = n_running(&tune->stages[0], &n_others, error);
    /* The second stage stands on the whole of the first. */
    if (status == NLSH_OK && tune->options.two_stage && n_others == 0)
        status = second_stage(tune, error);
    if (tune->n_partitions > 0)
        note(tune,
             "partitions of trials: %zu of %zu from the cache; graphs: none was made in a trial",
             tune->n_partitions_cached, tune->n_partitions);
    enum nlsh_status written = nlsh__write_trials(tune, status == NLSH_OK ? error : NULL);
    if (status == NLSH_OK) status = written;
    if (status == NLSH_OK) status = count_trials(tune, report, error);
    if (status == NLSH_OK) status = finish(tune, report, error);
out:
    return status;
}

void nlsh__tune_end(struct nlsh__tune *tune)
{
    size_t n;
    nlsh__folds_free(&tune->folds);
    for (size_t s = 0; s < 2; s++) nlsh__store_close(tune->stages[s].store);
    nlsh__job_end(&tune->job);
    if (tune->cache != NULL && nlsh__cache_clear(tune->cache, &n, NULL) == NLSH_OK)
        rmdir(tune->cache);
    free(tune->cache);
    nlsh__free(tune->memory);
}

enum nlsh_status nlsh_tune(const struct nlsh_matrix *base, const struct nlsh_tune_options *options,
                           const struct nlsh_run *run, struct nlsh_tune_report *report,
                           struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_run inner;
    struct nlsh_tune_report ours = {.struct_size = sizeof ours};
    struct nlsh__tune tune = {.started = nlsh__now()};
    nlsh__error_clear(error);
    if (report != NULL) NLSH_TRY(nlsh__answer_check(report, "nlsh_tune_report", error));
    NLSH_TRY(nlsh__tune_begin(&tune, base, options, run, error));
    NLSH_TRY(nlsh__make_dirs(tune.options.folder, error));
    inner = tune.run;
    inner.progress = trial_progress;
    inner.note = trial_note;
    inner.user = &tune;
    NLSH_TRY(own_cache(&tune, &inner, error));
    NLSH_TRY(nlsh__job_begin(&inner, &tune.job, error));
    NLSH_TRY(run_all(&tune, &ours, error));
out:
    /* What was counted is told of a run that was stopped, too. */
    if (report != NULL && nlsh__answer_check(report, "", NULL) == NLSH_OK)
        nlsh__answer_give(report, &ours, sizeof ours);
    nlsh__tune_end(&tune);
    return status;
}
