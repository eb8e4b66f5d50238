/* json.h - JSON values that are made piece by piece. A value that is NULL means that memory ran out:
 * it spreads to what it is put into, so that one look at the end is enough. */
#ifndef NLSH_CLI_JSON_H
#define NLSH_CLI_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Put value, whose reference they take, into an array or an object. Where either is NULL, or memory
 * runs out, *array or *object is freed and becomes NULL. */
void json_add(json_t **array, json_t *value);
void json_set(json_t **object, const char *key, json_t *value);

/* A vector's key: null for NLSH_NO_KEY, as text where JSON's whole numbers end. */
json_t *json_key(uint64_t key);

/* Writes value and frees it. Returns false where it is NULL or memory ran out; whether the stream
 * took it is the stream's to say. */
bool json_write(json_t *value, FILE *to, size_t flags);

#endif
