/*
 * bf16.h - a step of training in bf16, for processors that have such products.
 *
 * Weights, moments, sums and the loss stay f32; what goes into a product is rounded to bf16.
 */
#ifndef NLSH_ROUTER_TRAIN_BF16_H
#define NLSH_ROUTER_TRAIN_BF16_H

#include "base/job.h"
#include "kernels/bf16.h"
#include "router/train/mlp.h"

struct nlsh__bf16_trainer;

/* For batches of up to max_rows rows. Borrows mlp, inputs and targets. first and second
 * [n_parameters] are the optimiser's moments. Only where nlsh__kernels()->bf16 is not NULL. */
enum nlsh_status nlsh__bf16_trainer_create(struct nlsh__mlp *mlp, const float *inputs,
                                           const struct nlsh__labels *targets, size_t max_rows,
                                           float *first, float *second, const struct nlsh__job *job,
                                           struct nlsh__bf16_trainer **out,
                                           struct nlsh_error *error);
void nlsh__bf16_trainer_free(struct nlsh__bf16_trainer *trainer);

/* Loss and gradient of some rows, and a step by them; returns the summed loss. stream says which
 * random numbers dropout takes. The same weights come out for any number of threads. */
double nlsh__bf16_step(struct nlsh__bf16_trainer *trainer, const uint32_t *rows, size_t n,
                       double dropout, uint64_t seed, uint64_t stream,
                       const struct nlsh__adamw *step);

#endif
