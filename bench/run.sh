#!/bin/sh
# run.sh - the measurements of docs/results.md. `./dev bench` calls it with the build folder first.
#
#   --data NAME       fashion-mnist, mnist, sift1m, glove100, use512 or siftsmall; may be repeated; default:
#                     all that are here, and docs/results.md is made again from them (bench/page.sh)
#   --base FILE --queries FILE
#                     a data set of one's own (metric l2), called by --data's name or "own"
#   --csv FILE        every measured point as a row; plots FILE-MODE.svg beside it
#   --out FILE        where the page goes, whatever the data; its plots go to plots/ beside it
#   --peers FILE      docs/peers.md: ours beside other libraries and nothing else (bench/page_peers.sh)
#   --quick           one small index of each kind, few settings, one round: does it run?
#   --prepare         only what needs no quiet machine: indexes, candidates, recalls, which settings to time
#   --page            nothing is measured: the page anew from the last run's rows
#
# Rows: dataset,method,version,mode,params,k,recall,qps,candidates,p99_us,build_s,index_mb. A mode is
# single (one query a call, one thread), batch1 (all in one call, one thread) or batch2 (two threads);
# recall is recall@k over the queries; build_s are seconds of processor time over all threads.
#
# $NLSH_CPU caps ours; the peers should be built for the same instruction set. What is measured with it
# stands in a folder of its own below $NLSH_BENCH_WORK, and on the page beside what was measured without.
#
# Where the data lies: Fashion-MNIST in $NLSH_FASHION_MNIST or Debian's package; the others in the
# folders $NLSH_MNIST, $NLSH_SIFT, $NLSH_GLOVE, $NLSH_USE512 and $NLSH_SIFTSMALL, under their usual names.
#   $NLSH_BENCH_PEERS     further libraries to measure, a.so:b.so (bench/peers/peer.h)
#   $NLSH_BENCH_REALTIME  1: real-time priority for each timed pass (root; well below a second each)
#   $NLSH_BENCH_LOCK      a file that is locked while something is timed or built
#   $NLSH_BENCH_ROUNDS    3: passes of which the fastest counts
#   $NLSH_BENCH_K         10,1,100: numbers of neighbours; the first one's curves are whole, and it alone is
#                         asked in batches
#   $NLSH_BENCH_MODES     single,batch1,batch2: ways of asking
#   $NLSH_BENCH_WITHOUT   a method to leave out, "exact scan"
#   $NLSH_BENCH_CURVES    0: beside other libraries only, at the recalls of docs/peers.md: no tables of candidates and
#                         of recall asked, no curves, no peaks of the machine
#   $NLSH_BENCH_TUNE      2000: queries that a method's settings are chosen by; a quarter of them for other k
#   $NLSH_BENCH_BUCKETS   numbers of buckets to build beside the default; by default those of the tables
#   $NLSH_BENCH_BUILDS    at most so many kinds of index of each method, the likeliest ones
#   $NLSH_BENCH_RESUME    1: a data set that was measured whole since its index was made stays as it is
#   $NLSH_BENCH_WORK      out/bench: where indexes and measurements are kept for the next run
set -eu
build=$1
shift
nlsh=$build/nlsh here=$(dirname "$0")
quick=0 wanted='' csv='' page='' beside='' own_base='' own_queries='' measure=1 prepare=0
usage() { echo "error: bench: $1" >&2 && exit 2; }
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=1 ;;
    --prepare) prepare=1 ;;
    --page) measure=0 ;;
    --data | --csv | --out | --peers | --base | --queries)
        [ $# -gt 1 ] || usage "$1 needs a value"
        case $1 in
        --data) wanted="$wanted $2" ;;
        --csv) csv=$2 ;;
        --out) page=$2 ;;
        --peers) beside=$2 ;;
        --base) own_base=$2 ;;
        --queries) own_queries=$2 ;;
        esac
        shift
        ;;
    *) usage "unknown word $1" ;;
    esac
    shift
done
if [ -n "$own_base$own_queries" ]; then
    [ -n "$own_base" ] && [ -n "$own_queries" ] || usage "--base and --queries go together"
    wanted=${wanted:-own}
elif [ -z "$wanted$page$beside" ] && [ $quick = 0 ]; then
    page=docs/results.md
fi
kept=${NLSH_BENCH_WORK:-out/bench}
work=$kept${NLSH_CPU:+/$NLSH_CPU}
mkdir -p "$kept/cache" "$work"
OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export OPENBLAS_NUM_THREADS OMP_WAIT_POLICY
unset OPENBLAS_CORETYPE # the library's own choice
curves=${NLSH_BENCH_CURVES:-1}

say() { printf '%s\n' "$*" >&2; }

base_of() {
    if [ -n "$own_base" ]; then echo "$own_base" && return; fi
    case $1 in
    fashion-mnist) echo "${NLSH_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}/train-images-idx3-ubyte.gz" ;;
    mnist) echo "${NLSH_MNIST:-}/train-images-idx3-ubyte.gz" ;;
    sift1m) echo "${NLSH_SIFT:-}/sift_base.bvecs" ;;
    glove100) echo "${NLSH_GLOVE:-}/glove_base.fvecs" ;;
    use512) echo "${NLSH_USE512:-}/use512_base.fvecs" ;;
    siftsmall) echo "${NLSH_SIFTSMALL:-}/siftsmall_base.fvecs" ;;
    esac
}
queries_of() {
    if [ -n "$own_queries" ]; then echo "$own_queries" && return; fi
    case $1 in
    fashion-mnist) echo "${NLSH_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}/t10k-images-idx3-ubyte.gz" ;;
    mnist) echo "${NLSH_MNIST:-}/t10k-images-idx3-ubyte.gz" ;;
    sift1m) echo "${NLSH_SIFT:-}/sift_query.bvecs" ;;
    glove100) echo "${NLSH_GLOVE:-}/glove_query.fvecs" ;;
    use512) echo "${NLSH_USE512:-}/use512_query.fvecs" ;;
    siftsmall) echo "${NLSH_SIFTSMALL:-}/siftsmall_query.fvecs" ;;
    esac
}
metric_of() {
    case $1 in
    glove100 | use512) echo cosine ;;
    *) echo l2 ;;
    esac
}

held() { # COMMAND...: alone on the machine, as far as others keep to the lock
    if [ -n "${NLSH_BENCH_LOCK:-}" ]; then flock "$NLSH_BENCH_LOCK" "$@"; else "$@"; fi
}

# Processor seconds of the command, over all its threads, on the last line of standard output.
processor_seconds() {
    ( "$@" >&2 && times ) | awk 'NR == 2 { for (i = 1; i <= 2; i++) {
        split($i, t, "m"); s += 60 * t[1] + t[2] } printf "%.2f\n", s }
        END { exit NR < 2 }'
}

buckets_of() { # SET-M
    "$nlsh" info -i "$work/$1.nlsh" --json | tr ',{}' '\n\n\n' | awk -F: '
        /"buckets"/ { here = 1 } here && /"count"/ { print $2 + 0; exit }'
}

build_index() { # SET M
    name=$work/$1-$2
    case $2 in
    default) settings= ;;
    quick) settings="-m 16 --epochs 4 --partitioner kmeans" ;;
    *) settings="-m $2" ;;
    esac
    settings="$settings --metric $(metric_of "$1")"
    # An index that this very command made is kept: a run that was stopped goes on.
    if [ -s "$name.nlsh.seconds" ] && [ -n "$(find "$name.nlsh" -newer "$nlsh")" ]; then return; fi
    rm -f "$name.peak" "$name.nlsh.seconds"
    # The default is built from nothing; other numbers of buckets take what they can from its graph.
    if [ "$2" = default ]; then rm -rf "$work/$1-cache"; fi
    if [ -x /usr/bin/time ]; then watch="/usr/bin/time -o $name.peak -f %M"; else watch=; fi
    say "$1, m = $2: build"
    # shellcheck disable=SC2086
    processor_seconds held $watch "$nlsh" build -d "$(base_of "$1")" -i "$name.nlsh" $settings \
        --cache "$work/$1-cache" --progress never 2>"$name.build.log" >"$name.seconds" || { cat "$name.build.log" >&2 && exit 1; }
    mv "$name.seconds" "$name.nlsh.seconds"
}

# Candidates against recall, `nlsh bench`'s table with k-means beside, and the recall reached at other
# N than 10. Nothing is done again that is newer than its index.
own_curves() { # SET M
    name=$work/$1-$2
    base=$(base_of "$1") queries=$(queries_of "$1")
    if [ -n "$(find "$name.asked.csv" -newer "$name.nlsh" 2>/dev/null)" ]; then return; fi
    say "$1, m = $2: curves, and nlsh bench"
    for n in 10 100; do
        held "$nlsh" evaluate -i "$name.nlsh" -q "$queries" -d "$base" -N $n --cache "$kept/cache" \
            --csv "$name.curve$n.csv" --progress never 2>/dev/null
    done
    probes=1,2,3,4,5,6,8,10,12,14,16,20,24,28,32,40,48,64,80,96
    held "$nlsh" bench -d "$base" -q "$queries" -i "$name.nlsh" -N 10 -T 1,2,3,5,8,12,20,40 \
        --recall 0.9,0.95,0.97,0.99 --probes $probes --seconds 2 \
        --cache "$kept/cache" --csv --progress never >"$name.bench.csv" 2>/dev/null
    for n in 1 10 100; do
        held "$nlsh" bench -d "$base" -q "$queries" -i "$name.nlsh" -N $n -T 1 --recall 0.9,0.95,0.99 \
            --methods nlsh --seconds 2 --cache "$kept/cache" --csv --progress never 2>/dev/null | sed "s/^/$n,/"
    done >"$name.asked.part"
    mv "$name.asked.part" "$name.asked.csv"
}

compare() { # SET, its indexes in $list
    set -- "$1" --dataset "$1" --base "$(base_of "$1")" --queries "$(queries_of "$1")" \
        --metric "$(metric_of "$1")" --cache "$kept/cache"
    set_=$1 && shift
    for m in $list; do
        case $m in [0-9]*) label=m$m ;; *) label=$m ;; esac
        set -- "$@" --index "$label=$work/$set_-$m.nlsh"
    done
    for peer in "$build"/peer_*.so $(echo "${NLSH_BENCH_PEERS:-}" | tr : ' '); do
        if [ -e "$peer" ]; then set -- "$@" --peer "$(realpath "$peer")"; fi
    done
    if [ $quick = 1 ]; then set -- "$@" --quick --k 10; else set -- "$@" --k "${NLSH_BENCH_K:-10,1,100}"; fi
    if [ -n "${NLSH_BENCH_REALTIME:-}" ]; then set -- "$@" --realtime; fi
    if [ -n "${NLSH_BENCH_BUILDS:-}" ]; then set -- "$@" --builds "$NLSH_BENCH_BUILDS"; fi
    if [ -n "${NLSH_BENCH_LOCK:-}" ]; then set -- "$@" --lock "$NLSH_BENCH_LOCK"; fi
    if [ -n "${NLSH_BENCH_MODES:-}" ]; then set -- "$@" --modes "$NLSH_BENCH_MODES"; fi
    if [ "$curves" = 0 ]; then set -- "$@" --table; fi
    if [ -n "${NLSH_BENCH_TUNE:-}" ]; then set -- "$@" --tune "$NLSH_BENCH_TUNE"; fi
    if [ -n "${NLSH_BENCH_WITHOUT:-}" ]; then set -- "$@" --without "$NLSH_BENCH_WITHOUT"; fi
    if [ $prepare = 1 ]; then
        "$build/bench_peers" "$@" --rounds 0 >"$work/$set_.peers.log"
        return
    fi
    rm -f "$work/$set_.rows.csv"
    "$build/bench_peers" "$@" --rounds "${NLSH_BENCH_ROUNDS:-$((quick ? 1 : 3))}" --rows "$work/$set_.rows.part" \
        --costs "$work/$set_.costs.csv" >"$work/$set_.peers.log"
    mv "$work/$set_.rows.part" "$work/$set_.rows.csv"
}

# An epoch of the default network's training and of a wide one's, beside PyTorch where that is (with
# OpenBLAS, whatever the machine's choice: it needs it).
epochs() {
    for net in '60000 64 2 256 1024 2' '60000 784 2 512 256 2'; do
        # shellcheck disable=SC2086
        held "$build/bench_epoch" $net
        # shellcheck disable=SC2086
        held env OPENBLAS_NUM_THREADS=2 LD_LIBRARY_PATH="$(echo /usr/lib/*/openblas-pthread)" \
            /usr/bin/python3 "$here/epoch_torch.py" $net 2>/dev/null || true
    done
}

if [ $measure = 1 ]; then
    measured='' absent=''
    if [ $prepare = 0 ]; then
        printf '%s, %s cores, %s, %s\n' "$(awk -F': *' '/model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
            "$("$nlsh" version --json | tr ',{}' '\n\n\n' | awk -F'"' '/cpu/ { print $4; exit }')" \
            "$(date -u +%Y-%m-%d)" >"$work/machine"
    fi
    for set_ in ${wanted:-fashion-mnist mnist siftsmall sift1m glove100 use512}; do
        if [ ! -r "$(base_of "$set_")" ] || [ ! -r "$(queries_of "$set_")" ]; then
            say "$set_ is not here ($0 says where it is looked for): left out"
            absent="$absent $set_"
            continue
        fi
        # Beside the default the numbers of buckets that the tables of candidates are about.
        case $quick$set_ in
        1*) list=quick others= ;;
        0*mnist) list=default others=${NLSH_BENCH_BUCKETS-256 1024} ;;
        0sift1m) list=default others=${NLSH_BENCH_BUCKETS-1024 4096} ;;
        *) list=default others= ;;
        esac
        build_index "$set_" $list
        for m in $others; do
            [ "$m" = "$(buckets_of "$set_-default")" ] || list="$list $m"
        done
        for m in $list; do
            build_index "$set_" "$m"
            if [ $quick = 0 ] && [ $curves = 1 ]; then own_curves "$set_" "$m"; fi
            measured="$measured $set_:$m"
        done
        if [ -z "${NLSH_BENCH_RESUME:-}" ] || [ -z "$(find "$work/$set_.rows.csv" \
            -newer "$work/$set_-${list%% *}.nlsh" 2>/dev/null)" ]; then
            compare "$set_"
        fi
        # After each: the page of a run that was stopped has what was measured until then.
        if [ $prepare = 0 ]; then echo "$measured" >"$work/measured" && echo "$absent" >"$work/absent"; fi
    done
    [ -n "$measured" ] || { echo "error: bench: no data set is here" >&2 && exit 66; }
    if [ $prepare = 1 ]; then exit 0; fi
    # What does not depend on the cap stands once, and a run that goes on has it.
    if [ -x "$build/bench_machine" ] && [ $quick = 0 ] && [ $curves = 1 ] && [ -z "${NLSH_CPU:-}" ] &&
        { [ -z "${NLSH_BENCH_RESUME:-}" ] || [ ! "$work/epochs.txt" -nt "$build/bench_machine" ]; }; then
        held "$build/bench_machine" --csv >"$work/machine.csv"
        epochs >"$work/epochs.txt"
    fi
fi

rows=$work/rows.csv
: >"$rows"
for set_ in $(tr ' ' '\n' <"$work/measured" | sed 's/:.*//' | uniq); do
    if [ -s "$rows" ]; then tail -n +2 "$work/$set_.rows.csv"; else cat "$work/$set_.rows.csv"; fi >>"$rows"
done
plots=$work/plot-
if [ -n "$page" ]; then mkdir -p "$(dirname "$page")/plots" && plots=$(dirname "$page")/plots/${NLSH_CPU:+$NLSH_CPU-}; fi
if [ -n "$csv" ]; then cp "$rows" "$csv" && plots=${csv%.csv}-; fi
"$here/plot.sh" "$rows" "$plots" || say "no plots: $here/plot.sh needs gnuplot"
if [ -n "$page" ]; then
    "$here/page.sh" "$build" "$kept" "$(dirname "$page")" >"$page.new"
    mv "$page.new" "$page"
    say "written: $page"
fi
if [ -n "$beside" ]; then
    "$here/page_peers.sh" "$kept" >"$beside.new"
    mv "$beside.new" "$beside"
    say "written: $beside"
fi
say "every point: ${csv:-$rows}; plots: $plots*.svg"
