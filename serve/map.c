/* map.c - see map.h. */
#include "serve/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "search/query.h"

enum { SAMPLE = 64, ROUNDS = 30 };

/* ---- rows ------------------------------------------------------------------------------------ */

static int is_dead(const struct nlsh__segment *segment, size_t row)
{
    return segment->tombstones != NULL && segment->tombstones[row / 64] >> row % 64 & 1;
}

static int by_row(const void *a, const void *b)
{
    size_t x = ((const struct nlsh__found *)a)->row, y = ((const struct nlsh__found *)b)->row;
    return (x > y) - (x < y);
}

static int by_order(const void *a, const void *b)
{
    size_t x = ((const struct nlsh__found *)a)->order, y = ((const struct nlsh__found *)b)->order;
    return (x > y) - (x < y);
}

/* The first of found [n], ascending, whose row is at least row. */
static size_t first_from(const struct nlsh__found *found, size_t n, size_t row)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (found[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Most rows are passed over by a look at a bit, which one in N_BITS / n of them has by chance. */
static void find_in_segment(const struct nlsh__segment *s, struct nlsh__found *found, size_t n)
{
    enum { N_BITS = 8192 };
    uint64_t bits[N_BITS / 64] = {0};
    for (size_t i = first_from(found, n, s->first_row); i < n; i++) {
        size_t own = found[i].row - s->first_row;
        if (own < s->n_rows) bits[own % N_BITS / 64] |= UINT64_C(1) << own % 64;
    }
    for (size_t p = 0; p < s->n_rows; p++) {
        size_t own = s->rows[p];
        if (!(bits[own % N_BITS / 64] >> own % 64 & 1)) continue;
        size_t row = own + s->first_row;
        for (size_t i = first_from(found, n, row); i < n && found[i].row == row; i++) {
            found[i].segment = is_dead(s, own) ? NULL : s;
            found[i].place = p;
        }
    }
}

void nlsh__find_rows(const struct nlsh_index *index, struct nlsh__found *found, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        found[i].order = i;
        found[i].segment = NULL;
    }
    qsort(found, n, sizeof *found, by_row);
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        size_t first = first_from(found, n, s->first_row);
        if (first < n && found[first].row - s->first_row < s->n_rows) find_in_segment(s, found, n);
    }
    qsort(found, n, sizeof *found, by_order);
}

size_t nlsh__bucket_of(const struct nlsh_index *index, const struct nlsh__segment *segment,
                       size_t place)
{
    size_t low = 0, high = index->meta.n_buckets; /* the bucket is one of low to high - 1 */
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (segment->bucket_offsets[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static size_t rows_in(const struct nlsh__segment *s, size_t bucket)
{
    return s->bucket_offsets[bucket + 1] - s->bucket_offsets[bucket];
}

size_t nlsh__bucket_size(const struct nlsh_index *index, size_t bucket)
{
    size_t n = 0;
    for (size_t i = 0; i < index->n_segments; i++) n += rows_in(&index->segments[i], bucket);
    return n;
}

size_t nlsh__bucket_sample(const struct nlsh_index *index, size_t bucket, size_t n, size_t *rows)
{
    const struct nlsh__segment *most = NULL;
    size_t n_found = 0;
    for (size_t i = 0; i < index->n_segments; i++)
        if (most == NULL || rows_in(&index->segments[i], bucket) > rows_in(most, bucket))
            most = &index->segments[i];
    if (most == NULL) return 0;
    size_t size = rows_in(most, bucket), n_wanted = size < n ? size : n;
    for (size_t i = 0; i < n_wanted; i++) {
        size_t row = most->rows[most->bucket_offsets[bucket] + i * size / n_wanted];
        if (!is_dead(most, row)) rows[n_found++] = most->first_row + row;
    }
    return n_found;
}

void nlsh__row_vector(const struct nlsh_index *index, const struct nlsh__segment *segment,
                      size_t place, float *out)
{
    float shift = index->meta.source_type == NLSH_I8 ? 128 : 0;
    memset(out, 0, index->meta.dim * sizeof *out);
    nlsh__stored_add(index, segment, place, out);
    for (size_t d = 0; d < index->meta.dim && shift != 0; d++) out[d] -= shift;
}

int nlsh__may_be_pictures(const struct nlsh_index *index)
{
    enum { N_LOOKS = 256 };
    size_t dim = index->meta.dim, n_seen = 0;
    float *values, least = 0;
    if (nlsh__alloc(&values, dim, sizeof *values, NULL) != NLSH_OK) return 0;
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        for (size_t j = 0; j < N_LOOKS && j < s->n_rows && n_seen < N_LOOKS; j++, n_seen++) {
            size_t place = s->n_rows < N_LOOKS ? j : j * s->n_rows / N_LOOKS;
            nlsh__row_vector(index, s, place, values);
            for (size_t d = 0; d < dim; d++) least = values[d] < least ? values[d] : least;
        }
    }
    nlsh__free(values);
    return least >= 0;
}

void nlsh__row_picture(const struct nlsh__map_2d *map, const struct nlsh_index *index,
                       const struct nlsh__segment *segment, size_t place, uint8_t *out)
{
    size_t dim = index->meta.dim;
    if (index->meta.storage_type == NLSH_U8) {
        memcpy(out, (const uint8_t *)segment->vectors + place * dim, dim);
        return;
    }
    const char *row = (const char *)segment->vectors + place * nlsh__index_row_bytes(index);
    const struct nlsh__rounding as = nlsh__index_rounding(index);
    float scale = map->high > map->low ? 255 / (map->high - map->low) : 0;
    for (size_t d = 0; d < dim; d++) {
        float v = (nlsh__stored_value(&as, row, d) - map->low) * scale;
        out[d] = v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0;
    }
}

/* ---- the map --------------------------------------------------------------------------------- */

/* sum [dim] becomes the mean of some of a bucket's rows; returns of how many. */
static size_t bucket_mean(const struct nlsh_index *index, size_t bucket, float *sum)
{
    size_t dim = index->meta.dim, n = 0;
    memset(sum, 0, dim * sizeof *sum);
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        size_t size = rows_in(s, bucket), n_wanted = size < SAMPLE ? size : SAMPLE;
        for (size_t j = 0; j < n_wanted && n < SAMPLE; j++, n++)
            nlsh__stored_add(index, s, s->bucket_offsets[bucket] + j * size / n_wanted, sum);
    }
    for (size_t d = 0; d < dim && n > 0; d++) sum[d] /= (float)n;
    return n;
}

/* The means [m x dim], about their own mean; empty buckets lie in the middle. */
static void centred_means(const struct nlsh_index *index, struct nlsh__map_2d *map, float *means)
{
    size_t m = map->n_buckets, dim = map->dim, n = 0;
    memset(map->mean, 0, dim * sizeof(float));
    map->low = INFINITY;
    map->high = -INFINITY;
    for (size_t b = 0; b < m; b++) {
        float *mean = means + b * dim;
        map->is_empty[b] = bucket_mean(index, b, mean) == 0;
        if (map->is_empty[b]) continue;
        n++;
        for (size_t d = 0; d < dim; d++) {
            map->mean[d] += mean[d];
            map->low = mean[d] < map->low ? mean[d] : map->low;
            map->high = mean[d] > map->high ? mean[d] : map->high;
        }
    }
    for (size_t d = 0; d < dim && n > 0; d++) map->mean[d] /= (float)n;
    for (size_t b = 0; b < m; b++)
        for (size_t d = 0; d < dim; d++)
            means[b * dim + d] = map->is_empty[b] ? 0 : means[b * dim + d] - map->mean[d];
}

static float dot(const float *a, const float *b, size_t n)
{
    return nlsh__kernels()->dot_f32(a, b, n);
}

/* To length 1; what has no length becomes zeros. */
static void normalise(float *v, size_t n)
{
    float length = sqrtf(dot(v, v, n));
    for (size_t d = 0; d < n; d++) v[d] = length > 0 ? v[d] / length : 0;
}

/* axes [2 x dim] become the directions in which means [m x dim] are widest; next [2 x dim] is scratch. */
static void widest(const float *means, size_t m, size_t dim, float *axes, float *next)
{
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, 1, 0); /* the same map each time */
    for (size_t d = 0; d < 2 * dim; d++) axes[d] = (float)nlsh__rng_uniform(&rng) - .5f;
    for (int round = 0; round < ROUNDS; round++) {
        memset(next, 0, 2 * dim * sizeof *next);
        for (size_t b = 0; b < m; b++)
            for (int a = 0; a < 2; a++) {
                const float *mean = means + b * dim;
                float s = dot(mean, axes + (size_t)a * dim, dim), *sum = next + (size_t)a * dim;
                for (size_t d = 0; d < dim; d++) sum[d] += s * mean[d];
            }
        memcpy(axes, next, 2 * dim * sizeof *axes);
        normalise(axes, dim);
        float along = dot(axes, axes + dim, dim);
        for (size_t d = 0; d < dim; d++) axes[dim + d] -= along * axes[d];
        normalise(axes + dim, dim);
    }
}

/* Both axes by the one scale with which the farthest point is 1 from the middle. */
static void place_all(struct nlsh__map_2d *map, const float *means)
{
    float most = 0;
    for (size_t b = 0; b < map->n_buckets; b++)
        for (size_t a = 0; a < 2; a++) {
            float at = dot(means + b * map->dim, map->axes + a * map->dim, map->dim);
            map->points[b * 2 + a] = at;
            most = fabsf(at) > most ? fabsf(at) : most;
        }
    for (size_t i = 0; i < 2 * map->n_buckets; i++) map->points[i] /= most > 0 ? most : 1;
    for (size_t d = 0; d < 2 * map->dim; d++) map->axes[d] /= most > 0 ? most : 1;
}

enum nlsh_status nlsh__map_create(const struct nlsh_index *index, struct nlsh__map_2d *out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = index->meta.n_buckets, dim = index->meta.dim;
    float *means = NULL, *next = NULL;
    *out = (struct nlsh__map_2d){.n_buckets = m, .dim = dim};
    NLSH_TRY(nlsh__calloc(&out->points, m, 2 * sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&out->is_empty, m, 1, error));
    NLSH_TRY(nlsh__calloc(&out->mean, dim, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&out->axes, dim, 2 * sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&means, m, dim * sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&next, dim, 2 * sizeof(float), error));
    centred_means(index, out, means);
    widest(means, m, dim, out->axes, next);
    place_all(out, means);
out:
    if (status != NLSH_OK) nlsh__map_free(out);
    nlsh__free(means);
    nlsh__free(next);
    return status;
}

void nlsh__map_free(struct nlsh__map_2d *map)
{
    nlsh__free(map->points);
    nlsh__free(map->is_empty);
    nlsh__free(map->mean);
    nlsh__free(map->axes);
    *map = (struct nlsh__map_2d){0};
}

/* The stored form of a vector is its own for L2 and products, of length 1 for cosine, and 128 more for signed bytes. */
void nlsh__map_place(const struct nlsh__map_2d *map, const struct nlsh_index *index,
                     const float *vector, float at[2])
{
    size_t dim = map->dim;
    float shift = index->meta.source_type == NLSH_I8 ? 128 : 0;
    float length = index->metric == NLSH_COSINE ? sqrtf(dot(vector, vector, dim)) : 1;
    for (size_t a = 0; a < 2; a++) {
        double sum = 0;
        for (size_t d = 0; d < dim; d++)
            sum += (double)((vector[d] + shift) / (length > 0 ? length : 1) - map->mean[d]) *
                   (double)map->axes[a * dim + d];
        at[a] = sum > 1.2 ? 1.2f : sum >= -1.2 ? (float)sum : -1.2f;
    }
}
