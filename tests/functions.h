/*
 * functions.h - functions to be made small, each with the space it lives on: what the samplers are
 * judged by. The first five are those that docs/tuning.md shows; the others are there so that a
 * sampler is not made for five. The formulas of the classical ones are in Surjanovic and Bingham's
 * "Virtual Library of Simulation Experiments"; mixed, choices and counts are ours.
 *
 * Where the classical minimum lies in the middle of the range or on a diagonal it is moved: a
 * sampler that begins in the middle would find it without having learned anything.
 */
#ifndef NLSH_TESTS_FUNCTIONS_H
#define NLSH_TESTS_FUNCTIONS_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tune/sample/params.h"

#define FUNCTIONS_PI 3.14159265358979323846

struct function {
    const char *name;
    void (*space)(struct nlsh__search_space *space);
    double (*value)(const double *x);
};

static void reals(struct nlsh__search_space *space, int n, double low, double high)
{
    for (int i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        nlsh__space_float(space, name, low, high, 0, 0);
    }
}

/* Where dimension i's minimum is moved to, in -.6 to .6 of half the range. */
static double moved(int i)
{
    return 0.6 * cos(1.0 + 2.4 * i);
}

/* ---- the five -------------------------------------------------------------------------------- */

static void sphere_space(struct nlsh__search_space *space)
{
    reals(space, 5, -5.12, 5.12);
}

static double sphere(const double *x)
{
    double sum = 0;
    for (int i = 0; i < 5; i++) sum += pow(x[i] - 5.12 * moved(i), 2);
    return sum;
}

static void rosenbrock_space(struct nlsh__search_space *space)
{
    reals(space, 3, -2.048, 2.048);
}

static double rosenbrock(const double *x)
{
    double sum = 0;
    for (int i = 0; i < 2; i++) sum += 100 * pow(x[i + 1] - x[i] * x[i], 2) + pow(1 - x[i], 2);
    return sum;
}

static void branin_space(struct nlsh__search_space *space)
{
    nlsh__space_float(space, "x0", -5, 10, 0, 0);
    nlsh__space_float(space, "x1", 0, 15, 0, 0);
}

static double branin(const double *x)
{
    const double pi = FUNCTIONS_PI;
    double bend = x[1] - 5.1 / (4 * pi * pi) * x[0] * x[0] + 5 / pi * x[0] - 6;
    return bend * bend + 10 * (1 - 1 / (8 * pi)) * cos(x[0]) + 10;
}

static void hartmann6_space(struct nlsh__search_space *space)
{
    reals(space, 6, 0, 1);
}

static double hartmann6(const double *x)
{
    static const double alpha[4] = {1.0, 1.2, 3.0, 3.2};
    static const double a[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                                   {0.05, 10, 17, 0.1, 8, 14},
                                   {3, 3.5, 1.7, 10, 17, 8},
                                   {17, 8, 0.05, 10, 0.1, 14}};
    static const double p[4][6] = {{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
                                   {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
                                   {0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
                                   {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}};
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        double inner = 0;
        for (int j = 0; j < 6; j++) inner += a[i][j] * pow(x[j] - p[i][j], 2);
        sum -= alpha[i] * exp(-inner);
    }
    return sum;
}

/* A network's loss as one imagines it: layers, width, dropout, learning rate, batch; an optimiser
 * with settings of its own; the best learning rate depends on optimiser and batch. Minimum 0. */
static void mixed_space(struct nlsh__search_space *space)
{
    static const char *const optimizers[] = {"sgd", "adam", "adamw"};
    nlsh__space_int(space, "layers", 1, 4, 0, 1);
    nlsh__space_int(space, "nodes", 64, 1024, 1, 1);
    nlsh__space_float(space, "dropout", 0, 0.5, 0, 0.05);
    nlsh__space_float(space, "learning_rate", 1e-5, 1e-1, 1, 0);
    nlsh__space_int(space, "batch", 32, 512, 0, 32);
    int optimizer = nlsh__space_choice(space, "optimizer", optimizers, 3);
    nlsh__space_float(space, "momentum", 0, 0.99, 0, 0);
    nlsh__space_when(space, optimizer, 1u << 0);
    nlsh__space_float(space, "weight_decay", 1e-6, 1e-1, 1, 0);
    nlsh__space_when(space, optimizer, 1u << 2);
}

static double mixed(const double *x)
{
    static const double best_rate[3] = {-1.5, -3, -2.7}, floor_of[3] = {0.15, 0.1, 0};
    int optimizer = (int)x[5];
    double rate = log10(x[3]) - best_rate[optimizer] - 0.5 * log2(x[4] / 128);
    double loss = floor_of[optimizer] + 0.25 * rate * rate;
    loss += 0.08 * pow(x[0] - 2, 2) + 0.1 * pow(log2(x[1] / 400), 2) + 2 * pow(x[2] - 0.1, 2);
    loss += 0.02 * pow(x[4] / 128 - 1, 2);
    if (optimizer == 0) loss += 0.5 * pow(x[6] - 0.9, 2);
    if (optimizer == 2) loss += 0.03 * pow(log10(x[7]) + 3.5, 2);
    return loss;
}

/* ---- the others ------------------------------------------------------------------------------ */

static void ackley_space(struct nlsh__search_space *space)
{
    reals(space, 5, -32.768, 32.768);
}

static double ackley(const double *x)
{
    double squares = 0, cosines = 0;
    for (int i = 0; i < 5; i++) {
        double z = x[i] - 32.768 * moved(i + 3);
        squares += z * z / 5;
        cosines += cos(2 * FUNCTIONS_PI * z) / 5;
    }
    return 20 + exp(1) - 20 * exp(-0.2 * sqrt(squares)) - exp(cosines);
}

static void rastrigin_space(struct nlsh__search_space *space)
{
    reals(space, 4, -5.12, 5.12);
}

static double rastrigin(const double *x)
{
    double sum = 40;
    for (int i = 0; i < 4; i++) {
        double z = x[i] - 5.12 * moved(i + 7);
        sum += z * z - 10 * cos(2 * FUNCTIONS_PI * z);
    }
    return sum;
}

static void levy_space(struct nlsh__search_space *space)
{
    reals(space, 8, -10, 10);
}

static double levy(const double *x)
{
    double sum = 0, w = 0;
    for (int i = 0; i < 8; i++) {
        w = 1 + (x[i] - 1 - 10 * moved(i)) / 4;
        if (i == 0) sum += pow(sin(FUNCTIONS_PI * w), 2);
        if (i < 7) sum += pow(w - 1, 2) * (1 + 10 * pow(sin(FUNCTIONS_PI * w + 1), 2));
    }
    return sum + pow(w - 1, 2) * (1 + pow(sin(2 * FUNCTIONS_PI * w), 2));
}

static void styblinski_space(struct nlsh__search_space *space)
{
    reals(space, 4, -5, 5);
}

static double styblinski(const double *x)
{
    double sum = 0;
    for (int i = 0; i < 4; i++) sum += 0.5 * (pow(x[i], 4) - 16 * x[i] * x[i] + 5 * x[i]);
    return sum;
}

static void six_hump_space(struct nlsh__search_space *space)
{
    nlsh__space_float(space, "x0", -3, 3, 0, 0);
    nlsh__space_float(space, "x1", -2, 2, 0, 0);
}

static double six_hump(const double *x)
{
    double a = x[0] * x[0], b = x[1] * x[1];
    return (4 - 2.1 * a + a * a / 3) * a + x[0] * x[1] + (4 * b - 4) * b;
}

static void sphere15_space(struct nlsh__search_space *space)
{
    reals(space, 15, -1, 1);
}

/* Fifteen settings of which each matters half as much as the one before: as real ones do. */
static double sphere15(const double *x)
{
    double sum = 0;
    for (int i = 0; i < 15; i++) sum += pow(0.5, i) * pow(x[i] - moved(i), 2);
    return sum;
}

/* Choices that must fit each other: few of the 1,200 combinations are good. */
static void choices_space(struct nlsh__search_space *space)
{
    static const char *const letters[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    nlsh__space_choice(space, "a", letters, 10);
    nlsh__space_choice(space, "b", letters, 5);
    nlsh__space_choice(space, "c", letters, 4);
    nlsh__space_choice(space, "d", letters, 3);
    nlsh__space_choice(space, "e", letters, 2);
    nlsh__space_float(space, "x", 0, 1, 0, 0);
}

static double choices(const double *x)
{
    static const double a[10] = {5, 2, 8, 1, 9, 4, 0, 7, 3, 6}, b[5] = {2, 0, 4, 1, 3};
    double loss = a[(int)x[0]] + 2 * b[(int)x[1]] + 3 * (x[2] != 2) + 2 * (x[3] != 1);
    if ((x[4] == 0) != (x[3] == 1)) loss += 2;
    return loss / 10 + fabs(x[5] - 0.2 - 0.1 * x[1]);
}

/* Whole numbers only, wide, narrow, stepped and by logarithm. */
static void counts_space(struct nlsh__search_space *space)
{
    nlsh__space_int(space, "wide", 0, 10000, 0, 1);
    nlsh__space_int(space, "narrow", 1, 6, 0, 1);
    nlsh__space_int(space, "stepped", -40, 60, 0, 5);
    nlsh__space_int(space, "scale", 1, 100000, 1, 1);
    nlsh__space_int(space, "other", 1, 64, 1, 1);
}

static double counts(const double *x)
{
    return pow(x[0] / 10000 - 0.73, 2) + 0.05 * fabs(x[1] - 5) + pow((x[2] + 15) / 100, 2) +
           0.1 * pow(log10(x[3]) - 2.6, 2) + 0.05 * pow(log2(x[4]) - 2, 2);
}

/* sphere with a tenth of its size as noise that is a function of the point: what a short training
 * shows of its settings. */
static double noisy(const double *x)
{
    double twist = 0;
    for (int i = 0; i < 5; i++) twist += sin(1000 * x[i] * (i + 1));
    return sphere(x) + 2 * fabs(sin(7919 * twist));
}

static const struct function functions[] = {
    {"sphere", sphere_space, sphere},
    {"rosenbrock", rosenbrock_space, rosenbrock},
    {"branin", branin_space, branin},
    {"hartmann6", hartmann6_space, hartmann6},
    {"mixed", mixed_space, mixed},
    {"ackley", ackley_space, ackley},
    {"rastrigin", rastrigin_space, rastrigin},
    {"levy", levy_space, levy},
    {"styblinski", styblinski_space, styblinski},
    {"six_hump", six_hump_space, six_hump},
    {"sphere15", sphere15_space, sphere15},
    {"choices", choices_space, choices},
    {"counts", counts_space, counts},
    {"noisy", sphere_space, noisy},
};

#define N_FUNCTIONS (sizeof functions / sizeof *functions)

static inline const struct function *function_by_name(const char *name)
{
    for (size_t i = 0; i < N_FUNCTIONS; i++) {
        if (strcmp(functions[i].name, name) == 0) return &functions[i];
    }
    return NULL;
}

#endif
