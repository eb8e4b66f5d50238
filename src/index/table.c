/*
 * table.c - the header and the table of sections, read from bytes that nobody vouches for. Every
 * number is checked before it is used; after this each section lies inside the map, behind the one
 * before it. Also the pass that compares every byte with a checksum.
 */
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "index/layout.h"

const struct nlsh__known_section nlsh__known_sections[NLSH__N_KNOWN] = {
    [0] = {"unknown", 0, 0},
    [NLSH__SECTION_META] = {"meta", NLSH__SECTION_REQUIRED, 0},
    [NLSH__SECTION_SETTINGS] = {"settings", NLSH__SECTION_REQUIRED, 0},
    [NLSH__SECTION_BUCKETS] = {"buckets", NLSH__SECTION_REQUIRED, 0},
    [NLSH__SECTION_IDS] = {"ids", NLSH__SECTION_REQUIRED, 0},
    [NLSH__SECTION_VECTORS] = {"vectors", NLSH__SECTION_REQUIRED, 0},
    [NLSH__SECTION_ROUTER] = {"router", NLSH__SECTION_REQUIRED, 0},
    [NLSH__SECTION_CALIBRATION] = {"calibration (old)", 0, 0},
    [NLSH__SECTION_CODES_1] = {"codes (old)", 0, 0},
    [NLSH__SECTION_METRIC] = {"metric", NLSH__SECTION_REQUIRED, 1},
    [NLSH__SECTION_CODES] = {"codes", 0, 0},
    [NLSH__SECTION_TARGETS] = {"targets", 0, 0},
    [NLSH__SECTION_LEAVES] = {"leaves", 0, 0},
};

static const char *const remedy = "copy the index again, or build it again";

const char *nlsh__section_name(uint32_t id)
{
    return nlsh__known_sections[id < NLSH__N_KNOWN ? id : 0].name;
}

uint64_t nlsh__index_checksum(const struct nlsh__index_header *header,
                              const struct nlsh__index_entry *entries)
{
    struct nlsh__hash hash;
    nlsh__hash_begin(&hash);
    nlsh__hash_add(&hash, header, offsetof(struct nlsh__index_header, checksum));
    nlsh__hash_add(&hash, entries, header->n_sections * sizeof *entries);
    return nlsh__hash_end(&hash);
}

static enum nlsh_status truncated(const char *path, uint64_t has, uint64_t needs,
                                  struct nlsh_error *error)
{
    return nlsh__fail(
        error, NLSH_E_DATA, remedy, "%s: cut short: it has %llu bytes and should have %s%llu", path,
        (unsigned long long)has, needs < 128 ? "at least " : "", (unsigned long long)needs);
}

/* The layouts of header and table hold for every version, so damage is told from novelty: first
 * the checksum, then the version. */
static enum nlsh_status check_header(const char *path, const struct nlsh__map *map,
                                     struct nlsh_error *error)
{
    struct nlsh__index_header header;
    if (map->size < sizeof header.magic ||
        memcmp(map->data, NLSH__INDEX_MAGIC, sizeof header.magic) != 0)
        return nlsh__index_other_kind(path, map, error);
    if (map->size < sizeof header) return truncated(path, map->size, sizeof header, error);
    memcpy(&header, map->data, sizeof header);
    uint64_t table_end =
        sizeof header + (uint64_t)header.n_sections * sizeof(struct nlsh__index_entry);
    if (header.n_sections < 1 || header.n_sections > NLSH__MAX_SECTIONS)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: the header is damaged: %u sections (1 to %u are possible)", path,
                          header.n_sections, NLSH__MAX_SECTIONS);
    if (map->size < table_end) return truncated(path, map->size, table_end, error);
    const void *table = map->data + sizeof header;
    if (nlsh__index_checksum(&header, table) != header.checksum)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: the header does not agree with its checksum", path);
    if (header.oldest_reader > NLSH__INDEX_VERSION)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "upgrade nlsh, or build the index again",
                          "%s: made by a newer nlsh: it needs a reader of format %u, and this one "
                          "reads up to %u",
                          path, header.oldest_reader, NLSH__INDEX_VERSION);
    if (header.oldest_reader < 1 || header.version < header.oldest_reader)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: the header contradicts itself: format %u, for readers from %u", path,
                          header.version, header.oldest_reader);
    if (map->size < header.file_size) return truncated(path, map->size, header.file_size, error);
    if (map->size > header.file_size)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: the index ends %llu bytes before the file does", path,
                          (unsigned long long)(map->size - header.file_size));
    return NLSH_OK;
}

/* One entry: behind the last one's end, inside the file, new, and known or not needed. */
static enum nlsh_status check_entry(const char *path, uint64_t file_size, uint64_t end,
                                    const struct nlsh__index_entry *entry,
                                    const struct nlsh__index_table *table, struct nlsh_error *error)
{
    const char *name = nlsh__section_name(entry->id);
    if (entry->offset < end || entry->offset > file_size ||
        entry->offset % NLSH__SECTION_ALIGN != 0 || entry->size > file_size - entry->offset)
        return nlsh__fail(error, NLSH_E_DATA, remedy,
                          "%s: section %s (id %u) cannot lie at %llu with %llu bytes", path, name,
                          entry->id, (unsigned long long)entry->offset,
                          (unsigned long long)entry->size);
    for (const struct nlsh__index_entry *e = table->entries; e < entry; e++)
        if (e->id == entry->id)
            return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: section %s (id %u) is there twice",
                              path, name, entry->id);
    int known = entry->id > 0 && entry->id < NLSH__N_KNOWN;
    if (!known && (entry->flags & NLSH__SECTION_REQUIRED) != 0)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "upgrade nlsh, or build the index again",
                          "%s: made by a newer nlsh: this one does not know its section %u", path,
                          entry->id);
    return NLSH_OK;
}

enum nlsh_status nlsh__index_read_table(const char *path, const struct nlsh__map *map,
                                        struct nlsh__index_table *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__index_header header;
    memset(out, 0, sizeof *out);
    NLSH_TRY(check_header(path, map, error));
    memcpy(&header, map->data, sizeof header);
    out->entries = (const void *)(map->data + sizeof header);
    out->n_entries = header.n_sections;
    uint64_t end = sizeof header + out->n_entries * sizeof *out->entries;
    for (size_t i = 0; i < out->n_entries; i++) {
        const struct nlsh__index_entry *entry = &out->entries[i];
        NLSH_TRY(check_entry(path, map->size, end, entry, out, error));
        end = entry->offset + entry->size;
        if (entry->id < NLSH__N_KNOWN) out->known[entry->id] = entry;
    }
    if (end != map->size)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: %llu bytes lie behind the last section",
                          path, (unsigned long long)(map->size - end));
    for (uint32_t id = 1; id < NLSH__N_KNOWN; id++)
        if (out->known[id] == NULL && (nlsh__known_sections[id].flags & NLSH__SECTION_REQUIRED) &&
            !nlsh__known_sections[id].may_be_absent)
            return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: there is no section %s", path,
                              nlsh__section_name(id));
out:
    return status;
}

enum nlsh_status nlsh__index_check_bytes(const char *path, const struct nlsh__map *map,
                                         const struct nlsh__index_table *table,
                                         struct nlsh_error *error)
{
    uint64_t end = sizeof(struct nlsh__index_header) + table->n_entries * sizeof *table->entries;
    for (size_t i = 0; i < table->n_entries; i++) {
        const struct nlsh__index_entry *entry = &table->entries[i];
        for (; end < entry->offset; end++)
            if (map->data[end] != 0)
                return nlsh__fail(error, NLSH_E_DATA, remedy,
                                  "%s: byte %llu, between two sections, is not zero", path,
                                  (unsigned long long)end);
        if (nlsh__hash_of(map->data + entry->offset, entry->size) != entry->checksum)
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: section %s (id %u, %llu bytes at %llu) does not agree with its "
                              "checksum",
                              path, nlsh__section_name(entry->id), entry->id,
                              (unsigned long long)entry->size, (unsigned long long)entry->offset);
        end = entry->offset + entry->size;
    }
    return NLSH_OK;
}
