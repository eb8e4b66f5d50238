/* near.c - see near.h. */
#include "near.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "verbs/verb.h"

/* Changes (insert, delete, replace, swap of neighbours) that make b of a. Both are cut at 31. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t d[32][32];
    size_t n = strlen(a), m = strlen(b);
    if (n > 31) n = 31;
    if (m > 31) m = 31;
    for (size_t i = 0; i <= n; i++) d[i][0] = i;
    for (size_t j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t best = d[i - 1][j - 1] + (same ? 0 : 1);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < best) best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

size_t nearness(const char *given, const char *name)
{
    size_t length = strlen(given);
    if (length >= 2 && strncmp(given, name, length) == 0) return 1;
    size_t distance = edit_distance(given, name);
    size_t allowed = strlen(name) <= 3 ? 1 : strlen(name) <= 6 ? 2 : 3;
    return distance <= allowed && distance < length ? distance : NOT_NEAR;
}

const char *verb_suggest(const char *name)
{
    const char *best = NULL;
    size_t best_distance = NOT_NEAR;
    const struct verb *verb;
    for (size_t i = 0; (verb = verb_at(i)) != NULL; i++) {
        size_t distance = nearness(name, verb->name);
        if (distance < best_distance) {
            best_distance = distance;
            best = verb->name;
        }
    }
    return best;
}

bool choice_suggest(const char *argument, const char *value, char *buffer, size_t buffer_size)
{
    char word[64];
    size_t best_distance = NOT_NEAR;
    for (size_t i = 0; choice_at(argument, i, word, sizeof word); i++) {
        size_t distance = nearness(value, word);
        if (distance < best_distance) {
            best_distance = distance;
            snprintf(buffer, buffer_size, "%s", word);
        }
    }
    return best_distance < NOT_NEAR;
}
