/*
 * grouped.c - see grouped.h. The choice of groups by the network's own first level is ours; to train the
 * classes that matter to an example is what sampled softmax does (Jean, Cho, Memisevic and Bengio, "On
 * using very large target vocabulary for neural machine translation", ACL 2015). Here nothing is
 * sampled, and nothing need be made up for, since a search leaves the same buckets out.
 *
 * All rows that meet a group go through its weights together, so that these are read once.
 */
#include "router/train/grouped.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"

static size_t n_inputs(const struct nlsh__grouped *g)
{
    return g->mlp->sizes[g->mlp->n_layers - 1];
}

static size_t n_buckets(const struct nlsh__grouped *g)
{
    return g->mlp->sizes[g->mlp->n_layers] - g->targets->groups.n;
}

static size_t n_of_group(const struct nlsh__grouped *g, size_t group)
{
    return g->targets->groups.first[group + 1] - g->targets->groups.first[group];
}

/* A group's rows of the last layer. */
static const float *weights_of(const struct nlsh__grouped *g, size_t group)
{
    size_t row = g->targets->groups.n + g->targets->groups.first[group];
    return g->mlp->weights[g->mlp->n_layers - 1] + row * n_inputs(g);
}

static const float *biases_of(const struct nlsh__grouped *g, size_t group)
{
    return g->mlp->biases[g->mlp->n_layers - 1] + g->targets->groups.n +
           g->targets->groups.first[group];
}

size_t nlsh__grouped_most(const struct nlsh__labels *targets)
{
    size_t most = 0;
    for (size_t g = 0; g < targets->groups.n; g++) {
        size_t n = targets->groups.first[g + 1] - targets->groups.first[g];
        most = n > most ? n : most;
    }
    return most;
}

enum nlsh_status nlsh__grouped_create(const struct nlsh__mlp *mlp,
                                      const struct nlsh__labels *targets, size_t max_rows,
                                      struct nlsh__grouped *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = targets->groups.n;
    *out = (struct nlsh__grouped){.mlp = mlp, .targets = targets};
    size_t m = n_buckets(out), most = nlsh__grouped_most(targets);
    NLSH_TRY(nlsh__alloc(&out->first, n + 1, sizeof *out->first, error));
    NLSH_TRY(nlsh__alloc(&out->rows, max_rows, n * sizeof *out->rows, error));
    NLSH_TRY(nlsh__alloc(&out->starts, max_rows, n * sizeof *out->starts, error));
    NLSH_TRY(nlsh__alloc(&out->logits, max_rows, m * sizeof *out->logits, error));
    NLSH_TRY(
        nlsh__alloc(&out->labels, max_rows, nlsh__n_labels(targets) * sizeof *out->labels, error));
    NLSH_TRY(nlsh__alloc(&out->meets, max_rows, n * sizeof *out->meets, error));
    NLSH_TRY(nlsh__alloc(&out->n_logits, max_rows, sizeof *out->n_logits, error));
    NLSH_TRY(nlsh__alloc(&out->x, max_rows, sizeof *out->x, error));
    NLSH_TRY(nlsh__alloc(&out->out, max_rows, sizeof *out->out, error));
    NLSH_TRY(nlsh__alloc(&out->of_bucket, most, sizeof *out->of_bucket, error));
    NLSH_TRY(nlsh__alloc(&out->block, max_rows, most * sizeof *out->block, error));
    NLSH_TRY(nlsh__alloc(&out->probabilities, n, sizeof *out->probabilities, error));
out:
    if (status != NLSH_OK) nlsh__grouped_free(out);
    return status;
}

void nlsh__grouped_free(struct nlsh__grouped *g)
{
    nlsh__free(g->first);
    nlsh__free(g->rows);
    nlsh__free(g->starts);
    nlsh__free(g->logits);
    nlsh__free(g->labels);
    nlsh__free(g->meets);
    nlsh__free(g->n_logits);
    nlsh__free(g->x);
    nlsh__free(g->out);
    nlsh__free(g->of_bucket);
    nlsh__free(g->block);
    nlsh__free(g->probabilities);
    *g = (struct nlsh__grouped){.n = 0};
}

/* ---- which groups ---------------------------------------------------------------------------- */

/* The groups that row i meets. Returns -ln of what they have together by the groups' logits. */
static double choose(struct nlsh__grouped *g, size_t i, const uint32_t *labels, size_t n_labels,
                     const float *logits)
{
    size_t n = g->targets->groups.n, met = 0;
    uint8_t *meets = g->meets + i * n;
    memcpy(g->probabilities, logits, n * sizeof *logits);
    double all = (double)nlsh__kernels()->softmax_f32(g->probabilities, n);
    for (size_t k = 0; k < n; k++) meets[k] = g->probabilities[k] > NLSH__LEAST_MET;
    for (size_t j = 0; j < n_labels; j++) meets[g->targets->group_of[labels[j]]] = 1;
    for (size_t k = 0; k < n; k++)
        if (meets[k]) g->probabilities[met++] = logits[k];
    return all - (double)nlsh__kernels()->softmax_f32(g->probabilities, met);
}

/* The rows of each group from those that each row meets. */
static void list_rows(struct nlsh__grouped *g)
{
    size_t n_groups = g->targets->groups.n, end = 0;
    memset(g->n_logits, 0, g->n * sizeof *g->n_logits);
    for (size_t k = 0; k < n_groups; k++) {
        g->first[k] = end;
        for (size_t i = 0; i < g->n; i++) {
            if (!g->meets[i * n_groups + k]) continue;
            g->rows[end++] = (uint32_t)i;
            g->starts[i * n_groups + k] = g->n_logits[i];
            g->n_logits[i] += (uint32_t)n_of_group(g, k);
        }
    }
    g->first[n_groups] = end;
}

/* ---- there and back -------------------------------------------------------------------------- */

static float *logits_of(const struct nlsh__grouped *g, size_t row, size_t group)
{
    return g->logits + row * n_buckets(g) + g->starts[row * g->targets->groups.n + group];
}

static void forward(struct nlsh__grouped *g, const float *hidden)
{
    for (size_t k = 0; k < g->targets->groups.n; k++) {
        size_t first = g->first[k], n = g->first[k + 1] - first;
        for (size_t j = 0; j < n; j++) {
            g->x[j] = hidden + g->rows[first + j] * n_inputs(g);
            g->out[j] = logits_of(g, g->rows[first + j], k);
        }
        nlsh__kernels()->dots_f32(g->x, n, weights_of(g, k), n_of_group(g, k), biases_of(g, k),
                                  n_inputs(g), g->out);
    }
}

/* delta += the groups' gradients times their weights. */
static void backward(struct nlsh__grouped *g, float *delta)
{
    memset(delta, 0, g->n * n_inputs(g) * sizeof *delta);
    for (size_t k = 0; k < g->targets->groups.n; k++) {
        size_t first = g->first[k], n = g->first[k + 1] - first, width = n_of_group(g, k);
        const float *weights = weights_of(g, k);
        for (size_t j = 0; j < n; j++) {
            g->out[j] = delta + g->rows[first + j] * n_inputs(g);
            memcpy(g->block + j * width, logits_of(g, g->rows[first + j], k),
                   width * sizeof *g->block);
        }
        for (size_t b = 0; b < width; b++) g->of_bucket[b] = weights + b * n_inputs(g);
        nlsh__kernels()->mix_f32(g->out, n, g->block, width, 1, g->of_bucket, width, n_inputs(g));
    }
}

/* Where a bucket's logit stands among those of a row. */
static uint32_t place(const struct nlsh__grouped *g, size_t row, uint32_t bucket)
{
    size_t group = g->targets->group_of[bucket];
    return g->starts[row * g->targets->groups.n + group] + bucket - g->targets->groups.first[group];
}

double nlsh__grouped_loss(struct nlsh__grouped *g, const uint32_t *row_ids, size_t n, float *groups,
                          const float *hidden, float *delta)
{
    const struct nlsh__labels *targets = g->targets;
    size_t n_groups = targets->groups.n;
    size_t n_labels = nlsh__n_labels(targets); /* each row has so many */
    uint32_t of[NLSH__MAX_LABELS];
    double loss = 0;
    g->n = n;
    for (size_t i = 0; i < n; i++) {
        uint32_t *labels = g->labels + i * n_labels;
        (void)nlsh__labels_of(targets, row_ids[i], labels);
        loss += choose(g, i, labels, n_labels, groups + i * n_groups);
        for (size_t j = 0; j < n_labels; j++) of[j] = targets->group_of[labels[j]];
        (void)nlsh__cross_entropy(of, n_labels, n_groups, NLSH__GROUPS_WEIGHT,
                                  groups + i * n_groups);
    }
    list_rows(g);
    forward(g, hidden);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n_labels; j++) of[j] = place(g, i, g->labels[i * n_labels + j]);
        loss += nlsh__cross_entropy(of, n_labels, g->n_logits[i], 1, g->logits + i * n_buckets(g));
    }
    if (delta != NULL) backward(g, delta);
    return loss;
}

void nlsh__grouped_none(struct nlsh__grouped *g)
{
    g->n = 0;
    list_rows(g);
}

void nlsh__grouped_gradient(const struct nlsh__grouped *g, const float *hidden, size_t group,
                            struct nlsh__grouped_room *room, float *weights, float *biases)
{
    size_t first = g->first[group], n = g->first[group + 1] - first, width = n_of_group(g, group);
    for (size_t j = 0; j < n; j++) {
        const float *gradient = logits_of(g, g->rows[first + j], group);
        room->x[j] = hidden + g->rows[first + j] * n_inputs(g);
        memcpy(room->block + j * width, gradient, width * sizeof *gradient);
        for (size_t b = 0; b < width; b++) biases[b] += gradient[b];
    }
    for (size_t b = 0; b < width; b++) room->weights[b] = weights + b * n_inputs(g);
    nlsh__kernels()->mix_f32(room->weights, width, room->block, 1, width, room->x, n, n_inputs(g));
}
