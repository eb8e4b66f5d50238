/* command.h - what INSERT INTO photos(photos) VALUES ('...') does. */
#ifndef NLSH_SQL_COMMAND_H
#define NLSH_SQL_COMMAND_H

#include "table.h"

int nlsh__sqlite_command(struct nlsh__sqlite_table *table, const char *command);
/* The commands, of a table without anything pending whose state was read. */
int nlsh__sqlite_train(struct nlsh__sqlite_table *table);
int nlsh__sqlite_optimize(struct nlsh__sqlite_table *table);
/* By queries from a table; NULL: by the vectors' own. */
int nlsh__sqlite_calibrate(struct nlsh__sqlite_table *table, const char *from);
int nlsh__sqlite_verify(struct nlsh__sqlite_table *table);

#endif
