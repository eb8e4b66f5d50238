#!/bin/sh
# page.sh BUILD WORK NOTES - EXPERIMENTS.md on standard output, from what experiments/run.sh left in
# WORK. What is said of a claim follows from the numbers and a margin; NOTES has what a person adds:
# paragraphs behind a line "## KEY", each put where its key is.
# awk's programs are in single quotes on purpose, some with words of the shell between them.
# shellcheck disable=SC2016
set -eu
build=$1 work=$2 notes=$3
nlsh=$build/nlsh

# ---- numbers -------------------------------------------------------------------------------------

# at FILE RULE RECALL [COLUMN]: mean candidates (or another column) where the rule reaches a recall,
# between the two points around it; nothing where it does not.
at() {
    if [ ! -s "$1" ]; then return; fi
    awk -F, -v rule="$2" -v want="$3" -v c="${4:-4}" '$1 == rule {
        if ($3 >= want) { v = $c; if (had && $3 > pr) v = pc + (want - pr) / ($3 - pr) * ($c - pc)
            printf "%.0f", v; exit }
        pr = $3; pc = $c; had = 1 }' "$1"
}
# recall_at FILE T: recall with the T most probable buckets.
recall_at() {
    if [ ! -s "$1" ]; then return; fi
    awk -F, -v t="$2" '$1 == "top" && $2 == t { printf "%.4f", $3; exit }' "$1"
}
# calc EXPRESSION A B C...: awk's answer, the words being a, b, c, d; nothing where one is missing.
calc() {
    expression=$1
    shift
    for w; do if [ -z "$w" ]; then return; fi; done
    awk -v a="${1:-0}" -v b="${2:-0}" -v c="${3:-0}" -v d="${4:-0}" "BEGIN { $expression }"
}
least() { for w; do echo "$w"; done | awk 'NF && (!n++ || $1 < m) { m = $1 } END { if (n) print m }'; }
most() { for w; do echo "$w"; done | awk 'NF && (!n++ || $1 > m) { m = $1 } END { if (n) print m }'; }
file() { echo "$work/$set_/$1.csv"; }
c95() { at "$(file "$1")" threshold 0.95; }
ids() { # PATTERN
    (cd "$work/$set_" && for f in $1; do if [ -e "$f" ]; then echo "${f%.csv}"; fi; done)
}
# How far apart the same settings with other seeds come out, in per cent; the margin is twice that, 3 %
# at least: less is not told from chance.
spread() { # WAY
    if [ ! -s "$(file "seed2.$1")" ]; then return; fi
    set -- "$(c95 "base.$1")" "$(c95 "seed2.$1")" "$(c95 "seed3.$1")"
    calc 'printf "%.1f", 100 * (a - b) / b' "$(most "$@")" "$(least "$@")"
}
margin() {
    s=$(spread "$1")
    if [ -z "$s" ] && [ "$1" = hard ]; then s=$(spread soft); fi
    calc 'm = 2 * a; printf "%.1f", (m > 3 ? m : 3)' "${s:-0}"
}

# verdict WAY A B: is A smaller than B by more than the margin? Confirmed, Refuted, or Level.
verdict() {
    calc 'd = 100 * (b - a) / b; m = c
          print (d > m ? "Confirmed" : d < -m ? "Refuted" : "Level")' "$2" "$3" "$(margin "$1")"
}
# by A B: "12 % fewer" or "3 % more": A's candidates beside B's.
by() {
    calc 'd = 100 * (a - b) / b; printf "%.0f %% %s", (d < 0 ? -d : d), (d < 0 ? "fewer" : "more")' "$1" "$2"
}
way_name() { if [ "$1" = hard ]; then echo "hard labels, the predecessor's"; else echo 'soft labels, ours'; fi; }

# ---- tables --------------------------------------------------------------------------------------

row() { # NAME ID
    f=$(file "$2")
    if [ ! -s "$f" ]; then return; fi
    printf '| %s | %s | %s | %s | %s | %s |\n' "$1" "$(recall_at "$f" 5)" "$(at "$f" threshold 0.90)" \
        "$(at "$f" threshold 0.95)" "$(at "$f" threshold 0.99)" "$(at "$f" top 0.95)"
}
head_row() {
    printf '\n| %s | recall@10, T = 5 | .90 | .95 | .99 | .95, T most probable |\n|---|---|---|---|---|---|\n' "$1"
}
note() { # KEY: what a person has to add
    if [ -r "$notes" ]; then
        awk -v key="## $1" '$0 == key { on = 1; next } /^## / { on = 0 } on && NF { text = text $0 "\n" }
            END { if (text) printf "\n*By hand:* %s", text }' "$notes"
    fi
}
claim() { printf '\n### %s\n' "$1"; }
# found WAY VERDICT TEXT
found() {
    if [ -n "$2" ]; then printf -- '- %s: **%s.** %s\n' "$(way_name "$1")" "$2" "$3"; fi
}

# ---- sections ------------------------------------------------------------------------------------

layers() {
    if [ -z "$(ids 'layers*.csv')" ]; then return; fi
    claim 'Two hidden layers beat three or more'
    for way in hard soft; do
        if [ ! -s "$(file "layers3.$way")" ]; then continue; fi
        head_row "layers, $(way_name $way)"
        row 1 "layers1.$way"
        row 2 "base.$way"
        row 3 "layers3.$way"
        row 4 "layers4.$way"
    done
    echo
    for way in hard soft; do
        two=$(c95 "base.$way")
        more=$(least "$(c95 "layers3.$way")" "$(c95 "layers4.$way")")
        found $way "$(verdict $way "$two" "$more")" \
            "At recall .95 two layers need $(by "$two" "$more") candidates than the best with more ($two, $more); one layer $(by "$(c95 "layers1.$way")" "$two") than two."
    done
    note "$set_ layers"
}

nodes() {
    if [ -z "$(ids 'nodes*.csv')" ]; then return; fi
    base_nodes=$(sed -n 's/.*--nodes \([0-9]*\).*/\1/p' "$work/$set_/base.soft.key" | tail -n 1)
    claim '512 nodes in a layer'
    for way in hard soft; do
        if [ -z "$(ids "nodes*.$way.csv")" ]; then continue; fi
        head_row "nodes, $(way_name $way)"
        for n in $({ ids "nodes*.$way.csv" | sed 's/nodes//; s/\..*//'; echo "$base_nodes"; } | sort -n); do
            if [ "$n" = "$base_nodes" ]; then row "$n" "base.$way"; else row "$n" "nodes$n.$way"; fi
        done
    done
    echo
    for way in hard soft; do
        f=$(file "base.$way")
        if [ "$base_nodes" != 512 ]; then f=$(file "nodes512.$way"); fi
        best=$(at "$f" threshold 0.95) others='' n_best=''
        if [ -z "$best" ]; then continue; fi
        for n in $({ ids "nodes*.$way.csv" | sed 's/nodes//; s/\..*//'; echo "$base_nodes"; } | sort -n); do
            if [ "$n" = 512 ]; then continue; fi
            id=nodes$n.$way
            if [ "$n" = "$base_nodes" ]; then id=base.$way; fi
            c=$(c95 "$id")
            if [ -n "$c" ] && { [ -z "$others" ] || [ "$c" -lt "$others" ]; }; then others=$c n_best=$n; fi
        done
        found $way "$(verdict $way "$best" "$others")" \
            "512 nodes need $(by "$best" "$others") candidates at .95 than the best other width, $n_best ($best, $others)."
    done
    note "$set_ nodes"
}

dropout() {
    if [ -z "$(ids 'dropout*.csv')" ]; then return; fi
    claim 'No dropout'
    for way in hard soft; do
        if [ -z "$(ids "dropout*.$way.csv")" ]; then continue; fi
        head_row "dropout, $(way_name $way)"
        row 0 "base.$way"
        row 0.2 "dropout0.2.$way"
        row 0.5 "dropout0.5.$way"
    done
    echo
    for way in hard soft; do
        none=$(c95 "base.$way") some=$(least "$(c95 "dropout0.2.$way")" "$(c95 "dropout0.5.$way")")
        found $way "$(verdict $way "$none" "$some")" \
            "None needs $(by "$none" "$some") candidates at .95 than the best with some ($none, $some)."
    done
    note "$set_ dropout"
}

graphs() {
    if [ -z "$(ids 'ivfflat*.csv')$(ids 'pieces.csv')" ]; then return; fi
    claim 'A faster graph gives the same recall as the exact one'
    head_row 'graph'
    if [ -s "$(file pieces)" ]; then
        row 'exact, k-means cells, soft labels' kmeans
        row 'pieces, k-means cells, soft labels' pieces
    fi
    for way in hard soft; do
        if [ ! -s "$(file "ivfflat.$way")" ]; then continue; fi
        row "exact, $(way_name $way)" "base.$way"
        row "ivfflat, $(way_name $way)" "ivfflat.$way"
    done
    echo
    for way in hard soft; do
        v=$(verdict $way "$(c95 "base.$way")" "$(c95 "ivfflat.$way")")
        case $v in Level) v=Confirmed ;; Confirmed) v='Refuted, exact is better' ;; Refuted) v='Refuted, ivfflat is better' ;; esac
        found $way "$v" "The graph through cells costs $(by "$(c95 "ivfflat.$way")" "$(c95 "base.$way")") candidates at .95 (margin $(margin $way) %)."
    done
    v=$(verdict soft "$(c95 kmeans)" "$(c95 pieces)")
    case $v in Level) v=Confirmed ;; Confirmed) v='Refuted, exact is better' ;; Refuted) v='Refuted, pieces are better' ;; esac
    found soft "$v" "The graph made in overlapping pieces costs $(by "$(c95 pieces)" "$(c95 kmeans)") candidates at .95 (margin $(margin soft) %); over k-means cells it decides the labels alone."
    note "$set_ graphs"
}

partition() {
    if [ -z "$(ids 'm[0-9]*.csv')$(ids 'kmeans.csv')" ]; then return; fi
    claim "The partition's settings outweigh the network's"
    head_row 'partition, soft labels'
    row 'as above, METIS' base.soft
    for n in $(ids 'm[0-9]*.csv' | tr -d m | sort -n); do row "m = $n" "m$n"; done
    for n in $(ids 'imbalance*.csv' | sed 's/imbalance//' | sort -n); do row "imbalance $n" "imbalance$n"; done
    for n in $(ids 'knn*.csv' | sed 's/knn//' | sort -n); do row "graph of $n neighbours" "knn$n"; done
    row 'k-means cells, imbalance 0.5' kmeans
    partitions='' networks='' recall_p='' recall_n=''
    for id in base.soft $(ids 'm[0-9]*.csv') $(ids 'imbalance*.csv') $(ids 'knn*.csv') kmeans; do
        partitions="$partitions $(c95 "$id")" recall_p="$recall_p $(recall_at "$(file "$id")" 5)"
    done
    for id in base.soft $(ids 'layers*.soft.csv') $(ids 'nodes*.soft.csv') $(ids 'dropout*.soft.csv'); do
        networks="$networks $(c95 "$id")" recall_n="$recall_n $(recall_at "$(file "$id")" 5)"
    done
    # shellcheck disable=SC2086
    set -- "$(most $partitions)" "$(least $partitions)" "$(most $networks)" "$(least $networks)"
    p=$(calc 'printf "%.2f", a / b' "$1" "$2") n=$(calc 'printf "%.2f", a / b' "$3" "$4")
    # shellcheck disable=SC2086
    points=$(calc 'printf "%.1f and %.1f", 100 * (a - b), 100 * (c - d)' "$(most $recall_p)" "$(least $recall_p)" "$(most $recall_n)" "$(least $recall_n)")
    v=$(calc 'print (a - 1 > 1.5 * (b - 1) ? "Confirmed" : b - 1 > 1.5 * (a - 1) ? "Refuted" : "Neither outweighs the other")' "$p" "$n")
    printf '\n- **%s.** At recall .95 the worst partition of these needs %s times the candidates of the best, the worst network %s times. With T fixed at 5, as the predecessor counts, they move recall by %s points; but there more buckets simply scan less.\n' \
        "$v" "$p" "$n" "$points"
    note "$set_ partition"
}

threshold() {
    claim 'A threshold on the probability brings no clear win'
    printf '\nMean candidates with the T most probable buckets / with a threshold; the threshold'"'"'s gain.\n'
    printf '\n| index | .90 | .95 | .99 |\n|---|---|---|---|\n'
    for id in base.hard base.soft kmeans default; do
        f=$(file $id)
        if [ ! -s "$f" ]; then continue; fi
        case $id in
        base.hard) name='METIS, hard labels' ;;
        base.soft) name='METIS, soft labels' ;;
        kmeans) name='k-means cells, soft labels' ;;
        default) name='default settings' ;;
        esac
        printf '| %s |' "$name"
        for r in 0.90 0.95 0.99; do
            t=$(at "$f" top $r) h=$(at "$f" threshold $r)
            printf ' %s / %s, %s |' "$t" "$h" "$(calc 'printf "%.0f %%", 100 * (1 - b / a)' "$t" "$h")"
        done
        echo
    done
    echo
    for way in hard soft; do
        f=$(file "base.$way")
        if [ ! -s "$f" ]; then continue; fi
        gain=$(calc 'printf "%.0f", 100 * (1 - b / a)' "$(at "$f" top 0.95)" "$(at "$f" threshold 0.95)")
        v=$(calc 'print (a < 5 ? "Confirmed" : "Refuted")' "$gain")
        found $way "$v" "A threshold saves $gain % of the candidates at .95 (5 % would be a win)."
    done
    note "$set_ threshold"
}

# Values of the trials of a stage that were completed, a line each; the first trial is the defaults.
trials() { # STAGE
    awk -F, -v stage="$1" 'NR > 1 && $1 == stage && $3 == "complete" { print $4 }' "$work/$set_/tune/trials.csv"
}
two_stages() {
    if [ ! -s "$work/$set_/tune/trials.csv" ]; then return; fi
    claim 'The two-stage search: the network once, then the partition'
    # shellcheck disable=SC2046
    set -- "$(trials network | head -n 1)" "$(least $(trials network))" "$(least $(trials partition))" \
        "$(at "$(file untuned)" threshold 0.95)" "$(at "$(file tuned)" threshold 0.95)"
    n=$(trials network | wc -l) p=$(trials partition | wc -l)
    cat <<END2

\`nlsh tune --two_stage\` with a short budget (the command is in experiments/run.sh): candidates at recall
.95 over base vectors held out, one fold.

| | whole trials | best |
|---|---|---|
| the defaults, as short as a trial | | $(calc 'printf "%.0f", a' "$1") |
| first stage, the network | $n | $(calc 'printf "%.0f", a' "$2") |
| second stage, the partition with that network | $p | $(calc 'printf "%.0f", a' "$3") |

END2
    v=$(calc 'd = 100 * (a - b) / a; print (d > c ? "Confirmed" : "Not here")' "$2" "$3" "$(margin soft)")
    echo "- The second stage gains beyond the first: **$v.** Its best needs $(by "$3" "$2") candidates than the first stage's, whose best needs $(by "$2" "$1") than the defaults."
    if [ -n "$4" ] && [ -n "$5" ]; then
        v=$(calc 'd = 100 * (a - b) / a; print (d > c ? "The tuned index wins" : d < -c ? "The defaults stand" : "Level: the defaults stand")' "$4" "$5" "$(margin soft)")
        echo "- On the test queries, both learned from the whole base: **$v.** $5 candidates at .95 tuned, $4 by default ($(by "$5" "$4"))."
    fi
    note "$set_ two_stages"
}

# ---- the headline --------------------------------------------------------------------------------

# best METHOD TEST SHOW: of the rows of a method that pass the test the one with most of `by`
best() { # METHOD TEST BY SHOW
    awk -F, -v method="$1" '$1 == method && ('"$2"') && ($'"$3"' > most || !n) { n++; most = $'"$3"'; shown = sprintf('"$4"') }
        END { print (n ? shown : "-") }' "$work/$set_/speeds.csv"
}
regimes() {
    if [ ! -s "$work/$set_/speeds.csv" ]; then return; fi
    claim 'IVF-Flat and Neural LSH in three regimes'
    cat <<'END'

Times faster than a plain float scan in C, which is what the predecessor's speed-ups mean, and in brackets
than our own best exact scan; one thread, one query at a time, one process, as many cells as buckets.
"same scan": the learned buckets behind the exact scan that IVF-Flat uses, so that only the bucketing
differs; "nlsh": as `nlsh search` does it, with short codes.

| regime | predecessor: IVF-Flat | predecessor: Neural LSH | IVF-Flat | same scan | nlsh |
|---|---|---|---|---|---|
END
    x='"%.0fx (%.1fx)", $9, $8' r='"%.4f at %.0fx (%.1fx)", $4, $9, $8'
    printf '| recall >= .99: most times faster | 3x | 10-12x | %s | %s | %s |\n' \
        "$(best IVF-Flat '$4 >= 0.99' 9 "$x")" "$(best 'NLSH exact' '$4 >= 0.99' 9 "$x")" "$(best 'Neural LSH' '$4 >= 0.99' 9 "$x")"
    printf '| at least 30x: best recall | .65-.70 | .96-.97 at 38-40x | %s | %s | %s |\n' \
        "$(best IVF-Flat '$9 >= 30' 4 "$r")" "$(best 'NLSH exact' '$9 >= 30' 4 "$r")" "$(best 'Neural LSH' '$9 >= 30' 4 "$r")"
    printf '| at least 200x: best recall | gets worse | "lower recall" | %s | %s | %s |\n' \
        "$(best IVF-Flat '$9 >= 200' 4 "$r")" "$(best 'NLSH exact' '$9 >= 200' 4 "$r")" "$(best 'Neural LSH' '$9 >= 200' 4 "$r")"
    i=$(best IVF-Flat '$4 >= 0.99' 9 '"%.3f", $9') n=$(best 'Neural LSH' '$4 >= 0.99' 9 '"%.3f", $9')
    # The bucketing alone: vectors scanned for recall .99.
    cells=$(awk -F, '$1 == "IVF-Flat" { if ($4 >= 0.99) { v = $5; if (pr && $4 > pr) v = pc + (0.99 - pr) / ($4 - pr) * ($5 - pc)
        printf "%.0f", v; exit } pr = $4; pc = $5 }' "$work/$set_/speeds.csv")
    learned=$(at "$(file default)" threshold 0.99)
    case "$i $n" in *-*) ;; *)
        printf '\n- "~4x faster" at recall .99: **%s**: %s times as fast as IVF-Flat.' \
            "$(calc 'print (a / b >= 3.5 ? "Confirmed" : a / b > 1.05 ? "Less than claimed" : "Refuted")' "$n" "$i")" \
            "$(calc 'printf "%.1f", a / b' "$n" "$i")"
        if [ -n "$cells" ] && [ -n "$learned" ]; then
            printf ' The bucketing alone makes %s times fewer candidates (%s, IVF-Flat %s); the rest is short codes.' \
                "$(calc 'printf "%.1f", a / b' "$cells" "$learned")" "$learned" "$cells"
        fi
        echo
        ;;
    esac
    note "$set_ regimes"
}

# ---- the page ------------------------------------------------------------------------------------

title_of() {
    case $1 in
    mnist) echo 'MNIST (60,000 x 784 bytes)' ;;
    fashion-mnist) echo 'Fashion-MNIST (60,000 x 784 bytes)' ;;
    sift1m) echo "SIFT-1M (1,000,000 x 128 bytes, Debian's photographs)" ;;
    esac
}
cat <<END
# Experiments

What the predecessor of this project found on MNIST, looked at again; then the same on Fashion-MNIST and on a
million SIFT vectors (of Debian's photographs, not TEXMEX's set), which the predecessor never finished. Made by \`./dev experiments\` (experiments/run.sh,
experiments/page.sh), $(date -u +%Y-%m-%d), on $(awk -F: '/model name/ { sub(/^ /, "", $2); print $2; exit }' /proc/cpuinfo) ($("$nlsh" version --json |
    sed -n 's/.*"cpu": "\([^"]*\)".*/\1/p'), $(nproc) cores). A second run takes every step from
out/experiments and says so.

How to read it. All figures are for the 10,000 test queries, N = 10. ".95" is the mean number of
candidates (vectors scanned) a query where recall@10 reaches .95 with a threshold on the router's
probability, read off the curve of \`nlsh evaluate\`; fewer is better. The predecessor fixes T, the number of
buckets, and compares recall: the column "recall@10, T = 5". A claim is confirmed or refuted where
candidates at .95 differ by more than a margin: twice what other random seeds make of
the same settings, 3 % at least; within it the two are level. Each table changes one setting at a time.
An empty cell: no threshold down to 1e-6 reaches that recall.
END
by=$(cat "$work"/*/*.by 2>/dev/null | sort -u | paste -s -d, | sed 's/,/, /g')
if [ -n "$by" ]; then printf '\nMeasured by the code of %s.\n' "$by"; fi
for set_ in mnist fashion-mnist sift1m; do
    if [ ! -s "$work/$set_/base.soft.csv" ]; then continue; fi
    printf '\n## %s\n\nFrom `%s`' "$(title_of $set_)" "$(tail -n 1 "$work/$set_/base.soft.key" | sed 's/^measure [^ ]* [^ ]* //')"
    for way in hard soft; do
        s=$(spread $way)
        if [ -n "$s" ]; then printf '; %s: other random seeds differ by %s %%, so the margin is %s %%' "$(way_name $way)" "$s" "$(margin $way)"; fi
    done
    echo .
    if [ -s "$work/$set_/absent" ]; then
        printf '\nNot measured in this run: %s.\n' "$(paste -s -d, "$work/$set_/absent" | sed 's/,/, /g')"
    fi
    head_row index
    row 'that, hard labels' base.hard
    row 'that, soft labels' base.soft
    row "default settings" default
    layers
    nodes
    dropout
    graphs
    partition
    threshold
    two_stages
    regimes
done
missing=''
for set_ in mnist fashion-mnist sift1m; do
    if [ ! -s "$work/$set_/base.soft.csv" ]; then missing="$missing $(title_of $set_),"; fi
done
if [ -n "$missing" ]; then printf '\n## Not measured yet\n\n%s. `./dev experiments` goes on with them.\n' "$(echo "${missing%,}" | sed 's/^ //')"; fi
