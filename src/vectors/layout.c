/*
 * layout.c - the headers of the vector files, checked against the file's length.
 *
 * Sources: IDX as Yann LeCun's MNIST page gives it; fvecs, bvecs, ivecs as the TEXMEX corpus page
 * gives them; fbin, u8bin, i8bin, ibin, f16bin as big-ann-benchmarks writes them. See docs/formats.md.
 */
#include "base/error.h"
#include "base/memory.h"
#include "vectors/parse.h"

static enum nlsh_status too_short(const char *name, const char *format, uint64_t have,
                                  uint64_t need, struct nlsh_error *error)
{
    if (have == 0)
        return nlsh__fail(error, NLSH_E_DATA, "fetch or write the file again",
                          "%s: the file is empty", name);
    return nlsh__fail(error, NLSH_E_DATA, "fetch or write the file again",
                      "%s: truncated: a header of %s needs at least %llu bytes, the file has %llu",
                      name, format, (unsigned long long)need, (unsigned long long)have);
}

/* Sets row_bytes from dim; compares n_rows of them behind offset with the file's length. */
static enum nlsh_status check_length(const char *name, const char *format, uint64_t total,
                                     uint64_t bound, struct nlsh__layout *l,
                                     struct nlsh_error *error)
{
    static const char not_it[] = "the header is damaged, or this is no file of that format";
    uint64_t need = 0;
    int over = __builtin_mul_overflow(l->dim, nlsh__type_size(l->type), &l->row_bytes) ||
               __builtin_mul_overflow(l->row_bytes, l->n_rows, &need) ||
               __builtin_add_overflow(need, l->offset, &need);
    if (l->n_rows == 0 || l->dim == 0)
        return nlsh__fail(error, NLSH_E_DATA, NULL, "%s: holds no vectors (%zu rows of %zu values)",
                          name, l->n_rows, l->dim);
    uint64_t most = total != NLSH__UNKNOWN ? total : bound;
    if (over)
        return nlsh__fail(error, NLSH_E_DATA, not_it,
                          "%s: the header (%s) claims %zu rows of %zu values: no file has so many",
                          name, format, l->n_rows, l->dim);
    if (need > most && total == NLSH__UNKNOWN)
        return nlsh__fail(error, NLSH_E_DATA, "the header is damaged, or the file is truncated",
                          "%s: the header (%s) claims %zu rows of %zu values, %llu bytes; "
                          "so small a compressed file holds %llu at most",
                          name, format, l->n_rows, l->dim, (unsigned long long)need,
                          (unsigned long long)most);
    if (need > most)
        return nlsh__fail(error, NLSH_E_DATA, "fetch or write the file again",
                          "%s: truncated: %llu bytes are missing (%s: %zu rows of %zu values, "
                          "%llu bytes; the file has %llu)",
                          name, (unsigned long long)(need - most), format, l->n_rows, l->dim,
                          (unsigned long long)need, (unsigned long long)most);
    if (total != NLSH__UNKNOWN && need < total)
        return nlsh__fail(error, NLSH_E_DATA, not_it,
                          "%s: %llu bytes too many behind the last row (%s: %zu rows of %zu "
                          "values, %llu bytes; the file has %llu)",
                          name, (unsigned long long)(total - need), format, l->n_rows, l->dim,
                          (unsigned long long)need, (unsigned long long)total);
    return NLSH_OK;
}

/* ---- IDX ------------------------------------------------------------------------------------- */

static uint32_t load32_big(const uint8_t *p)
{
    return __builtin_bswap32(nlsh__load32(p));
}

static enum nlsh_status idx_type(const char *name, uint8_t code, struct nlsh__layout *l,
                                 struct nlsh_error *error)
{
    switch (code) {
    case 0x08: l->type = NLSH_U8; return NLSH_OK;
    case 0x09: l->type = NLSH_I8; return NLSH_OK;
    case 0x0d:
        l->type = NLSH_F32;
        l->swap = 1;
        return NLSH_OK;
    case 0x0b:
    case 0x0c:
    case 0x0e:
        return nlsh__fail(error, NLSH_E_DATA, "convert it to unsigned bytes or f32",
                          "%s: IDX values of type 0x%02x (%s) are not read", name, code,
                          code == 0x0b   ? "i16"
                          : code == 0x0c ? "i32"
                                         : "f64");
    default:
        return nlsh__fail(error, NLSH_E_DATA, "fetch the file again, or name its format",
                          "%s: no IDX file: the type byte is 0x%02x", name, code);
    }
}

static enum nlsh_status idx_layout(const char *name, const uint8_t *head, size_t head_size,
                                   struct nlsh__layout *l, struct nlsh_error *error)
{
    if (head_size < 4) return too_short(name, "idx", head_size, 4, error);
    if (head[0] != 0 || head[1] != 0)
        return nlsh__fail(error, NLSH_E_DATA, "fetch the file again, or name its format",
                          "%s: no IDX file: it begins with 0x%02x%02x, not with 0x0000", name,
                          head[0], head[1]);
    enum nlsh_status status = idx_type(name, head[2], l, error);
    if (status != NLSH_OK) return status;
    size_t n_dims = head[3];
    if (n_dims == 1)
        return nlsh__fail(error, NLSH_E_DATA,
                          "name the file of vectors beside it, e.g. train-images-idx3-ubyte.gz",
                          "%s: IDX of one dimension: labels, not vectors", name);
    if (n_dims == 0 || n_dims > 8)
        return nlsh__fail(error, NLSH_E_DATA, "fetch the file again, or name its format",
                          "%s: an IDX file of %zu dimensions", name, n_dims);
    l->offset = 4 + 4 * n_dims;
    if (head_size < l->offset) return too_short(name, "idx", head_size, l->offset, error);
    l->n_rows = load32_big(head + 4);
    l->dim = 1;
    for (size_t i = 1; i < n_dims; i++) /* an image becomes one row */
        if (nlsh__mul(l->dim, load32_big(head + 4 + 4 * i), &l->dim) != 0)
            return nlsh__fail(error, NLSH_E_DATA, "the header is damaged",
                              "%s: the sizes in the IDX header overflow", name);
    return NLSH_OK;
}

/* ---- fvecs, bvecs, ivecs; fbin, u8bin, i8bin, ibin, f16bin ------------------------------------------------- */

static enum nlsh_status prefixed_layout(const char *name, const char *format, const uint8_t *head,
                                        size_t head_size, uint64_t total, struct nlsh__layout *l,
                                        struct nlsh_error *error)
{
    if (head_size < 4) return too_short(name, format, head_size, 4, error);
    int32_t dim = (int32_t)nlsh__load32(head);
    if (dim <= 0)
        return nlsh__fail(error, NLSH_E_DATA, "fetch the file again, or name its format",
                          "%s: no %s file: row 0 has dimension %d", name, format, dim);
    l->prefixed = 1;
    l->dim = (size_t)dim;
    l->row_bytes = l->dim * nlsh__type_size(l->type); /* < 2^33 */
    size_t row = 4 + l->row_bytes;
    if (total != NLSH__UNKNOWN && total % row == 0) l->n_rows = (size_t)(total / row);
    return NLSH_OK;
}

static enum nlsh_status bin_layout(const char *name, const char *format, const uint8_t *head,
                                   size_t head_size, struct nlsh__layout *l,
                                   struct nlsh_error *error)
{
    if (head_size < 8) return too_short(name, format, head_size, 8, error);
    l->n_rows = nlsh__load32(head);
    l->dim = nlsh__load32(head + 4);
    l->offset = 8;
    return NLSH_OK;
}

static enum nlsh_type type_of(enum nlsh_format format)
{
    switch (format) {
    case NLSH_FORMAT_BVECS:
    case NLSH_FORMAT_U8BIN: return NLSH_U8;
    case NLSH_FORMAT_I8BIN: return NLSH_I8;
    case NLSH_FORMAT_IVECS:
    case NLSH_FORMAT_IBIN: return NLSH_I32;
    case NLSH_FORMAT_F16BIN: return NLSH_F16;
    default: return NLSH_F32;
    }
}

enum nlsh_status nlsh__layout_of(enum nlsh_format format, const char *name, const uint8_t *head,
                                 size_t head_size, uint64_t total, uint64_t bound,
                                 struct nlsh__layout *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    const char *word = nlsh_format_name(format);
    *out = (struct nlsh__layout){.type = type_of(format)};
    switch (format) {
    case NLSH_FORMAT_FVECS:
    case NLSH_FORMAT_BVECS:
    case NLSH_FORMAT_IVECS: return prefixed_layout(name, word, head, head_size, total, out, error);
    case NLSH_FORMAT_FBIN:
    case NLSH_FORMAT_U8BIN:
    case NLSH_FORMAT_I8BIN:
    case NLSH_FORMAT_IBIN:
    case NLSH_FORMAT_F16BIN: status = bin_layout(name, word, head, head_size, out, error); break;
    case NLSH_FORMAT_IDX: status = idx_layout(name, head, head_size, out, error); break;
    case NLSH_FORMAT_NPY:
        if (head_size < 10)
            status = too_short(name, word, head_size, 10, error);
        else
            status = nlsh__npy_header(name, head, head_size, out, error);
        break;
    default:
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s: %d is no vector format", name, (int)format);
    }
    if (status != NLSH_OK) return status;
    return check_length(name, word, total, bound, out, error);
}
