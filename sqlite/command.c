/* command.c - see command.h. */
#include "command.h"

#include "pending.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

static int calibrate(struct nlsh__sqlite_table *table)
{
    return nlsh__sqlite_calibrate(table, NULL);
}

static int refreshed(struct nlsh__sqlite_table *table)
{
    int rc = nlsh__sqlite_flush(table);
    return rc == SQLITE_OK ? nlsh__sqlite_refresh(table) : rc;
}

int nlsh__sqlite_command(struct nlsh__sqlite_table *table, const char *command)
{
    static const struct {
        const char *name;
        int (*run)(struct nlsh__sqlite_table *table);
    } all[] = {{"train", nlsh__sqlite_train},
               {"optimize", nlsh__sqlite_optimize},
               {"calibrate", calibrate},
               {"verify", nlsh__sqlite_verify}};
    static const char by[] = "calibrate "; /* and a table of queries */
    int rc;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (sqlite3_stricmp(command, all[i].name) != 0) continue;
        rc = refreshed(table);
        return rc == SQLITE_OK ? all[i].run(table) : rc;
    }
    if (sqlite3_strnicmp(command, by, sizeof by - 1) == 0) {
        rc = refreshed(table);
        return rc == SQLITE_OK ? nlsh__sqlite_calibrate(table, command + sizeof by - 1) : rc;
    }
    return nlsh__sqlite_fail(
        table, SQLITE_ERROR,
        "%s: no command is called %Q: there are 'train', 'optimize', 'calibrate' and 'verify'",
        table->name, command);
}
