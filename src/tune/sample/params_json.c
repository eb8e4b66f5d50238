/*
 * params_json.c - a space from a file that a person wrote, and back; params.h has the form. Every
 * complaint names the file, the parameter and the value. Ours.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "tune/sample/params.h"

/* What all steps of reading one file share. */
struct reader {
    const char *origin;
    const struct nlsh__known_param *known;
    size_t n_known;
    struct nlsh__search_space space;
    struct nlsh_error *error;
};

/* ---- small things ---------------------------------------------------------------------------- */

/* The names that the caller knows, as a hint. */
static void list_known(const struct reader *r, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "there are:");
    for (size_t i = 0; i < r->n_known && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, " %s", r->known[i].name);
    }
}

static const struct nlsh__known_param *known_of(const struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->n_known; i++) {
        if (strcmp(r->known[i].name, name) == 0) return &r->known[i];
    }
    return NULL;
}

/* A choice as text, a number in its shortest form; NULL where it is neither or too long. */
static const char *choice_text(const json_t *value, char text[NLSH__MAX_PARAM_NAME])
{
    int length;
    if (json_is_string(value)) {
        length = snprintf(text, NLSH__MAX_PARAM_NAME, "%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        length = snprintf(text, NLSH__MAX_PARAM_NAME, "%" JSON_INTEGER_FORMAT,
                          json_integer_value(value));
    } else if (json_is_real(value)) {
        struct nlsh__param plain = {.kind = NLSH__PARAM_FLOAT};
        nlsh__param_text(&plain, json_real_value(value), text);
        length = (int)strlen(text);
    } else {
        return NULL;
    }
    return length > 0 && length < NLSH__MAX_PARAM_NAME ? text : NULL;
}

/* ---- one parameter ---------------------------------------------------------------------------- */

static enum nlsh_status read_range(struct reader *r, const json_t *object, const char *name,
                                   const struct nlsh__known_param *known, struct nlsh__param *p)
{
    const json_t *range = json_object_get(object, "range");
    const json_t *log_scale = json_object_get(object, "log"),
                 *step = json_object_get(object, "step");
    const json_t *low = json_array_get(range, 0), *high = json_array_get(range, 1);
    if (json_array_size(range) != 2 || !json_is_number(low) || !json_is_number(high)) {
        return nlsh__fail(r->error, NLSH_E_DATA, "\"range\": [1, 4]",
                          "%s: %s: its range is not two numbers", r->origin, name);
    }
    if ((log_scale && !json_is_boolean(log_scale)) || (step && !json_is_number(step))) {
        return nlsh__fail(r->error, NLSH_E_DATA, "\"log\": true, \"step\": 5",
                          "%s: %s: log is true or false, step a number", r->origin, name);
    }
    p->kind = known->kind;
    p->low = json_number_value(low);
    p->high = json_number_value(high);
    p->log = json_is_true(log_scale);
    p->step = step ? json_number_value(step) : p->kind == NLSH__PARAM_INT ? 1 : 0;
    if (p->low < known->low || p->high > known->high) {
        return nlsh__fail(r->error, NLSH_E_ARG, NULL,
                          "%s: %s: [%g, %g] leaves what is possible, [%g, %g]", r->origin, name,
                          p->low, p->high, known->low, known->high);
    }
    int whole = p->low == floor(p->low) && p->high == floor(p->high);
    if (p->step > 0 && p->high > p->low && (whole || p->kind == NLSH__PARAM_FLOAT)) {
        p->high = p->low + floor((p->high - p->low) / p->step + 1e-9) * p->step;
    }
    return NLSH_OK;
}

/* Whether the caller can do with this choice. */
static int possible(const struct nlsh__known_param *known, const char *text)
{
    if (known->kind != NLSH__PARAM_CHOICE) {
        char *end;
        double number = strtod(text, &end);
        int whole = known->kind == NLSH__PARAM_FLOAT || number == floor(number);
        return *end == 0 && number >= known->low && number <= known->high && whole;
    }
    for (const char *const *c = known->choices; *c; c++) {
        if (strcmp(*c, text) == 0) return 1;
    }
    return 0;
}

static enum nlsh_status read_choices(struct reader *r, const json_t *choices, const char *name,
                                     const struct nlsh__known_param *known, struct nlsh__param *p)
{
    p->kind = NLSH__PARAM_CHOICE;
    p->n_choices = json_array_size(choices);
    if (p->n_choices == 0 || p->n_choices > NLSH__MAX_CHOICES) {
        return nlsh__fail(r->error, NLSH_E_DATA, NULL, "%s: %s: choices must be 1 to %d in []",
                          r->origin, name, NLSH__MAX_CHOICES);
    }
    for (size_t c = 0; c < p->n_choices; c++) {
        if (choice_text(json_array_get(choices, c), p->choices[c]) == NULL) {
            return nlsh__fail(r->error, NLSH_E_DATA, NULL,
                              "%s: %s: choice %zu is no number or text of 1 to %d characters",
                              r->origin, name, c, NLSH__MAX_PARAM_NAME - 1);
        }
        if (!possible(known, p->choices[c])) {
            return nlsh__fail(r->error, NLSH_E_ARG, NULL, "%s: %s: %s is not possible", r->origin,
                              name, p->choices[c]);
        }
    }
    return NLSH_OK;
}

/* "when": {"labels": ["soft"]}, or a single choice without []. */
static enum nlsh_status read_condition(struct reader *r, json_t *when, const char *name,
                                       struct nlsh__param *p)
{
    void *first = json_object_iter(when);
    if (first == NULL || json_object_size(when) != 1) {
        return nlsh__fail(r->error, NLSH_E_DATA, "\"when\": {\"labels\": [\"soft\"]}",
                          "%s: %s: its condition is not one name with choices", r->origin, name);
    }
    const char *parent_name = json_object_iter_key(first);
    const json_t *choices = json_object_iter_value(first);
    p->parent = nlsh__space_find(&r->space, parent_name);
    if (p->parent < 0 || r->space.params[p->parent].kind != NLSH__PARAM_CHOICE) {
        return nlsh__fail(r->error, NLSH_E_ARG, "put a parameter with choices before it",
                          "%s: %s: depends on %s, which %s", r->origin, name, parent_name,
                          p->parent < 0 ? "does not come before it" : "has no choices");
    }
    const struct nlsh__param *parent = &r->space.params[p->parent];
    size_t n = json_is_array(choices) ? json_array_size(choices) : 1;
    for (size_t i = 0; i < n; i++) {
        char text[NLSH__MAX_PARAM_NAME] = "";
        choice_text(json_is_array(choices) ? json_array_get(choices, i) : choices, text);
        size_t c = 0;
        while (c < parent->n_choices && strcmp(parent->choices[c], text) != 0) c++;
        if (c == parent->n_choices) {
            return nlsh__fail(r->error, NLSH_E_ARG, NULL, "%s: %s: %s is no choice of %s",
                              r->origin, name, text[0] ? text : "that", parent_name);
        }
        p->parent_mask |= UINT32_C(1) << c;
    }
    return NLSH_OK;
}

/* A member that is none would be passed over in silence: a misspelt "log" must not. */
static enum nlsh_status check_members(struct reader *r, json_t *object, const char *name)
{
    static const char *const members[] = {"name", "range", "log", "step", "choices", "when"};
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        size_t m = 0;
        while (m < 6 && strcmp(json_object_iter_key(it), members[m]) != 0) m++;
        if (m < 6) continue;
        return nlsh__fail(r->error, NLSH_E_DATA, "there are: name range log step choices when",
                          "%s: %s: there is no \"%s\"", r->origin, name, json_object_iter_key(it));
    }
    return NLSH_OK;
}

static enum nlsh_status read_param(struct reader *r, size_t index, json_t *object)
{
    enum nlsh_status status;
    const char *name = json_string_value(json_object_get(object, "name"));
    if (name == NULL) {
        return nlsh__fail(r->error, NLSH_E_DATA, NULL, "%s: parameter %zu has no name", r->origin,
                          index);
    }
    const struct nlsh__known_param *known = known_of(r, name);
    if (known == NULL) {
        char hint[sizeof r->error->hint];
        list_known(r, hint, sizeof hint);
        return nlsh__fail(r->error, NLSH_E_ARG, hint, "%s: there is nothing called %s to tune",
                          r->origin, name);
    }
    NLSH_TRY(check_members(r, object, name));
    json_t *choices = json_object_get(object, "choices"), *when = json_object_get(object, "when");
    json_t *range = json_object_get(object, "range");
    struct nlsh__param *p = &r->space.params[r->space.n];
    *p = (struct nlsh__param){.parent = -1};
    snprintf(p->name, sizeof p->name, "%s", name);
    if ((range == NULL) == (choices == NULL) || (range && known->kind == NLSH__PARAM_CHOICE)) {
        return nlsh__fail(r->error, NLSH_E_DATA, NULL, "%s: %s: needs %s", r->origin, name,
                          known->kind == NLSH__PARAM_CHOICE ? "choices"
                                                            : "either a range or choices");
    }
    NLSH_TRY(range ? read_range(r, object, name, known, p)
                   : read_choices(r, choices, name, known, p));
    if (when) NLSH_TRY(read_condition(r, when, name, p));
    r->space.n++;
out:
    return status;
}

/* ---- the whole -------------------------------------------------------------------------------- */

static enum nlsh_status read_params(struct reader *r, json_t *root)
{
    json_t *list = json_is_array(root) ? root : json_object_get(root, "parameters");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n == 0 || n > NLSH__MAX_PARAMS) {
        return nlsh__fail(r->error, NLSH_E_DATA,
                          "{\"parameters\": [{\"name\": \"layers\", \"range\": [1, 4]}]}",
                          "%s: is not a list of 1 to %d parameters", r->origin, NLSH__MAX_PARAMS);
    }
    for (size_t i = 0; i < n; i++) {
        enum nlsh_status status = read_param(r, i, json_array_get(list, i));
        if (status != NLSH_OK) return status;
    }
    struct nlsh_error inner;
    enum nlsh_status status = nlsh__space_check(&r->space, &inner);
    if (status == NLSH_OK) return status;
    return nlsh__fail(r->error, status, inner.hint, "%s: %s", r->origin, inner.message);
}

enum nlsh_status nlsh__space_parse(const char *text, size_t length, const char *origin,
                                   const struct nlsh__known_param *known, size_t n_known,
                                   struct nlsh__search_space *out, struct nlsh_error *error)
{
    struct nlsh_error unused;
    struct reader r = {origin, known, n_known, {0}, error ? error : &unused};
    json_error_t where;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        return nlsh__fail(error, NLSH_E_DATA, NULL, "%s: line %d: not JSON: %s", origin, where.line,
                          where.text);
    }
    enum nlsh_status status = read_params(&r, root);
    if (status == NLSH_OK) *out = r.space;
    json_decref(root);
    return status;
}

enum nlsh_status nlsh__space_read(const char *path, const struct nlsh__known_param *known,
                                  size_t n_known, struct nlsh__search_space *out,
                                  struct nlsh_error *error)
{
    struct nlsh__map map;
    enum nlsh_status status = nlsh__map_open(path, &map, error);
    if (status != NLSH_OK) return status;
    status = nlsh__space_parse(map.data ? (const char *)map.data : "", map.size, path, known,
                               n_known, out, error);
    nlsh__map_close(&map);
    return status;
}

static json_t *json_number(double value)
{
    return value == floor(value) && fabs(value) < 0x1p53 ? json_integer((json_int_t)value)
                                                         : json_real(value);
}

static json_t *json_of_param(const struct nlsh__search_space *space, const struct nlsh__param *p)
{
    json_t *object = json_pack("{s:s}", "name", p->name);
    if (p->kind == NLSH__PARAM_CHOICE) {
        json_t *choices = json_array();
        for (size_t c = 0; c < p->n_choices; c++) {
            json_array_append_new(choices, json_string(p->choices[c]));
        }
        json_object_set_new(object, "choices", choices);
    } else {
        json_object_set_new(object, "range",
                            json_pack("[o, o]", json_number(p->low), json_number(p->high)));
        if (p->log) json_object_set_new(object, "log", json_true());
        if (p->step != (p->kind == NLSH__PARAM_INT)) {
            json_object_set_new(object, "step", json_number(p->step));
        }
    }
    if (p->parent >= 0) {
        const struct nlsh__param *parent = &space->params[p->parent];
        json_t *choices = json_array();
        for (size_t c = 0; c < parent->n_choices; c++) {
            if (!((p->parent_mask >> c) & 1)) continue;
            json_array_append_new(choices, json_string(parent->choices[c]));
        }
        json_object_set_new(object, "when", json_pack("{s:o}", parent->name, choices));
    }
    return object;
}

enum nlsh_status nlsh__space_json(const struct nlsh__search_space *space, char **text,
                                  struct nlsh_error *error)
{
    *text = NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < space->n; i++) {
        json_array_append_new(list, json_of_param(space, &space->params[i]));
    }
    /* jansson's setters take a NULL and say so: what is missing shows in the count. */
    json_t *root = json_pack("{s:o}", "parameters", list);
    if (root && json_array_size(list) == space->n) *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (*text == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    return NLSH_OK;
}
