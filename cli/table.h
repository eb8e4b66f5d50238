/* table.h - a table of numbers for a terminal: as wide as its cells, and no wider than there is room. */
#ifndef NLSH_CLI_TABLE_H
#define NLSH_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

struct table_column {
    const char *title;
    int goes; /* 0: it stays. Where there is no room, the column with the least number goes first */
};

/* Its rows, as they will be printed. */
struct table {
    const struct table_column *columns;
    size_t n_columns;
    char **
        cells; /* [n_rows x n_columns]; a line between rows is its first cell, with the others NULL */
    size_t n_rows, capacity;
    int failed; /* 1: memory ran out */
};

void table_begin(struct table *table, const struct table_column *columns, size_t n_columns);
/* A row: copies of the cells. */
void table_row(struct table *table, const char *const *cells);
/* A line between rows, which may be longer than any. */
void table_line(struct table *table, const char *line);
/* Prints it within so many letters, the first column to the left and the others to the right, says in a line which columns
 * had no room, and frees it. 0 or an exit code. */
int table_print(struct table *table, FILE *to, size_t room);

#endif
