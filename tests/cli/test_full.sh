# Outputs that cannot be written: 73, and nothing is left behind. A reader that goes: quiet.
. "$(dirname "$0")/lib.sh"
make_data
make_index

if [ -c /dev/full ]; then
    for command in 'search -i small.nlsh -q query.fvecs' 'info small.nlsh' 'help' 'version' \
        'help --man' 'evaluate -i small.nlsh -q query.fvecs' 'search -i small.nlsh -q query.fvecs --json'; do
        # shellcheck disable=SC2086
        "$nlsh" $command >/dev/full 2>err
        code=$?
        ok "nlsh $command >/dev/full: $code" test $code -eq 73
        has err 'error: cannot write' 'No space left'
    done
    run 73 search -i small.nlsh -q query.fvecs -o /dev/full
    has err '/dev/full'
fi
run 0 search -i small.nlsh -q query.fvecs -o /dev/null

# A limit on the size of files stands for a full disk.
(
    ulimit -f 2
    "$nlsh" search -i small.nlsh -q query.fvecs -o r.txt >out 2>err
    echo $? >code
    "$nlsh" build -d base.fvecs -i x.nlsh -m 8 --epochs 3 --nodes 64 --no-cache >out 2>err2
    echo $? >code2
)
ok "search beyond the limit: $(cat code)" test "$(cat code)" -eq 73
ok "build beyond the limit: $(cat code2)" test "$(cat code2)" -eq 73
has err 'r.txt'
has err2 'x.nlsh'
ok 'no results, no index' test ! -e r.txt -a ! -e x.nlsh
no_leftovers
echo mine >r.txt
(
    ulimit -f 2
    "$nlsh" search -i small.nlsh -q query.fvecs -o r.txt >out 2>err
)
ok 'results that were there stay' test "$(cat r.txt)" = mine
no_leftovers

# A real full disk, where one can be had.
mkdir disk
if mount -t tmpfs -o size=16k none disk 2>/dev/null; then
    run 73 search -i small.nlsh -q query.fvecs -o disk/r.txt -N 100
    run 73 build -d base.fvecs -i disk/x.nlsh -m 8 --epochs 3
    run 73 graph -d base.fvecs -o disk/g.graph
    run 73 convert base.fvecs disk/b.fvecs
    ok 'the disk is empty' test -z "$(ls -A disk)"
    umount disk
fi

# The reader has gone: no word, no crash.
for command in 'search -i small.nlsh -q query.fvecs -N 500 -T 8' 'help --man'; do
    # shellcheck disable=SC2086
    { "$nlsh" $command 2>err; echo $? >code; } | head -1 >first
    ok "a closed pipe is quiet ($(cat code))" sh -c 'test ! -s err || ! grep -q error err'
    ok "a closed pipe: code $(cat code)" test "$(cat code)" -eq 141 -o "$(cat code)" -eq 0
done
finish
