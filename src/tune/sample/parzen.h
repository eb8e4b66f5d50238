/*
 * parzen.h - a density over a search space made of points: the model that TPE has of the good points
 * and of the bad ones.
 */
#ifndef NLSH_TUNE_SAMPLE_PARZEN_H
#define NLSH_TUNE_SAMPLE_PARZEN_H

#include "base/rng.h"
#include "tune/sample/params.h"

struct nlsh__parzen;

/* What a kernel is over. */
enum nlsh__parzen_kernel {
    NLSH__PARZEN_JOINT, /* all parameters at once: keeps what was good together */
    NLSH__PARZEN_APART  /* each by itself: puts together what was good in different points */
};

/* How wide a point's kernel is along a range. */
enum nlsh__parzen_width {
    NLSH__PARZEN_BY_RANGE, /* a share of the range: for points that lie all over it */
    NLSH__PARZEN_BY_SPREAD /* a share of how far the points spread: for points that gather */
};

/*
 * nlsh__parzen_create() - a kernel for each point, and a uniform one of weight 1 (the prior).
 *
 *  points   [n][space->n], absent parameters NAN. Borrowed for the call; n may be 0. A value that is
 *           not of the space counts as absent or as the nearest end.
 *  weights  [n] above 0.
 * The density is over the points that the space has: whole numbers and steps carry probabilities, a
 * conditional parameter counts where its condition holds. It sums and integrates to 1 (ranges by
 * logarithm are measured by it).
 * NLSH_E_NOMEM. The space must outlive the answer.
 */
enum nlsh_status nlsh__parzen_create(const struct nlsh__search_space *space,
                                     const double *const *points, const double *weights, size_t n,
                                     enum nlsh__parzen_kernel kernel, enum nlsh__parzen_width width,
                                     struct nlsh__parzen **out, struct nlsh_error *error);
void nlsh__parzen_free(struct nlsh__parzen *parzen); /* accepts NULL */

/* A point of the space, drawn from the density. */
void nlsh__parzen_draw(const struct nlsh__parzen *parzen, struct nlsh__rng *rng, double *values);

/* The density's logarithm at a point of the space. Uses the model's scratch: one caller at a time. */
double nlsh__parzen_log_density(struct nlsh__parzen *parzen, const double *values);

#endif
