/* command.c - see command.h. */
#include "command.h"

#include "pending.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

int nlsh__sql_command(struct nlsh__sql_table *table, const char *command)
{
    static const struct {
        const char *name;
        int (*run)(struct nlsh__sql_table *table);
    } all[] = {{"train", nlsh__sql_train},
               {"optimize", nlsh__sql_optimize},
               {"calibrate", nlsh__sql_calibrate},
               {"verify", nlsh__sql_verify}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (sqlite3_stricmp(command, all[i].name) != 0) continue;
        int rc = nlsh__sql_flush(table);
        if (rc == SQLITE_OK) rc = nlsh__sql_refresh(table);
        return rc == SQLITE_OK ? all[i].run(table) : rc;
    }
    return nlsh__sql_fail(
        table, SQLITE_ERROR,
        "%s: no command is called %Q: there are 'train', 'optimize', 'calibrate' and 'verify'",
        table->name, command);
}
