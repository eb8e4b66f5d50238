/* of_sample.c - see of_sample.h. */
#include "make/of_sample.h"

#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/names.h"
#include "base/output.h"
#include "index/layout.h"
#include "make/resolve.h"
#include "vectors/values.h"

/* ---- the sample ------------------------------------------------------------------------------- */

/* The sample has n rows from now on. One of other values than bytes stays in it, if there is one (sampled.c). */
static void thin_sample(struct nlsh__sampled *sampled, size_t n)
{
    struct nlsh_matrix *rows = &sampled->rows;
    size_t row_bytes = nlsh__row_bytes(rows), all = rows->n_rows * rows->dim, odd = all;
    uint8_t *last = (uint8_t *)sampled->memory + (n - 1) * row_bytes;
    if (rows->type == NLSH_F32) odd = nlsh__first_not_byte(rows->data, all, 0);
    uint8_t *after =
        (uint8_t *)sampled->memory + rows->n_rows * row_bytes; /* there is room for one */
    if (odd < all) memcpy(after, nlsh__row(rows, odd / rows->dim), row_bytes);
    nlsh__spread_rows(rows, n, sampled->memory);
    if (odd < all) memcpy(last, after, row_bytes);
    rows->n_rows = n;
}

/* Whether k-means or a cut of the graph divides such rows better, as n of them tell. */
static enum nlsh_status
choose_partitioner(struct nlsh__sampled *sampled, size_t n, const struct nlsh__job *job,
                   struct nlsh_build_options *options, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *all = &sampled->rows;
    nlsh__job_note(
        job, "partitions are compared on %zu of %zu vectors: a graph to cut has no memory for more",
        n, all->n_rows);
    NLSH_TRY(nlsh__better_partitioner(all, n, options, &job->run, &options->partitioner, error));
    if (options->partitioner == NLSH_PARTITIONER_KMEANS) goto out;
    nlsh__job_note(job, "%s is better: buckets are learned from %zu vectors",
                   nlsh__name(NLSH__PARTITIONER, (int)options->partitioner), n);
    thin_sample(sampled, n);
out:
    return status;
}

/* What stands in the journal of the sample's index. */
struct learned {
    uint64_t size, sum; /* of its file */
    struct nlsh_build_report report;
};

/* 0: it cannot be read. */
static int sum_of_file(const char *path, struct learned *out)
{
    struct nlsh__map map;
    if (nlsh__map_open(path, &map, NULL) != NLSH_OK) return 0;
    out->size = map.size;
    out->sum = nlsh__hash_of(map.data, map.size);
    nlsh__map_close(&map);
    return 1;
}

/* Whether an earlier build learned it. */
static int learned_earlier(struct nlsh__unfinished *u, struct nlsh_build_report *report)
{
    struct learned learned, there;
    size_t size;
    const void *step = nlsh__unfinished_next(u, NLSH__STEP_SAMPLE, &size);
    if (step == NULL) return 0;
    if (size == sizeof learned && sum_of_file(u->sample_path, &there)) {
        memcpy(&learned, step, sizeof learned);
        if (learned.size == there.size && learned.sum == there.sum) {
            *report = learned.report;
            return 1;
        }
    }
    nlsh__unfinished_refuse(u);
    return 0;
}

static enum nlsh_status learn_under(const char *name, struct nlsh__sampled *sampled,
                                    const struct nlsh_build_options *options, size_t compared,
                                    const uint64_t *keys, struct nlsh__unfinished *u,
                                    const struct nlsh__job *job, struct nlsh_index **out,
                                    struct nlsh_build_report *report, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh_build_options o = *options;
    struct learned learned = {.size = 0};
    o.keys = keys;
    if (!learned_earlier(u, report)) {
        if (o.partitioner == NLSH_PARTITIONER_AUTO && compared > 0)
            NLSH_TRY(choose_partitioner(sampled, compared, job, &o, error));
        NLSH_TRY(nlsh_build(&sampled->rows, &o, name, &job->run, report, error));
        learned.report = *report;
        const struct nlsh__step_part part = {&learned, sizeof learned};
        if (u != NULL && sum_of_file(name, &learned))
            nlsh__unfinished_add(u, NLSH__STEP_SAMPLE, &part, 1);
    }
    NLSH_TRY(nlsh__index_load(&(struct nlsh__source_of_index){.name = name}, out, error));
    sampled->rows.n_rows = (size_t)(*out)->meta.n_rows; /* an earlier build may have thinned it */
out:
    return status;
}

/* The index of the sample. Where nothing is kept it lies under a name that nobody else has for as long as it takes to open
 * it. */
enum nlsh_status nlsh__learn_sample(struct nlsh__sampled *sampled,
                                    const struct nlsh_build_options *options, size_t compared,
                                    const uint64_t *keys, const char *path,
                                    struct nlsh__unfinished *unfinished,
                                    const struct nlsh__job *job, struct nlsh_index **out,
                                    struct nlsh_build_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__unfinished *u = unfinished != NULL && unfinished->fd >= 0 ? unfinished : NULL;
    struct nlsh__output *place = NULL;
    if (u == NULL) NLSH_TRY(nlsh__output_open_file(path, &place, error));
    const char *name = u != NULL ? u->sample_path : nlsh__output_temporary(place);
    if (name == NULL) {
        status = nlsh__fail(error, NLSH_E_CANT_CREATE, "name a regular file",
                            "cannot write %s: it is an open descriptor", path);
        goto out;
    }
    NLSH_TRY(learn_under(name, sampled, options, compared, keys, u, job, out, report, error));
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
