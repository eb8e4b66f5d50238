/* words.c - see words.h. */
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/hash.h"
#include "nlsh/nlsh.h"
#include "order.h"
#include "talk.h"
#include "text.h"

static int no_memory(void)
{
    return talk_error(EXIT_BUG, NULL, "out of memory");
}

/* ---- the file -------------------------------------------------------------------------------- */

/* The file's text, with a NUL behind it. */
static int read_all(const char *path, char **out, size_t *size)
{
    size_t room = 1 << 16, got;
    FILE *file = fopen(path, "rb");
    *size = 0;
    *out = NULL;
    if (file == NULL)
        return talk_error(EXIT_NO_INPUT, NULL, "cannot open %s: %s", path, strerror(errno));
    do {
        char *larger = realloc(*out, 2 * room);
        if (larger == NULL) break;
        *out = larger;
        room *= 2;
        got = fread(*out + *size, 1, room - *size - 1, file);
        *size += got;
    } while (got > 0);
    int failed = ferror(file), whole = feof(file);
    fclose(file);
    if (failed) return talk_error(EXIT_IO, NULL, "cannot read %s", path);
    if (!whole || *out == NULL) return no_memory();
    (*out)[*size] = '\0';
    return 0;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One line: its word ends in a NUL, which takes the place of what followed it. */
static int add_word(struct words *w, const char *path, char *line, char *end)
{
    while (line < end && is_blank(*line)) line++;
    while (end > line && is_blank(end[-1])) end--;
    if (line == end)
        return talk_error(EXIT_BAD_DATA, "give one word a line", "%s, line %zu: an empty line",
                          path, w->n + 1);
    uint64_t key = nlsh__hash_of(line, (size_t)(end - line));
    *end = '\0';
    if (key == NLSH_NO_KEY)
        return talk_error(EXIT_BAD_DATA, "take another word for it",
                          "%s, line %zu: %.40s has the key that means no key", path, w->n + 1,
                          line);
    text_clean(line);
    w->words[w->n] = line;
    w->keys[w->n++] = key;
    return 0;
}

static int split(struct words *w, const char *path, size_t size)
{
    char *at = w->memory, *end = w->memory + size;
    int code = 0;
    while (code == 0 && at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL) stop = end;
        char *next = stop + 1;
        code = add_word(w, path, at, stop);
        at = next;
    }
    return code;
}

/* ---- the whole ------------------------------------------------------------------------------- */

int words_read(const char *path, struct words *out)
{
    size_t size, most = 1;
    *out = (struct words){0};
    int code = read_all(path, &out->memory, &size);
    if (code != 0) return code;
    for (size_t i = 0; i < size; i++) most += out->memory[i] == '\n';
    out->words = calloc(most, sizeof *out->words);
    out->keys = calloc(most, sizeof *out->keys);
    out->by_key = calloc(most, sizeof *out->by_key);
    if (out->words == NULL || out->keys == NULL || out->by_key == NULL) return no_memory();
    code = split(out, path, size);
    return code == 0 ? order_by_key(out->keys, out->n, out->by_key) : code;
}

void words_free(struct words *words)
{
    free(words->memory);
    free(words->words);
    free(words->keys);
    free(words->by_key);
    *words = (struct words){0};
}

const char *words_find(const struct words *words, uint64_t key)
{
    size_t low = 0, high = words->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (words->keys[words->by_key[middle]] < key)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == words->n || words->keys[words->by_key[low]] != key) return NULL;
    return words->words[words->by_key[low]];
}
