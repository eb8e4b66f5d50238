# The data on stdout: text, JSON, CSV; info, evaluate, cache, convert, graph.
. "$(dirname "$0")/lib.sh"
make_data
make_index

valid_json()
{
    checks=$((checks + 1))
    if command -v python3 >/dev/null; then
        python3 -m json.tool "$1" >/dev/null || fail "$1 is not JSON"
    elif command -v jq >/dev/null; then
        jq . "$1" >/dev/null || fail "$1 is not JSON"
    fi
}

run 0 search -i small.nlsh -q query.fvecs -N 3 --format json
valid_json out
has out '"summary"' '"averageAF"'
has out '"qps"' '"qpsMin"' '"qpsMax"' '"passes"' '"tTrueMin"' '"tTrueMax"'
with_python 'the times are medians of several passes' -c 'import json; s = json.load(open("out"))["summary"]
assert s["qpsMin"] <= s["qps"] <= s["qpsMax"] and s["passes"] >= 3
assert s["tTrueMin"] <= s["tTrueAverage"] <= s["tTrueMax"]'
run 0 search -i small.nlsh -q query.fvecs -N 3
has err 'the median of' 'passes' ' to '
run 0 search -i small.nlsh -q query.fvecs -N 3 --json -R 40 -o r.txt
valid_json out
has r.txt 'METHOD NAME' 'R-near neighbors:'
run 0 search -i small.nlsh -q query.fvecs -N 3 --json -R 40
valid_json out
has out '"rNear"'
run 0 search -i small.nlsh -q query.fvecs -N 3 --format csv
ok 'csv has a head and 60 rows of 6 fields' \
    awk -F, 'NF != 6 { bad = 1 } END { exit bad || NR != 61 }' out
# More neighbours wanted than a bucket holds; more than there are.
run 0 search -i small.nlsh -q query.fvecs -N 500 -T 1
has out 'none' 'distanceApproximate: inf'
run 2 search -i small.nlsh -q query.fvecs -N 700 -T 8 --json
has err '700' '600'
# Threads change nothing but the times.
run 0 search -i small.nlsh -q query.fvecs -T 2
grep -e Nearest -e distance -e Recall out >one
run 0 search -i small.nlsh -q query.fvecs -T 2 --threads 3
grep -e Nearest -e distance -e Recall out >three
ok 'same answers from three threads' cmp one three

run 0 info small.nlsh --json
valid_json out
has out '"m": 8' '"kmeans"' '"count": 600' '"count": 8'
run 0 info small.nlsh
ok 'info fits 80 columns' awk 'length > 80 { bad = 1; print } END { exit bad }' out
has out '600 x 16 u8' 'settings' 'min' 'mean 75.0' 'max' 'sections'
ok 'info fits 80 columns' awk 'length > 80 { bad = 1; print } END { exit bad }' out
run 0 build -d base.fvecs -i x.nlsh --dry-run
ok 'a forecast fits 80 columns' awk 'length > 80 { bad = 1; print } END { exit bad }' out
run 0 info -i small.nlsh
run 0 version --json
valid_json out

run 0 evaluate -i small.nlsh -q query.fvecs --csv curve.csv
ok 'curve.csv: head' test "$(head -1 curve.csv)" = \
    'rule,value,recall,candidates,candidates_p95,oracle_recall,error'
awk -F, 'NR > 1 && $1 != "asked" {
        if ($1 != "top" && $1 != "threshold") bad = 1
        if ($3 < 0 || $3 > 1 || $6 + 1e-6 < $3) bad = 2
        if ($1 == "top") { if (!first) first = $2; if ($3 < last) bad = 3; last = $3; full = $4 }
    }
    END { if (first != 1 || last != 1 || full > 600) bad = 4; exit bad }' curve.csv ||
    fail "curve.csv: $?"
has err 'asked for recall@10 0.95: reached' 'standard error' 'queries'
ok 'asked beside reached' awk -F, '$1 == "asked" { n++; asked = asked " " $2; if ($3 < $2 - .1 || $3 > 1 || $7 > .1) bad = 1
        if ($6 != "" || $3 < 1 && $7 <= 0) bad = 2 }
    END { exit bad || asked != " 0.9 0.95 0.99" }' curve.csv
run 0 evaluate -i small.nlsh -q query.fvecs -N 600 --recall 0.5 --csv all.csv
ok 'all neighbours, asked for some' grep -q '^asked,0.5,1.000000,600.00,600.00,,0.000000$' all.csv
run 2 evaluate -i small.nlsh -q query.fvecs --recall 0.9,1
run 2 evaluate -i small.nlsh -q query.fvecs --recall 0
run 0 evaluate -i small.nlsh -q query.fvecs -d base.fvecs
ok 'the same curve from the base' cmp out curve.csv
run 0 evaluate -i small.nlsh -q query.fvecs --json
valid_json out
has out '"rule": "asked"' '"error": '
run 2 evaluate -i small.nlsh -q query.fvecs -N 601

run 0 graph -d base.fvecs -o g.graph --knn 6 --json
valid_json out
has out '"k": 6' '"rows": 600'
run 0 graph -d base.fvecs -o g.ivecs --knn 3
has err 'taken from the cache'
ok 'ivecs of 600 rows of 1 + 3 words' test "$(wc -c <g.ivecs)" -eq 9600
run 0 graph -d base.fvecs -o g.ivecs --knn 3 --graph ivfflat --no-cache -q
ok 'quiet' test ! -s err
run 0 graph -d base.fvecs -o g.ivecs --knn 3 --graph pieces --check 100 --no-cache --json
valid_json out
has out '"recall": 1.0'
has err 'recall 1.0000 on 100 rows'

# Ground truth against sums in awk.
run 0 groundtruth -d base.fvecs -q query.fvecs -o gt.ivecs --distances gt.fvecs -N 4
od -An -v -tu1 -w16 -j8 base.u8bin >b.txt
od -An -v -tu1 -w16 -j8 query.u8bin >q.txt
awk 'NR == FNR { for (d = 1; d <= 16; d++) b[NR, d] = $d; n = NR; next }
    { for (i = 1; i <= n; i++) { s = 0; for (d = 1; d <= 16; d++) s += ($d - b[i, d]) ^ 2
        print FNR - 1, s, i - 1 } }' b.txt q.txt | sort -k1,1n -k2,2n -k3,3n |
    awk '$1 != q { q = $1; n = 0 } n++ < 4 { print $3 }' >expected_ids
od -An -v -tu4 -w20 gt.ivecs | awk '{ for (i = 2; i <= 5; i++) print $i }' >ids
ok 'ground truth is what sums say' cmp ids expected_ids

# Formats, there and back.
for ending in bvecs npy fbin fvecs idx; do
    run 0 convert base.u8bin "x.$ending" -q
    run 0 convert "x.$ending" back.u8bin -q
    ok "there and back through $ending" cmp base.u8bin back.u8bin
done
run 0 convert base.fvecs noname --to bvecs -q
run 0 convert noname back.u8bin --from bvecs -q
ok 'formats by flags' cmp base.u8bin back.u8bin
run 0 convert base.u8bin base.npy --json
valid_json out

run 0 cache list
has out 'k-NN graph'
ok 'the cache fits 80 columns' awk 'length > 80 { bad = 1; print } END { exit bad }' out
run 0 cache list --json
valid_json out
touch cache/mine.txt
run 0 cache clear
run 0 cache list
ok 'the cache is empty' test ! -s out
ok "what is not nlsh's stays" test -f cache/mine.txt
run 0 cache list --cache elsewhere
no_leftovers
finish
