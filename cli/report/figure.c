/*
 * figure.c - see figure.h. Ours.
 *
 * Places are percentages of the <svg>, which its style makes as wide as there is room. A path has no percentages:
 * lines stand in an inner <svg> of 1000 x 1000 units that is stretched over all of it, with strokes that
 * are not.
 */
#include "report/figure.h"

#include <math.h>

#include "text.h"

static const double units = 1000;

static double percent(double share)
{
    return 100 * share;
}

static double from_top(double share)
{
    return 100 - 100 * share;
}

static void put_line_of_text(FILE *to, const char *class, const char *text)
{
    if (text == NULL || text[0] == '\0') return;
    fprintf(to, "<p class=\"%s\">", class);
    text_html(to, text);
    fputs("</p>\n", to);
}

void figure_title(struct report *report, const struct figure *figure)
{
    report->n_figures++;
    fputs("<figure>\n", report->to);
    put_line_of_text(report->to, "figure-title", figure->title);
}

void figure_begin(struct report *report, const struct figure *figure)
{
    FILE *to = report->to;
    figure_title(report, figure);
    if (figure->least_width > 0) {
        fprintf(to, "<div class=\"scroll\" tabindex=\"0\"><div style=\"min-width:%zupx\">\n",
                figure->least_width);
    }
    put_line_of_text(to, "axis", figure->y_label);
    fprintf(to, "<svg class=\"plot%s\" role=\"img\" aria-label=\"",
            figure->is_parallel ? " parallel" : "");
    text_html(to, figure->title);
    fputs("\">\n", to);
}

void figure_drawn(struct report *report, const struct figure *figure)
{
    FILE *to = report->to;
    fputs("</svg>\n", to);
    put_line_of_text(to, "axis below", figure->x_label);
    if (figure->least_width > 0) fputs("</div></div>\n", to);
}

void figure_end(struct report *report, const struct figure *figure)
{
    fputs("<figcaption>", report->to);
    text_html(report->to, figure->caption);
    fputs("</figcaption>\n</figure>\n", report->to);
}

/* ---- axes and words -------------------------------------------------------------------------- */

void figure_ticks(FILE *to, char axis, const struct tick *ticks, size_t n_ticks)
{
    for (size_t i = 0; i < n_ticks; i++) {
        const struct tick *t = &ticks[i];
        const char *wide = t->is_wide ? " wide" : "";
        if (axis == 'x') {
            fprintf(to,
                    "<line class=\"grid\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"0\" y2=\"100%%\"/>"
                    "<text class=\"x%s\" x=\"%.2f%%\" y=\"100%%\" dy=\"1.5em\">",
                    percent(t->at), percent(t->at), wide, percent(t->at));
        } else {
            fprintf(to,
                    "<line class=\"grid\" x1=\"0\" x2=\"100%%\" y1=\"%.2f%%\" y2=\"%.2f%%\"/>"
                    "<text class=\"y%s\" x=\"0\" dx=\"-.6em\" y=\"%.2f%%\" dy=\".35em\">",
                    from_top(t->at), from_top(t->at), wide, from_top(t->at));
        }
        text_html(to, t->text);
        fputs("</text>\n", to);
    }
    if (axis == 'y') {
        fputs("<line class=\"ground\" x1=\"0\" x2=\"100%\" y1=\"100%\" y2=\"100%\"/>\n", to);
    }
}

void figure_text(FILE *to, const char *class, double x, double y, const char *text)
{
    fprintf(to, "<text class=\"%s\" x=\"%.2f%%\" y=\"%.2f%%\" dy=\".35em\">", class, percent(x),
            from_top(y));
    text_html(to, text);
    fputs("</text>\n", to);
}

void figure_post(FILE *to, double x, double low, double high)
{
    fprintf(to, "<line class=\"post\" x1=\"%.2f%%\" x2=\"%.2f%%\" y1=\"%.2f%%\" y2=\"%.2f%%\"/>\n",
            percent(x), percent(x), from_top(high), from_top(low));
}

/* ---- lines ----------------------------------------------------------------------------------- */

void figure_lines(FILE *to)
{
    fputs("<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\">\n", to);
}

void figure_line_begin(FILE *to)
{
    fputs("<path d=\"M", to);
}

/* Of a cut line each part begins with M; a number behind a number is a line to it. */
void figure_line_to(FILE *to, double x, double y)
{
    if (isnan(x) || isnan(y)) {
        fputc('M', to);
    } else {
        fprintf(to, "%.1f %.1f ", units * x, units - units * y);
    }
}

void figure_line_end(FILE *to, int style, double shade, const char *says)
{
    fprintf(to, "\" class=\"s%d%s\"", style, shade >= 0 ? " thin" : "");
    if (shade >= 0) fprintf(to, " style=\"opacity:%.2f\"", 0.25 + 0.75 * fmin(shade, 1));
    if (says == NULL) {
        fputs("/>\n", to);
        return;
    }
    fputs("><title>", to);
    text_html(to, says);
    fputs("</title></path>\n", to);
}

void figure_lines_end(FILE *to)
{
    fputs("</svg>\n", to);
}

/* ---- dots and bars --------------------------------------------------------------------------- */

void figure_dot(FILE *to, int style, int shape, int is_bare, double x, double y, const char *says)
{
    fprintf(to, "<use href=\"#dot%d\" class=\"s%d%s\" x=\"%.2f%%\" y=\"%.2f%%\"><title>", shape,
            style, is_bare ? " bare" : "", percent(x), from_top(y));
    text_html(to, says);
    fputs("</title></use>\n", to);
}

void figure_bar(FILE *to, int style, double left, double right, double height, const char *says)
{
    fprintf(to,
            "<rect class=\"s%d\" x=\"%.2f%%\" y=\"%.2f%%\" width=\"%.2f%%\" height=\"%.2f%%\">"
            "<title>",
            style, percent(left), from_top(height), percent(right - left), percent(height));
    text_html(to, says);
    fputs("</title></rect>\n", to);
}

/* A circle around each that is not seen: nobody meets a dot of a few pixels at once. */
void figure_shapes(FILE *to)
{
    static const char *const shapes[FIGURE_SHAPES] = {
        "<circle r=\"4.5\"/>", "<path d=\"M-4-4H4V4H-4z\"/>", "<path d=\"M0-5.5 5 4H-5z\"/>",
        "<path d=\"M0-6 6 0 0 6-6 0z\"/>"};
    fputs("<svg class=\"shapes\" aria-hidden=\"true\"><defs>", to);
    for (size_t i = 0; i < FIGURE_SHAPES; i++) {
        fprintf(to, "<g id=\"dot%zu\"><circle r=\"9\" fill=\"transparent\" stroke=\"none\"/>%s</g>",
                i + 1, shapes[i]);
    }
    fputs("</defs></svg>\n", to);
}

/* ---- the key --------------------------------------------------------------------------------- */

void figure_keys(FILE *to)
{
    fputs("<ul class=\"key\">\n", to);
}

void figure_key(FILE *to, int style, int shape, enum drawn drawn, const char *name)
{
    fputs("<li><svg class=\"sign\" aria-hidden=\"true\">", to);
    if (drawn == DRAWN_BARS) {
        fprintf(to, "<rect class=\"s%d\" x=\"10\" y=\"1\" width=\"12\" height=\"12\"/>", style);
    } else if (drawn != DRAWN_DOTS) {
        fprintf(to, "<path class=\"s%d\" d=\"M1 7H31\"/>", style);
    }
    if (drawn == DRAWN_DOTS || drawn == DRAWN_LINE_AND_DOTS) {
        fprintf(to, "<use href=\"#dot%d\" class=\"s%d\" x=\"16\" y=\"7\"/>", shape, style);
    }
    fputs("</svg>", to);
    text_html(to, name);
    fputs("</li>\n", to);
}

void figure_keys_end(FILE *to)
{
    fputs("</ul>\n", to);
}
