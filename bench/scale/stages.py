#!/usr/bin/env python3
"""stages.py COMMAND... - processor time and clock of each stage of a build, which other work on the machine disturbs little.

  bench/scale/stages.py build/release/nlsh build -d wide.u8bin -i wide.nlsh --memory 4G --no-cache

Adds --progress json, and reads the process's own time as a stage begins; METIS, which is a process of its own, counts where
it ends. Stages of one name are added. Then all of it, and the largest resident memory, with pages of files and without.
"""

import json
import os
import subprocess
import sys
import time

TICKS = os.sysconf("SC_CLK_TCK")


def used(pid):
    """Seconds of the process and of children that have ended."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return sum(int(x) for x in fields[11:15]) / TICKS


def anonymous(pid):
    with open(f"/proc/{pid}/status") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("RssAnon"))


def main():
    child = subprocess.Popen(sys.argv[1:] + ["--progress", "json"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                             text=True)
    stages, most, stage = {}, 0, "before"
    work, clock = 0.0, time.monotonic()
    for line in child.stderr:
        event = json.loads(line) if line.startswith("{") else {}
        try:
            now_work, most = used(child.pid), max(most, anonymous(child.pid))
        except (OSError, IndexError):
            break
        if event.get("event") != "progress" or event["stage"] == stage:
            continue
        spent = stages.setdefault(stage, [0.0, 0.0])
        spent[0] += now_work - work
        spent[1] += time.monotonic() - clock
        work, clock, stage = now_work, time.monotonic(), event["stage"]
    child.stderr.read()
    _, status, all_of = os.wait4(child.pid, 0)
    total = all_of.ru_utime + all_of.ru_stime
    spent = stages.setdefault(stage, [0.0, 0.0])
    spent[0] += total - work
    spent[1] += time.monotonic() - clock
    for name, (seconds, by_clock) in stages.items():
        print(f"{name:24} {seconds:9.1f} s of processors {by_clock:9.1f} s")
    print(f"{'all':24} {total:9.1f} s, {all_of.ru_stime:.1f} s of them the system's; {all_of.ru_maxrss / 1000:.0f} MB resident "
          f"at most, {most / 1000:.0f} MB without pages of files")
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
