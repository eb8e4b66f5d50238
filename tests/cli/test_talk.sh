# stderr: progress in its modes, colours only on a terminal, quiet.
. "$(dirname "$0")/lib.sh"
make_data 49 # one build, not six: make/folds.h
make_index
escape=$(printf '\033')

# Long enough that progress is told: NLSH_EPOCHS says how many that takes where epochs are slow.
long="build -d base.fvecs -i x.nlsh -m 8 --epochs ${NLSH_EPOCHS:-2000} --partitioner kmeans --no-cache"
# shellcheck disable=SC2086
run 0 $long --progress json
has err '"stage":"reading"' '"event":"progress"' '"event":"stage"' '"stage":"training"' '"rate"' '"eta"' '"event":"note"'
ok 'one object a line' awk '!/^\{.*\}$/ { bad = 1; print } END { exit bad }' err
if command -v python3 >/dev/null; then
    ok 'each line is JSON' python3 -c 'import json; [json.loads(l) for l in open("err")]'
fi
run 66 build -d nothing -i x.nlsh --progress json
has err '{"event":"error"' '"exit":66'
# shellcheck disable=SC2086
run 0 $long
lacks err '%  '
lacks err "$escape"
# shellcheck disable=SC2086
run 0 $long --progress always
has err 'ETA' 'training'
lacks err "$escape"
# shellcheck disable=SC2086
run 0 $long --progress never
lacks err 'ETA'
run 0 search -i small.nlsh -q query.fvecs -o r.txt --quiet
ok 'quiet' test ! -s err
run 66 search -i small.nlsh -q nothing --quiet
has err 'error: '

# On a terminal: a bar that goes, and colours unless NO_COLOR or TERM=dumb.
if command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1; then
    on_terminal()
    {
        script -qec "stty cols 80 2>/dev/null; $1" /dev/null </dev/null >seen 2>&1
    }
    TERM=xterm
    export TERM
    on_terminal "'$nlsh' $long"
    has seen 'ETA' "$escape[K"
    on_terminal "'$nlsh' info nothing"
    has seen "$escape[1;31merror:$escape[0m"
    on_terminal "NO_COLOR=1 '$nlsh' info nothing"
    has seen 'error: nothing'
    lacks seen "$escape["
    on_terminal "NO_COLOR= '$nlsh' info nothing"
    has seen "$escape[1;31m"
    on_terminal "'$nlsh' info nothing --color never"
    has seen 'error: nothing'
    lacks seen "$escape["
    on_terminal "NO_COLOR=1 '$nlsh' info --colour --color always nothing"
    has seen "$escape[1;31merror:"
    on_terminal "TERM=dumb '$nlsh' $long"
    lacks seen "$escape["
    lacks seen 'ETA'
    on_terminal "'$nlsh' $long --progress never"
    lacks seen 'ETA'
    # What is said ends its lines between words; elsewhere each stays a line.
    on_terminal "stty cols 44; '$nlsh' search -i small.nlsh -q query.fvecs -o r.txt --progress never"
    has seen 'queries a second on 1 thread'
    ok 'lines of a terminal' awk '{ sub("\r", "") } length > 44 { bad = 1; print } END { exit bad }' seen
    run 0 search -i small.nlsh -q query.fvecs -o r.txt
    ok 'lines of a file' grep -q 'queries a second on 1 thread: the median of .* to ' err
    on_terminal "'$nlsh' $long -q"
    ok 'quiet on a terminal' test ! -s seen
fi
finish
