/* space.c - see space.h. The ranges of the default spaces are what networks of this
 * size are tried with; each holds the build's default, so that the first trial is a point of it. */
#include "tune/run/space.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/names.h"
#include "make/settings.h"

enum { MAX_KNOWN = 64 };

/* ---- the default spaces ---------------------------------------------------------------------- */

void nlsh__space_network(const struct nlsh_build_options *build, struct nlsh__search_space *out)
{
    static const char *const batches[] = {"256", "512", "1024", "2048"};
    *out = (struct nlsh__search_space){0};
    (void)nlsh__space_int(out, "layers", 1, 4, 0, 1);
    (void)nlsh__space_int(out, "nodes", 64, 1024, 1, 1);
    /* Steps, so that 0, none at all, is as likely as any. */
    (void)nlsh__space_float(out, "dropout", 0, 0.5, 0, 0.05);
    /* Above .03 most networks of this space diverge. */
    (void)nlsh__space_float(out, "lr", 1e-3, 3e-2, 1, 0);
    (void)nlsh__space_float(out, "weight_decay", 1e-3, 0.5, 1, 0);
    (void)nlsh__space_choice(out, "batch_size", batches, 4);
    (void)nlsh__space_choice(out, "scheduler", nlsh__names(NLSH__SCHEDULER), 4);
    int parent = nlsh__space_choice(out, "labels", nlsh__names(NLSH__LABELS), 2);
    (void)nlsh__space_int(out, "label_knn", 5, 40, 0, 5);
    nlsh__space_when(out, parent, 1u << 0);
    /* Pieces only where they are the default: elsewhere the exact graph is a matter of seconds. */
    if (build->metric != NLSH_IP)
        (void)nlsh__space_choice(out, "graph", nlsh__names(NLSH__GRAPH),
                                 build->graph == NLSH_GRAPH_PIECES ? 3 : 2);
}

void nlsh__space_partition(const struct nlsh_build_options *build, struct nlsh__search_space *out)
{
    static const char *const imbalances[] = {"0.03", "0.1", "0.2", "0.5", "1"};
    /* KaHIP where it is the given one alone. One cut of MNIST into 1,024 buckets, a third of what a
     * trial of three folds takes: METIS 2.1 s, KaHIP's fast mode 9.6 s for .3 % fewer edges cut, its
     * eco mode, which is the default, more than 140 s (one core of an Intel Xeon with AMX). */
    int kahip = build->partitioner == NLSH_PARTITIONER_KAHIP;
    enum nlsh_partitioner by_graph = build->partitioner == NLSH_PARTITIONER_METIS
                                         ? NLSH_PARTITIONER_METIS
                                         : NLSH_PARTITIONER_VCYCLE;
    const char *const partitioners[] = {nlsh__name(NLSH__PARTITIONER, (int)by_graph),
                                        nlsh__name(NLSH__PARTITIONER, NLSH_PARTITIONER_KMEANS),
                                        nlsh__name(NLSH__PARTITIONER, NLSH_PARTITIONER_KAHIP)};
    char sizes[3][NLSH__MAX_PARAM_NAME];
    const char *m[3];
    size_t n = 0;
    for (int i = -1; i <= 1; i++) {
        size_t size = i < 0 ? build->n_buckets / 2 : build->n_buckets << i;
        if (size < 2 || size > 65536) continue;
        snprintf(sizes[n], sizeof sizes[n], "%zu", size);
        m[n] = sizes[n];
        n++;
    }
    *out = (struct nlsh__search_space){0};
    if (n > 1) (void)nlsh__space_choice(out, "m", m, n);
    int parent = nlsh__space_choice(out, "partitioner", partitioners, kahip ? 3 : 2);
    (void)nlsh__space_int(out, "knn", 5, 40, 0, 5);
    nlsh__space_when(out, parent, kahip ? 1u << 0 | 1u << 2 : 1u << 0); /* k-means cuts no graph */
    (void)nlsh__space_choice(out, "imbalance", imbalances, 5);
}

/* ---- a file ---------------------------------------------------------------------------------- */

enum nlsh_status nlsh__space_file(const char *path, struct nlsh__search_space *out,
                                  struct nlsh_error *error)
{
    struct nlsh__known_param known[MAX_KNOWN];
    const struct nlsh_setting *setting;
    size_t n = 0;
    for (size_t i = 0; (setting = nlsh_build_setting(i)) != NULL && n < MAX_KNOWN; i++) {
        struct nlsh__setting_range range;
        if (!nlsh__setting_range(i, &range) || strcmp(setting->name, "metric") == 0 ||
            strcmp(setting->name, "epochs") == 0)
            continue;
        known[n++] = (struct nlsh__known_param){
            .name = setting->name,
            .kind = range.kind == NLSH__RANGE_WHOLE  ? NLSH__PARAM_INT
                    : range.kind == NLSH__RANGE_REAL ? NLSH__PARAM_FLOAT
                                                     : NLSH__PARAM_CHOICE,
            .low = range.low,
            .high = range.high,
            .choices = range.choices,
        };
    }
    return nlsh__space_read(path, known, n, out, error);
}

/* ---- points ---------------------------------------------------------------------------------- */

enum nlsh_status nlsh__space_apply(const struct nlsh__search_space *space, const double *values,
                                   struct nlsh_build_options *options, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    for (size_t i = 0; i < space->n && status == NLSH_OK; i++) {
        char text[NLSH__MAX_PARAM_NAME];
        if (isnan(values[i])) continue;
        nlsh__param_text(&space->params[i], values[i], text);
        status = nlsh_build_options_set(options, space->params[i].name, text, error);
    }
    return status;
}

static double value_of(const struct nlsh__param *param, const char *text)
{
    char *end;
    double number = strtod(text, &end);
    int is_number = end != text && *end == '\0';
    if (param->kind != NLSH__PARAM_CHOICE) return is_number ? number : (double)NAN;
    for (size_t c = 0; c < param->n_choices; c++)
        if (strcmp(param->choices[c], text) == 0 ||
            (is_number && nlsh__param_number(param, (double)c) == number))
            return (double)c;
    return NAN;
}

int nlsh__space_point(const struct nlsh__search_space *space,
                      const struct nlsh_build_options *options, double *values)
{
    for (size_t i = 0; i < space->n; i++) {
        char text[64];
        values[i] = NAN;
        if (!nlsh__params_active(space, values, i)) continue;
        if (!nlsh_build_options_get(options, space->params[i].name, text, sizeof text)) return 0;
        values[i] = value_of(&space->params[i], text);
    }
    return nlsh__params_check(space, values, NULL) == NLSH_OK;
}

size_t nlsh__space_neighbors(const struct nlsh__search_space *space,
                             const struct nlsh_build_options *options)
{
    size_t most = options->knn > options->label_knn ? options->knn : options->label_knn;
    static const char *const names[] = {"knn", "label_knn"};
    for (size_t i = 0; i < 2; i++) {
        int at = nlsh__space_find(space, names[i]);
        if (at < 0) continue;
        const struct nlsh__param *param = &space->params[at];
        double highest = param->kind == NLSH__PARAM_CHOICE ? 0 : param->high;
        for (size_t c = 0; param->kind == NLSH__PARAM_CHOICE && c < param->n_choices; c++)
            highest = fmax(highest, nlsh__param_number(param, (double)c));
        if ((double)most < highest) most = (size_t)highest;
    }
    return most;
}
