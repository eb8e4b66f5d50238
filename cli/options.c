/*
 * options.c - the table of verbs and flags, and the parser over it.
 *
 * Every flag may be written with one dash or two, with "=" or a space before its value, with "-"
 * or "_" inside its name. A flag that comes twice counts the last time. A word that follows a flag
 * is its value if it is a number, "-", or does not begin with a dash.
 */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/names.h"
#include "nlsh/learn.h"
#include "talk.h"
#include "verbs.h"

/* ---- the table: verbs ------------------------------------------------------------------------ */

enum {
    B = 1 << 0,  /* build */
    S = 1 << 1,  /* search */
    G = 1 << 2,  /* graph */
    T = 1 << 3,  /* groundtruth */
    I = 1 << 4,  /* info */
    V = 1 << 5,  /* verify */
    E = 1 << 6,  /* evaluate */
    C = 1 << 7,  /* cache */
    X = 1 << 8,  /* convert */
    M = 1 << 9,  /* compare */
    N = 1 << 10, /* bench */
    P = 1 << 11, /* report */
    U = 1 << 12, /* tune */
    H = 1 << 13, /* help */
    R = 1 << 14, /* version */
    ALL = (1 << 15) - 1
};

static const struct verb verbs[] = {
    {"build",
     "learn an index from a file of vectors",
     "-d BASE -i INDEX [flags]",
     "Makes a k-NN graph of the base, divides the base into m buckets, trains a small network "
     "to say which buckets hold a query's neighbours, and writes everything into one file.\n"
     "Graph and partition are kept in the cache: a build that was stopped, or one with other "
     "settings for the network, goes on from there. The same input and settings give the same "
     "bytes whatever the number of threads.\n"
     "Settings are taken from their defaults, then from --config FILE, then from the flags.",
     {{"an index with the settings that measure best", "nlsh build -d base.fvecs -i my.nlsh"},
      {"as the original scripts had it",
       "nlsh build -d sift/sift_base.fvecs -i my_index.bin -type sift --knn 10 -m 128 "
       "--imbalance 0.03"},
      {"what would it cost?", "nlsh build -d base.fvecs -i my.nlsh -m 1024 --dry-run"},
      {"settings from a file, one of them changed",
       "nlsh build -d base.fvecs -i my.nlsh --config best.json --epochs 20"}},
     0,
     0,
     NULL,
     cmd_build},
    {"search",
     "find the nearest neighbours of queries",
     "-i INDEX -q QUERIES [flags]",
     "Answers every query from the buckets that the network names, and says how good and how "
     "fast that was: recall, approximation factor, queries a second.\n"
     "The true neighbours come from --gt, or are found by an exact search of the vectors, which "
     "the "
     "index carries, and kept in the cache; -d is not needed. Approximate and true search are "
     "timed apart. Distances are not squared; of an index "
     "with --metric cosine they are 1 - cos, with ip the negated inner product (smaller is nearer "
     "throughout, and there is no AF).\n"
     "The text has for each query: METHOD NAME; Query, its row from 0; for each rank Nearest "
     "neighbor-i, the id (its row in the base, from 0), distanceApproximate, the distance to it, "
     "and distanceTrue, that to the true neighbour of this rank; with -range true R-near "
     "neighbors, the ids of all scanned vectors within R. At the end: Average AF, the mean of "
     "distanceApproximate / distanceTrue; Recall@N, the share of the N true neighbours that were "
     "found; QPS, queries a second; tApproximateAverage and tTrueAverage, seconds a query.\n"
     "With a list (-T 1,5,0.05) the file has all this once for each value, behind a line \"T: 5\"; "
     "as CSV it has a first column T, as JSON an array \"runs\".\n"
     "With --models_index every model of a tuning run answers the same queries. Each has a results "
     "file beside -o, results.NAME.txt for -o results.txt and the model NAME.nlsh, and "
     "models_compare.csv beside them has a row for each model and T. Without -o they go to the "
     "folder of the list.",
     {{"ten neighbours each, at recall .95", "nlsh search -i my.nlsh -q query.fvecs"},
      {"as the original scripts had it",
       "nlsh search -d sift/sift_base.fvecs -q sift/sift_query.fvecs -i my_index.bin "
       "-o results.txt -type sift -N 10 -T 5"},
      {"every bucket whose probability exceeds 0.05",
       "nlsh search -i my.nlsh -q query.fvecs -T 0.05"},
      {"all models of a tuning run in one pass",
       "nlsh search --models_index outputs/tuning/run/index.json -d base.fvecs -q query.fvecs "
       "-T 1,5,0.05"},
      {"neighbours within a radius besides, as JSON",
       "nlsh search -i my.nlsh -q query.fvecs -R 250 --format json -o results.json"}},
     0,
     0,
     NULL,
     cmd_search},
    {"graph",
     "write the k-NN graph of a file of vectors",
     "-d BASE -o GRAPH [flags]",
     "The k nearest neighbours of every vector among the others. The file is nlsh's graph file, "
     "or by its ending .ivecs, .ibin or .npy (then without distances).",
     {{"10 neighbours each, exactly", "nlsh graph -d base.fvecs -o base.graph --knn 10"},
      {"for other programs", "nlsh graph -d base.fvecs -o base.ivecs --knn 20"}},
     0,
     0,
     NULL,
     cmd_graph},
    {"groundtruth",
     "write the exact neighbours of queries",
     "-d BASE -q QUERIES -o FILE.ivecs [flags]",
     "The exact N nearest vectors of each query, nearest first. Distances are not squared; with "
     "--metric cosine they are 1 - cos, with ip the negated inner product.",
     {{"100 neighbours each and their distances",
       "nlsh groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs --distances gt.fvecs -N 100"}},
     0,
     0,
     NULL,
     cmd_groundtruth},
    {"info",
     "say what an index holds",
     "INDEX [flags]",
     "Number, dimension and type of the vectors, the settings of the build, the sizes of the "
     "buckets, and where the bytes go.",
     {{"in words", "nlsh info my.nlsh"},
      {"one value, for a script", "nlsh info my.nlsh --json | jq .buckets.count"}},
     0,
     1,
     NULL,
     cmd_info},
    {"verify",
     "read a whole index and compare its checksums",
     "INDEX [flags]",
     "Exit code 0: every section agrees with its checksum. 1: one does not; stderr says which.",
     {{"is the copy whole?", "nlsh verify my.nlsh"}},
     0,
     1,
     NULL,
     cmd_verify},
    {"evaluate",
     "the whole curve of recall against candidates",
     "-i INDEX -q QUERIES [flags]",
     "One pass over the queries gives recall and scanned vectors for every T, both as a number "
     "of buckets (rule top) and as a threshold, and beside each what the best order of the same "
     "buckets would reach with as many of them (oracle_recall).\n"
     "With --reliability FILE a second CSV says whether the probabilities are calibrated: for the "
     "pairs of query and bucket in each bin of probability (low,high,pairs) the mean probability "
     "(predicted) and the mean share of the true neighbours in the bucket (observed), with its "
     "standard error (error).",
     {{"into a file", "nlsh evaluate -i my.nlsh -q query.fvecs --gt gt.ivecs --csv curve.csv"},
      {"recall@100, true neighbours from the base",
       "nlsh evaluate -i my.nlsh -q query.fvecs -d base.fvecs -N 100"}},
     0,
     0,
     NULL,
     cmd_evaluate},
    {"cache",
     "list or clear what is kept between runs",
     "list|clear [flags]",
     "Ground truth, k-NN graphs and partitions are kept by the content of their input. "
     "`clear` removes nlsh's own files from the directory, nothing else.",
     {{"what is there", "nlsh cache list"}, {"free the space", "nlsh cache clear"}},
     1,
     1,
     "list clear",
     cmd_cache},
    {"convert",
     "copy vectors from one file format to another",
     "IN OUT [flags]",
     "Formats are known by the names' endings: fvecs, bvecs, ivecs, npy, fbin, u8bin, i8bin, ibin, "
     "idx, and f16bin to read; "
     "an input may be gzipped. Floats become bytes only where each is a whole number in range.",
     {{"MNIST for numpy", "nlsh convert train-images-idx3-ubyte.gz train.npy"},
      {"names without an ending", "nlsh convert in.dat out.dat --from fvecs --to u8bin"}},
     2,
     2,
     NULL,
     cmd_convert},
    {"compare",
     "several indexes, one set of queries, one table",
     "INDEX... -q QUERIES [flags]",
     "Searches every index at every T of the list and prints a row for each: recall, "
     "approximation factor, candidates, queries a second, times faster than an exact scan, time of "
     "the build (where a list of models has it) and size. The true neighbours are found once. The "
     "indexes must be of the same vectors.\n"
     "With -o results.txt each index has a results file beside it: results.NAME.txt, NAME being "
     "the index file's without .nlsh. `nlsh search --models_index` does the same for the models of "
     "a tuning run.",
     {{"two indexes at three settings",
       "nlsh compare a.nlsh b.nlsh -d base.fvecs -q query.fvecs -T 1,5,0.05"},
      {"for a spreadsheet", "nlsh compare *.nlsh -q query.fvecs --recall 0.9,0.95,0.99 --csv -"}},
     1,
     MAX_WORDS,
     NULL,
     cmd_compare},
    {"bench",
     "a table of recall and speed beside other methods",
     "-d BASE -q QUERIES [flags]",
     "One thread, one query at a time, each method at the settings of its sweep: two exact scans "
     "(brute), p-stable LSH (lsh), random bits (hypercube), k-means cells (ivfflat), cells with "
     "product codes (ivfpq), the index's buckets scanned exactly as all of these are (routed), and "
     "the index itself at several T (nlsh). With an index the cells are as many as its buckets. "
     "Without -i an index with default settings is made where a method needs one, and thrown "
     "away.\n"
     "With -o FILE.csv the table is written there, and FILE.candidates.svg and FILE.qps.svg beside "
     "it show recall against candidates and against queries a second, the best of each method's "
     "settings; gnuplot draws them.",
     {{"the usual table", "nlsh bench -d base.fvecs -q query.fvecs -i my.nlsh"},
      {"all methods, as a table and two pictures",
       "nlsh bench -d base.fvecs -q query.fvecs -i my.nlsh "
       "--methods brute,lsh,hypercube,ivfflat,ivfpq,routed,nlsh -o methods.csv"},
      {"chosen points, for a spreadsheet",
       "nlsh bench -d base.fvecs -q query.fvecs -i my.nlsh -T 1,2,5,0.05 --csv"}},
     0,
     0,
     NULL,
     cmd_bench},
    {"report",
     "what was measured, as one page with pictures",
     "RUN|INDEX|CSV... -o PAGE.html [flags]",
     "Writes one HTML file that opens offline. What it shows depends on what is given, in any "
     "number "
     "and mixture:\n"
     "An index: what it holds and the sizes of its buckets; with -q also recall against candidates "
     "beside the oracle's, recall against speed, the recall asked for against the one reached, and "
     "whether the router's probabilities are calibrated.\n"
     "A CSV of nlsh evaluate, bench or compare, a models_compare.csv, or a table of ./dev bench "
     "--csv: recall against candidates and against speed.\n"
     "A run of nlsh tune (its folder, its index.json or its study, which may be Optuna's own): the "
     "models, the history of the study, the importance of the parameters, all trials in parallel "
     "coordinates. Importance is the share of the variance of the trials' ranks that a parameter "
     "alone explains: Kruskal and Wallis's correlation ratio (1952) with Kelley's correction "
     "(1935).\n"
     "gnuplot draws.",
     {{"an index, measured with queries",
       "nlsh report my.nlsh -d base.fvecs -q query.fvecs -o report.html"},
      {"two curves side by side", "nlsh report a.curve.csv b.curve.csv -o curves.html"},
      {"a tuning run", "nlsh report outputs/tuning/run -o tuning.html"}},
     1,
     MAX_WORDS,
     NULL,
     cmd_report},
    {"tune",
     "search for the settings that fit the data best",
     "-d BASE [-i NAME] [flags]",
     "Tries settings one after another: cuts the base into folds, learns from all but one of them, "
     "and asks for the neighbours of the vectors held out, which it has not seen. What "
     "is tried next is chosen by what came of that before (--sampler); what looks bad early is "
     "stopped early "
     "(--pruner). Settings that are given by flag or --config are the first trial, and stay where "
     "they are not searched. The best are then built from the whole base.\n"
     "Everything lies in outputs/tuning/NAME (a NAME with a slash is the folder itself): the "
     "indexes; index.json, the list of them for `nlsh search --models_index`, which also says "
     "whether the defaults were beaten; trials.csv; and the study, which Optuna's load_study() and "
     "its dashboard open too. A run that was stopped goes on with --resume; several processes may "
     "work on one study, all but the first with --resume.\n"
     "`nlsh build --mode tune` is the same.",
     {{"50 trials, and the five best as indexes", "nlsh tune -d base.fvecs -i my_tuned"},
      {"as the original scripts had it",
       "nlsh build --mode tune -d sift/sift_base.fvecs -i my_tuned -type sift --tune_trials 50 "
       "--tune_folds 3 --tune_epochs 10 --top_k 5 --final_epochs 100"},
      {"then search with all of them",
       "nlsh search --models_index outputs/tuning/my_tuned/index.json -d base.fvecs -q query.fvecs "
       "-T 1,2,5,10,0.05"},
      {"go on with it, up to 100 trials",
       "nlsh tune -d base.fvecs -i my_tuned --resume --tune_trials 100"},
      {"the network first, then the partition", "nlsh tune -d base.fvecs -i both --two_stage"},
      {"what would that try?", "nlsh tune -d base.fvecs -i both --two_stage --dry-run"}},
     0,
     0,
     NULL,
     cmd_tune},
    {"help",
     "explain a command",
     "[COMMAND]",
     "Without a command: all of them. --man and --completion print what packages install.",
     {{"the flags of build", "nlsh help build"},
      {"read the manual", "nlsh help --man | man -l -"},
      {"completion in this shell", "eval \"$(nlsh help --completion)\""}},
     0,
     1,
     "build search graph groundtruth info verify evaluate cache convert compare bench report tune "
     "version",
     cmd_help},
    {"version",
     "print the version",
     "[flags]",
     "The version and the instruction set in use.",
     {{"one line", "nlsh version"}},
     0,
     0,
     NULL,
     cmd_version},
};

enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

/* ---- the table: flags ------------------------------------------------------------------------ */

static const char base_help[] =
    "base vectors: fvecs, bvecs, IDX, npy, fbin, u8bin or i8bin, also .gz";
static const char checked_base_help[] =
    "base vectors, checked against the index by content; the index carries them too";

#define WRITTEN "idx,fvecs,bvecs,ivecs,npy,fbin,u8bin,i8bin,ibin"
#define FORMATS WRITTEN ",f16bin"
#define FILES GROUP_FILES, true
#define FILES_MAYBE GROUP_FILES, false
#define FIND GROUP_SEARCH, false
#define TUNE GROUP_TUNE, false
#define RUN GROUP_RUN, false
#define TALK GROUP_TALK, false
#define NO_RANGE 0, 0

/* Long lines here on purpose: a row is a flag. */
/* clang-format off */
static const struct flag flags[] = {
    {B | G | N | U, "d", NULL, FLAG_IN, FILES, "BASE", NULL, NO_RANGE, base_help},
    {T, "d", NULL, FLAG_IN, FILES, "BASE", NULL, NO_RANGE, base_help},
    {S | E | M | P, "d", NULL, FLAG_IN, FILES_MAYBE, "BASE", NULL, NO_RANGE, checked_base_help},
    {P, "q", NULL, FLAG_IN, FILES_MAYBE, "QUERIES", NULL, NO_RANGE, "queries for what an index can do, in any of the formats of a base"},
    {S | T | E | N | M, "q", NULL, FLAG_IN, FILES, "QUERIES", NULL, NO_RANGE, "query vectors, in any of the formats of a base"},
    {B, "i", NULL, FLAG_OUT, FILES_MAYBE, "INDEX", NULL, NO_RANGE, "index file to write; it appears whole or not at all"},
    {U, "i", NULL, FLAG_OUT, FILES_MAYBE, "NAME", NULL, NO_RANGE, "name of the run, whose folder is outputs/tuning/NAME, or a folder; default: by the base and the time"},
    {B, "mode", NULL, FLAG_CHOICE, FILES_MAYBE, "{build,tune}", "build", NO_RANGE, "tune: search for settings, as `nlsh tune` does; -i then names the run"},
    {E, "i", NULL, FLAG_IN, FILES, "INDEX", NULL, NO_RANGE, "index file that nlsh build wrote"},
    {S | I | V | N, "i", NULL, FLAG_IN, FILES_MAYBE, "INDEX", NULL, NO_RANGE, "index file that nlsh build wrote"},
    {S, "models_index", NULL, FLAG_IN, FILES_MAYBE, "FILE", NULL, NO_RANGE, "in place of -i: index.json of a tuning run, whose models are all searched"},
    {S, "o", NULL, FLAG_OUT, FILES_MAYBE, "FILE", "-", NO_RANGE, "results file; - is the standard output"},
    {M, "o", NULL, FLAG_OUT, FILES_MAYBE, "FILE", NULL, NO_RANGE, "results files to write, one an index; out.txt gives out.NAME.txt"},
    {M, "csv", NULL, FLAG_OUT, FILES_MAYBE, "FILE", NULL, NO_RANGE, "the table as CSV; - is the standard output"},
    {P, "o", NULL, FLAG_OUT, FILES, "PAGE.html", NULL, NO_RANGE, "page to write; - is the standard output"},
    {G, "o", NULL, FLAG_OUT, FILES, "GRAPH", NULL, NO_RANGE, "graph file to write, or ids alone by its ending: .ivecs, .ibin, .npy"},
    {T, "o", NULL, FLAG_OUT, FILES, "FILE", NULL, NO_RANGE, "neighbours to write: .ivecs, .ibin or .npy, or nlsh's graph file by any other ending"},
    {T, "distances", NULL, FLAG_OUT, FILES_MAYBE, "FILE.fvecs", NULL, NO_RANGE, "distances to write (not squared; see --metric)"},
    {S | E | M | P, "gt", NULL, FLAG_IN, FILES_MAYBE, "FILE", NULL, NO_RANGE, "the queries' true neighbours, nearest first: ivecs, npy, ibin, big-ann's ground truth or a graph file"},
    {N, "o", NULL, FLAG_OUT, FILES_MAYBE, "FILE", NULL, NO_RANGE, "the table as CSV, and two pictures of it beside it"},
    {E, "csv", NULL, FLAG_OUT, FILES_MAYBE, "FILE", "-", NO_RANGE, "curve to write; - is the standard output"},
    {E, "reliability", NULL, FLAG_OUT, FILES_MAYBE, "FILE", NULL, NO_RANGE, "CSV to write: the router's probabilities beside the shares that were found"},
    {X, "from", NULL, FLAG_CHOICE, FILES_MAYBE, "{auto," FORMATS "}", "auto", NO_RANGE, "format of IN; auto: by name and content"},
    {X, "to", NULL, FLAG_CHOICE, FILES_MAYBE, "{auto," WRITTEN "}", "auto", NO_RANGE, "format of OUT; auto: by its ending"},
    {B | S | G | T | E | N | M | P | U, "type", NULL, FLAG_CHOICE, FILES_MAYBE, "{sift,mnist,auto}", "auto", NO_RANGE, "what the vector files are: sift is fvecs or bvecs, mnist is IDX, auto any"},
    {B | S | G | T | E | N | M | P | U, "input_format", NULL, FLAG_CHOICE, FILES_MAYBE, "{" FORMATS "}", NULL, NO_RANGE, "format of the vector files, whatever their names and contents say; default: as -type has it"},
    {B | U, "config", NULL, FLAG_IN, FILES_MAYBE, "FILE", NULL, NO_RANGE, "JSON object with settings by name, e.g. {\"m\": 256, \"labels\": \"soft\"}"},

    {S | T | E | N | M | P, "N", NULL, FLAG_COUNT, FIND, "N", "10", 1, 1e6, "neighbours wanted a query"},
    {S | M, "T", NULL, FLAG_LIST, FIND, "T,T,...", NULL, 0, HUGE_VAL, "T >= 1: the T most probable buckets; T < 1: all above this probability"},
    {S | M, "recall", NULL, FLAG_LIST, FIND, "R,R,...", "0.95", 0, 1, "in place of -T: the recall to aim at"},
    {S | M, "R", NULL, FLAG_REAL, FIND, "RADIUS", NULL, 0, HUGE_VAL, "radius of the R-near neighbours; 2000 for -type mnist, 2800 for sift"},
    {S | M, "range", NULL, FLAG_CHOICE, FIND, "{true,false}", NULL, NO_RANGE, "list the R-near neighbours; true where -R is given, else false"},
    {S | M, "format", NULL, FLAG_CHOICE, FIND, "{text,json,csv}", "text", NO_RANGE, "form of the results"},
    {N, "methods", NULL, FLAG_TEXT, FIND, "M,M,...", "brute,ivfflat,nlsh", NO_RANGE, "any of brute, lsh, hypercube, ivfflat, ivfpq, routed, nlsh"},
    {N, "T", NULL, FLAG_LIST, FIND, "T,T,...", "1,2,5,10,0.1,0.05,0.01", 0, HUGE_VAL, "values of T for the index's rows"},
    {N, "recall", NULL, FLAG_LIST, FIND, "R,R,...", "0.9,0.95,0.99", 0, 1, "recall targets for more rows"},
    {N, "probes", NULL, FLAG_LIST, FIND, "P,P,...", "1,2,4,8,16,32", 1, 1e6, "cells that ivfflat and ivfpq scan"},
    {N, "seconds", NULL, FLAG_REAL, FIND, "S", "5", 0, 1e6, "most time to spend on one row"},
    {N, "csv", NULL, FLAG_SWITCH, FIND, NULL, NULL, NO_RANGE, "the table as CSV"},
    {G, "knn", NULL, FLAG_COUNT, FIND, "K", "10", 1, 1e6, "neighbours of each vector"},
    {G | T, "metric", NULL, FLAG_CHOICE, FIND, NLSH__CHOICES(NLSH__METRIC_LIST), "l2", NO_RANGE, "what makes a vector near: distance, inner product or angle"},
    {G, "graph", NULL, FLAG_CHOICE, FIND, NLSH__CHOICES(NLSH__GRAPH_LIST), "exact", NO_RANGE, "how they are found; pieces: each vector among its nearest k-means cells"},
    {G, "check", NULL, FLAG_COUNT, FIND, "N", NULL, 1, 1e9, "look N vectors up exactly and say what share of their neighbours is there"},
    {G, "seed", NULL, FLAG_COUNT, FIND, "SEED", "1", 0, 9e15, "of the random numbers that ivfflat and pieces use"},
    {N, "seed", NULL, FLAG_COUNT, FIND, "SEED", "1", 0, 9e15, "of the methods' random numbers"},

    {B | U, "tune_trials", NULL, FLAG_COUNT, TUNE, "N", "50", 1, 1e6, "trials of the study in all, and half as many over the partition"},
    {B | U, "tune_folds", NULL, FLAG_COUNT, TUNE, "N", "3", 1, 20, "parts of the base that are held out in turn; 1: a fifth, once"},
    {B | U, "tune_epochs", NULL, FLAG_COUNT, TUNE, "N", "10", 1, 1e5, "epochs of a trial in each fold"},
    {B | U, "top_k", NULL, FLAG_COUNT, TUNE, "N", "5", 1, 1e4, "best settings that are built from the whole base"},
    {B | U, "final_epochs", NULL, FLAG_COUNT, TUNE, "N", "100", 1, 1e5, "epochs of these"},
    {B | U, "objective", NULL, FLAG_TEXT, TUNE, "WHAT@X", "candidates@.95", NO_RANGE, "recall@T, candidates@R or qps@R: recall with T, candidates or queries a second at recall R"},
    {B | U, "space", NULL, FLAG_IN, TUNE, "FILE", NULL, NO_RANGE, "JSON: which settings are searched, and between what (docs/tuning.md)"},
    {B | U, "two_stage", NULL, FLAG_SWITCH, TUNE, NULL, NULL, NO_RANGE, "then search the partition, with the best network"},
    {B | U, "sampler", NULL, FLAG_CHOICE, TUNE, NLSH__CHOICES(NLSH__SAMPLER_LIST), "tpe", NO_RANGE, "how the next settings are chosen"},
    {B | U, "pruner", NULL, FLAG_CHOICE, TUNE, NLSH__CHOICES(NLSH__PRUNER_LIST), "median", NO_RANGE, "which trials are stopped early"},
    {B | U, "timeout", NULL, FLAG_REAL, TUNE, "S", NULL, 0.001, 1e9, "seconds after which no trial begins"},
    {B | U, "study", NULL, FLAG_OUT, TUNE, "FILE", NULL, NO_RANGE, "the study's file; default: study.db in the run's folder"},
    {B | U, "resume", NULL, FLAG_SWITCH, TUNE, NULL, NULL, NO_RANGE, "go on with a study that is there"},

    {B | G | T | E | P | U, "threads", NULL, FLAG_COUNT, RUN, "N", NULL, 1, 4096, "threads to work on; default: all processors"},
    {N, "threads", NULL, FLAG_COUNT, RUN, "N", NULL, 1, 4096, "threads for what is not timed; default: all processors"},
    {S | M, "threads", NULL, FLAG_COUNT, RUN, "N", "1", 1, 4096, "threads to search on; 1: one query at a time"},
    {S | E | N | M, "memory", NULL, FLAG_CHOICE, RUN, "{all,codes,map}", "all", NO_RANGE, "what of an index is read into memory first: all, all but the vectors, or nothing (the file is mapped)"},
    {B | S | G | T | E | N | C | M | P | U, "cache", NULL, FLAG_DIR, RUN, "DIR", NULL, NO_RANGE, "where graphs, partitions and ground truth are kept; default: $NLSH_CACHE, else $XDG_CACHE_HOME/nlsh, else ~/.cache/nlsh"},
    {B | S | G | T | E | N | M | P | U, "no-cache", NULL, FLAG_SWITCH, RUN, NULL, NULL, NO_RANGE, "keep nothing and take nothing from there"},
    {B, "dry-run", NULL, FLAG_SWITCH, RUN, NULL, NULL, NO_RANGE, "print the resolved settings and a forecast of time, memory and size; with --mode tune what would be tried"},
    {U, "dry-run", NULL, FLAG_SWITCH, RUN, NULL, NULL, NO_RANGE, "check all that is given and print what would be tried, and what is left of a study; write nothing"},

    {B | S | G | T | E | N | M | P | U, "progress", NULL, FLAG_CHOICE, TALK, "{auto,always,never,json}", "auto", NO_RANGE, "progress on stderr; auto: a bar on a terminal; json: one object a line"},
    {B | G | I | V | C | X | R | U, "quiet", "q", FLAG_SWITCH, TALK, NULL, NULL, NO_RANGE, "say nothing but errors"},
    {S | T | E | N | M | P, "quiet", NULL, FLAG_SWITCH, TALK, NULL, NULL, NO_RANGE, "say nothing but errors"},
    {H, "quiet", NULL, FLAG_SWITCH, TALK, NULL, NULL, NO_RANGE, NULL},
    {S, "json", NULL, FLAG_SWITCH, TALK, NULL, NULL, NO_RANGE, "--format json; with -o FILE the summary as JSON on stdout"},
    {B | G | T | I | V | E | C | X | N | R | M | U, "json", NULL, FLAG_SWITCH, TALK, NULL, NULL, NO_RANGE, "the answer as JSON on stdout"},
    {H, "man", NULL, FLAG_SWITCH, TALK, NULL, NULL, NO_RANGE, NULL},
    {H, "completion", NULL, FLAG_SWITCH, TALK, NULL, NULL, NO_RANGE, NULL},
    {ALL, "help", "h", FLAG_SWITCH, TALK, NULL, NULL, NO_RANGE, "print this and exit"},
};
/* clang-format on */

enum { N_FLAGS = sizeof flags / sizeof flags[0], MAX_SETTINGS = 40 };

/* The library's settings as flags of build and tune; filled on first use. */
static const struct flag *settings(size_t *n)
{
    static struct flag table[MAX_SETTINGS];
    static size_t count;
    const struct nlsh_setting *setting;
    while (count < MAX_SETTINGS && (setting = nlsh_build_setting(count)) != NULL) {
        struct flag *flag = &table[count++];
        flag->verbs = B | U;
        flag->name = setting->name;
        flag->kind = FLAG_SETTING;
        flag->group = GROUP_SETTINGS;
        flag->argument = setting->argument;
        flag->default_value = setting->default_value;
        flag->help = setting->help;
    }
    *n = count;
    return table;
}

/* ---- looking things up ----------------------------------------------------------------------- */

const struct verb *verb_at(size_t i)
{
    return i < N_VERBS ? &verbs[i] : NULL;
}

const struct verb *verb_named(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(verbs[i].name, name) == 0) return &verbs[i];
    }
    return NULL;
}

size_t verb_flags(const struct verb *verb, const struct flag *out[MAX_FLAGS])
{
    unsigned bit = 1u << (unsigned)(verb - verbs);
    size_t n = 0, n_settings = 0;
    const struct flag *from_library = bit & (B | U) ? settings(&n_settings) : NULL;
    for (int group = 0; group < N_GROUPS; group++) {
        for (size_t i = 0; i < N_FLAGS && n < MAX_FLAGS; i++) {
            if ((flags[i].verbs & bit) && (int)flags[i].group == group) out[n++] = &flags[i];
        }
        for (size_t i = 0; i < n_settings && group == GROUP_SETTINGS && n < MAX_FLAGS; i++) {
            out[n++] = &from_library[i];
        }
    }
    return n;
}

const char *flag_dashed(const char *name, char buffer[64])
{
    /* The seed writes -type and -range; so do we. */
    bool single = strlen(name) == 1 || strcmp(name, "type") == 0 || strcmp(name, "range") == 0;
    snprintf(buffer, 64, "%s%s", single ? "-" : "--", name);
    return buffer;
}

bool choice_at(const char *argument, size_t n, char *buffer, size_t buffer_size)
{
    if (argument == NULL || argument[0] != '{') return false;
    const char *at = argument + 1;
    for (;; n--) {
        size_t length = strcspn(at, ",}");
        if (n == 0) {
            snprintf(buffer, buffer_size, "%.*s", (int)length, at);
            return length > 0;
        }
        if (at[length] != ',') return false;
        at += length + 1;
    }
}

/* ---- suggestions ----------------------------------------------------------------------------- */

/* Changes (insert, delete, replace, swap of neighbours) that make b of a. Both are cut at 31. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t d[32][32];
    size_t n = strlen(a), m = strlen(b);
    if (n > 31) n = 31;
    if (m > 31) m = 31;
    for (size_t i = 0; i <= n; i++) d[i][0] = i;
    for (size_t j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t best = d[i - 1][j - 1] + (same ? 0 : 1);
            if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && d[i - 2][j - 2] + 1 < best) best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

/* Lower is nearer; beyond `far` a suggestion would be a guess. A beginning of a name is near. */
enum { far = 100 };

static size_t nearness(const char *given, const char *name)
{
    size_t length = strlen(given);
    if (length >= 2 && strncmp(given, name, length) == 0) return 1;
    size_t distance = edit_distance(given, name);
    size_t allowed = strlen(name) <= 3 ? 1 : strlen(name) <= 6 ? 2 : 3;
    return distance <= allowed && distance < length ? distance : far;
}

const char *verb_suggest(const char *name)
{
    const char *best = NULL;
    size_t best_distance = far;
    for (size_t i = 0; i < N_VERBS; i++) {
        size_t distance = nearness(name, verbs[i].name);
        if (distance < best_distance) {
            best_distance = distance;
            best = verbs[i].name;
        }
    }
    return best;
}

bool choice_suggest(const char *argument, const char *value, char *buffer, size_t buffer_size)
{
    char word[64];
    size_t best_distance = far;
    for (size_t i = 0; choice_at(argument, i, word, sizeof word); i++) {
        size_t distance = nearness(value, word);
        if (distance < best_distance) {
            best_distance = distance;
            snprintf(buffer, buffer_size, "%s", word);
        }
    }
    return best_distance < far;
}

/* ---- the parser ------------------------------------------------------------------------------ */

/* "batch_size", "batch-size" and "Batch-size"? The first two are one name; case counts. */
static bool same_name(const char *a, size_t length, const char *b)
{
    if (b == NULL || strlen(b) != length) return false;
    for (size_t i = 0; i < length; i++) {
        char x = a[i] == '_' ? '-' : a[i];
        char y = b[i] == '_' ? '-' : b[i];
        if (x != y) return false;
    }
    return true;
}

static bool find_flag(const struct args *args, const char *name, size_t length, size_t *index)
{
    for (size_t i = 0; i < args->n_flags; i++) {
        if (same_name(name, length, args->flags[i]->name) ||
            same_name(name, length, args->flags[i]->alias)) {
            *index = i;
            return true;
        }
    }
    return false;
}

static int unknown_flag(const struct args *args, const char *word, size_t length)
{
    char name[64], hint[256] = "", dashed[64];
    const struct flag *best = NULL;
    size_t best_distance = far;
    snprintf(name, sizeof name, "%.*s", (int)length, word + strspn(word, "-"));
    for (size_t i = 0; i < args->n_flags; i++) {
        size_t distance = nearness(name, args->flags[i]->name);
        if (distance < best_distance) {
            best_distance = distance;
            best = args->flags[i];
        }
    }
    for (size_t v = 0; v < N_VERBS && best_distance > 0; v++) {
        struct args other = {.verb = &verbs[v]};
        size_t index;
        other.n_flags = verb_flags(other.verb, other.flags);
        if (!find_flag(&other, name, strlen(name), &index)) continue;
        snprintf(hint, sizeof hint, "%s belongs to `nlsh %s`; `nlsh %s --help` lists what %s takes",
                 flag_dashed(other.flags[index]->name, dashed), verbs[v].name, args->verb->name,
                 args->verb->name);
        best = NULL;
        break;
    }
    if (best != NULL) {
        snprintf(hint, sizeof hint, "did you mean %s? `nlsh %s --help` lists all flags",
                 flag_dashed(best->name, dashed), args->verb->name);
    } else if (hint[0] == '\0') {
        snprintf(hint, sizeof hint, "`nlsh %s --help` lists its flags", args->verb->name);
    }
    return talk_error(EXIT_USAGE, hint, "nlsh %s has no flag %.*s", args->verb->name,
                      (int)(strspn(word, "-") + length), word);
}

static bool is_number(const char *text)
{
    char *end;
    if (text[0] == '\0' || isspace((unsigned char)text[0])) return false;
    strtod(text, &end);
    return *end == '\0';
}

/* Whether a text is a number that the flag allows; says what is wrong otherwise. */
static int check_number(const struct flag *flag, const char *text)
{
    char dashed[64], range[128];
    double value = is_number(text) ? strtod(text, NULL) : NAN;
    bool good = isfinite(value) && value >= flag->min && value <= flag->max;
    if (flag->kind == FLAG_COUNT) good = good && text[strspn(text, "0123456789")] == '\0';
    if (good) return 0;
    if (isinf(flag->max)) {
        snprintf(range, sizeof range, "a number not below %g", flag->min);
    } else {
        snprintf(range, sizeof range, "a %snumber from %.16g to %.16g",
                 flag->kind == FLAG_COUNT ? "whole " : "", flag->min, flag->max);
    }
    flag_dashed(flag->name, dashed);
    return talk_error(EXIT_USAGE, flag->help, "%s %s: it must be %s", dashed, text, range);
}

static int check_list(const struct flag *flag, const char *text)
{
    char one[64];
    while (true) {
        size_t length = strcspn(text, ",");
        snprintf(one, sizeof one, "%.*s", (int)length, text);
        int code = check_number(flag, one);
        if (code != 0 || text[length] == '\0') return code;
        text += length + 1;
    }
}

static int check_choice(const struct flag *flag, const char *text)
{
    char word[64], dashed[64], hint[128];
    for (size_t i = 0; choice_at(flag->argument, i, word, sizeof word); i++) {
        if (strcmp(word, text) == 0) return 0;
    }
    bool near = choice_suggest(flag->argument, text, word, sizeof word);
    snprintf(hint, sizeof hint, near ? "did you mean %s?" : "it is one of %s",
             near ? word : flag->argument);
    return talk_error(EXIT_USAGE, hint, "%s %s: there is no such choice",
                      flag_dashed(flag->name, dashed), text);
}

static int check_value(const struct flag *flag, const char *text)
{
    switch (flag->kind) {
    case FLAG_COUNT:
    case FLAG_REAL: return check_number(flag, text);
    case FLAG_LIST: return check_list(flag, text);
    case FLAG_CHOICE: return check_choice(flag, text);
    case FLAG_SWITCH:
    case FLAG_TEXT:
    case FLAG_IN:
    case FLAG_OUT:
    case FLAG_DIR:
    case FLAG_SETTING: break;
    }
    return 0;
}

/* One flag at argv[*at]; moves *at over its value. */
static int parse_flag(int argc, char **argv, int *at, struct args *out)
{
    const char *word = argv[*at];
    const char *name = word + (word[1] == '-' ? 2 : 1);
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    size_t index;
    char dashed[64];

    if (!find_flag(out, name, length, &index)) return unknown_flag(out, word, length);
    const struct flag *flag = out->flags[index];
    flag_dashed(flag->name, dashed);
    if (flag->kind == FLAG_SWITCH) {
        if (value != NULL) {
            return talk_error(EXIT_USAGE, NULL, "%s takes no value, so =%s means nothing", dashed,
                              value);
        }
        value = "";
    } else if (value == NULL) {
        const char *next = *at + 1 < argc ? argv[*at + 1] : NULL;
        if (next == NULL || (next[0] == '-' && next[1] != '\0' && !is_number(next))) {
            return talk_error(EXIT_USAGE, flag->help, "%s needs a value: %s %s", dashed, dashed,
                              flag->argument);
        }
        value = next;
        ++*at;
    }
    int code = check_value(flag, value);
    if (code == 0) out->values[index] = value;
    return code;
}

static int check_complete(const struct args *args)
{
    char dashed[64], hint[256];
    const struct verb *verb = args->verb;
    snprintf(hint, sizeof hint, "usage: nlsh %s %s", verb->name, verb->usage);
    for (size_t i = 0; i < args->n_flags; i++) {
        const struct flag *flag = args->flags[i];
        if (flag->needed && args->values[i] == NULL) {
            return talk_error(EXIT_USAGE, hint, "nlsh %s needs %s %s", verb->name,
                              flag_dashed(flag->name, dashed), flag->argument);
        }
    }
    if (args->n_words < verb->min_words) {
        return talk_error(EXIT_USAGE, hint, "nlsh %s needs %zu argument%s, %zu given", verb->name,
                          verb->min_words, verb->min_words == 1 ? "" : "s", args->n_words);
    }
    return 0;
}

int args_parse(const struct verb *verb, int argc, char **argv, struct args *out, bool *wants_help)
{
    bool only_words = false;
    memset(out, 0, sizeof *out);
    *wants_help = false;
    out->verb = verb;
    out->n_flags = verb_flags(verb, out->flags);
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-help") == 0 ||
            strcmp(argv[i], "-h") == 0) {
            *wants_help = true;
            return 0;
        }
    }
    for (int i = 0; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else if (!only_words && argv[i][0] == '-' && argv[i][1] != '\0') {
            int code = parse_flag(argc, argv, &i, out);
            if (code != 0) return code;
        } else if (out->n_words < verb->max_words) {
            out->words[out->n_words++] = argv[i];
        } else {
            char hint[256];
            snprintf(hint, sizeof hint, "usage: nlsh %s %s", verb->name, verb->usage);
            return talk_error(EXIT_USAGE, hint, "nlsh %s: what is %s for?", verb->name, argv[i]);
        }
    }
    return check_complete(out);
}

/* ---- values ---------------------------------------------------------------------------------- */

bool args_has(const struct args *args, const char *name)
{
    size_t index;
    return find_flag(args, name, strlen(name), &index);
}

static size_t index_of(const struct args *args, const char *name)
{
    size_t index;
    if (find_flag(args, name, strlen(name), &index)) return index;
    /* A verb asks for a flag that the table does not give it: our bug. */
    talk_error(EXIT_BUG, NULL, "nlsh %s reads a flag that it does not have: %s", args->verb->name,
               name);
    exit(EXIT_BUG);
}

bool args_given(const struct args *args, const char *name)
{
    return args->values[index_of(args, name)] != NULL;
}

const char *args_text(const struct args *args, const char *name)
{
    size_t index = index_of(args, name);
    return args->values[index] ? args->values[index] : args->flags[index]->default_value;
}

size_t args_count(const struct args *args, const char *name)
{
    const char *text = args_text(args, name);
    return text ? (size_t)strtoull(text, NULL, 10) : 0;
}

double args_real(const struct args *args, const char *name)
{
    const char *text = args_text(args, name);
    return text ? strtod(text, NULL) : 0;
}

size_t args_list(const struct args *args, const char *name, double *out, size_t max)
{
    const char *text = args_text(args, name);
    size_t n = 0;
    while (text != NULL && n < max) {
        out[n++] = strtod(text, NULL);
        text = strchr(text, ',');
        if (text != NULL) text++;
    }
    return n;
}
