/*
 * text.c - text that comes from files, on its way to a page, a table or a terminal.
 */
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* How many bytes the character at s has by RFC 3629, section 4; 0 where it is none. */
static size_t utf8_length(const unsigned char *s)
{
    size_t n;
    unsigned char low = 0x80, high = 0xbf; /* of the second byte */
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (s[0] == 0xe0) low = 0xa0;
    if (s[0] == 0xed) high = 0x9f;
    if (s[0] == 0xf0) low = 0x90;
    if (s[0] == 0xf4) high = 0x8f;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < n; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf) return 0; /* a NUL ends it here too */
    }
    return n;
}

void text_make_utf8(char *text)
{
    unsigned char *s = (unsigned char *)text;
    while (*s != '\0') {
        size_t n = utf8_length(s);
        if (n == 0 || *s == 0x7f || (*s < 32 && *s != '\t' && *s != '\n' && *s != '\r')) *s = '?';
        s += n ? n : 1;
    }
}

/* A control character of Unicode: C0, DEL or C1. s is UTF-8, n bytes long. */
static bool is_control(const unsigned char *s, size_t n)
{
    if (n == 1) return *s < 0x20 || *s == 0x7f;
    return n == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

char *text_clean(char *text)
{
    unsigned char *from = (unsigned char *)text, *to = from;
    while (*from != '\0') {
        size_t n = utf8_length(from);
        bool good = n > 0 && !is_control(from, n);
        if (good) memmove(to, from, n);
        if (!good) *to = '?';
        to += good ? n : 1;
        from += n ? n : 1;
    }
    *to = '\0';
    return text;
}

const char *text_shown(const char *text, char *buffer, size_t size)
{
    snprintf(buffer, size, "%s", text);
    return text_clean(buffer);
}

void text_html(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&': fputs("&amp;", to); break;
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '"': fputs("&quot;", to); break;
        case '\'': fputs("&#39;", to); break;
        default: fputc(*text, to);
        }
    }
}

static bool is_number(const char *text)
{
    char *end;
    (void)strtod(text, &end);
    return end != text && *end == '\0';
}

/* Source: OWASP, CSV Injection. */
void text_csv(FILE *to, const char *text)
{
    bool formula = text[0] != '\0' && strchr(TEXT_FORMULA_FIRST, text[0]) != NULL;
    fputs(formula && !is_number(text) ? "\"'" : "\"", to);
    for (; *text != '\0'; text++) {
        if (*text == '"') fputc('"', to);
        fputc(*text, to);
    }
    fputc('"', to);
}

char *text_of_csv(char *cell)
{
    return cell[0] == '\'' && cell[1] != '\0' && strchr(TEXT_FORMULA_FIRST, cell[1]) != NULL
               ? cell + 1
               : cell;
}
