/* folder.h - a folder of our own for an index file that libnlsh-learn makes. */
#ifndef NLSH_SQL_FOLDER_H
#define NLSH_SQL_FOLDER_H

#include "table.h"

struct nlsh__sqlite_folder {
    char *folder, *file; /* file: the index file's path; nothing is there yet */
};

/* In $SQLITE_TMPDIR, $TMPDIR, /var/tmp, /tmp or the working directory: SQLite's own order. */
int nlsh__sqlite_folder_make(struct nlsh__sqlite_table *table, struct nlsh__sqlite_folder *out);
/* Removes it, with the file. */
void nlsh__sqlite_folder_free(struct nlsh__sqlite_folder *folder);

/* nlsh_progress_fn for libnlsh-learn: stops where the connection, that of the table in *user, was interrupted. */
int nlsh__sqlite_progress(void *user, const char *stage, uint64_t done, uint64_t total);

#endif
