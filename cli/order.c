/* order.c - see order.h. */
#include "order.h"

#include <stdlib.h>

#include "talk.h"

struct placed {
    uint64_t key;
    size_t place;
};

static int by_key(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

int order_by_key(const uint64_t *keys, size_t n, size_t *places)
{
    struct placed *sorted = calloc(n ? n : 1, sizeof *sorted);
    if (sorted == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    for (size_t i = 0; i < n; i++) sorted[i] = (struct placed){keys[i], i};
    qsort(sorted, n, sizeof *sorted, by_key);
    for (size_t i = 0; i < n; i++) places[i] = sorted[i].place;
    free(sorted);
    return 0;
}
