#!/bin/sh
# killed.sh BUILD BASE MEMORY [KILLS [FLAG...]]: a build of BASE in MEMORY that is killed (SIGKILL) 10 or KILLS times, each after some
# random seconds more, and goes on. Says what each found there, and whether the bytes are those of a build that nobody
# stopped. SEED=N takes other moments.
#
#   bench/scale/killed.sh build/release sift_base.bvecs 400M
set -eu
build=$1 base=$2 memory=$3 kills=${4:-10}
if [ $# -gt 4 ]; then shift 4; else shift $#; fi
flags=$*
out=${NLSH_SCALE_OUT:-out/scale}
mkdir -p "$out"
build() { # in place of this shell: what is killed is nlsh itself
    # shellcheck disable=SC2086
    exec "$build/nlsh" build $flags -d "$base" -i "$1" --memory "$memory" --no-cache --force --progress never
}
rm -f "$out"/killed.nlsh*
began=$(date +%s)
(build "$out/whole.nlsh" 2>"$out/whole.log")
seconds=$(($(date +%s) - began))
echo "nobody stopped it: $seconds s"
awk -v seed="${SEED:-1}" -v n="$kills" -v most="$seconds" \
    'BEGIN { srand(seed); for (i = 0; i < n; i++) print 1 + int(rand() * most) }' >"$out/moments"
while read -r moment; do
    build "$out/killed.nlsh" 2>"$out/killed.log" &
    pid=$!
    # the process ends by itself where it is done before
    (sleep "$moment"; kill -9 "$pid" 2>/dev/null) &
    sleeper=$!
    code=0
    wait "$pid" 2>/dev/null || code=$?
    kill "$sleeper" 2>/dev/null || :
    echo "after $moment s: exit code $code; $(grep 'goes on where' "$out/killed.log" || echo 'it had begun anew')"
done <"$out/moments"
(build "$out/killed.nlsh" 2>"$out/killed.log")
grep 'goes on where' "$out/killed.log" || :
cmp "$out/whole.nlsh" "$out/killed.nlsh" && echo 'the same bytes'
ls "$out" | grep unfinished && exit 1 || echo 'nothing is left'
