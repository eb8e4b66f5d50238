/*
 * report_page.c - the HTML of `nlsh report`: one file that needs nothing else, and runs nothing.
 *
 * Text is escaped where it is written, here alone. A picture is gnuplot's SVG in the page; the ids
 * in it, the same in every one that gnuplot draws, get the picture's number before them.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nlsh/nlsh.h"
#include "report/plot.h"
#include "report/report.h"
#include "talk.h"
#include "text.h"

/* Pictures stand on white in the dark too: their lines were chosen for white. */
static const char style[] =
    ":root{color-scheme:light dark;--ink:#1b1b1b;--faint:#555;--paper:#fff;--line:#ccc;"
    "--shade:#f3f3f3}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--faint:#b0b0b0;--paper:#16181a;"
    "--line:#444;--shade:#24272a}}\n"
    "body{margin:0 auto;padding:1.5rem;max-width:60rem;color:var(--ink);background:var(--paper);"
    "font:16px/1.5 sans-serif}\n"
    "h1,h2,h3{line-height:1.25;overflow-wrap:anywhere}\n"
    "h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}\n"
    "figure{margin:1.5rem 0}\n"
    "figure svg{display:block;width:100%;height:auto;background:#fff;border-radius:4px}\n"
    "figcaption{margin-top:.5rem}\n"
    "figcaption,.note,footer{color:var(--faint);font-size:.9rem}\n"
    ".note{border-left:4px solid var(--line);padding-left:.8rem}\n"
    ".scroll{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-size:.9rem}\n"
    "th,td{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top;"
    "border-bottom:1px solid var(--line)}\n"
    "th[scope=row]{white-space:nowrap}\n"
    "td.w{overflow-wrap:anywhere;min-width:18rem}\n"
    "th.n,td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    "@media print{:root{--ink:#000;--faint:#333;--paper:#fff;--line:#999}"
    "body{max-width:none;padding:0;font-size:11pt}"
    "figure,table{break-inside:avoid}h2,h3{break-after:avoid}.scroll{overflow:visible}"
    "td.w{min-width:0}}\n";

void page_write(FILE *to, const char *title, const char *body)
{
    char date[32] = "";
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm) != NULL) strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'\">\n<title>",
          to);
    text_html(to, title);
    fprintf(to, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
    text_html(to, title);
    fprintf(to, "</h1>\n%s<footer><p>Written by nlsh %s, %s; pictures by gnuplot.</p></footer>\n",
            body, nlsh_version(), date);
    fputs("</body>\n</html>\n", to);
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

void page_heading(struct report *report, int level, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(report->to, "<h%d>", level);
    put(report->to, format, list);
    fprintf(report->to, "</h%d>\n", level);
    va_end(list);
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
    fputs("<table>\n", report->to);
}

void page_fact(struct report *report, const char *name, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("<tr><th scope=\"row\">", report->to);
    text_html(report->to, name);
    fputs("</th><td class=\"w\">", report->to);
    put(report->to, format, list);
    fputs("</td></tr>\n", report->to);
    va_end(list);
}

void page_facts_end(struct report *report)
{
    fputs("</table>\n", report->to);
}

static void put_cell(FILE *to, const char *tag, bool number, const char *text)
{
    bool wide = text != NULL && strlen(text) > 40; /* may be cut anywhere: JSON, a path */
    fprintf(to, "<%s%s>", tag, number ? " class=\"n\"" : wide ? " class=\"w\"" : "");
    if (text != NULL) text_html(to, text);
    fprintf(to, "</%s>", tag);
}

void page_table(struct report *report, const char *const *names, size_t n_columns,
                const char *const *cells, size_t n_rows)
{
    FILE *to = report->to;
    fputs("<div class=\"scroll\"><table>\n<tr>", to);
    for (size_t c = 0; c < n_columns; c++) {
        bool number = names[c][0] == '#';
        put_cell(to, "th", number, names[c] + number);
    }
    fputs("</tr>\n", to);
    for (size_t r = 0; r < n_rows; r++) {
        fputs("<tr>", to);
        for (size_t c = 0; c < n_columns; c++) {
            put_cell(to, "td", names[c][0] == '#', cells[r * n_columns + c]);
        }
        fputs("</tr>\n", to);
    }
    fputs("</table></div>\n", to);
}

/* ---- pictures -------------------------------------------------------------------------------- */

/* The SVG element with "fN-" before every id and every use of one. */
static void put_svg(FILE *to, const char *svg, size_t number)
{
    static const char *const marks[] = {" id='", " id=\"", "href='#", "href=\"#", "url(#"};
    const char *at = strstr(svg, "<svg");
    while (at != NULL && *at != '\0') {
        size_t length = 1;
        for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
            size_t n = strlen(marks[i]);
            if (strncmp(at, marks[i], n) == 0) length = n;
        }
        fwrite(at, 1, length, to);
        if (length > 1) fprintf(to, "f%zu-", number);
        at += length;
    }
}

int page_figure(struct report *report, const char *script, size_t width, size_t height,
                const char *caption)
{
    char *svg;
    int code = plot_svg(script, width, height, &svg);
    if (code != 0) return code;
    report->n_figures++;
    fputs("<figure>\n", report->to);
    put_svg(report->to, svg, report->n_figures);
    fprintf(report->to, "<figcaption>Figure %zu. ", report->n_figures);
    text_html(report->to, caption);
    fputs("</figcaption>\n</figure>\n", report->to);
    free(svg);
    return 0;
}
