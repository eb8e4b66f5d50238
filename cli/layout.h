/* layout.h - text laid out for the width of a terminal. */
#ifndef NLSH_CLI_LAYOUT_H
#define NLSH_CLI_LAYOUT_H

#include <stdbool.h>
#include <stdio.h>

/* How many columns a line of the stream may have: the terminal's, or 80 where it is none. */
size_t layout_columns(FILE *to);
/* What --color says: "always", "never", or "auto", which is how it begins. */
void layout_set_colours(const char *mode);
/* Whether colours and bold letters are wanted there; auto: on a terminal, unless NO_COLOR or TERM says otherwise. */
bool layout_colours(FILE *to);
/* A line in bold where that is wanted. */
void layout_heading(FILE *to, const char *text);
/* Prints text from column `at` on and ends the line. What would go beyond `columns` stands on further
 * lines, which are indented. A \n in the text begins a new line too. */
void layout_wrapped(FILE *to, const char *text, size_t at, size_t indent, size_t columns);

#endif
