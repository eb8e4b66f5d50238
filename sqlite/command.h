/* command.h - what INSERT INTO photos(photos) VALUES ('...') does. */
#ifndef NLSH_SQL_COMMAND_H
#define NLSH_SQL_COMMAND_H

#include "table.h"

int nlsh__sql_command(struct nlsh__sql_table *table, const char *command);
/* 'train' */
int nlsh__sql_train(struct nlsh__sql_table *table);

#endif
