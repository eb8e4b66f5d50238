#!/bin/sh
# streamed.sh BUILD BASE QUERIES MEMORY [WHOLE]: builds BASE in MEMORY, and with the word "whole" in memory as well, and
# says for each the time, the processor time, the largest resident memory, and what recalls of .90, .95 and .99 take.
#
#   bench/scale/streamed.sh build/release sift_base.bvecs sift_query.bvecs 400M whole
#
# Run it as root with NLSH_LIMIT=400M for a limit that the system holds it to (limited.sh).
set -eu
build=$1 base=$2 queries=$3 memory=$4 whole=${5:-}
out=${NLSH_SCALE_OUT:-out/scale}
mkdir -p "$out"
NLSH_CACHE=$out/cache
export NLSH_CACHE

. "$(dirname "$0")/limited.sh"

one() {
    index=$out/$1.nlsh
    shift
    rm -rf "$NLSH_CACHE"
    limited /usr/bin/time -f '  %e s, %U s of processor time, %M kB resident at most' \
        "$build/nlsh" build -d "$base" -i "$index" --force --progress never "$@" 2>&1 | tail -n 3
    "$build/nlsh" evaluate -d "$base" -i "$index" -q "$queries" -N 10 2>&1 >/dev/null | grep '^asked'
}

echo "streamed in $memory:"
one streamed --memory "$memory"
if [ "$whole" = whole ]; then
    echo "in memory:"
    one whole
fi
