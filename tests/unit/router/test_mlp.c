/*
 * test_mlp.c - the loss against a network in double, the gradient against that network's central
 * finite differences, dropout against its expectation.
 */
#include "testing.h"

#include <math.h>

#include "router/train/mlp.h"
#include "support/network.h"

enum { IN = 7, NODES = 9, M = 6, ROWS = 13, LABELS = 5, STRIDE = 8 };

/* A small network, data and labels, all random. */
struct fixture {
    struct nlsh__mlp mlp;
    struct nlsh__mlp_scratch scratch;
    float inputs[ROWS * IN];
    uint32_t bucket_of[ROWS], neighbors[ROWS * STRIDE];
    uint32_t rows[2 * ROWS]; /* some twice: a row may be asked for more than once */
    struct nlsh__labels soft, hard;
};

static struct fixture *fixture_new(size_t hidden, size_t m, uint64_t stream)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct nlsh__rng rng;
    assert_non_null(f);
    test_rng(&rng, stream);
    assert_int_equal(nlsh__mlp_create(IN, hidden, NODES, m, 5 + stream, &f->mlp, NULL), NLSH_OK);
    assert_int_equal(nlsh__mlp_scratch_create(&f->mlp, 2 * ROWS, &f->scratch, NULL), NLSH_OK);
    for (size_t l = 0; l <= hidden; l++) /* they start at 0, where a mistake would not show */
        for (size_t j = 0; j < f->mlp.sizes[l + 1]; j++)
            f->mlp.biases[l][j] = (float)(0.3 * nlsh__rng_normal(&rng));
    for (size_t i = 0; i < ROWS * IN; i++) f->inputs[i] = (float)nlsh__rng_normal(&rng);
    for (size_t i = 0; i < ROWS; i++) f->bucket_of[i] = (uint32_t)nlsh__rng_below(&rng, m);
    for (size_t i = 0; i < ROWS * STRIDE; i++)
        f->neighbors[i] = (uint32_t)nlsh__rng_below(&rng, ROWS);
    for (size_t i = 0; i < 2 * ROWS; i++) f->rows[i] = (uint32_t)nlsh__rng_below(&rng, ROWS);
    f->hard = (struct nlsh__labels){.bucket_of = f->bucket_of};
    f->soft = (struct nlsh__labels){.bucket_of = f->bucket_of,
                                    .neighbors = f->neighbors,
                                    .stride = STRIDE,
                                    .label_knn = LABELS};
    return f;
}

static void fixture_free(struct fixture *f)
{
    nlsh__mlp_free(&f->mlp);
    nlsh__mlp_scratch_free(&f->scratch);
    free(f);
}

static double loss_of(struct fixture *f, const struct nlsh__labels *t, size_t n, double dropout,
                      struct nlsh__rng *rng, int backward)
{
    double loss;
    assert_int_equal(nlsh__mlp_loss(&f->mlp, f->inputs, f->rows, n, t, dropout, rng, backward,
                                    &f->scratch, &loss, NULL),
                     NLSH_OK);
    return loss;
}

/* ---- loss and gradient ----------------------------------------------------------------------- */

/* Every parameter's gradient against (L(w + e) - L(w - e)) / 2e in double. e = 1e-6 and 5e-7 must
 * agree, else a ReLU turns between them and the difference is no derivative: that is rare. */
static void compare_gradient(struct fixture *f, const struct nlsh__labels *t, size_t n)
{
    double loss = loss_of(f, t, n, 0, NULL, 1), *w = network_doubles(&f->mlp), most = 0;
    assert_float_equal(loss / (double)n,
                       network_loss(&f->mlp, w, f->inputs, f->rows, n, t) / (double)n, 2e-6);
    size_t skipped = 0;
    for (size_t i = 0; i < f->mlp.n_parameters; i++) {
        double slope[2];
        for (int half = 0; half < 2; half++) {
            const double e = half ? 5e-7 : 1e-6, kept = w[i];
            w[i] = kept + e;
            double above = network_loss(&f->mlp, w, f->inputs, f->rows, n, t);
            w[i] = kept - e;
            slope[half] = (above - network_loss(&f->mlp, w, f->inputs, f->rows, n, t)) / (2 * e);
            w[i] = kept;
        }
        if (fabs(slope[0] - slope[1]) > 1e-6 * (1 + fabs(slope[0]))) {
            skipped++;
            continue;
        }
        double ours = (double)f->scratch.gradient[i];
        if (fabs(ours - slope[1]) > 2e-5 * (1 + fabs(slope[1])))
            fail_msg("parameter %zu: gradient %.8g, finite difference %.8g", i, ours, slope[1]);
        most = fmax(most, fabs(ours));
    }
    assert_true(skipped <= 2);
    assert_true(most > 0.1); /* nothing was compared with zeros */
    free(w);
}

static void gradient_is_the_derivative(void **state)
{
    (void)state;
    for (size_t hidden = 0; hidden <= 3; hidden++)
        for (size_t m = 2; m <= M; m += M - 2) {
            struct fixture *f = fixture_new(hidden, m, 10 * hidden + m);
            assert_int_equal(f->mlp.n_layers, hidden + 1);
            compare_gradient(f, &f->soft, 2 * ROWS);
            compare_gradient(f, &f->hard, 2 * ROWS);
            compare_gradient(f, &f->soft, 3);
            compare_gradient(f, &f->hard, 1);
            fixture_free(f);
        }
}

/* The same random numbers drop the same nodes, so the loss stays a function of the weights: its
 * own differences, in float, are within 1 % of the largest slope. */
static void gradient_under_dropout(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(2, M, 77);
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 3, 3);
    loss_of(f, &f->soft, ROWS, 0.4, &rng, 1);
    size_t n = f->mlp.n_parameters, wrong = 0, zeros = 0;
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs((double)f->scratch.gradient[i]));
    for (size_t i = 0; i < n; i++) {
        const float kept = f->mlp.parameters[i], e = 2e-3f;
        f->mlp.parameters[i] = kept + e;
        nlsh__rng_init(&rng, 3, 3);
        double above = loss_of(f, &f->soft, ROWS, 0.4, &rng, 0);
        f->mlp.parameters[i] = kept - e;
        nlsh__rng_init(&rng, 3, 3);
        double slope = (above - loss_of(f, &f->soft, ROWS, 0.4, &rng, 0)) / (2 * (double)e);
        f->mlp.parameters[i] = kept;
        wrong += fabs(slope - (double)f->scratch.gradient[i]) > 0.01 * most;
        zeros += f->scratch.gradient[i] == 0;
    }
    assert_true(wrong <= n / 100); /* ReLU's corners */
    assert_true(zeros < n / 2);
    fixture_free(f);
}

static void uniform_network_loses_ln_m(void **state)
{
    (void)state;
    for (size_t m = 1; m <= 257; m += 16) {
        struct fixture *f = fixture_new(1, m, 200 + m);
        memset(f->mlp.parameters, 0, f->mlp.n_parameters * sizeof(float));
        for (int soft = 0; soft < 2; soft++) {
            const struct nlsh__labels *t = soft ? &f->soft : &f->hard;
            assert_float_equal(loss_of(f, t, ROWS, 0, NULL, 1), ROWS * log((double)m), 1e-4);
            /* The output's biases then want n / m of each bucket and are given the labels. */
            double sum = 0, down = 0;
            const float *g = f->scratch.gradient + (f->mlp.biases[1] - f->mlp.parameters);
            for (size_t b = 0; b < m; b++) {
                sum += (double)g[b];
                if (g[b] < 0) down += (double)g[b];
            }
            assert_float_equal(sum, 0, 1e-4);
            assert_true(m == 1 ? fabs(down) < 1e-4 : down < -1);
        }
        fixture_free(f);
    }
}

/* A certainty that is wrong costs what it should, however large, and what is not a number shows. */
static void loss_is_not_capped(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(0, M, 300);
    memset(f->mlp.parameters, 0, f->mlp.n_parameters * sizeof(float));
    f->bucket_of[f->rows[0]] = 2;
    f->mlp.biases[0][4] = 1e5f;
    assert_float_equal(loss_of(f, &f->hard, 1, 0, NULL, 1), 1e5, 1);
    for (size_t i = 0; i < f->mlp.n_parameters; i++) assert_true(isfinite(f->scratch.gradient[i]));
    f->mlp.biases[0][1] = NAN;
    assert_true(isnan(loss_of(f, &f->hard, 1, 0, NULL, 0)));
    assert_true(isnan(loss_of(f, &f->soft, 1, 0, NULL, 0)));
    fixture_free(f);
}

static void loss_alone_leaves_the_gradient(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(2, M, 301);
    double with = loss_of(f, &f->soft, ROWS, 0, NULL, 1);
    float *kept = malloc(f->mlp.n_parameters * sizeof *kept);
    assert_non_null(kept);
    memcpy(kept, f->scratch.gradient, f->mlp.n_parameters * sizeof *kept);
    assert_true(with == loss_of(f, &f->soft, ROWS, 0.5, NULL, 0)); /* no rng: no dropout */
    assert_memory_equal(kept, f->scratch.gradient, f->mlp.n_parameters * sizeof *kept);
    free(kept);
    fixture_free(f);
}

/* ---- initial weights, dropout ---------------------------------------------------------------- */

static void initial_weights_have_their_variance(void **state)
{
    (void)state;
    struct nlsh__mlp mlp, again, other;
    assert_int_equal(nlsh__mlp_create(64, 2, 128, 100, 9, &mlp, NULL), NLSH_OK);
    assert_int_equal(nlsh__mlp_create(64, 2, 128, 100, 9, &again, NULL), NLSH_OK);
    assert_int_equal(nlsh__mlp_create(64, 2, 128, 100, 10, &other, NULL), NLSH_OK);
    assert_int_equal(mlp.n_parameters, 65 * 128 + 129 * 128 + 129 * 100);
    for (size_t l = 0; l < 3; l++) {
        size_t in = mlp.sizes[l], n = in * mlp.sizes[l + 1];
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++) {
            sum += (double)mlp.weights[l][i];
            squares += (double)mlp.weights[l][i] * (double)mlp.weights[l][i];
        }
        const double of_layer[] = {2.0 / 16, 2, 1};
        double want = of_layer[l] / (double)in;
        assert_float_equal(squares / (double)n / want, 1, 0.06); /* 4 deviations of 8,192 */
        assert_float_equal(sum / (double)n / sqrt(want), 0, 0.045);
        for (size_t j = 0; j < mlp.sizes[l + 1]; j++) assert_true(mlp.biases[l][j] == 0);
    }
    assert_memory_equal(mlp.parameters, again.parameters, mlp.n_parameters * sizeof(float));
    assert_memory_not_equal(mlp.parameters, other.parameters, mlp.n_parameters * sizeof(float));
    nlsh__mlp_free(&mlp);
    nlsh__mlp_free(&again);
    nlsh__mlp_free(&other);
    nlsh__mlp_free(&other); /* twice is harmless */
}

/* Over 4,000 copies of a row the mean of each hidden node is what it is without dropout. */
static void dropout_keeps_the_expectation(void **state)
{
    enum { COPIES = 4000 };
    (void)state;
    struct fixture *f = fixture_new(1, M, 400);
    struct nlsh__mlp_scratch scratch;
    static uint32_t rows[COPIES];
    double loss;
    struct nlsh__rng rng;
    loss_of(f, &f->hard, ROWS, 0, NULL, 0);
    assert_int_equal(nlsh__mlp_scratch_create(&f->mlp, COPIES, &scratch, NULL), NLSH_OK);
    for (size_t i = 0; i < COPIES; i++) rows[i] = f->rows[0];
    for (double p = 0.1; p < 0.95; p += 0.2) {
        nlsh__rng_init(&rng, 8, (uint64_t)(100 * p));
        assert_int_equal(nlsh__mlp_loss(&f->mlp, f->inputs, rows, COPIES, &f->hard, p, &rng, 0,
                                        &scratch, &loss, NULL),
                         NLSH_OK);
        size_t alive = 0;
        for (size_t j = 0; j < NODES; j++) {
            double plain = (double)f->scratch.activations[1][j], sum = 0, dropped = 0;
            for (size_t i = 0; i < COPIES; i++) {
                double v = (double)scratch.activations[1][i * NODES + j];
                assert_true(v == 0 || fabs(v * (1 - p) - plain) < 1e-5 * (1 + plain));
                sum += v;
                dropped += v == 0;
            }
            if (plain == 0) continue;
            alive++;
            double deviation = sqrt(p / (1 - p) / COPIES);
            assert_float_equal(sum / COPIES / plain, 1, 5 * deviation);
            assert_float_equal(dropped / COPIES, p, 5 * sqrt(p * (1 - p) / COPIES));
        }
        assert_true(alive >= 2);
    }
    nlsh__mlp_scratch_free(&scratch);
    fixture_free(f);
}

/* As many labels for each row: who is unseen is left out, and the others count again; all count where all are. */
static void unseen_rows_are_no_labels(void **state)
{
    (void)state;
    static const uint32_t bucket_of[] = {10, 11, 12, 13, 14};
    static const uint32_t neighbors[] = {1, 2, 3, 4, 2, 4, 1, 0, 3, 1, 2, 0};
    static const uint8_t unseen[] = {0, 0, 1, 0, 1};
    struct nlsh__labels targets = {
        .bucket_of = bucket_of, .neighbors = neighbors, .stride = 4, .label_knn = 3};
    uint32_t out[3];
    assert_int_equal(nlsh__labels_of(&targets, 0, out), 3);
    assert_memory_equal(out, ((uint32_t[]){11, 12, 13}), sizeof out);
    targets.unseen = unseen;
    assert_int_equal(nlsh__labels_of(&targets, 0, out), 3);
    assert_memory_equal(out, ((uint32_t[]){11, 13, 11}), sizeof out);
    assert_int_equal(nlsh__labels_of(&targets, 1, out), 3);
    assert_memory_equal(out, ((uint32_t[]){11, 11, 11}), sizeof out);
    targets.label_knn = 2;
    assert_int_equal(nlsh__labels_of(&targets, 1, out), 2);
    assert_memory_equal(out, ((uint32_t[]){12, 14}), 2 * sizeof *out);
}

/* The gradient at the outputs, by its formula in double: probabilities less targets, the groups'
 * weighed; the loss is the buckets' alone. */
static void groups_learn_beside_buckets(void **state)
{
    (void)state;
    enum { N_BUCKETS = 9, N_GROUPS = 3, N = 4, LD = 16 };
    static const uint32_t first[] = {0, 2, 6, 9}, group_of[] = {0, 0, 1, 1, 1, 1, 2, 2, 2};
    static const uint32_t bucket_of[] = {8, 0, 3, 5, 1, 7}, rows[] = {0, 2, 1, 3};
    static const uint32_t neighbors[] = {1, 2, 0, 3, 4, 5, 5, 4};
    struct nlsh__mlp mlp = {.n_layers = 1, .sizes = {1, N_GROUPS + N_BUCKETS}};
    struct nlsh__labels targets = {
        .bucket_of = bucket_of,
        .neighbors = neighbors,
        .stride = 2,
        .label_knn = 2,
        .groups = {N_GROUPS, (uint32_t *)(uintptr_t)first},
        .group_of = group_of,
    };
    float x[N * LD], before[N * LD];
    for (size_t i = 0; i < N * LD; i++) before[i] = x[i] = (float)(i * 37 % 23) / 5 - 2;
    double loss = nlsh__mlp_output(&mlp, rows, N, &targets, x, LD), wanted = 0;
    for (size_t i = 0; i < N; i++) {
        double sum[2] = {0, 0};
        for (size_t j = 0; j < N_GROUPS + N_BUCKETS; j++)
            sum[j < N_GROUPS] += exp((double)before[i * LD + j]);
        for (size_t j = 0; j < N_GROUPS + N_BUCKETS; j++) {
            double p = exp((double)before[i * LD + j]) / sum[j < N_GROUPS], y = 0;
            for (size_t n = 0; n < 2; n++) {
                uint32_t bucket = bucket_of[neighbors[rows[i] * 2 + n]];
                y += j < N_GROUPS ? 0.5 * (group_of[bucket] == j) : 0.5 * (bucket == j - N_GROUPS);
            }
            if (j >= N_GROUPS && y > 0) wanted -= y * log(p);
            assert_float_equal(x[i * LD + j], (p - y) * (j < N_GROUPS ? 0.2 : 1), 1e-6);
        }
        for (size_t j = N_GROUPS + N_BUCKETS; j < LD; j++)
            assert_true(x[i * LD + j] == before[i * LD + j]);
    }
    assert_float_equal(loss, wanted, 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unseen_rows_are_no_labels),
        cmocka_unit_test(groups_learn_beside_buckets),
        cmocka_unit_test(gradient_is_the_derivative),
        cmocka_unit_test(gradient_under_dropout),
        cmocka_unit_test(uniform_network_loses_ln_m),
        cmocka_unit_test(loss_is_not_capped),
        cmocka_unit_test(loss_alone_leaves_the_gradient),
        cmocka_unit_test(initial_weights_have_their_variance),
        cmocka_unit_test(dropout_keeps_the_expectation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
