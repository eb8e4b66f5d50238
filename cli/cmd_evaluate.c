/* cmd_evaluate.c - `nlsh evaluate`: recall against candidates over all T, in one pass; and beside what is asked for
 * what searches reach. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "asked.h"
#include "inputs.h"
#include "json.h"
#include "output.h"
#include "talk.h"
#include "truth.h"
#include "verbs.h"

static const char *rule_name(enum nlsh_rule rule)
{
    return rule == NLSH_RULE_TOP ? "top" : "threshold";
}

static int write_csv(const char *path, const struct nlsh_curve *curve, const struct asked *asked)
{
    struct output output;
    int code = output_open(path, &output);
    if (code != 0) return code;
    fputs("rule,value,recall,candidates,candidates_p95,oracle_recall,error\n", output.file);
    struct nlsh_curve_point point = {.struct_size = sizeof point}, *p = &point;
    for (size_t i = 0; nlsh_curve_point(curve, i, p); i++) {
        fprintf(output.file, "%s,%.9g,%.6f,%.2f,%.2f,%.6f,\n", rule_name(p->rule), p->value,
                p->recall, p->candidates, p->candidates_p95, p->oracle_recall);
    }
    asked_csv(asked, output.file);
    return output_commit(&output);
}

static json_t *curve_json(const struct nlsh_curve *curve, const struct asked *asked)
{
    json_t *array = json_array();
    struct nlsh_curve_point point = {.struct_size = sizeof point}, *p = &point;
    for (size_t i = 0; nlsh_curve_point(curve, i, p); i++) {
        json_add(&array, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "rule",
                                   rule_name(p->rule), "value", p->value, "recall", p->recall,
                                   "candidates", p->candidates, "candidates_p95", p->candidates_p95,
                                   "oracle_recall", p->oracle_recall, "probes", p->probes));
    }
    asked_json(asked, &array);
    return array;
}

/* The first point of each rule that reaches a recall, for the reader of stderr. */
static void say_curve(const struct nlsh_curve *curve, size_t k)
{
    static const double wanted[] = {0.90, 0.95, 0.99};
    for (int rule = NLSH_RULE_TOP; rule <= NLSH_RULE_THRESHOLD; rule++) {
        for (size_t w = 0; w < 3; w++) {
            struct nlsh_curve_point point = {.struct_size = sizeof point}, *p = &point;
            for (size_t i = 0; nlsh_curve_point(curve, i, p); i++) {
                if ((int)p->rule != rule || p->recall < wanted[w]) continue;
                talk_say("recall@%zu %.2f: %-9s T %-11.4g %8.0f candidates, oracle %.4f", k,
                         wanted[w], rule_name(p->rule), p->value, p->candidates, p->oracle_recall);
                break;
            }
        }
    }
}

/* --reliability: is a probability the share that is found? */
static int judge_probabilities(const struct args *args, const struct nlsh_index *index,
                               const struct loaded *queries, const struct nlsh_neighbors *truth,
                               size_t k, const struct nlsh_run *run)
{
    struct nlsh_error error = {0};
    struct nlsh_reliability *r;
    struct nlsh_reliability_bin bin = {.struct_size = sizeof bin}, *b = &bin;
    struct output output;
    if (!args_given(args, "reliability")) return 0;
    if (nlsh_reliability(index, &queries->matrix, truth, k, run, &r, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    talk_stage_end();
    talk_say("calibration gap %.4f: of a query's neighbours %.1f %% lie elsewhere than the router "
             "says",
             nlsh_reliability_gap(r), 50 * nlsh_reliability_gap(r));
    int code = output_open(args_text(args, "reliability"), &output);
    if (code == 0) {
        fputs("low,high,pairs,predicted,observed,error\n", output.file);
        for (size_t i = 0; nlsh_reliability_bin(r, i, b); i++) {
            fprintf(output.file, "%.9g,%.9g,%" PRIu64 ",%.9g,%.9g,%.3g\n", b->low, b->high,
                    b->n_pairs, b->predicted, b->observed, b->error);
        }
        code = output_commit(&output);
    }
    nlsh_reliability_free(r);
    return code;
}

static int evaluate(const struct args *args, const struct nlsh_index *index,
                    const struct nlsh_index_info *info, const struct loaded *queries,
                    struct asked *asked)
{
    struct nlsh_error error = {0};
    struct nlsh_neighbors truth;
    struct nlsh_curve *curve;
    struct nlsh_run run;
    size_t k = args_count(args, "N");
    if (k > info->n_rows) {
        return talk_error(EXIT_USAGE, "ask for fewer with -N",
                          "-N %zu is more than the index's %zu vectors", k, info->n_rows);
    }
    run_init(args, &run);
    int code = truth_find(args, index, args_text(args, "i"), &queries->matrix, k, &run, &truth);
    if (code != 0) return code;
    if (nlsh_evaluate(index, &queries->matrix, &truth, k, &run, &curve, &error) != NLSH_OK) {
        nlsh_neighbors_free(&truth);
        return talk_failed(&error);
    }
    talk_stage_end();
    say_curve(curve, k);
    code = asked_find(index, &queries->matrix, &truth, k, run.n_threads, asked);
    if (code == 0) asked_say(asked);
    if (code == 0) code = judge_probabilities(args, index, queries, &truth, k, &run);
    bool json = args_given(args, "json");
    if (code == 0 && (!json || args_given(args, "csv")))
        code = write_csv(args_text(args, "csv"), curve, asked);
    if (code == 0 && json) code = print_json(curve_json(curve, asked));
    nlsh_curve_free(curve);
    nlsh_neighbors_free(&truth);
    return code;
}

int cmd_evaluate(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct loaded queries;
    struct asked asked;
    const char *path = args_text(args, "i");
    const char *inputs[MAX_INPUTS];
    size_t n = args_inputs(args, inputs);
    int code = output_check(args_text(args, "csv"), "--csv", inputs, n);
    if (code == 0) code = asked_read(args, &asked);
    if (code == 0) code = output_check(args_text(args, "reliability"), "--reliability", inputs, n);
    if (code != 0) return code;
    if (open_index(path, memory_named(args), &index, &error) != NLSH_OK) return talk_failed(&error);
    (void)!nlsh_index_info(index, &info, NULL);
    code = load_queries(args_text(args, "q"), vectors_type(args), path, &info, &queries);
    if (code == 0) {
        code = evaluate(args, index, &info, &queries, &asked);
        loaded_free(&queries);
    }
    nlsh_index_close(index);
    return code;
}
