#!/bin/sh
# tried.sh - the table "What was tried" of docs/algorithm.md: Fashion-MNIST, m = 1024, one setting at
# a time. tried.sh BUILD_DIR; 4 minutes of processor time. Graphs and partitions come from out/tried/cache.
set -eu
nlsh=$1/nlsh
fashion=/usr/share/datasets/fashion-mnist
base=$fashion/train-images-idx3-ubyte.gz queries=$fashion/t10k-images-idx3-ubyte.gz
work=out/tried
mkdir -p "$work"

at() { # RECALL: candidates there with the threshold, linear between two points
    awk -F, -v want="$1" '$1 == "threshold" {
        if ($3 >= want) { printf "%.0f", had ? pc + (want - pr) / ($3 - pr) * ($4 - pc) : $4; exit }
        pr = $3; pc = $4; had = 1 }' "$work/curve.csv"
}
try() { # SETTINGS
    # shellcheck disable=SC2086
    "$nlsh" build -d "$base" -i "$work/t.nlsh" -m 1024 --epochs 15 --cache "$work/cache" \
        --progress never $1 2>/dev/null
    "$nlsh" evaluate -i "$work/t.nlsh" -d "$base" -q "$queries" -N 10 --csv "$work/curve.csv" \
        --cache "$work/cache" --progress never 2>/dev/null
    printf '| %s | %s | %s |\n' "$1" "$(at 0.95)" "$(at 0.99)"
}

echo '| settings | .95 | .99 |'
echo '|---|---|---|'
for lr in 0.001 0.002 0.004 0.008 0.016; do
    try "--partitioner kmeans --weight_decay 0.01 --lr $lr"
done
for decay in 0.1 0.3; do try "--partitioner kmeans --weight_decay $decay"; done
try '--partitioner kmeans --weight_decay 0.01 --layers 1'
try '--partitioner kmeans --weight_decay 0.01 --lr 0.002 --label_knn 10'
try '--partitioner kmeans --weight_decay 0.01 --lr 0.002 --label_knn 40'
try '--partitioner kmeans --imbalance 3'
for knn in 5 10 20; do try "--partitioner metis --imbalance 0.03 --knn $knn"; done
try '--partitioner metis --knn 10 --imbalance 0.3'
try '--partitioner metis'
try '--partitioner metis --groups 0'
try '--partitioner metis --epochs 40'
try '--partitioner metis --nodes 512'
try '--partitioner metis --nodes 512 --epochs 40'
try '--partitioner metis --nodes 512 --dropout 0.2'
try '--partitioner metis --label_knn 15'
try '--partitioner metis --labels hard'
try '--partitioner metis --refine 1'
