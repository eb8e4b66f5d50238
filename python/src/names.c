/* names.c - see names.h. */
#include "names.h"

#include <stdio.h>
#include <string.h>

#include "failure.h"

int choice_take(const char *name, const char *what, const char *const *names, int n)
{
    char hint[200];
    size_t at = (size_t)snprintf(hint, sizeof hint, "take one of ");
    for (int i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) return i;
        const char *before = i == 0 ? "" : i == n - 1 ? " and " : ", ";
        if (at < sizeof hint)
            at += (size_t)snprintf(hint + at, sizeof hint - at, "%s%s", before, names[i]);
    }
    raise_argument(hint, "%s is \"%s\"", what, name);
    return -1;
}

int metric_take(const char *name, enum nlsh_metric *out)
{
    const char *names[NLSH_COSINE + 1];
    for (int i = 0; i <= NLSH_COSINE; i++) names[i] = nlsh_metric_name((enum nlsh_metric)i);
    int i = choice_take(name, "metric", names, NLSH_COSINE + 1);
    if (i >= 0) *out = (enum nlsh_metric)i;
    return i < 0 ? -1 : 0;
}

int memory_take(const char *name, enum nlsh_memory *out)
{
    static const char *const names[] = {
        [NLSH_MEMORY_MAP] = "map", [NLSH_MEMORY_CODES] = "codes", [NLSH_MEMORY_ALL] = "all"};
    int i = choice_take(name, "memory", names, 3);
    if (i >= 0) *out = (enum nlsh_memory)i;
    return i < 0 ? -1 : 0;
}
