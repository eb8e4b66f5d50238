/*
 * pending.h - entries that are not in the shadow tables yet.
 *
 * A vector is written to X_vectors at once. Its entry is kept in memory and written with others of its bucket: when the
 * transaction ends, when a savepoint begins, before a search, and when there are many. So an undone transaction or
 * savepoint forgets what is pending, and what is pending is never of before a savepoint.
 */
#ifndef NLSH_SQL_PENDING_H
#define NLSH_SQL_PENDING_H

#include "table.h"

/* Makes the entry of a vector [dim], which was checked: vector.h. What is already pending may be written first. On an
 * error nothing is added. */
int nlsh__sqlite_pend(struct nlsh__sqlite_table *table, const float *vector);
/* Adds that entry, once its vector is there, under a rowid. Cannot fail. */
void nlsh__sqlite_pend_added(struct nlsh__sqlite_table *table, sqlite3_int64 rowid);
/* Room to say what follows. */
int nlsh__sqlite_pend_change(struct nlsh__sqlite_table *table);
/* The table has so many rows more, and so many entries without a vector. Behind one of the calls above. */
void nlsh__sqlite_pend_counts(struct nlsh__sqlite_table *table, int rows, int stale);

/* The state is to be written by the next flush. Behind nlsh__sqlite_pend_change(). */
void nlsh__sqlite_pend_dirty(struct nlsh__sqlite_table *table);

/* Writes all that is pending, and with it the table's state. */
int nlsh__sqlite_flush(struct nlsh__sqlite_table *table);
/* Forgets it. */
void nlsh__sqlite_pending_forget(struct nlsh__sqlite_table *table);
void nlsh__sqlite_pending_free(struct nlsh__sqlite_pending *pending);

#endif
