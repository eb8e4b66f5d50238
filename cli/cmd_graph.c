/* cmd_graph.c - `nlsh graph` and `nlsh groundtruth`: exact or approximate neighbours to files. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "base/names.h"
#include "inputs.h"
#include "json.h"
#include "numbers.h"
#include "output.h"
#include "talk.h"
#include "timing.h"
#include "verbs.h"

static int report(const struct args *args, const char *path, const struct nlsh_neighbors *found,
                  double seconds, double recall)
{
    char rows[32], spent[32];
    talk_say("%s: %s rows of %zu neighbours, %s", path, text_count(found->n_rows, rows), found->k,
             text_seconds(seconds, spent));
    if (!args_given(args, "json")) return 0;
    json_t *told =
        json_pack("{s:o, s:I, s:I, s:f}", "file", json_name(path), "rows",
                  (json_int_t)found->n_rows, "k", (json_int_t)found->k, "seconds", seconds);
    if (!isnan(recall)) json_set(&told, "recall", json_real(recall));
    return print_json(told);
}

/* --check: what share of true neighbours some rows have. */
static int check_graph(const struct args *args, const struct loaded *base,
                       const struct nlsh_neighbors *found, const struct nlsh_run *run,
                       double *recall)
{
    struct nlsh_error error = {0};
    *recall = NAN;
    if (!args_given(args, "check")) return 0;
    if (nlsh_graph_recall(&base->matrix, metric_named(args_text(args, "metric")), found,
                          args_count(args, "check"), args_count(args, "seed"), run, recall,
                          &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    talk_stage_end();
    talk_say("recall %.4f on %zu rows, looked up exactly", *recall,
             args_count(args, "check") < found->n_rows ? args_count(args, "check") : found->n_rows);
    return 0;
}

int cmd_graph(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_neighbors found = {.struct_size = sizeof found};
    struct nlsh_run run;
    struct loaded base;
    const char *inputs[MAX_INPUTS], *path = args_text(args, "o");
    int code = output_check(path, "-o", inputs, args_inputs(args, inputs));
    if (code == 0) code = base_load(args, &base, NULL);
    if (code != 0) return code;
    run_init(args, &run);
    double began = now_seconds();
    if (nlsh_graph_build(&base.matrix, metric_named(args_text(args, "metric")),
                         (enum nlsh_graph_method)nlsh__value(NLSH__GRAPH, args_text(args, "graph")),
                         args_count(args, "knn"), args_count(args, "seed"), &run, &found,
                         &error) != NLSH_OK) {
        loaded_free(&base);
        return talk_failed(&error);
    }
    talk_stage_end();
    double seconds = now_seconds() - began, recall;
    code = check_graph(args, &base, &found, &run, &recall);
    if (code == 0 && nlsh_neighbors_write(path, &found, &error) != NLSH_OK) {
        code = talk_failed(&error);
    }
    if (code == 0) code = report(args, path, &found, seconds, recall);
    nlsh_neighbors_free(&found);
    loaded_free(&base);
    return code;
}

static int write_distances(const char *path, const struct nlsh_neighbors *found)
{
    struct nlsh_error error = {0};
    struct nlsh_matrix matrix = {
        .data = found->distances, .n_rows = found->n_rows, .dim = found->k, .type = NLSH_F32};
    if (nlsh_vectors_write(path, NLSH_FORMAT_AUTO, &matrix, &error) == NLSH_OK) return 0;
    return talk_failed(&error);
}

static int truth_of(const struct args *args, const struct loaded *base,
                    const struct loaded *queries)
{
    struct nlsh_error error = {0};
    struct nlsh_neighbors found = {.struct_size = sizeof found};
    struct nlsh_run run;
    const char *path = args_text(args, "o");
    enum nlsh_metric metric = metric_named(args_text(args, "metric"));
    run_init(args, &run);
    double began = now_seconds();
    if (nlsh_ground_truth(&base->matrix, &queries->matrix, metric, args_count(args, "N"), &run,
                          &found, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    talk_stage_end();
    double seconds = now_seconds() - began;
    int code = 0;
    if (args_given(args, "distances")) code = write_distances(args_text(args, "distances"), &found);
    if (code == 0 && nlsh_neighbors_write(path, &found, &error) != NLSH_OK) {
        code = talk_failed(&error);
    }
    if (code == 0) code = report(args, path, &found, seconds, NAN);
    nlsh_neighbors_free(&found);
    return code;
}

int cmd_groundtruth(const struct args *args)
{
    struct loaded base, queries;
    const char *inputs[MAX_INPUTS], *q = args_text(args, "q");
    char buffer[512];
    size_t n = args_inputs(args, inputs);
    int code = output_check(args_text(args, "o"), "-o", inputs, n);
    if (code == 0) code = output_check(args_text(args, "distances"), "--distances", inputs, n);
    if (code == 0) code = base_load(args, &base, NULL);
    if (code != 0) return code;
    code = load_vectors(q, vectors_type(args), &queries);
    if (code == 0 && base.matrix.dim != queries.matrix.dim) {
        code =
            talk_error(EXIT_BAD_DATA, NULL,
                       "the queries in %s have %zu values each, the vectors in %s have %zu", q,
                       queries.matrix.dim, base_name(args, buffer, sizeof buffer), base.matrix.dim);
        loaded_free(&queries);
    }
    if (code == 0) {
        code = truth_of(args, &base, &queries);
        loaded_free(&queries);
    }
    loaded_free(&base);
    return code;
}
