/* network.h - the router's network once more, in double and as plainly as can be, to compare with;
 * and a job for stages that want one. */
#ifndef NLSH_TESTS_NETWORK_H
#define NLSH_TESTS_NETWORK_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/job.h"
#include "router/train/mlp.h"

/* Natural logarithms of the buckets' probabilities for one input. parameters as in mlp's block. */
static inline void network_log_p(const struct nlsh__mlp *mlp, const double *parameters,
                                 const float *input, double *log_p)
{
    size_t widest = 0;
    for (size_t l = 0; l <= mlp->n_layers; l++)
        if (mlp->sizes[l] > widest) widest = mlp->sizes[l];
    double *now = calloc(widest, sizeof *now), *next = calloc(widest, sizeof *next);
    if (now == NULL || next == NULL) abort();
    for (size_t d = 0; d < mlp->sizes[0]; d++) now[d] = (double)input[d];
    for (size_t l = 0; l < mlp->n_layers; l++) {
        const double *weights = parameters + (mlp->weights[l] - mlp->parameters);
        const double *biases = parameters + (mlp->biases[l] - mlp->parameters);
        for (size_t r = 0; r < mlp->sizes[l + 1]; r++) {
            double sum = biases[r];
            for (size_t d = 0; d < mlp->sizes[l]; d++)
                sum += weights[r * mlp->sizes[l] + d] * now[d];
            next[r] = l + 1 < mlp->n_layers && sum < 0 ? 0 : sum;
        }
        double *swap = now;
        now = next;
        next = swap;
    }
    size_t m = mlp->sizes[mlp->n_layers];
    double most = now[0], total = 0;
    for (size_t b = 1; b < m; b++) most = fmax(most, now[b]);
    for (size_t b = 0; b < m; b++) total += exp(now[b] - most);
    for (size_t b = 0; b < m; b++) log_p[b] = now[b] - most - log(total);
    free(now);
    free(next);
}

/* Summed cross-entropy of rows row_ids[n]. */
static inline double network_loss(const struct nlsh__mlp *mlp, const double *parameters,
                                  const float *inputs, const uint32_t *row_ids, size_t n,
                                  const struct nlsh__labels *t)
{
    double loss = 0, *log_p = malloc(mlp->sizes[mlp->n_layers] * sizeof *log_p);
    if (log_p == NULL) abort();
    for (size_t i = 0; i < n; i++) {
        size_t row = row_ids[i];
        network_log_p(mlp, parameters, inputs + row * mlp->sizes[0], log_p);
        if (t->neighbors == NULL)
            loss -= log_p[t->bucket_of[row]];
        else
            for (size_t j = 0; j < t->label_knn; j++)
                loss -=
                    log_p[t->bucket_of[t->neighbors[row * t->stride + j]]] / (double)t->label_knn;
    }
    free(log_p);
    return loss;
}

/* The network's parameters as doubles; freed by the caller. */
static inline double *network_doubles(const struct nlsh__mlp *mlp)
{
    double *out = malloc(mlp->n_parameters * sizeof *out);
    if (out == NULL) abort();
    for (size_t i = 0; i < mlp->n_parameters; i++) out[i] = (double)mlp->parameters[i];
    return out;
}

static inline void job_start(struct nlsh__job *job, size_t n_threads)
{
    struct nlsh_run run = {.struct_size = sizeof run, .n_threads = n_threads};
    if (nlsh__job_begin(&run, job, NULL) != NLSH_OK) abort();
}

#endif
