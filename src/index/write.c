/*
 * write.c - an index file, written in one pass: room for header and table, then the sections,
 * hashed as they are written, then header and table into their place. Until the commit the target
 * is what it was; a file whose header was never filled in begins with zeros, which no reader takes.
 * Layout: docs/index-format.md.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/output.h"
#include "index/layout.h"

/* A piece is hashed and then written while it is in the cache. */
#define PIECE ((size_t)1 << 18)

/* An entry but for its checksum. */
static struct nlsh__index_entry entry_of(const struct nlsh__section_data *section, uint64_t offset)
{
    struct nlsh__index_entry entry = {.kind = (uint16_t)section->kind,
                                      .segment = (uint16_t)section->segment,
                                      .offset = offset,
                                      .size = section->size};
    if (entry.kind < NLSH__N_KNOWN) {
        entry.flags = nlsh__known_sections[entry.kind].flags;
        entry.version = nlsh__known_sections[entry.kind].version;
    }
    return entry;
}

static enum nlsh_status write_section(struct nlsh__output *output,
                                      const struct nlsh__section_data *section,
                                      struct nlsh__index_entry *entry, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__hash hash;
    NLSH_TRY(nlsh__output_align(output, NLSH__SECTION_ALIGN, error));
    *entry = entry_of(section, nlsh__output_offset(output));
    nlsh__hash_begin(&hash);
    const uint8_t *p = section->data;
    for (size_t left = section->size; left > 0;) {
        size_t n = left < PIECE ? left : PIECE;
        nlsh__hash_add(&hash, p, n);
        NLSH_TRY(nlsh__output_write(output, p, n, error));
        p += n;
        left -= n;
    }
    entry->checksum = nlsh__hash_end(&hash);
out:
    return status;
}

/* What no reader would take is our bug: better here than in the user's file. */
static enum nlsh_status check_sections(const struct nlsh__section_data *sections, size_t n_sections,
                                       struct nlsh_error *error)
{
    if (n_sections < 1 || n_sections > NLSH__MAX_SECTIONS)
        return nlsh__fail(error, NLSH_E_INTERNAL, "please report this",
                          "an index of %zu sections was to be written", n_sections);
    for (size_t i = 0; i < n_sections; i++)
        for (size_t j = 0; j < i; j++)
            if (sections[i].kind == sections[j].kind && sections[i].segment == sections[j].segment)
                return nlsh__fail(error, NLSH_E_INTERNAL, "please report this",
                                  "section %s of segment %u was to be written twice",
                                  nlsh__section_name((unsigned)sections[i].kind),
                                  sections[i].segment);
    return NLSH_OK;
}

/* A whole index file, but not in its place yet. Freed by the caller in any case. */
static enum nlsh_status write_all(const char *path, const struct nlsh__section_data *sections,
                                  size_t n_sections, struct nlsh__output **output,
                                  struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__index_entry *entries = NULL;
    struct nlsh__index_header header = {.version = NLSH__INDEX_VERSION,
                                        .oldest_reader = NLSH__INDEX_OLDEST_READER,
                                        .n_sections = (uint32_t)n_sections};
    NLSH_TRY(check_sections(sections, n_sections, error));
    NLSH_TRY(nlsh__calloc(&entries, n_sections, sizeof *entries, error));
    NLSH_TRY(nlsh__output_open_file(path, output, error));
    /* entries and the header's magic are zero as yet */
    NLSH_TRY(nlsh__output_write(*output, &(struct nlsh__index_header){.version = 0}, sizeof header,
                                error));
    NLSH_TRY(nlsh__output_write(*output, entries, n_sections * sizeof *entries, error));
    for (size_t i = 0; i < n_sections; i++)
        NLSH_TRY(write_section(*output, &sections[i], &entries[i], error));

    memcpy(header.magic, NLSH__INDEX_MAGIC, sizeof header.magic);
    header.file_size = nlsh__output_offset(*output);
    header.checksum = nlsh__index_checksum(&header, entries);
    NLSH_TRY(
        nlsh__output_patch(*output, sizeof header, entries, n_sections * sizeof *entries, error));
    NLSH_TRY(nlsh__output_patch(*output, 0, &header, sizeof header, error));
out:
    nlsh__free(entries);
    return status;
}

enum nlsh_status nlsh__index_write(const char *path, const struct nlsh__section_data *sections,
                                   size_t n_sections, struct nlsh_error *error)
{
    struct nlsh__output *output = NULL;
    enum nlsh_status status = write_all(path, sections, n_sections, &output, error);
    if (status == NLSH_OK) return nlsh__output_commit(output, error);
    nlsh__output_abort(output);
    return status;
}

static size_t aligned(size_t size)
{
    return (size + NLSH__SECTION_ALIGN - 1) / NLSH__SECTION_ALIGN * NLSH__SECTION_ALIGN;
}

enum nlsh_status nlsh__index_bytes(const struct nlsh__section_data *sections, size_t n_sections,
                                   uint8_t **out, size_t *size, struct nlsh_error *error)
{
    enum nlsh_status status;
    uint8_t *bytes = NULL;
    size_t at = sizeof(struct nlsh__index_header) + n_sections * sizeof(struct nlsh__index_entry);
    struct nlsh__index_header header = {.version = NLSH__INDEX_VERSION,
                                        .oldest_reader = NLSH__INDEX_OLDEST_READER,
                                        .n_sections = (uint32_t)n_sections};
    *out = NULL;
    NLSH_TRY(check_sections(sections, n_sections, error));
    size_t end = at;
    for (size_t i = 0; i < n_sections; i++) end = aligned(end) + sections[i].size;
    NLSH_TRY(nlsh__calloc(&bytes, end, 1, error));
    struct nlsh__index_entry *entries = (void *)(bytes + sizeof header);
    for (size_t i = 0; i < n_sections; i++) {
        at = aligned(at);
        entries[i] = entry_of(&sections[i], at);
        entries[i].checksum = nlsh__hash_of(sections[i].data, sections[i].size);
        if (sections[i].size > 0) memcpy(bytes + at, sections[i].data, sections[i].size);
        at += sections[i].size;
    }
    memcpy(header.magic, NLSH__INDEX_MAGIC, sizeof header.magic);
    header.file_size = end;
    header.checksum = nlsh__index_checksum(&header, entries);
    memcpy(bytes, &header, sizeof header);
    *out = bytes;
    *size = end;
out:
    return status;
}

enum nlsh_status nlsh__index_try(const char *path, const struct nlsh__section_data *sections,
                                 size_t n_sections, int resident, nlsh__index_use_fn *use,
                                 void *user, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *output = NULL;
    struct nlsh_index *index = NULL;
    NLSH_TRY(write_all(path, sections, n_sections, &output, error));
    const struct nlsh__source_of_index source = {.name = nlsh__output_temporary(output),
                                                 .resident = resident};
    NLSH_TRY(nlsh__index_load(&source, &index, error));
    status = use(user, index, error);
out:
    nlsh__index_free(index);
    nlsh__output_abort(output);
    return status;
}
