/* logfile.h - the file that a log is: locked, begun, read and written at a place. */
#ifndef NLSH_LIVE_LOGFILE_H
#define NLSH_LIVE_LOGFILE_H

#include "index/index.h"

/* A log, open for writing and locked: the one that has the name when the lock is had. *fd is -1 where there is none and
 * create is 0. NLSH_E_BUSY, NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__log_lock(const char *log_path, int create, int *fd,
                                struct nlsh_error *error);
/* Says that a log cannot be written to: NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__log_cannot_open(const char *log_path, int error_number,
                                       struct nlsh_error *error);

/* Whether a log of so many bytes has its header. One whose first writer was killed may have none, or, where power was
 * lost too, zeros. */
int nlsh__log_begun(int fd, uint64_t size);
/* The header of a log that has none: a new file, or one whose first writer was killed. NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__log_start(int fd, const char *log_path, const struct nlsh_index *file,
                                 struct nlsh_error *error);

/* Bytes [size] of a log from a place on; *got is less where the log ends before. NLSH_E_IO. */
enum nlsh_status nlsh__log_pread(int fd, const char *log_path, uint64_t at, void *bytes,
                                 size_t size, size_t *got, struct nlsh_error *error);
/* Writes all of it at a place; returns errno or 0. */
int nlsh__log_pwrite(int fd, const void *bytes, size_t size, uint64_t at);
/* The name of a file is durable behind this: syncs the directory that it lies in; returns errno or 0. */
int nlsh__log_sync_name(const char *path);

#endif
