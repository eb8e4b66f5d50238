/* text.c - see text.h. Keys and distances are written without printf(): an answer is made of them. */
#include "serve/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

void nlsh__text_free(struct nlsh__text *text)
{
    nlsh__free(text->bytes);
    *text = (struct nlsh__text){0};
}

int nlsh__text_reserve(struct nlsh__text *text, size_t n)
{
    if (text->is_short) return -1;
    if (n <= text->capacity - text->size) return 0;
    char *more;
    size_t capacity = text->capacity < 512 ? 512 : text->capacity;
    while (capacity - text->size < n && capacity <= SIZE_MAX / 2) capacity *= 2;
    if (capacity - text->size < n || nlsh__alloc(&more, capacity, 1, NULL) != NLSH_OK) {
        text->is_short = 1;
        return -1;
    }
    if (text->size > 0) memcpy(more, text->bytes, text->size);
    nlsh__free(text->bytes);
    text->bytes = more;
    text->capacity = capacity;
    return 0;
}

void nlsh__text_add(struct nlsh__text *text, const void *bytes, size_t size)
{
    if (nlsh__text_reserve(text, size) != 0 || size == 0) return;
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

void nlsh__text_print(struct nlsh__text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || nlsh__text_reserve(text, (size_t)n + 1) != 0) return;
    va_start(args, format);
    vsnprintf(text->bytes + text->size, (size_t)n + 1, format, args);
    va_end(args);
    text->size += (size_t)n;
}

/* ---- strings --------------------------------------------------------------------------------- */

/* Bytes of the UTF-8 character that begins here; 0: none does. */
static size_t character(const unsigned char *s)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    /* Overlong forms, surrogates, and what lies behind U+10FFFF. */
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0))) return 0;
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))) return 0;
    return n;
}

void nlsh__text_string(struct nlsh__text *text, const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    nlsh__text_add(text, "\"", 1);
    while (*s != '\0') {
        size_t n = character(s);
        if (n == 0) {
            nlsh__text_add(text, "\xef\xbf\xbd", 3);
            n = 1;
        } else if (*s == '"' || *s == '\\') {
            nlsh__text_add(text, "\\", 1);
            nlsh__text_add(text, s, 1);
        } else if (*s < 0x20 || *s == 0x7f) {
            nlsh__text_print(text, "\\u%04x", *s);
        } else {
            nlsh__text_add(text, s, n);
        }
        s += n;
    }
    nlsh__text_add(text, "\"", 1);
}

/* ---- numbers --------------------------------------------------------------------------------- */

void nlsh__text_whole(struct nlsh__text *text, uint64_t n)
{
    char digits[20], *at = digits + sizeof digits;
    do *--at = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    nlsh__text_add(text, at, (size_t)(digits + sizeof digits - at));
}

/* Nine digits and the point, of a number from 1e-4 to 1e9: ten printf() of a request's distances took a seventh of the
 * server's time. The product below is off by a part in 1e16, nine digits by one in 1e9, and floats differ by one in 1e7. */
static void add_fixed(struct nlsh__text *text, double number)
{
    char digits[16] = {0};
    double whole = floor(number), power = 1;
    int n = 0;
    for (double x = number; n < 13 && power * x < 1e8; n++) power *= 10;
    uint64_t fraction = (uint64_t)((number - whole) * power + .5);
    if ((double)fraction >= power) {
        fraction -= (uint64_t)power;
        whole++;
    }
    nlsh__text_whole(text, (uint64_t)whole);
    for (int i = n - 1; i >= 0; i--, fraction /= 10) digits[i] = (char)('0' + fraction % 10);
    while (n > 0 && digits[n - 1] == '0') n--;
    if (n == 0) return;
    nlsh__text_add(text, ".", 1);
    nlsh__text_add(text, digits, (size_t)n);
}

void nlsh__text_number(struct nlsh__text *text, double number)
{
    double size = fabs(number);
    if (!isfinite(number)) {
        nlsh__text_add(text, "null", 4);
    } else if (size != 0 && !(size >= 1e-4 && size < 1e9)) {
        nlsh__text_print(text, "%.9g", number);
    } else {
        if (number < 0) nlsh__text_add(text, "-", 1);
        add_fixed(text, size);
    }
}

void nlsh__text_key(struct nlsh__text *text, uint64_t key)
{
    int quoted = key > UINT64_C(1) << 53;
    if (key == NLSH_NO_KEY) {
        nlsh__text_add(text, "null", 4);
        return;
    }
    if (quoted) nlsh__text_add(text, "\"", 1);
    nlsh__text_whole(text, key);
    if (quoted) nlsh__text_add(text, "\"", 1);
}
