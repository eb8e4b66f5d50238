/*
 * pages.h - pages of a database file, of tables that have rowids: where rows stand. As SQLite's documentation has the
 * format (sqlite.org/fileformat2.html, "B-tree Pages"), which it promises to keep.
 *
 * Nothing here is trusted: a page may hold any bytes.
 */
#ifndef NLSH_SQL_PAGES_H
#define NLSH_SQL_PAGES_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a page of a file, 512 to 65,536; usable: those that hold content, at most 255 less. */
struct nlsh__sqlite_paging {
    uint32_t size, usable;
};

/* Pages of what a row has no room for in its leaf; n 0: none. SQLite chains them; those that it took from the end of the
 * file, or that were freed together, are one behind the other, upwards from the first or downwards. Which, a row beside it
 * lets guess: step 1 or -1; 0 where there is none. */
struct nlsh__sqlite_chain {
    uint32_t first, n;
    int step;
};

/* Whether a page [paging.size] has rows, and not pages below it. */
int nlsh__sqlite_page_is_leaf(const uint8_t *page);
/* The page below that has a rowid, if there is such a row; 0: the page is no such page. */
uint32_t nlsh__sqlite_page_below(const uint8_t *page, struct nlsh__sqlite_paging paging,
                                 int64_t rowid);
struct nlsh__sqlite_chain
nlsh__sqlite_page_overflow(const uint8_t *page, struct nlsh__sqlite_paging paging, int64_t rowid);

#endif
