# Two command lines of the predecessor (in Python and C++), word for word, and the results file.
. "$(dirname "$0")/lib.sh"
mkdir sift
u8bin base.u8bin 700 24 1
u8bin query.u8bin 25 24 2
"$nlsh" convert base.u8bin sift/sift_base.fvecs -q
"$nlsh" convert query.u8bin sift/sift_query.fvecs -q
mkdir bin && ln -s "$nlsh" bin/nlsh
PATH=$work/bin:$PATH

nlsh build -d sift/sift_base.fvecs -i my_index.bin -type sift --knn 10 -m 128 --imbalance 0.03 \
    2>err || fail 'build'
has err 'my_index.bin' '128 buckets'
nlsh search -d sift/sift_base.fvecs -q sift/sift_query.fvecs -i my_index.bin -o results.txt \
    -type sift -N 10 -T 5 >out 2>err || fail 'search'
ok 'stdout stays empty with -o' test ! -s out
has err 'recall@10'
awk '
    /^METHOD NAME: Neural LSH$/ { methods++; next }
    /^Query: / { if ($2 != queries) bad("query number " $2); queries++; rank = 0; next }
    /^Nearest neighbor-/ { rank++; neighbours++; if ($2 != "neighbor-" rank ":") bad($0); next }
    /^distanceApproximate: / { near = $2; if (rank > 1 && near < last) bad("order"); last = near; next }
    /^distanceTrue: / { if ($2 > near + 1e-3) bad("true " $2 " above approximate " near); next }
    /^$/ { next }
    /^Average AF: / { if ($3 < 1) bad($0); tail = tail "A"; next }
    /^Recall@10: / { if ($2 < 0.3 || $2 > 1) bad($0); tail = tail "R"; next }
    /^QPS: / { qps = $2; tail = tail "Q"; next }
    /^tApproximateAverage: / { if ($2 * qps < 0.99 || $2 * qps > 1.01) bad($0); tail = tail "t"; next }
    /^tTrueAverage: / { if ($2 <= 0) bad($0); tail = tail "T"; next }
    { bad("line " $0) }
    function bad(what) { print what; wrong = 1 }
    END {
        if (queries != 25 || methods != 25 || neighbours != 250) bad("counts " queries " " neighbours)
        if (tail != "ARQtT") bad("tail " tail)
        exit wrong
    }' results.txt || fail 'results.txt'
checks=$((checks + 1))

# All buckets scanned is the exact answer, and says so.
run 0 search -q sift/sift_query.fvecs -i my_index.bin -T 128 -N 7
has out 'Recall@7: 1.000000' 'Average AF: 1.000000'
# The recall in the file is the recall of the ids in the file.
run 0 groundtruth -d sift/sift_base.fvecs -q sift/sift_query.fvecs -o gt.ivecs -N 10
od -An -v -tu4 -w44 gt.ivecs | awk '{ for (i = 2; i <= 11; i++) print NR - 1, $i }' >true_ids
awk '/^Query/ { q = $2 } /^Nearest/ { print q, $3 }' results.txt >found_ids
expected=$(awk 'NR == FNR { t[$0] = 1; next } $0 in t { n++ } END { printf "%.2f", n / 250 }' true_ids found_ids)
written=$(awk '/^Recall@10/ { printf "%.2f", $2 }' results.txt)
ok "recall $written in the file, $expected counted" \
    awk "BEGIN { d = $expected - $written; exit !(d < 0.025 && d > -0.025) }"

# A threshold, with the true neighbours from a file, gives the same recall with and without -d.
for with in '' '-d sift/sift_base.fvecs' '--gt gt.ivecs' '--gt gt.ivecs -d sift/sift_base.fvecs'; do
    # shellcheck disable=SC2086
    run 0 search -q sift/sift_query.fvecs -i my_index.bin -T 0.05 $with
    grep -e ^Recall -e ^Average out >>recalls
done
ok 'every source of truth gives one recall' test "$(sort -u recalls | wc -l)" -eq 2
# R-near neighbours: all ids within the radius among all buckets, no other.
run 0 search -q sift/sift_query.fvecs -i my_index.bin -T 128 -N 1 -R 66
has out 'R-near neighbors:'
awk '/^Query/ { q = $2; on = 0 } /^R-near/ { on = 1; next } on && /^[0-9]/ { print q, $1 }' out |
    sort >near
"$nlsh" groundtruth -d sift/sift_base.fvecs -q sift/sift_query.fvecs -o all.ivecs -N 700 \
    --distances all.fvecs --quiet
od -An -v -tu4 -w2804 all.ivecs | awk '{ for (i = 2; i <= NF; i++) print NR - 1, $i }' >all_ids
od -An -v -tf4 -w2804 all.fvecs | awk '{ for (i = 2; i <= NF; i++) print $i }' >all_distances
paste -d ' ' all_ids all_distances | awk '$3 <= 66 { print $1, $2 }' | sort >near_expected
ok 'some are near' test -s near_expected
ok 'R-near neighbours are those within R' cmp near near_expected
run 0 search -q sift/sift_query.fvecs -i my_index.bin -T 5 -R 66 -range false
lacks out 'R-near'
run 0 search -q sift/sift_query.fvecs -i my_index.bin -T 5 -range true -type sift
has out 'R-near'
run 0 search -q sift/sift_query.fvecs -i my_index.bin -T 5 -range True -type SIFT
has out 'R-near'
run 2 search -q query.u8bin -i my_index.bin -T 5 -range true
no_leftovers
finish
