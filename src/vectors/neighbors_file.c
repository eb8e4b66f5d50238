/*
 * neighbors_file.c - k-NN graphs and ground truth in files: docs/formats.md, "Graph files".
 *
 * A header of 64 bytes, all ids, all distances; two checksums, of the values and of the
 * header itself, so that no single damaged byte goes unseen. Ids alone also in vector formats that
 * hold whole numbers (.ivecs, .ibin, .npy), and as other programs write them: ids_file.c.
 */
#include <math.h>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/sized.h"
#include "vectors/hdf5.h"
#include "vectors/parse.h"

#define MAGIC "NLSHKNN"
#define VERSION 2u /* 1 had squared distances, and did not say of which metric */
#define HEADER_BYTES 64u

struct header {
    char magic[8]; /* with its NUL */
    uint32_t version;
    uint32_t header_bytes; /* where the ids begin */
    uint64_t n_rows;
    uint64_t k;
    uint32_t metric;      /* enum nlsh_metric, of the distances */
    uint32_t reserved[3]; /* written as 0, ignored when read */
    uint64_t values_hash; /* XXH3-64 of everything behind the header */
    uint64_t header_hash; /* XXH3-64 of the 56 bytes above */
};
_Static_assert(sizeof(struct header) == HEADER_BYTES, "the header is a file format");
_Static_assert(offsetof(struct header, header_hash) == 56, "the header is a file format");

/* ---- read ------------------------------------------------------------------------------------ */

static enum nlsh_status bad(const char *name, const char *what, struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, "make it again with `nlsh graph`", "%s: %s", name, what);
}

static enum nlsh_status read_header(const uint8_t *bytes, size_t size, const char *name,
                                    struct header *h, size_t *n, struct nlsh_error *error)
{
    size_t need;
    if (size == 0) return bad(name, "the file is empty", error);
    if (memcmp(bytes, MAGIC, size < sizeof h->magic ? size : sizeof h->magic) != 0)
        return nlsh__fail(error, NLSH_E_DATA,
                          "name a file of `nlsh graph`, one that ends in .ivecs, a .npy of whole "
                          "numbers, or big-ann's ground truth",
                          "%s: no graph file: it does not begin with " MAGIC, name);
    if (size < sizeof *h) return bad(name, "truncated inside its header of 64 bytes", error);
    memcpy(h, bytes, sizeof *h);
    if (h->version != VERSION)
        return nlsh__fail(error, NLSH_E_DATA, "make it again with `nlsh graph`",
                          "%s: version %u of the graph file; this nlsh reads %u", name, h->version,
                          VERSION);
    if (h->header_hash != nlsh__hash_of(bytes, offsetof(struct header, header_hash)))
        return bad(name, "the header is damaged: its checksum does not agree", error);
    if (h->header_bytes != HEADER_BYTES || h->metric > NLSH_COSINE)
        return bad(name, "the header has values that this version does not write", error);
    if (h->n_rows == 0 || h->k == 0) return bad(name, "there are no neighbours in it", error);
    if (nlsh__mul(h->n_rows, h->k, n) != 0 || nlsh__mul(*n, 8, &need) != 0 ||
        __builtin_add_overflow(need, sizeof *h, &need))
        return bad(name, "the sizes in the header overflow", error);
    if (need == size) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_DATA, "make it again with `nlsh graph`",
                      "%s: %s: %llu rows of %llu neighbours take %zu bytes, the file has %zu", name,
                      need > size ? "truncated" : "bytes follow the last row",
                      (unsigned long long)h->n_rows, (unsigned long long)h->k, need, size);
}

/* Distances never fall in a row. Equal ones may have their ids in any order: they were told apart before
 * they were rounded. The comparison is written so that a NaN fails it. */
static enum nlsh_status check_order(const struct nlsh_neighbors *g, const char *name,
                                    struct nlsh_error *error)
{
    for (size_t i = 0; i < g->n_rows; i++) {
        const float *distances = g->distances + i * g->k;
        int good = g->metric == NLSH_IP ? !isnan(distances[0]) : distances[0] >= 0.0f;
        for (size_t j = 1; j < g->k; j++) good &= distances[j] >= distances[j - 1];
        if (!good)
            return nlsh__fail(error, NLSH_E_DATA, "make it again with `nlsh graph`",
                              "%s: row %zu is not in ascending order of distance", name, i);
    }
    return NLSH_OK;
}

/* Ids are 32 bits wide in files; the largest of these is the missing one. */
static enum nlsh_status widen_ids(const uint32_t *from, size_t n, uint64_t **out,
                                  struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__alloc(out, n, sizeof **out, error);
    for (size_t i = 0; i < n && status == NLSH_OK; i++)
        (*out)[i] = from[i] == NLSH__NO_ROW ? NLSH_NO_KEY : from[i];
    return status;
}

enum nlsh_status nlsh__neighbors_parse(const uint8_t *bytes, size_t size, const char *name,
                                       struct nlsh_neighbors *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct header h = {.k = 0};
    size_t n = 0;
    out->ids = NULL;
    out->distances = NULL;
    if (nlsh__ids_parse(bytes, size, name, out, &status, error)) goto out;
    NLSH_TRY(read_header(bytes, size, name, &h, &n, error));
    if (h.values_hash != nlsh__hash_of(bytes + sizeof h, size - sizeof h))
        return bad(name, "damaged: its checksum does not agree", error);
    NLSH_TRY(widen_ids((const void *)(bytes + sizeof h), n, &out->ids, error));
    NLSH_TRY(nlsh__alloc(&out->distances, n, 4, error));
    memcpy(out->distances, bytes + sizeof h + n * 4, n * 4);
    out->metric = (enum nlsh_metric)h.metric;
    out->n_rows = h.n_rows;
    out->k = h.k;
    NLSH_TRY(check_order(out, name, error));
out:
    if (status != NLSH_OK) nlsh_neighbors_free(out);
    return status;
}

/* Through the readers of vectors, which know .gz and .zst. A missing neighbour is -1 there, the bits of
 * NLSH__NO_ROW; no other id is negative. */
static enum nlsh_status read_vectors(const char *path, struct nlsh_neighbors *out,
                                     struct nlsh_error *error)
{
    struct nlsh_vectors *v;
    enum nlsh_status status = nlsh_vectors_read(path, NLSH_FORMAT_AUTO, &v, error);
    if (status != NLSH_OK) return status;
    const struct nlsh_matrix *m = &v->matrix;
    size_t n = m->n_rows * m->dim;
    const int32_t *ids = m->data;
    for (size_t i = 0; i < n; i++) {
        if (m->type == NLSH_I32 && ids[i] >= -1) continue;
        status = nlsh__fail(error, NLSH_E_DATA, "check that the file holds ids",
                            "%s: row %zu, column %zu is no id (counted from 0)", path, i / m->dim,
                            i % m->dim);
        goto out;
    }
    out->n_rows = m->n_rows;
    out->k = m->dim;
    status = widen_ids((const uint32_t *)ids, n, &out->ids, error);
out:
    nlsh_vectors_free(v);
    return status;
}

/* Into a struct of ours, whatever the caller's is. */
static enum nlsh_status read_any(const char *path, struct nlsh_neighbors *out,
                                 struct nlsh_error *error)
{
    struct nlsh__map map;
    if (nlsh__format_of_path(path) == NLSH_FORMAT_IVECS || nlsh__packed_ending(path) != NULL)
        return read_vectors(path, out, error);
    enum nlsh_status status = nlsh__map_open(path, &map, error);
    if (status != NLSH_OK) return status;
    status = nlsh__neighbors_parse(map.data, map.size, path, out, error);
    nlsh__map_close(&map);
    return status;
}

/* FILE.hdf5:neighbors. */
static enum nlsh_status read_hdf5(const char *path, struct nlsh_neighbors *out,
                                  struct nlsh_error *error)
{
    struct nlsh_vectors ids = {.memory = NULL};
    enum nlsh_status status = nlsh__hdf5_read(path, &ids, error);
    if (status == NLSH_OK) status = nlsh__ids_of_matrix(path, &ids.matrix, out, error);
    nlsh__vectors_clear(&ids);
    if (status != NLSH_OK) nlsh_neighbors_free(out);
    return status;
}

enum nlsh_status nlsh_neighbors_read(const char *path, struct nlsh_neighbors *out,
                                     struct nlsh_error *error)
{
    struct nlsh_neighbors ours;
    nlsh_neighbors_init(&ours, sizeof ours);
    nlsh__error_clear(error);
    if (out == NULL || path == NULL)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s is NULL", out == NULL ? "out" : "path");
    enum nlsh_status status = nlsh__answer_check(out, "nlsh_neighbors", error);
    if (status == NLSH_OK)
        status =
            nlsh__hdf5_named(path) ? read_hdf5(path, &ours, error) : read_any(path, &ours, error);
    if (status == NLSH_OK) nlsh__answer_give(out, &ours, sizeof ours);
    return status;
}

/* ---- write ----------------------------------------------------------------------------------- */

/* The ids as 32 bits. missing: what NLSH_NO_KEY becomes; others must be below it. */
static enum nlsh_status narrow_ids(const char *path, const struct nlsh_neighbors *g, size_t n,
                                   uint64_t most, const char *remedy, uint32_t **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__alloc(out, n, sizeof **out, error);
    for (size_t i = 0; i < n && status == NLSH_OK; i++) {
        if (g->ids[i] > most && g->ids[i] != NLSH_NO_KEY)
            status = nlsh__fail(error, NLSH_E_ARG, remedy, "%s: id %llu is more than it can hold",
                                path, (unsigned long long)g->ids[i]);
        else
            (*out)[i] = g->ids[i] == NLSH_NO_KEY ? NLSH__NO_ROW : (uint32_t)g->ids[i];
    }
    return status;
}

static int holds_ids(enum nlsh_format format)
{
    return format == NLSH_FORMAT_IVECS || format == NLSH_FORMAT_IBIN || format == NLSH_FORMAT_NPY;
}

static enum nlsh_status write_ids(const char *path, const struct nlsh_neighbors *g, size_t n,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *ids = NULL;
    NLSH_TRY(narrow_ids(path, g, n, INT32_MAX, "write a graph file instead", &ids, error));
    struct nlsh_matrix m = {ids, g->n_rows, g->k, NLSH_I32, 0};
    NLSH_TRY(nlsh_vectors_write(path, NLSH_FORMAT_AUTO, &m, error));
out:
    nlsh__free(ids);
    return status;
}

static void fill_header(const struct nlsh_neighbors *g, const uint32_t *ids, size_t n,
                        struct header *h)
{
    struct nlsh__hash state;
    memset(h, 0, sizeof *h);
    memcpy(h->magic, MAGIC, sizeof h->magic);
    h->version = VERSION;
    h->header_bytes = HEADER_BYTES;
    h->n_rows = g->n_rows;
    h->k = g->k;
    h->metric = (uint32_t)g->metric;
    nlsh__hash_begin(&state);
    nlsh__hash_add(&state, ids, n * 4);
    nlsh__hash_add(&state, g->distances, n * 4);
    h->values_hash = nlsh__hash_end(&state);
    h->header_hash = nlsh__hash_of(h, offsetof(struct header, header_hash));
}

static enum nlsh_status write_graph(const char *path, const struct nlsh_neighbors *g, size_t n,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *file = NULL;
    struct header h;
    uint32_t *ids = NULL;
    NLSH_TRY(narrow_ids(path, g, n, NLSH__NO_ROW - 1, "use row numbers", &ids, error));
    fill_header(g, ids, n, &h);
    NLSH_TRY(nlsh__output_open(path, &file, error));
    NLSH_TRY(nlsh__output_write(file, &h, sizeof h, error));
    NLSH_TRY(nlsh__output_write(file, ids, n * 4, error));
    NLSH_TRY(nlsh__output_write(file, g->distances, n * 4, error));
    status = nlsh__output_commit(file, error);
    file = NULL;
out:
    nlsh__output_abort(file);
    nlsh__free(ids);
    return status;
}

enum nlsh_status nlsh_neighbors_write(const char *path, const struct nlsh_neighbors *neighbors,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_neighbors g = {0};
    size_t n;
    nlsh__error_clear(error);
    if (path == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "path is NULL");
    NLSH_TRY(nlsh__options_take(&g, sizeof g, neighbors, "nlsh_neighbors", error));
    if (g.ids == NULL || g.n_rows == 0 || g.k == 0 || nlsh__mul(g.n_rows, g.k, &n) != 0 ||
        n > SIZE_MAX / 16)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: there are no neighbours to write", path);
    if (holds_ids(nlsh__format_of_path(path))) return write_ids(path, &g, n, error);
    if (g.distances == NULL)
        return nlsh__fail(error, NLSH_E_ARG, "give the file a name that ends in .ivecs: ids alone",
                          "%s: a graph file needs the distances, which are not there", path);
    return write_graph(path, &g, n, error);
out:
    return status;
}
