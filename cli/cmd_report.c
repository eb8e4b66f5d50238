/*
 * cmd_report.c - `nlsh report`: what was measured, as one HTML page with figures.
 *
 * What an input is shows in its first bytes: a folder or index.json is a run of nlsh tune, SQLite's
 * magic a study, nlsh's an index, anything else ought to be a CSV. The page is made in memory and
 * written when all of it is there.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "output.h"
#include "report/report.h"
#include "talk.h"
#include "verbs.h"

enum kind { KIND_INDEX, KIND_RUN, KIND_CSV };

/* 0 or an exit code. */
static int kind_of(const char *path, enum kind *out)
{
    static const unsigned char index[8] = "\x89NLSH\r\n\x1a"; /* docs/index-format.md */
    static const char sqlite[16] = "SQLite format 3";         /* and a NUL */
    struct nlsh_error error = {0};
    struct nlsh__map map = {0};
    struct stat st;
    const char *slash = strrchr(path, '/');
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    if (!folder && nlsh__map_open(path, &map, &error) != NLSH_OK) return talk_failed(&error);
    bool list = strcmp(slash ? slash + 1 : path, "index.json") == 0;
    if (folder || list || (map.size >= 16 && memcmp(map.data, sqlite, 16) == 0)) {
        *out = KIND_RUN;
    } else {
        *out = map.size >= 8 && memcmp(map.data, index, 8) == 0 ? KIND_INDEX : KIND_CSV;
    }
    nlsh__map_close(&map);
    return 0;
}

/* The parts, one an input. */
static int fill(struct report *report, struct compared *compared)
{
    const struct args *args = report->args;
    int code = 0;
    for (size_t i = 0; i < args->n_words && code == 0; i++) {
        enum kind kind = KIND_CSV;
        const char *path = args->words[i];
        code = kind_of(path, &kind);
        if (code != 0) break;
        page_input(report, path);
        if (kind == KIND_INDEX) code = report_index(report, path, compared);
        if (kind == KIND_RUN) code = report_run(report, path);
        if (kind == KIND_CSV) code = report_csv(report, path, compared);
    }
    page_inputs_end(report);
    if (code == 0 && compared->n_curves > 1) {
        fputs("<h2>Side by side</h2>\n", report->to);
        chart_draw(report, &compared->candidates,
                   "The curves above, each by its threshold on the probability.");
    }
    return code;
}

static int write_page(const struct report *report, const char *verdicts, const char *body)
{
    struct output output;
    int code = output_open(args_text(report->args, "o"), &output);
    if (code != 0) return code;
    page_write(output.file, report, report->args->words[0], verdicts, body);
    return output_commit(&output);
}

static int check_flags(const struct args *args)
{
    static const char *const with_queries[] = {"d", "rows", "gt", "N"};
    const char *inputs[MAX_INPUTS];
    size_t n = args_inputs(args, inputs);
    char dashed[64];
    for (size_t i = 0; i < sizeof with_queries / sizeof *with_queries; i++) {
        if (!args_given(args, with_queries[i]) || args_given(args, "q")) continue;
        return talk_error(EXIT_USAGE, "give -q QUERIES as well, or leave it out",
                          "%s means nothing without queries", flag_dashed(with_queries[i], dashed));
    }
    for (size_t i = 0; i < args->n_words; i++) inputs[n++] = args->words[i];
    return output_check(args_text(args, "o"), "-o", inputs, n);
}

/* Both parts of the page into memory, then out; 0 or an exit code. */
static int make_page(struct report *report)
{
    char *body = NULL, *verdicts = NULL;
    size_t size;
    struct compared compared = {{.title = "Recall against candidates",
                                 .x_label = "recall",
                                 .y_label = "candidates a query (fewer is better)",
                                 .x_axis = AXIS_RECALL,
                                 .y_axis = AXIS_LOG},
                                0};
    report->to = open_memstream(&body, &size);
    report->verdicts = open_memstream(&verdicts, &size);
    int whole = report->to != NULL && report->verdicts != NULL;
    int code = whole ? fill(report, &compared) : 0;
    chart_free(&compared.candidates);
    if (report->to != NULL) whole = fclose(report->to) == 0 && whole;
    if (report->verdicts != NULL) whole = fclose(report->verdicts) == 0 && whole;
    talk_stage_end();
    if (code == 0 && !whole) code = talk_error(EXIT_BUG, NULL, "out of memory");
    if (code == 0) code = write_page(report, verdicts, body);
    free(body);
    free(verdicts);
    return code;
}

int cmd_report(const struct args *args)
{
    struct report report = {.args = args, .n_inputs = args->n_words};
    int code = check_flags(args);
    if (code == 0) code = make_page(&report);
    if (code == 0 && strcmp(args_text(args, "o"), "-") != 0) {
        talk_say("the report: %s (%zu figures)", args_text(args, "o"), report.n_figures);
    }
    return code;
}
