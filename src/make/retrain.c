/*
 * retrain.c - see retrain.h.
 *
 * nlsh_build() writes an index that knows of no log. So it writes beside the file, and its sections become the new file
 * together with the one about the log.
 */
#include "make/retrain.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "index/layout.h"
#include "make/kept.h"
#include "make/resolve.h"
#include "make/settings.h"
#include "vectors/values.h"

/* The index at built, and what the writer's log is to it, in place of the writer's file. */
static enum nlsh_status take_place(const struct nlsh_writer *writer, const char *built,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *index = NULL;
    struct nlsh__index_table table;
    struct nlsh__section_data *sections = NULL;
    const struct nlsh__log_taken taken = nlsh__writer_taken(writer);
    NLSH_TRY(nlsh__index_load(&(struct nlsh__source_of_index){.name = built}, &index, error));
    NLSH_TRY(nlsh__index_read_table(built, &index->map, &table, error));
    NLSH_TRY(nlsh__alloc(&sections, table.n_entries + 1, sizeof *sections, error));
    for (size_t i = 0; i < table.n_entries; i++) {
        const struct nlsh__index_entry *e = &table.entries[i];
        sections[i] = (struct nlsh__section_data){(enum nlsh__section_kind)e->kind, e->segment,
                                                  index->map.data + e->offset, (size_t)e->size};
    }
    sections[table.n_entries] =
        (struct nlsh__section_data){NLSH__SECTION_LOG, 0, &taken, sizeof taken};
    NLSH_TRY(
        nlsh__index_write(nlsh__writer_file(writer)->path, sections, table.n_entries + 1, error));
out:
    nlsh__free(sections);
    nlsh__index_free(index);
    return status;
}

enum nlsh_status nlsh__retrain(const struct nlsh_writer *writer, const struct nlsh__gathered *rows,
                               const struct nlsh__job *job, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *file = nlsh__writer_file(writer);
    struct nlsh_build_options options;
    struct nlsh_matrix base = rows->rows;
    int is_signed = file->meta.source_type == NLSH_I8;
    size_t n_bytes = base.n_rows * base.dim;
    char *built = NULL;
    NLSH_TRY(nlsh__alloc(&built, strlen(file->path) + sizeof "-retrained", 1, error));
    sprintf(built, "%s-retrained", file->path);
    nlsh_build_options_init(&options, sizeof options);
    NLSH_TRY(nlsh__settings_of(file->path, file->settings, &options, error));
    options.metric = file->metric;
    if (file->meta.storage_type != NLSH_U8) /* what comes later is kept as what came */
        options.store = nlsh__store_of_type((enum nlsh_type)file->meta.storage_type);
    if (file->meta.storage_type == NLSH_I8) /* another scale would round again */
        options.store_scale = file->meta.scale;
    if (file->meter.n_trained > 0) nlsh__unresolve(file->meter.n_trained, &options);
    if (rows->keyed) options.keys = rows->keys;
    if (is_signed) {
        nlsh__flip_sign(rows->memory, n_bytes, rows->memory);
        base.type = NLSH_I8;
    }
    status = nlsh_build(&base, &options, built, &job->run, NULL, error);
    if (is_signed) nlsh__flip_sign(rows->memory, n_bytes, rows->memory);
    if (status == NLSH_OK) status = take_place(writer, built, error);
    (void)unlink(built);
out:
    nlsh__free(built);
    return status;
}
