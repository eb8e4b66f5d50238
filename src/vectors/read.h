/* read.h - files of vectors for who wants to know more than the public header tells. */
#ifndef NLSH_VECTORS_READ_H
#define NLSH_VECTORS_READ_H

#include "nlsh/learn.h"

/* nlsh_vectors_read() that can be stopped: run's progress function is called every few megabytes
 * with the stage "reading". run may be NULL. NLSH_E_INTERRUPTED besides. */
enum nlsh_status nlsh__vectors_read_with(const char *path, enum nlsh_format format,
                                         const struct nlsh_run *run, struct nlsh_vectors **out,
                                         struct nlsh_error *error);

/* The same of what can only be read once, to its end, such as standard input; name stands for it in messages
 * and its ending counts. All of it is in memory before it is looked at. */
enum nlsh_status nlsh__vectors_read_stream(int fd, const char *name, enum nlsh_format format,
                                           const struct nlsh_run *run, struct nlsh_vectors **out,
                                           struct nlsh_error *error);

/* Gets a word: [size] bytes without a NUL behind them, borrowed for the call. */
typedef void (*nlsh__word_fn)(void *user, const char *word, size_t size);

/* The words before the numbers of a file of text, in the order of its rows; format as nlsh_vectors_read() has it.
 * NLSH_E_DATA where the file is of another format or a row has no word. */
enum nlsh_status nlsh__vectors_words(const char *path, enum nlsh_format format, nlsh__word_fn give,
                                     void *user, struct nlsh_error *error);

/* The format that a file name's ending says, a ".gz", ".zst" or ".crop_nb_N" behind it aside (big-ann's
 * name for the first N rows); AUTO where it says none. */
enum nlsh_format nlsh__format_of_path(const char *path);

/* ".gz" or ".zst" where the name says that the file is compressed, in upper or lower case; else NULL. */
const char *nlsh__packed_ending(const char *path);

#endif
