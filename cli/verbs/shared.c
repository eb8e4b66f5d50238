/* shared.c - see shared.h. */
#include "verbs/shared.h"

const struct flag flag_base = {
    .name = "d",
    .kind = FLAG_IN,
    .needed = true,
    .repeated = true,
    .argument = "BASE",
    .help = "base vectors: fvecs, bvecs, IDX, npy, fbin, u8bin, i8bin or text (CSV, GloVe's), also "
            ".gz and .zst; - for standard input; several -d are one base, in this order"};

const struct flag flag_base_of_index = {
    .name = "d",
    .kind = FLAG_IN,
    .repeated = true,
    .argument = "BASE",
    .help = "base vectors, checked against the index by content; the index carries them too; "
            "several -d are one base"};

const struct flag flag_rows = {
    .name = "rows",
    .kind = FLAG_TEXT,
    .argument = "A:B",
    .help = "only rows A to B-1 of the base, counted from 0 through all its files; A: to the last, "
            ":B from the first"};

const struct flag flag_queries = {
    .name = "q",
    .kind = FLAG_IN,
    .needed = true,
    .argument = "QUERIES",
    .help = "query vectors, in any of the formats of a base; - for standard input"};

const struct flag flag_index = {
    .name = "i", .kind = FLAG_IN, .argument = "INDEX", .help = "index file that nlsh build wrote"};

const struct flag flag_gt = {.name = "gt",
                             .kind = FLAG_IN,
                             .argument = "FILE",
                             .help = "the queries' true neighbours, nearest first: ivecs, npy, "
                                     "ibin, big-ann's ground truth or a graph file"};

const struct flag flag_type = {
    .name = "type",
    .kind = FLAG_CHOICE,
    .argument = "{sift,mnist,auto}",
    .default_value = "auto",
    .help = "what the vector files are: sift is fvecs or bvecs, mnist is IDX, auto any"};

const struct flag flag_input_format = {
    .name = "input_format",
    .kind = FLAG_CHOICE,
    .argument = "{" FORMATS "}",
    .help = "format of the vector files, whatever their names and contents say; default: as -type "
            "has it"};

const struct flag flag_config = {
    .name = "config",
    .kind = FLAG_IN,
    .argument = "FILE",
    .help = "JSON object with settings by name, e.g. {\"m\": 256, \"labels\": \"soft\"}"};

const struct flag flag_n = {.name = "N",
                            .alias = "k",
                            .kind = FLAG_COUNT,
                            .group = GROUP_SEARCH,
                            .argument = "N",
                            .default_value = "10",
                            .min = 1,
                            .max = 1e6,
                            .help = "neighbours wanted a query"};

const struct flag flag_cautious = {
    .name = "cautious",
    .group = GROUP_SEARCH,
    .help = "scan more for queries that are unlike those that the index was calibrated for"};

const struct flag flag_threads = {.name = "threads",
                                  .kind = FLAG_COUNT,
                                  .group = GROUP_RUN,
                                  .argument = "N",
                                  .min = 1,
                                  .max = 4096,
                                  .help = "threads to work on; default: all processors"};

const struct flag flag_memory = {.name = "memory",
                                 .kind = FLAG_CHOICE,
                                 .group = GROUP_RUN,
                                 .argument = "{all,codes,map}",
                                 .default_value = "all",
                                 .help = "what of an index is read into memory first: all, all but "
                                         "the vectors, or nothing (the file is mapped)"};

const struct flag flag_cache = {.name = "cache",
                                .kind = FLAG_DIR,
                                .group = GROUP_RUN,
                                .argument = "DIR",
                                .help =
                                    "where graphs, partitions and ground truth are kept; default: "
                                    "$NLSH_CACHE, else $XDG_CACHE_HOME/nlsh, else ~/.cache/nlsh"};

const struct flag flag_no_cache = {
    .name = "no-cache", .group = GROUP_RUN, .help = "keep nothing and take nothing from there"};

const struct flag flag_progress = {
    .name = "progress",
    .kind = FLAG_CHOICE,
    .group = GROUP_TALK,
    .argument = "{auto,always,never,json}",
    .default_value = "auto",
    .help = "progress on stderr; auto: a bar on a terminal; json: one object a line"};

const struct flag flag_quiet = {
    .name = "quiet", .alias = "q", .group = GROUP_TALK, .help = "say nothing but errors"};

const struct flag flag_quiet_long = {
    .name = "quiet", .group = GROUP_TALK, .help = "say nothing but errors"};

const struct flag flag_json = {
    .name = "json", .group = GROUP_TALK, .help = "the answer as JSON on stdout"};

const struct flag flag_help = {
    .name = "help", .alias = "h", .group = GROUP_TALK, .help = "print this and exit"};
