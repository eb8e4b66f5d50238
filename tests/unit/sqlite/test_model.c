/*
 * test_model.c - random statements: the table holds what a plain array holds after the same ones, through transactions,
 * savepoints, commands and a second connection; exact searches answer what the array says, and others nearly that.
 * NLSH_SQL_STEPS says how many statements.
 */
#include "common.h"

enum { DIM = 6, MOST_ROWS = 4000, BASE = 1100, STEPS = 500, MOST_SAVED = 5, K = 8 };

struct row {
    sqlite3_int64 rowid;
    float v[DIM];
};

/* All rows, by rowid. */
struct rows {
    struct row of[MOST_ROWS];
    size_t n;
};

struct world {
    struct nlsh__rng rng;
    enum nlsh_metric metric;
    sqlite3 *db, *other;
    struct rows now, committed, saved[MOST_SAVED];
    size_t n_saved;
    int in_transaction;
    double wanted, found; /* neighbours of searches for a recall */
};

/* ---- the array ------------------------------------------------------------------------------- */

static size_t place_of(const struct rows *rows, sqlite3_int64 rowid)
{
    size_t i = 0;
    while (i < rows->n && rows->of[i].rowid < rowid) i++;
    return i;
}

static int has(const struct rows *rows, sqlite3_int64 rowid)
{
    size_t i = place_of(rows, rowid);
    return i < rows->n && rows->of[i].rowid == rowid;
}

static void put(struct rows *rows, sqlite3_int64 rowid, const float *v)
{
    size_t i = place_of(rows, rowid);
    if (!has(rows, rowid)) {
        assert_true(rows->n < MOST_ROWS);
        memmove(rows->of + i + 1, rows->of + i, (rows->n - i) * sizeof *rows->of);
        rows->n++;
    }
    rows->of[i].rowid = rowid;
    memcpy(rows->of[i].v, v, sizeof rows->of[i].v);
}

static void take_out(struct rows *rows, size_t i)
{
    memmove(rows->of + i, rows->of + i + 1, (rows->n - i - 1) * sizeof *rows->of);
    rows->n--;
}

static double distance(enum nlsh_metric metric, const float *a, const float *b)
{
    double dot = 0, l2sq = 0, aa = 0, bb = 0;
    for (size_t d = 0; d < DIM; d++) {
        dot += (double)a[d] * (double)b[d];
        l2sq += ((double)a[d] - (double)b[d]) * ((double)a[d] - (double)b[d]);
        aa += (double)a[d] * (double)a[d];
        bb += (double)b[d] * (double)b[d];
    }
    return metric == NLSH_L2 ? sqrt(l2sq) : metric == NLSH_IP ? -dot : 1 - dot / sqrt(aa * bb);
}

/* ---- statements ------------------------------------------------------------------------------ */

static size_t below(struct world *w, size_t n)
{
    return (size_t)nlsh__rng_below(&w->rng, n);
}

static sqlite3_int64 some_rowid(struct world *w)
{
    if (w->now.n > 0 && below(w, 4) > 0) return w->now.of[below(w, w->now.n)].rowid;
    return (sqlite3_int64)below(w, 3000) - 50;
}

/* A statement with a vector; returns the code. */
static int with_vector(struct world *w, const char *sql, sqlite3_int64 rowid, const float *v)
{
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_prepare_v2(w->db, sql, -1, &s, NULL), SQLITE_OK);
    sqlite3_bind_int64(s, 1, rowid);
    sqlite3_bind_blob(s, 2, v, DIM * sizeof *v, SQLITE_STATIC);
    sqlite3_step(s);
    return sqlite3_finalize(s);
}

static void insert(struct world *w)
{
    float v[DIM];
    sqlite3_int64 rowid = some_rowid(w);
    int is_there = has(&w->now, rowid), replaces = below(w, 2) == 0;
    if (w->now.n + 40 > MOST_ROWS) return;
    sql_vector(&w->rng, DIM, v);
    int rc = with_vector(w,
                         replaces ? "REPLACE INTO t(rowid, e) VALUES(?, ?)"
                                  : "INSERT INTO t(rowid, e) VALUES(?, ?)",
                         rowid, v);
    assert_int_equal(rc & 0xff, is_there && !replaces ? SQLITE_CONSTRAINT : SQLITE_OK);
    if (rc == SQLITE_OK) put(&w->now, rowid, v);
}

static void insert_some(struct world *w)
{
    for (size_t i = 0; i < 30 && w->now.n + 40 < MOST_ROWS; i++) {
        float v[DIM];
        sql_vector(&w->rng, DIM, v);
        assert_int_equal(with_vector(w, "INSERT INTO t(rowid, e) VALUES(NULL + ?, ?)", 0, v),
                         SQLITE_OK);
        put(&w->now, sqlite3_last_insert_rowid(w->db), v);
    }
}

static void update(struct world *w)
{
    float v[DIM];
    sqlite3_int64 rowid = some_rowid(w);
    sql_vector(&w->rng, DIM, v);
    assert_int_equal(with_vector(w, "UPDATE t SET e = ?2 WHERE rowid = ?1", rowid, v), SQLITE_OK);
    if (has(&w->now, rowid)) put(&w->now, rowid, v);
}

static void move(struct world *w)
{
    sqlite3_int64 from = some_rowid(w), to = some_rowid(w);
    char *sql = sqlite3_mprintf("UPDATE t SET rowid = %lld WHERE rowid = %lld", to, from);
    int rc = sqlite3_exec(w->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    int fails = has(&w->now, from) && has(&w->now, to) && from != to;
    assert_int_equal(rc & 0xff, fails ? SQLITE_CONSTRAINT : SQLITE_OK);
    if (fails || !has(&w->now, from)) return;
    struct row row = w->now.of[place_of(&w->now, from)];
    take_out(&w->now, place_of(&w->now, from));
    put(&w->now, to, row.v);
}

static void delete_some(struct world *w)
{
    sqlite3_int64 low = some_rowid(w), high = low + (sqlite3_int64)below(w, 25);
    sql_run(w->db, "DELETE FROM t WHERE rowid BETWEEN %lld AND %lld", low, high);
    for (size_t i = w->now.n; i-- > 0;)
        if (w->now.of[i].rowid >= low && w->now.of[i].rowid <= high) take_out(&w->now, i);
}

/* A statement of several rows that fails in its middle leaves nothing behind. */
static void fail_half_way(struct world *w)
{
    if (w->now.n == 0) return;
    char *sql = sqlite3_mprintf("INSERT INTO t(rowid, e) VALUES(5000, '[1,2,3,4,5,6]'), (%lld, "
                                "'[1,2,3,4,5,6]')",
                                w->now.of[below(w, w->now.n)].rowid);
    assert_int_equal(sqlite3_exec(w->db, sql, NULL, NULL, NULL) & 0xff, SQLITE_CONSTRAINT);
    sqlite3_free(sql);
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void transaction(struct world *w)
{
    if (!w->in_transaction) {
        w->committed = w->now;
        sql_run(w->db, "BEGIN");
    } else if (below(w, 2) == 0) {
        sql_run(w->db, "COMMIT");
    } else {
        sql_run(w->db, "ROLLBACK");
        w->now = w->committed;
    }
    w->in_transaction = !w->in_transaction;
    w->n_saved = 0;
}

static void savepoint(struct world *w)
{
    if (!w->in_transaction) return;
    if (w->n_saved < MOST_SAVED && below(w, 2) == 0) {
        w->saved[w->n_saved] = w->now;
        sql_run(w->db, "SAVEPOINT s%d", (int)w->n_saved++);
    } else if (w->n_saved > 0) {
        size_t to = below(w, w->n_saved);
        if (below(w, 2) == 0) {
            sql_run(w->db, "RELEASE s%d", (int)to);
            w->n_saved = to;
        } else {
            sql_run(w->db, "ROLLBACK TO s%d", (int)to);
            w->now = w->saved[to];
            w->n_saved = to + 1;
        }
    }
}

/* ---- searches -------------------------------------------------------------------------------- */

struct limits {
    sqlite3_int64 low, high;
    unsigned every; /* 0: there is no set; else rowids that it divides */
};

static int allows(const struct limits *l, sqlite3_int64 rowid)
{
    return rowid >= l->low && rowid <= l->high && (l->every == 0 || rowid % (int)l->every == 0);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The true distances [n] of what is allowed, ascending. */
static size_t truth_of(const struct world *w, const struct rows *rows, const float *q,
                       const struct limits *l, double *out)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->n; i++)
        if (allows(l, rows->of[i].rowid)) out[n++] = distance(w->metric, q, rows->of[i].v);
    qsort(out, n, sizeof *out, ascending);
    return n;
}

static char *text_of(struct world *w, const struct limits *l, double recall)
{
    char *set = sqlite3_mprintf(" AND rowid IN (SELECT id FROM t_vectors WHERE id %% %d = 0 UNION "
                                "SELECT -1000000)",
                                l->every > 0 ? (int)l->every : 1);
    char *range = sqlite3_mprintf(" AND rowid >= %lld AND rowid <= %lld", l->low, l->high);
    int is_range = l->low > INT64_MIN || below(w, 5) == 0;
    char *sql =
        sqlite3_mprintf("SELECT rowid, distance FROM t WHERE e MATCH ?2 AND k = %d AND recall = "
                        "%f%s%s ORDER BY distance",
                        K, recall, is_range ? range : "", l->every > 0 ? set : "");
    sqlite3_free(set);
    sqlite3_free(range);
    return sql;
}

static void search_on(struct world *w, sqlite3 *db, const struct rows *rows)
{
    static double truth[MOST_ROWS];
    float q[DIM];
    sqlite3_stmt *s;
    struct limits l = {INT64_MIN, INT64_MAX, 0};
    if (below(w, 3) == 0) l.every = (unsigned)below(w, 40) + 1;
    if (below(w, 4) == 0) {
        l.low = (sqlite3_int64)below(w, 1500);
        l.high = l.low + (sqlite3_int64)below(w, 1500);
    }
    double recall = below(w, 2) == 0 ? 1 : .9;
    sql_vector(&w->rng, DIM, q);
    size_t n = truth_of(w, rows, q, &l, truth), found = 0, hits = 0;
    char *sql = text_of(w, &l, recall);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    sqlite3_bind_blob(s, 2, q, sizeof q, SQLITE_STATIC);
    double last = -INFINITY;
    int rc;
    for (; (rc = sqlite3_step(s)) == SQLITE_ROW; found++) {
        sqlite3_int64 rowid = sqlite3_column_int64(s, 0);
        double said = sqlite3_column_double(s, 1);
        assert_true(has(rows, rowid) && allows(&l, rowid));
        double is = distance(w->metric, q, rows->of[place_of(rows, rowid)].v);
        assert_true(fabs(is - said) <= 1e-5 * (1 + fabs(is)));
        assert_true(said >= last);
        last = said;
        hits += is <= truth[n < K ? n - 1 : K - 1] + 1e-5 * (1 + fabs(is));
    }
    if (rc != SQLITE_DONE) fail_msg("%s\n  %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(s);
    if (found != (n < K ? n : K)) fail_msg("%s\n  %zu rows of %zu", sql, found, n);
    if (recall == 1) assert_int_equal(hits, found);
    if (recall < 1) {
        w->wanted += (double)found;
        w->found += (double)hits;
    }
    sqlite3_free(sql);
}

static void compare_all(struct world *w)
{
    sqlite3_stmt *s;
    size_t n = 0;
    assert_int_equal(sqlite3_prepare_v2(w->db, "SELECT rowid, e FROM t", -1, &s, NULL), SQLITE_OK);
    for (; sqlite3_step(s) == SQLITE_ROW; n++) {
        assert_true(n < w->now.n);
        assert_int_equal(sqlite3_column_int64(s, 0), w->now.of[n].rowid);
        assert_memory_equal(sqlite3_column_blob(s, 1), w->now.of[n].v, sizeof w->now.of[n].v);
    }
    sqlite3_finalize(s);
    assert_int_equal(n, w->now.n);
    sql_is_whole(w->db, "t");
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void step(struct world *w)
{
    switch (below(w, 26)) {
    case 0:
    case 1:
    case 2: insert(w); break;
    case 3: insert_some(w); break;
    case 4:
    case 5: update(w); break;
    case 6: move(w); break;
    case 7: delete_some(w); break;
    case 8: fail_half_way(w); break;
    case 9:
    case 10: transaction(w); break;
    case 11:
    case 12:
    case 13: savepoint(w); break;
    case 14: compare_all(w); break;
    case 15: sql_run(w->db, "INSERT INTO t(t) VALUES('optimize')"); break;
    case 16: /* what others see is what was committed */
    case 17: search_on(w, w->other, w->in_transaction ? &w->committed : &w->now); break;
    default: search_on(w, w->db, &w->now);
    }
}

static void run_world(enum nlsh_metric metric)
{
    static struct world w;
    const char *steps = getenv("NLSH_SQL_STEPS"),
               *path = scratch_path("%s.db", nlsh_metric_name(metric));
    size_t n_steps = steps != NULL ? strtoul(steps, NULL, 10) : STEPS;
    memset(&w, 0, sizeof w);
    test_rng(&w.rng, 100 + metric);
    w.metric = metric;
    w.db = sql_open(path);
    sql_run(w.db,
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; CREATE VIRTUAL TABLE t USING "
            "nlsh(e float[%d], metric=%s)",
            DIM, nlsh_metric_name(metric));
    w.other = sql_open(path);
    for (size_t i = 0; i < n_steps; i++) {
        if (i == n_steps / 5 || i == n_steps / 5 * 3) { /* before: not trained; then anew */
            while (w.now.n < BASE) insert_some(&w);
            sql_run(w.db, "INSERT INTO t(t) VALUES('train')");
        }
        if (i == n_steps / 5 * 4) sql_run(w.db, "INSERT INTO t(t) VALUES('calibrate')");
        step(&w);
    }
    compare_all(&w);
    if (w.in_transaction) sql_run(w.db, "COMMIT");
    sql_close(w.db);
    sql_close(w.other);
    printf("%s: %.3f of %g neighbours, where .9 were asked for\n", nlsh_metric_name(metric),
           w.found / w.wanted, w.wanted);
    assert_true(w.found / w.wanted > .8); /* many rows are none of those that were learned from */
}

static void test_l2(void **state)
{
    (void)state;
    run_world(NLSH_L2);
}

static void test_ip(void **state)
{
    (void)state;
    run_world(NLSH_IP);
}

static void test_cosine(void **state)
{
    (void)state;
    run_world(NLSH_COSINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_l2),
        cmocka_unit_test(test_ip),
        cmocka_unit_test(test_cosine),
    };
    sql_learn_quickly();
    scratch_make();
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    scratch_remove();
    return n_failed;
}
