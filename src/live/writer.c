/*
 * writer.c - nlsh_writer: an index that is open for writing.
 *
 * A call makes one record, writes it behind the log with one write, and syncs where that was asked for. Only then is it
 * applied in memory, and the state that follows is published: readers of this process take it with a short lock that
 * is never held while anything is written. As long as no reader asks, none is made: who only writes need not sort rows
 * that come into segments again and again. A record that cannot be written whole is cut off again. A lock on
 * the log's file (flock) keeps out a second writer; the system lifts it with the process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/matrix.h"
#include "base/memory.h"
#include "base/sized.h"
#include "live/coder.h"
#include "live/logfile.h"
#include "live/open.h"
#include "live/writer.h"

struct nlsh_writer {
    struct nlsh__live *live;
    struct nlsh_writer_options options;
    int fd; /* of the log, open for writing and locked */
    struct nlsh__row_maker maker;
    uint8_t *record; /* [room] a record's header and what follows */
    size_t room;
    uint32_t *sizes; /* [m] of buckets while a record is made */
    /* Of all threads: */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* the syncing thread is to end */
    struct nlsh_index *state;
    int stale; /* 1: it is not the newest: nobody asked for that, or there was no memory for it */
    int changed, watched; /* 1: something was put or deleted; and a snapshot was taken since */
    uint64_t durable;     /* bytes of the log that are known to be */
    uint64_t written;
    int broken;   /* errno of a sync that failed, or of a cut: 0 */
    int unsealed; /* 1: there are records, and no seal behind them */
    int ending, has_thread;
    pthread_t thread;
};

/* ---- syncing --------------------------------------------------------------------------------- */

static enum nlsh_status is_broken(struct nlsh_writer *w, struct nlsh_error *error)
{
    pthread_mutex_lock(&w->lock);
    int broken = w->broken;
    pthread_mutex_unlock(&w->lock);
    if (broken == 0) return NLSH_OK;
    return nlsh__fail_errno(
        error, NLSH_E_CANT_CREATE, broken, "open it again: what it then holds is what is there",
        "%s: a write failed before, and the log takes no more", w->live->log_path);
}

/* All that was written is durable behind this. */
static enum nlsh_status sync_log(struct nlsh_writer *w, struct nlsh_error *error)
{
    pthread_mutex_lock(&w->lock);
    uint64_t written = w->written, durable = w->durable;
    int broken = w->broken;
    pthread_mutex_unlock(&w->lock);
    if (broken != 0 || durable == written) return is_broken(w, error);
    int failed = fdatasync(w->fd) != 0 ? errno : 0;
    pthread_mutex_lock(&w->lock);
    if (failed == 0 && written > w->durable) w->durable = written;
    /* What a failed sync left out, the next one does not write: the system has forgotten it. */
    if (failed != 0) w->broken = failed;
    pthread_mutex_unlock(&w->lock);
    return is_broken(w, error);
}

static void *sync_now_and_then(void *user)
{
    struct nlsh_writer *w = user;
    double seconds = w->options.sync_seconds;
    pthread_mutex_lock(&w->lock);
    while (!w->ending) {
        struct timespec at;
        clock_gettime(CLOCK_MONOTONIC, &at);
        at.tv_sec += (time_t)seconds;
        at.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
        if (at.tv_nsec >= 1000000000) {
            at.tv_nsec -= 1000000000;
            at.tv_sec++;
        }
        while (!w->ending && pthread_cond_timedwait(&w->wake, &w->lock, &at) != ETIMEDOUT) continue;
        pthread_mutex_unlock(&w->lock);
        (void)sync_log(w, NULL);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- records --------------------------------------------------------------------------------- */

/* A record's header, and room for what follows it: zeros. */
static enum nlsh_status new_record(struct nlsh_writer *w, enum nlsh__record_kind kind, size_t n,
                                   size_t size, struct nlsh__record_header **out,
                                   struct nlsh_error *error)
{
    size_t whole = sizeof **out + size;
    if (whole > w->room) {
        nlsh__free(w->record);
        w->record = NULL;
        w->room = 0;
        enum nlsh_status status = nlsh__alloc(&w->record, whole, 1, error);
        if (status != NLSH_OK) return status;
        w->room = whole;
    }
    memset(w->record, 0, whole);
    *out = (struct nlsh__record_header *)(void *)w->record;
    (*out)->kind = (uint16_t)kind;
    (*out)->size = size;
    (*out)->n = n;
    return NLSH_OK;
}

/* The log as it was before a record that could not be written or synced. */
static void take_back(struct nlsh_writer *w)
{
    int failed = ftruncate(w->fd, (off_t)w->live->at.position) != 0 ? errno : 0;
    pthread_mutex_lock(&w->lock);
    w->unsealed = w->live->at.number > 1;
    w->written = w->live->at.position;
    if (w->durable > w->written) w->durable = w->written;
    if (failed != 0 && w->broken == 0) w->broken = failed;
    pthread_mutex_unlock(&w->lock);
}

static enum nlsh_status write_record(struct nlsh_writer *w, struct nlsh__record_header *record,
                                     struct nlsh__log_at *at, struct nlsh_error *error)
{
    const struct nlsh__live *live = w->live;
    pthread_mutex_lock(&w->lock);
    uint64_t durable = w->durable;
    pthread_mutex_unlock(&w->lock);
    nlsh__record_seal(record, durable, at);
    int e =
        nlsh__log_pwrite(w->fd, record, sizeof *record + (size_t)record->size, live->at.position);
    if (e != 0) {
        take_back(w);
        return nlsh__fail_errno(error, NLSH_E_CANT_CREATE, e,
                                e == ENOSPC || e == EDQUOT ? "make room on that disk" : NULL,
                                "cannot write %s", live->log_path);
    }
    pthread_mutex_lock(&w->lock);
    w->written = at->position;
    pthread_mutex_unlock(&w->lock);
    if (w->options.sync != NLSH_SYNC_ALWAYS) return NLSH_OK;
    enum nlsh_status status = sync_log(w, error);
    if (status != NLSH_OK) take_back(w);
    return status;
}

/* A last record says that all before it is durable: damage of those can then be told from a write that was interrupted.
 * The next writer's first record takes its place. Without it nothing is lost. */
static void seal_log(struct nlsh_writer *w)
{
    struct nlsh__record_header *record;
    const uint64_t none = NLSH_NO_KEY;
    pthread_mutex_lock(&w->live->lock);
    struct nlsh__log_at at = w->live->at;
    w->options.sync = NLSH_SYNC_FLUSH;
    if (new_record(w, NLSH__RECORD_DELETE, 1, nlsh__delete_size(1), &record, NULL) == NLSH_OK) {
        memcpy(record + 1, &none, sizeof none);
        (void)write_record(w, record, &at, NULL);
    }
    pthread_mutex_unlock(&w->live->lock);
}

/* The state that follows, for readers. live is locked. */
static enum nlsh_status publish(struct nlsh_writer *w, struct nlsh_error *error)
{
    struct nlsh_index *state, *before = NULL;
    enum nlsh_status status = nlsh__live_publish(w->live, &state, error);
    pthread_mutex_lock(&w->lock);
    w->stale = status != NLSH_OK;
    if (status == NLSH_OK) {
        before = w->state;
        w->state = state;
    }
    pthread_mutex_unlock(&w->lock);
    nlsh_index_close(before);
    return status;
}

/* A record that is made, for which there is room. live is locked: a reader of this process may refresh. */
static enum nlsh_status finish(struct nlsh_writer *w, struct nlsh__record_header *record,
                               struct nlsh_error *error)
{
    struct nlsh__live *live = w->live;
    struct nlsh__log_at at = live->at;
    enum nlsh_status status = write_record(w, record, &at, error);
    if (status != NLSH_OK) return status;
    live->at = at;
    w->unsealed = 1;
    if (!nlsh__live_apply(live, record))
        return nlsh__fail(error, NLSH_E_INTERNAL, "please report this",
                          "%s: a record was written that cannot be read", live->log_path);
    pthread_mutex_lock(&w->lock);
    int watched = w->watched;
    w->changed = 1;
    w->stale |= !watched;
    pthread_mutex_unlock(&w->lock);
    /* What is written is there: without memory for its state, the next snapshot makes that. */
    if (watched && publish(w, error) != NLSH_OK) nlsh__error_clear(error);
    return NLSH_OK;
}

/* ---- open and close -------------------------------------------------------------------------- */

void nlsh_writer_options_init(struct nlsh_writer_options *options, size_t size)
{
    static const struct nlsh_writer_options defaults = {
        .memory = NLSH_MEMORY_MAP, .sync = NLSH_SYNC_ALWAYS, .sync_seconds = 0.1};
    nlsh__options_init(options, size, &defaults, sizeof defaults);
}

static enum nlsh_status take_options(const struct nlsh_writer_options *given,
                                     struct nlsh_writer_options *out, struct nlsh_error *error)
{
    nlsh_writer_options_init(out, sizeof *out);
    enum nlsh_status status =
        nlsh__options_take(out, sizeof *out, given, "nlsh_writer_options", error);
    if (status != NLSH_OK) return status;
    if (out->sync < NLSH_SYNC_ALWAYS || out->sync > NLSH_SYNC_FLUSH)
        return nlsh__fail(error, NLSH_E_ARG, "take always, interval or flush", "sync is %d",
                          (int)out->sync);
    if (!(out->sync_seconds >= 0.001 && out->sync_seconds <= 3600))
        return nlsh__fail(error, NLSH_E_ARG, "take .001 to 3600 seconds", "sync_seconds is %g",
                          out->sync_seconds);
    return NLSH_OK;
}

/* What an interrupted write left is cut off, so that the next record follows the last. Then all that was read is made
 * durable, the log's name too: a writer that was killed may have left it to the system. */
static enum nlsh_status settle_log(struct nlsh_writer *w, int drop_damaged,
                                   struct nlsh_error *error)
{
    struct nlsh__live *live = w->live;
    if (live->rest.damaged && !drop_damaged) return nlsh__log_damaged(live, error);
    if (live->rest.left > 0 && ftruncate(w->fd, (off_t)live->at.position) != 0)
        return nlsh__log_cannot_open(live->log_path, errno, error);
    int e = fsync(w->fd) != 0 ? errno : nlsh__log_sync_name(live->log_path);
    if (e != 0) return nlsh__log_cannot_open(live->log_path, e, error);
    w->unsealed = !live->rest.sealed && live->at.number > 1;
    live->rest = (struct nlsh__log_rest){.left = 0};
    w->written = w->durable = live->at.position;
    return NLSH_OK;
}

static enum nlsh_status start_thread(struct nlsh_writer *w, struct nlsh_error *error)
{
    if (w->options.sync != NLSH_SYNC_INTERVAL) return NLSH_OK;
    int e = pthread_create(&w->thread, NULL, sync_now_and_then, w);
    if (e != 0) return nlsh__fail_errno(error, NLSH_E_NOMEM, e, NULL, "cannot start a thread");
    w->has_thread = 1;
    return NLSH_OK;
}

static void init_waiting(struct nlsh_writer *w)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* The file as it is under the lock, and all of the log. */
static enum nlsh_status load(struct nlsh_writer *w, const char *path, const char *log_path,
                             struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *file = NULL;
    NLSH_TRY(nlsh__open_file(path, w->options.memory, &file, error));
    NLSH_TRY(nlsh__log_start(w->fd, log_path, file, error));
    int fd = open(log_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        status = nlsh__log_cannot_open(log_path, errno, error);
        goto out;
    }
    status = nlsh__live_create(file, log_path, fd, &w->live, error);
    file = NULL;
out:
    nlsh_index_close(file);
    return status;
}

enum nlsh_status nlsh__writer_open(const char *path, const struct nlsh_writer_options *options,
                                   int drop_damaged, struct nlsh_writer **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_writer *w = NULL;
    struct nlsh_index *probe = NULL;
    char *log_path = NULL;
    nlsh__error_clear(error);
    if (out == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "out is NULL");
    *out = NULL;
    if (path == NULL || path[0] == '\0')
        return nlsh__fail(error, NLSH_E_ARG, "name an index file", "no index file was named");
    NLSH_TRY(nlsh__calloc(&w, 1, sizeof *w, error));
    w->fd = -1;
    init_waiting(w);
    NLSH_TRY(take_options(options, &w->options, error));
    /* No log is made beside what is no index. */
    NLSH_TRY(nlsh__open_file(path, NLSH_MEMORY_MAP, &probe, error));
    NLSH_TRY(nlsh__whole_check(probe, "a change", error));
    NLSH_TRY(nlsh__log_path(path, &log_path, error));
    NLSH_TRY(nlsh__log_lock(log_path, 1, &w->fd, error));
    NLSH_TRY(load(w, path, log_path, error));
    NLSH_TRY(settle_log(w, drop_damaged, error));
    NLSH_TRY(nlsh__row_maker_create(w->live->file, &w->maker, error));
    NLSH_TRY(nlsh__alloc(&w->sizes, w->live->file->meta.n_buckets, sizeof *w->sizes, error));
    NLSH_TRY(nlsh__live_publish(w->live, &w->state, error));
    NLSH_TRY(start_thread(w, error));
    *out = w;
    w = NULL;
out:
    nlsh_index_close(probe);
    nlsh__free(log_path);
    (void)nlsh_writer_close(w, NULL);
    return status;
}

enum nlsh_status nlsh_writer_open(const char *path, const struct nlsh_writer_options *options,
                                  struct nlsh_writer **out, struct nlsh_error *error)
{
    return nlsh__writer_open(path, options, 0, out, error);
}

enum nlsh_status nlsh_writer_close(struct nlsh_writer *w, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    nlsh__error_clear(error);
    if (w == NULL) return NLSH_OK;
    if (w->has_thread) {
        pthread_mutex_lock(&w->lock);
        w->ending = 1;
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    if (w->live != NULL) {
        status = sync_log(w, error);
        if (status == NLSH_OK && w->unsealed) seal_log(w);
    }
    nlsh_index_close(w->state);
    nlsh__row_maker_free(&w->maker);
    nlsh__live_drop(w->live);
    nlsh__free(w->record);
    nlsh__free(w->sizes);
    if (w->fd >= 0) close(w->fd);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    nlsh__free(w);
    return status;
}

/* ---- put, delete ----------------------------------------------------------------------------- */

static enum nlsh_status check_put(const struct nlsh_writer *w, const uint64_t *keys,
                                  const struct nlsh_matrix *vectors, struct nlsh_error *error)
{
    enum nlsh_status status;
    if (keys == NULL || vectors == NULL)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "no %s", keys == NULL ? "keys" : "vectors");
    const struct nlsh_index *file = w->live->file;
    NLSH_TRY(nlsh__matrix_check(vectors, "vectors", error));
    if (!nlsh__is_vector_type(vectors->type) || vectors->dim != file->meta.dim)
        return nlsh__fail(error, NLSH_E_MISMATCH, "give vectors of the index's dimension",
                          "vectors of dimension %zu and type %s, but %s has dimension %u",
                          vectors->dim, nlsh__type_name(vectors->type), file->path, file->meta.dim);
    for (size_t i = 0; i < vectors->n_rows; i++)
        if (keys[i] == NLSH_NO_KEY)
            return nlsh__fail(error, NLSH_E_ARG, "take any other number",
                              "key %zu is 2^64 - 1, which stands for no vector", i);
out:
    return status;
}

static enum nlsh_status make_rows(struct nlsh_writer *w, const struct nlsh_matrix *vectors,
                                  const struct nlsh__log_rows *rows, struct nlsh_error *error)
{
    const struct nlsh__live *live = w->live;
    size_t m = live->file->meta.n_buckets;
    size_t n = (size_t)live->file->meta.n_rows + live->store.rows.n + vectors->n_rows;
    size_t most = nlsh__bucket_full(n, m, NLSH__MOST_OF_MEAN);
    memcpy(w->sizes, live->sizes, m * sizeof *w->sizes);
    for (size_t i = 0; i < vectors->n_rows; i++) {
        enum nlsh_status status = nlsh__make_row(&w->maker, vectors, i, w->sizes, most,
                                                 &live->store.form, i, rows, error);
        if (status != NLSH_OK) return status;
        w->sizes[rows->buckets[i]]++;
    }
    return NLSH_OK;
}

static enum nlsh_status put(struct nlsh_writer *w, const uint64_t *keys,
                            const struct nlsh_matrix *vectors, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__record_header *record;
    struct nlsh__log_rows rows;
    size_t n = vectors->n_rows;
    const struct nlsh__row_form *form = &w->live->store.form;
    NLSH_TRY(nlsh__live_reserve(w->live, n, error));
    size_t size = nlsh__put_size(form, n);
    if (size == 0)
        return nlsh__fail(error, NLSH_E_ARG, "put them in several calls",
                          "%zu vectors of %zu bytes are more than one record holds (1 GiB)", n,
                          form->row_bytes);
    NLSH_TRY(new_record(w, NLSH__RECORD_PUT, n, size, &record, error));
    nlsh__rows_in(form, n, record + 1, &rows);
    NLSH_TRY(make_rows(w, vectors, &rows, error));
    memcpy(rows.keys, keys, n * sizeof *keys);
    NLSH_TRY(finish(w, record, error));
out:
    return status;
}

enum nlsh_status nlsh_writer_put(struct nlsh_writer *w, const uint64_t *keys,
                                 const struct nlsh_matrix *vectors, struct nlsh_error *error)
{
    enum nlsh_status status;
    nlsh__error_clear(error);
    if (w == NULL) return nlsh__fail(error, NLSH_E_ARG, NULL, "no writer");
    pthread_mutex_lock(&w->live->lock);
    NLSH_TRY(is_broken(w, error));
    NLSH_TRY(check_put(w, keys, vectors, error));
    if (vectors->n_rows > 0) NLSH_TRY(put(w, keys, vectors, error));
out:
    pthread_mutex_unlock(&w->live->lock);
    return status;
}

static enum nlsh_status delete_keys(struct nlsh_writer *w, const uint64_t *keys, size_t n,
                                    size_t *n_deleted, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__live *live = w->live;
    struct nlsh__record_header *record;
    size_t size = nlsh__delete_size(n), dead = live->n_dead, there = 0;
    NLSH_TRY(nlsh__live_reserve(live, 0, error));
    for (size_t i = 0; i < n; i++) there += nlsh__live_find(live, keys[i]) != NLSH__NO_ROW;
    if (there == 0) return NLSH_OK;
    if (size == 0)
        return nlsh__fail(error, NLSH_E_ARG, "delete them in several calls",
                          "%zu keys are more than one record holds (1 GiB)", n);
    NLSH_TRY(new_record(w, NLSH__RECORD_DELETE, n, size, &record, error));
    memcpy(record + 1, keys, n * sizeof *keys);
    NLSH_TRY(finish(w, record, error));
    *n_deleted = live->n_dead - dead;
out:
    return status;
}

enum nlsh_status nlsh_writer_delete(struct nlsh_writer *w, const uint64_t *keys, size_t n,
                                    size_t *n_deleted, struct nlsh_error *error)
{
    enum nlsh_status status;
    size_t deleted = 0;
    nlsh__error_clear(error);
    if (n_deleted != NULL) *n_deleted = 0;
    if (w == NULL || (keys == NULL && n > 0))
        return nlsh__fail(error, NLSH_E_ARG, NULL, "no %s", w == NULL ? "writer" : "keys");
    pthread_mutex_lock(&w->live->lock);
    NLSH_TRY(is_broken(w, error));
    NLSH_TRY(delete_keys(w, keys, n, &deleted, error));
out:
    pthread_mutex_unlock(&w->live->lock);
    if (n_deleted != NULL) *n_deleted = deleted;
    return status;
}

enum nlsh_status nlsh_writer_flush(struct nlsh_writer *w, struct nlsh_error *error)
{
    nlsh__error_clear(error);
    return w != NULL ? sync_log(w, error) : nlsh__fail(error, NLSH_E_ARG, NULL, "no writer");
}

/* ---- for readers ----------------------------------------------------------------------------- */

/* Whether the state is old. From now on each call publishes the one that follows it, if there was any call yet. */
static int is_stale(struct nlsh_writer *w)
{
    pthread_mutex_lock(&w->lock);
    int stale = w->stale;
    w->watched |= w->changed;
    pthread_mutex_unlock(&w->lock);
    return stale;
}

/* Makes the newest state; or a call that is at work does. */
static enum nlsh_status freshen(struct nlsh_writer *w, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct timespec pause = {0, 100000};
    while (status == NLSH_OK && is_stale(w)) {
        /* A thread that puts all the time lets nobody in who waits for its lock, but it publishes. */
        if (pthread_mutex_trylock(&w->live->lock) != 0) {
            nanosleep(&pause, NULL);
            continue;
        }
        status = publish(w, error);
        pthread_mutex_unlock(&w->live->lock);
    }
    return status;
}

enum nlsh_status nlsh_writer_snapshot(struct nlsh_writer *w, struct nlsh_index **out,
                                      struct nlsh_error *error)
{
    nlsh__error_clear(error);
    if (w == NULL || out == NULL)
        return nlsh__fail(error, NLSH_E_ARG, NULL, "%s", w == NULL ? "no writer" : "out is NULL");
    *out = NULL;
    enum nlsh_status status = freshen(w, error);
    if (status != NLSH_OK) return status;
    pthread_mutex_lock(&w->lock);
    *out = w->state;
    atomic_fetch_add_explicit(&w->state->owners, 1, memory_order_relaxed);
    pthread_mutex_unlock(&w->lock);
    return NLSH_OK;
}

uint64_t nlsh_writer_next_key(struct nlsh_writer *w)
{
    if (w == NULL) return NLSH_NO_KEY;
    pthread_mutex_lock(&w->live->lock);
    uint64_t next = w->live->next_key;
    pthread_mutex_unlock(&w->live->lock);
    return next;
}

/* ---- for those who replace the file ---------------------------------------------------------- */

const struct nlsh_index *nlsh__writer_state(const struct nlsh_writer *w)
{
    return w->state;
}

const struct nlsh_index *nlsh__writer_file(const struct nlsh_writer *w)
{
    return w->live->file;
}

struct nlsh__log_taken nlsh__writer_taken(const struct nlsh_writer *w)
{
    const struct nlsh__log_at *at = &w->live->at;
    return (struct nlsh__log_taken){at->log, at->position, at->previous, at->number, {0}};
}

enum nlsh_status nlsh__writer_new_log(struct nlsh_writer *w, struct nlsh_error *error)
{
    return nlsh__new_log(w->live->file->path, w->live->log_path, error);
}
