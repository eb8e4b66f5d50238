/*
 * npy.c - the header of a .npy file: numpy's own format, versions 1.0 to 3.0.
 *
 * Magic, version, length, then a Python dict as text: {'descr': '<f4', 'fortran_order': False,
 * 'shape': (60000, 784), }. Read here by a small scanner for just that: three known keys in any
 * order, a string, a truth value, a tuple of numbers.
 */
#include <ctype.h>

#include "base/error.h"
#include "vectors/parse.h"

struct scanner {
    const char *p, *end;
};

struct dict {
    struct nlsh__npy *npy;
    unsigned seen; /* bit 0 descr, 1 fortran_order, 2 shape */
};

static void skip_spaces(struct scanner *s)
{
    while (s->p < s->end && isspace((unsigned char)*s->p)) s->p++;
}

static int next_is(struct scanner *s, char c)
{
    skip_spaces(s);
    if (s->p >= s->end || *s->p != c) return 0;
    s->p++;
    return 1;
}

/* A quoted string into out; longer ones are an error. */
static int scan_string(struct scanner *s, char *out, size_t out_size)
{
    char quote = '\'';
    if (!next_is(s, '\'')) {
        if (!next_is(s, '"')) return 0;
        quote = '"';
    }
    size_t n = 0;
    while (s->p < s->end && *s->p != quote) {
        if (n + 1 >= out_size || *s->p == '\\') return 0;
        out[n++] = *s->p++;
    }
    out[n] = '\0';
    return next_is(s, quote);
}

static int scan_word(struct scanner *s, const char *word)
{
    skip_spaces(s);
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0) return 0;
    s->p += n;
    return 1;
}

static int scan_number(struct scanner *s, size_t *out)
{
    skip_spaces(s);
    const char *start = s->p;
    *out = 0;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        if (__builtin_mul_overflow(*out, (size_t)10, out) ||
            __builtin_add_overflow(*out, (size_t)(*s->p - '0'), out))
            return 0;
    if (s->p == start) return 0;
    if (s->p < s->end && *s->p == 'L') s->p++; /* written by Python 2 */
    return 1;
}

static int scan_shape(struct scanner *s, struct nlsh__npy *d)
{
    if (!next_is(s, '(')) return 0;
    while (!next_is(s, ')')) {
        if (d->n_shape == sizeof d->shape / sizeof d->shape[0]) return 0;
        if (!scan_number(s, &d->shape[d->n_shape++])) return 0;
        if (!next_is(s, ',')) return next_is(s, ')');
    }
    return 1;
}

static int scan_value(struct scanner *s, const char *key, struct dict *d)
{
    unsigned bit;
    if (strcmp(key, "descr") == 0) {
        bit = 1;
        if (next_is(s, '[')) { /* what follows does not matter: it is not read */
            d->npy->structured = 1;
            return 1;
        }
        if (!scan_string(s, d->npy->descr, sizeof d->npy->descr)) return 0;
    } else if (strcmp(key, "fortran_order") == 0) {
        bit = 2;
        d->npy->fortran = scan_word(s, "True");
        if (!d->npy->fortran && !scan_word(s, "False")) return 0;
    } else if (strcmp(key, "shape") == 0) {
        bit = 4;
        if (!scan_shape(s, d->npy)) return 0;
    } else {
        return 0;
    }
    if (d->seen & bit) return 0;
    d->seen |= bit;
    return 1;
}

static int scan_dict(struct scanner *s, struct dict *d)
{
    char key[16];
    if (!next_is(s, '{')) return 0;
    while (!next_is(s, '}')) {
        if (!scan_string(s, key, sizeof key) || !next_is(s, ':')) return 0;
        if (!scan_value(s, key, d)) return 0;
        if (d->npy->structured) return 1;
        if (!next_is(s, ',')) {
            if (!next_is(s, '}')) return 0;
            break;
        }
    }
    skip_spaces(s);
    return s->p == s->end && d->seen == 7;
}

enum nlsh_status nlsh__npy_check(const char *name, const struct nlsh__npy *d,
                                 struct nlsh_error *error)
{
    if (d->structured)
        return nlsh__fail(error, NLSH_E_DATA, "in numpy: np.save(path, a['field'].astype('<f4'))",
                          "%s: a numpy record type is not read", name);
    if (d->n_shape != 2)
        return nlsh__fail(error, NLSH_E_DATA, "in numpy: np.save(path, a.reshape(len(a), -1))",
                          "%s: an array of %zu dimensions; two are wanted", name, d->n_shape);
    return NLSH_OK;
}

/* numpy's words for the types that are read, behind the byte order. */
static const struct {
    const char *word;
    enum nlsh_type type;
} types[] = {
    {"f4", NLSH_F32}, {"f8", NLSH_F64}, {"f2", NLSH_F16},
    {"u1", NLSH_U8},  {"i1", NLSH_I8},  {"i4", NLSH_I32},
};

static enum nlsh_status interpret(const char *name, const struct nlsh__npy *d,
                                  struct nlsh__layout *out, struct nlsh_error *error)
{
    if (d->structured) return nlsh__npy_check(name, d, error);
    char order = d->descr[0];
    size_t i = 0, n = sizeof types / sizeof types[0];
    while (i < n && strcmp(d->descr + (order != '\0'), types[i].word) != 0) i++;
    if (i == n || strchr("|<>=", order) == NULL)
        return nlsh__fail(error, NLSH_E_DATA, "in numpy: np.save(path, a.astype('<f4'))",
                          "%s: the numpy type '%s' is not read (f4, f8, f2, u1, i1, i4 are)", name,
                          d->descr);
    enum nlsh_status status = nlsh__npy_check(name, d, error);
    if (status != NLSH_OK) return status;
    out->type = types[i].type;
    out->swap = order == '>';
    out->columns = d->fortran;
    out->offset = d->offset;
    out->n_rows = d->shape[0];
    out->dim = d->shape[1];
    return NLSH_OK;
}

enum nlsh_status nlsh__npy_parse(const char *name, const uint8_t *head, size_t head_size,
                                 struct nlsh__npy *out, struct nlsh_error *error)
{
    static const char again[] = "fetch the file again, or write it with numpy.save";
    if (head_size < 12 || memcmp(head, "\x93NUMPY", 6) != 0)
        return nlsh__fail(error, NLSH_E_DATA, "name its format, or write it with numpy.save",
                          "%s: no .npy file: it does not begin with \\x93NUMPY", name);
    if (head[6] < 1 || head[6] > 3 || head[7] != 0)
        return nlsh__fail(error, NLSH_E_DATA, "write it with numpy.save",
                          "%s: .npy version %d.%d is not read", name, head[6], head[7]);
    size_t at = head[6] == 1 ? 10 : 12;
    size_t length = head[6] == 1 ? (size_t)head[8] | (size_t)head[9] << 8 : nlsh__load32(head + 8);
    if (length > 65536) /* the dict takes about 100 bytes; head shows 64 KiB at least */
        return nlsh__fail(error, NLSH_E_DATA, again, "%s: a .npy header of %zu bytes", name,
                          length);
    if (length > head_size - at)
        return nlsh__fail(error, NLSH_E_DATA, again,
                          "%s: truncated: the .npy header misses %zu bytes", name,
                          length - (head_size - at));
    struct scanner s = {(const char *)head + at, (const char *)head + at + length};
    *out = (struct nlsh__npy){.offset = at + length};
    struct dict d = {.npy = out};
    if (!scan_dict(&s, &d))
        return nlsh__fail(error, NLSH_E_DATA, again, "%s: the .npy header cannot be read", name);
    return NLSH_OK;
}

enum nlsh_status nlsh__npy_header(const char *name, const uint8_t *head, size_t head_size,
                                  struct nlsh__layout *out, struct nlsh_error *error)
{
    struct nlsh__npy npy;
    enum nlsh_status status = nlsh__npy_parse(name, head, head_size, &npy, error);
    return status == NLSH_OK ? interpret(name, &npy, out, error) : status;
}
