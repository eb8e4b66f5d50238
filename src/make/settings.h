/* settings.h - what of the settings is not public. */
#ifndef NLSH_MAKE_SETTINGS_H
#define NLSH_MAKE_SETTINGS_H

#include "base/job.h"

/* A caller's settings, whatever the size of their struct; NULL: the defaults. */
enum nlsh_status nlsh__take_settings(const struct nlsh_build_options *given,
                                     struct nlsh_build_options *out, struct nlsh_error *error);

/* Whether each lies in the range that the table gives it, whatever the data. NLSH_E_ARG names the first
 * that does not. */
enum nlsh_status nlsh__settings_check(const struct nlsh_build_options *options,
                                      struct nlsh_error *error);

/* The settings as a JSON object, freed with free(); NULL where memory ran out. */
char *nlsh__settings_json(const struct nlsh_build_options *options);

/* Settings from such a text, over those that options hold; a name that is none is an error. whence: the file, for messages.
 * NLSH_E_DATA, NLSH_E_ARG. */
enum nlsh_status nlsh__settings_of(const char *whence, const char *json,
                                   struct nlsh_build_options *options, struct nlsh_error *error);

/* What a setting may be, for a search over it. */
struct nlsh__setting_range {
    enum { NLSH__RANGE_WHOLE, NLSH__RANGE_REAL, NLSH__RANGE_CHOICE } kind;
    double low, high;
    const char *const *choices; /* ended by NULL */
};

/* Of the i-th setting; 0 past the last, and for the seed, which is no setting to search. */
int nlsh__setting_range(size_t i, struct nlsh__setting_range *out);

#endif
