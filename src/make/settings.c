/*
 * settings.c - the settings of a build by name: one table that the command line, JSON files, the
 * index's record of itself and search spaces all read.
 */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/names.h"
#include "base/rounding.h"
#include "base/sized.h"
#include "make/settings.h"

enum kind { SIZE, AUTO_SIZE, REAL, AUTO_REAL, SEED, CHOICE, MODE };

struct field {
    struct nlsh_setting setting;
    enum kind kind;
    size_t offset;
    double low, high;       /* what a number may be */
    enum nlsh__named names; /* CHOICE: whose */
};

#define SIZED sizeof(struct nlsh_setting)
#define AT(member) offsetof(struct nlsh_build_options, member)
#define NUMBER(kind, member, low, high) kind, AT(member), low, high, 0
#define ONE_OF(member, names) CHOICE, AT(member), 0, 0, names

/* Defaults are measured: docs/algorithm.md has the tables and the commands that make them. */
static const struct field fields[] = {
    {{SIZED, "metric", NLSH__CHOICES(NLSH__METRIC_LIST),
      "what makes a vector near: distance, inner product or angle", "l2"},
     ONE_OF(metric, NLSH__METRIC)},
    {{SIZED, "m", "M",
      "number of buckets; auto: about 60 vectors in each, 1,024 at most (2,048 of 8 million)",
      "auto"},
     NUMBER(AUTO_SIZE, n_buckets, 1, 65536)},
    {{SIZED, "knn", "K", "neighbours of each vector in the graph that is cut", "20"},
     NUMBER(SIZE, knn, 1, 1000)},
    {{SIZED, "imbalance", "E",
      "a bucket holds at most (1 + E) n / m vectors; "
      "auto: 0.2 for metis and kahip, 0.5 else",
      "auto"},
     NUMBER(AUTO_REAL, imbalance, 0, 10)},
    {{SIZED, "seed", "N", "start of the random numbers", "1"}, NUMBER(SEED, seed, 0, 0)},
    {{SIZED, "graph", NLSH__CHOICES(NLSH__GRAPH_LIST),
      "how the k-NN graph is found; auto: exact where that is a matter of seconds, else pieces",
      "auto"},
     ONE_OF(graph, NLSH__GRAPH)},
    {{SIZED, "partitioner", NLSH__CHOICES(NLSH__PARTITIONER_LIST),
      "how buckets are cut; vcycle: k-means's, made better by the graph; auto: kmeans or vcycle, "
      "whichever needs fewer candidates on held-out vectors",
      "auto"},
     ONE_OF(partitioner, NLSH__PARTITIONER)},
    {{SIZED, "kahip_mode", "0..5", "0 fast, 1 eco, 2 strong, 3 to 5 the same for social graphs",
      "1"},
     NUMBER(MODE, kahip_mode, 0, 5)},
    {{SIZED, "labels", NLSH__CHOICES(NLSH__LABELS_LIST),
      "what the router learns: where the neighbours lie, or the vector's "
      "own bucket",
      "soft"},
     ONE_OF(labels, NLSH__LABELS)},
    {{SIZED, "label_knn", "K", "neighbours that make a soft label", "20"},
     NUMBER(SIZE, label_knn, 1, 1000)},
    {{SIZED, "components", "P",
      "principal components that the router sees; auto: 64, 128 from 512 dimensions, or up to "
      "256 where that is quicker by a tenth on a sample",
      "auto"},
     NUMBER(AUTO_SIZE, components, 1, 4096)},
    {{SIZED, "code_bytes", "B",
      "bytes in a vector's short code, two principal components each; 0: no codes, every "
      "distance exact; auto: all that the router sees, or three quarters or a half where "
      "that is quicker on held-out vectors",
      "auto"},
     NUMBER(AUTO_SIZE, code_bytes, 0, 4096)},
    {{SIZED, "leaves", "0|1",
      "1: vectors of a bucket stand in leaves of 16 that lie close together, each with a code that "
      "a search for a recall looks at first; 0, or without codes: they don't; auto: from 128 "
      "vectors "
      "a bucket on, where that saves a fifth of the scan of held-out vectors",
      "auto"},
     NUMBER(AUTO_SIZE, leaves, 0, 1)},
    {{SIZED, "groups", "G",
      "groups of buckets that the router tells apart first; 0: none; auto: none below 256 buckets, "
      "else twice the square root of their number",
      "auto"},
     NUMBER(AUTO_SIZE, groups, 0, 65536)},
    {{SIZED, "layers", "L",
      "hidden layers of the router; auto: 2 for vectors that are stored as bytes, 1 for floats",
      "auto"},
     NUMBER(AUTO_SIZE, layers, 0, 8)},
    {{SIZED, "nodes", "N",
      "nodes in each hidden layer; auto: 128, 256 or 512, whichever with its candidates makes the "
      "quickest query by measurement on held-out vectors",
      "256"},
     NUMBER(AUTO_SIZE, nodes, 1, 4096)},
    {{SIZED, "dropout", "P", "share of nodes dropped while training", "0"},
     NUMBER(REAL, dropout, 0, 0.9)},
    {{SIZED, "epochs", "N", "passes over the vectors; auto: by their number", "auto"},
     NUMBER(AUTO_SIZE, epochs, 1, 100000)},
    {{SIZED, "batch_size", "N", "vectors in a step of training", "256"},
     NUMBER(SIZE, batch_size, 1, 1000000)},
    {{SIZED, "lr", "R", "highest learning rate", "0.008"}, NUMBER(REAL, lr, 1e-9, 10)},
    {{SIZED, "weight_decay", "R", "decay of the weights, decoupled from the gradient", "0.1"},
     NUMBER(REAL, weight_decay, 0, 10)},
    {{SIZED, "refine", "N",
      "rounds of moving vectors to the bucket that the router names, and training "
      "again; each kept only where held-out candidates fall",
      "0"},
     NUMBER(SIZE, refine, 0, 20)},
    {{SIZED, "scheduler", NLSH__CHOICES(NLSH__SCHEDULER_LIST), "how the learning rate falls",
      "cosine"},
     ONE_OF(scheduler, NLSH__SCHEDULER)},
    {{SIZED, "store", NLSH__CHOICES(NLSH__STORE_LIST),
      "what vectors are kept as; auto: the narrowest of bytes, f16 and f32 that holds the given "
      "values exactly; f16, bf16: floats as 16 bits, i8: as bytes and one scale, each of which "
      "rounds them",
      "auto"},
     ONE_OF(store, NLSH__STORE)},
};

enum { N_FIELDS = sizeof fields / sizeof *fields };

const struct nlsh_setting *nlsh_build_setting(size_t i)
{
    return i < N_FIELDS ? &fields[i].setting : NULL;
}

/* "batch-size" is "batch_size", as on the command line. */
static int same_name(const char *a, const char *b)
{
    while (*a != '\0' && (*a == '-' ? '_' : *a) == *b) a++, b++;
    return *a == *b;
}

int nlsh__setting_range(size_t i, struct nlsh__setting_range *out)
{
    if (i >= N_FIELDS || fields[i].kind == SEED) return 0;
    const struct field *f = &fields[i];
    *out = (struct nlsh__setting_range){.low = f->low, .high = f->high};
    if (f->kind == CHOICE) out->choices = nlsh__names(f->names);
    out->kind = f->kind == CHOICE                         ? NLSH__RANGE_CHOICE
                : f->kind == REAL || f->kind == AUTO_REAL ? NLSH__RANGE_REAL
                                                          : NLSH__RANGE_WHOLE;
    return 1;
}

static const struct field *find(const char *name)
{
    for (size_t i = 0; i < N_FIELDS; i++)
        if (same_name(name, fields[i].setting.name)) return &fields[i];
    return NULL;
}

static enum nlsh_status bad(const struct field *f, const char *value, struct nlsh_error *error)
{
    char range[160];
    if (f->kind == CHOICE || f->kind == MODE)
        snprintf(range, sizeof range, "take one of %s", f->setting.argument);
    else if (f->kind == SEED)
        snprintf(range, sizeof range, "take a whole number from 0 to 2^64 - 1");
    else
        snprintf(range, sizeof range, "take a %snumber from %g to %g%s",
                 f->kind == SIZE || f->kind == AUTO_SIZE ? "whole " : "", f->low, f->high,
                 f->kind == AUTO_SIZE || f->kind == AUTO_REAL ? ", or auto" : "");
    return nlsh__fail(error, NLSH_E_ARG, range, "%s is \"%s\"", f->setting.name, value);
}

static int parse_number(const char *text, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && errno == 0 && isfinite(*out) ? 0 : -1;
}

/* As few digits as read back as the same number. */
static int digits_of(double value)
{
    char text[64];
    for (int digits = 6; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return digits;
    }
    return 17;
}

/* The text as a value of the field, in options of ours. */
static enum nlsh_status set_field(struct nlsh_build_options *options, const struct field *f,
                                  const char *value, struct nlsh_error *error)
{
    char *at = (char *)options + f->offset;
    double number = 0;
    int is_auto = strcmp(value, "auto") == 0;
    switch (f->kind) {
    case SIZE:
    case AUTO_SIZE:
    case MODE: {
        size_t size = NLSH_AUTO;
        if (!(f->kind == AUTO_SIZE && is_auto)) {
            if (parse_number(value, &number) != 0 || number != floor(number) || number < f->low ||
                number > f->high)
                return bad(f, value, error);
            size = (size_t)number;
        }
        if (f->kind == MODE)
            *(int *)(void *)at = (int)number;
        else
            *(size_t *)(void *)at = size;
        return NLSH_OK;
    }
    case REAL:
    case AUTO_REAL:
        if (f->kind == AUTO_REAL && is_auto)
            number = NLSH_AUTO_REAL;
        else if (parse_number(value, &number) != 0 || number < f->low || number > f->high)
            return bad(f, value, error);
        *(double *)(void *)at = number;
        return NLSH_OK;
    case SEED: {
        char *end;
        errno = 0;
        unsigned long long seed = strtoull(value, &end, 10);
        if (*value < '0' || *value > '9' || *end != '\0' || errno != 0) return bad(f, value, error);
        *(uint64_t *)(void *)at = seed;
        return NLSH_OK;
    }
    case CHOICE: {
        int choice = nlsh__value(f->names, value);
        if (choice < 0) return bad(f, value, error);
        memcpy(at, &choice, sizeof choice);
        return NLSH_OK;
    }
    }
    return NLSH_E_INTERNAL;
}

enum nlsh_status nlsh_build_options_set(struct nlsh_build_options *options, const char *name,
                                        const char *value, struct nlsh_error *error)
{
    struct nlsh_build_options ours;
    nlsh__error_clear(error);
    const struct field *f = find(name);
    if (f == NULL)
        return nlsh__fail(error, NLSH_E_ARG, "nlsh build --help lists the settings",
                          "there is no setting \"%s\"", name);
    enum nlsh_status status = nlsh__take_settings(options, &ours, error);
    if (status == NLSH_OK) status = set_field(&ours, f, value, error);
    if (status == NLSH_OK && f->offset >= options->struct_size)
        status = nlsh__fail(error, NLSH_E_UNSUPPORTED, "compile the program with newer headers",
                            "the program's options have no room for the setting %s", name);
    if (status == NLSH_OK) nlsh__answer_give(options, &ours, sizeof ours);
    return status;
}

int nlsh_build_options_get(const struct nlsh_build_options *options, const char *name, char *buffer,
                           size_t buffer_size)
{
    struct nlsh_build_options ours;
    const struct field *f = find(name);
    if (f == NULL || nlsh__take_settings(options, &ours, NULL) != NLSH_OK) return 0;
    const char *at = (const char *)&ours + f->offset;
    int choice;
    switch (f->kind) {
    case SIZE:
    case AUTO_SIZE:
        if (*(const size_t *)(const void *)at == NLSH_AUTO)
            snprintf(buffer, buffer_size, "auto");
        else
            snprintf(buffer, buffer_size, "%zu", *(const size_t *)(const void *)at);
        break;
    case MODE: snprintf(buffer, buffer_size, "%d", *(const int *)(const void *)at); break;
    case REAL:
    case AUTO_REAL:
        if (f->kind == AUTO_REAL && *(const double *)(const void *)at < 0)
            snprintf(buffer, buffer_size, "auto");
        else
            snprintf(buffer, buffer_size, "%.*g", digits_of(*(const double *)(const void *)at),
                     *(const double *)(const void *)at);
        break;
    case SEED:
        snprintf(buffer, buffer_size, "%llu",
                 (unsigned long long)*(const uint64_t *)(const void *)at);
        break;
    case CHOICE:
        memcpy(&choice, at, sizeof choice);
        if (nlsh__name(f->names, choice) != NULL)
            snprintf(buffer, buffer_size, "%s", nlsh__name(f->names, choice));
        else
            snprintf(buffer, buffer_size, "%d", choice); /* a caller's mistake, shown as it is */
        break;
    }
    return 1;
}

void nlsh_build_options_init(struct nlsh_build_options *options, size_t size)
{
    struct nlsh_build_options ours = {.struct_size = sizeof ours};
    for (size_t i = 0; i < N_FIELDS; i++) /* the table's own defaults: a test sets every one */
        (void)!set_field(&ours, &fields[i], fields[i].setting.default_value, NULL);
    nlsh__options_init(options, size, &ours, sizeof ours);
}

enum nlsh_status nlsh__take_settings(const struct nlsh_build_options *given,
                                     struct nlsh_build_options *out, struct nlsh_error *error)
{
    nlsh_build_options_init(out, sizeof *out);
    return nlsh__options_take(out, sizeof *out, given, "nlsh_build_options", error);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

/* *number is what the options have; returns 1 where it is nothing that the table allows. */
static int is_outside(const struct field *f, const struct nlsh_build_options *options,
                      double *number)
{
    const char *at = (const char *)options + f->offset;
    int choice;
    switch (f->kind) {
    case SIZE:
    case AUTO_SIZE:
        if (f->kind == AUTO_SIZE && *(const size_t *)(const void *)at == NLSH_AUTO) return 0;
        *number = (double)*(const size_t *)(const void *)at;
        break;
    case MODE: *number = *(const int *)(const void *)at; break;
    case REAL:
    case AUTO_REAL:
        *number = *(const double *)(const void *)at;
        if (f->kind == AUTO_REAL && *number == NLSH_AUTO_REAL) return 0;
        break;
    case SEED: return 0;
    case CHOICE:
        memcpy(&choice, at, sizeof choice);
        *number = choice;
        return nlsh__name(f->names, choice) == NULL;
    }
    return !(*number >= f->low && *number <= f->high); /* NAN too */
}

enum nlsh_status nlsh__settings_check(const struct nlsh_build_options *options,
                                      struct nlsh_error *error)
{
    double number = 0;
    for (size_t i = 0; i < N_FIELDS; i++) {
        const struct field *f = &fields[i];
        if (!is_outside(f, options, &number)) continue;
        if (f->kind == CHOICE)
            return nlsh__fail(error, NLSH_E_ARG, "use the names that the header gives its values",
                              "%s is %g: there is no such choice", f->setting.name, number);
        return nlsh__fail(
            error, NLSH_E_ARG, "nlsh build --help lists the settings and their ranges",
            "%s is %g: it must lie between %g and %g", f->setting.name, number, f->low, f->high);
    }
    if (options->store_scale == 0 || nlsh__is_scale(options->store_scale)) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "give 0, and it is chosen",
                      "store_scale is %g: bytes cannot be scaled by that",
                      (double)options->store_scale);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static const char *json_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_NULL: return "null";
    default: return json_is_true(value) ? "true" : "false";
    }
}

/* A value of the file as the text that nlsh_build_options_set() takes. */
static enum nlsh_status set_json(struct nlsh_build_options *options, const char *name,
                                 const json_t *value, struct nlsh_error *error)
{
    char number[64];
    const char *text = number;
    if (json_is_string(value))
        text = json_string_value(value);
    else if (json_is_integer(value))
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(number, sizeof number, "%.17g", json_real_value(value));
    else if (find(name) != NULL)
        return nlsh__fail(error, NLSH_E_ARG, "give a number or a text in quotes", "%s is %s", name,
                          json_kind(value));
    else
        number[0] = '\0';
    return nlsh_build_options_set(options, name, text, error);
}

/* Settings of a JSON object, all or none. whence: for messages. Frees root. */
static enum nlsh_status take_object(const char *whence, json_t *root,
                                    struct nlsh_build_options *options, struct nlsh_error *error)
{
    struct nlsh_build_options read;
    enum nlsh_status status = nlsh__take_settings(options, &read, error);
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        struct nlsh_error inner;
        if (status != NLSH_OK) break;
        status = set_json(&read, name, value, &inner);
        if (status != NLSH_OK)
            status = nlsh__fail(error, status, inner.hint, "%s: %s", whence, inner.message);
    }
    json_decref(root);
    if (status == NLSH_OK) nlsh__answer_give(options, &read, sizeof read);
    return status;
}

enum nlsh_status nlsh__settings_of(const char *whence, const char *json,
                                   struct nlsh_build_options *options, struct nlsh_error *error)
{
    json_error_t where;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &where);
    if (root != NULL && json_is_object(root)) return take_object(whence, root, options, error);
    json_decref(root);
    return nlsh__fail(error, NLSH_E_DATA, "build the index again",
                      "%s: its settings cannot be read as a JSON object", whence);
}

enum nlsh_status nlsh_build_options_read(const char *path, struct nlsh_build_options *options,
                                         struct nlsh_error *error)
{
    json_error_t where;
    enum nlsh_status status = NLSH_OK;
    nlsh__error_clear(error);
    FILE *file;
    NLSH_TRY(nlsh__stream_open(path, &file, error));
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
    int stopped = ferror(file) && errno == EINTR;
    fclose(file);
    if (root == NULL && stopped)
        return nlsh__fail(error, NLSH_E_INTERRUPTED, NULL, "stopped while waiting for %s", path);
    if (root == NULL || !json_is_object(root)) {
        status =
            nlsh__fail(error, NLSH_E_DATA, "write an object, {\"m\": 256, \"labels\": \"soft\"}",
                       "%s: line %d: %s", path, root == NULL ? where.line : 1,
                       root == NULL ? where.text : "not a JSON object");
        json_decref(root);
        return status;
    }
    status = take_object(path, root, options, error);
out:
    return status;
}

char *nlsh__settings_json(const struct nlsh_build_options *options)
{
    json_t *root = json_object();
    char text[64];
    int digits = 6; /* all reals are written with as many as the one that needs most */
    for (size_t i = 0; i < N_FIELDS && root != NULL; i++) {
        const struct field *f = &fields[i];
        nlsh_build_options_get(options, f->setting.name, text, sizeof text);
        /* What came after 0.2 only where it is asked for: an older nlsh does not know it. */
        if (f->offset > AT(train_queries) && strcmp(text, f->setting.default_value) == 0) continue;
        double number = 0;
        json_t *value;
        unsigned long long whole = strtoull(text, NULL, 10);
        /* JSON's whole numbers are signed here: a seed beyond them is written as text. */
        if (f->kind == CHOICE || parse_number(text, &number) != 0 ||
            (f->kind == SEED && whole > INT64_MAX))
            value = json_string(text);
        else if (f->kind == REAL || f->kind == AUTO_REAL)
            value = json_real(number);
        else
            value = json_integer((json_int_t)whole);
        if (json_is_real(value) && digits_of(number) > digits) digits = digits_of(number);
        json_object_set_new(root, f->setting.name, value);
    }
    size_t flags = JSON_PRESERVE_ORDER | JSON_REAL_PRECISION((size_t)digits);
    char *result = root != NULL ? json_dumps(root, flags) : NULL;
    json_decref(root);
    return result;
}
