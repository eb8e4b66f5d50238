/* cmd_tune.c - `nlsh tune`, and `nlsh build --mode tune`. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base.h"
#include "base/names.h"
#include "inputs.h"
#include "numbers.h"
#include "output.h"
#include "settings.h"
#include "signals.h"
#include "talk.h"
#include "timing.h"
#include "tune.h"
#include "verbs.h"

static const char runs_folder[] = "outputs/tuning";

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

bool tune_flag_given(const struct args *args, int *code)
{
    for (size_t i = 0; i < args->n_flags; i++) {
        char dashed[64];
        if (args->flags[i]->group != GROUP_TUNE || args->values[i] == NULL) continue;
        *code = talk_error(EXIT_USAGE, "add --mode tune, or use `nlsh tune`",
                           "%s is for tuning, and this is a build",
                           flag_dashed(args->flags[i]->name, dashed));
        return true;
    }
    return false;
}

/* A name for a run that was given none: "train-images-20260131-235959". */
static void name_by_time(const char *base, char *out, size_t size)
{
    const char *slash = strrchr(base, '/');
    const char *file = slash ? slash + 1 : base;
    time_t now = time(NULL);
    struct tm local;
    char when[32] = "";
    if (localtime_r(&now, &local) != NULL) strftime(when, sizeof when, "%Y%m%d-%H%M%S", &local);
    snprintf(out, size, "%.*s-%s", (int)strcspn(file, "."), file, when);
}

/* The run's folder, freed by the caller: by -i, or where --study lies, or by the time. */
static char *folder_of_run(const struct args *args)
{
    char by_time[300];
    const char *name = args_text(args, "i"), *study = args_text(args, "study");
    if (name == NULL && study != NULL && strrchr(study, '/') != NULL)
        return strndup(study, (size_t)(strrchr(study, '/') - study));
    if (name == NULL) {
        name_by_time(args_text(args, "d"), by_time, sizeof by_time);
        name = by_time;
    }
    size_t size = sizeof runs_folder + strlen(name) + 1;
    char *folder = malloc(size);
    if (folder == NULL) return NULL;
    if (strchr(name, '/') != NULL)
        snprintf(folder, size, "%s", name);
    else
        snprintf(folder, size, "%s/%s", runs_folder, name);
    return folder;
}

static void read_options(const struct args *args, struct nlsh_tune_options *o)
{
    o->study = args_text(args, "study");
    o->space = args_text(args, "space");
    o->objective = args_text(args, "objective");
    o->sampler = (enum nlsh_sampler)nlsh__value(NLSH__SAMPLER, args_text(args, "sampler"));
    o->pruner = (enum nlsh_pruner)nlsh__value(NLSH__PRUNER, args_text(args, "pruner"));
    o->n_trials = args_count(args, "tune_trials");
    o->n_folds = args_count(args, "tune_folds");
    o->epochs = args_count(args, "tune_epochs");
    o->top_k = args_count(args, "top_k");
    o->final_epochs = args_count(args, "final_epochs");
    o->timeout = args_given(args, "timeout") ? args_real(args, "timeout") : 0;
    o->resume = args_given(args, "resume");
    o->two_stage = args_given(args, "two_stage");
}

/* ---- what is said ---------------------------------------------------------------------------- */

static json_t *report_json(const struct nlsh_tune_options *o, const struct nlsh_tune_report *r,
                           double seconds)
{
    char list[1200], study[1200];
    snprintf(list, sizeof list, "%s/index.json", o->folder);
    snprintf(study, sizeof study, "%s/study.db", o->folder);
    json_t *models = r->left_to_another ? json_null() : json_name(list);
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:s, s:{s:I, s:I, s:I}, s:o, s:o, s:o, s:o, s:b, s:s, s:f}",
        "command", "tune", "folder", json_name(o->folder), "models_index", models, "study",
        json_name(o->study ? o->study : study), "objective", o->objective, "trials", "complete",
        (json_int_t)r->n_complete, "pruned", (json_int_t)r->n_pruned, "failed",
        (json_int_t)r->n_failed, "best", json_number_or_null(r->best), "defaults",
        json_number_or_null(r->first), "best_held_out_candidates",
        json_number_or_null(r->best_held_out), "defaults_held_out_candidates",
        json_number_or_null(r->first_held_out), "defaults_stand", r->defaults_stand, "best_model",
        r->best_file, "seconds", seconds);
}

static void say_report(const struct nlsh_tune_options *o, const struct nlsh_tune_report *r,
                       double seconds)
{
    char time_text[32], a[32], b[32];
    talk_say("%zu trials complete, %zu stopped early, %zu failed, in %s", r->n_complete,
             r->n_pruned, r->n_failed, text_seconds(seconds, time_text));
    if (isfinite(r->best) && isfinite(r->first))
        talk_say("%s in folds: %.6g, the defaults %.6g", o->objective, r->best, r->first);
    if (r->left_to_another) return;
    text_count((uint64_t)llround(r->best_held_out), a);
    text_count((uint64_t)llround(r->first_held_out), b);
    if (r->defaults_stand)
        talk_say("the defaults stand: no model needs fewer candidates at recall .95 than their %s "
                 "(best %s)",
                 b, a);
    else
        talk_say("best: %s/%s, %s candidates at recall .95 on held-out vectors, the defaults %s",
                 o->folder, r->best_file, a, b);
    talk_say("all %zu: nlsh search --models_index %s/index.json -q QUERIES", r->n_models,
             o->folder);
}

/* ---- the verb -------------------------------------------------------------------------------- */

static int tune_failed(const struct args *args, const struct nlsh_tune_options *o,
                       const struct nlsh_error *error)
{
    char hint[1400];
    if (error->status != NLSH_E_INTERRUPTED) return talk_failed(error);
    const char *name = args_text(args, "i") ? args_text(args, "i") : o->folder;
    snprintf(hint, sizeof hint, "the same command with -i %s --resume goes on from there", name);
    return talk_error(signal_exit(), hint, "interrupted; all trials that were ended are in %s%s",
                      o->study ? o->study : o->folder, o->study ? "" : "/study.db");
}

static int tune_loaded(const struct args *args, const struct loaded *base,
                       const struct nlsh_tune_options *o)
{
    struct nlsh_error error = {0};
    struct nlsh_tune_report report = {.struct_size = sizeof report};
    struct nlsh_run run;
    double began = now_seconds();
    run_init(args, &run);
    if (nlsh_tune(&base->matrix, o, &run, &report, &error) != NLSH_OK)
        return tune_failed(args, o, &error);
    talk_stage_end();
    double seconds = now_seconds() - began;
    say_report(o, &report, seconds);
    return args_given(args, "json") ? print_json(report_json(o, &report, seconds)) : 0;
}

int cmd_tune(const struct args *args)
{
    struct nlsh_tune_options options;
    struct nlsh_build_options build;
    struct loaded base;
    char name[512];
    nlsh_tune_options_init(&options, sizeof options);
    options.build = &build;
    options.data_file = base_name(args, name, sizeof name);
    read_options(args, &options);
    if (options.resume && !args_given(args, "i") && options.study == NULL)
        return talk_error(EXIT_USAGE, "give -i NAME, as the run had it, or --study FILE",
                          "--resume: which study?");
    int code = settings_read(args, &build);
    char *folder = folder_of_run(args);
    if (code == 0 && folder == NULL) code = no_memory();
    options.folder = folder;
    if (code == 0) code = base_load(args, &base, NULL);
    if (code != 0) {
        free(folder);
        return code;
    }
    code = args_given(args, "dry-run") ? tune_plan_print(args, &base.matrix, &options)
                                       : tune_loaded(args, &base, &options);
    loaded_free(&base);
    free(folder);
    return code;
}
