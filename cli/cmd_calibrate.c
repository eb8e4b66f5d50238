/* cmd_calibrate.c - `nlsh calibrate`: promises for queries like those of a sample. */
#include <jansson.h>

#include "inputs.h"
#include "json.h"
#include "output.h"
#include "talk.h"
#include "verbs.h"

static int say(const struct args *args, const struct nlsh_calibrate_report *r)
{
    talk_stage_end();
    talk_say("asked for recall@10 .95, these %zu queries reached %.3f from %.0f vectors; now %.3f "
             "from %.0f",
             r->n_queries, r->recall_before, r->candidates_before, r->recall, r->candidates);
    if (!args_given(args, "json")) return 0;
    return print_json(json_pack("{s:I, s:f, s:f, s:f, s:f}", "queries", (json_int_t)r->n_queries,
                                "recall_before", r->recall_before, "candidates_before",
                                r->candidates_before, "recall", r->recall, "candidates",
                                r->candidates));
}

int cmd_calibrate(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    struct nlsh_calibrate_report report = {.struct_size = sizeof report};
    struct loaded queries;
    struct nlsh_run run;
    const char *path = args_text(args, "i"), *out = args_text(args, "o");
    const char *inputs[] = {args_text(args, "q"), path};
    int code = output_check(out, "-o", inputs, 2);
    if (code != 0) return code;
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK) return talk_failed(&error);
    (void)!nlsh_index_info(index, &info, NULL);
    code = load_queries(args_text(args, "q"), vectors_type(args), path, &info, &queries);
    nlsh_index_close(index);
    if (code != 0) return code;
    run_init(args, &run);
    if (nlsh_calibrate(path, &queries.matrix, out, &run, &report, &error) == NLSH_OK)
        code = say(args, &report);
    else
        code = talk_failed(&error);
    loaded_free(&queries);
    return code;
}
