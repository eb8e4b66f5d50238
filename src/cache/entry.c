/*
 * entry.c - see entry.h. The checksum runs over the header with its own field zero, then over the
 * rest, as one stream, so that a changed byte anywhere is seen.
 */
#define XXH_INLINE_ALL
#include "cache/entry.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/output.h"

_Static_assert(sizeof(struct nlsh__entry_header) == 224, "the header has no padding");

static const char magic[8] = {'N', 'L', 'S', 'H', 'C', 'A', 'C', 'H'};
static const char *const kind_names[] = {"", "graph", "truth", "partition"};
enum { N_KINDS = sizeof kind_names / sizeof *kind_names };
enum { PAYLOAD_ALIGN = 64, HASH_DIGITS = 32 };

/* ---- names ----------------------------------------------------------------------------------- */

void nlsh__entry_name(enum nlsh__entry_kind kind, const char *key, char name[128])
{
    XXH128_hash_t h = XXH3_128bits(key, strlen(key));
    snprintf(name, 128, "%s-%016llx%016llx" NLSH__ENTRY_SUFFIX, kind_names[kind],
             (unsigned long long)h.high64, (unsigned long long)h.low64);
}

/* The length of an entry's name at the front of text, or 0. */
static size_t name_length(const char *text)
{
    for (size_t kind = 1; kind < N_KINDS; kind++) {
        size_t n = strlen(kind_names[kind]);
        if (strncmp(text, kind_names[kind], n) != 0 || text[n] != '-') continue;
        const char *p = text + n + 1;
        size_t digits = strspn(p, "0123456789abcdef");
        size_t suffix = strlen(NLSH__ENTRY_SUFFIX);
        if (digits != HASH_DIGITS || strncmp(p + digits, NLSH__ENTRY_SUFFIX, suffix) != 0) return 0;
        return n + 1 + digits + suffix;
    }
    return 0;
}

int nlsh__entry_is_name(const char *name)
{
    size_t n = name_length(name);
    return n > 0 && name[n] == '\0';
}

int nlsh__entry_is_temporary(const char *name, long *pid)
{
    if (name[0] != '.') return 0;
    size_t n = name_length(name + 1);
    if (n == 0) return 0;
    const char *p = name + 1 + n;
    if (strncmp(p, ".nlsh-", 6) != 0 || !isdigit((unsigned char)p[6])) return 0;
    char *end;
    errno = 0;
    *pid = strtol(p + 6, &end, 10);
    if (errno != 0 || *pid <= 0 || *end++ != '-') return 0;
    size_t serial = strspn(end, "0123456789"); /* as base/temporary.c names them */
    return serial > 0 && strcmp(end + serial, ".tmp") == 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static uint64_t payload_offset(uint64_t key_size)
{
    uint64_t end = sizeof(struct nlsh__entry_header) + key_size;
    return (end + PAYLOAD_ALIGN - 1) / PAYLOAD_ALIGN * PAYLOAD_ALIGN;
}

static int header_is_sound(const struct nlsh__entry_header *h, size_t size)
{
    if (memcmp(h->magic, magic, sizeof magic) != 0 || h->version != NLSH__ENTRY_VERSION) return 0;
    if (h->kind == 0 || h->kind >= N_KINDS || h->zero != 0) return 0;
    if (memchr(h->what, '\0', sizeof h->what) == NULL) return 0;
    if (h->key_size > size || payload_offset(h->key_size) > size) return 0;
    return h->payload_size == size - payload_offset(h->key_size);
}

static int checksum_agrees(const struct nlsh__entry_header *header, const struct nlsh__map *map)
{
    struct nlsh__entry_header blank = *header;
    struct nlsh__hash state;
    blank.checksum = 0;
    nlsh__hash_begin(&state);
    nlsh__hash_add(&state, &blank, sizeof blank);
    nlsh__hash_add(&state, map->data + sizeof blank, map->size - sizeof blank);
    return nlsh__hash_end(&state) == header->checksum;
}

static int is_absent(const char *path)
{
    return access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

enum nlsh__entry_state nlsh__entry_open(const char *path, struct nlsh__entry_view *out,
                                        struct nlsh_error *error)
{
    *out = (struct nlsh__entry_view){0};
    /* Another process may remove the file, and put it back, between any two of our calls. */
    for (int attempt = 0;; attempt++) {
        if (is_absent(path)) return NLSH__ENTRY_ABSENT;
        if (nlsh__map_open(path, &out->map, error) == NLSH_OK) break;
        if (attempt == 3) return NLSH__ENTRY_UNREADABLE;
    }
    if (out->map.size >= sizeof out->header) {
        memcpy(&out->header, out->map.data, sizeof out->header);
        if (header_is_sound(&out->header, out->map.size) &&
            checksum_agrees(&out->header, &out->map)) {
            out->key = (const char *)out->map.data + sizeof out->header;
            out->payload = out->map.data + payload_offset(out->header.key_size);
            return NLSH__ENTRY_WHOLE;
        }
    }
    nlsh__map_close(&out->map);
    return NLSH__ENTRY_DAMAGED;
}

void nlsh__entry_close(struct nlsh__entry_view *view)
{
    nlsh__map_close(&view->map);
}

int nlsh__entry_matches(const struct nlsh__entry_view *view, const struct nlsh__entry *wanted)
{
    size_t key_size = strlen(wanted->key);
    return view->header.kind == (uint32_t)wanted->kind && view->header.n_rows == wanted->n_rows &&
           view->header.key_size == key_size && memcmp(view->key, wanted->key, key_size) == 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static uint64_t checksum_of(const struct nlsh__entry_header *header, const char *key,
                            size_t padding, const struct nlsh__entry_part *parts, size_t n_parts)
{
    static const uint8_t zeros[PAYLOAD_ALIGN];
    struct nlsh__hash state;
    nlsh__hash_begin(&state);
    nlsh__hash_add(&state, header, sizeof *header);
    nlsh__hash_add(&state, key, (size_t)header->key_size);
    nlsh__hash_add(&state, zeros, padding);
    for (size_t i = 0; i < n_parts; i++) nlsh__hash_add(&state, parts[i].data, parts[i].size);
    return nlsh__hash_end(&state);
}

enum nlsh_status nlsh__entry_write(const char *path, const struct nlsh__entry *entry,
                                   const struct nlsh__entry_part *parts, size_t n_parts,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__output *output = NULL;
    struct nlsh__entry_header header = {.version = NLSH__ENTRY_VERSION,
                                        .kind = (uint32_t)entry->kind,
                                        .n_rows = entry->n_rows,
                                        .width = entry->width,
                                        .key_size = strlen(entry->key)};
    memcpy(header.magic, magic, sizeof magic);
    snprintf(header.what, sizeof header.what, "%s", entry->what);
    for (size_t i = 0; i < n_parts; i++) header.payload_size += parts[i].size;
    size_t padding = (size_t)(payload_offset(header.key_size) - sizeof header - header.key_size);
    header.checksum = checksum_of(&header, entry->key, padding, parts, n_parts);

    NLSH_TRY(nlsh__output_open_file(path, &output, error));
    NLSH_TRY(nlsh__output_write(output, &header, sizeof header, error));
    NLSH_TRY(nlsh__output_write(output, entry->key, (size_t)header.key_size, error));
    NLSH_TRY(nlsh__output_align(output, PAYLOAD_ALIGN, error));
    for (size_t i = 0; i < n_parts; i++)
        NLSH_TRY(nlsh__output_write(output, parts[i].data, parts[i].size, error));
    status = nlsh__output_commit(output, error);
    output = NULL;
out:
    nlsh__output_abort(output);
    return status;
}
