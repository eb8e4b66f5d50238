"""Builds, ground truth, recall, tuning, files; and how a long call is stopped."""

import os
import signal
import subprocess
import sys
import time
import unittest

import numpy as np

import nlsh
from support import QUICK, Folder, base, index, nearest, queries

HERE = os.path.dirname(os.path.abspath(__file__))


class Build(unittest.TestCase):
    def test_seed_decides_and_threads_do_not(self):
        with Folder() as path_of:
            def content(name, **more):
                nlsh.build(base(), path=path_of(name), **{**QUICK, **more})
                with open(path_of(name), "rb") as file:
                    return file.read()
            first = content("a", seed=3)
            self.assertEqual(content("b", seed=3, threads=1), first)
            self.assertNotEqual(content("c", seed=4), first)

    def test_settings_go_by_their_names(self):
        made = nlsh.build(base(), **{**QUICK, "buckets": 4}, knn=7, labels="hard", lr=0.01)
        s = made.info.settings
        self.assertEqual((made.info.n_buckets, s["knn"], s["labels"], s["lr"]), (4, 7, "hard", 0.01))
        self.assertEqual(made.report["partitioner"], "kmeans")
        self.assertGreater(made.report["seconds"]["train"], 0)
        names = {s[0] for s in nlsh.settings()}
        self.assertLessEqual({"metric", "m", "knn", "partitioner", "seed"}, names)

    def test_wrong_settings_are_named(self):
        for wrong, word in ((dict(knn="many"), "knn"), (dict(nonsense=1), "nonsense"),
                            (dict(metric="l3"), "metric"), (dict(threads=0), "threads")):
            with self.subTest(word), self.assertRaises(nlsh.ArgumentError) as caught:
                nlsh.build(base(), progress=False, **wrong)
            self.assertIn(word, str(caught.exception))

    def test_bytes_stay_bytes(self):
        X = np.random.default_rng(1).integers(0, 256, (300, 8))
        for dtype, name in (("u1", "uint8"), ("f4", "uint8"), ("i8", "uint8")):
            self.assertEqual(nlsh.build(X.astype(dtype), **QUICK).info.dtype, name)
        self.assertEqual(nlsh.build((X - 128).astype("i1"), **QUICK).info.dtype, "int8")

    def test_floats_are_kept_as_it_is_said(self):
        X = np.random.default_rng(4).normal(size=(600, 16)).astype("f4")
        exact = {store: nlsh.build(X, store=store, **QUICK) for store in ("f32", "f16", "bf16", "i8")}
        info = {store: index.info for store, index in exact.items()}
        self.assertEqual([info[s].dtype for s in info], ["float32", "float16", "bfloat16", "float32"])
        self.assertEqual([info[s].store_scale > 0 for s in info], [False, False, False, True])
        self.assertEqual([info[s].settings.get("store") for s in info], [None, "f16", "bf16", "i8"])
        self.assertLess(info["i8"].size_bytes, info["f16"].size_bytes)
        # the rows themselves are found, as far off as rounding leaves them
        most = {"f32": 1e-6, "f16": 5e-3, "bf16": 3e-2, "i8": 4 * info["i8"].store_scale}
        for store, index in exact.items():
            ids, distances = index.search(X, k=1, probes=index.info.n_buckets)
            self.assertEqual(ids[:, 0].tolist(), list(range(len(X))))
            self.assertLess(np.median(distances), most[store])
            self.assertEqual(float(distances.max()) > 1e-4, store != "f32")

    def test_queries_from_elsewhere_teach_and_calibrate(self):
        elsewhere = queries().mean(0) + 3 * np.random.default_rng(2).normal(size=(200, base().shape[1])).astype("f4")
        taught = nlsh.build(base(), train_queries=elsewhere, **QUICK)
        self.assertGreater(np.abs(taught.route(elsewhere) - index().route(elsewhere)).max(), .01)
        with self.assertRaisesRegex(nlsh.ArgumentError, "9 queries are too few"):
            nlsh.build(base(), train_queries=elsewhere[:9], **QUICK)
        with self.assertRaises(nlsh.MismatchError):
            nlsh.build(base(), train_queries=elsewhere[:, 1:], **QUICK)

    def test_keys_are_what_ids_are(self):
        keys = np.arange(1000, dtype="u8") * 10**15 + 7
        made = nlsh.build(base(), keys=keys, **QUICK)
        self.assertTrue(made.info.has_keys)
        np.testing.assert_array_equal(made.search(queries(), 5, probes=8)[0],
                                      keys[index().search(queries(), 5, probes=8)[0]])
        for wrong in (keys[:9], keys.astype("f8"), -np.arange(1000), np.zeros(1000, "u8"), keys[None]):
            with self.assertRaises(nlsh.ArgumentError):
                nlsh.build(base(), keys=wrong, **QUICK)

    def test_too_few_rows(self):
        with self.assertRaises(nlsh.Error):
            nlsh.build(base()[:1], **QUICK)

    def test_row_that_is_not_finite_is_named(self):
        X = base().copy()
        X[123, 4] = np.nan
        with self.assertRaises(nlsh.DataError) as caught:
            nlsh.build(X, **QUICK)
        self.assertIn("123", str(caught.exception))

    def test_cache_is_used(self):
        with Folder() as path_of:
            for _ in range(2):
                made = nlsh.build(base(), cache=path_of("cache"), **QUICK)
            self.assertTrue(os.listdir(path_of("cache")))
            self.assertEqual(made.info, nlsh.build(base(), **QUICK).info)

    def test_no_file_is_left(self):
        with Folder() as path_of:
            code = ("import nlsh, support\n"
                    "i = nlsh.build(support.base(), **support.QUICK)\n"
                    "import pickle; pickle.loads(pickle.dumps(i)).search(support.queries())")
            subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE,
                           env={**os.environ, "TMPDIR": path_of("")})
            self.assertEqual(os.listdir(path_of("")), [])


class Progress(unittest.TestCase):
    def test_stages_are_told(self):
        told = []
        nlsh.build(base(n=4000), **{**QUICK, "epochs": 30, "progress": lambda *now: told.append(now)})
        self.assertTrue(told)
        for stage, done, total in told:
            self.assertIsInstance(stage, str)
            self.assertTrue(total == 0 or done <= total)

    def test_true_stops_it(self):
        with self.assertRaises(nlsh.StoppedError):
            nlsh.build(base(n=4000), **{**QUICK, "epochs": 3000, "progress": lambda *now: True})

    def test_what_it_raises_comes_out(self):
        def progress(stage, done, total):
            raise KeyError(stage)
        with self.assertRaises(KeyError):
            nlsh.build(base(n=4000), **{**QUICK, "epochs": 3000, "progress": progress})

    def test_bar_of_tqdm(self):
        from nlsh._progress import _Bars

        class Bar:
            made = []

            def __init__(self, desc, total, leave):
                self.desc, self.total, self.n, self.closed = desc, total, 0, False
                Bar.made.append(self)

            def refresh(self):
                pass

            def close(self):
                self.closed = True
        bars = _Bars(Bar, "build")
        bars.tell("one", 1, 2)
        bars.tell("one", 2, 2)
        bars.tell("two", 0, 0)
        bars.close()
        self.assertEqual([(b.desc, b.total, b.n, b.closed) for b in Bar.made],
                         [("build: one", 2, 2, True), ("build: two", None, 0, True)])


INTERRUPTED = """
import sys, time, numpy as np, nlsh
X = np.random.default_rng(1).normal(size=(30000, 32)).astype("f4")  # no stage is over before it is told of
def progress(stage, done, total):
    print(stage, flush=True)
try:
    nlsh.build(X, progress=progress, partitioner="metis", epochs=1000)
except KeyboardInterrupt:
    print("stopped", time.monotonic(), flush=True)
"""


class Interrupt(unittest.TestCase):
    def interrupted(self, stage):
        """Seconds from Ctrl-C, when the stage is told of, to KeyboardInterrupt in Python."""
        with Folder() as path_of:
            child = subprocess.Popen([sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True,
                                     env={**os.environ, "TMPDIR": path_of("")})
            with child:
                for line in child.stdout:
                    if line.strip() == stage:
                        break
                else:
                    self.fail(f"no stage {stage}")
                begun = time.monotonic()
                child.send_signal(signal.SIGINT)
                rest = child.stdout.read().split()
            self.assertEqual(child.returncode, 0)
            self.assertEqual(os.listdir(path_of("")), [])
            self.assertIn("stopped", rest)
            return float(rest[rest.index("stopped") + 1]) - begun

    def test_ends_a_build_within_a_second(self):
        for stage in ("k-NN graph", "graph partition", "training"):
            with self.subTest(stage):
                self.assertLess(self.interrupted(stage), 1)


class Truth(unittest.TestCase):
    def test_is_brute_force(self):
        want_ids, want = nearest(base(), queries(), 10)
        ids, distances = nlsh.ground_truth(base(), queries(), 10)
        np.testing.assert_array_equal(ids, want_ids)
        np.testing.assert_allclose(distances, want, rtol=1e-5)
        one, _ = nlsh.ground_truth(base(), queries()[3], 10, progress=True)
        np.testing.assert_array_equal(one, want_ids[3])
        with self.assertRaises(nlsh.ArgumentError):
            nlsh.ground_truth(base(), queries(), 1001)

    def test_recall_counts(self):
        self.assertEqual(nlsh.recall([[1, 2], [3, 4]], [[2, 1], [4, 9]]), 0.75)
        self.assertEqual(nlsh.recall([1, 2], [2, 1, 7]), 1)
        # As far as the second true one: as good.
        self.assertEqual(nlsh.recall([1, 5], [1, 2], [0, 1], [0, 1]), 1)
        self.assertEqual(nlsh.recall([1, 5], [1, 2], [0, 1.5], [0, 1]), 0.5)
        self.assertEqual(nlsh.recall(np.array([1, nlsh.NO_KEY], "u8"), [1, 2]), 0.5)
        for wrong in (([[1, 2]], [[1]]), ([[1]], [[1], [2]]), ([1.5], [1])):
            with self.assertRaises(nlsh.ArgumentError):
                nlsh.recall(*wrong)


class Files(unittest.TestCase):
    def test_written_and_read_is_the_same(self):
        floats = queries()
        small = np.arange(24, dtype="u1").reshape(4, 6)
        ids = np.arange(12, dtype="i4").reshape(3, 4) * 1000
        for name, X in (("a.fvecs", floats), ("a.npy", floats), ("a.fbin", floats), ("a.bvecs", small),
                        ("a.u8bin", small), ("b.npy", small), ("a.i8bin", small.astype("i1")),
                        ("a.ivecs", ids), ("a.ibin", ids)):
            with self.subTest(name), Folder() as path_of:
                nlsh.write(path_of(name), X)
                again = nlsh.read(path_of(name))
                self.assertEqual(again.dtype, X.dtype)
                np.testing.assert_array_equal(again, X)
                nlsh.write(path_of(name), np.asfortranarray(again))
                np.testing.assert_array_equal(nlsh.read(path_of(name)), X)

    def test_ids_of_a_search_are_written_as_they_are(self):
        with Folder() as path_of:
            ids, _ = index().search(queries(), 5)
            nlsh.write(path_of("a.ivecs"), ids)
            np.testing.assert_array_equal(nlsh.read(path_of("a.ivecs")), ids)
            with self.assertRaises(nlsh.ArgumentError):
                nlsh.write(path_of("a.ivecs"), np.array([[nlsh.NO_KEY]], "u8"))

    def test_array_keeps_the_memory(self):
        with Folder() as path_of:
            nlsh.write(path_of("a.fvecs"), base())
            row = nlsh.read(path_of("a.fvecs"))[500]
        junk = [np.ones(1000, "f4") for _ in range(100)]
        np.testing.assert_array_equal(row, base()[500])
        del junk

    def test_errors(self):
        with Folder() as path_of:
            with self.assertRaises(nlsh.NoInputError):
                nlsh.read(path_of("a.npy"))
            with self.assertRaises(nlsh.ArgumentError):
                nlsh.write(path_of("a.unknown"), base())
            with self.assertRaises(nlsh.ArgumentError):
                nlsh.read(path_of("a.npy"), "unknown")


class Tune(unittest.TestCase):
    def test_finds_and_builds(self):
        with Folder() as path_of:
            said = nlsh.tune(base(), path_of("run"), trials=2, folds=1, epochs=2, top_k=1, final_epochs=2,
                             progress=False, m=8, partitioner="kmeans", nodes=16)
            self.assertEqual(said["n_complete"] + said["n_pruned"] + said["n_failed"], 2)
            self.assertGreaterEqual(said["n_models"], 1)
            best = nlsh.open(os.path.join(path_of("run"), said["best_file"]))
            self.assertEqual(len(best), 1000)

    def test_wrong_words_are_refused(self):
        with Folder() as path_of:
            for wrong in (dict(sampler="x"), dict(pruner="x"), dict(objective="x"), dict(trials=-1)):
                with self.subTest(**wrong), self.assertRaises(nlsh.ArgumentError):
                    nlsh.tune(base(), path_of("run"), progress=False, **wrong)


if __name__ == "__main__":
    unittest.main()
