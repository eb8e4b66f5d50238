/*
 * ids_file.c - neighbours as other programs write them: ids without an order that we could check.
 *
 *   .npy          two dimensions of i4, u4, i8 or u8
 *   big-ann's     u32 queries, u32 k, ids as i32; a second file has f32 distances behind the ids.
 *                 Source: knn_result_read() of big-ann-benchmarks.
 *
 * A negative id means that there is none. Distances are left aside: some programs square them, some
 * do not, and for products they have the other sign; the file does not say which.
 */
#include "base/error.h"
#include "base/memory.h"
#include "vectors/parse.h"

/* An id of size bytes; *bad where it is none that we can hold. */
static uint64_t load_id(const uint8_t *p, size_t size, int is_signed, int *bad)
{
    uint64_t id = nlsh__load32(p);
    if (size == 8) memcpy(&id, p, sizeof id);
    if (is_signed && (size == 8 ? (int64_t)id == -1 : (uint32_t)id == UINT32_MAX))
        return NLSH_NO_KEY;
    *bad |= size == 8 ? id >= NLSH__NO_ROW : is_signed ? id > INT32_MAX : id == NLSH__NO_ROW;
    return id;
}

/* rows x k ids of size bytes at p, into *out. */
static enum nlsh_status take_ids(const char *name, const uint8_t *p, size_t n_rows, size_t k,
                                 size_t size, int is_signed, struct nlsh_neighbors *out,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    int bad = 0;
    size_t n = n_rows * k; /* the caller has seen them in the file */
    NLSH_TRY(nlsh__alloc(&out->ids, n, sizeof *out->ids, error));
    out->n_rows = n_rows;
    out->k = k;
    for (size_t i = 0; i < n; i++) {
        out->ids[i] = load_id(p + i * size, size, is_signed, &bad);
        if (!bad) continue;
        status =
            nlsh__fail(error, NLSH_E_DATA, "check that the file holds ids",
                       "%s: row %zu, column %zu is no id (counted from 0)", name, i / k, i % k);
        goto out;
    }
out:
    return status;
}

static enum nlsh_status npy_ids(const uint8_t *bytes, size_t size, const char *name,
                                struct nlsh_neighbors *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__npy npy;
    size_t n, need;
    NLSH_TRY(nlsh__npy_parse(name, bytes, size, &npy, error));
    NLSH_TRY(nlsh__npy_check(name, &npy, error));
    if (npy.fortran)
        return nlsh__fail(error, NLSH_E_DATA, "in numpy: np.save(path, np.ascontiguousarray(a))",
                          "%s: numpy's Fortran order is not read", name);
    const char *type = npy.descr;
    int known = type[0] == '<' && strchr("iu", type[1]) != NULL && strchr("48", type[2]) != NULL;
    if (!known || strlen(type) != 3)
        return nlsh__fail(error, NLSH_E_DATA, "in numpy: np.save(path, a.astype('<i4'))",
                          "%s: ids of the numpy type '%s' are not read (i4, u4, i8, u8 are)", name,
                          type);
    size_t width = (size_t)(type[2] - '0');
    int over = nlsh__mul(npy.shape[0], npy.shape[1], &n) != 0 || nlsh__mul(n, width, &need) != 0;
    if (n == 0 || over || need != size - npy.offset)
        return nlsh__fail(error, NLSH_E_DATA, "fetch or write the file again",
                          "%s: %zu rows of %zu ids are not what the file's %zu bytes hold", name,
                          npy.shape[0], npy.shape[1], size);
    status = take_ids(name, bytes + npy.offset, npy.shape[0], npy.shape[1], width, type[1] == 'i',
                      out, error);
out:
    return status;
}

enum nlsh_status nlsh__ids_of_matrix(const char *name, const struct nlsh_matrix *ids,
                                     struct nlsh_neighbors *out, struct nlsh_error *error)
{
    if (ids->type != NLSH_I32)
        return nlsh__fail(error, NLSH_E_DATA, "name the ids: ann-benchmarks calls them neighbors",
                          "%s: values of type %s are no ids", name, nlsh__type_name(ids->type));
    return take_ids(name, ids->data, ids->n_rows, ids->dim, 4, 1, out, error);
}

int nlsh__ids_parse(const uint8_t *bytes, size_t size, const char *name, struct nlsh_neighbors *out,
                    enum nlsh_status *status, struct nlsh_error *error)
{
    if (size >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0)
        *status = npy_ids(bytes, size, name, out, error);
    else if (size >= 8 &&
             (nlsh__bin_length(bytes, size, 4) == size || nlsh__bin_length(bytes, size, 8) == size))
        *status = take_ids(name, bytes + 8, nlsh__load32(bytes), nlsh__load32(bytes + 4), 4, 1, out,
                           error);
    else
        return 0;
    return 1;
}
