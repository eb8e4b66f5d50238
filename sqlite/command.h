/* command.h - what INSERT INTO photos(photos) VALUES ('...') does. */
#ifndef NLSH_SQL_COMMAND_H
#define NLSH_SQL_COMMAND_H

#include "table.h"

int nlsh__sql_command(struct nlsh__sql_table *table, const char *command);
/* The commands, of a table without anything pending whose state was read. */
int nlsh__sql_train(struct nlsh__sql_table *table);
int nlsh__sql_optimize(struct nlsh__sql_table *table);
int nlsh__sql_calibrate(struct nlsh__sql_table *table);
int nlsh__sql_verify(struct nlsh__sql_table *table);

#endif
