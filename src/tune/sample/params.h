/*
 * params.h - the space of settings that a tuner searches, and points of it.
 *
 * A point is `double values[space->n]`: a FLOAT as it is, an INT as a whole number, a CHOICE as the
 * index of its choice, NAN where the parameter is absent because its condition does not hold. That
 * is Optuna's internal representation too, so a study stores it as it stands.
 */
#ifndef NLSH_TUNE_SAMPLE_PARAMS_H
#define NLSH_TUNE_SAMPLE_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

#define NLSH__MAX_PARAMS 32
#define NLSH__MAX_CHOICES 16
#define NLSH__MAX_PARAM_NAME 32 /* with its final zero; a choice's too */

enum nlsh__param_kind { NLSH__PARAM_FLOAT, NLSH__PARAM_INT, NLSH__PARAM_CHOICE };

struct nlsh__param {
    char name[NLSH__MAX_PARAM_NAME];
    enum nlsh__param_kind kind;
    double low, high; /* FLOAT and INT: both ends belong to it; high lies on the grid of step */
    int log;          /* searched by its logarithm: low > 0, and step 0 or (INT) 1 */
    double step;      /* FLOAT: 0 for none; INT: a whole number >= 1 */
    size_t n_choices;
    char choices[NLSH__MAX_CHOICES][NLSH__MAX_PARAM_NAME];
    int parent;           /* -1: always there; else the index, lower than its own, of a CHOICE */
    uint32_t parent_mask; /* bit c: there where the parent is there and its choice is c */
};

struct nlsh__search_space {
    size_t n;
    struct nlsh__param params[NLSH__MAX_PARAMS];
};

/*
 * Append a parameter; *space begins as {0}. Each returns the parameter's index or, where something is
 * wrong with it (what nlsh__space_check() says) or the space is full, -1. A high that is not on the
 * grid of step is lowered to it.
 */
int nlsh__space_float(struct nlsh__search_space *space, const char *name, double low, double high,
                      int log, double step);
int nlsh__space_int(struct nlsh__search_space *space, const char *name, double low, double high,
                    int log, double step);
int nlsh__space_choice(struct nlsh__search_space *space, const char *name,
                       const char *const *choices, size_t n_choices);
/* Makes the last parameter there only where `parent` has one of the choices in mask. */
void nlsh__space_when(struct nlsh__search_space *space, int parent, uint32_t mask);

/* NLSH_E_ARG with what is wrong: a name that is empty or there twice, an empty range, log from 0 or
 * below, a step that is none, no choices, one twice, a condition on what comes later or is no
 * choice, or that never holds. */
enum nlsh_status nlsh__space_check(const struct nlsh__search_space *space,
                                   struct nlsh_error *error);

/* The index of a name, or -1. */
int nlsh__space_find(const struct nlsh__search_space *space, const char *name);

/* Whether parameter i is there, given the values before it. */
int nlsh__params_active(const struct nlsh__search_space *space, const double *values, size_t i);

/* Whether a point belongs to the space: NAN exactly where absent, inside the ranges, whole where
 * whole numbers are meant. NLSH_E_ARG names the parameter and the value. */
enum nlsh_status nlsh__params_check(const struct nlsh__search_space *space, const double *values,
                                    struct nlsh_error *error);

/* Whether two points are the same (bit for bit; absent equals absent). */
int nlsh__params_equal(const struct nlsh__search_space *space, const double *a, const double *b);

/* A value as a number: a CHOICE's text is read as one ("256": 256), NAN where it is none. */
double nlsh__param_number(const struct nlsh__param *param, double value);
/* A value as text, as trials.csv shows it; empty where absent. Any double survives it. */
void nlsh__param_text(const struct nlsh__param *param, double value,
                      char text[NLSH__MAX_PARAM_NAME]);

/* A parameter that the caller can tune: what a file may say of it. */
struct nlsh__known_param {
    const char *name;
    enum nlsh__param_kind kind;
    double low, high;           /* FLOAT, INT: the widest range that makes sense */
    const char *const *choices; /* CHOICE: those there are, ended by NULL */
};

/*
 * nlsh__space_read() - a space from a JSON file:
 *
 *   {"parameters": [
 *     {"name": "layers", "range": [1, 4]},
 *     {"name": "learning_rate", "range": [1e-4, 1e-1], "log": true},
 *     {"name": "nodes", "choices": [64, 128, 256]},
 *     {"name": "labels", "choices": ["soft", "hard"]},
 *     {"name": "label_k", "range": [5, 50], "step": 5, "when": {"labels": ["soft"]}}]}
 *
 * known says which names there are and of which kind. A numeric parameter may have choices instead
 * of a range: it is then a CHOICE, and nlsh__param_number() reads it.
 * Returns NLSH_E_NO_INPUT; NLSH_E_DATA (not JSON, or a form it has not); NLSH_E_ARG (a name that is
 * not known, an empty range ...), with the file, the parameter and the value in the message. *out is
 * untouched on error.
 */
enum nlsh_status nlsh__space_read(const char *path, const struct nlsh__known_param *known,
                                  size_t n_known, struct nlsh__search_space *out,
                                  struct nlsh_error *error);

/* The same from text; origin stands for the file in messages. */
enum nlsh_status nlsh__space_parse(const char *text, size_t length, const char *origin,
                                   const struct nlsh__known_param *known, size_t n_known,
                                   struct nlsh__search_space *out, struct nlsh_error *error);

/* The space in that form, the inverse of nlsh__space_parse(). The caller frees *text. */
enum nlsh_status nlsh__space_json(const struct nlsh__search_space *space, char **text,
                                  struct nlsh_error *error);

#endif
