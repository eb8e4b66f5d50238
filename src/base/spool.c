/* spool.c - see spool.h. */
#define _DEFAULT_SOURCE
#include "base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/output.h"

/* A file on that disk, for reading and writing, whose name is gone. */
static enum nlsh_status open_nameless(const char *beside, int *fd, struct nlsh_error *error)
{
    struct nlsh__output *output;
    enum nlsh_status status = nlsh__output_open_file(beside, &output, error);
    if (status != NLSH_OK) return status;
    const char *name = nlsh__output_temporary(output);
    *fd = name != NULL ? open(name, O_RDWR | O_CLOEXEC) : -1;
    int e = name != NULL ? errno : EINVAL;
    nlsh__output_abort(output);
    if (*fd >= 0) return NLSH_OK;
    return nlsh__fail_errno(error, NLSH_E_CANT_CREATE, e, "write elsewhere",
                            "cannot make a file beside %s", beside);
}

/* posix_fallocate() writes where the file system cannot reserve, and is ended by signals. */
static int reserve(int fd, size_t size)
{
    int e;
    do e = size > 0 ? posix_fallocate(fd, 0, (off_t)size) : 0;
    while (e == EINTR);
    return e;
}

enum nlsh_status nlsh__spool_create(const char *beside, size_t count, size_t size,
                                    struct nlsh__spool *out, struct nlsh_error *error)
{
    int fd = -1;
    *out = (struct nlsh__spool){.data = NULL};
    if (nlsh__mul(count, size, &out->size) != 0 || out->size > INT64_MAX)
        return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    if (out->size == 0) return NLSH_OK;
    enum nlsh_status status = open_nameless(beside, &fd, error);
    if (status != NLSH_OK) return status;
    int e = reserve(fd, out->size);
    void *data =
        e == 0 ? mmap(NULL, out->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (e == 0 && data == MAP_FAILED) e = errno;
    close(fd);
    if (e != 0)
        return nlsh__fail_errno(
            error, NLSH_E_CANT_CREATE, e, "make room on that disk, or write elsewhere",
            "cannot keep %zu MB beside %s while it is made", out->size / 1000000 + 1, beside);
    out->data = data;
    nlsh__spool_use(out, NLSH__SPOOL_SCATTERED);
    return NLSH_OK;
}

void nlsh__spool_use(const struct nlsh__spool *spool, enum nlsh__spool_use use)
{
    if (spool->data != NULL)
        (void)madvise(spool->data, spool->size,
                      use == NLSH__SPOOL_SCATTERED ? MADV_RANDOM : MADV_NORMAL);
}

enum nlsh_status nlsh__spool_check(const char *beside, uint64_t bytes, struct nlsh_error *error)
{
    int fd = -1;
    struct statvfs disk;
    enum nlsh_status status = open_nameless(beside, &fd, error);
    if (status != NLSH_OK) return status;
    int known = fstatvfs(fd, &disk) == 0;
    close(fd);
    uint64_t there = known ? (uint64_t)disk.f_bavail * disk.f_frsize : UINT64_MAX;
    if (bytes <= there) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_CANT_CREATE, "make room on that disk, or write elsewhere",
                      "%s needs %llu MB of its disk while it is made, and %llu are free", beside,
                      (unsigned long long)(bytes / 1000000), (unsigned long long)(there / 1000000));
}

void nlsh__spool_free(struct nlsh__spool *spool)
{
    if (spool->data != NULL) (void)munmap(spool->data, spool->size);
    *spool = (struct nlsh__spool){.data = NULL};
}
