# An index that changes: add, delete and compact, and the commands that know the log; what they say of faults; full
# disks; processes that are killed. NLSH_KILLS says how many are killed (20), NLSH_TEST_SEED when.
. "$(dirname "$0")/lib.sh"
kills=${NLSH_KILLS:-20} seed=${NLSH_TEST_SEED:-1}
make_data
make_index
cp small.nlsh base.nlsh
u8bin new.u8bin 50 16 3
u8bin many.u8bin 2000 16 5

# fresh: the index as it was built, and no log.
fresh()
{
    rm -f small.nlsh-log
    cp base.nlsh small.nlsh
}

# number NAME: the first number of that name in out, which is JSON.
number()
{
    sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" out | head -1
}

# holds N WHAT: that many vectors.
holds()
{
    run 0 info small.nlsh --json
    ok "$2: $(number count) vectors, not $1" test "$(number count)" = "$1"
}

# ---- what they do ----
run 0 add -i small.nlsh -d new.u8bin
has err '50 vectors were put' 'holds 650'
run 0 add -i small.nlsh -d new.u8bin --json -q
has out '"added": 50' '"vectors": 700' '"first_key": 650' '"log_bytes"' '"file": "small.nlsh"'
ok 'quiet' test ! -s err
seq 640 689 >keys.txt
run 0 add -i small.nlsh -d new.u8bin --keys keys.txt --batch 7 --json
has out '"added": 50' '"vectors": 700' '"first_key": 640'
run 0 delete -i small.nlsh 1 2 2 3 99999
has err '3 of 5 vectors were deleted; the others were not there'
run 0 delete -i small.nlsh 1 4 --json
has out '"keys": 2' '"deleted": 1'
echo 10 >keys.txt
run 0 delete -i small.nlsh --keys keys.txt
holds 695 'added and deleted'
run 0 info small.nlsh
has out '695 x 16' 'log '
run 0 verify small.nlsh
run 0 search -i small.nlsh -q new.u8bin -N 1 -T 8
has out 'Nearest neighbor-1: 6'
run 0 search -i small.nlsh -q base.u8bin -N 1 -T 8 --json
lacks out '"keys": [2]'
# all buckets: every neighbour is found, and none that was deleted
run 0 evaluate -i small.nlsh -q query.u8bin -N 10 --csv curve.csv
ok 'all buckets find everything' grep -q '^top,8,1.000000,' curve.csv
# what was put where the router knows nothing is found, too
run 0 search -i small.nlsh -q query.u8bin -N 10 --recall .99 --json
ok 'what was put is found' grep -q '"recall":\(1\.0\|0\.9[5-9]\)' out
run 65 evaluate -i small.nlsh -d base.u8bin -q query.u8bin
has err 'base.u8bin holds 600 vectors' '695'
u8bin sample.u8bin 100 16 9
run 0 info small.nlsh --json
ok 'changes are counted' test "$(number since_measured)" = 205
run 0 calibrate -i small.nlsh -q sample.u8bin
holds 695 'calibrated'
ok 'calibrated: no change since' test "$(number since_measured)" = 0
run 0 compact -i small.nlsh
has err 'one file of 695 vectors'
holds 695 'compacted'
run 0 verify small.nlsh
run 0 compact -i small.nlsh --json
has out '"vectors": 695' '"from_log": 0' '"dropped": 0'
run 0 search -i small.nlsh -q new.u8bin -N 1 -T 8
has out 'Nearest neighbor-1: 6'

# ---- a build in its place ----
run 0 add -i small.nlsh -d new.u8bin
run 73 build -d base.fvecs -i small.nlsh -m 8 --epochs 3 --nodes 32 --partitioner kmeans
run 0 build -d base.fvecs -i small.nlsh -m 8 --epochs 3 --nodes 32 --partitioner kmeans --force
holds 600 'built over an index with a log'
run 0 verify small.nlsh
run 0 add -i small.nlsh -d new.u8bin --json
has out '"vectors": 650' '"first_key": 600'

# ---- what they say of faults ----
fresh
run 2 delete -i small.nlsh
has err 'no keys are given'
run 2 delete -i small.nlsh 12x
has err '12x is no key'
run 2 delete -i small.nlsh 18446744073709551615
has err 'is no key'
run 66 add -i none.nlsh -d new.u8bin
has err 'none.nlsh'
ok 'no log beside what is not there' test ! -e none.nlsh-log
run 66 add -i small.nlsh -d none.u8bin
u8bin other.u8bin 5 8 1
run 65 add -i small.nlsh -d other.u8bin
has err 'other.u8bin' 'hint:'
printf '1\n2\n' >keys.txt
run 65 add -i small.nlsh -d new.u8bin --keys keys.txt
has err 'keys.txt'
holds 600 'refused'
run 0 add -i small.nlsh -d new.u8bin
cp small.nlsh-log whole
printf 'x' | dd of=small.nlsh-log bs=1 seek=200 conv=notrunc 2>/dev/null
run 65 add -i small.nlsh -d new.u8bin # the writer that closed said that it was durable
has err 'damaged at byte 64, in record 1' 'is whole again'
head -c 1000 whole >small.nlsh-log
run 0 info small.nlsh
has out 'of a put that was interrupted'
run 0 add -i small.nlsh -d new.u8bin # a torn end
run 0 add -i small.nlsh -d new.u8bin
printf 'y' | dd of=small.nlsh-log bs=1 seek=200 conv=notrunc 2>/dev/null
run 1 verify small.nlsh
has err 'small.nlsh-log' 'damaged at byte 64' 'drop_damaged'
run 65 add -i small.nlsh -d new.u8bin
has err 'damaged at byte 64'
run 0 info small.nlsh
ok 'what info says of a log fits 80 columns' awk 'length > 80 { bad = 1; print } END { exit bad }' out
has out 'DAMAGED'
run 65 compact -i small.nlsh
has err 'drop_damaged'
run 0 compact -i small.nlsh --drop_damaged
holds 600 'without what was behind the damage'
run 0 build -d many.u8bin -i other.nlsh -m 8 --epochs 1 --nodes 16 --partitioner kmeans -q
run 0 add -i other.nlsh -d new.u8bin -q
mv other.nlsh-log small.nlsh-log
run 65 search -i small.nlsh -q query.u8bin
has err 'small.nlsh-log: the log of another index' 'hint:'
fresh

# ---- another writer ----
mkfifo pipe
"$nlsh" add -i small.nlsh -d - --batch 1 -q <pipe >/dev/null 2>&1 &
exec 9>pipe # it reads, and has not opened the index yet
exec 9>&-
wait
if command -v flock >/dev/null; then
    : >>small.nlsh-log
    flock small.nlsh-log sleep 3 &
    sleep 0.5
    run 75 add -i small.nlsh -d new.u8bin
    has err 'another writer has it open' 'hint:'
    run 75 compact -i small.nlsh
    run 75 build -d base.fvecs -i small.nlsh -m 8 --epochs 1 --nodes 16 --partitioner kmeans
    run 0 search -i small.nlsh -q query.u8bin
    wait
    run 0 add -i small.nlsh -d new.u8bin
fi
fresh

# ---- no room, no right ----
(
    ulimit -f 16 # of 512 or 1024 bytes
    "$nlsh" add -i small.nlsh -d many.u8bin --batch 50 >out 2>err
    echo $? >code
)
ok "add beyond the limit: $(cat code)" test "$(cat code)" -eq 73
has err 'small.nlsh-log' 'the first'
put=$(sed -n 's/.*the first \([0-9]*\) vectors were put.*/\1/p' err)
holds $((600 + put)) 'beyond the limit'
ok 'some were put' test "$put" -gt 0
run 0 add -i small.nlsh -d new.u8bin
holds $((650 + put)) 'after it'
(
    ulimit -f 8
    "$nlsh" compact -i small.nlsh -q >out 2>err
    echo $? >code
)
ok "compact beyond the limit: $(cat code)" test "$(cat code)" -eq 73
holds $((650 + put)) 'compacted beyond the limit'
no_leftovers
mkdir disk
if mount -t tmpfs -o size=64k none disk 2>/dev/null; then
    cp base.nlsh disk/small.nlsh
    run 73 add -i disk/small.nlsh -d many.u8bin --batch 20
    has err 'small.nlsh-log' 'No space left' 'make room'
    put=$(sed -n 's/.*the first \([0-9]*\) vectors were put.*/\1/p' err)
    run 0 info disk/small.nlsh --json
    ok 'a full disk holds what was put' test "$(number count)" = $((600 + put))
    run 73 compact -i disk/small.nlsh
    run 0 verify disk/small.nlsh
    umount disk
fi
if [ "$(id -u)" -ne 0 ]; then
    fresh
    mkdir closed
    cp base.nlsh closed/small.nlsh
    chmod 555 closed
    run 73 add -i closed/small.nlsh -d new.u8bin
    has err 'closed/small.nlsh-log' 'may be written'
    run 0 search -i closed/small.nlsh -q query.u8bin
    chmod 755 closed
fi

# ---- killed ----
# Batches of 40 that are put one after another; each says how far it is. Afterwards all that was said is there, whole
# batches alone, and it goes on. Some processes that compact are killed, too.
# When: within the time that the whole command takes here.
milliseconds() {
    begin=$(date +%s%N)
    "$nlsh" "$@" -q >/dev/null 2>&1
    echo $((($(date +%s%N) - begin) / 1000000))
}
fresh
add_ms=$(milliseconds add -i small.nlsh -d many.u8bin --batch 40)
compact_ms=$(milliseconds compact -i small.nlsh --threads 1)
fresh
awk -v n="$kills" -v seed="$seed" -v add="$add_ms" -v compact="$compact_ms" 'BEGIN {
    srand(seed)
    for (i = 0; i < n; i++) {
        what = rand() < .7 ? "add" : "compact"
        printf "%s %.4f\n", what, rand() * (what == "add" ? add : compact) / 1000
    }
}' >plan
in_time=0
have=600
while read -r what when; do
    if [ "$what" = add ]; then
        "$nlsh" add -i small.nlsh -d many.u8bin --batch 40 --progress json >/dev/null 2>progress &
    else
        "$nlsh" compact -i small.nlsh --threads 1 -q >/dev/null 2>progress &
    fi
    pid=$!
    sleep "$when"
    kill -s KILL $pid 2>/dev/null
    { wait $pid; } 2>/dev/null
    ended=$?
    if [ $ended -eq 137 ]; then in_time=$((in_time + 1)); fi
    run 0 info small.nlsh --json
    now=$(number count)
    if [ "$what" = compact ]; then
        ok "compact killed after $when s: $now vectors, not $have" test "$now" -eq "$have"
    else
        said=$(sed -n 's/.*"stage":"adding".*"done":\([0-9]*\).*/\1/p' progress | tail -1)
        if [ $ended -eq 0 ]; then said=2000; fi
        ok "add killed after $when s: $now vectors of $have + ${said:-0}" \
            test "$now" -ge $((have + ${said:-0})) -a "$now" -le $((have + 2000))
        ok "add killed after $when s: half a batch of $now" test $(((now - have) % 40)) -eq 0
    fi
    have=$now
    run 0 verify small.nlsh
done <plan
echo "$in_time of $kills killed in time; $have vectors"
ok 'some were killed in time' test $((in_time * 10)) -gt "$kills" # most on an idle machine
run 0 add -i small.nlsh -d new.u8bin
run 0 compact -i small.nlsh
holds $((have + 50)) 'in the end'
no_leftovers
finish
