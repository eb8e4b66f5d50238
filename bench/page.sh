#!/bin/sh
# page.sh BUILD WORK DOCS - docs/results.md on standard output, from what bench/run.sh left in WORK; its plots lie in
# DOCS/plots. bench/notes.md is taken in as it is: what bounds a cell that is not reached is a person's to say.
set -eu
build=$1 kept=$2 docs=$3
nlsh=$build/nlsh here=$(dirname "$0")
# shellcheck source=page_rows.sh
. "$here/page_rows.sh"

weights_of() { # SET-M: of the router, a byte each
    "$nlsh" info -i "$work/$1.nlsh" --json | tr ',' '\n' | awk -F: '/"weights"/ { print $2 + 0 }'
}
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

"$here/page_beside.sh" "$kept" "$here/notes.md" "$docs"

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
