# Names of files that are not what they seem: pipes, devices, links, the input as the output.
. "$(dirname "$0")/lib.sh"
make_data
make_index
mkfifo pipe

# stops WHAT ARGUMENT...: nlsh waits for the pipe, and one SIGTERM ends it: 130, or the code in $code.
stops()
{
    what=$1
    shift
    "$nlsh" "$@" >out 2>err &
    pid=$!
    sleep 0.3
    kill -TERM $pid
    (sleep 10 && kill -KILL $pid) 2>/dev/null &
    guard=$!
    wait $pid
    code=$?
    kill $guard 2>/dev/null
    ok "$what: stopped with $code" test $code -eq 143
}

# A pipe without a reader is an error at once, and nothing was searched or built.
for command in 'search -i small.nlsh -q query.fvecs -o pipe' 'convert base.fvecs pipe --to npy' \
    'groundtruth -d base.fvecs -q query.fvecs -o pipe' 'graph -d base.fvecs -o pipe --knn 5' \
    'evaluate -i small.nlsh -q query.fvecs --csv pipe' 'report small.nlsh -o pipe'; do
    # shellcheck disable=SC2086
    timeout 20 "$nlsh" $command >out 2>err
    code=$?
    ok "$command: $code" test $code -eq 73
    has err 'nobody reads' 'start its reader'
done
# With one it is written whole.
cat pipe >through &
run 0 convert base.fvecs pipe --to fvecs -q
wait $!
ok 'written through a pipe' cmp through base.fvecs

# Pipes as inputs: what is mapped is refused, what is read as a stream may be a pipe.
for command in 'search -i pipe -q query.fvecs' 'search -i small.nlsh -q pipe' 'build -d pipe -i x.nlsh' \
    'info pipe' 'evaluate -i small.nlsh -q query.fvecs --gt pipe' 'report pipe -o page.html' \
    'convert pipe x.npy --from fvecs'; do
    # shellcheck disable=SC2086
    timeout 20 "$nlsh" $command >out 2>err
    code=$?
    ok "$command: $code" test $code -eq 66
    has err 'not a regular file'
done
stops 'settings from a pipe' build -d base.fvecs -i x.nlsh --config pipe
stops 'a list of models from a pipe' search --models_index pipe -q query.fvecs
{ echo '{"m": 8, "epochs": 3,'; sleep 0.2; echo '"nodes": 32}'; } >pipe &
run 0 build -d base.fvecs -i x.nlsh --config pipe -q
wait

# An index is gone back in: a device is refused before the work, which --dry-run's forecast precedes.
for target in /dev/null pipe; do
    timeout 20 "$nlsh" build -d base.fvecs -i $target --no-cache --progress json >out 2>err
    code=$?
    ok "an index to $target: $code" test $code -eq 73
    has err 'no regular file'
    lacks err '"stage"'
done

# A cache entry that is a pipe is no entry, and holds nothing up.
entry=$(ls cache | grep '^graph-' | head -1)
rm "cache/$entry"
mkfifo "cache/$entry"
timeout 60 "$nlsh" build -d base.fvecs -i x.nlsh -m 8 --epochs 3 --nodes 32 --partitioner kmeans -q 2>err
ok 'a pipe in the cache' test $? -eq 0
rm -f "cache/$entry"

# The input is never written over, whatever name it has.
cp base.fvecs in.fvecs
ln in.fvecs hard.fvecs
ln -s in.fvecs soft.fvecs
for name in in.fvecs ./in.fvecs hard.fvecs soft.fvecs "$PWD/in.fvecs"; do
    run 2 convert in.fvecs "$name"
    has err 'would overwrite the input'
done
ok 'the input is as it was' cmp in.fvecs base.fvecs

# A link that points to nothing yet gets what it points to.
mkdir there
ln -s there/new.fvecs later.fvecs
run 0 convert base.fvecs later.fvecs -q
ok 'the link stays' test -L later.fvecs
ok 'what it points to is made' cmp there/new.fvecs base.fvecs
run 0 search -i small.nlsh -q query.fvecs -o later.txt
ln -sf there/r.txt link.txt
run 0 search -i small.nlsh -q query.fvecs -o link.txt
ok 'results behind a link' test -L link.txt -a -s there/r.txt
no_leftovers
finish
