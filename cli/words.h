/* words.h - words that are keys: a file .words with one a line. */
#ifndef NLSH_CLI_WORDS_H
#define NLSH_CLI_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* All words of a file, in its order. A word's key is XXH3-64 of its bytes. */
struct words {
    char *memory;
    const char **words; /* [n] as a terminal may show them */
    uint64_t *keys;     /* [n] */
    size_t *by_key;     /* [n] places in the order of keys */
    size_t n;
};

/* Lines without the spaces at their ends. An empty one is an error, and so is a word whose key would be NLSH_NO_KEY.
 * 0 or an exit code after saying why; words_free() in any case. */
int words_read(const char *path, struct words *out);
void words_free(struct words *words);

/* The word that has the key; NULL where none has. */
const char *words_find(const struct words *words, uint64_t key);

#endif
