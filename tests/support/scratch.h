/* scratch.h - a directory for a test's files, and files as bytes. */
#ifndef NLSH_TESTS_SCRATCH_H
#define NLSH_TESTS_SCRATCH_H

#include <dirent.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch[256];

/* An empty directory of this process's own; its path stands in scratch. */
static inline void scratch_make(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%s/nlsh-test-XXXXXX",
             parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    if (mkdtemp(scratch) == NULL) {
        perror(scratch);
        abort();
    }
}

/* Removes it with the files in it (one level of directories deep). */
static inline void scratch_remove_tree(const char *path, int depth)
{
    DIR *dir = opendir(path);
    if (dir == NULL) return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char child[2048];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        snprintf(child, sizeof child, "%.1700s/%s", path, e->d_name);
        if (unlink(child) != 0 && depth > 0) scratch_remove_tree(child, depth - 1);
    }
    closedir(dir);
    rmdir(path);
}

static inline void scratch_remove(void)
{
    scratch_remove_tree(scratch, 8);
}

/* Files whose name begins with prefix. */
static inline size_t scratch_count(const char *prefix)
{
    size_t n = 0;
    DIR *dir = opendir(scratch);
    if (dir == NULL) abort();
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0 && strcmp(e->d_name, ".") != 0 &&
             strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return n;
}

/* A path inside it; the buffer is used again after eight calls. */
__attribute__((format(printf, 1, 2))) static inline const char *scratch_path(const char *format,
                                                                             ...)
{
    static char paths[8][1024];
    static unsigned next;
    char *path = paths[next++ % 8];
    int used = snprintf(path, sizeof paths[0], "%s/", scratch);
    va_list args;
    va_start(args, format);
    vsnprintf(path + used, sizeof paths[0] - (size_t)used, format, args);
    va_end(args);
    return path;
}

static inline void spit(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || (size > 0 && fwrite(bytes, 1, size, file) != size) || fclose(file) != 0) {
        perror(path);
        abort();
    }
}

/* malloc()ed; NULL where there is no such file. */
static inline uint8_t *slurp(const char *path, size_t *size)
{
    *size = 0;
    struct stat st;
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    if (fstat(fileno(file), &st) != 0) abort();
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    if (bytes == NULL || fread(bytes, 1, (size_t)st.st_size, file) != (size_t)st.st_size) abort();
    fclose(file);
    *size = (size_t)st.st_size;
    return bytes;
}

#endif
