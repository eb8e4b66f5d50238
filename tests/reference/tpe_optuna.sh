#!/bin/sh
# tpe_optuna.sh BENCH_TPE ROOT: our TPE is no worse than Optuna's on two functions. Both run here and
# now: nothing is compared with numbers of another processor or another version of Optuna.
#
# Optuna takes eight seeds, ours a hundred, which cost less. tpe_compare.py says what "no worse" is. The
# same rule must refuse random search, or it could not refuse anything. Takes 10 s of a processor. 77
# where python3-optuna is not installed.
set -eu
bench=$1 root=$2 trials=50
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

version=
for python in python3 /usr/bin/python3; do
    version=$("$python" -c 'import optuna; print(optuna.__version__)' 2>/dev/null) && break
done
if [ -z "$version" ]; then
    echo "skipped: python3-optuna is not installed"
    exit 77
fi
echo "Optuna $version"

# no_worse FUNCTION SAMPLER: whether ours is no worse than Optuna.
no_worse()
{
    "$bench" run "$1" "$2" $trials 100 >"$work/ours"
    "$python" "$root/tests/reference/tpe_compare.py" "$work/ours" "$work/theirs"
}

for function in branin mixed; do
    "$python" "$root/bench/tpe_optuna.py" "$bench" $function optuna $trials 8 >"$work/theirs"
    no_worse $function tpe || { echo "$function: ours is worse"; exit 1; }
    ! no_worse $function random || { echo "$function: random search would do as well"; exit 1; }
done
