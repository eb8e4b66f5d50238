/* margins.h - how far scores may be off, as it was measured for some numbers of neighbours and some
 * shares of them that may be lost. */
#ifndef NLSH_CODES_MARGINS_H
#define NLSH_CODES_MARGINS_H

#include <stddef.h>
#include <stdint.h>

#define NLSH__MARGIN_KS 3 /* numbers of neighbours for which margins are measured */

struct nlsh__margin_table {
    const uint32_t *k;   /* [NLSH__MARGIN_KS] ascending */
    const float *loss;   /* [n_losses] ascending */
    const float *margin; /* [k][loss] */
    size_t n_losses;
};

/* What is outside its meaning, or NULL; margins lie between least and 1e9. */
const char *nlsh__margins_wrong(const struct nlsh__margin_table *table, float least);

/* Between what was measured; beyond it the nearest. */
float nlsh__margin_at(const struct nlsh__margin_table *table, size_t k, double loss);

#endif
