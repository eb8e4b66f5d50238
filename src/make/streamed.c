/*
 * streamed.c - nlsh_build_rows(): an index of more vectors than memory holds.
 *
 *   base -> sample -> an index of the sample -> all rows routed -> all rows in their places -> codes, leaves, promises -> file
 *
 * What is learned is learned from a sample; what is promised is measured with rows that are not in it, against all.
 * The router names a shard map of the whole, as in Gottesbueren, Dhulipala, Jayaram and Lacki, "Unleashing graph
 * partitioning for large-scale nearest neighbor search", 2024.
 */
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/output.h"
#include "base/sized.h"
#include "index/layout.h"
#include "kernels/kernels.h"
#include "live/beside.h"
#include "make/asking.h"
#include "make/cells.h"
#include "make/components.h"
#include "make/forecast_rows.h"
#include "make/keys.h"
#include "make/of_sample.h"
#include "make/placed.h"
#include "make/relearned.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "make/streamed.h"
#include "router/router.h"

/* ---- the file ---------------------------------------------------------------------------------- */

/* An index on its way. */
struct streamed {
    const struct nlsh_rows *base;
    struct nlsh_build_options options;
    const char *path;
    const struct nlsh__job *job;
    struct nlsh__sampled sampled;
    struct nlsh__unfinished unfinished;
    struct nlsh_index *sample;
    struct nlsh__memory_plan plan;
    struct nlsh__router *router;     /* that learned from all, or NULL */
    struct nlsh__bucket_cells cells; /* where the sample was divided by k-means */
    struct nlsh__placed placed;
    struct nlsh__merged sections;
    size_t router_at; /* among the sections */
    struct nlsh__relearned relearned;
    struct nlsh__meta meta;
    struct nlsh__metric_meta metric;
    struct nlsh__segment_meta segment;
    struct nlsh__meter_header meter;
};

static void streamed_free(struct streamed *s)
{
    nlsh__router_close(s->router);
    nlsh__free(s->relearned.router);
    nlsh__merged_free(&s->sections);
    nlsh__placed_free(&s->placed);
    nlsh__bucket_cells_free(&s->cells);
    nlsh__index_free(s->sample);
    nlsh__sampled_free(&s->sampled);
}

static void describe(struct streamed *s)
{
    size_t n = s->base->n_rows;
    s->meta = s->sample->meta;
    s->meta.n_rows = n;
    s->meta.data_hash = s->sampled.hash;
    s->metric = (struct nlsh__metric_meta){.metric = (uint32_t)s->sample->metric,
                                           .query_norm = s->sample->query_norm,
                                           .stored_hash = s->placed.stored_hash};
    s->segment = (struct nlsh__segment_meta){
        .n_rows = n, .data_hash = s->sampled.hash, .stored_hash = s->placed.stored_hash};
}

static enum nlsh_status encode(struct streamed *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *ids = NULL;
    size_t n = s->base->n_rows;
    const struct nlsh__askers_of *asking = &s->placed.asking;
    struct nlsh_matrix rows = {s->placed.vectors.data, n, s->base->dim,
                               (enum nlsh_type)s->sample->meta.storage_type, 0};
    NLSH_TRY(nlsh__alloc(&ids, n, sizeof *ids, error));
    for (size_t i = 0; i < n; i++) ids[i] = (uint32_t)i; /* rows stand in their places already */
    const struct nlsh__merging of = {
        .file = s->sample,
        .rows = &rows,
        .p = s->placed.p,
        .inputs = s->placed.inputs.data,
        .queries = &asking->routed,
        .query_inputs = asking->inputs,
        .bucket_offsets = s->placed.offsets,
        .ids = ids,
    };
    NLSH_TRY(nlsh__merged_encode(&of, s->job, &s->sections, error));
out:
    nlsh__free(ids);
    return status;
}

static enum nlsh_status make_sections(struct streamed *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__merged *to = &s->sections;
    const struct nlsh__placed *p = &s->placed;
    size_t n = s->base->n_rows, m = s->sample->meta.n_buckets;
    describe(s);
    nlsh__merged_add(to, NLSH__SECTION_META, &s->meta, sizeof s->meta);
    NLSH_TRY(nlsh__merged_keep(s->sample, NLSH__SECTION_SETTINGS, to, error));
    if (s->sample->metric != NLSH_L2)
        nlsh__merged_add(to, NLSH__SECTION_METRIC, &s->metric, sizeof s->metric);
    s->router_at = to->n;
    NLSH_TRY(nlsh__merged_keep(s->sample, NLSH__SECTION_ROUTER, to, error));
    NLSH_TRY(nlsh__merged_keep(s->sample, NLSH__SECTION_MARGINS, to, error));
    nlsh__merged_add(to, NLSH__SECTION_SEGMENT, &s->segment, sizeof s->segment);
    nlsh__merged_add(to, NLSH__SECTION_BUCKETS, p->offsets, (m + 1) * sizeof *p->offsets);
    nlsh__merged_add(to, NLSH__SECTION_ROWS, p->rows, n * sizeof *p->rows);
    nlsh__merged_add(to, NLSH__SECTION_VECTORS, p->vectors.data, p->vectors.size);
    NLSH_TRY(encode(s, error));
out:
    return status;
}

/* ---- the router, once more --------------------------------------------------------------------- */

static enum nlsh_status relearn(void *user, const struct nlsh_index *index,
                                struct nlsh_error *error)
{
    struct streamed *s = user;
    const struct nlsh__section_data *router = &s->sections.of[s->router_at];
    return nlsh__relearn(index, router->data, &s->placed, &s->sampled,
                         nlsh__n_teaching(&s->plan, s->placed.p, s->options.label_knn), &s->options,
                         &s->unfinished, s->job, &s->relearned, error);
}

/* By searching the index so far; or it is what an earlier build learned. */
static enum nlsh_status learn_or_take(struct streamed *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__relearned *r = &s->relearned;
    const void *step = nlsh__unfinished_find(&s->unfinished, NLSH__STEP_ROUTER, &r->size);
    if (step != NULL) {
        NLSH_TRY(nlsh__alloc(&r->router, r->size, 1, error));
        memcpy(r->router, step, r->size);
        return NLSH_OK;
    }
    struct nlsh__merged trial =
        s->sections; /* what the sample promised will do to find most neighbours */
    NLSH_TRY(nlsh__merged_keep(s->sample, NLSH__SECTION_EFFORTS, &trial, error));
    NLSH_TRY(nlsh__index_try(s->path, trial.of, trial.n, 1, relearn, s, error));
    const struct nlsh__step_part part = {r->router, r->size};
    if (r->router != NULL) nlsh__unfinished_add(&s->unfinished, NLSH__STEP_ROUTER, &part, 1);
out:
    return status;
}

static enum nlsh_status learn_from_all(struct streamed *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__section_data *router = &s->sections.of[s->router_at];
    if (s->sample->segments[0].codes == NULL) return NLSH_OK;
    NLSH_TRY(learn_or_take(s, error));
    nlsh__spool_free(&s->placed.inputs); /* nobody else looks at them */
    if (s->relearned.router == NULL) goto out;
    router->data = s->relearned.router;
    router->size = s->relearned.size;
    NLSH_TRY(nlsh__router_open(router->data, router->size, s->base->dim, s->sample->meta.n_buckets,
                               &s->router, error));
out:
    return status;
}

/* ---- promises ---------------------------------------------------------------------------------- */

static const struct nlsh__router *router_of(const struct streamed *s)
{
    return s->router != NULL ? s->router : s->sample->router;
}

static enum nlsh_status promise(struct streamed *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *numbers = NULL;
    struct nlsh__asking asking;
    const struct nlsh__bucketed bucketed = {s->placed.bucket_of, s->base->n_rows,
                                            s->sample->meta.n_buckets};
    NLSH_TRY(nlsh__asking_of_sample(&s->sampled, &s->placed.asking, &numbers, &asking, error));
    NLSH_TRY(nlsh__estimate_elsewhere(router_of(s), &asking, s->placed.bucket_of, s->job,
                                      &s->meta.disagreement, error));
    NLSH_TRY(nlsh__ask_merged(&asking, s->path, router_of(s), &bucketed, s->job, &s->sections,
                              &s->meter, error));
    nlsh__meter_trained(&s->meter);
    s->meter.n = (uint32_t)asking.n;
    s->meter.n_trained = (uint32_t)s->sampled.rows.n_rows;
    NLSH_TRY(nlsh__merged_meter(&s->meter, s->sampled.asking_rows, &s->sections, error));
out:
    nlsh__free(numbers);
    return status;
}

/* ---- all of it --------------------------------------------------------------------------------- */

/* In its place; where an index with a log was there, over with that. */
static enum nlsh_status write_file(struct streamed *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__beside beside;
    struct nlsh__log_taken taken;
    NLSH_TRY(nlsh__beside_begin(s->path, &beside, error));
    if (beside.log != 0) {
        taken = nlsh__beside_is_over(&beside);
        nlsh__merged_add(&s->sections, NLSH__SECTION_LOG, &taken, sizeof taken);
    }
    NLSH_TRY(nlsh__job_progress(s->job, "writing", 0, 0, error));
    NLSH_TRY(nlsh__index_write(s->path, s->sections.of, s->sections.n, error));
    NLSH_TRY(nlsh__beside_restart(&beside, s->path, error));
    /* The file stands: a stop asked for now comes too late. */
    (void)nlsh__job_progress(s->job, "writing", 1, 1, NULL);
out:
    nlsh__beside_end(&beside);
    return status;
}

static enum nlsh_status stream(struct streamed *s, struct nlsh_build_report *report,
                               struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t others = s->base->n_rows - 1, k = others < NLSH__ASKING_K ? others : NLSH__ASKING_K;
    NLSH_TRY(nlsh__learn_sample(&s->sampled, &s->options, s->plan.compared, NULL, s->path,
                                &s->unfinished, s->job, &s->sample, report, error));
    NLSH_TRY(nlsh__cells_of_sample(s->sample, &s->options, report->partitioner, s->job, &s->cells,
                                   error));
    const struct nlsh__bucket_cells *cells = s->cells.n > 0 ? &s->cells : NULL;
    NLSH_TRY(nlsh__place_rows(s->base, s->sample, cells, &s->sampled, s->path, s->plan.block, k,
                              &s->unfinished, s->job, &s->placed, error));
    NLSH_TRY(nlsh__job_progress(s->job, "codes", 0, 0, error));
    NLSH_TRY(make_sections(s, error));
    NLSH_TRY(learn_from_all(s, error));
    nlsh__merged_add(&s->sections, NLSH__SECTION_KEYS, s->options.keys,
                     s->base->n_rows * sizeof *s->options.keys);
    NLSH_TRY(promise(s, error));
    NLSH_TRY(write_file(s, error));
    report->held_out_candidates = report->held_out_scanned = s->meter.trained;
out:
    return status;
}

/* What would be found out after the work, now. */
static enum nlsh_status check_target(const struct streamed *s, struct nlsh_error *error)
{
    struct nlsh_build_options o = s->options;
    int bytes = o.metric == NLSH_L2 && s->base->type != NLSH_F32;
    const struct nlsh_matrix stored = {NULL, s->base->n_rows, s->base->dim,
                                       bytes ? NLSH_U8 : NLSH_F32, 0};
    if (o.components == NLSH_AUTO) o.components = nlsh__usual_components(s->base->dim);
    if (o.groups == NLSH_AUTO) o.groups = nlsh__auto_groups(o.n_buckets);
    enum nlsh_status status = nlsh__beside_check(s->path, error);
    if (status != NLSH_OK || s->plan.sample == s->base->n_rows) return status;
    return nlsh__spool_check(s->path, nlsh__disk_bytes(&stored, &o, &s->plan), error);
}

enum nlsh_status nlsh__check_rows(const struct nlsh_rows *base,
                                  const struct nlsh_build_options *options,
                                  struct nlsh_error *error)
{
    if (base->type != NLSH_U8 && base->type != NLSH_I8 && base->type != NLSH_F32)
        return nlsh__fail(error, NLSH_E_ARG, "take NLSH_U8, NLSH_I8 or NLSH_F32",
                          "the base is of type %d", (int)base->type);
    size_t most = base->type == NLSH_F32 ? NLSH__MAX_DIM : NLSH__MAX_DIM_U8;
    if (base->read == NULL)
        return nlsh__fail(error, NLSH_E_ARG, "open a file first, or say how they are read",
                          "the base has no read function");
    if (base->n_rows < 2 || base->n_rows > INT32_MAX || base->dim < 1 || base->dim > most)
        return nlsh__fail(error, NLSH_E_ARG,
                          "give 2 to 2,147,483,647 vectors of a dimension that is known here",
                          "the base has %zu vectors of %zu values", base->n_rows, base->dim);
    if (options->train_queries != NULL)
        return nlsh__fail(
            error, NLSH_E_UNSUPPORTED, "build without them, and call nlsh_calibrate() with them",
            "train_queries cannot teach an index that is built in a part of the memory");
    return NLSH_OK;
}

static enum nlsh_status build_planned(struct streamed *s, struct nlsh_build_report *report,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__memory_plan *plan = &s->plan;
    nlsh__leaves_of_all(&s->options, plan->sample, s->base->n_rows);
    NLSH_TRY(check_target(s, error));
    NLSH_TRY(nlsh__check_keys(s->options.keys, s->base->n_rows, error));
    NLSH_TRY(nlsh__sample(s->base, &s->options, plan->sample, plan->asking, plan->block, s->job,
                          &s->sampled, error));
    nlsh__sampled_store(&s->sampled, &s->options);
    if (plan->sample == s->base->n_rows) {
        NLSH_TRY(nlsh_build(&s->sampled.rows, &s->options, s->path, &s->job->run, report, error));
        goto out;
    }
    nlsh__job_note(s->job, "buckets are learned from %zu of %zu vectors", plan->sample,
                   s->base->n_rows);
    NLSH_TRY(nlsh__unfinished_begin(s->path, s->base, s->sampled.hash, &s->options, plan, s->job,
                                    &s->unfinished, error));
    status = stream(s, report, error);
    nlsh__unfinished_end(&s->unfinished, status == NLSH_OK);
out:
    return status;
}

/* plan: or NULL, by memory. */
static enum nlsh_status
build(const struct nlsh_rows *base, const struct nlsh_build_options *options,
      const struct nlsh__memory_plan *plan, uint64_t memory, const char *path,
      const struct nlsh_run *run, struct nlsh_build_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {.pool = NULL};
    struct nlsh_rows rows = {.read = NULL};
    struct streamed s = {.base = &rows, .path = path, .job = &job};
    struct nlsh_build_report ours = {.struct_size = sizeof ours};
    struct nlsh__map written;
    nlsh__error_clear(error);
    if (report != NULL) NLSH_TRY(nlsh__answer_check(report, "nlsh_build_report", error));
    NLSH_TRY(nlsh__options_take(&rows, sizeof rows, base, "nlsh_rows", error));
    NLSH_TRY(nlsh__take_settings(options, &s.options, error));
    NLSH_TRY(nlsh__check_rows(&rows, &s.options, error));
    NLSH_TRY(nlsh__settings_check(&s.options, error));
    NLSH_TRY(nlsh__kernels_check(error));
    if (s.options.n_buckets == NLSH_AUTO) s.options.n_buckets = nlsh__auto_buckets(rows.n_rows);
    if (plan != NULL)
        s.plan = *plan;
    else
        NLSH_TRY(nlsh__plan_memory(&rows, &s.options, memory, &s.plan, error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(build_planned(&s, &ours, error));
    NLSH_TRY(nlsh__map_open(path, &written, error));
    ours.index_bytes = written.size;
    nlsh__map_close(&written);
    if (report != NULL) nlsh__answer_give(report, &ours, sizeof ours);
out:
    streamed_free(&s);
    nlsh__job_end(&job);
    return status;
}

enum nlsh_status nlsh__build_planned(const struct nlsh_rows *base,
                                     const struct nlsh_build_options *options,
                                     const struct nlsh__memory_plan *plan, const char *path,
                                     const struct nlsh_run *run, struct nlsh_build_report *report,
                                     struct nlsh_error *error)
{
    return build(base, options, plan, 0, path, run, report, error);
}

enum nlsh_status nlsh_build_rows(const struct nlsh_rows *base,
                                 const struct nlsh_build_options *options, uint64_t memory,
                                 const char *path, const struct nlsh_run *run,
                                 struct nlsh_build_report *report, struct nlsh_error *error)
{
    return build(base, options, NULL, memory, path, run, report, error);
}

enum nlsh_status nlsh_build_memory(const struct nlsh_rows *theirs,
                                   const struct nlsh_build_options *options, uint64_t *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_rows rows = {.read = NULL};
    struct nlsh_build_options o;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__options_take(&rows, sizeof rows, theirs, "nlsh_rows", error));
    NLSH_TRY(nlsh__take_settings(options, &o, error));
    NLSH_TRY(nlsh__check_rows(&rows, &o, error));
    NLSH_TRY(nlsh__settings_check(&o, error));
    if (o.n_buckets == NLSH_AUTO) o.n_buckets = nlsh__auto_buckets(rows.n_rows);
    *out = nlsh__bytes_of_build(&rows, &o, rows.n_rows);
out:
    return status;
}
