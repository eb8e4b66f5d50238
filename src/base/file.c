/*
 * file.c - maps and whole-or-nothing outputs.
 *
 * An output goes to ".NAME.nlsh-PID.tmp" in the target's directory; commit is fsync, rename,
 * fsync of the directory, so that after a crash at any point the target is the old file or the new
 * one. Opening an output removes temporary files of the same target whose process is gone (killed
 * half-way), so they do not pile up.
 */
#define _GNU_SOURCE
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

/* ---- maps ------------------------------------------------------------------------------------ */

enum nlsh_status nlsh__map_open(const char *path, struct nlsh__map *out, struct nlsh_error *error)
{
    out->data = NULL;
    out->size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return nlsh__fail_errno(error, NLSH_E_NO_INPUT, errno,
                                errno == EACCES ? "give this user the right to read it"
                                                : "check the path",
                                "%s", path);
    struct stat st;
    enum nlsh_status status = NLSH_OK;
    if (fstat(fd, &st) != 0) {
        status = nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = nlsh__fail(error, NLSH_E_NO_INPUT, "name a regular file; a pipe cannot be mapped",
                            "%s: not a regular file", path);
    } else if (st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            status = nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s: cannot be mapped", path);
        else {
            out->data = data;
            out->size = (size_t)st.st_size;
        }
    }
    close(fd);
    return status;
}

void nlsh__map_close(struct nlsh__map *map)
{
    if (map->data != NULL) munmap((void *)(uintptr_t)map->data, map->size);
    map->data = NULL;
    map->size = 0;
}

/* ---- outputs --------------------------------------------------------------------------------- */

#define BUFFER_BYTES ((size_t)1 << 20)

struct nlsh__output {
    char *path;      /* the target */
    char *directory; /* it lies in */
    char *temporary; /* NULL where the target is a device or a pipe */
    uint8_t *buffer;
    size_t used;
    uint64_t offset; /* of the next byte, the buffer included */
    int fd;
    int broken; /* a write failed */
};

static enum nlsh_status cannot(struct nlsh__output *output, struct nlsh_error *error)
{
    int e = errno;
    output->broken = 1;
    return nlsh__fail_errno(error, NLSH_E_CANT_CREATE, e,
                            e == ENOSPC || e == EDQUOT
                                ? "make room on that disk, or write elsewhere"
                                : "check that the directory exists and may be written to",
                            "cannot write %s", output->path);
}

/* Splits path at its last '/'; name points into path. */
static char *directory_of(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    if (slash == NULL) return strdup(".");
    if (slash == path) return strdup("/");
    return strndup(path, (size_t)(slash - path));
}

/* Removes ".NAME.nlsh-PID.tmp" whose PID is no longer a process. */
static void remove_orphans(const char *directory, const char *name)
{
    DIR *dir = opendir(directory);
    if (dir == NULL) return;
    size_t length = strlen(name);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        const char *p = e->d_name;
        if (*p++ != '.' || strncmp(p, name, length) != 0) continue;
        p += length;
        if (strncmp(p, ".nlsh-", 6) != 0) continue;
        char *end;
        long pid = strtol(p + 6, &end, 10);
        if (strcmp(end, ".tmp") != 0 || pid <= 0) continue;
        if (kill((pid_t)pid, 0) == 0 || errno != ESRCH) continue;
        unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
}

static void output_free(struct nlsh__output *output)
{
    if (output->fd >= 0) close(output->fd);
    free(output->buffer);
    free(output->temporary);
    free(output->directory);
    free(output->path);
    free(output);
}

enum nlsh_status nlsh__output_open(const char *path, struct nlsh__output **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *output = NULL;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&output, 1, sizeof *output, error));
    output->fd = -1;
    const char *name;
    output->path = strdup(path);
    output->directory = directory_of(path, &name);
    NLSH_TRY(nlsh__alloc(&output->buffer, BUFFER_BYTES, 1, error));
    if (output->path == NULL || output->directory == NULL) {
        status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
        goto out;
    }
    struct stat st;
    int exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) {
        status = nlsh__fail(error, NLSH_E_CANT_CREATE, "name a file inside it",
                            "cannot write %s: it is a directory", path);
        goto out;
    }
    if (exists && !S_ISREG(st.st_mode)) {
        output->fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        if (asprintf(&output->temporary, "%s/.%s.nlsh-%ld.tmp", output->directory, name,
                     (long)getpid()) < 0) {
            output->temporary = NULL;
            status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
            goto out;
        }
        remove_orphans(output->directory, name);
        output->fd = open(output->temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
    if (output->fd < 0) {
        status = cannot(output, error);
        goto out;
    }
    *out = output;
    return NLSH_OK;
out:
    if (output != NULL) output_free(output);
    return status;
}

static enum nlsh_status write_all(struct nlsh__output *output, const uint8_t *data, size_t size,
                                  struct nlsh_error *error)
{
    while (size > 0) {
        ssize_t n = write(output->fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cannot(output, error);
        data += n;
        size -= (size_t)n;
    }
    return NLSH_OK;
}

static enum nlsh_status flush(struct nlsh__output *output, struct nlsh_error *error)
{
    enum nlsh_status status = write_all(output, output->buffer, output->used, error);
    output->used = 0;
    return status;
}

enum nlsh_status nlsh__output_write(struct nlsh__output *output, const void *data, size_t size,
                                    struct nlsh_error *error)
{
    if (output->broken)
        return nlsh__fail(error, NLSH_E_CANT_CREATE, NULL, "cannot write %s", output->path);
    output->offset += size;
    if (size > BUFFER_BYTES - output->used) {
        enum nlsh_status status = flush(output, error);
        if (status != NLSH_OK) return status;
        if (size >= BUFFER_BYTES) return write_all(output, data, size, error);
    }
    if (size > 0) memcpy(output->buffer + output->used, data, size);
    output->used += size;
    return NLSH_OK;
}

enum nlsh_status nlsh__output_align(struct nlsh__output *output, size_t alignment,
                                    struct nlsh_error *error)
{
    static const uint8_t zeros[64];
    size_t gap = (size_t)((alignment - output->offset % alignment) % alignment);
    while (gap > 0) {
        size_t n = gap < sizeof zeros ? gap : sizeof zeros;
        enum nlsh_status status = nlsh__output_write(output, zeros, n, error);
        if (status != NLSH_OK) return status;
        gap -= n;
    }
    return NLSH_OK;
}

uint64_t nlsh__output_offset(const struct nlsh__output *output)
{
    return output->offset;
}

enum nlsh_status nlsh__output_patch(struct nlsh__output *output, uint64_t offset,
                                    const void *data, size_t size, struct nlsh_error *error)
{
    enum nlsh_status status = flush(output, error);
    const uint8_t *p = data;
    while (status == NLSH_OK && size > 0) {
        ssize_t n = pwrite(output->fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return cannot(output, error);
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return status;
}

static int sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return 0; /* a directory that may be written but not read: nothing to do */
    int result = fsync(fd);
    if (result != 0 && (errno == EINVAL || errno == ENOTSUP)) result = 0;
    close(fd);
    return result;
}

enum nlsh_status nlsh__output_commit(struct nlsh__output *output, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (output->broken) {
        status = nlsh__fail(error, NLSH_E_CANT_CREATE, NULL, "cannot write %s", output->path);
        goto out;
    }
    NLSH_TRY(flush(output, error));
    if (output->temporary != NULL) {
        if (fsync(output->fd) != 0 || rename(output->temporary, output->path) != 0) {
            status = cannot(output, error);
            goto out;
        }
        free(output->temporary);
        output->temporary = NULL;
        if (sync_directory(output->directory) != 0) status = cannot(output, error);
    }
out:
    if (output->temporary != NULL) unlink(output->temporary);
    output_free(output);
    return status;
}

void nlsh__output_abort(struct nlsh__output *output)
{
    if (output == NULL) return;
    if (output->temporary != NULL) unlink(output->temporary);
    output_free(output);
}

enum nlsh_status nlsh__make_dirs(const char *path, struct nlsh_error *error)
{
    char *copy = strdup(path);
    if (copy == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    enum nlsh_status status = NLSH_OK;
    for (char *p = copy + 1; status == NLSH_OK; p++) {
        if (*p != '/' && *p != '\0') continue;
        char c = *p;
        *p = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            status = nlsh__fail_errno(error, NLSH_E_CANT_CREATE, errno,
                                      "check that its parent may be written to",
                                      "cannot make the directory %s", copy);
        *p = c;
        if (c == '\0') break;
    }
    free(copy);
    return status;
}
