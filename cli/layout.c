/* layout.c - see layout.h. */
#include "layout.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

size_t layout_columns(FILE *to)
{
    struct winsize size;
    if (ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

static const char *colours = "auto";

void layout_set_colours(const char *mode)
{
    colours = mode;
}

bool layout_colours(FILE *to)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    if (strcmp(colours, "auto") != 0) return strcmp(colours, "always") == 0;
    return isatty(fileno(to)) && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           term[0] != '\0' && strcmp(term, "dumb") != 0;
}

void layout_heading(FILE *to, const char *text)
{
    fprintf(to, layout_colours(to) ? "\033[1m%s\033[0m\n" : "%s\n", text);
}

void layout_wrapped(FILE *to, const char *text, size_t at, size_t indent, size_t columns)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " \n");
        if (at + length > columns && at > indent) {
            fprintf(to, "\n%*s", (int)indent, "");
            at = indent;
        }
        fprintf(to, "%.*s", (int)length, text);
        at += length;
        text += length;
        if (*text == '\n') {
            fprintf(to, "\n%*s", (int)indent, "");
            at = indent;
            text++;
        } else if (*text == ' ') {
            text++;
            if (at + 1 + strcspn(text, " \n") <= columns) {
                fputc(' ', to);
                at++;
            } else {
                fprintf(to, "\n%*s", (int)indent, "");
                at = indent;
            }
        }
    }
    fputc('\n', to);
}
