# build: where settings come from, dry-run, same bytes, the cache, an interruption.
. "$(dirname "$0")/lib.sh"
make_data
quick='--epochs 3 --nodes 32 --partitioner kmeans'

# defaults < file < flags
echo '{"m": 12, "epochs": 4, "labels": "hard", "lr": 0.004}' >c.json
run 0 build -d base.fvecs --config c.json -m 9 --dry-run
has out 'm              9' 'epochs         4' 'labels         hard' 'lr             0.004' \
    'knn            20' 'forecast'
run 0 build -d base.fvecs -i x.nlsh -m 9 --config c.json --dry-run --json
has out '"m": 9' '"labels": "hard"' '"peak_bytes"'
ok 'a dry run writes nothing' test ! -e x.nlsh
echo '{"mm": 12}' >unknown.json
"$nlsh" build -d base.fvecs -i x.nlsh --config unknown.json 2>err
code=$?
ok "an unknown name in the file is refused ($code)" test $code -eq 2 -o $code -eq 65
has err 'mm'

# The same bytes from one thread and from three, from the cache and without it, from any format.
# shellcheck disable=SC2086
run 0 build -d base.fvecs -i one.nlsh -m 8 $quick --threads 1 --no-cache -q
ok 'quiet' test ! -s err
# shellcheck disable=SC2086
run 0 build -d base.u8bin -i three.nlsh -m 8 $quick --threads 3 --json
ok 'same bytes from three threads' cmp one.nlsh three.nlsh
has out '"partitioner": "kmeans"' '"from_cache": false' '"loss"' '"index_bytes"'
# shellcheck disable=SC2086
run 0 build -d base.fvecs -i again.nlsh -m 8 $quick
has err 'from the cache' 'training' 'in all' 'again.nlsh'
ok 'same bytes from the cache' cmp one.nlsh again.nlsh
ok 'a build without stdout' test ! -s out

# Interrupted: code 128 + the signal's number, no index, nothing half-written; an index that was there stays.
# (In the background timeout signals the child and then its whole group: a second signal, which ends
# the command at once and without a word.)
echo mine >old.nlsh
for ending in INT:130 TERM:143; do
    signal=${ending%:*}
    timeout --foreground -s $signal --preserve-status 3 "$nlsh" build -d base.fvecs -i old.nlsh --force -m 8 \
        --epochs 100000 --nodes 512 --partitioner kmeans >out 2>err
    code=$?
    ok "SIG$signal gives ${ending#*:}, not $code" test $code -eq "${ending#*:}"
    has err 'interrupted'
    ok 'the old file stays' test "$(cat old.nlsh)" = mine
    no_leftovers
done
timeout -s KILL 2 "$nlsh" build -d base.fvecs -i fresh.nlsh -m 8 --epochs 100000 --nodes 512 \
    --partitioner kmeans >out 2>err
ok 'kill -9 leaves no index' test ! -e fresh.nlsh
# shellcheck disable=SC2086
run 0 build -d base.fvecs -i fresh.nlsh -m 8 $quick
has err 'from the cache'

# --memory: what fits is the same index; what cannot be is said, and nothing is written.
# shellcheck disable=SC2086
run 0 build -d base.fvecs -i streamed.nlsh -m 8 $quick --memory 1G
ok 'what fits in memory is the same index' cmp one.nlsh streamed.nlsh
# shellcheck disable=SC2086
run 0 build -d base.u8bin -i streamed.nlsh -m 8 $quick --memory 0.5gb --json
has out '"index_bytes"' '"m": 8'
for size in 0 x 2X 1e99G; do
    run 2 build -d base.fvecs -i no.nlsh --memory $size
    has err 'is no size' '--memory 2G'
done
run 2 build -d base.fvecs -i no.nlsh --memory 10M
has err '10 MB of memory are too little' 'would begin to do'
run 0 build -d base.fvecs -m 8 --memory 1G --dry-run
has out 'forecast' 'of memory, an index of'
lacks out 'of its disk'
run 0 build -d base.fvecs --memory 1G --dry-run --json
has out '"disk_bytes"' '"peak_bytes"'
run 2 build -d base.fvecs --memory 10M --dry-run
has err '10 MB of memory are too little'
run 2 build -d - -i no.nlsh --memory 1G <base.fvecs
has err 'standard input'
printf '1,2\n3,4\n5,7\n' >rows.csv
"$nlsh" build -d rows.csv -i no.nlsh --memory 1G >out 2>err
ok 'text does not stream' test $? -ne 0
has err 'text cannot be read block by block' 'nlsh convert'
ok 'nothing was written' test ! -e no.nlsh
echo mine >old.nlsh
"$nlsh" build -d base.fvecs -i old.nlsh --memory 1G >out 2>err
ok 'what is no index stays' test "$(cat old.nlsh)" = mine
no_leftovers

# --rows and several -d: the same bytes as of a file that holds just these vectors, in memory and streamed.
row=$((4 + 4 * 16)) # bytes of one in base.fvecs
head -c $((250 * row)) base.fvecs >first.fvecs
tail -c $((350 * row)) base.fvecs >second.fvecs
"$nlsh" convert second.fvecs second.fbin -q
gzip -k second.fvecs
awk 'BEGIN { for (i = 0; i < 600; i++) print 7000 - i }' >keys.txt
tail -n 350 keys.txt >second.txt
# shellcheck disable=SC2086
quietly() { run 0 build "$@" -m 8 $quick -q --force; }
# alike FILE FLAG...: the build with these flags has the bytes of the index in the file.
alike()
{
    wanted_bytes=$1
    shift
    for memory in '' '--memory 1G'; do
        # shellcheck disable=SC2086
        quietly "$@" -i alike.nlsh $memory
        ok "same bytes: $* $memory" cmp "$wanted_bytes" alike.nlsh
    done
}
quietly -d first.fvecs -i first.nlsh
quietly -d second.fvecs -i second.nlsh
quietly -d second.fvecs -i keyed.nlsh --keys second.txt
alike first.nlsh -d base.fvecs --rows :250
alike first.nlsh -d base.fvecs --rows 0:250
alike second.nlsh -d base.fvecs --rows 250:
alike second.nlsh -d base.fvecs --rows 250:600
alike second.nlsh -d base.u8bin --rows=250:600
alike one.nlsh -d base.fvecs --rows :
alike one.nlsh -d first.fvecs -d second.fbin
alike one.nlsh -d first.fvecs -d second.fvecs.gz
alike second.nlsh -d first.fvecs -d second.fvecs.gz --rows 250:
alike first.nlsh -d second.fbin -d first.fvecs --rows 350:
alike keyed.nlsh -d base.fvecs --rows 250: --keys keys.txt
alike keyed.nlsh -d first.fvecs -d second.fbin --rows 250: --keys keys.txt
run 0 build -d first.fvecs -d second.fbin --rows 10:110 --dry-run
has out '100 x 16 f32'
quietly -d second.fbin -d first.fvecs -i other.nlsh
ok 'the order counts' test "$(cmp -s one.nlsh other.nlsh; echo $?)" = 1

# What cannot be read block by block is read whole.
awk 'BEGIN { for (i = 0; i < 90; i++) print i "," i * i % 17 "," i % 5 }' >all.csv
tail -n 50 all.csv >end.csv
run 0 build -d end.csv -i end.nlsh -m 2 --epochs 1 --nodes 8 -q
run 0 build -d all.csv --rows 40: -i csv.nlsh -m 2 --epochs 1 --nodes 8 -q
ok 'a part of text' cmp end.nlsh csv.nlsh
head -n 40 all.csv | "$nlsh" build -d - -d end.csv --rows 40:90 -i piped.nlsh -m 2 --epochs 1 --nodes 8 -q
ok 'standard input and text' cmp end.nlsh piped.nlsh

# Of a large file no more comes into memory than is asked for: this one claims 1.6 GB, of which nearly all is a hole.
printf '\000\341\365\005\020\000\000\000' >large.u8bin # 100,000,000 x 16
tail -c $((600 * 16)) base.u8bin >values
cat values >>large.u8bin
limit='ulimit -d 1000000'
(eval "$limit" && exec "$nlsh" version) >/dev/null 2>&1 || limit=: # a sanitizer takes more to begin with
truncate -s $((8 + 16 * 100000000 - 600 * 16)) large.u8bin
cat values >>large.u8bin
for rows in :600 99999400:; do
    # shellcheck disable=SC2086
    (
        eval "$limit"
        exec "$nlsh" build -d base.u8bin -d large.u8bin --rows "$rows" -i large.nlsh -m 8 $quick -q --force
    ) >out 2>err
    code=$?
    case $rows in
        :600) ok "the first rows of a large base ($code)" cmp one.nlsh large.nlsh ;;
        *) ok "a hole before the last rows is no obstacle ($code)" test $code -eq 0 ;;
    esac
done
alike one.nlsh -d large.u8bin --rows 99999400:
rm large.u8bin

# What is no part, and what is no one base.
for rows in 5:5 7:3 a:b 5 -5 '' 1:2:3 ' 1:2' +1:2 1:-1; do
    for memory in '' '--memory 1G'; do
        # shellcheck disable=SC2086
        run 2 build -d first.fvecs -d second.fbin "--rows=$rows" -i no.nlsh $memory
        has err "--rows $rows: that is no" 'the base has 600 rows' '--rows 0:600'
    done
done
for rows in 600: 0:601 :601 700: 99999999999999999999: :99999999999999999999; do
    run 2 build -d base.fvecs --rows $rows -i no.nlsh
    has err 'not all of them are there, and the base has 600 rows'
done
run 2 build -d base.fvecs --rows -1:5 -i no.nlsh
has err 'counted from 0'
run 2 build -d base.fvecs --rows 0:1 -i no.nlsh
has err 'the base has 1 vector'
run 65 build -d base.fvecs --rows 250: --keys second.txt -i no.nlsh
has err 'second.txt holds 350 keys, the base 600 vectors'
for memory in '' '--memory 1G'; do
    # shellcheck disable=SC2086
    run 65 build -d first.fvecs -d base.u8bin -i no.nlsh $memory
    has err 'first.fvecs holds values of type f32, base.u8bin of type u8' 'nlsh convert'
    # shellcheck disable=SC2086
    run 66 build -d first.fvecs -d none.fbin -i no.nlsh $memory
    has err 'none.fbin'
    # shellcheck disable=SC2086
    run 65 build -d first.fvecs -d second.fbin -type sift -i no.nlsh $memory
    has err 'second.fbin is fbin, but -type sift means fvecs or bvecs'
    head -c 20000 second.fvecs >cut.fvecs
    # shellcheck disable=SC2086
    run 65 build -d first.fvecs -d cut.fvecs -i no.nlsh $memory
    has err 'cut.fvecs'
    head -c 5000 second.fvecs.gz >cut.fvecs.gz
    # shellcheck disable=SC2086
    run 65 build -d first.fvecs -d cut.fvecs.gz -i no.nlsh $memory
    has err 'cut.fvecs.gz'
    : >empty.fbin
    # shellcheck disable=SC2086
    run 65 build -d empty.fbin -d first.fvecs -i no.nlsh $memory
    has err 'empty.fbin: the file is empty'
    for file in first.fvecs second.fbin; do
        # shellcheck disable=SC2086
        run 2 build -d first.fvecs -d second.fbin -i $file --force $memory
        has err "-i $file would overwrite the input $file"
    done
done
run 65 build -d all.csv -d first.fvecs -i no.nlsh
has err 'all.csv holds vectors of 3 values, first.fvecs of 16'
run 2 build -d base.fvecs -d - --memory 1G -i no.nlsh
has err 'standard input'
# shellcheck disable=SC2046
run 2 build -i no.nlsh $(awk 'BEGIN { for (i = 0; i < 1025; i++) print "-d base.fvecs" }')
has err '-d can be given 1024 times'
(while sleep 0.1; do echo 1,2,3 || exit; done) 2>/dev/null |
    timeout --foreground -s INT --preserve-status 1 "$nlsh" build -d first.fvecs -d - -i no.nlsh >out 2>err
code=$?
ok "a signal while a second file is read gives 130, not $code" test $code -eq 130
has err 'interrupted'
ok 'nothing was written' test ! -e no.nlsh

# Who has the vectors of such an index has to say the same, in every verb.
same_rows='-d first.fvecs -d second.fbin --rows 250:'
quietly -d base.fvecs --rows 250: -i second.nlsh
# shellcheck disable=SC2086
{
    run 0 evaluate -i second.nlsh -q query.fvecs $same_rows --csv part.csv
    run 0 evaluate -i second.nlsh -q query.fvecs -d second.fvecs --csv file.csv
    ok 'evaluate knows a part' cmp part.csv file.csv
    run 0 compare second.nlsh keyed.nlsh -q query.fvecs $same_rows
    run 0 search -i second.nlsh -q query.fvecs $same_rows
    run 0 bench -i second.nlsh -q query.fvecs $same_rows --methods brute --seconds 0.01
    run 0 groundtruth -q query.fvecs $same_rows -o part.ivecs
    run 0 graph $same_rows -o part.graph
}
run 0 groundtruth -q query.fvecs -d second.fvecs -o file.ivecs
ok 'groundtruth knows a part' cmp part.ivecs file.ivecs
run 0 graph -d second.fvecs -o file.graph
ok 'graph knows a part' cmp part.graph file.graph
run 0 tune -d first.fvecs -d second.fbin --rows 250: -i t --dry-run
has out '350'
run 65 evaluate -i second.nlsh -q query.fvecs -d base.fvecs
has err 'base.fvecs holds 600 vectors of 16 values, the index second.nlsh 350 of 16' '--rows'
run 65 evaluate -i second.nlsh -q query.fvecs -d first.fvecs -d second.fbin --rows 100:450
has err 'part 100:450 of first.fvecs and 1 more file: these vectors are not those of the index second.nlsh'
run 2 evaluate -i second.nlsh -q query.fvecs --rows 250:
has err '--rows 250:: of which base?' 'give -d BASE'
run 2 search -i second.nlsh -q query.fvecs $same_rows -o first.fvecs
has err '-o first.fvecs would overwrite the input first.fvecs'
no_leftovers
finish
