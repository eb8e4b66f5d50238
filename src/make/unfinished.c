/*
 * unfinished.c - see unfinished.h.
 *
 *   offset  what
 *        0  "NLSHUNF1"
 *        8  steps: u32 kind, u32 zero, u64 bytes, u64 XXH3-64 of these two and the bytes; the bytes; zeros up to a
 *           multiple of 8
 *
 * Nothing is synced: what a process wrote is there when it is killed. Where the machine itself stops, checksums tell.
 */
#define _GNU_SOURCE
#include "make/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "make/settings.h"

static const char magic[8] = {'N', 'L', 'S', 'H', 'U', 'N', 'F', '1'};

struct step_header {
    uint32_t kind, zero;
    uint64_t size, sum;
};

static size_t padded(size_t size)
{
    return (size + 7) / 8 * 8;
}

/* ---- of which build ---------------------------------------------------------------------------- */

/* A line for each thing that the bytes of an index depend on; freed with free(). */
static char *key_of(const struct nlsh_rows *base, uint64_t hash,
                    const struct nlsh_build_options *options, const struct nlsh__memory_plan *plan)
{
    char *key = NULL, *settings = nlsh__settings_json(options);
    if (settings == NULL) return NULL;
    for (char *c = settings; *c != '\0'; c++)
        if (*c == '\n') *c = ' ';
    int n = asprintf(
        &key,
        "vectors %zu %zu %d %016llx\nsettings %s\nscale %.9g\nmemory %zu %zu %zu %zu %llu\n"
        "version %s\ninstructions %s\n",
        base->n_rows, base->dim, (int)base->type, (unsigned long long)hash, settings,
        (double)options->store_scale, plan->sample, plan->compared, plan->block, plan->asking,
        (unsigned long long)plan->teaching_bytes, nlsh_version(), nlsh_cpu());
    free(settings);
    return n < 0 ? NULL : key;
}

/* What the first line is about in which they differ. */
static const char *other_in(const char *ours, const char *theirs, size_t size, char word[16])
{
    size_t line = 0, i = 0;
    for (; i < size && ours[i] == theirs[i]; i++)
        if (ours[i] == '\n') line = i + 1;
    sscanf(ours + line, "%15s", word);
    return word;
}

/* ---- the journal ------------------------------------------------------------------------------- */

static uint64_t sum_of(const struct step_header *h, const struct nlsh__step_part *parts, size_t n)
{
    struct nlsh__hash hash;
    nlsh__hash_begin(&hash);
    nlsh__hash_add(&hash, h, offsetof(struct step_header, sum));
    for (size_t i = 0; i < n; i++) nlsh__hash_add(&hash, parts[i].data, parts[i].size);
    return nlsh__hash_end(&hash);
}

/* The step at an offset: its header, or 0 where there is none that is whole; *damaged: its bytes are there, but others. */
static int look(const struct nlsh__map *map, size_t at, struct step_header *h, int *damaged)
{
    *damaged = 0;
    if (map->size < at + sizeof *h) return 0;
    memcpy(h, map->data + at, sizeof *h);
    size_t left = map->size - at - sizeof *h;
    if (h->size > left || padded(h->size) > left) return 0;
    const struct nlsh__step_part part = {map->data + at + sizeof *h, (size_t)h->size};
    *damaged = sum_of(h, &part, 1) != h->sum;
    return !*damaged;
}

static void keep_nothing(struct nlsh__unfinished *u, const char *why)
{
    nlsh__job_note(u->job, "%s: %s; if this build is stopped, the next begins anew", u->path, why);
    if (u->fd >= 0) close(u->fd);
    u->fd = -1;
}

static void cut(struct nlsh__unfinished *u, size_t end)
{
    u->end = end;
    if (u->fd >= 0 && ftruncate(u->fd, (off_t)end) != 0) keep_nothing(u, strerror(errno));
}

static int write_at(int fd, const void *data, size_t size, size_t at)
{
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = pwrite(fd, p, size, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        p += n;
        at += (size_t)n;
        size -= (size_t)n;
    }
    return 0;
}

void nlsh__unfinished_add(struct nlsh__unfinished *u, enum nlsh__step step,
                          const struct nlsh__step_part *parts, size_t n_parts)
{
    static const uint8_t zeros[8];
    struct step_header h = {.kind = step};
    if (u == NULL || u->fd < 0) return;
    size_t at = u->end + sizeof h;
    for (size_t i = 0; i < n_parts; i++) h.size += parts[i].size;
    h.sum = sum_of(&h, parts, n_parts);
    int result = write_at(u->fd, &h, sizeof h, u->end);
    for (size_t i = 0; i < n_parts && result == 0; at += parts[i++].size)
        result = write_at(u->fd, parts[i].data, parts[i].size, at);
    if (result == 0) result = write_at(u->fd, zeros, padded(h.size) - h.size, at);
    if (result != 0) {
        const char *why = strerror(errno);
        cut(u, u->end); /* what is whole still counts */
        if (u->fd >= 0) keep_nothing(u, why);
        return;
    }
    u->at = u->end += sizeof h + padded(h.size);
}

static const void *take(struct nlsh__unfinished *u, size_t at, const struct step_header *h,
                        size_t *size)
{
    u->taken = at;
    u->at = at + sizeof *h + padded((size_t)h->size);
    *size = (size_t)h->size;
    return u->map.data + at + sizeof *h;
}

/* The header of a step that an earlier build left. */
static int earlier(const struct nlsh__unfinished *u, size_t at, struct step_header *h)
{
    if (u == NULL || at >= u->end || u->end > u->map.size) return 0;
    memcpy(h, u->map.data + at, sizeof *h);
    return 1;
}

const void *nlsh__unfinished_next(struct nlsh__unfinished *u, enum nlsh__step step, size_t *size)
{
    struct step_header h;
    if (u == NULL || !earlier(u, u->at, &h)) return NULL;
    if (h.kind == (uint32_t)step) return take(u, u->at, &h, size);
    cut(u, u->at); /* steps are added in order, so it can't be */
    return NULL;
}

const void *nlsh__unfinished_find(struct nlsh__unfinished *u, enum nlsh__step step, size_t *size)
{
    struct step_header h;
    for (size_t at = u->at; earlier(u, at, &h); at += sizeof h + padded((size_t)h.size))
        if (h.kind == (uint32_t)step) return take(u, at, &h, size);
    return NULL;
}

void nlsh__unfinished_refuse(struct nlsh__unfinished *u)
{
    nlsh__job_note(u->job, "%s is damaged: the build goes on from before that", u->path);
    u->at = u->taken;
    cut(u, u->taken);
}

/* ---- begin and end ----------------------------------------------------------------------------- */

/* Opens and locks the journal; what lies there under its name and is none stays as it is. */
static void open_journal(struct nlsh__unfinished *u)
{
    char start[sizeof magic];
    u->fd = open(u->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (u->fd < 0) {
        keep_nothing(u, strerror(errno));
        return;
    }
    if (flock(u->fd, LOCK_EX | LOCK_NB) != 0) {
        keep_nothing(u, "another build holds it");
        return;
    }
    ssize_t n = pread(u->fd, start, sizeof start, 0);
    if (n < 0 || memcmp(start, magic, (size_t)n) != 0) {
        keep_nothing(u, "it is no journal of a build, and stays as it is");
        return;
    }
    if (n == 0) return;
    if (nlsh__map_open(u->path, &u->map, NULL) != NLSH_OK) u->map = (struct nlsh__map){NULL, 0};
}

static void begin_anew(struct nlsh__unfinished *u, const char *key)
{
    const struct nlsh__step_part part = {key, strlen(key)};
    (void)unlink(u->sample_path);
    u->at = 0;
    cut(u, 0);
    if (u->fd < 0) return;
    if (write_at(u->fd, magic, sizeof magic, 0) != 0) {
        keep_nothing(u, strerror(errno));
        return;
    }
    u->end = sizeof magic;
    nlsh__unfinished_add(u, NLSH__STEP_KEY, &part, 1);
    u->first = u->end;
}

/* Finds where whole steps end, and says what they are. 0: nothing of it is of use. */
static int take_up(struct nlsh__unfinished *u, const char *key)
{
    struct step_header h;
    char word[16] = "";
    int damaged;
    uint64_t rows = 0, teachers = 0;
    size_t first = sizeof magic, of_key = strlen(key), steps = 0;
    if (!look(&u->map, first, &h, &damaged)) {
        if (damaged) nlsh__job_note(u->job, "%s is damaged: the build begins anew", u->path);
        return 0;
    }
    const char *theirs = (const char *)u->map.data + first + sizeof h;
    if (h.size != of_key || memcmp(theirs, key, of_key) != 0) {
        size_t shorter = h.size < of_key ? (size_t)h.size : of_key;
        nlsh__job_note(u->job, "%s is of a build with other %s: this one begins anew", u->path,
                       other_in(key, theirs, shorter, word));
        return 0;
    }
    u->first = u->at = u->end = first + sizeof h + padded(of_key);
    for (; look(&u->map, u->end, &h, &damaged); u->end += sizeof h + padded((size_t)h.size)) {
        struct nlsh__step_rows of = {0, 0};
        if (h.size >= sizeof of) memcpy(&of, u->map.data + u->end + sizeof h, sizeof of);
        if (h.kind == NLSH__STEP_BUCKETS) rows = of.first + of.n;
        if (h.kind == NLSH__STEP_NEIGHBORS) teachers = of.first + of.n;
        steps++;
    }
    if (damaged)
        nlsh__job_note(u->job, "%s is damaged: the build goes on from before that", u->path);
    if (steps > 0)
        nlsh__job_note(u->job,
                       "goes on where it was stopped (%s): the sample is learned, %llu rows have "
                       "their buckets, %llu their neighbours",
                       u->path, (unsigned long long)rows, (unsigned long long)teachers);
    cut(u, u->end);
    return u->fd >= 0;
}

enum nlsh_status nlsh__unfinished_begin(const char *path, const struct nlsh_rows *base,
                                        uint64_t hash, const struct nlsh_build_options *options,
                                        const struct nlsh__memory_plan *plan,
                                        const struct nlsh__job *job, struct nlsh__unfinished *out,
                                        struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    char *key = NULL;
    *out = (struct nlsh__unfinished){.fd = -1, .job = job};
    if (asprintf(&out->path, "%s.unfinished", path) < 0) out->path = NULL;
    if (asprintf(&out->sample_path, "%s.unfinished-sample", path) < 0) out->sample_path = NULL;
    key = key_of(base, hash, options, plan);
    if (out->path == NULL || out->sample_path == NULL || key == NULL) {
        status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
        goto out;
    }
    open_journal(out);
    if (out->fd >= 0 && !take_up(out, key)) begin_anew(out, key);
out:
    free(key);
    return status;
}

void nlsh__unfinished_end(struct nlsh__unfinished *u, int done)
{
    int empty = u->end <= u->first;
    if (u->fd >= 0 && (done || empty)) {
        (void)unlink(u->sample_path);
        (void)unlink(u->path);
    } else if (u->fd >= 0) {
        nlsh__job_note(u->job, "%s keeps what is done: the same command goes on from there",
                       u->path);
    }
    nlsh__map_close(&u->map);
    if (u->fd >= 0) close(u->fd);
    free(u->path);
    free(u->sample_path);
    *u = (struct nlsh__unfinished){.fd = -1};
}
