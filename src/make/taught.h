/* taught.h - queries of a caller's that a build learns from: half of them teach beside the base's rows, half say
 * what searches reach. */
#ifndef NLSH_MAKE_TAUGHT_H
#define NLSH_MAKE_TAUGHT_H

#include "make/ground.h"

struct nlsh__taught {
    /* As the caller has them: every other one from the first on teaches. n_rows 0: there are none. */
    struct nlsh_matrix teaching, calibrating;
    void *memory; /* owned */
};

/* options->train_queries, checked and divided. NLSH_E_ARG (too few, a value, labels that are not soft),
 * NLSH_E_MISMATCH (their dimension). Freed in any case. */
enum nlsh_status nlsh__taught_take(const struct nlsh_matrix *base,
                                   const struct nlsh_build_options *options,
                                   struct nlsh__taught *out, struct nlsh_error *error);
void nlsh__taught_free(struct nlsh__taught *taught);

/*
 * nlsh__teach() - the teaching ones as rows behind those of the base.
 *
 *  base   as the caller has it
 *  data   the same as it is stored
 *  truth  what rows should find; its ids get as many for each of the queries, which n_rows does not count
 *  inputs, held  get them too: inputs->queries behind the rows, and held->n_taught of them to learn from
 * Their neighbours are exact. NLSH_E_ARG (a query of zeros where the metric is cosine), NLSH_E_NOMEM,
 * NLSH_E_INTERRUPTED.
 */
struct nlsh__base {
    const struct nlsh_matrix *base;
    const struct nlsh__dataset *data;
    const struct nlsh__space *space;
};
enum nlsh_status nlsh__teach(const struct nlsh__taught *taught, const struct nlsh__base *of,
                             const struct nlsh_build_options *options, const struct nlsh__job *job,
                             struct nlsh__neighbors *truth, struct nlsh__inputs *inputs,
                             struct nlsh__held *held, struct nlsh_error *error);

#endif
