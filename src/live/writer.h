/* writer.h - for those who replace the file under a writer's lock. */
#ifndef NLSH_LIVE_WRITER_H
#define NLSH_LIVE_WRITER_H

#include "live/state.h"

/* An empty log of the file at path, in place of the one at log_path. */
enum nlsh_status nlsh__new_log(const char *path, const char *log_path, struct nlsh_error *error);

/* nlsh_writer_open() where drop_damaged is 0; else what is behind damage is cut off, and lost. */
enum nlsh_status nlsh__writer_open(const char *path, const struct nlsh_writer_options *options,
                                   int drop_damaged, struct nlsh_writer **out,
                                   struct nlsh_error *error);

/* The index as it is, as long as the writer is open. */
const struct nlsh_index *nlsh__writer_state(const struct nlsh_writer *writer);
/* The file alone. */
const struct nlsh_index *nlsh__writer_file(const struct nlsh_writer *writer);
/* What a file that holds all of the state has to say of the log: it goes on with it. */
struct nlsh__log_taken nlsh__writer_taken(const struct nlsh_writer *writer);

/*
 * nlsh__writer_new_log() - the file at the writer's path was replaced by one that holds all of the state: it gets a log of
 * its own, empty, in place of the writer's. Nothing may be put any more. Where this fails, the old log serves on.
 * NLSH_E_CANT_CREATE and its like.
 */
enum nlsh_status nlsh__writer_new_log(struct nlsh_writer *writer, struct nlsh_error *error);

#endif
