/* cmd_evaluate.c - `nlsh evaluate`: recall against candidates over all T, in one pass. */
#include <jansson.h>
#include <stdio.h>

#include "inputs.h"
#include "output.h"
#include "talk.h"
#include "truth.h"
#include "verbs.h"

static const char *rule_name(enum nlsh_rule rule)
{
    return rule == NLSH_RULE_TOP ? "top" : "threshold";
}

static int write_csv(const char *path, const struct nlsh_curve *curve)
{
    struct output output;
    int code = output_open(path, &output);
    if (code != 0) return code;
    fputs("rule,value,recall,candidates,candidates_p95,oracle_recall\n", output.file);
    for (size_t i = 0; i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i];
        fprintf(output.file, "%s,%.9g,%.6f,%.2f,%.2f,%.6f\n", rule_name(p->rule), p->value,
                p->recall, p->candidates, p->candidates_p95, p->oracle_recall);
    }
    return output_commit(&output);
}

static json_t *curve_json(const struct nlsh_curve *curve)
{
    json_t *array = json_array();
    for (size_t i = 0; i < curve->n_points; i++) {
        const struct nlsh_curve_point *p = &curve->points[i];
        json_array_append_new(array, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "rule",
                                               rule_name(p->rule), "value", p->value, "recall",
                                               p->recall, "candidates", p->candidates,
                                               "candidates_p95", p->candidates_p95, "oracle_recall",
                                               p->oracle_recall, "probes", p->probes));
    }
    return array;
}

/* The first point of each rule that reaches a recall, for the reader of stderr. */
static void say_curve(const struct nlsh_curve *curve, size_t k)
{
    static const double wanted[] = {0.90, 0.95, 0.99};
    for (int rule = NLSH_RULE_TOP; rule <= NLSH_RULE_THRESHOLD; rule++) {
        for (size_t w = 0; w < 3; w++) {
            for (size_t i = 0; i < curve->n_points; i++) {
                const struct nlsh_curve_point *p = &curve->points[i];
                if ((int)p->rule != rule || p->recall < wanted[w]) continue;
                talk_say("recall@%zu %.2f: %-9s T %-11.4g %8.0f candidates, oracle %.4f", k,
                         wanted[w], rule_name(p->rule), p->value, p->candidates, p->oracle_recall);
                break;
            }
        }
    }
}

static int find_truth(const struct args *args, const struct nlsh_index *index,
                      const struct nlsh_index_info *info, const struct loaded *queries, size_t k,
                      const struct nlsh_run *run, struct nlsh_neighbors *out)
{
    struct nlsh_error error = {0};
    struct loaded base;
    if (args_given(args, "gt")) {
        return load_truth(args_text(args, "gt"), queries->matrix.n_rows, k, info->n_rows, out);
    }
    if (!args_given(args, "d")) return truth_by_scan(index, &queries->matrix, k, run, NULL, out);
    int code = load_base_of(args_text(args, "d"), args_text(args, "type"), args_text(args, "i"),
                            info, &base);
    if (code != 0) return code;
    if (nlsh_ground_truth(&base.matrix, &queries->matrix, info->metric, k, run, out, &error) !=
        NLSH_OK) {
        code = talk_failed(&error);
    }
    loaded_free(&base);
    return code;
}

static int evaluate(const struct args *args, const struct nlsh_index *index,
                    const struct nlsh_index_info *info, const struct loaded *queries)
{
    struct nlsh_error error = {0};
    struct nlsh_neighbors truth;
    struct nlsh_curve curve;
    struct nlsh_run run;
    size_t k = args_count(args, "N");
    if (k > info->n_rows) {
        return talk_error(EXIT_USAGE, "ask for fewer with -N",
                          "-N %zu is more than the index's %zu vectors", k, info->n_rows);
    }
    run_init(args, &run);
    int code = find_truth(args, index, info, queries, k, &run, &truth);
    if (code != 0) return code;
    if (nlsh_evaluate(index, &queries->matrix, &truth, k, &run, &curve, &error) != NLSH_OK) {
        nlsh_neighbors_free(&truth);
        return talk_failed(&error);
    }
    talk_stage_end();
    say_curve(&curve, k);
    bool json = args_given(args, "json");
    if (!json || args_given(args, "csv")) code = write_csv(args_text(args, "csv"), &curve);
    if (code == 0 && json) code = print_json(curve_json(&curve));
    nlsh_curve_free(&curve);
    nlsh_neighbors_free(&truth);
    return code;
}

int cmd_evaluate(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_index_info info;
    struct loaded queries;
    const char *path = args_text(args, "i");
    const char *inputs[] = {path, args_text(args, "q"), args_text(args, "gt"),
                            args_text(args, "d")};
    int code = output_check(args_text(args, "csv"), "--csv", inputs, 4);
    if (code != 0) return code;
    if (nlsh_index_open(path, &index, &error) != NLSH_OK) return talk_failed(&error);
    nlsh_index_info(index, &info);
    code = load_queries(args_text(args, "q"), args_text(args, "type"), path, &info, &queries);
    if (code == 0) {
        code = evaluate(args, index, &info, &queries);
        loaded_free(&queries);
    }
    nlsh_index_close(index);
    return code;
}
