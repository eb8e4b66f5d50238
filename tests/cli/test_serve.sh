# nlsh serve: an address on stdout, answers to any client, changes, a token, signals. serve.py is the client.
. "$(dirname "$0")/lib.sh"
if [ -z "${NLSH_SERVES:-}" ] && "$nlsh" serve -i x.nlsh 2>&1 | grep -q 'built without'; then
    echo 'skipped: built without libmicrohttpd'
    exit 77
fi
if ! command -v python3 >/dev/null; then
    echo 'skipped: no python3 to ask with'
    exit 77
fi
make_data
make_index
pid=

# begin FLAG...: a server of small.nlsh at a free port; its address stands in url.
begin()
{
    : >url
    "$nlsh" serve -i small.nlsh --port 0 "$@" >url 2>log </dev/null &
    pid=$!
    for _ in $(seq 200); do
        if [ -s url ]; then return; fi
        if ! kill -0 "$pid" 2>/dev/null; then break; fi
        sleep .05
    done
    fail "nlsh serve $*: no address"
    cat log >&2
    finish
}

# end SIGNAL CODE: a signal ends it, soon, with that code.
end()
{
    kill "-$1" "$pid"
    wait "$pid"
    code=$?
    checks=$((checks + 1))
    [ "$code" -eq "$2" ] || fail "SIG$1: exit code $code, not $2"
    pid=
}
trap 'if [ -n "$pid" ]; then kill -9 "$pid"; fi; rm -rf "$work"' EXIT

ask() { ok "serve.py $*" python3 "$here/serve.py" "$(cat url)" "$@"; }

# ---- what is refused before anything is served ----
run 66 serve -i none.nlsh --port 0
has err 'none.nlsh'
run 2 serve -i small.nlsh --port 0 --listen 0.0.0.0
has err 'others could ask as well' '--token_file'
run 2 serve -i small.nlsh --port 0 --listen example.org
has err 'is no address'
run 2 serve -i small.nlsh --port 0 --image 5x5
has err '5x5' '16 values'
run 2 serve -i small.nlsh --port 0 --image quux
has err 'or none'
run 2 serve -i small.nlsh --port 70000
printf '\n' >empty
run 2 serve -i small.nlsh --port 0 --token_file empty
has err 'holds no token'
run 66 serve -i small.nlsh --port 0 --token_file nowhere
ok 'nothing was written' test ! -e small.nlsh-log

# ---- searches, and what is wrong ----
begin --image 4x4
has url 'http://127.0.0.1:'
ask search
ask wrong
ask unclear
ask garbage
ask page
end TERM 0
has log 'is served' 'ended'
ok 'a reader writes nothing' test ! -e small.nlsh-log

# ---- changes of others, from the first on ----
begin
run 0 add -i small.nlsh -d query.fvecs -q
ask holds 620
run 0 delete -i small.nlsh 3 -q
ask holds 619
run 0 compact -i small.nlsh -q
ask search_once
end TERM 0
rm small.nlsh small.nlsh-log
make_index

# ---- another index in its place ----
u8bin narrow.u8bin 300 8 3
run 0 build -d narrow.u8bin -i narrow.nlsh -m 8 --epochs 3 --nodes 32 --partitioner kmeans -q
begin --image 4x4
mv narrow.nlsh small.nlsh
ask other_dimension
end TERM 0
rm narrow.u8bin small.nlsh
make_index

# ---- changes ----
begin --write --max_k 40 --max_body 1
run 75 add -i small.nlsh -d base.fvecs
ask change
ask limits
ask crowd
end TERM 0
run 0 info small.nlsh --json
has out '"count": 601'

# ---- the file is taken away from under a writer ----
cp small.nlsh kept.nlsh
begin --write
mv kept.nlsh small.nlsh
ask gone
end TERM 0
has log 'no longer the file that was opened'

# ---- a token, from a file and from the environment ----
printf 'secret-1\n' >token.txt
begin --token_file token.txt
ask token secret-1
end TERM 0
NLSH_TOKEN=secret-2
export NLSH_TOKEN
begin
ask token secret-2
end TERM 0
unset NLSH_TOKEN

# ---- slow clients, and the end ----
begin --patience 1
ask slow
ask half_at_the_end "$pid"
wait "$pid"
code=$?
ok "ended with $code, not 0, while a client waited" test "$code" -eq 0
pid=
no_leftovers
finish
