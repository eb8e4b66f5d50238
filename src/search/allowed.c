/* allowed.c - see allowed.h. */
#include "search/allowed.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "kernels/panel.h"
#include "search/fit.h"

/* What chance alone may be off, in standard errors. */
#define ERRORS_BY_CHANCE 4.0

/* Words of a segment's bits. */
static size_t n_words(const struct nlsh__segment *segment)
{
    return (segment->n_rows + 63) / 64;
}

const uint64_t *nlsh__allowed_in(const struct nlsh__allowed *allowed,
                                 const struct nlsh_index *index, size_t segment)
{
    if (allowed == NULL) return NULL;
    const uint64_t *bits = allowed->bits;
    for (size_t i = 0; i < segment; i++) bits += n_words(&index->segments[i]);
    return bits;
}

static int bit(const uint64_t *bits, size_t i)
{
    return (int)(bits[i / 64] >> i % 64 & 1);
}

static int is_allowed(const struct nlsh__segment *s, const struct nlsh_filter *f, uint32_t row)
{
    size_t of_all = s->first_row + (size_t)row;
    if (s->tombstones != NULL && bit(s->tombstones, row)) return 0;
    if (f->bits != NULL && (of_all >= f->n_bits || !bit(f->bits, of_all))) return 0;
    return f->allows == NULL ||
           f->allows(f->user, s->keys != NULL ? s->keys[row] : (uint64_t)of_all) != 0;
}

/* The rows of a segment's bucket; returns how many are allowed. */
static uint32_t take_bucket(const struct nlsh__segment *s, const struct nlsh_filter *f, size_t b,
                            uint64_t *bits)
{
    uint32_t n = 0;
    for (size_t place = s->bucket_offsets[b]; place < s->bucket_offsets[b + 1]; place++) {
        uint64_t allowed = (uint64_t)is_allowed(s, f, s->rows[place]);
        bits[place / 64] |= allowed << place % 64;
        n += (uint32_t)allowed;
    }
    return n;
}

/* The bucket's rows in groups with one that is allowed. */
static size_t count_scanned(const struct nlsh__segment *s, size_t b, const uint64_t *bits)
{
    size_t n = 0, end = s->bucket_offsets[b + 1];
    for (size_t first = s->bucket_offsets[b]; first < end; first += NLSH__GROUP) {
        size_t size = end - first < NLSH__GROUP ? end - first : NLSH__GROUP;
        if (nlsh__any_allowed(bits, first, first + size)) n += size;
    }
    return n;
}

static enum nlsh_status reserve(const struct nlsh_index *index, struct nlsh__allowed *a,
                                size_t words, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t m = index->meta.n_buckets;
    if (a->room < words) {
        nlsh__free(a->bits);
        a->bits = NULL;
        a->room = 0;
        NLSH_TRY(nlsh__alloc(&a->bits, words, sizeof *a->bits, error));
        a->room = words;
    }
    if (a->counts == NULL) NLSH_TRY(nlsh__alloc(&a->counts, m, sizeof *a->counts, error));
    if (a->sizes == NULL) NLSH_TRY(nlsh__alloc(&a->sizes, m, sizeof *a->sizes, error));
out:
    return status;
}

/* Rows that were drawn by chance, a share s of all, are s z of a bucket's z rows, with a variance of s (1 - s) z.
 * Squares of what a bucket is off, over this variance, then have the mean 1 and the variance 2, and 1 / (s z) more
 * where few are drawn. Fewer than there are buckets tell nothing: a hundredth of a set may be its outliers, and stand
 * in a bucket of its own each. They are few enough to be looked at, all of them. */
static int is_by_content(const struct nlsh__allowed *a, size_t n_rows, size_t m)
{
    double share = (double)a->n / (double)n_rows, sum = 0, n = 0;
    if (a->n == 0 || a->n == n_rows) return 0;
    if (a->n < m) return 1;
    for (size_t b = 0; b < m; b++) {
        double size = (double)a->sizes[b], off = (double)a->counts[b] - share * size;
        if (size == 0) continue;
        sum += off * off / (share * (1 - share) * size);
        n++;
    }
    return sum / n > 1 + ERRORS_BY_CHANCE * sqrt((2 + n / (double)a->n) / n);
}

enum nlsh_status nlsh__allowed_count(const struct nlsh_index *index,
                                     const struct nlsh_filter *filter, struct nlsh__allowed *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = index->meta.n_buckets, words = 0;
    for (size_t i = 0; i < index->n_segments; i++) words += n_words(&index->segments[i]);
    NLSH_TRY(reserve(index, out, words, error));
    memset(out->bits, 0, words * sizeof *out->bits);
    memset(out->counts, 0, m * sizeof *out->counts);
    memset(out->sizes, 0, m * sizeof *out->sizes);
    uint64_t *bits = out->bits;
    out->n = out->n_scanned = 0;
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        for (size_t b = 0; b < m; b++) {
            out->counts[b] += take_bucket(s, filter, b, bits);
            out->n_scanned += count_scanned(s, b, bits);
            out->sizes[b] += s->bucket_offsets[b + 1] - s->bucket_offsets[b];
        }
        bits += n_words(s);
    }
    for (size_t b = 0; b < m; b++) out->n += out->counts[b];
    out->by_content = is_by_content(out, (size_t)index->meta.n_rows, m);
out:
    return status;
}

enum nlsh_status nlsh__filter_check(const struct nlsh_filter *filter, struct nlsh_error *error)
{
    if (filter->bits != NULL || filter->allows != NULL) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "set bits or allows, or give no filter",
                      "the filter says nothing");
}

enum nlsh_status
nlsh_counted_filter_create(const struct nlsh_index *index, const struct nlsh_filter *filter,
                           struct nlsh_counted_filter **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_counted_filter *counted = NULL;
    nlsh__error_clear(error);
    *out = NULL;
    if (index == NULL || filter == NULL)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "no %s", index == NULL ? "index" : "filter");
    NLSH_TRY(nlsh__filter_check(filter, error));
    NLSH_TRY(nlsh__calloc(&counted, 1, sizeof *counted, error));
    counted->index = index;
    NLSH_TRY(nlsh__allowed_count(index, filter, &counted->allowed, error));
    *out = counted;
    return NLSH_OK;
out:
    nlsh_counted_filter_free(counted);
    return status;
}

enum nlsh_status nlsh_counted_filter_fit(struct nlsh_counted_filter *counted,
                                         struct nlsh_error *error)
{
    struct nlsh__allowed *allowed;
    nlsh__error_clear(error);
    if (counted == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "no filter");
    allowed = &counted->allowed;
    if (allowed->fit != NULL || !allowed->by_content) return NLSH_OK;
    return nlsh__fit_create(counted->index, allowed, &allowed->fit, error);
}

void nlsh_counted_filter_free(struct nlsh_counted_filter *counted)
{
    if (counted == NULL) return;
    nlsh__allowed_free(&counted->allowed);
    nlsh__free(counted);
}

size_t nlsh_counted_filter_n(const struct nlsh_counted_filter *counted)
{
    return counted->allowed.n;
}

void nlsh__allowed_free(struct nlsh__allowed *allowed)
{
    nlsh__fit_free(allowed->fit);
    nlsh__free(allowed->bits);
    nlsh__free(allowed->counts);
    nlsh__free(allowed->sizes);
}
