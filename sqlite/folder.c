/* folder.c - see folder.h. */
#include "folder.h"

#include <stdlib.h>
#include <unistd.h>

#include "store.h"

SQLITE_EXTENSION_INIT3

int nlsh__sqlite_folder_make(struct nlsh__sqlite_table *table, struct nlsh__sqlite_folder *out)
{
    const char *places[] = {getenv("SQLITE_TMPDIR"), getenv("TMPDIR"), "/var/tmp", "/tmp", "."};
    *out = (struct nlsh__sqlite_folder){NULL, NULL};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i] == NULL || access(places[i], W_OK | X_OK) != 0) continue;
        out->folder = sqlite3_mprintf("%s/nlsh-train-XXXXXX", places[i]);
        if (out->folder == NULL) return SQLITE_NOMEM;
        if (mkdtemp(out->folder) != NULL) {
            out->file = sqlite3_mprintf("%s/trained.nlsh", out->folder);
            return out->file != NULL ? SQLITE_OK : SQLITE_NOMEM;
        }
        sqlite3_free(out->folder);
        out->folder = NULL;
    }
    return nlsh__sqlite_fail(table, SQLITE_CANTOPEN,
                             "%s: no folder for temporary files can be written: set TMPDIR",
                             table->name);
}

void nlsh__sqlite_folder_free(struct nlsh__sqlite_folder *folder)
{
    if (folder->file != NULL) (void)unlink(folder->file);
    if (folder->folder != NULL) (void)rmdir(folder->folder);
    sqlite3_free(folder->file);
    sqlite3_free(folder->folder);
    *folder = (struct nlsh__sqlite_folder){NULL, NULL};
}

int nlsh__sqlite_progress(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)stage;
    (void)done;
    (void)total;
    return nlsh__sqlite_interrupted(user) != SQLITE_OK;
}
