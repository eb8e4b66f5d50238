/* metric.c - see metric.h. In f64, so that no f32 is too long or too short to have a length. */
#include "kernels/metric.h"

#include <math.h>

#include "base/names.h"

enum { SUMS = 8 };

const char *nlsh_metric_name(enum nlsh_metric metric)
{
    static const char *const names[] = {NLSH__NAMES(NLSH__METRIC_LIST)};
    size_t n = sizeof names / sizeof *names - 1;
    return (size_t)metric < n ? names[metric] : "unknown";
}

/* In several sums, which do not wait for each other: a query of 512 floats would wait .6 microseconds. */
double nlsh__length(const float *x, size_t dim)
{
    double sums[SUMS] = {0}, sum = 0;
    size_t whole = dim / SUMS * SUMS;
    for (size_t d = 0; d < whole; d += SUMS)
        for (size_t i = 0; i < SUMS; i++) sums[i] += (double)x[d + i] * (double)x[d + i];
    for (size_t d = whole; d < dim; d++) sums[0] += (double)x[d] * (double)x[d];
    for (size_t i = 0; i < SUMS; i++) sum += sums[i];
    return sqrt(sum);
}

int nlsh__scale_to(const float *x, size_t dim, double length, float *out)
{
    double from = nlsh__length(x, dim);
    double factor = from > 0 ? length / from : 0;
    for (size_t d = 0; d < dim; d++) out[d] = (float)((double)x[d] * factor);
    return from > 0;
}
