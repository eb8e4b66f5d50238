/* manifest.c - see manifest.h. */
#include "shards/manifest.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/output.h"
#include "index/layout.h"

#define FORMAT "nlsh shards"
#define VERSION 1

int nlsh__is_manifest(const char *path)
{
    struct nlsh__map map;
    char head[256] = {0};
    if (nlsh__map_open(path, &map, NULL) != NLSH_OK) return 0;
    if (map.size > 0) memcpy(head, map.data, map.size < sizeof head ? map.size : sizeof head - 1);
    nlsh__map_close(&map);
    return head[0] == '{' && strstr(head, FORMAT) != NULL;
}

enum nlsh_status nlsh__shard_path(const char *path, size_t i, char **out, struct nlsh_error *error)
{
    size_t size = strlen(path) + 32;
    enum nlsh_status status = nlsh__alloc(out, size, 1, error);
    if (status == NLSH_OK) snprintf(*out, size, "%s.%zu.nlsh", path, i);
    return status;
}

void nlsh__manifest_free(struct nlsh__manifest *m)
{
    for (size_t i = 0; m->shards != NULL && i < m->n; i++) nlsh__free(m->shards[i].path);
    nlsh__free(m->shards);
    *m = (struct nlsh__manifest){.n = 0};
}

void nlsh__shard_name(const struct nlsh_index *index, struct nlsh__named_shard *out)
{
    struct nlsh__index_header header;
    memcpy(&header, index->map.data, sizeof header);
    out->size = header.file_size;
    out->checksum = header.checksum;
    out->n_rows = index->meta.n_rows;
}

/* ---- read -------------------------------------------------------------------------------------- */

static enum nlsh_status wrong(const char *path, const char *what, struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, "write the shards again with `nlsh shard`",
                      "%s: as a manifest of shards it has no %s that serves", path, what);
}

/* A whole number that is there and not negative. */
static int take_number(const json_t *object, const char *name, uint64_t most, uint64_t *out)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0) return 0;
    *out = (uint64_t)json_integer_value(value);
    return *out <= most;
}

/* 16 hexadecimal digits. */
static int take_hash(const json_t *object, const char *name, uint64_t *out)
{
    const char *text = json_string_value(json_object_get(object, name));
    char *end;
    if (text == NULL || strlen(text) != 16) return 0;
    *out = strtoull(text, &end, 16);
    return *end == '\0';
}

/* Shards lie beside the manifest, under names without a folder. */
static enum nlsh_status take_shard(const char *path, const json_t *from,
                                   struct nlsh__named_shard *out, struct nlsh_error *error)
{
    const char *name = json_string_value(json_object_get(from, "file"));
    const char *slash = strrchr(path, '/');
    size_t folder = slash != NULL ? (size_t)(slash - path) + 1 : 0;
    if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL)
        return wrong(path, "name of a shard's file", error);
    if (!take_number(from, "bytes", INT64_MAX, &out->size) ||
        !take_number(from, "vectors", UINT32_MAX, &out->n_rows) ||
        !take_number(from, "buckets", UINT32_MAX, &out->n_buckets) ||
        !take_hash(from, "checksum", &out->checksum))
        return wrong(path, "size or checksum of a shard", error);
    enum nlsh_status status = nlsh__alloc(&out->path, folder + strlen(name) + 1, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(out->path, path, folder);
    memcpy(out->path + folder, name, strlen(name) + 1);
    return NLSH_OK;
}

static enum nlsh_status take_all(const char *path, const json_t *root, struct nlsh__manifest *out,
                                 struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    uint64_t version, dim, n_buckets;
    const char *format = json_string_value(json_object_get(root, "format"));
    const json_t *shards = json_object_get(root, "shards");
    if (format == NULL || strcmp(format, FORMAT) != 0)
        return wrong(path, "\"format\": \"" FORMAT "\"", error);
    if (!take_number(root, "version", INT64_MAX, &version)) return wrong(path, "version", error);
    if (version > VERSION)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "use the nlsh that wrote it",
                          "%s: a manifest of version %" PRIu64 ", and this nlsh reads %d", path,
                          version, VERSION);
    if (!take_number(root, "vectors", UINT32_MAX, &out->n_rows) ||
        !take_number(root, "dim", UINT32_MAX, &dim) ||
        !take_number(root, "buckets", UINT32_MAX, &n_buckets) ||
        !take_hash(root, "set", &out->set) || !take_hash(root, "data_hash", &out->data_hash))
        return wrong(path, "number of vectors, buckets or values, or hash,", error);
    size_t n = json_array_size(shards);
    if (n < 1 || n > NLSH__MOST_SHARDS) return wrong(path, "list of 1 to 1,024 shards", error);
    out->dim = (size_t)dim;
    out->n_buckets = (size_t)n_buckets;
    NLSH_TRY(nlsh__calloc(&out->shards, n, sizeof *out->shards, error));
    out->n = n;
    for (size_t i = 0; i < n; i++)
        NLSH_TRY(take_shard(path, json_array_get(shards, i), &out->shards[i], error));
out:
    return status;
}

enum nlsh_status nlsh__manifest_read(const char *path, struct nlsh__manifest *out,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__map map = {0};
    json_error_t where;
    json_t *root = NULL;
    *out = (struct nlsh__manifest){.n = 0};
    NLSH_TRY(nlsh__map_open(path, &map, error));
    root = json_loadb((const char *)map.data, map.size, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL) {
        status = nlsh__fail(error, NLSH_E_DATA, "write the shards again with `nlsh shard`",
                            "%s: no manifest of shards: line %d: %s", path, where.line, where.text);
        goto out;
    }
    NLSH_TRY(take_all(path, root, out, error));
out:
    json_decref(root);
    nlsh__map_close(&map);
    if (status != NLSH_OK) nlsh__manifest_free(out);
    return status;
}

/* ---- write ------------------------------------------------------------------------------------- */

static json_t *hash_json(uint64_t hash)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

static json_t *shard_json(const struct nlsh__named_shard *s)
{
    const char *slash = strrchr(s->path, '/');
    return json_pack("{s:s, s:I, s:o, s:I, s:I}", "file", slash != NULL ? slash + 1 : s->path,
                     "bytes", (json_int_t)s->size, "checksum", hash_json(s->checksum), "vectors",
                     (json_int_t)s->n_rows, "buckets", (json_int_t)s->n_buckets);
}

static char *manifest_text(const struct nlsh__manifest *m)
{
    json_t *shards = json_array();
    int failed = shards == NULL;
    for (size_t i = 0; i < m->n && !failed; i++)
        failed = json_array_append_new(shards, shard_json(&m->shards[i])) != 0;
    json_t *root = json_pack(
        "{s:s, s:i, s:o, s:I, s:o, s:I, s:I, s:O}", "format", FORMAT, "version", VERSION, "set",
        hash_json(m->set), "vectors", (json_int_t)m->n_rows, "data_hash", hash_json(m->data_hash),
        "dim", (json_int_t)m->dim, "buckets", (json_int_t)m->n_buckets, "shards", shards);
    char *text = failed || root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));
    json_decref(shards);
    json_decref(root);
    return text;
}

enum nlsh_status nlsh__manifest_write(const char *path, const struct nlsh__manifest *m,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *output = NULL;
    char *text = manifest_text(m);
    if (text == NULL) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
    NLSH_TRY(nlsh__output_open_file(path, &output, error));
    NLSH_TRY(nlsh__output_write(output, text, strlen(text), error));
    NLSH_TRY(nlsh__output_write(output, "\n", 1, error));
    status = nlsh__output_commit(output, error);
    output = NULL;
out:
    nlsh__output_abort(output);
    free(text);
    return status;
}
