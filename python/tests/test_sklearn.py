"""The transformer: scikit-learn's own checks, and its contract beside KNeighborsTransformer's."""

import unittest

import numpy as np

try:
    from sklearn.cluster import DBSCAN
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.utils.estimator_checks import check_estimator
except ImportError:
    raise unittest.SkipTest("no scikit-learn (python3-sklearn)")

from nlsh.sklearn import NLSHTransformer
from support import base, queries

# What makes a fit a matter of milliseconds: the checks fit a hundred times.
QUICK = {"epochs": 1, "nodes": 4, "layers": 1, "partitioner": "kmeans", "code_bytes": 0}


class Checks(unittest.TestCase):
    def test_estimator(self):
        n = 0
        for estimator, check in check_estimator(NLSHTransformer(settings=QUICK), generate_only=True):
            with self.subTest(str(check)):
                check(estimator)
            n += 1
        self.assertGreater(n, 30)


class Contract(unittest.TestCase):
    def both(self, **options):
        ours = NLSHTransformer(recall=.999, random_state=1,
                               settings={"buckets": 1, **QUICK}, **options).fit(base())
        return ours, KNeighborsTransformer(**options).fit(base())

    def test_graph_is_the_exact_one(self):
        for mode in ("distance", "connectivity"):
            ours, theirs = self.both(mode=mode, n_neighbors=7)
            for X in (base(), queries()):
                a, b = ours.transform(X), theirs.transform(X)
                self.assertEqual((a.shape, a.nnz, a.dtype), (b.shape, b.nnz, X.dtype))
                np.testing.assert_allclose(a.toarray(), b.toarray(), atol=1e-4)
        self.assertEqual(len(ours.get_feature_names_out()), 1000)

    def test_fit_transform_and_pipelines(self):
        labels = np.repeat(np.arange(20), 50)
        model = make_pipeline(NLSHTransformer(n_neighbors=10, settings={"buckets": 4, **QUICK}),
                              KNeighborsClassifier(5, metric="precomputed"))
        self.assertGreater(model.fit(base(), labels).score(base(), labels), .9)
        found = make_pipeline(NLSHTransformer(n_neighbors=10, settings={"buckets": 4, **QUICK}),
                              DBSCAN(eps=5, metric="precomputed")).fit_predict(base())
        self.assertGreater(len(set(found)), 10)

    def test_rows_are_full_where_buckets_are_small(self):
        ours = NLSHTransformer(n_neighbors=60, recall=.5, settings={"buckets": 32, **QUICK}).fit(base())
        graph = ours.transform(queries())
        np.testing.assert_array_equal(np.diff(graph.indptr), 61)

    def test_params_go_round(self):
        one = NLSHTransformer(mode="connectivity", n_neighbors=3, recall=.8)
        self.assertEqual(NLSHTransformer(**one.get_params()).get_params(), one.get_params())


if __name__ == "__main__":
    unittest.main()
