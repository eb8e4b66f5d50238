/*
 * zstd_frames.c - see zstd_frames.h. RFC 8878, section 3.1: a frame is a head, blocks that say how long they are, and
 * perhaps a checksum.
 *
 * A block unpacks to 128 KiB at most, whatever is in it. So the blocks, counted, bound what a header
 * inside can claim; what the frame's head says is believed up to that only. libzstd's function for the same
 * believes the head, is not in its stable interface and cannot be stopped.
 */
#include "vectors/zstd_frames.h"

#include "vectors/parse.h"
#include "vectors/source.h"

enum { RAW = 0, RUN = 1, COMPRESSED = 2, RESERVED = 3 }; /* RUN: one byte, many times */

#define MAGIC 0xfd2fb528u
#define SKIPPED_MAGIC 0x184d2a50u /* to 0x184d2a5f */
#define MOST_OF_A_BLOCK ((uint64_t)128 << 10)

struct walk {
    const uint8_t *bytes;
    size_t size, at;
    int broken; /* no more can be made of what follows, */
    int cut;    /* since the file ends there */
    const char *name;
    const struct nlsh_run *run;
    size_t next_look;
};

static int is_skipped(const uint8_t *bytes, size_t size)
{
    return size >= 4 && (nlsh__load32(bytes) & ~0xfu) == SKIPPED_MAGIC;
}

int nlsh__zstd_frame_begins(const uint8_t *bytes, size_t size)
{
    return (size >= 4 && nlsh__load32(bytes) == MAGIC) || is_skipped(bytes, size);
}

/* n bytes further, where there are so many. */
static int step(struct walk *w, uint64_t n)
{
    if (w->size - w->at < n) {
        w->broken = w->cut = 1;
        return 0;
    }
    w->at += (size_t)n;
    return 1;
}

static void pass_skipped(struct walk *w)
{
    while (!w->broken && is_skipped(w->bytes + w->at, w->size - w->at)) {
        const uint8_t *head = w->bytes + w->at;
        if (step(w, 8)) step(w, nlsh__load32(head + 4));
    }
}

int nlsh__is_zstd(const uint8_t *bytes, size_t size)
{
    struct walk w = {.bytes = bytes, .size = size};
    pass_skipped(&w);
    return !w.broken && nlsh__zstd_frame_begins(bytes + w.at, size - w.at);
}

/* A number of n bytes. */
static uint64_t load(const uint8_t *p, size_t n)
{
    uint64_t value = 0;
    memcpy(&value, p, n);
    return value;
}

/* *stated: what the frame says it holds, or NLSH__UNKNOWN. *tail: bytes of its checksum. */
static void pass_head(struct walk *w, uint64_t *stated, uint64_t *tail)
{
    static const uint8_t bytes_of_dictionary[] = {0, 1, 2, 4}, bytes_of_size[] = {0, 2, 4, 8};
    const uint8_t *magic = w->bytes + w->at;
    *stated = NLSH__UNKNOWN;
    *tail = 0;
    if (!step(w, 5)) return;
    uint8_t descriptor = magic[4];
    int single = descriptor >> 5 & 1; /* all in one piece: the size is there, a window's is not */
    size_t n = bytes_of_size[descriptor >> 6];
    if (single && n == 0) n = 1;
    *tail = (descriptor >> 2 & 1) * 4u;
    if (!step(w, (single ? 0u : 1u) + bytes_of_dictionary[descriptor & 3])) return;
    const uint8_t *size = w->bytes + w->at;
    if (step(w, n) && n > 0) *stated = load(size, n) + (n == 2 ? 256 : 0);
}

/* Adds to *bound what the frame's blocks can hold. */
static enum nlsh_status pass_blocks(struct walk *w, uint64_t *bound, struct nlsh_error *error)
{
    for (int last = 0; !last && !w->broken;) {
        if (w->at >= w->next_look) {
            enum nlsh_status status = nlsh__look_at_run(w->run, w->name, error);
            if (status != NLSH_OK) return status;
            w->next_look = w->at + NLSH__LOOK_EVERY;
        }
        const uint8_t *head = w->bytes + w->at;
        if (!step(w, 3)) break;
        uint64_t bits = load(head, 3), type = bits >> 1 & 3, n = bits >> 3;
        last = bits & 1;
        if (type == RESERVED) w->broken = 1;
        if (w->broken) break;
        *bound += type == COMPRESSED || n > MOST_OF_A_BLOCK ? MOST_OF_A_BLOCK : n;
        step(w, type == RUN ? 1 : n);
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__zstd_sizes(const uint8_t *bytes, size_t size, const char *name,
                                  const struct nlsh_run *run, struct nlsh__zstd_sizes *out,
                                  struct nlsh_error *error)
{
    struct walk w = {.bytes = bytes, .size = size, .name = name, .run = run};
    *out = (struct nlsh__zstd_sizes){0};
    for (pass_skipped(&w); !w.broken && w.at < size; pass_skipped(&w)) {
        uint64_t stated, tail, bound = 0;
        if (!nlsh__zstd_frame_begins(bytes + w.at, size - w.at)) {
            w.broken = 1;
            break;
        }
        pass_head(&w, &stated, &tail);
        enum nlsh_status status = pass_blocks(&w, &bound, error);
        if (status != NLSH_OK) return status;
        step(&w, tail);
        out->bound += bound;
        if (stated > bound) stated = NLSH__UNKNOWN; /* as UNKNOWN itself is */
        out->length = stated == NLSH__UNKNOWN || out->length == NLSH__UNKNOWN
                          ? NLSH__UNKNOWN
                          : out->length + stated;
    }
    if (w.broken) out->length = NLSH__UNKNOWN;
    out->cut = w.cut;
    return NLSH_OK;
}
