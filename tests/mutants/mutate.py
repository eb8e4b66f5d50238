#!/usr/bin/env python3
"""mutate.py [--again] [--only PATH] [--most N] - do the tests notice when the source is wrong?

Small changes are made to the files below (source.py says which), all in one build in build/mutants/; then
the unit tests run once for each change, until one of them fails. A change that no test notices is printed.
Which changes are tried depends on the text alone: on a hash of each, so that an edit elsewhere moves none.

  --again      only what survived the last run, or what it did not come to
  --only PATH  only changes of files whose path begins so
  --most N     so many changes in place of the usual number
Returns 1 where fewer than WANTED of the changes are noticed. Those of accepted.txt do not count.
"""

import argparse
import hashlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from source import Source  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(ROOT, "build", "mutants")
TREE = os.path.join(WORK, "tree")
BUILD = os.path.join(WORK, "build")
LAST = os.path.join(WORK, "last.json")

SEED = "nlsh 1"
WANTED = 0.90  # of the changes that are not accepted
N_MUTANTS = 400
ROOMS = ["src/search", "src/index", "src/codes", "src/measure", "src/promise", "src/router",
         "src/kernels/select.c"]
TESTS = ["search", "index", "codes", "measure", "promise", "router", "evaluate/test_recall",
         "kernels/test_select", "live/test_coder", "make/test_learner", "make/test_recalibrate",
         "base/test_allocator"]
# Of seconds each: the quicker ones must do without them, since a change that survives runs all.
SLOW = ["search/test_recall", "search/test_types", "search/test_metric", "search/test_pool",
        "index/test_forged"]

N_WORKERS = 2
SLOWER, GRACE = 10, 2  # a test hangs after so many times its usual time, and so many seconds, of processor
IDLE = 10  # or so many times as long where it waits: other people's work may be in the way
MOST_MEMORY_KB = 4 << 20  # of a test that a change lets allocate without end
SKIPPED = 77


def say(text=""):
    print(text, flush=True)


# ---- what is changed ---------------------------------------------------------------------------------


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def write_if_new(path, text):
    """An unchanged file keeps its time, so that it is not compiled again."""
    if os.path.exists(path) and read(path) == text:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def records(name):
    """A file of records of lines: the path, the line's text, the change and, indented, a reason."""
    found = {}
    text = "\n".join(l for l in read(os.path.join(HERE, name)).split("\n") if not l.startswith("#"))
    for record in re.split(r"\n\s*\n", text):
        lines = [l for l in record.split("\n") if l.strip()]
        if not lines:
            continue
        if len(lines) < 3:
            sys.exit(f"error: {name}: a record needs a path, a line and a change: {lines}")
        found[tuple(l.strip() for l in lines[:3])] = " ".join(l.strip() for l in lines[3:])
    return found


def rooms():
    found = []
    for room in ROOMS:
        path = os.path.join(ROOT, room)
        if os.path.isfile(path):
            found.append(room)
        else:
            found += [f"{room}/{n}" for n in sorted(os.listdir(path)) if n.endswith(".c")]
    return found


def rank(change):
    return hashlib.sha256("\n".join((SEED,) + change.key).encode()).hexdigest()


def choose(sources, n, always):
    """Of each file as many as its share of the lines, and those that are always wanted."""
    lines = {s.path: s.text.count("\n") for s in sources}
    total = sum(lines.values())
    chosen = []
    for s in sources:
        found = sorted(s.changes(), key=rank)
        share = -(-n * lines[s.path] // total)
        first = [c for c in found if c.key in always]
        rest = [c for c in found if c.key not in always]
        chosen += first + rest[: max(0, share - len(first))]
    return sorted(chosen, key=lambda c: c.id)  # numbers stay while the choice does


def number(sources):
    for n, change in enumerate((c for s in sources for c in s.changes()), 1):
        change.id = n


def drop_what_does_not_compile(source):
    """A change may be no C: a pointer plus a pointer. The compiler says which lines it does not take."""
    wanted = set(source.changes())
    flags = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-fsyntax-only", "-w", "-fmax-errors=0",
             "-fdiagnostics-plain-output", f"-I{TREE}/src", f"-I{TREE}/include"]
    path = os.path.join(TREE, source.path)
    while True:
        text = source.rewritten(wanted)
        write_if_new(path, text)
        done = subprocess.run(["gcc", *flags, path], capture_output=True, text=True)
        if done.returncode == 0:
            return wanted
        lines = text.split("\n")
        at = re.escape(path) + r":(\d+):\d+: error"
        bad = {int(m) for l in re.findall(at, done.stderr)
               for m in re.findall(r"nlsh__on\((\d+)\)", lines[int(l) - 1])}
        if not bad:
            sys.exit(f"error: {source.path} with its changes is no C:\n{done.stderr}")
        wanted = {c for c in wanted if c.id not in bad}


def take(source, wanted):
    source.places = [(a, e, [x for x in cs if x[0] in wanted], p) for a, e, cs, p in source.places]
    source.dropped = [d for d in source.dropped if d[2] in wanted]


# ---- the build -----------------------------------------------------------------------------------------


def run(label, command, **more):
    say(f"{label} ...")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{done.stdout[-4000:]}\nerror: {label} failed")
    return done.stdout


FOLDERS = ["bench", "baselines", "cli", "cmake", "examples", "include", "sqlite", "src", "tests"]


def files_below(root):
    return {os.path.relpath(os.path.join(where, name), root) for folder in FOLDERS
            for where, _, names in os.walk(os.path.join(root, folder)) for name in names}


def copy_tree():
    """All but what is made; the files that are changed are written later."""
    files = {path: path for path in files_below(ROOT) | {"CMakeLists.txt"}}
    files.update({f"src/base/{n}": f"tests/mutants/{n}" for n in ("switch.h", "switch.c")})
    for path in files_below(TREE) - set(files):
        os.remove(os.path.join(TREE, path))
    for path in set(files) - set(rooms()):
        copy(files[path], path)


def copy(source, target):
    source, target = os.path.join(ROOT, source), os.path.join(TREE, target)
    with open(source, "rb") as f:
        new = f.read()
    if os.path.exists(target):
        with open(target, "rb") as f:
            if f.read() == new:
                return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)


def test_targets():
    found = []
    for t in TESTS:
        folder, _, only = t.partition("/")
        for name in sorted(os.listdir(os.path.join(ROOT, "tests", "unit", folder))):
            name, ext = os.path.splitext(name)
            if name.startswith("test_") and ext == ".c" and only in ("", name):
                if f"{folder}/{name}" not in SLOW:
                    found.append(f"{folder}_{name}")
    return found


def build():
    run("configure", ["cmake", "-G", "Ninja", "-S", TREE, "-B", BUILD, "-DCMAKE_BUILD_TYPE=Release"])
    targets = test_targets()
    run("build", ["cmake", "--build", BUILD, "--parallel", str(N_WORKERS), "--target", *targets])
    return targets


# ---- the tests -----------------------------------------------------------------------------------------


def run_test(target, environment, scratch, most):
    """How a test ended: "passed", "failed", "hung" after most seconds; and how long it took."""
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    started = time.monotonic()
    limited = f'ulimit -c 0; ulimit -v {MOST_MEMORY_KB}; ulimit -t {int(most) + 1}; exec "$0"'
    child = subprocess.Popen(["sh", "-c", limited, os.path.join(BUILD, target)], cwd=scratch,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, start_new_session=True,
                             env={**os.environ, "TMPDIR": scratch, "MALLOC_PERTURB_": "165", **environment})
    try:
        code = child.wait(timeout=IDLE * most)
    except subprocess.TimeoutExpired:
        code = None
    try:
        os.killpg(child.pid, signal.SIGKILL)  # what it started, too
    except ProcessLookupError:
        pass
    child.wait()
    how = "hung" if code in (None, -signal.SIGXCPU, -signal.SIGKILL) else "passed" if code in (0, SKIPPED) else "failed"
    return how, time.monotonic() - started


def in_parallel(items, do):
    """do(item, scratch) for all, each worker with a directory of its own. Ends the program where one does."""
    todo, failures = queue.Queue(), []
    for item in items:
        todo.put(item)

    def work(scratch):
        try:
            while not failures:
                do(todo.get_nowait(), scratch)
        except queue.Empty:
            pass
        except BaseException as failure:
            failures.append(failure)
        shutil.rmtree(scratch, ignore_errors=True)

    workers = [threading.Thread(target=work, args=(os.path.join(WORK, f"scratch-{i}"),))
               for i in range(N_WORKERS)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    if failures:
        raise failures[0]


class Test:
    """A test program: how long it takes, which changes it can notice, and which it noticed by file."""

    def __init__(self, target):
        self.target, self.kills = target, {}

    def run_plain(self, ids, scratch):
        target = self.target
        path = os.path.join(WORK, "reached-" + target)
        with open(path, "wb") as f:
            f.truncate(65536)
        how, self.seconds = run_test(target, {"NLSH_MUTANTS_REACHED": path}, scratch, 300)
        if how != "passed":
            sys.exit(f"error: {target} {how} without any change")
        with open(path, "rb") as f:
            bytes_ = f.read()
        os.remove(path)
        self.reached = {n for n in ids if bytes_[n]}


def start_tests(targets, changes):
    ids, tests = {c.id for c in changes}, [Test(t) for t in targets]
    in_parallel(tests, lambda test, scratch: test.run_plain(ids, scratch))
    return tests


def judge(change, tests, scratch):
    """The test that noticed, and how; None where none did. Those that are quick, and that noticed much in
    this file, come first."""
    able = [t for t in tests if change.id in t.reached]
    able.sort(key=lambda t: (t.seconds + 0.05) / (1 + t.kills.get(change.path, 0)))
    for t in able:
        how, _ = run_test(t.target, {"NLSH_MUTANT": str(change.id)}, scratch, SLOWER * t.seconds + GRACE)
        if how != "passed":
            t.kills[change.path] = t.kills.get(change.path, 0) + 1
            return f"{t.target} {how}"
    return None


def judge_all(changes, tests, kept):
    """What noticed each change; kept, what is known of others, is written down with it as it comes."""
    results, lock = {}, threading.Lock()

    def judge_one(c, scratch):
        found = judge(c, tests, scratch)
        with lock:
            results[c] = kept[" | ".join(c.key)] = found
            write_if_new(LAST, json.dumps(kept, indent=1))
            if sys.stdout.isatty():
                print(f"\r{len(results)} of {len(changes)} ", end="", flush=True)

    in_parallel(changes, judge_one)
    if sys.stdout.isatty():
        print("\r", end="")
    return results


# ---- the answer ----------------------------------------------------------------------------------------


def report(results, tests):
    """results: of each change that was tried, the test that noticed. Returns whether enough were noticed."""
    survived = [c for c, noticed in results.items() if noticed is None]
    for c in sorted(survived, key=lambda c: (c.path, c.number)):
        n = sum(c.id in t.reached for t in tests)
        say(f"{c.path}:{c.number}: {c.what}   [{c.function}(), {n} tests ran it]\n    {c.line}")
    killed = len(results) - len(survived)
    share = killed / len(results) if results else 1
    say(f"{len(results)} changes tried: {killed} noticed, {len(survived)} not: "
        f"{100 * share:.1f} % noticed (wanted: {100 * WANTED:.0f} %)")
    return share >= WANTED


def main():
    parser = argparse.ArgumentParser(description="Do the tests notice when the source is wrong?")
    parser.add_argument("--again", action="store_true", help="only what survived the last run, or what it did not come to")
    parser.add_argument("--only", default="", help="only files whose path begins so")
    parser.add_argument("--most", type=int, default=N_MUTANTS, help="how many changes")
    options = parser.parse_args()
    started = time.monotonic()
    copy_tree()
    accepted, always = records("accepted.txt"), records("always.txt")
    sources = [Source(p, read(os.path.join(ROOT, p))) for p in rooms()]
    number(sources)
    for s in sources:
        take(s, drop_what_does_not_compile(s))
    n_possible = sum(len(s.changes()) for s in sources)
    chosen = choose(sources, options.most, {**always, **accepted})
    for key in set(always) - {c.key for c in chosen}:
        sys.exit(f"error: always.txt: there is no such change any more: {' | '.join(key)}")
    for n, c in enumerate(chosen, 1):
        c.id = n
    for s in sources:
        take(s, set(chosen))
        write_if_new(os.path.join(TREE, s.path), s.rewritten(set(chosen)))
    n_accepted = sum(c.key in accepted for c in chosen)
    say(f"{len(chosen)} of {n_possible} possible changes; {n_accepted} are accepted and not tried")
    for key in set(accepted) - {c.key for c in chosen}:
        say(f"note: accepted.txt: there is no such change any more: {' | '.join(key)}")
    targets = build()
    changes = [c for c in chosen if c.path.startswith(options.only) and c.key not in accepted]
    last = json.loads(read(LAST)) if options.again else {}
    if options.again:
        changes = [c for c in changes if last.get(" | ".join(c.key)) is None]
    changes.sort(key=lambda c: (c.key not in always, rank(c)))
    tests = start_tests(targets, changes)
    say(f"{len(tests)} test programs, {sum(t.seconds for t in tests):.0f} s")
    results = judge_all(changes, tests, last)
    good = report(results, tests)
    say(f"({time.monotonic() - started:.0f} s)")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
