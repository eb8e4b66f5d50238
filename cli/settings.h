/* settings.h - the settings of a build, from the command line and as JSON. */
#ifndef NLSH_CLI_SETTINGS_H
#define NLSH_CLI_SETTINGS_H

#include <jansson.h>

#include "args.h"
#include "nlsh/learn.h"

/* The defaults, then --config, then the flags. 0 or an exit code after saying why. */
int settings_read(const struct args *args, struct nlsh_build_options *options);

/* As an object that works as --config; NULL without memory. */
json_t *settings_json(const struct nlsh_build_options *options);
/* What nlsh_index_info() calls settings, as an object. 0, or an exit code after naming path. */
int settings_of_index(const char *path, const char *text, json_t **out);

/* A setting's value in words, freed by the caller: whole numbers without commas, as they are typed again; a list of words
 * or numbers with commas; else JSON. NULL for no value, and without memory. */
char *settings_words(const json_t *value);
/* "m 64, labels soft": those settings of objects[which] that are others in any of the n; "" for none. An object that is
 * NULL is not known, and differs from nothing. NULL without memory; freed by the caller. */
char *settings_differing(json_t *const *objects, size_t n, size_t which);

#endif
