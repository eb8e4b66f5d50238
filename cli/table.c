/*
 * table.c - see table.h.
 *
 * A column is as wide as its widest cell; two blanks part it from the next, or one where room is short. Where that
 * is too much still, columns go until the rest has room: numbers that are cut would be wrong ones, and a line that
 * wraps is no table.
 */
#include "table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "talk.h"

enum { WIDE_GAP = 2, MOST_COLUMNS = 16, MOST_LINE = 1024 };

void table_begin(struct table *table, const struct table_column *columns, size_t n_columns)
{
    *table = (struct table){.columns = columns, .n_columns = n_columns};
}

/* The cells of a further row, all NULL; NULL without memory. */
static char **new_row(struct table *t)
{
    if (t->n_rows == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 32;
        char **larger = realloc(t->cells, capacity * t->n_columns * sizeof *larger);
        if (larger == NULL) {
            t->failed = 1;
            return NULL;
        }
        t->cells = larger;
        t->capacity = capacity;
    }
    char **row = t->cells + t->n_rows++ * t->n_columns;
    for (size_t c = 0; c < t->n_columns; c++) row[c] = NULL;
    return row;
}

void table_row(struct table *t, const char *const *cells)
{
    char **row = new_row(t);
    for (size_t c = 0; row != NULL && c < t->n_columns; c++) {
        row[c] = strdup(cells[c]);
        if (row[c] == NULL) t->failed = 1;
    }
}

void table_line(struct table *t, const char *line)
{
    char **row = new_row(t);
    if (row != NULL) row[0] = strdup(line);
    if (row != NULL && row[0] == NULL) t->failed = 1;
}

/* ---- what has room --------------------------------------------------------------------------- */

/* Letters, not bytes. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static int is_line(const struct table *t, size_t row)
{
    return t->n_columns > 1 && t->cells[row * t->n_columns + 1] == NULL;
}

static void measure(const struct table *t, size_t *widths)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        widths[c] = width_of(t->columns[c].title);
        for (size_t r = 0; r < t->n_rows; r++) {
            size_t width = is_line(t, r) ? 0 : width_of(t->cells[r * t->n_columns + c]);
            if (width > widths[c]) widths[c] = width;
        }
    }
}

static size_t all_of(const struct table *t, const size_t *widths, size_t gap)
{
    size_t all = 0;
    for (size_t c = 0; c < t->n_columns; c++) {
        if (widths[c] > 0) all += widths[c] + (c > 0 ? gap : 0);
    }
    return all;
}

/* The width of a column that goes becomes 0. Returns the gap between columns. */
static size_t make_room(const struct table *t, size_t *widths, size_t room)
{
    if (all_of(t, widths, WIDE_GAP) <= room) return WIDE_GAP;
    while (all_of(t, widths, 1) > room) {
        size_t next = t->n_columns;
        for (size_t c = 0; c < t->n_columns; c++) {
            int goes = widths[c] > 0 ? t->columns[c].goes : 0;
            if (goes > 0 && (next == t->n_columns || goes < t->columns[next].goes)) next = c;
        }
        if (next == t->n_columns) break;
        widths[next] = 0;
    }
    return all_of(t, widths, WIDE_GAP) <= room ? WIDE_GAP : 1;
}

/* ---- printing -------------------------------------------------------------------------------- */

/* Behind what the line has; gap 0 for the first cell, which stands to the left. */
static void put_cell(char *line, const char *text, size_t width, size_t gap)
{
    size_t at = strlen(line), blanks = width - width_of(text);
    if (at + gap + blanks + strlen(text) >= MOST_LINE) return;
    if (gap == 0) {
        snprintf(line + at, MOST_LINE - at, "%s%*s", text, (int)blanks, "");
    } else {
        snprintf(line + at, MOST_LINE - at, "%*s%s", (int)(gap + blanks), "", text);
    }
}

static void put_row(const struct table *t, const size_t *widths, size_t gap, size_t row, char *line)
{
    line[0] = '\0';
    for (size_t c = 0; c < t->n_columns; c++) {
        const char *text = row == SIZE_MAX ? t->columns[c].title : t->cells[row * t->n_columns + c];
        if (widths[c] > 0) put_cell(line, text, widths[c], c == 0 ? 0 : gap);
    }
}

static void say_gone(const struct table *t, const size_t *widths, FILE *to, size_t room)
{
    char line[MOST_LINE] = "";
    for (size_t c = 0; c < t->n_columns; c++) {
        size_t at = strlen(line);
        if (widths[c] > 0) continue;
        snprintf(line + at, sizeof line - at, "%s%s",
                 at ? ", " : "no room for: ", t->columns[c].title);
    }
    if (line[0] == '\0') return;
    size_t at = strlen(line);
    snprintf(line + at, sizeof line - at, ". A wider terminal, --csv or --json shows all.");
    fputc('\n', to);
    layout_wrapped(to, line, 0, 0, room);
}

int table_print(struct table *t, FILE *to, size_t room)
{
    char line[MOST_LINE];
    size_t widths[MOST_COLUMNS], gap = 0;
    int code = t->failed ? talk_error(EXIT_BUG, NULL, "out of memory") : 0;
    if (code == 0) {
        measure(t, widths);
        gap = make_room(t, widths, room);
        put_row(t, widths, gap, SIZE_MAX, line);
        layout_heading(to, line);
    }
    for (size_t r = 0; r < t->n_rows && code == 0; r++) {
        if (is_line(t, r)) {
            layout_wrapped(to, t->cells[r * t->n_columns], 0, 2, room);
        } else {
            put_row(t, widths, gap, r, line);
            fprintf(to, "%s\n", line);
        }
    }
    if (code == 0) say_gone(t, widths, to, room);
    for (size_t i = 0; i < t->n_rows * t->n_columns; i++) free(t->cells[i]);
    free(t->cells);
    *t = (struct table){.n_rows = 0};
    return code;
}
