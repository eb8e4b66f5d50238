/*
 * cmd_search.c - `nlsh search`: queries in, neighbours out, with how good and how fast it was.
 *
 * The approximate search is timed query by query on one thread (or as a whole with --threads),
 * the true search apart: see truth.h. With several -T the true neighbours are found once, and one
 * setting after another is searched and written. --models_index is compare.c's.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "answers.h"
#include "compare.h"
#include "inputs.h"
#include "json.h"
#include "numbers.h"
#include "output.h"
#include "results.h"
#include "shards.h"
#include "talk.h"
#include "truth.h"
#include "verbs.h"

struct search {
    const struct args *args;
    struct nlsh_index *index;
    struct nlsh_index_info info;
    struct loaded queries;
    struct nlsh_search_options points[MAX_POINTS];
    struct filter filter;
    struct words words;
    size_t n_points;
    struct nlsh_neighbors truth;
    struct results_of of;
    struct answers answers;
};

static void say_goodness(const struct search *s, const struct nlsh_search_options *options)
{
    char count[32], point[32];
    const struct score *score = &s->answers.score;
    if (s->of.many) talk_say("T %s:", point_text(options, point));
    talk_say("recall@%zu %.4f   AF %.4f   %s candidates in %.1f buckets a query", s->answers.k,
             score->recall_n, score->factor,
             text_count((uint64_t)llround(score->candidates), count), score->probes);
    say_likeness(&s->answers.likeness, options);
}

/* What --memory codes comes to. */
static void say_memory(const struct search *s)
{
    char held[32], left[32];
    uint64_t vectors = 0, others = 0;
    struct nlsh_section_info section = {.struct_size = sizeof section};
    if (memory_named(s->args) != NLSH_MEMORY_CODES) return;
    for (size_t i = 0; nlsh_index_section(s->index, i, &section); i++)
        *(strcmp(section.name, "vectors") == 0 ? &vectors : &others) += section.size_bytes;
    talk_say("%s in memory; of %s of vectors on the disk a query reads %.0f vectors",
             text_bytes(others, held), text_bytes(vectors, left), s->answers.score.ranked);
}

static void say_times(const struct search *s, const struct nlsh_search_options *options)
{
    char qps[32], least[32], most[32], a[32], b[32], c[32], d[32];
    const struct timing *t = &s->answers.timing, *exact = &s->of.exact;
    talk_say("%s queries a second on %zu thread%s: the median of %zu pass%s, %s to %s",
             text_count((uint64_t)llround(1 / t->median), qps), options->n_threads,
             options->n_threads == 1 ? "" : "s", t->n_passes, t->n_passes == 1 ? "" : "es",
             text_count((uint64_t)llround(1 / t->slowest), least),
             text_count((uint64_t)llround(1 / t->fastest), most));
    talk_say("%s a query; an exact scan %s (%s to %s): %.1f times faster",
             text_seconds(t->median, a), text_seconds(exact->median, b),
             text_seconds(exact->fastest, c), text_seconds(exact->slowest, d),
             exact->median / t->median);
}

/* One setting: search, judge, write, say. */
/* A results_point_fn. */
static int search_point(void *ctx, size_t i, struct results *results)
{
    struct search *s = ctx;
    struct nlsh_search_options *options = &s->points[i];
    bool say = strcmp(args_text(s->args, "o"), "-") != 0 || s->of.format[0] == 'c';
    char count[32];
    if (options->probes > (double)s->info.n_buckets) {
        talk_say("the index has %s buckets: all are scanned", text_count(s->info.n_buckets, count));
        options->probes = (double)s->info.n_buckets;
    }
    options->k = s->answers.k;
    options->counted = s->filter.counted;
    options->n_threads = args_count(s->args, "threads");
    int code = answers_find(s->index, &s->queries.matrix, options, "search", &s->answers);
    if (code != 0) return code;
    score_answers(&s->answers, s->answers.n, &s->truth, &s->answers.score);
    if (s->info.metric == NLSH_IP) s->answers.score.factor = NAN; /* no ratio of products is one */
    code = truth_check(s->args, s->index, &s->answers, &s->truth);
    if (code == 0) code = results_add(results, s->index, options, &s->answers);
    if (code != 0) return code;
    if (say) say_goodness(s, options);
    if (say) say_memory(s);
    if (say || s->of.format[0] == 't') say_times(s, options);
    return 0;
}

/* How far searches through the filter have to go, where a recall is asked for. */
static int fit_filter(const struct search *s)
{
    struct nlsh_error error = {0};
    bool by_recall = false;
    for (size_t i = 0; i < s->n_points; i++) by_recall |= s->points[i].probes == 0;
    if (s->filter.counted == NULL || !by_recall) return 0;
    return nlsh_counted_filter_fit(s->filter.counted, &error) == NLSH_OK ? 0 : talk_failed(&error);
}

static int search_index(const struct args *args)
{
    struct nlsh_error error = {0};
    struct search s = {.args = args};
    const char *path = args_text(args, "i");
    const char *inputs[MAX_INPUTS];
    s.n_points = read_points(args, s.points);
    if (s.n_points == 0) return EXIT_USAGE;
    int code = output_check(args_text(args, "o"), "-o", inputs, args_inputs(args, inputs));
    if (code != 0) return code;
    if (open_index(path, memory_named(args), &s.index, &error) != NLSH_OK)
        return talk_failed(&error);
    s.info.struct_size = sizeof s.info;
    (void)!nlsh_index_info(s.index, &s.info, NULL);
    s.of.metric = s.info.metric;
    code = load_queries(args_text(args, "q"), vectors_type(args), path, &s.info, &s.queries);
    if (code == 0) code = read_range(args, &s.queries, &s.of);
    if (code == 0 && args_given(args, "words")) {
        code = words_read(args_text(args, "words"), &s.words);
        s.of.words = &s.words;
    }
    if (code == 0) code = filter_read(args, s.index, path, &s.filter);
    if (code == 0) code = fit_filter(&s);
    size_t k = args_count(args, "N");
    if (code == 0) code = answers_create(s.queries.matrix.n_rows, k, &s.answers);
    if (code == 0) {
        code = truth_timed(args, s.index, path, &s.queries.matrix, k, &s.filter, &s.truth,
                           &s.of.exact);
    }
    s.of.queries = &s.queries.matrix;
    s.of.truth = &s.truth;
    if (code == 0) code = results_write(args, &s.of, s.n_points, search_point, &s);
    answers_free(&s.answers);
    nlsh_neighbors_free(&s.truth);
    filter_free(&s.filter);
    words_free(&s.words);
    loaded_free(&s.queries);
    nlsh_index_close(s.index);
    return code;
}

int cmd_search(const struct args *args)
{
    bool one = args_given(args, "i"), many = args_given(args, "models_index");
    if (one && many) {
        return talk_error(EXIT_USAGE, "leave one of them out",
                          "nlsh search: -i names one index, --models_index many");
    }
    if (!one && !many) {
        return talk_error(EXIT_USAGE, "usage: nlsh search [-i] INDEX -q QUERIES [flags]",
                          "nlsh search needs -i INDEX");
    }
    bool filtered = args_given(args, "filter") || args_given(args, "filter-out");
    if (filtered && (many || args_given(args, "gt"))) {
        return talk_error(EXIT_USAGE, "leave it out; the allowed true neighbours are found",
                          "nlsh search: a filter goes with one index, and --gt is not of what it "
                          "allows");
    }
    if (many && args_given(args, "words"))
        return talk_error(EXIT_USAGE, "search one index with -i",
                          "nlsh search: --words goes with one index");
    if (one && is_shards(args_text(args, "i"))) return search_shards(args);
    if (!shards_alone()) {
        return talk_error(EXIT_USAGE, "cut it with `nlsh shard`, or leave mpirun out",
                          "%s is no index in shards: one process searches it",
                          args_text(args, one ? "i" : "models_index"));
    }
    if (args_given(args, "partial"))
        return talk_error(EXIT_USAGE, "leave it out", "--partial is for an index in shards");
    return one ? search_index(args) : compare_models(args, args_text(args, "models_index"));
}
