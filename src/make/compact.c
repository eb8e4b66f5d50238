/*
 * compact.c - nlsh_compact(): one file of an index and its log.
 *
 * Rows that are not deleted are gathered in the order of their numbers. They keep their buckets and the router;
 * centroids, codes and leaves are made anew of what the buckets hold now. But of a bucket that holds too many of what is
 * left, some go elsewhere (make/balanced.h). Where many rows came or went, or others than were there (make/changes.h),
 * promises are measured anew as well, with rows that the router did not learn from: they ask for their neighbours. The
 * new file says
 * that it holds the log so far; so it takes the old one's place in one step, and the log is emptied behind it.
 */
#include <math.h>
#include <string.h>

#include "base/buckets.h"
#include "base/error.h"
#include "base/job.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/sized.h"
#include "codes/make/leaves.h"
#include "kernels/metric.h"
#include "kernels/select.h"
#include "live/coder.h"
#include "live/writer.h"
#include "make/asking.h"
#include "make/balanced.h"
#include "make/changes.h"
#include "make/gathered.h"
#include "make/merged.h"
#include "make/retrain.h"
#include "make/settings.h"
#include "make/stages.h"
#include "measure/askers.h"
#include "router/router.h"
#include "vectors/values.h"

enum {
    BLOCK = 64,    /* rows of a task */
    ENOUGH = 1000, /* rows to learn the first buckets from */
    ROUTED = 4000  /* rows that are asked about: .8 % is the standard error of a share then */
};

/* Where fewer rows than this share came and went since promises were measured, they stay. */
#define FEW_CHANGES 0.02
/* So they do below this share where what came is like what was there, and what went is spread as all are: with half of the
 * rows replaced so, recall .944 is left of .95 (docs/live.md). */
#define LIKE_CHANGES 0.2
/* What an index compacts by itself for: with a tenth of the rows in the log, searches lose a seventh (docs/live.md). */
#define MANY_CHANGES 0.1
/* Where a query needs so many times the vectors that it needed when the router was trained, it is trained again. What is
 * scanned for a promise grows faster: with 1.28 times it was 1.6 times that of a fresh build (docs/live.md). */
#define STALE 1.25

/* ---- what the network sees of the rows ---------------------------------------------------------- */

/* By inner product rows come as queries in another form. */
struct seen {
    const struct nlsh_index *index;
    const struct nlsh_matrix *rows;
    struct nlsh__askers askers;
    size_t p;
    float *inputs, *query_inputs; /* [n x p]; but for NLSH_IP the same */
    float *queries;               /* [n x dim], or NULL: the rows */
    size_t step;                  /* of rows that the router is asked about */
    uint32_t *best;               /* [n / step + 1] the bucket that it would take */
};

static void see_row(const struct seen *s, struct nlsh__asker *asker, size_t row, float *floats)
{
    size_t dim = s->rows->dim;
    const float *x = floats;
    nlsh__row_to_f32(nlsh__row(s->rows, row), s->rows->type, dim, floats);
    memcpy(s->inputs + row * s->p, nlsh__ask_inputs(asker, x, NULL), s->p * sizeof(float));
    if (s->queries != NULL) {
        float *q = s->queries + row * dim;
        (void)nlsh__scale_to(x, dim, (double)s->index->query_norm, q);
        memcpy(s->query_inputs + row * s->p, nlsh__ask_inputs(asker, q, NULL),
               s->p * sizeof(float));
    }
    if (row % s->step != 0) return;
    const float *probabilities = nlsh__ask_probabilities(asker);
    s->best[row / s->step] = (uint32_t)nlsh__argmax(probabilities, s->index->meta.n_buckets);
}

static void see_block(void *ctx, size_t task, size_t worker)
{
    const struct seen *s = ctx;
    struct nlsh__asker *asker = &s->askers.of[worker];
    for (size_t row = task * BLOCK; row < (task + 1) * BLOCK && row < s->rows->n_rows; row++)
        see_row(s, asker, row, asker->floats);
}

static void seen_free(struct seen *s)
{
    nlsh__askers_free(&s->askers);
    nlsh__free(s->inputs);
    if (s->query_inputs != s->inputs) nlsh__free(s->query_inputs);
    nlsh__free(s->queries);
    nlsh__free(s->best);
}

static enum nlsh_status see_rows(const struct nlsh_index *index, const struct nlsh_matrix *rows,
                                 const struct nlsh__job *job, struct seen *out,
                                 struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = rows->n_rows, dim = rows->dim;
    *out = (struct seen){.index = index,
                         .rows = rows,
                         .p = nlsh__router_n_inputs(index->router),
                         .step = n / ROUTED + 1};
    NLSH_TRY(nlsh__askers_create(index->router, job, &out->askers, error));
    NLSH_TRY(nlsh__alloc(&out->best, n / out->step + 1, sizeof *out->best, error));
    NLSH_TRY(nlsh__alloc(&out->inputs, n * out->p, sizeof(float), error));
    out->query_inputs = out->inputs;
    if (index->metric == NLSH_IP) {
        out->query_inputs = NULL;
        NLSH_TRY(nlsh__alloc(&out->query_inputs, n * out->p, sizeof(float), error));
        NLSH_TRY(nlsh__alloc(&out->queries, n * dim, sizeof(float), error));
    }
    NLSH_TRY(nlsh__job_tasks(job, "routing", (n + BLOCK - 1) / BLOCK, see_block, out, error));
out:
    return status;
}

/* ---- the new file's sections --------------------------------------------------------------------- */

struct compacted {
    struct nlsh__merged sections;
    struct nlsh__meta meta;
    struct nlsh__segment_meta segment;
    struct nlsh__log_taken taken;
    uint32_t *offsets, *ids;
    uint8_t *vectors;
};

static void compacted_free(struct compacted *c)
{
    nlsh__merged_free(&c->sections);
    nlsh__free(c->offsets);
    nlsh__free(c->ids);
    nlsh__free(c->vectors);
}

/* Codes and leaves of the rows where they stand now. */
static enum nlsh_status encode(const struct nlsh_index *file, const struct nlsh__gathered *g,
                               const struct seen *seen, const struct nlsh__job *job,
                               struct compacted *c, struct nlsh_error *error)
{
    const struct nlsh_matrix queries = {seen->queries, g->rows.n_rows, g->rows.dim, NLSH_F32, 0};
    const struct nlsh__merging of = {
        .file = file,
        .rows = &g->rows,
        .p = seen->p,
        .inputs = seen->inputs,
        .query_inputs = seen->query_inputs,
        .queries = seen->queries != NULL ? &queries : &g->rows,
        .bucket_offsets = c->offsets,
        .ids = c->ids,
    };
    return nlsh__merged_encode(&of, job, &c->sections, error);
}

/* What the file says of all rows. */
static void describe(const struct nlsh_index *file, const struct nlsh__gathered *g,
                     const struct seen *seen, struct compacted *c)
{
    size_t n = g->rows.n_rows, elsewhere = 0, asked = 0;
    struct nlsh_matrix as_given = g->rows;
    uint64_t hash;
    for (size_t i = 0; i < n; i += seen->step, asked++)
        elsewhere += seen->best[asked] != g->bucket_of[i];
    if (file->meta.source_type == NLSH_I8) {
        uint8_t *bytes = g->memory;
        nlsh__flip_sign(bytes, n * g->rows.dim, bytes);
        as_given.type = NLSH_I8;
        hash = nlsh_data_hash(&as_given);
        nlsh__flip_sign(bytes, n * g->rows.dim, bytes);
    } else {
        hash = nlsh_data_hash(&as_given);
    }
    c->meta = file->meta;
    c->meta.n_rows = n;
    c->meta.data_hash = hash;
    c->meta.n_segments = 1;
    c->meta.disagreement = (double)elsewhere / (double)asked;
    c->segment = (struct nlsh__segment_meta){
        .n_rows = n, .data_hash = hash, .stored_hash = nlsh__stored_as_given(file) ? 0 : hash};
}

static enum nlsh_status make_sections(const struct nlsh_writer *writer,
                                      const struct nlsh__gathered *g, const struct seen *seen,
                                      const struct nlsh__job *job, struct compacted *c,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *file = nlsh__writer_file(writer);
    struct nlsh__merged *to = &c->sections;
    size_t n = g->rows.n_rows, m = file->meta.n_buckets, row_bytes = nlsh__index_row_bytes(file);
    c->taken = nlsh__writer_taken(writer);
    NLSH_TRY(nlsh__alloc(&c->offsets, m + 1, sizeof *c->offsets, error));
    NLSH_TRY(nlsh__alloc(&c->ids, n, sizeof *c->ids, error));
    nlsh__count_sort(g->bucket_of, n, m, c->offsets, c->ids);
    if (file->segments[0].leaves != NULL)
        NLSH_TRY(nlsh__order_leaves(seen->inputs, seen->p, c->offsets, m, job, c->ids, error));
    NLSH_TRY(nlsh__alloc(&c->vectors, n, row_bytes, error));
    for (size_t i = 0; i < n; i++)
        nlsh__row_to_stored(file, nlsh__row(&g->rows, c->ids[i]), c->vectors + i * row_bytes);
    describe(file, g, seen, c);
    nlsh__merged_add(to, NLSH__SECTION_META, &c->meta, sizeof c->meta);
    NLSH_TRY(nlsh__merged_keep(file, NLSH__SECTION_SETTINGS, to, error));
    NLSH_TRY(nlsh__merged_keep(file, NLSH__SECTION_METRIC, to, error));
    NLSH_TRY(nlsh__merged_keep(file, NLSH__SECTION_ROUTER, to, error));
    NLSH_TRY(nlsh__merged_keep(file, NLSH__SECTION_MARGINS, to, error));
    nlsh__merged_add(to, NLSH__SECTION_SEGMENT, &c->segment, sizeof c->segment);
    nlsh__merged_add(to, NLSH__SECTION_BUCKETS, c->offsets, (m + 1) * sizeof *c->offsets);
    nlsh__merged_add(to, NLSH__SECTION_ROWS, c->ids, n * sizeof *c->ids);
    if (g->keyed) nlsh__merged_add(to, NLSH__SECTION_KEYS, g->keys, n * sizeof *g->keys);
    nlsh__merged_add(to, NLSH__SECTION_VECTORS, c->vectors, n * row_bytes);
    NLSH_TRY(encode(file, g, seen, job, c, error));
    nlsh__merged_add(to, NLSH__SECTION_LOG, &c->taken, sizeof c->taken);
out:
    return status;
}

/* ---- promises -------------------------------------------------------------------------------------- */

/* Rows that the router did not learn from, and what they should find. */
struct chosen {
    struct nlsh__asking asking;
    uint32_t *rows;             /* [n] */
    struct nlsh_matrix as_rows; /* of all rows, as they come as queries */
    void *memory;               /* of queries */
};

static void chosen_free(struct chosen *c)
{
    nlsh__free(c->rows);
    nlsh__free(c->memory);
    nlsh__neighbors_free(&c->asking.truth);
}

/* Of the sample, evenly. */
static enum nlsh_status choose_asking(const struct nlsh_index *file, const struct nlsh__gathered *g,
                                      const struct seen *seen, struct chosen *c,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__asking *a = &c->asking;
    size_t row_bytes = nlsh__index_form_bytes(file);
    int is_signed = file->meta.source_type == NLSH_I8;
    size_t n = g->n_untaught + g->n_gone;
    a->n = n < NLSH__MOST_ASKING ? n : NLSH__MOST_ASKING;
    c->as_rows = g->asked;
    if (seen->queries != NULL)
        c->as_rows = (struct nlsh_matrix){seen->queries, g->asked.n_rows, g->rows.dim, NLSH_F32, 0};
    NLSH_TRY(nlsh__alloc(&c->rows, a->n, sizeof *c->rows, error));
    NLSH_TRY(nlsh__alloc(&c->memory, a->n, row_bytes, error));
    for (size_t i = 0; i < a->n; i++) c->rows[i] = g->untaught[i * n / a->n];
    for (size_t i = 0; i < a->n; i++) {
        memcpy((uint8_t *)c->memory + i * row_bytes, nlsh__row(&g->asked, c->rows[i]), row_bytes);
    }
    if (is_signed) nlsh__flip_sign(c->memory, a->n * row_bytes, c->memory);
    a->rows = c->rows;
    a->as_rows = (struct nlsh__played){&c->as_rows, c->rows, a->n};
    a->queries =
        (struct nlsh_matrix){c->memory, a->n, g->rows.dim, is_signed ? NLSH_I8 : g->rows.type, 0};
out:
    return status;
}

static enum nlsh_status measure(const struct nlsh_index *file, const struct nlsh__gathered *g,
                                const struct seen *seen, const struct nlsh__job *job,
                                struct nlsh__merged *sections, struct nlsh__meter_header *meter,
                                struct nlsh_error *error)
{
    enum nlsh_status status;
    struct chosen c = {.rows = NULL};
    size_t others = g->rows.n_rows - 1, k = others < NLSH__ASKING_K ? others : NLSH__ASKING_K;
    const struct nlsh__bucketed bucketed = {g->bucket_of, g->rows.n_rows, file->meta.n_buckets};
    NLSH_TRY(choose_asking(file, g, seen, &c, error));
    NLSH_TRY(nlsh__stage_exact_rows(&g->rows, &c.as_rows, c.rows, c.asking.n,
                                    file->metric == NLSH_IP ? NLSH_IP : NLSH_L2, k, job,
                                    &c.asking.truth, error));
    NLSH_TRY(nlsh__ask_merged(&c.asking, file->path, file->router, &bucketed, job, sections, meter,
                              error));
out:
    chosen_free(&c);
    return status;
}

/* ---- one file ---------------------------------------------------------------------------------------- */

/* An index on its way to one file. */
struct work {
    const struct nlsh_writer *writer;
    const struct nlsh_index *file, *state;
    const struct nlsh__job *job;
    struct nlsh__gathered rows;
    struct seen seen;
    struct compacted compacted;
    struct nlsh__meter_header meter; /* of the new file */
    struct nlsh__changes changes;
    int measured;
};

static void work_free(struct work *w)
{
    compacted_free(&w->compacted);
    seen_free(&w->seen);
    nlsh__gathered_free(&w->rows);
}

/* A bucket that holds too many of what is left gives some away; but what was built with larger ones keeps them. */
static enum nlsh_status balance(const struct work *w, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_build_options options;
    size_t n = w->rows.rows.n_rows, m = w->file->meta.n_buckets, n_moved;
    const struct nlsh__in_buckets rows = {w->seen.query_inputs, n, m, w->rows.bucket_of};
    nlsh_build_options_init(&options, sizeof options);
    NLSH_TRY(nlsh__settings_of(w->file->path, w->file->settings, &options, error));
    double most = fmax(NLSH__MOST_OF_MEAN, 1 + options.imbalance);
    NLSH_TRY(nlsh__balance_rows(w->file->router, &rows, nlsh__bucket_full(n, m, most), w->job,
                                &n_moved, error));
out:
    return status;
}

/* Whether promises are to be measured: what came and went may have made others true. */
static int is_due(const struct work *w)
{
    double changed = (double)w->meter.changed, n = (double)w->rows.rows.n_rows;
    if (w->rows.n_untaught < NLSH__LEAST_ASKING || w->file->efforts.n == 0) return 0;
    if (w->changes.unlike || w->changes.uneven) return changed > FEW_CHANGES * n;
    return changed > LIKE_CHANGES * n;
}

/* All that the new file says. */
static enum nlsh_status prepare(struct work *w, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__merged *sections = &w->compacted.sections;
    const struct nlsh__gathered *g = &w->rows;
    NLSH_TRY(see_rows(w->file, &g->asked, w->job, &w->seen, error));
    NLSH_TRY(balance(w, error));
    NLSH_TRY(make_sections(w->writer, g, &w->seen, w->job, &w->compacted, error));
    w->measured = is_due(w);
    if (w->measured) {
        NLSH_TRY(measure(w->file, g, &w->seen, w->job, sections, &w->meter, error));
        w->meter.changed = 0;
    } else {
        NLSH_TRY(nlsh__merged_keep(w->file, NLSH__SECTION_EFFORTS, sections, error));
        NLSH_TRY(nlsh__merged_keep(w->file, NLSH__SECTION_OUTSIDE, sections, error));
    }
    NLSH_TRY(nlsh__merged_meter(&w->meter, g->untaught, sections, error));
out:
    return status;
}

/* Whether the router knows the rows so badly by now that it is worth training. */
static int is_stale(const struct nlsh__meter_header *m)
{
    return (m->trained > 0 && m->now > STALE * m->trained) ||
           (m->few_trained > 0 && (double)m->few_now > STALE * (double)m->few_trained) ||
           (m->many_trained > 0 && (double)m->many_now > STALE * (double)m->many_trained);
}

static enum nlsh_status write_compacted(struct work *w, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__job_progress(w->job, "writing", 0, 0, error));
    NLSH_TRY(
        nlsh__index_write(w->file->path, w->compacted.sections.of, w->compacted.sections.n, error));
    (void)nlsh__job_progress(w->job, "writing", 1, 1, NULL);
out:
    return status;
}

static enum nlsh_status compact(struct work *w, const struct nlsh_compact_options *how,
                                struct nlsh_compact_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t alive = (size_t)w->state->meta.n_rows - w->state->n_deleted;
    size_t gone = w->state->n_deleted, came = w->state->log_now.rows;
    int retrain = how->retrain;
    double few = FEW_CHANGES * (double)alive, many = MANY_CHANGES * (double)alive;
    report->n_rows = alive;
    w->meter = w->file->meter;
    w->meter.changed = (uint32_t)nlsh__index_changed(w->state);
    w->meter.seen = 0;
    if (how->automatic && w->file->meta.n_buckets == 1 && alive >= ENOUGH) retrain = 1;
    if (how->automatic && !retrain && (double)(gone + came) < few) return NLSH_OK;
    if (!retrain && (double)w->meter.changed > few)
        NLSH_TRY(nlsh__judge_changes(w->file, w->state, w->job, &w->changes, error));
    int other = w->changes.unlike || w->changes.uneven;
    if (how->automatic && !retrain && !other && (double)(gone + came) < many) return NLSH_OK;
    NLSH_TRY(nlsh__gather_rows(w->state, (size_t)w->file->meta.n_rows, &w->rows, error));
    report->n_dropped = gone;
    w->meter.n = (uint32_t)w->rows.n_untaught;
    if (!retrain) NLSH_TRY(prepare(w, error));
    if (how->automatic && w->measured) retrain |= is_stale(&w->meter);
    NLSH_TRY(retrain ? nlsh__retrain(w->writer, &w->rows, w->job, error)
                     : write_compacted(w, error));
    report->done = retrain ? NLSH_COMPACT_RETRAINED : NLSH_COMPACT_MERGED;
    report->measured = retrain || w->measured;
out:
    return status;
}

enum nlsh_status nlsh_compact(const char *path, const struct nlsh_compact_options *options,
                              const struct nlsh_run *run, struct nlsh_compact_report *report,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {.pool = NULL};
    struct nlsh_writer *writer = NULL;
    struct nlsh_compact_options how;
    struct nlsh_compact_report ours = {.struct_size = sizeof ours};
    nlsh__error_clear(error);
    nlsh_compact_options_init(&how, sizeof how);
    NLSH_TRY(nlsh__options_take(&how, sizeof how, options, "nlsh_compact_options", error));
    if (report != NULL) NLSH_TRY(nlsh__answer_check(report, "nlsh_compact_report", error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(nlsh__writer_open(path, NULL, how.drop_damaged, &writer, error));
    const struct nlsh_index *state = nlsh__writer_state(writer);
    if (state->n_deleted == state->meta.n_rows) {
        status = nlsh__fail(error, NLSH_E_ARG, "put some vectors first",
                            "%s: all its vectors were deleted: a file holds one at least", path);
        goto out;
    }
    ours.log_rows = state->log_now.rows;
    ours.log_bytes = state->log_now.bytes;
    struct work work = {
        .writer = writer, .file = nlsh__writer_file(writer), .state = state, .job = &job};
    status = compact(&work, &how, &ours, error);
    work_free(&work);
    if (status == NLSH_OK && ours.done != NLSH_COMPACT_NOTHING)
        status = nlsh__writer_new_log(writer, error);
    if (status != NLSH_OK) goto out;
    if (report != NULL) nlsh__answer_give(report, &ours, sizeof ours);
out:
    (void)nlsh_writer_close(writer, NULL);
    nlsh__job_end(&job);
    return status;
}

void nlsh_compact_options_init(struct nlsh_compact_options *options, size_t size)
{
    static const struct nlsh_compact_options defaults = {.retrain = 0};
    nlsh__options_init(options, size, &defaults, sizeof defaults);
}
