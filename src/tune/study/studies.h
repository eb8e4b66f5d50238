/* studies.h - all studies of a file, for whoever shows them: nlsh's and Optuna's alike. */
#ifndef NLSH_TUNE_STUDY_STUDIES_H
#define NLSH_TUNE_STUDY_STUDIES_H

#include "tune/study/trials.h"

struct nlsh__attribute {
    char *key, *json;
};

struct nlsh__study {
    char *name;
    int maximize;
    struct nlsh__trials trials;         /* of several objectives the first one's values */
    struct nlsh__attribute *attributes; /* the study's user attributes */
    size_t n_attributes;
};

struct nlsh__studies {
    struct nlsh__study *studies;
    size_t n; /* at least 1 */
};

/*
 * nlsh__studies_read() - reads them as they are at one moment, and writes nothing: a run may go on
 * meanwhile.
 *
 * A version of Optuna's tables that nlsh tune would not go on with is read all the same, as long as the
 * columns that are asked for are there. Text is as the file has it: it may hold any bytes.
 * NLSH_E_NO_INPUT; NLSH_E_DATA: the file is damaged, or holds no study. *out is empty on error.
 */
enum nlsh_status nlsh__studies_read(const char *path, struct nlsh__studies *out,
                                    struct nlsh_error *error);
void nlsh__studies_free(struct nlsh__studies *studies);

#endif
