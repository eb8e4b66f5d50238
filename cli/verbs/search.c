/* search.c - `nlsh search` and `nlsh compare`: queries to one index or to several. */
#include <math.h>

#include "verbs.h"
#include "verbs/shared.h"

static const struct flag flag_t = {
    .name = "T",
    .kind = FLAG_LIST,
    .group = GROUP_SEARCH,
    .argument = "T,T,...",
    .max = HUGE_VAL,
    .help = "T >= 1: the T most probable buckets; T < 1: all above this probability"};

static const struct flag flag_recall = {.name = "recall",
                                        .kind = FLAG_LIST,
                                        .group = GROUP_SEARCH,
                                        .argument = "R,R,...",
                                        .default_value = "0.95",
                                        .max = 1,
                                        .help = "in place of -T: the recall to aim at"};

static const struct flag flag_radius = {
    .name = "R",
    .kind = FLAG_REAL,
    .group = GROUP_SEARCH,
    .argument = "RADIUS",
    .min = -HUGE_VAL,
    .max = HUGE_VAL,
    .help =
        "radius of the R-near neighbours; 2000 for -type mnist, 2800 for sift; of an index with "
        "--metric ip -12 means products of at least 12"};

static const struct flag flag_range = {
    .name = "range",
    .kind = FLAG_CHOICE,
    .group = GROUP_SEARCH,
    .argument = "{true,false}",
    .help = "list the R-near neighbours; true where -R is given, else false"};

static const struct flag flag_format = {.name = "format",
                                        .kind = FLAG_CHOICE,
                                        .group = GROUP_SEARCH,
                                        .argument = "{text,json,csv}",
                                        .default_value = "text",
                                        .help = "form of the results"};

static const struct flag flag_search_threads = {.name = "threads",
                                                .kind = FLAG_COUNT,
                                                .group = GROUP_RUN,
                                                .argument = "N",
                                                .default_value = "1",
                                                .min = 1,
                                                .max = 4096,
                                                .help =
                                                    "threads to search on; 1: one query at a time"};

static const struct flag flag_filter = {
    .name = "filter",
    .kind = FLAG_IN,
    .group = GROUP_SEARCH,
    .argument = "FILE",
    .help =
        "keys of the vectors that an answer may hold: text, one a line, .ivecs, .npy or .words"};

static const struct flag flag_filter_out = {
    .name = "filter-out",
    .kind = FLAG_IN,
    .group = GROUP_SEARCH,
    .argument = "FILE",
    .help = "keys of the vectors that it may not hold, also of those that --filter allows"};

static const struct flag flag_words = {
    .name = "words",
    .kind = FLAG_IN,
    .group = GROUP_SEARCH,
    .argument = "FILE.words",
    .help =
        "answer with words in place of keys, of an index that was built with --keys FILE.words"};

static const struct flag flag_partial = {
    .name = "partial",
    .group = GROUP_SEARCH,
    .help = "of an index in shards: search those that are there, and say how much is missing"};

static const struct flag *const search_flags[] = {
    &flag_base_of_index,
    &flag_rows,
    &flag_queries,
    &flag_index,
    &(const struct flag){
        .name = "models_index",
        .kind = FLAG_IN,
        .argument = "FILE",
        .help = "in place of -i: index.json of a tuning run, whose models are all searched"},
    &(const struct flag){.name = "o",
                         .kind = FLAG_OUT,
                         .argument = "FILE",
                         .default_value = "-",
                         .help = "results file; - is the standard output"},
    &flag_gt,
    &flag_type,
    &flag_input_format,
    &flag_n,
    &flag_t,
    &flag_recall,
    &flag_cautious,
    &flag_radius,
    &flag_range,
    &flag_filter,
    &flag_filter_out,
    &flag_words,
    &flag_partial,
    &flag_format,
    &flag_search_threads,
    &flag_memory,
    &flag_cache,
    &flag_no_cache,
    &flag_progress,
    &flag_quiet_long,
    &(const struct flag){.name = "json",
                         .group = GROUP_TALK,
                         .help = "--format json; with -o FILE the summary as JSON on stdout"},
    &flag_help,
    NULL,
};

const struct verb verb_search = {
    .name = "search",
    .summary = "find the nearest neighbours of queries",
    .usage = "[-i] INDEX -q QUERIES [flags]",
    .description =
        "Answers every query from the buckets that the network names, and says how good "
        "and how fast that was: recall, approximation factor, queries a second.\n"
        "The true neighbours come from --gt, or are found by an exact search of the "
        "vectors, which the index carries, and kept in the cache; -d is not needed. "
        "Approximate and true search are timed apart. Distances are not squared; of an "
        "index with --metric cosine they are 1 - cos, with ip the negated inner product "
        "(smaller is nearer throughout, and there is no AF).\n"
        "The text has for each query: METHOD NAME; Query, its row from 0; for each rank "
        "Nearest neighbor-i, the id (its row in the base, from 0), distanceApproximate, "
        "the distance to it, and distanceTrue, that to the true neighbour of this rank; "
        "with -range true R-near neighbors, the ids of the vectors within R, of which --recall is "
        "the share that comes back. At "
        "the end: Average AF, the mean of distanceApproximate / distanceTrue; Recall@N, "
        "the share of the N true neighbours that were found; QPS, queries a second; "
        "tApproximateAverage and tTrueAverage, seconds a query. Times are the median of "
        "several passes over the queries.\n"
        "Queries unlike those that the index was calibrated for may reach less than "
        "--recall asks for. A search notices that, and says so; with --cautious it scans "
        "more where it is so. `nlsh calibrate` measures anew.\n"
        "With --filter or --filter-out recall, AF and the exact search are those of the "
        "vectors that are allowed, and N come back wherever so many are. Keys are what "
        "the answers have: row numbers, or those of `nlsh build --keys`. A file of keys may be one "
        "of "
        "words too, if they were the keys of the build; --words says them in the answers.\n"
        "With a list (-T 1,5,0.05) the file has all this once for each value, behind a "
        "line \"T: 5\"; as CSV it has a first column T, as JSON an array \"runs\".\n"
        "-i also takes what `nlsh shard` wrote, and under mpirun (a build with MPI) all ranks "
        "search their shards together: `mpirun -n 4 nlsh search -i my.shards -q query.fvecs`. "
        "Answers are those of the index that was cut. -d, -R and filters do not go with "
        "it.\n"
        "With --models_index every model of a tuning run answers the same queries. Each "
        "has a results file beside -o, results.NAME.txt for -o results.txt and the "
        "model NAME.nlsh, and models_compare.csv beside them has a row for each model "
        "and T. Without -o they go to the folder of the list.",
    .examples = {{"ten neighbours each, at recall .95", "nlsh search -i my.nlsh -q query.fvecs"},
                 {"a command line of the predecessor (in Python and C++)",
                  "nlsh search -d sift/sift_base.fvecs -q sift/sift_query.fvecs -i my_index.bin -o "
                  "results.txt -type sift -N 10 -T 5"},
                 {"a query from standard input, as text",
                  "echo 0.1 0.2 0.3 | nlsh search -i my.nlsh -q - -N 3"},
                 {"every bucket whose probability exceeds 0.05",
                  "nlsh search -i my.nlsh -q query.fvecs -T 0.05"},
                 {"only among the vectors whose keys a file lists",
                  "nlsh search -i my.nlsh -q query.fvecs --filter allowed.txt"},
                 {"words, where words are the keys",
                  "nlsh search -i glove.nlsh -q query.fvecs --words glove.words"},
                 {"all models of a tuning run in one pass",
                  "nlsh search --models_index outputs/tuning/run/index.json -d base.fvecs -q "
                  "query.fvecs -T 1,5,0.05"},
                 {"neighbours within a radius besides, as JSON",
                  "nlsh search -i my.nlsh -q query.fvecs -R 250 --format json -o results.json"}},
    .bare = "i",
    .run = cmd_search,
    .flags = search_flags,
};

static const struct flag *const compare_flags[] = {
    &flag_base_of_index,
    &flag_rows,
    &flag_queries,
    &(const struct flag){.name = "o",
                         .kind = FLAG_OUT,
                         .argument = "FILE",
                         .help =
                             "results files to write, one an index; out.txt gives out.NAME.txt"},
    &(const struct flag){.name = "csv",
                         .kind = FLAG_OUT,
                         .argument = "FILE",
                         .help = "the table as CSV; - is the standard output"},
    &flag_gt,
    &flag_type,
    &flag_input_format,
    &flag_n,
    &flag_t,
    &flag_recall,
    &flag_cautious,
    &flag_radius,
    &flag_range,
    &flag_format,
    &flag_search_threads,
    &flag_memory,
    &flag_cache,
    &flag_no_cache,
    &flag_progress,
    &flag_quiet_long,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_compare = {
    .name = "compare",
    .summary = "several indexes, one set of queries, one table",
    .usage = "INDEX... -q QUERIES [flags]",
    .description = "Searches every index at every T of the list and prints a row for each: recall, "
                   "approximation factor, candidates, queries a second, times faster than an exact "
                   "scan, time of the build (where a list of models has it) and size. The true "
                   "neighbours are found once. The indexes must be of the same vectors.\n"
                   "With -o results.txt each index has a results file beside it: results.NAME.txt, "
                   "NAME being the index file's without .nlsh. `nlsh search --models_index` does "
                   "the same for the models of a tuning run.",
    .examples = {{"two indexes at three settings",
                  "nlsh compare a.nlsh b.nlsh -d base.fvecs -q query.fvecs -T 1,5,0.05"},
                 {"for a spreadsheet",
                  "nlsh compare *.nlsh -q query.fvecs --recall 0.9,0.95,0.99 --csv -"}},
    .min_words = 1,
    .max_words = MAX_WORDS,
    .run = cmd_compare,
    .flags = compare_flags,
};
