/* json.h - an array of numbers in JSON, read. */
#ifndef NLSH_SQL_JSON_H
#define NLSH_SQL_JSON_H

#include <stddef.h>

/* What is wrong with a text, and at which byte of it, from 0. */
struct nlsh__sqlite_json_error {
    const char *words;
    size_t at;
};

/*
 * Reads "[1, 2.5, ...]" of size bytes: as many numbers as fit into out [room]. Returns how many there are, which may be
 * more than room; (size_t)-1 where the text is no such array, with *error set. The locale has no part in it.
 */
size_t nlsh__sqlite_json_read(const char *text, size_t size, float *out, size_t room,
                              struct nlsh__sqlite_json_error *error);

#endif
