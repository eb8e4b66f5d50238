/*
 * grouped.h - a last layer whose buckets stand in groups, of which a row meets only those that can
 * matter to it: those of its labels, and those that the network itself thinks probable. That is what a
 * search computes, and few of all products of the layer.
 */
#ifndef NLSH_ROUTER_TRAIN_GROUPED_H
#define NLSH_ROUTER_TRAIN_GROUPED_H

#include "router/train/mlp.h"

/* A row meets the groups above this probability: a quarter of the threshold that Fashion-MNIST needs for
 * recall .99, which is where searches leave groups out. */
#define NLSH__LEAST_MET 0.001f

/* Some rows of a batch, and what they meet. */
struct nlsh__grouped {
    const struct nlsh__mlp *mlp; /* whole: outputs are the groups', then the buckets' */
    const struct nlsh__labels *targets;
    size_t n;         /* rows */
    size_t *first;    /* [groups + 1] into rows */
    uint32_t *rows;   /* [n x groups at most] those that meet a group, ascending */
    uint32_t *starts; /* [n x groups] where a group that is met starts among a row's logits */
    float *logits;    /* [n x m] of the buckets that a row meets, then the gradient there */
    /* scratch */
    uint32_t *labels;        /* [n x most labels] */
    uint8_t *meets;          /* [n x groups] */
    uint32_t *n_logits;      /* [n] */
    const float **x;         /* [n] */
    float **out;             /* [n] */
    const float **of_bucket; /* [most buckets in a group] */
    float *block;            /* [n x most buckets in a group] */
    float *probabilities;    /* [groups] */
};

/* The buckets of the largest group. */
size_t nlsh__grouped_most(const struct nlsh__labels *targets);

enum nlsh_status nlsh__grouped_create(const struct nlsh__mlp *mlp,
                                      const struct nlsh__labels *targets, size_t max_rows,
                                      struct nlsh__grouped *out, struct nlsh_error *error);
void nlsh__grouped_free(struct nlsh__grouped *grouped);

/*
 * nlsh__grouped_loss() - summed cross-entropy of some rows, in nats, of the probabilities that a search
 * finds: a softmax over the buckets that are met, times what the groups have together.
 *
 *  groups  [n x groups] the groups' logits; becomes the gradient there
 *  hidden  [n x inputs of the last layer] what goes into it
 *  delta   [n x inputs of the last layer] becomes the buckets' part of the gradient there; NULL: no
 *          gradient is wanted
 */
double nlsh__grouped_loss(struct nlsh__grouped *grouped, const uint32_t *row_ids, size_t n,
                          float *groups, const float *hidden, float *delta);

/* As after the loss of no rows. */
void nlsh__grouped_none(struct nlsh__grouped *grouped);

/*
 * nlsh__grouped_gradient() - of a group's buckets, over the rows of the last nlsh__grouped_loss() that
 * meet it, added to weights [buckets x inputs] and biases [buckets]. Many threads may ask for a group
 * each; block and pointers are the caller's.
 */
struct nlsh__grouped_room {
    float *block;    /* [max_rows x most buckets in a group] */
    const float **x; /* [max_rows] */
    float **weights; /* [most buckets in a group] */
};
void nlsh__grouped_gradient(const struct nlsh__grouped *grouped, const float *hidden, size_t group,
                            struct nlsh__grouped_room *room, float *weights, float *biases);

#endif
