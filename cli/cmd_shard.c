/* cmd_shard.c - `nlsh shard`: an index cut into files, for several machines. */
#include <jansson.h>
#include <stdio.h>

#include "inputs.h"
#include "json.h"
#include "numbers.h"
#include "output.h"
#include "shards.h"
#include "shards/cut.h"
#include "talk.h"
#include "text.h"
#include "verbs.h"

static json_t *shards_json(const struct nlsh__manifest *m)
{
    json_t *array = json_array();
    for (size_t i = 0; i < m->n; i++)
        json_add(&array, json_pack("{s:o, s:I, s:I, s:I}", "file", json_name(m->shards[i].path),
                                   "bytes", (json_int_t)m->shards[i].size, "vectors",
                                   (json_int_t)m->shards[i].n_rows, "buckets",
                                   (json_int_t)m->shards[i].n_buckets));
    return array;
}

static json_t *manifest_json(const char *path, const struct nlsh__manifest *m)
{
    return json_pack("{s:o, s:I, s:I, s:I, s:o}", "file", json_name(path), "vectors",
                     (json_int_t)m->n_rows, "dim", (json_int_t)m->dim, "buckets",
                     (json_int_t)m->n_buckets, "shards", shards_json(m));
}

int info_shards(const char *path, bool json)
{
    struct nlsh_error error = {0};
    struct nlsh__manifest m;
    char name[4096], a[32], b[32], c[32];
    if (nlsh__manifest_read(path, &m, &error) != NLSH_OK) return talk_failed(&error);
    if (json) {
        int code = print_json(manifest_json(path, &m));
        nlsh__manifest_free(&m);
        return code;
    }
    printf("file          %s, which names %zu shards\nvectors       %s x %zu in %s buckets\n",
           text_shown(path, name, sizeof name), m.n, text_count(m.n_rows, a), m.dim,
           text_count(m.n_buckets, b));
    for (size_t i = 0; i < m.n; i++)
        printf("%-13s %s: %s vectors in %s buckets, %s\n", i == 0 ? "shards" : "",
               text_shown(m.shards[i].path, name, sizeof name), text_count(m.shards[i].n_rows, a),
               text_count(m.shards[i].n_buckets, b), text_bytes(m.shards[i].size, c));
    nlsh__manifest_free(&m);
    return finish_stdout();
}

static int say(const struct args *args, const char *path, const struct nlsh__manifest *m)
{
    char name[4096], a[32], b[32], c[32];
    uint64_t most = 0, least = UINT64_MAX;
    for (size_t i = 0; i < m->n; i++) {
        if (m->shards[i].n_rows > most) most = m->shards[i].n_rows;
        if (m->shards[i].n_rows < least) least = m->shards[i].n_rows;
    }
    talk_stage_end();
    talk_say("%s: %zu shard%s of %s vectors, %s to %s each", text_shown(path, name, sizeof name),
             m->n, m->n == 1 ? "" : "s", text_count(m->n_rows, a), text_count(least, b),
             text_count(most, c));
    if (!args_given(args, "json")) return 0;
    return print_json(manifest_json(path, m));
}

int cmd_shard(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_index *index;
    struct nlsh__manifest manifest;
    const char *path = args_text(args, "i"), *out = args_text(args, "o");
    int code = output_check_file(out, "-o", &path, 1);
    if (code != 0) return code;
    if (nlsh_index_open(path, NULL, &index, &error) != NLSH_OK) return talk_failed(&error);
    enum nlsh_status status = nlsh__cut_index(index, (uint32_t)args_count(args, "shards"), out,
                                              talk_progress, &manifest, &error);
    nlsh_index_close(index);
    if (status != NLSH_OK) return talk_failed(&error);
    code = say(args, out, &manifest);
    nlsh__manifest_free(&manifest);
    return code;
}
