/* open.h - what opening for search and opening for writing share. */
#ifndef NLSH_LIVE_OPEN_H
#define NLSH_LIVE_OPEN_H

#include "live/state.h"

/* Behind an index file's name. */
#define NLSH__LOG_SUFFIX "-log"

/* The log of an index file, whose symbolic links are followed. Freed with nlsh__free(). NLSH_E_NOMEM. */
enum nlsh_status nlsh__log_path(const char *path, char **out, struct nlsh_error *error);

/* An index file without its log. */
enum nlsh_status nlsh__open_file(const char *path, enum nlsh_memory memory, struct nlsh_index **out,
                                 struct nlsh_error *error);

/* Says where a log is damaged: NLSH_E_DATA. */
enum nlsh_status nlsh__log_damaged(const struct nlsh__live *live, struct nlsh_error *error);

#endif
