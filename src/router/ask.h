/*
 * ask.h - one query asked of a router: query -> inputs -> probabilities.
 *
 * The search, and all that is measured for it, ask in this one way, so what was measured is what is searched: bytes are
 * projected in bytes, and floats in floats, or less the mean in bytes where the index says so (codes/codes.h).
 */
#ifndef NLSH_ROUTER_ASK_H
#define NLSH_ROUTER_ASK_H

#include "router/router.h"

/* The scratch of one thread. inputs and probabilities hold the last answer. */
struct nlsh__asker {
    const struct nlsh__router *router;
    const float *mean;    /* of nlsh__asker_round(), or NULL */
    float *floats;        /* [dim] a row as the router projects it, where that is not in bytes */
    uint8_t *bytes;       /* [dim, padded to 4] */
    float *inputs;        /* [nlsh__router_input_size()]; what fills it up is zero */
    float *probabilities; /* [nlsh__router_output_size()] */
    float *scratch;
    struct nlsh__router_pass pass; /* of the last answer, in scratch: what groups are thought of */
};

/* NLSH_E_NOMEM. */
enum nlsh_status nlsh__asker_create(const struct nlsh__router *router, struct nlsh__asker *out,
                                    struct nlsh_error *error);
void nlsh__asker_free(struct nlsh__asker *asker);

/* From now on floats are queries, and rounded to bytes less mean [dim], borrowed, which is the projection's; NULL, or a
 * router without one: they are projected as they are. */
void nlsh__asker_round(struct nlsh__asker *asker, const float *mean);
/* A query less that mean, rounded to bytes [dim, padded to 4], for nlsh__router_project_block(); returns their scale. */
float nlsh__ask_round(struct nlsh__asker *asker, const float *floats, uint8_t *bytes);

/* A query's inputs, from [dim] floats, or where bytes is not NULL from [dim, padded to 4] bytes of the same
 * values. */
const float *nlsh__ask_inputs(struct nlsh__asker *asker, const float *floats, const uint8_t *bytes);
/* Probabilities [m] of what inputs holds. */
const float *nlsh__ask_probabilities(struct nlsh__asker *asker);

/* Both, of row i of a matrix of U8 or F32 without gaps, as it comes as a query. */
const float *nlsh__ask_row(struct nlsh__asker *asker, const struct nlsh_matrix *rows, size_t i);
/* Probabilities for inputs [nlsh__router_n_inputs()] that were made before. */
const float *nlsh__ask_projected(struct nlsh__asker *asker, const float *inputs);

#endif
