#!/bin/sh
# page.sh BUILD WORK - docs/results.md on standard output, from what bench/run.sh left in WORK.
# bench/notes.md is taken in as it is: what bounds a cell that is not reached is a person's to say.
set -eu
build=$1 work=$2
nlsh=$build/nlsh here=$(dirname "$0")
rows=$work/rows.csv
measured=$(cat "$work/measured")
sets=$(echo "$measured" | tr ' ' '\n' | sed 's/:.*//' | uniq)
absent=$(cat "$work/absent" 2>/dev/null || true)
outside='^(LoRANN|SymphonyQG|glass)$'
ours='^nlsh$' peers='^(hnswlib|faiss.*|LoRANN|SymphonyQG|glass)$'

# fastest COLUMN SET MODE K RECALL METHODS [VERSIONS]: of the rows that reach the recall the fastest
# one's column; "-" where none does.
fastest() {
    awk -F, -v c="$1" -v d="$2" -v mode="$3" -v k="$4" -v r="$5" -v m="$6" -v v="${7:-.}" '
        $1 == d && $4 == mode && $6 == k && $7 >= r && $2 ~ m && $3 ~ v && $8 > best {
            best = $8; found = $c }
        END { print best ? found : "-" }' "${file:-$rows}"
}
# cell SET MODE RECALL METHODS GOAL: ours over theirs, and the goal
cell() {
    awk -v a="$(fastest 8 "$1" "$2" 10 "$3" "$ours")" -v b="$(fastest 8 "$1" "$2" 10 "$3" "$4")" \
        -v goal="$5" 'BEGIN {
            if (b == "-") { print "no peer"; exit }
            if (a == "-") { print "recall not reached"; exit }
            printf "%s%.2fx%s of %sx\n", a / b >= goal ? "**" : "", a / b, a / b >= goal ? "**" : "", goal
        }'
}
goal() { # LABEL MODE METHODS GOAL90 GOAL95 GOAL99 SET...
    label=$1 mode=$2 methods=$3 g90=$4 g95=$5 g99=$6
    shift 6
    for s; do
        case " $(echo "$sets" | tr '\n' ' ') " in *" $s "*) ;; *) continue ;; esac
        printf '| %s, %s | %s | %s | %s | %s |\n' "$s" "$mode" "$label" \
            "$(cell "$s" "$mode" 0.90 "$methods" "$g90")" \
            "$(cell "$s" "$mode" 0.95 "$methods" "$g95")" \
            "$(cell "$s" "$mode" 0.99 "$methods" "$g99")"
    done
}
methods_of() { # SET: method,version in the order measured
    awk -F, -v d="$1" '$1 == d && $2 != "exact scan" && !seen[$2 $3]++ { print $2 "," $3 }' "$rows"
}
number() { awk -v n="$1" 'BEGIN { if (n == "-" || n == "") print "-"; else printf "%.0f\n", n }'; }
machine() { # WHAT BYTES: of the smallest buffer at least as large
    awk -F, -v w="$1" -v b="$2" '$1 == w { v = $3; if ($2 >= b) { print v; done = 1; exit } }
        END { if (!done) print v }' "$work/machine.csv"
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
oracle() { # the oracle's recall where the rule first reaches a recall
    awk -F, -v want="$1" "$3"' && $3 >= want { printf "%.4f", $6; exit }' "$2"
}
buckets_of() {
    "$nlsh" info -i "$work/$1.nlsh" --json | tr ',{}' '\n\n\n' | awk -F: '
        /"buckets"/ { here = 1 } here && /"count"/ { print $2 + 0; exit }'
}

cat <<END
# Results

Made by \`./dev bench\` (bench/run.sh, bench/page.sh), $(date -u +%Y-%m-%d), on
$(awk -F: '/model name/ { sub(/^ /, "", $2); print $2; exit }' /proc/cpuinfo) ($("$nlsh" version --json | tr ',{}' '\n\n\n' |
    awk -F'"' '/cpu/ { print $4; exit }'), $(nproc) cores). The machine is shared and noisy: read ratios within the
run, not absolute times. Test queries choose nothing of ours but the point on the curve, as they do
for every other method; the calibration comes from held-out base vectors.${absent:+ Not here when this was measured:$absent.}
END

if [ -s "$rows" ]; then
    cat <<END

## What it must show

Queries a second at a recall@10 of at least .90, .95 and .99: ours over theirs, in one process
(bench/peers/compare.c), the fastest of the rounds; bold where the goal is reached. single: one query
a call, pinned to a core; batch1: all queries in one call, pinned; batch2: two threads. Each method is
shown at the best of its own grid of indexes and settings. LoRANN, SymphonyQG, glass, hnswlib 0.8 and
faiss 1.15 are not Debian's: they were built outside the project, for this processor, and joined as
bench/peers/peer.h says. "Best exact scan" is ours, of the same vectors.

| data | against | .90 | .95 | .99 |
|---|---|---|---|---|
END
    goal hnswlib single '^hnswlib$' 6 6 6 fashion-mnist mnist
    goal 'best of LoRANN, SymphonyQG, glass' single "$outside" 2 2 2 fashion-mnist mnist
    goal 'best of all in batch' batch1 "$peers" 3 3 3 fashion-mnist mnist
    goal 'best of all in batch' batch2 "$peers" 3 3 3 fashion-mnist mnist
    goal hnswlib single '^hnswlib$' 3 3 2.5 sift1m
    goal 'faiss IVF-PQ fast scan + refine' single '^faiss IVF-PQ' 3 3 2 sift1m
    goal SymphonyQG single '^SymphonyQG$' 1.5 1.5 1.2 sift1m
    goal 'best of all in batch' batch1 "$peers" 2 2 2 sift1m
    goal 'best of all in batch' batch2 "$peers" 2 2 2 sift1m
    goal 'our best exact scan' single '^exact scan$' 200 150 100 mnist fashion-mnist
    cat <<END

## What bounds the cells that are not reached

END
    cat "$here/notes.md"
    cat <<END

## Queries a second

recall@10. A version that names its instruction set was asked for it: Debian's faiss is built for
any x86-64, which costs it most in the fast scan; the faiss of today beside it was built for AVX-512.

| data | method | single .90 | .95 | .99 | batch1 .90 | .95 | .99 | batch2 .90 | .95 | .99 |
|---|---|---|---|---|---|---|---|---|---|---|
END
    for s in $sets; do
        { methods_of "$s" && printf 'exact scan,.\n'; } | while IFS=, read -r m v; do
            shown="$m $v"
            if [ "$m" = 'exact scan' ]; then shown='exact scan, ours'; fi
            pattern=$(printf '%s' "$v" | sed 's/[.+]/\\&/g')
            if [ "$v" = . ]; then pattern=.; fi
            name="^$(printf '%s' "$m" | sed 's/[+]/[+]/g')\$"
            printf '| %s | %s |' "$s" "$shown"
            for mode in single batch1 batch2; do
                for r in 0.90 0.95 0.99; do
                    printf ' %s |' "$(number "$(fastest 8 "$s" "$mode" 10 "$r" "$name" "$pattern")")"
                done
            done
            echo
        done
    done
    cat <<END

recall@1 and recall@100, single:

| data | method | @1 .90 | .95 | .99 | @100 .90 | .95 | .99 |
|---|---|---|---|---|---|---|---|
END
    for s in $sets; do
        methods_of "$s" | while IFS=, read -r m v; do
            pattern=$(printf '%s' "$v" | sed 's/[.+]/\\&/g')
            name="^$(printf '%s' "$m" | sed 's/[+]/[+]/g')\$"
            printf '| %s | %s |' "$s" "$m $v"
            for k in 1 100; do
                for r in 0.90 0.95 0.99; do
                    printf ' %s |' "$(number "$(fastest 8 "$s" single "$k" "$r" "$name" "$pattern")")"
                done
            done
            echo
        done
    done
    cat <<END

## Latency, memory, building

At the fastest setting with recall@10 of .95 or more, single. Build: seconds of processor time on
one core (ours: over both, the graph included). Index: its file; resident: how much more of memory
the process held after it had been searched.

| data | method | setting | p50 us | p95 us | p99 us | candidates | index MB | resident MB | build s |
|---|---|---|---|---|---|---|---|---|---|
END
    for s in $sets; do
        methods_of "$s" | while IFS=, read -r m v; do
            pattern=$(printf '%s' "$v" | sed 's/[.+]/\\&/g')
            name="^$(printf '%s' "$m" | sed 's/[+]/[+]/g')\$"
            one() { file=$2 fastest "$1" "$s" single 10 0.95 "$name" "$pattern"; }
            printf '| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n' "$s" "$m $v" \
                "$(one 5 "$rows")" "$(one 9 "$work/$s.costs.csv")" "$(one 10 "$work/$s.costs.csv")" \
                "$(one 11 "$work/$s.costs.csv")" "$(number "$(one 9 "$rows")")" \
                "$(number "$(one 12 "$rows")")" "$(one 12 "$work/$s.costs.csv")" "$(one 11 "$rows")"
        done
    done
fi

if [ -s "$work/machine.csv" ] && [ -s "$rows" ]; then
    cat <<END

## The floor

What this machine can do at most, one core (\`bench_machine\`, bench/machine.c):

| reading from | $(awk -F, '$1 == "read" { printf "%s%d KB", sep, $2 / 1024; sep = " | " }' "$work/machine.csv") |
|---|$(awk -F, '$1 == "read" { printf "---|" }' "$work/machine.csv")
| in order, GB/s | $(awk -F, '$1 == "read" { printf "%s%.0f", sep, $3; sep = " | " }' "$work/machine.csv") |
| lines at random places, GB/s | $(awk -F, '$1 == "gather" { printf "%s%.0f", sep, $3; sep = " | " }' "$work/machine.csv") |
| a line after the other, ns | $(awk -F, '$1 == "follow" { printf "%s%.0f", sep, $3; sep = " | " }' "$work/machine.csv") |

$(awk -F, '$1 == "products" { printf "Byte products: %.0f billion a second. ", $3 } $1 == "floats" { printf "Float multiply-adds: %.0f billion a second.\n", $3 }' "$work/machine.csv")

Beside a query's time (single, the fastest setting that reaches the recall) the two floors: the bytes
that it reads (network, codes of the candidates, vectors ranked exactly; for graphs, vectors visited)
at the bandwidth of a buffer as large as the index, and its byte products at their peak.

| data | method | recall | time us | bytes | floor us | products | floor us | time / larger floor |
|---|---|---|---|---|---|---|---|---|
END
    for s in $sets; do
        for m in nlsh hnswlib; do
            for r in 0.90 0.95 0.99; do
                costs=$work/$s.costs.csv
                one() { file=$2 fastest "$1" "$s" single 10 "$r" "^$m\$"; }
                [ "$(one 8 "$costs")" != - ] || continue
                mb=$(one 12 "$rows")
                awk -v s="$s" -v m="$m" -v r="$r" -v q="$(one 8 "$costs")" -v b="$(one 13 "$costs")" \
                    -v p="$(one 14 "$costs")" -v own="$m" \
                    -v gb="$(machine read "$(awk -v m="$mb" 'BEGIN { printf "%.0f", m * 1e6 }')")" \
                    -v gp="$(machine products 0)" -v gf="$(machine floats 0)" 'BEGIN {
                    peak = own == "nlsh" ? gp : gf
                    t = 1e6 / q; fb = b / gb / 1e3; fp = p / peak / 1e3
                    printf "| %s | %s | %s | %.1f | %d | %.1f | %d | %.1f | %.1f |\n", s, m, r, t, b, fb, p, fp, t / (fb > fp ? fb : fp)
                }'
            done
        done
    done
fi

cat <<END

## Candidates

Mean candidates a query that each rule needs for a recall@10, linear between the two measured points
around it (\`nlsh evaluate\`, \`nlsh bench\`). k-means is IVF-Flat with as many cells: the nearest
centroids. "oracle" is the recall of the best order of the same buckets with as many buckets as the
threshold took there: what is missing from 1 is the partition's, the rest of the gap the router's.

| data | m | rule | .90 | .95 | .97 | .99 | p95 at .95 | k-means / rule at .99 |
|---|---|---|---|---|---|---|---|---|
END
for pair in $measured; do
    name=${pair%:*}-${pair#*:} curve=$work/${pair%:*}-${pair#*:}.curve.csv
    speed=$work/$name.bench.csv
    [ -s "$curve" ] || continue
    m=$(buckets_of "$name")
    km99=$(at 0.99 "$speed" '$1 == "IVF-Flat"' 4 5)
    printf '| %s | %s | k-means | %s | %s | %s | %s | %s | |\n' "${pair%:*}" "$m" \
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

## Recall asked against recall got

\`nlsh bench\`: one thread, one query at a time. "exact" is our own best exact scan of the same data in
the same run; "plain" a float loop in C, which is what the seed's speed-ups refer to.

| data | m | asked | recall@10 | candidates | queries a second | times exact | times plain |
|---|---|---|---|---|---|---|---|
END
for pair in $measured; do
    name=${pair%:*}-${pair#*:}
    [ -s "$work/$name.bench.csv" ] || continue
    awk -F, -v d="${pair%:*}" -v m="$(buckets_of "$name")" '
        $1 == "exact scan" { printf "| %s | | exact scan, %s | %.4f | %d | %.0f | %.1f | %.0f |\n", d, $2, $4, $5, $7, $8, $9 }
        $1 == "Neural LSH" { printf "| %s | %s | %s | %.4f | %.0f | %.0f | %.0f | %.0f |\n", d, m, $2, $4, $5, $7, $8, $9 }
    ' "$work/$name.bench.csv"
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
    name=${pair%:*}-${pair#*:}
    case $pair in *mnist*) ;; *) continue ;; esac
    [ -s "$work/$name.bench.csv" ] || continue
    for want in 0.99:10-12 0.965:38-40 0.80:200; do
        awk -F, -v d="${pair%:*}" -v m="$(buckets_of "$name")" -v w="${want%:*}" -v s="${want#*:}" '
            $1 == "Neural LSH" && $4 >= w && $9 > best { best = $9; exact = $8 }
            END { if (best) printf "| %s | %s | %s | %.0f | %.0f | %s |\n", d, m, w, best, exact, s;
                  else printf "| %s | %s | %s | not reached | | %s |\n", d, m, w, s }
        ' "$work/$name.bench.csv"
    done
done
cat <<END

## Building

Cold cache, all processors, default settings (\`nlsh build --no-cache\`).

| data | m | graph s | partition s | training s | file s | partitioner | index MB | peak MB |
|---|---|---|---|---|---|---|---|---|
END
for pair in $measured; do
    name=$work/${pair%:*}-${pair#*:}
    [ -s "$name.build.log" ] || continue
    printf '| %s | %s | %s | %s | %s |\n' "${pair%:*}" "$(buckets_of "${pair%:*}-${pair#*:}")" \
        "$(awk '/^  (k-NN graph|partition|training|index file) / {
            v = $(NF - 1); if ($NF == "ms") v /= 1000; if ($NF == "min") v *= 60
            printf "%s%.1f", sep, v; sep = " | " }' "$name.build.log")" \
        "$(awk '/buckets by/ { for (i = 1; i < NF; i++) if ($i == "by") { sub(/,$/, "", $(i + 1)); print $(i + 1) } }' "$name.build.log") | $(awk "BEGIN { printf \"%.1f\", $(wc -c <"$name.nlsh") / 1e6 }")" \
        "$(if [ -s "$name.peak" ]; then awk 'END { printf "%.0f", $1 / 1024 }' "$name.peak"; else echo '-'; fi)"
done
