/*
 * output.c - see output.h. Commit is fsync, rename, fsync of the directory, so that after a crash at
 * any point the target is the old file or the new one.
 */
#define _GNU_SOURCE
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/temporary.h"

#define BUFFER_BYTES ((size_t)1 << 20)

struct nlsh__output {
    char *path;      /* the target as the caller named it, for messages */
    char *target;    /* the same without symbolic links */
    char *directory; /* the target lies in */
    char *temporary; /* NULL where the target is a device or a pipe */
    uint8_t *buffer;
    size_t used;
    uint64_t offset; /* of the next byte, the buffer included */
    off_t start;     /* where in fd our first byte lies; -1 where fd cannot be gone back in */
    int fd;
    int broken; /* the errno of a write that failed, or 0 */
};

/* ---- errors ---------------------------------------------------------------------------------- */

static enum nlsh_status cannot_write(const char *path, int e, struct nlsh_error *error)
{
    const char *hint = e == ENOSPC || e == EDQUOT ? "make room on that disk, or write elsewhere"
                       : e == ENAMETOOLONG        ? "choose a shorter name"
                       : e == ENXIO               ? "start its reader first, or name a regular file"
                       : e == ENOENT              ? "make the directory first"
                                     : "check that the directory exists and may be written to";
    if (e == ENXIO) {
        (void)nlsh__fail(error, NLSH_E_CANT_CREATE, hint, "cannot write %s: nobody reads that pipe",
                         path);
    } else {
        (void)nlsh__fail_errno(error, NLSH_E_CANT_CREATE, e, hint, "cannot write %s", path);
    }
    errno = e;
    return NLSH_E_CANT_CREATE;
}

static enum nlsh_status break_off(struct nlsh__output *output, int e, struct nlsh_error *error)
{
    output->broken = e != 0 ? e : EIO;
    return cannot_write(output->path, output->broken, error);
}

static enum nlsh_status no_memory(struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Splits path at its last '/'; name points into path. */
static char *directory_of(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    if (slash == NULL) return strdup(".");
    if (slash == path) return strdup("/");
    return strndup(path, (size_t)(slash - path));
}

/* N for "/dev/fd/N" and its like, 1 for "/dev/stdout"; -1 for any other path. */
static int own_descriptor(const char *path)
{
    static const char *const prefixes[] = {"/dev/fd/", "/proc/self/fd/"};
    if (strcmp(path, "/dev/stdout") == 0) return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0) return STDERR_FILENO;
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(prefixes[i]);
        char *end;
        if (strncmp(path, prefixes[i], n) != 0 || path[n] < '0' || path[n] > '9') continue;
        long fd = strtol(path + n, &end, 10);
        if (*end == '\0' && fd <= INT_MAX) return (int)fd;
    }
    return -1;
}

/* The path with the links at its end followed, also where nothing stands at their end yet. NULL with
 * errno: no memory, or too many links. */
static char *follow_links(const char *path)
{
    char to[PATH_MAX];
    char *at = strdup(path);
    for (int links = 0; at != NULL; links++) {
        const char *name;
        ssize_t n = readlink(at, to, sizeof to - 1);
        if (n < 0) return at; /* no link, or nothing there */
        to[n] = '\0';
        char *directory = directory_of(at, &name), *next = NULL;
        if (to[0] == '/')
            next = strdup(to);
        else if (directory == NULL || asprintf(&next, "%s/%s", directory, to) < 0)
            next = NULL;
        free(directory);
        free(at);
        at = next;
        if (links == 40 && at != NULL) { /* as many as Linux follows */
            free(at);
            errno = ELOOP;
            return NULL;
        }
    }
    return NULL;
}

/* ---- what stands at the target --------------------------------------------------------------- */

struct target {
    int descriptor; /* one that the caller has open, or -1 */
    int exists;
    struct stat st; /* where it exists */
};

/* regular: nothing else will do. Found now, not at the rename after hours of work: a directory, a
 * name that is too long, and so on. */
static enum nlsh_status look_at(const char *path, int regular, struct target *out,
                                struct nlsh_error *error)
{
    out->descriptor = own_descriptor(path);
    out->exists = stat(path, &out->st) == 0;
    if (!out->exists && errno != ENOENT) return cannot_write(path, errno, error);
    if (out->exists && S_ISDIR(out->st.st_mode))
        return nlsh__fail(error, NLSH_E_CANT_CREATE, "name a file inside it",
                          "cannot write %s: it is a directory", path);
    if (path[0] == '\0' || path[strlen(path) - 1] == '/')
        return nlsh__fail(error, NLSH_E_CANT_CREATE, "name a file",
                          "cannot write '%s': it is no file's name", path);
    if (regular && out->exists && !S_ISREG(out->st.st_mode))
        return nlsh__fail(error, NLSH_E_CANT_CREATE,
                          "name a regular file: it is gone back in while it is made",
                          "cannot write %s: it is no regular file", path);
    return NLSH_OK;
}

enum nlsh_status nlsh__output_check(const char *path, struct nlsh_error *error)
{
    struct target t;
    const char *name;
    enum nlsh_status status = look_at(path, 0, &t, error);
    if (status != NLSH_OK || t.descriptor >= 0 || (t.exists && !S_ISREG(t.st.st_mode)))
        return status;
    char *target = follow_links(path);
    char *directory = target != NULL ? directory_of(target, &name) : NULL;
    if (directory == NULL)
        status = cannot_write(path, errno, error);
    else if (access(directory, W_OK | X_OK) != 0 && errno == ENOENT)
        status = nlsh__fail(error, NLSH_E_CANT_CREATE, "make the directory first",
                            "cannot write %s: there is no directory %s", path, directory);
    else if (access(directory, W_OK | X_OK) != 0)
        status = cannot_write(path, errno, error);
    free(directory);
    free(target);
    return status;
}

/* ---- open ------------------------------------------------------------------------------------ */

static void output_free(struct nlsh__output *output)
{
    int e = errno;
    if (output->fd >= 0) close(output->fd);
    nlsh__free(output->buffer);
    free(output->temporary);
    free(output->directory);
    free(output->target);
    free(output->path);
    nlsh__free(output);
    errno = e;
}

/* A device, a pipe, or a descriptor that the caller has open already: no name to put a whole file
 * under, so it is written as it comes. */
static enum nlsh_status open_straight(struct nlsh__output *output, int descriptor,
                                      struct nlsh_error *error)
{
    /* O_NONBLOCK: without it, to open a pipe waits for a reader, past any signal. */
    output->fd = descriptor >= 0 ? fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
                                 : open(output->path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (output->fd < 0) return break_off(output, errno, error);
    int flags = fcntl(output->fd, F_GETFL);
    if (descriptor < 0 && (flags < 0 || fcntl(output->fd, F_SETFL, flags & ~O_NONBLOCK) != 0))
        return break_off(output, errno, error);
    /* pwrite() to a descriptor in append mode appends. */
    output->start = flags >= 0 && (flags & O_APPEND) != 0 ? -1 : lseek(output->fd, 0, SEEK_CUR);
    return NLSH_OK;
}

/* A file that is to be replaced whole. It keeps the rights of the one that it replaces. */
static enum nlsh_status open_replacing(struct nlsh__output *output, const struct stat *old,
                                       struct nlsh_error *error)
{
    const char *name = NULL;
    output->target = follow_links(output->path);
    if (output->target != NULL) output->directory = directory_of(output->target, &name);
    if (output->directory == NULL) return break_off(output, errno, error);
    output->fd = nlsh__temporary_open(output->directory, name, &output->temporary);
    if (output->fd < 0 || (old != NULL && fchmod(output->fd, old->st_mode & 0777) != 0))
        return break_off(output, errno, error);
    return NLSH_OK;
}

static enum nlsh_status output_open(const char *path, int regular, struct nlsh__output **out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *output = NULL;
    struct target t;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&output, 1, sizeof *output, error));
    output->fd = -1;
    output->path = strdup(path);
    if (output->path == NULL) {
        status = no_memory(error);
        goto out;
    }
    NLSH_TRY(nlsh__alloc(&output->buffer, BUFFER_BYTES, 1, error));
    NLSH_TRY(look_at(path, regular, &t, error));
    if (t.descriptor >= 0 || (t.exists && !S_ISREG(t.st.st_mode)))
        NLSH_TRY(open_straight(output, t.descriptor, error));
    else
        NLSH_TRY(open_replacing(output, t.exists ? &t.st : NULL, error));
    if (regular && output->temporary == NULL && output->start < 0) {
        status = nlsh__fail(error, NLSH_E_CANT_CREATE, "name a regular file",
                            "cannot write %s: it cannot be gone back in", path);
        goto out;
    }
    *out = output;
    return NLSH_OK;
out:
    nlsh__output_abort(output);
    return status;
}

enum nlsh_status nlsh__output_open(const char *path, struct nlsh__output **out,
                                   struct nlsh_error *error)
{
    return output_open(path, 0, out, error);
}

enum nlsh_status nlsh__output_open_file(const char *path, struct nlsh__output **out,
                                        struct nlsh_error *error)
{
    return output_open(path, 1, out, error);
}

/* ---- write ----------------------------------------------------------------------------------- */

static enum nlsh_status write_all(struct nlsh__output *output, const uint8_t *data, size_t size,
                                  struct nlsh_error *error)
{
    while (size > 0) {
        ssize_t n = write(output->fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return break_off(output, errno, error);
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
    if (output->broken) return cannot_write(output->path, output->broken, error);
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

const char *nlsh__output_temporary(const struct nlsh__output *output)
{
    return output->temporary;
}

uint64_t nlsh__output_offset(const struct nlsh__output *output)
{
    return output->offset;
}

enum nlsh_status nlsh__output_patch(struct nlsh__output *output, uint64_t offset, const void *data,
                                    size_t size, struct nlsh_error *error)
{
    if (output->broken) return cannot_write(output->path, output->broken, error);
    if (output->start < 0) {
        output->broken = ESPIPE;
        return nlsh__fail(error, NLSH_E_CANT_CREATE, "name a regular file",
                          "cannot write %s: a pipe cannot be gone back in", output->path);
    }
    enum nlsh_status status = flush(output, error);
    const uint8_t *p = data;
    offset += (uint64_t)output->start;
    while (status == NLSH_OK && size > 0) {
        ssize_t n = pwrite(output->fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return break_off(output, errno, error);
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return status;
}

/* ---- commit and abort ------------------------------------------------------------------------- */

int nlsh__sync_directory(const char *directory)
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
        status = cannot_write(output->path, output->broken, error);
        goto out;
    }
    NLSH_TRY(flush(output, error));
    if (output->temporary == NULL) {
        int fd = output->fd;
        output->fd = -1;
        /* A file on another machine may tell only now that it could not be written. */
        if (close(fd) != 0 && errno != EINTR) status = break_off(output, errno, error);
        goto out;
    }
    if (fsync(output->fd) != 0 || rename(output->temporary, output->target) != 0) {
        status = break_off(output, errno, error);
        goto out;
    }
    free(output->temporary);
    output->temporary = NULL;
    if (nlsh__sync_directory(output->directory) != 0)
        status = nlsh__fail_errno(
            error, NLSH_E_IO, errno, "the file is whole; only a crash of the machine could undo it",
            "%s is written, but its directory could not be synced", output->path);
out:
    if (output->temporary != NULL) {
        int e = errno;
        unlink(output->temporary);
        errno = e;
    }
    output_free(output);
    return status;
}

void nlsh__output_abort(struct nlsh__output *output)
{
    if (output == NULL) return;
    if (output->temporary != NULL) unlink(output->temporary);
    output_free(output);
}
