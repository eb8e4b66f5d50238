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
#define NLSH__INDEX_VERSION 2u
#define NLSH__INDEX_OLDEST_READER 2u
#define NLSH__MAX_SECTIONS 256u
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

struct nlsh__index_entry {
    uint32_t id;
    uint32_t flags;
    uint64_t offset;
    uint64_t size;
    uint64_t checksum;
};

_Static_assert(sizeof(struct nlsh__index_header) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__index_entry) == 32, "no padding");
_Static_assert(sizeof(struct nlsh__meta) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__metric_meta) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__targets_header) == 64, "no padding");

/* Ids 1 to NLSH__N_KNOWN - 1 are known. */
#define NLSH__N_KNOWN 13

struct nlsh__known_section {
    const char *name;
    uint32_t flags;
    int may_be_absent; /* required where it is there: readers that do not know it must refuse */
};
extern const struct nlsh__known_section nlsh__known_sections[NLSH__N_KNOWN];

/* "vectors"; "unknown" for an id of the future. */
const char *nlsh__section_name(uint32_t id);

/* Over the header (but for its checksum) and the table behind it. */
uint64_t nlsh__index_checksum(const struct nlsh__index_header *header,
                              const struct nlsh__index_entry *entries);

/* A file that was mapped, with a header and a table that hold. */
struct nlsh__index_table {
    const struct nlsh__index_entry *entries; /* in the map */
    size_t n_entries;
    const struct nlsh__index_entry *known[NLSH__N_KNOWN]; /* by id; NULL where there is none */
};

/* Checks header and table: O(sections). path is for messages. */
enum nlsh_status nlsh__index_read_table(const char *path, const struct nlsh__map *map,
                                        struct nlsh__index_table *out, struct nlsh_error *error);

/* Reads the file and compares checksums and padding. */
enum nlsh_status nlsh__index_check_bytes(const char *path, const struct nlsh__map *map,
                                         const struct nlsh__index_table *table,
                                         struct nlsh_error *error);

/* Checks every row of an index that opens: ids are a permutation, floats finite, and the vectors
 * those that data_hash was made of. O(rows x dim). */
enum nlsh_status nlsh__index_check_rows(const struct nlsh_index *index, struct nlsh_error *error);

/* Maps and checks a file. whole: everything that verify reads as well. bytes: NULL, or the file's
 * content in the caller's memory, aligned to 64, which outlives the index; path is then only a name
 * (tests and fuzzers: a sanitizer sees the end of memory to the byte, that of a map to the page). */
enum nlsh_status nlsh__index_load(const char *path, const struct nlsh__map *bytes, int whole,
                                  struct nlsh_index **out, struct nlsh_error *error);

/* Fails with what a file that is no index seems to be. */
enum nlsh_status nlsh__index_other_kind(const char *path, const struct nlsh__map *map,
                                        struct nlsh_error *error);

#endif
