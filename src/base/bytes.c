/* bytes.c - see bytes.h. */
#include "base/bytes.h"

void nlsh__bytes_add(struct nlsh__bytes *b, const void *values, size_t size)
{
    if (size > b->room - b->n) {
        uint8_t *more;
        size_t room = 2 * (b->n + size);
        if (b->failed || nlsh__alloc(&more, room, 1, NULL) != NLSH_OK) {
            b->failed = 1;
            return;
        }
        if (b->n > 0) memcpy(more, b->at, b->n);
        nlsh__free(b->at);
        b->at = more;
        b->room = room;
    }
    if (size > 0) memcpy(b->at + b->n, values, size);
    b->n += size;
}

void nlsh__bytes_free(struct nlsh__bytes *b)
{
    nlsh__free(b->at);
    *b = (struct nlsh__bytes){0};
}
