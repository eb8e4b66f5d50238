/* cmd_add.c - `nlsh create`, `add`, `delete` and `compact`: an index and its log, from the command line. */
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "inputs.h"
#include "json.h"
#include "keys.h"
#include "numbers.h"
#include "output.h"
#include "signals.h"
#include "talk.h"
#include "verbs.h"

/* ---- create ---------------------------------------------------------------------------------- */

int cmd_create(const struct args *args)
{
    struct nlsh_error error = {0};
    const char *path = args_text(args, "i"), *stores = args_text(args, "stores");
    enum nlsh_type type = strcmp(stores, "u8") == 0     ? NLSH_U8
                          : strcmp(stores, "i8") == 0   ? NLSH_I8
                          : strcmp(stores, "f16") == 0  ? NLSH_F16
                          : strcmp(stores, "bf16") == 0 ? NLSH_BF16
                                                        : NLSH_F32;
    struct stat st;
    if (stat(path, &st) == 0)
        return talk_error(EXIT_CANNOT_WRITE, "name another file, or remove this one",
                          "%s is there already", path);
    if (nlsh_index_create(path, args_count(args, "dim"), type,
                          metric_named(args_text(args, "metric")), &error) != NLSH_OK)
        return talk_failed(&error);
    return 0;
}

/* ---- add ------------------------------------------------------------------------------------- */

/* What was asked to be put, and how far it came. */
struct adding {
    struct nlsh_writer *writer;
    struct loaded vectors;
    uint64_t *keys;
    size_t batch, done;
};

/* The caller's keys, or the next free ones. */
static int take_keys(const struct args *args, struct adding *a)
{
    size_t n = a->vectors.matrix.n_rows;
    if (args_given(args, "keys")) return keys_read(args_text(args, "keys"), n, &a->keys);
    a->keys = calloc(n > 0 ? n : 1, sizeof *a->keys);
    if (a->keys == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    uint64_t next = nlsh_writer_next_key(a->writer);
    for (size_t i = 0; i < n; i++) a->keys[i] = next + i;
    if (next > NLSH_NO_KEY - n)
        return talk_error(EXIT_BAD_DATA, "give keys with --keys",
                          "there are not %zu free keys above the largest one", n);
    return 0;
}

/* The library knows no file to name. */
static int check_dimension(const struct args *args, const struct adding *a)
{
    struct nlsh_error error = {0};
    struct nlsh_index *now;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    if (nlsh_writer_snapshot(a->writer, &now, &error) != NLSH_OK) return talk_failed(&error);
    (void)!nlsh_index_info(now, &info, NULL);
    nlsh_index_close(now);
    if (info.dim == a->vectors.matrix.dim) return 0;
    return talk_error(EXIT_BAD_DATA, "give vectors of the index's dimension",
                      "%s holds vectors of %zu values, the index %s of %zu", args_text(args, "d"),
                      a->vectors.matrix.dim, args_text(args, "i"), info.dim);
}

static int put_all(struct adding *a)
{
    struct nlsh_error error = {0};
    const struct nlsh_matrix *m = &a->vectors.matrix;
    while (a->done < m->n_rows) {
        size_t n = m->n_rows - a->done < a->batch ? m->n_rows - a->done : a->batch;
        const struct nlsh_matrix some = matrix_rows(m, a->done, n);
        if (nlsh_writer_put(a->writer, a->keys + a->done, &some, &error) != NLSH_OK) {
            int code = talk_failed(&error);
            talk_say("the first %zu vectors were put, those from %zu on were not", a->done,
                     a->done);
            return code;
        }
        a->done += n;
        if (talk_progress(NULL, "adding", a->done, m->n_rows) != 0 && a->done < m->n_rows) {
            talk_stage_end();
            talk_say("the first %zu of %zu vectors were put", a->done, m->n_rows);
            return talk_interrupted();
        }
    }
    return 0;
}

static int say_added(const struct args *args, const struct adding *a, const char *path)
{
    struct nlsh_error error = {0};
    struct nlsh_index *now;
    struct nlsh_index_info info = {.struct_size = sizeof info};
    char all[32], new[32];
    if (nlsh_writer_snapshot(a->writer, &now, &error) != NLSH_OK) return talk_failed(&error);
    (void)!nlsh_index_info(now, &info, NULL);
    nlsh_index_close(now);
    talk_stage_end();
    if (args_given(args, "json"))
        return print_json(json_pack("{s:o, s:I, s:I, s:o, s:I}", "file", json_name(path), "added",
                                    (json_int_t)a->done, "vectors", (json_int_t)info.n_rows,
                                    "first_key", a->done > 0 ? json_key(a->keys[0]) : json_null(),
                                    "log_bytes", (json_int_t)info.log_bytes));
    talk_say("%s: %s vectors were put; it holds %s now", path, text_count(a->done, new),
             text_count(info.n_rows, all));
    int rounds = info.type == NLSH_F16 || info.type == NLSH_BF16 || info.store_scale > 0;
    if (rounds && a->vectors.matrix.type == NLSH_F32)
        talk_say("the index keeps floats as %s: their values were rounded to that",
                 info.store_scale > 0 ? "bytes with a scale" : type_name(info.type));
    return 0;
}

int cmd_add(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_writer_options options;
    struct adding a = {.batch = args_count(args, "batch")};
    const char *path = args_text(args, "i");
    int code = load_vectors(args_text(args, "d"), vectors_type(args), &a.vectors);
    if (code != 0) return code;
    nlsh_writer_options_init(&options, sizeof options);
    if (strcmp(args_text(args, "sync"), "end") == 0) options.sync = NLSH_SYNC_FLUSH;
    if (nlsh_writer_open(path, &options, &a.writer, &error) != NLSH_OK) {
        code = talk_failed(&error);
    } else {
        code = check_dimension(args, &a);
        if (code == 0) code = take_keys(args, &a);
        if (code == 0) code = put_all(&a);
        if (code == 0 && nlsh_writer_flush(a.writer, &error) != NLSH_OK) code = talk_failed(&error);
        if (code == 0) code = say_added(args, &a, path);
    }
    if (nlsh_writer_close(a.writer, &error) != NLSH_OK && code == 0) code = talk_failed(&error);
    free(a.keys);
    loaded_free(&a.vectors);
    return code;
}

/* ---- delete ---------------------------------------------------------------------------------- */

static int key_of_word(const char *word, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(word, &end, 10);
    if (isdigit((unsigned char)word[0]) && *end == '\0' && errno == 0 && *out != NLSH_NO_KEY)
        return 0;
    return talk_error(EXIT_USAGE, "keys are whole numbers from 0 to 18446744073709551614",
                      "%s is no key", word);
}

static int keys_to_delete(const struct args *args, uint64_t **keys, size_t *n)
{
    bool file = args_given(args, "keys");
    if (file == (args->n_words > 0))
        return talk_error(EXIT_USAGE, "name keys behind the command, or a file with --keys",
                          file ? "keys are given twice, as words and with --keys"
                               : "no keys are given");
    if (file) return keys_list(args_text(args, "keys"), keys, n);
    *n = args->n_words;
    *keys = malloc(*n * sizeof **keys);
    if (*keys == NULL) return talk_error(EXIT_BUG, NULL, "out of memory");
    for (size_t i = 0; i < *n; i++) {
        int code = key_of_word(args->words[i], *keys + i);
        if (code != 0) return code;
    }
    return 0;
}

int cmd_delete(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_writer *writer = NULL;
    uint64_t *keys = NULL;
    size_t n = 0, deleted = 0;
    char some[32], all[32];
    const char *path = args_text(args, "i");
    int code = keys_to_delete(args, &keys, &n);
    if (code == 0 && (nlsh_writer_open(path, NULL, &writer, &error) != NLSH_OK ||
                      nlsh_writer_delete(writer, keys, n, &deleted, &error) != NLSH_OK))
        code = talk_failed(&error);
    if (nlsh_writer_close(writer, &error) != NLSH_OK && code == 0) code = talk_failed(&error);
    free(keys);
    if (code != 0) return code;
    if (args_given(args, "json"))
        return print_json(json_pack("{s:o, s:I, s:I}", "file", json_name(path), "keys",
                                    (json_int_t)n, "deleted", (json_int_t)deleted));
    talk_say("%s: %s of %s vectors were deleted%s", path, text_count(deleted, some),
             text_count(n, all), deleted < n ? "; the others were not there" : "");
    return 0;
}

/* ---- compact --------------------------------------------------------------------------------- */

static int say_compacted(const struct args *args, const char *path,
                         const struct nlsh_compact_report *r)
{
    static const char *const words[] = {"nothing", "merged", "retrained"};
    char rows[32], new[32], gone[32];
    talk_stage_end();
    if (args_given(args, "json"))
        return print_json(json_pack("{s:o, s:s, s:I, s:I, s:I, s:b}", "file", json_name(path),
                                    "done", words[r->done], "vectors", (json_int_t)r->n_rows,
                                    "from_log", (json_int_t)r->log_rows, "dropped",
                                    (json_int_t)r->n_dropped, "measured", r->measured));
    if (r->done == NLSH_COMPACT_NOTHING) {
        talk_say("%s: nothing is due; the log holds %s of %s vectors", path,
                 text_count(r->log_rows, new), text_count(r->n_rows, rows));
        return 0;
    }
    talk_say(
        "%s: one file of %s vectors; the log held %s, and %s that were deleted or replaced are "
        "gone",
        path, text_count(r->n_rows, rows), text_count(r->log_rows, new),
        text_count(r->n_dropped, gone));
    if (r->done == NLSH_COMPACT_RETRAINED)
        talk_say("buckets and router were learned anew");
    else if (r->measured)
        talk_say("what a recall takes was measured anew");
    return 0;
}

int cmd_compact(const struct args *args)
{
    struct nlsh_error error = {0};
    struct nlsh_compact_options options;
    struct nlsh_compact_report report = {.struct_size = sizeof report};
    struct nlsh_run run;
    const char *path = args_text(args, "i");
    nlsh_compact_options_init(&options, sizeof options);
    options.retrain = args_given(args, "retrain");
    options.automatic = args_given(args, "auto");
    options.drop_damaged = args_given(args, "drop_damaged");
    run_init(args, &run);
    if (nlsh_compact(path, &options, &run, &report, &error) != NLSH_OK) return talk_failed(&error);
    return say_compacted(args, path, &report);
}
