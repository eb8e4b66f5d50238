/*
 * params.c - spaces of settings and points of them; the checks that all who hold one rely on. Ours;
 * the representation of a point is Optuna's (Akiba et al. 2019), so that a study stores it as it is.
 */
#include "tune/sample/params.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* ---- making one ------------------------------------------------------------------------------ */

/* The last grid value not above high, in whole steps from low. The 1e-9 forgives a high such as .3
 * over a step of .1, whose quotient is a little below 3. */
static double last_on_grid(double low, double high, double step)
{
    if (!(step > 0) || !(high > low)) return high;
    return low + floor((high - low) / step + 1e-9) * step;
}

/* Copies a text that fits; one that does not leaves "", which the check refuses. */
static void copy_name(char out[NLSH__MAX_PARAM_NAME], const char *name)
{
    size_t length = name ? strlen(name) : 0;
    memset(out, 0, NLSH__MAX_PARAM_NAME);
    if (length < NLSH__MAX_PARAM_NAME && length > 0) memcpy(out, name, length);
}

/* Keeps the parameter behind the last one if the space is still sound with it. */
static int keep(struct nlsh__search_space *space)
{
    int index = (int)space->n++;
    if (nlsh__space_check(space, NULL) == NLSH_OK) return index;
    space->n--;
    return -1;
}

static int add_range(struct nlsh__search_space *space, const char *name, enum nlsh__param_kind kind,
                     double low, double high, int log_scale, double step)
{
    if (space->n >= NLSH__MAX_PARAMS) return -1;
    struct nlsh__param *p = &space->params[space->n];
    *p = (struct nlsh__param){
        .kind = kind, .low = low, .log = log_scale, .step = step, .parent = -1};
    p->high = last_on_grid(low, high, step);
    copy_name(p->name, name);
    return keep(space);
}

int nlsh__space_float(struct nlsh__search_space *space, const char *name, double low, double high,
                      int log_scale, double step)
{
    return add_range(space, name, NLSH__PARAM_FLOAT, low, high, log_scale, step);
}

int nlsh__space_int(struct nlsh__search_space *space, const char *name, double low, double high,
                    int log_scale, double step)
{
    return add_range(space, name, NLSH__PARAM_INT, low, high, log_scale, step);
}

int nlsh__space_choice(struct nlsh__search_space *space, const char *name,
                       const char *const *choices, size_t n_choices)
{
    if (space->n >= NLSH__MAX_PARAMS || n_choices > NLSH__MAX_CHOICES) return -1;
    struct nlsh__param *p = &space->params[space->n];
    *p = (struct nlsh__param){.kind = NLSH__PARAM_CHOICE, .n_choices = n_choices, .parent = -1};
    copy_name(p->name, name);
    for (size_t c = 0; c < n_choices; c++) copy_name(p->choices[c], choices[c]);
    return keep(space);
}

void nlsh__space_when(struct nlsh__search_space *space, int parent, uint32_t mask)
{
    if (space->n == 0) return;
    space->params[space->n - 1].parent = parent;
    space->params[space->n - 1].parent_mask = mask;
}

/* ---- the check ------------------------------------------------------------------------------- */

static enum nlsh_status check_range(const struct nlsh__param *p, struct nlsh_error *error)
{
    if (!isfinite(p->low) || !isfinite(p->high) || !isfinite(p->step)) {
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: its range or step is no finite number",
                          p->name);
    }
    if (p->low > p->high) {
        return nlsh__fail(error, NLSH_E_ARG, "the lower end comes first",
                          "%s: the range [%g, %g] is empty", p->name, p->low, p->high);
    }
    if (p->log && p->low <= 0) {
        return nlsh__fail(error, NLSH_E_ARG, "begin above 0, or take log away",
                          "%s: a range by logarithm cannot begin at %g", p->name, p->low);
    }
    int is_int = p->kind == NLSH__PARAM_INT;
    if (p->step < 0 || (is_int && (p->step < 1 || p->step != floor(p->step)))) {
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: a step of %g is none", p->name, p->step);
    }
    if (p->log && p->step != (is_int ? 1 : 0)) {
        return nlsh__fail(error, NLSH_E_ARG, "take one of the two away",
                          "%s: log and a step of %g do not go together", p->name, p->step);
    }
    /* Beyond 2^53 a double has no longer every whole number. */
    if (is_int && (p->low != floor(p->low) || p->high != floor(p->high) || fabs(p->low) > 0x1p53 ||
                   fabs(p->high) > 0x1p53)) {
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: [%g, %g] does not end in whole numbers",
                          p->name, p->low, p->high);
    }
    return NLSH_OK;
}

static enum nlsh_status check_choices(const struct nlsh__param *p, struct nlsh_error *error)
{
    if (p->n_choices == 0 || p->n_choices > NLSH__MAX_CHOICES) {
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: %zu choices, between 1 and %d are possible",
                          p->name, p->n_choices, NLSH__MAX_CHOICES);
    }
    for (size_t c = 0; c < p->n_choices; c++) {
        if (p->choices[c][0] == 0) {
            return nlsh__fail(error, NLSH_E_ARG, NULL,
                              "%s: choice %zu is empty or longer than %d characters", p->name, c,
                              NLSH__MAX_PARAM_NAME - 1);
        }
        for (size_t d = 0; d < c; d++) {
            if (strcmp(p->choices[c], p->choices[d]) == 0) {
                return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: the choice %s is there twice",
                                  p->name, p->choices[c]);
            }
        }
    }
    return NLSH_OK;
}

static enum nlsh_status check_condition(const struct nlsh__search_space *space, size_t i,
                                        struct nlsh_error *error)
{
    const struct nlsh__param *p = &space->params[i];
    if (p->parent < 0) return NLSH_OK;
    if ((size_t)p->parent >= i) {
        return nlsh__fail(error, NLSH_E_ARG, "put the parameter it depends on before it",
                          "%s: depends on one that does not come before it", p->name);
    }
    const struct nlsh__param *parent = &space->params[p->parent];
    if (parent->kind != NLSH__PARAM_CHOICE) {
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: depends on %s, which has no choices",
                          p->name, parent->name);
    }
    if ((p->parent_mask & ((UINT32_C(1) << parent->n_choices) - 1)) == 0) {
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: none of %s's choices lets it be there",
                          p->name, parent->name);
    }
    return NLSH_OK;
}

static enum nlsh_status check_param(const struct nlsh__search_space *space, size_t i,
                                    struct nlsh_error *error)
{
    const struct nlsh__param *p = &space->params[i];
    if (p->name[0] == 0) {
        return nlsh__fail(error, NLSH_E_ARG, NULL,
                          "parameter %zu has no name, or one of more than %d characters", i,
                          NLSH__MAX_PARAM_NAME - 1);
    }
    for (size_t j = 0; j < i; j++) {
        if (strcmp(space->params[j].name, p->name) == 0) {
            return nlsh__fail(error, NLSH_E_ARG, NULL, "%s is there twice", p->name);
        }
    }
    enum nlsh_status status =
        p->kind == NLSH__PARAM_CHOICE ? check_choices(p, error) : check_range(p, error);
    return status == NLSH_OK ? check_condition(space, i, error) : status;
}

enum nlsh_status nlsh__space_check(const struct nlsh__search_space *space, struct nlsh_error *error)
{
    if (space->n == 0 || space->n > NLSH__MAX_PARAMS) {
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%zu parameters, between 1 and %d are possible",
                          space->n, NLSH__MAX_PARAMS);
    }
    for (size_t i = 0; i < space->n; i++) {
        enum nlsh_status status = check_param(space, i, error);
        if (status != NLSH_OK) return status;
    }
    return NLSH_OK;
}

/* ---- points ---------------------------------------------------------------------------------- */

int nlsh__space_find(const struct nlsh__search_space *space, const char *name)
{
    for (size_t i = 0; i < space->n; i++) {
        if (strcmp(space->params[i].name, name) == 0) return (int)i;
    }
    return -1;
}

int nlsh__params_active(const struct nlsh__search_space *space, const double *values, size_t i)
{
    const struct nlsh__param *p = &space->params[i];
    if (p->parent < 0) return 1;
    double choice = values[p->parent];
    if (!(choice >= 0 && choice < NLSH__MAX_CHOICES)) return 0; /* absent, or no choice at all */
    return (p->parent_mask >> (unsigned)choice) & 1;
}

/* Whether a value that is there lies inside its parameter's range and on its grid. */
static int fits(const struct nlsh__param *p, double value)
{
    if (p->kind == NLSH__PARAM_CHOICE) {
        return value >= 0 && value < (double)p->n_choices && value == floor(value);
    }
    if (!(value >= p->low && value <= p->high)) return 0;
    if (p->kind == NLSH__PARAM_INT && value != floor(value)) return 0;
    if (p->step == 0) return 1;
    double steps = (value - p->low) / p->step;
    return fabs(steps - round(steps)) < 1e-6;
}

enum nlsh_status nlsh__params_check(const struct nlsh__search_space *space, const double *values,
                                    struct nlsh_error *error)
{
    for (size_t i = 0; i < space->n; i++) {
        const struct nlsh__param *p = &space->params[i];
        int active = nlsh__params_active(space, values, i);
        if (!active && isnan(values[i])) continue;
        if (active && fits(p, values[i])) continue;
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: the value %g %s", p->name, values[i],
                          !active            ? "is there, though its condition does not hold"
                          : isnan(values[i]) ? "is missing"
                                             : "is not one of its range");
    }
    return NLSH_OK;
}

int nlsh__params_equal(const struct nlsh__search_space *space, const double *a, const double *b)
{
    for (size_t i = 0; i < space->n; i++) {
        if (isnan(a[i]) != isnan(b[i])) return 0;
        if (!isnan(a[i]) && a[i] != b[i]) return 0;
    }
    return 1;
}

double nlsh__param_number(const struct nlsh__param *param, double value)
{
    if (param->kind != NLSH__PARAM_CHOICE) return value;
    if (!fits(param, value)) return NAN;
    const char *text = param->choices[(size_t)value];
    char *end;
    double number = strtod(text, &end);
    return *end == 0 ? number : NAN;
}

void nlsh__param_text(const struct nlsh__param *param, double value,
                      char text[NLSH__MAX_PARAM_NAME])
{
    text[0] = 0;
    if (isnan(value)) return;
    if (param->kind == NLSH__PARAM_CHOICE && fits(param, value)) {
        memcpy(text, param->choices[(size_t)value], NLSH__MAX_PARAM_NAME);
        return;
    }
    /* The shortest of the three that reads back as the same number; 17 digits always do. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, NLSH__MAX_PARAM_NAME, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}
