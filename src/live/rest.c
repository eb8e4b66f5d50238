/*
 * rest.c - see rest.h.
 *
 * Behind a record that is not whole, another one may stand that is. Two things make this. Power was lost
 * before a sync, and the disk wrote later blocks first: then nobody was told that the record is durable, and
 * it never was there. Or a byte that was durable changed: that is damage. The later record says which: it
 * knows how much of the log was durable when it was written.
 *
 * A header is no more than 64 bytes, and what it says of its size costs as much to check. True records do not overlap:
 * each byte is looked at once. Who forges a log can write headers that do. So no more than a few times the bytes are
 * looked at; where that is not enough, this was no interrupted write either, and nothing may be cut off.
 */
#include "live/rest.h"

#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "live/logfile.h"

enum { PIECE = 1 << 20, MOST_LOOKS = 2 /* at a byte, on average */ };

/* A log that is looked through. */
struct looking {
    int fd;
    const char *log_path;
    uint64_t size, looks;      /* bytes of the log; those that may still be looked at */
    uint8_t *headers, *record; /* [PIECE] each */
};

/* Whether the record with this header, at a place of the log, is as it was written. */
static enum nlsh_status is_whole(struct looking *l, const struct nlsh__record_header *h,
                                 uint64_t at, int *whole, struct nlsh_error *error)
{
    struct nlsh__hash hash;
    uint64_t left = h->size;
    size_t got = 1;
    *whole = 0;
    l->looks -= h->size;
    nlsh__hash_begin(&hash);
    nlsh__hash_add(&hash, h, offsetof(struct nlsh__record_header, checksum));
    for (at += sizeof *h; left > 0 && got > 0; left -= got, at += got) {
        size_t wanted = left < PIECE ? (size_t)left : PIECE;
        enum nlsh_status status =
            nlsh__log_pread(l->fd, l->log_path, at, l->record, wanted, &got, error);
        if (status != NLSH_OK) return status;
        nlsh__hash_add(&hash, l->record, got);
    }
    *whole = left == 0 && nlsh__hash_end(&hash) == h->checksum;
    return NLSH_OK;
}

/* Looks at what may be records in headers [n bytes], which stand at a place of the log, until one tells of damage. */
static enum nlsh_status look(struct looking *l, size_t n, uint64_t at,
                             const struct nlsh__row_form *form, const struct nlsh__log_at *end,
                             struct nlsh__log_rest *out, struct nlsh_error *error)
{
    struct nlsh__record_header h;
    for (size_t i = 0; i + sizeof h <= n && !out->damaged; i += NLSH__LOG_ALIGN) {
        int whole;
        memcpy(&h, l->headers + i, sizeof h);
        if (!nlsh__record_may_tell(&h, form, end) || h.size > l->size - at - i - sizeof h) continue;
        if (h.size > l->looks) {
            out->damaged = 1;
            break;
        }
        enum nlsh_status status = is_whole(l, &h, at + i, &whole, error);
        if (status != NLSH_OK) return status;
        if (!whole) continue;
        out->damaged = 1;
        out->again = at + i;
        out->number = h.number;
    }
    return NLSH_OK;
}

enum nlsh_status nlsh__log_rest(int fd, const char *log_path, uint64_t size,
                                const struct nlsh__row_form *form, const struct nlsh__log_at *end,
                                struct nlsh__log_rest *out, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct looking l = {.fd = fd, .log_path = log_path, .size = size};
    size_t got;
    *out = (struct nlsh__log_rest){.left = size > end->position ? size - end->position : 0};
    if (out->left <= NLSH__LOG_ALIGN) return NLSH_OK;
    l.looks = MOST_LOOKS * out->left;
    NLSH_TRY(nlsh__alloc(&l.headers, PIECE, 1, error));
    NLSH_TRY(nlsh__alloc(&l.record, PIECE, 1, error));
    for (uint64_t at = end->position; at < size && !out->damaged; at += PIECE) {
        size_t wanted = size - at < PIECE ? (size_t)(size - at) : PIECE;
        NLSH_TRY(nlsh__log_pread(fd, log_path, at, l.headers, wanted, &got, error));
        NLSH_TRY(look(&l, got, at, form, end, out, error));
        if (got < wanted) break;
    }
out:
    nlsh__free(l.headers);
    nlsh__free(l.record);
    return status;
}
