/* rows.h - rows of a file (rows.c) and rows that are read through others (composed.c): what they know of each other. */
#ifndef NLSH_VECTORS_ROWS_H
#define NLSH_VECTORS_ROWS_H

#include "nlsh/learn.h"

/* Whether nlsh_rows_open() gave them. */
int nlsh__rows_of_file(const struct nlsh_rows *rows);

/* Begins such a file again and stands behind n of its rows. Of a file that is not packed, and whose rows are all as long,
 * nothing is read. What read() returns. */
enum nlsh_status nlsh__rows_pass(const struct nlsh_rows *rows, size_t n, struct nlsh_error *error);

/* The contract of read(): NLSH_E_ARG where rows first .. first + n - 1 are not those that come next, or not there. */
enum nlsh_status nlsh__rows_check_order(const char *name, size_t first, size_t n, size_t next,
                                        size_t n_rows, struct nlsh_error *error);

/* Frees what rows that are read through others hold; 0: they are none. */
int nlsh__composed_free(const struct nlsh_rows *rows);

#endif
