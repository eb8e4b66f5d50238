/*
 * ahead.h - pages that a search is going to read, asked of the system all at once.
 *
 * SQLite reads a page when it comes to it, and waits for a disk as often as it reads one that the system has not in
 * memory. A search knows before which rows it will read: which buckets, then which vectors. Their pages are looked up in
 * the file, and the system is told of all of them; then SQLite finds them there. It is a hint: no answer depends on it,
 * what cannot be understood is left out, and a database that is no file of this system goes without.
 */
#ifndef NLSH_SQL_AHEAD_H
#define NLSH_SQL_AHEAD_H

#include <sqlite3ext.h>
#include <stddef.h>
#include <stdint.h>

#include "pages.h"

struct nlsh__sqlite_table;

/* Shadow tables that are read ahead. */
enum nlsh__sqlite_ahead_of {
    NLSH__SQL_AHEAD_INFO,
    NLSH__SQL_AHEAD_MODEL,
    NLSH__SQL_AHEAD_BUCKETS,
    NLSH__SQL_AHEAD_CHUNKS,
    NLSH__SQL_AHEAD_VECTORS,
    NLSH__SQL_AHEAD_N
};

/* What a table knows of its file. */
struct nlsh__sqlite_ahead {
    int is_on;              /* the search that runs looks ahead; then: */
    int file;               /* SQLite's own descriptor of the database */
    uint64_t device, inode; /* by which it is known */
    struct nlsh__sqlite_paging paging;
    uint32_t roots[NLSH__SQL_AHEAD_N];
    size_t n_looked, n_missing; /* pages; those that were not in memory */
    unsigned pause, left;       /* searches that do not look: so many in a row, and still to come */
};

/* A search begins and ends. Not every one looks: where the last one missed nothing, the next do not, longer each time. */
void nlsh__sqlite_ahead_begin(struct nlsh__sqlite_table *table);
void nlsh__sqlite_ahead_end(struct nlsh__sqlite_table *table);

/* Asks for the pages of rows with these rowids [n] of a shadow table; whole: and for what does not fit into a leaf.
 * Between begin and end; elsewhere nothing happens. */
void nlsh__sqlite_ahead_rows(struct nlsh__sqlite_table *table, enum nlsh__sqlite_ahead_of of,
                             const sqlite3_int64 *rowids, size_t n, int whole);

#endif
