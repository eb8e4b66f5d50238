/*
 * test_train.c - the optimiser against worked values, the schedules' shapes, and training as a
 * whole: against a loop written out here, on problems whose answer is known, at its limits.
 */
#include "testing.h"

#include <math.h>

#include "base/error.h"
#include "router/train/train.h"
#include "support/network.h"

/* ---- the optimiser --------------------------------------------------------------------------- */

/* Three steps of AdamW as Loshchilov and Hutter write them, with Nesterov's momentum, in double. */
static void adamw_agrees_with_worked_steps(void **state)
{
    (void)state;
    const float start[] = {0.5f, -2.0f, 0.0f, 1e-3f, 30.0f};
    const float gradients[3][5] = {{0.1f, -3.0f, 0.0f, 1e-6f, 200.0f},
                                   {-0.4f, -3.0f, 0.0f, 1e-6f, -100.0f},
                                   {0.25f, 0.5f, 1.0f, -1e-6f, 0.0f}};
    const double lr[3] = {0.01, 0.02, 0.004};
    for (int d = 0; d < 2; d++) {
        const double decay = d ? 0.1 : 0;
        float w[5], first[5] = {0}, second[5] = {0};
        memcpy(w, start, sizeof w);
        double x[5], m[5] = {0}, v[5] = {0};
        for (int i = 0; i < 5; i++) x[i] = (double)start[i];
        for (int t = 1; t <= 3; t++) {
            nlsh__adamw(w, gradients[t - 1], first, second, 5, (uint64_t)t, lr[t - 1], decay);
            for (int i = 0; i < 5; i++) {
                double g = (double)gradients[t - 1][i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                double m_hat = (0.9 * m[i] + 0.1 * g) / (1 - pow(0.9, t + 1)),
                       v_hat = v[i] / (1 - pow(0.999, t));
                x[i] = x[i] - lr[t - 1] * m_hat / (sqrt(v_hat) + 1e-8) - lr[t - 1] * decay * x[i];
                assert_float_equal(w[i] - (float)x[i], 0, 2e-6 * (1 + fabs(x[i])));
            }
        }
    }
    /* The first step is lr long whatever the gradient's size, and goes against its sign. */
    float w[2] = {0, 0}, first[2] = {0}, second[2] = {0};
    const float g[2] = {1e-4f, -1e4f};
    nlsh__adamw(w, g, first, second, 2, 1, 0.125, 0);
    assert_float_equal(w[0], -0.125, 1e-4);
    assert_float_equal(w[1], 0.125, 1e-6);
}

/* ---- schedules ------------------------------------------------------------------------------- */

static void cosine_warms_up_and_falls_to_nothing(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 3000; n = n * 7 / 4 + 1) {
        size_t peak = 0;
        double sum = 0, s[3001];
        for (size_t i = 0; i < n; i++) {
            s[i] = nlsh__schedule(NLSH_SCHEDULER_COSINE, i, n);
            assert_true(s[i] > 0 && s[i] <= 1);
            if (s[i] > s[peak]) peak = i;
            sum += s[i];
        }
        for (size_t i = 1; i < n; i++) assert_true(i <= peak ? s[i] > s[i - 1] : s[i] < s[i - 1]);
        if (n < 40) continue;
        assert_true(s[0] < 0.55 && s[peak] > 0.98 && s[n - 1] < 0.002);
        assert_true((double)peak < 0.06 * (double)n + 1);
        assert_float_equal(sum / (double)n, 0.5,
                           0.01);               /* the mean of half a cosine, and of a line */
        for (size_t i = 0; i + 1 < n / 20; i++) /* a line up */
            assert_float_equal(s[i], 20 * ((double)i + 0.5) / (double)n, 1e-6);
        size_t middle = (size_t)(0.525 * (double)n); /* half-way down: .05 + .95 / 2 */
        assert_float_equal(s[middle], 0.5, 0.06);
    }
}

static void the_other_schedules(void **state)
{
    (void)state;
    size_t count[3] = {0};
    for (size_t i = 0; i < 400; i++) {
        double s = nlsh__schedule(NLSH_SCHEDULER_STEP, i, 400);
        size_t which = i < 200 ? 0 : i < 300 ? 1 : 2;
        assert_float_equal(s, which == 0 ? 1 : which == 1 ? 0.1 : 0.01, 1e-7);
        count[which]++;
        assert_true(nlsh__schedule(NLSH_SCHEDULER_NONE, i, 400) == 1);
        assert_true(nlsh__schedule(NLSH_SCHEDULER_PLATEAU, i, 400) == 1);
    }
    assert_int_equal(count[1] + count[2], 200);
}

/* ---- training -------------------------------------------------------------------------------- */

struct problem {
    size_t n, dim, m;
    float *inputs;
    uint32_t *bucket_of, *rows, *neighbors;
    struct nlsh__labels hard, soft, grouped; /* grouped: soft, in two groups */
    uint32_t first[3], *group_of;
};

/* Points of m clumps on a circle, every clump in two places opposite each other, so that no linear
 * layer tells them apart; each point's neighbours are points of its clump. */
static struct problem problem_new(size_t n, size_t m, uint64_t stream)
{
    struct problem p = {.n = n, .dim = 2, .m = m};
    struct nlsh__rng rng;
    test_rng(&rng, stream);
    p.inputs = malloc(n * 2 * sizeof *p.inputs);
    p.bucket_of = malloc(n * sizeof *p.bucket_of);
    p.rows = malloc(n * sizeof *p.rows);
    p.neighbors = malloc(n * 4 * sizeof *p.neighbors);
    assert_true(p.inputs && p.bucket_of && p.rows && p.neighbors);
    for (size_t i = 0; i < n; i++) {
        size_t b = i % m, side = i / m % 2;
        double angle = 3.14159265358979 * ((double)b / (double)m + (double)side);
        p.inputs[2 * i] = (float)(1.4 * cos(angle) + 0.09 * nlsh__rng_normal(&rng));
        p.inputs[2 * i + 1] = (float)(1.4 * sin(angle) + 0.09 * nlsh__rng_normal(&rng));
        p.bucket_of[i] = (uint32_t)b;
        p.rows[i] = (uint32_t)i;
        for (size_t j = 0; j < 4; j++)
            p.neighbors[4 * i + j] = (uint32_t)((i + m * j) % n / m * m + b);
        for (size_t j = 0; j < 4; j++)
            if (p.neighbors[4 * i + j] >= n) p.neighbors[4 * i + j] = (uint32_t)i;
    }
    p.hard = (struct nlsh__labels){.bucket_of = p.bucket_of};
    p.soft = (struct nlsh__labels){
        .bucket_of = p.bucket_of, .neighbors = p.neighbors, .stride = 4, .label_knn = 3};
    return p;
}

/* The last bucket of each problem in a group of its own. */
static const struct nlsh__labels *in_groups(struct problem *p)
{
    p->group_of = calloc(p->m, sizeof *p->group_of);
    assert_non_null(p->group_of);
    p->group_of[p->m - 1] = 1;
    p->first[0] = 0;
    p->first[1] = (uint32_t)p->m - 1;
    p->first[2] = (uint32_t)p->m;
    p->grouped = p->soft;
    p->grouped.groups = (struct nlsh__groups){2, p->first};
    p->grouped.group_of = p->group_of;
    return &p->grouped;
}

static void problem_free(struct problem *p)
{
    free(p->inputs);
    free(p->bucket_of);
    free(p->rows);
    free(p->neighbors);
    free(p->group_of);
}

static struct nlsh__train_options options(size_t epochs, size_t batch, double lr)
{
    return (struct nlsh__train_options){.epochs = epochs,
                                        .batch_size = batch,
                                        .lr = lr,
                                        .weight_decay = 0.01,
                                        .scheduler = NLSH_SCHEDULER_COSINE,
                                        .seed = 4};
}

/* Trains a new network on the problem's first n_train rows, holding the others out. */
static enum nlsh_status fit(const struct problem *p, size_t n_train, size_t hidden,
                            const struct nlsh__labels *targets, const struct nlsh__train_options *o,
                            size_t n_threads, struct nlsh__mlp *mlp, double *loss, double *held,
                            struct nlsh_error *error)
{
    struct nlsh__job job;
    job_start(&job, n_threads);
    assert_int_equal(nlsh__mlp_create(p->dim, hidden, 24, targets->groups.n + p->m, 6, mlp, NULL),
                     NLSH_OK);
    enum nlsh_status status = nlsh__train(mlp, p->inputs, p->rows, n_train, p->rows + n_train,
                                          p->n - n_train, targets, o, &job, loss, held, error);
    nlsh__job_end(&job);
    return status;
}

static double accuracy(const struct problem *p, const struct nlsh__mlp *mlp, size_t first)
{
    double *w = network_doubles(mlp), *log_p = malloc(p->m * sizeof *log_p);
    size_t right = 0;
    assert_non_null(log_p);
    for (size_t i = first; i < p->n; i++) {
        size_t best = 0;
        network_log_p(mlp, w, p->inputs + i * p->dim, log_p);
        for (size_t b = 1; b < p->m; b++)
            if (log_p[b] > log_p[best]) best = b;
        right += best == p->bucket_of[i];
    }
    free(w);
    free(log_p);
    return (double)right / (double)(p->n - first);
}

static void a_separable_problem_is_learned(void **state)
{
    (void)state;
    struct problem p = problem_new(1500, 5, 1);
    double loss, held;
    for (int scheduler = 0; scheduler <= NLSH_SCHEDULER_NONE; scheduler++)
        for (int soft = 0; soft < 2; soft++) {
            struct nlsh__mlp mlp;
            struct nlsh__train_options o = options(30, 50, 0.01);
            o.scheduler = (enum nlsh_scheduler)scheduler;
            assert_int_equal(
                fit(&p, 1000, 2, soft ? &p.soft : &p.hard, &o, 1, &mlp, &loss, &held, NULL),
                NLSH_OK);
            assert_true(loss < 0.2 && held < 0.25);
            assert_true(accuracy(&p, &mlp, 1000) > 0.95);
            double *w = network_doubles(&mlp); /* held_loss is the finished network's */
            assert_float_equal(
                held,
                network_loss(&mlp, w, p.inputs, p.rows + 1000, 500, soft ? &p.soft : &p.hard) / 500,
                1e-4);
            free(w);
            nlsh__mlp_free(&mlp);
        }
    /* The same without a hidden layer is out of a network's reach: the test above can fail. */
    struct nlsh__mlp mlp;
    struct nlsh__train_options o = options(30, 50, 0.01);
    assert_int_equal(fit(&p, 1000, 0, &p.hard, &o, 1, &mlp, &loss, &held, NULL), NLSH_OK);
    assert_true(accuracy(&p, &mlp, 1000) < 0.6);
    nlsh__mlp_free(&mlp);
    problem_free(&p);
}

/* Where the input says nothing, the best answer is each bucket's share of the labels. */
static void learns_the_shares_of_the_labels(void **state)
{
    (void)state;
    struct problem p = problem_new(400, 4, 2);
    memset(p.inputs, 0, p.n * p.dim * sizeof *p.inputs);
    for (size_t i = 0; i < p.n; i++) p.bucket_of[i] = i % 8 < 5 ? 0 : i % 8 < 7 ? 1 : 2;
    for (int soft = 0; soft < 2; soft++) {
        struct nlsh__mlp mlp;
        struct nlsh__train_options o = options(150, 400, 0.1);
        double loss, held, log_p[4], share[4] = {0};
        o.weight_decay = 0;
        for (size_t i = 0; i < p.n; i++)
            for (size_t j = 0; j < 3; j++)
                share[p.bucket_of[soft ? p.neighbors[4 * i + j] : i]] += 1 / (3.0 * (double)p.n);
        const struct nlsh__labels *targets = soft ? &p.soft : &p.hard;
        assert_int_equal(fit(&p, p.n, 0, targets, &o, 1, &mlp, &loss, &held, NULL), NLSH_OK);
        double *w = network_doubles(&mlp), entropy = 0;
        network_log_p(&mlp, w, p.inputs, log_p);
        for (size_t b = 0; b < 4; b++) {
            assert_float_equal(exp(log_p[b]), share[b], 0.01);
            if (share[b] > 0) entropy -= share[b] * log(share[b]);
        }
        assert_float_equal(loss, entropy, 0.01);
        assert_true(isnan(held)); /* nothing was held out */
        free(w);
        nlsh__mlp_free(&mlp);
    }
    problem_free(&p);
}

/* Full batches, so that the order of rows does not matter: the same steps by hand. rates[e] is the
 * learning rate that epoch e should have had. */
static void compare_with_steps_by_hand(const struct problem *p, size_t n_train,
                                       const struct nlsh__train_options *o, const double *rates,
                                       const struct nlsh__labels *targets)
{
    assert_true(o->f32); /* sums that are rounded otherwise would take other steps */
    struct nlsh__mlp ours, mine;
    struct nlsh__mlp_scratch scratch;
    double loss, held, sum = 0;
    assert_int_equal(fit(p, n_train, 1, targets, o, 2, &ours, &loss, &held, NULL), NLSH_OK);
    assert_int_equal(nlsh__mlp_create(p->dim, 1, 24, targets->groups.n + p->m, 6, &mine, NULL),
                     NLSH_OK);
    assert_int_equal(nlsh__mlp_scratch_create(&mine, n_train, &scratch, NULL), NLSH_OK);
    size_t n = mine.n_parameters;
    float *first = calloc(n, sizeof *first), *second = calloc(n, sizeof *second);
    assert_true(first && second);
    for (size_t e = 0; e < o->epochs; e++) {
        assert_int_equal(nlsh__mlp_loss(&mine, p->inputs, p->rows, n_train, targets, 0, NULL, 1,
                                        &scratch, &sum, NULL),
                         NLSH_OK);
        for (size_t i = 0; i < n; i++) scratch.gradient[i] /= (float)n_train;
        nlsh__adamw(mine.parameters, scratch.gradient, first, second, n, e + 1, rates[e],
                    o->weight_decay);
    }
    for (size_t i = 0; i < n; i++) assert_float_equal(ours.parameters[i], mine.parameters[i], 2e-4);
    assert_float_equal(loss, sum / (double)n_train,
                       1e-4); /* before the last step, as it was seen */
    free(first);
    free(second);
    nlsh__mlp_scratch_free(&scratch);
    nlsh__mlp_free(&ours);
    nlsh__mlp_free(&mine);
}

/* Held-out rows with other labels get worse from the first epoch on: the rate halves after two
 * epochs without a gain, and after two more. With the right labels it stays. */
static void plateau_halves_the_rate(void **state)
{
    (void)state;
    struct problem p = problem_new(240, 4, 3);
    struct nlsh__train_options o = options(7, 1000, 0.02);
    o.f32 = 1;
    const double lr = o.lr;
    const double falls[] = {lr, lr, lr, lr / 2, lr / 2, lr / 4, lr / 4};
    const double stays[] = {lr, lr, lr, lr, lr, lr, lr};
    o.scheduler = NLSH_SCHEDULER_PLATEAU;
    compare_with_steps_by_hand(&p, 160, &o, stays, &p.hard);
    o.scheduler = NLSH_SCHEDULER_NONE;
    compare_with_steps_by_hand(&p, 160, &o, stays, &p.soft);
    for (size_t i = 160; i < 240; i++) p.bucket_of[i] = (p.bucket_of[i] + 2) % 4;
    compare_with_steps_by_hand(&p, 160, &o, stays, &p.hard);
    o.scheduler = NLSH_SCHEDULER_PLATEAU;
    compare_with_steps_by_hand(&p, 160, &o, falls, &p.hard);
    problem_free(&p);
}

static void schedules_reach_the_steps(void **state)
{
    (void)state;
    struct problem p = problem_new(160, 4, 4);
    struct nlsh__train_options o = options(8, 160, 0.03);
    double rates[8];
    o.f32 = 1;
    for (int s = 0; s < 2; s++) {
        o.scheduler = s ? NLSH_SCHEDULER_STEP : NLSH_SCHEDULER_COSINE;
        for (size_t e = 0; e < 8; e++) rates[e] = o.lr * nlsh__schedule(o.scheduler, e, 8);
        compare_with_steps_by_hand(&p, 160, &o, rates, &p.soft);
    }
    problem_free(&p);
}

/* Products in bf16 and in f32 end at the same loss, whatever does not fit in a tile. */
static void bf16_learns_what_f32_does(void **state)
{
    (void)state;
    for (size_t hidden = 0; hidden <= 3; hidden++)
        for (size_t m = 2; m <= 35; m += 11) {
            struct problem p = problem_new(700, m, 20 * hidden + m);
            double loss[2], held[2];
            for (int f32 = 0; f32 < 2; f32++) {
                struct nlsh__mlp mlp;
                struct nlsh__train_options o = options(20, 65, 0.01);
                o.f32 = f32;
                assert_int_equal(
                    fit(&p, 600, hidden, &p.soft, &o, 2, &mlp, &loss[f32], &held[f32], NULL),
                    NLSH_OK);
                nlsh__mlp_free(&mlp);
            }
            assert_float_equal(loss[0], loss[1], 0.01 + 0.03 * loss[1]);
            assert_float_equal(held[0], held[1], 0.01 + 0.05 * held[1]);
            problem_free(&p);
        }
}

/* Where every row meets both groups, steps by group are those of the whole layer. */
static void groups_learn_what_one_layer_does(void **state)
{
    (void)state;
    struct problem p = problem_new(160, 9, 40);
    const double lr = 0.01, rates[] = {lr, lr, lr, lr, lr, lr};
    struct nlsh__train_options o = options(6, 160, lr);
    o.f32 = 1;
    o.scheduler = NLSH_SCHEDULER_NONE;
    compare_with_steps_by_hand(&p, 160, &o, rates, in_groups(&p));
    problem_free(&p);
}

/* And where most rows meet one of them they still tell the buckets apart. */
static void groups_are_learned(void **state)
{
    (void)state;
    struct problem p = problem_new(1500, 5, 1);
    struct nlsh__train_options o = options(60, 50, 0.01);
    struct nlsh__mlp mlp;
    double loss, held;
    o.f32 = 1;
    assert_int_equal(fit(&p, 1000, 2, in_groups(&p), &o, 1, &mlp, &loss, &held, NULL), NLSH_OK);
    assert_true(loss < 0.2 && held < 0.25);
    nlsh__mlp_free(&mlp);
    problem_free(&p);
}

/* ---- the same weights, limits ---------------------------------------------------------------- */

static void same_weights_for_any_threads(void **state)
{
    (void)state;
    struct problem p = problem_new(517, 11, 5);
    const struct nlsh__labels *grouped = in_groups(&p);
    for (size_t variant = 0; variant < 6; variant++) {
        struct nlsh__train_options o = options(3, variant == 1 ? 7 : 64, 0.01);
        struct nlsh__mlp mlps[4];
        double loss[4], held[4];
        const struct nlsh__labels *targets = variant > 3    ? grouped
                                             : variant == 0 ? &p.hard
                                                            : &p.soft;
        if (variant == 2 || variant == 5) o.dropout = 0.3;
        if (variant == 3) o.scheduler = NLSH_SCHEDULER_PLATEAU;
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(
                fit(&p, 417, 2, targets, &o, i < 3 ? i + 1 : 1, &mlps[i], &loss[i], &held[i], NULL),
                NLSH_OK);
        for (size_t i = 1; i < 4; i++) {
            assert_memory_equal(mlps[0].parameters, mlps[i].parameters,
                                mlps[0].n_parameters * sizeof(float));
            assert_true(loss[0] == loss[i] && held[0] == held[i]);
        }
        o.seed++; /* and the seed is not idle */
        struct nlsh__mlp other;
        assert_int_equal(fit(&p, 417, 2, targets, &o, 1, &other, &loss[0], &held[0], NULL),
                         NLSH_OK);
        assert_memory_not_equal(mlps[0].parameters, other.parameters,
                                other.n_parameters * sizeof(float));
        nlsh__mlp_free(&other);
        for (size_t i = 0; i < 4; i++) nlsh__mlp_free(&mlps[i]);
    }
    problem_free(&p);
}

/* Whatever the batch, a network comes out; a batch beyond the rows takes no memory for itself. */
static void odd_batches_and_few_rows(void **state)
{
    (void)state;
    struct problem p = problem_new(40, 3, 6);
    const size_t batches[] = {1, 2, 3, 5, 39, 40, 41, 1048576};
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
        for (size_t n_train = 1; n_train <= 40; n_train += n_train < 6 ? 1 : 17) {
            struct nlsh__mlp mlp;
            double loss, held;
            struct nlsh__train_options o = options(4, batches[b], 0.01);
            assert_int_equal(fit(&p, n_train, 1, &p.hard, &o, 2, &mlp, &loss, &held, NULL),
                             NLSH_OK);
            for (size_t i = 0; i < mlp.n_parameters; i++) assert_true(isfinite(mlp.parameters[i]));
            assert_true(isfinite(loss) && (isfinite(held) || n_train == 40));
            nlsh__mlp_free(&mlp);
        }
    struct nlsh__mlp mlp;
    double loss, held;
    struct nlsh__train_options o = options(200, 16, 0.05); /* one row alone is learned by heart */
    assert_int_equal(fit(&p, 1, 1, &p.hard, &o, 1, &mlp, &loss, &held, NULL), NLSH_OK);
    assert_true(loss < 0.01);
    nlsh__mlp_free(&mlp);
    problem_free(&p);
}

static void divergence_is_an_error(void **state)
{
    (void)state;
    struct problem p = problem_new(600, 6, 7);
    struct nlsh__mlp mlp;
    struct nlsh_error error;
    double loss, held;
    struct nlsh__train_options o = options(6, 32, 10);
    assert_int_equal(fit(&p, 500, 3, &p.soft, &o, 1, &mlp, &loss, &held, &error), NLSH_E_ARG);
    assert_non_null(strstr(error.message, "lr 10"));
    assert_non_null(strstr(error.hint, "smaller learning rate"));
    nlsh__mlp_free(&mlp);
    /* A network that is not finite is never handed on. */
    o.lr = 0.01;
    p.inputs[0] = INFINITY;
    assert_int_equal(fit(&p, 500, 1, &p.soft, &o, 1, &mlp, &loss, &held, &error), NLSH_E_ARG);
    nlsh__mlp_free(&mlp);
    problem_free(&p);
}

static int stop_at(void *user, const char *stage, uint64_t done, uint64_t total)
{
    size_t *left = user;
    assert_string_equal(stage, "training");
    assert_true(done <= total);
    return (*left)-- == 0;
}

static void stops_where_it_is_told(void **state)
{
    (void)state;
    struct problem p = problem_new(60, 3, 8);
    struct nlsh__train_options o = options(2, 10, 0.01);
    for (size_t at = 0; at <= 13; at++) { /* 12 steps, and the end */
        struct nlsh__job job;
        struct nlsh__mlp mlp;
        size_t left = at;
        double loss, held;
        struct nlsh_run run = {
            .struct_size = sizeof run, .n_threads = 1, .progress = stop_at, .user = &left};
        assert_int_equal(nlsh__job_begin(&run, &job, NULL), NLSH_OK);
        assert_int_equal(nlsh__mlp_create(p.dim, 1, 8, p.m, 6, &mlp, NULL), NLSH_OK);
        assert_int_equal(
            nlsh__train(&mlp, p.inputs, p.rows, 60, NULL, 0, &p.hard, &o, &job, &loss, &held, NULL),
            at <= 12 ? NLSH_E_INTERRUPTED : NLSH_OK);
        nlsh__mlp_free(&mlp);
        nlsh__job_end(&job);
    }
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_agrees_with_worked_steps),
        cmocka_unit_test(cosine_warms_up_and_falls_to_nothing),
        cmocka_unit_test(the_other_schedules),
        cmocka_unit_test(a_separable_problem_is_learned),
        cmocka_unit_test(learns_the_shares_of_the_labels),
        cmocka_unit_test(plateau_halves_the_rate),
        cmocka_unit_test(schedules_reach_the_steps),
        cmocka_unit_test(bf16_learns_what_f32_does),
        cmocka_unit_test(groups_learn_what_one_layer_does),
        cmocka_unit_test(groups_are_learned),
        cmocka_unit_test(same_weights_for_any_threads),
        cmocka_unit_test(odd_batches_and_few_rows),
        cmocka_unit_test(divergence_is_an_error),
        cmocka_unit_test(stops_where_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
