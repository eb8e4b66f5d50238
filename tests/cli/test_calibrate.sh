# calibrate: promises for a sample of queries; into another file, in place, and what is refused.
. "$(dirname "$0")/lib.sh"
make_data
u8bin sample.u8bin 60 16 2
"$nlsh" convert sample.u8bin sample.fvecs -q || exit 1
run 0 build -d base.fvecs -i x.nlsh -m 8 --epochs 3 --nodes 32 --partitioner kmeans
cp x.nlsh kept.nlsh

run 0 calibrate -i x.nlsh -q sample.fvecs -o y.nlsh --json
has err 'asked for recall@10 .95, these'
ok 'the answer is JSON' grep -q '"candidates_before"' out
ok 'the first stays' cmp -s x.nlsh kept.nlsh
run 0 verify y.nlsh
run 0 search -i y.nlsh -q query.fvecs --recall .9 --no-cache

run 0 calibrate -i x.nlsh -q sample.fvecs --threads 1
ok 'in place it is the same file' cmp -s x.nlsh y.nlsh

cp kept.nlsh x.nlsh
run 2 calibrate -i x.nlsh -q query.fvecs
has err '20 queries are too few to promise anything'
run 66 calibrate -i x.nlsh -q nowhere.fvecs
run 66 calibrate -i nowhere.nlsh -q query.fvecs
run 2 calibrate -i x.nlsh
run 65 calibrate -i base.fvecs -q query.fvecs
ok 'a refusal leaves the file' cmp -s x.nlsh kept.nlsh

# queries that teach
taught='build -d base.fvecs -m 8 --epochs 3 --nodes 32 --partitioner kmeans --no-cache'
run 0 $taught -i t.nlsh --train_queries sample.fvecs
run 0 verify t.nlsh
ok 'they taught' sh -c '! cmp -s t.nlsh kept.nlsh'
run 0 $taught -i t2.nlsh --train_queries sample.fvecs --threads 1
ok 'the same by one thread' cmp -s t.nlsh t2.nlsh
run 0 info -i t.nlsh
has out '30 queries'
run 2 $taught -i t3.nlsh --train_queries query.fvecs
has err '20 queries are too few to train with'
run 2 $taught -i t3.nlsh --train_queries sample.fvecs --labels hard
run 66 $taught -i t3.nlsh --train_queries nowhere.fvecs
run 2 build --mode tune -d base.fvecs -i run --train_queries sample.fvecs
run 2 $taught -i sample.fvecs --train_queries sample.fvecs --force
ok 'nothing was written' test ! -e t3.nlsh

# queries from elsewhere are noticed, and may be searched with caution
cp kept.nlsh x.nlsh
run 0 search -i x.nlsh -q query.fvecs --cautious --no-cache -o plain.txt --json
has out '"unlike": false'
run 0 compare x.nlsh -q query.fvecs --cautious --no-cache --json
has out '"unlike": false'
run 0 search -i x.nlsh -q query.fvecs -T 2 --cautious --no-cache -o plain.txt

finish
