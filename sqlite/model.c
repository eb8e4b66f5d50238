/*
 * model.c - see model.h.
 *
 * Part 1 is an index file (docs/index-format.md) whose one segment has no rows: meta, settings, metric, router, what
 * was promised, and of the codes what all rows share. Part 2 is what else a new row's code needs (codes/row.h), which
 * an index's own rows would say: mean lengths, and each bucket's mean.
 */
#include "model.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "index/layout.h"
#include "promise/weights.h"
#include "store.h"

SQLITE_EXTENSION_INIT3

/* In front of part 2's means f32 [m][dim]; there are none by inner product. Little-endian. */
struct coder_header {
    double inside, outside;
    uint32_t has_means;
    uint32_t n_measured;
    uint8_t reserved[40];
};
_Static_assert(sizeof(struct coder_header) == 64, "no padding");

/* Bytes of entries that are kept: 8 MB is what GloVe's 331,479 words have in a third of their buckets. */
#define LEAST_CACHE 8e6
#define MOST_CACHE 1e12
/* Rows of X_buckets of which one is in each page of 4 KB, some 400 rows: of 65,536 at most. */
enum { SOME_BUCKETS = 256 };

void nlsh__sqlite_model_free(struct nlsh__sqlite_model *model)
{
    if (model == NULL) return;
    nlsh_searcher_free(model->searcher);
    if (model->has_maker) nlsh__row_maker_free(&model->maker);
    nlsh__sqlite_cache_free(model->cache);
    nlsh_index_close(model->index);
    nlsh__free(model->bytes);
    nlsh__free(model->sizes);
    nlsh__free(model);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* `size` bytes of a part, or all of them where there are fewer; NULL where it is not there. */
static int read_part(struct nlsh__sqlite_table *table, int part, size_t most, uint8_t **out,
                     size_t *size)
{
    int is_there, rc = nlsh__sqlite_blob_seek(table, NLSH__SQL_BLOB_MODEL, part, &is_there);
    sqlite3_blob *blob = table->blobs[NLSH__SQL_BLOB_MODEL];
    *out = NULL;
    *size = 0;
    if (rc == SQLITE_OK && is_there) {
        size_t n = (size_t)sqlite3_blob_bytes(blob);
        if (n > most) n = most;
        rc = nlsh__alloc(out, n, 1, NULL) == NLSH_OK ? SQLITE_OK : SQLITE_NOMEM;
        if (rc == SQLITE_OK && (rc = sqlite3_blob_read(blob, *out, (int)n, 0)) != SQLITE_OK)
            rc = nlsh__sqlite_broken(table, rc);
        *size = n;
    }
    nlsh__sqlite_blobs_close(table);
    if (rc == SQLITE_OK) return rc;
    nlsh__free(*out);
    *out = NULL;
    *size = 0;
    return rc;
}

int nlsh__sqlite_model_part(struct nlsh__sqlite_table *table, int part, uint8_t **out, size_t *size)
{
    return read_part(table, part, SIZE_MAX, out, size);
}

/* How many rows there were when promises were measured: of part 2's header alone, as its means are long. */
static int read_measured(struct nlsh__sqlite_table *table, struct nlsh__sqlite_model *model)
{
    struct coder_header header;
    uint8_t *bytes;
    size_t size;
    int rc = read_part(table, NLSH__SQL_PART_CODER, sizeof header, &bytes, &size);
    if (rc == SQLITE_OK && size < sizeof header)
        rc = nlsh__sqlite_damaged(table, "what makes codes has another length");
    if (rc == SQLITE_OK) {
        memcpy(&header, bytes, sizeof header);
        model->n_measured = header.n_measured;
    }
    nlsh__free(bytes);
    return rc;
}

static int take_coder(struct nlsh__sqlite_table *table)
{
    struct coder_header header;
    struct nlsh__sqlite_model *model = table->model;
    struct nlsh__row_maker *maker = &model->maker;
    size_t dim = table->dim, size, values = model->n_buckets * dim;
    uint8_t *bytes;
    int rc = nlsh__sqlite_model_part(table, NLSH__SQL_PART_CODER, &bytes, &size);
    if (rc != SQLITE_OK) return rc;
    int has_means = maker->means != NULL;
    if (bytes == NULL || size != sizeof header + (has_means ? values * sizeof(float) : 0)) {
        nlsh__free(bytes);
        return nlsh__sqlite_damaged(table, "what makes codes has another length");
    }
    memcpy(&header, bytes, sizeof header);
    maker->coder.inside = header.inside;
    maker->coder.outside = header.outside;
    if (has_means) {
        memcpy(maker->means, bytes + sizeof header, values * sizeof(float));
        nlsh__see_means(maker);
    }
    nlsh__free(bytes);
    return SQLITE_OK;
}

int nlsh__sqlite_model_maker(struct nlsh__sqlite_table *table)
{
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh__sqlite_model *model = table->model;
    if (model->has_maker) return SQLITE_OK;
    if (nlsh__row_maker_create(model->index, &model->maker, &error) != NLSH_OK)
        return nlsh__sqlite_failed(table, &error);
    int rc = take_coder(table);
    if (rc == SQLITE_OK)
        model->has_maker = 1;
    else
        nlsh__row_maker_free(&model->maker);
    return rc;
}

static int open_model(struct nlsh__sqlite_table *table, struct nlsh__sqlite_model *model,
                      size_t size)
{
    enum nlsh_status status;
    struct nlsh_error error = {.status = NLSH_OK};
    char *name = sqlite3_mprintf("%s: what was learned", table->name);
    if (name == NULL) return SQLITE_NOMEM;
    NLSH_TRY(nlsh_index_open_memory(model->bytes, size, name, NULL, &model->index, &error));
    const struct nlsh_index *index = model->index;
    if (index->meta.dim != table->dim || index->metric != table->metric || index->n_segments != 1 ||
        index->meta.n_rows != 0 || index->meta.storage_type != NLSH_F32 ||
        index->meta.n_buckets > 65536) {
        sqlite3_free(name);
        return nlsh__sqlite_damaged(table, "what was learned is of other vectors");
    }
    model->n_buckets = index->meta.n_buckets;
    const struct nlsh__codes *codes = index->segments[0].codes;
    model->code_bytes = codes != NULL ? codes->n_components / 2 : 0;
    NLSH_TRY(nlsh_searcher_create(index, &model->searcher, &error));
    NLSH_TRY(nlsh__calloc(&model->sizes, model->n_buckets, sizeof *model->sizes, &error));
out:
    sqlite3_free(name);
    return status == NLSH_OK ? SQLITE_OK : nlsh__sqlite_failed(table, &error);
}

/* Asks for what searches begin with. */
static void read_ahead(struct nlsh__sqlite_table *table)
{
    sqlite3_int64 part = NLSH__SQL_PART_INDEX, buckets[SOME_BUCKETS];
    for (int i = 0; i < SOME_BUCKETS; i++) buckets[i] = i * (65536 / SOME_BUCKETS);
    nlsh__sqlite_ahead_rows(table, NLSH__SQL_AHEAD_MODEL, &part, 1, 1);
    nlsh__sqlite_ahead_rows(table, NLSH__SQL_AHEAD_BUCKETS, buckets, SOME_BUCKETS, 0);
}

int nlsh__sqlite_model_load(struct nlsh__sqlite_table *table)
{
    size_t size;
    struct nlsh__sqlite_model *model = NULL;
    if (nlsh__calloc(&model, 1, sizeof *model, NULL) != NLSH_OK) return SQLITE_NOMEM;
    read_ahead(table);
    int rc = nlsh__sqlite_model_part(table, NLSH__SQL_PART_INDEX, &model->bytes, &size);
    if (rc == SQLITE_OK && size == 0)
        rc = nlsh__sqlite_damaged(table, "what was learned is not there");
    if (rc == SQLITE_OK) rc = open_model(table, model, size);
    if (rc == SQLITE_OK) rc = read_measured(table, model);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_cache_create(model->n_buckets, &model->cache);
    if (rc == SQLITE_OK)
        table->model = model;
    else
        nlsh__sqlite_model_free(model);
    return rc;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

void nlsh__sqlite_model_reweigh(struct nlsh__sqlite_model *model, size_t rows)
{
    struct nlsh_index *index = model->index;
    const struct nlsh__groups *groups = nlsh__router_groups(index->router);
    model->n_entries = 0;
    for (size_t b = 0; b < model->n_buckets; b++) model->n_entries += model->sizes[b];
    index->meta.n_rows = rows;
    /* entries without a vector are near and do not count, as rows that are gone */
    size_t more = model->n_measured > model->n_entries ? model->n_measured : model->n_entries;
    index->thinned = rows > 0 && more > rows ? (double)more / (double)rows : 1;
    for (size_t g = 0; g < groups->n; g++) {
        index->group_weights[g] = 0;
        for (size_t b = groups->first[g]; b < groups->first[g + 1]; b++) {
            float weight = nlsh__bucket_weight(model->n_entries, model->n_buckets, model->sizes[b]);
            index->weights[b] = weight;
            if (weight > index->group_weights[g]) index->group_weights[g] = weight;
        }
    }
}

/* A number that a PRAGMA of the schema tells. */
static int read_pragma(struct nlsh__sqlite_table *table, enum nlsh__sqlite_statement which,
                       sqlite3_int64 *out)
{
    sqlite3_stmt *pragma;
    int rc = nlsh__sqlite_prepare(table, which, &pragma);
    if (rc != SQLITE_OK) return rc;
    rc = sqlite3_step(pragma);
    *out = rc == SQLITE_ROW ? sqlite3_column_int64(pragma, 0) : 0;
    return nlsh__sqlite_done(table, pragma, rc);
}

/* Entries may take as much memory as SQLite's own cache of pages: cache_size counts those, or -KiB. */
static int clear_cache(struct nlsh__sqlite_table *table)
{
    sqlite3_int64 n, page = 0;
    int rc = read_pragma(table, NLSH__SQL_CACHE_SIZE, &n);
    if (rc == SQLITE_OK) rc = read_pragma(table, NLSH__SQL_PAGE_SIZE, &page);
    if (rc != SQLITE_OK) return rc;
    double bytes = n < 0 ? -1024.0 * (double)n : (double)n * (double)page;
    if (!(bytes > LEAST_CACHE)) bytes = LEAST_CACHE;
    nlsh__sqlite_cache_clear(table->model->cache,
                             bytes < MOST_CACHE ? (size_t)bytes : (size_t)MOST_CACHE);
    return SQLITE_OK;
}

int nlsh__sqlite_model_weigh(struct nlsh__sqlite_table *table, sqlite3_int64 rows)
{
    struct nlsh__sqlite_model *model = table->model;
    sqlite3_stmt *all;
    int rc = clear_cache(table);
    if (rc == SQLITE_OK) rc = nlsh__sqlite_prepare(table, NLSH__SQL_BUCKETS_ALL, &all);
    if (rc != SQLITE_OK) return rc;
    memset(model->sizes, 0, model->n_buckets * sizeof *model->sizes);
    while ((rc = sqlite3_step(all)) == SQLITE_ROW) {
        sqlite3_int64 bucket = sqlite3_column_int64(all, 0), n = sqlite3_column_int64(all, 1);
        if (bucket < 0 || (size_t)bucket >= model->n_buckets || n < 0 || n > UINT32_MAX) {
            sqlite3_reset(all);
            return nlsh__sqlite_damaged(table, "a bucket's size cannot be so");
        }
        model->sizes[bucket] = (uint32_t)n;
    }
    rc = nlsh__sqlite_done(table, all, rc);
    if (rc == SQLITE_OK)
        nlsh__sqlite_model_reweigh(model, rows < UINT32_MAX ? (size_t)rows : UINT32_MAX - 1);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

int nlsh__sqlite_model_keeps(unsigned kind)
{
    switch (kind) {
    case NLSH__SECTION_SETTINGS:
    case NLSH__SECTION_METRIC:
    case NLSH__SECTION_ROUTER:
    case NLSH__SECTION_TARGETS:
    case NLSH__SECTION_MARGINS:
    case NLSH__SECTION_EFFORTS:
    case NLSH__SECTION_OUTSIDE: return 1;
    default: return 0;
    }
}

/* Sections of an index without rows. */
struct rowless {
    struct nlsh__section_data of[16];
    size_t n;
    struct nlsh__meta meta;
    struct nlsh__segment_meta segment;
    uint32_t *offsets; /* zeros [m + 1] */
    uint8_t *codes;
};

static void add(struct rowless *r, enum nlsh__section_kind kind, const void *data, size_t size)
{
    r->of[r->n++] = (struct nlsh__section_data){kind, 0, data, size};
}

/* What all rows' codes share, as codes of no rows. */
static enum nlsh_status add_codes(struct rowless *r, const struct nlsh_index *trained,
                                  const struct nlsh__codes *codes, struct nlsh_error *error)
{
    struct nlsh__codes_layout layout;
    size_t dim = trained->meta.dim, m = trained->meta.n_buckets;
    int fits = nlsh__codes_layout(dim, m, 0, codes->n_components, &layout) == 0;
    enum nlsh_status status = nlsh__calloc(&r->codes, fits ? layout.size : SIZE_MAX, 1, error);
    if (status != NLSH_OK) return status;
    struct nlsh__codes_header header = {.size_bytes = layout.size,
                                        .n_components = (uint32_t)codes->n_components,
                                        .scale = codes->scale,
                                        .error_unit = codes->error_unit,
                                        .outside_weight = codes->outside_weight,
                                        .rounded = codes->query_mean != NULL};
    memcpy(header.magic, NLSH__CODES_MAGIC, sizeof header.magic);
    memcpy(r->codes, &header, sizeof header);
    memcpy(r->codes + layout.mean, codes->mean, dim * sizeof(float));
    memcpy(r->codes + layout.steps, codes->steps, layout.stride * sizeof(float));
    memcpy(r->codes + layout.centroids, codes->centroids, m * layout.stride * sizeof(float));
    add(r, NLSH__SECTION_CODES, r->codes, layout.size);
    return NLSH_OK;
}

static enum nlsh_status make_rowless(struct rowless *r, const struct nlsh_index *trained,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__index_table table;
    /* the hashes of no rows, as nlsh_index_create() has them */
    const uint64_t head[3] = {NLSH_F32, trained->meta.dim, 0};
    const uint64_t stored[3] = {NLSH_U8, trained->meta.dim, 0};
    NLSH_TRY(nlsh__index_read_table(trained->path, &trained->map, &table, error));
    NLSH_TRY(nlsh__index_check_current(trained->path, &table, error));
    NLSH_TRY(nlsh__calloc(&r->offsets, trained->meta.n_buckets + 1, sizeof *r->offsets, error));
    r->meta = trained->meta;
    r->meta.n_rows = 0;
    r->meta.n_segments = 1;
    /* whole numbers are stored as bytes in index files; here they stay floats, of the same values */
    r->meta.source_type = r->meta.storage_type = NLSH_F32;
    r->meta.data_hash = r->segment.data_hash = nlsh__hash_of(head, sizeof head);
    r->segment.stored_hash = nlsh__hash_of(stored, sizeof stored);
    add(r, NLSH__SECTION_META, &r->meta, sizeof r->meta);
    for (size_t i = 0; i < table.n_entries; i++) {
        const struct nlsh__index_entry *e = &table.entries[i];
        if (nlsh__sqlite_model_keeps(e->kind))
            add(r, (enum nlsh__section_kind)e->kind, trained->map.data + e->offset,
                (size_t)e->size);
    }
    add(r, NLSH__SECTION_SEGMENT, &r->segment, sizeof r->segment);
    add(r, NLSH__SECTION_BUCKETS, r->offsets, (trained->meta.n_buckets + 1) * sizeof *r->offsets);
    add(r, NLSH__SECTION_ROWS, r->offsets, 0);
    add(r, NLSH__SECTION_VECTORS, r->offsets, 0);
    if (trained->segments[0].codes != NULL)
        NLSH_TRY(add_codes(r, trained, trained->segments[0].codes, error));
out:
    return status;
}

static int save_index(struct nlsh__sqlite_table *table, const struct nlsh_index *trained)
{
    enum nlsh_status status;
    struct nlsh_error error = {.status = NLSH_OK};
    struct rowless r = {.n = 0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    NLSH_TRY(make_rowless(&r, trained, &error));
    NLSH_TRY(nlsh__index_bytes(r.of, r.n, &bytes, &size, &error));
out:
    if (status != NLSH_OK) (void)nlsh__sqlite_failed(table, &error);
    int rc = status == NLSH_OK
                 ? nlsh__sqlite_put(table, NLSH__SQL_MODEL_PUT, NLSH__SQL_PART_INDEX, bytes, size)
                 : nlsh__sqlite_code(status);
    nlsh__free(bytes);
    nlsh__free(r.offsets);
    nlsh__free(r.codes);
    return rc;
}

/* Each bucket's mean [m][dim], in units of the inputs, of all its rows: the maker's own are of some of them, since it
 * has less time, and where codes say something of every component that is most of a new code's error. */
static enum nlsh_status exact_means(const struct nlsh_index *trained, float *means,
                                    struct nlsh_error *error)
{
    const struct nlsh__segment *s = &trained->segments[0];
    const struct nlsh__codes *codes = s->codes;
    size_t dim = trained->meta.dim, row_bytes = nlsh__index_row_bytes(trained);
    double *sum = NULL;
    const struct nlsh__rounding as = nlsh__index_rounding(trained);
    enum nlsh_status status;
    NLSH_TRY(nlsh__alloc(&sum, dim, sizeof *sum, error));
    for (size_t b = 0; b < trained->meta.n_buckets; b++) {
        size_t first = s->bucket_offsets[b], end = s->bucket_offsets[b + 1];
        memset(sum, 0, dim * sizeof *sum);
        for (size_t place = first; place < end; place++) {
            const char *row = (const char *)s->vectors + place * row_bytes;
            for (size_t d = 0; d < dim; d++)
                sum[d] += (double)nlsh__stored_value(&as, row, d) - (double)codes->mean[d];
        }
        for (size_t d = 0; d < dim; d++)
            means[b * dim + d] =
                end > first ? (float)(sum[d] * (double)codes->scale / (double)(end - first)) : 0;
    }
out:
    nlsh__free(sum);
    return status;
}

static int save_coder(struct nlsh__sqlite_table *table, const struct nlsh_index *trained)
{
    struct nlsh_error error = {.status = NLSH_OK};
    struct nlsh__row_maker maker;
    uint8_t *bytes = NULL;
    enum nlsh_status status = nlsh__row_maker_create(trained, &maker, &error);
    if (status == NLSH_OK && maker.means != NULL)
        status = exact_means(trained, maker.means, &error);
    if (status != NLSH_OK) {
        nlsh__row_maker_free(&maker);
        return nlsh__sqlite_failed(table, &error);
    }
    size_t means = maker.means != NULL
                       ? (size_t)trained->meta.n_buckets * trained->meta.dim * sizeof(float)
                       : 0;
    struct coder_header header = {.inside = maker.coder.inside,
                                  .outside = maker.coder.outside,
                                  .has_means = means > 0,
                                  .n_measured = (uint32_t)trained->meta.n_rows};
    int rc = SQLITE_NOMEM;
    if (nlsh__alloc(&bytes, sizeof header + means, 1, NULL) == NLSH_OK) {
        memcpy(bytes, &header, sizeof header);
        if (means > 0) memcpy(bytes + sizeof header, maker.means, means);
        rc = nlsh__sqlite_put(table, NLSH__SQL_MODEL_PUT, NLSH__SQL_PART_CODER, bytes,
                              sizeof header + means);
    }
    nlsh__free(bytes);
    nlsh__row_maker_free(&maker);
    return rc;
}

static int save_untaught(struct nlsh__sqlite_table *table, const struct nlsh_index *trained,
                         const int64_t *rowids)
{
    int64_t *untaught = NULL;
    size_t n = trained->meter.n;
    if (nlsh__alloc(&untaught, n, sizeof *untaught, NULL) != NLSH_OK) return SQLITE_NOMEM;
    for (size_t i = 0; i < n; i++) untaught[i] = rowids[trained->untaught[i]];
    int rc = nlsh__sqlite_put(table, NLSH__SQL_MODEL_PUT, NLSH__SQL_PART_UNTAUGHT, untaught,
                              n * sizeof *untaught);
    nlsh__free(untaught);
    return rc;
}

int nlsh__sqlite_model_save(struct nlsh__sqlite_table *table, const struct nlsh_index *trained,
                            const int64_t *rowids)
{
    int rc = save_index(table, trained);
    if (rc == SQLITE_OK) rc = save_coder(table, trained);
    return rc == SQLITE_OK ? save_untaught(table, trained, rowids) : rc;
}

/* Part 2 says how many rows there were when promises were measured. */
static int put_measured(struct nlsh__sqlite_table *table, size_t n_measured)
{
    struct coder_header header;
    uint8_t *bytes;
    size_t size;
    int rc = nlsh__sqlite_model_part(table, NLSH__SQL_PART_CODER, &bytes, &size);
    if (rc == SQLITE_OK && (bytes == NULL || size < sizeof header))
        rc = nlsh__sqlite_damaged(table, "what makes codes has another length");
    if (rc == SQLITE_OK && bytes != NULL) {
        memcpy(&header, bytes, sizeof header);
        header.n_measured = (uint32_t)n_measured;
        memcpy(bytes, &header, sizeof header);
        rc = nlsh__sqlite_put(table, NLSH__SQL_MODEL_PUT, NLSH__SQL_PART_CODER, bytes, size);
    }
    nlsh__free(bytes);
    return rc;
}

int nlsh__sqlite_model_recalibrate(struct nlsh__sqlite_table *table,
                                   const struct nlsh_index *measured)
{
    int rc = save_index(table, measured);
    if (rc == SQLITE_OK) rc = put_measured(table, (size_t)measured->meta.n_rows);
    return rc == SQLITE_OK ? nlsh__sqlite_model_replaced(table) : rc;
}

int nlsh__sqlite_model_replaced(struct nlsh__sqlite_table *table)
{
    do sqlite3_randomness(sizeof table->state.generation, &table->state.generation);
    while (table->state.generation == 0);
    table->state.changed = 0;
    int rc = nlsh__sqlite_put_state(table);
    nlsh__sqlite_forget(table);
    table->state.generation = 0;
    nlsh__sqlite_model_free(table->model);
    table->model = NULL;
    return rc;
}
