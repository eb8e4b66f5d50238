/* plot.h - pictures by gnuplot: a script in, an SVG out. */
#ifndef NLSH_CLI_REPORT_PLOT_H
#define NLSH_CLI_REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Whether there is a gnuplot to call. Where there is none plot_svg() fails: a verb that can do
 * without its pictures asks first, and says plot_hint. */
bool plot_possible(void);
extern const char *const plot_hint; /* what to install */

/*
 * plot_svg() - runs gnuplot and gives what it draws.
 *
 *  script  gnuplot's commands from the first `set title` on. The terminal (SVG, width x height),
 *          the grid and the line styles 1 to 8 in colours that colour-blind people tell apart are
 *          set before it. Text is taken as it stands: no enhanced mode, so "recall_10" and "@" mean
 *          themselves. Data go inline: "$name << END" ... "END". Plots go one after another or in a
 *          multiplot; the answer is one SVG.
 *  out     the SVG, ended by NUL, freed with free(); NULL on error
 * Nothing else of the user's gnuplot is read (-d). Returns 0 or an exit code after saying why:
 * EXIT_UNSUPPORTED without gnuplot, EXIT_BUG with its own words where it does not take the script.
 */
int plot_svg(const char *script, size_t width, size_t height, char **out);

/* The same into a file, whole or not at all. */
int plot_svg_file(const char *script, size_t width, size_t height, const char *path);

/*
 * An axis of recalls: -log10(1 - recall), or .99 and .999 would be one point. A recall above PLOT_MOST_RECALL,
 * which 10,000 queries can hardly tell from 1, stands at the edge.
 */
#define PLOT_MOST_RECALL 0.9995
double plot_recall_place(double recall);
/* Range and marks of such an axis ('x' or 'y') for data from one place to another. */
void plot_recall_axis(FILE *to, char axis, double low, double high);

/* Writes text as a gnuplot string in quotes. A name may hold anything; a control character becomes
 * a blank. */
void plot_quoted(FILE *to, const char *text);

#endif
