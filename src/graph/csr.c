/*
 * csr.c - a k-NN graph made symmetric, in compressed rows.
 *
 * Source: ours. Every row's ids are sorted; the lists of who points at a vertex come from a
 * counting sort and are ascending because rows are visited in order; a row of the result is the
 * merge of the two lists, where an id in both weighs 2 and an id in one weighs 1. An id that a row
 * names twice counts once. O(n k log k) time, 2 n k words besides the result.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "graph/graph.h"

/* Each row's wanted ids, ascending and without doubles, and their reverse. */
struct lists {
    uint32_t *out;    /* [n x k], row i uses its first n_out[i] */
    uint32_t *n_out;  /* [n] */
    uint32_t *in;     /* [in_start[n]] */
    size_t *in_start; /* [n + 1] */
    size_t n, k;
};

static void lists_free(struct lists *lists)
{
    nlsh__free(lists->out);
    nlsh__free(lists->n_out);
    nlsh__free(lists->in);
    nlsh__free(lists->in_start);
}

static int compare_ids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Insertion sort: k is 10 to 100 and the call through a pointer would cost more than the sort. */
static void sort_ids(uint32_t *ids, size_t k)
{
    if (k > 64) {
        qsort(ids, k, sizeof *ids, compare_ids);
        return;
    }
    for (size_t i = 1; i < k; i++) {
        uint32_t id = ids[i];
        size_t j = i;
        for (; j > 0 && ids[j - 1] > id; j--) ids[j] = ids[j - 1];
        ids[j] = id;
    }
}

/* One row checked, sorted, its doubles dropped; in_start[id + 1] counts who points at id. */
static enum nlsh_status take_row(const struct nlsh__neighbors *neighbors, size_t row,
                                 struct lists *lists, struct nlsh_error *error)
{
    const uint32_t *ids = neighbors->ids + row * neighbors->k;
    uint32_t *out = lists->out + row * lists->k;
    for (size_t j = 0; j < lists->k; j++) {
        if (ids[j] >= lists->n)
            return nlsh__fail(error, NLSH_E_ARG, "rebuild the graph from the same vectors",
                              "k-NN graph: row %zu, neighbour %zu: id %u is not below %zu", row, j,
                              (unsigned)ids[j], lists->n);
        if (ids[j] == row)
            return nlsh__fail(error, NLSH_E_ARG, "a graph must leave each row itself out",
                              "k-NN graph: row %zu names itself as neighbour %zu", row, j);
        out[j] = ids[j];
    }
    sort_ids(out, lists->k);
    size_t kept = 0;
    for (size_t j = 0; j < lists->k; j++)
        if (j == 0 || out[j] != out[kept - 1]) out[kept++] = out[j];
    lists->n_out[row] = (uint32_t)kept;
    for (size_t j = 0; j < kept; j++) lists->in_start[out[j] + 1]++;
    return NLSH_OK;
}

static enum nlsh_status lists_make(const struct nlsh__neighbors *neighbors, size_t k,
                                   struct lists *lists, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = neighbors->n_rows, n_ids;
    size_t *cursor = NULL;
    lists->n = n;
    lists->k = k;
    if (nlsh__mul(n, k, &n_ids) != 0)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, NULL, "k-NN graph: %zu x %zu ids", n, k);
    NLSH_TRY(nlsh__alloc(&lists->out, n_ids, sizeof *lists->out, error));
    NLSH_TRY(nlsh__alloc(&lists->n_out, n, sizeof *lists->n_out, error));
    NLSH_TRY(nlsh__calloc(&lists->in_start, n + 1, sizeof *lists->in_start, error));
    for (size_t i = 0; i < n; i++) NLSH_TRY(take_row(neighbors, i, lists, error));
    for (size_t i = 0; i < n; i++) lists->in_start[i + 1] += lists->in_start[i];
    NLSH_TRY(nlsh__alloc(&lists->in, lists->in_start[n], sizeof *lists->in, error));
    NLSH_TRY(nlsh__alloc(&cursor, n + 1, sizeof *cursor, error));
    memcpy(cursor, lists->in_start, (n + 1) * sizeof *cursor);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < lists->n_out[i]; j++)
            lists->in[cursor[lists->out[i * k + j]]++] = (uint32_t)i;
out:
    nlsh__free(cursor);
    return status;
}

/* Merges row i's two lists; ids and weights may be NULL to count only. */
static size_t merge_row(const struct lists *lists, size_t i, int32_t *ids, int32_t *weights)
{
    const uint32_t *a = lists->out + i * lists->k, *a_end = a + lists->n_out[i];
    const uint32_t *b = lists->in + lists->in_start[i], *b_end = lists->in + lists->in_start[i + 1];
    size_t n = 0;
    for (; a < a_end || b < b_end; n++) {
        int from_a = b == b_end || (a < a_end && *a <= *b);
        int from_b = a == a_end || (b < b_end && *b <= *a);
        if (ids != NULL) {
            ids[n] = (int32_t)(from_a ? *a : *b);
            weights[n] = from_a + from_b;
        }
        a += from_a;
        b += from_b;
    }
    return n;
}

static enum nlsh_status fill(const struct lists *lists, struct nlsh__csr *out,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n_edges = 0;
    out->n = lists->n;
    NLSH_TRY(nlsh__calloc(&out->offsets, lists->n + 1, sizeof *out->offsets, error));
    for (size_t i = 0; i < lists->n; i++) {
        n_edges += merge_row(lists, i, NULL, NULL);
        /* METIS and KaHIP add up all weights in an int: 2 a row's entry at most. */
        if (n_edges > INT32_MAX / 2)
            return nlsh__fail(error, NLSH_E_UNSUPPORTED,
                              "use a smaller k, or the k-means partitioner, which needs no graph",
                              "k-NN graph of %zu rows, k %zu: its edges do not fit in 32 bits",
                              lists->n, lists->k);
        out->offsets[i + 1] = (int32_t)n_edges;
    }
    NLSH_TRY(nlsh__alloc(&out->neighbors, n_edges, sizeof *out->neighbors, error));
    NLSH_TRY(nlsh__alloc(&out->weights, n_edges, sizeof *out->weights, error));
    for (size_t i = 0; i < lists->n; i++)
        merge_row(lists, i, out->neighbors + out->offsets[i], out->weights + out->offsets[i]);
out:
    return status;
}

enum nlsh_status nlsh__csr_from_neighbors(const struct nlsh__neighbors *neighbors, size_t k,
                                          struct nlsh__csr *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct lists lists = {0};
    *out = (struct nlsh__csr){0};
    if (k < 1 || k > neighbors->k)
        return nlsh__fail(error, NLSH_E_ARG, "use a k from 1 to the graph's own",
                          "k-NN graph: k %zu wanted, the graph has %zu", k, neighbors->k);
    if (neighbors->n_rows >= INT32_MAX)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED,
                          "use the k-means partitioner, which needs no graph",
                          "k-NN graph of %zu rows: more than 32 bits number", neighbors->n_rows);
    NLSH_TRY(lists_make(neighbors, k, &lists, error));
    NLSH_TRY(fill(&lists, out, error));
out:
    lists_free(&lists);
    if (status != NLSH_OK) nlsh__csr_free(out);
    return status;
}

void nlsh__csr_free(struct nlsh__csr *csr)
{
    if (csr == NULL) return;
    nlsh__free(csr->offsets);
    nlsh__free(csr->neighbors);
    nlsh__free(csr->weights);
    *csr = (struct nlsh__csr){0};
}
