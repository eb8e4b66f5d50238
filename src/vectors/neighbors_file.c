/*
 * neighbors_file.c - k-NN graphs and ground truth in files: docs/formats.md, "Graph files".
 *
 * A header of 64 bytes, all ids, all squared distances; two checksums, of the values and of the
 * header itself, so that no single damaged byte goes unseen. Ids alone also as .ivecs.
 */

#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/file.h"
#include "base/memory.h"
#include "vectors/parse.h"

#define MAGIC "NLSHKNN"
#define VERSION 1u
#define HEADER_BYTES 64u

struct header {
    char magic[8]; /* with its NUL */
    uint32_t version;
    uint32_t header_bytes; /* where the ids begin */
    uint64_t n_rows;
    uint64_t k;
    uint64_t reserved[2]; /* 0 */
    uint64_t values_hash; /* XXH3-64 of everything behind the header */
    uint64_t header_hash; /* XXH3-64 of the 56 bytes above */
};
_Static_assert(sizeof(struct header) == HEADER_BYTES, "the header is a file format");
_Static_assert(offsetof(struct header, header_hash) == 56, "the header is a file format");

void nlsh_neighbors_free(struct nlsh_neighbors *neighbors)
{
    if (neighbors == NULL) return;
    free(neighbors->ids);
    free(neighbors->l2sq);
    memset(neighbors, 0, sizeof *neighbors);
}

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
                          "name a file that `nlsh graph` wrote, or one that ends in .ivecs",
                          "%s: no graph file: it does not begin with " MAGIC, name);
    if (size < sizeof *h) return bad(name, "truncated inside its header of 64 bytes", error);
    memcpy(h, bytes, sizeof *h);
    if (h->version != VERSION)
        return nlsh__fail(error, NLSH_E_DATA, "read it with the nlsh that wrote it",
                          "%s: version %u of the graph file; this nlsh reads %u", name, h->version,
                          VERSION);
    if (h->header_hash != nlsh__hash_of(bytes, offsetof(struct header, header_hash)))
        return bad(name, "the header is damaged: its checksum does not agree", error);
    if (h->header_bytes != HEADER_BYTES || h->reserved[0] != 0 || h->reserved[1] != 0)
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

/* Each row ascending by (l2sq, id); the comparison is written so that a NaN fails it. */
static enum nlsh_status check_order(const struct nlsh_neighbors *g, const char *name,
                                    struct nlsh_error *error)
{
    for (size_t i = 0; i < g->n_rows; i++) {
        const uint32_t *ids = g->ids + i * g->k;
        const float *l2sq = g->l2sq + i * g->k;
        int good = l2sq[0] >= 0.0f;
        for (size_t j = 1; j < g->k; j++) {
            int missing = ids[j] == NLSH_NO_ID; /* several may stand at the end */
            good &= l2sq[j] > l2sq[j - 1] ||
                    (l2sq[j] == l2sq[j - 1] && (ids[j] > ids[j - 1] || missing));
        }
        if (!good)
            return nlsh__fail(error, NLSH_E_DATA, "make it again with `nlsh graph`",
                              "%s: row %zu is not in ascending order of distance", name, i);
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__neighbors_parse(const uint8_t *bytes, size_t size, const char *name,
                                       struct nlsh_neighbors *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct header h = {.k = 0};
    size_t n = 0;
    memset(out, 0, sizeof *out);
    NLSH_TRY(read_header(bytes, size, name, &h, &n, error));
    if (h.values_hash != nlsh__hash_of(bytes + sizeof h, size - sizeof h))
        return bad(name, "damaged: its checksum does not agree", error);
    NLSH_TRY(nlsh__alloc(&out->ids, n, 4, error));
    NLSH_TRY(nlsh__alloc(&out->l2sq, n, 4, error));
    memcpy(out->ids, bytes + sizeof h, n * 4);
    memcpy(out->l2sq, bytes + sizeof h + n * 4, n * 4);
    out->n_rows = h.n_rows;
    out->k = h.k;
    NLSH_TRY(check_order(out, name, error));
out:
    if (status != NLSH_OK) nlsh_neighbors_free(out);
    return status;
}

/* In .ivecs a missing neighbour is -1, the bits of NLSH_NO_ID; no other id is negative. */
static enum nlsh_status read_ivecs(const char *path, struct nlsh_neighbors *out,
                                   struct nlsh_error *error)
{
    struct nlsh_vectors v;
    enum nlsh_status status = nlsh_vectors_read(path, NLSH_FORMAT_IVECS, &v, error);
    if (status != NLSH_OK) return status;
    size_t n = v.matrix.n_rows * v.matrix.dim;
    const int32_t *ids = v.matrix.data;
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= -1) continue;
        status = nlsh__fail(error, NLSH_E_DATA, "check that the file holds ids",
                            "%s: row %zu, column %zu is %d, which is no id (counted from 0)", path,
                            i / v.matrix.dim, i % v.matrix.dim, ids[i]);
        nlsh_vectors_free(&v);
        return status;
    }
    out->n_rows = v.matrix.n_rows;
    out->k = v.matrix.dim;
    out->ids = v.memory; /* handed over */
    return NLSH_OK;
}

enum nlsh_status nlsh_neighbors_read(const char *path, struct nlsh_neighbors *out,
                                     struct nlsh_error *error)
{
    struct nlsh__map map;
    nlsh__error_clear(error);
    if (out == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "out is NULL");
    memset(out, 0, sizeof *out);
    if (path == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "path is NULL");
    if (nlsh__format_of_path(path) == NLSH_FORMAT_IVECS) return read_ivecs(path, out, error);
    enum nlsh_status status = nlsh__map_open(path, &map, error);
    if (status != NLSH_OK) return status;
    status = nlsh__neighbors_parse(map.data, map.size, path, out, error);
    nlsh__map_close(&map);
    return status;
}

/* ---- write ----------------------------------------------------------------------------------- */

static enum nlsh_status write_ivecs(const char *path, const struct nlsh_neighbors *g, size_t n,
                                    struct nlsh_error *error)
{
    for (size_t i = 0; i < n; i++)
        if (g->ids[i] > INT32_MAX && g->ids[i] != NLSH_NO_ID)
            return nlsh__fail(error, NLSH_E_ARG, "write a graph file instead",
                              "%s: id %u is more than .ivecs can hold", path, g->ids[i]);
    struct nlsh_matrix m = {g->ids, g->n_rows, g->k, NLSH_I32};
    return nlsh_vectors_write(path, NLSH_FORMAT_IVECS, &m, error);
}

static void fill_header(const struct nlsh_neighbors *g, size_t n, struct header *h)
{
    struct nlsh__hash state;
    memset(h, 0, sizeof *h);
    memcpy(h->magic, MAGIC, sizeof h->magic);
    h->version = VERSION;
    h->header_bytes = HEADER_BYTES;
    h->n_rows = g->n_rows;
    h->k = g->k;
    nlsh__hash_begin(&state);
    nlsh__hash_add(&state, g->ids, n * 4);
    nlsh__hash_add(&state, g->l2sq, n * 4);
    h->values_hash = nlsh__hash_end(&state);
    h->header_hash = nlsh__hash_of(h, offsetof(struct header, header_hash));
}

enum nlsh_status nlsh_neighbors_write(const char *path, const struct nlsh_neighbors *neighbors,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *file = NULL;
    struct header h;
    size_t n;
    nlsh__error_clear(error);
    if (path == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "path is NULL");
    if (neighbors == NULL || neighbors->ids == NULL || neighbors->n_rows == 0 ||
        neighbors->k == 0 || nlsh__mul(neighbors->n_rows, neighbors->k, &n) != 0 ||
        n > SIZE_MAX / 16)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: there are no neighbours to write", path);
    if (nlsh__format_of_path(path) == NLSH_FORMAT_IVECS)
        return write_ivecs(path, neighbors, n, error);
    if (neighbors->l2sq == NULL)
        return nlsh__fail(error, NLSH_E_ARG, "give the file a name that ends in .ivecs: ids alone",
                          "%s: a graph file needs the distances, which are not there", path);
    fill_header(neighbors, n, &h);
    NLSH_TRY(nlsh__output_open(path, &file, error));
    NLSH_TRY(nlsh__output_write(file, &h, sizeof h, error));
    NLSH_TRY(nlsh__output_write(file, neighbors->ids, n * 4, error));
    NLSH_TRY(nlsh__output_write(file, neighbors->l2sq, n * 4, error));
    status = nlsh__output_commit(file, error);
    file = NULL;
out:
    nlsh__output_abort(file);
    return status;
}
