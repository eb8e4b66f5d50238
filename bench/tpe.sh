#!/bin/sh
# tpe.sh - the table of docs/tuning.md: the median, over seeds, of the best value of so many trials.
#
#   bench/tpe.sh BUILD_DIR [FUNCTION ...]     all of tests/functions.h where none is named
#
# TRIALS=100 SEEDS=30 PYTHON=python3 OUT=out/tpe. Optuna takes about a second a seed; its rows are
# kept in OUT and not computed again. Without Debian's python3-optuna its columns are empty.
set -eu
build=$1
shift
here=$(dirname "$0")
trials=${TRIALS:-100} seeds=${SEEDS:-30} python=${PYTHON:-python3} out=${OUT:-out/tpe}
optuna=1
cmake --build "$build" --target bench_tpe >/dev/null
bench=$build/bench_tpe
mkdir -p "$out"
[ $# -gt 0 ] || set -- $("$bench" list)
"$python" -c 'import optuna' 2>/dev/null || {
    echo "tpe.sh: $python has no optuna: its columns stay empty (PYTHON=/usr/bin/python3?)" >&2
    optuna=0
}

median() { # of the fourth column of the rows on standard input, however many there are
    cut -d, -f4 | LC_ALL=C sort -g |
        awk '{ v[NR] = $1 } END { if (NR) printf "%.4g", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}
ours() { # FUNCTION SAMPLER
    "$bench" run "$1" "$2" "$trials" "$seeds" | median
}
theirs() { # FUNCTION SAMPLER
    rows=$out/$1.$2.$trials.csv
    [ "$optuna" = 1 ] || return 0
    if [ ! -f "$rows" ] || [ "$(wc -l <"$rows")" -lt "$seeds" ]; then
        "$python" "$here/tpe_optuna.py" "$bench" "$1" "$2" "$trials" "$seeds" >"$rows.part"
        mv "$rows.part" "$rows"
    fi
    head -n "$seeds" "$rows" | median
}

echo "| function | ours | Optuna | Optuna, multivariate | random |"
echo "|---|---|---|---|---|"
for f in "$@"; do
    printf '| %s | %s | %s | %s | %s |\n' "$f" "$(ours "$f" tpe)" "$(theirs "$f" optuna)" \
        "$(theirs "$f" optuna-multivariate)" "$(ours "$f" random)"
done
