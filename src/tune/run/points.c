/* points.c - see points.h. */
#include "tune/run/points.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

static enum nlsh_status no_memory(struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

/* ---- to a study ------------------------------------------------------------------------------ */

/* A choice is a number where its text is one. */
static json_t *choice_json(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (json_is_number(value)) return value;
    json_decref(value);
    return json_string(text);
}

static json_t *value_json(const struct nlsh__param *param, double value)
{
    if (param->kind == NLSH__PARAM_CHOICE) return choice_json(param->choices[(size_t)value]);
    if (param->kind == NLSH__PARAM_INT) return json_integer((json_int_t)value);
    return json_real(value);
}

/* The distribution as Optuna writes it, freed by the caller; NULL: out of memory. */
static char *distribution_json(const struct nlsh__param *param)
{
    json_t *object;
    if (param->kind == NLSH__PARAM_CHOICE) {
        json_t *choices = json_array();
        for (size_t c = 0; c < param->n_choices; c++)
            json_array_append_new(choices, choice_json(param->choices[c]));
        object = json_pack("{s:s, s:{s:o}}", "name", "CategoricalDistribution", "attributes",
                           "choices", choices);
    } else if (param->kind == NLSH__PARAM_INT) {
        object = json_pack("{s:s, s:{s:b, s:I, s:I, s:I}}", "name", "IntDistribution", "attributes",
                           "log", param->log, "step", (json_int_t)(param->log ? 1 : param->step),
                           "low", (json_int_t)param->low, "high", (json_int_t)param->high);
    } else {
        object =
            json_pack("{s:s, s:{s:o, s:f, s:f, s:b}}", "name", "FloatDistribution", "attributes",
                      "step", param->step > 0 ? json_real(param->step) : json_null(), "low",
                      param->low, "high", param->high, "log", param->log);
    }
    char *text = object != NULL ? json_dumps(object, JSON_PRESERVE_ORDER) : NULL;
    json_decref(object);
    return text;
}

enum nlsh_status nlsh__store_point(struct nlsh__store *store, int64_t trial,
                                   const struct nlsh__search_space *space, const double *values,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t i = 0; i < space->n && status == NLSH_OK; i++) {
        if (isnan(values[i])) continue;
        char *distribution = distribution_json(&space->params[i]);
        if (distribution == NULL) return no_memory(error);
        status =
            nlsh__store_param(store, trial, space->params[i].name, values[i], distribution, error);
        free(distribution);
    }
    return status;
}

enum nlsh_status nlsh__store_enqueue_point(struct nlsh__store *store,
                                           const struct nlsh__search_space *space,
                                           const double *values, struct nlsh_error *error)
{
    json_t *fixed = json_object();
    for (size_t i = 0; i < space->n; i++)
        if (!isnan(values[i]))
            json_object_set_new(fixed, space->params[i].name,
                                value_json(&space->params[i], values[i]));
    char *text = fixed != NULL ? json_dumps(fixed, JSON_PRESERVE_ORDER) : NULL;
    json_decref(fixed);
    if (text == NULL) return no_memory(error);
    enum nlsh_status status = nlsh__store_enqueue_first(store, text, error);
    free(text);
    return status;
}

/* ---- from a study ---------------------------------------------------------------------------- */

/* A value as JSON (a choice's text, a number) to the parameter's own; NAN where it has none such. */
static double value_from_json(const struct nlsh__param *param, const json_t *json)
{
    if (param->kind != NLSH__PARAM_CHOICE)
        return json_is_number(json) ? json_number_value(json) : (double)NAN;
    for (size_t c = 0; c < param->n_choices; c++) {
        const char *text = param->choices[c];
        char *end;
        if (json_is_string(json) && strcmp(json_string_value(json), text) == 0) return (double)c;
        double number = strtod(text, &end);
        if (json_is_number(json) && *end == '\0' && number == json_number_value(json))
            return (double)c;
    }
    return NAN;
}

int nlsh__trial_point(const struct nlsh__search_space *space, const struct nlsh__trials *trials,
                      const struct nlsh__trial *trial, double *values)
{
    for (size_t i = 0; i < space->n; i++) values[i] = NAN;
    for (size_t g = 0; g < trial->n_given; g++) {
        const struct nlsh__parameter *from = &trials->parameters[trial->given[g].parameter];
        double value = trial->given[g].value;
        int i = nlsh__space_find(space, from->name);
        if (i < 0) continue;
        const struct nlsh__param *to = &space->params[i];
        if (from->choices != NULL && to->kind == NLSH__PARAM_CHOICE)
            values[i] = value_from_json(to, json_array_get(from->choices, (size_t)value));
        else if (from->choices == NULL && to->kind != NLSH__PARAM_CHOICE)
            values[i] = value;
    }
    json_t *queued = trial->queued != NULL ? json_loads(trial->queued, 0, NULL) : NULL;
    for (size_t i = 0; i < space->n && queued != NULL; i++)
        values[i] =
            value_from_json(&space->params[i], json_object_get(queued, space->params[i].name));
    json_decref(queued);
    return nlsh__params_check(space, values, NULL) == NLSH_OK;
}

/* ---- for samplers ---------------------------------------------------------------------------- */

static size_t last_step(const struct nlsh__trial *t, size_t max_steps)
{
    int64_t last = t->n_steps > 0 ? t->steps[t->n_steps - 1].step : 0;
    if (last < 0) return 0;
    return (uint64_t)last < max_steps ? (size_t)last : max_steps;
}

static int teaches(const struct nlsh__trial *t, uint64_t without)
{
    if (t->state == NLSH__TRIAL_WAITING || t->number == without) return 0;
    return t->state != NLSH__TRIAL_COMPLETE || !isnan(t->value);
}

/* The steps from 1 to n, NAN where none was reported. */
static void spread_steps(const struct nlsh__trial *t, double sign, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) out[i] = NAN;
    for (size_t s = 0; s < t->n_steps; s++)
        if (t->steps[s].step >= 1 && (uint64_t)t->steps[s].step <= n)
            out[t->steps[s].step - 1] = sign * t->steps[s].value;
}

enum nlsh_status nlsh__observe(const struct nlsh__search_space *space,
                               const struct nlsh__trials *trials, uint64_t without, int maximize,
                               size_t max_steps, struct nlsh__observed *out,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    double sign = maximize ? -1 : 1;
    size_t n_steps = 0;
    *out = (struct nlsh__observed){0};
    for (size_t i = 0; i < trials->n; i++) n_steps += last_step(&trials->trials[i], max_steps);
    NLSH_TRY(nlsh__alloc(&out->list, trials->n, sizeof *out->list, error));
    NLSH_TRY(nlsh__alloc(&out->values, trials->n, space->n * sizeof *out->values, error));
    NLSH_TRY(nlsh__alloc(&out->steps, n_steps, sizeof *out->steps, error));
    double *steps = out->steps;
    for (size_t i = 0; i < trials->n; i++) {
        const struct nlsh__trial *t = &trials->trials[i];
        double *values = out->values + out->n * space->n;
        if (!teaches(t, without) || !nlsh__trial_point(space, trials, t, values)) continue;
        size_t n = last_step(t, max_steps);
        spread_steps(t, sign, n, steps);
        out->list[out->n++] = (struct nlsh__observation){.values = values,
                                                         .value = sign * t->value,
                                                         .state = t->state,
                                                         .number = t->number,
                                                         .steps = steps,
                                                         .n_steps = n};
        steps += n;
    }
out:
    if (status != NLSH_OK) nlsh__observed_free(out);
    return status;
}

void nlsh__observed_free(struct nlsh__observed *observed)
{
    nlsh__free(observed->list);
    nlsh__free(observed->values);
    nlsh__free(observed->steps);
    *observed = (struct nlsh__observed){0};
}
