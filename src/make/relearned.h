/* relearned.h - a router that learned from a sample of the rows learns on from where the neighbours of all rows lie. */
#ifndef NLSH_MAKE_RELEARNED_H
#define NLSH_MAKE_RELEARNED_H

#include "make/memory_plan.h"
#include "make/placed.h"
#include "router/ask.h"

enum { NLSH__VISITS_ON = 3000000 }; /* of rows while it learns on */

struct nlsh__relearned {
    void *router; /* owned; the section's bytes */
    size_t size;
    double loss; /* of the last epoch, nats */
};

/* How many rows teach, in the memory that a plan leaves for them: of each there is what the router sees of it, p numbers, and
 * where its neighbours lie. */
size_t nlsh__n_teaching(const struct nlsh__memory_plan *plan, size_t p, size_t label_knn);

/* Rows that teach, and who finds their neighbours. */
struct nlsh__teachers {
    size_t n;
    const uint32_t *rows;                /* [n] of the base */
    const float *inputs;                 /* [n x p] what the router sees of them as queries */
    struct nlsh__unfinished *unfinished; /* takes what is found of them, block by block; or NULL */
    void *user;
    /* Stored vectors of n of them, from the first-th on. */
    void (*vectors)(void *user, size_t first, size_t n, uint8_t *to);
    /* nlsh_search() of all rows, whose keys are row numbers. */
    enum nlsh_status (*search)(void *user, const struct nlsh_matrix *queries,
                               const struct nlsh_search_options *options, uint64_t *keys,
                               struct nlsh_error *error);
};

/* Those that teach, of n places: use() gets them ascending. Drawn by seed. */
void nlsh__draw_teachers(size_t n, size_t n_teach, uint64_t seed,
                         void (*use)(void *user, uint32_t place), void *user);
/* Whether a row may teach: it does not ask. */
int nlsh__may_teach(const struct nlsh__sampled *sampled, uint32_t row);
/* What the router sees of a row, as a query: inputs [p] of it as a row, and by inner product its vector; scaled [dim] is
 * scratch. */
const float *nlsh__teacher_inputs(const struct nlsh_index *index, struct nlsh__asker *asker,
                                  const float *inputs, const void *stored, float *scaled);

/* Finds their neighbours' buckets, and trains. index: meta, efforts and metric count. */
enum nlsh_status
nlsh__learn_from(const struct nlsh__teachers *teachers, const struct nlsh_index *index,
                 size_t n_rows, const void *router, const uint32_t *bucket_of,
                 const struct nlsh_build_options *options, const struct nlsh__job *job,
                 struct nlsh__relearned *out, struct nlsh_error *error);

/*
 * nlsh__relearn() - finds the neighbours of some rows by searching the index of all, and trains.
 *
 *  index    of all rows, by the router so far; its keys are row numbers. What it promises need not be true
 *  router   the section of that router
 *  n_teach  rows that teach, drawn by seed; none of those that ask
 *  unfinished  as nlsh__place_rows() has it
 *  options  of the build: label_knn, batch_size, lr, dropout and their like
 * In a sample neighbours are farther away than among all rows, so a router that only saw a sample is unsure where it need
 * not be. The same for any number of threads. NLSH_E_NOMEM, NLSH_E_INTERRUPTED.
 */
enum nlsh_status
nlsh__relearn(const struct nlsh_index *index, const void *router, const struct nlsh__placed *placed,
              const struct nlsh__sampled *sampled, size_t n_teach,
              const struct nlsh_build_options *options, struct nlsh__unfinished *unfinished,
              const struct nlsh__job *job, struct nlsh__relearned *out, struct nlsh_error *error);

#endif
