/* write.c - see write.h. docs/index-format.md describes every section. */
#include "make/write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/rng.h"
#include "live/beside.h"
#include "make/asking.h"
#include "make/encoded.h"
#include "make/forecast.h"
#include "make/kept.h"
#include "make/pack.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "measure/sample.h"
#include "vectors/values.h"

enum { MOST_COMPARED = 20000, MOST_SECTIONS = 16 };

/* The share of rows that the router would put in another bucket. */
static enum nlsh_status disagreement(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                     double *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = g->data->matrix.n_rows, count = n < MOST_COMPARED ? n : MOST_COMPARED;
    uint32_t *rows = NULL, *best = NULL;
    struct nlsh__rng rng;
    NLSH_TRY(nlsh__alloc(&rows, count, sizeof *rows, error));
    NLSH_TRY(nlsh__alloc(&best, count, sizeof *best, error));
    nlsh__rng_init(&rng, g->options->seed, 0x64697361);
    nlsh__rng_sample(&rng, n, count, rows);
    const struct nlsh__played played = {&g->space->queries, rows, count};
    NLSH_TRY(nlsh__best_buckets(l->router, &played, g->job, best, error));
    size_t differ = 0;
    for (size_t i = 0; i < count; i++) differ += best[i] != l->bucket_of[rows[i]];
    *out = (double)differ / (double)count;
out:
    nlsh__free(rows);
    nlsh__free(best);
    return status;
}

/* ---- the rows, and the settings --------------------------------------------------------------- */

/* The rows' vectors in the order of the file. */
static enum nlsh_status gather(const struct nlsh_matrix *rows, const uint32_t *order, uint8_t **out,
                               struct nlsh_error *error)
{
    size_t row_bytes = nlsh__row_bytes(rows);
    enum nlsh_status status = nlsh__alloc(out, rows->n_rows, row_bytes, error);
    for (size_t i = 0; i < rows->n_rows && status == NLSH_OK; i++)
        memcpy(*out + i * row_bytes, nlsh__row(rows, order[i]), row_bytes);
    return status;
}

/* The same as they are stored. */
static enum nlsh_status gather_stored(const struct nlsh_matrix *rows,
                                      const struct nlsh__rounding *as, const uint32_t *order,
                                      uint8_t **out, struct nlsh_error *error)
{
    size_t row_bytes = rows->dim * nlsh__type_size(as->type);
    enum nlsh_status status = nlsh__alloc(out, rows->n_rows, row_bytes, error);
    for (size_t i = 0; i < rows->n_rows && status == NLSH_OK; i++)
        nlsh__row_keep(as, nlsh__row(rows, order[i]), rows->dim, *out + i * row_bytes);
    return status;
}

/* The settings as they were settled: what was auto is what was chosen. */
static enum nlsh_status settle(const struct nlsh__ground *g, const struct nlsh__learned *l,
                               const struct nlsh__encoded *e, char **json, struct nlsh_error *error)
{
    struct nlsh_build_options record = *g->options;
    record.partitioner = l->partitioner;
    record.imbalance = nlsh__imbalance(g->options, l->partitioner);
    record.nodes = l->nodes;
    record.code_bytes = e->code_bytes;
    record.leaves = e->leaves != NULL;
    /* What was not rounded says its type; a streamed build settles that before the sample's. */
    if (nlsh__type_of_store(record.store) == NLSH_F32) record.store = NLSH_STORE_AUTO;
    *json = nlsh__settings_json(&record);
    return *json != NULL ? NLSH_OK : nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
}

/* ---- the sections ---------------------------------------------------------------------------- */

/* Sections on their way to a file, and what they are of. Those of size 0 are left out. */
struct sections {
    struct nlsh__section_data of[MOST_SECTIONS];
    size_t n;
    struct nlsh__meta meta;
    struct nlsh__metric_meta metric;
    struct nlsh__segment_meta segment;
    struct nlsh__encoded encoded;
    uint8_t *vectors;
    char *settings;
    void *efforts, *outside, *margins, *meter;
    size_t efforts_size, outside_size, margins_size, meter_size;
};

static void add(struct sections *s, enum nlsh__section_kind kind, const void *data, size_t size)
{
    if (data != NULL && size > 0) s->of[s->n++] = (struct nlsh__section_data){kind, 0, data, size};
}

static void sections_free(struct sections *s)
{
    nlsh__encoded_free(&s->encoded);
    nlsh__free(s->vectors);
    nlsh__free(s->efforts);
    nlsh__free(s->outside);
    nlsh__free(s->margins);
    nlsh__free(s->meter);
    free(s->settings);
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The held-out rows, where the network did not learn from them, and what they say of it. */
static enum nlsh_status add_meter(const struct nlsh__held *held,
                                  const struct nlsh__calibration *calibration, struct sections *s,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *rows = NULL;
    struct nlsh__meter_header meter = {.n = 0};
    if (held->n_train + held->n_held <= s->meta.n_rows) meter.n = (uint32_t)held->n_held;
    nlsh__meter_measured(calibration, &meter);
    nlsh__meter_trained(&meter);
    meter.n_trained = (uint32_t)s->meta.n_rows;
    NLSH_TRY(nlsh__alloc(&rows, meter.n, sizeof *rows, error));
    if (meter.n > 0) {
        memcpy(rows, held->held_rows, meter.n * sizeof *rows);
        qsort(rows, meter.n, sizeof *rows, ascending);
    }
    NLSH_TRY(nlsh__pack_meter(&meter, rows, &s->meter, &s->meter_size, error));
    add(s, NLSH__SECTION_METER, s->meter, s->meter_size);
out:
    nlsh__free(rows);
    return status;
}

/* All but the efforts and what goes with them. Freed in any case. */
static enum nlsh_status make_sections(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                      const uint64_t *keys, struct sections *s,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_matrix *rows = &g->data->matrix;
    size_t n = rows->n_rows, m = g->options->n_buckets;
    int has_metric = g->options->metric != NLSH_L2;
    const struct nlsh__rounding as = {
        rows->type == NLSH_U8 ? NLSH_U8 : nlsh__type_of_store(g->options->store),
        g->options->store_scale};
    int is_rounded = as.type != rows->type;
    struct nlsh__encoded *e = &s->encoded;
    *s = (struct sections){
        .meta = {.n_rows = n,
                 .data_hash = g->data->content,
                 .dim = (uint32_t)rows->dim,
                 .n_buckets = (uint32_t)m,
                 .source_type = g->data->source_type,
                 .storage_type = as.type,
                 .scale = as.type == NLSH_I8 ? as.scale : 0,
                 .n_segments = 1},
        .metric = {.metric = (uint32_t)g->options->metric, .query_norm = g->space->query_norm},
        .segment = {.n_rows = n,
                    .data_hash = g->data->content,
                    .stored_hash = has_metric || is_rounded ? nlsh_data_hash(rows) : 0},
    };
    size_t value = nlsh__type_size((enum nlsh_type)s->meta.storage_type);
    NLSH_TRY(disagreement(g, l, &s->meta.disagreement, error));
    NLSH_TRY(nlsh__encode_segment(g, l, e, error));
    NLSH_TRY(gather_stored(rows, &as, e->rows, &s->vectors, error));
    NLSH_TRY(settle(g, l, e, &s->settings, error));
    if (e->codes != NULL)
        NLSH_TRY(nlsh__pack_margins(&e->row_margins, e->leaves != NULL ? &e->leaf_margins : NULL,
                                    &s->margins, &s->margins_size, error));
    add(s, NLSH__SECTION_META, &s->meta, sizeof s->meta);
    add(s, NLSH__SECTION_SETTINGS, s->settings, strlen(s->settings) + 1);
    if (has_metric) add(s, NLSH__SECTION_METRIC, &s->metric, sizeof s->metric);
    add(s, NLSH__SECTION_ROUTER, l->router_bytes, l->router_size);
    add(s, NLSH__SECTION_MARGINS, s->margins, s->margins_size);
    add(s, NLSH__SECTION_SEGMENT, &s->segment, sizeof s->segment);
    add(s, NLSH__SECTION_BUCKETS, e->bucket_offsets, (m + 1) * sizeof *e->bucket_offsets);
    add(s, NLSH__SECTION_ROWS, e->rows, n * sizeof *e->rows);
    add(s, NLSH__SECTION_KEYS, keys, n * sizeof *keys);
    add(s, NLSH__SECTION_VECTORS, s->vectors, n * rows->dim * value);
    add(s, NLSH__SECTION_CODES, e->codes, e->codes_size);
    add(s, NLSH__SECTION_LEAVES, e->leaves, e->leaves_size);
out:
    return status;
}

/* ---- what searches reach ---------------------------------------------------------------------- */

void nlsh__as_queries(const struct nlsh__dataset *data, struct nlsh_matrix *rows)
{
    if (data->source_type != NLSH_I8 || rows->type != NLSH_U8) return;
    uint8_t *bytes = (uint8_t *)(uintptr_t)rows->data;
    nlsh__flip_sign(bytes, rows->n_rows * rows->dim, bytes);
    rows->type = NLSH_I8;
}

/* What held-out rows find of an index before it stands. */
struct asking {
    const struct nlsh__ground *ground;
    const struct nlsh__learned *learned;
    struct nlsh__shares shares;
};

static enum nlsh_status ask(void *user, const struct nlsh_index *index, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct asking *a = user;
    const struct nlsh__held *held = a->ground->held;
    const struct nlsh_matrix *rows = &a->ground->data->matrix;
    size_t n = held->n_asked;
    struct nlsh__known known = {.index = index,
                                .truth = &held->truth,
                                .own = held->held_rows,
                                .n_asking = NLSH__EFFORT_QUERIES};
    struct nlsh_matrix sample = *rows;
    uint8_t *bytes = NULL;
    sample.n_rows = n;
    NLSH_TRY(gather(&sample, held->held_rows, &bytes, error));
    known.queries = (struct nlsh_matrix){bytes, n, rows->dim, rows->type, 0};
    nlsh__as_queries(a->ground->data, &known.queries);
    NLSH_TRY(nlsh__shares_add(&known, &a->learned->calibration, a->ground->job, &a->shares, error));
out:
    nlsh__free(bytes);
    return status;
}

static enum nlsh_status add_measured(const struct nlsh__measured_efforts *efforts, int sampled,
                                     struct sections *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    NLSH_TRY(nlsh__pack_efforts(efforts, sampled, &s->efforts, &s->efforts_size, error));
    NLSH_TRY(nlsh__pack_outside(efforts, &s->outside, &s->outside_size, error));
    add(s, NLSH__SECTION_EFFORTS, s->efforts, s->efforts_size);
    add(s, NLSH__SECTION_OUTSIDE, s->outside, s->outside_size);
out:
    return status;
}

static enum nlsh_status
add_efforts(const struct nlsh__ground *g, const struct nlsh__calibration *calibration,
            const struct nlsh__shares *shares, struct sections *s, struct nlsh_error *error)
{
    struct nlsh__measured_efforts efforts;
    struct nlsh__margins none = {.n_ks = 0}, rows = none, leaves = none;
    if (s->encoded.codes != NULL) rows = nlsh__row_margins_of(&s->encoded.row_margins);
    if (s->encoded.leaves != NULL) leaves = nlsh__leaf_margins_of(&s->encoded.leaf_margins);
    size_t row_bytes = (size_t)nlsh__stored_row_bytes(&g->data->matrix, g->options);
    nlsh__efforts_from(calibration, &rows, &leaves, row_bytes, shares, &efforts);
    enum nlsh_status status =
        nlsh__far_of(&g->held->truth, g->held->n_asked, g->options->metric, &efforts.far, error);
    return status != NLSH_OK ? status : add_measured(&efforts, 0, s, error);
}

/* What a caller's queries find of it. */
struct sampling {
    const struct nlsh__ground *ground;
    struct nlsh__measured_efforts efforts;
};

static enum nlsh_status ask_sample(void *user, const struct nlsh_index *index,
                                   struct nlsh_error *error)
{
    struct sampling *s = user;
    return nlsh__measure_sample(index, s->ground->calibrating, NLSH__MOST_K, s->ground->job,
                                &s->efforts, error);
}

/* ---- the file -------------------------------------------------------------------------------- */

enum nlsh_status nlsh__try_index(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                 const char *path, nlsh__index_use_fn *use, void *user,
                                 struct nlsh_error *error)
{
    struct sections s;
    enum nlsh_status status = make_sections(g, l, NULL, &s, error);
    if (status == NLSH_OK) status = nlsh__index_try(path, s.of, s.n, 0, use, user, error);
    sections_free(&s);
    return status;
}

enum nlsh_status nlsh__write_index(const struct nlsh__ground *g, const struct nlsh__learned *l,
                                   const uint64_t *keys, const struct nlsh__evidence *evidence,
                                   const char *path, struct nlsh__written *out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct sections s = {.n = 0};
    struct nlsh__beside beside;
    struct nlsh__log_taken taken;
    struct asking asking = {.ground = g, .learned = l};
    struct sampling sampling = {.ground = g};
    NLSH_TRY(nlsh__beside_begin(path, &beside, error));
    NLSH_TRY(nlsh__job_progress(g->job, "writing", 0, 0, error));
    NLSH_TRY(make_sections(g, l, keys, &s, error));
    if (beside.log != 0) { /* of an index that is to be replaced: over with it */
        taken = nlsh__beside_is_over(&beside);
        add(&s, NLSH__SECTION_LOG, &taken, sizeof taken);
    }
    if (g->calibrating != NULL) {
        NLSH_TRY(nlsh__index_try(path, s.of, s.n, 0, ask_sample, &sampling, error));
        NLSH_TRY(add_measured(&sampling.efforts, 1, &s, error));
    } else if (evidence != NULL) {
        NLSH_TRY(add_efforts(g, &evidence->calibration, &evidence->shares, &s, error));
    } else if (g->held->n_train < g->data->matrix.n_rows) {
        NLSH_TRY(nlsh__index_try(path, s.of, s.n, 0, ask, &asking, error));
        NLSH_TRY(add_efforts(g, &l->calibration, &asking.shares, &s, error));
    } /* else every row was learned from: nothing is promised, and searches are exact */
    NLSH_TRY(
        add_meter(g->held, evidence != NULL ? &evidence->calibration : &l->calibration, &s, error));
    NLSH_TRY(nlsh__job_progress(g->job, "writing", 0, 0, error));
    NLSH_TRY(nlsh__index_write(path, s.of, s.n, error));
    NLSH_TRY(nlsh__beside_restart(&beside, path, error));
    out->scanned = s.encoded.scanned;
    /* The file stands: a stop asked for now comes too late. */
    (void)nlsh__job_progress(g->job, "writing", 1, 1, NULL);
out:
    nlsh__beside_end(&beside);
    sections_free(&s);
    return status;
}
