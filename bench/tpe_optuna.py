#!/usr/bin/env python3
"""Optuna on the functions of bench/tpe.c: rows function,sampler,seed,best as `bench_tpe run` has them.

    tpe_optuna.py BENCH_TPE FUNCTION SAMPLER TRIALS SEEDS [FIRST]

SAMPLER: optuna (TPESampler as it comes), optuna-multivariate (multivariate=True), optuna-group
(multivariate=True, group=True; differs where there are conditions) or optuna-random. Debian: python3-optuna. Exit code 77 where that is not installed.
"""

import json
import subprocess
import sys
import warnings

try:
    import optuna
except ImportError as error:
    print(f"tpe_optuna.py: {error}: python3-optuna is not installed", file=sys.stderr)
    sys.exit(77)

SAMPLERS = {
    "optuna": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "optuna-multivariate": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True),
    "optuna-group": lambda seed: optuna.samplers.TPESampler(
        seed=seed, multivariate=True, group=True
    ),
    "optuna-random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


class Function:
    """A function of bench_tpe, evaluated by that program, so that both sides have the same."""

    def __init__(self, program, name):
        shown = subprocess.run([program, "space", name], check=True, stdout=subprocess.PIPE)
        whole, space = shown.stdout.decode().split("\n", 1)
        self.whole = whole.split()
        self.parameters = json.loads(space)["parameters"]
        self.process = subprocess.Popen(
            [program, "eval", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def suggest(self, trial, parameter):
        name = parameter["name"]
        if "choices" in parameter:
            return trial.suggest_categorical(name, parameter["choices"])
        low, high = parameter["range"]
        log, step = parameter.get("log", False), parameter.get("step")
        if name in self.whole:
            return trial.suggest_int(name, low, high, step=step or 1, log=log)
        return trial.suggest_float(name, low, high, step=step, log=log)

    def __call__(self, trial):
        chosen, numbers = {}, []
        for parameter in self.parameters:
            when = parameter.get("when", {})
            if any(chosen.get(parent) not in choices for parent, choices in when.items()):
                numbers.append("nan")
                continue
            value = chosen[parameter["name"]] = self.suggest(trial, parameter)
            if "choices" in parameter:
                value = parameter["choices"].index(value)
            numbers.append(repr(float(value)))
        self.process.stdin.write(" ".join(numbers) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def main():
    if len(sys.argv) not in (6, 7) or sys.argv[3] not in SAMPLERS:
        sys.exit(__doc__)
    program, name, sampler = sys.argv[1:4]
    n_trials, n_seeds = int(sys.argv[4]), int(sys.argv[5])
    first = int(sys.argv[6]) if len(sys.argv) > 6 else 1
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")  # multivariate and group are called experimental
    function = Function(program, name)
    for seed in range(first, first + n_seeds):
        study = optuna.create_study(sampler=SAMPLERS[sampler](seed))
        study.optimize(function, n_trials=n_trials)
        print(f"{name},{sampler},{seed},{study.best_value:.9g}", flush=True)


main()
