/* files.c - `nlsh info`, `verify`, `cache` and `convert`: what is done with files. */
#include "verbs.h"
#include "verbs/shared.h"

static const struct flag *const info_flags[] = {
    &flag_index, &flag_quiet, &flag_json, &flag_help, NULL,
};

const struct verb verb_info = {
    .name = "info",
    .summary = "say what an index holds",
    .usage = "INDEX [flags]",
    .description = "Number, dimension and type of the vectors, the settings of the build, the "
                   "sizes of the buckets, and where the bytes go.",
    .examples = {{"in words", "nlsh info my.nlsh"},
                 {"one value, for a script", "nlsh info my.nlsh --json | jq .buckets.count"}},
    .bare = "i",
    .run = cmd_info,
    .flags = info_flags,
};

static const struct flag *const verify_flags[] = {
    &flag_index, &flag_quiet, &flag_json, &flag_help, NULL,
};

const struct verb verb_verify = {
    .name = "verify",
    .summary = "read a whole index and compare its checksums",
    .usage = "INDEX [flags]",
    .description =
        "Exit code 0: every section agrees with its checksum. 1: one does not; stderr says which.",
    .examples = {{"is the copy whole?", "nlsh verify my.nlsh"}},
    .bare = "i",
    .run = cmd_verify,
    .flags = verify_flags,
};

static const struct flag *const convert_flags[] = {
    &(const struct flag){.name = "from",
                         .kind = FLAG_CHOICE,
                         .argument = "{auto," FORMATS "}",
                         .default_value = "auto",
                         .help = "format of IN; auto: by name and content"},
    &(const struct flag){.name = "to",
                         .kind = FLAG_CHOICE,
                         .argument = "{auto," WRITTEN_FORMATS "}",
                         .default_value = "auto",
                         .help = "format of OUT; auto: by its ending"},
    &(const struct flag){
        .name = "keys-out",
        .kind = FLAG_OUT,
        .argument = "FILE.words",
        .help = "write the words before the numbers of text (GloVe's, fastText's), one a line, as "
                "`build --keys` and `search --words` take them"},
    &flag_quiet,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_convert = {
    .name = "convert",
    .summary = "copy vectors from one file format to another",
    .usage = "IN OUT [flags]",
    .description = "Formats are known by the names' endings: fvecs, bvecs, ivecs, npy, fbin, "
                   "u8bin, i8bin, ibin, idx, and f16bin and text (csv, tsv, txt, vec) to read; an "
                   "input may be compressed (.gz, .zst). Floats "
                   "become bytes only where each is a whole number in range.",
    .examples = {{"MNIST for numpy", "nlsh convert train-images-idx3-ubyte.gz train.npy"},
                 {"names without an ending", "nlsh convert in.dat out.dat --from fvecs --to u8bin"},
                 {"GloVe's words beside its vectors",
                  "nlsh convert glove.6B.100d.txt glove.fvecs --keys-out glove.words"}},
    .min_words = 2,
    .max_words = 2,
    .run = cmd_convert,
    .flags = convert_flags,
};

static const struct flag *const cache_flags[] = {
    &flag_cache, &flag_quiet, &flag_json, &flag_help, NULL,
};

const struct verb verb_cache = {
    .name = "cache",
    .summary = "list or clear what is kept between runs",
    .usage = "list|clear [flags]",
    .description = "Ground truth, k-NN graphs and partitions are kept by the content of their "
                   "input. `clear` removes nlsh's own files from the directory, nothing else.",
    .examples = {{"what is there", "nlsh cache list"}, {"free the space", "nlsh cache clear"}},
    .min_words = 1,
    .max_words = 1,
    .words = "list clear",
    .run = cmd_cache,
    .flags = cache_flags,
};
