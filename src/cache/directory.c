/*
 * directory.c - the default place of the cache, its listing, its clearing. Only files with names
 * that entry.h makes are ever looked at, so a directory that holds other things too keeps them.
 */
#include "cache/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "cache/entry.h"
#include "nlsh/learn.h"

const char *nlsh_cache_default_dir(void)
{
    static char dir[4096];
    const char *own = getenv("NLSH_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;
    if (own != NULL && own[0] != '\0')
        n = snprintf(dir, sizeof dir, "%s", own);
    else if (xdg != NULL && xdg[0] == '/') /* its specification: a relative path is not valid */
        n = snprintf(dir, sizeof dir, "%s/nlsh", xdg);
    else if (home != NULL && home[0] != '\0')
        n = snprintf(dir, sizeof dir, "%s/.cache/nlsh", home);
    else
        return NULL;
    return n > 0 && (size_t)n < sizeof dir ? dir : NULL;
}

/* *out is NULL where there is no such directory. */
static enum nlsh_status open_directory(const char *dir, DIR **out, struct nlsh_error *error)
{
    *out = opendir(dir);
    if (*out != NULL || errno == ENOENT) return NLSH_OK;
    return nlsh__fail_errno(error, NLSH_E_NO_INPUT, errno, "name the directory of the cache",
                            "cannot read the cache %s", dir);
}

static enum nlsh_status check_arguments(const char *dir, struct nlsh_error *error)
{
    nlsh__error_clear(error);
    if (dir != NULL && dir[0] != '\0') return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "set NLSH_CACHE or name a directory",
                      "there is no cache directory");
}

/* ---- list ------------------------------------------------------------------------------------ */

static enum nlsh_status no_memory(struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

/* Fills *entry, and counts it; not where the file is gone meanwhile or is no regular file. */
static enum nlsh_status describe(DIR *dir, const char *directory, const char *name,
                                 struct nlsh__cache_file *entry, size_t *n,
                                 struct nlsh_error *error)
{
    struct stat st;
    struct nlsh__entry_view view;
    if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return NLSH_OK;
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = malloc(size);
    if (path == NULL) return no_memory(error);
    snprintf(path, size, "%s/%s", directory, name);
    enum nlsh__entry_state state = nlsh__entry_open(path, &view, NULL);
    free(path);
    if (state == NLSH__ENTRY_ABSENT) return NLSH_OK;
    *entry = (struct nlsh__cache_file){.size_bytes = (uint64_t)st.st_size,
                                       .mtime = (int64_t)st.st_mtime,
                                       .damaged = state != NLSH__ENTRY_WHOLE};
    snprintf(entry->name, sizeof entry->name, "%s", name);
    snprintf(entry->what, sizeof entry->what, "%s",
             state == NLSH__ENTRY_WHOLE        ? view.header.what
             : state == NLSH__ENTRY_UNREADABLE ? "cannot be read"
                                               : "damaged");
    if (state == NLSH__ENTRY_WHOLE) nlsh__entry_close(&view);
    ++*n;
    return NLSH_OK;
}

/* Room for one more of n entries. */
static enum nlsh_status make_room(struct nlsh__cache_file **entries, size_t n, size_t *capacity,
                                  struct nlsh_error *error)
{
    if (n < *capacity) return NLSH_OK;
    size_t more = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = realloc(*entries, more * sizeof **entries);
    if (grown == NULL) return no_memory(error);
    *entries = grown;
    *capacity = more;
    return NLSH_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct nlsh__cache_file *)a)->name,
                  ((const struct nlsh__cache_file *)b)->name);
}

enum nlsh_status nlsh__cache_list(const char *dir, struct nlsh__cache_file **out, size_t *n_entries,
                                  struct nlsh_error *error)
{
    enum nlsh_status status = check_arguments(dir, error);
    DIR *d = NULL;
    size_t capacity = 0;
    *out = NULL;
    *n_entries = 0;
    if (status == NLSH_OK) status = open_directory(dir, &d, error);
    if (status != NLSH_OK || d == NULL) return status;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!nlsh__entry_is_name(e->d_name)) continue;
        NLSH_TRY(make_room(out, *n_entries, &capacity, error));
        NLSH_TRY(describe(d, dir, e->d_name, &(*out)[*n_entries], n_entries, error));
    }
    if (*n_entries > 1) qsort(*out, *n_entries, sizeof **out, by_name);
out:
    closedir(d);
    if (status == NLSH_OK) return NLSH_OK;
    free(*out);
    *out = NULL;
    *n_entries = 0;
    return status;
}

/* ---- clear ----------------------------------------------------------------------------------- */

static int is_orphan(DIR *dir, const char *name, long min_age)
{
    struct stat st;
    long pid;
    if (!nlsh__entry_is_temporary(name, &pid)) return 0;
    if (kill((pid_t)pid, 0) == 0 || errno != ESRCH) return 0;
    if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0) return 0;
    return S_ISREG(st.st_mode) && time(NULL) - st.st_mtime >= min_age;
}

void nlsh__cache_sweep(const char *dir, long min_age)
{
    DIR *d = opendir(dir);
    if (d == NULL) return;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (is_orphan(d, e->d_name, min_age)) unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

enum nlsh_status nlsh__cache_clear(const char *dir, size_t *n_removed, struct nlsh_error *error)
{
    enum nlsh_status status = check_arguments(dir, error);
    DIR *d = NULL;
    size_t n = 0;
    if (status == NLSH_OK) status = open_directory(dir, &d, error);
    if (d != NULL) {
        nlsh__cache_sweep(dir, 0);
        for (struct dirent *e; (e = readdir(d)) != NULL;) {
            struct stat st;
            if (!nlsh__entry_is_name(e->d_name)) continue;
            if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode))
                continue;
            if (unlinkat(dirfd(d), e->d_name, 0) == 0)
                n++;
            else if (errno != ENOENT && status == NLSH_OK)
                status = nlsh__fail_errno(error, NLSH_E_CANT_CREATE, errno,
                                          "give this user the right to write in that directory",
                                          "cannot remove %s/%s", dir, e->d_name);
        }
        closedir(d);
    }
    if (n_removed != NULL) *n_removed = n;
    return status;
}
