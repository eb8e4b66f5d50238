/*
 * scale.c - see scale.h. Values that are cut off at c are off by what is beyond c; the others, in steps of s = c / 127, by
 * s^2 / 12 in the mean of squares, but those below s / 2, which become 0, by themselves. So the counts say the error of each c.
 */
#include "make/scale.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/rounding.h"

/* What a row may lose, a little less than where rounding refuses it: the last bits of a scale are rounded. */
#define MAY_LOSE (NLSH__MOST_CUT * 0.96)

enum {
    FURTHEST = 6 * 128, /* bins below the largest value, 128 to an octave, in which to cut off */
    HALVINGS = 24
};

static float bin_begins(size_t bin)
{
    uint32_t bits = (uint32_t)bin << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static size_t bin_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 16 & (NLSH__SIZES - 1);
}

/* Where a row may be cut off. */
static double least_of(const float *row, size_t dim, double low, double high)
{
    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        if (nlsh__cut_share(row, dim, (float)middle) <= MAY_LOSE)
            high = middle;
        else
            low = middle;
    }
    return high;
}

void nlsh__scale_see(struct nlsh__scale_finder *f, const float *row, size_t dim)
{
    float most = 0;
    for (size_t d = 0; d < dim; d++) {
        f->counts[bin_of(row[d])]++;
        most = fabsf(row[d]) > most ? fabsf(row[d]) : most;
    }
    f->most = most > f->most ? most : f->most;
    if ((double)most > f->least && nlsh__cut_share(row, dim, (float)f->least) > MAY_LOSE)
        f->least = least_of(row, dim, f->least, (double)most);
}

/* The sum of squared errors where values are cut off at c. */
static double error_of(const struct nlsh__scale_finder *f, double c)
{
    double step = c / (double)NLSH__MOST_STEPS, sum = 0;
    for (size_t bin = 0; bin <= bin_of(f->most); bin++) {
        if (f->counts[bin] == 0) continue;
        double size = ((double)bin_begins(bin) + (double)bin_begins(bin + 1)) / 2;
        double error = size > c            ? (size - c) * (size - c)
                       : size < 0.5 * step ? size * size
                                           : step * step / 12;
        sum += (double)f->counts[bin] * error;
    }
    return sum;
}

float nlsh__scale_found(const struct nlsh__scale_finder *f)
{
    double best = (double)f->most, least = error_of(f, best);
    size_t last = bin_of(f->most);
    if (f->most == 0) return 1;
    for (size_t bin = last; bin > 0 && bin + FURTHEST > last; bin--) {
        double c = (double)bin_begins(bin);
        if (c < f->least || c <= 0) break;
        double error = error_of(f, c);
        if (error >= least) continue;
        least = error;
        best = c;
    }
    float scale = (float)(fmax(best, f->least) / (double)NLSH__MOST_STEPS);
    return scale > FLT_MIN ? scale : FLT_MIN;
}

enum nlsh_status nlsh__scale_of(const struct nlsh_matrix *rows, float *out,
                                struct nlsh_error *error)
{
    struct nlsh__scale_finder *finder;
    const float *values = rows->data;
    enum nlsh_status status = nlsh__calloc(&finder, 1, sizeof *finder, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < rows->n_rows; i++)
        nlsh__scale_see(finder, values + i * rows->dim, rows->dim);
    *out = nlsh__scale_found(finder);
    nlsh__free(finder);
    return NLSH_OK;
}
