/*
 * inputs.c - what the verbs share: vector files read as the flags say, the settings of a run.
 */
#include "inputs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/matrix.h"
#include "base/names.h"
#include "signals.h"
#include "talk.h"
#include "vectors/read.h"

/* ---- files by -type -------------------------------------------------------------------------- */

const char *vectors_type(const struct args *args)
{
    const char *format = args_text(args, "input_format");
    return format != NULL ? format : args_text(args, "type");
}

enum nlsh_status read_vectors(const char *path, enum nlsh_format format, struct nlsh_vectors **out,
                              struct nlsh_error *error)
{
    struct nlsh_run run;
    nlsh_run_init(&run, sizeof run);
    run.progress = talk_progress;
    if (strcmp(path, "-") == 0)
        return nlsh__vectors_read_stream(STDIN_FILENO, "standard input", format, &run, out, error);
    return nlsh__vectors_read_with(path, format, &run, out, error);
}

static bool type_allows(const char *type, enum nlsh_format format)
{
    if (strcmp(type, "sift") == 0) {
        return format == NLSH_FORMAT_FVECS || format == NLSH_FORMAT_BVECS;
    }
    return strcmp(type, "mnist") != 0 || format == NLSH_FORMAT_IDX;
}

enum nlsh_status typed_format(const char *path, const char *type, enum nlsh_format *out,
                              struct nlsh_error *error)
{
    enum nlsh_format named = nlsh_format_from_name(type);
    *out = named != NLSH_FORMAT_AUTO ? named : nlsh__format_of_path(path);
    if (named == NLSH_FORMAT_AUTO && *out != NLSH_FORMAT_AUTO && !type_allows(type, *out)) {
        error->status = NLSH_E_DATA;
        snprintf(error->message, sizeof error->message, "%s is %s, but -type %s means %s", path,
                 nlsh_format_name(*out), type,
                 strcmp(type, "sift") == 0 ? "fvecs or bvecs" : "idx");
        snprintf(error->hint, sizeof error->hint, "leave -type out, or give -type auto");
        return NLSH_E_DATA;
    }
    if (strcmp(type, "mnist") == 0) *out = NLSH_FORMAT_IDX;
    return NLSH_OK;
}

/* -type sift on a name without a known ending: whichever of the two the content fits. */
static enum nlsh_status read_sift(const char *path, struct nlsh_vectors **out,
                                  struct nlsh_error *error)
{
    struct nlsh_error other;
    enum nlsh_status status = read_vectors(path, NLSH_FORMAT_FVECS, out, error);
    if (status != NLSH_E_DATA) return status;
    return read_vectors(path, NLSH_FORMAT_BVECS, out, &other) == NLSH_OK ? NLSH_OK : status;
}

enum nlsh_status read_typed(const char *path, const char *type, struct nlsh_vectors **out,
                            struct nlsh_error *error)
{
    enum nlsh_format format;
    enum nlsh_status status = typed_format(path, type, &format, error);
    if (status != NLSH_OK) return status;
    if (strcmp(type, "sift") == 0 && format == NLSH_FORMAT_AUTO) return read_sift(path, out, error);
    return read_vectors(path, format, out, error);
}

int load_vectors(const char *path, const char *type, struct loaded *out)
{
    struct nlsh_error error = {0};
    memset(out, 0, sizeof *out);
    talk_progress(NULL, "reading", 0, 0);
    if (read_typed(path, type, &out->vectors, &error) != NLSH_OK) return talk_failed(&error);
    talk_stage_end();
    out->matrix = *nlsh_vectors_matrix(out->vectors);
    out->format = nlsh_vectors_format(out->vectors);
    if (signal_came()) {
        loaded_free(out);
        error.status = NLSH_E_INTERRUPTED;
        return talk_failed(&error);
    }
    return 0;
}

void loaded_free(struct loaded *loaded)
{
    free(loaded->converted);
    nlsh_vectors_free(loaded->vectors);
    memset(loaded, 0, sizeof *loaded);
}

/* ---- values ---------------------------------------------------------------------------------- */

const char *type_name(enum nlsh_type type)
{
    return nlsh__type_name(type);
}

static double value_at(const struct nlsh_matrix *matrix, size_t i)
{
    switch (matrix->type) {
    case NLSH_U8: return ((const uint8_t *)matrix->data)[i];
    case NLSH_I8: return ((const int8_t *)matrix->data)[i];
    case NLSH_F32: return (double)((const float *)matrix->data)[i];
    case NLSH_I32: return ((const int32_t *)matrix->data)[i];
    default: return 0; /* files are read as these */
    }
}

static bool value_fits(double value, enum nlsh_type type)
{
    if (type == NLSH_F32) return (double)(float)value == value;
    double low = type == NLSH_U8 ? 0 : type == NLSH_I8 ? -128 : INT32_MIN;
    double high = type == NLSH_U8 ? 255 : type == NLSH_I8 ? 127 : INT32_MAX;
    return value >= low && value <= high && floor(value) == value;
}

static void value_put(void *to, enum nlsh_type type, size_t i, double value)
{
    switch (type) {
    case NLSH_U8: ((uint8_t *)to)[i] = (uint8_t)value; break;
    case NLSH_I8: ((int8_t *)to)[i] = (int8_t)value; break;
    case NLSH_F32: ((float *)to)[i] = (float)value; break;
    case NLSH_I32: ((int32_t *)to)[i] = (int32_t)value; break;
    default: break; /* nobody asks for another */
    }
}

bool loaded_convert(struct loaded *loaded, enum nlsh_type type)
{
    /* an index that stores these was made of floats */
    if (type == NLSH_F16 || type == NLSH_BF16) type = NLSH_F32;
    struct nlsh_matrix *matrix = &loaded->matrix;
    size_t n = matrix->n_rows * matrix->dim;
    if (matrix->type == type) return true;
    void *values = calloc(n ? n : 1, nlsh__type_size(type));
    if (values == NULL) return false;
    for (size_t i = 0; i < n; i++) {
        double value = value_at(matrix, i);
        if (!value_fits(value, type)) {
            free(values);
            return false;
        }
        value_put(values, type, i, value);
    }
    free(loaded->converted);
    nlsh_vectors_free(loaded->vectors);
    loaded->vectors = NULL;
    loaded->converted = values;
    matrix->data = values;
    matrix->type = type;
    return true;
}

double row_distance(enum nlsh_metric metric, const struct nlsh_matrix *a, size_t i,
                    const struct nlsh_matrix *b, size_t j)
{
    double l2sq = 0, product = 0, left = 0, right = 0;
    for (size_t d = 0; d < a->dim; d++) {
        double x = value_at(a, i * a->dim + d), y = value_at(b, j * b->dim + d);
        l2sq += (x - y) * (x - y);
        product += x * y;
        left += x * x;
        right += y * y;
    }
    if (metric == NLSH_IP) return -product;
    return metric == NLSH_COSINE ? 1 - product / sqrt(left * right) : sqrt(l2sq);
}

enum nlsh_metric metric_named(const char *name)
{
    return (enum nlsh_metric)nlsh__value(NLSH__METRIC, name); /* the parser let no other through */
}

struct nlsh_matrix matrix_rows(const struct nlsh_matrix *matrix, size_t first, size_t n)
{
    struct nlsh_matrix rows = *matrix;
    rows.data = (const char *)matrix->data + first * matrix->dim * nlsh__type_size(matrix->type);
    rows.n_rows = n;
    return rows;
}

/* The library would say so too, but it counts from the first query of each call. */
static int check_lengths(const char *path, const struct loaded *queries)
{
    const struct nlsh_matrix *m = &queries->matrix;
    for (size_t i = 0; i < m->n_rows; i++) {
        size_t d = 0;
        while (d < m->dim && value_at(m, i * m->dim + d) == 0) d++;
        if (d < m->dim) continue;
        return talk_error(EXIT_BAD_DATA, "take it out: no vector is near it by its angle",
                          "%s: query %zu is all zeros: it has no direction, and so no cosine", path,
                          i);
    }
    return 0;
}

int load_queries(const char *path, const char *type, const char *index_path,
                 const struct nlsh_index_info *info, struct loaded *out)
{
    int code = load_vectors(path, type, out);
    if (code != 0) return code;
    if (out->matrix.dim != info->dim) {
        code = talk_error(EXIT_BAD_DATA, "take queries of the kind that the index was built from",
                          "the queries in %s have %zu values each, the vectors of %s have %zu",
                          path, out->matrix.dim, index_path, info->dim);
        loaded_free(out);
        return code;
    }
    if (loaded_convert(out, info->type) || loaded_convert(out, NLSH_F32)) {
        if (info->metric == NLSH_COSINE) code = check_lengths(path, out);
        if (code != 0) loaded_free(out);
        return code;
    }
    loaded_free(out);
    return talk_error(EXIT_BAD_DATA, "queries are bytes or 32-bit floats",
                      "the queries in %s hold whole numbers that no 32-bit float can hold", path);
}

/* ---- an index -------------------------------------------------------------------------------- */

enum nlsh_memory memory_named(const struct args *args)
{
    const char *name = args_text(args, "memory");
    return strcmp(name, "map") == 0     ? NLSH_MEMORY_MAP
           : strcmp(name, "codes") == 0 ? NLSH_MEMORY_CODES
                                        : NLSH_MEMORY_ALL;
}

enum nlsh_status open_index(const char *path, enum nlsh_memory memory, struct nlsh_index **out,
                            struct nlsh_error *error)
{
    struct nlsh_open_options options;
    nlsh_open_options_init(&options, sizeof options);
    options.memory = memory;
    return nlsh_index_open(path, &options, out, error);
}

/* ---- a run ----------------------------------------------------------------------------------- */

void run_init(const struct args *args, struct nlsh_run *run)
{
    nlsh_run_init(run, sizeof *run);
    run->progress = talk_progress;
    run->note = talk_note;
    if (args_has(args, "threads") && args_given(args, "threads")) {
        run->n_threads = args_count(args, "threads");
    }
    if (!args_has(args, "no-cache") || args_given(args, "no-cache")) {
        run->cache_dir = NULL;
    } else if (args_given(args, "cache")) {
        run->cache_dir = args_text(args, "cache");
    } else {
        run->cache_dir = nlsh_cache_default_dir();
    }
}
