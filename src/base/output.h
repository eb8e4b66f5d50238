/*
 * output.h - files that appear whole or not at all.
 *
 * An output is written beside its target under a temporary name, then fsynced, renamed over it, and
 * its directory fsynced. Until nlsh__output_commit() the target is untouched. The temporary file is
 * removed by nlsh__output_abort(); where its writer was killed, by the next writer of the same
 * target. A symbolic link stays: what it points to is replaced, or made where it is not there yet.
 * A path that names a device, a pipe or an open descriptor ("/dev/stdout") is written straight.
 */
#ifndef NLSH_BASE_OUTPUT_H
#define NLSH_BASE_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "nlsh/nlsh.h"

struct nlsh__output;

/* NLSH_E_CANT_CREATE; a named pipe that nobody reads is such a case, since to wait for a reader
 * could take for ever. */
enum nlsh_status nlsh__output_open(const char *path, struct nlsh__output **out,
                                   struct nlsh_error *error);
/* The same for what is patched, or read again once it is written: refuses all but regular files. */
enum nlsh_status nlsh__output_open_file(const char *path, struct nlsh__output **out,
                                        struct nlsh_error *error);
/* Whether nlsh__output_open() will probably do, as far as names and rights tell; makes and opens
 * nothing. For a check before hours of work. NLSH_E_CANT_CREATE. */
enum nlsh_status nlsh__output_check(const char *path, struct nlsh_error *error);

/* Buffered. Each returns NLSH_E_CANT_CREATE (disk full and its like) once, and after that too. */
enum nlsh_status nlsh__output_write(struct nlsh__output *output, const void *data, size_t size,
                                    struct nlsh_error *error);
/* Zeros up to the next multiple of alignment. */
enum nlsh_status nlsh__output_align(struct nlsh__output *output, size_t alignment,
                                    struct nlsh_error *error);
uint64_t nlsh__output_offset(const struct nlsh__output *output);
/* Overwrites bytes that were written already (a header whose sums are known last). Fails where the
 * target is a pipe. */
enum nlsh_status nlsh__output_patch(struct nlsh__output *output, uint64_t offset, const void *data,
                                    size_t size, struct nlsh_error *error);
/* What the names in a directory stand for is durable behind this, where the system can say so. 0, or -1 with errno. */
int nlsh__sync_directory(const char *directory);
/* The temporary file's path, for who removes it on a signal; NULL where there is none. Lives until
 * commit or abort. */
const char *nlsh__output_temporary(const struct nlsh__output *output);

/*
 * Both free the output. Abort accepts NULL. Commit returns
 *  NLSH_E_CANT_CREATE  nothing was written, the target is untouched; errno says why, too
 *  NLSH_E_IO           the target is replaced, but its directory could not be synced: a crash of
 *                      the machine may still undo it
 */
enum nlsh_status nlsh__output_commit(struct nlsh__output *output, struct nlsh_error *error);
void nlsh__output_abort(struct nlsh__output *output);

#endif
