/* keys.h - the vectors' keys for a build, from a file. */
#ifndef NLSH_CLI_KEYS_H
#define NLSH_CLI_KEYS_H

#include <stddef.h>
#include <stdint.h>

/*
 * keys_read() - one key a vector.
 *
 *  path    text with a whole number on each line; or .ivecs or .npy of whole numbers (numpy's i4, u4, i8
 *          or u8), as one row or one column
 *  n_rows  how many there must be
 *  out     [n_rows], freed by the caller; NULL on error
 * A negative number, NLSH_NO_KEY, a key that is there twice or another count is an error that names the
 * line or place and the value. 0 or an exit code.
 */
int keys_read(const char *path, size_t n_rows, uint64_t **out);

#endif
