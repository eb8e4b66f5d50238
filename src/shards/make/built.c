/* built.c - see built.h. The order of things is that of make/streamed.c. */
#include "shards/make/built.h"

#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/sized.h"
#include "index/layout.h"
#include "kernels/kernels.h"
#include "make/asking.h"
#include "make/keys.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "make/streamed.h"
#include "router/router.h"
#include "shards/cut.h"
#include "shards/spread.h"

static void build_free(struct nlsh__build_apart *b)
{
    nlsh__router_close(b->router);
    nlsh__free(b->relearned.router);
    nlsh__merged_free(&b->sections);
    nlsh__placed_free(&b->placed);
    nlsh__bucket_cells_free(&b->cells);
    nlsh__index_free(b->sample);
    nlsh__sampled_free(&b->sampled);
    void *all[] = {(void *)(uintptr_t)b->sample_file.data,
                   b->shard_path,
                   b->sizes,
                   b->owners,
                   b->rows,
                   b->keys,
                   b->shard,
                   b->taught};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) nlsh__free(all[i]);
}

/* ---- what rank 0 learns, the others hear -------------------------------------------------------- */

/* The sample's index file, as rank 0 has it. */
static enum nlsh_status tell_sample(struct nlsh__build_apart *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    int tells = b->ranks->own == 0;
    uint64_t size = tells ? b->sample->map.size : 0;
    uint8_t *bytes = NULL;
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, &size, sizeof size, error));
    if (tells) {
        bytes = (uint8_t *)(uintptr_t)b->sample->map.data; /* which is only read */
    } else {
        NLSH_TRY(nlsh__alloc(&bytes, (size_t)size, 1, error));
        b->sample_file = (struct nlsh__map){bytes, (size_t)size};
    }
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, bytes, (size_t)size, error));
    if (tells) goto out;
    NLSH_TRY(
        nlsh__index_load(&(struct nlsh__source_of_index){.name = b->path, .bytes = &b->sample_file},
                         &b->sample, error));
out:
    return status;
}

/* The rows that ask. */
static enum nlsh_status tell_asking(struct nlsh__build_apart *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__sampled *s = &b->sampled;
    uint64_t n = s->asking.n_rows;
    size_t row_bytes = b->base->dim * nlsh__type_size(b->base->type);
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, &s->hash, sizeof s->hash, error));
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, &n, sizeof n, error));
    if (b->ranks->own != 0) {
        NLSH_TRY(nlsh__alloc(&s->asking_memory, (size_t)n, row_bytes, error));
        NLSH_TRY(nlsh__alloc(&s->asking_rows, (size_t)n, sizeof *s->asking_rows, error));
        s->asking =
            (struct nlsh_matrix){s->asking_memory, (size_t)n, b->base->dim, b->base->type, 0};
    }
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, s->asking_memory, (size_t)n * row_bytes, error));
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, s->asking_rows, (size_t)n * sizeof *s->asking_rows,
                                     error));
out:
    return status;
}

static enum nlsh_status tell_cells(struct nlsh__build_apart *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__bucket_cells *c = &b->cells;
    uint64_t shape[2] = {c->n, c->dim};
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, shape, sizeof shape, error));
    if (shape[0] == 0) goto out;
    c->n = (size_t)shape[0];
    c->dim = (size_t)shape[1];
    if (b->ranks->own != 0) {
        NLSH_TRY(nlsh__alloc(&c->centroids, c->n * c->dim, sizeof *c->centroids, error));
        NLSH_TRY(nlsh__alloc(&c->penalty, c->n, sizeof *c->penalty, error));
    }
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, c->centroids, c->n * c->dim * sizeof(float), error));
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, c->penalty, c->n * sizeof(float), error));
out:
    return status;
}

static enum nlsh_status learn(struct nlsh__build_apart *b, struct nlsh_build_report *report,
                              struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    int whole = b->plan.sample == b->base->n_rows;
    if (b->ranks->own == 0) {
        status = nlsh__sample(b->base, &b->options, b->plan.sample, b->plan.asking, b->plan.block,
                              b->job, &b->sampled, error);
        nlsh__sampled_store(&b->sampled, &b->options);
        if (status == NLSH_OK)
            status = nlsh__learn_sample(&b->sampled, &b->options, b->plan.compared,
                                        whole ? b->options.keys : NULL, b->shard_path, NULL, b->job,
                                        &b->sample, report, error);
        if (status == NLSH_OK && !whole)
            status = nlsh__cells_of_sample(b->sample, &b->options, report->partitioner, b->job,
                                           &b->cells, error);
    }
    NLSH_TRY(nlsh__ranks_agree(b->ranks, status, error));
    NLSH_TRY(tell_sample(b, error));
    if (whole) goto out;
    NLSH_TRY(tell_asking(b, error));
    NLSH_TRY(tell_cells(b, error));
out:
    return status;
}

/* ---- rows ---------------------------------------------------------------------------------------- */

/* Buckets by their sizes, and by how often the rows that ask, ask for them. */
static enum nlsh_status deal(void *user, const uint32_t *sizes, uint32_t *owners,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__build_apart *b = user;
    size_t m = b->sample->meta.n_buckets;
    uint32_t *asked = NULL;
    NLSH_TRY(nlsh__calloc(&asked, m, sizeof *asked, error));
    NLSH_TRY(nlsh__count_asked(b->sample, asked, error));
    NLSH_TRY(nlsh__spread_by(sizes, asked, m, b->ranks->n, owners, error));
out:
    nlsh__free(asked);
    return status;
}

static enum nlsh_status place(struct nlsh__build_apart *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t m = b->sample->meta.n_buckets, others = b->base->n_rows - 1;
    size_t k = others < NLSH__ASKING_K ? others : NLSH__ASKING_K;
    const struct nlsh__bucket_cells *cells = b->cells.n > 0 ? &b->cells : NULL;
    NLSH_TRY(nlsh__alloc(&b->sizes, m, sizeof *b->sizes, error));
    NLSH_TRY(nlsh__alloc(&b->owners, m, sizeof *b->owners, error));
    const struct nlsh__apart apart = {b->ranks, b->sizes, b->owners, deal, b};
    NLSH_TRY(nlsh__place_apart(b->base, b->sample, cells, &b->sampled, b->shard_path, b->plan.block,
                               k, &apart, b->job, &b->placed, error));
out:
    return status;
}

/* ---- codes --------------------------------------------------------------------------------------- */

/* A table by bucket: each rank has made the rows of its own. */
static enum nlsh_status fill(void *user, void *table, size_t row_bytes, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__build_apart *b = user;
    size_t m = b->sample->meta.n_buckets, size = m * row_bytes;
    struct nlsh__bytes own = {0}, all = {0};
    size_t *ends = NULL;
    NLSH_TRY(nlsh__alloc(&ends, b->ranks->n, sizeof *ends, error));
    nlsh__bytes_add(&own, table, size);
    NLSH_TRY(nlsh__ranks_gather(b->ranks, &own, &all, ends, error));
    for (size_t i = 0; i < m && b->ranks->own == 0; i++)
        memcpy((uint8_t *)table + i * row_bytes, all.at + b->owners[i] * size + i * row_bytes,
               row_bytes);
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, table, size, error));
out:
    nlsh__bytes_free(&own);
    nlsh__bytes_free(&all);
    nlsh__free(ends);
    return status;
}

static enum nlsh_status encode(struct nlsh__build_apart *b, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint32_t *ids = NULL;
    const struct nlsh__askers_of *asking = &b->placed.asking;
    struct nlsh_matrix rows = {b->placed.vectors.data, n, b->base->dim,
                               (enum nlsh_type)b->sample->meta.storage_type, 0};
    const struct nlsh__encode_others others = {b->base->n_rows, b, fill};
    NLSH_TRY(nlsh__alloc(&ids, n, sizeof *ids, error));
    for (size_t i = 0; i < n; i++) ids[i] = (uint32_t)i; /* rows stand in their places already */
    const struct nlsh__merging of = {
        .file = b->sample,
        .rows = &rows,
        .p = b->placed.p,
        .inputs = b->placed.inputs.data,
        .queries = &asking->routed,
        .query_inputs = asking->inputs,
        .bucket_offsets = b->placed.offsets,
        .ids = ids,
        .others = &others,
    };
    NLSH_TRY(nlsh__merged_encode(&of, b->job, &b->sections, error));
out:
    nlsh__free(ids);
    return status;
}

/* ---- sections ------------------------------------------------------------------------------------ */

/* The same number on all ranks, and of no other build. */
static uint64_t set_of(const struct nlsh__build_apart *b)
{
    struct nlsh__hash hash;
    struct nlsh__named_shard sample;
    size_t table = b->sample->meta.n_buckets * sizeof *b->owners;
    nlsh__shard_name(b->sample, &sample);
    nlsh__hash_begin(&hash);
    nlsh__hash_add(&hash, &sample.checksum, sizeof sample.checksum);
    nlsh__hash_add(&hash, &b->sampled.hash, sizeof b->sampled.hash);
    nlsh__hash_add(&hash, b->sizes, table);
    nlsh__hash_add(&hash, b->owners, table);
    return nlsh__hash_end(&hash);
}

static enum nlsh_status number_rows(struct nlsh__build_apart *b, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status;
    b->set = set_of(b);
    const struct nlsh__shard_header header = {.number = (uint32_t)b->ranks->own,
                                              .n = (uint32_t)b->ranks->n,
                                              .n_rows = b->base->n_rows,
                                              .data_hash = b->sampled.hash,
                                              .set = b->set};
    NLSH_TRY(nlsh__alloc(&b->rows, n, sizeof *b->rows, error));
    NLSH_TRY(nlsh__shard_section(&header, b->sizes, b->owners, b->sample->meta.n_buckets,
                                 b->placed.rows, n, &b->shard, &b->shard_size, b->rows, error));
    if (b->options.keys == NULL) goto out;
    NLSH_TRY(nlsh__alloc(&b->keys, n, sizeof *b->keys, error));
    for (size_t i = 0; i < n; i++) b->keys[b->rows[i]] = b->options.keys[b->placed.rows[i]];
out:
    return status;
}

static enum nlsh_status describe(struct nlsh__build_apart *b, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint64_t hash;
    uint32_t *place_of = NULL;
    int as_given = nlsh__stored_as_given(b->sample);
    struct nlsh_index part = {.meta = b->sample->meta, .metric = b->sample->metric};
    const struct nlsh__segment segment = {.n_rows = n, .vectors = b->placed.vectors.data};
    NLSH_TRY(nlsh__alloc(&place_of, n, sizeof *place_of, error));
    for (size_t i = 0; i < n; i++) place_of[b->rows[i]] = (uint32_t)i;
    NLSH_TRY(nlsh__hash_rows(&part, &segment, place_of, &hash, error));
    b->meta = b->sample->meta;
    b->meta.n_rows = n;
    b->meta.data_hash = as_given ? hash : b->sampled.hash;
    b->segment = (struct nlsh__segment_meta){
        .n_rows = n, .data_hash = b->meta.data_hash, .stored_hash = as_given ? 0 : hash};
    b->metric = (struct nlsh__metric_meta){.metric = (uint32_t)b->sample->metric,
                                           .query_norm = b->sample->query_norm,
                                           .stored_hash = b->segment.stored_hash};
out:
    nlsh__free(place_of);
    return status;
}

static enum nlsh_status make_sections(struct nlsh__build_apart *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__merged *to = &b->sections;
    const struct nlsh__placed *p = &b->placed;
    size_t m = b->sample->meta.n_buckets, n = p->offsets[m];
    NLSH_TRY(number_rows(b, n, error));
    NLSH_TRY(describe(b, n, error));
    nlsh__merged_add(to, NLSH__SECTION_META, &b->meta, sizeof b->meta);
    NLSH_TRY(nlsh__merged_keep(b->sample, NLSH__SECTION_SETTINGS, to, error));
    if (b->sample->metric != NLSH_L2)
        nlsh__merged_add(to, NLSH__SECTION_METRIC, &b->metric, sizeof b->metric);
    b->router_at = to->n;
    NLSH_TRY(nlsh__merged_keep(b->sample, NLSH__SECTION_ROUTER, to, error));
    NLSH_TRY(nlsh__merged_keep(b->sample, NLSH__SECTION_MARGINS, to, error));
    nlsh__merged_add(to, NLSH__SECTION_SEGMENT, &b->segment, sizeof b->segment);
    nlsh__merged_add(to, NLSH__SECTION_BUCKETS, p->offsets, (m + 1) * sizeof *p->offsets);
    nlsh__merged_add(to, NLSH__SECTION_ROWS, b->rows, n * sizeof *b->rows);
    nlsh__merged_add(to, NLSH__SECTION_VECTORS, p->vectors.data,
                     n * nlsh__index_row_bytes(b->sample));
    nlsh__merged_add(to, NLSH__SECTION_SHARD, b->shard, b->shard_size);
out:
    return status;
}

/* ---- the router, once more ----------------------------------------------------------------------- */

static enum nlsh_status learn_from_all(struct nlsh__build_apart *b, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__section_data *router = &b->sections.of[b->router_at];
    uint64_t size;
    if (b->sample->segments[0].codes == NULL) return NLSH_OK;
    struct nlsh__merged trial = b->sections;
    NLSH_TRY(nlsh__merged_keep(b->sample, NLSH__SECTION_EFFORTS, &trial, error));
    b->in_step = 0;
    status = nlsh__index_try(b->shard_path, trial.of, trial.n, 1, nlsh__teach_apart, b, error);
    if (!b->in_step) goto out;
    NLSH_TRY(nlsh__ranks_agree(b->ranks, status, error));
    nlsh__spool_free(&b->placed.inputs); /* nobody else looks at them */
    size = b->relearned.size;
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, &size, sizeof size, error));
    if (size == 0) goto out;
    if (b->ranks->own != 0) NLSH_TRY(nlsh__alloc(&b->taught, (size_t)size, 1, error));
    void *bytes = b->ranks->own == 0 ? b->relearned.router : b->taught;
    NLSH_TRY(nlsh__ranks_tell_values(b->ranks, bytes, (size_t)size, error));
    router->data = bytes;
    router->size = (size_t)size;
    NLSH_TRY(nlsh__router_open(bytes, (size_t)size, b->base->dim, b->sample->meta.n_buckets,
                               &b->router, error));
out:
    return status;
}

/* ---- the files ----------------------------------------------------------------------------------- */

/* All shards stand: rank 0 names them. */
static enum nlsh_status write_manifest(struct nlsh__build_apart *b, const struct nlsh_index *index,
                                       const struct nlsh__named_shard *named,
                                       struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__bytes own = {0}, all = {0};
    struct nlsh__manifest m = {.n = b->ranks->n};
    size_t *ends = NULL;
    NLSH_TRY(nlsh__alloc(&ends, b->ranks->n, sizeof *ends, error));
    nlsh__bytes_add(&own, named, sizeof *named);
    NLSH_TRY(nlsh__ranks_gather(b->ranks, &own, &all, ends, error));
    if (b->ranks->own != 0) goto out;
    nlsh__manifest_of(index, b->owners, 1, &m);
    m.n = b->ranks->n;
    m.set = b->set;
    m.n_rows = b->base->n_rows;
    m.data_hash = b->sampled.hash;
    NLSH_TRY(nlsh__calloc(&m.shards, m.n, sizeof *m.shards, error));
    for (size_t i = 0; i < m.n; i++) {
        memcpy(&m.shards[i], all.at + i * sizeof *named, sizeof *named);
        m.shards[i].path = NULL;
        NLSH_TRY(nlsh__shard_path(b->path, i, &m.shards[i].path, error));
    }
    NLSH_TRY(nlsh__manifest_write(b->path, &m, error));
out:
    nlsh__manifest_free(&m);
    nlsh__bytes_free(&own);
    nlsh__bytes_free(&all);
    nlsh__free(ends);
    return status;
}

/* Of a base that fits: each rank cuts its own out of what rank 0 has built. */
static enum nlsh_status cut(struct nlsh__build_apart *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__named_shard named = {.path = NULL};
    size_t m = b->sample->meta.n_buckets;
    uint32_t n = (uint32_t)b->ranks->n;
    struct nlsh__manifest whole;
    status = nlsh__alloc(&b->owners, m, sizeof *b->owners, error);
    if (status == NLSH_OK) status = nlsh__spread_buckets(b->sample, n, b->owners, error);
    if (status == NLSH_OK)
        status = nlsh__cut_shard(b->sample, b->owners, (uint32_t)b->ranks->own, n, b->path, &named,
                                 error);
    NLSH_TRY(nlsh__ranks_agree(b->ranks, status, error));
    nlsh__manifest_of(b->sample, b->owners, n, &whole);
    b->set = whole.set;
    b->sampled.hash = b->sample->meta.data_hash;
    NLSH_TRY(write_manifest(b, b->sample, &named, error));
out:
    nlsh__free(named.path);
    return status;
}

static enum nlsh_status write_shard(struct nlsh__build_apart *b, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__named_shard named = {.path = NULL};
    struct nlsh_index *written = NULL;
    nlsh__merged_add(&b->sections, NLSH__SECTION_KEYS, b->keys, b->meta.n_rows * sizeof *b->keys);
    status = nlsh__job_progress(b->job, "writing", 0, 0, error);
    if (status == NLSH_OK)
        status = nlsh__index_write(b->shard_path, b->sections.of, b->sections.n, error);
    if (status == NLSH_OK)
        status = nlsh__index_load(&(struct nlsh__source_of_index){.name = b->shard_path}, &written,
                                  error);
    NLSH_TRY(nlsh__ranks_agree(b->ranks, status, error));
    nlsh__shard_name(written, &named);
    for (size_t i = 0; i < b->sample->meta.n_buckets; i++)
        named.n_buckets += b->owners[i] == b->ranks->own;
    NLSH_TRY(write_manifest(b, b->sample, &named, error));
    (void)nlsh__job_progress(b->job, "writing", 1, 1, NULL);
out:
    nlsh__index_free(written);
    return status;
}

/* ---- all of it ----------------------------------------------------------------------------------- */

static enum nlsh_status build(struct nlsh__build_apart *b, struct nlsh_build_report *report,
                              struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t n = b->base->n_rows;
    if (b->options.leaves == NLSH_AUTO && nlsh__in_leaves(&b->options, n) && b->plan.sample < n)
        b->options.leaves = 1;
    status = nlsh__shard_path(b->path, b->ranks->own, &b->shard_path, error);
    if (status == NLSH_OK) status = nlsh__check_keys(b->options.keys, n, error);
    NLSH_TRY(nlsh__ranks_agree(b->ranks, status, error));
    NLSH_TRY(learn(b, report, error));
    if (b->plan.sample == n) return cut(b, error);
    nlsh__job_note(b->job, "buckets are learned from %zu of %zu vectors, on rank 0", b->plan.sample,
                   n);
    NLSH_TRY(place(b, error));
    NLSH_TRY(nlsh__job_progress(b->job, "codes", 0, 0, error));
    NLSH_TRY(nlsh__ranks_agree(b->ranks, make_sections(b, error), error));
    NLSH_TRY(encode(b, b->placed.offsets[b->sample->meta.n_buckets], error));
    NLSH_TRY(learn_from_all(b, error));
    NLSH_TRY(nlsh__promise_apart(b, &report->held_out_candidates, error));
    report->held_out_scanned = report->held_out_candidates;
    NLSH_TRY(write_shard(b, error));
out:
    return status;
}

/* One rank has all buckets: its shard is the index. */
static enum nlsh_status
build_alone(const struct nlsh_rows *base, const struct nlsh_build_options *options,
            const struct nlsh__memory_plan *plan, uint64_t memory, const char *path,
            const struct nlsh_run *run, struct nlsh_build_report *report, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__named_shard named = {.path = NULL};
    struct nlsh__manifest m;
    struct nlsh_index *index = NULL;
    NLSH_TRY(nlsh__shard_path(path, 0, &named.path, error));
    NLSH_TRY(plan != NULL ? nlsh__build_planned(base, options, plan, named.path, run, report, error)
                          : nlsh_build_rows(base, options, memory, named.path, run, report, error));
    NLSH_TRY(nlsh__index_load(&(struct nlsh__source_of_index){.name = named.path}, &index, error));
    nlsh__shard_name(index, &named);
    named.n_buckets = index->meta.n_buckets;
    nlsh__manifest_of(index, NULL, 1, &m);
    m.shards = &named;
    NLSH_TRY(nlsh__manifest_write(path, &m, error));
out:
    nlsh__index_free(index);
    nlsh__free(named.path);
    return status;
}

enum nlsh_status
nlsh__build_in_ranks(const struct nlsh_rows *base, const struct nlsh_build_options *options,
                     const struct nlsh__memory_plan *plan, uint64_t memory, const char *path,
                     const struct nlsh_run *run, const struct nlsh__ranks *ranks,
                     struct nlsh_build_report *report, int *in_step, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__job job = {.pool = NULL};
    struct nlsh_rows rows = {.read = NULL};
    struct nlsh__build_apart b = {
        .base = &rows, .path = path, .job = &job, .ranks = ranks, .in_step = 1};
    nlsh__error_clear(error);
    if (ranks->n == 1) {
        *in_step = 1;
        return build_alone(base, options, plan, memory, path, run, report, error);
    }
    NLSH_TRY(nlsh__options_take(&rows, sizeof rows, base, "nlsh_rows", error));
    NLSH_TRY(nlsh__take_settings(options, &b.options, error));
    NLSH_TRY(nlsh__check_rows(&rows, &b.options, error));
    NLSH_TRY(nlsh__settings_check(&b.options, error));
    NLSH_TRY(nlsh__kernels_check(error));
    if (b.options.n_buckets == NLSH_AUTO) b.options.n_buckets = nlsh__auto_buckets(rows.n_rows);
    if (plan != NULL)
        b.plan = *plan;
    else
        NLSH_TRY(nlsh__plan_memory(&rows, &b.options, memory, &b.plan, error));
    NLSH_TRY(nlsh__job_begin(run, &job, error));
    NLSH_TRY(build(&b, report, error));
out:
    *in_step = b.in_step;
    build_free(&b);
    nlsh__job_end(&job);
    return status;
}
