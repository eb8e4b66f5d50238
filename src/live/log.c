/*
 * log.c - see log.h.
 *
 * Behind a record that is not whole, another one may stand that is. Two things make this. Power was lost
 * before a sync, and the disk wrote later blocks first: then nobody was told that the record is durable, and
 * it never was there. Or a byte that was durable changed: that is damage. The later record says which: it
 * knows how much of the log was durable when it was written.
 */
#include "live/log.h"

#include <string.h>

#include "base/hash.h"

_Static_assert(sizeof(struct nlsh__log_header) == 64, "no padding");
_Static_assert(sizeof(struct nlsh__record_header) == 64, "no padding");

static size_t padded(size_t size, size_t to)
{
    return (size + to - 1) / to * to;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

enum { KEYS, BUCKETS, BIASES, ERRORS, CODES, VECTORS, N_ARRAYS };

/* Where each array of n rows begins; returns where the last ends. */
static size_t place(const struct nlsh__row_form *form, size_t n, size_t at[N_ARRAYS])
{
    size_t coded = form->code_bytes > 0, end = 0;
    const size_t sizes[N_ARRAYS] = {8, 4, 4 * coded, coded, form->code_bytes, form->row_bytes};
    for (size_t i = 0; i < N_ARRAYS; i++) {
        at[i] = end;
        end += padded(n * sizes[i], 8);
    }
    return end;
}

size_t nlsh__put_size(const struct nlsh__row_form *form, size_t n)
{
    size_t at[N_ARRAYS];
    uint64_t row = 8 + 4 + 5 + (uint64_t)form->code_bytes + form->row_bytes;
    if (n > NLSH__MOST_RECORD / row) return 0;
    size_t size = padded(place(form, n, at), NLSH__LOG_ALIGN);
    return size <= NLSH__MOST_RECORD ? size : 0;
}

size_t nlsh__delete_size(size_t n)
{
    return n <= NLSH__MOST_RECORD / 8 ? padded(8 * n, NLSH__LOG_ALIGN) : 0;
}

void nlsh__rows_in(const struct nlsh__row_form *form, size_t n, void *bytes,
                   struct nlsh__log_rows *out)
{
    size_t at[N_ARRAYS];
    uint8_t *from = bytes;
    (void)place(form, n, at);
    *out = (struct nlsh__log_rows){
        .n = n,
        .keys = (uint64_t *)(void *)(from + at[KEYS]),
        .buckets = (uint32_t *)(void *)(from + at[BUCKETS]),
        .biases = (float *)(void *)(from + at[BIASES]),
        .errors = from + at[ERRORS],
        .codes = from + at[CODES],
        .vectors = from + at[VECTORS],
    };
}

/* ---- the header ------------------------------------------------------------------------------ */

static uint64_t header_checksum(const struct nlsh__log_header *h)
{
    return nlsh__hash_of(h, offsetof(struct nlsh__log_header, checksum));
}

void nlsh__log_header_make(uint64_t index, const struct nlsh__row_form *form,
                           struct nlsh__log_header *out)
{
    *out = (struct nlsh__log_header){.version = NLSH__LOG_VERSION,
                                     .oldest_reader = NLSH__LOG_VERSION,
                                     .index = index,
                                     .row_bytes = (uint32_t)form->row_bytes,
                                     .code_bytes = (uint32_t)form->code_bytes};
    memcpy(out->magic, NLSH__LOG_MAGIC, sizeof out->magic);
    out->checksum = header_checksum(out);
}

const char *nlsh__log_header_wrong(const struct nlsh__log_header *h, int *newer)
{
    *newer = 0;
    if (memcmp(h->magic, NLSH__LOG_MAGIC, sizeof h->magic) != 0)
        return "its first bytes are not a log's";
    if (h->checksum != header_checksum(h)) return "its header is damaged";
    *newer = h->oldest_reader > NLSH__LOG_VERSION;
    return NULL;
}

struct nlsh__log_at nlsh__log_begin(const struct nlsh__log_header *header)
{
    return (struct nlsh__log_at){header->checksum, sizeof *header, header->checksum, 1};
}

/* ---- records --------------------------------------------------------------------------------- */

static uint64_t record_checksum(const struct nlsh__record_header *h)
{
    struct nlsh__hash hash;
    nlsh__hash_begin(&hash);
    nlsh__hash_add(&hash, h, offsetof(struct nlsh__record_header, checksum));
    nlsh__hash_add(&hash, h + 1, (size_t)h->size);
    return nlsh__hash_end(&hash);
}

void nlsh__record_seal(struct nlsh__record_header *h, uint64_t durable, struct nlsh__log_at *at)
{
    h->magic = NLSH__RECORD_MAGIC;
    h->log = at->log;
    h->previous = at->previous;
    h->number = at->number++;
    h->durable = durable;
    h->checksum = record_checksum(h);
    at->previous = h->checksum;
    at->position += sizeof *h + h->size;
}

/* A record of this log that is as it was written; NULL where these bytes are none. */
static const struct nlsh__record_header *record_at(const uint8_t *bytes, size_t size,
                                                   const struct nlsh__row_form *form, uint64_t log)
{
    const struct nlsh__record_header *h = (const void *)bytes;
    if (size < sizeof *h || h->magic != NLSH__RECORD_MAGIC || h->log != log) return NULL;
    if (h->size > NLSH__MOST_RECORD || h->size > size - sizeof *h || h->n > NLSH__MOST_RECORD)
        return NULL;
    size_t wanted = h->kind == NLSH__RECORD_PUT      ? nlsh__put_size(form, (size_t)h->n)
                    : h->kind == NLSH__RECORD_DELETE ? nlsh__delete_size((size_t)h->n)
                                                     : 0;
    if (h->n == 0 || wanted == 0 || wanted != h->size) return NULL;
    return h->checksum == record_checksum(h) ? h : NULL;
}

enum nlsh__record_state
nlsh__record_next(const uint8_t *bytes, size_t size, const struct nlsh__row_form *form,
                  struct nlsh__log_at *at, const struct nlsh__record_header **out)
{
    const struct nlsh__record_header *h = record_at(bytes, size, form, at->log);
    *out = h;
    if (h != NULL && h->previous == at->previous && h->number == at->number) {
        *at = (struct nlsh__log_at){at->log, at->position + sizeof *h + h->size, h->checksum,
                                    h->number + 1};
        return NLSH__RECORD_WHOLE;
    }
    *out = NULL;
    for (size_t i = h != NULL ? 0 : NLSH__LOG_ALIGN; i < size; i += NLSH__LOG_ALIGN) {
        h = record_at(bytes + i, size - i, form, at->log);
        if (h != NULL && h->durable > at->position) return NLSH__RECORD_BAD;
    }
    return NLSH__RECORD_NONE;
}
