#!/usr/bin/env python3
"""Whether searches from several Python threads scale: beside as many processes, which share no lock.

    python bench/python_threads.py INDEX QUERIES [THREADS [RECALL]]

One query a call. The kinds are measured in turn, so that other programs on the machine disturb all alike; the figures
are medians of seven turns.
"""

import multiprocessing
import statistics
import sys
import threading
import time

import nlsh

TURNS = 7


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    index, queries = nlsh.open(sys.argv[1]), list(nlsh.read(sys.argv[2]))
    n_threads = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    recall = float(sys.argv[4]) if len(sys.argv) > 4 else 0.95

    def work():
        for query in queries:
            index.search(query, 10, recall)

    def rate(kind, n):
        workers = [kind(target=work) for _ in range(n)]
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return n * len(queries) / (time.perf_counter() - begun)

    process = multiprocessing.get_context("fork").Process
    kinds = {"1 thread": (threading.Thread, 1), f"{n_threads} threads": (threading.Thread, n_threads),
             f"{n_threads} processes": (process, n_threads)}
    work()
    turns = [{name: rate(*kind) for name, kind in kinds.items()} for _ in range(TURNS)]
    for name in kinds:
        print(f"{name:12} {statistics.median(turn[name] for turn in turns):10,.0f} queries a second")


if __name__ == "__main__":
    main()
