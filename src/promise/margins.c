/* margins.c - see margins.h. */
#include "promise/margins.h"

#include <math.h>

/* False for NaN. */
static int inside(float x, float low, float high)
{
    return x >= low && x <= high;
}

const char *nlsh__margins_wrong(const struct nlsh__margins *m, float least)
{
    for (size_t i = 0; i < m->n_ks; i++)
        if (m->k[i] == 0 || (i > 0 && m->k[i] <= m->k[i - 1]))
            return "a number of neighbours is outside its meaning";
    for (size_t i = 0; i < m->n_losses; i++)
        if (!inside(m->loss[i], 1e-9f, 0.5f) || (i > 0 && m->loss[i] <= m->loss[i - 1]))
            return "a share of neighbours is outside its meaning";
    for (size_t i = 0; i < m->n_ks * m->n_losses; i++)
        if (!inside(m->margin[i], least, 1e9f)) return "a margin is outside its meaning";
    return NULL;
}

/* Between two measured points, linear in the logarithm; beyond the last, as there. */
static double between(double x, double x0, double x1, double y0, double y1)
{
    double share = log(x / x0) / log(x1 / x0);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return y0 + share * (y1 - y0);
}

static double at_loss(const struct nlsh__margins *m, size_t i, double loss)
{
    const float *row = m->margin + i * m->n_losses;
    size_t l = 1;
    if (m->n_losses == 1) return (double)row[0];
    while (l + 1 < m->n_losses && (double)m->loss[l] < loss) l++;
    return between(loss, (double)m->loss[l - 1], (double)m->loss[l], (double)row[l - 1],
                   (double)row[l]);
}

float nlsh__margin_at(const struct nlsh__margins *m, size_t k, double loss)
{
    size_t i = 1;
    if (m->n_ks == 0 || m->n_losses == 0) return 0;
    if (m->n_ks == 1) return (float)at_loss(m, 0, loss);
    while (i + 1 < m->n_ks && m->k[i] < k) i++;
    return (float)between((double)k, (double)m->k[i - 1], (double)m->k[i], at_loss(m, i - 1, loss),
                          at_loss(m, i, loss));
}

float nlsh__margin_within(const struct nlsh__margins *m, size_t k, double loss)
{
    if (m->n_ks == 0 || m->n_losses == 0) return INFINITY;
    if (loss < (double)m->loss[0] || k > m->k[m->n_ks - 1]) return INFINITY;
    return nlsh__margin_at(m, k, loss);
}
