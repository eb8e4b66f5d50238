/*
 * unfinished.h - what a build of more vectors than memory has done so far, for the next one where it is stopped.
 *
 * Two files beside the index that will be, both gone when that stands: INDEX.unfinished, a journal of steps, and
 * INDEX.unfinished-sample, the index of the sample. A build goes through the same steps in the same order each time. So
 * it takes a step from the journal, or does it and adds it.
 *
 * A process that is killed leaves whole steps and at most a piece of one, which does not count. Each step has a checksum.
 */
#ifndef NLSH_MAKE_UNFINISHED_H
#define NLSH_MAKE_UNFINISHED_H

#include "base/file.h"
#include "base/job.h"
#include "make/memory_plan.h"

/* In their order; of BUCKETS and NEIGHBORS there are many. */
enum nlsh__step {
    NLSH__STEP_KEY = 1,   /* of which build they are */
    NLSH__STEP_SAMPLE,    /* its index is learned */
    NLSH__STEP_BUCKETS,   /* a block of rows has its buckets */
    NLSH__STEP_NEIGHBORS, /* a block of rows that teach has its neighbours' buckets */
    NLSH__STEP_ROUTER     /* it has learned on */
};

struct nlsh__unfinished {
    char *path, *sample_path;
    int fd; /* locked; -1: nothing is kept */
    const struct nlsh__job *job;
    struct nlsh__map map;  /* what an earlier build left */
    size_t first;          /* behind the key */
    size_t taken, at, end; /* the last step taken, the next, and behind the last whole one */
};

/* What follows a step's first two numbers: rows first .. first + n - 1 of whatever it goes over. */
struct nlsh__step_rows {
    uint64_t first, n;
};

/* Bytes of the journal, beside which the sample's index lies. */
struct nlsh__step_part {
    const void *data;
    size_t size;
};

/*
 * nlsh__unfinished_begin() - what there is of a build of these rows (by their hash), with these settings and this plan.
 *
 * Of another build, or damaged: it is forgotten, and a note says why. Where the files cannot be kept, or another process
 * holds them, a note says that, and the build goes on without. NLSH_E_NOMEM. Ended in any case.
 */
enum nlsh_status nlsh__unfinished_begin(const char *path, const struct nlsh_rows *base,
                                        uint64_t hash, const struct nlsh_build_options *options,
                                        const struct nlsh__memory_plan *plan,
                                        const struct nlsh__job *job, struct nlsh__unfinished *out,
                                        struct nlsh_error *error);

/* The next step where it is of that kind, until the end; aligned to 8. NULL: it has to be done. u may be NULL. */
const void *nlsh__unfinished_next(struct nlsh__unfinished *u, enum nlsh__step step, size_t *size);
/* The first such step of those that come; what is before it is left out. */
const void *nlsh__unfinished_find(struct nlsh__unfinished *u, enum nlsh__step step, size_t *size);
/* What was taken last does not do: it and what follows is forgotten, and a note says so. */
void nlsh__unfinished_refuse(struct nlsh__unfinished *u);
/* A step that was done. u may be NULL. */
void nlsh__unfinished_add(struct nlsh__unfinished *u, enum nlsh__step step,
                          const struct nlsh__step_part *parts, size_t n_parts);

/* done: 1: the index stands, and the files are removed; 0: they stay, and a note says so where they hold anything. */
void nlsh__unfinished_end(struct nlsh__unfinished *u, int done);

#endif
