/*
 * cache.c - neighbours and partitions as entries of a directory (see entry.h for the file).
 *
 * Reading never fails a build: what cannot be read or is damaged counts as absent, with a note. An
 * entry is a file from a stranger, whose checksum anybody can compute: ids are used as subscripts and
 * distances are sorted, so what they are is checked too, and a bad one counts as damaged.
 * Neighbours are kept under a name without k: a row is sorted, so its first k are the answer for
 * every smaller k, and a put leaves an entry alone that holds at least as many. Two writers may
 * both find a smaller entry and the one with fewer neighbours may land last; the loss is some
 * later work, never a wrong answer, so no lock is taken.
 */
#include "cache/cache.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "cache/directory.h"
#include "cache/entry.h"

/* Seconds. A directory may be shared by containers or machines that do not see each other's
 * processes: a temporary file that is being written is touched more often than this. */
enum { ORPHAN_AGE = 3600 };

/* A formatted string, freed with free(); NULL where there is no memory. */
static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *out = n < 0 ? NULL : malloc((size_t)n + 1);
    if (out == NULL) return NULL;
    va_start(args, format);
    vsnprintf(out, (size_t)n + 1, format, args);
    va_end(args);
    return out;
}

/* ---- entries of a job's directory ------------------------------------------------------------ */

/* Whether a payload is what its header says. limit: rows of the base, or buckets. */
typedef int sound_fn(const struct nlsh__entry_view *view, size_t limit);

static void remove_damaged(const struct nlsh__job *job, const char *path, const char *name)
{
    if (unlink(path) == 0)
        nlsh__job_note(job, "cache: damaged entry removed: %s", name);
    else
        nlsh__job_note(job, "cache: damaged entry not used, and not removable: %s", name);
}

/* Opens the entry that is wanted; 0 where there is none, for whatever reason. */
static int open_entry(const struct nlsh__job *job, const struct nlsh__entry *wanted,
                      sound_fn *is_sound, size_t limit, struct nlsh__entry_view *view)
{
    struct nlsh_error error;
    char name[128];
    nlsh__entry_name(wanted->kind, wanted->key, name);
    char *path = text("%s/%s", job->run.cache_dir, name);
    if (path == NULL) return 0;
    int found = 0;
    switch (nlsh__entry_open(path, view, &error)) {
    case NLSH__ENTRY_ABSENT: break;
    case NLSH__ENTRY_UNREADABLE:
        nlsh__job_note(job, "cache: entry not used: %s", error.message);
        break;
    case NLSH__ENTRY_DAMAGED: remove_damaged(job, path, name); break;
    case NLSH__ENTRY_WHOLE:
        found = nlsh__entry_matches(view, wanted);
        if (found && !is_sound(view, limit)) {
            found = 0;
            remove_damaged(job, path, name);
        }
        if (!found) nlsh__entry_close(view);
        break;
    }
    free(path);
    return found;
}

static void put_entry(const struct nlsh__job *job, const struct nlsh__entry *entry,
                      const struct nlsh__entry_part *parts, size_t n_parts)
{
    enum nlsh_status status;
    struct nlsh_error error;
    char name[128], *path = NULL;
    nlsh__entry_name(entry->kind, entry->key, name);
    NLSH_TRY(nlsh__make_dirs(job->run.cache_dir, &error));
    nlsh__cache_sweep(job->run.cache_dir, ORPHAN_AGE);
    path = text("%s/%s", job->run.cache_dir, name);
    if (path == NULL)
        status = nlsh__fail(&error, NLSH_E_NOMEM, NULL, "out of memory");
    else
        status = nlsh__entry_write(path, entry, parts, n_parts, &error);
out:
    free(path);
    if (status != NLSH_OK)
        nlsh__job_note(job, "cache: not kept (%s): %s", entry->what, error.message);
}

/* ---- neighbours ------------------------------------------------------------------------------ */

/* Fills *entry; its key is freed by the caller, NULL where there is no memory. */
static char *neighbors_entry(const char *method, uint64_t base_hash, uint64_t queries_hash,
                             uint64_t seed, size_t n_rows, size_t n_base, size_t k,
                             struct nlsh__entry *entry)
{
    *entry = (struct nlsh__entry){.n_rows = n_rows, .width = k};
    entry->kind = queries_hash == 0 ? NLSH__ENTRY_GRAPH : NLSH__ENTRY_TRUTH;
    snprintf(entry->what, sizeof entry->what, "%s, %s, k=%zu, %zu rows",
             queries_hash == 0 ? "k-NN graph" : "ground truth", method, k, n_rows);
    char *key =
        text("neighbors version=%u base=%016llx queries=%016llx seed=%llu rows=%zu "
             "base_rows=%zu method=%s",
             NLSH__ENTRY_VERSION, (unsigned long long)base_hash, (unsigned long long)queries_hash,
             (unsigned long long)seed, n_rows, n_base, method);
    entry->key = key;
    return key;
}

/* Ids below n_base, none missing and none twice, a graph's row not its own neighbour; ascending by
 * (l2sq, id), written so that a NaN fails. */
static int row_is_sound(const uint32_t *ids, const float *l2sq, size_t k, uint32_t n_base,
                        uint32_t self)
{
    int good = l2sq[0] == l2sq[0];
    for (size_t j = 0; j < k; j++) {
        good &= ids[j] < n_base && ids[j] != self;
        if (j == 0) continue;
        good &= l2sq[j] > l2sq[j - 1] || (l2sq[j] == l2sq[j - 1] && ids[j] > ids[j - 1]);
    }
    return good;
}

static int neighbors_are_sound(const struct nlsh__entry_view *view, size_t n_base)
{
    size_t values, bytes, n = (size_t)view->header.n_rows, k = (size_t)view->header.width;
    int graph = view->header.kind == NLSH__ENTRY_GRAPH;
    if (k == 0 || n_base > NLSH__NO_ROW || k > n_base - (size_t)graph) return 0;
    if (nlsh__mul(n, k, &values) != 0 ||
        nlsh__mul(values, sizeof(uint32_t) + sizeof(float), &bytes) != 0 ||
        bytes != view->header.payload_size)
        return 0;
    const uint32_t *ids = (const uint32_t *)(const void *)view->payload;
    const float *l2sq = (const float *)(const void *)(view->payload + values * sizeof *ids);
    int good = 1;
    for (size_t i = 0; i < n; i++)
        good &= row_is_sound(ids + i * k, l2sq + i * k, k, (uint32_t)n_base,
                             graph ? (uint32_t)i : NLSH__NO_ROW);
    return good;
}

/* The first k of each of n rows of `width` values of 4 bytes. */
static void cut_rows(void *out, const void *in, size_t n, size_t width, size_t k)
{
    for (size_t i = 0; i < n; i++)
        memcpy((char *)out + i * k * 4, (const char *)in + i * width * 4, k * 4);
}

enum nlsh_status nlsh__cache_get_neighbors(const struct nlsh__job *job, const char *method,
                                           uint64_t base_hash, uint64_t queries_hash, uint64_t seed,
                                           size_t n_rows, size_t n_base, size_t k,
                                           struct nlsh__neighbors *out, int *found,
                                           struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    struct nlsh__entry wanted;
    struct nlsh__entry_view view = {0};
    size_t values;
    *found = 0;
    *out = (struct nlsh__neighbors){0};
    if (job->run.cache_dir == NULL) return NLSH_OK;
    char *key = neighbors_entry(method, base_hash, queries_hash, seed, n_rows, n_base, k, &wanted);
    if (key == NULL || !open_entry(job, &wanted, neighbors_are_sound, n_base, &view)) goto out;
    size_t width = (size_t)view.header.width;
    if (width < k || nlsh__mul(n_rows, k, &values) != 0) goto out;
    NLSH_TRY(nlsh__alloc(&out->ids, values, sizeof *out->ids, error));
    NLSH_TRY(nlsh__alloc(&out->l2sq, values, sizeof *out->l2sq, error));
    out->n_rows = n_rows;
    out->k = k;
    cut_rows(out->ids, view.payload, n_rows, width, k);
    cut_rows(out->l2sq, view.payload + n_rows * width * 4, n_rows, width, k);
    *found = 1;
out:
    if (!*found) {
        nlsh__neighbors_free(out);
    }
    nlsh__entry_close(&view);
    free(key);
    return status;
}

void nlsh__cache_put_neighbors(const struct nlsh__job *job, const char *method, uint64_t base_hash,
                               uint64_t queries_hash, uint64_t seed, size_t n_base,
                               const struct nlsh__neighbors *neighbors)
{
    struct nlsh__entry entry;
    struct nlsh__entry_view view = {0};
    if (job->run.cache_dir == NULL || neighbors->l2sq == NULL) return;
    char *key = neighbors_entry(method, base_hash, queries_hash, seed, neighbors->n_rows, n_base,
                                neighbors->k, &entry);
    if (key == NULL) return;
    int serves = open_entry(job, &entry, neighbors_are_sound, n_base, &view) &&
                 view.header.width >= neighbors->k;
    nlsh__entry_close(&view);
    if (!serves) {
        size_t bytes = neighbors->n_rows * neighbors->k * 4;
        struct nlsh__entry_part parts[2] = {{neighbors->ids, bytes}, {neighbors->l2sq, bytes}};
        put_entry(job, &entry, parts, 2);
    }
    free(key);
}

/* ---- partitions ------------------------------------------------------------------------------ */

static char *partition_entry(const char *settings, uint64_t base_hash, size_t n_rows, size_t m,
                             struct nlsh__entry *entry)
{
    *entry = (struct nlsh__entry){.kind = NLSH__ENTRY_PARTITION, .n_rows = n_rows, .width = m};
    snprintf(entry->what, sizeof entry->what, "partition, m=%zu, %zu rows: %s", m, n_rows,
             settings);
    char *key = text("partition version=%u base=%016llx rows=%zu m=%zu %s", NLSH__ENTRY_VERSION,
                     (unsigned long long)base_hash, n_rows, m, settings);
    entry->key = key;
    return key;
}

/* Every row in one of m buckets, and no bucket without a row. */
static int partition_is_sound(const struct nlsh__entry_view *view, size_t m)
{
    size_t n = (size_t)view->header.n_rows, n_used = 0;
    if (view->header.width != m || view->header.payload_size != (uint64_t)n * 4 || m == 0) return 0;
    const uint32_t *bucket_of = (const uint32_t *)(const void *)view->payload;
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) bad |= bucket_of[i] >= m;
    unsigned char *used = bad ? NULL : calloc(m, 1);
    for (size_t i = 0; used != NULL && i < n; i++) {
        n_used += !used[bucket_of[i]];
        used[bucket_of[i]] = 1;
    }
    free(used);
    return n_used == m;
}

enum nlsh_status nlsh__cache_get_partition(const struct nlsh__job *job, const char *settings,
                                           uint64_t base_hash, size_t n_rows, size_t m,
                                           uint32_t *bucket_of, int *found,
                                           struct nlsh_error *error)
{
    struct nlsh__entry wanted;
    struct nlsh__entry_view view = {0};
    (void)error;
    *found = 0;
    if (job->run.cache_dir == NULL) return NLSH_OK;
    char *key = partition_entry(settings, base_hash, n_rows, m, &wanted);
    if (key != NULL && open_entry(job, &wanted, partition_is_sound, m, &view)) {
        memcpy(bucket_of, view.payload, n_rows * sizeof *bucket_of);
        *found = 1;
    }
    nlsh__entry_close(&view);
    free(key);
    return NLSH_OK;
}

void nlsh__cache_put_partition(const struct nlsh__job *job, const char *settings,
                               uint64_t base_hash, size_t n_rows, size_t m,
                               const uint32_t *bucket_of)
{
    struct nlsh__entry entry;
    if (job->run.cache_dir == NULL) return;
    char *key = partition_entry(settings, base_hash, n_rows, m, &entry);
    if (key == NULL) return;
    struct nlsh__entry_part part = {bucket_of, n_rows * sizeof *bucket_of};
    put_entry(job, &entry, &part, 1);
    free(key);
}
