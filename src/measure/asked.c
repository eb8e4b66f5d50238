/* asked.c - see asked.h. */
#include "measure/asked.h"

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "promise/weights.h"

enum nlsh_status nlsh__asked_create(const struct nlsh__measured *of,
                                    const struct nlsh__askers *askers, size_t n_scores,
                                    struct nlsh__asked_row **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__calloc(out, askers->n, sizeof **out, error));
    for (size_t i = 0; i < askers->n; i++) {
        struct nlsh__asked_row *a = &(*out)[i];
        a->asker = &askers->of[i];
        nlsh__asker_round(a->asker, of->codes->query_mean);
        NLSH_TRY(nlsh__calloc(&a->origin, of->codes->stride, sizeof *a->origin, error));
        NLSH_TRY(nlsh__alloc(&a->weights, of->codes->stride, 1, error));
        NLSH_TRY(nlsh__alloc(&a->scores, n_scores, sizeof *a->scores, error));
    }
out:
    return status;
}

void nlsh__asked_free(struct nlsh__asked_row *asked, size_t n)
{
    for (size_t i = 0; asked != NULL && i < n; i++) {
        nlsh__free(asked[i].origin);
        nlsh__free(asked[i].weights);
        nlsh__free(asked[i].scores);
    }
    nlsh__free(asked);
}

enum nlsh_status nlsh__places_create(const struct nlsh__encode *encode, struct nlsh__places *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = encode->base->n_rows;
    NLSH_TRY(nlsh__alloc(&out->of, n, sizeof *out->of, error));
    NLSH_TRY(nlsh__alloc(&out->bucket, n, sizeof *out->bucket, error));
    for (size_t b = 0; b < encode->n_buckets; b++)
        for (size_t i = encode->bucket_offsets[b]; i < encode->bucket_offsets[b + 1]; i++) {
            out->of[encode->ids[i]] = (uint32_t)i;
            out->bucket[i] = (uint32_t)b;
        }
out:
    return status;
}

void nlsh__places_free(struct nlsh__places *places)
{
    nlsh__free(places->of);
    nlsh__free(places->bucket);
}

/* As nlsh__query_sizes() of search/scan.h has it for a query. */
static float whole_of(const struct nlsh__measured *of, size_t row)
{
    const struct nlsh__kernels *kernels = nlsh__kernels();
    const struct nlsh_matrix *m = of->encode->queries;
    const float *mean = of->codes->mean;
    if (m->type == NLSH_U8)
        return kernels->l2sq_f32_u8(mean, (const uint8_t *)m->data + row * m->dim, m->dim);
    const float *q = (const float *)m->data + row * m->dim;
    return of->encode->inner ? kernels->dot_f32(q, q, m->dim) : kernels->l2sq_f32(mean, q, m->dim);
}

void nlsh__ask_base_row(const struct nlsh__measured *of, struct nlsh__asked_row *a, size_t row)
{
    nlsh__ask_row(a->asker, of->encode->queries, row);
    nlsh__score_units(of->codes, of->encode->inner, a->asker->inputs, whole_of(of, row), &a->units);
}

float nlsh__asked_probability(const struct nlsh__measured *of, const struct nlsh__asked_row *a,
                              size_t bucket)
{
    const struct nlsh__encode *in = of->encode;
    size_t size = in->bucket_offsets[bucket + 1] - in->bucket_offsets[bucket];
    return a->asker->probabilities[bucket] *
           nlsh__bucket_weight(in->base->n_rows, in->n_buckets, size);
}

void nlsh__asked_probe(const struct nlsh__measured *of, const struct nlsh__asked_row *a,
                       size_t bucket, struct nlsh__probe *out)
{
    nlsh__probe_bucket(of->codes, of->encode->inner, a->asker->inputs, a->units.outside, bucket,
                       a->origin, a->weights, out);
}

int nlsh__descending_f32(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}
