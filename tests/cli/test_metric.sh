# --metric on the command line: build, groundtruth, graph, search, evaluate, info, compare, bench.
. "$(dirname "$0")/lib.sh"
make_data

for metric in l2 ip cosine; do
    run 0 build -d base.fvecs -i $metric.nlsh -m 8 --epochs 3 --nodes 16 --metric $metric
    run 0 info $metric.nlsh
    has out "metric $metric"
    run 0 info $metric.nlsh --json
    has out "\"metric\": \"$metric\""
    run 0 verify $metric.nlsh
    run 0 groundtruth -d base.fvecs -q query.fvecs -o $metric.ivecs --distances $metric.fvecs \
        -N 5 --metric $metric
    # Every bucket: the answer is the truth, whichever way that is found.
    run 0 search -i $metric.nlsh -q query.fvecs -N 5 -T 8 --gt $metric.ivecs -o $metric.txt
    has $metric.txt 'Recall@5: 1.000000'
    run 0 search -i $metric.nlsh -q query.fvecs -N 5 -T 8 -d base.fvecs
    has out 'Recall@5: 1.000000'
    run 0 search -i $metric.nlsh -q query.fvecs -N 5 -d base.fvecs --gt $metric.ivecs --json
    has out '"recall"'
    run 0 evaluate -i $metric.nlsh -q query.fvecs -N 5 -d base.fvecs --csv $metric.csv
    run 0 graph -d base.fvecs -o $metric.graph --metric $metric
done
has ip.txt 'distanceTrue: -' 'Average AF: nan'
lacks cosine.txt 'distanceTrue: -'
has cosine.txt 'Average AF: 1.000000'
ok 'l2 and ip order differently' sh -c '! cmp -s l2.ivecs ip.ivecs'
ok 'cosine distances lie between 0 and 2' \
    awk '/^distance/ { if ($2 < 0 || $2 > 2) bad = 1 } END { exit bad }' cosine.txt

# One cache for all of them.
for metric in l2 ip cosine; do
    run 0 groundtruth -d base.fvecs -q query.fvecs -o again.ivecs -N 5 --metric $metric
    has err 'taken from the cache'
    ok "the truth of $metric is its own" cmp again.ivecs $metric.ivecs
done

run 0 search -i cosine.nlsh -q query.fvecs -N 3 -R 0.1
has out 'R-near neighbors:'
# A radius is a distance: by inner product it may be negative, and only there.
run 0 groundtruth -d base.fvecs -q query.fvecs -o all.ivecs --distances all.fvecs -N 600 --metric ip
radius=$(od -An -v -tf4 -w2404 all.fvecs | awk 'NR == 1 { printf "%.0f", $41 }')
ok "the radius $radius is negative" test "$radius" -lt 0
run 0 search -i ip.nlsh -q query.fvecs -N 3 -T 8 -R "$radius"
awk '/^Query/ { q = $2; on = 0 } /^R-near/ { on = 1; next } on && /^[0-9]/ { print q, $1 }' out | sort >near
od -An -v -tu4 -w2404 all.ivecs | awk '{ for (i = 2; i <= NF; i++) print NR - 1, $i }' >all_ids
od -An -v -tf4 -w2404 all.fvecs | awk '{ for (i = 2; i <= NF; i++) print $i }' >all_distances
paste -d ' ' all_ids all_distances | awk -v r="$radius" '$3 <= r { print $1, $2 }' | sort >expected
ok 'products of at least 12 are those at -12' cmp near expected
ok 'some are near' test "$(wc -l <near)" -ge 30
for metric in l2 cosine; do
    run 2 search -i $metric.nlsh -q query.fvecs -N 3 -R -12
    has err '-R -12' "metric $metric"
    run 2 compare $metric.nlsh -q query.fvecs -N 3 -R=-12
done
run 2 search -i cosine.nlsh -q query.fvecs -N 3 -range true
has err 'give -R RADIUS'
run 65 compare l2.nlsh cosine.nlsh -q query.fvecs
has err 'same metric'
run 0 compare ip.nlsh ip.nlsh -q query.fvecs -N 3
run 69 bench -d base.fvecs -q query.fvecs -i ip.nlsh --seconds 0.01
has err 'metric ip'

run 2 build -d base.fvecs -i no.nlsh --metric angular
has err 'metric' 'cosine'
run 2 groundtruth -d base.fvecs -q query.fvecs -o no.ivecs --metric angle
run 69 graph -d base.fvecs -o no.graph --metric ip --graph ivfflat
has err 'inner products' 'exact'

# A row of zeros: 16 floats behind a dimension of 16, written over the third row.
cp base.fvecs zero.fvecs
row=$((4 + 4 * $(od -A n -t d4 -N 4 base.fvecs)))
dd if=/dev/zero of=zero.fvecs bs=1 seek=$((2 * row + 4)) count=$((row - 4)) conv=notrunc 2>/dev/null
run 65 build -d zero.fvecs -i no.nlsh -m 4 --metric cosine
has err 'row 2 is all zeros' 'hint:'
ok 'no index of it' test ! -e no.nlsh
run 0 build -d zero.fvecs -i zero.nlsh -m 4 --epochs 1 --nodes 8 --metric ip
run 65 search -i cosine.nlsh -q zero.fvecs -N 3
has err 'query 2 is all zeros'

finish
