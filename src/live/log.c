/* log.c - see log.h. */
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

/* Whether a record of this log may begin so. */
static int may_begin(const struct nlsh__record_header *h, const struct nlsh__row_form *form,
                     uint64_t log)
{
    if (h->magic != NLSH__RECORD_MAGIC || h->log != log) return 0;
    if (h->n == 0 || h->n > NLSH__MOST_RECORD) return 0;
    size_t wanted = h->kind == NLSH__RECORD_PUT      ? nlsh__put_size(form, (size_t)h->n)
                    : h->kind == NLSH__RECORD_DELETE ? nlsh__delete_size((size_t)h->n)
                                                     : 0;
    return wanted > 0 && wanted == h->size;
}

enum nlsh__record_state
nlsh__record_next(const uint8_t *bytes, size_t size, const struct nlsh__row_form *form,
                  struct nlsh__log_at *at, const struct nlsh__record_header **out)
{
    const struct nlsh__record_header *h = (const void *)bytes;
    *out = NULL;
    if (size < sizeof *h) return NLSH__RECORD_SHORT;
    if (!may_begin(h, form, at->log) || h->previous != at->previous || h->number != at->number)
        return NLSH__RECORD_NONE;
    if (h->size > size - sizeof *h) return NLSH__RECORD_SHORT;
    if (h->checksum != record_checksum(h)) return NLSH__RECORD_NONE;
    *at = (struct nlsh__log_at){at->log, at->position + sizeof *h + h->size, h->checksum,
                                h->number + 1};
    *out = h;
    return NLSH__RECORD_WHOLE;
}

int nlsh__record_is_seal(const struct nlsh__record_header *h)
{
    const uint64_t *keys = (const uint64_t *)(const void *)(h + 1);
    return h->kind == NLSH__RECORD_DELETE && h->n == 1 && keys[0] == NLSH_NO_KEY;
}

int nlsh__record_may_tell(const struct nlsh__record_header *h, const struct nlsh__row_form *form,
                          const struct nlsh__log_at *at)
{
    return may_begin(h, form, at->log) && h->number > at->number && h->durable > at->position;
}
