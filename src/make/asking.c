/* asking.c - see asking.h. */
#include "make/asking.h"

#include "base/error.h"
#include "base/memory.h"
#include "make/pack.h"
#include "measure/efforts.h"

struct measure {
    const struct nlsh__asking *asking;
    const struct nlsh__job *job;
    struct nlsh__calibration calibration;
    struct nlsh__measured_efforts efforts;
};

/* What buckets hold of their neighbours. */
static enum nlsh_status ask_buckets(struct measure *m, const struct nlsh__router *router,
                                    const struct nlsh__bucketed *bucketed, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *buckets = NULL;
    const struct nlsh__asking *a = m->asking;
    size_t k = a->truth.k;
    NLSH_TRY(nlsh__alloc(&buckets, a->n * k, sizeof *buckets, error));
    for (size_t i = 0; i < a->n * k; i++) buckets[i] = bucketed->bucket_of[a->truth.ids[i]];
    NLSH_TRY(
        nlsh__calibrate(router, &a->as_rows, bucketed, buckets, k, m->job, &m->calibration, error));
out:
    nlsh__free(buckets);
    return status;
}

/* What codes and leaves lose of them, by searching the new index before it stands. */
static enum nlsh_status ask_index(void *user, const struct nlsh_index *index,
                                  struct nlsh_error *error)
{
    struct measure *m = user;
    const struct nlsh__asking *a = m->asking;
    struct nlsh__shares shares = {{{0}}, {{0}}};
    const struct nlsh__known known = {index, a->queries, &a->truth, a->rows, NLSH__EFFORT_QUERIES};
    enum nlsh_status status = nlsh__shares_add(&known, &m->calibration, m->job, &shares, error);
    if (status != NLSH_OK) return status;
    nlsh__efforts_from(&m->calibration, &index->row_margins, &index->leaf_margins, &shares,
                       &m->efforts);
    return nlsh__far_of(&a->truth, a->n, index->metric, &m->efforts.far, error);
}

enum nlsh_status nlsh__ask_merged(const struct nlsh__asking *asking, const char *path,
                                  const struct nlsh__router *router,
                                  const struct nlsh__bucketed *bucketed,
                                  const struct nlsh__job *job, struct nlsh__merged *merged,
                                  double *candidates, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct measure m = {.asking = asking, .job = job};
    size_t size;
    NLSH_TRY(ask_buckets(&m, router, bucketed, error));
    NLSH_TRY(nlsh__index_try(path, merged->of, merged->n, 1, ask_index, &m, error));
    NLSH_TRY(nlsh__pack_efforts(&m.efforts, 0, &merged->efforts, &size, error));
    nlsh__merged_add(merged, NLSH__SECTION_EFFORTS, merged->efforts, size);
    NLSH_TRY(nlsh__pack_outside(&m.efforts, &merged->outside, &size, error));
    nlsh__merged_add(merged, NLSH__SECTION_OUTSIDE, merged->outside, size);
    *candidates = m.calibration.candidates_95;
out:
    return status;
}
