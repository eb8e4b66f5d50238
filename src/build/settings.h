/* settings.h - what of the settings is not public. */
#ifndef NLSH_BUILD_SETTINGS_H
#define NLSH_BUILD_SETTINGS_H

#include "base/job.h"

/* The settings as a JSON object, freed with free(); NULL where memory ran out. */
char *nlsh__settings_json(const struct nlsh_build_options *options);

#endif
