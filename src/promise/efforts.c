/* efforts.c - see efforts.h. */
#include "promise/efforts.h"

#include <math.h>

/* False for NaN. */
static int inside(float x, float low, float high)
{
    return x >= low && x <= high;
}

size_t nlsh__efforts_wrong(const struct nlsh__effort_table *t)
{
    const struct nlsh__effort_point *p = t->points;
    size_t i = 0;
    for (; i < t->n_points; i++, p++) {
        if (!(p->recall > 0 && p->recall < 1 && p->threshold >= 0 && p->threshold < 1)) break;
        if (p->threshold == 0 && i + 1 < t->n_points) break;
        if (!inside(p->margin, 0, NLSH__NO_MARGIN)) break;
        if (!inside(p->leaf_margin, -NLSH__NO_MARGIN, NLSH__NO_MARGIN)) break;
        if (i > 0 && !(p->recall > p[-1].recall && p->threshold <= p[-1].threshold)) break;
    }
    return i;
}

static const struct nlsh__effort_point everything = {
    .recall = 1, .margin = NLSH__NO_MARGIN, .leaf_margin = NLSH__NO_MARGIN};

/* Between two margins; where one leaves nothing out, nothing is. */
static float between(float a, float b, double share)
{
    if (a >= NLSH__NO_MARGIN || b >= NLSH__NO_MARGIN) return NLSH__NO_MARGIN;
    return (float)((double)a + share * ((double)b - (double)a));
}

/* Between two points by the logarithm of what they miss: as thresholds fall, so does that. */
static struct nlsh__effort_point from_table(const struct nlsh__effort_table *t, double recall)
{
    const struct nlsh__effort_point *p = t->points;
    size_t i = 0;
    while (i < t->n_points && p[i].recall < (float)recall) i++; /* .9 is the .9f of a table */
    if (i == t->n_points) return everything;
    if (i == 0 || p[i].threshold == 0) return p[i];
    double missing = log(1 - (double)p[i - 1].recall);
    double share = (log(1 - recall) - missing) / (log(1 - (double)p[i].recall) - missing);
    double low = log((double)p[i - 1].threshold), high = log((double)p[i].threshold);
    return (struct nlsh__effort_point){
        .recall = (float)recall,
        .threshold = (float)exp(low + share * (high - low)),
        .margin = between(p[i - 1].margin, p[i].margin, share),
        .leaf_margin = between(p[i - 1].leaf_margin, p[i].leaf_margin, share),
    };
}

/* Between two numbers of neighbours the more of both is done: where neighbours come in groups, what k needs
 * rises all at once, and nobody knows where. */
struct nlsh__effort_point nlsh__effort_for(const struct nlsh__efforts *efforts, size_t k,
                                           double recall)
{
    size_t i = 0;
    while (i < efforts->n && efforts->tables[i].k < k) i++;
    if (i == efforts->n) return everything;
    struct nlsh__effort_point e = from_table(&efforts->tables[i], recall);
    if (efforts->tables[i].k == k || i == 0) return e;
    const struct nlsh__effort_point f = from_table(&efforts->tables[i - 1], recall);
    e.threshold = fminf(e.threshold, f.threshold);
    e.margin = fmaxf(e.margin, f.margin);
    e.leaf_margin = fmaxf(e.leaf_margin, f.leaf_margin);
    return e;
}
