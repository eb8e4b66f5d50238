#!/bin/sh
# run.sh - the experiments of EXPERIMENTS.md. `./dev experiments` calls it with the build folder first.
#
#   --data NAME   mnist, fashion-mnist or sift1m; may be repeated; default: all that are here
#   --out FILE    the page (EXPERIMENTS.md)
#   --page        nothing is measured: the page anew from what lies in out/experiments
#
# A step is a build with some settings and its curve over the test queries, or a table of speeds. Its
# output stays in out/experiments/SET/; a step whose command, data and nlsh are the same as then is not
# run again, so that a run that was stopped goes on. Graphs, partitions and ground truth come from the
# cache whatever else changed. At the end it says what was taken from where. The page says what each
# section found by numbers (page.sh) and takes in what a person has to add (notes.md).
#
# The data lies where bench/run.sh says: Fashion-MNIST in $NLSH_FASHION_MNIST or Debian's package, the
# others in $NLSH_MNIST and $NLSH_SIFT.
#   $NLSH_EXPERIMENTS_QUICK   1: one epoch, few buckets, a small network, elsewhere: does it run?
#   $NLSH_EXPERIMENTS_WORK    out/experiments
#   $NLSH_EXPERIMENTS_KEEP    1: steps that another nlsh has run count too
#   $NLSH_EXPERIMENTS_ONLY    patterns of the steps to run, e.g. "base.* layers*.soft speeds"; the page
#                             names those that are left out
#   $NLSH_EXPERIMENTS_BENCH   the folder of a ./dev bench (out/bench) of the same nlsh: what it has of the
#                             default settings, the index and its curve, is taken from there
#   $NLSH_CACHE               the cache; default: in out/experiments
#   $NLSH_EXPERIMENTS_TIMED   a command to put before what is timed, e.g. "taskset -c 1"
set -eu
build=$1
shift
nlsh=$build/nlsh here=$(dirname "$0")
work=${NLSH_EXPERIMENTS_WORK:-out/experiments} quick=${NLSH_EXPERIMENTS_QUICK:-}
NLSH_CACHE=${NLSH_CACHE:-$work/cache}
if [ -n "$quick" ]; then work=$work-quick; fi
export NLSH_CACHE
wanted='' page=EXPERIMENTS.md measure=1
say() { printf '%s\n' "$*" >&2; }
usage() { say "error: experiments: $1" && exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
    --page) measure=0 ;;
    --data | --out)
        [ $# -gt 1 ] || usage "$1 needs a value"
        if [ "$1" = --data ]; then wanted="$wanted $2"; else page=$2; fi
        shift
        ;;
    *) usage "unknown word $1" ;;
    esac
    shift
done
mkdir -p "$work" "$NLSH_CACHE"

base_of() {
    case $1 in
    mnist) echo "${NLSH_MNIST:-}/train-images-idx3-ubyte.gz" ;;
    fashion-mnist) echo "${NLSH_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}/train-images-idx3-ubyte.gz" ;;
    sift1m) echo "${NLSH_SIFT:-}/sift_base.bvecs" ;;
    *) usage "no data set is called $1" ;;
    esac
}
queries_of() {
    case $1 in
    mnist) echo "${NLSH_MNIST:-}/t10k-images-idx3-ubyte.gz" ;;
    fashion-mnist) echo "${NLSH_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}/t10k-images-idx3-ubyte.gz" ;;
    sift1m) echo "${NLSH_SIFT:-}/sift_query.bvecs" ;;
    esac
}

# ---- steps ---------------------------------------------------------------------------------------

n_kept=0 n_run=0
ran=$(mktemp)
trap 'rm -f "$ran"' EXIT
commit=$(git -C "$build" log -1 --format='commit %h' 2>/dev/null || "$nlsh" version | head -n 1)
program=$(cat "$nlsh" "$build"/libnlsh*.so.*.*.* 2>/dev/null | cksum)

# Whether a step's key says that it was run on these data with this command, and by this nlsh.
same_step() {
    [ -s "$1" ] || return 1
    if [ -n "${NLSH_EXPERIMENTS_KEEP:-}" ]; then
        [ "$(tail -n +2 "$1")" = "$(tail -n +2 "$1.new")" ]
    else
        cmp -s "$1" "$1.new"
    fi
}

wanted_step() { # ID.key
    if [ -z "${NLSH_EXPERIMENTS_ONLY:-}" ]; then return 0; fi
    set -f
    for pattern in $NLSH_EXPERIMENTS_ONLY; do
        # shellcheck disable=SC2254 # it is a pattern
        case ${1%.key} in $pattern) set +f && return 0 ;; esac
    done
    set +f
    return 1
}

# step SET ID COMMAND...: COMMAND makes what SET/ID.* holds; not run where it has.
step() {
    log=$work/$1/$2.log key=$work/$1/$2.key
    name="$1, $2"
    shift 2
    printf '%s\n%s\n%s\n' "$program" "$data" "$*" >"$key.new"
    if ! wanted_step "${key##*/}" && ! [ -s "$key" ]; then
        rm "$key.new"
        echo "${name#*, }" >>"$work/${name%%,*}/absent"
        return
    fi
    if same_step "$key"; then
        rm "$key.new"
        n_kept=$((n_kept + 1))
        return
    fi
    say "$name ($(date +%H:%M))"
    rm -f "$key"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        say "error: experiments: $name failed; all it said is in $log"
        exit 1
    fi
    mv "$key.new" "$key"
    echo "$commit" >"${log%.log}.by"
    echo "$log" >>"$ran"
    n_run=$((n_run + 1))
}

# measure SET ID SETTINGS: an index, and its curve.
measure() {
    stem=$work/$1/$2
    # shellcheck disable=SC2086
    "$nlsh" build -d "$base" -i "$stem.nlsh" $3 --progress never
    "$nlsh" evaluate -i "$stem.nlsh" -q "$queries" -d "$base" -N 10 --csv "$stem.csv" --progress never
    case $2 in default | m512) ;; *) rm "$stem.nlsh" ;; esac
}
try() { # SET ID SETTINGS...
    set_=$1 id=$2
    shift 2
    step "$set_" "$id" measure "$set_" "$id" "$*"
}

# The sweeps: one setting at a time from where the earlier project (Neural LSH in Python and C++) ended, with its labels (hard) and with ours
# (soft); a plain network without groups, as the earlier project's. What is said later counts. On the larger set
# fewer of them, from our partition: there a partition costs more than an index here.
sweep() { # SET
    set_=$1
    ways='hard soft' ivfflat='--graph ivfflat'
    common='-m 256 --partitioner metis --knn 10 --imbalance 0.03 --groups 0 --layers 2 --nodes 512 --epochs 8'
    case $set_ in
    mnist)
        again='2 3' layers='1 3 4' nodes='128 256 1024' dropout='0.2 0.5'
        ms='64 128 512 1024' imbalances='0.1 0.3' knns='5 20'
        ;;
    fashion-mnist)
        again=2 layers='1 3' nodes='128' dropout='0.2'
        ms='64 1024' imbalances='0.3' knns=''
        ;;
    sift1m)
        ways=soft ivfflat='' again='' layers='1 3' nodes='512' dropout='0.2'
        ms='256' imbalances='' knns=''
        common='-m 1024 --partitioner metis --graph exact --groups 0 --layers 2 --nodes 256 --epochs 2'
        ;;
    esac
    if [ -n "$quick" ]; then common="$common -m 32 --nodes 32 --epochs 1" ms=64; fi
    for way in $ways; do
        with="$common --labels $way"
        try "$set_" "base.$way" "$with"
        for n in $again; do try "$set_" "seed$n.$way" "$with --seed $n"; done
        for n in $layers; do try "$set_" "layers$n.$way" "$with --layers $n"; done
        for n in $nodes; do try "$set_" "nodes$n.$way" "$with --nodes $n"; done
        for n in $dropout; do try "$set_" "dropout$n.$way" "$with --dropout $n"; done
        if [ -n "$ivfflat" ]; then try "$set_" "ivfflat.$way" "$with $ivfflat"; fi
    done
    if [ "$ways" = soft ]; then try "$set_" base.hard "$common --labels hard"; fi
    # Partitions, with soft labels.
    try "$set_" kmeans "$common --partitioner kmeans --imbalance 0.5"
    if [ "$set_" = sift1m ]; then
        try "$set_" pieces "$common --partitioner kmeans --imbalance 0.5 --graph pieces"
    fi
    for n in $ms; do try "$set_" "m$n" "$common -m $n"; done
    for n in $imbalances; do try "$set_" "imbalance$n" "$common --imbalance $n"; done
    for n in $knns; do try "$set_" "knn$n" "$common --knn $n"; done
    if [ -n "$bench" ] && [ -s "$bench/$set_-default.curve10.csv" ]; then
        step "$set_" default take "$bench/$set_-default" "$work/$set_/default"
    else
        try "$set_" default "${quick:+-m 32 --epochs 1}"
    fi
}

# take FROM TO: the default index that ./dev bench has made, and its curve.
bench=${NLSH_EXPERIMENTS_BENCH:-}
take() {
    cp "$1.nlsh" "$2.nlsh"
    cp "$1.curve10.csv" "$2.csv"
}

# ---- the two-stage search ------------------------------------------------------------------------

# The network first, then the partition with the best network; then the best of all and the defaults on
# the test queries, which the search has not seen.
two_stages() { # SET
    folder=$work/$1/tune
    if [ -n "$quick" ]; then set -- "$1" 3 1 1; else set -- "$1" 12 3 20; fi
    resume=''
    if [ -e "$folder/study.db" ]; then resume=--resume; fi
    # shellcheck disable=SC2086
    "$nlsh" tune -d "$base" -i "$folder" $resume --two_stage --tune_trials "$2" --tune_folds 1 \
        --tune_epochs "$3" --top_k 1 --final_epochs "$4" --progress never
    find "$folder" -name '*.nlsh' | while read -r model; do
        name=tuned
        case $model in *defaults.nlsh) name=untuned ;; esac
        "$nlsh" evaluate -i "$model" -q "$queries" -d "$base" -N 10 --csv "$work/$1/$name.csv" --progress never
    done
}

# ---- speeds --------------------------------------------------------------------------------------

# The side-by-side table: one thread, one query at a time, all in one process, in well under a minute.
speeds() { # SET
    stem=$work/$1/speeds
    # shellcheck disable=SC2086
    ${NLSH_EXPERIMENTS_TIMED:-} "$nlsh" bench -d "$base" -q "$queries" -i "$work/$1/default.nlsh" -N 10 \
        --methods brute,ivfflat,routed,nlsh --seconds 0.2 --csv --progress never \
        --probes 1,2,4,8,16,24,32,48 -T 1,2,4,8,16,32 --recall 0.5,0.7,0.9,0.95,0.96,0.97,0.99 \
        --quiet >"$stem.csv.new"
    mv "$stem.csv.new" "$stem.csv"
}

# ---- all of it -----------------------------------------------------------------------------------

# What a run took from where, from what the steps that ran said.
account() {
    say "steps: $n_kept were there already, $n_run run ($work)"
    xargs cat /dev/null <"$ran" | awk '
        /^ *k-NN graph  / { n["graph", $NF == "cache"]++ }
        /^ *partition  / { n["partition", $NF == "cache"]++ }
        /^ground truth: taken/ { n["truth", 1]++ }
        /^recall@10 0.90: top/ { n["truth", 0]++ } # said once an evaluation, which needs them
        function line(what, name) {
            printf "%s: %d computed, %d taken from the cache\n", name, n[what, 0], n[what, 1] }
        END { n["truth", 0] -= n["truth", 1]
              if (n["truth", 0] < 0) n["truth", 0] = 0
              line("graph", "k-NN graphs"); line("partition", "partitions"); line("truth", "ground truths") }' >&2
}

if [ $measure = 1 ]; then
    measured=''
    for set_ in ${wanted:-mnist fashion-mnist sift1m}; do
        base=$(base_of "$set_") queries=$(queries_of "$set_")
        if [ ! -r "$base" ] || [ ! -r "$queries" ]; then
            say "$set_ is not here ($0 says where it is looked for): left out"
            continue
        fi
        mkdir -p "$work/$set_"
        rm -f "$work/$set_/absent"
        data=$(cat "$base" "$queries" | cksum)
        sweep "$set_"
        step "$set_" speeds speeds "$set_"
        if [ "$set_" = mnist ] && "$nlsh" tune --help >/dev/null 2>&1; then
            step "$set_" two_stages two_stages "$set_"
        elif [ "$set_" = mnist ]; then
            echo two_stages >>"$work/$set_/absent"
        fi
        measured="$measured $set_"
        "$here/page.sh" "$build" "$work" "$here/notes.md" >"$page.new"
        mv "$page.new" "$page"
    done
    [ -n "$measured" ] || { say "error: experiments: no data set is here" && exit 66; }
    account
else
    "$here/page.sh" "$build" "$work" "$here/notes.md" >"$page.new"
    mv "$page.new" "$page"
fi
say "written: $page"
