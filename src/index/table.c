/*
 * table.c - the header and the table of sections, read from bytes that nobody vouches for. Every
 * number is checked before it is used; after this each section lies inside the map, behind the one
 * before it. Also the pass that compares every byte with a checksum.
 */
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "codes/leaves.h"
#include "index/layout.h"

#define REQUIRED NLSH__SECTION_REQUIRED

const struct nlsh__known_section nlsh__known_sections[NLSH__N_KNOWN] = {
    /* name, flags, version, of a segment, may be absent, oldest */
    [0] = {"unknown", 0, 0, 0, 1, 0},
    [NLSH__SECTION_META] = {"meta", REQUIRED, 0, 0, 0, 0},
    [NLSH__SECTION_SETTINGS] = {"settings", REQUIRED, 0, 0, 0, 0},
    [NLSH__SECTION_BUCKETS] = {"buckets", REQUIRED, 0, 1, 0, 0},
    [NLSH__SECTION_ROWS] = {"rows", REQUIRED, 0, 1, 0, 0},
    [NLSH__SECTION_VECTORS] = {"vectors", REQUIRED, 0, 1, 0, 0},
    [NLSH__SECTION_ROUTER] = {"router", REQUIRED, 0, 0, 0, 0},
    [NLSH__SECTION_CALIBRATION] = {"calibration (old)", 0, 0, 0, 1, 0},
    [NLSH__SECTION_CODES_1] = {"codes (old)", 0, 0, 0, 1, 0},
    [NLSH__SECTION_METRIC] = {"metric", REQUIRED, 0, 0, 1, 0},
    [NLSH__SECTION_CODES] = {"codes", 0, NLSH__CODES_VERSION, 1, 1, 1},
    [NLSH__SECTION_TARGETS] = {"targets", 0, 1, 0, 1, 0},
    [NLSH__SECTION_LEAVES] = {"leaves", 0, NLSH__LEAVES_VERSION, 1, 1, 1},
    [NLSH__SECTION_SEGMENT] = {"segment", REQUIRED, 0, 1, 1, 0},
    [NLSH__SECTION_KEYS] = {"keys", REQUIRED, 0, 1, 1, 0},
    [NLSH__SECTION_TOMBSTONES] = {"tombstones", REQUIRED, 0, 1, 1, 0},
    [NLSH__SECTION_MARGINS] = {"margins", 0, 0, 0, 1, 0},
    [NLSH__SECTION_EFFORTS] = {"efforts", 0, 0, 0, 1, 0},
    [NLSH__SECTION_OUTSIDE] = {"outside", 0, 0, 0, 1, 0},
    [NLSH__SECTION_LOG] = {"log", 0, 0, 0, 1, 0},
    [NLSH__SECTION_METER] = {"meter", 0, 0, 0, 1, 0},
    [NLSH__SECTION_SHARD] = {"shard", REQUIRED, 0, 0, 1, 0},
};

static const char *const remedy = NLSH__INDEX_REMEDY;

const char *nlsh__section_name(unsigned kind)
{
    return nlsh__known_sections[kind < NLSH__N_KNOWN ? kind : 0].name;
}

int nlsh__section_used(const struct nlsh__index_entry *entry)
{
    return entry->kind > 0 && entry->kind < NLSH__N_KNOWN &&
           entry->version <= nlsh__known_sections[entry->kind].version &&
           entry->kind != NLSH__SECTION_CALIBRATION && entry->kind != NLSH__SECTION_CODES_1;
}

const struct nlsh__index_entry *nlsh__index_find(const struct nlsh__index_table *table,
                                                 enum nlsh__section_kind kind, size_t segment)
{
    for (size_t i = 0; i < table->n_entries; i++) {
        const struct nlsh__index_entry *e = &table->entries[i];
        if (e->kind != (unsigned)kind || e->segment != segment) continue;
        int there = e->size > 0 || (nlsh__known_sections[kind].flags & REQUIRED) != 0;
        return there && nlsh__section_used(e) ? e : NULL;
    }
    return NULL;
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
    const char *name = nlsh__section_name(entry->kind);
    if (entry->offset < end || entry->offset > file_size ||
        entry->offset % NLSH__SECTION_ALIGN != 0 || entry->size > file_size - entry->offset)
        return nlsh__fail(
            error, NLSH_E_DATA, remedy,
            "%s: section %s (kind %u of segment %u) cannot lie at %llu with %llu bytes", path, name,
            entry->kind, entry->segment, (unsigned long long)entry->offset,
            (unsigned long long)entry->size);
    for (const struct nlsh__index_entry *e = table->entries; e < entry; e++)
        if (e->kind == entry->kind && e->segment == entry->segment)
            return nlsh__fail(error, NLSH_E_DATA, remedy,
                              "%s: section %s (kind %u of segment %u) is there twice", path, name,
                              entry->kind, entry->segment);
    if (!nlsh__section_used(entry) && (entry->flags & NLSH__SECTION_REQUIRED) != 0)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "upgrade nlsh, or build the index again",
                          "%s: made by a newer nlsh: this one does not know its section %u of "
                          "version %u",
                          path, entry->kind, entry->version);
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
    out->format = header.version;
    uint64_t end = sizeof header + out->n_entries * sizeof *out->entries;
    for (size_t i = 0; i < out->n_entries; i++) {
        const struct nlsh__index_entry *entry = &out->entries[i];
        NLSH_TRY(check_entry(path, map->size, end, entry, out, error));
        end = entry->offset + entry->size;
    }
    if (end != map->size)
        return nlsh__fail(error, NLSH_E_DATA, remedy, "%s: %llu bytes lie behind the last section",
                          path, (unsigned long long)(map->size - end));
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
                              "%s: section %s (kind %u of segment %u, %llu bytes at %llu) does "
                              "not agree with its checksum",
                              path, nlsh__section_name(entry->kind), entry->kind, entry->segment,
                              (unsigned long long)entry->size, (unsigned long long)entry->offset);
        end = entry->offset + entry->size;
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__index_check_current(const char *path, const struct nlsh__index_table *table,
                                           struct nlsh_error *error)
{
    int same = table->format == NLSH__INDEX_VERSION;
    for (size_t i = 0; i < table->n_entries && same; i++) {
        const struct nlsh__index_entry *e = &table->entries[i];
        same = nlsh__section_used(e) && e->version >= nlsh__known_sections[e->kind].oldest;
    }
    if (same) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_UNSUPPORTED, "build the index again with this nlsh",
                      "%s: written by another version of nlsh, so it is searched but not changed",
                      path);
}
