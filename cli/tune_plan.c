/* tune_plan.c - `nlsh tune --dry-run`: what a run would do, as text or JSON. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "numbers.h"
#include "output.h"
#include "settings.h"
#include "talk.h"
#include "text.h"
#include "tune.h"
#include "tune/run/plan.h"

/* ---- text ------------------------------------------------------------------------------------ */

static void print_value(const json_t *value)
{
    if (json_is_string(value)) {
        printf("%s", json_string_value(value));
    } else {
        printf("%.9g", json_number_value(value));
    }
}

/* "a", "a or b", "a, b or c" */
static void print_choices(const json_t *choices)
{
    size_t n = json_array_size(choices);
    for (size_t c = 0; c < n; c++) {
        printf("%s", c == 0 ? "" : c + 1 == n ? " or " : ", ");
        print_value(json_array_get(choices, c));
    }
}

static void print_parameter(json_t *parameter)
{
    const json_t *range = json_object_get(parameter, "range");
    const json_t *step = json_object_get(parameter, "step");
    void *when = json_object_iter(json_object_get(parameter, "when"));
    printf("  %-14s ", json_string_value(json_object_get(parameter, "name")));
    print_choices(json_object_get(parameter, "choices"));
    if (range != NULL) {
        print_value(json_array_get(range, 0));
        printf(" to ");
        print_value(json_array_get(range, 1));
    }
    if (json_is_true(json_object_get(parameter, "log"))) printf(", by logarithm");
    if (step != NULL) {
        printf(" in steps of ");
        print_value(step);
    }
    if (when != NULL) {
        printf("; where %s is ", json_object_iter_key(when));
        print_choices(json_object_iter_value(when));
    }
    putchar('\n');
}

static int print_stage(const struct nlsh__stage_plan *stage, bool second)
{
    const struct nlsh_setting *setting;
    json_t *space = json_loads(stage->space, 0, NULL), *parameter;
    char text[64], name[256];
    size_t i, left = stage->n_trials > stage->n_done ? stage->n_trials - stage->n_done : 0;
    if (space == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    printf("\n%s: study \"%s\", %s\n", second ? "second stage" : "study",
           text_shown(stage->name, name, sizeof name), stage->begun ? "which goes on" : "new");
    printf("%-16s %zu, of which %zu are there and %zu to run\n", "trials", stage->n_trials,
           stage->n_done, left);
    printf("searched%s\n", second && !stage->begun ? ", around the first stage's best" : "");
    json_array_foreach(json_object_get(space, "parameters"), i, parameter)
    {
        print_parameter(parameter);
    }
    json_decref(space);
    printf("the first trial, and what is not searched\n");
    for (i = 0; (setting = nlsh_build_setting(i)) != NULL; i++) {
        /* A trial's epochs are the study's. */
        if (strcmp(setting->name, "epochs") == 0) continue;
        if (!nlsh_build_options_get(&stage->build, setting->name, text, sizeof text)) continue;
        printf("  %-14s %s\n", setting->name, text);
    }
    return 0;
}

static int print_text(const struct args *args, const struct nlsh_matrix *base,
                      const struct nlsh_tune_options *o, const struct nlsh__tune_plan *plan)
{
    char count[32], parts[64], shown[1024];
    snprintf(parts, sizeof parts, o->n_folds == 1 ? "a fifth is held out, once" : "%zu in turn",
             o->n_folds);
    printf("%-16s %s x %zu %s\n", "vectors", text_count(base->n_rows, count), base->dim,
           type_name(base->type));
    printf("%-16s %s; %zu epochs in each\n", "folds", parts, o->epochs);
    printf("%-16s %s, %s is better\n", "objective", plan->objective,
           plan->maximize ? "larger" : "smaller");
    printf("%-16s %s\n", "sampler", args_text(args, "sampler"));
    printf("%-16s %s\n", "pruner", args_text(args, "pruner"));
    if (o->timeout > 0) printf("%-16s no trial begins after %g s\n", "timeout", o->timeout);
    printf("%-16s the best %zu from the whole base, for %zu epochs\n", "models", o->top_k,
           o->final_epochs);
    printf("%-16s %s\n", "study", text_shown(plan->study, shown, sizeof shown));
    printf("%-16s %s/: defaults.nlsh, trials.csv, index.json and the models\n", "outputs",
           text_shown(o->folder, shown, sizeof shown));
    for (size_t s = 0; s < plan->n_stages; s++) {
        int code = print_stage(&plan->stages[s], s > 0);
        if (code != 0) return code;
    }
    return finish_stdout();
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static json_t *stage_json(const struct nlsh__stage_plan *stage)
{
    size_t left = stage->n_trials > stage->n_done ? stage->n_trials - stage->n_done : 0;
    return json_pack("{s:o, s:b, s:I, s:I, s:I, s:o, s:o}", "study", json_name(stage->name),
                     "begun", stage->begun, "trials", (json_int_t)stage->n_trials, "done",
                     (json_int_t)stage->n_done, "left", (json_int_t)left, "space",
                     json_loads(stage->space, 0, NULL), "settings", settings_json(&stage->build));
}

static json_t *plan_json(const struct args *args, const struct nlsh_tune_options *o,
                         const struct nlsh__tune_plan *plan)
{
    json_t *stages = json_array();
    for (size_t s = 0; s < plan->n_stages; s++) {
        json_array_append_new(stages, stage_json(&plan->stages[s]));
    }
    return json_pack("{s:s, s:b, s:o, s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "command",
                     "tune", "dry_run", 1, "folder", json_name(o->folder), "study",
                     json_name(plan->study), "objective", plan->objective, "sampler",
                     args_text(args, "sampler"), "pruner", args_text(args, "pruner"), "folds",
                     (json_int_t)o->n_folds, "epochs", (json_int_t)o->epochs, "top_k",
                     (json_int_t)o->top_k, "final_epochs", (json_int_t)o->final_epochs, "timeout",
                     o->timeout > 0 ? json_real(o->timeout) : json_null(), "stages", stages);
}

int tune_plan_print(const struct args *args, const struct nlsh_matrix *base,
                    const struct nlsh_tune_options *options)
{
    struct nlsh_error error = {0};
    struct nlsh__tune_plan plan;
    if (nlsh__tune_plan(base, options, &plan, &error) != NLSH_OK) return talk_failed(&error);
    int code = args_given(args, "json") ? print_json(plan_json(args, options, &plan))
                                        : print_text(args, base, options, &plan);
    nlsh__tune_plan_free(&plan);
    return code;
}
