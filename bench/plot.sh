#!/bin/sh
# plot.sh ROWS PREFIX - recall@10 against queries a second, the best points of each method, from the
# rows of bench/run.sh: PREFIXDATASET-MODE.svg. Needs gnuplot. The axis of recall is that of the
# logarithm of what is missing: most of what matters lies between .9 and 1.
set -eu
rows=$1 prefix=$2
command -v gnuplot >/dev/null || exit 1
points=$(mktemp -d)
trap 'rm -rf "$points"' EXIT

# Of the points of a method those that no other one beats in both.
frontier() { # DATASET MODE METHOD VERSION
    awk -F, -v d="$1" -v mode="$2" -v m="$3" -v v="$4" '
        $1 == d && $4 == mode && $2 == m && $3 == v && $6 == 10 { print $7, $8 }' "$rows" |
        sort -k2,2gr -k1,1gr | awk '$1 > best && best < 0.999 {
            best = $1
            print -log(1 - ($1 < 0.999 ? $1 : 0.999)) / log(10), $2
        }'
}

for which in $(awk -F, 'NR > 1 && $6 == 10 { print $1 ":" $4 }' "$rows" | sort -u); do
    set_=${which%:*} mode=${which#*:} curves='' n=0
    awk -F, -v d="$set_" -v mode="$mode" '$1 == d && $4 == mode && $6 == 10 && $2 != "exact scan" {
        print $2 "," $3 }' "$rows" | awk '!seen[$0]++' >"$points/methods"
    while IFS=, read -r method version; do
        n=$((n + 1))
        frontier "$set_" "$mode" "$method" "$version" >"$points/$n"
        width=1.5
        if [ "$method" = nlsh ]; then width=3.5; fi
        short=$(printf '%s' "$version" | sed 's/ .*//')
        curves="$curves${curves:+, }'$points/$n' using 1:2 with linespoints ls $n lw $width title '$method $short'"
    done <"$points/methods"
    gnuplot <<END
set terminal svg noenhanced size 900,720 font "sans,13" background "white"
set output "$prefix$set_-$mode.svg"
set title "$set_, $mode"
set xlabel "recall@10"
set ylabel "queries a second"
set logscale y
set format y "%'.0f"
set ytics (500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000)
set xrange [-log10(1 - 0.75):3.05]
set xtics (".80" -log10(0.2), ".85" -log10(0.15), ".90" 1, ".93" -log10(0.07), ".95" -log10(0.05), \
    ".97" -log10(0.03), ".98" -log10(0.02), ".99" 2, ".995" -log10(0.005), ".999" 3)
set grid lc rgb "#dddddd"
set key below maxcols 3 width 1 samplen 2
set style line 1 lc rgb "#000000" pt 7 ps 0.5
set style line 2 lc rgb "#d62728" pt 5 ps 0.5
set style line 3 lc rgb "#1f77b4" pt 9 ps 0.6
set style line 4 lc rgb "#2ca02c" pt 11 ps 0.6
set style line 5 lc rgb "#9467bd" pt 13 ps 0.6
set style line 6 lc rgb "#ff7f0e" pt 4 ps 0.6
set style line 7 lc rgb "#17becf" pt 6 ps 0.6
set style line 8 lc rgb "#8c564b" pt 8 ps 0.6
set style line 9 lc rgb "#e377c2" pt 10 ps 0.6
set style line 10 lc rgb "#bcbd22" pt 12 ps 0.6
set style line 11 lc rgb "#7f7f7f" pt 1 ps 0.6
set style line 12 lc rgb "#393b79" pt 2 ps 0.6
plot $curves
END
done
