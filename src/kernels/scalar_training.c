/* scalar_training.c - training's products of rows that stand anywhere, in plain C. */
#include <math.h>

#include "kernels/kernels.h"
#include "kernels/scalar.h"

enum { LANES = 16 }; /* sums side by side, so that a compiler may use what registers there are */

static float dot(const float *x, const float *w, size_t dim)
{
    float sums[LANES] = {0}, sum = 0;
    size_t d = 0;
    for (; d + LANES <= dim; d += LANES)
        for (size_t j = 0; j < LANES; j++) sums[j] += x[d + j] * w[d + j];
    for (size_t j = 0; j < LANES; j++) sum += sums[j];
    for (; d < dim; d++) sum += x[d] * w[d];
    return sum;
}

static void dots_f32(const float *const *x, size_t n_x, const float *w, size_t n_w,
                     const float *bias, size_t dim, float *const *out)
{
    for (size_t i = 0; i < n_x; i++)
        for (size_t j = 0; j < n_w; j++) out[i][j] = bias[j] + dot(x[i], w + j * dim, dim);
}

static void mix_f32(float *const *c, size_t n_c, const float *a, size_t row, size_t term,
                    const float *const *b, size_t n_b, size_t dim)
{
    for (size_t i = 0; i < n_c; i++)
        for (size_t t = 0; t < n_b; t++) {
            float factor = a[i * row + t * term];
            for (size_t d = 0; d < dim; d++) c[i][d] += factor * b[t][d];
        }
}

static void adamw_f32(float *parameters, const float *gradient, float *first, float *second,
                      size_t n, const struct nlsh__adamw *step)
{
    const float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] * step->scale;
        first[i] = beta1 * first[i] + (1 - beta1) * g;
        second[i] = beta2 * second[i] + (1 - beta2) * g * g;
        float ahead = beta1 * first[i] + (1 - beta1) * g;
        parameters[i] = parameters[i] * step->keep -
                        step->rate * ahead / (sqrtf(second[i]) * step->correction + epsilon);
    }
}

void nlsh__scalar_training(struct nlsh__kernels *table)
{
    table->dots_f32 = dots_f32;
    table->mix_f32 = mix_f32;
    table->adamw_f32 = adamw_f32;
}
