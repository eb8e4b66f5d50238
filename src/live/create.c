/*
 * create.c - nlsh_index_create(): an index that holds nothing yet.
 *
 * It has one bucket, and a router that says so. What is put is compared exactly until there is enough to learn buckets
 * from, which nlsh_compact() does.
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "index/layout.h"
#include "kernels/kernels.h"
#include "live/beside.h"
#include "router/router.h"

/* A network of one layer with one output: its answer is always 1. */
static enum nlsh_status make_router(size_t dim, uint8_t **bytes, size_t *size,
                                    struct nlsh_error *error)
{
    struct nlsh__router_layout layout;
    struct nlsh__router_header h = {
        .dim = (uint32_t)dim, .n_layers = 1, .scale = 1, .sizes = {(uint32_t)dim, 1}};
    memcpy(h.magic, NLSH__ROUTER_MAGIC, sizeof h.magic);
    int fits = nlsh__router_layout(&h, &layout) == 0;
    enum nlsh_status status = nlsh__calloc(bytes, fits ? layout.size : SIZE_MAX, 1, error);
    if (status != NLSH_OK) return status;
    h.size_bytes = layout.size;
    memcpy(*bytes, &h, sizeof h);
    *size = layout.size;
    return NLSH_OK;
}

/* The data hash of no rows: docs/index-format.md. */
static uint64_t hash_of_none(enum nlsh_type type, size_t dim)
{
    const uint64_t head[3] = {type, dim, 0};
    return nlsh__hash_of(head, sizeof head);
}

/* Bytes with a scale are not among them: without vectors there is none. */
static int is_of_floats(enum nlsh_type type)
{
    return type == NLSH_F32 || type == NLSH_F16 || type == NLSH_BF16;
}

static enum nlsh_status check(const char *path, size_t dim, enum nlsh_type type,
                              enum nlsh_metric metric, struct nlsh_error *error)
{
    int bytes = type == NLSH_U8 || type == NLSH_I8;
    size_t most = bytes ? NLSH__MAX_DIM_U8 : NLSH__MAX_DIM;
    if (path == NULL || path[0] == '\0')
        return nlsh__fail(error, NLSH_E_ARG, "name the file to make", "no index file was named");
    if (!bytes && !is_of_floats(type))
        return nlsh__fail(error, NLSH_E_ARG, "take u8, i8, f16, bf16 or f32",
                          "an index stores no %s", nlsh__type_name(type));
    if (metric < NLSH_L2 || metric > NLSH_COSINE)
        return nlsh__fail(error, NLSH_E_ARG, "take l2, ip or cosine", "metric is %d", (int)metric);
    if (metric != NLSH_L2 && bytes)
        return nlsh__fail(error, NLSH_E_ARG, "take f32, f16 or bf16: bytes may be put all the same",
                          "with metric %s an index stores floats, not %s", nlsh_metric_name(metric),
                          nlsh__type_name(type));
    if (dim < 1 || dim > most)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "dimension %zu: not between 1 and %zu", dim,
                          most);
    return NLSH_OK;
}

static enum nlsh_status write(const char *path, size_t dim, enum nlsh_type type,
                              enum nlsh_metric metric, struct nlsh_error *error)
{
    static const uint32_t offsets[2] = {0, 0};
    uint8_t *router = NULL;
    size_t router_size, n = 0;
    char settings[64];
    int floats = is_of_floats(type);
    enum nlsh_type source = floats ? NLSH_F32 : type;
    const struct nlsh__meta meta = {.data_hash = hash_of_none(source, dim),
                                    .dim = (uint32_t)dim,
                                    .n_buckets = 1,
                                    .source_type = source,
                                    .storage_type = floats ? type : NLSH_U8,
                                    .n_segments = 1};
    const struct nlsh__metric_meta of_metric = {.metric = metric, .query_norm = 1};
    const struct nlsh__segment_meta segment = {.data_hash = meta.data_hash,
                                               .stored_hash = hash_of_none(NLSH_U8, dim)};
    struct nlsh__beside beside;
    struct nlsh__log_taken taken;
    enum nlsh_status status;
    NLSH_TRY(nlsh__beside_begin(path, &beside, error));
    NLSH_TRY(make_router(dim, &router, &router_size, error));
    snprintf(settings, sizeof settings, "{\"metric\": \"%s\"}", nlsh_metric_name(metric));
    struct nlsh__section_data s[9];
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_META, 0, &meta, sizeof meta};
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_SETTINGS, 0, settings, strlen(settings) + 1};
    if (metric != NLSH_L2)
        s[n++] = (struct nlsh__section_data){NLSH__SECTION_METRIC, 0, &of_metric, sizeof of_metric};
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_ROUTER, 0, router, router_size};
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_SEGMENT, 0, &segment, sizeof segment};
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_BUCKETS, 0, offsets, sizeof offsets};
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_ROWS, 0, offsets, 0};
    s[n++] = (struct nlsh__section_data){NLSH__SECTION_VECTORS, 0, offsets, 0};
    taken = nlsh__beside_is_over(&beside);
    if (beside.log != 0) /* of an index that is to be replaced */
        s[n++] = (struct nlsh__section_data){NLSH__SECTION_LOG, 0, &taken, sizeof taken};
    NLSH_TRY(nlsh__index_write(path, s, n, error));
    NLSH_TRY(nlsh__beside_restart(&beside, path, error));
out:
    nlsh__beside_end(&beside);
    nlsh__free(router);
    return status;
}

enum nlsh_status nlsh_index_create(const char *path, size_t dim, enum nlsh_type type,
                                   enum nlsh_metric metric, struct nlsh_error *error)
{
    nlsh__error_clear(error);
    enum nlsh_status status = check(path, dim, type, metric, error);
    return status == NLSH_OK ? write(path, dim, type, metric, error) : status;
}
