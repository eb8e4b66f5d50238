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

finish
