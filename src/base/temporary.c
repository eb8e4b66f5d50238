/*
 * temporary.c - see temporary.h.
 *
 * The name is ".NAME.nlsh-PID-SERIAL.tmp". A living writer holds a lock (flock) on its temporary
 * file: process numbers would not do, they are used again and mean nothing to another machine or
 * container that shares the directory.
 */
#define _GNU_SOURCE
#include "base/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* 1: fd is ours. 0: another process removed the file or holds it, the next serial is tried. -1 with
 * errno. */
static int take(int fd, const char *path)
{
    struct stat st;
    int locked = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (fstat(fd, &st) == 0) return locked && st.st_nlink > 0;
    int e = errno;
    unlink(path);
    errno = e;
    return -1;
}

/* A new file under a name of its own, locked. A remover may get at it between the two steps. */
static int create(const char *directory, const char *prefix, char **path)
{
    for (unsigned serial = 0; serial < 10000; serial++) {
        if (asprintf(path, "%s/%s%ld-%u.tmp", directory, prefix, (long)getpid(), serial) < 0) break;
        int fd = open(*path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        int taken = fd < 0 ? (errno == EEXIST ? 0 : -1) : take(fd, *path);
        if (taken == 1) return fd;
        int e = errno;
        if (fd >= 0) close(fd);
        free(*path);
        errno = e;
        if (taken < 0) break;
    }
    *path = NULL;
    return -1;
}

int nlsh__temporary_open(const char *directory, const char *name, char **path)
{
    char *prefix = temporary_prefix(name);
    *path = NULL;
    if (prefix == NULL) return -1;
    remove_orphans(directory, prefix);
    int fd = create(directory, prefix, path);
    int e = errno;
    free(prefix);
    errno = e;
    return fd;
}
