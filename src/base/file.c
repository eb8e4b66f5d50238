/*
 * file.c - maps and whole-or-nothing outputs.
 *
 * An output goes to ".NAME.nlsh-PID-SERIAL.tmp" in the target's directory; commit is fsync, rename,
 * fsync of the directory, so that after a crash at any point the target is the old file or the new
 * one. Opening an output removes temporary files of the same target whose writer was killed, so
 * they do not pile up. A living writer holds a lock (flock) on its temporary file: process numbers
 * would not do, they are used again and mean nothing to another machine or container that shares
 * the directory.
 */
#define _GNU_SOURCE
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"

/* ---- maps ------------------------------------------------------------------------------------ */

static enum nlsh_status cannot_read(const char *path, int e, struct nlsh_error *error)
{
    int absent = e == ENOENT || e == ENOTDIR || e == ELOOP || e == ENAMETOOLONG;
    if (e == EACCES || e == EPERM)
        return nlsh__fail_errno(error, NLSH_E_NO_INPUT, e, "give this user the right to read it",
                                "%s", path);
    return nlsh__fail_errno(error, absent ? NLSH_E_NO_INPUT : NLSH_E_IO, e,
                            absent ? "check the path" : NULL, "%s", path);
}

enum nlsh_status nlsh__map_open(const char *path, struct nlsh__map *out, struct nlsh_error *error)
{
    out->data = NULL;
    out->size = 0;
    /* O_NONBLOCK: a pipe without a writer would hold us for ever; files do not mind. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return cannot_read(path, errno, error);
    struct stat st;
    enum nlsh_status status = NLSH_OK;
    if (fstat(fd, &st) != 0) {
        status = nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = nlsh__fail(error, NLSH_E_NO_INPUT, "name a regular file; a pipe cannot be mapped",
                            "%s: %s", path,
                            S_ISDIR(st.st_mode) ? "is a directory" : "not a regular file");
    } else if (st.st_size > 0) {
        void *data = MAP_FAILED;
        errno = EFBIG;
        if ((uintmax_t)st.st_size <= SIZE_MAX)
            data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
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
    char *path;      /* the target as the caller named it, for messages */
    char *target;    /* the same without symbolic links */
    char *directory; /* the target lies in */
    char *temporary; /* NULL where the target is a device or a pipe */
    uint8_t *buffer;
    size_t used;
    uint64_t offset; /* of the next byte, the buffer included */
    off_t start;     /* where in fd our first byte lies; -1 where fd cannot be gone back in */
    int fd;
    int broken; /* a write failed */
};

static enum nlsh_status cannot_errno(struct nlsh__output *output, int e, struct nlsh_error *error)
{
    output->broken = 1;
    return nlsh__fail_errno(
        error, NLSH_E_CANT_CREATE, e,
        e == ENOSPC || e == EDQUOT ? "make room on that disk, or write elsewhere"
        : e == ENAMETOOLONG        ? "choose a shorter name"
                                   : "check that the directory exists and may be written to",
        "cannot write %s", output->path);
}

static enum nlsh_status cannot(struct nlsh__output *output, struct nlsh_error *error)
{
    return cannot_errno(output, errno, error);
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

/*
 * What comes before the serial in a temporary file's name: ".NAME.nlsh-". A name near the limit of
 * 255 bytes would not fit with that, so a long one is replaced by a hash (FNV-1a, 64 bits).
 */
static char *temporary_prefix(const char *name)
{
    char *prefix = NULL;
    int n;
    if (strlen(name) <= 200) {
        n = asprintf(&prefix, ".%s.nlsh-", name);
    } else {
        uint64_t hash = 0xcbf29ce484222325u;
        for (const char *p = name; *p != '\0'; p++)
            hash = (hash ^ (unsigned char)*p) * 0x100000001b3u;
        n = asprintf(&prefix, ".%016llx.nlsh-", (unsigned long long)hash);
    }
    return n < 0 ? NULL : prefix;
}

/* "PID-SERIAL.tmp" */
static int is_serial(const char *p)
{
    size_t digits = strspn(p, "0123456789");
    if (digits == 0 || p[digits] != '-') return 0;
    p += digits + 1;
    digits = strspn(p, "0123456789");
    return digits > 0 && strcmp(p + digits, ".tmp") == 0;
}

static int same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Removes the temporary files of this target that nobody holds locked. Who gets the lock may
 * remove, once sure that the name still means the file that was locked. */
static void remove_orphans(const char *directory, const char *prefix)
{
    DIR *dir = opendir(directory);
    if (dir == NULL) return;
    size_t length = strlen(prefix);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat opened, named;
        if (strncmp(e->d_name, prefix, length) != 0 || !is_serial(e->d_name + length)) continue;
        int fd = openat(dirfd(dir), e->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0) continue;
        if (fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) &&
            flock(fd, LOCK_EX | LOCK_NB) == 0 &&
            fstatat(dirfd(dir), e->d_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
            same_file(&opened, &named))
            unlinkat(dirfd(dir), e->d_name, 0);
        close(fd);
    }
    closedir(dir);
}

static void output_free(struct nlsh__output *output)
{
    if (output->fd >= 0) close(output->fd);
    nlsh__free(output->buffer);
    free(output->temporary);
    free(output->directory);
    free(output->target);
    free(output->path);
    nlsh__free(output);
}

static enum nlsh_status no_memory(struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

/* A device, a pipe, or a descriptor that the caller has open already: no name to put a whole file
 * under, so it is written as it comes. */
static enum nlsh_status open_straight(struct nlsh__output *output, int descriptor,
                                      struct nlsh_error *error)
{
    output->fd = descriptor >= 0 ? fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
                                 : open(output->path, O_WRONLY | O_CLOEXEC);
    if (output->fd < 0) return cannot(output, error);
    int flags = fcntl(output->fd, F_GETFL);
    /* pwrite() to a descriptor in append mode appends. */
    output->start = flags >= 0 && (flags & O_APPEND) != 0 ? -1 : lseek(output->fd, 0, SEEK_CUR);
    return NLSH_OK;
}

/* A new file under a name of its own, locked. A remover may get at it between the two steps: then
 * it has no name any more, or is locked, and the next serial is tried. */
static enum nlsh_status open_temporary(struct nlsh__output *output, const char *prefix,
                                       struct nlsh_error *error)
{
    for (unsigned serial = 0; serial < 10000; serial++) {
        struct stat st;
        free(output->temporary);
        if (asprintf(&output->temporary, "%s/%s%ld-%u.tmp", output->directory, prefix,
                     (long)getpid(), serial) < 0) {
            output->temporary = NULL;
            return no_memory(error);
        }
        output->fd = open(output->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (output->fd < 0 && errno == EEXIST) continue;
        if (output->fd < 0) break;
        int locked = flock(output->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
        if (locked && fstat(output->fd, &st) == 0 && st.st_nlink > 0) return NLSH_OK;
        close(output->fd);
        output->fd = -1;
        errno = EEXIST;
    }
    int e = errno;
    free(output->temporary); /* not ours to unlink */
    output->temporary = NULL;
    return cannot_errno(output, e, error);
}

/* A file that is to be replaced whole. It keeps the rights of the one that it replaces; a symbolic
 * link stays, and what it points to is replaced. */
static enum nlsh_status open_replacing(struct nlsh__output *output, const struct stat *old,
                                       struct nlsh_error *error)
{
    const char *name;
    output->target = old != NULL ? realpath(output->path, NULL) : NULL;
    if (old != NULL && output->target == NULL && errno != ENOENT) return cannot(output, error);
    /* Not there, or removed by somebody since it was looked at (`nlsh cache clear`). */
    if (output->target == NULL) output->target = strdup(output->path);
    if (output->target == NULL) return no_memory(error);
    output->directory = directory_of(output->target, &name);
    char *prefix = temporary_prefix(name);
    if (output->directory == NULL || prefix == NULL) {
        free(prefix);
        return no_memory(error);
    }
    remove_orphans(output->directory, prefix);
    enum nlsh_status status = open_temporary(output, prefix, error);
    free(prefix);
    if (status == NLSH_OK && old != NULL && fchmod(output->fd, old->st_mode & 0777) != 0)
        status = cannot(output, error);
    return status;
}

enum nlsh_status nlsh__output_open(const char *path, struct nlsh__output **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *output = NULL;
    struct stat st;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&output, 1, sizeof *output, error));
    output->fd = -1;
    output->path = strdup(path);
    if (output->path == NULL) {
        status = no_memory(error);
        goto out;
    }
    NLSH_TRY(nlsh__alloc(&output->buffer, BUFFER_BYTES, 1, error));
    int descriptor = own_descriptor(path);
    int exists = stat(path, &st) == 0;
    if (!exists && errno != ENOENT) {
        /* Found now, not at the rename after hours of work: a name that is too long, and so on. */
        status = cannot(output, error);
    } else if (exists && S_ISDIR(st.st_mode)) {
        status = nlsh__fail(error, NLSH_E_CANT_CREATE, "name a file inside it",
                            "cannot write %s: it is a directory", path);
    } else if (path[0] == '\0' || path[strlen(path) - 1] == '/') {
        status = nlsh__fail(error, NLSH_E_CANT_CREATE, "name a file",
                            "cannot write '%s': it is no file's name", path);
    } else if (descriptor >= 0 || (exists && !S_ISREG(st.st_mode))) {
        status = open_straight(output, descriptor, error);
    } else {
        status = open_replacing(output, exists ? &st : NULL, error);
    }
    if (status != NLSH_OK) goto out;
    *out = output;
    return NLSH_OK;
out:
    nlsh__output_abort(output);
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

enum nlsh_status nlsh__output_patch(struct nlsh__output *output, uint64_t offset, const void *data,
                                    size_t size, struct nlsh_error *error)
{
    if (output->broken)
        return nlsh__fail(error, NLSH_E_CANT_CREATE, NULL, "cannot write %s", output->path);
    if (output->start < 0) {
        output->broken = 1;
        return nlsh__fail(error, NLSH_E_CANT_CREATE, "name a regular file",
                          "cannot write %s: a pipe cannot be gone back in", output->path);
    }
    enum nlsh_status status = flush(output, error);
    const uint8_t *p = data;
    offset += (uint64_t)output->start;
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
        if (fsync(output->fd) != 0 || rename(output->temporary, output->target) != 0) {
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

static int is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static enum nlsh_status cannot_make(const char *path, int e, struct nlsh_error *error)
{
    return nlsh__fail_errno(error, NLSH_E_CANT_CREATE, e == EEXIST ? ENOTDIR : e,
                            e == EEXIST ? "a file is in the way: remove it"
                                        : "check that its parent may be written to",
                            "cannot make the directory %s", path);
}

enum nlsh_status nlsh__make_dirs(const char *path, struct nlsh_error *error)
{
    char *copy = strdup(path);
    if (copy == NULL) return no_memory(error);
    enum nlsh_status status = NLSH_OK;
    char *p = copy;
    do {
        p += strspn(p, "/");
        p += strcspn(p, "/");
        char c = *p;
        *p = '\0';
        /* mkdir() says EROFS or EACCES of some directories that exist */
        int e = mkdir(copy, 0777) == 0 ? 0 : errno;
        if (e != 0 && !is_directory(copy)) status = cannot_make(copy, e, error);
        *p = c;
    } while (status == NLSH_OK && *p != '\0');
    free(copy);
    return status;
}

enum nlsh_status nlsh__check_dirs(const char *path, struct nlsh_error *error)
{
    char *copy = strdup(path);
    if (copy == NULL) return no_memory(error);
    /* Of the parts that are there, the last must be a directory that may be written to. */
    while (copy[0] != '\0' && access(copy, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        size_t length = strlen(copy);
        while (length > 0 && copy[length - 1] == '/') length--;
        while (length > 0 && copy[length - 1] != '/') length--;
        while (length > 1 && copy[length - 1] == '/') length--; /* "file/" would not be found */
        copy[length] = '\0';
    }
    const char *there = copy[0] != '\0' ? copy : ".";
    int e = path[0] == '\0' ? ENOENT : 0;
    if (e == 0 && access(there, F_OK) == 0 && !is_directory(there)) e = EEXIST;
    if (e == 0 && access(there, W_OK | X_OK) != 0) e = errno;
    enum nlsh_status status = e == 0 ? NLSH_OK : cannot_make(e == EEXIST ? there : path, e, error);
    free(copy);
    return status;
}
