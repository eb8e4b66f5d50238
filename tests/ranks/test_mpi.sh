# The command under mpirun: the same results from 1, 2 and 3 ranks; one that dies ends them all and leaves nothing behind.
. "$(dirname "$0")/../cli/lib.sh"
if ! command -v mpirun >/dev/null; then
    echo 'no mpirun (Debian: openmpi-bin): skipped'
    exit 77
fi
# Of Open MPI: it may run as root, as it does in containers, and more ranks than there are cores.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
if ! mpirun -n 2 true >out 2>err; then
    echo 'mpirun does not start processes here: skipped'
    cat err
    exit 77
fi

# ranks CODE N ARGUMENT...: the command in N ranks.
ranks()
{
    wanted=$1 n=$2
    shift 2
    mpirun -n "$n" "$nlsh" "$@" >out 2>err </dev/null
    code=$?
    checks=$((checks + 1))
    if [ $code -ne "$wanted" ]; then
        fail "mpirun -n $n nlsh $*: exit code $code, not $wanted"
        sed 's/^/    /' out err | head -20 >&2
    fi
}

make_data 2000
"$nlsh" build -d base.fvecs -i whole.nlsh -m 24 --epochs 3 --nodes 32 --partitioner kmeans --leaves 1 -q || exit 1
"$nlsh" search -i whole.nlsh -q query.fvecs --format csv -o whole.csv --recall .5,.9,.99 --quiet || exit 1
run 0 shard -i whole.nlsh -o x.shards --shards 3

run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs -N 10

# As many ranks as shards, fewer, and more; true neighbours found, and from a file.
for n in 1 2 3 4; do
    ranks 0 $n search -i x.shards -q query.fvecs --format csv -o x.csv --recall .5,.9,.99
    ok "$n ranks answer as the whole" cmp whole.csv x.csv
    has err "3 shards on $n rank"
    ranks 0 $n search -i x.shards -q query.fvecs --format csv -o x.csv --recall .5,.9,.99 --gt gt.ivecs
    ok "$n ranks answer as the whole with --gt" cmp whole.csv x.csv
done

# Built by ranks: one writes the bytes of one process; several the same index in parts, whether it fits in memory or not.
quick='-m 24 --epochs 3 --nodes 32 --partitioner kmeans --leaves 1 --no-cache'
ok 'alone' "$nlsh" build -d base.fvecs -i alone.nlsh $quick --memory 1G -q
for n in 1 3; do
    ranks 0 $n build -d base.fvecs -i b.shards $quick --memory 1G
    has err "b.shards names $n shard"
    run 0 verify b.shards
    run 0 search -i alone.nlsh -q query.fvecs --format csv -o alone.csv --recall .5,.9,.99
    run 0 search -i b.shards -q query.fvecs --format csv -o b.csv --recall .5,.9,.99
    ok "$n ranks build what one process does" cmp alone.csv b.csv
    [ $n != 1 ] || ok 'one rank writes its bytes' cmp alone.nlsh b.shards.0.nlsh
done
u8bin large.u8bin 40000 16 5
quick='-m 24 --epochs 1 --nodes 32 --partitioner kmeans --leaves 1 --knn 60 --no-cache'
ok 'alone, in a part of the memory' "$nlsh" build -d large.u8bin -i alone2.nlsh $quick --memory 70M >/dev/null 2>err
has err 'of 40000 vectors'
ranks 0 3 build -d large.u8bin -i c.shards $quick --memory 70M
has err 'of 40000 vectors, on rank 0'
run 0 search -i alone2.nlsh -q query.u8bin --format csv -o alone.csv --recall .5,.9,.99
ranks 0 2 search -i c.shards -q query.u8bin --format csv -o c.csv --recall .5,.9,.99
ok 'ranks build what one process does of rows that stream' cmp alone.csv c.csv
no_leftovers
ranks 2 2 build -d base.fvecs -i none.shards $quick
has err 'needs --memory'
cp b.shards kept.shards
ranks 73 2 build -d large.u8bin -i b.shards $quick --memory 1G
has err 'b.shards names shards of other vectors'
cmp b.shards kept.shards || fail 'it was replaced'
ranks 66 2 build -d nowhere.fvecs -i none.shards $quick --memory 1G
ranks 2 2 build -d base.fvecs -i none.shards $quick --memory 1M
has err 'are too little'
ok 'nothing of what failed' test ! -e none.shards

# What is wrong is said once, and nobody waits.
mv x.shards.2.nlsh away
ranks 66 3 search -i x.shards -q query.fvecs --format csv -o none.csv
ok 'said once' test "$(grep -c 'error: .*x.shards.2.nlsh' err)" = 1
ranks 0 2 search -i x.shards -q query.fvecs --partial -o partial.txt
has partial.txt 'Buckets not searched: 0.'
mv away x.shards.2.nlsh
ranks 2 2 search -i whole.nlsh -q query.fvecs -o none.csv
has err 'whole.nlsh is no index in shards'
ranks 2 2 info whole.nlsh
has err 'mpirun started 2'
ranks 66 3 search -i x.shards -q nowhere.fvecs -o none.csv
has err 'nowhere.fvecs'

# A rank that is killed: the others end too, and nothing stands that is half done. Work without end keeps them at it.
# victim TEXT: one of the ranks whose command has the text, not mpirun itself.
victim()
{
    tries=0 child=
    while [ $tries -lt 200 ] && [ -z "$child" ]; do
        child=$(for p in /proc/[0-9]*; do
            if [ "$(readlink "$p/exe")" = "$nlsh" ] && grep -q "$1" "$p/cmdline"; then
                echo "${p#/proc/}"
            fi
        done 2>/dev/null | tail -n 1)
        tries=$((tries + 1))
        sleep 0.05
    done
}

# killed TEXT ARGUMENT...: three ranks, one of which is killed while it is at work.
killed()
{
    text=$1
    shift
    mpirun -n 3 "$nlsh" "$@" >out 2>err </dev/null &
    pid=$!
    victim "$text"
    ok "a rank was found: $text" test -n "$child"
    sleep 0.5
    [ -n "$child" ] && kill -KILL "$child"
    wait $pid
    code=$?
    ok "mpirun says that it failed: $text" test $code -ne 0
    has err 'exited on signal 9'
}
u8bin many.u8bin 4000 16 3
killed many.u8bin search -i x.shards -q many.u8bin -o none.csv -N 100 -T 23,22,21,20,19,18,17,16
ok 'no results' test ! -e none.csv
killed none.shards build -d large.u8bin -i none.shards -m 24 --epochs 50 --no-cache --memory 70M
ok 'no index' test ! -e none.shards -a ! -e none.shards.0.nlsh -a ! -e none.shards.1.nlsh
finish
