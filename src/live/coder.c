/* coder.c - see coder.h. A row that is put is brought to its form as a query is, so that both are compared alike. */
#include "live/coder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "kernels/kernels.h"
#include "kernels/metric.h"
#include "search/route.h"

/* What queries ask for whose buckets are good enough for a row; and so many times their threshold, for those that are not
 * where the row is. */
enum { WANTED_K = 10 };
#define WANTED 0.95
#define SURELY 4.0f

enum {
    SAMPLED = 64,  /* rows of a bucket that its mean is taken of */
    LENGTHS = 2000 /* rows that mean lengths are taken of */
};

/* ---- what codes do not say of their rows ------------------------------------------------------ */

/* A row as it is stored, as floats. */
static const float *stored(const struct nlsh_index *index, const struct nlsh__segment *s,
                           size_t place, float *scratch)
{
    size_t dim = index->meta.dim;
    if (index->meta.storage_type == NLSH_F32) return (const float *)s->vectors + place * dim;
    const uint8_t *x = (const uint8_t *)s->vectors + place * nlsh__index_row_bytes(index);
    const struct nlsh__rounding as = nlsh__index_rounding(index);
    for (size_t d = 0; d < dim; d++) scratch[d] = nlsh__stored_value(&as, x, d);
    return scratch;
}

/* The mean of some of a bucket's rows, in units of the inputs. */
static void mean_of_bucket(const struct nlsh__row_maker *m, const struct nlsh__segment *s, size_t b,
                           float *out)
{
    const struct nlsh__codes *codes = s->codes;
    size_t dim = m->index->meta.dim, first = s->bucket_offsets[b];
    size_t n = s->bucket_offsets[b + 1] - first, step = n / SAMPLED + 1, taken = 0;
    for (size_t i = 0; i < n; i += step, taken++) {
        const float *x = stored(m->index, s, first + i, m->query.floats);
        for (size_t d = 0; d < dim; d++) out[d] += x[d] - codes->mean[d];
    }
    for (size_t d = 0; d < dim && taken > 0; d++) out[d] *= codes->scale / (float)taken;
}

/* A row as a query by inner product: of the length that queries are routed with. */
static double add_query(struct nlsh__row_maker *m, const float *x, double *inside)
{
    size_t dim = m->index->meta.dim;
    const struct nlsh__codes *codes = m->coder.codes;
    (void)nlsh__scale_to(x, dim, (double)m->index->query_norm, m->query.routed);
    const float *z = nlsh__ask_inputs(&m->asker, m->query.routed, NULL);
    *inside += (double)nlsh__kernels()->dot_f32(z, z, codes->stride);
    double length = nlsh__length(m->query.routed, dim) * (double)codes->scale;
    return length * length;
}

/* Squared lengths from the row's centroid inside, from the mean outside. */
static double add_row(struct nlsh__row_maker *m, const float *x, size_t b, double *inside)
{
    const struct nlsh__codes *codes = m->coder.codes;
    const float *centroid = codes->centroids + b * codes->stride;
    const float *z = nlsh__ask_inputs(&m->asker, x, NULL);
    double of_inputs = 0, whole = 0, scale = (double)codes->scale;
    for (size_t c = 0; c < codes->n_components; c++) {
        *inside += (double)(z[c] - centroid[c]) * (double)(z[c] - centroid[c]);
        of_inputs += (double)z[c] * (double)z[c];
    }
    for (size_t d = 0; d < m->index->meta.dim; d++) {
        double v = ((double)x[d] - (double)codes->mean[d]) * scale;
        whole += v * v;
    }
    return whole - of_inputs;
}

/* Mean lengths, as codes/make/encode.c takes them of all rows. */
static void measure_lengths(struct nlsh__row_maker *m, const struct nlsh__segment *s)
{
    double inside = 0, rest = 0;
    size_t step = s->n_rows / LENGTHS + 1, n = 0, b = 0;
    for (size_t place = 0; place < s->n_rows; place += step, n++) {
        while (place >= s->bucket_offsets[b + 1]) b++;
        const float *x = stored(m->index, s, place, m->query.floats);
        rest += m->coder.inner ? add_query(m, x, &inside) : add_row(m, x, b, &inside);
    }
    if (m->coder.inner) rest -= inside;
    m->coder.inside = inside / (double)n;
    m->coder.outside = fmax(rest / (double)n, 0);
}

void nlsh__see_means(struct nlsh__row_maker *m)
{
    const struct nlsh__codes *codes = m->coder.codes;
    size_t dim = m->index->meta.dim;
    for (size_t b = 0; b < m->index->meta.n_buckets; b++) {
        const float *mean = m->means + b * dim;
        for (size_t d = 0; d < dim; d++)
            m->query.floats[d] = codes->mean[d] + mean[d] / codes->scale;
        const float *z = nlsh__ask_inputs(&m->asker, m->query.floats, NULL);
        memcpy(m->mean_inputs + b * codes->stride, z, codes->n_components * sizeof *z);
    }
}

static enum nlsh_status make_coder(struct nlsh__row_maker *m, struct nlsh_error *error)
{
    const struct nlsh_index *index = m->index;
    const struct nlsh__segment *s = &index->segments[0];
    size_t n_buckets = index->meta.n_buckets, dim = index->meta.dim;
    if (s->codes == NULL) return NLSH_OK;
    m->coder =
        (struct nlsh__coder){.codes = s->codes, .dim = dim, .inner = index->metric == NLSH_IP};
    for (size_t c = 0; c < s->codes->n_components; c++) m->coder.n_coded += s->codes->steps[c] > 0;
    if (m->coder.n_coded == 0) m->coder.n_coded = 1;
    if (!m->coder.inner) {
        size_t values, inputs;
        if (nlsh__mul(n_buckets, dim, &values) != 0) values = SIZE_MAX;
        if (nlsh__mul(n_buckets, s->codes->stride, &inputs) != 0) inputs = SIZE_MAX;
        enum nlsh_status status = nlsh__calloc(&m->means, values, sizeof(float), error);
        if (status == NLSH_OK) status = nlsh__calloc(&m->mean_inputs, inputs, sizeof(float), error);
        if (status != NLSH_OK) return status;
        for (size_t b = 0; b < n_buckets; b++) mean_of_bucket(m, s, b, m->means + b * dim);
        nlsh__see_means(m);
        m->coder.means = m->means;
        m->coder.mean_inputs = m->mean_inputs;
    }
    measure_lengths(m, s);
    return NLSH_OK;
}

/* Above which a query for the recall of WANTED looks at a bucket; where nothing was measured, it looks at all. */
static float least_of(const struct nlsh_index *index)
{
    if (index->efforts.n > 0) return nlsh__effort_for(&index->efforts, WANTED_K, WANTED).threshold;
    return index->targets.n > 0 ? nlsh__target_threshold(&index->targets, WANTED_K, WANTED) : 0;
}

enum nlsh_status nlsh__row_maker_create(const struct nlsh_index *index, struct nlsh__row_maker *out,
                                        struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t dim = index->meta.dim, m = index->meta.n_buckets;
    *out = (struct nlsh__row_maker){.index = index};
    NLSH_TRY(nlsh__alloc(&out->query.floats, dim, sizeof(float), error));
    out->query.routed = out->query.floats;
    if (index->metric == NLSH_IP)
        NLSH_TRY(nlsh__alloc(&out->query.routed, dim, sizeof(float), error));
    NLSH_TRY(nlsh__calloc(&out->query.bytes, (dim + 3) / 4 * 4, 1, error));
    NLSH_TRY(nlsh__asker_create(index->router, &out->asker, error));
    NLSH_TRY(nlsh__alloc(&out->buckets, m, sizeof *out->buckets, error));
    NLSH_TRY(nlsh__alloc(&out->probabilities, nlsh__router_output_size(index->router),
                         sizeof(float), error));
    NLSH_TRY(nlsh__alloc(&out->bucket_keys, m, sizeof *out->bucket_keys, error));
    NLSH_TRY(make_coder(out, error));
    out->least = least_of(index);
out:
    if (status != NLSH_OK) nlsh__row_maker_free(out);
    return status;
}

void nlsh__row_maker_free(struct nlsh__row_maker *m)
{
    if (m->query.routed != m->query.floats) nlsh__free(m->query.routed);
    nlsh__free(m->query.floats);
    nlsh__free(m->query.bytes);
    nlsh__asker_free(&m->asker);
    nlsh__free(m->buckets);
    nlsh__free(m->probabilities);
    nlsh__free(m->bucket_keys);
    nlsh__free(m->means);
    nlsh__free(m->mean_inputs);
    *m = (struct nlsh__row_maker){.index = NULL};
}

/* ---- a row ----------------------------------------------------------------------------------- */

static enum nlsh_status not_bytes(const struct nlsh_index *index, size_t number,
                                  struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_MISMATCH,
                      "round it, or build an index of all vectors together as floats",
                      "vector %zu has values that are not whole numbers from %d to %d, and %s "
                      "stores bytes",
                      number, index->meta.source_type == NLSH_I8 ? -128 : 0,
                      index->meta.source_type == NLSH_I8 ? 127 : 255, index->path);
}

/* To what is stored of it, so that all that is made of it is made of that. */
static enum nlsh_status round_row(struct nlsh__row_maker *m, size_t number,
                                  struct nlsh_error *error)
{
    size_t dim = m->index->meta.dim;
    const struct nlsh__rounding as = nlsh__index_rounding(m->index);
    char what[64];
    size_t at = nlsh__round_row(&as, m->query.floats, dim, m->query.floats);
    if (at < dim) {
        snprintf(what, sizeof what, "vector %zu: value %zu", number, at);
        return nlsh__not_kept(&as, m->query.floats[at], what, NLSH_E_ARG, error);
    }
    if (m->index->metric == NLSH_IP)
        (void)nlsh__scale_to(m->query.floats, dim, (double)m->index->query_norm, m->query.routed);
    return NLSH_OK;
}

enum nlsh_status nlsh__take_row(struct nlsh__row_maker *m, const struct nlsh_matrix *vectors,
                                size_t i, size_t number, void *row, struct nlsh_error *error)
{
    const struct nlsh_index *index = m->index;
    size_t dim = index->meta.dim;
    int bytes = index->meta.storage_type == NLSH_U8;
    struct nlsh_error inner = {.status = NLSH_OK};
    enum nlsh_status status = nlsh__query_set(&m->query, index, vectors, i, &inner);
    if (status != NLSH_OK) { /* it speaks of a query */
        const char *what = strchr(inner.message, ':');
        return nlsh__fail(error, status, "take the vector out, or replace the value",
                          "vector %zu%s", number,
                          what != NULL ? what : " has no place in the index");
    }
    if (bytes && !m->query.as_bytes) return not_bytes(index, number, error);
    /* a query of bytes need not have been made floats */
    for (size_t d = 0; d < dim && bytes; d++) m->query.floats[d] = m->query.bytes[d];
    if (!bytes && index->meta.storage_type != NLSH_F32) NLSH_TRY(round_row(m, number, error));
    if (row != NULL)
        memcpy(row, bytes ? (const void *)m->query.bytes : (const void *)m->query.floats,
               nlsh__index_form_bytes(index));
out:
    return status;
}

/* The choices and their probabilities [NLSH__MOST_CHOICES]. */
static size_t choices_of(struct nlsh__row_maker *m, uint32_t *out, float *probabilities)
{
    struct nlsh__answer answer;
    size_t n_buckets = m->index->meta.n_buckets;
    /* never all of them: those would come without their probabilities */
    size_t most = n_buckets > NLSH__MOST_CHOICES ? NLSH__MOST_CHOICES : n_buckets - 1;
    const struct nlsh__rule rule = {.top = most > 0 ? most : 1};
    (void)nlsh__ask_inputs(&m->asker, m->query.routed, m->query.as_bytes ? m->query.bytes : NULL);
    nlsh__ask_router(m->index->router, m->asker.inputs, m->asker.scratch, &answer);
    size_t n = nlsh__choose_buckets(&answer, &rule, m->buckets, m->probabilities, m->bucket_keys);
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        for (size_t j = 1; j < n; j++)
            if (m->probabilities[j] > m->probabilities[best]) best = j;
        out[i] = m->buckets[best];
        probabilities[i] = m->probabilities[best];
        m->probabilities[best] = -1;
    }
    return n;
}

size_t nlsh__row_choices(struct nlsh__row_maker *m, uint32_t *out)
{
    float probabilities[NLSH__MOST_CHOICES];
    return choices_of(m, out, probabilities);
}

size_t nlsh__bucket_full(size_t n, size_t m, double most_of_mean)
{
    return (size_t)(most_of_mean * (double)n / (double)m) + 1;
}

uint32_t nlsh__choose_bucket(const uint32_t *choices, size_t n, const uint32_t *sizes, size_t most)
{
    for (size_t i = 0; i < n; i++)
        if (sizes[choices[i]] < most) return choices[i];
    return NLSH__NO_BUCKET;
}

uint32_t nlsh__best_not_full(const float *probabilities, size_t m, const uint32_t *sizes,
                             size_t most)
{
    uint32_t best = NLSH__NO_BUCKET;
    for (uint32_t b = 0; b < m; b++)
        if (sizes[b] < most && (best == NLSH__NO_BUCKET || probabilities[b] > probabilities[best]))
            best = b;
    return best;
}

uint32_t nlsh__look_further(struct nlsh__row_maker *m, const uint32_t *sizes, size_t most)
{
    (void)nlsh__ask_inputs(&m->asker, m->query.routed, m->query.as_bytes ? m->query.bytes : NULL);
    return nlsh__best_not_full(nlsh__ask_probabilities(&m->asker), m->index->meta.n_buckets, sizes,
                               most);
}

const float *nlsh__row_inputs(struct nlsh__row_maker *m)
{
    return nlsh__ask_inputs(&m->asker, m->query.floats, NULL);
}

/* Whether queries that want a row look at a bucket of this probability: it is full, soon, and they are not all where the row
 * is. */
static int looked_at(const struct nlsh__row_maker *m, float probability)
{
    return probability > SURELY * (float)NLSH__MOST_OF_MEAN * m->least;
}

static uint32_t bucket_of(struct nlsh__row_maker *m, const uint32_t *sizes, size_t most)
{
    uint32_t choices[NLSH__MOST_CHOICES] = {0};
    float probabilities[NLSH__MOST_CHOICES] = {0};
    size_t n = choices_of(m, choices, probabilities), i = 0;
    while (i < n && sizes[choices[i]] >= most) i++;
    if (i == 0) return choices[0];
    if (i < n) return looked_at(m, probabilities[i]) ? choices[i] : choices[0];
    uint32_t other = nlsh__look_further(m, sizes, most);
    return looked_at(m, m->asker.probabilities[other]) ? other : choices[0];
}

enum nlsh_status nlsh__make_row(struct nlsh__row_maker *m, const struct nlsh_matrix *vectors,
                                size_t i, const uint32_t *sizes, size_t most,
                                const struct nlsh__row_form *form, size_t j,
                                const struct nlsh__log_rows *rows, struct nlsh_error *error)
{
    struct nlsh__row_code code;
    enum nlsh_status status = nlsh__take_row(m, vectors, i, i, NULL, error);
    if (status != NLSH_OK) return status;
    nlsh__row_to_stored(
        m->index, m->query.as_bytes ? (const void *)m->query.bytes : (const void *)m->query.floats,
        rows->vectors + j * form->row_bytes);
    uint32_t bucket = bucket_of(m, sizes, most);
    rows->buckets[j] = bucket;
    if (form->code_bytes == 0) return NLSH_OK;
    nlsh__code_row(&m->coder, m->query.floats, nlsh__row_inputs(m), bucket,
                   rows->codes + j * form->code_bytes, &code);
    rows->biases[j] = code.bias;
    rows->errors[j] = code.error;
    return NLSH_OK;
}
