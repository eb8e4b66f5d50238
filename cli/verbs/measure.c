/* measure.c - `nlsh evaluate`, `bench` and `report`: how good an index is. */
#include <math.h>

#include "verbs.h"
#include "verbs/shared.h"

static const struct flag *const evaluate_flags[] = {
    &flag_base_of_index,
    &flag_rows,
    &flag_queries,
    &(const struct flag){.name = "i",
                         .kind = FLAG_IN,
                         .needed = true,
                         .argument = "INDEX",
                         .help = "index file that nlsh build wrote"},
    &flag_gt,
    &(const struct flag){.name = "csv",
                         .kind = FLAG_OUT,
                         .argument = "FILE",
                         .default_value = "-",
                         .help = "curve to write; - is the standard output"},
    &(const struct flag){
        .name = "reliability",
        .kind = FLAG_OUT,
        .argument = "FILE",
        .help = "CSV to write: the router's probabilities beside the shares that were found"},
    &flag_type,
    &flag_input_format,
    &flag_n,
    &(const struct flag){.name = "recall",
                         .kind = FLAG_LIST,
                         .group = GROUP_SEARCH,
                         .argument = "R,R,...",
                         .default_value = "0.9,0.95,0.99",
                         .max = 1,
                         .help = "recalls to ask for, beside which stands what is reached"},
    &flag_cautious,
    &flag_threads,
    &flag_memory,
    &flag_cache,
    &flag_no_cache,
    &flag_progress,
    &flag_quiet_long,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_evaluate = {
    .name = "evaluate",
    .summary = "the whole curve of recall against candidates",
    .usage = "[-i] INDEX -q QUERIES [flags]",
    .description =
        "One pass over the queries gives recall and scanned vectors for every T, both as a number "
        "of buckets (rule top) and as a threshold, and beside each what the best order of the same "
        "buckets would reach with as many of them (oracle_recall). Then searches ask for a recall "
        "(rule "
        "asked, --recall); beside it stands what these queries reach, with its standard error "
        "(error): two of them on each side are what other queries of their kind reach, 19 times of "
        "20.\n"
        "With --reliability FILE a second CSV says whether the probabilities are calibrated: for "
        "the pairs of query and bucket in each bin of probability (low,high,pairs) the mean "
        "probability (predicted) and the mean share of the true neighbours in the bucket "
        "(observed), with its standard error (error).",
    .examples = {{"into a file",
                  "nlsh evaluate -i my.nlsh -q query.fvecs --gt gt.ivecs --csv curve.csv"},
                 {"recall@100, true neighbours from the base",
                  "nlsh evaluate -i my.nlsh -q query.fvecs -d base.fvecs -N 100"}},
    .bare = "i",
    .run = cmd_evaluate,
    .flags = evaluate_flags,
};

static const struct flag *const calibrate_flags[] = {
    &flag_queries,
    &(const struct flag){.name = "i",
                         .kind = FLAG_IN,
                         .needed = true,
                         .argument = "INDEX",
                         .help = "index file; it gets new promises, unless -o names another"},
    &(const struct flag){.name = "o",
                         .kind = FLAG_OUT,
                         .argument = "FILE",
                         .help = "index file to write; INDEX then stays as it is"},
    &flag_type,
    &flag_input_format,
    &flag_threads,
    &flag_progress,
    &flag_quiet_long,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_calibrate = {
    .name = "calibrate",
    .summary = "promise recall for queries like those of a sample",
    .usage = "[-i] INDEX -q SAMPLE [flags]",
    .description =
        "An index promises the recall that --recall asks for, measured on vectors of its own base. "
        "Queries from elsewhere may reach less. This measures anew with a sample of them, some "
        "hundreds, and writes what it takes into the index; nothing is trained. The index is "
        "replaced whole or not at all, and may be searched meanwhile.\n"
        "What is promised then is promised for queries like the sample. The sample should not hold "
        "vectors of the base: they find themselves.",
    .examples = {{"in place", "nlsh calibrate -i my.nlsh -q sample.fvecs"},
                 {"into another file",
                  "nlsh calibrate -i my.nlsh -q sample.fvecs -o my-photos.nlsh"}},
    .bare = "i",
    .run = cmd_calibrate,
    .flags = calibrate_flags,
};

static const struct flag *const bench_flags[] = {
    &flag_base,
    &flag_rows,
    &flag_queries,
    &flag_index,
    &(const struct flag){.name = "o",
                         .kind = FLAG_OUT,
                         .argument = "FILE",
                         .help = "the table as CSV, and two pictures of it beside it"},
    &flag_type,
    &flag_input_format,
    &flag_n,
    &(const struct flag){.name = "methods",
                         .kind = FLAG_TEXT,
                         .group = GROUP_SEARCH,
                         .argument = "M,M,...",
                         .default_value = "brute,ivfflat,nlsh",
                         .help = "any of brute, lsh, hypercube, ivfflat, ivfpq, routed, nlsh"},
    &(const struct flag){.name = "T",
                         .kind = FLAG_LIST,
                         .group = GROUP_SEARCH,
                         .argument = "T,T,...",
                         .default_value = "1,2,5,10,0.1,0.05,0.01",
                         .max = HUGE_VAL,
                         .help = "values of T for the index's rows"},
    &(const struct flag){.name = "recall",
                         .kind = FLAG_LIST,
                         .group = GROUP_SEARCH,
                         .argument = "R,R,...",
                         .default_value = "0.9,0.95,0.99",
                         .max = 1,
                         .help = "recall targets for more rows"},
    &(const struct flag){.name = "probes",
                         .kind = FLAG_LIST,
                         .group = GROUP_SEARCH,
                         .argument = "P,P,...",
                         .default_value = "1,2,4,8,16,32",
                         .min = 1,
                         .max = 1e6,
                         .help = "cells that ivfflat and ivfpq scan"},
    &(const struct flag){.name = "seconds",
                         .kind = FLAG_REAL,
                         .group = GROUP_SEARCH,
                         .argument = "S",
                         .default_value = "5",
                         .max = 1e6,
                         .help = "most time to spend on one row"},
    &(const struct flag){.name = "csv", .group = GROUP_SEARCH, .help = "the table as CSV"},
    &(const struct flag){.name = "seed",
                         .kind = FLAG_COUNT,
                         .group = GROUP_SEARCH,
                         .argument = "SEED",
                         .default_value = "1",
                         .max = 9e15,
                         .help = "of the methods' random numbers"},
    &(const struct flag){.name = "threads",
                         .kind = FLAG_COUNT,
                         .group = GROUP_RUN,
                         .argument = "N",
                         .min = 1,
                         .max = 4096,
                         .help = "threads for what is not timed; default: all processors"},
    &flag_memory,
    &flag_cache,
    &flag_no_cache,
    &flag_progress,
    &flag_quiet_long,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_bench = {
    .name = "bench",
    .summary = "a table of recall and speed beside other methods",
    .usage = "-d BASE -q QUERIES [[-i] INDEX] [flags]",
    .description =
        "One thread, one query at a time, each method at the settings of its sweep: two exact "
        "scans (brute), p-stable LSH (lsh), random bits (hypercube), k-means cells (ivfflat), "
        "cells with product codes (ivfpq), the index's buckets scanned exactly as all of these are "
        "(routed), and the index itself at several T (nlsh). With an index the cells are as many "
        "as its buckets. Without -i an index with default settings is made where a method needs "
        "one, and thrown away.\n"
        "With -o FILE.csv the table is written there, and FILE.candidates.svg and FILE.qps.svg "
        "beside it show recall against candidates and against queries a second, the best of each "
        "method's settings; gnuplot draws them.",
    .examples = {{"the usual table", "nlsh bench -d base.fvecs -q query.fvecs -i my.nlsh"},
                 {"all methods, as a table and two pictures",
                  "nlsh bench -d base.fvecs -q query.fvecs -i my.nlsh --methods "
                  "brute,lsh,hypercube,ivfflat,ivfpq,routed,nlsh -o methods.csv"},
                 {"chosen points, for a spreadsheet",
                  "nlsh bench -d base.fvecs -q query.fvecs -i my.nlsh -T 1,2,5,0.05 --csv"}},
    .bare = "i",
    .run = cmd_bench,
    .flags = bench_flags,
};

static const struct flag *const report_flags[] = {
    &flag_base_of_index,
    &flag_rows,
    &(const struct flag){.name = "q",
                         .kind = FLAG_IN,
                         .argument = "QUERIES",
                         .help =
                             "queries for what an index can do, in any of the formats of a base"},
    &(const struct flag){.name = "o",
                         .kind = FLAG_OUT,
                         .needed = true,
                         .argument = "PAGE.html",
                         .help = "page to write; - is the standard output"},
    &flag_gt,
    &flag_type,
    &flag_input_format,
    &flag_n,
    &flag_threads,
    &flag_cache,
    &flag_no_cache,
    &flag_progress,
    &flag_quiet_long,
    &flag_help,
    NULL,
};

const struct verb verb_report = {
    .name = "report",
    .summary = "what was measured, as one page with pictures",
    .usage = "RUN|INDEX|CSV... -o PAGE.html [flags]",
    .description =
        "Writes one HTML file that opens offline, in light and dark, on a screen as on a phone. "
        "What was measured comes first in words; what a dot stands for shows under the mouse.\n"
        "What it shows depends on what is given, in any number and mixture:\n"
        "An index: what it holds and the sizes of its buckets; with -q also recall against "
        "candidates beside the oracle's, recall against speed, the recall asked for against the "
        "one reached, and whether the router's probabilities are calibrated.\n"
        "A CSV of nlsh evaluate, bench or compare, a models_compare.csv, or a table of ./dev bench "
        "--csv: recall against candidates and against speed.\n"
        "A run of nlsh tune (its folder, its index.json or its study, which may be Optuna's own): "
        "the models, the history of the study, the importance of the parameters, all trials in "
        "parallel coordinates. Importance is the share of the variance of the trials' ranks that a "
        "parameter alone explains: Kruskal and Wallis's correlation ratio (1952) with Kelley's "
        "correction (1935).",
    .examples = {{"an index, measured with queries",
                  "nlsh report my.nlsh -d base.fvecs -q query.fvecs -o report.html"},
                 {"two curves side by side", "nlsh report a.curve.csv b.curve.csv -o curves.html"},
                 {"a tuning run", "nlsh report outputs/tuning/run -o tuning.html"}},
    .min_words = 1,
    .max_words = MAX_WORDS,
    .run = cmd_report,
    .flags = report_flags,
};
