/* bytes.h - a message on its way: values behind one another, as they lie in memory. */
#ifndef NLSH_BASE_BYTES_H
#define NLSH_BASE_BYTES_H

#include <string.h>

#include "base/error.h"
#include "base/memory.h"

/* Grows as it is written; zeros are an empty one. */
struct nlsh__bytes {
    uint8_t *at;
    size_t n, room;
    int failed; /* 1: memory was short, and something is missing */
};

/* What is read of one. */
struct nlsh__reader {
    const uint8_t *at;
    size_t left;
    int failed; /* 1: more was taken than there is */
};

void nlsh__bytes_add(struct nlsh__bytes *bytes, const void *values, size_t size);
void nlsh__bytes_free(struct nlsh__bytes *bytes);

/* size bytes into to; zeros where there are not so many. */
static inline void nlsh__bytes_take(struct nlsh__reader *reader, void *to, size_t size)
{
    if (size > reader->left) {
        reader->failed = 1;
        memset(to, 0, size);
        return;
    }
    memcpy(to, reader->at, size);
    reader->at += size;
    reader->left -= size;
}

#endif
