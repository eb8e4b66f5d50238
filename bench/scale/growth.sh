#!/bin/sh
# growth.sh BUILD FOLDER FILE.svg [MILLIONS...]: how time, memory and candidates grow with the number of vectors.
#
#   bench/scale/growth.sh build/release out/scale docs/plots/growth.svg 1 3 10
#
# Builds the first 1, 3 and 10 million vectors of FOLDER/made.u8bin, which bench_made makes where it is not there, streamed
# in 3 GB, with an empty cache, asks 2,000 others, and puts a row of each into FOLDER/growth.csv: vectors, seconds, seconds
# of processor time, MB resident at most, vectors scanned for .90, .95 and .99, recalls that were reached. Then draws the rows
# that are there, of this and of earlier runs, on logarithmic axes, with the power that each grows with between the first and
# the last. Without numbers it only draws. The indexes stay: FOLDER/made.10.nlsh. As root with NLSH_LIMIT=3G a build is held to
# its memory by the system (limited.sh). Needs gnuplot.
set -eu
. "$(dirname "$0")/limited.sh"
build=$1 folder=$2 plot=$3
shift 3
mkdir -p "$folder"
rows=$folder/growth.csv
base=$folder/made.u8bin queries=$folder/queries.u8bin
[ -s "$rows" ] || echo "vectors,seconds,processor,MB,scanned .90,scanned .95,scanned .99,reached .90,reached .95,reached .99" >"$rows"

if [ $# -gt 0 ] && [ ! -s "$base" ]; then
    most=$(printf '%s\n' "$@" | sort -n | tail -n 1)
    "$build/bench_made" --rows "${most}000000" -o "$base"
fi
if [ $# -gt 0 ]; then "$build/bench_made" --rows 2000 --first 3000000000 -o "$queries"; fi
for millions; do
    index=$folder/made.$millions.nlsh
    times=$(limited /usr/bin/time -f '%e,%U,%S,%M' "$build/nlsh" build -d "$base" --rows ":${millions}000000" -i "$index" --force \
        --memory 3G --no-cache --progress never 2>&1 >/dev/null | tail -n 1)
    scanned=$("$build/nlsh" evaluate -d "$base" --rows ":${millions}000000" -i "$index" -q "$queries" -N 10 --no-cache \
        --progress never 2>/dev/null | awk -F, '$1 == "asked" { printf ",%.0f", $4; reached = reached "," $3 } END { print reached }')
    grep -v "^${millions}000000," "$rows" >"$rows.new"
    echo "$times" | awk -F, -v n="${millions}000000" -v scanned="$scanned" \
        '{ printf "%s,%s,%.0f,%.0f%s\n", n, $1, $2 + $3, $4 / 1000, scanned }' >>"$rows.new"
    sort -t, -k1,1n "$rows.new" >"$rows"
    rm -f "$rows.new"
done

# ", power P" that a column grows with between its first and its last number, if it has two.
power() {
    awk -F, -v c="$1" '$1 + 0 > 0 && $c != "" { if (!n++) { x = $1; y = $c } u = $1; v = $c }
        END { if (n > 1) printf ", power %.2f", log(v / y) / log(u / x) }' "$rows"
}
gnuplot <<END
set terminal svg noenhanced size 900,640 font "sans,13" background "white"
set output "$plot"
set datafile separator ","
set title "How a build and a search grow (bench_made, 128 bytes, --memory 3G)"
set xlabel "vectors"
set logscale xy
set xrange [8e5:*]
set style data linespoints
set xtics ("1 million" 1e6, "3 million" 3e6, "10 million" 1e7, "30 million" 3e7, "100 million" 1e8)
set format y "%'.0f"
set grid lc rgb "#dddddd"
set key below maxcols 2 width 1 samplen 2
plot "$rows" using 1:3 lw 2 pt 7 title "processor, seconds$(power 3)", \
     "$rows" using 1:4 lw 2 pt 5 title "resident at most, MB$(power 4)", \
     "$rows" using 1:5 lw 2 pt 9 title "scanned for .90$(power 5)", \
     "$rows" using 1:6 lw 3 pt 13 title "scanned for .95$(power 6)", \
     "$rows" using 1:7 lw 2 pt 4 title "scanned for .99$(power 7)"
END
