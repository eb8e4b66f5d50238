/* live.c - `nlsh add`, `delete` and `compact`: an index that changes. */
#include "verbs.h"
#include "verbs/shared.h"

static const struct flag flag_changed = {.name = "i",
                                         .kind = FLAG_IN,
                                         .needed = true,
                                         .argument = "INDEX",
                                         .help = "index file; what changes goes to INDEX-log"};

static const struct flag *const create_flags[] = {
    &(const struct flag){.name = "i",
                         .kind = FLAG_OUT,
                         .needed = true,
                         .argument = "INDEX",
                         .help = "index file to write"},
    &(const struct flag){.name = "dim",
                         .kind = FLAG_COUNT,
                         .needed = true,
                         .argument = "N",
                         .min = 1,
                         .max = 1048576,
                         .help = "dimension of its vectors"},
    &(const struct flag){.name = "stores",
                         .kind = FLAG_CHOICE,
                         .argument = "{u8,i8,f16,bf16,f32}",
                         .default_value = "f32",
                         .help =
                             "type of its vectors; with bytes only whole numbers can be put; f16 "
                             "and bf16 round floats to 16 bits"},
    &(const struct flag){.name = "metric",
                         .kind = FLAG_CHOICE,
                         .argument = "{l2,ip,cosine}",
                         .default_value = "l2",
                         .help = "what makes vectors near"},
    &flag_quiet,
    &flag_help,
    NULL,
};

const struct verb verb_create = {
    .name = "create",
    .summary = "make an index that holds nothing yet",
    .usage = "-i INDEX --dim N [flags]",
    .description = "`nlsh add` puts vectors into it, and all of them are compared, exactly, until "
                   "`nlsh compact --auto` finds enough of them, 1,000, to learn buckets from.",
    .examples = {{"for sentence embeddings", "nlsh create -i my.nlsh --dim 512 --metric cosine"}},
    .run = cmd_create,
    .flags = create_flags,
};

static const struct flag *const add_flags[] = {
    &flag_changed,
    &(const struct flag){.name = "d",
                         .kind = FLAG_IN,
                         .needed = true,
                         .argument = "VECTORS",
                         .help = "vectors to put, in any of the formats of a base; - for standard "
                                 "input"},
    &(const struct flag){.name = "keys",
                         .kind = FLAG_IN,
                         .argument = "FILE",
                         .help = "one key a vector: whole numbers as text, .ivecs, .npy or .words; "
                                 "default: the next numbers that are free"},
    &(const struct flag){.name = "batch",
                         .kind = FLAG_COUNT,
                         .group = GROUP_RUN,
                         .argument = "N",
                         .default_value = "1000",
                         .min = 1,
                         .max = 1e6,
                         .help = "vectors that are put together, whole or not at all"},
    &(const struct flag){.name = "sync",
                         .kind = FLAG_CHOICE,
                         .group = GROUP_RUN,
                         .argument = "{always,end}",
                         .default_value = "always",
                         .help = "when they survive a loss of power: after each batch, or at the "
                                 "end of the command"},
    &flag_type,
    &flag_input_format,
    &flag_progress,
    &flag_quiet,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_add = {
    .name = "add",
    .summary = "put vectors into an index, or replace some",
    .usage = "[-i] INDEX -d VECTORS [flags]",
    .description =
        "The vectors go to the buckets that the router names; nothing is trained. A vector whose "
        "key is there already takes its place. They are written to INDEX-log, which every search "
        "of the index reads as well, and `nlsh compact` makes one file of both.\n"
        "A batch is put whole or not at all, whatever happens meanwhile; those before it stay. One "
        "process at a time may write: exit code 75 says that another one does.",
    .examples = {{"under the next free keys", "nlsh add -i my.nlsh -d new.fvecs"},
                 {"under keys of your own", "nlsh add -i my.nlsh -d new.npy --keys ids.txt"}},
    .bare = "i",
    .run = cmd_add,
    .flags = add_flags,
};

static const struct flag *const delete_flags[] = {
    &flag_changed,
    &(const struct flag){.name = "keys",
                         .kind = FLAG_IN,
                         .argument = "FILE",
                         .help = "the keys, one a line, or as .ivecs, .npy or .words"},
    &flag_quiet,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_delete = {
    .name = "delete",
    .summary = "take vectors out of an index",
    .usage = "-i INDEX [KEY...] [flags]",
    .description =
        "Vectors are named by their keys: those of `nlsh build --keys` and `nlsh add`, or else row "
        "numbers of the base, from 0. All of them go, or none. Keys that are not there are counted "
        "and passed over. Their room comes back with `nlsh compact`.",
    .examples = {{"two of them", "nlsh delete -i my.nlsh 17 42"},
                 {"many", "nlsh delete -i my.nlsh --keys old.txt"}},
    .max_words = MAX_WORDS,
    .run = cmd_delete,
    .flags = delete_flags,
};

static const struct flag *const compact_flags[] = {
    &(const struct flag){.name = "i",
                         .kind = FLAG_IN,
                         .needed = true,
                         .argument = "INDEX",
                         .help = "index file; it is replaced, and its log emptied"},
    &(const struct flag){.name = "auto",
                         .kind = FLAG_SWITCH,
                         .group = GROUP_RUN,
                         .help = "do what is due: nothing, one file, or training; for a job that "
                                 "runs each night"},
    &(const struct flag){.name = "retrain",
                         .kind = FLAG_SWITCH,
                         .group = GROUP_RUN,
                         .help = "learn buckets and router anew, by the settings of the index"},
    &(const struct flag){.name = "drop_damaged",
                         .kind = FLAG_SWITCH,
                         .group = GROUP_RUN,
                         .help = "of a damaged log keep what is before the damage; the rest is "
                                 "lost"},
    &flag_threads,
    &flag_cache,
    &flag_no_cache,
    &flag_progress,
    &flag_quiet,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_compact = {
    .name = "compact",
    .summary = "make one file of an index and its log",
    .usage = "[-i] INDEX [flags]",
    .description =
        "Vectors keep their keys; those that were deleted or replaced are gone. Nothing is trained "
        "unless --retrain says so, or --auto finds it due. Where more than a fifth of the vectors "
        "came or went, or more than 2 % and they are unlike the others, what a recall takes is "
        "measured anew.\n"
        "The new file takes the old one's place in one step, and searches go on meanwhile: stopped "
        "at any moment, one of the two is there, whole.",
    .examples = {{"after many changes", "nlsh compact -i my.nlsh"},
                 {"each night", "nlsh compact -i my.nlsh --auto"},
                 {"when the data is of another kind now", "nlsh compact -i my.nlsh --retrain"}},
    .bare = "i",
    .run = cmd_compact,
    .flags = compact_flags,
};
