#!/bin/sh
# run.sh - the measurements of docs/results.md, which it writes anew. `./dev bench` calls it with the
# build folder first.
#
#   --quick           m = 1024 only
#   --data NAME       fashion-mnist, mnist, sift1m or siftsmall; may be repeated; default: all that
#                     is here
#   --csv FILE        every measured point as a row of CSV
#   --out FILE        where the page goes; default docs/results.md
#
# Where the data lies: Fashion-MNIST from Debian's package; the others in the folders that
# $NLSH_MNIST, $NLSH_SIFT and $NLSH_SIFTSMALL name, under their usual names; absent sets are left out.
set -eu
build=$1
shift
nlsh=$build/nlsh
quick=0 wanted='' csv='' page=docs/results.md
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=1 ;;
    --data) wanted="$wanted $2" && shift ;;
    --csv) csv=$2 && shift ;;
    --out) page=$2 && shift ;;
    *) echo "error: bench: unknown word $1" >&2 && exit 2 ;;
    esac
    shift
done
work=out/bench
mkdir -p "$work/cache"
rows=$work/rows.csv
echo 'dataset,method,version,mode,params,k,recall,qps,candidates,p95,build_s,index_mb' >"$rows"
version=$("$nlsh" version | awk '{ print $NF; exit }')

say() { printf '%s\n' "$*" >&2; }

fashion=/usr/share/datasets/fashion-mnist
base_of() {
    case $1 in
    fashion-mnist) echo "$fashion/train-images-idx3-ubyte.gz" ;;
    mnist) echo "${NLSH_MNIST:-}/train-images-idx3-ubyte.gz" ;;
    sift1m) echo "${NLSH_SIFT:-}/sift_base.bvecs" ;;
    siftsmall) echo "${NLSH_SIFTSMALL:-}/siftsmall_base.fvecs" ;;
    esac
}
queries_of() {
    case $1 in
    fashion-mnist) echo "$fashion/t10k-images-idx3-ubyte.gz" ;;
    mnist) echo "${NLSH_MNIST:-}/t10k-images-idx3-ubyte.gz" ;;
    sift1m) echo "${NLSH_SIFT:-}/sift_query.bvecs" ;;
    siftsmall) echo "${NLSH_SIFTSMALL:-}/siftsmall_query.fvecs" ;;
    esac
}

# Candidates at a recall, between the two points around it; "-" where it is not reached.
# at RECALL FILE FILTER COLUMN_OF_RECALL COLUMN_OF_VALUE
at() {
    awk -F, -v want="$1" -v r="$4" -v c="$5" "$3"' {
        if ($r >= want && !done) {
            v = had && $r > pr ? pc + (want - pr) / ($r - pr) * ($c - pc) : $c
            printf "%.0f", v; done = 1
        }
        pr = $r; pc = $c; had = 1
    } END { if (!done) printf "-" }' "$2"
}
# The oracle's recall where the rule first reaches a recall.
oracle() {
    awk -F, -v want="$1" "$3"' && $3 >= want { printf "%.4f", $6; exit }' "$2"
}

measure() { # SET M
    set_=$1 m=$2 name=$work/$1-$2
    base=$(base_of "$set_") queries=$(queries_of "$set_")
    say "$set_, m = $m: build"
    rm -f "$name.peak"
    if [ -x /usr/bin/time ]; then watch="/usr/bin/time -o $name.peak -f %M"; else watch=; fi
    $watch "$nlsh" build -d "$base" -i "$name.nlsh" -m "$m" --no-cache --json --progress never \
        >"$name.build.json" 2>"$name.build.log"
    say "$set_, m = $m: curve"
    "$nlsh" evaluate -i "$name.nlsh" -q "$queries" -d "$base" -N 10 --cache "$work/cache" \
        --csv "$name.curve.csv" --progress never 2>/dev/null
    say "$set_, m = $m: speed"
    "$nlsh" bench -d "$base" -q "$queries" -i "$name.nlsh" -N 10 -T 1,2,3,5,8,12,20,40 \
        --recall 0.9,0.95,0.97,0.99 --probes 1,2,3,4,5,6,8,10,12,14,16,20,24,28,32,40,48,64 \
        --cache "$work/cache" --csv --progress never >"$name.bench.csv" 2>/dev/null
    mb=$(awk "BEGIN { printf \"%.1f\", $(wc -c <"$name.nlsh") / 1e6 }")
    awk -F, -v d="$set_" -v m="$m" -v v="$version" -v mb="$mb" 'NR > 1 {
        print d "," $1 "," v ",single,m=" m " " $2 ",10," $4 "," $7 "," $5 "," $6 ",," mb }' \
        "$name.bench.csv" >>"$rows"
    measured="$measured $set_:$m"
}

measured=''
for set_ in ${wanted:-fashion-mnist mnist siftsmall sift1m}; do
    if [ ! -r "$(base_of "$set_")" ]; then
        say "$set_ is not here: left out"
        continue
    fi
    case $set_ in
    siftsmall) list=128 ;;
    sift1m) list=1024 ;;
    *) if [ $quick = 1 ]; then list=1024; else list='256 1024'; fi ;;
    esac
    for m in $list; do measure "$set_" "$m"; done
done
[ -n "$measured" ] || { echo "error: bench: no data set is here" >&2 && exit 66; }

# ---- the page ------------------------------------------------------------------------------------
value() { # FILE NAME: a number or word of flat JSON
    tr ',{}' '\n\n\n' <"$1" | awk -F: -v n="\"$2\"" '{ gsub(/^ +/, "", $1) } $1 == n {
        gsub(/[ "]/, "", $2); print $2; exit }'
}
{
    cat <<END
# Results

Made by \`./dev bench\` (bench/run.sh), all in one run, on $(nproc) cores of
$(awk -F: '/model name/ { sub(/^ /, "", $2); print $2; exit }' /proc/cpuinfo) ($("$nlsh" version --json | tr ',{}' '\n\n\n' |
        awk -F'"' '/cpu/ { print $4; exit }')), $(date -u +%Y-%m-%d). The machine is
shared and noisy: read ratios within the run, not absolute times. Test queries choose nothing: every
setting comes from held-out base vectors. recall is recall@10 over all test queries.

## Candidates

Mean candidates a query that each rule needs for a recall, linear between the two measured points
around it (\`nlsh evaluate\`, \`nlsh bench\`). k-means is IVF-Flat with as many cells: the nearest
centroids. "oracle" is the recall of the best order of the same buckets with as many buckets as the
threshold took there: what is missing from 1 is the partition's, the rest of the gap the router's.

| data | m | rule | .90 | .95 | .97 | .99 | p95 at .95 | k-means / rule at .99 |
|---|---|---|---|---|---|---|---|---|
END
    for pair in $measured; do
        name=$work/${pair%:*}-${pair#*:} curve=$work/${pair%:*}-${pair#*:}.curve.csv
        speed=$name.bench.csv
        km99=$(at 0.99 "$speed" '$1 == "IVF-Flat"' 4 5)
        printf '| %s | %s | k-means | %s | %s | %s | %s | %s | |\n' "${pair%:*}" "${pair#*:}" \
            "$(at 0.90 "$speed" '$1 == "IVF-Flat"' 4 5)" "$(at 0.95 "$speed" '$1 == "IVF-Flat"' 4 5)" \
            "$(at 0.97 "$speed" '$1 == "IVF-Flat"' 4 5)" "$km99" \
            "$(at 0.95 "$speed" '$1 == "IVF-Flat"' 4 6)"
        for rule in top threshold; do
            f="\$1 == \"$rule\""
            r99=$(at 0.99 "$curve" "$f" 3 4)
            printf '| | | %s | %s | %s | %s | %s | %s | %s |\n' "$rule" \
                "$(at 0.90 "$curve" "$f" 3 4)" "$(at 0.95 "$curve" "$f" 3 4)" \
                "$(at 0.97 "$curve" "$f" 3 4)" "$r99" "$(at 0.95 "$curve" "$f" 3 5)" \
                "$(awk "BEGIN { if (\"$km99\" + 0 > 0 && \"$r99\" + 0 > 0) printf \"%.2f\", \"$km99\" / \"$r99\" }")"
        done
        f='$1 == "threshold"'
        printf '| | | oracle, as many buckets | %s | %s | %s | %s | | |\n' \
            "$(oracle 0.90 "$curve" "$f")" "$(oracle 0.95 "$curve" "$f")" \
            "$(oracle 0.97 "$curve" "$f")" "$(oracle 0.99 "$curve" "$f")"
    done
    cat <<END

The prototypes of the design, Fashion-MNIST, .90 / .95 / .97 / .99: m = 256, METIS, soft labels, top T
703 / 1050 / 1405 / 1873, k-means 819 / 1361 / 1629 / 2161; m = 1024, METIS, threshold 282 / 407 / 506
/ 784, k-means cells, threshold by bucket size 291 / 397 / 499 / 713. SIFT-1M (Debian photographs),
m = 1024, .90 / .95 / .99: k-means cells, threshold by bucket size 10742 / 16080 / 32716.

## Speed, and recall asked against recall got

One thread, one query at a time (\`nlsh bench\`). "exact" is our own best exact scan of the same data in
the same run; "plain" a float loop in C, which is what the seed's speed-ups refer to.

| data | m | asked | recall@10 | candidates | queries a second | times exact | times plain |
|---|---|---|---|---|---|---|---|
END
    for pair in $measured; do
        awk -F, -v d="${pair%:*}" -v m="${pair#*:}" '
            $1 == "exact scan" { printf "| %s | | exact scan, %s | %.4f | %d | %.0f | %.1f | %.0f |\n", d, $2, $4, $5, $7, $8, $9 }
            $1 == "Neural LSH" { printf "| %s | %s | %s | %.4f | %.0f | %.0f | %.0f | %.0f |\n", d, m, $2, $4, $5, $7, $8, $9 }
        ' "$work/${pair%:*}-${pair#*:}.bench.csv"
    done
    cat <<END

## The seed's table

The seed (Neural LSH in Python and C++) says for MNIST, as speed-up over its own exact scan in floats:
recall >= .99 at 10 to 12 times, .96 to .97 at 38 to 40 times, "lower recall" at up to 200 times.
Ours, the fastest row that reaches each recall:

| data | m | recall at least | times plain | times exact | seed |
|---|---|---|---|---|---|
END
    for pair in $measured; do
        case $pair in *mnist*) ;; *) continue ;; esac
        for want in 0.99:10-12 0.965:38-40 0.80:200; do
            awk -F, -v d="${pair%:*}" -v m="${pair#*:}" -v w="${want%:*}" -v s="${want#*:}" '
                $1 == "Neural LSH" && $4 >= w && $9 > best { best = $9; exact = $8 }
                END { if (best) printf "| %s | %s | %s | %.0f | %.0f | %s |\n", d, m, w, best, exact, s;
                      else printf "| %s | %s | %s | not reached | | %s |\n", d, m, w, s }
            ' "$work/${pair%:*}-${pair#*:}.bench.csv"
        done
    done
    cat <<END

## Building

Cold cache, all processors, default settings (\`nlsh build --no-cache --json\`).

| data | m | graph s | partition s | training s | file s | partitioner | index MB | peak MB |
|---|---|---|---|---|---|---|---|---|
END
    for pair in $measured; do
        name=$work/${pair%:*}-${pair#*:}
        printf '| %s | %s | %s | %s | %s |\n' "${pair%:*}" "${pair#*:}" \
            "$(awk '/^  (k-NN graph|partition|training|index file) / {
                v = $(NF - 1); if ($NF == "ms") v /= 1000; if ($NF == "min") v *= 60
                printf "%s%.1f", sep, v; sep = " | " }' "$name.build.log")" \
            "$(awk '/buckets by/ { for (i = 1; i < NF; i++) if ($i == "by") { sub(/,$/, "", $(i + 1)); print $(i + 1) } }' "$name.build.log") | $(awk "BEGIN { printf \"%.1f\", $(wc -c <"$name.nlsh") / 1e6 }")" \
            "$(if [ -s "$name.peak" ]; then awk 'END { printf "%.0f", $1 / 1024 }' "$name.peak"; else echo '-'; fi)"
    done
} >"$page.new"
mv "$page.new" "$page"
if [ -n "$csv" ]; then cp "$rows" "$csv"; fi
say "written: $page; every point: $rows"
