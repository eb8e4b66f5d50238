/* beside.c - see beside.h. */
#include "live/beside.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/output.h"
#include "index/layout.h"
#include "live/logfile.h"
#include "live/open.h"
#include "live/writer.h"

enum nlsh_status nlsh__beside_begin(const char *path, struct nlsh__beside *out,
                                    struct nlsh_error *error)
{
    struct nlsh__log_header h;
    struct stat st;
    int newer;
    *out = (struct nlsh__beside){.fd = -1};
    enum nlsh_status status = nlsh__log_path(path, &out->log_path, error);
    if (status != NLSH_OK || access(out->log_path, F_OK) != 0) return status;
    status = nlsh__log_lock(out->log_path, 0, &out->fd, error);
    if (status != NLSH_OK || out->fd < 0) return status;
    if (fstat(out->fd, &st) != 0)
        return nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s", out->log_path);
    if ((size_t)st.st_size < sizeof h) return NLSH_OK; /* its writer has not begun */
    if (pread(out->fd, &h, sizeof h, 0) != (ssize_t)sizeof h ||
        nlsh__log_header_wrong(&h, &newer) != NULL)
        return nlsh__fail(error, NLSH_E_DATA, "move it away", "%s: not a log that nlsh wrote",
                          out->log_path);
    out->log = h.checksum;
    out->size = (uint64_t)st.st_size;
    return NLSH_OK;
}

void nlsh__beside_end(struct nlsh__beside *beside)
{
    if (beside->fd >= 0) close(beside->fd);
    nlsh__free(beside->log_path);
    *beside = (struct nlsh__beside){.fd = -1};
}

struct nlsh__log_taken nlsh__beside_goes_on(const struct nlsh__beside *beside,
                                            const struct nlsh_index *file)
{
    if (file->log.log == beside->log) return file->log;
    return (struct nlsh__log_taken){
        beside->log, sizeof(struct nlsh__log_header), beside->log, 1, {0}};
}

struct nlsh__log_taken nlsh__beside_is_over(const struct nlsh__beside *beside)
{
    uint64_t end = (beside->size + NLSH__LOG_ALIGN - 1) / NLSH__LOG_ALIGN * NLSH__LOG_ALIGN;
    return (struct nlsh__log_taken){beside->log, end, beside->log, 1, {0}};
}

enum nlsh_status nlsh__new_log(const char *path, const char *log_path, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *file = NULL;
    struct nlsh__output *output = NULL;
    struct nlsh__index_header of_file;
    struct nlsh__log_header h;
    struct nlsh__store store;
    NLSH_TRY(nlsh__open_file(path, NLSH_MEMORY_MAP, &file, error));
    nlsh__store_init(file, &store);
    memcpy(&of_file, file->map.data, sizeof of_file);
    nlsh__log_header_make(of_file.checksum, &store.form, &h);
    NLSH_TRY(nlsh__output_open_file(log_path, &output, error));
    NLSH_TRY(nlsh__output_write(output, &h, sizeof h, error));
    status = nlsh__output_commit(output, error);
    output = NULL;
out:
    nlsh__output_abort(output);
    nlsh_index_close(file);
    return status;
}

enum nlsh_status nlsh__beside_restart(const struct nlsh__beside *beside, const char *path,
                                      struct nlsh_error *error)
{
    return beside->fd >= 0 ? nlsh__new_log(path, beside->log_path, error) : NLSH_OK;
}

enum nlsh_status nlsh__beside_check(const char *path, struct nlsh_error *error)
{
    struct nlsh__output *probe = NULL;
    struct nlsh__beside beside;
    enum nlsh_status status = nlsh__output_open_file(path, &probe, error);
    nlsh__output_abort(probe);
    if (status != NLSH_OK) return status;
    status = nlsh__beside_begin(path, &beside, error);
    nlsh__beside_end(&beside);
    return status;
}
