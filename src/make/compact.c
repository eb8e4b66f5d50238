/*
 * compact.c - nlsh_compact(): one file of an index and its log.
 *
 * Rows that are not deleted are gathered in the order of their numbers. They keep their buckets and the router;
 * centroids, codes and leaves are made anew of what the buckets hold now. Where many rows came or went, promises are
 * measured anew as well, with rows that the router did not learn from: they ask for their neighbours. The new file says
 * that it holds the log so far; so it takes the old one's place in one step, and the log is emptied behind it.
 */
#include <string.h>

#include "base/buckets.h"
#include "base/error.h"
#include "base/job.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/sized.h"
#include "codes/make/leaves.h"
#include "index/layout.h"
#include "kernels/metric.h"
#include "live/writer.h"
#include "make/gathered.h"
#include "make/pack.h"
#include "make/retrain.h"
#include "make/stages.h"
#include "measure/askers.h"
#include "measure/calibrate.h"
#include "measure/efforts.h"
#include "router/router.h"
#include "vectors/values.h"

enum {
    MOST_ASKING = 1000, /* rows that promises are measured with */
    LEAST_ASKING = 50,  /* with fewer, what was promised before stays */
    MOST_K = 1000,
    BLOCK = 64,    /* rows of a task */
    ENOUGH = 1000, /* rows to learn the first buckets from */
    MOST_SECTIONS = 24
};

/* Where fewer rows than this share came and went since promises were measured, they stay. */
#define FEW_CHANGES 0.02
/* What an index compacts by itself for: with a tenth of the rows in the log, searches lose a quarter (docs/live.md). */
#define MANY_CHANGES 0.1
/* Where a query needs so many times the vectors that it needed when the router was trained, it is trained again. */
#define STALE 1.4

/* ---- what the network sees of the rows ---------------------------------------------------------- */

/* By inner product rows come as queries in another form. */
struct seen {
    const struct nlsh_index *index;
    const struct nlsh_matrix *rows;
    struct nlsh__askers askers;
    size_t p;
    float *inputs, *query_inputs; /* [n x p]; but for NLSH_IP the same */
    float *queries;               /* [n x dim], or NULL: the rows */
    uint32_t *best;               /* [n] the bucket that the router would take */
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
    const float *probabilities = nlsh__ask_probabilities(asker);
    uint32_t best = 0;
    for (uint32_t b = 1; b < s->index->meta.n_buckets; b++)
        if (probabilities[b] > probabilities[best]) best = b;
    s->best[row] = best;
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
    *out = (struct seen){.index = index, .rows = rows, .p = nlsh__router_n_inputs(index->router)};
    NLSH_TRY(nlsh__askers_create(index->router, job, &out->askers, error));
    NLSH_TRY(nlsh__alloc(&out->best, n, sizeof *out->best, error));
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
    struct nlsh__section_data of[MOST_SECTIONS];
    size_t n;
    struct nlsh__meta meta;
    struct nlsh__segment_meta segment;
    struct nlsh__log_taken taken;
    uint32_t *offsets, *ids;
    uint8_t *vectors;
    void *codes, *leaves, *efforts, *outside, *meter;
    size_t codes_size, leaves_size, efforts_size, outside_size, meter_size;
};

static void compacted_free(struct compacted *c)
{
    void *all[] = {c->offsets, c->ids,     c->vectors, c->codes,
                   c->leaves,  c->efforts, c->outside, c->meter};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) nlsh__free(all[i]);
}

static void add(struct compacted *c, enum nlsh__section_kind kind, const void *data, size_t size)
{
    if (data != NULL && size > 0) c->of[c->n++] = (struct nlsh__section_data){kind, 0, data, size};
}

/* Sections of the old file that stay as they are. */
static enum nlsh_status keep_section(const struct nlsh_index *file, enum nlsh__section_kind kind,
                                     struct compacted *c, struct nlsh_error *error)
{
    struct nlsh__index_table table;
    enum nlsh_status status = nlsh__index_read_table(file->path, &file->map, &table, error);
    if (status == NLSH_OK) status = nlsh__index_check_current(file->path, &table, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < table.n_entries; i++)
        if (table.entries[i].kind == kind)
            add(c, kind, file->map.data + table.entries[i].offset, (size_t)table.entries[i].size);
    return NLSH_OK;
}

/* Codes and leaves of the rows where they stand now, in the lengths of the old ones. */
static enum nlsh_status encode(const struct nlsh_index *file, const struct nlsh__gathered *g,
                               const struct seen *seen, const struct nlsh__job *job,
                               struct compacted *c, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__segment *first = &file->segments[0];
    struct nlsh__codes *codes = NULL;
    size_t m = file->meta.n_buckets, dim = file->meta.dim;
    const struct nlsh__projection projection = {.dim = dim,
                                                .n_components = seen->p,
                                                .mean = (float *)(uintptr_t)first->codes->mean,
                                                .scale = first->codes->scale};
    const struct nlsh_matrix queries = {seen->queries, g->rows.n_rows, dim, NLSH_F32, 0};
    const struct nlsh__encode of = {
        .base = &g->rows,
        .projection = &projection,
        .inputs = seen->inputs,
        .query_inputs = seen->query_inputs,
        .queries = seen->queries != NULL ? &queries : &g->rows,
        .n_components = first->codes->n_components < seen->p ? first->codes->n_components : seen->p,
        .inner = file->metric == NLSH_IP,
        .bucket_offsets = c->offsets,
        .n_buckets = m,
        .ids = c->ids,
    };
    const struct nlsh__codes_of shape = {c->offsets, m, seen->p, dim};
    if (first->leaves != NULL)
        NLSH_TRY(nlsh__order_leaves(seen->inputs, seen->p, c->offsets, m, job, c->ids, error));
    NLSH_TRY(nlsh__encode_rows(&of, job, &c->codes, &c->codes_size, error));
    if (first->leaves == NULL) goto out;
    NLSH_TRY(nlsh__codes_open(c->codes, c->codes_size, NLSH__CODES_VERSION, &shape, &codes, error));
    NLSH_TRY(nlsh__encode_leaves(&of, codes, job, &c->leaves, &c->leaves_size, error));
out:
    nlsh__codes_close(codes);
    return status;
}

/* What the file says of all rows. */
static void describe(const struct nlsh_index *file, const struct nlsh__gathered *g,
                     const struct seen *seen, struct compacted *c)
{
    size_t n = g->rows.n_rows, elsewhere = 0;
    struct nlsh_matrix as_given = g->rows;
    uint64_t hash;
    for (size_t i = 0; i < n; i++) elsewhere += seen->best[i] != g->bucket_of[i];
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
    c->meta.disagreement = (double)elsewhere / (double)n;
    c->segment = (struct nlsh__segment_meta){
        .n_rows = n, .data_hash = hash, .stored_hash = file->metric != NLSH_L2 ? hash : 0};
}

static enum nlsh_status make_sections(const struct nlsh_writer *writer,
                                      const struct nlsh__gathered *g, const struct seen *seen,
                                      const struct nlsh__job *job, struct compacted *c,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *file = nlsh__writer_file(writer);
    size_t n = g->rows.n_rows, m = file->meta.n_buckets, row_bytes = nlsh__index_row_bytes(file);
    c->taken = nlsh__writer_taken(writer);
    NLSH_TRY(nlsh__alloc(&c->offsets, m + 1, sizeof *c->offsets, error));
    NLSH_TRY(nlsh__alloc(&c->ids, n, sizeof *c->ids, error));
    nlsh__count_sort(g->bucket_of, n, m, c->offsets, c->ids);
    if (file->segments[0].codes != NULL) NLSH_TRY(encode(file, g, seen, job, c, error));
    NLSH_TRY(nlsh__alloc(&c->vectors, n, row_bytes, error));
    for (size_t i = 0; i < n; i++)
        memcpy(c->vectors + i * row_bytes, nlsh__row(&g->rows, c->ids[i]), row_bytes);
    describe(file, g, seen, c);
    add(c, NLSH__SECTION_META, &c->meta, sizeof c->meta);
    NLSH_TRY(keep_section(file, NLSH__SECTION_SETTINGS, c, error));
    NLSH_TRY(keep_section(file, NLSH__SECTION_METRIC, c, error));
    NLSH_TRY(keep_section(file, NLSH__SECTION_ROUTER, c, error));
    NLSH_TRY(keep_section(file, NLSH__SECTION_MARGINS, c, error));
    add(c, NLSH__SECTION_SEGMENT, &c->segment, sizeof c->segment);
    add(c, NLSH__SECTION_BUCKETS, c->offsets, (m + 1) * sizeof *c->offsets);
    add(c, NLSH__SECTION_ROWS, c->ids, n * sizeof *c->ids);
    if (g->keyed) add(c, NLSH__SECTION_KEYS, g->keys, n * sizeof *g->keys);
    add(c, NLSH__SECTION_VECTORS, c->vectors, n * row_bytes);
    add(c, NLSH__SECTION_CODES, c->codes, c->codes_size);
    add(c, NLSH__SECTION_LEAVES, c->leaves, c->leaves_size);
    add(c, NLSH__SECTION_LOG, &c->taken, sizeof c->taken);
out:
    return status;
}

/* ---- promises -------------------------------------------------------------------------------------- */

/* Rows that the router did not learn from, and what they should find. */
struct asking {
    const struct nlsh__job *job;
    uint32_t *rows; /* [n] */
    size_t n;
    struct nlsh_matrix as_rows; /* of all rows, as they come as queries */
    struct nlsh_matrix queries; /* [n] of them, as a caller has them */
    void *memory;               /* of queries */
    struct nlsh__neighbors truth;
    struct nlsh__calibration calibration;
    struct nlsh__measured_efforts efforts;
};

static void asking_free(struct asking *a)
{
    nlsh__free(a->rows);
    nlsh__free(a->memory);
    nlsh__neighbors_free(&a->truth);
}

/* The first of them search, and stand for all: old rows and new ones. */
static void shuffle(uint32_t *rows, size_t n)
{
    struct nlsh__rng rng;
    nlsh__rng_init(&rng, n, 0x636f6d70);
    for (size_t i = n; i > 1; i--) {
        size_t j = nlsh__rng_below(&rng, i);
        uint32_t row = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = row;
    }
}

/* Of the sample, evenly. */
static enum nlsh_status choose_asking(const struct nlsh_index *file, const struct nlsh__gathered *g,
                                      const struct seen *seen, struct asking *a,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t row_bytes = nlsh__index_row_bytes(file);
    int is_signed = file->meta.source_type == NLSH_I8;
    size_t n = g->n_untaught + g->n_gone;
    a->n = n < MOST_ASKING ? n : MOST_ASKING;
    a->as_rows = g->asked;
    if (seen->queries != NULL)
        a->as_rows = (struct nlsh_matrix){seen->queries, g->asked.n_rows, g->rows.dim, NLSH_F32, 0};
    NLSH_TRY(nlsh__alloc(&a->rows, a->n, sizeof *a->rows, error));
    NLSH_TRY(nlsh__alloc(&a->memory, a->n, row_bytes, error));
    for (size_t i = 0; i < a->n; i++) a->rows[i] = g->untaught[i * n / a->n];
    shuffle(a->rows, a->n);
    for (size_t i = 0; i < a->n; i++) {
        memcpy((uint8_t *)a->memory + i * row_bytes, nlsh__row(&g->asked, a->rows[i]), row_bytes);
    }
    if (is_signed) nlsh__flip_sign(a->memory, a->n * row_bytes, a->memory);
    a->queries =
        (struct nlsh_matrix){a->memory, a->n, g->rows.dim, is_signed ? NLSH_I8 : g->rows.type, 0};
out:
    return status;
}

/* What buckets hold of their neighbours. */
static enum nlsh_status ask_buckets(const struct nlsh_index *file, const struct nlsh__gathered *g,
                                    struct asking *a, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *buckets = NULL;
    size_t others = g->rows.n_rows - 1, k = others < MOST_K ? others : MOST_K;
    const struct nlsh__played played = {&a->as_rows, a->rows, a->n};
    const struct nlsh__bucketed bucketed = {g->bucket_of, g->rows.n_rows, file->meta.n_buckets};
    NLSH_TRY(nlsh__stage_exact_rows(&g->rows, &a->as_rows, a->rows, a->n,
                                    file->metric == NLSH_IP ? NLSH_IP : NLSH_L2, k, a->job,
                                    &a->truth, error));
    NLSH_TRY(nlsh__alloc(&buckets, a->n * k, sizeof *buckets, error));
    for (size_t i = 0; i < a->n * k; i++) buckets[i] = g->bucket_of[a->truth.ids[i]];
    NLSH_TRY(nlsh__calibrate(file->router, &played, &bucketed, buckets, k, a->job, &a->calibration,
                             error));
out:
    nlsh__free(buckets);
    return status;
}

/* What codes and leaves lose of them, by searching the new index before it stands. */
static enum nlsh_status ask_index(void *user, const struct nlsh_index *index,
                                  struct nlsh_error *error)
{
    struct asking *a = user;
    struct nlsh__shares shares = {{{0}}, {{0}}};
    struct nlsh__known known = {index, a->queries, &a->truth, a->rows};
    if (known.queries.n_rows > NLSH__EFFORT_QUERIES) known.queries.n_rows = NLSH__EFFORT_QUERIES;
    enum nlsh_status status = nlsh__shares_add(&known, &a->calibration, a->job, &shares, error);
    if (status != NLSH_OK) return status;
    nlsh__efforts_from(&a->calibration, &index->row_margins, &index->leaf_margins, &shares,
                       &a->efforts);
    return NLSH_OK;
}

static enum nlsh_status measure(const struct nlsh_index *file, const struct nlsh__gathered *g,
                                const struct seen *seen, const struct nlsh__job *job,
                                struct compacted *c, double *needed, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct asking a = {.job = job};
    NLSH_TRY(choose_asking(file, g, seen, &a, error));
    NLSH_TRY(ask_buckets(file, g, &a, error));
    NLSH_TRY(nlsh__index_try(file->path, c->of, c->n, ask_index, &a, error));
    NLSH_TRY(nlsh__pack_efforts(&a.efforts, 0, &c->efforts, &c->efforts_size, error));
    add(c, NLSH__SECTION_EFFORTS, c->efforts, c->efforts_size);
    NLSH_TRY(nlsh__pack_outside(&a.efforts, &c->outside, &c->outside_size, error));
    add(c, NLSH__SECTION_OUTSIDE, c->outside, c->outside_size);
    *needed = a.calibration.candidates_95;
out:
    asking_free(&a);
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
    int measured;
};

static void work_free(struct work *w)
{
    compacted_free(&w->compacted);
    seen_free(&w->seen);
    nlsh__gathered_free(&w->rows);
}

/* All that the new file says. */
static enum nlsh_status prepare(struct work *w, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct compacted *c = &w->compacted;
    const struct nlsh__gathered *g = &w->rows;
    NLSH_TRY(see_rows(w->file, &g->asked, w->job, &w->seen, error));
    NLSH_TRY(make_sections(w->writer, g, &w->seen, w->job, c, error));
    w->measured = (double)w->meter.changed > FEW_CHANGES * (double)g->rows.n_rows &&
                  g->n_untaught >= LEAST_ASKING && w->file->efforts.n > 0;
    if (w->measured) {
        NLSH_TRY(measure(w->file, g, &w->seen, w->job, c, &w->meter.now, error));
        w->meter.changed = 0;
    } else {
        NLSH_TRY(keep_section(w->file, NLSH__SECTION_EFFORTS, c, error));
        NLSH_TRY(keep_section(w->file, NLSH__SECTION_OUTSIDE, c, error));
    }
    NLSH_TRY(nlsh__pack_meter(&w->meter, g->untaught, &c->meter, &c->meter_size, error));
    add(c, NLSH__SECTION_METER, c->meter, c->meter_size);
out:
    return status;
}

/* Whether the router knows the rows so badly by now that it is worth training. */
static int is_stale(const struct nlsh__meter_header *meter)
{
    return meter->trained > 0 && meter->now > STALE * meter->trained;
}

static enum nlsh_status write_compacted(struct work *w, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__job_progress(w->job, "writing", 0, 0, error));
    NLSH_TRY(nlsh__index_write(w->file->path, w->compacted.of, w->compacted.n, error));
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
    report->n_rows = alive;
    if (how->automatic && w->file->meta.n_buckets == 1 && alive >= ENOUGH) retrain = 1;
    if (how->automatic && !retrain && (double)(gone + came) < MANY_CHANGES * (double)alive)
        return NLSH_OK;
    NLSH_TRY(nlsh__gather_rows(w->state, (size_t)w->file->meta.n_rows, &w->rows, error));
    report->n_dropped = gone;
    w->meter = w->file->meter;
    w->meter.n = (uint32_t)w->rows.n_untaught;
    w->meter.changed += (uint32_t)(gone + came);
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
