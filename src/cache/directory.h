/* directory.h - the cache as a person sees it: its entries, and their removal. */
#ifndef NLSH_CACHE_DIRECTORY_H
#define NLSH_CACHE_DIRECTORY_H

#include "nlsh/learn.h"

struct nlsh__cache_file {
    char name[128]; /* of the file inside the directory */
    char what[160]; /* "k-NN graph, exact, k=10, 60000 rows" */
    uint64_t size_bytes;
    int64_t mtime; /* seconds since 1970 */
    int damaged;   /* its checksum does not agree */
};

/* Every entry, by name; *out is freed with free(). A directory that is not there has none. NLSH_E_ARG,
 * NLSH_E_NO_INPUT, NLSH_E_NOMEM. */
enum nlsh_status nlsh__cache_list(const char *dir, struct nlsh__cache_file **out, size_t *n_entries,
                                  struct nlsh_error *error);
/* Removes the entries (nothing else that lies in the directory); says how many where n_removed is not
 * NULL. */
enum nlsh_status nlsh__cache_clear(const char *dir, size_t *n_removed, struct nlsh_error *error);

/* Removes temporary files of entries whose writer is gone (killed half-way) and which nobody has
 * touched for min_age seconds. Never fails. */
void nlsh__cache_sweep(const char *dir, long min_age);

#endif
