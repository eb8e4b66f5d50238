/* keys.c - see keys.h. */
#include "keys.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nlsh/learn.h"
#include "order.h"
#include "talk.h"
#include "words.h"

/* Keys as they are read. place is what a person counts: lines or values from 1. */
struct reading {
    const char *path;
    const char *place; /* "line" or "value" */
    uint64_t *keys;
    size_t n, capacity;
    struct words words; /* of .words: what the keys are of */
};

static const char *const keys_hint =
    "keys are whole numbers from 0 to 18446744073709551614, or the words of a file .words; one a "
    "vector, none twice";

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

static int bad_key(const struct reading *r, size_t at, const char *value, const char *what)
{
    return talk_error(EXIT_BAD_DATA, keys_hint, "%s, %s %zu: %.40s %s", r->path, r->place, at,
                      value, what);
}

static int add_key(struct reading *r, uint64_t key)
{
    if (r->n == r->capacity) {
        size_t larger = r->capacity ? 2 * r->capacity : 4096;
        uint64_t *keys = realloc(r->keys, larger * sizeof *keys);
        if (keys == NULL) return no_memory();
        r->keys = keys;
        r->capacity = larger;
    }
    r->keys[r->n++] = key;
    return key == NLSH_NO_KEY
               ? bad_key(r, r->n, "18446744073709551615", "is the number that means no key")
               : 0;
}

static int add_signed(struct reading *r, int64_t key)
{
    char text[24];
    if (key >= 0) return add_key(r, (uint64_t)key);
    snprintf(text, sizeof text, "%" PRId64, key);
    return bad_key(r, r->n + 1, text, "is below 0");
}

/* ---- text ------------------------------------------------------------------------------------ */

/* Blanks around the number are allowed. */
static int add_line(struct reading *r, char *line)
{
    char *end;
    while (isspace((unsigned char)*line)) line++;
    size_t length = strlen(line);
    while (length > 0 && isspace((unsigned char)line[length - 1])) line[--length] = '\0';
    if (line[0] == '-' && line[1 + strspn(line + 1, "0123456789")] == '\0' && length > 1) {
        return bad_key(r, r->n + 1, line, "is below 0");
    }
    if (length == 0 || line[strspn(line, "0123456789")] != '\0') {
        return bad_key(r, r->n + 1, length ? line : "an empty line", "is no whole number");
    }
    errno = 0;
    uint64_t key = strtoull(line, &end, 10);
    return errno == 0 ? add_key(r, key) : bad_key(r, r->n + 1, line, "is too large");
}

static int read_text(struct reading *r, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    int code = 0;
    r->place = "line";
    while (code == 0 && getline(&line, &room, file) >= 0) code = add_line(r, line);
    free(line);
    if (code == 0 && ferror(file)) code = talk_error(EXIT_IO, NULL, "cannot read %s", r->path);
    return code;
}

/* ---- numpy ----------------------------------------------------------------------------------- */

/* One value of little-endian integers. */
static int add_numpy(struct reading *r, const unsigned char *bytes, size_t size, bool is_signed)
{
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | bytes[i];
    if (!is_signed) return add_key(r, value);
    return add_signed(r, size == 4 ? (int32_t)(uint32_t)value : (int64_t)value);
}

/* What follows 'name': in the header. */
static const char *header_value(const char *header, const char *name)
{
    const char *at = strstr(header, name);
    if (at == NULL) return "";
    at += strlen(name);
    return at + strspn(at, " ");
}

/* The values that "(5,)", "(5, 1)" or "(1, 5)" hold; 0 for another shape. */
static size_t shape_count(const char *shape)
{
    size_t sides[2] = {1, 1}, n = 0;
    char *end;
    if (*shape++ != '(') return 0;
    while (*shape != ')' && n < 2) {
        sides[n++] = strtoull(shape, &end, 10);
        if (end == shape) return 0;
        shape = end + strspn(end, ", ");
    }
    return *shape == ')' && n > 0 && (sides[0] == 1 || sides[1] == 1) ? sides[0] * sides[1] : 0;
}

/* Format 1.0 to 3.0: magic, version, length of the header, header, values. */
static int read_numpy(struct reading *r, FILE *file)
{
    unsigned char head[12], bytes[8];
    char header[4096];
    size_t length = 0, length_bytes;
    r->place = "value";
    if (fread(head, 1, 8, file) != 8 || memcmp(head, "\x93NUMPY", 6) != 0) goto bad;
    length_bytes = head[6] == 1 ? 2 : 4;
    if (fread(head, 1, length_bytes, file) != length_bytes) goto bad;
    for (size_t i = length_bytes; i-- > 0;) length = length << 8 | head[i];
    if (length >= sizeof header || fread(header, 1, length, file) != length) goto bad;
    header[length] = '\0';

    const char *type = header_value(header, "'descr':");
    bool is_signed = type[2] == 'i';
    size_t size = type[3] == '4' ? 4 : 8;
    size_t n = shape_count(header_value(header, "'shape':"));
    if (strncmp(type, "'<", 2) != 0 || strchr("iu", type[2]) == NULL ||
        strchr("48", type[3]) == NULL || type[4] != '\'' || n == 0) {
        goto bad;
    }
    for (size_t i = 0; i < n; i++) {
        if (fread(bytes, 1, size, file) != size) goto bad;
        int code = add_numpy(r, bytes, size, is_signed);
        if (code != 0) return code;
    }
    return 0;
bad:
    return talk_error(EXIT_BAD_DATA, "save a one-dimensional array of int64 or uint64",
                      "%s holds no row or column of whole numbers as numpy saves them", r->path);
}

/* ---- ivecs ----------------------------------------------------------------------------------- */

static int read_ivecs(struct reading *r)
{
    struct nlsh_error error = {0};
    struct nlsh_vectors *vectors;
    r->place = "value";
    if (nlsh_vectors_read(r->path, NLSH_FORMAT_IVECS, &vectors, &error) != NLSH_OK) {
        return talk_failed(&error);
    }
    const struct nlsh_matrix *m = nlsh_vectors_matrix(vectors);
    int code = 0;
    if (m->dim != 1 && m->n_rows != 1) {
        code = talk_error(EXIT_BAD_DATA, keys_hint, "%s holds %zu rows of %zu numbers", r->path,
                          m->n_rows, m->dim);
    }
    for (size_t i = 0; code == 0 && i < m->n_rows * m->dim; i++) {
        code = add_signed(r, ((const int32_t *)m->data)[i]);
    }
    nlsh_vectors_free(vectors);
    return code;
}

/* ---- words ----------------------------------------------------------------------------------- */

static int read_words(struct reading *r)
{
    r->place = "line";
    int code = words_read(r->path, &r->words);
    for (size_t i = 0; code == 0 && i < r->words.n; i++) code = add_key(r, r->words.keys[i]);
    return code;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static int is_twice(const struct reading *r, size_t first, size_t second)
{
    char text[24], what[64];
    snprintf(what, sizeof what, "is there twice, first on %s %zu", r->place, first + 1);
    snprintf(text, sizeof text, "%" PRIu64, r->keys[second]);
    return bad_key(r, second + 1, r->words.n > 0 ? r->words.words[second] : text, what);
}

static int check_twice(const struct reading *r)
{
    size_t *places = calloc(r->n ? r->n : 1, sizeof *places);
    if (places == NULL) return no_memory();
    int code = order_by_key(r->keys, r->n, places);
    for (size_t i = 1; code == 0 && i < r->n; i++)
        if (r->keys[places[i]] == r->keys[places[i - 1]])
            code = is_twice(r, places[i - 1], places[i]);
    free(places);
    return code;
}

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n > m && strcmp(path + n - m, ending) == 0;
}

static int read_file(struct reading *r)
{
    if (ends_with(r->path, ".ivecs")) return read_ivecs(r);
    if (ends_with(r->path, ".words")) return read_words(r);
    FILE *file = fopen(r->path, "rb");
    if (file == NULL) {
        return talk_error(EXIT_NO_INPUT, NULL, "cannot open %s: %s", r->path, strerror(errno));
    }
    int code = ends_with(r->path, ".npy") ? read_numpy(r, file) : read_text(r, file);
    fclose(file);
    return code;
}

int keys_list(const char *path, uint64_t **out, size_t *n)
{
    struct reading r = {.path = path};
    int code = read_file(&r);
    words_free(&r.words);
    *out = code == 0 ? r.keys : NULL;
    *n = r.n;
    if (code != 0) free(r.keys);
    return code;
}

int keys_read(const char *path, size_t n_rows, uint64_t **out)
{
    struct reading r = {.path = path};
    int code = read_file(&r);
    if (code == 0 && r.n != n_rows) {
        code = talk_error(EXIT_BAD_DATA, keys_hint, "%s holds %zu keys, the base %zu vectors", path,
                          r.n, n_rows);
    }
    if (code == 0) code = check_twice(&r);
    words_free(&r.words);
    *out = code == 0 ? r.keys : NULL;
    if (code != 0) free(r.keys);
    return code;
}
