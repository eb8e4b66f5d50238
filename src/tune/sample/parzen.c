/*
 * parzen.c - kernels over ranges, whole numbers and choices at once.
 *
 * APART, the density is a product of mixtures, one a parameter (Bergstra et al. 2011, section 4.2).
 * JOINT, it is one mixture whose kernels are products over the parameters (Falkner et al., "BOHB",
 * ICML 2018, and Optuna's multivariate TPE). Either way a point's kernel has for each parameter:
 *   A range: a normal distribution about the point's value, cut off at the ends and scaled to 1. By
 * logarithm, the same on that axis.
 *   Whole numbers and steps: the mass of that normal between half a step below and half a step above
 * (on a logarithmic axis the bins get narrower upwards); the ends are half a step further out.
 *   A choice of k: the point's own with 1 - l, all evenly with l = k / (n + 1 + k), which is the
 * prior's vote of one for each against n points.
 *   A parameter that a point lacks: uniform, since it knows nothing of it. So one kernel serves
 * spaces with conditions: a condition decides first, what depends on it follows where it holds, and
 * the product is over what is there. Nothing has to be cut into groups.
 *
 * Widths: n^(-1/(d+4)) of a scale, after Scott ("Multivariate density estimation", 1992, section
 * 6.3), d the parameters that are there for a point on average, or 1 where they are apart. BY_RANGE: the scale is .2 of the
 * range, Optuna's figure. BY_SPREAD: the standard deviation of the points themselves, the uniform
 * distribution counted as one more point, so that the model narrows as the search does. Never below
 * range / min(100, n + 2), Bergstra's clip.
 *
 * Axes are stored one after the other, so that the sum over kernels runs through memory.
 */
#include "tune/sample/parzen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

#define RANGE_SCALE 0.2
#define MOST_BINS 1024 /* bins whose masses are kept while one density is computed */
/* From how many standard deviations a bin's mass is integrated; a narrower one takes the density at
 * its middle, wrong by (width / sigma)^2 / 24 at the kernel's centre, a ten-thousandth. */
#define WIDE_BIN 0.05

static const double sqrt_half = 0.70710678118654752440, sqrt_2pi = 2.50662827463100050242;

struct axis {
    enum nlsh__param_kind kind;
    int is_log;
    double half;      /* half a step; 0 for a FLOAT without one */
    double low, high; /* of the axis: with the half steps, by logarithm where it is one */
    double sigma;
    double n_choices, own, other; /* CHOICE: logarithms of its own choice's mass, of another's */
    double *centers;              /* [n] NAN where absent; CHOICE: the choice */
    double *log_scale;            /* [n] logarithm of what scales the normal to 1 */
};

struct nlsh__parzen {
    const struct nlsh__search_space *space;
    enum nlsh__parzen_kernel kernel;
    size_t n;                        /* points; kernel n is the prior */
    double *log_weights, *cumulated; /* [n + 1] */
    double *sums;                    /* [n + 1] scratch */
    double *memory;                  /* what all of these lie in */
    struct axis axes[NLSH__MAX_PARAMS];
};

/* P(low < Z < high) of a standard normal; small tails keep their digits. */
static double normal_mass(double low, double high)
{
    if (low > 0) return 0.5 * (erfc(low * sqrt_half) - erfc(high * sqrt_half));
    return 0.5 * (erfc(-high * sqrt_half) - erfc(-low * sqrt_half));
}

static double to_axis(const struct axis *x, double value)
{
    return x->is_log ? log(value) : value;
}

static double clamp(double value, double low, double high)
{
    return fmin(fmax(value, low), high);
}

/* ---- making one ------------------------------------------------------------------------------ */

static void set_axis(struct axis *x, const struct nlsh__param *p)
{
    x->kind = p->kind;
    x->is_log = p->log;
    x->n_choices = (double)p->n_choices;
    x->half = p->kind == NLSH__PARAM_CHOICE ? 0 : p->step / 2;
    x->low = to_axis(x, p->low - x->half);
    x->high = to_axis(x, p->high + x->half);
    /* A range of one value without a step has no width, and any will do. */
    if (!(x->high > x->low)) x->high = x->low + 1;
}

/* A point's value on the axis; NAN where it has none. */
static double center_of(const struct axis *x, double value)
{
    if (x->kind == NLSH__PARAM_CHOICE) {
        return value >= 0 && value < x->n_choices ? floor(value) : NAN;
    }
    double at = to_axis(x, value);
    return isnan(at) ? NAN : clamp(at, x->low, x->high);
}

static double variance_of_points(const struct axis *x, size_t n)
{
    double mean = 0, sum = 0, count = 0, range = x->high - x->low;
    for (size_t i = 0; i < n; i++) {
        if (isnan(x->centers[i])) continue;
        mean += x->centers[i];
        count++;
    }
    mean /= count > 0 ? count : 1;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(x->centers[i])) sum += (x->centers[i] - mean) * (x->centers[i] - mean);
    }
    return (sum + range * range / 12) / (count + 1); /* range^2 / 12: the uniform's variance */
}

static void set_widths(struct axis *x, size_t n, double n_there, enum nlsh__parzen_width width)
{
    double range = x->high - x->low;
    double scale =
        width == NLSH__PARZEN_BY_RANGE ? RANGE_SCALE * range : sqrt(variance_of_points(x, n));
    double narrowest = range / fmin(100, (double)n + 2);
    x->sigma = clamp(scale * pow(fmax((double)n, 1), -1 / (n_there + 4)), narrowest, range);
    for (size_t i = 0; i < n; i++) {
        double mass =
            normal_mass((x->low - x->centers[i]) / x->sigma, (x->high - x->centers[i]) / x->sigma);
        x->log_scale[i] = -log(x->half > 0 ? mass : mass * x->sigma * sqrt_2pi);
    }
}

static void set_masses(struct axis *x, size_t n)
{
    double share = x->n_choices / ((double)n + 1 + x->n_choices), even = share / x->n_choices;
    x->own = log(1 - share + even);
    x->other = log(even);
}

static void set_weights(struct nlsh__parzen *m, const double *weights)
{
    double total = 1, so_far = 0;
    for (size_t i = 0; i < m->n; i++) total += weights[i];
    for (size_t i = 0; i <= m->n; i++) {
        double share = (i < m->n ? weights[i] : 1) / total;
        m->log_weights[i] = log(share);
        m->cumulated[i] = so_far += share;
    }
}

/* One allocation, handed out in rows of n + 1. */
static enum nlsh_status take_memory(struct nlsh__parzen *m, struct nlsh_error *error)
{
    size_t row = m->n + 1, n_rows = 3 + 2 * m->space->n, size;
    if (nlsh__mul(row, n_rows, &size) != 0) size = SIZE_MAX;
    enum nlsh_status status = nlsh__alloc(&m->memory, size, sizeof *m->memory, error);
    if (status != NLSH_OK) return status;
    double *next = m->memory;
    m->log_weights = next;
    m->cumulated = next += row;
    m->sums = next += row;
    for (size_t j = 0; j < m->space->n; j++) {
        m->axes[j].centers = next += row;
        m->axes[j].log_scale = next += row;
    }
    return NLSH_OK;
}

/* Kernels' places and widths. */
static void place(struct nlsh__parzen *m, const double *const *points,
                  enum nlsh__parzen_width width)
{
    size_t d = m->space->n, n_there = 0;
    for (size_t j = 0; j < d; j++) {
        struct axis *x = &m->axes[j];
        set_axis(x, &m->space->params[j]);
        for (size_t i = 0; i < m->n; i++) {
            x->centers[i] = center_of(x, points[i][j]);
            n_there += !isnan(x->centers[i]);
        }
    }
    double there = m->n > 0 ? (double)n_there / (double)m->n : (double)d;
    if (m->kernel == NLSH__PARZEN_APART) there = 1;
    for (size_t j = 0; j < d; j++) {
        if (m->axes[j].kind == NLSH__PARAM_CHOICE) {
            set_masses(&m->axes[j], m->n);
        } else {
            set_widths(&m->axes[j], m->n, there, width);
        }
    }
}

enum nlsh_status nlsh__parzen_create(const struct nlsh__search_space *space,
                                     const double *const *points, const double *weights, size_t n,
                                     enum nlsh__parzen_kernel kernel, enum nlsh__parzen_width width,
                                     struct nlsh__parzen **out, struct nlsh_error *error)
{
    *out = NULL;
    struct nlsh__parzen *m;
    enum nlsh_status status = nlsh__calloc(&m, 1, sizeof *m, error);
    if (status != NLSH_OK) return status;
    m->space = space;
    m->n = n;
    m->kernel = kernel;
    NLSH_TRY(take_memory(m, error));
    place(m, points, width);
    set_weights(m, weights);
    *out = m;
    m = NULL;
out:
    nlsh__parzen_free(m);
    return status;
}

void nlsh__parzen_free(struct nlsh__parzen *parzen)
{
    if (parzen == NULL) return;
    nlsh__free(parzen->memory);
    nlsh__free(parzen);
}

/* ---- drawing --------------------------------------------------------------------------------- */

/* The value whose bin holds `at`, or `at` itself where there are no bins. */
static double from_axis(const struct nlsh__param *p, double at)
{
    double value = p->log ? exp(at) : at;
    if (p->step > 0) value = p->low + round((value - p->low) / p->step) * p->step;
    return clamp(value, p->low, p->high);
}

static double draw_range(const struct axis *x, double center, struct nlsh__rng *rng)
{
    if (isnan(center)) return x->low + nlsh__rng_uniform(rng) * (x->high - x->low);
    for (;;) {
        /* sigma <= range and the centre inside: at least .34 of the tries are. */
        double at = center + x->sigma * nlsh__rng_normal(rng);
        if (at >= x->low && at <= x->high) return at;
    }
}

static double draw_choice(const struct axis *x, double center, struct nlsh__rng *rng)
{
    double own = exp(x->own) - exp(x->other); /* beyond its part of the even share */
    if (!isnan(center) && nlsh__rng_uniform(rng) < own) return center;
    return (double)nlsh__rng_below(rng, (uint64_t)x->n_choices);
}

static size_t draw_kernel(const struct nlsh__parzen *m, struct nlsh__rng *rng)
{
    double u = nlsh__rng_uniform(rng);
    size_t kernel = 0;
    while (kernel < m->n && u >= m->cumulated[kernel]) kernel++;
    return kernel;
}

void nlsh__parzen_draw(const struct nlsh__parzen *m, struct nlsh__rng *rng, double *values)
{
    size_t kernel = draw_kernel(m, rng);
    for (size_t j = 0; j < m->space->n; j++) {
        const struct axis *x = &m->axes[j];
        if (j > 0 && m->kernel == NLSH__PARZEN_APART) kernel = draw_kernel(m, rng);
        double center = kernel < m->n ? x->centers[kernel] : NAN;
        if (!nlsh__params_active(m->space, values, j)) {
            values[j] = NAN;
        } else if (x->kind == NLSH__PARAM_CHOICE) {
            values[j] = draw_choice(x, center, rng);
        } else {
            values[j] = from_axis(&m->space->params[j], draw_range(x, center, rng));
        }
    }
}

/* ---- the density ----------------------------------------------------------------------------- */

static void add_choice(const struct axis *x, size_t n, double value, double *sums)
{
    double absent = -log(x->n_choices);
    for (size_t i = 0; i < n; i++) {
        double c = x->centers[i];
        sums[i] += isnan(c) ? absent : c == value ? x->own : x->other;
    }
    sums[n] += absent;
}

/* log_unit: of what the density is multiplied with, a narrow bin's width or 1. */
static void add_normal(const struct axis *x, size_t n, double at, double log_unit, double *sums)
{
    double absent = log_unit - log(x->high - x->low), half_precision = 0.5 / (x->sigma * x->sigma);
    /* log_scale of a bin's axis is that of a mass: it lacks the density's 1 / (sigma sqrt(2 pi)). */
    double more = x->half > 0 ? log_unit - log(x->sigma * sqrt_2pi) : 0;
    for (size_t i = 0; i < n; i++) {
        double away = at - x->centers[i];
        double there = x->log_scale[i] + more - away * away * half_precision;
        sums[i] += isnan(away) ? absent : there;
    }
    sums[n] += absent;
}

/* Kernels of whole numbers share few centres: each one's mass is computed once. */
static void add_wide_bin(const struct axis *x, size_t n, double low, double high, double *sums)
{
    struct {
        double center, log_mass;
    } kept[MOST_BINS];
    for (size_t b = 0; b < MOST_BINS; b++) kept[b].center = NAN;
    double absent = log((high - low) / (x->high - x->low));
    for (size_t i = 0; i < n; i++) {
        double c = x->centers[i];
        if (isnan(c)) {
            sums[i] += absent;
            continue;
        }
        size_t b = (size_t)((c - x->low) / (x->high - x->low) * (MOST_BINS - 1));
        if (kept[b].center != c) {
            /* The least positive double: the logarithm of a mass that underflows stays finite. */
            double mass = normal_mass((low - c) / x->sigma, (high - c) / x->sigma);
            kept[b].center = c;
            kept[b].log_mass = log(fmax(mass, 0x1p-1074));
        }
        sums[i] += x->log_scale[i] + kept[b].log_mass;
    }
    sums[n] += absent;
}

static void add_axis(const struct axis *x, size_t n, double value, double *sums)
{
    if (x->kind == NLSH__PARAM_CHOICE) {
        add_choice(x, n, value, sums);
    } else if (x->half == 0) {
        add_normal(x, n, to_axis(x, value), 0, sums);
    } else {
        double low = fmax(to_axis(x, value - x->half), x->low);
        double high = fmin(to_axis(x, value + x->half), x->high);
        if (high - low > WIDE_BIN * x->sigma) {
            add_wide_bin(x, n, low, high, sums);
        } else {
            add_normal(x, n, (low + high) / 2, log(high - low), sums);
        }
    }
}

static double log_sum_exp(const double *sums, size_t n)
{
    if (n == 0) return -INFINITY;
    double most = sums[0];
    for (size_t i = 1; i < n; i++) most = fmax(most, sums[i]);
    double sum = exp(sums[0] - most);
    for (size_t i = 1; i < n; i++) sum += exp(sums[i] - most);
    return most + log(sum);
}

double nlsh__parzen_log_density(struct nlsh__parzen *m, const double *values)
{
    size_t n_kernels = m->n + 1, row_size = n_kernels * sizeof *m->sums;
    double total = 0;
    memcpy(m->sums, m->log_weights, row_size);
    for (size_t j = 0; j < m->space->n; j++) {
        if (isnan(values[j])) continue;
        add_axis(&m->axes[j], m->n, values[j], m->sums);
        if (m->kernel != NLSH__PARZEN_APART) continue;
        total += log_sum_exp(m->sums, n_kernels);
        memcpy(m->sums, m->log_weights, row_size);
    }
    return m->kernel == NLSH__PARZEN_APART ? total : log_sum_exp(m->sums, n_kernels);
}
