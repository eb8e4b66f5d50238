/*
 * csv.c - comma-separated values by RFC 4180, read as a whole.
 *
 * Fields are cut where they stand: a field never grows when its quotes are taken away.
 */
#include "report/csv.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "signals.h"
#include "talk.h"
#include "text.h"

/* A table that a person would draw is far smaller; what is larger is another kind of file. */
static const size_t most_bytes = (size_t)256 << 20;

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

static int not_csv(const char *path, size_t line, const char *what)
{
    return talk_error(EXIT_BAD_DATA, "give a CSV that nlsh wrote", "%s, line %zu: %s", path, line,
                      what);
}

/* The whole file, ended by a NUL. */
static int read_text(const char *path, char **text, size_t *size)
{
    size_t room = 1 << 16;
    struct nlsh_error error = {0};
    FILE *file;
    if (nlsh__stream_open(path, &file, &error) != NLSH_OK) return talk_failed(&error);
    *size = 0;
    *text = malloc(room);
    while (*text != NULL && *size <= most_bytes) {
        *size += fread(*text + *size, 1, room - *size - 1, file);
        if (*size + 1 < room) break;
        char *larger = realloc(*text, room *= 2);
        if (larger == NULL) free(*text);
        *text = larger;
    }
    bool failed = ferror(file) != 0;
    int why = errno;
    fclose(file);
    if (*text == NULL) return no_memory();
    (*text)[*size] = '\0';
    if (failed && signal_came()) return talk_interrupted();
    if (failed) return talk_error(EXIT_IO, NULL, "cannot read %s: %s", path, strerror(why));
    if (*size > most_bytes) return not_csv(path, 1, "it is larger than any table of nlsh's");
    return 0;
}

/* One field at *at: cut, its quotes taken away; *at goes behind what ended it, *end is that
 * character. false where quotes are wrong. */
static bool cut_field(char **at, size_t *line, char **field, char *end)
{
    char *from = *at, *to = *at;
    bool quoted = *from == '"', closed = false;
    *field = to;
    if (quoted) {
        for (from++; *from != '\0'; from++) {
            closed = *from == '"' && *++from != '"';
            if (closed) break;
            if (*from == '\n') ++*line;
            *to++ = *from;
        }
        if (!closed) return false;
    } else {
        while (*from != '\0' && strchr(",\r\n\"", *from) == NULL) *to++ = *from++;
    }
    if (*from == '\r' && from[1] == '\n') from++;
    *end = *from;
    if (*end != ',' && *end != '\n' && *end != '\0') return false;
    if (*end == '\n') ++*line;
    *at = from + (*end != '\0');
    *to = '\0';
    if (quoted) *field = text_of_csv(*field);
    return true;
}

static int add_field(struct csv *csv, size_t n, size_t *capacity, char *field)
{
    if (n == *capacity) {
        size_t larger = *capacity ? 2 * *capacity : 256;
        char **fields = realloc(csv->fields, larger * sizeof *fields);
        size_t *lines = fields ? realloc(csv->lines, larger * sizeof *lines) : NULL;
        if (fields != NULL) csv->fields = fields;
        if (lines == NULL) return no_memory();
        csv->lines = lines;
        *capacity = larger;
    }
    csv->fields[n] = field;
    return 0;
}

static int parse(struct csv *csv)
{
    size_t n = 0, capacity = 0, line = 1, rows = 0;
    char *at = csv->text, end = '\n';
    while (*at != '\0') {
        size_t first = n, began = line;
        do {
            char *field;
            if (!cut_field(&at, &line, &field, &end)) {
                return not_csv(csv->path, line, "a field's quotes are wrong");
            }
            int code = add_field(csv, n, &capacity, field);
            if (code != 0) return code;
            n++;
        } while (end == ',');
        if (n - first == 1 && csv->fields[first][0] == '\0') {
            n = first; /* an empty line */
            continue;
        }
        if (rows == 0) csv->n_columns = n;
        if (n - first != csv->n_columns) {
            char what[80];
            snprintf(what, sizeof what, "%zu fields, where the first line has %zu", n - first,
                     csv->n_columns);
            return not_csv(csv->path, began, what);
        }
        csv->lines[rows++] = began;
    }
    csv->n_rows = rows ? rows - 1 : 0;
    return 0;
}

int csv_read(const char *path, struct csv *out)
{
    size_t size = 0;
    *out = (struct csv){.path = path};
    int code = read_text(path, &out->text, &size);
    if (code == 0 && strlen(out->text) < size) {
        code = not_csv(path, 1, "it holds bytes that no text has");
    }
    if (code == 0) {
        char *text = out->text;
        if (strncmp(text, "\xef\xbb\xbf", 3) == 0) memmove(text, text + 3, strlen(text + 3) + 1);
        text_make_utf8(text);
        code = parse(out);
    }
    if (code == 0 && out->n_rows == 0) {
        code =
            talk_error(EXIT_BAD_DATA, "was the run that wrote it stopped?",
                       out->n_columns ? "%s has a line of names and no rows" : "%s is empty", path);
    }
    if (code != 0) csv_free(out);
    return code;
}

void csv_free(struct csv *csv)
{
    free(csv->text);
    free(csv->fields);
    free(csv->lines);
    *csv = (struct csv){0};
}

int csv_column(const struct csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->n_columns; i++) {
        if (strcmp(csv->fields[i], name) == 0) return (int)i;
    }
    return CSV_NONE;
}

int csv_column_like(const struct csv *csv, const char *beginning)
{
    for (size_t i = 0; i < csv->n_columns; i++) {
        if (strncmp(csv->fields[i], beginning, strlen(beginning)) == 0) return (int)i;
    }
    return CSV_NONE;
}

const char *csv_name(const struct csv *csv, int column)
{
    return csv->fields[column];
}

const char *csv_at(const struct csv *csv, size_t row, int column)
{
    return csv->fields[(row + 1) * csv->n_columns + (size_t)column];
}

int csv_number(const struct csv *csv, size_t row, int column, double *out)
{
    const char *text = csv_at(csv, row, column);
    char *end;
    *out = strtod(text, &end);
    if (text[0] != '\0' && *end == '\0' && isfinite(*out)) return 0;
    return talk_error(EXIT_BAD_DATA, "give the file as nlsh wrote it",
                      "%s, line %zu: %s is \"%.40s\", not a number", csv->path, csv->lines[row + 1],
                      csv_name(csv, column), text);
}

int csv_number_or_none(const struct csv *csv, size_t row, int column, double *out)
{
    *out = NAN;
    return csv_at(csv, row, column)[0] == '\0' ? 0 : csv_number(csv, row, column, out);
}
