#!/bin/sh
# leaves.sh - the table "Leaves" of docs/algorithm.md: vectors that a query scans where recall@10 of .95 and
# .99 is reached, without leaves and with them. leaves.sh BUILD_DIR; Fashion-MNIST, and what of
# $NLSH_MNIST and $NLSH_SIFT (folders, as bench/run.sh has them) is there. Graphs, partitions and ground
# truth come from $NLSH_CACHE or out/leaves/cache. 2 minutes, 6 with SIFT-1M, on two cores.
#
# A figure lies between the two searches that enclose the recall: nlsh compare --recall R for some R.
set -eu
nlsh=$1/nlsh
work=out/leaves
export NLSH_CACHE="${NLSH_CACHE:-$work/cache}"
mkdir -p "$work"
asked=0.85,0.88,0.9,0.92,0.94,0.95,0.96,0.97,0.98,0.985,0.99,0.993,0.995

at() { # RECALL COLUMN: of compare.csv's rows, linear between the two about the recall
    sort -t, -k"$recall_column" -g "$work/rows.csv" | awk -F, -v want="$1" -v r="$recall_column" -v c="$2" '
        $r >= want { printf "%.0f", had ? pc + (want - pr) / ($r - pr) * ($c - pc) : $c; exit }
        { pr = $r; pc = $c; had = 1 }'
}
row() { # SET BASE QUERIES LEAVES SETTINGS
    # shellcheck disable=SC2086
    "$nlsh" build -d "$2" -i "$work/t.nlsh" --leaves "$4" --progress never --quiet $5
    "$nlsh" compare "$work/t.nlsh" -d "$2" -q "$3" -N 10 --recall $asked --csv "$work/compare.csv" \
        --progress never --quiet >/dev/null
    sed 's/"\(""\|[^"]\)*"/-/g' "$work/compare.csv" >"$work/plain.csv" # names and settings hold commas
    column() { head -n 1 "$work/plain.csv" | tr ',' '\n' | grep -n -x "$1" | cut -d: -f1; }
    recall_column=$(column recall_at_10)
    tail -n +2 "$work/plain.csv" >"$work/rows.csv"
    mean=$(column candidates) tail=$(column candidates_p95)
    printf '| %s | %s | %s | %s / %s | %s / %s |\n' "$1" "${5:-defaults}" "$4" \
        "$(at 0.95 "$mean")" "$(at 0.99 "$mean")" "$(at 0.95 "$tail")" "$(at 0.99 "$tail")"
}
both() { # SET BASE QUERIES SETTINGS
    for leaves in 0 1; do row "$1" "$2" "$3" "$leaves" "$4"; done
}

echo '| data | settings | leaves | candidates at .95 / .99 | 95th percentile |'
echo '|---|---|---|---|---|'
for set in "fashion-mnist ${NLSH_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}" "mnist ${NLSH_MNIST:-}"; do
    folder=${set#* }
    [ -r "$folder/train-images-idx3-ubyte.gz" ] || continue
    both "${set%% *}" "$folder/train-images-idx3-ubyte.gz" "$folder/t10k-images-idx3-ubyte.gz" ''
done
if [ -r "${NLSH_SIFT:-}/sift_base.bvecs" ]; then
    for m in 1024 4096; do
        both sift1m "$NLSH_SIFT/sift_base.bvecs" "$NLSH_SIFT/sift_query.bvecs" \
            "-m $m --partitioner kmeans --graph exact"
    done
fi
