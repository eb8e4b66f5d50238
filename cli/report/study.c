/* study.c - see study.h. The file itself is read by the library (tune/study/studies.h). */
#include "report/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "talk.h"
#include "text.h"

/* Values of all parameters in all trials; more are no study that anybody could look at. */
enum { MOST_VALUES = 10000000 };

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* Fit for a page; NULL without memory. */
static char *clean_copy(const char *text)
{
    char *copy = strdup(text);
    if (copy != NULL) text_make_utf8(copy);
    return copy;
}

/* ---- parameters ------------------------------------------------------------------------------ */

static struct parameter *find_name(const struct study *s, const char *name)
{
    for (size_t i = 0; i < s->n_parameters; i++) {
        if (strcmp(s->parameters[i].drawn->name, name) == 0) return &s->parameters[i];
    }
    return NULL;
}

static int add_parameter(const char *path, const struct nlsh__parameter *drawn, struct study *s)
{
    size_t n = s->of->trials.n;
    struct parameter *p = &s->parameters[s->n_parameters++];
    *p = (struct parameter){.name = clean_copy(drawn->name), .drawn = drawn};
    p->values = calloc(n ? n : 1, sizeof *p->values);
    if (p->name == NULL || p->values == NULL) return no_memory();
    for (size_t i = 0; i < n; i++) p->values[i] = NAN;
    if (drawn->kind != NLSH__DRAWN_UNKNOWN) return 0;
    return talk_error(EXIT_BAD_DATA, "give a study that nlsh tune or Optuna wrote",
                      "%s: parameter %s: its distribution is not one of Optuna's", path, p->name);
}

/* A value drawn from one distribution as a value of another; NaN where that has none such. */
static double value_in(const struct nlsh__parameter *from, double value,
                       const struct nlsh__parameter *to)
{
    if (from == to || (from->choices == NULL && to->choices == NULL)) return value;
    if (from->choices == NULL || to->choices == NULL) return NAN;
    const json_t *choice = json_array_get(from->choices, (size_t)value);
    for (size_t i = 0; i < json_array_size(to->choices); i++) {
        if (json_equal(json_array_get(to->choices, i), choice)) return (double)i;
    }
    return NAN;
}

static int read_parameters(const char *path, struct study *s)
{
    const struct nlsh__trials *trials = &s->of->trials;
    struct parameter **by_drawn = calloc(trials->n_parameters + 1, sizeof *by_drawn);
    s->parameters = calloc(trials->n_parameters + 1, sizeof *s->parameters);
    s->n_parameters = 0;
    int code = by_drawn != NULL && s->parameters != NULL ? 0 : no_memory();
    for (size_t i = 0; i < trials->n_parameters && code == 0; i++) {
        const struct nlsh__parameter *drawn = &trials->parameters[i];
        by_drawn[i] = find_name(s, drawn->name);
        if (by_drawn[i] != NULL) continue;
        if ((s->n_parameters + 1) * trials->n > MOST_VALUES) {
            code =
                talk_error(EXIT_BAD_DATA, "give a study of fewer trials or parameters",
                           "%s: %zu trials of so many parameters cannot be shown", path, trials->n);
            break;
        }
        by_drawn[i] = &s->parameters[s->n_parameters];
        code = add_parameter(path, drawn, s);
    }
    for (size_t t = 0; t < trials->n && code == 0; t++) {
        for (size_t g = 0; g < trials->trials[t].n_given; g++) {
            const struct nlsh__given *given = &trials->trials[t].given[g];
            struct parameter *p = by_drawn[given->parameter];
            p->values[t] = value_in(&trials->parameters[given->parameter], given->value, p->drawn);
        }
    }
    free(by_drawn);
    return code;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int read_attributes(struct study *s)
{
    s->attributes = json_object();
    if (s->attributes == NULL) return no_memory();
    for (size_t i = 0; i < s->of->n_attributes; i++) {
        char *key = clean_copy(s->of->attributes[i].key);
        char *text = clean_copy(s->of->attributes[i].json);
        if (key != NULL && text != NULL) {
            json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
            json_object_set_new(s->attributes, key, value ? value : json_string(text));
        }
        free(key);
        free(text);
    }
    return 0;
}

int study_of(const char *path, const struct nlsh__study *from, struct study *out)
{
    *out = (struct study){.of = from, .name = clean_copy(from->name)};
    int code = out->name != NULL ? 0 : no_memory();
    if (code == 0) code = read_parameters(path, out);
    if (code == 0) code = read_attributes(out);
    if (code != 0) study_free(out);
    return code;
}

void study_free(struct study *study)
{
    for (size_t p = 0; p < study->n_parameters; p++) {
        free(study->parameters[p].name);
        free(study->parameters[p].values);
    }
    json_decref(study->attributes);
    free(study->parameters);
    free(study->name);
    *study = (struct study){0};
}

bool trial_counts(const struct nlsh__trial *trial)
{
    return trial->state == NLSH__TRIAL_COMPLETE && !isnan(trial->value);
}

bool study_better(const struct study *s, double a, double b)
{
    return s->of->maximize ? a > b : a < b;
}

size_t *study_order(const struct study *s, size_t *n)
{
    const struct nlsh__trial *trials = s->of->trials.trials;
    size_t *order = calloc(s->of->trials.n ? s->of->trials.n : 1, sizeof *order);
    *n = 0;
    for (size_t i = 0; i < s->of->trials.n && order != NULL; i++) {
        if (!trial_counts(&trials[i])) continue;
        size_t at = (*n)++;
        for (; at > 0 && study_better(s, trials[i].value, trials[order[at - 1]].value); at--) {
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    return order;
}

const char *parameter_text(const struct parameter *p, double value, char *buffer, size_t size)
{
    if (isnan(value)) {
        snprintf(buffer, size, "\xe2\x80\x93");
    } else if (p->drawn->choices == NULL) {
        snprintf(buffer, size, "%.*g", p->drawn->kind == NLSH__DRAWN_INT ? 15 : 4, value);
    } else {
        const json_t *choice = json_array_get(p->drawn->choices, (size_t)value);
        char *text = json_is_string(choice)
                         ? NULL
                         : json_dumps(choice, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        snprintf(buffer, size, "%s", text ? text : json_string_value(choice));
        free(text);
        text_make_utf8(buffer); /* control characters, and a character that was cut */
    }
    return buffer;
}
