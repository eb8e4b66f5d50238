/* read.c - a log is read from where it was read before, piece by piece, and what it says applied: nlsh__live_read(). */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "live/logfile.h"
#include "live/state.h"

/* So much of a log is read at once, where its records are no larger. */
#define PIECE ((size_t)16 << 20)

/* Records in bytes [size], which end with the log or not; *done: how many bytes were. *state is of what follows. */
static enum nlsh_status apply_all(struct nlsh__live *live, const uint8_t *bytes, size_t size,
                                  int ends, size_t *done, enum nlsh__record_state *state,
                                  struct nlsh_error *error)
{
    const struct nlsh__record_header *record;
    for (*done = 0;;) {
        struct nlsh__log_at at = live->at;
        *state = nlsh__record_next(bytes + *done, size - *done, &live->store.form, &at, &record);
        if (*state != NLSH__RECORD_WHOLE) return NLSH_OK;
        size_t whole = sizeof *record + (size_t)record->size;
        if (ends && *done + whole == size && nlsh__record_is_seal(record)) {
            *state = NLSH__RECORD_SEAL;
            return NLSH_OK;
        }
        size_t rows = record->kind == NLSH__RECORD_PUT ? (size_t)record->n : 0;
        enum nlsh_status status = nlsh__live_reserve(live, rows, error);
        if (status != NLSH_OK) return status;
        if (!nlsh__live_apply(live, record)) return NLSH_OK; /* whole, and cannot be */
        live->at = at;
        *done += whole;
    }
}

/* All records up to size. *state is of what follows them. */
static enum nlsh_status read_records(struct nlsh__live *live, uint64_t size,
                                     enum nlsh__record_state *state, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__record_header h;
    uint8_t *bytes = NULL;
    size_t room = 0, piece = PIECE;
    *state = NLSH__RECORD_SHORT;
    while (*state == NLSH__RECORD_SHORT && size > live->at.position) {
        uint64_t left = size - live->at.position;
        size_t got, done, wanted = left < piece ? (size_t)left : piece;
        if (wanted > room) {
            nlsh__free(bytes);
            bytes = NULL;
            NLSH_TRY(nlsh__alloc(&bytes, wanted, 1, error));
            room = wanted;
        }
        NLSH_TRY(nlsh__log_pread(live->fd, live->log_path, live->at.position, bytes, wanted, &got,
                                 error));
        NLSH_TRY(apply_all(live, bytes, got, wanted == left, &done, state, error));
        if (got < wanted || wanted == left) break; /* the end was seen */
        /* A record may be larger than a piece: all of it, then. */
        piece = PIECE;
        if (got - done < sizeof h) continue;
        memcpy(&h, bytes + done, sizeof h);
        if (h.size > piece - sizeof h) piece = (size_t)h.size + sizeof h;
    }
out:
    nlsh__free(bytes);
    return status;
}

enum nlsh_status nlsh__live_read(struct nlsh__live *live, struct nlsh_error *error)
{
    enum nlsh_status status;
    enum nlsh__record_state state;
    struct stat st;
    if (fstat(live->fd, &st) != 0)
        return nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s", live->log_path);
    uint64_t size = (uint64_t)st.st_size;
    NLSH_TRY(read_records(live, size, &state, error));
    if (state == NLSH__RECORD_WHOLE)
        live->rest = (struct nlsh__log_rest){.left = size - live->at.position, .damaged = 1};
    else if (state == NLSH__RECORD_SEAL)
        live->rest = (struct nlsh__log_rest){.sealed = 1};
    else
        NLSH_TRY(nlsh__log_rest(live->fd, live->log_path, size, &live->store.form, &live->at,
                                &live->rest, error));
out:
    return status;
}
