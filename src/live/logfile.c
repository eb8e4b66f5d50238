/* logfile.c - see logfile.h. */
#define _GNU_SOURCE
#include "live/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/output.h"
#include "index/layout.h"
#include "live/store.h"

enum nlsh_status nlsh__log_cannot_open(const char *log_path, int e, struct nlsh_error *error)
{
    return nlsh__fail_errno(error, NLSH_E_CANT_CREATE, e,
                            "check that the index's directory may be written to", "cannot write %s",
                            log_path);
}

enum nlsh_status nlsh__log_lock(const char *log_path, int create, int *out,
                                struct nlsh_error *error)
{
    const int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | (create ? O_CREAT : 0);
    for (*out = -1;;) {
        struct stat ours, named;
        int fd = open(log_path, flags, 0666);
        if (fd < 0 && errno == ENOENT && !create) return NLSH_OK;
        if (fd < 0) return nlsh__log_cannot_open(log_path, errno, error);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            int e = errno;
            close(fd);
            if (e == EINTR) continue;
            if (e != EWOULDBLOCK) return nlsh__log_cannot_open(log_path, e, error);
            return nlsh__fail(error, NLSH_E_BUSY, "wait for it to end, or end it",
                              "%s: another writer has it open", log_path);
        }
        if (fstat(fd, &ours) == 0 && stat(log_path, &named) == 0 && ours.st_ino == named.st_ino &&
            ours.st_dev == named.st_dev) {
            *out = fd;
            return NLSH_OK;
        }
        close(fd); /* it was replaced meanwhile */
    }
}

int nlsh__log_sync_name(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    if (n >= sizeof directory) return ENAMETOOLONG;
    memcpy(directory, slash == NULL ? "." : path, n);
    directory[n] = '\0';
    return nlsh__sync_directory(directory) == 0 ? 0 : errno;
}

int nlsh__log_pwrite(int fd, const void *bytes, size_t size, uint64_t at)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t n = pwrite(fd, from, size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : ENOSPC;
        from += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

enum nlsh_status nlsh__log_pread(int fd, const char *log_path, uint64_t at, void *bytes,
                                 size_t size, size_t *got, struct nlsh_error *error)
{
    for (*got = 0; *got < size;) {
        ssize_t n = pread(fd, (char *)bytes + *got, size - *got, (off_t)(at + *got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s", log_path);
        if (n == 0) break;
        *got += (size_t)n;
    }
    return NLSH_OK;
}

int nlsh__log_begun(int fd, uint64_t size)
{
    static const struct nlsh__log_header zeros;
    struct nlsh__log_header h;
    return size > sizeof h || (size == sizeof h && (pread(fd, &h, sizeof h, 0) != sizeof h ||
                                                    memcmp(&h, &zeros, sizeof h) != 0));
}

enum nlsh_status nlsh__log_start(int fd, const char *log_path, const struct nlsh_index *file,
                                 struct nlsh_error *error)
{
    struct stat st;
    struct nlsh__log_header h;
    struct nlsh__index_header of_file;
    struct nlsh__store store;
    if (fstat(fd, &st) != 0) return nlsh__log_cannot_open(log_path, errno, error);
    if (!S_ISREG(st.st_mode))
        return nlsh__fail(error, NLSH_E_CANT_CREATE, "move it away", "%s: not a regular file",
                          log_path);
    if (nlsh__log_begun(fd, (uint64_t)st.st_size)) return NLSH_OK;
    nlsh__store_init(file, &store);
    memcpy(&of_file, file->map.data, sizeof of_file);
    nlsh__log_header_make(of_file.checksum, &store.form, &h);
    int e = nlsh__log_pwrite(fd, &h, sizeof h, 0);
    if (e == 0) return NLSH_OK;
    if (ftruncate(fd, 0) != 0) return nlsh__log_cannot_open(log_path, errno, error);
    return nlsh__log_cannot_open(log_path, e, error);
}
