/* asking.c - see asking.h. */
#include "make/asking.h"

#include "base/error.h"
#include "base/memory.h"
#include "make/pack.h"
#include "measure/efforts.h"

enum nlsh_status nlsh__ask_buckets(const struct nlsh__asking *a, const struct nlsh__router *router,
                                   const struct nlsh__bucketed *bucketed,
                                   const struct nlsh__job *job, struct nlsh__asked *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *buckets = NULL;
    size_t k = a->truth.k;
    NLSH_TRY(nlsh__alloc(&buckets, a->n * k, sizeof *buckets, error));
    for (size_t i = 0; i < a->n * k; i++) buckets[i] = bucketed->bucket_of[a->truth.ids[i]];
    NLSH_TRY(
        nlsh__calibrate(router, &a->as_rows, bucketed, buckets, k, job, &out->calibration, error));
out:
    nlsh__free(buckets);
    return status;
}

enum nlsh_status nlsh__ask_index(const struct nlsh__asking *a, const struct nlsh_index *index,
                                 const struct nlsh__known_by *by, size_t n_rows,
                                 const struct nlsh__job *job, struct nlsh__asked *out,
                                 struct nlsh_error *error)
{
    struct nlsh__shares shares = {.found = {{0}}};
    const struct nlsh__known known = {index, a->queries, &a->truth, a->rows, NLSH__EFFORT_QUERIES,
                                      by,    n_rows};
    enum nlsh_status status = nlsh__shares_add(&known, &out->calibration, job, &shares, error);
    if (status != NLSH_OK) return status;
    nlsh__efforts_from(&out->calibration, &index->row_margins, &index->leaf_margins,
                       nlsh__index_row_bytes(index), &shares, &out->efforts);
    return nlsh__far_of(&a->truth, a->n, index->metric, &out->efforts.far, error);
}

void nlsh__meter_measured(const struct nlsh__calibration *c, struct nlsh__meter_header *meter)
{
    meter->now = c->candidates_95;
    meter->few_now = (float)c->few_95;
    meter->many_now = (float)c->many_95;
}

void nlsh__meter_trained(struct nlsh__meter_header *meter)
{
    meter->trained = meter->now;
    meter->few_trained = meter->few_now;
    meter->many_trained = meter->many_now;
}

enum nlsh_status nlsh__asked_add(const struct nlsh__asked *asked, struct nlsh__merged *merged,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t size;
    NLSH_TRY(nlsh__pack_efforts(&asked->efforts, 0, &merged->efforts, &size, error));
    nlsh__merged_add(merged, NLSH__SECTION_EFFORTS, merged->efforts, size);
    NLSH_TRY(nlsh__pack_outside(&asked->efforts, &merged->outside, &size, error));
    nlsh__merged_add(merged, NLSH__SECTION_OUTSIDE, merged->outside, size);
out:
    return status;
}

/* ---- in one process ---------------------------------------------------------------------------- */

struct measure {
    const struct nlsh__asking *asking;
    const struct nlsh__job *job;
    struct nlsh__asked asked;
};

static enum nlsh_status ask_index(void *user, const struct nlsh_index *index,
                                  struct nlsh_error *error)
{
    struct measure *m = user;
    return nlsh__ask_index(m->asking, index, NULL, 0, m->job, &m->asked, error);
}

enum nlsh_status nlsh__ask_merged(const struct nlsh__asking *asking, const char *path,
                                  const struct nlsh__router *router,
                                  const struct nlsh__bucketed *bucketed,
                                  const struct nlsh__job *job, struct nlsh__merged *merged,
                                  struct nlsh__meter_header *meter, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct measure m = {.asking = asking, .job = job};
    NLSH_TRY(nlsh__ask_buckets(asking, router, bucketed, job, &m.asked, error));
    NLSH_TRY(nlsh__index_try(path, merged->of, merged->n, 1, ask_index, &m, error));
    NLSH_TRY(nlsh__asked_add(&m.asked, merged, error));
    nlsh__meter_measured(&m.asked.calibration, meter);
out:
    return status;
}
