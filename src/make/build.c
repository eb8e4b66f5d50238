/*
 * build.c - nlsh_build(): the pipeline, stage after stage. Each takes what those before it have made and
 * gives what it makes.
 *
 *   vectors -> k-NN graph -> principal components -> held-out rows -> buckets and router -> file
 *
 * Graph and partition go through the cache, so that a build that was stopped goes on behind them. A share
 * of the rows is held out of training: on them `auto` compares, and search's promises are measured.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/sized.h"
#include "graph/graph.h"
#include "kernels/kernels.h"
#include "live/beside.h"
#include "make/cut.h"
#include "make/folds.h"
#include "make/kept.h"
#include "make/keys.h"
#include "make/resolve.h"
#include "make/scale.h"
#include "make/settings.h"
#include "make/stages.h"
#include "make/taught.h"
#include "make/write.h"
#include "partition/partition.h"

/* ---- what the caller gave -------------------------------------------------------------------- */

/* The vectors as the stages take them, and the settings settled for them. */
struct given {
    struct nlsh_build_options options;
    struct nlsh__dataset data;
    struct nlsh__space space;
    struct nlsh__taught taught;
    double moved, moved_most; /* by rounding */
};

static void given_free(struct given *g)
{
    nlsh__taught_free(&g->taught);
    nlsh__space_free(&g->space);
    nlsh__dataset_free(&g->data);
}

/* To what is stored of them; as_given: that is what they are. */
static enum nlsh_status round_rows(struct given *g, int as_given, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__rounding to = {nlsh__type_of_store(g->options.store), g->options.store_scale};
    if (to.type == NLSH_F32 || g->data.matrix.type != NLSH_F32) return NLSH_OK;
    if (to.type == NLSH_I8 && to.scale == 0)
        NLSH_TRY(nlsh__scale_of(&g->data.matrix, &to.scale, error));
    g->options.store_scale = to.scale;
    NLSH_TRY(nlsh__dataset_round(&g->data, &to, &g->moved, &g->moved_most, error));
    if (as_given) g->moved = g->moved_most = 0;
out:
    return status;
}

static enum nlsh_status take(const struct nlsh_matrix *base,
                             const struct nlsh_build_options *options, struct given *out,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__take_settings(options, &out->options, error));
    NLSH_TRY(nlsh__kernels_check(error));
    NLSH_TRY(nlsh__dataset_init(base, &out->data, error));
    NLSH_TRY(nlsh__taught_take(base, &out->options, &out->taught, error));
    NLSH_TRY(nlsh__resolve(&out->data.matrix, &out->options, error));
    NLSH_TRY(nlsh__check_keys(out->options.keys, base->n_rows, error));
    int as_given = out->options.store == NLSH_STORE_F16 &&
                   nlsh__kept_by_f16(&out->data.matrix, out->options.metric);
    NLSH_TRY(nlsh__metric_values(out->options.metric, "base", &out->data, error));
    NLSH_TRY(round_rows(out, as_given, error));
    NLSH_TRY(nlsh__space_init(out->options.metric, &out->data, &out->space, error));
out:
    return status;
}

enum nlsh_status nlsh__build_check(const struct nlsh_matrix *base,
                                   const struct nlsh_build_options *options,
                                   struct nlsh_error *error)
{
    struct given g = {.data = {.hash = 0}};
    enum nlsh_status status = take(base, options, &g, error);
    if (status == NLSH_OK && g.options.partitioner == NLSH_PARTITIONER_KAHIP)
        status = nlsh__kahip_check(error);
    given_free(&g);
    return status;
}

/* ---- the stages ------------------------------------------------------------------------------ */

/* What buckets and a router are learned from, owned. */
struct prepared {
    struct nlsh__neighbors cut, truth;
    struct nlsh__inputs inputs;
    struct nlsh__held held;
    struct nlsh__csr csr;
    struct nlsh__ground ground;
};

static void prepared_free(struct prepared *p)
{
    nlsh__csr_free(&p->csr);
    nlsh__held_free(&p->held);
    nlsh__inputs_free(&p->inputs);
    nlsh__neighbors_free(&p->truth);
    nlsh__neighbors_free(&p->cut);
}

/* most_k: neighbours of each held-out row that are looked for. */
static enum nlsh_status prepare(const struct given *g, const struct nlsh_matrix *base,
                                size_t most_k, const struct nlsh__job *job,
                                struct nlsh_build_report *report, struct prepared *out,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *rows = &g->data.matrix;
    double start = nlsh__now();
    NLSH_TRY(nlsh__cut_check(&g->options, g->data.hash, rows->n_rows, job, error));
    NLSH_TRY(nlsh__make_graphs(&g->options, &g->data, &g->space, job, &out->cut, &out->truth,
                               &report->from_cache[NLSH_STAGE_GRAPH], error));
    report->seconds[NLSH_STAGE_GRAPH] = nlsh__now() - start;
    NLSH_TRY(nlsh__make_inputs(&g->space, rows, &g->options, job, &out->inputs, error));
    NLSH_TRY(nlsh__hold_out(rows, &g->space, &g->options, most_k, job, &out->held, error));
    const struct nlsh__base of = {base, &g->data, &g->space};
    struct nlsh__neighbors *truth = out->truth.ids != NULL ? &out->truth : &out->cut;
    NLSH_TRY(
        nlsh__teach(&g->taught, &of, &g->options, job, truth, &out->inputs, &out->held, error));
    out->ground = (struct nlsh__ground){
        .options = &g->options,
        .job = job,
        .data = &g->data,
        .space = &g->space,
        .graphs = {&out->cut, truth, ""},
        .csr = &out->csr,
        .inputs = &out->inputs,
        .held = &out->held,
        .calibrating = g->taught.calibrating.n_rows > 0 ? &g->taught.calibrating : NULL,
    };
out:
    return status;
}

static enum nlsh_status run_stages(const struct given *g, const struct nlsh_matrix *base,
                                   const char *path, const struct nlsh__job *job,
                                   struct nlsh_build_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct prepared prepared = {.held = {.n_held = 0}};
    const struct nlsh__ground *ground = &prepared.ground;
    struct nlsh__learned learned = {.bucket_of = NULL};
    struct nlsh__learn_times times;
    struct nlsh__evidence evidence;
    struct nlsh__written written;
    NLSH_TRY(prepare(g, base, NLSH__MOST_K, job, report, &prepared, error));
    int in_folds = ground->calibrating == NULL && nlsh__n_folds(g->data.matrix.n_rows) > 0;
    NLSH_TRY(nlsh__learn(ground, NULL, &learned, &times, error));
    double start = nlsh__now();
    if (in_folds) {
        NLSH_TRY(nlsh__cross_calibrate(ground, &learned, path, &evidence, error));
        times.train += nlsh__now() - start;
    }
    start = nlsh__now();
    NLSH_TRY(nlsh__write_index(ground, &learned, g->options.keys, in_folds ? &evidence : NULL, path,
                               &written, error));
    report->seconds[NLSH_STAGE_WRITE] = nlsh__now() - start;
    report->seconds[NLSH_STAGE_PARTITION] = times.partition;
    report->seconds[NLSH_STAGE_TRAIN] = times.train;
    report->from_cache[NLSH_STAGE_PARTITION] = times.from_cache;
    report->store_error = g->moved;
    report->store_error_most = g->moved_most;
    report->partitioner = learned.partitioner;
    report->edge_cut = nlsh__edge_cut(&prepared.cut, g->options.knn, learned.bucket_of);
    report->loss = learned.loss;
    report->held_out_candidates =
        in_folds ? evidence.calibration.candidates_95 : learned.calibration.candidates_95;
    report->held_out_scanned = written.scanned;
out:
    nlsh__learned_free(&learned);
    prepared_free(&prepared);
    return status;
}

/* ---- which partition ------------------------------------------------------------------------- */

/* From twice as many rows on, partitions are compared on COMPARED. Full sets and 60,000 of their rows, candidates of
 * k-means and METIS for recall .95: SIFT-1M 15,350 and 19,900, of 60,000 2,920 and 3,610; GloVe-100 13,900 and 18,600,
 * of 60,000 6,150 and 7,390 (METIS was compared before the cycle was). */
enum { COMPARED = 60000, FEWEST_BUCKETS = 256 };

size_t nlsh__compared_rows(size_t n)
{
    return n < 2 * COMPARED ? n : COMPARED;
}

/* The settings as n of all rows take them: as many rows a bucket, but not few buckets. */
static void settings_of_some(size_t all, size_t n, struct nlsh_build_options *o)
{
    size_t m = o->n_buckets, few = m < FEWEST_BUCKETS ? m : FEWEST_BUCKETS;
    nlsh__unresolve(all, o);
    if (m != NLSH_AUTO) o->n_buckets = m * n / all > few ? m * n / all : few;
    if (o->groups != NLSH_AUTO && o->groups > o->n_buckets) o->groups = NLSH_AUTO;
    o->keys = NULL;
}

enum nlsh_status nlsh__better_partitioner(const struct nlsh_matrix *base, size_t n,
                                          const struct nlsh_build_options *options,
                                          const struct nlsh_run *run, enum nlsh_partitioner *out,
                                          struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {.pool = NULL};
    struct given g = {.data = {.hash = 0}};
    struct prepared prepared = {.held = {.n_held = 0}};
    struct nlsh_build_report report;
    struct nlsh_build_options o = *options;
    uint8_t *some = NULL;
    NLSH_TRY(nlsh__alloc(&some, n, nlsh__row_bytes(base), error));
    nlsh__spread_rows(base, n, some);
    const struct nlsh_matrix rows = {some, n, base->dim, base->type, 0};
    settings_of_some(base->n_rows, n, &o);
    NLSH_TRY(take(&rows, &o, &g, error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(prepare(&g, &rows, NLSH__TRUTH_K, &job, &report, &prepared, error));
    NLSH_TRY(nlsh__compare_partitions(&prepared.ground, out, error));
out:
    nlsh__job_end(&job);
    prepared_free(&prepared);
    given_free(&g);
    nlsh__free(some);
    return status;
}

/* Where there are many rows, auto is settled here. */
static enum nlsh_status choose_partitioner(const struct nlsh_matrix *base,
                                           const struct nlsh__job *job,
                                           struct nlsh_build_options *o, struct nlsh_error *error)
{
    size_t n = nlsh__compared_rows(base->n_rows);
    if (o->partitioner != NLSH_PARTITIONER_AUTO || n == base->n_rows) return NLSH_OK;
    nlsh__job_note(job, "auto: partitions are compared on %zu of %zu vectors", n, base->n_rows);
    return nlsh__better_partitioner(base, n, o, &job->run, &o->partitioner, error);
}

enum nlsh_status nlsh_build(const struct nlsh_matrix *base,
                            const struct nlsh_build_options *options, const char *path,
                            const struct nlsh_run *run, struct nlsh_build_report *report,
                            struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {.pool = NULL};
    struct given g = {.data = {.hash = 0}};
    struct nlsh_build_report ours = {.struct_size = sizeof ours};
    struct nlsh__map written;
    nlsh__error_clear(error);
    if (report != NULL) NLSH_TRY(nlsh__answer_check(report, "nlsh_build_report", error));
    NLSH_TRY(take(base, options, &g, error));
    NLSH_TRY(nlsh__beside_check(path, error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(choose_partitioner(base, &job, &g.options, error));
    NLSH_TRY(run_stages(&g, base, path, &job, &ours, error));
    NLSH_TRY(nlsh__map_open(path, &written, error));
    ours.index_bytes = written.size;
    nlsh__map_close(&written);
    if (report != NULL) nlsh__answer_give(report, &ours, sizeof ours);
out:
    nlsh__job_end(&job);
    given_free(&g);
    return status;
}
