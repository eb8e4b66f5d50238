/*
 * settings_table.c - settings as a table: what differs is seen at once, what does not is folded away.
 *
 * A setting differs where what a reader would see differs: 0 and 0.0 are one value.
 */
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "numbers.h"
#include "report/report.h"
#include "settings.h"
#include "talk.h"
#include "text.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* All names, in the order that they are met; NULL without memory. */
static json_t *all_keys(json_t *const *objects, size_t n)
{
    json_t *keys = json_object();
    for (size_t i = 0; i < n; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(objects[i], key, value)
        {
            json_set(&keys, key, json_null());
        }
    }
    return keys;
}

/* The cells of a setting, from the second column on: what it is in each object. Whether they differ. */
static int put_row(const char *key, json_t *const *objects, size_t n, char **cells)
{
    int differ = 0, met = 0;
    const char *first = NULL;
    for (size_t i = 0; i < n; i++) {
        cells[i] = settings_words(json_object_get(objects[i], key));
        if (objects[i] == NULL) continue; /* not known: no difference */
        if (met++ == 0) first = cells[i];
        differ |= (first == NULL) != (cells[i] == NULL) ||
                  (first != NULL && strcmp(first, cells[i]) != 0);
    }
    return differ;
}

/* Rows of one kind, those that differ or those that do not, from all of them. */
static void put_rows(struct report *report, const char *const *names, size_t n_columns,
                     char *const *cells, const int *differ, size_t n_rows, int wanted)
{
    size_t n = 0, n_wanted = 0;
    for (size_t i = 0; i < n_rows; i++) n_wanted += differ[i] == wanted;
    const char **some = calloc(n_wanted * n_columns + 1, sizeof *some);
    for (size_t i = 0; i < n_rows && some != NULL; i++) {
        if (differ[i] != wanted) continue;
        for (size_t c = 0; c < n_columns; c++) some[n++] = cells[i * n_columns + c];
    }
    if (some != NULL && n_wanted > 0) page_table(report, names, n_columns, some, n_wanted);
    free(some);
}

/* What is folded away has one value: it stands once. */
static void put_table(struct report *report, const char *const *names, size_t n, char *const *cells,
                      const int *differ, size_t n_rows, const char *folded)
{
    size_t n_equal = 0;
    const char *columns[2] = {"setting", "value"};
    char **same = calloc(2 * n_rows + 1, sizeof *same);
    for (size_t i = 0; i < n_rows && same != NULL; i++) {
        n_equal += !differ[i];
        same[2 * i] = cells[i * n];
        for (size_t c = 1; c < n && same[2 * i + 1] == NULL; c++) {
            same[2 * i + 1] = cells[i * n + c];
        }
    }
    put_rows(report, names, n, cells, differ, n_rows, 1);
    if (n_equal > 0 && same != NULL) {
        page_fold(report, "%zu settings %s", n_equal, folded);
        put_rows(report, columns, 2, same, differ, n_rows, 0);
        page_fold_end(report);
    }
    free(same);
}

static int table_of(struct report *report, const char *const *names, json_t *const *objects,
                    size_t n, const char *folded)
{
    json_t *keys = all_keys(objects, n), *value;
    size_t n_columns = n + 1, n_rows = json_object_size(keys), row = 0;
    const char *key;
    char **cells = calloc(n_rows * n_columns + 1, sizeof *cells);
    int *differ = calloc(n_rows + 1, sizeof *differ);
    const char **columns = calloc(n_columns, sizeof *columns);
    int code = keys && cells && differ && columns ? 0 : no_memory();
    if (code == 0) {
        columns[0] = "setting";
        memcpy(columns + 1, names, n * sizeof *names);
        json_object_foreach(keys, key, value)
        {
            cells[row * n_columns] = (char *)(uintptr_t)key;
            differ[row] = put_row(key, objects, n, cells + row * n_columns + 1);
            row++;
        }
        put_table(report, columns, n_columns, cells, differ, n_rows, folded);
    }
    for (size_t i = 0; i < row * n_columns; i++) {
        if (i % n_columns != 0) free(cells[i]);
    }
    free(cells);
    free(differ);
    free(columns);
    json_decref(keys);
    return code;
}

int page_settings(struct report *report, const char *const *names, json_t *const *objects, size_t n)
{
    struct nlsh_build_options options;
    if (n != 1) return table_of(report, names, objects, n, "are the same in all of them");
    nlsh_build_options_init(&options, sizeof options);
    json_t *two[2] = {objects[0], settings_json(&options)};
    const char *const both[2] = {"value", "default"};
    int code =
        two[1] != NULL ? table_of(report, both, two, 2, "are at their defaults") : no_memory();
    json_decref(two[1]);
    return code;
}

/* An object with anything in it, or a list of such. */
static int is_nested(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (json_object_size(json_array_get(value, i)) == 0) return 0;
    }
    return json_object_size(value) > 0 || json_array_size(value) > 0;
}

json_t *page_object_in(const json_t *value)
{
    json_t *inner = json_is_string(value) ? json_loads(json_string_value(value), 0, NULL) : NULL;
    if (json_is_object(inner)) return inner;
    json_decref(inner);
    return json_is_object(value) ? json_incref((json_t *)(uintptr_t)value) : NULL;
}

/* Objects inside the object become names with a dot. An object of a list is called by its own "name", or else by its
 * number. */
static void flatten(const char *prefix, json_t *from, int depth, json_t **into)
{
    const char *key;
    json_t *value;
    size_t i;
    char name[256], number[24];
    json_t *inner = json_is_string(from) ? page_object_in(from) : NULL;
    if (inner != NULL) {
        flatten(prefix, inner, depth, into);
        json_decref(inner);
        return;
    }
    if (depth == 0 || !is_nested(from)) {
        json_set(into, prefix, json_incref(from));
        return;
    }
    json_object_foreach(from, key, value)
    {
        snprintf(name, sizeof name, "%.180s%s%.60s", prefix, prefix[0] ? "." : "", key);
        text_make_utf8(name); /* a cut may have gone through a character */
        flatten(name, value, depth - 1, into);
    }
    json_array_foreach(from, i, value)
    {
        const char *own = json_string_value(json_object_get(value, "name"));
        snprintf(number, sizeof number, "%zu", i);
        snprintf(name, sizeof name, "%.180s.%.60s", prefix, own ? own : number);
        text_make_utf8(name);
        flatten(name, value, depth - 1, into);
    }
}

int page_object(struct report *report, json_t *object)
{
    static const char *const names[] = {"name", "value"};
    json_t *flat = json_object(), *value;
    const char *key;
    flatten("", object, 4, &flat);
    size_t n = json_object_size(flat), row = 0;
    char **cells = calloc(2 * n + 1, sizeof *cells);
    if (flat == NULL || cells == NULL) {
        json_decref(flat);
        free(cells);
        return no_memory();
    }
    json_object_foreach(flat, key, value)
    {
        cells[2 * row] = (char *)(uintptr_t)key;
        cells[2 * row++ + 1] = settings_words(value);
    }
    page_table(report, names, 2, (const char *const *)cells, n);
    for (size_t i = 0; i < n; i++) free(cells[2 * i + 1]);
    free(cells);
    json_decref(flat);
    return 0;
}
