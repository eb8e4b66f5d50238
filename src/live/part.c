/*
 * part.c - see part.h. Of few rows a segment is their vectors by bucket. Of more, codes stand beside them; of many,
 * rows stand leaf by leaf, as those of a file do.
 */
#include "live/part.h"

#include <math.h>
#include <string.h>

#include "base/buckets.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/shared.h"
#include "kernels/panel.h"
#include "live/leaves.h"

/* A segment of fewer rows a bucket has no codes: half of each group of 16 codes would be empty. */
enum { CODED_A_BUCKET = 4 };

/* Nor one of which more than a row in so many stands so far from its bucket's centroid that its code says too little:
 * its error is larger than any that can be written (codes/row.h), and searches would lose it. */
enum { LEAST_A_FAR_ROW = 256 };

/* One of fewer rows a bucket has no leaves, if the file has them: three would be looked at to leave out one. */
enum { LEAVES_A_BUCKET = 48 };

/* A block's arrays, and the segment's view of them. */
struct block {
    struct nlsh__codes codes;
    struct nlsh__leaves leaves;
    size_t offsets, rows, keys, vectors; /* bytes from the block's start */
    struct grouped {
        size_t n_groups, offsets, biases, errors, values;
    } of_rows, of_leaves; /* n_groups 0: none */
    size_t size;
};

static size_t take(size_t *at, size_t bytes)
{
    size_t from = *at;
    *at += (bytes + NLSH_ALIGN - 1) / NLSH_ALIGN * NLSH_ALIGN;
    return from;
}

static void place_grouped(size_t m, size_t code_bytes, size_t *at, struct grouped *out)
{
    size_t lanes = out->n_groups * NLSH__GROUP;
    if (lanes == 0) return;
    out->offsets = take(at, (m + 1) * sizeof(uint32_t));
    out->biases = take(at, lanes * sizeof(float));
    out->errors = take(at, lanes);
    out->values = take(at, lanes * code_bytes);
}

/* Where all stands, of the numbers of groups. */
static void place_block(const struct nlsh__rows_of *of, size_t n, struct block *out)
{
    size_t m = of->file->meta.n_buckets, at = 0;
    (void)take(&at, sizeof *out);
    out->offsets = take(&at, (m + 1) * sizeof(uint32_t));
    out->rows = take(&at, n * sizeof(uint32_t));
    out->keys = take(&at, n * sizeof(uint64_t));
    out->vectors = take(&at, n * of->form->row_bytes);
    place_grouped(m, of->form->code_bytes, &at, &out->of_rows);
    place_grouped(m, of->form->code_bytes, &at, &out->of_leaves);
    out->size = at;
}

static uint32_t *numbers_at(uint8_t *bytes, size_t offset)
{
    return (uint32_t *)(void *)(bytes + offset);
}

static struct nlsh__grouped view(const struct grouped *g, const struct nlsh__codes *like,
                                 const uint8_t *bytes)
{
    return (struct nlsh__grouped){g->n_groups, like->n_components / 8,
                                  (const float *)(const void *)(bytes + g->biases),
                                  bytes + g->errors, bytes + g->values};
}

/* The codes of the segment's rows, group by group. */
static void put_codes(const struct nlsh__rows_of *of, size_t first, uint8_t *bytes,
                      const struct nlsh__segment *segment)
{
    struct block *b = (struct block *)(void *)bytes;
    const struct grouped *g = &b->of_rows;
    const struct nlsh__codes *like = of->file->segments[0].codes;
    size_t m = of->file->meta.n_buckets, code_bytes = of->form->code_bytes;
    uint32_t *groups = numbers_at(bytes, g->offsets);
    float *biases = (float *)(void *)(bytes + g->biases);
    uint8_t *errors = bytes + g->errors, *values = bytes + g->values;
    (void)nlsh__group_offsets(segment->bucket_offsets, m, groups);
    for (size_t i = 0; i < g->n_groups * NLSH__GROUP; i++) biases[i] = INFINITY;
    for (size_t bucket = 0; bucket < m; bucket++) {
        size_t lane = groups[bucket] * NLSH__GROUP;
        for (size_t place = segment->bucket_offsets[bucket];
             place < segment->bucket_offsets[bucket + 1]; place++, lane++) {
            size_t row = first + segment->rows[place];
            const uint8_t *code = of->rows->codes + row * code_bytes;
            uint8_t *to =
                values + lane / NLSH__GROUP * code_bytes * NLSH__GROUP + lane % NLSH__GROUP * 4;
            biases[lane] = of->rows->biases[row];
            errors[lane] = of->rows->errors[row];
            for (size_t c = 0; c < code_bytes / 4; c++) memcpy(to + c * 64, code + c * 4, 4);
        }
    }
    b->codes = *like;
    b->codes.group_offsets = groups;
    b->codes.rows = view(g, like, bytes);
}

static enum nlsh_status put_leaves(const struct nlsh__bucketed *bucketed, const uint32_t *rows,
                                   uint8_t *bytes, struct nlsh_error *error)
{
    struct block *b = (struct block *)(void *)bytes;
    const struct grouped *g = &b->of_leaves;
    const struct nlsh__leaves_out out = {.group_offsets = numbers_at(bytes, g->offsets),
                                         .n_groups = g->n_groups,
                                         .biases = (float *)(void *)(bytes + g->biases),
                                         .errors = bytes + g->errors,
                                         .values = bytes + g->values,
                                         .error_unit = &b->leaves.error_unit};
    b->leaves.group_offsets = numbers_at(bytes, g->offsets);
    (void)nlsh__group_offsets(b->codes.group_offsets, bucketed->file->meta.n_buckets,
                              b->leaves.group_offsets);
    b->leaves.leaves = view(g, &b->codes, bytes);
    return nlsh__code_log_leaves(bucketed, rows, &out, error);
}

/* Whether codes say enough of rows first .. first + n - 1. */
static int worth_codes(const struct nlsh__rows_of *of, size_t first, size_t n)
{
    size_t n_far = 0;
    if (of->form->code_bytes == 0 || n < CODED_A_BUCKET * (size_t)of->file->meta.n_buckets)
        return 0;
    for (size_t i = 0; i < n; i++) n_far += of->rows->errors[first + i] == UINT8_MAX;
    return n_far <= n / LEAST_A_FAR_ROW;
}

static int worth_leaves(const struct nlsh__rows_of *of, size_t n)
{
    return of->file->segments[0].leaves != NULL &&
           n >= LEAVES_A_BUCKET * (size_t)of->file->meta.n_buckets;
}

/* Groups of rows and of leaves; scratch [2 (m + 1)]. */
static void count_groups(const struct nlsh__rows_of *of, size_t first, size_t n, uint32_t *scratch,
                         struct block *out)
{
    size_t m = of->file->meta.n_buckets;
    uint32_t *groups = scratch + m + 1;
    nlsh__count_sort(of->rows->buckets + first, n, m, scratch, NULL);
    out->of_rows.n_groups = nlsh__group_offsets(scratch, m, groups);
    if (worth_leaves(of, n)) out->of_leaves.n_groups = nlsh__group_offsets(groups, m, NULL);
}

static enum nlsh_status plan_block(const struct nlsh__rows_of *of, size_t first, size_t n,
                                   struct block *out, struct nlsh_error *error)
{
    *out = (struct block){.size = 0};
    if (worth_codes(of, first, n)) {
        uint32_t *scratch = NULL;
        enum nlsh_status status =
            nlsh__alloc(&scratch, of->file->meta.n_buckets + 1, 2 * sizeof *scratch, error);
        if (status != NLSH_OK) return status;
        count_groups(of, first, n, scratch, out);
        nlsh__free(scratch);
    }
    place_block(of, n, out);
    return NLSH_OK;
}

enum nlsh_status nlsh__part_create(const struct nlsh__rows_of *of, size_t first, size_t n,
                                   struct nlsh__part *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = of->file->meta.n_buckets, row_bytes = of->form->row_bytes;
    struct block b;
    uint8_t *bytes = NULL;
    *out = (struct nlsh__part){first, n, NULL, {.n_rows = 0}};
    NLSH_TRY(plan_block(of, first, n, &b, error));
    NLSH_TRY(nlsh__shared_create(&bytes, b.size, error));
    memcpy(bytes, &b, sizeof b);
    uint32_t *offsets = numbers_at(bytes, b.offsets), *rows = numbers_at(bytes, b.rows);
    const struct nlsh__bucketed bucketed = {of->file, of->form, of->rows, first, offsets};
    nlsh__count_sort(of->rows->buckets + first, n, m, offsets, rows);
    if (b.of_leaves.n_groups > 0) NLSH_TRY(nlsh__order_log_rows(&bucketed, rows, error));
    memcpy(bytes + b.keys, of->rows->keys + first, n * sizeof(uint64_t));
    for (size_t place = 0; place < n; place++)
        memcpy(bytes + b.vectors + place * row_bytes,
               of->rows->vectors + (first + rows[place]) * row_bytes, row_bytes);
    out->segment = (struct nlsh__segment){
        .n_rows = n,
        .first_row = (uint32_t)(of->file->meta.n_rows + first),
        .bucket_offsets = offsets,
        .rows = rows,
        .vectors = bytes + b.vectors,
        .keys = (const uint64_t *)(const void *)(bytes + b.keys),
    };
    if (b.of_rows.n_groups > 0) {
        put_codes(of, first, bytes, &out->segment);
        out->segment.codes = &((struct block *)(void *)bytes)->codes;
    }
    if (b.of_leaves.n_groups > 0) {
        NLSH_TRY(put_leaves(&bucketed, rows, bytes, error));
        out->segment.leaves = &((struct block *)(void *)bytes)->leaves;
    }
    out->block = bytes;
    bytes = NULL;
out:
    nlsh__shared_drop(bytes);
    return status;
}
