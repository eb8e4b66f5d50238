/* command.c - see command.h. */
#include "command.h"

#include "pending.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

int nlsh__sqlite_command(struct nlsh__sqlite_table *table, const char *command)
{
    static const struct {
        const char *name;
        int (*run)(struct nlsh__sqlite_table *table);
    } all[] = {{"train", nlsh__sqlite_train},
               {"optimize", nlsh__sqlite_optimize},
               {"calibrate", nlsh__sqlite_calibrate},
               {"verify", nlsh__sqlite_verify}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (sqlite3_stricmp(command, all[i].name) != 0) continue;
        int rc = nlsh__sqlite_flush(table);
        if (rc == SQLITE_OK) rc = nlsh__sqlite_refresh(table);
        return rc == SQLITE_OK ? all[i].run(table) : rc;
    }
    return nlsh__sqlite_fail(
        table, SQLITE_ERROR,
        "%s: no command is called %Q: there are 'train', 'optimize', 'calibrate' and 'verify'",
        table->name, command);
}
