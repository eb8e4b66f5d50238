/* filter.c - see filter.h. */
#include "filter.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "keys.h"
#include "talk.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* ---- keys to rows ---------------------------------------------------------------------------- */

/* All rows of the index that were not deleted, one after another. */
struct walk {
    const struct nlsh_index *index;
    struct nlsh_segment segment;
    size_t i, row, first;
};

static bool is_deleted(const struct nlsh_segment *s, size_t row)
{
    return s->tombstones != NULL && (s->tombstones[row / 64] >> row % 64 & 1) != 0;
}

static bool next_row(struct walk *w, uint64_t *key)
{
    for (;;) {
        while (w->row == w->first + w->segment.n_rows) {
            w->first = w->row;
            w->segment = (struct nlsh_segment){.struct_size = sizeof w->segment};
            if (!nlsh_index_segment(w->index, w->i++, &w->segment)) return false;
        }
        size_t row = w->row++ - w->first;
        if (is_deleted(&w->segment, row)) continue;
        *key = w->segment.keys != NULL ? w->segment.keys[row] : w->row - 1;
        return true;
    }
}

/* Sets the bits of the rows that have these keys, which are sorted by the call, or clears them. */
static int mark(const struct nlsh_index *index, const char *index_path, const char *path,
                uint64_t *keys, size_t n, bool set, uint64_t *bits)
{
    uint64_t key, *at;
    struct walk walk = {.index = index};
    size_t n_keys = 0, n_missing = 0;
    uint8_t *found = calloc(n + 1, 1);
    if (found == NULL) return no_memory();
    qsort(keys, n, sizeof *keys, by_number);
    for (size_t i = 0; i < n; i++) /* once each */
        if (n_keys == 0 || keys[i] != keys[n_keys - 1]) keys[n_keys++] = keys[i];
    while (next_row(&walk, &key)) {
        size_t row = walk.row - 1;
        at = bsearch(&key, keys, n_keys, sizeof *keys, by_number);
        if (at == NULL) continue;
        found[at - keys] = 1;
        if (set)
            bits[row / 64] |= UINT64_C(1) << row % 64;
        else
            bits[row / 64] &= ~(UINT64_C(1) << row % 64);
    }
    key = 0;
    for (size_t i = n_keys; i-- > 0;) {
        if (found[i]) continue;
        key = keys[i];
        n_missing++;
    }
    free(found);
    if (n_missing == 0) return 0;
    return talk_error(EXIT_BAD_DATA,
                      "give keys as searches answer with them: row numbers, or those of --keys",
                      "%s: %zu of %zu keys are not in %s, the smallest is %" PRIu64, path,
                      n_missing, n_keys, index_path, key);
}

static int mark_file(const struct nlsh_index *index, const char *index_path, const char *path,
                     bool set, uint64_t *bits)
{
    uint64_t *keys;
    size_t n;
    int code = keys_list(path, &keys, &n);
    if (code == 0) code = mark(index, index_path, path, keys, n, set, bits);
    free(keys);
    return code;
}

static size_t count_rows(const struct nlsh_index *index)
{
    struct nlsh_segment segment = {.struct_size = sizeof segment};
    size_t n = 0;
    for (size_t i = 0; nlsh_index_segment(index, i, &segment); i++) n += segment.n_rows;
    return n;
}

static int take_bits(const struct nlsh_index *index, const uint64_t *bits, size_t n_rows,
                     struct filter *out)
{
    struct nlsh_error error = {0};
    const struct nlsh_filter filter = {.bits = bits, .n_bits = n_rows};
    out->rows = calloc(n_rows + 1, sizeof *out->rows);
    if (out->rows == NULL) return no_memory();
    struct walk walk = {.index = index};
    for (uint64_t key; next_row(&walk, &key);) {
        size_t row = walk.row - 1;
        if (bits[row / 64] >> row % 64 & 1) out->rows[out->n++] = row;
    }
    if (out->n == 0) {
        return talk_error(EXIT_BAD_DATA, "allow one vector at least",
                          "the filter allows none of %zu vectors", n_rows);
    }
    if (nlsh_counted_filter_create(index, &filter, &out->counted, &error) == NLSH_OK) return 0;
    return talk_failed(&error);
}

int filter_read(const struct args *args, const struct nlsh_index *index, const char *index_path,
                struct filter *out)
{
    bool in = args_given(args, "filter"), leave = args_given(args, "filter-out");
    *out = (struct filter){.n = 0};
    if (!in && !leave) return 0;
    size_t n_rows = count_rows(index);
    uint64_t *bits = calloc(n_rows / 64 + 1, sizeof *bits);
    if (bits == NULL) return no_memory();
    int code = 0;
    if (in)
        code = mark_file(index, index_path, args_text(args, "filter"), true, bits);
    else
        memset(bits, 0xff, (n_rows / 64 + 1) * sizeof *bits);
    if (code == 0 && leave)
        code = mark_file(index, index_path, args_text(args, "filter-out"), false, bits);
    if (code == 0) code = take_bits(index, bits, n_rows, out);
    free(bits);
    if (code != 0) filter_free(out);
    return code;
}

int filter_deleted(const struct nlsh_index *index, struct filter *out)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    *out = (struct filter){.n = 0};
    (void)!nlsh_index_info(index, &info, NULL);
    if (info.n_deleted == 0) return 0;
    size_t n_rows = count_rows(index);
    uint64_t *bits = malloc((n_rows / 64 + 1) * sizeof *bits);
    if (bits == NULL) return no_memory();
    memset(bits, 0xff, (n_rows / 64 + 1) * sizeof *bits);
    int code = take_bits(index, bits, n_rows, out);
    free(bits);
    if (code != 0) filter_free(out);
    return code;
}

void filter_free(struct filter *filter)
{
    nlsh_counted_filter_free(filter->counted);
    free(filter->rows);
    *filter = (struct filter){.n = 0};
}

/* ---- what is true ---------------------------------------------------------------------------- */

/* From narrow.k neighbours a query to k, by row numbers of the base. */
static int widen(const struct filter *filter, const struct nlsh_neighbors *narrow, size_t k,
                 struct nlsh_neighbors *out)
{
    size_t n = narrow->n_rows;
    out->ids = calloc(n * k, sizeof *out->ids);
    out->distances = calloc(n * k, sizeof *out->distances);
    if (out->ids == NULL || out->distances == NULL) return no_memory();
    out->n_rows = n;
    out->k = k;
    out->metric = narrow->metric;
    for (size_t q = 0; q < n; q++)
        for (size_t rank = 0; rank < k; rank++) {
            size_t to = q * k + rank, from = q * narrow->k + rank;
            bool there = rank < narrow->k;
            out->ids[to] = there ? filter->rows[narrow->ids[from]] : NLSH_NO_KEY;
            out->distances[to] = there ? narrow->distances[from] : INFINITY;
        }
    return 0;
}

int filter_truth(const struct filter *filter, const struct nlsh_matrix *base,
                 const struct nlsh_matrix *queries, enum nlsh_metric metric, size_t k,
                 const struct nlsh_run *run, struct nlsh_matrix *allowed,
                 struct nlsh_neighbors *out)
{
    struct nlsh_error error = {0};
    struct nlsh_neighbors narrow;
    size_t bytes = base->dim * (base->type == NLSH_F32 ? sizeof(float) : 1);
    char *rows = malloc(filter->n * bytes);
    *allowed = (struct nlsh_matrix){rows, filter->n, base->dim, base->type, 0};
    if (rows == NULL) return no_memory();
    for (size_t i = 0; i < filter->n; i++) {
        struct nlsh_matrix one = matrix_rows(base, filter->rows[i], 1);
        memcpy(rows + i * bytes, one.data, bytes);
    }
    nlsh_neighbors_init(&narrow, sizeof narrow);
    size_t n = k < filter->n ? k : filter->n;
    if (nlsh_ground_truth(allowed, queries, metric, n, run, &narrow, &error) != NLSH_OK)
        return talk_failed(&error);
    int code = widen(filter, &narrow, k, out);
    nlsh_neighbors_free(&narrow);
    return code;
}
