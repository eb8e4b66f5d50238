# Several settings, several indexes: -T lists, --models_index, compare; and every way that they fail.
. "$(dirname "$0")/lib.sh"
make_data
make_index
mkdir -p run/models
cp small.nlsh run/a.nlsh
"$nlsh" build -d base.fvecs -i run/models/b.nlsh -m 16 --epochs 3 --nodes 32 --partitioner kmeans -q || exit 1
hash=$("$nlsh" info small.nlsh --json | sed -n 's/.*"hash": "\(.*\)".*/\1/p')

# models_list FILE HASH FILE...: a list as nlsh tune writes it.
models_list()
{
    list=$1 data=$2
    shift 2
    {
        printf '{"format": "nlsh-models", "version": 1, "study": "study.db", "objective": "recall@T",\n'
        printf ' "data": {"file": "base.fvecs", "hash": "%s", "rows": 600, "dim": 16},\n "models": [' "$data"
        separator=
        for model; do
            printf '%s\n  {"file": "%s", "settings": {"m": 8, "lr": 0.5}, "score": 0.9, "seed": 1, "trial": 3, "build_seconds": 1.25}' \
                "$separator" "$model"
            separator=,
        done
        printf '\n ]}\n'
    } >"$list"
}
models_list run/index.json "$hash" a.nlsh models/b.nlsh

# numbers FILE: the results without what is timed.
numbers() { grep -v -e ^QPS -e ^tApprox -e ^tTrue "$1"; }

# ---- a list of T ---------------------------------------------------------------------------------
run 0 search -i small.nlsh -q query.fvecs -d base.fvecs -T 1,8,0.05 -o list.txt -N 3
has err 'T 0.05:'
for t in 1 8 0.05; do
    run 0 search -i small.nlsh -q query.fvecs -d base.fvecs -T $t -o one.txt -N 3
    printf 'T: %s\n\n' $t >>joined.txt
    numbers one.txt >>joined.txt
    echo >>joined.txt
done
numbers list.txt >list.numbers
ok 'a list is its values one after another' cmp list.numbers joined.txt
run 0 search -i small.nlsh -q query.fvecs -T 1,8 -N 3 --format csv
ok 'CSV of a list' awk -F, '
    NR == 1 { if ($1 != "T" || $2 != "query") exit 1; next }
    { n[$1]++; if (NF != 7) exit 1 } END { exit n[1] != 60 || n[8] != 60 }' out
run 0 search -i small.nlsh -q query.fvecs -T 1,0.05 -N 3 --json
has out '"T": 1,' '"T": 0.05' '"runs": ['
with_python 'JSON of a list' -c 'import json; r = json.load(open("out"))["runs"]
assert [x["T"] for x in r] == [1, 0.05] and all(len(x["results"]) == 20 for x in r)'
run 0 search -i small.nlsh -q query.fvecs --recall 0.8,0.9 -N 3 -o list.txt --json
has list.txt 'T: recall 0.8' 'T: recall 0.9'
has out '"T": "recall 0.8"'

# ---- a list of models ----------------------------------------------------------------------------
mkdir o
run 0 search --models_index run/index.json -d base.fvecs -q query.fvecs -T 1,8,0.05 -N 3 -o o/res.txt
ok 'three files beside -o' test "$(ls o | tr '\n' ' ')" = 'models_compare.csv res.a.txt res.b.txt '
has out 'recall@3' '1.2 s'
for model in run/a.nlsh run/models/b.nlsh; do
    run 0 search -i $model -d base.fvecs -q query.fvecs -T 1,8,0.05 -N 3 -o one.txt
    numbers one.txt >one.numbers
    numbers "o/res.$(basename $model .nlsh).txt" >model.numbers
    ok "$model answers as it does alone" cmp one.numbers model.numbers
    awk '/^Recall@/ { print $2 }' one.txt >>recalls
    awk '/^Average AF/ { print $3 }' one.txt >>factors
done
# What is timed becomes a mark; the index's size may change with its format.
sed 's/,[0-9.]*,[0-9.]*,[0-9.]*,[0-9]*,[0-9.]*,1\.250,[0-9]*,/,QPS,MIN,MAX,PASSES,SPEEDUP,1.250,BYTES,/' o/models_compare.csv >compare.csv
awk -F, 'NR > 1 { print $6 }' o/models_compare.csv >csv.recalls
awk -F, 'NR > 1 { print $7 }' o/models_compare.csv >csv.factors
ok 'recalls of the table are those of the files' cmp recalls csv.recalls
ok 'factors of the table are those of the files' cmp factors csv.factors
cut -d, -f1-4,10- compare.csv >columns.csv
same columns.csv compare.csv
ok 'all buckets scanned: recall 1, every vector, factor 1' \
    awk -F, '$1 == "\"a\"" && $4 == 8 { n++; if ($5 != 1 || $6 != 1 || $7 != 1 || $8 != 600 || $9 != 600) exit 1 }
             END { exit n != 1 }' o/models_compare.csv
# Without -o all goes beside the list; one T gives the predecessor's file.
run 0 search --models_index run/index.json -q query.fvecs -T 2 --format csv --json
ok 'files beside the list' test -f run/results.a.csv -a -f run/results.b.csv -a -f run/models_compare.csv
ok 'one T: no column of it' test "$(head -n 1 run/results.a.csv)" = \
    query,kind,rank,id,distance_approximate,distance_true
with_python 'the table as JSON' -c 'import json; t = json.load(open("out"))["table"]
assert [(r["model"], r["T"], r["build_seconds"], r["settings"]["m"]) for r in t] == [("a", 2, 1.25, 8), ("b", 2, 1.25, 8)]'
# Two models of one name.
cp run/a.nlsh run/models/a.nlsh
models_list run/twice.json "$hash" a.nlsh models/a.nlsh "$PWD/small.nlsh"
run 0 search --models_index run/twice.json -q query.fvecs -T 2 -o o/twice
ok 'names are told apart' test -f o/twice.a -a -f o/twice.a-2 -a -f o/twice.small
# Ground truth is found once, and once for all runs.
run 0 cache clear --cache fresh
run 0 search --models_index run/index.json -d base.fvecs -q query.fvecs -T 1,2 -o o/res.txt --cache fresh
run 0 cache list --cache fresh
ok 'one ground truth is kept' test "$(grep -c '^truth\|ground truth' out)" -eq 1
run 0 search --models_index run/index.json -d base.fvecs -q query.fvecs -T 1,2 -o o/res.txt --cache fresh
has err 'cache'

# ---- any indexes ---------------------------------------------------------------------------------
run 0 compare small.nlsh run/models/b.nlsh -d base.fvecs -q query.fvecs -T 1,8 --csv c.csv
has out 'small: ' 'b: ' 'recall@10'
ok 'the table fits 80 columns' awk 'length > 80 { bad = 1; print } END { exit bad }' out
has out 'spread  faster'
lacks out 'no room for'
"$nlsh" build -d base.fvecs -i finer.nlsh -m 12 --epochs 2 --nodes 32 --partitioner kmeans -q || exit 1
run 0 compare small.nlsh finer.nlsh -q query.fvecs -T 1
has out '; m 8, epochs 3' '; m 12, epochs 2'
# A narrow terminal: columns go, lines do not wrap.
if command -v script >/dev/null && script -qec true /dev/null >/dev/null 2>&1; then
    for columns in 40 44 60 80; do
        for verb in 'compare small.nlsh finer.nlsh' 'bench -d base.fvecs -i small.nlsh --seconds 0.01'; do
            script -qec "stty cols $columns; NO_COLOR=1 '$nlsh' $verb -q query.fvecs -T 1 --progress never" /dev/null \
                </dev/null 2>&1 | tr -d '\r' >seen
            has seen 'recall@10'
            ok "$verb in $columns columns" awk -v n=$columns 'length > n { bad = 1; print } END { exit bad }' seen
        done
    done
    script -qec "stty cols 44; '$nlsh' compare small.nlsh finer.nlsh -q query.fvecs -T 1" /dev/null </dev/null >seen 2>&1
    has seen 'no room for: recall@1, AF,' 'queries/s'
    lacks seen 'spread  faster'
fi
ok 'two indexes at two T' awk -F, 'END { exit NR != 5 }' c.csv
ok 'nobody wrote down how long the build took' awk -F, 'NR == 2 && $(NF - 2) != "" { exit 1 }' c.csv
ok 'the median of several passes lies within their spread' awk -F, '
    NR > 1 { q = NF - 7; if (!($(q + 1) <= $q && $q <= $(q + 2) && $(q + 3) >= 3)) exit 1 }' c.csv
run 0 compare small.nlsh -q query.fvecs --recall 0.5,0.9
ok 'the table fits 80 columns' awk 'length > 80 { bad = 1; print } END { exit bad }' out
run 0 compare small.nlsh -q query.fvecs --csv - --recall 0.5,0.9
has out 'recall 0.5,' 'recall 0.9,'
lacks out 'times'
run 0 compare small.nlsh run/models/b.nlsh -q query.fvecs -o o/any.txt --threads 2
ok 'results of each' test -f o/any.small.txt -a -f o/any.b.txt

# ---- what is refused: said, and nothing half-written ---------------------------------------------
echo old >o/models_compare.csv
rm -f o/res.*

# refused CODE LIST TEXT...: a search over the list fails, says so, and leaves no trace.
refused()
{
    wanted=$1 list=$2
    shift 2
    run "$wanted" search --models_index "$list" -d base.fvecs -q query.fvecs -T 1,2 -o o/res.txt
    has err "$@" 'error: '
    ok "no results after $list" test -z "$(ls o/res.* 2>/dev/null)"
    ok "the old table stays after $list" test "$(cat o/models_compare.csv)" = old
    ok "nothing on stdout after $list" test ! -s out
}

models_list run/gone.json "$hash" a.nlsh gone.nlsh
refused 66 run/gone.json 'run/gone.json' 'run/gone.nlsh' 'hint: '
refused 66 run/nothing.json 'run/nothing.json'
u8bin other.u8bin 600 16 3
"$nlsh" build -d other.u8bin -i run/other.nlsh -m 8 --epochs 1 --nodes 8 --partitioner kmeans -q || exit 1
models_list run/mixed.json "$hash" a.nlsh other.nlsh
refused 65 run/mixed.json 'model 2' 'run/other.nlsh' "$hash" 'hint: '
models_list run/wrong.json 0123456789abcdef a.nlsh
refused 65 run/wrong.json 'model 1' 0123456789abcdef
head -c 1000 small.nlsh >run/cut.nlsh
models_list run/damaged.json "$hash" a.nlsh cut.nlsh
refused 65 run/damaged.json 'run/damaged.json' 'run/cut.nlsh'
head -c 200 run/index.json >run/half.json
refused 65 run/half.json 'run/half.json, line '
printf '[1, 2]' >run/array.json
refused 65 run/array.json 'nlsh-models'
: >run/empty.json
refused 65 run/empty.json 'run/empty.json, line '
head -c 300 small.nlsh >run/binary.json
refused 65 run/binary.json 'run/binary.json, line '
sed 's/"version": 1/"version": 2/' run/index.json >run/newer.json
refused 65 run/newer.json 'version'
sed "s/$hash/12/" run/index.json >run/hash.json
refused 65 run/hash.json 'data.hash'
sed 's/"models": .*/"models": []}/; /file": "a/,$d' run/index.json >run/none.json
refused 65 run/none.json 'holds no models'
sed 's/"file": "a.nlsh"/"file": 3/' run/index.json >run/number.json
refused 65 run/number.json 'model 1 has no "file"'
run 65 search --models_index run/index.json -d other.u8bin -q query.fvecs -o o/res.txt
has err 'other.u8bin' 'content hash'
run 65 compare small.nlsh run/other.nlsh -q query.fvecs --csv c2.csv
has err 'small.nlsh' 'run/other.nlsh' 'different data'
ok 'no table of different data' test ! -e c2.csv
run 66 compare small.nlsh nothing.nlsh -q query.fvecs
has err 'nothing.nlsh'
run 73 search --models_index run/index.json -q query.fvecs -o nowhere/res.txt
has err 'nowhere'
run 2 compare small.nlsh -q query.fvecs --csv small.nlsh
has err 'overwrite'
run 2 search --models_index run/index.json -q query.fvecs -o -
for t in 0 -1 1.5 nan inf 1,0 1,1.5 1,,2 1, 0.05,x 1,2,1e400; do
    run 2 search --models_index run/index.json -q query.fvecs -o o/res.txt -T $t
    has err 'error: -T' 'hint: '
    run 2 search -i small.nlsh -q query.fvecs -T $t
    run 2 compare small.nlsh -q query.fvecs -T $t
done
run 2 search -i small.nlsh -q query.fvecs -T "$(seq -s, 1 65)"
has err '65 values'
run 2 search -i small.nlsh --models_index run/index.json -q query.fvecs
run 2 search -q query.fvecs
has err 'nlsh search needs -i INDEX'
run 2 compare -q query.fvecs
ok 'still no results' test -z "$(ls o/res.* 2>/dev/null)"
ok 'still the old table' test "$(cat o/models_compare.csv)" = old

# A name that a spreadsheet would take for a formula gets a quote in the table, and is itself again in a
# report; a name that is a number stays one.
mkdir formulas
for name in '=1+2' '+x' '-x' '@x' 'x=1' '-5' 'a"b'; do cp small.nlsh "formulas/$name.nlsh"; done
run 0 compare formulas/*.nlsh -q query.fvecs -T 1 --csv formulas.csv -q query.fvecs
cut -d, -f1 formulas.csv | sort >names
printf '%s\n' "\"'+x\"" "\"'-x\"" "\"'=1+2\"" "\"'@x\"" '"-5"' '"a""b"' '"x=1"' model | sort >expected
ok 'cells are no formulas' diff names expected
run 0 report formulas.csv -o formulas.html
has formulas.html '=1+2' 'a&quot;b'
lacks formulas.html '&#39;=1+2'
no_leftovers
finish
