/* learner.h - libnlsh-learn, where it is: given by the program, or found by the loader. */
#ifndef NLSH_SQL_LEARNER_H
#define NLSH_SQL_LEARNER_H

#include "nlsh_sqlite.h"

/* NULL where it cannot be had; then *why says so, a constant or the loader's words. */
const struct nlsh_sqlite_learner *nlsh__sqlite_learner(const char **why);

#endif
