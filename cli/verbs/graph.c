/* graph.c - `nlsh graph` and `nlsh groundtruth`: neighbours into files. */
#include "base/names.h"
#include "verbs.h"
#include "verbs/shared.h"

static const struct flag flag_metric = {
    .name = "metric",
    .kind = FLAG_CHOICE,
    .group = GROUP_SEARCH,
    .argument = NLSH__CHOICES(NLSH__METRIC_LIST),
    .default_value = "l2",
    .help = "what makes a vector near: distance, inner product or angle"};

static const struct flag *const graph_flags[] = {
    &flag_base,
    &flag_rows,
    &(const struct flag){
        .name = "o",
        .kind = FLAG_OUT,
        .needed = true,
        .argument = "GRAPH",
        .help = "graph file to write, or ids alone by its ending: .ivecs, .ibin, .npy"},
    &flag_type,
    &flag_input_format,
    &(const struct flag){.name = "knn",
                         .kind = FLAG_COUNT,
                         .group = GROUP_SEARCH,
                         .argument = "K",
                         .default_value = "10",
                         .min = 1,
                         .max = 1e6,
                         .help = "neighbours of each vector"},
    &flag_metric,
    &(const struct flag){
        .name = "graph",
        .kind = FLAG_CHOICE,
        .group = GROUP_SEARCH,
        .argument = NLSH__CHOICES(NLSH__GRAPH_LIST),
        .default_value = "exact",
        .help = "how they are found; pieces: each vector among its nearest k-means cells"},
    &(const struct flag){
        .name = "check",
        .kind = FLAG_COUNT,
        .group = GROUP_SEARCH,
        .argument = "N",
        .min = 1,
        .max = 1e9,
        .help = "look N vectors up exactly and say what share of their neighbours is there"},
    &(const struct flag){.name = "seed",
                         .kind = FLAG_COUNT,
                         .group = GROUP_SEARCH,
                         .argument = "SEED",
                         .default_value = "1",
                         .max = 9e15,
                         .help = "of the random numbers that ivfflat and pieces use"},
    &flag_threads,
    &flag_cache,
    &flag_no_cache,
    &flag_progress,
    &flag_quiet,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_graph = {
    .name = "graph",
    .summary = "write the k-NN graph of a file of vectors",
    .usage = "-d BASE -o GRAPH [flags]",
    .description = "The k nearest neighbours of every vector among the others. The file is nlsh's "
                   "graph file, or by its ending .ivecs, .ibin or .npy (then without distances).",
    .examples = {{"10 neighbours each, exactly", "nlsh graph -d base.fvecs -o base.graph --knn 10"},
                 {"for other programs", "nlsh graph -d base.fvecs -o base.ivecs --knn 20"}},
    .run = cmd_graph,
    .flags = graph_flags,
};

static const struct flag *const groundtruth_flags[] = {
    &flag_base,
    &flag_rows,
    &flag_queries,
    &(const struct flag){
        .name = "o",
        .kind = FLAG_OUT,
        .needed = true,
        .argument = "FILE",
        .help =
            "neighbours to write: .ivecs, .ibin or .npy, or nlsh's graph file by any other ending"},
    &(const struct flag){.name = "distances",
                         .kind = FLAG_OUT,
                         .argument = "FILE.fvecs",
                         .help = "distances to write (not squared; see --metric)"},
    &flag_type,
    &flag_input_format,
    &flag_n,
    &flag_metric,
    &flag_threads,
    &flag_cache,
    &flag_no_cache,
    &flag_progress,
    &flag_quiet_long,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_groundtruth = {
    .name = "groundtruth",
    .summary = "write the exact neighbours of queries",
    .usage = "-d BASE -q QUERIES -o FILE.ivecs [flags]",
    .description =
        "The exact N nearest vectors of each query, nearest first. Distances are not squared; with "
        "--metric cosine they are 1 - cos, with ip the negated inner product.",
    .examples =
        {{"100 neighbours each and their distances",
          "nlsh groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs --distances gt.fvecs -N 100"}},
    .run = cmd_groundtruth,
    .flags = groundtruth_flags,
};
