/*
 * text.c - see text.h. Ours.
 *
 * Two passes: one counts lines, one reads numbers into place. In between the sizes are checked against the
 * file's length, since a number takes two bytes at least. A line's last dim fields are its numbers, so words
 * may hold spaces, as some of GloVe's do.
 */
#include "vectors/text.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "vectors/large.h"

/* ---- fields of a line ------------------------------------------------------------------------ */

/* A line without its end; text ends in a NUL or in the separator's place. */
struct line {
    const char *text;
    size_t size;
};

static size_t trimmed(const char *text, size_t size)
{
    while (size > 0 && strchr("\r\n \t", text[size - 1]) != NULL) size--;
    return size;
}

/* The last field of text, from *size down; *size becomes what stands before it and its separator. Returns 0
 * where nothing is left. */
static int last_field(const struct nlsh__text *form, const char *text, size_t *size,
                      struct line *field)
{
    if (*size == SIZE_MAX) return 0;
    size_t end = *size, at = end;
    int spaces = form->separator == ' ';
    while (at > 0 && text[at - 1] != form->separator && !(spaces && text[at - 1] == '\t')) at--;
    *field = (struct line){text + at, end - at};
    if (at == 0)
        *size = SIZE_MAX;
    else
        *size = spaces ? trimmed(text, at - 1) : at - 1;
    if (spaces && *size == 0) *size = SIZE_MAX; /* spaces before the first field */
    while (field->size > 0 && field->text[0] == ' ') field->text++, field->size--;
    return 1;
}

static int number_of(struct line field, float *out)
{
    char copy[64], *end;
    size_t size = trimmed(field.text, field.size);
    if (size == 0 || size >= sizeof copy) return 0;
    memcpy(copy, field.text, size);
    copy[size] = '\0';
    *out = strtof(copy, &end);
    return *end == '\0';
}

/* ---- what a file looks like ------------------------------------------------------------------ */

/* What stands in a line: its fields, and how many at its end are numbers. */
static size_t count_fields(const struct nlsh__text *form, struct line line, size_t *n_numbers)
{
    size_t n = 0, left = trimmed(line.text, line.size);
    struct line field;
    float value;
    int numbers = 1;
    *n_numbers = 0;
    while (left > 0 && last_field(form, line.text, &left, &field)) {
        n++;
        numbers = numbers && number_of(field, &value);
        *n_numbers += (size_t)numbers;
    }
    return n;
}

static int is_text(const uint8_t *head, size_t head_size)
{
    for (size_t i = 0; i < head_size; i++)
        if ((head[i] < ' ' && strchr("\t\r\n", head[i]) == NULL) || head[i] == 0 || head[i] == 0x7f)
            return 0;
    return head_size > 0;
}

static char separator_of(struct line line)
{
    static const char order[] = ",;\t";
    for (const char *s = order; *s != '\0'; s++)
        if (memchr(line.text, *s, line.size) != NULL) return *s;
    return ' ';
}

/* The next line of text, which moves on behind it. */
static struct line next_line(const char **text, const char *end)
{
    struct line line = {*text, (size_t)(end - *text)};
    const char *stop = memchr(*text, '\n', line.size);
    if (stop != NULL) line.size = (size_t)(stop - *text);
    *text = stop != NULL ? stop + 1 : end;
    return line;
}

/* A remark before the vectors: # and no number at its end, which GloVe's word # has. */
static int is_remark(struct line line)
{
    const struct nlsh__text form = {.separator = separator_of(line)};
    size_t n_numbers;
    if (line.size == 0 || line.text[0] != '#') return 0;
    (void)count_fields(&form, line, &n_numbers);
    return n_numbers == 0;
}

/* The next line that is neither empty nor a remark; counts all of them in *number. An empty one at the end. */
static struct line next_full_line(const char **text, const char *end, size_t *number)
{
    struct line line = {"", 0};
    while (*text < end && (line.size == 0 || is_remark(line))) {
        line = next_line(text, end);
        line.size = trimmed(line.text, line.size);
        ++*number;
    }
    return line;
}

int nlsh__text_look(const uint8_t *head, size_t head_size, struct nlsh__text *out)
{
    const char *text = (const char *)head, *end = text + head_size;
    *out = (struct nlsh__text){0};
    if (!is_text(head, head_size < 4096 ? head_size : 4096)) return 0;
    size_t number = 0;
    struct line first = next_full_line(&text, end, &number);
    size_t first_number = number;
    struct line row = next_full_line(&text, end, &number);
    if (row.size == 0) row = first;
    out->separator = separator_of(row);
    size_t n_first, n_numbers, n_fields = count_fields(out, row, &n_numbers);
    size_t n_fields_first = count_fields(out, first, &n_first);
    out->dim = n_numbers;
    out->words = n_numbers < n_fields;
    if (n_first < n_numbers || (n_first == 2 && n_fields_first == 2 && n_fields > 2))
        out->title = first_number;
    if (end[-1] != '\n' && text == end && n_first > n_numbers) { /* the head ends inside the row */
        *out = (struct nlsh__text){out->separator, n_first < n_fields_first, 0, n_first};
        return 1;
    }
    /* A word that is a number: word2vec's title says how many numbers a line has. */
    size_t last = trimmed(first.text, first.size);
    struct line field;
    float said;
    if (n_first == 2 && n_fields_first == 2 && n_fields > 2 &&
        last_field(out, first.text, &last, &field) && number_of(field, &said) && said >= 1 &&
        said == (float)(n_fields - 1)) {
        out->dim = n_fields - 1;
        out->words = 1;
    }
    return out->dim >= 2 || (out->dim == 1 && !out->words);
}

/* ---- lines of a source ----------------------------------------------------------------------- */

enum { PIECE = 64 << 10, MOST_LINE = 64 << 20 };
/* So many bytes too few are left to the line that lacks numbers, which can then be named. */
enum { SLACK = 1 << 20 };

struct lines {
    struct nlsh__source *source;
    const char *name;
    char *buffer;
    size_t capacity, begin, end; /* what is unread lies between */
    int ended;
    size_t number; /* of the line that was given last, from 1 */
    locale_t plain, before;
};

static enum nlsh_status make_room(struct lines *l, struct nlsh_error *error)
{
    char *larger;
    memmove(l->buffer, l->buffer + l->begin, l->end - l->begin);
    l->end -= l->begin;
    l->begin = 0;
    if (l->capacity - l->end >= PIECE) return NLSH_OK;
    if (l->capacity >= MOST_LINE)
        return nlsh__fail(error, NLSH_E_DATA, "give one vector a line",
                          "%s: line %zu has more than %d MiB", l->name, l->number + 1,
                          MOST_LINE >> 20);
    enum nlsh_status status = nlsh__alloc(&larger, l->capacity, 2, error);
    if (status != NLSH_OK) return status;
    memcpy(larger, l->buffer, l->end);
    nlsh__free(l->buffer);
    l->buffer = larger;
    l->capacity *= 2;
    return NLSH_OK;
}

/* *more is 0 behind the last line. */
static enum nlsh_status lines_next(struct lines *l, struct line *line, int *more,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    size_t looked = l->begin;
    for (;;) {
        const char *stop = memchr(l->buffer + looked, '\n', l->end - looked);
        if (stop != NULL || (l->ended && l->end > l->begin)) {
            size_t end = stop != NULL ? (size_t)(stop - l->buffer) : l->end;
            *line = (struct line){l->buffer + l->begin, end - l->begin};
            line->size = trimmed(line->text, line->size);
            l->begin = stop != NULL ? end + 1 : end;
            l->number++;
            *more = 1;
            return NLSH_OK;
        }
        *more = 0;
        if (l->ended) return NLSH_OK;
        looked = l->end - l->begin;
        NLSH_TRY(make_room(l, error));
        uint64_t got;
        NLSH_TRY(nlsh__source_read(l->source, l->buffer + l->end, PIECE, &got, error));
        l->end += (size_t)got;
        l->ended = got < PIECE;
    }
out:
    return status;
}

/* The next line that should be a vector. */
static enum nlsh_status rows_next(struct lines *l, const struct nlsh__text *form, struct line *line,
                                  int *more, struct nlsh_error *error)
{
    enum nlsh_status status;
    do {
        status = lines_next(l, line, more, error);
    } while (
        status == NLSH_OK && *more &&
        (line->size == 0 || l->number == form->title || (!form->words && line->text[0] == '#')));
    return status;
}

/* ---- reading --------------------------------------------------------------------------------- */

static enum nlsh_status row_of(const struct lines *l, const struct nlsh__text *form,
                               struct line line, float *out, struct nlsh_error *error)
{
    struct line field = {"", 0};
    size_t left = line.size;
    for (size_t d = form->dim; d-- > 0;) {
        if (!last_field(form, line.text, &left, &field))
            return nlsh__fail(error, NLSH_E_DATA, "all lines must have as many numbers",
                              "%s: line %zu has %zu numbers, the others %zu", l->name, l->number,
                              form->dim - 1 - d, form->dim);
        if (!number_of(field, &out[d]))
            return nlsh__fail(error, NLSH_E_DATA, "take the line out, or mend it",
                              "%s: line %zu: \"%.*s\" is no number", l->name, l->number,
                              (int)(field.size < 40 ? field.size : 40), field.text);
    }
    if (!form->words && last_field(form, line.text, &left, &field))
        return nlsh__fail(error, NLSH_E_DATA, "all lines must have as many numbers",
                          "%s: line %zu has more numbers than the others, %zu", l->name, l->number,
                          form->dim);
    return NLSH_OK;
}

static enum nlsh_status count_rows(struct lines *l, const struct nlsh__text *form, size_t *n_rows,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct line line;
    uint64_t bytes = 0, need;
    int more = 1;
    *n_rows = 0;
    for (;;) {
        NLSH_TRY(rows_next(l, form, &line, &more, error));
        if (!more) break;
        ++*n_rows;
        bytes += line.size + 1;
    }
    if (*n_rows == 0) return nlsh__fail(error, NLSH_E_DATA, NULL, "%s: holds no vectors", l->name);
    if (__builtin_mul_overflow((uint64_t)*n_rows * 2, (uint64_t)form->dim, &need) ||
        need > bytes + SLACK)
        return nlsh__fail(error, NLSH_E_DATA, "all lines must have as many numbers",
                          "%s: %zu lines of %zu numbers are more than its text holds", l->name,
                          *n_rows, form->dim);
out:
    return status;
}

static enum nlsh_status restart(struct lines *l, struct nlsh_error *error)
{
    l->begin = l->end = l->number = 0;
    l->ended = 0;
    return nlsh__source_rewind(l->source, error);
}

/* Looks at the head of a source that is at its beginning. From here to lines_end() numbers have a point, whatever
 * the locale; that is called where this fails, too. */
static enum nlsh_status lines_begin(struct lines *l, struct nlsh__source *source, const char *name,
                                    struct nlsh__text *form, struct nlsh_error *error)
{
    enum nlsh_status status;
    const uint8_t *head;
    size_t head_size;
    *l = (struct lines){.source = source, .name = name, .capacity = (size_t)2 * PIECE};
    l->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (l->plain == (locale_t)0)
        return nlsh__fail(error, NLSH_E_NOMEM, NULL, "no memory for a locale");
    l->before = uselocale(l->plain);
    NLSH_TRY(nlsh__source_head(source, &head, &head_size, error));
    if (!nlsh__text_look(head, head_size, form))
        return nlsh__fail(error, NLSH_E_DATA, "give one vector a line: 0.1,0.2,0.3",
                          "%s: no text of vectors: its second line has no numbers", name);
    NLSH_TRY(nlsh__alloc(&l->buffer, l->capacity, 1, error));
out:
    return status;
}

static void lines_end(struct lines *l)
{
    if (l->plain != (locale_t)0) {
        uselocale(l->before);
        freelocale(l->plain);
    }
    nlsh__free(l->buffer);
}

enum nlsh_status nlsh__text_read(struct nlsh__source *source, const char *name,
                                 struct nlsh_vectors *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct lines l;
    struct nlsh__text form;
    struct line line;
    size_t n_rows;
    int more;
    NLSH_TRY(lines_begin(&l, source, name, &form, error));
    NLSH_TRY(count_rows(&l, &form, &n_rows, error));
    NLSH_TRY(restart(&l, error));
    NLSH_TRY(nlsh__alloc_large(&out->memory, n_rows, form.dim * sizeof(float), error));
    for (size_t i = 0; i < n_rows; i++) {
        NLSH_TRY(rows_next(&l, &form, &line, &more, error));
        if (!more) {
            status = nlsh__fail(error, NLSH_E_IO, NULL, "%s: changed while it was read", name);
            goto out;
        }
        NLSH_TRY(row_of(&l, &form, line, (float *)out->memory + i * form.dim, error));
    }
    out->matrix = (struct nlsh_matrix){out->memory, n_rows, form.dim, NLSH_F32, 0};
out:
    lines_end(&l);
    return status;
}

/* ---- words ----------------------------------------------------------------------------------- */

/* What stands before a line's numbers, without the spaces around it; empty where nothing does. */
static struct line word_of(const struct nlsh__text *form, struct line line)
{
    struct line field, none = {"", 0}, word = line;
    size_t left = line.size;
    for (size_t d = 0; d < form->dim; d++)
        if (!last_field(form, line.text, &left, &field)) return none;
    if (left == SIZE_MAX) return none;
    word.size = trimmed(line.text, left);
    while (word.size > 0 && (word.text[0] == ' ' || word.text[0] == '\t')) word.text++, word.size--;
    return word;
}

enum nlsh_status nlsh__text_words(struct nlsh__source *source, const char *name, nlsh__word_fn give,
                                  void *user, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct lines l;
    struct nlsh__text form;
    struct line line, word;
    int more;
    NLSH_TRY(lines_begin(&l, source, name, &form, error));
    for (;;) {
        NLSH_TRY(rows_next(&l, &form, &line, &more, error));
        if (!more) break;
        word = form.words ? word_of(&form, line) : (struct line){"", 0};
        if (word.size == 0) {
            status = nlsh__fail(error, NLSH_E_DATA,
                                "words are what GloVe's and fastText's files have: king 0.1 0.2",
                                "%s: line %zu has no word before its numbers", name, l.number);
            goto out;
        }
        give(user, word.text, word.size);
    }
out:
    lines_end(&l);
    return status;
}
