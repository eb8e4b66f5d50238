/* gathered.c - see gathered.h. */
#include "make/gathered.h"

#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "vectors/large.h"

/* Of an index without a sample, so that its new rows are one. */
#define LEAST_RATE 0.05

static int is_dead(const struct nlsh__segment *s, size_t row)
{
    return s->tombstones != NULL && (s->tombstones[row / 64] >> row % 64 & 1) != 0;
}

void nlsh__gathered_free(struct nlsh__gathered *g)
{
    nlsh__free(g->keys);
    nlsh__free(g->bucket_of);
    nlsh__free(g->untaught);
    nlsh__free(g->memory);
    *g = (struct nlsh__gathered){.keyed = 0};
}

/* The number that each row gets; UINT32_MAX: it is deleted. Returns how many are not. */
static size_t number_rows(const struct nlsh_index *index, uint32_t *number)
{
    size_t n = 0;
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        for (size_t row = 0; row < s->n_rows; row++)
            number[s->first_row + row] = is_dead(s, row) ? UINT32_MAX : (uint32_t)n++;
    }
    return n;
}

static void copy_rows(const struct nlsh_index *index, const uint32_t *number,
                      const struct nlsh__gathered *g)
{
    size_t row_bytes = nlsh__index_row_bytes(index), form_bytes = nlsh__index_form_bytes(index);
    uint8_t *to = g->memory;
    for (size_t i = 0; i < index->n_segments; i++) {
        const struct nlsh__segment *s = &index->segments[i];
        const uint8_t *from = s->vectors;
        for (uint32_t b = 0; b < index->meta.n_buckets; b++)
            for (size_t place = s->bucket_offsets[b]; place < s->bucket_offsets[b + 1]; place++) {
                uint32_t row = s->rows[place], n = number[s->first_row + row];
                if (n == UINT32_MAX) continue;
                nlsh__row_of_stored(index, from + place * row_bytes, to + n * form_bytes);
                g->bucket_of[n] = b;
                g->keys[n] = s->keys != NULL ? s->keys[row] : (uint64_t)s->first_row + row;
            }
    }
}

/* Rows of the sample that are deleted get the numbers behind the others; returns how many. */
static size_t number_gone(const struct nlsh_index *index, size_t n, uint32_t *number)
{
    size_t gone = 0;
    for (size_t i = 0; i < index->meter.n; i++)
        if (number[index->untaught[i]] == UINT32_MAX)
            number[index->untaught[i]] = (uint32_t)(n + gone++);
    return gone;
}

static void sample_rows(const struct nlsh_index *index, size_t n_file, const uint32_t *number,
                        struct nlsh__gathered *g)
{
    size_t n_taught = 0, n = g->rows.n_rows;
    for (size_t row = 0; row < n_file; row++) n_taught += number[row] < n;
    for (size_t i = 0; i < index->meter.n; i++)
        if (number[index->untaught[i]] < n)
            g->untaught[g->n_untaught++] = number[index->untaught[i]];
    double rate = n_taught > 0 ? (double)g->n_untaught / (double)n_taught : 0;
    if (g->n_untaught == 0) rate = LEAST_RATE;
    uint64_t most = (uint64_t)(rate * 4294967296.0);
    for (size_t i = n_taught; i < n; i++)
        if ((nlsh__hash_of(&g->keys[i], sizeof g->keys[i]) >> 32) < most)
            g->untaught[g->n_untaught++] = (uint32_t)i;
    for (size_t i = 0; i < g->n_gone; i++) g->untaught[g->n_untaught + i] = (uint32_t)(n + i);
}

enum nlsh_status nlsh__gather_rows(const struct nlsh_index *index, size_t n_file,
                                   struct nlsh__gathered *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *number = NULL;
    enum nlsh_type type = nlsh__index_form(index);
    *out = (struct nlsh__gathered){.keyed = 0};
    NLSH_TRY(nlsh__alloc(&number, (size_t)index->meta.n_rows, sizeof *number, error));
    size_t n = number_rows(index, number);
    out->n_gone = number_gone(index, n, number);
    size_t all = n + out->n_gone;
    NLSH_TRY(nlsh__alloc(&out->keys, all, sizeof *out->keys, error));
    NLSH_TRY(nlsh__alloc(&out->bucket_of, all, sizeof *out->bucket_of, error));
    NLSH_TRY(nlsh__alloc(&out->untaught, all, sizeof *out->untaught, error));
    NLSH_TRY(nlsh__alloc_large(&out->memory, all, nlsh__index_form_bytes(index), error));
    out->rows = (struct nlsh_matrix){out->memory, n, index->meta.dim, type, 0};
    out->asked = (struct nlsh_matrix){out->memory, all, index->meta.dim, type, 0};
    copy_rows(index, number, out);
    for (size_t i = 0; i < n; i++) out->keyed |= out->keys[i] != i;
    sample_rows(index, n_file, number, out);
out:
    nlsh__free(number);
    if (status != NLSH_OK) nlsh__gathered_free(out);
    return status;
}
