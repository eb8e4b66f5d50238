/*
 * zstd_stream.c - see zstd_stream.h.
 *
 * libzstd skips the frames that are to be skipped. Where a frame ends we look for the next one ourselves: libzstd would
 * also take those of its oldest versions.
 */
#include "vectors/zstd_stream.h"

#include <stdio.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/error.h"
#include "base/memory.h"
#include "vectors/parse.h"
#include "vectors/source.h"
#include "vectors/zstd_frames.h"

struct nlsh__zstd_stream {
    const char *name;
    ZSTD_DStream *z;
    ZSTD_inBuffer in;
    int inside; /* a frame has begun and not ended */
};

enum nlsh_status nlsh__zstd_begin(struct nlsh__zstd_stream **stream, const uint8_t *bytes,
                                  size_t size, const char *name, struct nlsh_error *error)
{
    struct nlsh__zstd_stream *s = *stream;
    if (s == NULL) {
        enum nlsh_status status = nlsh__calloc(&s, 1, sizeof *s, error);
        if (status != NLSH_OK) return status;
        *stream = s;
        s->z = ZSTD_createDStream();
    }
    /* Its limit of windows is libzstd's own: 2^27 bytes, as of zstd -d. */
    if (s->z == NULL || ZSTD_isError(ZSTD_initDStream(s->z)))
        return nlsh__fail(error, NLSH_E_NOMEM, NULL, "libzstd could not be started");
    s->name = name;
    s->in = (ZSTD_inBuffer){bytes, size, 0};
    s->inside = 0;
    return NLSH_OK;
}

void nlsh__zstd_end(struct nlsh__zstd_stream *stream)
{
    if (stream == NULL) return;
    ZSTD_freeDStream(stream->z);
    nlsh__free(stream);
}

/* code: libzstd's error. */
static enum nlsh_status refused(const struct nlsh__zstd_stream *s, size_t code,
                                struct nlsh_error *error)
{
    const char *file = nlsh__short_name(s->name);
    char words[160];
    switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_memory_allocation:
        return nlsh__fail(error, NLSH_E_NOMEM, NULL, "%s: out of memory to decompress", s->name);
    case ZSTD_error_dictionary_wrong:
        snprintf(words, sizeof words, "decompress it first: zstd -d -D DICTIONARY %s", file);
        return nlsh__fail(error, NLSH_E_DATA, words,
                          "%s: compressed by zstd with a dictionary, which is not here", s->name);
    case ZSTD_error_frameParameter_windowTooLarge:
        snprintf(words, sizeof words, "decompress it first: zstd -d --long=31 %s", file);
        return nlsh__fail(error, NLSH_E_DATA, words,
                          "%s: compressed by zstd with a window of more than 128 MiB", s->name);
    default:
        snprintf(words, sizeof words, "the zstd stream is damaged (%s)", ZSTD_getErrorName(code));
        return nlsh__packed_damaged(s->name, words, error);
    }
}

/* Another frame begins. */
static enum nlsh_status next_frame(struct nlsh__zstd_stream *s, struct nlsh_error *error)
{
    size_t rest = s->in.size - s->in.pos;
    if (!nlsh__zstd_frame_begins((const uint8_t *)s->in.src + s->in.pos, rest))
        return nlsh__packed_followed(s->name, "zstd", rest, error);
    s->inside = 1;
    return NLSH_OK;
}

enum nlsh_status nlsh__zstd_read(struct nlsh__zstd_stream *s, uint8_t *out, size_t size,
                                 size_t *got, int *ended, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    ZSTD_outBuffer to = {out, size, 0};
    *got = 0;
    while (to.pos < size && !*ended) {
        if (!s->inside) NLSH_TRY(next_frame(s, error));
        size_t more = ZSTD_decompressStream(s->z, &to, &s->in);
        if (ZSTD_isError(more)) return refused(s, more, error);
        int at_end = s->in.pos == s->in.size;
        if (more > 0 && at_end && to.pos < size) return nlsh__packed_cut(s->name, "zstd", error);
        s->inside = more > 0;
        *ended = more == 0 && at_end;
    }
    *got = to.pos;
out:
    return status;
}
