/*
 * figure.h - the figures of a page: SVG that is as wide as the page lets it be, in the page's own colours.
 *
 * Nothing in a figure is scaled: places are shares of its width and height, letters and dots have the size that
 * the style says, on a phone as on a wide screen. What a dot means is its <title>, which browsers show
 * where the mouse is. So there is no script.
 */
#ifndef NLSH_CLI_REPORT_FIGURE_H
#define NLSH_CLI_REPORT_FIGURE_H

#include <stddef.h>
#include <stdio.h>

#include "report/report.h"

/* Of lines and dots: styles are colours, 1 to FIGURE_STYLES, the second half of dashed lines; dots have shapes, 1 to
 * FIGURE_SHAPES. */
enum { FIGURE_STYLES = 8, FIGURE_SHAPES = 4 };
/* The line of what would be ideal, or the mean; and the best of all. */
enum { STYLE_IDEAL = 9, STYLE_BEST = 10 };

struct figure {
    const char *title;
    const char *y_label; /* above the drawing; "" for none */
    const char *x_label; /* below it */
    const char *caption;
    size_t least_width; /* pixels, below which it scrolls in its own box; 0: it fits any screen */
    int is_parallel;    /* 1: its axes stand upright, and have their names above */
};

/* A mark of an axis. */
struct tick {
    double at; /* share of the axis */
    char text[24];
    int is_wide; /* 1: only a wide screen has room for its text */
};

/* All of a figure stands between figure_title() and figure_end(); a drawing of places between figure_begin(), which
 * calls the first, and figure_drawn(). */
void figure_title(struct report *report, const struct figure *figure);
void figure_begin(struct report *report, const struct figure *figure);
void figure_drawn(struct report *report, const struct figure *figure);
void figure_end(struct report *report, const struct figure *figure);

/* Lines of the grid with their numbers. */
void figure_ticks(FILE *to, char axis, const struct tick *ticks, size_t n_ticks);
/* Words at a place; which class of the style they are of. */
void figure_text(FILE *to, const char *class, double x, double y, const char *text);

/* An axis of its own, from one height to another. */
void figure_post(FILE *to, double x, double low, double high);

/* Lines stand between figure_lines() and figure_lines_end(). NaN in between cuts the line. */
void figure_lines(FILE *to);
void figure_line_begin(FILE *to);
void figure_line_to(FILE *to, double x, double y);
/* shade: of a style's own colour, 0 (faint) to 1, or -1 for all of it; what the line says, or NULL. */
void figure_line_end(FILE *to, int style, double shade, const char *says);
void figure_lines_end(FILE *to);

/* A dot that says something; is_bare: none is seen until the mouse is over it. */
void figure_dot(FILE *to, int style, int shape, int is_bare, double x, double y, const char *says);
/* A bar from the ground up. */
void figure_bar(FILE *to, int style, double left, double right, double height, const char *says);

/* What the styles stand for, one after another between the two. */
void figure_keys(FILE *to);
void figure_key(FILE *to, int style, int shape, enum drawn drawn, const char *name);
void figure_keys_end(FILE *to);

/* The shapes of all dots, once a page. */
void figure_shapes(FILE *to);

#endif
