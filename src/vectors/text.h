/* text.h - vectors as text: a line a vector, as CSV, TSV, GloVe's and fastText's files have it. */
#ifndef NLSH_VECTORS_TEXT_H
#define NLSH_VECTORS_TEXT_H

#include "vectors/read.h"
#include "vectors/source.h"
#include "vectors/vectors.h"

/* How the lines of a file are made, told from its first two that are not empty. */
struct nlsh__text {
    char separator; /* ',', ';', '\t', or ' ' for any spaces */
    int words;      /* words stand before a line's numbers */
    size_t
        title; /* number of a first line that is no vector, but names or word2vec's two sizes; or 0 */
    size_t dim; /* numbers at the end of a line */
};

/* Returns 1 where the head is that of vectors as text: printable, with numbers in its second line (or in its
 * only one). */
int nlsh__text_look(const uint8_t *head, size_t head_size, struct nlsh__text *out);

/*
 * nlsh__text_read() - the numbers of all lines, as F32.
 *
 *  source  at its beginning
 *  out     gets matrix and memory; its format is the caller's
 * Numbers are read as in C, with a point, whatever the locale. Empty lines are left out, and where there are no
 * words, lines that begin with #. NLSH_E_DATA names the line, counted from 1.
 */
enum nlsh_status nlsh__text_read(struct nlsh__source *source, const char *name,
                                 struct nlsh_vectors *out, struct nlsh_error *error);

/*
 * nlsh__text_words() - what stands before the numbers of each line that nlsh__text_read() takes, in its order.
 *
 *  source  at its beginning
 * Spaces around a word do not belong to it, those inside do. NLSH_E_DATA where a line has none; the words before
 * it have been given then.
 */
enum nlsh_status nlsh__text_words(struct nlsh__source *source, const char *name, nlsh__word_fn give,
                                  void *user, struct nlsh_error *error);

#endif
