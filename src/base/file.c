/* file.c - see file.h. */
#define _GNU_SOURCE
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static enum nlsh_status no_memory(struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

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

enum nlsh_status nlsh__regular_open(const char *path, int *fd, size_t *size,
                                    struct nlsh_error *error)
{
    struct stat st;
    enum nlsh_status status = NLSH_OK;
    /* O_NONBLOCK: a pipe without a writer would hold us for ever; files do not mind. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return cannot_read(path, errno, error);
    if (fstat(*fd, &st) != 0)
        status = nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s", path);
    else if (!S_ISREG(st.st_mode))
        status = nlsh__fail(error, NLSH_E_NO_INPUT, "name a regular file; a pipe cannot be mapped",
                            "%s: %s", path,
                            S_ISDIR(st.st_mode) ? "is a directory" : "not a regular file");
    else if ((uintmax_t)st.st_size > SIZE_MAX)
        status = nlsh__fail_errno(error, NLSH_E_IO, EFBIG, NULL, "%s", path);
    if (status == NLSH_OK)
        *size = (size_t)st.st_size;
    else
        close(*fd);
    return status;
}

enum nlsh_status nlsh__map_open(const char *path, struct nlsh__map *out, struct nlsh_error *error)
{
    int fd;
    size_t size;
    *out = (struct nlsh__map){0};
    enum nlsh_status status = nlsh__regular_open(path, &fd, &size, error);
    if (status != NLSH_OK) return status;
    if (size > 0) {
        void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            status = nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s: cannot be mapped", path);
        else
            *out = (struct nlsh__map){data, size};
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

/* ---- streams --------------------------------------------------------------------------------- */

/* Waits in poll(), which a signal ends, and not in read(), which goes on behind one. */
static ssize_t read_ready(void *cookie, char *to, size_t size)
{
    int fd = *(int *)cookie;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    for (;;) {
        if (poll(&ready, 1, -1) < 0) return -1;
        ssize_t n = read(fd, to, size);
        if (n >= 0 || errno != EAGAIN) return n;
    }
}

static int close_ready(void *cookie)
{
    int result = close(*(int *)cookie);
    free(cookie);
    return result;
}

enum nlsh_status nlsh__stream_open(const char *path, FILE **out, struct nlsh_error *error)
{
    struct stat st;
    int *fd = malloc(sizeof *fd);
    *out = NULL;
    if (fd == NULL) return no_memory(error);
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    enum nlsh_status status = NLSH_OK;
    if (*fd < 0)
        status = cannot_read(path, errno, error);
    else if (fstat(*fd, &st) == 0 && S_ISDIR(st.st_mode))
        status = nlsh__fail(error, NLSH_E_NO_INPUT, "name a file", "%s: is a directory", path);
    else
        *out =
            fopencookie(fd, "r", (cookie_io_functions_t){.read = read_ready, .close = close_ready});
    if (status == NLSH_OK && *out == NULL) status = no_memory(error);
    if (status != NLSH_OK) {
        if (*fd >= 0) close(*fd);
        free(fd);
    }
    return status;
}

/* ---- directories ----------------------------------------------------------------------------- */

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
