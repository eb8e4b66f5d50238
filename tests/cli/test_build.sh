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
run 2 build -d base.fvecs -i no.nlsh --memory 1G --dry-run
has err '--memory and --dry-run do not go together'
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
finish
