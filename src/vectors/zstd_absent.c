/* zstd_absent.c - zstd_stream.h where the build did not find libzstd: nothing can be begun. */
#include <stdio.h>

#include "base/error.h"
#include "vectors/parse.h"
#include "vectors/zstd_stream.h"

enum nlsh_status nlsh__zstd_begin(struct nlsh__zstd_stream **stream, const uint8_t *bytes,
                                  size_t size, const char *name, struct nlsh_error *error)
{
    char hint[160];
    (void)bytes, (void)size;
    *stream = NULL;
    snprintf(hint, sizeof hint, "decompress it first: zstd -d %s; or build nlsh with libzstd-dev",
             nlsh__short_name(name));
    return nlsh__fail(error, NLSH_E_UNSUPPORTED, hint,
                      "%s: compressed by zstd, which this nlsh was built without", name);
}

enum nlsh_status nlsh__zstd_read(struct nlsh__zstd_stream *stream, uint8_t *out, size_t size,
                                 size_t *got, int *ended, struct nlsh_error *error)
{
    (void)stream, (void)out, (void)size, (void)got, (void)ended;
    return nlsh__fail(error, NLSH_E_INTERNAL, NULL, "nothing was begun");
}

void nlsh__zstd_end(struct nlsh__zstd_stream *stream)
{
    (void)stream;
}
