/* targets.c - see targets.h. */
#include "promise/targets.h"

#include <math.h>

static int inside_0_1(float x)
{
    return x > 0 && x < 1; /* false for NaN */
}

size_t nlsh__targets_wrong(const struct nlsh__target_table *t)
{
    size_t i = 0;
    while (i < t->n_points && inside_0_1(t->points[i][0]) && inside_0_1(t->points[i][1]) &&
           (i == 0 || t->points[i][0] > t->points[i - 1][0]))
        i++;
    return i;
}

/* Linear in the logarithm of the threshold between two measured points. Beyond the table's end the
 * threshold falls with the recall that is missing, as the last points do: no point was measured there. */
static double from_table(const struct nlsh__target_table *t, double recall)
{
    size_t i = 0;
    while (i < t->n_points && (double)t->points[i][0] < recall) i++;
    if (i == 0) return (double)t->points[0][1];
    double r0 = (double)t->points[i - 1][0], t0 = log((double)t->points[i - 1][1]);
    if (i == t->n_points) return exp(t0 + log((1 - recall) / (1 - r0)));
    double r1 = (double)t->points[i][0], t1 = log((double)t->points[i][1]);
    return exp(t0 + (t1 - t0) * (recall - r0) / (r1 - r0));
}

/* Between the numbers of neighbours that were measured, by their logarithms, and beyond the last as the
 * last two have it. */
float nlsh__target_threshold(const struct nlsh__targets *targets, size_t k, double recall)
{
    const struct nlsh__target_table *t = targets->tables;
    size_t i = 0, n = targets->n;
    if (n == 0) return 0;
    while (i < n && t[i].k < k) i++;
    if (i == n && i > 1) i--;
    if (i == 0 || i == n || t[i].k == k) return (float)from_table(&t[i < n ? i : n - 1], recall);
    double low = log(from_table(&t[i - 1], recall)), high = log(from_table(&t[i], recall));
    double share = log((double)k / (double)t[i - 1].k) / log((double)t[i].k / (double)t[i - 1].k);
    return (float)exp(low + share * (high - low));
}

const struct nlsh__target_table *nlsh__target_table_of(const struct nlsh__targets *targets,
                                                       size_t k)
{
    for (size_t i = 0; i < targets->n; i++)
        if (targets->tables[i].k == k) return &targets->tables[i];
    return NULL;
}
