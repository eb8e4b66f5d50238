/* encoded.h - a segment's rows in the order of the file, their codes and leaves, and the margins of both. */
#ifndef NLSH_MAKE_ENCODED_H
#define NLSH_MAKE_ENCODED_H

#include "make/learn.h"
#include "measure/margins.h"

/* Owned. codes and leaves are the bytes of their sections, or NULL where there are none. */
struct nlsh__encoded {
    uint32_t *bucket_offsets; /* [m + 1] */
    uint32_t *rows;           /* [n] base row at each place */
    void *codes, *leaves;
    size_t codes_size, leaves_size;
    struct nlsh__row_margins row_margins;
    struct nlsh__leaf_margins leaf_margins;
    size_t code_bytes; /* that were chosen; 0: no codes */
    double
        scanned; /* candidates at recall@10 .95 on held-out rows, leaf by leaf where there are leaves */
};

enum nlsh_status nlsh__encode_segment(const struct nlsh__ground *ground,
                                      const struct nlsh__learned *learned,
                                      struct nlsh__encoded *out, struct nlsh_error *error);
void nlsh__encoded_free(struct nlsh__encoded *encoded);

#endif
