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

/* Pages one behind the other, first at the file's byte (first - 1) x size; n 0: none. */
struct nlsh__sqlite_run {
    uint32_t first, n;
};

/* Whether a page [paging.size] has rows, and not pages below it. */
int nlsh__sqlite_page_is_leaf(const uint8_t *page);
/* The page below that has a rowid, if there is such a row; 0: the page is no such page. */
uint32_t nlsh__sqlite_page_below(const uint8_t *page, struct nlsh__sqlite_paging paging,
                                 int64_t rowid);
/* What a row in a leaf has no room for there: SQLite chains it, and pages that it took from the end of the file, as it
 * does where none are free, are one behind the other. */
struct nlsh__sqlite_run
nlsh__sqlite_page_overflow(const uint8_t *page, struct nlsh__sqlite_paging paging, int64_t rowid);

#endif
