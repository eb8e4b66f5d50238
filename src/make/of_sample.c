/* of_sample.c - see of_sample.h. */
#include "make/of_sample.h"

#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/rng.h"
#include "index/layout.h"
#include "make/resolve.h"

/* The index of the sample: it lies under a name that nobody else has for as long as it takes to open it. */
enum nlsh_status nlsh__learn_sample(struct nlsh__sampled *sampled,
                                    const struct nlsh_build_options *options, const uint64_t *keys,
                                    const char *path, const struct nlsh__job *job,
                                    struct nlsh_index **out, struct nlsh_build_report *report,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_build_options o = *options;
    struct nlsh__output *place = NULL;
    o.keys = keys;
    NLSH_TRY(nlsh__output_open_file(path, &place, error));
    const char *name = nlsh__output_temporary(place);
    if (name == NULL) {
        status = nlsh__fail(error, NLSH_E_CANT_CREATE, "name a regular file",
                            "cannot write %s: it is an open descriptor", path);
        goto out;
    }
    NLSH_TRY(nlsh_build(&sampled->rows, &o, name, &job->run, report, error));
    NLSH_TRY(nlsh__index_load(&(struct nlsh__source_of_index){.name = name}, out, error));
    nlsh__free(sampled->memory); /* nobody else looks at it */
    sampled->memory = NULL;
out:
    nlsh__output_abort(place);
    return status;
}

/* Cells know their borders better than the router does; but not where a group of rows is too large for one. */
enum nlsh_status
nlsh__cells_of_sample(const struct nlsh_index *sample, const struct nlsh_build_options *options,
                      enum nlsh_partitioner partitioner, const struct nlsh__job *job,
                      struct nlsh__bucket_cells *out, struct nlsh_error *error)
{
    double imbalance = nlsh__imbalance(options, partitioner);
    if (partitioner != NLSH_PARTITIONER_KMEANS || sample->metric == NLSH_IP) return NLSH_OK;
    enum nlsh_status status = nlsh__bucket_cells_of(sample, imbalance, job, out, error);
    if (status == NLSH_OK && out->elsewhere > sample->meta.disagreement)
        nlsh__bucket_cells_free(out);
    return status;
}

/* ---- rows that ask ----------------------------------------------------------------------------- */

/* Rows come in the order of the base, and the first that ask stand for all: they are mixed. */
static void shuffle(const struct nlsh__askers_of *from, uint64_t seed, uint32_t *order)
{
    struct nlsh__rng rng;
    size_t n = from->stored.n_rows;
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    nlsh__rng_init(&rng, seed, 0x61736b73);
    nlsh__rng_shuffle(&rng, order, n);
}

void nlsh__mixed_free(struct nlsh__mixed *x)
{
    nlsh__free(x->order);
    nlsh__free(x->rows);
    nlsh__free(x->queries);
    nlsh__neighbors_free(&x->truth);
}

enum nlsh_status nlsh__mix(const struct nlsh__sampled *sampled, const struct nlsh__askers_of *from,
                           uint64_t seed, struct nlsh__mixed *x, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *queries = &sampled->asking;
    size_t n = queries->n_rows, k = from->truth.k;
    size_t row_bytes = queries->dim * nlsh__type_size(queries->type);
    x->truth = (struct nlsh__neighbors){.n_rows = n, .k = k};
    NLSH_TRY(nlsh__alloc(&x->order, n, sizeof *x->order, error));
    NLSH_TRY(nlsh__alloc(&x->rows, n, sizeof *x->rows, error));
    NLSH_TRY(nlsh__alloc(&x->queries, n, row_bytes, error));
    NLSH_TRY(nlsh__alloc(&x->truth.ids, n * k, sizeof(uint32_t), error));
    NLSH_TRY(nlsh__alloc(&x->truth.l2sq, n * k, sizeof(float), error));
    shuffle(from, seed, x->order);
    for (size_t i = 0; i < n; i++) {
        size_t at = x->order[i];
        x->rows[i] = sampled->asking_rows[at];
        memcpy((uint8_t *)x->queries + i * row_bytes,
               (const uint8_t *)queries->data + at * row_bytes, row_bytes);
        memcpy(x->truth.ids + i * k, from->truth.ids + at * k, k * sizeof(uint32_t));
        memcpy(x->truth.l2sq + i * k, from->truth.l2sq + at * k, k * sizeof(float));
    }
out:
    return status;
}

/* The rows that ask stand for all: how many of them the router would put elsewhere by now. */
enum nlsh_status
nlsh__estimate_elsewhere(const struct nlsh__router *router, const struct nlsh_matrix *routed,
                         const struct nlsh__mixed *x, const uint32_t *bucket_of,
                         const struct nlsh__job *job, double *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = routed->n_rows, elsewhere = 0;
    const struct nlsh__played played = {routed, x->order, n};
    uint32_t *best = NULL;
    NLSH_TRY(nlsh__alloc(&best, n, sizeof *best, error));
    NLSH_TRY(nlsh__best_buckets(router, &played, job, best, error));
    for (size_t i = 0; i < n; i++) elsewhere += best[i] != bucket_of[x->rows[i]];
    *out = (double)elsewhere / (double)n;
out:
    nlsh__free(best);
    return status;
}
