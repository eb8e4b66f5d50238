# A study as Optuna 3.1 sees it: load_study() opens it as its own, finds the same trials, and may add
# to it. Debian's python3-optuna is asked; without it there is nothing to ask.
. "$(dirname "$0")/lib.sh"
python=
for candidate in /usr/bin/python3 python3; do
    $candidate -c 'import optuna' 2>/dev/null && { python=$candidate; break; }
done
[ -n "$python" ] || { echo 'skipped: no optuna for python3 (apt install python3-optuna)'; exit 77; }
make_data 200
flags='--tune_trials 8 --tune_folds 2 --tune_epochs 3 --top_k 1 --final_epochs 1 -m 8 --layers 1
    --nodes 64 --partitioner kmeans'
# shellcheck disable=SC2086 # the flags are words
run 0 tune -d base.fvecs -i s $flags

cat >same.py <<'P'
import csv, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name="s", storage="sqlite:///outputs/tuning/s/study.db")
rows = [r for r in csv.DictReader(open("outputs/tuning/s/trials.csv"))]
assert len(study.trials) == len(rows), (len(study.trials), len(rows))
assert study.direction == optuna.study.StudyDirection.MINIMIZE
names = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
for trial, row in zip(study.trials, rows):
    assert trial.number == int(row["trial"]) and trial.state.name == names[row["state"]]
    if row["value"]:
        assert abs(trial.value - float(row["value"])) <= 1e-7 * trial.value
    steps = trial.intermediate_values
    assert sorted(steps) == list(range(1, int(row["steps"]) + 1)), steps
    assert abs(steps[len(steps)] - float(row["last_step"])) <= 1e-7 * steps[len(steps)]
    for name, value in trial.params.items():
        assert value == type(value)(row[name]), (name, value, row[name])
    params = {name for name in row if row[name] and list(row).index(name) > 6}
    assert params == set(trial.params), (params, trial.params)
    assert trial.datetime_complete >= trial.datetime_start
    if trial.params["labels"] == "hard":
        assert "label_knn" not in trial.params
complete = [t for t in study.trials if t.state.name == "COMPLETE"]
assert study.best_trial.value == min(t.value for t in complete)
assert study.user_attrs["nlsh:data"]["rows"] == 200
P
ok 'Optuna sees the same trials' $python same.py

# Optuna adds a trial, and one to the queue; both count, and the run goes on.
cat >add.py <<'P'
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.load_study(study_name="s", storage="sqlite:///outputs/tuning/s/study.db",
                          sampler=optuna.samplers.TPESampler(seed=1))
distributions = study.trials[0].distributions
def objective(trial):
    for name in sorted(distributions, reverse=True, key=lambda n: n == "labels"):
        if name != "label_knn" or trial.params["labels"] == "soft":
            trial._suggest(name, distributions[name])
    for step in range(1, 7):
        trial.report(5.0, step)
    return 5.0
study.optimize(objective, n_trials=1)
params = dict(study.trials[0].params, lr=0.004)
study.enqueue_trial(params)
assert [t.state.name for t in study.trials[8:]] == ["COMPLETE", "WAITING"]
P
ok 'Optuna adds to it' $python add.py
run 0 tune -d base.fvecs -i s $flags --resume --tune_trials 12
has err 'best 5, trial 8' 'trial 9: ' 'trial 11: '
lacks err 'trial 8: '
ok 'Optuna still sees the same trials' $python same.py
ok 'the queue was served' $python -c 'import optuna
s = optuna.load_study(study_name="s", storage="sqlite:///outputs/tuning/s/study.db")
assert s.trials[9].params["lr"] == 0.004 and s.trials[9].state.name != "WAITING"'
if $python -c 'import optuna.importance, sklearn' 2>/dev/null; then
    ok 'importances' $python -c 'import optuna
s = optuna.load_study(study_name="s", storage="sqlite:///outputs/tuning/s/study.db")
optuna.importance.get_param_importances(s)'
fi
finish
