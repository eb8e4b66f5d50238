/* declare.h - what stands in the brackets of CREATE VIRTUAL TABLE ... USING nlsh(...). */
#ifndef NLSH_SQL_DECLARE_H
#define NLSH_SQL_DECLARE_H

#include "table.h"

/* Fills column, dim and metric from the module's arguments, and declares the columns to SQLite. On an error *message
 * is set, and is SQLite's to free. */
int nlsh__sqlite_declare(struct nlsh__sqlite_table *table, int n, const char *const *arguments,
                         char **message);

#endif
