"""The modules for other people's benchmarks (bench/) keep to their contracts; only what they take of those is stood in for."""

import enum
import importlib
import os
import shutil
import sys
import types
import unittest

import numpy as np

import nlsh
from support import QUICK, Folder, base, nearest, queries

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench")


class Tree:
    """A package of another's in which a module of ours lies, importable while it lasts."""

    def __init__(self, place, files, others):
        self.place, self.files, self.others = place, files, others

    def __enter__(self):
        self.folder = Folder()
        root = self.folder.__enter__()("")
        below = os.path.join(root, *self.place.split("."))
        shutil.copytree(os.path.join(BENCH, self.files), below)
        sys.path.insert(0, root)
        for name, content in self.others.items():
            module = types.ModuleType(name)
            vars(module).update(content)
            sys.modules[name] = module
        return lambda name: importlib.import_module(f"{self.place}.{name}")

    def __exit__(self, *exception):
        sys.path.pop(0)
        top = self.place.partition(".")[0]
        for name in [n for n in sys.modules if n in self.others or n.partition(".")[0] == top]:
            del sys.modules[name]
        self.folder.__exit__(*exception)


def quick(build):
    """nlsh.build in no time, and what it was called with."""
    seen = {}

    def made(X, metric, buckets=None, *, train_queries=None, **_):
        seen.update(metric=metric, buckets=buckets, train_queries=train_queries)
        return build(X, metric, train_queries=train_queries, **QUICK)
    return made, seen


@unittest.skipUnless(nlsh.can_learn(), "this package searches only")
class Modules(unittest.TestCase):
    def setUp(self):
        build = nlsh.build
        nlsh.build, self.seen = quick(build)
        self.addCleanup(setattr, nlsh, "build", build)
        self.truth = nearest(base(), queries(), 10)[0]

    def finds(self, algorithm):
        algorithm.set_query_arguments(.99)
        found = [algorithm.query(q, 10) for q in queries()]
        self.assertGreater(nlsh.recall(np.stack(found), np.uint64(self.truth)), .95)
        self.assertIn("0.99", str(algorithm))
        return found

    def test_ann_benchmarks(self):
        with Tree("ann_benchmarks.algorithms.nlsh", "ann_benchmarks",
                  {"ann_benchmarks.algorithms.base.module": {"BaseANN": object}}) as module:
            algorithm = module("module").NLSH("euclidean", {})
            algorithm.fit(base())
            found = self.finds(algorithm)
            algorithm.batch_query(queries(), 10)
            np.testing.assert_array_equal(np.stack(algorithm.get_batch_results()), np.stack(found))
            self.assertEqual(algorithm.get_additional(), {"buckets": 8})
            algorithm.done()

    def test_vibe(self):
        with Tree("vibe.algorithms.nlsh", "vibe", {"vibe.algorithms.base.module": {"BaseANN": object}}) as module:
            algorithm = module("module").NLSH("euclidean", 4096)
            algorithm.fit(base())
            self.finds(algorithm)
            self.assertEqual((self.seen["metric"], self.seen["buckets"]), ("l2", 4096))
            learn = np.repeat(queries(), 8, axis=0)
            algorithm.fit_ood(base(), learn, None)
            self.assertIs(self.seen["train_queries"], learn)
            self.finds(algorithm)
            with self.assertRaises(NotImplementedError):
                module("module").NLSH("hamming", None)

    def test_vectordbbench(self):
        class Metric(enum.Enum):
            L2, COSINE, IP, DP = range(4)

        class Op(enum.Enum):
            NonFilter, NumGE = range(2)

        class Model:
            def __init__(self, **values):
                vars(self).update(values)

        api = {"VectorDB": object, "DBConfig": Model, "DBCaseConfig": object, "MetricType": Metric}
        with Tree("vdb.backend.clients.nlsh", "vectordbbench",
                  {"vdb.backend.clients.api": api, "pydantic": {"BaseModel": Model},
                   "vdb.backend.filter": {"Filter": object, "FilterOp": Op}}) as module, Folder() as path_of:
            config = module("config")
            case = config.NlshIndexConfig(metric_type=Metric.L2, recall=.99)
            where = config.NlshConfig(path=path_of("data")).to_dict()
            db = module("nlsh").Nlsh(16, where, case, drop_old=True)
            with db.init():
                for at in range(0, 1000, 100):
                    rows = base()[at:at + 100].tolist()
                    self.assertEqual(db.insert_embeddings(rows, list(range(at, at + 100))), (100, None))
                self.assertEqual(db.search_embedding(base()[7].tolist(), 1), [7])
                db.optimize()
            again = module("nlsh").Nlsh(16, where, case)  # another process's
            with again.init():
                self.assertEqual(again.index.info.n_rows, 1000)
                self.assertGreater(again.index.info.n_buckets, 1)
                found = [again.search_embedding(q.tolist(), 10) for q in queries()]
                self.assertGreater(nlsh.recall(np.uint64(found), np.uint64(self.truth)), .95)
                again.prepare_filter(Model(type=Op.NumGE, int_value=900))
                self.assertGreaterEqual(min(again.search_embedding(queries()[0].tolist(), 10)), 900)
                count, error = again.insert_embeddings([[1.0]], [5000])
                self.assertEqual((count, type(error)), (0, nlsh.MismatchError))


if __name__ == "__main__":
    unittest.main()
