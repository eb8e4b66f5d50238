/* resolve_rows.c - nlsh_build_rows_resolve(): settings and forecast of a build in a part of the memory. */
#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/sized.h"
#include "make/forecast.h"
#include "make/forecast_rows.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "make/streamed.h"

enum { FIRST = 4096 }; /* rows that are looked at */

/* Whether all rows will be stored as bytes, as the first ones are. */
static enum nlsh_status look_at_first(const struct nlsh_rows *base, enum nlsh_metric metric,
                                      struct nlsh_matrix *stored, struct nlsh_error *error)
{
    enum nlsh_status status;
    void *values = NULL;
    struct nlsh_matrix rows = {NULL, base->n_rows < FIRST ? base->n_rows : FIRST, base->dim,
                               base->type, 0};
    NLSH_TRY(nlsh__alloc(&values, rows.n_rows, nlsh__row_bytes(&rows), error));
    NLSH_TRY(base->read(base->user, 0, rows.n_rows, values, error));
    rows.data = values;
    *stored = nlsh__as_stored(&rows, metric);
    stored->n_rows = base->n_rows;
out:
    nlsh__free(values);
    return status;
}

/* The build leaves components to the sample; the forecast takes the usual number. */
static enum nlsh_status
foretell(const struct nlsh_matrix *stored, const struct nlsh_build_options *resolved,
         const struct nlsh__memory_plan *plan, uint64_t memory, size_t n_threads,
         struct nlsh_build_forecast *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    if (plan->sample == stored->n_rows) {
        NLSH_TRY(nlsh__forecast(stored, resolved, n_threads, out, error));
    } else {
        NLSH_TRY(nlsh__forecast_rows(stored, resolved, plan, n_threads, out, error));
        out->peak_bytes = memory;
    }
out:
    return status;
}

enum nlsh_status
nlsh_build_rows_resolve(const struct nlsh_rows *theirs, struct nlsh_build_options *options,
                        uint64_t memory, const struct nlsh_run *run,
                        struct nlsh_build_forecast *forecast, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_rows rows = {.read = NULL};
    struct nlsh_build_options ours;
    struct nlsh_build_forecast f;
    struct nlsh_run wishes;
    struct nlsh__memory_plan plan;
    struct nlsh_matrix stored, sample;
    nlsh__error_clear(error);
    nlsh_run_init(&wishes, sizeof wishes);
    if (forecast != NULL) NLSH_TRY(nlsh__answer_check(forecast, "nlsh_build_forecast", error));
    NLSH_TRY(nlsh__options_take(&rows, sizeof rows, theirs, "nlsh_rows", error));
    NLSH_TRY(nlsh__options_take(&wishes, sizeof wishes, run, "nlsh_run", error));
    NLSH_TRY(nlsh__take_settings(options, &ours, error));
    NLSH_TRY(nlsh__check_rows(&rows, &ours, error));
    NLSH_TRY(nlsh__settings_check(&ours, error));
    if (ours.n_buckets == NLSH_AUTO) ours.n_buckets = nlsh__auto_buckets(rows.n_rows);
    NLSH_TRY(nlsh__plan_memory(&rows, &ours, memory, &plan, error));
    NLSH_TRY(look_at_first(&rows, ours.metric, &stored, error));
    sample = stored;
    sample.n_rows = plan.sample;
    struct nlsh_build_options resolved = ours;
    nlsh__leaves_of_all(&resolved, plan.sample, rows.n_rows);
    NLSH_TRY(nlsh__resolve_unseen(&sample, &resolved, error));
    if (forecast != NULL) {
        NLSH_TRY(foretell(&stored, &resolved, &plan, memory, wishes.n_threads, &f, error));
        nlsh__answer_give(forecast, &f, sizeof f);
    }
    resolved.components = ours.components;
    nlsh__answer_give(options, &resolved, sizeof resolved);
out:
    return status;
}
