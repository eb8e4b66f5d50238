/* exact.c - see exact.h. Scores are computed as libnlsh's searches do (search/rank.c), so answers are the same. */
#include "exact.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/metric.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

/* Vectors of a set that are asked for together before they are looked up. */
enum { SET_AHEAD = 256 };
/* Below it squares may have lost digits, as f32 has none smaller than 1e-45. */
#define LEAST_SQUARE 1e-20f

/* memcpy(), one cache line behind the other. libc's begins with both ends of what it copies, in loads of 64 bytes: of
 * vectors that come from memory a scan of GloVe-100 takes 1.4 times as long then. */
static void copy(void *to, const void *from, size_t size)
{
    const char *source = from;
    char *target = to;
    for (; size >= 64; size -= 64, source += 64, target += 64) {
        memcpy(target, source, 64);
        __asm__ volatile("" ::: "memory"); /* or the compiler makes a call of it again */
    }
    memcpy(target, source, size);
}

float nlsh__sqlite_score(const struct nlsh__sqlite_exact *e, const void *vector)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t dim = e->table->dim;
    const float *x = vector;
    if (e->table->metric == NLSH_COSINE || (uintptr_t)vector % sizeof(float) != 0) {
        copy(e->scratch, vector, dim * sizeof(float));
        x = e->scratch;
    }
    if (e->table->metric == NLSH_IP) return -kernels->dot_f32(e->query, x, dim);
    if (e->table->metric == NLSH_COSINE) (void)nlsh__scale_to(x, dim, 1, e->scratch);
    return kernels->l2sq_f32(e->query, x, dim);
}

/*
 * Whether a stored vector cannot be among the best by cosine: of all vectors most are told by this, which is quicker
 * than to scale them. |q - x / |x||^2 = 2 - 2 q.x / |x|. With u = 2^-24, the sums of dim products are off by dim u at
 * most, relative to |q| |x| and to |x|^2, and the score by 4 dim u: 7 dim u in all, and some u for what is rounded once.
 */
static int is_far(const struct nlsh__sqlite_exact *e, const void *vector)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    size_t dim = e->table->dim;
    float limit = nlsh__sqlite_best_limit(e->best);
    if (e->table->metric != NLSH_COSINE || limit == INFINITY) return 0;
    copy(e->scratch, vector, dim * sizeof(float));
    float square = kernels->dot_f32(e->scratch, e->scratch, dim);
    if (!(square > LEAST_SQUARE)) return 0;
    float score = 2 - 2 * kernels->dot_f32(e->query, e->scratch, dim) / sqrtf(square);
    return score > limit + 8 * ((float)dim + 8) * 0x1p-24f;
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
        if (!is_far(e, vector))
            nlsh__sqlite_best_push(e->best, sqlite3_column_int64(scan, 0),
                                   nlsh__sqlite_score(e, vector));
    }
    return nlsh__sqlite_done(table, scan, rc);
}
