/*
 * search_shards.c - `nlsh search` of an index in shards: by one process, or by those that mpirun started.
 *
 * Rank 0 reads the queries and writes the results; the others answer what it asks. True neighbours are those of --gt, or are
 * found by comparing all vectors of all shards.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "inputs.h"
#include "json.h"
#include "numbers.h"
#include "output.h"
#include "results.h"
#include "shards.h"
#include "shards/shards.h"
#include "talk.h"
#include "truth.h"

/* Those that this process is one of. */
static struct nlsh__ranks ranks = {.n = 1};

void shards_ranks(const struct nlsh__ranks *all)
{
    ranks = *all;
}

bool shards_alone(void)
{
    return ranks.n == 1;
}

bool shards_in_ranks(void)
{
    return ranks.user != NULL;
}

const struct nlsh__ranks *shards_all(void)
{
    return &ranks;
}

bool is_shards(const char *path)
{
    return nlsh__is_manifest(path);
}

struct search {
    const struct args *args;
    struct nlsh__shards *shards;
    struct loaded queries;
    struct nlsh_search_options points[MAX_POINTS];
    size_t n_points;
    struct nlsh_neighbors truth;
    struct results_of of;
    struct answers answers;
};

/* ---- finding ----------------------------------------------------------------------------------- */

/* Queries between two looks at signals: some blocks. */
enum { STEP = 1024 };

/* All queries once. */
static enum nlsh_status find_pass(struct search *s, const struct nlsh_search_options *options,
                                  const char *stage, struct answers *to, double *spent,
                                  struct nlsh_error *error)
{
    enum nlsh_status status = NLSH_OK;
    double began = now_seconds();
    for (size_t i = 0; i < to->n && status == NLSH_OK; i += STEP) {
        size_t n = to->n - i < STEP ? to->n - i : STEP;
        struct nlsh_matrix some = matrix_rows(&s->queries.matrix, i, n);
        struct nlsh_search_stats stats = stats_from(&to->stats, i);
        status = nlsh__shards_search(s->shards, &some, options, to->keys + i * to->k,
                                     to->distances + i * to->k, &stats, error);
        if (status == NLSH_OK && talk_progress(NULL, stage, i + n, to->n))
            status = error->status = NLSH_E_INTERRUPTED;
    }
    *spent = now_seconds() - began;
    return status;
}

static int find(struct search *s, const struct nlsh_search_options *options, const char *stage,
                struct answers *to)
{
    struct nlsh_error error = {0};
    struct passes passes = {.n = 0};
    double spent;
    do {
        if (find_pass(s, options, stage, to, &spent, &error) != NLSH_OK) return talk_failed(&error);
        passes_add(&passes, spent, to->n);
    } while (!passes_enough(&passes));
    talk_stage_end();
    to->timing = passes_timing(&passes);
    return 0;
}

/* The true neighbours, and the time that they take: once is enough. */
static int find_truth(struct search *s, size_t k)
{
    struct nlsh_error error = {0};
    struct passes passes = {.n = 0};
    struct nlsh_search_options all;
    struct answers exact;
    double spent;
    nlsh_search_options_init(&all, sizeof all);
    all.k = k;
    all.probes = (double)s->shards->whole.n_buckets;
    int code = answers_create(s->queries.matrix.n_rows, k, &exact);
    if (code != 0) return code;
    if (find_pass(s, &all, "exact neighbours", &exact, &spent, &error) != NLSH_OK) {
        answers_free(&exact);
        return talk_failed(&error);
    }
    talk_stage_end();
    passes_add(&passes, spent, exact.n);
    s->of.exact = passes_timing(&passes);
    s->truth.n_rows = exact.n;
    s->truth.k = k;
    s->truth.metric = s->of.metric;
    s->truth.ids = exact.keys;
    s->truth.distances = exact.distances;
    exact.keys = NULL;
    exact.distances = NULL;
    answers_free(&exact);
    memset(&s->shards->work, 0, sizeof s->shards->work);
    return 0;
}

/* Those that --gt names, as answers have them: by key, with their distances. */
static int given_truth(struct search *s, size_t k)
{
    struct nlsh_error error = {0};
    const struct nlsh_matrix *queries = &s->queries.matrix;
    struct nlsh_neighbors *truth = &s->truth;
    int code =
        truth_read(s->args, queries->n_rows, k, s->shards->whole.n_rows, s->of.metric, truth);
    if (code != 0) return code;
    size_t n = queries->n_rows * k;
    uint32_t *rows = calloc(n, sizeof *rows);
    if (truth->distances == NULL) truth->distances = calloc(n, sizeof *truth->distances);
    if (rows == NULL || truth->distances == NULL) {
        free(rows);
        return talk_error(EXIT_BUG, NULL, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        rows[i] = (uint32_t)truth->ids[i];
        truth->ids[i] = NLSH_NO_KEY; /* where its shard is missing */
        truth->distances[i] = INFINITY;
    }
    const struct nlsh__shards_known known = {.keys = truth->ids, .distances = truth->distances};
    if (nlsh__shards_know(s->shards, queries, rows, k, &known, &error) != NLSH_OK)
        code = talk_failed(&error);
    free(rows);
    truth->metric = s->of.metric;
    s->of.exact = (struct timing){NAN, NAN, NAN, 0}; /* an exact search was not made */
    memset(&s->shards->work, 0, sizeof s->shards->work);
    return code;
}

/* ---- saying ------------------------------------------------------------------------------------ */

/* The shares of the vectors scanned that the least and the most loaded shard scanned, over the mean. */
static double imbalance(const struct nlsh__shards *s)
{
    uint64_t most = 0, all = 0;
    size_t n = s->manifest.n - s->n_missing;
    for (size_t i = 0; i < s->manifest.n; i++) {
        all += s->work.candidates[i];
        if (s->work.candidates[i] > most) most = s->work.candidates[i];
    }
    return all > 0 ? (double)most * (double)n / (double)all : 1;
}

static double not_searched(const struct nlsh__shards *s)
{
    return s->work.buckets > 0 ? (double)s->work.buckets_missing / (double)s->work.buckets : 0;
}

static json_t *work_json(const struct nlsh__shards *s)
{
    double n = s->work.queries > 0 ? (double)s->work.queries : 1;
    json_t *scanned = json_array();
    for (size_t i = 0; i < s->manifest.n; i++)
        json_add(&scanned, json_real((double)s->work.candidates[i] / n));
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:o}", "shards", (json_int_t)s->manifest.n,
                     "missing", (json_int_t)s->n_missing, "ranks", (json_int_t)s->ranks.n,
                     "bytes_a_query", (double)s->work.sent / n, "imbalance", imbalance(s),
                     "buckets_not_searched", not_searched(s), "scanned", scanned);
}

static void say_work(const struct nlsh__shards *s)
{
    char bytes[32];
    double n = s->work.queries > 0 ? (double)s->work.queries : 1;
    talk_say("%zu shard%s on %zu rank%s: the most loaded scans %.2f times the mean; %s between "
             "ranks a query",
             s->manifest.n, s->manifest.n == 1 ? "" : "s", s->ranks.n, s->ranks.n == 1 ? "" : "s",
             imbalance(s), text_bytes((uint64_t)llround((double)s->work.sent / n), bytes));
    if (s->n_missing == 0) return;
    talk_say(
        "%zu of %zu shards %s missing: of the buckets that queries asked for, %.1f %% were not "
        "searched",
        s->n_missing, s->manifest.n, s->n_missing == 1 ? "is" : "are", 100 * not_searched(s));
}

static void say_goodness(const struct search *s, const struct nlsh_search_options *options)
{
    char count[32], point[32], qps[32];
    const struct score *score = &s->answers.score;
    if (s->of.many) talk_say("T %s:", point_text(options, point));
    talk_say("recall@%zu %.4f   AF %.4f   %s candidates in %.1f buckets a query", s->answers.k,
             score->recall_n, score->factor,
             text_count((uint64_t)llround(score->candidates), count), score->probes);
    say_likeness(&s->answers.likeness, options);
    say_work(s->shards);
    talk_say("%s queries a second, %d at a time",
             text_count((uint64_t)llround(1 / s->answers.timing.median), qps), NLSH__SHARDS_BLOCK);
}

/* ---- one setting after another ----------------------------------------------------------------- */

/* A results_point_fn. */
static int search_point(void *ctx, size_t i, struct results *results)
{
    struct search *s = ctx;
    struct nlsh_search_options *options = &s->points[i];
    struct nlsh_error error = {0};
    size_t m = s->shards->whole.n_buckets;
    if (options->probes > (double)m) options->probes = (double)m;
    options->k = s->answers.k;
    options->n_threads = args_count(s->args, "threads");
    int code = find(s, options, "search", &s->answers);
    if (code != 0) return code;
    s->answers.likeness.struct_size = sizeof s->answers.likeness;
    if (nlsh_likeness(s->shards->lead, options, s->answers.stats.outside, s->answers.distances,
                      s->answers.n, &s->answers.likeness, &error) != NLSH_OK)
        return talk_failed(&error);
    score_answers(&s->answers, s->answers.n, &s->truth, &s->answers.score);
    if (s->of.metric == NLSH_IP) s->answers.score.factor = NAN;
    code = truth_check(s->args, s->shards->lead, &s->answers, &s->truth);
    if (code != 0) return code;
    s->of.shards = work_json(s->shards);
    s->of.not_searched = not_searched(s->shards);
    code = results_add(results, s->shards->lead, options, &s->answers);
    if (code == 0) say_goodness(s, options);
    json_decref(s->of.shards);
    s->of.shards = NULL;
    memset(&s->shards->work, 0, sizeof s->shards->work);
    return code;
}

/* What rank 0 does. */
static int ask(struct search *s, const char *path)
{
    struct nlsh_index_info info = {.struct_size = sizeof info};
    size_t k = args_count(s->args, "N");
    (void)!nlsh_index_info(s->shards->lead, &info, NULL);
    s->of.metric = info.metric;
    nlsh_neighbors_init(&s->truth, sizeof s->truth);
    int code =
        load_queries(args_text(s->args, "q"), vectors_type(s->args), path, &info, &s->queries);
    if (code == 0) code = answers_create(s->queries.matrix.n_rows, k, &s->answers);
    if (code == 0) code = args_given(s->args, "gt") ? given_truth(s, k) : find_truth(s, k);
    s->of.queries = &s->queries.matrix;
    s->of.truth = &s->truth;
    if (code == 0) code = results_write(s->args, &s->of, s->n_points, search_point, s);
    answers_free(&s->answers);
    nlsh_neighbors_free(&s->truth);
    loaded_free(&s->queries);
    return code;
}

/* What needs the vectors in one place. */
static int check_flags(const struct args *args)
{
    static const char *const not_here[] = {"d",      "rows",       "R",    "range",
                                           "filter", "filter-out", "words"};
    char dashed[64];
    for (size_t i = 0; i < sizeof not_here / sizeof *not_here; i++)
        if (args_given(args, not_here[i]))
            return talk_error(EXIT_USAGE, "leave it out, or search the index they were cut of",
                              "%s does not go with an index in shards",
                              flag_dashed(not_here[i], dashed));
    return 0;
}

int search_shards(const struct args *args)
{
    struct nlsh_error error = {0};
    struct search s = {.args = args};
    const char *path = args_text(args, "i");
    const char *inputs[MAX_INPUTS];
    const struct nlsh__shards_options options = {.memory = memory_named(args),
                                                 .partial = args_given(args, "partial"),
                                                 .n_threads = args_count(args, "threads")};
    int code = check_flags(args);
    if (code != 0) return code;
    s.n_points = read_points(args, s.points);
    if (s.n_points == 0) return EXIT_USAGE;
    if (ranks.own == 0)
        code = output_check(args_text(args, "o"), "-o", inputs, args_inputs(args, inputs));
    if (code != 0) ranks_abort(&ranks, code);
    if (code != 0) return code;
    if (nlsh__shards_open(path, &options, &ranks, &s.shards, &error) != NLSH_OK)
        return ranks.own == 0 ? talk_failed(&error) : 0;
    if (ranks.own == 0)
        code = ask(&s, path);
    else if (nlsh__shards_serve(s.shards, &error) != NLSH_OK)
        code = talk_failed(&error);
    if (code != 0 && (ranks.own != 0 || !s.shards->in_step)) ranks_abort(&ranks, code);
    nlsh__shards_close(s.shards);
    return code;
}
