/* text.h - text that comes from files, on its way to a page, a table or a terminal. */
#ifndef NLSH_CLI_TEXT_H
#define NLSH_CLI_TEXT_H

#include <stdio.h>

/* What is not UTF-8 (RFC 3629) becomes "?", and so does every control character but tab and line
 * end; in place. */
void text_make_utf8(char *text);
/* What a terminal would obey or cannot show becomes "?": control characters (C0, DEL, C1, also as
 * UTF-8) and what is not UTF-8; in place. Returns text. */
char *text_clean(char *text);
/* A copy in buffer that is clean, cut where there is no room. Returns buffer. */
const char *text_shown(const char *text, char *buffer, size_t size);
/* Writes text so that HTML shows it as it is, in an element as in a quoted attribute. */
void text_html(FILE *to, const char *text);

/* What a cell begins with that a spreadsheet takes for a formula. */
#define TEXT_FORMULA_FIRST "=+-@\t\r\n"
/* Writes text as a cell of a CSV: in quotes, those inside doubled (RFC 4180). A "'" stands before what
 * would be a formula; numbers stay as they are. */
void text_csv(FILE *to, const char *text);
/* The text of such a cell once its quotes are gone: without that "'". */
char *text_of_csv(char *cell);

#endif
