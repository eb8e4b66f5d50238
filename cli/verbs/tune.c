/* tune.c - `nlsh tune`, and the flags of tuning that build has too. */
#include <stddef.h>

#include "base/names.h"
#include "verbs.h"
#include "verbs/shared.h"

const struct flag *const tune_flags[] = {
    &(const struct flag){.name = "tune_trials",
                         .kind = FLAG_COUNT,
                         .group = GROUP_TUNE,
                         .argument = "N",
                         .default_value = "50",
                         .min = 1,
                         .max = 1e6,
                         .help = "trials of the study in all, and half as many over the partition"},
    &(const struct flag){.name = "tune_folds",
                         .kind = FLAG_COUNT,
                         .group = GROUP_TUNE,
                         .argument = "N",
                         .default_value = "3",
                         .min = 1,
                         .max = 20,
                         .help = "parts of the base that are held out in turn; 1: a fifth, once"},
    &(const struct flag){.name = "tune_epochs",
                         .kind = FLAG_COUNT,
                         .group = GROUP_TUNE,
                         .argument = "N",
                         .default_value = "10",
                         .min = 1,
                         .max = 1e5,
                         .help = "epochs of a trial in each fold"},
    &(const struct flag){.name = "top_k",
                         .kind = FLAG_COUNT,
                         .group = GROUP_TUNE,
                         .argument = "N",
                         .default_value = "5",
                         .min = 1,
                         .max = 1e4,
                         .help = "best settings that are built from the whole base"},
    &(const struct flag){.name = "final_epochs",
                         .kind = FLAG_COUNT,
                         .group = GROUP_TUNE,
                         .argument = "N",
                         .default_value = "100",
                         .min = 1,
                         .max = 1e5,
                         .help = "epochs of these"},
    &(const struct flag){.name = "objective",
                         .kind = FLAG_TEXT,
                         .group = GROUP_TUNE,
                         .argument = "WHAT@X",
                         .default_value = "candidates@.95",
                         .help = "recall@T, candidates@R or qps@R: recall with T, candidates or "
                                 "queries a second at recall R"},
    &(const struct flag){
        .name = "space",
        .kind = FLAG_IN,
        .group = GROUP_TUNE,
        .argument = "FILE",
        .help = "JSON: which settings are searched, and between what (docs/tuning.md)"},
    &(const struct flag){.name = "two_stage",
                         .group = GROUP_TUNE,
                         .help = "then search the partition, with the best network"},
    &(const struct flag){.name = "sampler",
                         .kind = FLAG_CHOICE,
                         .group = GROUP_TUNE,
                         .argument = NLSH__CHOICES(NLSH__SAMPLER_LIST),
                         .default_value = "tpe",
                         .help = "how the next settings are chosen"},
    &(const struct flag){.name = "pruner",
                         .kind = FLAG_CHOICE,
                         .group = GROUP_TUNE,
                         .argument = NLSH__CHOICES(NLSH__PRUNER_LIST),
                         .default_value = "median",
                         .help = "which trials are stopped early"},
    &(const struct flag){.name = "timeout",
                         .kind = FLAG_REAL,
                         .group = GROUP_TUNE,
                         .argument = "S",
                         .min = 0.001,
                         .max = 1e9,
                         .help = "seconds after which no trial begins"},
    &(const struct flag){.name = "study",
                         .kind = FLAG_OUT,
                         .group = GROUP_TUNE,
                         .argument = "FILE",
                         .help = "the study's file; default: study.db in the run's folder"},
    &(const struct flag){
        .name = "resume", .group = GROUP_TUNE, .help = "go on with a study that is there"},
    NULL,
};

static const struct flag *const own_flags[] = {
    &flag_base,
    &flag_rows,
    &(const struct flag){.name = "i",
                         .kind = FLAG_OUT,
                         .argument = "NAME",
                         .help = "name of the run, whose folder is outputs/tuning/NAME, or a "
                                 "folder; default: by the base and the time"},
    &flag_type,
    &flag_input_format,
    &flag_config,
    &flag_threads,
    &flag_cache,
    &flag_no_cache,
    &(const struct flag){.name = "dry-run",
                         .group = GROUP_RUN,
                         .help = "check all that is given and print what would be tried, and what "
                                 "is left of a study; write nothing"},
    &flag_progress,
    &flag_quiet,
    &flag_json,
    &flag_help,
    NULL,
};

const struct verb verb_tune = {
    .name = "tune",
    .summary = "search for the settings that fit the data best",
    .usage = "-d BASE [-i NAME] [flags]",
    .description =
        "Tries settings one after another: cuts the base into folds, learns from all but one of "
        "them, and asks for the neighbours of the vectors held out, which it has not seen. What is "
        "tried next is chosen by what came of that before (--sampler); what looks bad early is "
        "stopped early (--pruner). Settings that are given by flag or --config are the first "
        "trial, and stay where they are not searched. The best are then built from the whole "
        "base.\n"
        "Everything lies in outputs/tuning/NAME (a NAME with a slash is the folder itself): the "
        "indexes; index.json, the list of them for `nlsh search --models_index`, which also says "
        "whether the defaults were beaten; trials.csv; and the study, which Optuna's load_study() "
        "and its dashboard open too. A run that was stopped goes on with --resume; several "
        "processes may work on one study, all but the first with --resume.\n"
        "`nlsh build --mode tune` is the same.",
    .examples = {{"50 trials, and the five best as indexes", "nlsh tune -d base.fvecs -i my_tuned"},
                 {"a command line of the predecessor (in Python and C++)",
                  "nlsh build --mode tune -d sift/sift_base.fvecs -i my_tuned -type sift "
                  "--tune_trials 50 --tune_folds 3 --tune_epochs 10 --top_k 5 --final_epochs 100"},
                 {"then search with all of them",
                  "nlsh search --models_index outputs/tuning/my_tuned/index.json -d base.fvecs -q "
                  "query.fvecs -T 1,2,5,10,0.05"},
                 {"go on with it, up to 100 trials",
                  "nlsh tune -d base.fvecs -i my_tuned --resume --tune_trials 100"},
                 {"the network first, then the partition",
                  "nlsh tune -d base.fvecs -i both --two_stage"},
                 {"what would that try?", "nlsh tune -d base.fvecs -i both --two_stage --dry-run"}},
    .run = cmd_tune,
    .flags = own_flags,
    .more_flags = tune_flags,
    .settings = true,
};
