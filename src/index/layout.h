/*
 * layout.h - the index file's bytes (docs/index-format.md), and the steps of reading it that
 * opening and verifying share.
 */
#ifndef NLSH_INDEX_LAYOUT_H
#define NLSH_INDEX_LAYOUT_H

#include "index/index.h"

/* Sections are used where they lie in the map. A big-endian reader would have to copy and swap
 * them; nobody has asked for that yet. */
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "nlsh maps little-endian files as they are and has no code for big-endian processors"
#endif

#define NLSH__INDEX_MAGIC "\x89NLSH\r\n\x1a"
#define NLSH__INDEX_VERSION 3u
#define NLSH__INDEX_OLDEST_READER 3u
#define NLSH__MAX_SECTIONS 1024u
#define NLSH__MAX_SEGMENTS 256u
#define NLSH__SECTION_ALIGN 64u
#define NLSH__SECTION_REQUIRED 1u

struct nlsh__index_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t oldest_reader;
    uint64_t file_size;
    uint32_t n_sections;
    uint8_t reserved[28];
    uint64_t checksum; /* of the bytes in front of it, and the table */
};

/* In format 2 kind and segment were one id of 32 bits, below 65,536, and version belonged to flags, always
 * 0: a table of format 2 is one of a single segment with sections of version 0. */
struct nlsh__index_entry {
    uint16_t kind;
    uint16_t segment; /* 0 also where a section belongs to all */
    uint16_t flags;
    uint16_t version; /* of the section's layout */
    uint64_t offset;
    uint64_t size;
    uint64_t checksum;
};

_Static_assert(sizeof(struct nlsh__index_header) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__index_entry) == 32, "no padding");
_Static_assert(sizeof(struct nlsh__meta) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__metric_meta) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__segment_meta) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__targets_header) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__efforts_header) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__outside_header) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__effort_point) == 16, "no padding");
_Static_assert(sizeof(struct nlsh__margins_header) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__log_taken) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__meter_header) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__shard_header) == 64, "no padding");

/* Kinds 1 to NLSH__N_KNOWN - 1 are known. */
#define NLSH__N_KNOWN 22

struct nlsh__known_section {
    const char *name;
    uint16_t flags;
    uint16_t version;  /* the newest layout that is read, and the one that is written */
    int of_segment;    /* 1: each segment has its own */
    int may_be_absent; /* required where it is there: readers that do not know it must refuse */
    uint16_t oldest;   /* layout of which an index may still be changed */
};
extern const struct nlsh__known_section nlsh__known_sections[NLSH__N_KNOWN];

/* "vectors"; "unknown" for a kind of the future. */
const char *nlsh__section_name(unsigned kind);

/* Over the header (but for its checksum) and the table behind it. */
uint64_t nlsh__index_checksum(const struct nlsh__index_header *header,
                              const struct nlsh__index_entry *entries);

/* A file that was mapped, with a header and a table that hold. */
struct nlsh__index_table {
    const struct nlsh__index_entry *entries; /* in the map */
    size_t n_entries;
    unsigned format; /* version of the file's format */
};

/* Whether a section is read: of a known kind, and no newer than we know. */
int nlsh__section_used(const struct nlsh__index_entry *entry);

/* The section of a kind and segment, if it is used; NULL where there is none. An empty one is none, but not of
 * a kind that is required: without its bytes the index would mean something else. */
const struct nlsh__index_entry *nlsh__index_find(const struct nlsh__index_table *table,
                                                 enum nlsh__section_kind kind, size_t segment);

/* Checks header and table: O(sections^2). path is for messages. */
enum nlsh_status nlsh__index_read_table(const char *path, const struct nlsh__map *map,
                                        struct nlsh__index_table *out, struct nlsh_error *error);

/* Whether all sections are of the versions that are written: others would have to be written as they were, in a copy
 * of the file with something changed. NLSH_E_UNSUPPORTED. */
enum nlsh_status nlsh__index_check_current(const char *path, const struct nlsh__index_table *table,
                                           struct nlsh_error *error);

/* Reads the file and compares checksums and padding. */
enum nlsh_status nlsh__index_check_bytes(const char *path, const struct nlsh__map *map,
                                         const struct nlsh__index_table *table,
                                         struct nlsh_error *error);

/* Checks every row of an index that opens: floats are finite, the vectors those that each segment's hash was
 * made of, and no key of a row that was not deleted is there twice. O(rows x dim). */
enum nlsh_status nlsh__index_check_rows(const struct nlsh_index *index, struct nlsh_error *error);

/* nlsh_data_hash() of a segment's base, put together again: by row, signed bytes shifted back. Under another metric than
 * L2, of the rows that are stored. place_of [n_rows] by row. Of the index only meta and metric count. */
enum nlsh_status nlsh__hash_rows(const struct nlsh_index *index,
                                 const struct nlsh__segment *segment, const uint32_t *place_of,
                                 uint64_t *out, struct nlsh_error *error);

/* Where an index comes from, and how much of it is read. */
struct nlsh__source_of_index {
    const char *name; /* the file, or only a name */
    /* NULL: the file is mapped. Else its content, aligned to 64, in memory that outlives the index. Tests use
     * it too: a sanitizer sees the end of memory to the byte, that of a map to the page. */
    const struct nlsh__map *bytes;
    int whole;    /* 1: everything that verify reads as well */
    int resident; /* 1: all sections but the vectors are copied into memory of our own */
};
enum nlsh_status nlsh__index_load(const struct nlsh__source_of_index *source,
                                  struct nlsh_index **out, struct nlsh_error *error);

/* Sections on their way into an index: the table, and where each one's bytes are read. */
struct nlsh__sections {
    struct nlsh__index_table table;
    const uint8_t **at; /* [table.n_entries] */
};

/* A section of count x size bytes. *out is NULL where it is not there and may_be_absent says that it need not
 * be. NLSH_E_DATA names index->path and the section. */
enum nlsh_status nlsh__section_take(const struct nlsh_index *index,
                                    const struct nlsh__sections *sections,
                                    enum nlsh__section_kind kind, size_t segment, uint64_t count,
                                    size_t size, const void **out, struct nlsh_error *error);
/* The same of any size; version is that of its layout. */
enum nlsh_status nlsh__section_blob(const struct nlsh_index *index,
                                    const struct nlsh__sections *sections,
                                    enum nlsh__section_kind kind, size_t segment, const void **out,
                                    size_t *size, unsigned *version, struct nlsh_error *error);

/* Into index: meta, metric and settings; targets, efforts and margins; the i-th segment, behind the router; and behind the
 * segments what the file is a part of. */
enum nlsh_status nlsh__take_meta(struct nlsh_index *index, const struct nlsh__sections *sections,
                                 struct nlsh_error *error);
enum nlsh_status nlsh__take_promises(struct nlsh_index *index,
                                     const struct nlsh__sections *sections,
                                     struct nlsh_error *error);
enum nlsh_status nlsh__take_segment(struct nlsh_index *index, const struct nlsh__sections *sections,
                                    size_t i, struct nlsh_error *error);
enum nlsh_status nlsh__take_shard(struct nlsh_index *index, const struct nlsh__sections *sections,
                                  struct nlsh_error *error);

#define NLSH__INDEX_REMEDY "copy the index again, or build it again"

/* Fails with what a file that is no index seems to be. */
enum nlsh_status nlsh__index_other_kind(const char *path, const struct nlsh__map *map,
                                        struct nlsh_error *error);

#endif
