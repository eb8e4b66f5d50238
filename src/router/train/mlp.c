/*
 * mlp.c - forward, loss, backward. Initial weights after He et al., "Delving deep into rectifiers",
 * 2015, less of the first layer; dropout is scaled while learning ("inverted"), so serving needs none.
 *
 * No batch normalisation: with inputs scaled by the projection the networks that serve here (one
 * to three hidden layers) learn as well without it, and there is nothing to fold at export.
 */
#include "router/train/mlp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "linalg/gemm.h"

/* Of layer l's weights. A network that begins with small weights at its inputs needs fewer steps: docs/algorithm.md, "Router". */
static double initial_deviation(size_t l, size_t n_layers, size_t inputs)
{
    const double first = 0.25;
    if (l + 1 == n_layers) return sqrt(1 / (double)inputs);
    return (l == 0 ? first : 1) * sqrt(2 / (double)inputs);
}

enum nlsh_status nlsh__mlp_create(size_t inputs, size_t hidden_layers, size_t nodes,
                                  size_t n_outputs, uint64_t seed, struct nlsh__mlp *out,
                                  struct nlsh_error *error)
{
    *out = (struct nlsh__mlp){.n_layers = hidden_layers + 1};
    out->sizes[0] = inputs;
    for (size_t l = 1; l <= hidden_layers; l++) out->sizes[l] = nodes;
    out->sizes[hidden_layers + 1] = n_outputs;
    for (size_t l = 0; l < out->n_layers; l++)
        out->n_parameters += (out->sizes[l] + 1) * out->sizes[l + 1];
    enum nlsh_status status =
        nlsh__calloc(&out->parameters, out->n_parameters, sizeof *out->parameters, error);
    if (status != NLSH_OK) return status;
    float *next = out->parameters;
    for (size_t l = 0; l < out->n_layers; l++) {
        struct nlsh__rng rng;
        nlsh__rng_init(&rng, seed, 0x6d6c7000 + l);
        size_t in = out->sizes[l], size = in * out->sizes[l + 1];
        double deviation = initial_deviation(l, out->n_layers, in);
        out->weights[l] = next;
        for (size_t i = 0; i < size; i++) next[i] = (float)(deviation * nlsh__rng_normal(&rng));
        out->biases[l] = next + size;
        next += size + out->sizes[l + 1];
    }
    return NLSH_OK;
}

void nlsh__mlp_free(struct nlsh__mlp *mlp)
{
    nlsh__free(mlp->parameters);
    *mlp = (struct nlsh__mlp){0};
}

enum nlsh_status nlsh__mlp_scratch_create(const struct nlsh__mlp *mlp, size_t max_rows,
                                          struct nlsh__mlp_scratch *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t widest = 0;
    *out = (struct nlsh__mlp_scratch){.max_rows = max_rows};
    for (size_t l = 0; l <= mlp->n_layers; l++) {
        NLSH_TRY(nlsh__alloc(&out->activations[l], max_rows * mlp->sizes[l], sizeof(float), error));
        if (mlp->sizes[l] > widest) widest = mlp->sizes[l];
    }
    for (int i = 0; i < 2; i++)
        NLSH_TRY(nlsh__alloc(&out->delta[i], max_rows * widest, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&out->gradient, mlp->n_parameters, sizeof(float), error));
out:
    if (status != NLSH_OK) nlsh__mlp_scratch_free(out);
    return status;
}

void nlsh__mlp_scratch_free(struct nlsh__mlp_scratch *scratch)
{
    for (size_t l = 0; l <= NLSH__MAX_LAYERS; l++) nlsh__free(scratch->activations[l]);
    nlsh__free(scratch->delta[0]);
    nlsh__free(scratch->delta[1]);
    nlsh__free(scratch->gradient);
    *scratch = (struct nlsh__mlp_scratch){0};
}

/* Adds the bias; between layers ReLU and dropout too. */
static void finish_layer(float *rows, size_t n, size_t width, const float *bias, int hidden,
                         double dropout, struct nlsh__rng *rng)
{
    for (size_t i = 0; i < n; i++) {
        float *row = rows + i * width;
        for (size_t j = 0; j < width; j++) {
            float v = row[j] + bias[j];
            row[j] = hidden && v < 0 ? 0 : v;
        }
    }
    if (!hidden || rng == NULL || dropout <= 0) return;
    float scale = (float)(1 / (1 - dropout));
    for (size_t i = 0; i < n * width; i++)
        rows[i] = nlsh__rng_uniform(rng) < dropout ? 0 : rows[i] * scale;
}

enum nlsh_status nlsh__mlp_forward(const struct nlsh__mlp *mlp, const float *inputs,
                                   const uint32_t *row_ids, size_t n, double dropout,
                                   struct nlsh__rng *rng, struct nlsh__mlp_scratch *s,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t in = mlp->sizes[0];
    for (size_t i = 0; i < n; i++)
        memcpy(s->activations[0] + i * in, inputs + (size_t)row_ids[i] * in, in * sizeof(float));
    for (size_t l = 0; l < mlp->n_layers; l++) {
        size_t from = mlp->sizes[l], to = mlp->sizes[l + 1];
        NLSH_TRY(nlsh__gemm(0, 1, n, to, from, s->activations[l], from, mlp->weights[l], from, 0,
                            s->activations[l + 1], to, error));
        finish_layer(s->activations[l + 1], n, to, mlp->biases[l], l + 1 < mlp->n_layers, dropout,
                     rng);
    }
out:
    return status;
}

/* ---- loss ------------------------------------------------------------------------------------ */

/* -ln p is (ln sum exp) - logit: exact where p itself would round to 0, and not a number where the
 * network is not. */
double nlsh__cross_entropy(const uint32_t *labels, size_t n_labels, size_t n, float weight,
                           float *x)
{
    double wanted = 0;
    for (size_t j = 0; j < n_labels; j++) wanted += (double)x[labels[j]];
    double loss = (double)nlsh__kernels()->softmax_f32(x, n) - wanted / (double)n_labels;
    for (size_t j = 0; j < n_labels; j++) x[labels[j]] -= 1.0f / (float)n_labels;
    if (weight != 1.0f)
        for (size_t i = 0; i < n; i++) x[i] *= weight;
    return loss;
}

size_t nlsh__labels_of(const struct nlsh__labels *targets, size_t row, uint32_t *out)
{
    if (targets->neighbors == NULL) {
        out[0] = targets->bucket_of[row];
        return 1;
    }
    const uint32_t *neighbors = targets->neighbors + row * targets->stride;
    size_t n = 0, k = targets->label_knn;
    for (size_t j = 0; j < k; j++)
        if (targets->unseen == NULL || !targets->unseen[neighbors[j]])
            out[n++] = targets->bucket_of[neighbors[j]];
    if (n == 0)
        for (; n < k; n++) out[n] = targets->bucket_of[neighbors[n]];
    for (size_t j = 0; n < k; j++) out[n++] = out[j]; /* each row has as many */
    return k;
}

double nlsh__mlp_output(const struct nlsh__mlp *mlp, const uint32_t *row_ids, size_t n,
                        const struct nlsh__labels *targets, float *logits, size_t ld)
{
    size_t m = mlp->sizes[mlp->n_layers] - targets->groups.n;
    uint32_t labels[NLSH__MAX_LABELS];
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        size_t n_labels = nlsh__labels_of(targets, row_ids[i], labels);
        loss += nlsh__cross_entropy(labels, n_labels, m, 1, logits + i * ld + targets->groups.n);
        if (targets->groups.n == 0) continue;
        for (size_t j = 0; j < n_labels; j++) labels[j] = targets->group_of[labels[j]];
        (void)nlsh__cross_entropy(labels, n_labels, targets->groups.n, NLSH__GROUPS_WEIGHT,
                                  logits + i * ld);
    }
    return loss;
}

/* ---- backward -------------------------------------------------------------------------------- */

enum nlsh_status nlsh__mlp_backward(const struct nlsh__mlp *mlp, size_t n, double dropout, int more,
                                    struct nlsh__mlp_scratch *s, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    float *delta = s->activations[mlp->n_layers];
    float beta = more ? 1 : 0;
    float scale = dropout > 0 ? (float)(1 / (1 - dropout)) : 1;
    for (size_t l = mlp->n_layers; l-- > 0;) {
        size_t from = mlp->sizes[l], to = mlp->sizes[l + 1];
        float *weights = s->gradient + (mlp->weights[l] - mlp->parameters);
        float *biases = s->gradient + (mlp->biases[l] - mlp->parameters);
        NLSH_TRY(nlsh__gemm(1, 0, to, from, n, delta, to, s->activations[l], from, 0, weights, from,
                            error));
        memset(biases, 0, to * sizeof *biases);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < to; j++) biases[j] += delta[i * to + j];
        if (l == 0) break;
        float *previous = s->delta[l % 2];
        NLSH_TRY(nlsh__gemm(0, 0, n, from, to, delta, to, mlp->weights[l], from, beta, previous,
                            from, error));
        beta = 0;
        /* Zero where ReLU or dropout made the activation zero. */
        for (size_t i = 0; i < n * from; i++) {
            float by = s->activations[l][i] > 0 ? scale : 0; /* a choice, not a branch */
            previous[i] *= by;
        }
        delta = previous;
    }
out:
    return status;
}

enum nlsh_status
nlsh__mlp_loss(const struct nlsh__mlp *mlp, const float *inputs, const uint32_t *row_ids, size_t n,
               const struct nlsh__labels *targets, double dropout, struct nlsh__rng *rng,
               int backward, struct nlsh__mlp_scratch *scratch, double *loss,
               struct nlsh_error *error)
{
    if (rng == NULL) dropout = 0;
    enum nlsh_status status =
        nlsh__mlp_forward(mlp, inputs, row_ids, n, dropout, rng, scratch, error);
    if (status != NLSH_OK) return status;
    *loss = nlsh__mlp_output(mlp, row_ids, n, targets, scratch->activations[mlp->n_layers],
                             mlp->sizes[mlp->n_layers]);
    return backward ? nlsh__mlp_backward(mlp, n, dropout, 0, scratch, error) : NLSH_OK;
}
