/* relearned.h - a router that learned from a sample of the rows learns on from where the neighbours of all rows lie. */
#ifndef NLSH_MAKE_RELEARNED_H
#define NLSH_MAKE_RELEARNED_H

#include "make/placed.h"

struct nlsh__relearned {
    void *router; /* owned; the section's bytes */
    size_t size;
    double loss; /* of the last epoch, nats */
};

/*
 * nlsh__relearn() - finds the neighbours of some rows by searching the index of all, and trains.
 *
 *  index    of all rows, by the router so far; its keys are row numbers. What it promises need not be true
 *  router   the section of that router
 *  n_teach  rows that teach, drawn by seed; none of those that ask
 *  options  of the build: label_knn, batch_size, lr, dropout and their like
 * In a sample neighbours are farther away than among all rows, so a router that only saw a sample is unsure where it need
 * not be. The same for any number of threads. NLSH_E_NOMEM, NLSH_E_INTERRUPTED.
 */
enum nlsh_status
nlsh__relearn(const struct nlsh_index *index, const void *router, const struct nlsh__placed *placed,
              const struct nlsh__sampled *sampled, size_t n_teach,
              const struct nlsh_build_options *options, const struct nlsh__job *job,
              struct nlsh__relearned *out, struct nlsh_error *error);

#endif
