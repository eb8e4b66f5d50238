/*
 * state.c - see state.h.
 *
 * A state is the file's index with other tables: its segments, and behind them those of the log's rows; tombstones
 * that are copied when they change. The rest it shares, with the file and with the states before it.
 */
#include "live/state.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/shared.h"
#include "index/layout.h"
#include "live/coder.h"
#include "promise/weights.h"
#include "router/router.h"

/* ---- make, and free -------------------------------------------------------------------------- */

static void live_free(struct nlsh__live *live)
{
    nlsh__store_free(&live->store);
    nlsh__keys_free(&live->keys);
    nlsh__strange_free(&live->strange);
    for (size_t i = 0; live->dead != NULL && i <= live->file->n_segments; i++) {
        nlsh__free(live->dead[i].words);
        nlsh__shared_drop(live->dead[i].shared);
    }
    nlsh__free(live->dead);
    nlsh__free(live->sizes);
    nlsh__shared_drop(live->weights);
    nlsh__free(live->log_path);
    nlsh_index_close(live->file);
    if (live->fd >= 0) close(live->fd);
    pthread_mutex_destroy(&live->lock);
    nlsh__free(live);
}

struct nlsh__live *nlsh__live_keep(struct nlsh__live *live)
{
    atomic_fetch_add_explicit(&live->owners, 1, memory_order_relaxed);
    return live;
}

void nlsh__live_drop(struct nlsh__live *live)
{
    if (live == NULL) return;
    if (atomic_fetch_sub_explicit(&live->owners, 1, memory_order_acq_rel) == 1) live_free(live);
}

/* The largest key of the file's rows, and one. */
static uint64_t next_key_of(const struct nlsh_index *file)
{
    uint64_t next = 0;
    for (size_t i = 0; i < file->n_segments; i++) {
        const struct nlsh__segment *s = &file->segments[i];
        uint64_t end = s->first_row + (uint64_t)s->n_rows;
        if (s->keys == NULL && end > next) next = end;
        for (size_t row = 0; s->keys != NULL && row < s->n_rows; row++)
            if (s->keys[row] >= next && s->keys[row] != NLSH_NO_KEY) next = s->keys[row] + 1;
    }
    return next;
}

static enum nlsh_status start(struct nlsh__live *live, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *file = live->file;
    size_t m = file->meta.n_buckets;
    nlsh__store_init(file, &live->store);
    NLSH_TRY(nlsh__calloc(&live->dead, file->n_segments + 1, sizeof *live->dead, error));
    NLSH_TRY(nlsh__calloc(&live->sizes, m, sizeof *live->sizes, error));
    for (size_t i = 0; i < file->n_segments; i++)
        for (size_t b = 0; b < m; b++)
            live->sizes[b] +=
                file->segments[i].bucket_offsets[b + 1] - file->segments[i].bucket_offsets[b];
    live->next_key = next_key_of(file);
out:
    return status;
}

/* The header that begins the log, and where the file takes it up. */
static enum nlsh_status begin(struct nlsh__live *live, struct nlsh_error *error)
{
    struct nlsh__log_header h;
    struct nlsh__index_header of_file;
    int newer;
    const struct nlsh__row_form *form = &live->store.form;
    ssize_t n = pread(live->fd, &h, sizeof h, 0);
    if (n < 0) return nlsh__fail_errno(error, NLSH_E_IO, errno, NULL, "%s", live->log_path);
    const char *wrong = n < (ssize_t)sizeof h ? "it is too short for a log's header"
                                              : nlsh__log_header_wrong(&h, &newer);
    if (wrong != NULL)
        return nlsh__fail(error, NLSH_E_DATA,
                          "move it away: the index is then what its file alone says", "%s: %s",
                          live->log_path, wrong);
    if (newer)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "update nlsh", "%s: the log of a newer nlsh",
                          live->log_path);
    memcpy(&of_file, live->file->map.data, sizeof of_file);
    live->at = nlsh__log_begin(&h);
    int adopted = live->file->log.log == h.checksum;
    if ((h.index != of_file.checksum && !adopted) || h.row_bytes != form->row_bytes ||
        h.code_bytes != form->code_bytes)
        return nlsh__fail(error, NLSH_E_MISMATCH,
                          "move the log away, or put back the index that it belongs to",
                          "%s: the log of another index than %s", live->log_path, live->file->path);
    if (adopted)
        live->at = (struct nlsh__log_at){h.checksum, live->file->log.position,
                                         live->file->log.previous, live->file->log.number};
    return NLSH_OK;
}

enum nlsh_status nlsh__live_create(struct nlsh_index *file, const char *log_path, int fd,
                                   struct nlsh__live **out, struct nlsh_error *error)
{
    struct nlsh__live *live = NULL;
    *out = NULL;
    enum nlsh_status status = nlsh__calloc(&live, 1, sizeof *live, error);
    if (status != NLSH_OK) {
        nlsh_index_close(file);
        close(fd);
        return status;
    }
    atomic_init(&live->owners, 1);
    pthread_mutex_init(&live->lock, NULL);
    live->file = file;
    live->fd = fd;
    NLSH_TRY(nlsh__alloc(&live->log_path, strlen(log_path) + 1, 1, error));
    memcpy(live->log_path, log_path, strlen(log_path) + 1);
    NLSH_TRY(start(live, error));
    NLSH_TRY(begin(live, error));
    NLSH_TRY(nlsh__live_read(live, error));
    *out = live;
    return NLSH_OK;
out:
    live_free(live);
    return status;
}

/* ---- keys and tombstones --------------------------------------------------------------------- */

static int bit(const uint64_t *words, size_t i)
{
    return words != NULL && (words[i / 64] >> i % 64 & 1) != 0;
}

/* The segment of a row of the file. */
static size_t segment_of(const struct nlsh_index *file, uint32_t row)
{
    size_t i = file->n_segments - 1;
    while (row < file->segments[i].first_row) i--;
    return i;
}

static int is_dead(const struct nlsh__live *live, uint32_t row)
{
    const struct nlsh_index *file = live->file;
    if (row >= file->meta.n_rows)
        return bit(live->dead[file->n_segments].words, (size_t)(row - file->meta.n_rows));
    size_t i = segment_of(file, row), in = row - file->segments[i].first_row;
    const uint64_t *words = live->dead[i].words;
    return bit(words != NULL ? words : file->segments[i].tombstones, in);
}

uint32_t nlsh__live_find(const struct nlsh__live *live, uint64_t key)
{
    const struct nlsh_index *file = live->file;
    uint32_t row = nlsh__keys_find(&live->keys, key);
    if (row == NLSH__NO_ROW && key < file->meta.n_rows &&
        file->segments[segment_of(file, (uint32_t)key)].keys == NULL)
        row = (uint32_t)key;
    return row != NLSH__NO_ROW && !is_dead(live, row) ? row : NLSH__NO_ROW;
}

/* Keys of the file's rows, the first time that they are asked for. */
static enum nlsh_status know_file_keys(struct nlsh__live *live, struct nlsh_error *error)
{
    const struct nlsh_index *file = live->file;
    if (live->knows_file_keys) return NLSH_OK;
    for (size_t i = 0; i < file->n_segments; i++) {
        const struct nlsh__segment *s = &file->segments[i];
        if (s->keys == NULL) continue;
        enum nlsh_status status = nlsh__keys_reserve(&live->keys, s->n_rows, error);
        if (status != NLSH_OK) return status;
        for (size_t row = 0; row < s->n_rows; row++)
            if (!bit(s->tombstones, row) && s->keys[row] != NLSH_NO_KEY)
                nlsh__keys_put(&live->keys, s->keys[row], s->first_row + (uint32_t)row);
    }
    live->knows_file_keys = 1;
    return NLSH_OK;
}

/* Room for tombstones of rows, be they none; what is new is 0. */
static enum nlsh_status widen(struct nlsh__dead *dead, size_t rows, struct nlsh_error *error)
{
    uint64_t *words;
    size_t n = (rows + 63) / 64, room = n + n / 2 + 1;
    if (dead->words != NULL && n <= dead->n_words) return NLSH_OK;
    nlsh__shared_drop(dead->shared); /* is too short from now on */
    dead->shared = NULL;
    if (dead->words != NULL && n <= dead->room) {
        dead->n_words = n;
        return NLSH_OK;
    }
    enum nlsh_status status = nlsh__calloc(&words, room, sizeof *words, error);
    if (status != NLSH_OK) return status;
    if (dead->words != NULL) memcpy(words, dead->words, dead->n_words * sizeof *words);
    nlsh__free(dead->words);
    dead->words = words;
    dead->n_words = n;
    dead->room = room;
    return NLSH_OK;
}

enum nlsh_status nlsh__live_reserve(struct nlsh__live *live, size_t n, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *file = live->file;
    if (n > UINT32_MAX - 2 - file->meta.n_rows - live->store.rows.n)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "compact the index first",
                          "%s: more than 4,294,967,294 rows with those of its log", file->path);
    NLSH_TRY(know_file_keys(live, error));
    NLSH_TRY(nlsh__keys_reserve(&live->keys, n, error));
    NLSH_TRY(nlsh__store_reserve(&live->store, n, error));
    NLSH_TRY(widen(&live->dead[file->n_segments], live->store.rows.n + n, error));
    for (size_t i = 0; i < file->n_segments; i++) {
        const struct nlsh__segment *s = &file->segments[i];
        struct nlsh__dead *dead = &live->dead[i];
        if (dead->words != NULL) continue;
        NLSH_TRY(widen(dead, s->n_rows, error));
        if (s->tombstones != NULL)
            memcpy(dead->words, s->tombstones, dead->n_words * sizeof *dead->words);
    }
out:
    return status;
}

/* ---- records --------------------------------------------------------------------------------- */

static void kill_row(struct nlsh__live *live, uint32_t row)
{
    const struct nlsh_index *file = live->file;
    size_t i = file->n_segments, in = (size_t)(row - file->meta.n_rows);
    if (row < file->meta.n_rows) {
        i = segment_of(file, row);
        in = row - file->segments[i].first_row;
    }
    struct nlsh__dead *dead = &live->dead[i];
    dead->words[in / 64] |= UINT64_C(1) << in % 64;
    nlsh__shared_drop(dead->shared);
    dead->shared = NULL;
    live->n_dead++;
}

static void kill_key(struct nlsh__live *live, uint64_t key)
{
    uint32_t row = nlsh__live_find(live, key);
    if (row != NLSH__NO_ROW) kill_row(live, row);
}

static int put_rows(struct nlsh__live *live, const struct nlsh__log_rows *rows)
{
    size_t m = live->file->meta.n_buckets;
    for (size_t i = 0; i < rows->n; i++)
        if (rows->buckets[i] >= m || rows->keys[i] == NLSH_NO_KEY) return 0;
    uint32_t row = (uint32_t)(live->file->meta.n_rows + live->store.rows.n);
    for (size_t i = 0; i < rows->n; i++) {
        kill_key(live, rows->keys[i]);
        nlsh__keys_put(&live->keys, rows->keys[i], row + (uint32_t)i);
        live->sizes[rows->buckets[i]]++;
        if (rows->keys[i] >= live->next_key) live->next_key = rows->keys[i] + 1;
    }
    nlsh__store_add(&live->store, rows);
    return 1;
}

int nlsh__live_apply(struct nlsh__live *live, const struct nlsh__record_header *record)
{
    struct nlsh__log_rows rows;
    const uint64_t *keys = (const uint64_t *)(const void *)(record + 1);
    if (record->kind == NLSH__RECORD_PUT) {
        nlsh__rows_in(&live->store.form, (size_t)record->n, (void *)(uintptr_t)(record + 1), &rows);
        return put_rows(live, &rows);
    }
    for (size_t i = 0; i < record->n; i++) kill_key(live, keys[i]);
    return 1;
}

/* ---- states ---------------------------------------------------------------------------------- */

static void keep(struct nlsh__state *state, void *block)
{
    if (block != NULL) state->kept[state->n_kept++] = block;
}

/* A copy of tombstones that a state may read while others come. */
static enum nlsh_status share_dead(struct nlsh__dead *dead, struct nlsh__state *state,
                                   const uint64_t **out, struct nlsh_error *error)
{
    if (dead->shared == NULL) {
        enum nlsh_status status =
            nlsh__shared_create(&dead->shared, dead->n_words * sizeof *dead->words, error);
        if (status != NLSH_OK) return status;
        memcpy(dead->shared, dead->words, dead->n_words * sizeof *dead->words);
    }
    *out = dead->shared;
    keep(state, nlsh__shared_keep(dead->shared));
    return NLSH_OK;
}

/* The file's segments with the tombstones of now, then the log's rows. */
static enum nlsh_status make_segments(struct nlsh__live *live, struct nlsh_index *index,
                                      struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh_index *file = live->file;
    struct nlsh__part parts[NLSH__MOST_PARTS];
    const uint64_t *of_log = NULL;
    struct nlsh__dead *dead = &live->dead[file->n_segments];
    size_t n_parts = 0;
    NLSH_TRY(nlsh__store_parts(&live->store, parts, &n_parts, error));
    for (size_t i = 0; i < n_parts; i++) keep(index->state, parts[i].block);
    NLSH_TRY(
        nlsh__alloc(&index->segments, file->n_segments + n_parts, sizeof *index->segments, error));
    index->n_segments = file->n_segments + n_parts;
    for (size_t i = 0; i < file->n_segments; i++) {
        index->segments[i] = file->segments[i];
        if (live->n_dead > 0 && live->dead[i].words != NULL)
            NLSH_TRY(
                share_dead(&live->dead[i], index->state, &index->segments[i].tombstones, error));
    }
    if (live->n_dead > 0 && n_parts > 0) NLSH_TRY(share_dead(dead, index->state, &of_log, error));
    for (size_t i = 0; i < n_parts; i++) {
        index->segments[file->n_segments + i] = parts[i].segment;
        if (of_log != NULL)
            index->segments[file->n_segments + i].tombstones =
                of_log + parts[i].first / NLSH__CHUNK;
    }
out:
    return status;
}

/* A bucket that the log made larger than any that promises were measured with counts no less than the largest of those:
 * where many rows are alike, they are nowhere else. */
static float weight_of(const struct nlsh__live *live, size_t n, size_t b)
{
    size_t m = live->file->meta.n_buckets;
    float least = fminf(live->file->weights[b],
                        nlsh__bucket_weight(n, m, nlsh__bucket_full(n, m, NLSH__MOST_OF_MEAN)));
    return fmaxf(nlsh__bucket_weight(n, m, live->sizes[b]), least);
}

/* What a bucket's probability is worth, again after every chunk of rows. */
static enum nlsh_status weigh(struct nlsh__live *live, struct nlsh_index *index,
                              struct nlsh_error *error)
{
    const struct nlsh__groups *groups = nlsh__router_groups(live->file->router);
    size_t m = live->file->meta.n_buckets, n = (size_t)live->file->meta.n_rows;
    size_t chunks = live->store.rows.n / NLSH__CHUNK + 1;
    n += live->store.rows.n;
    if (live->weights == NULL || live->weighed != chunks) {
        float *weights;
        enum nlsh_status status =
            nlsh__shared_create(&weights, (m + groups->n) * sizeof *weights, error);
        if (status != NLSH_OK) return status;
        for (size_t g = 0; g < groups->n; g++)
            for (size_t b = groups->first[g]; b < groups->first[g + 1]; b++) {
                weights[b] = weight_of(live, n, b);
                if (weights[b] > weights[m + g]) weights[m + g] = weights[b];
            }
        nlsh__shared_drop(live->weights);
        live->weights = weights;
        live->weighed = chunks;
    }
    index->weights = live->weights;
    index->group_weights = live->weights + m;
    keep(index->state, nlsh__shared_keep(live->weights));
    index->bucket_min = SIZE_MAX;
    index->bucket_max = 0;
    for (size_t b = 0; b < m; b++) {
        if (live->sizes[b] < index->bucket_min) index->bucket_min = live->sizes[b];
        if (live->sizes[b] > index->bucket_max) index->bucket_max = live->sizes[b];
    }
    return NLSH_OK;
}

static double thinned(const struct nlsh_index *file, const struct nlsh_index *now)
{
    double then = (double)file->meta.n_rows - (double)file->n_deleted;
    double left = (double)now->meta.n_rows - (double)now->n_deleted;
    return left > 0 && then > left ? then / left : 1;
}

enum nlsh_status nlsh__live_publish(struct nlsh__live *live, struct nlsh_index **out,
                                    struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_index *index = NULL;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&index, 1, sizeof *index, error));
    memcpy(index, live->file, sizeof *index);
    atomic_init(&index->owners, 1);
    index->segments = NULL;
    index->n_segments = 0;
    status = nlsh__calloc(&index->state, 1, sizeof *index->state, error);
    if (status != NLSH_OK) {
        nlsh__free(index);
        return status;
    }
    *index->state = (struct nlsh__state){.live = nlsh__live_keep(live), .number = live->at.number};
    index->log_now = (struct nlsh__log_read){live->store.rows.n, live->at.position, live->rest.left,
                                             live->rest.damaged};
    index->meta.n_rows += live->store.rows.n;
    index->n_deleted += live->n_dead;
    index->thinned = thinned(live->file, index);
    NLSH_TRY(make_segments(live, index, error));
    NLSH_TRY(nlsh__strange_ask(&live->strange, &live->store, error));
    index->strange = nlsh__how_strange(&live->strange);
    NLSH_TRY(weigh(live, index, error));
    *out = index;
    return NLSH_OK;
out:
    if (index != NULL) nlsh__state_free(index);
    return status;
}

void nlsh__state_free(struct nlsh_index *index)
{
    struct nlsh__state *state = index->state;
    while (state->n_kept > 0) nlsh__shared_drop(state->kept[--state->n_kept]);
    nlsh__live_drop(state->live);
    nlsh__free(state);
    nlsh__free(index->segments);
    nlsh__free(index);
}
