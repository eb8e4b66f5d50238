/* file.h - nlsh_search(file, vector, k, recall): a table-valued function over an index file. */
#ifndef NLSH_SQL_FILE_H
#define NLSH_SQL_FILE_H

#include <sqlite3ext.h>

/* Registers it with a connection, which then keeps the last file that was searched open. */
int nlsh__sqlite_file_module(sqlite3 *db);

#endif
