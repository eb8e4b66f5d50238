/*
 * entry.h - one file of the cache: its name, its header, its checksum.
 *
 *   offset  what
 *        0  magic "NLSHCACH"
 *        8  u32 format version, u32 kind (enum nlsh__entry_kind)
 *       16  u64 checksum of the whole file with these 8 bytes zero (XXH3-64)
 *       24  u64 n_rows, u64 width (k of neighbours, m of a partition)
 *       40  u64 key size, u64 payload size, both in bytes
 *       56  u64 zero
 *       64  char[160] a description for people, ended by NUL, the rest zero
 *      224  the key: every parameter that the content depends on, as text, without width where a
 *           larger one serves too; zeros up to the next multiple of 64
 *           the payload, to the end of the file
 *
 * Integers are little-endian. The name is KIND-<XXH3-128 of the key, hex>.nlshcache; the key is
 * compared on reading, so neither a hash collision nor a renamed file is taken for something else.
 * The cache belongs to one machine: nothing here needs to be stable but NLSH__ENTRY_VERSION, which
 * goes into every key and is raised when a stage's answer changes for the same parameters.
 */
#ifndef NLSH_CACHE_ENTRY_H
#define NLSH_CACHE_ENTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "nlsh/nlsh.h"

#define NLSH__ENTRY_VERSION 1u
#define NLSH__ENTRY_SUFFIX ".nlshcache"

enum nlsh__entry_kind { NLSH__ENTRY_GRAPH = 1, NLSH__ENTRY_TRUTH = 2, NLSH__ENTRY_PARTITION = 3 };

struct nlsh__entry_header {
    char magic[8];
    uint32_t version, kind;
    uint64_t checksum;
    uint64_t n_rows, width;
    uint64_t key_size, payload_size;
    uint64_t zero;
    char what[160];
};

/* What an entry is and what it holds. */
struct nlsh__entry {
    enum nlsh__entry_kind kind;
    const char *key; /* text, ended by NUL */
    uint64_t n_rows, width;
    char what[160];
};

/* A piece of the payload. */
struct nlsh__entry_part {
    const void *data;
    size_t size;
};

/* An entry that was opened: header and payload lie in the map. */
struct nlsh__entry_view {
    struct nlsh__map map;
    struct nlsh__entry_header header;
    const char *key;
    const uint8_t *payload;
};

enum nlsh__entry_state {
    NLSH__ENTRY_ABSENT,     /* no such file */
    NLSH__ENTRY_UNREADABLE, /* there, but not for us; *error has words */
    NLSH__ENTRY_DAMAGED,    /* not whole, or the checksum does not agree */
    NLSH__ENTRY_WHOLE
};

/* The file's name inside the directory. */
void nlsh__entry_name(enum nlsh__entry_kind kind, const char *key, char name[128]);
/* 1 where a name is one that nlsh__entry_name() could have made. */
int nlsh__entry_is_name(const char *name);
/* 1 for the temporary file of such a name (base/temporary.c); *pid is its writer. */
int nlsh__entry_is_temporary(const char *name, long *pid);

/* Maps and checks. Only a WHOLE view is open; it may still be another entry under a wrong name. */
enum nlsh__entry_state nlsh__entry_open(const char *path, struct nlsh__entry_view *out,
                                        struct nlsh_error *error);
void nlsh__entry_close(struct nlsh__entry_view *view);
/* 1 where the view holds exactly what is asked for (width aside). */
int nlsh__entry_matches(const struct nlsh__entry_view *view, const struct nlsh__entry *wanted);

/* Replaces the file whole. */
enum nlsh_status nlsh__entry_write(const char *path, const struct nlsh__entry *entry,
                                   const struct nlsh__entry_part *parts, size_t n_parts,
                                   struct nlsh_error *error);

#endif
