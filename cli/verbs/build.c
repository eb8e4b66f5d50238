/* build.c - `nlsh build` as the command line has it. */
#include "verbs.h"
#include "verbs/shared.h"

static const struct flag *const build_flags[] = {
    &flag_base,
    &flag_rows,
    &(const struct flag){.name = "i",
                         .kind = FLAG_OUT,
                         .argument = "INDEX",
                         .help = "index file to write; it appears whole or not at all"},
    &(const struct flag){
        .name = "mode",
        .kind = FLAG_CHOICE,
        .argument = "{build,tune}",
        .default_value = "build",
        .help = "tune: search for settings, as `nlsh tune` does; -i then names the run"},
    &flag_type,
    &flag_input_format,
    &flag_config,
    &(const struct flag){.name = "keys",
                         .kind = FLAG_IN,
                         .argument = "FILE",
                         .help =
                             "the vectors' keys, which searches then answer with in place of row "
                             "numbers: text with a whole number a line, .ivecs or .npy of whole "
                             "numbers, or .words with a word a line; there is one for each row of "
                             "all files, and --rows takes of "
                             "the keys what it takes of the rows"},
    &(const struct flag){.name = "train_queries",
                         .kind = FLAG_IN,
                         .argument = "FILE",
                         .help =
                             "some thousands of queries like those that will be asked, in any of "
                             "the formats of a base: half of them teach, half calibrate"},
    &(const struct flag){.name = "force",
                         .help = "overwrite INDEX where it is of other vectors, or no index"},
    &(const struct flag){.name = "memory",
                         .kind = FLAG_TEXT,
                         .group = GROUP_RUN,
                         .argument = "SIZE",
                         .help = "build in so much memory, such as 2G: the router learns from as "
                                 "many vectors as that allows, and the others stream past "
                                 "[where a build would need more than is free: what is free]"},
    &flag_threads,
    &flag_cache,
    &flag_no_cache,
    &(const struct flag){.name = "dry-run",
                         .group = GROUP_RUN,
                         .help = "print the resolved settings and a forecast of time, memory and "
                                 "size; with --mode tune what would be tried"},
    &flag_progress,
    &flag_quiet,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_build = {
    .name = "build",
    .summary = "learn an index from a file of vectors",
    .usage = "-d BASE -i INDEX [flags]",
    .description =
        "Makes a k-NN graph of the base, divides the base into m buckets, trains a small network "
        "to say which buckets hold a query's neighbours, and writes everything into one file.\n"
        "Graph and partition are kept in the cache: a build that was stopped, or one with other "
        "settings for the network, goes on from there. The same input and settings give the same "
        "bytes whatever the number of threads.\n"
        "An index promises recall for queries that come from where the base comes from. Where they "
        "come from elsewhere, --train_queries FILE gives some thousands of them, which should not "
        "be those that are asked later.\n"
        "Several files are one base: -d A -d B, of one dimension and type. --rows takes a part of "
        "it. What comes out is the index of a file with just these vectors: searches know row A as "
        "0, unless --keys says otherwise. Verbs that are given the base of such an index need the "
        "same flags.\n"
        "More vectors than memory holds are taken block by block: --memory 2G says how much there "
        "is. Text, HDF5 and standard input cannot be read so.\n"
        "Under mpirun (a build with MPI) each rank reads a part of the base and writes a shard, "
        "and -i names the manifest: `mpirun -n 4 nlsh build -d base.fbin -i my.shards --memory "
        "8G`, of each rank. `nlsh search -i my.shards` answers as the index of one process.\n"
        "Settings are taken from their defaults, then from --config FILE, then from the flags.",
    .examples = {{"an index with the settings that measure best",
                  "nlsh build -d base.fvecs -i my.nlsh"},
                 {"a command line of the predecessor (in Python and C++)",
                  "nlsh build -d sift/sift_base.fvecs -i my_index.bin -type sift --knn 10 -m 128 "
                  "--imbalance 0.03"},
                 {"for queries from elsewhere",
                  "nlsh build -d photos.fvecs -i my.nlsh --train_queries sketches.fvecs"},
                 {"more vectors than memory", "nlsh build -d deep.fbin -i my.nlsh --memory 8G"},
                 {"the first ten million of two files",
                  "nlsh build -d a.fbin -d b.fbin --rows :10000000 -i my.nlsh"},
                 {"what would it cost?", "nlsh build -d base.fvecs -i my.nlsh -m 1024 --dry-run"},
                 {"settings from a file, one of them changed",
                  "nlsh build -d base.fvecs -i my.nlsh --config best.json --epochs 20"}},
    .run = cmd_build,
    .flags = build_flags,
    .more_flags = tune_flags,
    .settings = true,
};
