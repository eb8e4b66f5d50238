/* best.c - see best.h. */
#include "best.h"

#include <math.h>

int nlsh__sqlite_is_before(const struct nlsh__sqlite_found *a, const struct nlsh__sqlite_found *b)
{
    return a->score != b->score ? a->score < b->score : a->rowid < b->rowid;
}

static void swap(struct nlsh__sqlite_found *a, struct nlsh__sqlite_found *b)
{
    struct nlsh__sqlite_found c = *a;
    *a = *b;
    *b = c;
}

/* found[i] down to its place among found[n], the last in order on top. */
static void sink(struct nlsh__sqlite_found *found, size_t n, size_t i)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && nlsh__sqlite_is_before(&found[child], &found[child + 1])) child++;
        if (!nlsh__sqlite_is_before(&found[i], &found[child])) return;
        swap(&found[i], &found[child]);
        i = child;
    }
}

float nlsh__sqlite_best_limit(const struct nlsh__sqlite_best *best)
{
    return best->n < best->k ? INFINITY : best->found[0].score;
}

void nlsh__sqlite_best_push(struct nlsh__sqlite_best *best, int64_t rowid, float score)
{
    const struct nlsh__sqlite_found one = {rowid, isnan(score) ? INFINITY : score};
    if (best->n == best->k) {
        if (!nlsh__sqlite_is_before(&one, &best->found[0])) return;
        best->found[0] = one;
        sink(best->found, best->n, 0);
        return;
    }
    size_t i = best->n++;
    best->found[i] = one;
    for (; i > 0 && nlsh__sqlite_is_before(&best->found[(i - 1) / 2], &best->found[i]);
         i = (i - 1) / 2)
        swap(&best->found[(i - 1) / 2], &best->found[i]);
}

void nlsh__sqlite_best_sort(struct nlsh__sqlite_best *best)
{
    for (size_t n = best->n; n > 1; n--) {
        swap(&best->found[0], &best->found[n - 1]);
        sink(best->found, n - 1, 0);
    }
}
