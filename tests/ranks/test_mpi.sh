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

# As many ranks as shards, fewer, and more.
for n in 1 2 3 4; do
    ranks 0 $n search -i x.shards -q query.fvecs --format csv -o x.csv --recall .5,.9,.99
    ok "$n ranks answer as the whole" cmp whole.csv x.csv
    has err "3 shards on $n rank"
done

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

# A rank that is killed: the others end too, and no results stand. Queries without end keep them at work.
u8bin many.u8bin 4000 16 3
mpirun -n 3 "$nlsh" search -i x.shards -q many.u8bin -o none.csv -N 100 -T 23,22,21,20,19,18,17,16 >out 2>err </dev/null &
pid=$!
tries=0
while [ $tries -lt 100 ]; do # a child of mpirun that is no longer mpirun itself
    child=$(for p in /proc/[0-9]*; do
        if [ "$(readlink "$p/exe")" = "$nlsh" ] &&
            grep -q x.shards "$p/cmdline" 2>/dev/null && grep -q many.u8bin "$p/cmdline" 2>/dev/null; then
            echo "${p#/proc/}"
        fi
    done 2>/dev/null | tail -n 1)
    [ -n "$child" ] && break
    tries=$((tries + 1))
    sleep 0.05
done
ok 'a rank was found' test -n "$child"
[ -n "$child" ] && kill -KILL "$child"
wait $pid
code=$?
ok 'mpirun says that it failed' test $code -ne 0
has err 'exited on signal 9'
ok 'no results' test ! -e none.csv
finish
