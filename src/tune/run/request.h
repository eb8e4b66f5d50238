/*
 * request.h - what a caller of nlsh_tune() asked for, checked and filled in. Nothing of it changes after
 * nlsh__request_take(): the other files of this folder read it, and give back what they make.
 */
#ifndef NLSH_TUNE_RUN_REQUEST_H
#define NLSH_TUNE_RUN_REQUEST_H

#include "base/job.h"
#include "tune/run/objective.h"
#include "tune/sample/params.h"

struct nlsh__request {
    struct nlsh_matrix base;          /* the caller's, without gaps */
    void *memory;                     /* its, where it was made; or NULL */
    struct nlsh_tune_options options; /* the caller's */
    struct nlsh_build_options build;  /* the first trial; resolved, but for what a build measures */
    struct nlsh_run run; /* the caller's; its cache is there: own_cache, or the caller's */
    char *own_cache;     /* in the folder, for this run alone; or NULL */
    struct nlsh__objective objective;
    struct nlsh__search_space space; /* of the first stage */
    uint64_t data_hash;
};

/* NLSH_E_ARG: an option or a setting; and what reading the space file gives. Writes nothing. run may be
 * NULL. */
enum nlsh_status
nlsh__request_take(const struct nlsh_matrix *base, const struct nlsh_tune_options *options,
                   const struct nlsh_run *run, struct nlsh__request *out, struct nlsh_error *error);
/* Also after a request_take() that failed. */
void nlsh__request_free(struct nlsh__request *request);

/* A step of a trial is an epoch in a fold; for qps, which only a finished index shows, it is a fold. */
size_t nlsh__steps_a_fold(const struct nlsh__request *request);
size_t nlsh__steps_a_trial(const struct nlsh__request *request);

/* The folder's file of that name, freed by the caller. NLSH_E_NOMEM. */
enum nlsh_status nlsh__request_path(const struct nlsh__request *request, const char *name,
                                    char **out, struct nlsh_error *error);

/* A sentence to the caller. */
void nlsh__request_note(const struct nlsh__request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
