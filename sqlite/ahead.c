/*
 * ahead.c - see ahead.h.
 *
 * Level by level down the table's tree: the pages of a level are asked for together (posix_fadvise), then read for the
 * numbers of those below. So a search waits for a disk as often as trees are deep, and not once a page.
 *
 * The descriptor is the one that SQLite has open. We never open the file ourselves: as one closes it, all locks of the
 * process on it are gone (sqlite.org/howtocorrupt.html, 2.2). Another thread may close the descriptor meanwhile, and a
 * page may stand in a WAL or be written just now: then the wrong pages are asked for, and nothing else happens.
 */
#define _GNU_SOURCE /* preadv2 */
#include "ahead.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "store.h"
#include "table.h"

SQLITE_EXTENSION_INIT3

#ifdef __linux__
#include <sys/uio.h> /* RWF_NOWAIT, where the C library has it */
#endif

#ifdef RWF_NOWAIT

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Searches between two looks, where nothing is missing: a look takes 1 to 2 microseconds a page. */
enum { MOST_PAUSE = 255 };
/* Levels of a tree; SQLite has none deeper than 20. */
enum { MOST_LEVELS = 20 };

/* ---- the file -------------------------------------------------------------------------------- */

static int is_file(const struct nlsh__sqlite_ahead *a, int file)
{
    struct stat found;
    return fstat(file, &found) == 0 && S_ISREG(found.st_mode) &&
           (uint64_t)found.st_dev == a->device && (uint64_t)found.st_ino == a->inode;
}

static int find_file(struct nlsh__sqlite_ahead *a, const char *path)
{
    struct stat wanted;
    if (path == NULL || path[0] == '\0' || stat(path, &wanted) != 0) return 0;
    int is_same = a->device == (uint64_t)wanted.st_dev && a->inode == (uint64_t)wanted.st_ino;
    if (is_same && is_file(a, a->file)) return 1;
    a->device = (uint64_t)wanted.st_dev;
    a->inode = (uint64_t)wanted.st_ino;
    DIR *all = opendir("/proc/self/fd");
    int is_found = 0;
    for (struct dirent *one; all != NULL && !is_found && (one = readdir(all)) != NULL;) {
        a->file = (int)strtol(one->d_name, NULL, 10);
        is_found = one->d_name[0] != '.' && is_file(a, a->file);
    }
    if (all != NULL) closedir(all);
    return is_found;
}

static off_t place_of(const struct nlsh__sqlite_ahead *a, uint32_t page)
{
    return (off_t)(page - 1) * (off_t)a->paging.size;
}

/* Pages first to first + n - 1, as far as there are such. */
static void ask(const struct nlsh__sqlite_ahead *a, uint32_t first, uint32_t n)
{
    if (n > 0 && first > 0)
        (void)posix_fadvise(a->file, place_of(a, first), (off_t)n * (off_t)a->paging.size,
                            POSIX_FADV_WILLNEED);
}

/* On both sides of the first page where nothing tells which. */
static void ask_chain(const struct nlsh__sqlite_ahead *a, struct nlsh__sqlite_chain chain)
{
    if (chain.n == 0) return;
    uint32_t more = chain.n - 1, below = more < chain.first ? more : chain.first - 1;
    if (chain.step > 0) below = 0;
    ask(a, chain.first - below, below + 1 + (chain.step < 0 ? 0 : more));
}

/* As SQLite knows them; 0 where it does not say so. */
static int find_paging(struct nlsh__sqlite_table *table)
{
    struct nlsh__sqlite_ahead *a = &table->ahead;
    sqlite3_stmt *pragma;
    int unused = -1; /* asks */
    if (nlsh__sqlite_prepare(table, NLSH__SQL_PAGE_SIZE, &pragma) != SQLITE_OK) return 0;
    sqlite3_int64 size = sqlite3_step(pragma) == SQLITE_ROW ? sqlite3_column_int64(pragma, 0) : 0;
    sqlite3_reset(pragma);
    (void)sqlite3_file_control(table->db, table->schema, SQLITE_FCNTL_RESERVE_BYTES, &unused);
    if (size < 512 || size > 65536 || unused < 0 || unused > 255) return 0;
    a->paging = (struct nlsh__sqlite_paging){(uint32_t)size, (uint32_t)(size - unused)};
    return 1;
}

/* Where the shadow tables begin: VACUUM moves them. */
static void find_roots(struct nlsh__sqlite_table *table)
{
    static const char *const suffixes[] = {"_info", "_model", "_buckets", "_chunks", "_vectors"};
    struct nlsh__sqlite_ahead *a = &table->ahead;
    int length = (int)strlen(table->name);
    sqlite3_stmt *all;
    memset(a->roots, 0, sizeof a->roots);
    if (nlsh__sqlite_prepare(table, NLSH__SQL_ROOTS, &all) != SQLITE_OK) return;
    while (sqlite3_step(all) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(all, 0);
        if (name == NULL || sqlite3_strnicmp(name, table->name, length) != 0) continue;
        for (size_t i = 0; i < NLSH__SQL_AHEAD_N; i++)
            if (sqlite3_stricmp(name + length, suffixes[i]) == 0)
                a->roots[i] = (uint32_t)sqlite3_column_int64(all, 1);
    }
    sqlite3_reset(all);
}

/* All that a search begins with. */
static void ask_roots(const struct nlsh__sqlite_ahead *a)
{
    for (size_t i = 0; i < NLSH__SQL_AHEAD_N; i++) ask(a, a->roots[i], 1);
}

static int open_file(struct nlsh__sqlite_table *table)
{
    struct nlsh__sqlite_ahead *a = &table->ahead;
    if (!find_file(a, sqlite3_db_filename(table->db, table->schema)) || !find_paging(table))
        return 0;
    find_roots(table);
    ask_roots(a);
    return 1;
}

/* Whether a page is in memory; as far as the system says so. */
static int is_here(const struct nlsh__sqlite_ahead *a, uint32_t page)
{
    char byte;
    struct iovec to = {&byte, 1};
    return preadv2(a->file, &to, 1, place_of(a, page), RWF_NOWAIT) >= 0 || errno != EAGAIN;
}

static int read_page(const struct nlsh__sqlite_ahead *a, uint32_t page, uint8_t *bytes)
{
    return pread(a->file, bytes, a->paging.size, place_of(a, page)) == (ssize_t)a->paging.size;
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* A row on the way down to it. */
struct way {
    int64_t rowid;
    uint32_t page;
};

static void ask_level(struct nlsh__sqlite_ahead *a, const struct way *ways, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && ways[i].page == ways[i - 1].page) continue;
        a->n_looked++;
        if (is_here(a, ways[i].page)) continue;
        a->n_missing++;
        ask(a, ways[i].page, 1);
    }
}

/* Reads the pages of a level; ways go on to those below. How many do. */
static size_t go_down(const struct nlsh__sqlite_ahead *a, struct way *ways, size_t n, int whole,
                      uint8_t *bytes)
{
    uint32_t page = 0;
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if (ways[i].page != page && !read_page(a, page = ways[i].page, bytes)) return 0;
        if (nlsh__sqlite_page_is_leaf(bytes)) {
            if (!whole) return 0;
            ask_chain(a, nlsh__sqlite_page_overflow(bytes, a->paging, ways[i].rowid));
            continue;
        }
        uint32_t below = nlsh__sqlite_page_below(bytes, a->paging, ways[i].rowid);
        if (below > 0) ways[left++] = (struct way){ways[i].rowid, below};
    }
    return left;
}

static int by_rowid(const void *a, const void *b)
{
    const struct way *x = a, *y = b;
    return (x->rowid > y->rowid) - (x->rowid < y->rowid);
}

void nlsh__sqlite_ahead_rows(struct nlsh__sqlite_table *table, enum nlsh__sqlite_ahead_of of,
                             const sqlite3_int64 *rowids, size_t n, int whole)
{
    struct nlsh__sqlite_ahead *a = &table->ahead;
    struct way *ways = NULL;
    uint8_t *bytes = NULL;
    if (!a->is_on || n == 0 || a->roots[of] == 0) return;
    if (nlsh__alloc(&ways, n, sizeof *ways, NULL) == NLSH_OK &&
        nlsh__alloc(&bytes, a->paging.size, 1, NULL) == NLSH_OK) {
        for (size_t i = 0; i < n; i++) ways[i] = (struct way){rowids[i], a->roots[of]};
        qsort(ways, n, sizeof *ways, by_rowid);
        for (int level = 0; level < MOST_LEVELS && n > 0; level++) {
            ask_level(a, ways, n);
            n = go_down(a, ways, n, whole, bytes);
        }
    }
    nlsh__free(ways);
    nlsh__free(bytes);
}

/* ---- when ------------------------------------------------------------------------------------ */

void nlsh__sqlite_ahead_begin(struct nlsh__sqlite_table *table)
{
    struct nlsh__sqlite_ahead *a = &table->ahead;
    a->n_looked = a->n_missing = 0;
    a->is_on = a->left == 0 && open_file(table);
    if (a->is_on) return;
    if (a->left == 0) a->left = MOST_PAUSE + 1; /* no such file */
    a->left--;
}

void nlsh__sqlite_ahead_end(struct nlsh__sqlite_table *table)
{
    struct nlsh__sqlite_ahead *a = &table->ahead;
    if (a->is_on && a->n_looked > 0) {
        a->pause = a->n_missing > 0 ? 0 : 2 * a->pause + 1;
        if (a->pause > MOST_PAUSE) a->pause = MOST_PAUSE;
        a->left = a->pause;
    }
    a->is_on = 0;
}

#else

void nlsh__sqlite_ahead_begin(struct nlsh__sqlite_table *table)
{
    (void)table;
}

void nlsh__sqlite_ahead_end(struct nlsh__sqlite_table *table)
{
    (void)table;
}

void nlsh__sqlite_ahead_rows(struct nlsh__sqlite_table *table, enum nlsh__sqlite_ahead_of of,
                             const sqlite3_int64 *rowids, size_t n, int whole)
{
    (void)table;
    (void)of;
    (void)rowids;
    (void)n;
    (void)whole;
}

#endif
