"""Indexes that change: put, delete, snapshots, refresh, other processes, compact, calibrate."""

import copy
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import unittest

import numpy as np

import nlsh
from support import QUICK, SEED, Folder, base, index, nearest, queries

HERE = os.path.dirname(os.path.abspath(__file__))
learns = unittest.skipUnless(nlsh.can_learn(), "this package searches only")


class Changing(unittest.TestCase):
    """Each test has a folder, an index in it, and a dict of what the index should hold."""

    def setUp(self):
        folder = Folder()
        self.path_of = folder.__enter__()
        self.addCleanup(folder.__exit__, None, None, None)
        self.path = self.path_of("a.nlsh")
        self.rng = np.random.default_rng(SEED)

    def created(self, n=0, **more):
        """An index of the first n vectors of the base, that was put into since it was empty."""
        nlsh.create(self.path, 16, **more)
        with nlsh.open_writer(self.path, sync="flush") as writer:
            if n:
                writer.add(base()[:n])
        return {key: base()[key] for key in range(n)}

    def built(self):
        index().save(self.path)
        return dict(enumerate(base()))

    def is_brute_force(self, searched, held, Q=None):
        """k keys that differ, each as far as it is said to be, and nothing is nearer. Ties may go either way."""
        Q = queries() if Q is None else Q
        self.assertEqual(len(searched), len(held))
        k = min(10, len(held))
        if k == 0:
            return
        place = {key: i for i, key in enumerate(held)}
        X = np.array(list(held.values()))
        want = nearest(X, Q, k)[1]
        ids, distances = searched.search(Q, k, probes=searched.info.n_buckets)
        np.testing.assert_allclose(distances, want, rtol=1e-5, atol=1e-6)
        far = np.float64(Q)[:, None] - X[[[place[int(key)] for key in row] for row in ids]]
        np.testing.assert_allclose(np.linalg.norm(far, axis=2), want, rtol=1e-5, atol=1e-6)
        self.assertTrue(all(len(set(row)) == k for row in ids))


class RoundTrip(Changing):
    def change(self, writer, held, vectors):
        """A few random changes, to the index and to the dict."""
        n = int(self.rng.integers(1, 40))
        keys = self.rng.choice(1200, n, replace=False)
        X = vectors(n)
        writer.put(keys, X)
        held.update(zip(keys.tolist(), X))
        next_key = writer.next_key
        self.assertGreater(next_key, max(held))
        more = vectors(3)
        added = writer.add(more)
        np.testing.assert_array_equal(added, next_key + np.arange(3, dtype="u8"))
        held.update(zip(added.tolist(), more))
        gone = self.rng.choice(1200, 30, replace=False)
        there = [key for key in gone.tolist() if held.pop(key, None) is not None]
        self.assertEqual(writer.delete(gone), len(there))

    def floats(self, n):
        return (self.rng.normal(size=(n, 16)) * 4).astype("f4")

    def goes_round(self, held, vectors, Q=None):
        opened = nlsh.open(self.path)
        for sync in ("always", "interval", "flush"):
            with nlsh.open_writer(self.path, sync, sync_seconds=.01) as writer:
                for _ in range(4):
                    before, was = writer.snapshot(), dict(held)
                    self.change(writer, held, vectors)
                    self.is_brute_force(writer.snapshot(), held, Q)
                    self.is_brute_force(before, was, Q)
                    opened = opened.refresh()
                    self.is_brute_force(opened, held, Q)
                writer.flush()
                last = writer.snapshot()
            self.is_brute_force(last, held, Q)
            for memory in ("map", "codes", "all"):
                self.is_brute_force(nlsh.open(self.path, memory), held, Q)
        nlsh.verify(self.path)

    def test_of_a_built_index_is_brute_force(self):
        self.goes_round(self.built(), self.floats)

    def test_of_an_empty_index_is_brute_force(self):
        self.goes_round(self.created(), self.floats)

    def test_of_bytes_is_brute_force(self):
        for name, low in (("u8", 0), ("i8", -128)):
            Q = self.rng.integers(low, low + 256, (9, 16))
            self.goes_round(self.created(type=name),
                            lambda n: self.rng.integers(low, low + 256, (n, 16)), Q)
            os.unlink(self.path)
            os.unlink(self.path + "-log")

    def test_of_cosine_and_inner_product_are_brute_force(self):
        unit = lambda rows: rows / np.linalg.norm(np.float64(rows), axis=1, keepdims=True)
        for metric, far in (("cosine", lambda X, Q: 1 - unit(Q) @ unit(X).T),
                            ("ip", lambda X, Q: -(np.float64(Q) @ X.T))):
            self.path = self.path_of(metric)
            self.created(100, metric=metric)
            opened = nlsh.open(self.path)
            self.assertEqual(opened.info.metric, metric)
            ids, distances = opened.search(queries(), 5)
            want = far(base()[:100], queries())
            np.testing.assert_array_equal(ids, np.argsort(want, 1)[:, :5])
            np.testing.assert_allclose(distances, np.sort(want, 1)[:, :5], rtol=1e-4, atol=1e-5)

    def test_of_every_kind_of_array_and_key_is_the_same(self):
        X = np.round(base()[:5] * 3) + 0
        held = self.created()
        with nlsh.open_writer(self.path) as writer:
            for first, (keys, given) in enumerate((
                    (range(5), X.astype("f8")), ([0, 1, 2, 3, 2**63], X.astype("i8")),
                    (np.arange(5, dtype=">u4"), np.asfortranarray(X)), ((9, 8, 7, 6, 5), X.tolist()),
                    (np.arange(10)[::2], X[::-1]), (np.arange(5, dtype="u8") + 2**63, X.astype("f2")))):
                writer.put(keys, given)
                held.update(zip([int(key) for key in keys], np.float32(given)))
                self.is_brute_force(writer.snapshot(), held)
            writer.put(77, X[0])  # one vector, and its key
            held[77] = X[0]
            writer.put([78], X[0])
            held[78] = X[0]
            self.assertEqual(writer.add(X[1]).tolist(), [writer.next_key - 1])
            self.assertEqual(writer.delete(writer.next_key - 1), 1)
            writer.put([], np.empty((0, 16)))
            self.assertEqual(writer.delete([]), 0)
            self.assertEqual(writer.add(np.empty((0, 16))).shape, (0,))
            self.is_brute_force(writer.snapshot(), held)

    def test_of_two_equal_keys_the_later_counts(self):
        self.created()
        with nlsh.open_writer(self.path) as writer:
            writer.put([5, 5], base()[:2])
            self.is_brute_force(writer.snapshot(), {5: base()[1]})

    def test_an_index_that_is_empty_again_is_put_into(self):
        held = self.created(20)
        with nlsh.open_writer(self.path) as writer:
            self.assertEqual(writer.delete(list(held)), 20)
            self.assertEqual(len(writer.snapshot()), 0)
            writer.add(base()[:3])
            self.assertEqual(len(writer.snapshot()), 3)


class Refused(Changing):
    def test_what_is_wrong_is_named_and_changes_nothing(self):
        held = self.created(10)
        good = base()[:2]
        bad = good.copy()
        bad[1, 3] = np.nan
        far = good.astype("f8")
        far[0, 2] = 1e300
        with nlsh.open_writer(self.path) as writer:
            before = writer.snapshot().info
            for error, keys, X in (
                    (nlsh.MismatchError, [1, 2], good[:, :15]), (nlsh.ArgumentError, [1, 2], bad),
                    (nlsh.ArgumentError, [1, 2], far), (nlsh.ArgumentError, [1], good),
                    (nlsh.ArgumentError, [1, nlsh.NO_KEY], good), (nlsh.ArgumentError, [1, -1], good),
                    (nlsh.ArgumentError, [1, 2**64], good), (nlsh.ArgumentError, [1.0, 2.0], good),
                    (nlsh.ArgumentError, ["1", "2"], good), (nlsh.ArgumentError, [[1, 2]], good),
                    (nlsh.ArgumentError, [1, 2], good.astype("c8")), (nlsh.ArgumentError, None, good)):
                with self.subTest(keys=keys), self.assertRaises(error):
                    writer.put(keys, X)
            for error, X in ((nlsh.MismatchError, good[:, :15]), (nlsh.ArgumentError, bad)):
                with self.assertRaises(error):
                    writer.add(X)
            for keys in ([-1], [.5], "1"):
                with self.assertRaises(nlsh.ArgumentError):
                    writer.delete(keys)
            with self.assertRaises(TypeError):
                writer.put([1, 2])
            self.assertEqual(writer.snapshot().info, before)
            self.is_brute_force(writer.snapshot(), held)

    def test_values_that_bytes_do_not_hold(self):
        self.created(type="u8")
        with nlsh.open_writer(self.path) as writer:
            for X in (np.full(16, .5), np.full(16, 256), np.full(16, -1, "i1")):
                with self.assertRaises(nlsh.MismatchError):
                    writer.put([1], X)
            self.assertEqual(len(writer.snapshot()), 0)

    def test_keys_behind_the_last(self):
        self.created()
        with nlsh.open_writer(self.path) as writer:
            writer.put([nlsh.NO_KEY - 1], base()[0])
            with self.assertRaises(nlsh.ArgumentError):
                writer.add(base()[0])
            self.assertEqual(len(writer.snapshot()), 1)

    def test_words_outside_their_meaning(self):
        for wrong in (dict(dim=0), dict(dim=-1), dict(dim=4, type="f64"), dict(dim=4, metric="l3"),
                      dict(dim=4, type="u8", metric="ip")):
            with self.subTest(**wrong), self.assertRaises(nlsh.ArgumentError):
                nlsh.create(self.path, **wrong)
        self.assertEqual(os.listdir(self.path_of("")), [])
        with self.assertRaises(nlsh.CannotCreateError):
            nlsh.create(self.path_of("no/such/a.nlsh"), 4)
        with self.assertRaises(nlsh.NoInputError):
            nlsh.open_writer(self.path)
        self.created()
        for wrong in (dict(sync="never"), dict(sync_seconds=0), dict(memory="much")):
            with self.subTest(**wrong), self.assertRaises(nlsh.ArgumentError):
                nlsh.open_writer(self.path, **wrong)


class OneWriter(Changing):
    def test_a_second_writer_is_busy_until_the_first_closes(self):
        self.created()
        with nlsh.open_writer(self.path) as writer:
            with self.assertRaises(nlsh.BusyError) as caught:
                nlsh.open_writer(self.path)
            self.assertEqual((caught.exception.status, caught.exception.name), (11, "NLSH_E_BUSY"))
            self.assertIn("a.nlsh", caught.exception.message)
            writer.add(base()[:2])
        nlsh.open_writer(self.path).close()

    def test_it_is_closed_where_the_block_raises_and_what_was_put_stays(self):
        held = self.created(3)
        with self.assertRaises(KeyError), nlsh.open_writer(self.path) as writer:
            writer.put([9], base()[9])
            raise KeyError
        self.assertTrue(writer.closed)
        held[9] = base()[9]
        with nlsh.open_writer(self.path) as again:
            self.is_brute_force(again.snapshot(), held)

    def test_closed_it_does_nothing(self):
        self.created(3)
        writer = nlsh.open_writer(self.path)
        self.assertFalse(writer.closed)
        writer.close()
        writer.close()
        for call in (lambda: writer.put([1], base()[1]), lambda: writer.add(base()[1]),
                     lambda: writer.delete([1]), writer.flush, writer.snapshot, lambda: writer.next_key):
            with self.assertRaisesRegex(ValueError, "closed"):
                call()

    def test_forgotten_it_lets_others_write(self):
        self.created()
        writer = nlsh.open_writer(self.path, sync="interval")
        writer.add(base()[:4])
        del writer
        gc.collect()
        with nlsh.open_writer(self.path) as writer:
            self.assertEqual(len(writer.snapshot()), 4)

    def test_neither_copied_nor_pickled(self):
        self.created()
        with nlsh.open_writer(self.path) as writer:
            for call in (copy.copy, copy.deepcopy, pickle.dumps):
                with self.assertRaisesRegex(TypeError, "snapshot"):
                    call(writer)


class Snapshots(Changing):
    def test_copies_pickles_and_files_have_the_log_too(self):
        held = self.built()
        with nlsh.open_writer(self.path) as writer:
            writer.put([7, 5000], base()[[3, 4]])
            taken = writer.snapshot()
            writer.delete(list(range(5)))
        self.assertIs(type(taken), nlsh.Index)
        held.update({7: base()[3], 5000: base()[4]})
        for again in (copy.copy(taken), pickle.loads(pickle.dumps(taken))):
            self.is_brute_force(again, held)
            self.assertEqual(again.info, taken.info)
        taken.save(self.path_of("b.nlsh"))
        nlsh.verify(self.path_of("b.nlsh"))
        self.is_brute_force(nlsh.open(self.path_of("b.nlsh")), held)

    def test_saving_over_what_has_a_log_is_refused(self):
        held = self.created(5)
        for saved in (nlsh.open(self.path), index()):
            with self.assertRaises(nlsh.ArgumentError):
                saved.save(self.path)
        self.is_brute_force(nlsh.open(self.path), held)

    def test_an_index_without_a_name_is_refreshed_to_itself(self):
        for nameless in (index(), pickle.loads(pickle.dumps(index())), copy.copy(index())):
            self.assertIs(nameless.refresh(), nameless)

    def test_refreshed_searches_of_many_are_right_too(self):
        held = self.built()
        opened = nlsh.open(self.path)
        many = np.tile(queries(), (4, 1))
        with nlsh.open_writer(self.path) as writer:
            for key in range(2000, 2010):
                before = opened
                opened.search(queries()[0])
                opened.search(many, threads=2)
                writer.put([key], queries()[key % 25])
                held[key] = queries()[key % 25]
                opened = opened.refresh()
                self.assertIs(opened.refresh(), opened)
                self.is_brute_force(opened, held)
                self.is_brute_force(opened, held, many)
                self.assertEqual(len(before), len(held) - 1)
                before.search(queries()[0])

    def test_refreshed_of_a_closed_index_is_refused(self):
        self.created()
        opened = nlsh.open(self.path)
        opened.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            opened.refresh()

    def test_info_says_what_changed(self):
        self.built()
        self.assertEqual(nlsh.open(self.path).info.log_bytes, 0)
        with nlsh.open_writer(self.path) as writer:
            writer.put([1, 5000], base()[:2])
            writer.delete([2])
            info = writer.snapshot().info
        self.assertEqual((info.n_rows, info.n_deleted, info.log_rows), (1000, 2, 2))
        # behind them stands the seal of the writer that closed
        self.assertEqual(info.log_bytes, os.path.getsize(self.path + "-log") - 128)
        self.assertEqual((info.log_left, info.log_damaged), (0, False))
        self.assertEqual(info.n_changed, 4)
        self.assertGreater(info.needed_trained, 0)


WRITES = """
import sys, numpy as np, nlsh
from support import base
writer = nlsh.open_writer(sys.argv[1], sync="flush")
for n, line in enumerate(sys.stdin):
    writer.put([2000 + n], base()[n] + 1)
    print(flush=True)
"""


def in_child(writer, out):
    said = []
    for call in (lambda: writer.add(base()[0]), writer.snapshot, writer.flush, writer.close):
        try:
            said.append(str(call()))
        except ValueError as error:
            said.append(str(error))
    out.put(said)


class Processes(Changing):
    def test_refresh_sees_what_another_process_writes(self):
        held = self.built()
        opened = nlsh.open(self.path)
        child = subprocess.Popen([sys.executable, "-c", WRITES, self.path], cwd=HERE, text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with child:
            for n in range(5):
                print(file=child.stdin, flush=True)
                child.stdout.readline()
                held[2000 + n] = base()[n] + 1
                opened = opened.refresh()
                self.is_brute_force(opened, held)
            with self.assertRaises(nlsh.BusyError):
                nlsh.open_writer(self.path)
            child.send_signal(signal.SIGKILL)
        self.is_brute_force(nlsh.open(self.path), held)
        with nlsh.open_writer(self.path) as writer:  # one whose process ended is none
            self.is_brute_force(writer.snapshot(), held)

    def test_a_forked_child_leaves_the_writer_alone(self):
        self.created(3)
        for sync in ("always", "interval"):
            with nlsh.open_writer(self.path, sync) as writer:
                context = multiprocessing.get_context("fork")
                out = context.Queue()
                child = context.Process(target=in_child, args=(writer, out))
                child.start()
                added, snapshot, flushed, closed = out.get(timeout=60)
                child.join(60)
                for said in (added, snapshot, flushed):
                    self.assertIn("another process", said)
                self.assertEqual((closed, child.exitcode), ("None", 0))
                with self.assertRaises(nlsh.BusyError):
                    nlsh.open_writer(self.path)
                writer.delete([0])
            self.assertLessEqual(len(nlsh.open(self.path)), 2)


class Threads(Changing):
    def test_that_write_take_turns_and_snapshots_wait_for_none(self):
        self.created()
        added, wrong = [], []
        with nlsh.open_writer(self.path, sync="flush") as writer:
            def add():
                for _ in range(50):
                    added.append(writer.add(base()[:5]))

            def look():
                last = 0
                while len(added) < 150:
                    n = len(writer.snapshot())
                    if n < last or n % 5 != 0:
                        wrong.append(n)
                    last = n
            threads = [threading.Thread(target=add) for _ in range(3)] + [threading.Thread(target=look)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(wrong, [])
            self.assertEqual(sorted(np.concatenate(added)), list(range(750)))
            self.assertEqual(len(writer.snapshot()), 750)

    def test_others_run_while_the_library_puts(self):
        nlsh.create(self.path, 512)
        X = np.zeros((20000, 512), "f4")
        with nlsh.open_writer(self.path, sync="flush") as writer:
            ended = threading.Event()

            def put():
                try:
                    writer.put(np.arange(20000), X)
                finally:
                    ended.set()
            thread = threading.Thread(target=put)
            steps = 0
            thread.start()
            while not ended.is_set():
                time.sleep(0.0005)
                steps += 1
            thread.join()
        self.assertGreater(steps, 2)

    def test_closing_waits_for_those_that_write(self):
        for _ in range(5):
            self.created()
            writer = nlsh.open_writer(self.path, sync="flush")
            done = []

            def add():
                try:
                    while True:
                        done.append(writer.add(base()[:1]))
                except ValueError:
                    pass
            threads = [threading.Thread(target=add) for _ in range(2)]
            for t in threads:
                t.start()
            while not done:
                time.sleep(.001)
            writer.close()
            for t in threads:
                t.join()
            self.assertEqual(len(nlsh.open(self.path)), len(done))
            os.unlink(self.path)
            os.unlink(self.path + "-log")


@learns
class Compact(Changing):
    def compact(self, **more):
        return nlsh.compact(self.path, progress=False, **more)

    def test_of_what_somebody_writes_is_busy(self):
        self.created(3)
        with nlsh.open_writer(self.path), self.assertRaises(nlsh.BusyError):
            self.compact()

    def test_makes_one_file_that_refresh_finds(self):
        held = self.built()
        with nlsh.open_writer(self.path) as writer:
            writer.put(np.arange(1000, 1200), base()[:200] + .5)
            held.update(zip(range(1000, 1200), base()[:200] + np.float32(.5)))
            writer.delete(range(50))
            held = {key: row for key, row in held.items() if key >= 50}
            snapshot = writer.snapshot()
        opened = nlsh.open(self.path)
        opened.search(queries()[0])
        said = self.compact()
        self.assertEqual((said["done"], said["n_rows"], said["n_dropped"], said["log_rows"]),
                         ("merged", 1150, 50, 200))
        self.assertIs(said["measured"], True)  # more than a fifth changed
        for now in (opened.refresh(), snapshot.refresh(), nlsh.open(self.path)):
            self.is_brute_force(now, held)
            self.assertEqual((now.info.n_deleted, now.info.log_rows, now.info.n_buckets), (0, 0, 8))
            self.assertIs(now.refresh(), now)
        for old in (opened, snapshot):
            self.is_brute_force(old, held)  # as it was, and open
            self.is_brute_force(pickle.loads(pickle.dumps(old)), held)  # of the files that are gone
        nlsh.verify(self.path)
        with nlsh.open_writer(self.path) as writer:
            self.assertEqual(writer.next_key, 1200)

    def test_automatic_does_what_is_due(self):
        self.built()
        with nlsh.open_writer(self.path) as writer:
            writer.delete([1])
        self.assertEqual(self.compact(automatic=True)["done"], "nothing")
        with nlsh.open_writer(self.path) as writer:
            writer.delete(range(150))
        self.assertEqual(self.compact(automatic=True)["done"], "merged")
        self.assertEqual(len(nlsh.open(self.path)), 850)

    def test_learns_anew(self):
        held = self.created(1000)
        self.assertEqual(nlsh.open(self.path).info.n_buckets, 1)
        told = []
        said = nlsh.compact(self.path, retrain=True, progress=lambda *now: told.append(now), threads=1)
        self.assertEqual((said["done"], said["n_rows"]), ("retrained", 1000))
        self.assertTrue(told)
        now = nlsh.open(self.path)
        self.assertGreater(now.info.n_buckets, 1)
        self.is_brute_force(now, held)

    def test_of_a_damaged_log_asks_first(self):
        self.created()
        with nlsh.open_writer(self.path) as writer:
            for key in range(4):
                writer.put([key], base()[key])
                if key == 1:
                    whole = os.path.getsize(self.path + "-log")
        with open(self.path + "-log", "r+b") as file:
            file.seek(whole + 100)
            byte = file.read(1)[0]
            file.seek(whole + 100)
            file.write(bytes([byte ^ 1]))
        info = nlsh.open(self.path).info
        self.assertEqual((info.n_rows, info.log_damaged, info.log_bytes), (2, True, whole))
        self.assertGreater(info.log_left, 0)
        for call in (lambda: nlsh.open_writer(self.path), self.compact, lambda: nlsh.verify(self.path)):
            with self.assertRaises(nlsh.DataError):
                call()
        self.compact(drop_damaged=True)
        self.is_brute_force(nlsh.open(self.path), {0: base()[0], 1: base()[1]})

    def test_is_stopped_and_leaves_the_old_state(self):
        self.created(1000)
        with self.assertRaises(nlsh.StoppedError):
            nlsh.compact(self.path, retrain=True, progress=lambda *now: True)
        self.assertEqual(nlsh.open(self.path).info.n_buckets, 1)
        for wrong in (dict(threads=-1), dict(threads=0)):
            with self.assertRaises(nlsh.ArgumentError):
                self.compact(**wrong)
        with self.assertRaises(nlsh.NoInputError):
            nlsh.compact(self.path_of("none.nlsh"), progress=False)


    def test_ctrl_c_ends_it_at_once_and_leaves_the_old_state(self):
        held = self.created(1000)
        child = subprocess.Popen([sys.executable, "-c", COMPACTS, self.path], stdout=subprocess.PIPE, text=True)
        with child:
            self.assertEqual(child.stdout.readline(), "begun\n")
            begun = time.monotonic()
            child.send_signal(signal.SIGINT)
            rest = child.stdout.read().split()
        self.assertEqual(child.returncode, 0)
        self.assertLess(float(rest[rest.index("stopped") + 1]) - begun, 1)
        self.assertEqual(sorted(os.listdir(self.path_of(""))), ["a.nlsh", "a.nlsh-log"])
        with nlsh.open_writer(self.path) as writer:
            self.is_brute_force(writer.snapshot(), held)
            self.assertEqual(writer.snapshot().info.n_buckets, 1)


COMPACTS = """
import sys, time, nlsh
try:
    nlsh.compact(sys.argv[1], retrain=True, progress=lambda *now: print("begun", flush=True))
except KeyboardInterrupt:
    print("stopped", time.monotonic(), flush=True)
"""


@learns
class Calibrate(Changing):
    def test_promises_for_what_was_given(self):
        nlsh.build(base(n=4000), path=self.path, **{**QUICK, "buckets": 40})
        before = nlsh.open(self.path)
        Q = self.rng.normal(size=(200, 16)) * 4
        said = nlsh.calibrate(self.path, Q, self.path_of("b.nlsh"), progress=False, threads=1)
        self.assertEqual(said["n_queries"], 200)
        self.assertGreaterEqual(said["recall"], .94)
        self.assertGreater(said["candidates"], 0)
        self.assertIs(before.refresh(), before)
        truth = nlsh.ground_truth(base(n=4000), Q)[0]
        reached = nlsh.recall(nlsh.open(self.path_of("b.nlsh")).search(Q)[0], truth)
        self.assertAlmostEqual(reached, said["recall"], delta=.02)
        nlsh.calibrate(self.path, Q, progress=False)
        np.testing.assert_array_equal(before.refresh().search(Q)[0],
                                      nlsh.open(self.path_of("b.nlsh")).search(Q)[0])

    def test_refuses_what_tells_nothing(self):
        index().save(self.path)
        for error, Q in ((nlsh.ArgumentError, queries()[:3]), (nlsh.MismatchError, np.zeros((40, 3)))):
            with self.assertRaises(error):
                nlsh.calibrate(self.path, Q, progress=False)


class Memory(Changing):
    def test_nothing_is_left_open(self):
        held = self.created(20)
        opened = nlsh.open(self.path)
        gc.collect()
        n_open = len(os.listdir("/proc/self/fd"))
        for i in range(30):
            with nlsh.open_writer(self.path, sync="interval") as writer:
                writer.put([i], base()[i])
                writer.snapshot().search(queries()[0], 1)
                writer.snapshot().search(queries(), 1, threads=2)
                opened.refresh().search(queries()[0], 1)
                pickle.loads(pickle.dumps(writer.snapshot())).search(queries()[0], 1)
                with self.assertRaises(nlsh.BusyError):
                    nlsh.open_writer(self.path)
            held[i] = base()[i]
        del writer
        gc.collect()
        self.assertEqual(len(os.listdir("/proc/self/fd")), n_open)
        self.is_brute_force(opened.refresh(), held)

    def test_arrays_are_let_go(self):
        self.created(20)
        X, keys, bad = base()[:3].copy(), np.arange(3, dtype="u8"), np.full((3, 16), np.nan, "f4")
        before = [sys.getrefcount(array) for array in (X, keys, bad)]
        with nlsh.open_writer(self.path, sync="flush") as writer:
            for call in (lambda: writer.put(keys, X), lambda: writer.add(X), lambda: writer.delete(keys),
                         lambda: writer.put(keys, bad), lambda: writer.put(keys[:2], X),
                         lambda: writer.put("no", X), lambda: writer.add(bad)):
                for _ in range(10):
                    try:
                        call()
                    except nlsh.Error:
                        pass
        for call in (lambda: writer.put(keys, X), lambda: writer.add(X), lambda: writer.delete(keys)):
            with self.assertRaises(ValueError):
                call()
        del call
        gc.collect()
        self.assertEqual([sys.getrefcount(array) for array in (X, keys, bad)], before)


if __name__ == "__main__":
    unittest.main()
