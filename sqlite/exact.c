/* exact.c - see exact.h. Scores are computed as libnlsh's searches do (search/rank.c), so answers are the same. */
#include "exact.h"

#include <string.h>

#include "kernels/kernels.h"
#include "kernels/metric.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

/* Vectors of a set that are asked for together before they are looked up. */
enum { SET_AHEAD = 256 };

float nlsh__sqlite_score(const struct nlsh__sqlite_exact *e, const void *vector)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t dim = e->table->dim;
    const float *x = vector;
    if (e->table->metric == NLSH_COSINE || (uintptr_t)vector % sizeof(float) != 0) {
        memcpy(e->scratch, vector, dim * sizeof(float));
        x = e->scratch;
    }
    if (e->table->metric == NLSH_IP) return -kernels->dot_f32(e->query, x, dim);
    if (e->table->metric == NLSH_COSINE) (void)nlsh__scale_to(x, dim, 1, e->scratch);
    return kernels->l2sq_f32(e->query, x, dim);
}

int nlsh__sqlite_rank(const struct nlsh__sqlite_exact *e, sqlite3_int64 rowid)
{
    const void *vector;
    int rc = nlsh__sqlite_vector_get(e->table, rowid, &vector);
    if (rc != SQLITE_OK || vector == NULL) return rc;
    nlsh__sqlite_best_push(e->best, rowid, nlsh__sqlite_score(e, vector));
    nlsh__sqlite_vector_release(e->table);
    return SQLITE_OK;
}

static int rank_set(const struct nlsh__sqlite_exact *e, const struct nlsh__sqlite_filter *filter)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < filter->n && rc == SQLITE_OK; i++) {
        size_t left = filter->n - i;
        if (i % SET_AHEAD == 0)
            nlsh__sqlite_ahead_rows(e->table, NLSH__SQL_AHEAD_VECTORS, filter->rowids + i,
                                    left < SET_AHEAD ? left : SET_AHEAD, 0);
        if (filter->rowids[i] >= filter->low && filter->rowids[i] <= filter->high)
            rc = nlsh__sqlite_rank(e, filter->rowids[i]);
    }
    return rc;
}

int nlsh__sqlite_rank_all(const struct nlsh__sqlite_exact *e,
                          const struct nlsh__sqlite_filter *filter)
{
    struct nlsh__sqlite_table *table = e->table;
    size_t row_bytes = table->dim * sizeof(float);
    sqlite3_stmt *scan;
    if (filter->rowids != NULL) return rank_set(e, filter);
    int rc = nlsh__sqlite_prepare(table, NLSH__SQL_VECTOR_SCAN, &scan);
    if (rc != SQLITE_OK) return rc;
    sqlite3_bind_int64(scan, 1, filter->low);
    sqlite3_bind_int64(scan, 2, filter->high);
    while ((rc = sqlite3_step(scan)) == SQLITE_ROW) {
        const void *vector = sqlite3_column_blob(scan, 1);
        if (vector == NULL || (size_t)sqlite3_column_bytes(scan, 1) != row_bytes) {
            int no_memory = sqlite3_errcode(table->db) == SQLITE_NOMEM;
            sqlite3_reset(scan);
            return no_memory ? SQLITE_NOMEM
                             : nlsh__sqlite_damaged(table, "a vector has another length");
        }
        nlsh__sqlite_best_push(e->best, sqlite3_column_int64(scan, 0),
                               nlsh__sqlite_score(e, vector));
    }
    return nlsh__sqlite_done(table, scan, rc);
}
