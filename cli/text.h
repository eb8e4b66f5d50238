/* text.h - text that comes from files, on its way to a page. */
#ifndef NLSH_CLI_TEXT_H
#define NLSH_CLI_TEXT_H

#include <stdio.h>

/* What is not UTF-8 (RFC 3629) becomes "?", and so does every control character but tab and line
 * end; in place. */
void text_make_utf8(char *text);
/* Writes text so that HTML shows it as it is, in an element as in a quoted attribute. */
void text_html(FILE *to, const char *text);

#endif
