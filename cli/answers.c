/*
 * answers.c - the answers of an index to a set of queries at one setting: found, timed, judged.
 */
#include "answers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "inputs.h"
#include "talk.h"
#include "timing.h"

int answers_create(size_t n, size_t k, struct answers *out)
{
    *out = (struct answers){.n = n, .k = k};
    struct nlsh_search_stats *s = &out->stats;
    s->struct_size = sizeof *s;
    if (n <= SIZE_MAX / sizeof *out->keys / k) {
        out->keys = calloc(n * k, sizeof *out->keys);
        out->distances = calloc(n * k, sizeof *out->distances);
        s->probes = calloc(n, sizeof *s->probes);
        s->candidates = calloc(n, sizeof *s->candidates);
        s->ranked = calloc(n, sizeof *s->ranked);
        s->outside = calloc(n, sizeof *s->outside);
    }
    if (out->keys != NULL && out->distances != NULL && s->probes != NULL && s->candidates != NULL &&
        s->ranked != NULL && s->outside != NULL) {
        return 0;
    }
    answers_free(out);
    return talk_error(EXIT_BUG, "ask for fewer neighbours with -N", "out of memory");
}

void answers_free(struct answers *answers)
{
    free(answers->keys);
    free(answers->distances);
    free(answers->stats.probes);
    free(answers->stats.candidates);
    free(answers->stats.ranked);
    free(answers->stats.outside);
    *answers = (struct answers){0};
}

/* ---- how good they are ----------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The 95th percentile of the candidates; NaN without memory. */
static double percentile_95(const uint32_t *candidates, size_t n)
{
    uint32_t *scanned = calloc(n, sizeof *scanned);
    if (scanned == NULL) return NAN;
    memcpy(scanned, candidates, n * sizeof *scanned);
    qsort(scanned, n, sizeof *scanned, by_size);
    size_t rank = (n - 1) * 95 / 100;
    double value = scanned[rank];
    free(scanned);
    return value;
}

struct nlsh_search_stats stats_from(const struct nlsh_search_stats *stats, size_t i)
{
    struct nlsh_search_stats from = *stats;
    from.probes += i;
    from.candidates += i;
    from.ranked += i;
    from.outside += i;
    return from;
}

void score_answers(const struct answers *answers, size_t n, const struct nlsh_neighbors *truth,
                   struct score *out)
{
    size_t n_factor = 0, k = answers->k;
    double squares = 0;
    *out = (struct score){.p95 = percentile_95(answers->stats.candidates, n)};
    for (size_t i = 0; i < n; i++) {
        const uint64_t *true_keys = truth->ids + i * truth->k;
        const float *true_distances =
            truth->distances != NULL ? truth->distances + i * truth->k : NULL;
        const uint64_t *keys = answers->keys + i * k;
        const float *distances = answers->distances + i * k;
        out->recall_1 += nlsh_recall(keys, distances, true_keys, true_distances, 1);
        double recall = nlsh_recall(keys, distances, true_keys, true_distances, k);
        out->recall_n += recall;
        squares += recall * recall;
        double factor = true_distances != NULL
                            ? nlsh_approximation_factor(truth->metric, distances, true_distances, k)
                            : NAN;
        if (isfinite(factor)) {
            out->factor += factor;
            n_factor++;
        }
        out->candidates += answers->stats.candidates[i];
        out->probes += answers->stats.probes[i];
        out->ranked += answers->stats.ranked[i];
    }
    out->recall_1 /= (double)n;
    out->recall_n /= (double)n;
    double variance = fmax(squares / (double)n - out->recall_n * out->recall_n, 0);
    out->recall_error = n > 1 ? sqrt(variance / (double)(n - 1)) : NAN;
    out->factor = n_factor ? out->factor / (double)n_factor : NAN;
    out->candidates /= (double)n;
    out->probes /= (double)n;
    out->ranked /= (double)n;
}

void say_likeness(const struct nlsh_likeness *l, const struct nlsh_search_options *options)
{
    if (!l->unlike) return;
    talk_say("these queries are unlike those that the index was calibrated for: the router expects "
             "%.1f %% of their neighbours outside of the buckets of recall %g, and %.1f %% of "
             "those; %.0f %% of them are farther from all vectors than 99 in 100 of those. %s",
             100 * l->outside, options->recall, 100 * l->expected, isnan(l->far) ? 0 : 100 * l->far,
             options->cautious ? "More was scanned for it"
                               : "Fewer may come back than were asked for: --cautious scans more, "
                                 "nlsh calibrate measures anew");
}

/* ---- search ---------------------------------------------------------------------------------- */

/* Who answers: one searcher query by query, or a pool many at a time. */
struct finder {
    const struct nlsh_matrix *queries;
    const struct nlsh_search_options *options;
    struct answers *answers;
    struct nlsh_searcher *searcher;
    struct nlsh_searcher_pool *pool;
    size_t step; /* queries in a call */
};

static enum nlsh_status finder_create(const struct nlsh_index *index, struct finder *f,
                                      struct nlsh_error *error)
{
    bool threads = f->options->n_threads > 1;
    f->step = threads ? 4096 : 1;
    if (!threads) return nlsh_searcher_create(index, &f->searcher, error);
    return nlsh_searcher_pool_create(index, f->options->n_threads, &f->pool, error);
}

static enum nlsh_status find_some(struct finder *f, size_t i, size_t n, struct nlsh_error *error)
{
    struct answers *a = f->answers;
    struct nlsh_matrix some = matrix_rows(f->queries, i, n);
    struct nlsh_search_stats stats = stats_from(&a->stats, i);
    uint64_t *keys = a->keys + i * a->k;
    float *distances = a->distances + i * a->k;
    if (f->pool == NULL) {
        return nlsh_search(f->searcher, &some, f->options, keys, distances, &stats, error);
    }
    return nlsh_searcher_pool_search(f->pool, &some, f->options, keys, distances, &stats, error);
}

/* Every query once. again: a pass for its time alone, which the bar counts no queries of. */
static enum nlsh_status find_pass(struct finder *f, const char *stage, bool again, double *spent,
                                  struct nlsh_error *error)
{
    size_t total = f->answers->n;
    *spent = 0;
    for (size_t i = 0; i < total; i += f->step) {
        size_t n = total - i < f->step ? total - i : f->step;
        double began = now_seconds();
        enum nlsh_status status = find_some(f, i, n, error);
        *spent += now_seconds() - began;
        if (status != NLSH_OK) return status;
        bool pause = f->step > 1 || i % 64 == 63 || i + n == total;
        if (pause && (again ? talk_progress(NULL, "timing", 0, 0)
                            : talk_progress(NULL, stage, i + n, total))) {
            return error->status = NLSH_E_INTERRUPTED;
        }
    }
    return NLSH_OK;
}

static int find(const struct nlsh_index *index, struct finder *f, const char *stage, bool timed)
{
    struct nlsh_error error = {0};
    struct passes passes = {.n = 0};
    double spent;
    enum nlsh_status status = finder_create(index, f, &error);
    while (status == NLSH_OK) {
        status = find_pass(f, stage, passes.n > 0, &spent, &error);
        if (status != NLSH_OK) break;
        passes_add(&passes, spent, f->answers->n);
        if (!timed || passes_enough(&passes)) break;
    }
    nlsh_searcher_free(f->searcher);
    nlsh_searcher_pool_free(f->pool);
    if (status != NLSH_OK) return talk_failed(&error);
    talk_stage_end();
    f->answers->timing = passes_timing(&passes);
    return 0;
}

int answers_find(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                 const struct nlsh_search_options *options, const char *stage,
                 struct answers *answers)
{
    struct nlsh_error error = {0};
    struct finder f = {.queries = queries, .options = options, .answers = answers};
    int code = find(index, &f, stage, true);
    if (code != 0) return code;
    answers->likeness.struct_size = sizeof answers->likeness;
    if (nlsh_likeness(index, options, answers->stats.outside, answers->distances, answers->n,
                      &answers->likeness, &error) != NLSH_OK)
        return talk_failed(&error);
    return 0;
}

int answers_warm(const struct nlsh_index *index, const struct nlsh_matrix *queries,
                 const struct nlsh_search_options *options, const char *stage,
                 const struct answers *answers)
{
    enum { WARM_QUERIES = 1000 };
    struct answers some = *answers;
    struct finder f = {.queries = queries, .options = options, .answers = &some};
    if (some.n > WARM_QUERIES) some.n = WARM_QUERIES;
    return find(index, &f, stage, false);
}

/* ---- settings -------------------------------------------------------------------------------- */

/* The values of a list; says so and returns 0 where there are more than we take. */
static size_t read_list(const struct args *args, const char *name, double values[MAX_POINTS])
{
    size_t n = 1;
    char dashed[64];
    for (const char *c = args_text(args, name); *c != '\0'; c++) n += *c == ',';
    if (n <= MAX_POINTS) return args_list(args, name, values, MAX_POINTS);
    (void)talk_error(EXIT_USAGE, NULL, "%s has %zu values: at most %d are taken",
                     flag_dashed(name, dashed), n, MAX_POINTS);
    return 0;
}

/* One value; false after saying that it is outside its meaning. */
static bool read_point(const struct args *args, bool by_t, double v, bool one,
                       struct nlsh_search_options *out)
{
    if (by_t ? v > 0 && (v < 1 || floor(v) == v) : v > 0 && v < 1) {
        nlsh_search_options_init(out, sizeof *out);
        out->cautious = args_given(args, "cautious");
        if (by_t) out->probes = v;
        if (!by_t) out->recall = v;
        return true;
    }
    if (by_t) {
        (void)talk_error(EXIT_USAGE, "T >= 1 is a whole number of buckets; T < 1 a probability",
                         one ? "-T %s is neither a number of buckets nor a probability"
                             : "-T %s: %g is neither a number of buckets nor a probability",
                         args_text(args, "T"), v);
    } else {
        (void)talk_error(EXIT_USAGE, "for all true neighbours give -T with the number of buckets",
                         one ? "--recall %s: it must lie between 0 and 1"
                             : "--recall %s: %g must lie between 0 and 1",
                         args_text(args, "recall"), v);
    }
    return false;
}

static size_t read_values(const struct args *args, bool by_t,
                          struct nlsh_search_options out[MAX_POINTS])
{
    double values[MAX_POINTS];
    size_t n = read_list(args, by_t ? "T" : "recall", values);
    for (size_t i = 0; i < n; i++)
        if (!read_point(args, by_t, values[i], n == 1, &out[i])) return 0;
    return n;
}

size_t read_recalls(const struct args *args, struct nlsh_search_options out[MAX_POINTS])
{
    return read_values(args, false, out);
}

size_t read_points(const struct args *args, struct nlsh_search_options out[MAX_POINTS])
{
    bool by_t = args_given(args, "T");
    if (by_t && args_given(args, "recall")) {
        (void)talk_error(
            EXIT_USAGE, "leave one of them out",
            "-T %s says how much to scan, --recall %s what it should come to: not both",
            args_text(args, "T"), args_text(args, "recall"));
        return 0;
    }
    return read_values(args, by_t, out);
}

const char *point_text(const struct nlsh_search_options *options, char buffer[32])
{
    if (options->probes > 0) {
        snprintf(buffer, 32, options->probes < 1 ? "%g" : "%.0f", options->probes);
    } else {
        snprintf(buffer, 32, "recall %g", options->recall);
    }
    return buffer;
}

json_t *point_json(const struct nlsh_search_options *options)
{
    char text[32];
    if (options->probes >= 1 && options->probes < 1e15) {
        return json_integer((json_int_t)options->probes);
    }
    if (options->probes > 0) return json_real(options->probes);
    return json_string(point_text(options, text));
}
