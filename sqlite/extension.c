/* extension.c - what SQLite calls to load all of this. */
#include <sqlite3ext.h>

#include "nlsh_sqlite.h"
#include "table.h"
#include "vector.h"

SQLITE_EXTENSION_INIT1

/* vtab_in() and its like. */
#define LEAST_SQLITE 3038000

__attribute__((visibility("default"))) int
sqlite3_nlsh_init(sqlite3 *db, char **message, const struct sqlite3_api_routines *routines)
{
    SQLITE_EXTENSION_INIT2(routines);
    (void)routines;
    if (sqlite3_libversion_number() < LEAST_SQLITE) {
        if (message != NULL)
            *message = sqlite3_mprintf("nlsh needs SQLite 3.38 or later, and this is %s",
                                       sqlite3_libversion());
        return SQLITE_ERROR;
    }
    int rc = nlsh__sql_functions(db);
    if (rc == SQLITE_OK) rc = sqlite3_create_module_v2(db, "nlsh", &nlsh__sql_module, NULL, NULL);
    return rc;
}
