# report: a page of every kind of input, whole and offline; names that try to be code; bad input.
. "$(dirname "$0")/lib.sh"
make_data
make_index

# page FILE FIGURES: a whole page of so many figures that reaches for nothing and runs nothing.
page()
{
    has "$1" '<!DOCTYPE html>' '</html>' "default-src 'none'"
    ok "$1 has $2 figures" test "$(grep -c '<figure>' "$1")" -eq "$2"
    ok "$1 has $2 drawings" test "$(grep -c -e '<svg class="plot' -e '<table class="bars"' "$1")" -eq "$2"
    ok "$1 says what it comes to" grep -q 'class="verdict"' "$1"
    ok "ids of $1 are told apart" test -z "$(grep -o " id=['\"][^'\"]*" "$1" | sort | uniq -d)"
    ok "$1 is offline" test -z "$(grep -o 'https*://[^"]*' "$1")"
    ok "$1 is UTF-8" iconv -f UTF-8 -t UTF-8 "$1" -o /dev/null
    ok "$1 runs nothing" test -z "$(grep -i -e '<script' -e '<img' -e ' onload' "$1")"
}

# ---- an index ------------------------------------------------------------------------------------
run 0 report small.nlsh -o plain.html
page plain.html 1
has plain.html '600 x 16 u8' 'Sizes of the buckets' 'give -q QUERIES' '>codes<' \
    'Recall .95 takes the buckets of' '<title>1 bucket'
run 0 report small.nlsh -d base.fvecs -q query.fvecs -N 5 -o index.html
page index.html 5
has index.html 'recall@5' 'oracle' '95th percentile' 'Recall against speed' 'asked for' \
    'Calibration gap' 'Asked for recall .95, searches reach' '--recall .95, ' '>epochs</th><td>3<' 'at their defaults'
lacks index.html 'give -q QUERIES'
run 0 groundtruth -d base.fvecs -q query.fvecs -N 10 -o gt.ivecs
run 0 report small.nlsh -q query.fvecs --gt gt.ivecs -o - --quiet
page out 5
ok 'quiet' test ! -s err

# ---- tables --------------------------------------------------------------------------------------
run 0 evaluate -i small.nlsh -q query.fvecs -d base.fvecs --csv curve.csv --reliability bins.csv
run 0 report curve.csv bins.csv -o curves.html
page curves.html 2
run 0 report curve.csv curve.csv small.nlsh -q query.fvecs -o three.html
page three.html 8
has three.html 'Side by side'
run 0 bench -d base.fvecs -q query.fvecs -i small.nlsh --probes 1,8 -T 1,8 --csv --seconds 0.01
cp out bench.csv
run 0 report bench.csv -o bench.html
page bench.html 2
has bench.html 'Neural LSH' 'IVF-Flat' 'recall@10' 'queries/s at .90' 'At recall@10 .95 ' '<title>IVF-Flat, 1 of 8 cells'
lacks bench.html '<h2'
cp small.nlsh other.nlsh
run 0 compare small.nlsh other.nlsh -q query.fvecs -d base.fvecs -T 1,2,8 --csv models.csv
run 0 report models.csv -o models.html
page models.html 2
has models.html 'other' 'settings are the same in all of them' '<th scope="row">lr</th><td>0.008<'
lacks models.html '&quot;m&quot;'
cat >peers.csv <<'END'
dataset,method,version,mode,params,k,recall,qps,candidates,p99_us,build_s,index_mb
small,nlsh,0.1,single,T=1,10,0.9,1000,20,5,1,1
small,nlsh,0.1,single,T=2,10,0.99,500,40,5,1,1
small,other,2,single,ef=1,10,0.95,700,,5,1,1
small,nlsh,0.1,batch2,T=1,10,0.9,2000,20,5,1,1
END
run 0 report peers.csv -o peers.html
page peers.html 2
has peers.html 'small, single' 'small, batch2' '1,000' \
    'small, single: At recall@10 .95 nlsh needs 40 candidates a query.' \
    'small, single: At recall@10 .95 other is the fastest with 700 queries a second, 1.4 times nlsh&#39;s 500.' \
    'small, batch2: None reaches recall@10 .95.'

# Numbers that no file of nlsh's has.
cat >strange.csv <<'END'
model,settings,T,recall_at_1,recall_at_10,af,candidates,qps,speedup
a,"{""lr"": 0.00123, ""m"": 12345}",1,1,0.99,1,1e300,5,
b,"[1]",1,1,0.99,,0,0,1e300
c,no JSON,1,1,0.99,-1e300,-5,-1,-0.0
END
run 0 report strange.csv -o strange.html
page strange.html 2
ok 'numbers of a strange table' test -z "$(grep -w -e nan -e inf -e -9,223,372,036,854,775,808 strange.html)"
has strange.html '>0.00123<' '>12345<'

# ---- names that try to be code -------------------------------------------------------------------
cat >evil.csv <<'END'
method,setting,recall_at_1,recall_at_10,candidates,qps
"</svg><script>alert(1)</script>'`touch owned`","""; system('touch owned'); ""x",1,0.9,10,5
"</svg><script>alert(1)</script>'`touch owned`",b,1,0.95,20,4
"two
lines, END",\n%s$(touch owned),1,0.95,20,4
END
printf 'caf\351 \001,c,1,0.5,20,4\n' >>evil.csv
cp evil.csv '<b>&name.csv'
run 0 report '<b>&name.csv' -o evil.html
page evil.html 2
has evil.html '&lt;script' '&lt;b&gt;&amp;name.csv' 'caf? ?'
ok 'no name was run' test ! -e owned

# ---- a study -------------------------------------------------------------------------------------
mkdir -p run/models
cat >study.py <<'END'
import json, math, sqlite3
db = sqlite3.connect("run/study.db")
db.executescript("""
CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name VARCHAR(512));
CREATE TABLE study_directions (study_direction_id INTEGER PRIMARY KEY, direction VARCHAR(8), study_id INTEGER, objective INTEGER);
CREATE TABLE study_user_attributes (study_user_attribute_id INTEGER PRIMARY KEY, study_id INTEGER, key VARCHAR(512), value_json TEXT);
CREATE TABLE trials (trial_id INTEGER PRIMARY KEY, number INTEGER, study_id INTEGER, state VARCHAR(8), datetime_start DATETIME, datetime_complete DATETIME);
CREATE TABLE trial_system_attributes (trial_system_attribute_id INTEGER PRIMARY KEY, trial_id INTEGER, key VARCHAR(512), value_json TEXT);
CREATE TABLE trial_params (param_id INTEGER PRIMARY KEY, trial_id INTEGER, param_name VARCHAR(512), param_value FLOAT, distribution_json TEXT);
CREATE TABLE trial_values (trial_value_id INTEGER PRIMARY KEY, trial_id INTEGER, objective INTEGER, value FLOAT, value_type VARCHAR(7));
CREATE TABLE trial_intermediate_values (trial_intermediate_value_id INTEGER PRIMARY KEY, trial_id INTEGER, step INTEGER, intermediate_value FLOAT, intermediate_value_type VARCHAR(7));
""")
db.execute("INSERT INTO studies VALUES (1, '<i>first</i>'), (2, 'empty')")
db.execute("INSERT INTO study_directions VALUES (1, 'MAXIMIZE', 1, 0), (2, 'MINIMIZE', 2, 0)")
db.execute("INSERT INTO study_user_attributes VALUES (1, 1, 'data_hash', '\"0123456789abcdef\"')")
db.execute("INSERT INTO study_user_attributes VALUES (2, 1, 'odd', ?)", (json.dumps({"<b>k": "v\x01<i>", "in": {"list": [1, "two"]}, "text": json.dumps({"deep": "4"})}),))
choice = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": ["soft", "hard", None]}})
real = json.dumps({"name": "FloatDistribution", "attributes": {"low": 1e-4, "high": 1.0, "log": True, "step": None}})
whole = json.dumps({"name": "IntDistribution", "attributes": {"low": 1, "high": 4, "log": False, "step": 1}})
rows, n = [], 0
for t in range(24):
    state = "PRUNED" if t % 6 == 5 else "FAIL" if t == 12 else "COMPLETE"
    db.execute("INSERT INTO trials (trial_id, number, study_id, state) VALUES (?, ?, 1, ?)", (t + 1, t, state))
    labels, layers, lr = t % 2, t * 7 % 4 + 1, 10 ** (-4 + t * 5 % 24 / 6)
    value = (1 if labels else 0.5) + 0.001 * t if labels else 0.5 - 0.001 * t
    for name, v, d in (("labels", labels, choice), ("layers", layers, whole), ("lr", lr, real)):
        if name == "lr" and t % 3 == 0: continue
        n += 1
        db.execute("INSERT INTO trial_params VALUES (?, ?, ?, ?, ?)", (n, t + 1, name, v, d))
    if t < 23: db.execute("INSERT INTO trial_intermediate_values VALUES (?, ?, 0, ?, 'FINITE')", (t + 1, t + 1, value / 2))
    if state == "COMPLETE":
        db.execute("INSERT INTO trial_values VALUES (?, ?, 0, ?, 'FINITE')", (t + 1, t + 1, value))
        rows.append((value, labels, layers))
db.commit()
rows.sort()
rank = {r[0]: i + 1 for i, r in enumerate(rows)}
def share(column):
    mean, groups = (len(rows) + 1) / 2, {}
    for r in rows: groups.setdefault(r[column], []).append(rank[r[0]])
    between = sum(len(g) * (sum(g) / len(g) - mean) ** 2 for g in groups.values())
    eta = between / sum((rank[r[0]] - mean) ** 2 for r in rows)
    return max(0, 1 - (1 - eta) * (len(rows) - 1) / (len(rows) - len(groups)))
print("labels=%.2f" % share(1), "layers=%.2f" % share(2), "best=%.6g" % rows[-1][0])
END
if command -v python3 >/dev/null && python3 study.py >expected; then
    run 0 report run/study.db -o study.html
    page study.html 4
    has study.html '&lt;i&gt;first&lt;/i&gt;' 'data_hash' '0123456789abcdef' '1 failed' \
        'more is better' 'parameters' 'No trial has been completed' 'null'
    has study.html '<p>&lt;i&gt;first&lt;/i&gt;: Trial ' '<p>empty: No trial has been completed.</p>'
    has study.html '&lt;b&gt;k</th><td>v?&lt;i&gt;' '>in.list</th><td>1, two<' '>text.deep</th><td>4<'
    has study.html 'whole trials, trial 4: labels soft, layers 1, lr 0.' 'whole trials, trial 3: labels hard, layers 2'
    ok 'no line ends with a cut' test -z "$(grep 'M" class' study.html)"
    ok 'no control character' test -z "$(tr -d '\n' <study.html | tr -d '[:print:]\200-\377')"
    has study.html "$(sed 's/.*best=//' expected)" "$(sed 's/labels=\([^ ]*\).*/>\1</' expected)" \
        "$(sed 's/.*layers=\([^ ]*\).*/>\1</' expected)"
    # The folder of a run: the list, the study, the comparison.
    hash=$("$nlsh" info small.nlsh --json | sed -n 's/.*"hash": "\(.*\)".*/\1/p')
    printf '{"format": "nlsh-models", "version": 1, "objective": "recall@T", "data": {"hash": "%s"},
        "models": [{"file": "m1.nlsh", "settings": {"m": 8}, "score": 0.9, "seed": 1, "trial": 3}],
        "defaults": {"file": "defaults.nlsh", "held_out_candidates": 712}, "defaults_stand": true,
        "best": "defaults.nlsh"}' \
        "$hash" >run/index.json
    cp models.csv run/models_compare.csv
    run 0 report run -o run.html
    page run.html 6
    has run.html 'm1.nlsh' 'recall@T' 'models_compare.csv' '712' 'the defaults stand'
    run 0 report run/index.json -o run2.html
    page run2.html 6
    sed -e 's/712/788/' -e 's/"score": 0.9/"score": 0.9, "held_out_candidates": 738/' -e 's/"defaults_stand": true/"defaults_stand": false/' \
        run/index.json >better.json && mkdir better && mv better.json better/index.json && cp run/study.db better
    run 0 report better -o better.html
    mkdir free && sed 's/788/0/' better/index.json >free/index.json && cp run/study.db free
    run 0 report free -o free.html
    has free.html '<p>m1.nlsh needs the fewest candidates at .95: 738.</p>'
    has better.html '<p>788 → 738 candidates at .95, 6.3 % better than the defaults: m1.nlsh.</p>'
    # Damage: an error or, where what is read was not touched, a page; never a crash.
    for at in 100 1000 5000 9000 14000; do
        head -c $at run/study.db >cut.db
        "$nlsh" report cut.db -o cut.html >out 2>err
        code=$?
        ok "a study cut at $at: $code" test $code -eq 65
        has err 'cut.db' 'hint: '
    done
    python3 -c 'import sqlite3; d = sqlite3.connect("run/study.db")
d.execute("UPDATE trial_params SET distribution_json = \"[]\" WHERE param_name = \"lr\""); d.commit()'
    run 65 report run/study.db -o cut.html
    has err 'lr' 'distribution'
    python3 -c 'import sqlite3; d = sqlite3.connect("run/study.db"); d.execute("DROP TABLE trials"); d.commit()'
    run 65 report run/study.db -o cut.html
    has err 'trials'
    ok 'no page of a damaged study' test ! -e cut.html
fi
printf '{"format": "other"}' >run/index.json
run 65 report run/index.json -o no.html
has err 'nlsh-models'
printf '{"format": ' >run/index.json
run 65 report run -o no.html
has err 'run/index.json'
mkdir nothing
run 65 report nothing -o no.html
has err 'no index.json'

# ---- what is refused: said, and nothing half-written ---------------------------------------------
refused()
{
    code=$1 input=$2
    shift 2
    run "$code" report "$input" -o no.html
    has err "$input" "$@"
    ok "no page of $input" test ! -e no.html
}
: >empty.csv
refused 65 empty.csv 'is empty'
head -n 1 curve.csv >names.csv
refused 65 names.csv 'no rows'
echo 'a,b
1,2' >unknown.csv
refused 65 unknown.csv 'begins "a"' 'nlsh evaluate'
sed '3s/,[^,]*$//' curve.csv >ragged.csv
refused 65 ragged.csv 'line 3' 'fields, where the first line has'
sed '4s/^top,[0-9]*,/top,4,x/' curve.csv >number.csv
refused 65 number.csv 'line 4' 'not a number'
sed '2s/^top/bottom/' curve.csv >rule.csv
refused 65 rule.csv 'line 2' 'bottom'
sed '2s/,[0-9.]*,/,nan,/3' bench.csv >nan.csv
refused 65 nan.csv 'line 2'
{ cat curve.csv && echo '"open'; } >open.csv
refused 65 open.csv 'quotes'
head -c 40 base.u8bin >binary.csv
refused 65 binary.csv 'bytes that no text has'
head -c 1000 small.nlsh >cut.nlsh
refused 65 cut.nlsh
refused 66 missing.csv
run 2 report curve.csv
has err '-o'
run 2 report -o no.html
run 2 report curve.csv -o curve.csv
has err 'overwrite'
run 2 report small.nlsh -N 5 -o no.html
has err 'without queries'
run 73 report curve.csv -o nowhere/no.html
run 65 report small.nlsh -q gt.ivecs -o no.html
PATH=$work/nothing run 0 report curve.csv -o alone.html
no_leftovers
finish
