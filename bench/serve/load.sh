#!/bin/sh
# load.sh NLSH INDEX [SECONDS]: `nlsh serve` at full speed on loopback for so long (600), by wrk, beside 1,000 connections
# that are idle, some that send half requests, some that send garbage, and clients that send a byte now and then. Prints
# wrk's report, the server's memory each tenth of the time, and what its metrics say of errors. Fails where an answer was
# an error, or memory grew by more than a tenth after the first tenth of the time.
set -eu
nlsh=$1 index=$2 seconds=${3:-600}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/nlsh-load.XXXXXX")
"$nlsh" serve -i "$index" --port 0 --patience 20 >"$work/url" 2>"$work/log" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
while [ ! -s "$work/url" ]; do
    kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
    sleep .1
done
url=$(sed "s,/$,," "$work/url")
python3 "$here/rude.py" "$url" "$seconds" &
rude=$!
resident() { awk '/^VmRSS/ { print $2 }' "/proc/$server/status"; }
wrk -t 2 -c 32 -d "${seconds}s" -s "$here/search.lua" "$url" >"$work/wrk" &
wrk=$!
first=
for tenth in 1 2 3 4 5 6 7 8 9; do
    sleep "$(awk "BEGIN { print $seconds / 10 }")"
    now=$(resident)
    : "${first:=$now}"
    echo "after $tenth tenths: $now kB"
done
wait "$wrk"
wait "$rude" || { echo 'the rude clients hindered somebody' >&2; exit 1; }
cat "$work/wrk"
curl -s "$url/metrics" | grep -E '^nlsh_(requests|connections|queries|body)'
grown=$(awk "BEGIN { print ($now - $first) / $first }")
echo "memory grew by $grown of itself"
if grep -q -e 'Non-2xx' -e 'Socket errors' "$work/wrk"; then echo 'there were errors' >&2; exit 1; fi
awk "BEGIN { exit !($grown < .1) }"
kill -TERM "$server"
wait "$server"
echo 'ended with 0'
