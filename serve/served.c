/*
 * served.c - see served.h.
 *
 * A state counts its holders: the server while it is the newest, and each seat that has last searched it. A seat that
 * is taken goes over to the newest state, so an old one closes when its last search has ended and the seat is taken
 * again, or at the next change.
 */
#include "serve/served.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"
#include "index/index.h"

struct state {
    struct nlsh__served_state public; /* first: a seat's state is cast back */
    struct nlsh_index *index;
    size_t n_holders;
};

struct seat {
    struct nlsh__seat public; /* first, too */
    struct state *state;
    struct seat *next; /* of those that nobody uses */
};

struct nlsh__served {
    pthread_mutex_t lock; /* of the states' holders, now, and idle */
    struct state *now;
    struct seat *idle;
    pthread_mutex_t write_lock; /* of the writer; taken before the other */
    struct nlsh_writer *writer; /* or NULL */
    char *path;                 /* of the index; NULL without a writer */
    struct stat file;           /* that is written beside */
};

/* ---- states ---------------------------------------------------------------------------------- */

/* Under the lock. Returns what is to be closed, or NULL. */
static struct state *drop(struct state *state)
{
    return state != NULL && --state->n_holders == 0 ? state : NULL;
}

static void state_free(struct state *state)
{
    if (state == NULL) return;
    nlsh_index_close(state->index);
    nlsh__free(state);
}

/* Idle seats let go of old states: nobody may come to take them for hours. Those whose searcher cannot go over, for
 * want of memory, stay as they are. Under the lock; gone [n] takes the states that are to be closed. */
static size_t move_idle(struct nlsh__served *served, struct state **gone, size_t n)
{
    size_t n_gone = 0;
    for (struct seat *seat = served->idle; seat != NULL && n_gone < n; seat = seat->next) {
        if (seat->state == served->now ||
            nlsh_searcher_use(seat->public.searcher, served->now->index, NULL) != NLSH_OK)
            continue;
        gone[n_gone] = drop(seat->state);
        n_gone += gone[n_gone] != NULL;
        seat->state = served->now;
        served->now->n_holders++;
    }
    return n_gone;
}

/* Takes index over, on an error too, as the state of now. */
static enum nlsh_status publish(struct nlsh__served *served, struct nlsh_index *index,
                                size_t *n_rows, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct state *state = NULL, *gone[64];
    NLSH_TRY(nlsh__calloc(&state, 1, sizeof *state, error));
    state->public.info.struct_size = sizeof state->public.info;
    NLSH_TRY(nlsh_index_info(index, &state->public.info, error));
    *n_rows = state->public.info.n_rows;
    state->index = index;
    state->public.index = index;
    state->n_holders = 1;
    pthread_mutex_lock(&served->lock);
    struct state *before = served->now;
    state->public.number = before != NULL ? before->public.number + 1 : 1;
    /* While both are open a router has an address of its own. */
    state->public.file =
        before == NULL ? 1 : before->public.file + (before->index->router != index->router);
    served->now = state;
    size_t n_gone = move_idle(served, gone, 63);
    gone[n_gone] = drop(before);
    pthread_mutex_unlock(&served->lock);
    for (size_t i = 0; i <= n_gone; i++) state_free(gone[i]);
    return NLSH_OK;
out:
    nlsh__free(state);
    nlsh_index_close(index);
    return status;
}

/* ---- life ------------------------------------------------------------------------------------ */

static enum nlsh_status open_index(struct nlsh__served *served, const char *path,
                                   enum nlsh_memory memory, int writes, enum nlsh_sync sync,
                                   struct nlsh_index **out, struct nlsh_error *error)
{
    if (!writes) {
        struct nlsh_open_options options;
        nlsh_open_options_init(&options, sizeof options);
        options.memory = memory;
        return nlsh_index_open(path, &options, out, error);
    }
    struct nlsh_writer_options options;
    nlsh_writer_options_init(&options, sizeof options);
    options.memory = memory;
    options.sync = sync;
    enum nlsh_status status = nlsh_writer_open(path, &options, &served->writer, error);
    return status == NLSH_OK ? nlsh_writer_snapshot(served->writer, out, error) : status;
}

/* Which file it is, for check_place(). */
static enum nlsh_status note_place(struct nlsh__served *served, const char *path,
                                   struct nlsh_error *error)
{
    size_t n = strlen(path) + 1;
    enum nlsh_status status = nlsh__alloc(&served->path, n, 1, error);
    if (status != NLSH_OK) return status;
    memcpy(served->path, path, n);
    if (stat(path, &served->file) == 0) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_NO_INPUT, "check the path", "%s is gone", path);
}

enum nlsh_status nlsh__served_open(const char *path, enum nlsh_memory memory, int writes,
                                   enum nlsh_sync sync, struct nlsh__served **out,
                                   struct nlsh_error *error)
{
    struct nlsh__served *served;
    struct nlsh_index *index;
    size_t n_rows;
    *out = NULL;
    enum nlsh_status status = nlsh__calloc(&served, 1, sizeof *served, error);
    if (status != NLSH_OK) return status;
    pthread_mutex_init(&served->lock, NULL);
    pthread_mutex_init(&served->write_lock, NULL);
    NLSH_TRY(open_index(served, path, memory, writes, sync, &index, error));
    NLSH_TRY(publish(served, index, &n_rows, error));
    if (writes) NLSH_TRY(note_place(served, path, error));
    *out = served;
    return NLSH_OK;
out:
    (void)nlsh__served_close(served, NULL);
    return status;
}

enum nlsh_status nlsh__served_close(struct nlsh__served *served, struct nlsh_error *error)
{
    if (served == NULL) return NLSH_OK;
    while (served->idle != NULL) {
        struct seat *seat = served->idle;
        served->idle = seat->next;
        nlsh_searcher_free(seat->public.searcher);
        state_free(drop(seat->state));
        nlsh__free(seat);
    }
    state_free(drop(served->now));
    enum nlsh_status status = nlsh_writer_close(served->writer, error);
    pthread_mutex_destroy(&served->write_lock);
    pthread_mutex_destroy(&served->lock);
    nlsh__free(served->path);
    nlsh__free(served);
    return status;
}

int nlsh__served_writes(const struct nlsh__served *served)
{
    return served->writer != NULL;
}

/* ---- seats ----------------------------------------------------------------------------------- */

static struct seat *take_idle(struct nlsh__served *served, struct state **now)
{
    pthread_mutex_lock(&served->lock);
    struct seat *seat = served->idle;
    if (seat != NULL) served->idle = seat->next;
    *now = served->now;
    (*now)->n_holders++;
    pthread_mutex_unlock(&served->lock);
    return seat;
}

static void let_go(struct nlsh__served *served, struct state *state)
{
    pthread_mutex_lock(&served->lock);
    struct state *gone = drop(state);
    pthread_mutex_unlock(&served->lock);
    state_free(gone);
}

enum nlsh_status nlsh__served_take(struct nlsh__served *served, struct nlsh__seat **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct state *now, *before = NULL;
    struct seat *seat = take_idle(served, &now);
    *out = NULL;
    if (seat != NULL && seat->state == now) {
        before = now; /* held twice now */
    } else if (seat != NULL) {
        before = seat->state;
        NLSH_TRY(nlsh_searcher_use(seat->public.searcher, now->index, error));
    } else {
        NLSH_TRY(nlsh__calloc(&seat, 1, sizeof *seat, error));
        NLSH_TRY(nlsh_searcher_create(now->index, &seat->public.searcher, error));
    }
    seat->state = now;
    seat->public.state = &now->public;
    let_go(served, before);
    *out = &seat->public;
    return NLSH_OK;
out:
    if (seat != NULL && seat->state != NULL)
        nlsh__served_give(served, &seat->public); /* as it was */
    else
        nlsh__free(seat);
    let_go(served, now);
    return status;
}

void nlsh__served_give(struct nlsh__served *served, struct nlsh__seat *public)
{
    struct seat *seat = (struct seat *)public;
    pthread_mutex_lock(&served->lock);
    seat->next = served->idle;
    served->idle = seat;
    pthread_mutex_unlock(&served->lock);
}

/* ---- changes --------------------------------------------------------------------------------- */

enum nlsh_status nlsh__served_refresh(struct nlsh__served *served, struct nlsh_error *error)
{
    struct nlsh_index *index;
    size_t n_rows;
    if (served->writer != NULL) return NLSH_OK;
    /* Nobody else publishes: now stays open without the lock. */
    enum nlsh_status status = nlsh_index_refresh(served->now->index, &index, error);
    if (status != NLSH_OK || index == NULL) return status;
    return publish(served, index, &n_rows, error);
}

static enum nlsh_status publish_snapshot(struct nlsh__served *served, size_t *n_rows,
                                         struct nlsh_error *error)
{
    struct nlsh_index *index;
    enum nlsh_status status = nlsh_writer_snapshot(served->writer, &index, error);
    return status == NLSH_OK ? publish(served, index, n_rows, error) : status;
}

static enum nlsh_status check_writes(const struct nlsh__served *served, struct nlsh_error *error)
{
    if (served->writer != NULL) return NLSH_OK;
    return nlsh__fail(error, NLSH_E_UNSUPPORTED, "start the server with --write",
                      "this server only searches");
}

/* nlsh's own commands leave alone what is written to; others (mv, rm) do not. What would be added then could never be
 * read again, and must not be called durable. */
static enum nlsh_status check_place(const struct nlsh__served *served, struct nlsh_error *error)
{
    struct stat now;
    if (stat(served->path, &now) == 0 && now.st_dev == served->file.st_dev &&
        now.st_ino == served->file.st_ino)
        return NLSH_OK;
    return nlsh__fail(
        error, NLSH_E_CANT_CREATE, "end the server, put the file back, and start again",
        "%s is no longer the file that was opened: nothing is added to it", served->path);
}

static enum nlsh_status put_next(struct nlsh__served *served, const struct nlsh_matrix *vectors,
                                 uint64_t *first_key, struct nlsh_error *error)
{
    uint64_t *keys, next = nlsh_writer_next_key(served->writer);
    if (next > NLSH_NO_KEY - vectors->n_rows)
        return nlsh__fail(error, NLSH_E_ARG, "give keys",
                          "there are not %zu free keys above the largest one", vectors->n_rows);
    enum nlsh_status status = nlsh__alloc(&keys, vectors->n_rows, sizeof *keys, error);
    if (status != NLSH_OK) return status;
    for (size_t i = 0; i < vectors->n_rows; i++) keys[i] = next + i;
    status = nlsh_writer_put(served->writer, keys, vectors, error);
    nlsh__free(keys);
    *first_key = next;
    return status;
}

enum nlsh_status nlsh__served_put(struct nlsh__served *served, const uint64_t *keys,
                                  const struct nlsh_matrix *vectors, uint64_t *first_key,
                                  size_t *n_rows, struct nlsh_error *error)
{
    enum nlsh_status status = check_writes(served, error);
    if (status != NLSH_OK) return status;
    pthread_mutex_lock(&served->write_lock);
    status = check_place(served, error);
    if (status == NLSH_OK)
        status = keys != NULL ? nlsh_writer_put(served->writer, keys, vectors, error)
                              : put_next(served, vectors, first_key, error);
    if (status == NLSH_OK) status = publish_snapshot(served, n_rows, error);
    pthread_mutex_unlock(&served->write_lock);
    return status;
}

enum nlsh_status nlsh__served_delete(struct nlsh__served *served, const uint64_t *keys, size_t n,
                                     size_t *n_deleted, size_t *n_rows, struct nlsh_error *error)
{
    enum nlsh_status status = check_writes(served, error);
    if (status != NLSH_OK) return status;
    pthread_mutex_lock(&served->write_lock);
    status = check_place(served, error);
    if (status == NLSH_OK) status = nlsh_writer_delete(served->writer, keys, n, n_deleted, error);
    if (status == NLSH_OK) status = publish_snapshot(served, n_rows, error);
    pthread_mutex_unlock(&served->write_lock);
    return status;
}
