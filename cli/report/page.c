/*
 * page.c - the HTML of `nlsh report`: one file that needs nothing else, and runs nothing.
 *
 * Text is escaped where it is written: here, and in figure.c.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nlsh/nlsh.h"
#include "report/figure.h"
#include "report/report.h"
#include "report/style.h"
#include "talk.h"
#include "text.h"

const char *page_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* Text from files, that may hold anything. */
static void put_clean(FILE *to, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) return; /* what memory has no room for is left out, as in put() */
    text_make_utf8(copy);
    text_html(to, copy);
    free(copy);
}

/* What is above the body of a page: what it is of, and what that comes to. */
static void put_head(FILE *to, const struct report *report, const char *input, const char *verdicts)
{
    const char *name = page_name(input);
    fputs("<title>", to);
    if (report->n_inputs == 1) put_clean(to, name);
    fprintf(to, "%s</title>\n<style>\n%s</style>\n</head>\n<body>\n",
            report->n_inputs == 1 ? " - nlsh report" : "nlsh report", page_style);
    figure_shapes(to);
    fputs("<main>\n<h1>", to);
    if (report->n_inputs == 1) {
        put_clean(to, name);
    } else {
        fprintf(to, "Report on %zu inputs", report->n_inputs);
    }
    fputs("</h1>\n", to);
    if (report->n_inputs == 1 && name != input) {
        fputs("<p class=\"path\">", to);
        put_clean(to, input);
        fputs("</p>\n", to);
    }
    fputs(verdicts, to);
}

void page_write(FILE *to, const struct report *report, const char *input, const char *verdicts,
                const char *body)
{
    char date[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm) != NULL) strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'\">\n",
          to);
    put_head(to, report, input, verdicts);
    fprintf(to, "%s</main>\n<footer><p>Written by nlsh %s, %s.</p></footer>\n", body,
            nlsh_version(), date);
    fputs("</body>\n</html>\n", to);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

void page_input(struct report *report, const char *path)
{
    size_t number = ++report->n_begun;
    if (report->n_inputs == 1) {
        fputs("<div class=\"verdict\">", report->verdicts);
        return;
    }
    fprintf(report->verdicts, "%s<dt><a href=\"#input%zu\">",
            number == 1 ? "<dl class=\"verdict\">\n" : "</dd>\n", number);
    put_clean(report->verdicts, path);
    fputs("</a></dt><dd>", report->verdicts);
    fprintf(report->to, "<h2 id=\"input%zu\">", number);
    put_clean(report->to, path);
    fputs("</h2>\n", report->to);
}

void page_inputs_end(struct report *report)
{
    fputs(report->n_inputs == 1 ? "</div>\n" : "</dd>\n</dl>\n", report->verdicts);
}

/* ---- words ----------------------------------------------------------------------------------- */

/* Escapes what printf would print. */
static void put(FILE *to, const char *format, va_list list)
{
    va_list again;
    va_copy(again, list);
    int length = vsnprintf(NULL, 0, format, list);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text != NULL) {
        vsnprintf(text, (size_t)length + 1, format, again);
        text_make_utf8(text);
        text_html(to, text);
    }
    va_end(again);
    free(text);
}

void page_verdict(struct report *report, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("<p>", report->verdicts);
    put(report->verdicts, format, list);
    fputs("</p>\n", report->verdicts);
    va_end(list);
}

void page_section(struct report *report, const char *format, ...)
{
    va_list list;
    int level = report->n_inputs == 1 ? 2 : 3;
    va_start(list, format);
    fprintf(report->to, "<h%d>", level);
    put(report->to, format, list);
    fprintf(report->to, "</h%d>\n", level);
    va_end(list);
}

void page_fold(struct report *report, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("<details><summary>", report->to);
    put(report->to, format, list);
    fputs("</summary>\n", report->to);
    va_end(list);
}

void page_fold_end(struct report *report)
{
    fputs("</details>\n", report->to);
}

void page_say(struct report *report, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("<p>", report->to);
    put(report->to, format, list);
    fputs("</p>\n", report->to);
    va_end(list);
}

void page_note(struct report *report, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("<p class=\"note\">", report->to);
    put(report->to, format, list);
    fputs("</p>\n", report->to);
    va_end(list);
}

/* ---- tables ---------------------------------------------------------------------------------- */

void page_facts_begin(struct report *report)
{
    fputs("<table class=\"facts\">\n", report->to);
}

void page_fact(struct report *report, const char *name, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("<tr><th scope=\"row\">", report->to);
    put_clean(report->to, name);
    fputs("</th><td>", report->to);
    put(report->to, format, list);
    fputs("</td></tr>\n", report->to);
    va_end(list);
}

void page_facts_end(struct report *report)
{
    fputs("</table>\n", report->to);
}

/* The first of a row names it. */
static void put_cell(FILE *to, size_t column, bool number, const char *text)
{
    /* A path may be broken anywhere; a name that stays while the others scroll leaves them room. */
    bool is_long = text != NULL && strlen(text) > (column == 0 ? 24 : 60);
    const char *class = number ? " class=\"n\"" : is_long ? " class=\"long\"" : "";
    fprintf(to, column == 0 ? "<th scope=\"row\"%s>" : "<td%s>", class);
    if (text != NULL) put_clean(to, text);
    fputs(column == 0 ? "</th>" : "</td>", to);
}

void page_table(struct report *report, const char *const *names, size_t n_columns,
                const char *const *cells, size_t n_rows)
{
    FILE *to = report->to;
    fputs("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>", to);
    for (size_t c = 0; c < n_columns; c++) {
        bool number = names[c][0] == '#';
        fputs(number ? "<th class=\"n\">" : "<th>", to);
        put_clean(to, names[c] + number);
        fputs("</th>", to);
    }
    fputs("</tr></thead>\n<tbody>\n", to);
    for (size_t r = 0; r < n_rows; r++) {
        fputs("<tr>", to);
        for (size_t c = 0; c < n_columns; c++) {
            put_cell(to, c, names[c][0] == '#', cells[r * n_columns + c]);
        }
        fputs("</tr>\n", to);
    }
    fputs("</tbody></table></div>\n", to);
}
