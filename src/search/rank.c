/* rank.c - see rank.h. Ranks by integers where storage and query are bytes. */
#include "search/rank.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/metric.h"
#include "kernels/prefetch.h"
#include "kernels/stored.h"
#include "kernels/topk.h"

enum { BATCH = NLSH__RANK_BATCH };

/* ---- which rows ------------------------------------------------------------------------------ */

static int bit(const uint64_t *bits, size_t i)
{
    return (int)(bits[i / 64] >> i % 64 & 1);
}

int nlsh__is_hidden(const struct nlsh__ranking *r, size_t place)
{
    const struct nlsh__segment *s = r->segment;
    if (r->allowed != NULL) return !bit(r->allowed, place);
    return s->tombstones != NULL && bit(s->tombstones, s->rows[place]);
}

int nlsh__may_hide(const struct nlsh__ranking *r)
{
    return r->segment->tombstones != NULL || r->allowed != NULL;
}

uint64_t nlsh__key_of_row(const struct nlsh_index *index, uint32_t row)
{
    const struct nlsh__segment *s = index->segments + index->n_segments - 1;
    while (row < s->first_row) s--;
    return s->keys != NULL ? s->keys[row - s->first_row] : row;
}

/* ---- exact scores ---------------------------------------------------------------------------- */

/* The negated product. What is no number, as a damaged file may give, is the farthest: as it is, its sign would
 * decide. */
static uint32_t product_score(float product)
{
    return nlsh__ordered_f32(isnan(product) ? NAN : -product);
}

uint64_t nlsh__exact_key(const struct nlsh_index *index, const struct nlsh__segment *segment,
                         const struct nlsh__query *q, size_t place)
{
    const struct nlsh__rounding as = nlsh__index_rounding(index);
    size_t dim = index->meta.dim;
    uint32_t row = segment->first_row + segment->rows[place];
    const void *x = (const uint8_t *)segment->vectors + place * nlsh__index_row_bytes(index);
    if (q->as_bytes) return nlsh__key_u32(nlsh__kernels()->l2sq_u8(q->bytes, x, dim), row);
    if (index->metric == NLSH_IP)
        return nlsh__key_u32(product_score(nlsh__dot_stored(&as, q->floats, x, dim)), row);
    return nlsh__key_f32(nlsh__l2sq_stored(&as, q->floats, x, dim), row);
}

static void rank_one(const struct nlsh__ranking *r, size_t place)
{
    nlsh__topk_push(r->best, r->k, nlsh__exact_key(r->index, r->segment, r->query, place));
}

double nlsh__exact_score(const struct nlsh_index *index, const struct nlsh__query *query,
                         uint64_t best)
{
    uint32_t bits = (uint32_t)(best >> 32);
    switch (index->metric) {
    case NLSH_IP: return (double)nlsh__from_ordered_f32(bits);
    case NLSH_COSINE: return 0.5 * (double)nlsh__key_score_f32(best);
    case NLSH_L2: break;
    }
    return query->as_bytes ? (double)bits : (double)nlsh__key_score_f32(best);
}

/* The square root is of the rounded score, as ground truth has it: equal scores are equal distances. */
float nlsh__exact_distance(const struct nlsh_index *index, const struct nlsh__query *query,
                           uint64_t best)
{
    float score = (float)nlsh__exact_score(index, query, best);
    return index->metric == NLSH_L2 ? sqrtf(score) : score;
}

float nlsh__routed_distance(const struct nlsh_index *index, const struct nlsh__query *query,
                            uint64_t best)
{
    float distance = nlsh__exact_distance(index, query, best);
    if (index->metric != NLSH_IP) return distance;
    double length = nlsh__length(query->floats, index->meta.dim);
    return length > 0 ? (float)((double)distance * (double)index->query_norm / length) : -INFINITY;
}

float nlsh__rank_limit(const struct nlsh__ranking *r, const struct nlsh__units *units)
{
    uint64_t worst = r->best[r->k - 1];
    if (worst == UINT64_MAX) return INFINITY;
    uint32_t bits = (uint32_t)(worst >> 32);
    float score = r->query->as_bytes            ? (float)bits
                  : r->index->metric == NLSH_IP ? nlsh__from_ordered_f32(bits)
                                                : nlsh__key_score_f32(worst);
    return score * units->factor - units->offset;
}

/* ---- rows on a disk -------------------------------------------------------------------------- */

int nlsh__rows_on_disk(const struct nlsh_index *index)
{
    return index->resident.data != NULL && !index->borrowed && nlsh__fetch_pays();
}

void nlsh__fetch_rows(struct nlsh__fetch *fetch, const struct nlsh_index *index,
                      const struct nlsh__segment *segment, size_t first, size_t n)
{
    size_t row_bytes = nlsh__index_row_bytes(index);
    nlsh__fetch_add(fetch, (const char *)segment->vectors + first * row_bytes, n * row_bytes);
}

/* Rows first .. end - 1, which stand together. */
static void fetch_range(const struct nlsh__ranking *r, size_t first, size_t end)
{
    struct nlsh__fetch fetch;
    nlsh__fetch_begin(&fetch);
    nlsh__fetch_rows(&fetch, r->index, r->segment, first, end - first);
    nlsh__fetch_all(&fetch);
}

/* Those of places [n] whose least is within the limit; least may be NULL: all. */
static void fetch_places(const struct nlsh__ranking *r, const uint32_t *places, const float *least,
                         float limit, size_t n)
{
    struct nlsh__fetch fetch;
    nlsh__fetch_begin(&fetch);
    for (size_t i = 0; i < n; i++)
        if (least == NULL || least[i] <= limit)
            nlsh__fetch_rows(&fetch, r->index, r->segment, places[i], 1);
    nlsh__fetch_all(&fetch);
}

/* ---- chosen rows ----------------------------------------------------------------------------- */

static void prefetch_row(const struct nlsh__ranking *r, size_t place)
{
    nlsh__prefetch(r->segment->rows + place);
    size_t row_bytes = nlsh__index_row_bytes(r->index);
    nlsh__prefetch_bytes((const char *)r->segment->vectors + place * row_bytes, row_bytes);
}

/* places[n], n at most BATCH; n_more places behind them may be next. */
static void rank_batch(const struct nlsh__ranking *r, const uint32_t *places, size_t n,
                       size_t n_more)
{
    const struct nlsh__segment *s = r->segment;
    uint32_t l2sq[BATCH];
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): n of them are set */
    for (size_t i = 0; i < n; i++) nlsh__prefetch(s->rows + places[i]);
    if (!r->query->as_bytes) {
        for (size_t i = 0; i < n; i++) {
            if (i + NLSH__AHEAD < n + n_more) prefetch_row(r, places[i + NLSH__AHEAD]);
            rank_one(r, places[i]);
        }
        return;
    }
    nlsh__kernels()->l2sq_u8_rows(r->query->bytes, s->vectors, r->index->meta.dim, places, n,
                                  n_more, l2sq);
    for (size_t i = 0; i < n; i++)
        nlsh__topk_push(r->best, r->k, nlsh__key_u32(l2sq[i], s->first_row + s->rows[places[i]]));
}

void nlsh__rank_all(const struct nlsh__ranking *r, const uint32_t *places, size_t n)
{
    if (nlsh__rows_on_disk(r->index)) fetch_places(r, places, NULL, 0, n);
    for (size_t done = 0; done < n; done += BATCH) {
        size_t now = n - done < BATCH ? n - done : BATCH;
        rank_batch(r, places + done, now, n - done - now);
    }
}

/* The set bits first .. end - 1: a word's bits one after another. */
static size_t rank_allowed(const struct nlsh__ranking *r, size_t first, size_t end)
{
    uint32_t places[2 * BATCH + 64];
    size_t ranked = 0, n = 0;
    for (size_t place = first; place < end; place = (place / 64 + 1) * 64) {
        uint64_t word = r->allowed[place / 64] >> place % 64 << place % 64;
        if (end - place / 64 * 64 < 64) word &= (UINT64_C(1) << end % 64) - 1;
        for (; word != 0; word &= word - 1)
            places[n++] = (uint32_t)(place / 64 * 64 + (size_t)__builtin_ctzll(word));
        size_t done = 0;
        if (nlsh__rows_on_disk(r->index) && n >= 2 * BATCH) fetch_places(r, places, NULL, 0, n);
        for (; n - done >= 2 * BATCH; done += BATCH)
            rank_batch(r, places + done, BATCH, n - done - BATCH);
        memmove(places, places + done, (n - done) * sizeof *places);
        n -= done;
        ranked += done;
    }
    nlsh__rank_all(r, places, n);
    return ranked + n;
}

size_t nlsh__rank_range(const struct nlsh__ranking *r, size_t first, size_t end)
{
    int may_hide = nlsh__may_hide(r);
    size_t ranked = 0;
    if (r->allowed != NULL) return rank_allowed(r, first, end);
    if (nlsh__rows_on_disk(r->index) && end > first) fetch_range(r, first, end);
    for (size_t place = first; place < end; place++) {
        if (may_hide && nlsh__is_hidden(r, place)) continue;
        rank_one(r, place);
        ranked++;
    }
    return ranked;
}

size_t nlsh__rank_places(const struct nlsh__ranking *r, const struct nlsh__units *units,
                         const uint32_t *places, const float *least, size_t n)
{
    uint32_t batch[BATCH + NLSH__AHEAD];
    size_t from[BATCH + NLSH__AHEAD], ranked = 0;
    if (nlsh__rows_on_disk(r->index)) fetch_places(r, places, least, nlsh__rank_limit(r, units), n);
    for (size_t i = 0; i < n && i < NLSH__AHEAD; i++) prefetch_row(r, places[i]);
    for (size_t i = 0; i < n;) {
        float limit = nlsh__rank_limit(r, units);
        size_t found = 0, j = i;
        for (; j < n && found < BATCH + NLSH__AHEAD; j++) {
            batch[found] = places[j];
            from[found] = j;
            found += least[j] <= limit;
        }
        size_t now = found < BATCH ? found : BATCH;
        /* cppcheck-suppress uninitvar ; as many as were found are set */
        i = now < found ? from[now] : j; /* NOLINT(clang-analyzer-core.uninitialized.Assign): so */
        rank_batch(r, batch, now, found - now);
        ranked += now;
    }
    return ranked;
}
