/* outside.c - see outside.h. */
#include "promise/outside.h"

#include <math.h>

size_t nlsh__outside_wrong(const struct nlsh__outside *o)
{
    const struct nlsh__outside_point *p = o->points;
    size_t i = 0;
    for (; i < o->n; i++, p++) {
        if (!(p->threshold > 0 && p->threshold < 1 && p->outside >= 0 && p->outside <= 1)) break;
        if (i > 0 && !(p->threshold < p[-1].threshold && p->outside <= p[-1].outside)) break;
    }
    return i;
}

float nlsh__outside_at(const struct nlsh__outside *o, float threshold)
{
    const struct nlsh__outside_point *p = o->points;
    size_t i = 0;
    if (o->n == 0 || !(threshold > 0)) return 0;
    while (i < o->n && p[i].threshold > threshold) i++;
    if (i == 0) return p[0].outside;
    if (i == o->n) return p[o->n - 1].outside;
    double from = log((double)p[i - 1].threshold), to = log((double)p[i].threshold);
    double share = (log((double)threshold) - from) / (to - from);
    double outside = (double)p[i - 1].outside;
    return (float)(outside + share * ((double)p[i].outside - outside));
}
