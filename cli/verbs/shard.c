/* shard.c - `nlsh shard`: an index for several machines. */
#include "verbs.h"
#include "verbs/shared.h"

static const struct flag *const shard_flags[] = {
    &(const struct flag){.name = "i",
                         .kind = FLAG_IN,
                         .needed = true,
                         .argument = "INDEX",
                         .help = "index file to cut"},
    &(const struct flag){.name = "o",
                         .kind = FLAG_OUT,
                         .needed = true,
                         .argument = "FILE",
                         .help = "manifest to write; the shards are FILE.0.nlsh, FILE.1.nlsh ..."},
    &(const struct flag){.name = "shards",
                         .kind = FLAG_COUNT,
                         .needed = true,
                         .argument = "N",
                         .min = 1,
                         .max = 1024,
                         .help = "how many"},
    &flag_progress,
    &flag_quiet,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_shard = {
    .name = "shard",
    .summary = "cut an index into files, for several machines",
    .usage = "-i INDEX -o FILE --shards N [flags]",
    .description =
        "Each shard holds the network and some of the buckets, so that all have about as many "
        "vectors, and about as much to scan. FILE is written last and names them; it lies beside "
        "them. `nlsh search -i FILE` searches all shards in one process, `mpirun -n N nlsh search "
        "-i FILE` (a build with MPI) each in a process of its own, and both answer as INDEX does. "
        "`nlsh info` and `nlsh verify` read a shard as they read an index.",
    .examples = {{"for four machines", "nlsh shard -i my.nlsh -o my.shards --shards 4"}},
    .run = cmd_shard,
    .flags = shard_flags,
};
