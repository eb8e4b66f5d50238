/* stream.c - vectors from a pipe: read to the end, then taken as a file's content. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "vectors/parse.h"
#include "vectors/source.h"

enum { PIECE = 1 << 20 };

struct content {
    uint8_t *bytes;
    size_t size, capacity;
};

/* Room for another piece. */
static enum nlsh_status make_room(struct content *c, struct nlsh_error *error)
{
    uint8_t *larger;
    if (c->capacity - c->size >= PIECE) return NLSH_OK;
    size_t capacity = c->capacity == 0 ? (size_t)2 * PIECE : c->capacity;
    enum nlsh_status status = nlsh__alloc(&larger, capacity, 2, error);
    if (status != NLSH_OK) return status;
    if (c->size > 0) memcpy(larger, c->bytes, c->size);
    nlsh__free(c->bytes);
    c->bytes = larger;
    c->capacity = 2 * capacity;
    return NLSH_OK;
}

static enum nlsh_status read_all(int fd, const char *name, const struct nlsh_run *run,
                                 struct content *c, struct nlsh_error *error)
{
    enum nlsh_status status;
    for (;;) {
        NLSH_TRY(nlsh__look_at_run(run, name, error));
        NLSH_TRY(make_room(c, error));
        ssize_t got = read(fd, c->bytes + c->size, PIECE);
        if (got == 0) return NLSH_OK;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return nlsh__fail(error, NLSH_E_IO, NULL, "%s: %s", name, strerror(errno));
        c->size += (size_t)got;
    }
out:
    return status;
}

enum nlsh_status nlsh__vectors_read_stream(int fd, const char *name, enum nlsh_format format,
                                           const struct nlsh_run *run, struct nlsh_vectors **out,
                                           struct nlsh_error *error)
{
    enum nlsh_status status;
    struct content content = {0};
    struct nlsh_vectors *vectors = NULL;
    *out = NULL;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__calloc(&vectors, 1, sizeof *vectors, error));
    NLSH_TRY(read_all(fd, name, run, &content, error));
    NLSH_TRY(nlsh__vectors_parse(content.bytes, content.size, name, format, run, vectors, error));
    *out = vectors;
    vectors = NULL;
out:
    nlsh__free(content.bytes);
    nlsh_vectors_free(vectors);
    return status;
}
