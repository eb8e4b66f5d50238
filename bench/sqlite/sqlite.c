/*
 * sqlite.c - the extension for SQLite beside another one, for docs/sqlite.md.
 *
 *   ninja -C build/release bench_sqlite nlsh0
 *   build/release/bench_sqlite [options] NLSH0.so BASE QUERIES DATABASE
 *     --metric NAME       l2 (default), ip or cosine
 *     --vec VEC0.so       sqlite-vec, in tables of its own of the same database
 *     --truth FILE        exact neighbours of the queries; default: they are computed
 *     --recall R          default .95
 *     --queries N         of ours; default 2000.  --vec-queries N: of the other's; default 30
 *     --cache MB          cache_size of the connection; default 10.  --mmap MB: mmap_size; default 0
 *     --step NAME         insert, train, search, cold, filter, insert-more or memory: only that; may be repeated.
 *                         memory is for itself: it reads no base
 *
 * DATABASE is made by insert and used by the others. A line for each measurement: its name, the value, the unit.
 */
#define _GNU_SOURCE /* RUSAGE_THREAD */
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../live/common.h"
#include "base/rng.h"

enum { K = 10, MORE = 20000, COLD = 21 };

static struct {
    const char *nlsh, *vec, *base, *queries, *truth, *database, *metric;
    double recall;
    size_t n_queries, n_vec_queries, cache_mb, mmap_mb;
    const char *steps[16];
    size_t n_steps;
} o = {.metric = "l2", .recall = .95, .n_queries = 2000, .n_vec_queries = 30, .cache_mb = 10};

static struct nlsh_matrix base, queries;
static float *base_row, *query_row;
static struct nlsh_neighbors truth;

static void say(const char *name, double value, const char *unit)
{
    printf("%-44s %12.5g %s\n", name, value, unit);
    fflush(stdout);
}

static void sql_must(sqlite3 *db, int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) return;
    fprintf(stderr, "SQLite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void run(sqlite3 *db, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    sql_must(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
    sqlite3_free(sql);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    sql_must(db, sqlite3_prepare_v2(db, sql, -1, &statement, NULL));
    return statement;
}

static sqlite3 *open_database(void)
{
    sqlite3 *db;
    sql_must(NULL, sqlite3_open(o.database, &db));
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    sql_must(db, sqlite3_load_extension(db, o.nlsh, NULL, NULL));
    if (o.vec != NULL) sql_must(db, sqlite3_load_extension(db, o.vec, NULL, NULL));
    run(db,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -%lld; "
        "PRAGMA mmap_size = %lld",
        (long long)o.cache_mb * 1024, (long long)o.mmap_mb << 20);
    return db;
}

static const float *row_of(const struct nlsh_matrix *m, size_t i, float *scratch)
{
    nlsh__row_to_f32(nlsh__row(m, i), m->type, m->dim, scratch);
    return scratch;
}

static int is_wanted(const char *step)
{
    for (size_t i = 0; i < o.n_steps; i++)
        if (strcmp(o.steps[i], step) == 0) return 1;
    return o.n_steps == 0;
}

/* ---- inserts --------------------------------------------------------------------------------- */

static double insert(sqlite3 *db, const char *table, size_t first, size_t end)
{
    char *sql = sqlite3_mprintf("INSERT INTO %s(rowid, embedding) VALUES(?, ?)", table);
    sqlite3_stmt *statement = prepare(db, sql);
    double start = nlsh__now();
    run(db, "BEGIN");
    for (size_t i = first; i < end; i++) {
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)i);
        sqlite3_bind_blob(statement, 2, row_of(&base, i, base_row), (int)(base.dim * sizeof(float)),
                          SQLITE_STATIC);
        sqlite3_step(statement);
        sql_must(db, sqlite3_reset(statement));
    }
    run(db, "COMMIT");
    double seconds = nlsh__now() - start;
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return (double)(end - first) / seconds;
}

static void step_insert(void)
{
    char wal[4096], shm[4096];
    snprintf(wal, sizeof wal, "%s-wal", o.database);
    snprintf(shm, sizeof shm, "%s-shm", o.database);
    (void)unlink(o.database);
    (void)unlink(wal);
    (void)unlink(shm);
    sqlite3 *db = open_database();
    run(db, "CREATE VIRTUAL TABLE ours USING nlsh(embedding float[%lld], metric='%s')",
        (long long)base.dim, o.metric);
    say("inserts, before training", insert(db, "ours", 0, base.n_rows), "/s");
    if (o.vec != NULL) {
        run(db, "CREATE VIRTUAL TABLE theirs USING vec0(embedding float[%lld] distance_metric=%s)",
            (long long)base.dim, o.metric);
        say("inserts, sqlite-vec", insert(db, "theirs", 0, base.n_rows), "/s");
    }
    sqlite3_close(db);
}

static void step_train(void)
{
    sqlite3 *db = open_database();
    double start = nlsh__now();
    run(db, "INSERT INTO ours(ours) VALUES('train')");
    say("train", nlsh__now() - start, "s");
    sqlite3_close(db);
}

/* Some are deleted and come again. */
static void step_insert_more(void)
{
    sqlite3 *db = open_database();
    size_t n = base.n_rows < MORE ? base.n_rows : MORE;
    double start = nlsh__now();
    run(db, "DELETE FROM ours WHERE rowid < %lld", (long long)n);
    say("deletes", (double)n / (nlsh__now() - start), "/s");
    say("inserts, after training", insert(db, "ours", 0, n), "/s");
    sqlite3_close(db);
}

/* ---- searches -------------------------------------------------------------------------------- */

static double recall_of(const uint64_t *keys, const float *distances, size_t i)
{
    return nlsh_recall(keys, distances, truth.ids + i * truth.k,
                       truth.distances != NULL ? truth.distances + i * truth.k : NULL, K);
}

/* One query; fills keys and distances [K]. */
static void ask(sqlite3 *db, sqlite3_stmt *statement, size_t i, uint64_t *keys, float *distances)
{
    size_t n = 0;
    sqlite3_bind_blob(statement, 1, row_of(&queries, i, query_row),
                      (int)(queries.dim * sizeof(float)), SQLITE_STATIC);
    while (sqlite3_step(statement) == SQLITE_ROW && n < K) {
        keys[n] = (uint64_t)sqlite3_column_int64(statement, 0);
        distances[n++] = (float)sqlite3_column_double(statement, 1);
    }
    sql_must(db, sqlite3_reset(statement));
    for (; n < K; n++) {
        keys[n] = NLSH_NO_KEY;
        distances[n] = INFINITY;
    }
}

/* Of this thread: other programs may be busy beside it. */
static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double search(sqlite3 *db, const char *name, sqlite3_stmt *statement, size_t n)
{
    char line[64];
    uint64_t keys[K];
    float distances[K];
    double recall = 0, seconds = 0, processor = 0;
    if (n > queries.n_rows) n = queries.n_rows;
    for (size_t i = 0; i < n; i++) {
        double start = nlsh__now(), worked = processor_seconds();
        ask(db, statement, i, keys, distances);
        processor += processor_seconds() - worked;
        seconds += nlsh__now() - start;
        recall += recall_of(keys, distances, i);
    }
    snprintf(line, sizeof line, "%s: recall@10", name);
    say(line, recall / (double)n, "");
    snprintf(line, sizeof line, "%s: queries", name);
    say(line, (double)n / seconds, "/s");
    snprintf(line, sizeof line, "%s: queries a second of processor", name);
    say(line, (double)n / processor, "/s");
    return (double)n / processor;
}

static char *text_of_ours(void)
{
    return sqlite3_mprintf(
        "SELECT rowid, distance FROM ours WHERE embedding MATCH ? AND k = %d AND "
        "recall = %f",
        K, o.recall);
}

static char *text_of_theirs(void)
{
    return sqlite3_mprintf("SELECT rowid, distance FROM theirs WHERE embedding MATCH ? AND k = %d",
                           K);
}

static void step_search(void)
{
    sqlite3 *db = open_database();
    sqlite3_stmt *ours = prepare(db, text_of_ours());
    uint64_t keys[K];
    float distances[K];
    for (size_t i = 0; i < 200 && i < queries.n_rows; i++) ask(db, ours, i, keys, distances);
    double own = search(db, "ours, warm", ours, o.n_queries);
    sqlite3_finalize(ours);
    if (o.vec != NULL) {
        sqlite3_stmt *theirs = prepare(db, text_of_theirs());
        ask(db, theirs, 0, keys, distances);
        double other = search(db, "sqlite-vec, warm", theirs, o.n_vec_queries);
        sqlite3_finalize(theirs);
        say("times as many, of processor", own / other, "");
    }
    sqlite3_close(db);
}

/* The file's pages are not in the system's cache any more. */
static void drop_cache(void)
{
    int fd = open(o.database, O_RDONLY);
    if (fd < 0) return;
    (void)fsync(fd);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

/* All of them are. */
static void fill_cache(void)
{
    static char buffer[1 << 20];
    FILE *f = fopen(o.database, "rb");
    while (f != NULL && fread(buffer, 1, sizeof buffer, f) == sizeof buffer) continue;
    if (f != NULL) fclose(f);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, ascending);
    return values[n / 2];
}

/* Queries of one extension: a new connection's first with the pages in the system's cache, and without; and those of a
 * connection that has asked before, whose pages leave the caches before each query. */
enum { FIRST, FIRST_FROM_DISK, FROM_DISK, KINDS };
struct cold {
    const char *name;
    char *text;
    sqlite3 *db;
    sqlite3_stmt *statement; /* of FROM_DISK */
    double seconds[KINDS][COLD],
        waits[KINDS][COLD]; /* waits: how often the thread slept, as for a disk */
};

static void time_cold(struct cold *c, int kind, size_t i, sqlite3_stmt *statement)
{
    uint64_t keys[K];
    float distances[K];
    struct rusage before, after;
    if (kind != FIRST) drop_cache();
    getrusage(RUSAGE_THREAD, &before);
    double start = nlsh__now();
    ask(sqlite3_db_handle(statement), statement, i * (queries.n_rows / COLD), keys, distances);
    c->seconds[kind][i] = nlsh__now() - start;
    getrusage(RUSAGE_THREAD, &after);
    c->waits[kind][i] = (double)(after.ru_nvcsw - before.ru_nvcsw);
}

static void ask_first(struct cold *c, int kind, size_t i)
{
    sqlite3 *db = open_database();
    sqlite3_stmt *statement = prepare(db, c->text);
    time_cold(c, kind, i, statement);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

static void cold_begin(struct cold *c)
{
    uint64_t keys[K];
    float distances[K];
    c->db = open_database();
    c->statement = prepare(c->db, c->text);
    ask(c->db, c->statement, 0, keys, distances);
}

static void cold_end(struct cold *c)
{
    sqlite3_finalize(c->statement);
    sqlite3_close(c->db);
}

static const char *const kinds[] = {"first query", "first query, from disk", "pages from disk"};

static void cold_say(struct cold *c)
{
    char line[80];
    for (int kind = 0; kind < KINDS; kind++) {
        snprintf(line, sizeof line, "%s, %s", c->name, kinds[kind]);
        say(line, median(c->seconds[kind], COLD) * 1000, "ms");
        snprintf(line, sizeof line, "%s, %s: waits", c->name, kinds[kind]);
        say(line, median(c->waits[kind], COLD), "");
    }
}

/* By turns, since other programs may be busy beside it: medians, and medians of what a turn's two ratios are. */
static void step_cold(void)
{
    static struct cold all[] = {{.name = "ours"}, {.name = "sqlite-vec"}};
    double ratios[KINDS][COLD];
    size_t n = o.vec != NULL ? 2 : 1;
    sqlite3 *db = open_database();
    run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
    sqlite3_close(db);
    all[0].text = text_of_ours();
    all[1].text = text_of_theirs();
    for (size_t e = 0; e < n; e++) cold_begin(&all[e]);
    for (size_t i = 0; i < COLD; i++) {
        fill_cache();
        for (size_t e = 0; e < n; e++) ask_first(&all[e], FIRST, i);
        for (size_t e = 0; e < n; e++) ask_first(&all[e], FIRST_FROM_DISK, i);
        for (size_t e = 0; e < n; e++) {
            sqlite3_db_release_memory(all[e].db);
            time_cold(&all[e], FROM_DISK, i, all[e].statement);
        }
        for (int kind = 0; kind < KINDS; kind++)
            ratios[kind][i] = all[1].seconds[kind][i] / all[0].seconds[kind][i];
    }
    for (size_t e = 0; e < n; e++) {
        cold_end(&all[e]);
        cold_say(&all[e]);
    }
    for (int kind = 0; n > 1 && kind < KINDS; kind++) {
        char line[80];
        snprintf(line, sizeof line, "times as fast, %s", kinds[kind]);
        say(line, median(ratios[kind], COLD), "");
    }
}

/* ---- filters --------------------------------------------------------------------------------- */

static void search_filtered(sqlite3 *db, sqlite3_stmt *one, double share)
{
    char line[64];
    uint64_t keys[K], exact[K];
    float distances[K], exact_distances[K];
    double recall = 0, squares = 0, seconds = 0, found = 0;
    /* exact searches through much take long */
    size_t n = share > .05 ? 100 : 1000;
    if (n > queries.n_rows) n = queries.n_rows;
    sqlite3_stmt *all =
        prepare(db, "SELECT rowid, distance FROM ours WHERE embedding MATCH ? AND k = "
                    "10 AND recall = 1 AND rowid IN (SELECT id FROM allowed)");
    for (size_t i = 0; i < n; i++) {
        size_t query = i * (queries.n_rows / n);
        double start = nlsh__now();
        ask(db, one, query, keys, distances);
        seconds += nlsh__now() - start;
        ask(db, all, query, exact, exact_distances);
        for (size_t j = 0; j < K; j++) found += keys[j] != NLSH_NO_KEY;
        double r = nlsh_recall(keys, distances, exact, exact_distances, K);
        recall += r;
        squares += r * r;
    }
    double mean = recall / (double)n;
    sqlite3_finalize(all);
    snprintf(line, sizeof line, "rowid IN %g %%: recall@10", share * 100);
    say(line, mean, "");
    snprintf(line, sizeof line, "rowid IN %g %%: its standard error", share * 100);
    say(line, sqrt(fmax(squares / (double)n - mean * mean, 0) / (double)n), "");
    snprintf(line, sizeof line, "rowid IN %g %%: rows", share * 100);
    say(line, found / (double)n, "");
    snprintf(line, sizeof line, "rowid IN %g %%: time", share * 100);
    say(line, seconds / (double)n * 1000, "ms");
}

static void step_filter(void)
{
    static const double shares[] = {.1, .01, .001};
    sqlite3 *db = open_database();
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 2);
    for (size_t s = 0; s < 3; s++) {
        run(db,
            "DROP TABLE IF EXISTS temp.allowed; CREATE TEMP TABLE allowed(id INTEGER PRIMARY KEY); "
            "BEGIN");
        sqlite3_stmt *add = prepare(db, "INSERT INTO allowed VALUES(?)");
        for (size_t i = 0; i < base.n_rows; i++) {
            if (nlsh__rng_uniform(&rng) >= shares[s]) continue;
            sqlite3_bind_int64(add, 1, (sqlite3_int64)i);
            sqlite3_step(add);
            sql_must(db, sqlite3_reset(add));
        }
        sqlite3_finalize(add);
        run(db, "COMMIT");
        char *sql =
            sqlite3_mprintf("SELECT rowid, distance FROM ours WHERE embedding MATCH ? AND k = 10 "
                            "AND recall = %f AND rowid IN (SELECT id FROM allowed)",
                            o.recall);
        sqlite3_stmt *one = prepare(db, sql);
        search_filtered(db, one, shares[s]);
        sqlite3_finalize(one);
        sqlite3_free(sql);
    }
    sqlite3_close(db);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static double resident(const char *what)
{
    char line[256];
    double kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, what, strlen(what)) == 0) kb = strtod(line + strlen(what) + 1, NULL);
    if (f != NULL) fclose(f);
    return kb / 1024;
}

/* Before base and truth are read: what is resident is ours. */
static void step_memory(void)
{
    sqlite3 *db = open_database();
    sqlite3_stmt *ours = prepare(db, text_of_ours());
    uint64_t keys[K];
    float distances[K];
    say("resident, before the first query", resident("VmRSS"), "MB");
    for (size_t i = 0; i < o.n_queries && i < queries.n_rows; i++)
        ask(db, ours, i, keys, distances);
    say("resident, after the queries", resident("VmRSS"), "MB");
    say("of it files' pages", resident("RssFile"), "MB");
    say("resident at most", resident("VmHWM"), "MB");
    say("SQLite's memory", (double)sqlite3_memory_used() / 1e6, "MB");
    sqlite3_finalize(ours);
    sqlite3_close(db);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void options_read(int argc, char **argv)
{
    const char **words[] = {&o.nlsh, &o.base, &o.queries, &o.database};
    size_t n = 0;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : "";
        int taken = 1;
        if (strcmp(a, "--metric") == 0)
            o.metric = v;
        else if (strcmp(a, "--vec") == 0)
            o.vec = v;
        else if (strcmp(a, "--truth") == 0)
            o.truth = v;
        else if (strcmp(a, "--recall") == 0)
            o.recall = atof(v);
        else if (strcmp(a, "--queries") == 0)
            o.n_queries = (size_t)atol(v);
        else if (strcmp(a, "--vec-queries") == 0)
            o.n_vec_queries = (size_t)atol(v);
        else if (strcmp(a, "--cache") == 0)
            o.cache_mb = (size_t)atol(v);
        else if (strcmp(a, "--mmap") == 0)
            o.mmap_mb = (size_t)atol(v);
        else if (strcmp(a, "--step") == 0 && o.n_steps < 16)
            o.steps[o.n_steps++] = v;
        else if (n < 4) {
            *words[n++] = a;
            taken = 0;
        }
        i += taken;
    }
    if (n == 4) return;
    fprintf(stderr, "usage: bench_sqlite [options] NLSH0.so BASE QUERIES DATABASE\n");
    exit(2);
}

static void read_truth(void)
{
    struct nlsh_error error = {0};
    enum nlsh_metric metric = o.metric[0] == 'c'   ? NLSH_COSINE
                              : o.metric[0] == 'i' ? NLSH_IP
                                                   : NLSH_L2;
    struct nlsh_matrix some =
        rows_of(&queries, 0, o.n_queries < queries.n_rows ? o.n_queries : queries.n_rows);
    nlsh_neighbors_init(&truth, sizeof truth);
    must(o.truth != NULL ? nlsh_neighbors_read(o.truth, &truth, &error)
                         : nlsh_ground_truth(&base, &some, metric, K, NULL, &truth, &error),
         &error);
}

int main(int argc, char **argv)
{
    options_read(argc, argv);
    queries = read_matrix(o.queries);
    query_row = room(queries.dim, sizeof *query_row);
    if (o.n_steps == 1 && is_wanted("memory")) {
        step_memory();
        return 0;
    }
    base = read_matrix(o.base);
    base_row = room(base.dim, sizeof *base_row);
    if (is_wanted("search")) read_truth();
    if (is_wanted("insert")) step_insert();
    if (is_wanted("train")) step_train();
    if (is_wanted("search")) step_search();
    if (is_wanted("cold")) step_cold();
    if (is_wanted("filter")) step_filter();
    if (is_wanted("insert-more")) step_insert_more();
    return 0;
}
