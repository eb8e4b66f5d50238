/* vector.c - see vector.h. */
#include "vector.h"

#include <math.h>
#include <string.h>

#include "base/matrix.h"
#include "json.h"
#include "kernels/metric.h"

SQLITE_EXTENSION_INIT3

/* A number takes two bytes of JSON at least: itself, and what parts it from the next. */
enum { JSON_BYTES = 2 };

/* ---- reading --------------------------------------------------------------------------------- */

static int say(char **message, char *words)
{
    *message = words;
    return words != NULL ? SQLITE_ERROR : SQLITE_NOMEM;
}

static int of_json(sqlite3_value *value, const char *what, float *out, size_t room, size_t *dim,
                   char **message)
{
    struct nlsh__sqlite_json_error error;
    const char *text = (const char *)sqlite3_value_text(value);
    if (text == NULL) return SQLITE_NOMEM;
    *dim = nlsh__sqlite_json_read(text, (size_t)sqlite3_value_bytes(value), out, room, &error);
    if (*dim != (size_t)-1) return SQLITE_OK;
    return say(message, sqlite3_mprintf("%s: no JSON array of numbers: at character %lld: %s", what,
                                        (sqlite3_int64)error.at + 1, error.words));
}

static int of_blob(sqlite3_value *value, const char *what, float *out, size_t room, size_t *dim,
                   char **message)
{
    const void *bytes = sqlite3_value_blob(value);
    size_t size = (size_t)sqlite3_value_bytes(value);
    unsigned subtype = sqlite3_value_subtype(value);
    int half = subtype == NLSH__SQL_IS_F16;
    if (bytes == NULL && size > 0) return SQLITE_NOMEM;
    if (subtype != 0 && !half && subtype != NLSH__SQL_IS_F32)
        return say(message,
                   sqlite3_mprintf("%s: a vector of bits or bytes: give it as floats", what));
    if (size == 0 || size % (half ? 2 : 4) != 0)
        return say(message, sqlite3_mprintf("%s: a blob of %lld bytes is no vector of %s values",
                                            what, (sqlite3_int64)size, half ? "f16" : "f32"));
    *dim = size / (half ? 2 : 4);
    size_t n = *dim < room ? *dim : room;
    nlsh__row_to_f32(bytes, half ? NLSH_F16 : NLSH_F32, n, out);
    return SQLITE_OK;
}

static int read_values(sqlite3_value *value, const char *what, float *out, size_t room, size_t *dim,
                       char **message)
{
    static const char *const types[] = {"an integer", "a float", "text", "a blob", "NULL"};
    int type = sqlite3_value_type(value);
    *message = NULL;
    *dim = 0;
    if (type == SQLITE_TEXT) return of_json(value, what, out, room, dim, message);
    if (type == SQLITE_BLOB) return of_blob(value, what, out, room, dim, message);
    return say(message,
               sqlite3_mprintf("%s: %s is no vector: give a blob of f32 values or JSON text", what,
                               types[type - 1]));
}

static int check_values(const float *values, size_t dim, const char *what, char **message)
{
    for (size_t d = 0; d < dim; d++)
        if (!(fabsf(values[d]) <= NLSH__MOST_VALUE))
            return say(message, sqlite3_mprintf("%s: value %lld is %s", what, (sqlite3_int64)d,
                                                isnan(values[d])   ? "NaN"
                                                : isinf(values[d]) ? "infinite"
                                                                   : "larger than 1e15"));
    return SQLITE_OK;
}

int nlsh__sqlite_vector_of(sqlite3_value *value, const char *what, struct nlsh__sqlite_vector *out,
                           char **message)
{
    size_t room = (size_t)sqlite3_value_bytes(value) / JSON_BYTES + 1;
    *message = NULL;
    *out = (struct nlsh__sqlite_vector){sqlite3_malloc64(room * sizeof(float)), 0};
    int rc = out->values == NULL ? SQLITE_NOMEM
                                 : read_values(value, what, out->values, room, &out->dim, message);
    if (rc == SQLITE_OK) rc = check_values(out->values, out->dim, what, message);
    if (rc == SQLITE_OK) return rc;
    sqlite3_free(out->values);
    *out = (struct nlsh__sqlite_vector){NULL, 0};
    return rc;
}

int nlsh__sqlite_vector_into(sqlite3_value *value, const char *what, enum nlsh_metric metric,
                             size_t dim, float *out, char **message)
{
    size_t has;
    int rc = read_values(value, what, out, dim, &has, message);
    if (rc != SQLITE_OK) return rc;
    if (has != dim)
        return say(message,
                   sqlite3_mprintf("%s: a vector of dimension %lld, where the table has %lld", what,
                                   (sqlite3_int64)has, (sqlite3_int64)dim));
    rc = check_values(out, dim, what, message);
    if (rc != SQLITE_OK || metric != NLSH_COSINE) return rc;
    for (size_t d = 0; d < dim; d++)
        if (out[d] != 0) return SQLITE_OK;
    return say(message, sqlite3_mprintf(
                            "%s: all values are 0: it has no direction, and so no cosine", what));
}

/* ---- writing --------------------------------------------------------------------------------- */

char *nlsh__sqlite_json(const float *values, size_t dim)
{
    enum { LEAST = 6, MOST = 9 }; /* digits: 9 tell all floats apart */
    sqlite3_str *text = sqlite3_str_new(NULL);
    sqlite3_str_appendchar(text, 1, '[');
    for (size_t d = 0; d < dim; d++) {
        struct nlsh__sqlite_json_error error;
        char number[40] = "[";
        float back = 0;
        for (int digits = LEAST; digits <= MOST; digits++) {
            sqlite3_snprintf(sizeof number - 1, number + 1, "%.*g]", digits, (double)values[d]);
            if (nlsh__sqlite_json_read(number, strlen(number), &back, 1, &error) == 1 &&
                back == values[d])
                break;
        }
        number[strlen(number) - 1] = '\0';
        sqlite3_str_appendall(text, d > 0 ? "," : "");
        sqlite3_str_appendall(text, number + 1);
    }
    sqlite3_str_appendchar(text, 1, ']');
    return sqlite3_str_finish(text);
}

uint16_t nlsh__sqlite_to_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size >= 0x47800000) /* 65,536 or more, infinite, NaN */
        return (uint16_t)(sign | (size > 0x7f800000 ? 0x7e00 : 0x7c00));
    if (size < 0x33000000) return (uint16_t)sign; /* below half of the least */
    uint32_t shift = 13, fraction;
    if (size < 0x38800000) { /* below 2^-14: no leading 1 in front of the fraction */
        shift = 126 - (size >> 23);
        fraction = (size & 0x7fffff) | 0x800000;
    } else {
        fraction = size - (112u << 23);
    }
    uint32_t half = fraction >> shift, rest = fraction & ((1u << shift) - 1),
             middle = 1u << (shift - 1);
    half += rest > middle || (rest == middle && (half & 1));
    return (uint16_t)(sign | half);
}
