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
    enum nlsh_status status = NLSH_OK;
    all->n = 0;
    if (s->ranks.n > 1) {
        NLSH_TRY(s->ranks.gather(s->ranks.user, own, all, ends, error));
        if (s->ranks.own == 0) s->work.sent += all->n - ends[0];
        return NLSH_OK;
    }
    nlsh__bytes_add(all, own->at, own->n);
    ends[0] = own->n;
    if (all->failed) status = nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory");
out:
    return status;
}

enum nlsh_status nlsh__shards_tell(struct nlsh__shards *s, struct nlsh__bytes *bytes,
                                   struct nlsh_error *error)
{
    if (s->ranks.n == 1) return NLSH_OK;
    if (s->ranks.own == 0) s->work.sent += bytes->n * (s->ranks.n - 1);
    return s->ranks.tell(s->ranks.user, bytes, error);
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
    for (size_t i = s->ranks.own; i < s->manifest.n; i += s->ranks.n)
        errors[i].status = open_shard(&s->manifest, i, memory, &s->own[i], &errors[i]);
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

/* ---- searching --------------------------------------------------------------------------------- */

/* What rank 0 tells the others to do: a block of queries, whose rows follow; or n_queries 0, to go. */
struct task {
    uint64_t n_queries, k;
    double probes, recall;
    uint32_t type, cautious;
};

static enum nlsh_status send_task(struct nlsh__shards *s, const struct task *task,
                                  const struct nlsh_matrix *rows, struct nlsh_error *error)
{
    struct nlsh__bytes bytes = {0};
    if (s->ranks.n == 1) return NLSH_OK;
    nlsh__bytes_add(&bytes, task, sizeof *task);
    for (size_t i = 0; i < task->n_queries; i++)
        nlsh__bytes_add(&bytes, nlsh__row(rows, i), rows->dim * nlsh__type_size(rows->type));
    enum nlsh_status status = bytes.failed ? nlsh__fail(error, NLSH_E_NOMEM, NULL, "out of memory")
                                           : nlsh__shards_tell(s, &bytes, error);
    nlsh__bytes_free(&bytes);
    return status;
}

static enum nlsh_status check_call(const struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                   const struct nlsh_search_options *options,
                                   struct nlsh_error *error)
{
    enum nlsh_status status = nlsh__queries_check(s->lead, queries, error);
    if (status != NLSH_OK) return status;
    if (options->k < 1 || options->k > s->whole.n_rows)
        return nlsh__fail(error, NLSH_E_ARG, "ask for at least 1 and at most all vectors",
                          "k is %zu for an index of %zu vectors", options->k, s->whole.n_rows);
    if (options->filter != NULL || options->counted != NULL || options->rerank > 0)
        return nlsh__fail(error, NLSH_E_UNSUPPORTED, "search the index that the shards were cut of",
                          "an index in shards is searched without filters and rerank");
    return NLSH_OK;
}

static enum nlsh_status search_block(struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                     const struct nlsh_search_options *options, size_t first,
                                     const struct nlsh__answers *out, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh_matrix some = *queries;
    size_t left = queries->n_rows - first;
    some.data = nlsh__row(queries, first);
    some.n_rows = left < NLSH__SHARDS_BLOCK ? left : NLSH__SHARDS_BLOCK;
    const struct task task = {.n_queries = some.n_rows,
                              .k = options->k,
                              .probes = options->probes,
                              .recall = options->recall,
                              .type = (uint32_t)some.type,
                              .cautious = options->cautious != 0};
    NLSH_TRY(send_task(s, &task, &some, error));
    NLSH_TRY(nlsh__shards_block_run(s, &some, options, out, first, error));
out:
    return status;
}

enum nlsh_status nlsh__shards_search(struct nlsh__shards *s, const struct nlsh_matrix *queries,
                                     const struct nlsh_search_options *options, uint64_t *keys,
                                     float *distances, struct nlsh_search_stats *stats,
                                     struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__wanted wanted;
    nlsh__error_clear(error);
    NLSH_TRY(nlsh__take_search(options, stats, &wanted, error));
    NLSH_TRY(check_call(s, queries, &wanted.options, error));
    const struct nlsh__answers out = {keys, distances, wanted.stats};
    for (size_t i = 0; i < queries->n_rows; i += NLSH__SHARDS_BLOCK)
        NLSH_TRY(search_block(s, queries, &wanted.options, i, &out, error));
out:
    return status;
}

/* A block of another rank's queries. What is wrong with them rank 0 says, and goes on or not. */
static enum nlsh_status serve_block(struct nlsh__shards *s, const struct task *task,
                                    struct nlsh__reader *from, struct nlsh_error *error)
{
    struct nlsh_search_options options;
    const struct nlsh_matrix rows = {from->at, (size_t)task->n_queries, s->manifest.dim,
                                     (enum nlsh_type)task->type, 0};
    nlsh_search_options_init(&options, sizeof options);
    options.k = (size_t)task->k;
    options.probes = task->probes;
    options.recall = task->recall;
    options.cautious = (int)task->cautious;
    enum nlsh_status status = nlsh__shards_block_run(s, &rows, &options, NULL, 0, error);
    return s->in_step ? NLSH_OK : status;
}

enum nlsh_status nlsh__shards_serve(struct nlsh__shards *s, struct nlsh_error *error)
{
    enum nlsh_status status;
    struct nlsh__bytes bytes = {0};
    struct task task;
    do {
        NLSH_TRY(nlsh__shards_tell(s, &bytes, error));
        struct nlsh__reader from = {bytes.at, bytes.n, 0};
        nlsh__bytes_take(&from, &task, sizeof task);
        if (task.n_queries > 0) NLSH_TRY(serve_block(s, &task, &from, error));
    } while (task.n_queries > 0);
out:
    nlsh__bytes_free(&bytes);
    return status;
}

/* ---- the end ----------------------------------------------------------------------------------- */

void nlsh__shards_close(struct nlsh__shards *s)
{
    if (s == NULL) return;
    const struct task go = {.n_queries = 0};
    if (s->ranks.own == 0 && s->in_step) (void)!send_task(s, &go, NULL, NULL);
    nlsh__shards_block_free(s);
    for (size_t i = 0; s->own != NULL && i < s->manifest.n; i++) nlsh_index_close(s->own[i]);
    nlsh_index_close(s->other);
    nlsh__free(s->own);
    nlsh__free(s->why);
    nlsh__free(s->whole.missing);
    nlsh__free(s->whole.sizes);
    nlsh__free(s->whole.owners);
    nlsh__manifest_free(&s->manifest);
    nlsh__free(s);
}
