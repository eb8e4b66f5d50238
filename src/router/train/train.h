/* train.h - fits the network: batches, AdamW, schedules. */
#ifndef NLSH_ROUTER_TRAIN_TRAIN_H
#define NLSH_ROUTER_TRAIN_TRAIN_H

#include "base/job.h"
#include "router/train/mlp.h"

struct nlsh__train_options {
    size_t epochs, batch_size;
    double lr, weight_decay, dropout;
    enum nlsh_scheduler scheduler;
    uint64_t seed;
    /* Told after each epoch, from 0; what is not NLSH_OK ends the training with it. Or NULL. */
    enum nlsh_status (*epoch_end)(void *user, size_t epoch, struct nlsh_error *error);
    void *user;
    int f32; /* 1: no bf16, whatever the processor has */
};

/*
 * nlsh__train() - fits mlp to the targets of train_rows.
 *
 *  inputs     [.. x sizes[0]]
 *  held_rows  never trained on; their loss drives NLSH_SCHEDULER_PLATEAU; may be empty
 *  loss       out: mean of the last epoch, nats; held_loss: of held_rows at the end (NaN: none)
 * The same weights come out for any number of threads.
 */
enum nlsh_status nlsh__train(struct nlsh__mlp *mlp, const float *inputs, const uint32_t *train_rows,
                             size_t n_train, const uint32_t *held_rows, size_t n_held,
                             const struct nlsh__labels *targets,
                             const struct nlsh__train_options *options, const struct nlsh__job *job,
                             double *loss, double *held_loss, struct nlsh_error *error);

/* 1 where rows meet some of so many groups only (router/train/grouped.h): where there are groups, and no
 * matrix unit that computes all as fast. */
int nlsh__trains_by_group(size_t n_groups);

/* One step of AdamW on n parameters: first and second moments in place, step counts from 1. */
void nlsh__adamw(float *parameters, const float *gradient, float *first, float *second, size_t n,
                 uint64_t step, double lr, double weight_decay);

/* The learning rate of a step (0 to n_steps - 1) as a share of the highest; not for PLATEAU. */
double nlsh__schedule(enum nlsh_scheduler scheduler, size_t step, size_t n_steps);

#endif
