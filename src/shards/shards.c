/* shards.c - see shards.h. */
#include "shards/shards.h"

#include <stdio.h>
#include <string.h>

#include "base/matrix.h"
#include "live/open.h"
#include "shards/cut.h"

/* ---- speaking ---------------------------------------------------------------------------------- */

enum nlsh_status nlsh__shards_gather(struct nlsh__shards *s, const struct nlsh__bytes *own,
                                     struct nlsh__bytes *all, size_t *ends,
                                     struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__ranks_gather(&s->ranks, own, all, ends, error);
    if (status == NLSH_OK && s->ranks.own == 0) s->work.sent += all->n - ends[0];
    return status;
}

enum nlsh_status nlsh__shards_tell(struct nlsh__shards *s, struct nlsh__bytes *bytes,
                                   struct nlsh_error *error)
{
    if (s->ranks.own == 0) s->work.sent += bytes->n * (s->ranks.n - 1);
    return nlsh__ranks_tell(&s->ranks, bytes, error);
}

/* ---- opening ----------------------------------------------------------------------------------- */

/* Whether an open file is shard i of the manifest, and of the same cutting. */
static enum nlsh_status check_shard(const struct nlsh__manifest *m, size_t i,
                                    const struct nlsh_index *index, struct nlsh_error *error)
{
    struct nlsh__named_shard is;
    const struct nlsh__shard_header *h = &index->shard.header;
    nlsh__shard_name(index, &is);
    int belongs = m->n == 1 ? h->n == 0 && index->n_segments == 1 && index->n_deleted == 0
                            : h->n == m->n && h->number == i && h->set == m->set;
    if (belongs && is.size == m->shards[i].size && is.checksum == m->shards[i].checksum &&
        index->meta.dim == m->dim && index->meta.n_buckets == m->n_buckets)
        return NLSH_OK;
    return nlsh__fail(error, NLSH_E_MISMATCH, "cut the index again with `nlsh shard`",
                      "%s is not the file that its manifest was written with", index->path);
}

enum nlsh_status nlsh__shards_verify(const char *path, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__manifest m;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__manifest_read(path, &m, error));
    for (size_t i = 0; i < m.n; i++) {
        struct nlsh_index *index;
        NLSH_TRY(nlsh_index_verify(m.shards[i].path, error));
        NLSH_TRY(nlsh__open_file(m.shards[i].path, NLSH_MEMORY_MAP, &index, error));
        status = check_shard(&m, i, index, error);
        nlsh_index_close(index);
        if (status != NLSH_OK) goto out;
    }
out:
    nlsh__manifest_free(&m);
    return status;
}

static enum nlsh_status open_shard(const struct nlsh__manifest *m, size_t i,
                                   enum nlsh_memory memory, struct nlsh_index **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__open_file(m->shards[i].path, memory, out, error);
    if (status == NLSH_OK) status = check_shard(m, i, *out, error);
    if (status == NLSH_OK) return NLSH_OK;
    nlsh_index_close(*out);
    *out = NULL;
    return status;
}

/* Those of this rank. What is wrong with one stands in its error. */
static void open_own(struct nlsh__shards *s, enum nlsh_memory memory, struct nlsh_error *errors)
{
    for (size_t i = s->ranks.own; i < s->manifest.n; i += s->ranks.n) {
        struct nlsh_index *own;
        errors[i].status = open_shard(&s->manifest, i, memory, &own, &errors[i]);
        s->own[i] = own;
    }
}

/* Of which the router is asked. */
static void find_lead(struct nlsh__shards *s, enum nlsh_memory memory)
{
    for (size_t i = 0; i < s->manifest.n && s->lead == NULL; i++) s->lead = s->own[i];
    for (size_t i = 0; i < s->manifest.n && s->lead == NULL; i++) {
        (void)!open_shard(&s->manifest, i, memory, &s->other, NULL);
        s->lead = s->other;
    }
}

/* What ranks must agree in. */
struct greeting {
    char version[32], cpu[32];
    uint64_t set;
    uint32_t has_lead;
};

static struct greeting greeting_of(const struct nlsh__shards *s)
{
    struct greeting g = {.set = s->manifest.set, .has_lead = s->lead != NULL};
    snprintf(g.version, sizeof g.version, "%s", nlsh_version());
    snprintf(g.cpu, sizeof g.cpu, "%s", nlsh_cpu());
    return g;
}

static enum nlsh_status check_greeting(const struct greeting *own, const struct greeting *other,
                                       size_t rank, struct nlsh_error *error)
{
    if (strcmp(own->version, other->version) != 0 || strcmp(own->cpu, other->cpu) != 0)
        return nlsh__fail(error, NLSH_E_MISMATCH,
                          "install one release on all machines, and set NLSH_CPU to what all have",
                          "rank %zu runs nlsh %.31s with %.31s, and rank 0 nlsh %s with %s", rank,
                          other->version, other->cpu, own->version, own->cpu);
    if (own->set != other->set)
        return nlsh__fail(error, NLSH_E_MISMATCH, "copy one manifest to all machines",
                          "rank %zu has another manifest than rank 0", rank);
    return NLSH_OK;
}

/* Rank 0 reads all ranks' greetings and what they say of their shards. */
static enum nlsh_status judge(struct nlsh__shards *s, const struct nlsh__bytes *all,
                              const size_t *ends, int partial, struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    const struct greeting own = greeting_of(s);
    int lost_lead = 0;
    for (size_t r = 0; r < s->ranks.n; r++) {
        size_t at = r > 0 ? ends[r - 1] : 0;
        struct nlsh__reader from = {all->at + at, ends[r] - at, 0};
        struct greeting other;
        nlsh__bytes_take(&from, &other, sizeof other);
        NLSH_TRY(check_greeting(&own, &other, r, error));
        lost_lead |= !other.has_lead;
        for (size_t i = r; i < s->manifest.n; i += s->ranks.n) {
            nlsh__bytes_take(&from, &s->why[i], sizeof s->why[i]);
            s->whole.missing[i] = s->why[i].status != NLSH_OK;
            s->n_missing += s->whole.missing[i];
        }
    }
    for (size_t i = 0; i < s->manifest.n; i++) {
        if (!s->whole.missing[i] || (partial && s->n_missing < s->manifest.n && !lost_lead))
            continue;
        if (error != NULL) *error = s->why[i];
        return s->why[i].status;
    }
    if (lost_lead)
        return nlsh__fail(error, NLSH_E_NO_INPUT, "let each machine have a shard",
                          "a rank has no shard that it can read");
out:
    return status;
}

/* Rank 0's verdict, which is every rank's. */
static enum nlsh_status agree(struct nlsh__shards *s, int partial, struct nlsh_error *error)
{
    enum nlsh_status status, verdict = NLSH_OK;
    struct nlsh__bytes mine = {0}, all = {0}, said = {0};
    struct nlsh_error judged = {.status = NLSH_OK};
    size_t *ends = NULL;
    const struct greeting greeting = greeting_of(s);
    NLSH_TRY(nlsh__alloc(&ends, s->ranks.n, sizeof *ends, error));
    nlsh__bytes_add(&mine, &greeting, sizeof greeting);
    for (size_t i = s->ranks.own; i < s->manifest.n; i += s->ranks.n)
        nlsh__bytes_add(&mine, &s->why[i], sizeof s->why[i]);
    NLSH_TRY(nlsh__shards_gather(s, &mine, &all, ends, error));
    if (s->ranks.own == 0) judged.status = judge(s, &all, ends, partial, &judged);
    nlsh__bytes_add(&said, &judged, sizeof judged);
    nlsh__bytes_add(&said, s->whole.missing, s->manifest.n);
    NLSH_TRY(nlsh__shards_tell(s, &said, error));
    struct nlsh__reader from = {said.at, said.n, 0};
    nlsh__bytes_take(&from, &judged, sizeof judged);
    nlsh__bytes_take(&from, s->whole.missing, s->manifest.n);
    if (error != NULL) *error = judged;
    verdict = judged.status;
out:
    nlsh__bytes_free(&mine);
    nlsh__bytes_free(&all);
    nlsh__bytes_free(&said);
    nlsh__free(ends);
    return status != NLSH_OK ? status : verdict;
}

/* Sizes and owners of all buckets, as any shard has them. */
static enum nlsh_status take_whole(struct nlsh__shards *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    const struct nlsh__shard *shard = &s->lead->shard;
    const uint32_t *offsets = s->lead->segments[0].bucket_offsets;
    struct nlsh__whole *w = &s->whole;
    size_t m = s->manifest.n_buckets;
    w->n_rows = (size_t)s->manifest.n_rows;
    w->n_buckets = m;
    w->n_shards = s->manifest.n;
    NLSH_TRY(nlsh__alloc(&w->sizes, m, sizeof *w->sizes, error));
    NLSH_TRY(nlsh__calloc(&w->owners, m, sizeof *w->owners, error));
    for (size_t b = 0; b < m; b++) {
        w->sizes[b] = shard->header.n > 0 ? shard->sizes[b] : offsets[b + 1] - offsets[b];
        if (shard->header.n > 0) w->owners[b] = shard->owners[b];
    }
out:
    return status;
}

enum nlsh_status nlsh__shards_open(const char *path, const struct nlsh__shards_options *options,
                                   const struct nlsh__ranks *ranks, struct nlsh__shards **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__shards *s = NULL;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&s, 1, sizeof *s, error));
    s->ranks = *ranks;
    NLSH_TRY(nlsh__manifest_read(path, &s->manifest, error));
    NLSH_TRY(nlsh__calloc(&s->own, s->manifest.n, sizeof *s->own, error));
    NLSH_TRY(nlsh__calloc(&s->why, s->manifest.n, sizeof *s->why, error));
    NLSH_TRY(nlsh__calloc(&s->whole.missing, s->manifest.n, 1, error));
    open_own(s, options->memory, s->why);
    find_lead(s, options->memory);
    NLSH_TRY(agree(s, options->partial, error));
    NLSH_TRY(take_whole(s, error));
    NLSH_TRY(nlsh__shards_block_create(s, options->n_threads, error));
    s->in_step = 1;
    *out = s;
    s = NULL;
out:
    nlsh__shards_close(s);
    return status;
}

/* ---- opened by others -------------------------------------------------------------------------- */

enum nlsh_status nlsh__shards_join(const struct nlsh_index *own, size_t n_threads,
                                   const struct nlsh__ranks *ranks, struct nlsh__shards **out,
                                   struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__shards *s = NULL;
    *out = NULL;
    NLSH_TRY(nlsh__calloc(&s, 1, sizeof *s, error));
    s->ranks = *ranks;
    s->borrowed = 1;
    NLSH_TRY(nlsh__calloc(&s->manifest.shards, ranks->n, sizeof *s->manifest.shards, error));
    s->manifest.n = ranks->n;
    s->manifest.n_rows = own->shard.header.n > 0 ? own->shard.header.n_rows : own->meta.n_rows;
    s->manifest.dim = own->meta.dim;
    s->manifest.n_buckets = own->meta.n_buckets;
    NLSH_TRY(nlsh__calloc(&s->own, ranks->n, sizeof *s->own, error));
    NLSH_TRY(nlsh__calloc(&s->whole.missing, ranks->n, 1, error));
    s->own[ranks->own] = own;
    s->lead = own;
    NLSH_TRY(take_whole(s, error));
    NLSH_TRY(nlsh__shards_block_create(s, n_threads, error));
    s->in_step = 1;
    *out = s;
    s = NULL;
out:
    nlsh__shards_close(s);
    return status;
}

/* ---- the end ----------------------------------------------------------------------------------- */

void nlsh__shards_close(struct nlsh__shards *s)
{
    if (s == NULL) return;
    if (s->ranks.own == 0 && s->in_step) nlsh__shards_let_go(s);
    nlsh__shards_block_free(s);
    for (size_t i = 0; s->own != NULL && !s->borrowed && i < s->manifest.n; i++)
        nlsh_index_close((struct nlsh_index *)(uintptr_t)s->own[i]);
    nlsh_index_close(s->other);
    nlsh__free(s->own);
    nlsh__free(s->why);
    nlsh__free(s->whole.missing);
    nlsh__free(s->whole.sizes);
    nlsh__free(s->whole.owners);
    nlsh__manifest_free(&s->manifest);
    nlsh__free(s);
}
