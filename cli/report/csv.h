/* csv.h - a table from a file of comma-separated values, whole in memory. */
#ifndef NLSH_CLI_REPORT_CSV_H
#define NLSH_CLI_REPORT_CSV_H

#include <stddef.h>

struct csv {
    const char *path; /* borrowed, for messages */
    char *text;
    char **fields; /* [(n_rows + 1) x n_columns]; the first row holds the columns' names */
    size_t *lines; /* [n_rows + 1] where each begins, from 1 */
    size_t n_columns, n_rows;
};

enum { CSV_NONE = -1 };

/*
 * csv_read() - RFC 4180: a first row of names, then rows of as many fields; quotes where a field has
 * commas, quotes or line ends. What is not UTF-8 becomes "?". Returns 0 or an exit code after saying
 * which line is wrong. Refuses what holds a NUL, and what has no row behind the names.
 */
int csv_read(const char *path, struct csv *out);
void csv_free(struct csv *csv);

/* The column of a name; CSV_NONE where there is none. */
int csv_column(const struct csv *csv, const char *name);
/* The first column whose name begins so. */
int csv_column_like(const struct csv *csv, const char *beginning);
const char *csv_name(const struct csv *csv, int column);
/* row from 0, the names not counted. */
const char *csv_at(const struct csv *csv, size_t row, int column);
/* A finite number; 0, or an exit code after saying which line and column holds none. */
int csv_number(const struct csv *csv, size_t row, int column, double *out);
/* The same, where an empty field is NaN. */
int csv_number_or_none(const struct csv *csv, size_t row, int column, double *out);

#endif
