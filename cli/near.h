/* near.h - which of some names was probably meant. */
#ifndef NLSH_CLI_NEAR_H
#define NLSH_CLI_NEAR_H

#include <stdbool.h>
#include <stddef.h>

/* How near a name is to what was given: lower is nearer; NOT_NEAR: to suggest it would be a guess. A
 * beginning of a name is near. */
enum { NOT_NEAR = 100 };
size_t nearness(const char *given, const char *name);

/* The verb whose name is nearest; NULL where none is near. */
const char *verb_suggest(const char *name);
/* The nearest of the words in "{a,b}" to value; false where none is near. */
bool choice_suggest(const char *argument, const char *value, char *buffer, size_t buffer_size);

#endif
