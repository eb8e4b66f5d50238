/*
 * extension.c - what SQLite calls to load all of this.
 *
 * The extension has libnlsh inside, for itself alone, and that takes its memory from SQLite: it is counted there, keeps
 * to its limits, and fails where SQLite's own would. A program that links libnlsh chooses itself.
 */
#include <pthread.h>
#include <sqlite3ext.h>
#include <stdint.h>
#include <string.h>

#include "file.h"
#include "nlsh_sqlite.h"
#include "table.h"
#include "vector.h"

SQLITE_EXTENSION_INIT1

/* vtab_in() and its like. */
#define LEAST_SQLITE 3038000

#ifndef SQLITE_CORE
/* SQLite's memory is aligned to 8: the block that it gave stands in front of the one that we give. */
static void *allocate(void *user, size_t size, size_t alignment)
{
    (void)user;
    if (size > SIZE_MAX / 2) return NULL;
    char *block = sqlite3_malloc64(size + alignment + sizeof block);
    if (block == NULL) return NULL;
    uintptr_t at = (uintptr_t)block + sizeof block;
    char *aligned = block + ((at + alignment - 1) / alignment * alignment - (uintptr_t)block);
    memcpy(aligned - sizeof block, &block, sizeof block);
    return aligned;
}

static void release(void *user, void *memory)
{
    char *block;
    (void)user;
    memcpy(&block, (char *)memory - sizeof block, sizeof block);
    sqlite3_free(block);
}

static void take_memory_of_sqlite(void)
{
    static const struct nlsh_allocator allocator = {allocate, release, NULL};
    (void)!nlsh_set_allocator(&allocator, NULL);
}
#endif

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
#ifndef SQLITE_CORE
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, take_memory_of_sqlite);
#endif
    int rc = nlsh__sqlite_functions(db);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_file_module(db);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_module_v2(db, "nlsh", &nlsh__sqlite_module, NULL, NULL);
    return rc;
}
