#!/bin/sh
# tpe_optuna.sh BENCH_TPE ROOT: Optuna itself on two of the functions, ten seeds each: what it finds
# is what bench/tpe.sh recorded (the version it was recorded with, only), and our median is no worse.
# Takes 20 s of a processor. 77 where python3-optuna is not installed.
set -eu
bench=$1 root=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for python in python3 /usr/bin/python3; do
    version=$("$python" -c 'import optuna; print(optuna.__version__)' 2>/dev/null) && break
done
if [ -z "$version" ]; then
    echo "skipped: python3-optuna is not installed"
    exit 77
fi

median_of_ten() {
    cut -d, -f4 "$1" | LC_ALL=C sort -g | awk '{ v[NR] = $1 } END { print (v[5] + v[6]) / 2 }'
}

check() { # FUNCTION, the recorded median of Optuna 3.1.0 over seeds 1 to 10
    "$python" "$root/bench/tpe_optuna.py" "$bench" "$1" optuna 100 10 >"$work/theirs"
    "$bench" run "$1" tpe 100 10 >"$work/ours"
    theirs=$(median_of_ten "$work/theirs") ours=$(median_of_ten "$work/ours")
    echo "$1: ours $ours, Optuna $version $theirs"
    [ "$(wc -l <"$work/theirs")" = 10 ] || { echo "$1: not ten rows"; exit 1; }
    awk -v a="$ours" -v b="$theirs" 'BEGIN { exit !(a <= b) }' || { echo "$1: ours is worse"; exit 1; }
    [ "$version" != 3.1.0 ] ||
        awk -v a="$2" -v b="$theirs" 'BEGIN { exit !((a - b)^2 < (1e-4 * b)^2) }' ||
        { echo "$1: $2 was recorded"; exit 1; }
}

check branin 0.414178
check mixed 0.0329163
