/* beside.h - a file that takes an index's place, and the log that lies beside that. */
#ifndef NLSH_LIVE_BESIDE_H
#define NLSH_LIVE_BESIDE_H

#include "index/index.h"

struct nlsh__beside {
    int fd; /* of the log, locked against writers; -1: there is none */
    uint64_t log, size;
    char *log_path;
};

/* The log beside an index file, or beside one that will be made. NLSH_E_BUSY where somebody writes to it; NLSH_E_DATA
 * (it is no log), NLSH_E_CANT_CREATE, NLSH_E_NOMEM. Freed in any case. */
enum nlsh_status nlsh__beside_begin(const char *path, struct nlsh__beside *out,
                                    struct nlsh_error *error);
void nlsh__beside_end(struct nlsh__beside *beside);

/* Before hours of work: whether an index could be written to path, whose log nobody writes to. As nlsh__beside_begin(). */
enum nlsh_status nlsh__beside_check(const char *path, struct nlsh_error *error);

/* What a file in its place says of the log: all of it still counts, as far as it does for file; or nothing of it does any
 * more. */
struct nlsh__log_taken nlsh__beside_goes_on(const struct nlsh__beside *beside,
                                            const struct nlsh_index *file);
struct nlsh__log_taken nlsh__beside_is_over(const struct nlsh__beside *beside);

/* The file at path was replaced by one for which the log is over: it gets an empty one of its own. */
enum nlsh_status nlsh__beside_restart(const struct nlsh__beside *beside, const char *path,
                                      struct nlsh_error *error);

#endif
