# nlsh tune: a run to its models, stopped and gone on with, two at once, and every way that it fails.
. "$(dirname "$0")/lib.sh"
n_rows=200 # each model is built six times over: make/folds.h
make_data $n_rows
quick='--tune_trials 4 --tune_folds 2 --tune_epochs 2 --top_k 2 --final_epochs 2 --sampler random
    -m 8 --layers 1 --nodes 64 --partitioner kmeans --threads 2'
run_dir=outputs/tuning/first

# column NAME FILE: the values of a column of a CSV without quotes.
column()
{
    awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next }
        { print $at }' "$2"
}

# ---- a run ---------------------------------------------------------------------------------------
# shellcheck disable=SC2086 # the flags are words
run 0 tune -d base.fvecs -i first $quick --json
has err 'trial 0: the defaults' 'trial 3: ' 'partitions of trials: ' 'from the cache' 'model 2 of 2' 'held out'
for name in index.json trials.csv study.db defaults.nlsh; do
    ok "$name is there" test -s $run_dir/$name
done
ok 'four trials, the first whole' test "$(column state $run_dir/trials.csv | wc -l)" -eq 4 -a \
    "$(column state $run_dir/trials.csv | head -n 1)" = complete
ok 'the first are the defaults' test "$(column lr $run_dir/trials.csv | head -n 1)" = 0.008 -a \
    "$(column nodes $run_dir/trials.csv | head -n 1)" = 64
ok 'what is said as JSON' python3 -c 'import json; r = json.load(open("out"))
assert sum(r["trials"].values()) == 4 and r["models_index"] == "outputs/tuning/first/index.json"
assert r["best"] <= r["defaults"] and isinstance(r["defaults_stand"], bool)'
ok 'the list of models' python3 -c 'import json; r = json.load(open("outputs/tuning/first/index.json"))
m = r["models"]
assert m[0]["score"] <= m[1]["score"] and r["objective"] == "candidates@0.95"
assert all(x["settings"]["epochs"] == 2 and x["settings"]["m"] == 8 and x["seed"] == 1 for x in m[:2])
held, best = [x["held_out_candidates"] for x in m], r["defaults"]["held_out_candidates"]
# One more with short training where, and only where, the two are no better than the defaults.
assert len(m) == (3 if min(held[:2]) >= best else 2)
assert all(x["file"].endswith("-short.nlsh") and x["settings"]["epochs"] > 2 for x in m[2:])
assert r["defaults_stand"] == (min(held) >= best) and r["data"]["rows"] == 200
assert r["best"] == ("defaults.nlsh" if min(held) >= best else m[held.index(min(held))]["file"])'
run 0 search --models_index $run_dir/index.json -d base.fvecs -q query.fvecs -N 10 -T 1,2,5,0.05
n=$(grep -c '"file": ".*trial-' $run_dir/index.json)
ok "$n models at four T" test "$(wc -l <$run_dir/models_compare.csv)" -eq $((4 * n + 1))
ok 'a results file each' test "$(ls $run_dir/results.*.txt | wc -l)" -eq "$n"
# first_model FOLDER: the file of the best model.
first_model() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1] + "/index.json"))["models"][0]["file"])' "$1"; }
best=$(first_model $run_dir)
run 0 verify "$run_dir/$best"

# Progress as JSON: each event has a stage and lies within it, also before the first trial.
run 0 tune -d base.fvecs -i told $quick --no-cache --progress json
ok 'stages with names and counts' python3 -c 'import json
events = [json.loads(line) for line in open("err")]
told = [e for e in events if e["event"] in ("progress", "stage")]
assert all(e["stage"] for e in told), told
progress = [e for e in told if e["event"] == "progress"]
assert all(e["done"] >= 0 and (e["total"] == 0 or e["done"] <= e["total"]) for e in progress), told
assert any(e["stage"].startswith("trials: ") for e in told), told'

# ---- again ---------------------------------------------------------------------------------------
run 73 tune -d base.fvecs -i first $quick
has err 'study.db' 'already' '--resume'
cp $run_dir/trials.csv before.csv
run 0 tune -d base.fvecs -i first $quick --resume
has err 'the defaults: defaults.nlsh is there' 'model 1 of 2: trial-' 'is there'
lacks err 'trial 4'
# The same seed gives the same study; times aside.
run 0 tune -d base.fvecs -i $PWD/second $quick
cut -d, -f1-4,6- before.csv >a.csv
cut -d, -f1-4,6- second/trials.csv >b.csv
ok 'the same trials of the same seed' cmp a.csv b.csv
ok 'the same models' cmp "$run_dir/$best" "second/$best"
run 0 tune -d base.fvecs -i first $quick --resume --tune_trials 6 --no-cache
ok 'six trials' test "$(column trial $run_dir/trials.csv | tr '\n' ' ')" = '0 1 2 3 4 5 '
ok 'no cache of its own is left' test ! -e $run_dir/cache.tmp

# ---- what would be done --------------------------------------------------------------------------
# as_it_is COMMAND...: the command changes nothing in outputs/. What readers and writers of a study
# share in memory (-shm) is no part of it.
as_it_is()
{
    find outputs -type f ! -name '*-shm' -exec cksum {} + | sort >files.before
    "$@"
    find outputs -type f ! -name '*-shm' -exec cksum {} + | sort >files.after
    ok "a dry run writes nothing: $*" cmp files.before files.after
}
as_it_is run 0 tune -d base.fvecs -i plan --two_stage --dry-run
ok 'no folder is made' test ! -e outputs/tuning/plan
has out 'study "plan", new' 'trials           50, of which 0 are there and 50 to run' 'tpe' 'median' \
    'candidates@0.95, smaller' '3 in turn' '64 to 1024, by logarithm' 'outputs/tuning/plan/study.db' \
    'label_knn      5 to 40 in steps of 5; where labels is soft' 'study "plan-partition"' '25 to run' \
    'vcycle or kmeans'
as_it_is run 0 build --mode tune -d base.fvecs -i first $quick --resume --tune_trials 9 --dry-run --json
ok 'what is left of a study' python3 -c 'import json; r = json.load(open("out"))
s, = r["stages"]; assert s["begun"] and (s["trials"], s["done"], s["left"]) == (9, 6, 3)
assert [p["name"] for p in s["space"]["parameters"]][:2] == ["layers", "nodes"]
assert s["settings"]["nodes"] == 64 and r["folds"] == 2 and r["sampler"] == "random"'
# What is refused is refused as the run itself refuses it.
u8bin tiny.u8bin 12 16 3
: >file
for wrong in '-i first' '-i nothing --resume' '-i first --resume --objective candidates@.9' \
    '-i first --resume --tune_folds 3' '-i x --objective speed' '-i x --space gone.json' '-i x --study gone/s.db' \
    '-i file/run/' '-d tiny.u8bin -i x' '-i x -m '$((n_rows + 1)); do
    "$nlsh" tune -d base.fvecs $quick $wrong >out 2>real </dev/null
    code=$?
    ok "refused: $wrong" test $code -ne 0
    find outputs -name x -exec rm -r {} +
    as_it_is run $code tune -d base.fvecs $quick $wrong --dry-run
    case $wrong in *gone/s.db) ;; *) ok "in the same words: $wrong" cmp real err ;; esac
done

# ---- stopped -------------------------------------------------------------------------------------
long='--tune_trials 400 --tune_folds 2 --tune_epochs 2 --top_k 1 --final_epochs 2 --sampler random
    --pruner none -m 8 --layers 1 --nodes 64 --partitioner kmeans'
# wait_for FILE TEXT: until a file has the text.
wait_for()
{
    tries=0
    until grep -qF -e "$2" "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -gt 600 ] && { fail "waited for $2 in $1"; return; }
        sleep 0.1
    done
}
# begin N ARGUMENT...: nlsh in the background, into oN and eN. What another run left in them must be gone
# before anyone waits for their text.
begin()
{
    n=$1
    shift
    : >"e$n"
    "$nlsh" "$@" >"o$n" 2>"e$n" </dev/null &
    pid=$!
}
# shellcheck disable=SC2086
begin 1 tune -d base.fvecs -i stopped $long
wait_for e1 'trial 2:'
kill -TERM $pid
wait $pid
ok 'stopped: 143' test $? -eq 143
has e1 'interrupted' 'stopped/study.db' '--resume'
ok 'the table of what was done' test -s outputs/tuning/stopped/trials.csv
ok 'no models yet' test ! -e outputs/tuning/stopped/index.json
# Death may come between two trials and leave none behind: not three times.
for n in 2 3 4; do
    # shellcheck disable=SC2086
    begin $n tune -d base.fvecs -i stopped $long --resume
    wait_for e$n 'trial '
    kill -KILL $pid
    wait $pid 2>/dev/null
done
before=$(column state outputs/tuning/stopped/trials.csv | grep -c complete)
# With the log of a process that was killed beside the study.
as_it_is run 0 tune -d base.fvecs -i stopped $long --resume --dry-run --json
counted=$(python3 -c 'import json; print(json.load(open("out"))["stages"][0]["done"])')
run 0 tune -d base.fvecs -i stopped $long --resume --timeout 0.001
has err 'the time for trials is over' 'model 1 of 1'
ok 'what died is counted' grep -q 'of processes that are gone' e3 e4 err
after=$(column state outputs/tuning/stopped/trials.csv | grep -c complete)
stands=$(column state outputs/tuning/stopped/trials.csv | grep -c -e complete -e pruned)
ok "a dry run counts what stands: $counted of $stands" test "$counted" -eq "$stands"
ok "nothing that was ended is lost: $before, then $after" test "$after" -ge "$before"
ok 'one trial is lost to each stop' test "$(column state outputs/tuning/stopped/trials.csv | grep -c failed)" -le 4

# ---- two at once ---------------------------------------------------------------------------------
pair='--tune_trials 12 --tune_folds 2 --tune_epochs 2 --top_k 2 --final_epochs 2 --sampler random
    -m 8 --layers 1 --nodes 64 --partitioner kmeans --threads 1'
# shellcheck disable=SC2086
begin 1 tune -d base.fvecs -i pair $pair
wait_for e1 'trial 0:'
run 0 tune -d base.fvecs -i pair $pair --resume
cp err e2
wait $pid
ok 'the first of two: 0' test $? -eq 0
ok 'twelve trials, each once' test \
    "$(column trial outputs/tuning/pair/trials.csv | sort -n | uniq | wc -l)" -eq 12
ok 'none failed' test -z "$(column state outputs/tuning/pair/trials.csv | grep failed)"
ok 'models were made' test -s outputs/tuning/pair/index.json

# Two stages: the second stands on the whole of the first, and both work on it. The first process is
# stopped within a trial, and outside of a transaction.
two_stage='--tune_trials 12 --tune_folds 2 --tune_epochs 40 --top_k 1 --final_epochs 2 --sampler random
    --pruner none -m 8 --layers 1 --nodes 64 --partitioner kmeans --threads 1 --two_stage'
stop_within()
{
    python3 - "$1" "$2" <<'END'
import os, signal, sqlite3, sys, time
pid = int(sys.argv[1])
for _ in range(300):
    os.kill(pid, signal.SIGSTOP)
    try:
        db = sqlite3.connect(sys.argv[2], timeout=0, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        running = db.execute("SELECT COUNT(*) FROM trials WHERE state = 'RUNNING'").fetchone()[0]
        db.execute("ROLLBACK")
        db.close()
        if running == 1: sys.exit(0)
    except sqlite3.OperationalError:
        pass
    os.kill(pid, signal.SIGCONT)
    time.sleep(0.02)
sys.exit(1)
END
}
# second_stage WHAT: counted over the second stage's trials.
second_stage()
{
    python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("SELECT " + sys.argv[2] +
        """ FROM trials t JOIN studies s USING (study_id) LEFT JOIN trial_system_attributes a
        ON a.trial_id = t.trial_id AND a.key = "nlsh:process"
        WHERE study_name LIKE "%-partition" """).fetchone()[0])' outputs/tuning/shared/study.db "$1"
}
# shellcheck disable=SC2086
begin 1 tune -d base.fvecs -i shared $two_stage
first=$pid
wait_for e1 'trial 0:'
ok 'stopped within a trial' stop_within $first outputs/tuning/shared/study.db
# shellcheck disable=SC2086
begin 2 tune -d base.fvecs -i shared $two_stage --resume
wait_for e2 'the second stage waits for '
ok 'no second stage before the first is whole' test "$(second_stage 'COUNT(*)')" -eq 0
kill -CONT $first
wait $first
ok 'the first of two over two stages: 0' test $? -eq 0
wait $pid
ok 'the second of them: 0' test $? -eq 0
ok 'twelve trials, then six' test "$(column stage outputs/tuning/shared/trials.csv | sort | uniq -c | tr -s ' ' | tr -d '\n')" = \
    ' 12 network 6 partition'
ok 'none of them failed' test -z "$(column state outputs/tuning/shared/trials.csv | grep failed)"
ok 'both work on the second stage' test "$(second_stage 'COUNT(DISTINCT a.value_json)')" -eq 2
ok 'one of them makes the models' test -s outputs/tuning/shared/index.json

# ---- other ways ----------------------------------------------------------------------------------
printf '{"parameters": [{"name": "m", "choices": [4, 8]}, {"name": "lr", "range": [1e-3, 1e-2], "log": true}]}' >space.json
run 0 tune -d base.fvecs -i spaced $quick --space space.json --objective recall@2 --sampler tpe
ok 'its columns' test "$(head -n 1 outputs/tuning/spaced/trials.csv | cut -d, -f8-)" = m,lr
ok 'recall is made large' python3 -c 'import json; r = json.load(open("outputs/tuning/spaced/index.json"))
m = r["models"]; assert 1 >= m[0]["score"] >= m[1]["score"] > 0 and m[0]["score"] >= r["defaults"]["score"]'
run 0 tune -d base.fvecs -i outside $quick --space space.json -m 6
ok 'defaults outside the space are a trial all the same' test \
    "$(column state outputs/tuning/outside/trials.csv | head -n 1)" = complete
run 0 tune -d base.fvecs -i fast $quick --objective qps@.9 --pruner hyperband
ok 'queries a second' test "$(column value outputs/tuning/fast/trials.csv | head -n 1 | cut -d. -f1)" -gt 100
run 0 tune -d base.fvecs -i both $quick --two_stage
has err 'both/' 'trial 1: '
ok 'both stages' test "$(column stage outputs/tuning/both/trials.csv | sort | uniq -c | tr -s ' ' | tr -d '\n')" = \
    ' 4 network 2 partition'
run 0 tune -d base.fvecs -i both $quick --two_stage --resume --tune_trials 6
run 0 tune -d base.fvecs -i cosine $quick --metric cosine
run 0 tune -d base.fvecs -i inner $quick --metric ip
run 0 build --mode tune -d base.fvecs -i byseed -type sift $quick
ok 'the original flags' test -s outputs/tuning/byseed/index.json
run 0 tune -d base.fvecs --study $PWD/elsewhere/s.db -i $PWD/elsewhere $quick
run 0 tune -d base.fvecs --study elsewhere/s.db $quick --resume

# ---- what is refused -----------------------------------------------------------------------------
run 66 tune -d base.fvecs -i nothing $quick --resume
has err 'nothing/study.db' 'hint: '
run 2 tune -d base.fvecs $quick --resume
u8bin other.u8bin $n_rows 16 3
run 65 tune -d other.u8bin -i first $quick --resume
has err 'other data' 'study.db' 'hint: '
run 65 tune -d base.fvecs -i first $quick --resume --objective recall@3
has err 'objective'
run 65 tune -d base.fvecs -i first $quick --resume --objective candidates@.9
has err 'other objective' 'candidates@0.9'
run 65 tune -d base.fvecs -i first $quick --resume --space space.json
has err 'other space'
run 65 tune -d base.fvecs -i first $quick --resume -m 16
has err 'other settings'
run 65 tune -d base.fvecs -i first $quick --resume --tune_folds 3
has err 'other folds'
ok 'the study is as it was' test -s $run_dir/study.db
run 0 tune -d base.fvecs -i first $quick --resume --tune_trials 6
mkdir -p outputs/tuning/damaged outputs/tuning/text
head -c 9000 $run_dir/study.db >outputs/tuning/damaged/study.db
run 65 tune -d base.fvecs -i damaged $quick --resume
has err 'damaged/study.db' 'hint: '
echo 'no study at all, but a text that is long enough' >outputs/tuning/text/study.db
run 65 tune -d base.fvecs -i text $quick --resume
has err 'text/study.db'
# bad_space TEXT WANTED...: a space file that is refused with these words.
bad_space()
{
    printf '%s' "$1" >bad.json
    shift
    run 2 tune -d base.fvecs -i refused $quick --space bad.json
    has err 'bad.json' "$@"
}
bad_space '{"parameters": [{"name": "nodez", "range": [64, 128]}]}' nodez
bad_space '{"parameters": [{"name": "epochs", "range": [1, 2]}]}' epochs
bad_space '{"parameters": [{"name": "layers", "range": [4, 1]}]}' layers
bad_space '{"parameters": [{"name": "labels", "choices": ["softer"]}]}' softer
run 66 tune -d base.fvecs -i refused $quick --space gone.json
has err gone.json
printf '{' >bad.json
run 65 tune -d base.fvecs -i refused $quick --space bad.json
for objective in speed recall@0 recall@1.5 candidates@2 candidates@ qps@x ''; do
    run 2 tune -d base.fvecs -i refused $quick --objective "$objective"
    has err 'objective' 'hint: '
done
ok 'nothing is left of a refused run' test ! -e outputs/tuning/refused/study.db
: >file
run 73 tune -d base.fvecs -i "$PWD/file/run" $quick
has err file
if [ "$(id -u)" -ne 0 ]; then
    mkdir closed && chmod 555 closed
    run 73 tune -d base.fvecs -i "$PWD/closed/run" $quick
fi
run 2 build -d base.fvecs -i x.nlsh --tune_trials 4
has err '--tune_trials' '--mode tune'
run 2 tune -d base.fvecs -i x --sampler best
run 66 tune -d nothing.fvecs -i x
u8bin tiny.u8bin 12 16 3
run 2 tune -d tiny.u8bin -i tiny $quick
has err 'too few'
best=$(first_model $run_dir)
rm "$run_dir/$best"
run 66 search --models_index $run_dir/index.json -q query.fvecs
has err "$best" 'hint: '
run 0 tune -d base.fvecs -i first $quick --resume --tune_trials 6
ok 'a model that is gone is made again' test -s "$run_dir/$best"
no_leftovers
finish
