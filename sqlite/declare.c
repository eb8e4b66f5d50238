/* declare.c - see declare.h. */
#include "declare.h"

#include <ctype.h>
#include <string.h>

SQLITE_EXTENSION_INIT3

/* As libnlsh has it for floats. */
#define MOST_DIM 1048576

/* What is left of an argument. */
struct text {
    const char *at, *end;
    int no_memory; /* 1: for a word that stands there */
};

static int is_name(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 128;
}

static void skip_space(struct text *t)
{
    while (t->at < t->end && isspace((unsigned char)*t->at)) t->at++;
}

/* 1 where the text goes on with c, which is then behind. */
static int take(struct text *t, char c)
{
    skip_space(t);
    if (t->at == t->end || *t->at != c) return 0;
    t->at++;
    return 1;
}

static char *copy_word(struct text *t, const char *first, const char *end)
{
    char *word = sqlite3_mprintf("%.*s", (int)(end - first), first);
    t->no_memory |= word == NULL;
    return word;
}

/* A bare word, or one in quotes of any of SQL's kinds. NULL where there is none; SQLite's to free. */
static char *take_word(struct text *t)
{
    skip_space(t);
    if (t->at == t->end) return NULL;
    char quote = *t->at == '[' ? ']' : *t->at;
    if (quote == '"' || quote == '\'' || quote == '`' || quote == ']') {
        const char *first = ++t->at;
        while (t->at < t->end && *t->at != quote) t->at++;
        if (t->at == t->end) return NULL;
        return copy_word(t, first, t->at++);
    }
    const char *first = t->at;
    while (t->at < t->end && is_name(*t->at)) t->at++;
    return t->at > first ? copy_word(t, first, t->at) : NULL;
}

static int say(char **message, char *words)
{
    sqlite3_free(*message);
    *message = words;
    return words != NULL ? SQLITE_ERROR : SQLITE_NOMEM;
}

/* "float[512]" behind the column's name. */
static int take_type(struct nlsh__sqlite_table *table, struct text *t, char **message)
{
    char *type = take_word(t);
    size_t dim = 0, digits = 0;
    int is_float =
        type != NULL && (sqlite3_stricmp(type, "float") == 0 || sqlite3_stricmp(type, "f32") == 0);
    sqlite3_free(type);
    int opened = take(t, '[');
    skip_space(t);
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++, digits++)
        if (dim <= MOST_DIM) dim = dim * 10 + (size_t)(*t->at - '0');
    int closed = take(t, ']');
    skip_space(t);
    if (t->no_memory) return SQLITE_NOMEM;
    if (!is_float || !opened || digits == 0 || !closed || t->at < t->end)
        return say(message,
                   sqlite3_mprintf("nlsh: column %s: write its type as float[512], with the "
                                   "dimension of the vectors",
                                   table->column));
    if (dim < 1 || dim > MOST_DIM)
        return say(message,
                   sqlite3_mprintf("nlsh: column %s: dimension %lld is not between 1 and %d",
                                   table->column, (sqlite3_int64)dim, MOST_DIM));
    table->dim = dim;
    return SQLITE_OK;
}

static int take_metric(struct nlsh__sqlite_table *table, struct text *t, char **message)
{
    static const enum nlsh_metric metrics[] = {NLSH_L2, NLSH_IP, NLSH_COSINE};
    char *word = take_word(t);
    skip_space(t);
    if (t->no_memory) return SQLITE_NOMEM;
    int found = 0;
    for (size_t i = 0; i < 3 && word != NULL && t->at == t->end; i++)
        if (sqlite3_stricmp(word, nlsh_metric_name(metrics[i])) == 0) {
            table->metric = metrics[i];
            found = 1;
        }
    int rc = found ? SQLITE_OK
                   : say(message, sqlite3_mprintf("nlsh: metric %Q is not 'l2', 'ip' or 'cosine'",
                                                  word != NULL ? word : ""));
    sqlite3_free(word);
    return rc;
}

/* NAME float[N], or metric = NAME. */
static int take_argument(struct nlsh__sqlite_table *table, const char *argument, char **message)
{
    struct text t = {argument, argument + strlen(argument), 0};
    char *word = take_word(&t);
    if (t.no_memory) return SQLITE_NOMEM;
    if (word == NULL)
        return say(message, sqlite3_mprintf("nlsh: %Q is no column and no option", argument));
    if (take(&t, '=')) {
        int rc = sqlite3_stricmp(word, "metric") == 0
                     ? take_metric(table, &t, message)
                     : say(message,
                           sqlite3_mprintf("nlsh: no option is called %s: there is metric", word));
        sqlite3_free(word);
        return rc;
    }
    if (table->column != NULL) {
        int rc =
            say(message, sqlite3_mprintf("nlsh: a table has one column of vectors: %s is a second "
                                         "one behind %s",
                                         word, table->column));
        sqlite3_free(word);
        return rc;
    }
    table->column = word;
    return take_type(table, &t, message);
}

static int is_taken(const struct nlsh__sqlite_table *table)
{
    static const char *const taken[] = {"distance", "k", "recall", "rowid", "_rowid_", "oid"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (sqlite3_stricmp(table->column, taken[i]) == 0) return 1;
    return sqlite3_stricmp(table->column, table->name) == 0;
}

int nlsh__sqlite_declare(struct nlsh__sqlite_table *table, int n, const char *const *arguments,
                         char **message)
{
    table->metric = NLSH_L2;
    for (int i = 0; i < n; i++) {
        int rc = take_argument(table, arguments[i], message);
        if (rc != SQLITE_OK) return rc;
    }
    if (table->column == NULL)
        return say(message, sqlite3_mprintf("nlsh: name a column of vectors, as in USING "
                                            "nlsh(embedding float[512])"));
    if (is_taken(table))
        return say(message, sqlite3_mprintf("nlsh: the column cannot be called %s: that name is "
                                            "another column's",
                                            table->column));
    char *sql = sqlite3_mprintf(
        "CREATE TABLE x(\"%w\", distance HIDDEN, k HIDDEN, recall HIDDEN, \"%w\" HIDDEN)",
        table->column, table->name);
    if (sql == NULL) return SQLITE_NOMEM;
    int rc = sqlite3_declare_vtab(table->db, sql);
    sqlite3_free(sql);
    return rc == SQLITE_ERROR && sqlite3_errcode(table->db) != SQLITE_NOMEM
               ? say(message, sqlite3_mprintf("%s", sqlite3_errmsg(table->db)))
               : rc;
}
