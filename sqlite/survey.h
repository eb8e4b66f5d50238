/* survey.h - all vectors and all entries of a table, looked through: for 'optimize' and 'verify'. */
#ifndef NLSH_SQL_SURVEY_H
#define NLSH_SQL_SURVEY_H

#include "chunk.h"
#include "table.h"

/* Which rowids have a vector, and how many entries each of them has. */
struct nlsh__sqlite_survey {
    int64_t *rowids;    /* [n] ascending */
    uint8_t *n_entries; /* [n] 0, 1, or 2 for more */
    size_t n;
    size_t n_stale; /* entries of other rowids */
};

/* Where a rowid stands in the survey; n where it has no vector. */
size_t nlsh__sqlite_survey_find(const struct nlsh__sqlite_survey *survey, int64_t rowid);

/* Reads all chunks of a table that is trained, and the rowids. *sizes [n_buckets] of entries, or NULL. */
int nlsh__sqlite_survey_make(struct nlsh__sqlite_table *table, struct nlsh__sqlite_survey *out,
                             uint32_t *sizes);
void nlsh__sqlite_survey_free(struct nlsh__sqlite_survey *survey);

/* Called for each chunk, by id; chunk is in memory until the call returns. Anything but SQLITE_OK ends it. */
typedef int nlsh__sqlite_chunk_fn(void *user, sqlite3_int64 id,
                                  const struct nlsh__sqlite_chunk *chunk);
int nlsh__sqlite_each_chunk(struct nlsh__sqlite_table *table, sqlite3_int64 first,
                            sqlite3_int64 last, nlsh__sqlite_chunk_fn *call, void *user);

#endif
