/* keys.h - vectors' keys from a file: for a build, or for a filter. */
#ifndef NLSH_CLI_KEYS_H
#define NLSH_CLI_KEYS_H

#include <stddef.h>
#include <stdint.h>

/*
 * keys_read() - one key a vector.
 *
 *  path    text with a whole number on each line; or .ivecs or .npy of whole numbers (numpy's i4, u4, i8
 *          or u8), as one row or one column; or .words, whose words' keys they are (words.h)
 *  n_rows  how many there must be
 *  out     [n_rows], freed by the caller; NULL on error
 * A negative number, NLSH_NO_KEY, a key that is there twice or another count is an error that names the
 * line or place and the value. 0 or an exit code.
 */
int keys_read(const char *path, size_t n_rows, uint64_t **out);

/* The same of any number of keys, which may be there twice. */
int keys_list(const char *path, uint64_t **out, size_t *n);

#endif
