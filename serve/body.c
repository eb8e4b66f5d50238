/*
 * body.c - see body.h. JSON as RFC 8259 has it, of the one shape that is expected: an object of numbers, words and
 * lists of numbers. The reader goes forward once and never looks behind the NUL at the text's end.
 *
 * Numbers: a whole number of up to 2^53 times or over a power of ten of up to 22 is one operation on two exact
 * doubles, so it is rounded once (Clinger, "How to read floating point numbers accurately", 1990, section 3); the others
 * are strtod()'s.
 */
#include "serve/body.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

struct reader {
    const char *what; /* is read, for messages */
    const char *text, *at, *end;
    size_t dim;
    unsigned allows;
    const struct nlsh__limits *limits;
    struct nlsh__question *asked;
    size_t vectors_capacity, keys_capacity; /* values */
    struct nlsh_error *error;
};

#define WRONG(r, hint, ...) nlsh__fail((r)->error, NLSH_E_ARG, hint, __VA_ARGS__)

static size_t place(const struct reader *r)
{
    return (size_t)(r->at - r->text);
}

static enum nlsh_status unexpected(struct reader *r, const char *wanted)
{
    if (r->at == r->end)
        return WRONG(r, "send the whole text", "%s ends at byte %zu, where %s is wanted", r->what,
                     place(r), wanted);
    return WRONG(r, "see docs/serve.md for what a request says",
                 "%s, byte %zu: %s is wanted, not 0x%02x", r->what, place(r), wanted,
                 (unsigned char)*r->at);
}

/* ---- characters ------------------------------------------------------------------------------ */

static void skip_space(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t') r->at++;
}

/* Whether c comes, and if so goes past it. */
static int takes(struct reader *r, char c)
{
    skip_space(r);
    if (*r->at != c || r->at == r->end) return 0;
    r->at++;
    return 1;
}

static enum nlsh_status expect(struct reader *r, char c, const char *wanted)
{
    return takes(r, c) ? NLSH_OK : unexpected(r, wanted);
}

/* A string without escapes, as all that mean something here are. */
static enum nlsh_status read_string(struct reader *r, char *out, size_t size)
{
    enum nlsh_status status;
    size_t n = 0;
    NLSH_TRY(expect(r, '"', "a string"));
    for (; r->at < r->end && *r->at != '"' && *r->at != '\\'; r->at++) {
        if ((unsigned char)*r->at < 0x20 || n + 1 >= size) return unexpected(r, "a known name");
        out[n++] = *r->at;
    }
    out[n] = '\0';
    if (r->at == r->end || *r->at != '"') return unexpected(r, "the end of a string");
    r->at++;
out:
    return status;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number's digits: mantissa x 10^exponent, of which is_all says whether nothing was left out. */
struct decimal {
    uint64_t mantissa;
    int exponent, is_all, is_negative;
};

static void add_digit(struct decimal *d, char c, int is_fraction)
{
    if (d->mantissa > (UINT64_MAX - 9) / 10) {
        d->is_all = 0;
        return;
    }
    d->mantissa = d->mantissa * 10 + (uint64_t)(c - '0');
    d->exponent -= is_fraction;
}

/* Goes past a number. -1 where there is none; at stands where it fails. */
static int read_decimal(struct reader *r, struct decimal *d)
{
    *d = (struct decimal){.is_all = 1};
    if (*r->at == '-') {
        d->is_negative = 1;
        r->at++;
    }
    if (!is_digit(*r->at)) return -1;
    if (*r->at == '0' && is_digit(r->at[1])) return -1;
    for (; is_digit(*r->at); r->at++) add_digit(d, *r->at, 0);
    if (*r->at == '.') {
        if (!is_digit(*++r->at)) return -1;
        for (; is_digit(*r->at); r->at++) add_digit(d, *r->at, 1);
    }
    if (*r->at == 'e' || *r->at == 'E') {
        int sign = 1, exponent = 0;
        r->at++;
        if (*r->at == '+' || *r->at == '-') sign = *r->at++ == '-' ? -1 : 1;
        if (!is_digit(*r->at)) return -1;
        for (; is_digit(*r->at); r->at++)
            if (exponent < 10000) exponent = exponent * 10 + (*r->at - '0');
        d->exponent += sign * exponent;
    }
    return 0;
}

static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static enum nlsh_status read_number(struct reader *r, double *out)
{
    struct decimal d;
    skip_space(r);
    const char *begin = r->at;
    if (read_decimal(r, &d) != 0) return unexpected(r, "a number");
    if (d.is_all && d.mantissa <= UINT64_C(1) << 53 && d.exponent >= -22 && d.exponent <= 22) {
        double m = (double)d.mantissa;
        m = d.exponent < 0 ? m / tens[-d.exponent] : m * tens[d.exponent];
        *out = d.is_negative ? -m : m;
    } else {
        *out = strtod(begin, NULL);
    }
    return NLSH_OK;
}

static enum nlsh_status read_whole(struct reader *r, const char *name, const char *hint,
                                   size_t least, size_t most, size_t *out)
{
    double number = 0;
    enum nlsh_status status = read_number(r, &number);
    if (status != NLSH_OK) return status;
    if (number < (double)least || number > (double)most || number != floor(number))
        return WRONG(r, hint, "%s is %.10g: it is a whole number from %zu to %zu", name, number,
                     least, most);
    *out = (size_t)number;
    return NLSH_OK;
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* Room for n values of size bytes in all. */
static enum nlsh_status grow(void **values, size_t *capacity, size_t n, size_t size,
                             struct nlsh_error *error)
{
    if (n <= *capacity) return NLSH_OK;
    void *more;
    size_t wanted = *capacity * 2 > n ? *capacity * 2 : n;
    enum nlsh_status status = nlsh__alloc(&more, wanted, size, error);
    if (status != NLSH_OK) return status;
    if (*capacity > 0) memcpy(more, *values, *capacity * size);
    nlsh__free(*values);
    *values = more;
    *capacity = wanted;
    return NLSH_OK;
}

static enum nlsh_status dimension_wrong(struct reader *r, const char *how)
{
    return WRONG(r, "give vectors of the index's dimension",
                 "vector %zu has %s values; the index has %zu", r->asked->n_vectors, how, r->dim);
}

/* Whole numbers of few digits with a comma behind each, as the values of pictures are, at most room of them. A request of
 * 784 is answered 9 us sooner than by read_number() (bench_serve). */
static size_t read_short_numbers(struct reader *r, float *out, size_t room)
{
    const char *at = r->at;
    size_t n = 0;
    while (n < room) {
        const char *digit = at;
        uint32_t whole = 0;
        for (; is_digit(*digit) && digit - at < 9; digit++)
            whole = whole * 10 + (uint32_t)(*digit - '0');
        if (digit == at || *digit != ',' || (*at == '0' && digit - at > 1)) break;
        out[n++] = (float)whole;
        at = digit + 1;
    }
    r->at = at;
    return n;
}

static enum nlsh_status read_vector(struct reader *r)
{
    enum nlsh_status status;
    struct nlsh__question *a = r->asked;
    void *values = a->vectors;
    size_t n = 0;
    if (a->n_vectors == r->limits->n_vectors)
        return WRONG(r, "send them in several requests", "there are more than %zu vectors",
                     r->limits->n_vectors);
    status =
        grow(&values, &r->vectors_capacity, (a->n_vectors + 1) * r->dim, sizeof(float), r->error);
    a->vectors = values;
    if (status != NLSH_OK) return status;
    float *out = a->vectors + a->n_vectors * r->dim;
    NLSH_TRY(expect(r, '[', "a list of numbers"));
    if (!takes(r, ']')) {
        do {
            double value = 0;
            n += read_short_numbers(r, out + n, r->dim - n);
            if (n == r->dim) return dimension_wrong(r, "more");
            NLSH_TRY(read_number(r, &value));
            if (!(fabs(value) <= (double)FLT_MAX))
                return WRONG(r, "replace the value", "vector %zu: value %zu is beyond f32",
                             a->n_vectors, n);
            out[n++] = (float)value;
        } while (takes(r, ','));
        NLSH_TRY(expect(r, ']', "a comma or the end of a list"));
    }
    if (n != r->dim) return dimension_wrong(r, "fewer");
    a->n_vectors++;
out:
    return status;
}

static enum nlsh_status read_vectors(struct reader *r)
{
    enum nlsh_status status;
    NLSH_TRY(expect(r, '[', "a list of vectors"));
    if (takes(r, ']')) return NLSH_OK;
    do NLSH_TRY(read_vector(r));
    while (takes(r, ','));
    NLSH_TRY(expect(r, ']', "a comma or the end of the list of vectors"));
out:
    return status;
}

/* Digits alone. -1 where they are no key. */
static int key_of(const char *digits, size_t n, uint64_t *out)
{
    uint64_t key = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned)(digits[i] - '0');
        if (digit > 9 || key > (UINT64_MAX - digit) / 10) return -1;
        key = key * 10 + digit;
    }
    *out = key;
    return n > 0 && key != NLSH_NO_KEY ? 0 : -1;
}

/* A whole number, or a string of one: beyond 2^53 many writers of JSON have no other. */
static enum nlsh_status read_key(struct reader *r)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__question *a = r->asked;
    char text[24];
    void *values = a->keys;
    NLSH_TRY(grow(&values, &r->keys_capacity, a->n_keys + 1, sizeof *a->keys, r->error));
    a->keys = values;
    skip_space(r);
    const char *begin = r->at;
    size_t n;
    if (*r->at == '"') {
        NLSH_TRY(read_string(r, text, sizeof text));
        begin = text;
        n = strlen(text);
    } else {
        struct decimal d;
        if (read_decimal(r, &d) != 0) return unexpected(r, "a key");
        n = (size_t)(r->at - begin);
    }
    if (key_of(begin, n, a->keys + a->n_keys) != 0)
        return WRONG(r, "keys are whole numbers from 0 to 18446744073709551614",
                     "key %zu of the list is none", a->n_keys);
    a->n_keys++;
out:
    return status;
}

static enum nlsh_status read_keys(struct reader *r)
{
    enum nlsh_status status;
    NLSH_TRY(expect(r, '[', "a list of keys"));
    if (takes(r, ']')) return NLSH_OK;
    do NLSH_TRY(read_key(r));
    while (takes(r, ','));
    NLSH_TRY(expect(r, ']', "a comma or the end of the list of keys"));
out:
    return status;
}

/* ---- members --------------------------------------------------------------------------------- */

static enum nlsh_status read_flag(struct reader *r, int *out)
{
    skip_space(r);
    *out = strncmp(r->at, "true", 4) == 0;
    if (!*out && strncmp(r->at, "false", 5) != 0) return unexpected(r, "true or false");
    r->at += *out ? 4 : 5;
    return NLSH_OK;
}

static const struct {
    const char *name;
    enum nlsh__word word;
} words[] = {{"vector", NLSH__SAYS_VECTORS},
             {"vectors", NLSH__SAYS_VECTORS},
             {"k", NLSH__SAYS_K},
             {"recall", NLSH__SAYS_RECALL},
             {"probes", NLSH__SAYS_PROBES},
             {"cautious", NLSH__SAYS_CAUTIOUS},
             {"exact", NLSH__SAYS_EXACT},
             {"keys", NLSH__SAYS_KEYS},
             {"row", NLSH__SAYS_ROW}};

enum { N_WORDS = sizeof words / sizeof words[0] };

int nlsh__body_knows(const char *name, unsigned allows)
{
    for (size_t i = 0; i < N_WORDS; i++)
        if (strcmp(words[i].name, name) == 0) return (words[i].word & allows) != 0;
    return 0;
}

static enum nlsh_status read_value(struct reader *r, const char *name, enum nlsh__word word)
{
    struct nlsh__question *a = r->asked;
    switch (word) {
    case NLSH__SAYS_VECTORS: return name[6] == 's' ? read_vectors(r) : read_vector(r);
    case NLSH__SAYS_K:
        return read_whole(r, name, "the server was started with this limit", 1, r->limits->k,
                          &a->k);
    case NLSH__SAYS_ROW:
        return read_whole(r, name, "rows are numbers from 0 on", 0, UINT32_MAX, &a->row);
    case NLSH__SAYS_RECALL: return read_number(r, &a->recall);
    case NLSH__SAYS_PROBES: return read_number(r, &a->probes);
    case NLSH__SAYS_CAUTIOUS: return read_flag(r, &a->cautious);
    case NLSH__SAYS_EXACT: return read_flag(r, &a->exact);
    case NLSH__SAYS_KEYS: break;
    }
    return read_keys(r);
}

static enum nlsh_status read_member(struct reader *r)
{
    enum nlsh_status status;
    char name[32];
    NLSH_TRY(read_string(r, name, sizeof name));
    NLSH_TRY(expect(r, ':', "a colon"));
    for (size_t i = 0; i < N_WORDS; i++) {
        if (strcmp(words[i].name, name) != 0 || (words[i].word & r->allows) == 0) continue;
        if (words[i].word & r->asked->said)
            return WRONG(r, "say it once", "\"%s\" is said twice", name);
        r->asked->said |= words[i].word;
        return read_value(r, name, words[i].word);
    }
    return WRONG(r, "see docs/serve.md for what a request says",
                 "\"%s\" means nothing in this request", name);
out:
    return status;
}

static enum nlsh_status read_object(struct reader *r)
{
    enum nlsh_status status;
    NLSH_TRY(expect(r, '{', "an object"));
    if (!takes(r, '}')) {
        do NLSH_TRY(read_member(r));
        while (takes(r, ','));
        NLSH_TRY(expect(r, '}', "a comma or the end of the object"));
    }
    skip_space(r);
    if (r->at != r->end) status = unexpected(r, "the end");
out:
    return status;
}

static struct nlsh__question nothing_asked(void)
{
    return (struct nlsh__question){.k = 10, .recall = .95};
}

enum nlsh_status nlsh__body_json(const char *text, size_t size, size_t dim, unsigned allows,
                                 const struct nlsh__limits *limits, struct nlsh__question *out,
                                 struct nlsh_error *error)
{
    struct reader r = {"the JSON", text, text, text + size, dim, allows, limits, out, 0, 0, error};
    *out = nothing_asked();
    out->owns_vectors = 1;
    enum nlsh_status status = read_object(&r);
    if (status != NLSH_OK) nlsh__question_free(out);
    return status;
}

/* ---- raw ------------------------------------------------------------------------------------- */

/* An argument of the URL, read as a member of JSON would be. */
static enum nlsh_status read_argument(const char *name, enum nlsh__word word, const char *value,
                                      const struct nlsh__limits *limits, struct nlsh__question *out,
                                      struct nlsh_error *error)
{
    struct reader r = {name,   value, value, value + strlen(value), 0,    0,
                       limits, out,   0,     out->n_keys,           error};
    enum nlsh_status status;
    if (word == NLSH__SAYS_KEYS) { /* 1,2,3 */
        do status = read_key(&r);
        while (status == NLSH_OK && takes(&r, ','));
    } else {
        status = read_value(&r, name, word);
    }
    if (status == NLSH_OK && r.at != r.end)
        status = WRONG(&r, NULL, "%s has something behind its value: %s", name, value);
    out->said |= word;
    return status;
}

enum nlsh_status nlsh__body_f32(void *bytes, size_t size, size_t dim, unsigned allows,
                                const struct nlsh__limits *limits, nlsh__argument_fn *argument,
                                void *user, struct nlsh__question *out, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    *out = nothing_asked();
    if (size == 0 || size % (dim * sizeof(float)) != 0)
        return nlsh__fail(error, NLSH_E_ARG, "send whole vectors of the index's dimension",
                          "%zu bytes are no number of vectors of %zu f32", size, dim);
    out->vectors = bytes;
    out->n_vectors = size / (dim * sizeof(float));
    out->said = NLSH__SAYS_VECTORS;
    if (out->n_vectors > limits->n_vectors)
        return nlsh__fail(error, NLSH_E_ARG, "send them in several requests",
                          "there are more than %zu vectors", limits->n_vectors);
    for (size_t i = 0; i < N_WORDS; i++) {
        unsigned word = words[i].word;
        const char *value =
            word != NLSH__SAYS_VECTORS && (word & allows) ? argument(user, words[i].name) : NULL;
        if (value == NULL) continue;
        NLSH_TRY(read_argument(words[i].name, words[i].word, value, limits, out, error));
    }
    return NLSH_OK;
out:
    nlsh__question_free(out);
    return status;
}

void nlsh__question_free(struct nlsh__question *asked)
{
    if (asked->owns_vectors) nlsh__free(asked->vectors);
    nlsh__free(asked->keys);
    *asked = (struct nlsh__question){0};
}
