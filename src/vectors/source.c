/*
 * source.c - bytes of a mapped file: plain, through zlib (RFC 1951, RFC 1952) or libzstd (RFC 8878).
 *
 * A plain source is one window over the whole file. Others unpack into a window of 256 KiB; large reads
 * bypass it. Members (frames) that follow each other are one stream, as gzip -d and zstd -d have it;
 * anything else behind one is an error. Memory is the window, zlib's 40 KiB, libzstd's 128 MiB at most, whatever the
 * stream says. A header inside is checked against what can come out before its sizes are believed: deflate cannot
 * expand by more than 1032, and zstd's blocks say it (zstd_frames.h).
 */
#include "vectors/source.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/error.h"
#include "base/memory.h"
#include "vectors/parse.h"
#include "vectors/zstd_frames.h"
#include "vectors/zstd_stream.h"

#define WINDOW_BYTES ((size_t)256 << 10)
#define MOST_EXPANSION 1032u /* 258 bytes for two bits: zlib's own figure */

struct nlsh__source {
    const char *name;
    const struct nlsh_run *run; /* or NULL */
    const uint8_t *bytes;
    size_t size;
    const uint8_t *next; /* the window's unread part */
    size_t left;
    enum nlsh__packing packing;
    int ended, zlib_ready;
    uint64_t position, next_look; /* bytes handed out; where run is asked next */
    uint64_t length;              /* NLSH__UNKNOWN until known */
    uint64_t bound;               /* what it cannot exceed */
    z_stream z;
    struct nlsh__zstd_stream *zstd; /* or NULL */
    uint8_t *window;
};

/* What is known of the length before anything is unpacked. */
static enum nlsh_status find_length(struct nlsh__source *s, struct nlsh_error *error)
{
    struct nlsh__zstd_sizes sizes;
    s->length = s->packing == NLSH__PLAIN ? s->size : NLSH__UNKNOWN;
    s->bound = (uint64_t)s->size * MOST_EXPANSION; /* a mapped size is below 2^48 */
    if (s->packing != NLSH__ZSTD) return NLSH_OK;
    enum nlsh_status status = nlsh__zstd_sizes(s->bytes, s->size, s->name, s->run, &sizes, error);
    s->length = sizes.length;
    s->bound = sizes.bound;
    if (status == NLSH_OK && sizes.cut) return nlsh__packed_cut(s->name, "zstd", error);
    return status;
}

enum nlsh_status nlsh__source_open(const uint8_t *bytes, size_t size, enum nlsh__packing packing,
                                   const char *name, const struct nlsh_run *run,
                                   struct nlsh__source **out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__source *s = NULL;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&s, 1, sizeof *s, error));
    s->name = name;
    s->run = run;
    s->bytes = bytes;
    s->size = size;
    s->packing = packing;
    if (packing != NLSH__PLAIN) NLSH_TRY(nlsh__alloc(&s->window, WINDOW_BYTES, 1, error));
    NLSH_TRY(nlsh__source_rewind(s, error));
    NLSH_TRY(find_length(s, error));
    *out = s;
    return NLSH_OK;
out:
    nlsh__source_close(s);
    return status;
}

void nlsh__source_close(struct nlsh__source *source)
{
    if (source == NULL) return;
    if (source->zlib_ready) inflateEnd(&source->z);
    nlsh__zstd_end(source->zstd);
    nlsh__free(source->window);
    nlsh__free(source);
}

enum nlsh_status nlsh__source_rewind(struct nlsh__source *s, struct nlsh_error *error)
{
    s->position = s->next_look = 0;
    if (s->packing == NLSH__PLAIN) {
        s->next = s->bytes;
        s->left = s->size;
        s->ended = 1;
        return NLSH_OK;
    }
    s->left = 0;
    s->ended = 0;
    if (s->packing == NLSH__ZSTD)
        return nlsh__zstd_begin(&s->zstd, s->bytes, s->size, s->name, error);
    if (s->zlib_ready) inflateEnd(&s->z);
    memset(&s->z, 0, sizeof s->z);
    /* 16: a gzip header is wanted; a negative number: none, and no checksum behind it. */
    int bits = s->packing == NLSH__GZIP ? 15 + 16 : -15;
    s->zlib_ready = inflateInit2(&s->z, bits) == Z_OK;
    if (!s->zlib_ready) return nlsh__fail(error, NLSH_E_NOMEM, NULL, "zlib could not be started");
    s->z.next_in = (z_const Bytef *)s->bytes;
    return NLSH_OK;
}

/* ---- unpacking ------------------------------------------------------------------------------- */

static const char again[] = "fetch or compress the file again";

enum nlsh_status nlsh__packed_damaged(const char *name, const char *what, struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, again, "%s: %s", name, what);
}

enum nlsh_status nlsh__packed_cut(const char *name, const char *kind, struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, again, "%s: the %s stream is cut short", name, kind);
}

enum nlsh_status nlsh__packed_followed(const char *name, const char *kind, size_t rest,
                                       struct nlsh_error *error)
{
    return nlsh__fail(error, NLSH_E_DATA, again,
                      "%s: %zu bytes behind the end of the %s stream are no %s stream", name, rest,
                      kind, kind);
}

/* A member has ended: the stream too, or another member begins. */
static enum nlsh_status member_end(struct nlsh__source *s, size_t rest, struct nlsh_error *error)
{
    if (rest == 0) {
        s->ended = 1;
        return NLSH_OK;
    }
    const uint8_t *p = s->z.next_in;
    if (s->packing == NLSH__DEFLATE || rest < 2 || p[0] != 0x1f || p[1] != 0x8b)
        return nlsh__packed_followed(s->name, "gzip", rest, error);
    inflateReset(&s->z);
    return NLSH_OK;
}

/* Inflates up to size bytes into out; fewer only at the end. */
static enum nlsh_status inflate_into(struct nlsh__source *s, uint8_t *out, size_t size, size_t *got,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    *got = 0;
    while (*got < size && !s->ended) {
        size_t used = (size_t)(s->z.next_in - s->bytes);
        size_t in = s->size - used, room = size - *got;
        uInt avail_out = room < (1u << 30) ? (uInt)room : 1u << 30;
        s->z.avail_in = in < (1u << 30) ? (uInt)in : 1u << 30;
        s->z.next_out = out + *got;
        s->z.avail_out = avail_out;
        int code = inflate(&s->z, Z_NO_FLUSH);
        *got += avail_out - s->z.avail_out;
        if (code == Z_STREAM_END) {
            NLSH_TRY(member_end(s, s->size - (size_t)(s->z.next_in - s->bytes), error));
        } else if (code == Z_MEM_ERROR) {
            return nlsh__fail(error, NLSH_E_NOMEM, NULL, "%s: out of memory to inflate", s->name);
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            return nlsh__packed_damaged(
                s->name, s->z.msg != NULL ? s->z.msg : "the gzip stream is damaged", error);
        } else if ((size_t)(s->z.next_in - s->bytes) == s->size && s->z.avail_out > 0) {
            return nlsh__packed_cut(s->name, "gzip", error);
        }
    }
out:
    return status;
}

/* Up to size bytes into out; fewer only at the end. */
static enum nlsh_status unpack_into(struct nlsh__source *s, uint8_t *out, size_t size, size_t *got,
                                    struct nlsh_error *error)
{
    return s->packing == NLSH__ZSTD ? nlsh__zstd_read(s->zstd, out, size, got, &s->ended, error)
                                    : inflate_into(s, out, size, got, error);
}

static enum nlsh_status refill(struct nlsh__source *s, struct nlsh_error *error)
{
    s->next = s->window;
    return unpack_into(s, s->window, WINDOW_BYTES, &s->left, error);
}

/* ---- reading --------------------------------------------------------------------------------- */

enum nlsh_status nlsh__source_head(struct nlsh__source *s, const uint8_t **head, size_t *head_size,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    if (s->packing != NLSH__PLAIN && s->left == 0 && !s->ended) status = refill(s, error);
    *head = s->next;
    *head_size = s->left;
    return status;
}

/* How much there is is not known, so it is reported as 0 of 0. */
enum nlsh_status nlsh__look_at_run(const struct nlsh_run *run, const char *name,
                                   struct nlsh_error *error)
{
    if (run == NULL || run->progress == NULL || run->progress(run->user, "reading", 0, 0) == 0)
        return NLSH_OK;
    return nlsh__fail(error, NLSH_E_INTERRUPTED, NULL, "stopped while reading %s", name);
}

static enum nlsh_status look_sometimes(struct nlsh__source *s, struct nlsh_error *error)
{
    if (s->position < s->next_look) return NLSH_OK;
    s->next_look = s->position + NLSH__LOOK_EVERY;
    return nlsh__look_at_run(s->run, s->name, error);
}

enum nlsh_status nlsh__source_read(struct nlsh__source *s, void *out, uint64_t size, uint64_t *got,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    uint8_t *o = out;
    *got = 0;
    while (*got < size) {
        if (s->left == 0 && s->ended) {
            s->length = s->position;
            break;
        }
        NLSH_TRY(look_sometimes(s, error));
        uint64_t want = size - *got < NLSH__LOOK_EVERY ? size - *got : NLSH__LOOK_EVERY;
        size_t n;
        if (s->left == 0 && o != NULL && want >= WINDOW_BYTES) {
            NLSH_TRY(unpack_into(s, o, (size_t)want, &n, error));
        } else {
            if (s->left == 0) NLSH_TRY(refill(s, error));
            n = s->left < want ? s->left : (size_t)want;
            if (o != NULL && n > 0) memcpy(o, s->next, n);
            if (n > 0) s->next += n;
            s->left -= n;
        }
        if (o != NULL) o += n;
        *got += n;
        s->position += n;
    }
out:
    return status;
}

uint64_t nlsh__source_length(const struct nlsh__source *source)
{
    return source->length;
}

uint64_t nlsh__source_bound(const struct nlsh__source *source)
{
    return source->length != NLSH__UNKNOWN ? source->length : source->bound;
}
