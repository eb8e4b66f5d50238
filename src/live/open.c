/* open.c - an index for a caller: of a file and its log, or of memory. */
#define _GNU_SOURCE
#include "live/open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/resident.h"
#include "base/sized.h"
#include "index/layout.h"
#include "live/logfile.h"
#include "live/state.h"

/* How often an index is opened again when it was replaced between its file and its log. */
enum { TRIES = 5 };

/* ---- what was asked for ------------------------------------------------------------------------ */

static enum nlsh_status check_path(const char *path, struct nlsh_error *error)
{
    if (path != NULL && path[0] != '\0') return NLSH_OK;
    return nlsh__fail(error, NLSH_E_ARG, "name the file that nlsh build wrote",
                      "no index file was named");
}

void nlsh_open_options_init(struct nlsh_open_options *options, size_t size)
{
    static const struct nlsh_open_options defaults = {.memory = NLSH_MEMORY_MAP};
    nlsh__options_init(options, size, &defaults, sizeof defaults);
}

static enum nlsh_status take_options(const struct nlsh_open_options *given,
                                     struct nlsh_open_options *out, struct nlsh_error *error)
{
    nlsh_open_options_init(out, sizeof *out);
    enum nlsh_status status =
        nlsh__options_take(out, sizeof *out, given, "nlsh_open_options", error);
    if (status == NLSH_OK && (out->memory < NLSH_MEMORY_MAP || out->memory > NLSH_MEMORY_ALL))
        status = nlsh__fail(error, NLSH_E_ARG, "take map, codes or all", "memory is %d",
                            (int)out->memory);
    return status;
}

/* Opens an index in memory of our own, which it then owns; *own is emptied. */
static enum nlsh_status load_own(const char *name, struct nlsh__map *own, struct nlsh_index **out,
                                 struct nlsh_error *error)
{
    const struct nlsh__source_of_index source = {.name = name, .bytes = own};
    enum nlsh_status status = nlsh__index_load(&source, out, error);
    if (status != NLSH_OK) return status;
    (*out)->borrowed = 0;
    *own = (struct nlsh__map){0};
    return NLSH_OK;
}

enum nlsh_status nlsh__open_file(const char *path, enum nlsh_memory memory, struct nlsh_index **out,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__map all = {0};
    *out = NULL;
    if (memory == NLSH_MEMORY_ALL) {
        NLSH_TRY(nlsh__map_read(path, &all, error));
        NLSH_TRY(load_own(path, &all, out, error));
    } else {
        NLSH_TRY(nlsh__index_load(
            &(struct nlsh__source_of_index){.name = path, .resident = memory == NLSH_MEMORY_CODES},
            out, error));
    }
    (*out)->has_file = 1;
    (*out)->memory = memory;
out:
    nlsh__map_close(&all);
    return status;
}

/* ---- the log beside a file -------------------------------------------------------------------- */

enum nlsh_status nlsh__log_path(const char *path, char **out, struct nlsh_error *error)
{
    char *real = realpath(path, NULL);
    const char *of = real != NULL ? real : path;
    size_t size = strlen(of) + sizeof NLSH__LOG_SUFFIX;
    enum nlsh_status status = nlsh__alloc(out, size, 1, error);
    if (status == NLSH_OK) snprintf(*out, size, "%s%s", of, NLSH__LOG_SUFFIX);
    free(real);
    return status;
}

/* *fd is -1 where there is no log: none, or one whose writer has not begun. */
static enum nlsh_status open_log(const char *log_path, int *fd, struct nlsh_error *error)
{
    struct stat st;
    *fd = open(log_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 && errno == ENOENT) return NLSH_OK;
    if (*fd < 0)
        return nlsh__fail_errno(error, errno == EACCES ? NLSH_E_NO_INPUT : NLSH_E_IO, errno,
                                "give this user the right to read it", "%s", log_path);
    int failed = fstat(*fd, &st);
    if (failed == 0 && S_ISREG(st.st_mode) && nlsh__log_begun(*fd, (uint64_t)st.st_size))
        return NLSH_OK;
    int e = errno;
    close(*fd);
    *fd = -1;
    if (failed != 0) return nlsh__fail_errno(error, NLSH_E_IO, e, NULL, "%s", log_path);
    if (S_ISREG(st.st_mode)) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_NO_INPUT, "move it away", "%s: not a regular file", log_path);
}

/* A file and what is beside it, at one moment. */
static enum nlsh_status open_both(const char *path, const char *log_path, enum nlsh_memory memory,
                                  struct nlsh_index **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *file = NULL;
    struct nlsh__live *live = NULL;
    int fd;
    NLSH_TRY(nlsh__open_file(path, memory, &file, error));
    NLSH_TRY(open_log(log_path, &fd, error));
    if (fd < 0) {
        *out = file;
        return NLSH_OK;
    }
    status = nlsh__live_create(file, log_path, fd, &live, error);
    file = NULL;
    if (status == NLSH_OK) status = nlsh__live_publish(live, out, error);
out:
    nlsh__live_drop(live);
    nlsh_index_close(file);
    return status;
}

enum nlsh_status nlsh_index_open(const char *path, const struct nlsh_open_options *options,
                                 struct nlsh_index **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_open_options how;
    char *log_path = NULL;
    nlsh__error_clear(error);
    if (out == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "out is NULL");
    *out = NULL;
    NLSH_TRY(check_path(path, error));
    NLSH_TRY(take_options(options, &how, error));
    NLSH_TRY(nlsh__log_path(path, &log_path, error));
    status = NLSH_E_MISMATCH;
    for (size_t i = 0; i < TRIES && status == NLSH_E_MISMATCH; i++)
        status = open_both(path, log_path, how.memory, out, error);
    if (status == NLSH_OK) nlsh__error_clear(error);
out:
    nlsh__free(log_path);
    return status;
}

/* Whether the file is still the one that was opened. */
static int same_file(const struct nlsh_index *index)
{
    struct nlsh__index_header now;
    int fd = open(index->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), same = 0;
    if (fd < 0) return 0;
    if (pread(fd, &now, sizeof now, 0) == (ssize_t)sizeof now)
        same = memcmp(&now, index->map.data, sizeof now) == 0;
    close(fd);
    return same;
}

/* Whether the log is still the one that was opened; of an index without one, whether there is still none. */
static int same_log(const struct nlsh_index *index, const char *log_path)
{
    struct stat now, then;
    int there = stat(log_path, &now) == 0 && (size_t)now.st_size >= sizeof(struct nlsh__log_header);
    if (index->state == NULL) return !there;
    struct nlsh__live *live = index->state->live;
    pthread_mutex_lock(&live->lock);
    uint64_t read = live->at.position;
    pthread_mutex_unlock(&live->lock);
    return there && fstat(live->fd, &then) == 0 && now.st_ino == then.st_ino &&
           now.st_dev == then.st_dev && (uint64_t)now.st_size >= read;
}

enum nlsh_status nlsh_index_refresh(const struct nlsh_index *index, struct nlsh_index **out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    char *log_path = NULL;
    nlsh__error_clear(error);
    if (index == NULL || out == NULL)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s",
                          index == NULL ? "no index" : "out is NULL");
    *out = NULL;
    if (!index->has_file) return NLSH_OK;
    NLSH_TRY(nlsh__log_path(index->path, &log_path, error));
    if (!same_file(index) || !same_log(index, log_path)) {
        const struct nlsh_open_options how = {sizeof how, index->memory};
        status = nlsh_index_open(index->path, &how, out, error);
    } else if (index->state != NULL) {
        struct nlsh__live *live = index->state->live;
        pthread_mutex_lock(&live->lock);
        status = nlsh__live_read(live, error);
        if (status == NLSH_OK && live->at.number != index->state->number)
            status = nlsh__live_publish(live, out, error);
        pthread_mutex_unlock(&live->lock);
    }
out:
    nlsh__free(log_path);
    return status;
}

void nlsh_index_close(struct nlsh_index *index)
{
    if (index == NULL) return;
    if (atomic_fetch_sub_explicit(&index->owners, 1, memory_order_acq_rel) > 1) return;
    if (index->state != NULL)
        nlsh__state_free(index);
    else
        nlsh__index_free(index);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* A copy of the caller's bytes, which need no alignment. */
static enum nlsh_status copy_bytes(const void *bytes, size_t size, struct nlsh__map *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__map_anonymous(size, out, error);
    if (status == NLSH_OK && size > 0) memcpy((uint8_t *)(uintptr_t)out->data, bytes, size);
    return status;
}

enum nlsh_status nlsh_index_open_memory(const void *bytes, size_t size, const char *name,
                                        const struct nlsh_open_options *options,
                                        struct nlsh_index **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_open_options how;
    struct nlsh__map all = {0}, given = {bytes, size};
    nlsh__error_clear(error);
    if (out == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "out is NULL");
    *out = NULL;
    if (bytes == NULL || name == NULL)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s is NULL", bytes == NULL ? "bytes" : "name");
    NLSH_TRY(take_options(options, &how, error));
    if (how.memory == NLSH_MEMORY_ALL) {
        NLSH_TRY(copy_bytes(bytes, size, &all, error));
        status = load_own(name, &all, out, error);
    } else if ((uintptr_t)bytes % NLSH__SECTION_ALIGN != 0) {
        status = nlsh__fail(error, NLSH_E_ARG, "align it to 64 bytes, or open it with memory all",
                            "%s: the bytes of an index that is not copied must be aligned", name);
    } else {
        status = nlsh__index_load(
            &(struct nlsh__source_of_index){
                .name = name, .bytes = &given, .resident = how.memory == NLSH_MEMORY_CODES},
            out, error);
    }
out:
    nlsh__map_close(&all);
    return status;
}

/* ---- verify ---------------------------------------------------------------------------------- */

/* What replaying a log does not look at. */
static enum nlsh_status check_values(const struct nlsh__live *live, struct nlsh_error *error)
{
    const struct nlsh__log_rows *rows = &live->store.rows;
    enum nlsh_status status = NLSH_OK;
    float *row = NULL;
    size_t dim = live->file->meta.dim, row_bytes = nlsh__index_row_bytes(live->file);
    if (live->file->meta.storage_type == NLSH_U8) return NLSH_OK;
    NLSH_TRY(nlsh__alloc(&row, dim, sizeof *row, error));
    for (size_t i = 0; i < rows->n; i++) {
        nlsh__row_of_stored(live->file, rows->vectors + i * row_bytes, row);
        for (size_t d = 0; d < dim && status == NLSH_OK; d++)
            if (!isfinite(row[d]))
                status = nlsh__fail(error, NLSH_E_DATA, "put the vector again",
                                    "%s: value %zu of its vector %zu, of key %llu, is not finite",
                                    live->log_path, d, i, (unsigned long long)rows->keys[i]);
    }
out:
    nlsh__free(row);
    return status;
}

static enum nlsh_status verify_log(struct nlsh_index *file, const char *log_path,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__live *live = NULL;
    int fd;
    status = open_log(log_path, &fd, error);
    if (status != NLSH_OK || fd < 0) {
        nlsh_index_close(file);
        return status;
    }
    NLSH_TRY(nlsh__live_create(file, log_path, fd, &live, error));
    if (live->rest.damaged)
        status = nlsh__log_damaged(live, error);
    else
        status = check_values(live, error);
out:
    nlsh__live_drop(live);
    return status;
}

enum nlsh_status nlsh__log_damaged(const struct nlsh__live *live, struct nlsh_error *error)
{
    const struct nlsh__log_rest *rest = &live->rest;
    char again[96] = "";
    if (rest->again > 0)
        snprintf(again, sizeof again, "; record %llu, at byte %llu, is whole again",
                 (unsigned long long)rest->number, (unsigned long long)rest->again);
    return nlsh__fail(
        error, NLSH_E_DATA,
        "nlsh compact --drop_damaged keeps what is before; then put again what is lost",
        "%s: damaged at byte %llu, in record %llu: %llu bytes from there on are not read%s",
        live->log_path, (unsigned long long)live->at.position, (unsigned long long)live->at.number,
        (unsigned long long)rest->left, again);
}

enum nlsh_status nlsh_index_verify(const char *path, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *file = NULL;
    char *log_path = NULL;
    nlsh__error_clear(error);
    NLSH_TRY(check_path(path, error));
    NLSH_TRY(nlsh__log_path(path, &log_path, error));
    for (size_t i = 0; i < TRIES; i++) {
        NLSH_TRY(nlsh__index_load(&(struct nlsh__source_of_index){.name = path, .whole = 1}, &file,
                                  error));
        status = verify_log(file, log_path, error);
        if (status != NLSH_E_MISMATCH) break;
    }
out:
    nlsh__free(log_path);
    return status;
}
