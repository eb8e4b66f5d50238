/*
 * test_grouped.c - a last layer of which a row meets some groups: where it meets all, the loss and the
 * gradient are the whole layer's; where it does not, they are those of what it meets, in double.
 */
#include "testing.h"

#include <math.h>

#include "router/train/grouped.h"
#include "support/network.h"

enum { IN = 7, NODES = 9, BUCKETS = 11, GROUPS = 4, ROWS = 13, LABELS = 3, OUT = GROUPS + BUCKETS };

static uint32_t first[] = {0, 3, 4, 8, 11};
static const uint32_t group_of[] = {0, 0, 0, 1, 2, 2, 2, 2, 3, 3, 3};

struct fixture {
    struct nlsh__mlp mlp, trunk;
    struct nlsh__mlp_scratch whole, scratch;
    struct nlsh__grouped grouped;
    float inputs[ROWS * IN];
    uint32_t bucket_of[ROWS], neighbors[ROWS * LABELS], rows[ROWS];
    struct nlsh__labels targets;
};

/* spread: of the groups' biases; large ones leave most groups out. */
static struct fixture *fixture_new(size_t hidden, double spread, int soft)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct nlsh__rng rng;
    assert_non_null(f);
    test_rng(&rng, hidden + 10 * (size_t)spread);
    assert_int_equal(nlsh__mlp_create(IN, hidden, NODES, OUT, 5, &f->mlp, NULL), NLSH_OK);
    for (size_t l = 0; l <= hidden; l++)
        for (size_t j = 0; j < f->mlp.sizes[l + 1]; j++)
            f->mlp.biases[l][j] = (float)(0.3 * nlsh__rng_normal(&rng));
    for (size_t j = 0; j < GROUPS; j++) f->mlp.biases[hidden][j] = (float)(spread * (double)j);
    for (size_t i = 0; i < ROWS * IN; i++) f->inputs[i] = (float)nlsh__rng_normal(&rng);
    for (size_t i = 0; i < ROWS; i++) {
        f->bucket_of[i] = (uint32_t)nlsh__rng_below(&rng, BUCKETS);
        f->rows[i] = (uint32_t)nlsh__rng_below(&rng, ROWS);
        for (size_t j = 0; j < LABELS; j++)
            f->neighbors[i * LABELS + j] = (uint32_t)nlsh__rng_below(&rng, ROWS);
    }
    f->targets = (struct nlsh__labels){.bucket_of = f->bucket_of,
                                       .neighbors = soft ? f->neighbors : NULL,
                                       .stride = LABELS,
                                       .label_knn = LABELS,
                                       .groups = {GROUPS, first},
                                       .group_of = group_of};
    f->trunk = f->mlp;
    f->trunk.sizes[f->trunk.n_layers] = GROUPS;
    assert_int_equal(nlsh__mlp_scratch_create(&f->mlp, ROWS, &f->whole, NULL), NLSH_OK);
    assert_int_equal(nlsh__mlp_scratch_create(&f->trunk, ROWS, &f->scratch, NULL), NLSH_OK);
    assert_int_equal(nlsh__grouped_create(&f->mlp, &f->targets, ROWS, &f->grouped, NULL), NLSH_OK);
    return f;
}

static void fixture_free(struct fixture *f)
{
    nlsh__grouped_free(&f->grouped);
    nlsh__mlp_scratch_free(&f->whole);
    nlsh__mlp_scratch_free(&f->scratch);
    nlsh__mlp_free(&f->mlp);
    free(f);
}

/* Loss and gradient as training computes them; the gradient goes where the whole layer's would. */
static double loss_of(struct fixture *f, size_t n)
{
    size_t last = f->mlp.n_layers;
    struct nlsh__mlp_scratch *s = &f->scratch;
    float *delta = last > 1 ? s->delta[(last - 1) % 2] : NULL;
    const float *hidden = s->activations[last - 1];
    float block[BUCKETS * ROWS], *weights[BUCKETS];
    const float *x[ROWS];
    struct nlsh__grouped_room room = {block, x, weights};
    assert_int_equal(nlsh__mlp_forward(&f->trunk, f->inputs, f->rows, n, 0, NULL, s, NULL),
                     NLSH_OK);
    double loss = nlsh__grouped_loss(&f->grouped, f->rows, n, s->activations[last], hidden, delta);
    assert_int_equal(nlsh__mlp_backward(&f->trunk, n, 0, delta != NULL, s, NULL), NLSH_OK);
    for (size_t g = 0; g < GROUPS; g++) {
        size_t row = GROUPS + first[g], inputs = f->mlp.sizes[last - 1];
        nlsh__grouped_gradient(&f->grouped, hidden, g, &room,
                               s->gradient + (f->mlp.weights[last - 1] - f->mlp.parameters) +
                                   row * inputs,
                               s->gradient + (f->mlp.biases[last - 1] - f->mlp.parameters) + row);
    }
    return loss;
}

static void all_groups_are_the_whole_layer(void **state)
{
    (void)state;
    for (size_t hidden = 0; hidden <= 2; hidden++)
        for (int soft = 0; soft < 2; soft++)
            for (size_t n = 1; n <= ROWS; n += 4) {
                struct fixture *f = fixture_new(hidden, 0.1, soft);
                double whole, ours = loss_of(f, n);
                assert_int_equal(nlsh__mlp_loss(&f->mlp, f->inputs, f->rows, n, &f->targets, 0,
                                                NULL, 1, &f->whole, &whole, NULL),
                                 NLSH_OK);
                assert_float_equal(ours, whole, 1e-4);
                for (size_t i = 0; i < n * GROUPS; i++) assert_int_equal(f->grouped.meets[i], 1);
                for (size_t i = 0; i < f->mlp.n_parameters; i++)
                    assert_float_equal(f->scratch.gradient[i], f->whole.gradient[i], 2e-5);
                fixture_free(f);
            }
}

/* What a row meets, and its loss over that, from the logits of the whole network in double. */
static double loss_by_hand(const struct fixture *f, const double *parameters, size_t i,
                           const uint8_t *meets)
{
    double log_p[OUT], all = 0, met = 0, buckets = 0, loss = 0;
    uint32_t labels[NLSH__MAX_LABELS];
    network_log_p(&f->mlp, parameters, f->inputs + f->rows[i] * IN, log_p);
    for (size_t g = 0; g < GROUPS; g++) {
        all += exp(log_p[g]);
        if (meets[g]) met += exp(log_p[g]);
    }
    for (size_t b = 0; b < BUCKETS; b++)
        if (meets[group_of[b]]) buckets += exp(log_p[GROUPS + b]);
    size_t n = nlsh__labels_of(&f->targets, f->rows[i], labels);
    for (size_t j = 0; j < n; j++)
        loss -= log(exp(log_p[GROUPS + labels[j]]) / buckets * (met / all)) / (double)n;
    return loss;
}

/* Groups that are met are those of the labels and the probable ones. The buckets' weights have the
 * finite differences of the loss as their gradient, and none where no row meets them. */
static void some_groups_are_what_is_met(void **state)
{
    (void)state;
    size_t n_met = 0, n_unmet = 0;
    for (int soft = 0; soft < 2; soft++) {
        struct fixture *f = fixture_new(2, 3, soft);
        double loss = loss_of(f, ROWS), *w = network_doubles(&f->mlp), expected = 0;
        for (size_t i = 0; i < ROWS; i++) {
            double log_p[OUT], all = 0;
            uint32_t labels[NLSH__MAX_LABELS];
            size_t n = nlsh__labels_of(&f->targets, f->rows[i], labels);
            network_log_p(&f->mlp, w, f->inputs + f->rows[i] * IN, log_p);
            for (size_t g = 0; g < GROUPS; g++) all += exp(log_p[g]);
            for (size_t g = 0; g < GROUPS; g++) {
                int wanted = exp(log_p[g]) / all > NLSH__LEAST_MET;
                for (size_t j = 0; j < n; j++) wanted |= group_of[labels[j]] == g;
                assert_int_equal(f->grouped.meets[i * GROUPS + g], wanted);
                n_met += (size_t)wanted;
                n_unmet += !wanted;
            }
            expected += loss_by_hand(f, w, i, f->grouped.meets + i * GROUPS);
        }
        assert_float_equal(loss, expected, 1e-4);
        size_t layer = (size_t)(f->mlp.weights[2] - f->mlp.parameters);
        for (size_t p = layer + GROUPS * NODES; p < layer + OUT * NODES; p++) {
            const double e = 1e-5, kept = w[p];
            double slope = 0;
            for (int sign = -1; sign <= 1; sign += 2) {
                w[p] = kept + sign * e;
                for (size_t i = 0; i < ROWS; i++)
                    slope += sign * loss_by_hand(f, w, i, f->grouped.meets + i * GROUPS) / (2 * e);
            }
            w[p] = kept;
            assert_float_equal(f->scratch.gradient[p], slope, 2e-4);
        }
        free(w);
        fixture_free(f);
    }
    assert_true(n_met > 10 && n_unmet > 10);
}

static void no_rows_have_no_gradient(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(1, 0.1, 1);
    float block[BUCKETS], *pointers[BUCKETS], weights[BUCKETS * NODES] = {0}, biases[BUCKETS] = {0};
    const float *x[1];
    struct nlsh__grouped_room room = {block, x, pointers};
    loss_of(f, ROWS);
    nlsh__grouped_none(&f->grouped);
    for (size_t g = 0; g < GROUPS; g++)
        nlsh__grouped_gradient(&f->grouped, f->scratch.activations[1], g, &room, weights, biases);
    for (size_t i = 0; i < BUCKETS * NODES; i++) assert_true(weights[i] == 0);
    for (size_t i = 0; i < BUCKETS; i++) assert_true(biases[i] == 0);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_groups_are_the_whole_layer),
        cmocka_unit_test(some_groups_are_what_is_met),
        cmocka_unit_test(no_rows_have_no_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
