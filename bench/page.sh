#!/bin/sh
# page.sh BUILD WORK DOCS - docs/results.md on standard output, from what bench/run.sh left in WORK, and
# below it in a folder for each cap of NLSH_CPU; its plots lie in DOCS/plots.
# bench/notes.md is taken in as it is: what bounds a cell that is not reached is a person's to say.
set -eu
build=$1 kept=$2 docs=$3
nlsh=$build/nlsh here=$(dirname "$0")
ours='^nlsh$' peers='^(hnswlib|faiss.*|LoRANN|SymphonyQG|glass|NGT.*|PDX.*)$'

runs=$(for d in "$kept" "$kept"/*/; do if [ -s "$d/measured" ] && [ -s "$d/machine" ]; then echo "${d%/}"; fi; done)
# Rows, data sets and machine of a run are those that all below is about.
use() { # RUN
    work=$1 rows=$1/rows.csv
    measured=$(cat "$work/measured") machine_=$(cat "$work/machine") cap=${1#"$kept"}
    cap=${cap#/}
    sets=$(echo "$measured" | tr ' ' '\n' | sed 's/:.*//' | uniq)
    how=$machine_${cap:+ (\`NLSH_CPU=$cap\`)}
}
use "$(echo "$runs" | head -n 1)"
absent=$(cat "$work/absent" 2>/dev/null || true)

# fastest COLUMN SET MODE K RECALL METHODS [VERSIONS]: of the rows that reach the recall the fastest
# one's column; "-" where none does.
fastest() {
    awk -F, -v c="$1" -v d="$2" -v mode="$3" -v k="$4" -v r="$5" -v m="$6" -v v="${7:-.}" '
        $1 == d && $4 == mode && $6 == k && $7 >= r && $2 ~ m && $3 ~ v && $8 > best {
            best = $8; found = $c }
        END { print best ? found : "-" }' "${file:-$rows}"
}
# lead SET MODE K RECALL METHODS GOAL: ours over theirs, the goal, and whose the fastest was
lead() {
    awk -v a="$(fastest 8 "$1" "$2" "$3" "$4" "$ours")" -v b="$(fastest 8 "$1" "$2" "$3" "$4" "$5")" \
        -v goal="$6" -v who="$(fastest 2 "$1" "$2" "$3" "$4" "$5")" 'BEGIN {
            if (b == "-") { print "no peer"; exit }
            if (a == "-") { print "recall not reached"; exit }
            bold = a / b >= goal ? "**" : ""
            sub(/ fast scan.*/, "", who)
            printf "%s%.2fx%s of %sx (%s)\n", bold, a / b, bold, goal, who
        }'
}
is_here() { case " $(echo "$sets" | tr '\n' ' ') " in *" $1 "*) ;; *) return 1 ;; esac; }
goal() { # MODE K METHODS GOAL SET...
    mode=$1 k=$2 methods=$3 g=$4
    shift 4
    for s; do
        is_here "$s" && [ "$(fastest 8 "$s" "$mode" "$k" 0 "$methods")" != - ] || continue
        printf '| %s | %s | %s | %s | %s | %s |\n' "$s" "$mode" "$k" \
            "$(lead "$s" "$mode" "$k" 0.90 "$methods" "$g")" \
            "$(lead "$s" "$mode" "$k" 0.95 "$methods" "$g")" \
            "$(lead "$s" "$mode" "$k" 0.99 "$methods" "$g")"
    done
}
# less LABEL OURS THEIRS GOAL: a row with the ratio of two costs, bold where it is at most the goal
less() {
    awk -v label="$1" -v a="$2" -v b="$3" -v goal="$4" 'BEGIN {
        if (a + 0 <= 0 || b + 0 <= 0) {
            printf("| %s | %s | %s | - | %.2f |\n", label, (a + 0 > 0 ? a : "-"), (b + 0 > 0 ? b : "-"), goal)
            exit
        }
        bold = a / b <= goal ? "**" : ""
        printf "| %s | %.0f | %.0f | %s%.2f%s | %.2f |\n", label, a, b, bold, a / b, bold, goal
    }'
}
methods_of() { # SET: method,version in the order measured
    awk -F, -v d="$1" '$1 == d && $2 != "exact scan" && !seen[$2 $3]++ { print $2 "," $3 }' "$rows"
}
# Patterns of a method and of its version; a version of "." is any.
named() { # METHOD VERSION
    name="^$(printf '%s' "$1" | sed 's/[+]/[+]/g')\$" pattern=.
    if [ "$2" != . ]; then pattern="^$(printf '%s' "$2" | sed 's/[.+]/\\&/g')\$"; fi
}
weights_of() { # SET-M: of the router, a byte each
    "$nlsh" info -i "$work/$1.nlsh" --json | tr ',' '\n' | awk -F: '/"weights"/ { print $2 + 0 }'
}
number() { awk -v n="$1" 'BEGIN { if (n == "-" || n == "") print "-"; else printf "%.0f\n", n }'; }
machine() { # WHAT BYTES: of the smallest buffer at least as large
    awk -F, -v w="$1" -v b="$2" '$1 == w { v = $3; if ($2 >= b) { print v; done = 1; exit } }
        END { if (!done) print v }' "$work/machine.csv"
}
cat <<END
# Results

Made by \`./dev bench\` (bench/run.sh, bench/page.sh), on $machine_. The machine is shared and
noisy: read ratios within the run, not absolute times. Test queries choose nothing of ours but the point
on the curve, as they do for every other method; the calibration comes from held-out base vectors. SIFT-1M are
1,000,000 SIFT descriptors of photographs in Debian's packages (\`./dev data sift\`), not TEXMEX's set.
glove100 (\`./dev data glove\`) and use512 (100,000 sentence embeddings) are compared by cosine.${absent:+ Not here when this was measured:$absent.}
END

if [ -s "$rows" ]; then
    cat <<END

## What it must show

Queries a second at a recall@k of at least .90, .95 and .99: ours over the fastest of all peers, in one process
(bench/peers/compare.c), the fastest of the rounds; bold where the goal is reached. single: one query
a call, pinned to a core; batch1: all queries in one call, pinned; batch2: two threads. Ours has default
settings; each peer is shown at the best of its own grid of indexes and settings. LoRANN, SymphonyQG, glass,
hnswlib 0.8 and faiss 1.15 are not Debian's: they were built outside the project, for the instruction set that
their version names, and joined as bench/peers/peer.h says.
END
    for run in $runs; do
        use "$run"
        # Goals: with AVX2, and with more.
        case $cap in
        avx2) images='2 3' sift='1.5 2' floats='2 2' many=1.5 building=0.3333 ;;
        *) images='3 4' sift='2.5 3' floats='2.5 2.5' many=2 building=0.1667 ;;
        esac
        cat <<END

### $how

| data | asked | k | .90 | .95 | .99 |
|---|---|---|---|---|---|
END
        goal single 10 "$peers" "${images% *}" fashion-mnist mnist
        goal single 10 "$peers" "${sift% *}" sift1m
        goal single 10 "$peers" "${floats% *}" glove100 use512
        for mode_ in batch1 batch2; do
            goal $mode_ 10 "$peers" "${images#* }" fashion-mnist mnist
            goal $mode_ 10 "$peers" "${sift#* }" sift1m
            goal $mode_ 10 "$peers" "${floats#* }" glove100 use512
        done
        goal single 100 "$peers" "$many" fashion-mnist mnist sift1m glove100 use512
        cat <<END

| at recall@10 .95, single: p99, us | ours | SymphonyQG | ratio | goal |
|---|---|---|---|---|
END
        for s in $sets; do
            less "$s" "$(fastest 10 "$s" single 10 0.95 "$ours")" \
                "$(fastest 10 "$s" single 10 0.95 '^SymphonyQG$')" 1
        done
        cat <<END

| building, processor seconds | ours | SymphonyQG | ratio | goal |
|---|---|---|---|---|
END
        for s in fashion-mnist mnist sift1m glove100 use512; do
            is_here "$s" || continue
            less "$s" "$(fastest 11 "$s" single 10 0 "$ours")" "$(fastest 11 "$s" single 10 0 '^SymphonyQG$')" $building
        done
        if is_here sift1m; then
            printf '\nIndex of SIFT-1M: ours %s MB (goal: below 300), SymphonyQG %s MB.\n' \
                "$(number "$(fastest 12 sift1m single 10 0.95 "$ours")")" \
                "$(number "$(fastest 12 sift1m single 10 0.95 '^SymphonyQG$')")"
        fi
    done
    cat <<END

## What bounds the cells that are not reached

END
    cat "$here/notes.md"
    cat <<END

## Queries a second

recall@10. A version that names its instruction set was built for it.
END
    for run in $runs; do
        use "$run"
        cat <<END

### $how

| data | method | single .90 | .95 | .99 | batch1 .90 | .95 | .99 | batch2 .90 | .95 | .99 |
|---|---|---|---|---|---|---|---|---|---|---|
END
        for s in $sets; do
            { methods_of "$s" && awk -F, -v d="$s" '$1 == d && $2 == "exact scan" { print "exact scan,."; exit }' "$rows"; } | while IFS=, read -r m v; do
                shown="$m $v"
                if [ "$m" = 'exact scan' ]; then shown='exact scan, ours'; fi
                named "$m" "$v"
                printf '| %s | %s |' "$s" "$shown"
                for mode in single batch1 batch2; do
                    for r in 0.90 0.95 0.99; do
                        printf ' %s |' "$(number "$(fastest 8 "$s" "$mode" 10 "$r" "$name" "$pattern")")"
                    done
                done
                echo
            done
        done
        for s in $sets; do
            for mode in single batch1 batch2; do
                plot=plots/${cap:+$cap-}$s-$mode.svg
                if [ -e "$docs/$plot" ]; then printf '\n![%s, %s](%s)' "$s" "$mode" "$plot"; fi
            done
        done
        echo
        for k in $(awk -F, '$6 != 10 && NR > 1 && !seen[$6]++ { print $6 }' "$rows"); do
            cat <<END

recall@$k, single:

| data | method | .90 | .95 | .99 |
|---|---|---|---|---|
END
            for s in $sets; do
                methods_of "$s" | while IFS=, read -r m v; do
                    named "$m" "$v"
                    printf '| %s | %s |' "$s" "$m $v"
                    for r in 0.90 0.95 0.99; do
                        printf ' %s |' "$(number "$(fastest 8 "$s" single "$k" "$r" "$name" "$pattern")")"
                    done
                    echo
                done
            done
        done
    done
    cat <<END

## Latency, memory, building

At the fastest setting with recall@10 of .95 or more, single. Build: seconds of processor time on
one core (ours: over both; the graph included where the table of building has it). Index: its file;
resident: how much more of memory the process held after it had been searched.
END
    for run in $runs; do
        use "$run"
        cat <<END

### $how

| data | method | setting | p50 us | p95 us | p99 us | candidates | index MB | resident MB | build s |
|---|---|---|---|---|---|---|---|---|---|
END
        for s in $sets; do
            methods_of "$s" | while IFS=, read -r m v; do
                named "$m" "$v"
                one() { file=$2 fastest "$1" "$s" single 10 0.95 "$name" "$pattern"; }
                printf '| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n' "$s" "$m $v" \
                    "$(one 5 "$rows")" "$(one 9 "$work/$s.costs.csv")" "$(one 10 "$work/$s.costs.csv")" \
                    "$(one 11 "$work/$s.costs.csv")" "$(number "$(one 9 "$rows")")" \
                    "$(number "$(one 12 "$rows")")" "$(one 12 "$work/$s.costs.csv")" "$(one 11 "$rows")"
            done
        done
    done
fi

use "$(echo "$runs" | head -n 1)"
if [ -s "$work/machine.csv" ] && [ -s "$rows" ]; then
    cat <<END

## The floor

What this machine can do at most, one core (\`bench_machine\`, bench/machine.c):

| reading from | $(awk -F, '$1 == "read" { printf "%s%d KB", sep, $2 / 1024; sep = " | " }' "$work/machine.csv") |
|---|$(awk -F, '$1 == "read" { printf "---|" }' "$work/machine.csv")
| in order, GB/s | $(awk -F, '$1 == "read" { printf "%s%.0f", sep, $3; sep = " | " }' "$work/machine.csv") |
| lines at random places, GB/s | $(awk -F, '$1 == "gather" { printf "%s%.0f", sep, $3; sep = " | " }' "$work/machine.csv") |
| a line after the other, ns | $(awk -F, '$1 == "follow" { printf "%s%.0f", sep, $3; sep = " | " }' "$work/machine.csv") |

$(awk -F, '$1 == "products" { printf "Byte products: %.0f billion a second. ", $3 }
    $1 == "floats" { printf "Float multiply-adds: %.0f billion a second.", $3 }
    $1 == "tiles" { printf " Byte products in tiles (AMX): %.0f billion a second.", $3 }' "$work/machine.csv")

Beside a query's time (the fastest setting that reaches the recall) the two floors: the bytes that it
reads (network, codes of the candidates, vectors ranked exactly; for graphs, vectors visited; for cells,
codes and centroids) at the bandwidth of a buffer as large as the index, our network at that of one as
large as itself; and its products at their peak: of bytes for ours (in batches that of tiles, where the
processor has them), of floats for others. A ratio below 1: what a query reads often stays in nearer
caches than the whole index would, and in a batch queries share what they read.

| data | method | mode | recall | time us | bytes | floor us | products | floor us | time / larger floor |
|---|---|---|---|---|---|---|---|---|---|
END
    for s in $sets; do
        for which in nlsh:single nlsh:batch1 hnswlib:single 'faiss IVF-Flat:single' \
            'faiss IVF-PQ fast scan [+] refine:single'; do
            m=${which%:*} mode=${which#*:} costs=$work/$s.costs.csv
            for r in 0.90 0.95 0.99; do
                one() { file=$2 fastest "$1" "$s" "$mode" 10 "$r" "^$m\$"; }
                [ "$(one 8 "$costs")" != - ] || continue
                size=$(awk -v m="$(one 12 "$rows")" 'BEGIN { printf "%.0f", m * 1e6 }')
                hot=0 label=$(one 5 "$rows") && label=${label%% *}
                if [ "$m" = nlsh ]; then hot=$(weights_of "$s-${label#m}"); fi
                peak=$(machine floats 0)
                case $which in
                nlsh:single) peak=$(machine products 0) ;;
                nlsh:*) peak=$(machine tiles 0) && peak=${peak:-$(machine products 0)} ;;
                esac
                awk -v s="$s" -v m="$(one 2 "$rows")" -v mode="$mode" -v r="$r" -v q="$(one 8 "$costs")" \
                    -v b="$(one 13 "$costs")" -v p="$(one 14 "$costs")" -v peak="$peak" \
                    -v gb="$(machine read "$size")" -v hot="$hot" -v fast="$(machine read "$hot")" '
                function shown(known, format, v) { return known == "" ? "-" : sprintf(format, v) }
                BEGIN {
                    t = 1e6 / q; fb = ((b - hot) / gb + hot / fast) / 1e3; fp = p / peak / 1e3
                    larger = fb > fp ? fb : fp
                    printf("| %s | %s | %s | %s | %.1f | %s | %s | %s | %s | %s |\n", s, m, mode, r, t,
                        shown(b, "%d", b), shown(b, "%.2f", fb), shown(p, "%d", p), shown(p, "%.2f", fp),
                        shown(b p, "%.1f", t / larger))
                }'
            done
        done
    done
fi

"$here/page_buckets.sh" "$build" "$work"
