/*
 * nlsh_sqlite.h - the virtual table nlsh for a program that links it, in place of loading nlsh0.so.
 *
 * Compile the files of this folder with -DSQLITE_CORE, and call sqlite3_nlsh_init() for each connection, or give it to
 * sqlite3_auto_extension(). What the table does in SQL: docs/sqlite.md.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef NLSH_SQLITE_H
#define NLSH_SQLITE_H

#include <sqlite3.h>

#include "nlsh/learn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Registers the table and the functions with a connection. *message, where it is not NULL: sqlite3_free() it.
 * Returns a code of SQLite. routines is not used with SQLITE_CORE. */
int sqlite3_nlsh_init(sqlite3 *db, char **message, const struct sqlite3_api_routines *routines);

/* What of libnlsh-learn 'train' and 'calibrate' need. */
struct nlsh_sqlite_learner {
    void (*build_options_init)(struct nlsh_build_options *options, size_t size);
    void (*run_init)(struct nlsh_run *run, size_t size);
    enum nlsh_status (*build)(const struct nlsh_matrix *base,
                              const struct nlsh_build_options *options, const char *path,
                              const struct nlsh_run *run, struct nlsh_build_report *report,
                              struct nlsh_error *error);
    enum nlsh_status (*calibrate)(const char *path, const struct nlsh_matrix *queries,
                                  const char *out_path, const struct nlsh_run *run,
                                  struct nlsh_calibrate_report *report, struct nlsh_error *error);
};

/* For a program that links libnlsh-learn itself: its functions, which must stay. Without this call the library is
 * looked for when it is needed. Call it before the first 'train', of any thread. */
void nlsh_sqlite_set_learner(const struct nlsh_sqlite_learner *learner);

#ifdef __cplusplus
}
#endif

#endif
