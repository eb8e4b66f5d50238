/* text.h - a text that grows, and JSON written into it. After memory ran out it stays as it is, and says so. */
#ifndef NLSH_SERVE_TEXT_H
#define NLSH_SERVE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__text {
    char *bytes; /* freed with nlsh__free(); not ended by a NUL */
    size_t size, capacity;
    int is_short; /* 1: memory ran out, and the text is not whole */
};

void nlsh__text_free(struct nlsh__text *text);

/* Room for n bytes more. 0, or -1 where there is none. */
int nlsh__text_reserve(struct nlsh__text *text, size_t n);
void nlsh__text_add(struct nlsh__text *text, const void *bytes, size_t size);
void nlsh__text_print(struct nlsh__text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A JSON string, with its quotes. What is not UTF-8 becomes U+FFFD. */
void nlsh__text_string(struct nlsh__text *text, const char *string);
void nlsh__text_whole(struct nlsh__text *text, uint64_t n);
/* A number; null where it is none, or infinite. As many digits as an f32 needs. */
void nlsh__text_number(struct nlsh__text *text, double number);
/* A key: null for NLSH_NO_KEY, a string above 2^53, where JavaScript's whole numbers end. */
void nlsh__text_key(struct nlsh__text *text, uint64_t key);

#endif
