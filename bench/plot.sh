#!/bin/sh
# plot.sh ROWS PREFIX - recall@10 against queries a second, the best points of each method, from the
# rows of bench/run.sh: PREFIX-DATASET-MODE.svg. Needs gnuplot.
set -eu
rows=$1 prefix=$2
command -v gnuplot >/dev/null || exit 1
points=$(mktemp -d)
trap 'rm -rf "$points"' EXIT

# Of the points of a method those that no other one beats in both.
frontier() { # DATASET MODE METHOD VERSION
    awk -F, -v d="$1" -v mode="$2" -v m="$3" -v v="$4" '
        $1 == d && $4 == mode && $2 == m && $3 == v && $6 == 10 { print $7, $8 }' "$rows" |
        sort -k2,2gr -k1,1gr | awk '$1 > best { print; best = $1 }'
}

for which in $(awk -F, 'NR > 1 && $6 == 10 { print $1 ":" $4 }' "$rows" | sort -u); do
    set_=${which%:*} mode=${which#*:} curves='' n=0
    awk -F, -v d="$set_" -v mode="$mode" '$1 == d && $4 == mode && $6 == 10 && $2 != "exact scan" {
        print $2 "," $3 }' "$rows" | awk '!seen[$0]++' >"$points/methods"
    while IFS=, read -r method version; do
        n=$((n + 1))
        frontier "$set_" "$mode" "$method" "$version" >"$points/$n"
        width=1.2
        if [ "$method" = nlsh ]; then width=3; fi
        short=$(printf '%s' "$version" | sed 's/ .*//')
        curves="$curves${curves:+, }'$points/$n' using 1:2 with linespoints lw $width pt $n ps 0.5 title '$method $short'"
    done <"$points/methods"
    gnuplot <<END
set terminal svg size 900,600 font "sans,12" background "white"
set output "$prefix-$set_-$mode.svg"
set title "$set_, $mode: recall@10 against queries a second"
set xlabel "recall@10"
set ylabel "queries a second"
set logscale y
set xrange [0.8:1]
set grid
set key outside right
plot $curves
END
done
