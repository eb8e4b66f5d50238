/*
 * margins.h - how many of its errors a score may be off, as it was measured for some numbers of neighbours
 * and some shares of them that may be lost.
 */
#ifndef NLSH_PROMISE_MARGINS_H
#define NLSH_PROMISE_MARGINS_H

#include <stddef.h>
#include <stdint.h>

struct nlsh__margins {
    size_t n_ks, n_losses; /* 0 and 0: nothing was measured */
    const uint32_t *k;     /* [n_ks] ascending */
    const float *loss;     /* [n_losses] ascending */
    const float *margin;   /* [n_ks][n_losses] */
};

/* What of a table from a file is outside its meaning, or NULL; margins lie between least and 1e9. */
const char *nlsh__margins_wrong(const struct nlsh__margins *margins, float least);

/* Between what was measured; beyond it the nearest. Where nothing was measured: 0. */
float nlsh__margin_at(const struct nlsh__margins *margins, size_t k, double loss);

/* The same, but +infinity where less may be lost, or k is larger, than was measured: a promise needs a
 * measurement. */
float nlsh__margin_within(const struct nlsh__margins *margins, size_t k, double loss);

#endif
