/*
 * mlp.h - the network while it learns: a multi-layer perceptron with ReLU between its layers and a
 * softmax over the buckets at its end, the loss, and its gradient.
 */
#ifndef NLSH_ROUTER_TRAIN_MLP_H
#define NLSH_ROUTER_TRAIN_MLP_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "nlsh/learn.h"
#include "router/router.h"

#define NLSH__MAX_LAYERS 9    /* 8 hidden ones and the output */
#define NLSH__MAX_LABELS 1000 /* of a row */

struct nlsh__mlp {
    size_t n_layers;                    /* matrices: hidden layers + 1 */
    size_t sizes[NLSH__MAX_LAYERS + 1]; /* input, hidden, ..., groups + buckets */
    size_t n_parameters;
    float *parameters;                /* one block: each layer's weights, then its biases */
    float *weights[NLSH__MAX_LAYERS]; /* [sizes[l + 1] x sizes[l]], into parameters */
    float *biases[NLSH__MAX_LAYERS];  /* [sizes[l + 1]] */
};

/* He's initialisation: normal, variance 2 / inputs, a 16th of that in the first layer; the last layer's is 1 / inputs. */
enum nlsh_status nlsh__mlp_create(size_t inputs, size_t hidden_layers, size_t nodes,
                                  size_t n_outputs, uint64_t seed, struct nlsh__mlp *out,
                                  struct nlsh_error *error);
void nlsh__mlp_free(struct nlsh__mlp *mlp);

/* What a row should be answered with: its label_knn nearest neighbours' buckets, each with weight
 * 1 / label_knn (soft), or its own bucket (hard). */
struct nlsh__labels {
    const uint32_t *bucket_of; /* [n_rows] */
    const uint32_t *neighbors; /* [n_rows x stride]; NULL: hard */
    size_t stride, label_knn;
    const uint8_t
        *unseen; /* [n_rows] 1: rows that nobody has for a neighbour, others count twice; or NULL */
    /* Buckets of consecutive numbers in groups: the outputs are the groups', then the buckets'. Both
     * learn the same labels; the loss is the buckets'. */
    struct nlsh__groups groups;
    const uint32_t *group_of; /* [m]; not read without groups */
};

/* What the groups' loss weighs beside the buckets'; the first value that was tried. */
#define NLSH__GROUPS_WEIGHT 0.2f

/* How many buckets a row should be answered with. */
static inline size_t nlsh__n_labels(const struct nlsh__labels *targets)
{
    return targets->neighbors == NULL ? 1 : targets->label_knn;
}

/* These buckets; returns how many. */
size_t nlsh__labels_of(const struct nlsh__labels *targets, size_t row, uint32_t *out);

/* Logits x[n] to their gradient times weight; returns the cross-entropy to the labels, in nats. */
double nlsh__cross_entropy(const uint32_t *labels, size_t n_labels, size_t n, float weight,
                           float *x);

/* Turns the logits of some rows, ld apart, into the gradient there, probabilities less targets, and
 * returns the summed loss in nats. */
double nlsh__mlp_output(const struct nlsh__mlp *mlp, const uint32_t *row_ids, size_t n,
                        const struct nlsh__labels *targets, float *logits, size_t ld);

/* Room for the work on up to max_rows rows at once. */
struct nlsh__mlp_scratch {
    size_t max_rows;
    float *activations[NLSH__MAX_LAYERS + 1]; /* [max_rows x sizes[l]] */
    float *delta[2];                          /* [max_rows x the widest layer] */
    float *gradient;                          /* [n_parameters] */
};

enum nlsh_status nlsh__mlp_scratch_create(const struct nlsh__mlp *mlp, size_t max_rows,
                                          struct nlsh__mlp_scratch *out, struct nlsh_error *error);
void nlsh__mlp_scratch_free(struct nlsh__mlp_scratch *scratch);

/* Rows to the last layer's logits, in activations[n_layers]. dropout with rng only. */
enum nlsh_status nlsh__mlp_forward(const struct nlsh__mlp *mlp, const float *inputs,
                                   const uint32_t *row_ids, size_t n, double dropout,
                                   struct nlsh__rng *rng, struct nlsh__mlp_scratch *scratch,
                                   struct nlsh_error *error);

/* From the gradient at the logits, which stand in activations[n_layers], to scratch->gradient. more:
 * delta[(n_layers - 1) % 2] holds what else there is to the gradient at the last layer's input. */
enum nlsh_status nlsh__mlp_backward(const struct nlsh__mlp *mlp, size_t n, double dropout, int more,
                                    struct nlsh__mlp_scratch *scratch, struct nlsh_error *error);

/*
 * nlsh__mlp_loss() - summed cross-entropy of some rows, in nats, and its gradient.
 *
 *  inputs    [.. x sizes[0]]; row_ids [n] says which of them
 *  dropout   share of hidden nodes that are zeroed, with rng; 0 where rng is NULL
 *  backward  1: scratch->gradient becomes the gradient of the sum; 0: it is left alone
 */
enum nlsh_status
nlsh__mlp_loss(const struct nlsh__mlp *mlp, const float *inputs, const uint32_t *row_ids, size_t n,
               const struct nlsh__labels *targets, double dropout, struct nlsh__rng *rng,
               int backward, struct nlsh__mlp_scratch *scratch, double *loss,
               struct nlsh_error *error);

#endif
