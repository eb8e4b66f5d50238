/* store_private.h - what the files of the store share. */
#ifndef NLSH_TUNE_STUDY_STORE_PRIVATE_H
#define NLSH_TUNE_STUDY_STORE_PRIVATE_H

#include "tune/study/sql.h"
#include "tune/study/store.h"

struct nlsh__store {
    struct nlsh__sql sql;
    int64_t study;
};

/* Now, as SQLAlchemy writes and reads it: local time, six digits behind the point. */
#define NLSH__SQL_NOW "strftime('%Y-%m-%d %H:%M:%f','now','localtime')||'000'"

/* The system attribute that names a trial's process, and its value for this one: host, process and
 * when that began, since numbers of processes come again. */
#define NLSH__PROCESS_KEY "nlsh:process"
void nlsh__process_json(char *out, size_t size);

enum nlsh__alive { NLSH__DEAD, NLSH__ALIVE, NLSH__ELSEWHERE };
/* Whether the process of such a value is alive; ELSEWHERE: on another machine. */
enum nlsh__alive nlsh__process_alive(const char *json);

#endif
