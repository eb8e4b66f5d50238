/* margins.c - see margins.h. */
#include "codes/margins.h"

#include <math.h>

#include "codes/arrays.h"

const char *nlsh__margins_wrong(const struct nlsh__margin_table *t, float least)
{
    for (size_t i = 0; i < NLSH__MARGIN_KS; i++)
        if (t->k[i] == 0 || (i > 0 && t->k[i] <= t->k[i - 1]))
            return "a number of neighbours is outside its meaning";
    for (size_t i = 0; i < t->n_losses; i++)
        if (!nlsh__inside(t->loss[i], 1e-9f, 0.5f) || (i > 0 && t->loss[i] <= t->loss[i - 1]))
            return "a share of neighbours is outside its meaning";
    for (size_t i = 0; i < NLSH__MARGIN_KS * t->n_losses; i++)
        if (!nlsh__inside(t->margin[i], least, 1e9f)) return "a margin is outside its meaning";
    return NULL;
}

/* Between two measured points, linear in the logarithm; beyond the last, as there. */
static double between(double x, double x0, double x1, double y0, double y1)
{
    double share = log(x / x0) / log(x1 / x0);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return y0 + share * (y1 - y0);
}

float nlsh__margin_at(const struct nlsh__margin_table *t, size_t k, double loss)
{
    double at[NLSH__MARGIN_KS];
    size_t l = 1, i = 1;
    while (l + 1 < t->n_losses && (double)t->loss[l] < loss) l++;
    while (i + 1 < NLSH__MARGIN_KS && t->k[i] < k) i++;
    for (size_t j = 0; j < NLSH__MARGIN_KS; j++) {
        const float *row = t->margin + j * t->n_losses;
        at[j] = between(loss, (double)t->loss[l - 1], (double)t->loss[l], (double)row[l - 1],
                        (double)row[l]);
    }
    return (float)between((double)k, (double)t->k[i - 1], (double)t->k[i], at[i - 1], at[i]);
}
