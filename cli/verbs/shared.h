/* shared.h - flags that mean the same for several verbs. */
#ifndef NLSH_CLI_VERBS_SHARED_H
#define NLSH_CLI_VERBS_SHARED_H

#include "verbs/verb.h"

/* The formats of vectors by name: all, and those that are written. */
#define WRITTEN_FORMATS "idx,fvecs,bvecs,ivecs,npy,fbin,u8bin,i8bin,ibin"
#define FORMATS WRITTEN_FORMATS ",f16bin,text"

extern const struct flag flag_base;          /* -d, needed */
extern const struct flag flag_base_of_index; /* -d where the index has the vectors too */
extern const struct flag flag_rows;          /* wherever these two are */
extern const struct flag flag_queries;
extern const struct flag flag_index; /* -i, to read */
extern const struct flag flag_gt;
extern const struct flag flag_type;
extern const struct flag flag_input_format; /* wherever flag_type is */
extern const struct flag flag_config;
extern const struct flag flag_n;
extern const struct flag flag_cautious;
extern const struct flag flag_threads; /* for what is not timed */
extern const struct flag flag_memory;
extern const struct flag flag_cache;
extern const struct flag flag_no_cache;
extern const struct flag flag_progress;
extern const struct flag flag_quiet;      /* with the short name -q */
extern const struct flag flag_quiet_long; /* where -q names the queries */
extern const struct flag flag_json;
extern const struct flag flag_help;

/* Those of tuning, up to NULL: tune.c. */
extern const struct flag *const tune_flags[];

#endif
