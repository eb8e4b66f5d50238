/* of_sample.c - see of_sample.h. */
#include "make/of_sample.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/output.h"
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

enum nlsh_status nlsh__asking_of_sample(const struct nlsh__sampled *sampled,
                                        const struct nlsh__askers_of *from, uint32_t **numbers,
                                        struct nlsh__asking *out, struct nlsh_error *error)
{
    size_t n = sampled->asking.n_rows;
    enum nlsh_status status = nlsh__alloc(numbers, n, sizeof **numbers, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < n; i++) (*numbers)[i] = (uint32_t)i;
    *out = (struct nlsh__asking){.n = n,
                                 .rows = sampled->asking_rows,
                                 .as_rows = {&from->routed, *numbers, n},
                                 .queries = sampled->asking,
                                 .truth = from->truth};
    return NLSH_OK;
}

enum nlsh_status nlsh__estimate_elsewhere(const struct nlsh__router *router,
                                          const struct nlsh__asking *asking,
                                          const uint32_t *bucket_of, const struct nlsh__job *job,
                                          double *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = asking->n, elsewhere = 0;
    uint32_t *best = NULL;
    NLSH_TRY(nlsh__alloc(&best, n, sizeof *best, error));
    NLSH_TRY(nlsh__best_buckets(router, &asking->as_rows, job, best, error));
    for (size_t i = 0; i < n; i++) elsewhere += best[i] != bucket_of[asking->rows[i]];
    *out = (double)elsewhere / (double)n;
out:
    nlsh__free(best);
    return status;
}
