/*
 * model.h - what was learned, opened: an index without rows, as libnlsh opens it from bytes, with a searcher and with
 * what makes rows.
 */
#ifndef NLSH_SQL_MODEL_H
#define NLSH_SQL_MODEL_H

#include "cache.h"
#include "live/coder.h"
#include "search/search.h"
#include "table.h"

/* Parts in the shadow table model. The third: rowids i64 [n] of vectors that the router did not learn from, which are
 * as good as queries. */
enum { NLSH__SQL_PART_INDEX = 1, NLSH__SQL_PART_CODER = 2, NLSH__SQL_PART_UNTAUGHT = 3 };

struct nlsh__sqlite_model {
    uint8_t *bytes;           /* of the index */
    struct nlsh_index *index; /* its segment has no rows; its weights are those of sizes */
    struct nlsh_searcher *searcher;
    struct nlsh__row_maker maker; /* made where it is needed: nlsh__sqlite_model_maker() */
    int has_maker;
    struct nlsh__sqlite_cache *cache; /* of the version that the table knows */
    size_t n_buckets, code_bytes;
    uint32_t *sizes;   /* [n_buckets] entries */
    size_t n_entries;  /* in all buckets */
    size_t n_measured; /* rows when promises were measured */
};

/* From the shadow tables, into table->model. */
int nlsh__sqlite_model_load(struct nlsh__sqlite_table *table);
void nlsh__sqlite_model_free(struct nlsh__sqlite_model *model);

/* What makes entries, into model->maker: of part 2, which searches do without. */
int nlsh__sqlite_model_maker(struct nlsh__sqlite_table *table);

/* Reads the buckets' sizes, and weighs them for so many rows. */
int nlsh__sqlite_model_weigh(struct nlsh__sqlite_table *table, sqlite3_int64 rows);
/* Weighs the sizes as they are. */
void nlsh__sqlite_model_reweigh(struct nlsh__sqlite_model *model, size_t rows);

/* Writes a trained index's parts, but for its rows; rowids [n_rows] of them. */
int nlsh__sqlite_model_save(struct nlsh__sqlite_table *table, const struct nlsh_index *trained,
                            const int64_t *rowids);

/* A part's bytes, freed with nlsh__free(); *size 0 where it is not there. */
int nlsh__sqlite_model_part(struct nlsh__sqlite_table *table, int part, uint8_t **out,
                            size_t *size);
/* Whether a section of a trained file stands in the first part as it is: enum nlsh__section_kind. */
int nlsh__sqlite_model_keeps(unsigned kind);
/* What was learned was written anew: the state says so, and what is open of it is dropped until it is needed. */
int nlsh__sqlite_model_replaced(struct nlsh__sqlite_table *table);
/* Writes what was measured with an index that has this model. As nlsh__sqlite_model_replaced(). */
int nlsh__sqlite_model_recalibrate(struct nlsh__sqlite_table *table,
                                   const struct nlsh_index *measured);

#endif
