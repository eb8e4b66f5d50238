"""Answers: against brute force, and against each other."""

import copy
import threading
import time
import unittest

import numpy as np

import nlsh
from support import QUICK, base, index, nearest, queries


class Answers(unittest.TestCase):
    def test_all_buckets_are_brute_force(self):
        want_ids, want = nearest(base(), queries(), 10)
        ids, distances = index().search(queries(), 10, probes=8)
        self.assertEqual((ids.dtype, distances.dtype), (np.uint64, np.float32))
        np.testing.assert_array_equal(ids, want_ids)
        np.testing.assert_allclose(distances, want, rtol=1e-5)

    def test_of_cosine_and_inner_product_too(self):
        X, Q = base(), queries()
        unit = lambda rows: rows / np.linalg.norm(np.float64(rows), axis=1, keepdims=True)
        for metric, far in (("cosine", 1 - unit(Q) @ unit(X).T), ("ip", -(np.float64(Q) @ X.T))):
            with self.subTest(metric):
                made = nlsh.build(X, metric, **QUICK)
                ids, distances = made.search(Q, 5, probes=8)
                np.testing.assert_array_equal(ids, np.argsort(far, 1)[:, :5])
                np.testing.assert_allclose(distances, np.sort(far, 1)[:, :5], rtol=1e-4, atol=1e-5)

    def test_few_and_many_and_threads_agree(self):
        many = np.tile(queries(), (40, 1))
        want = [index().search(q, 7) for q in many]
        for n in (1, 2, 8, 9, 25, 1000):
            for threads in (None, 1, 2, 3):
                ids, distances = index().search(many[:n], 7, threads=threads)
                np.testing.assert_array_equal(ids, [w[0] for w in want[:n]])
                np.testing.assert_array_equal(distances, [w[1] for w in want[:n]])

    def test_slices_of_a_large_batch_fit_together(self):
        many = np.tile(queries(), (1500, 1))  # 37,500: three slices
        ids, _ = index().search(many, 2, probes=1)
        np.testing.assert_array_equal(ids, np.tile(index().search(queries(), 2, probes=1)[0], (1500, 1)))

    def test_more_probes_find_no_less(self):
        truth = nearest(base(), queries(), 10)[0]
        found = [nlsh.recall(index().search(queries(), probes=p)[0], truth) for p in range(1, 9)]
        self.assertEqual(found, sorted(found))
        self.assertEqual(found[-1], 1)
        low, high = (nlsh.recall(index().search(queries(), threshold=t)[0], truth) for t in (.5, 1e-6))
        self.assertLessEqual(low, high)

    def test_missing_places_say_so(self):
        few = np.zeros(1000, bool)
        few[[3, 700]] = True
        ids, distances = index().search(queries()[0], 4, probes=8, filter=few)
        self.assertEqual(set(ids[:2]), {3, 700})
        self.assertEqual(list(ids[2:]), [nlsh.NO_KEY] * 2)
        self.assertTrue(np.isinf(distances[2:]).all())


class Filters(unittest.TestCase):
    def test_mask_packed_and_function_agree(self):
        mask = np.random.default_rng(5).random(1000) < .3
        want, _ = nearest(base()[mask], queries(), 5)
        want = np.flatnonzero(mask)[want]
        for given in (mask, nlsh.Filter(mask), lambda key: mask[key]):
            np.testing.assert_array_equal(index().search(queries(), 5, probes=8, filter=given)[0], want)
        self.assertEqual(len(nlsh.Filter(mask)), 1000)

    def test_rows_behind_a_short_mask_are_hidden(self):
        for n in (1, 63, 64, 65, 129):
            ids, _ = index().search(queries(), 5, probes=8, filter=np.ones(n, bool))
            self.assertTrue(((ids < n) | (ids == nlsh.NO_KEY)).all())

    def test_what_a_function_raises_comes_out(self):
        class Odd(Exception):
            pass

        def allows(key):
            raise Odd(key)
        for Q in (queries()[0], queries()):
            with self.assertRaises(Odd):
                index().search(Q, 5, filter=allows)
        self.assertEqual(index().search(queries()[0], 5)[0].shape, (5,))

    def test_a_fitted_filter_keeps_the_recall(self):
        mask = base()[:, 0] > np.median(base()[:, 0])  # it goes with what the vectors show
        want, _ = nearest(base()[mask], queries(), 5)
        want = np.flatnonzero(mask)[want]
        for given in (mask, nlsh.Filter(mask), lambda key: mask[key]):
            fitted = index().fit(given)
            self.assertEqual(len(fitted), mask.sum())
            np.testing.assert_array_equal(index().search(queries(), 5, probes=8, filter=fitted)[0], want)
            ids, _ = index().search(queries(), 5, .95, filter=fitted)
            self.assertGreaterEqual(nlsh.recall(ids, want), .93)
            self.assertTrue(mask[ids].all())
            found, _ = index().search_range(queries()[0], 1e9, 1000, filter=fitted)
            self.assertTrue(mask[found].all())

    def test_a_fitted_filter_is_of_one_state(self):
        fitted = index().fit(np.ones(1000, bool))
        with nlsh.build(base()[:500], **QUICK) as other:
            for search in (other.search, lambda Q, filter: other.search_range(Q, 1., filter=filter)):
                with self.assertRaisesRegex(nlsh.ArgumentError, "another index"):
                    search(queries(), filter=fitted)
        for wrong in (fitted, None, "yes", np.arange(3)):
            with self.assertRaises(nlsh.ArgumentError):
                index().fit(wrong)
        with self.assertRaises(TypeError):
            type(fitted)()
        with self.assertRaises(TypeError):
            copy.copy(fitted)
        with self.assertRaises(ZeroDivisionError):
            index().fit(lambda key: 1 // 0)
        del fitted

    def test_other_filters_are_refused(self):
        for given in (np.arange(5), np.ones((2, 2), bool), [0, 1], "yes"):
            with self.assertRaises(nlsh.ArgumentError):
                index().search(queries(), 5, filter=given)


class Range(unittest.TestCase):
    def test_is_all_within_the_radius(self):
        _, far = nearest(base(), queries(), 1000)
        radius = float(np.median(far[:, 30])) + 1e-3
        self.assertGreater(np.abs(far - radius).min(), 1e-5)  # no distance is a matter of rounding
        found = index().search_range(queries(), radius, probes=8)
        self.assertEqual(len(found), 25)
        for q, (ids, distances) in enumerate(found):
            want = far[q][far[q] <= radius]
            np.testing.assert_allclose(distances, want, rtol=1e-5)
            one = index().search_range(queries()[q], radius, probes=8)
            np.testing.assert_array_equal(one[0], ids)

    def test_may_be_empty(self):
        ids, distances = index().search_range(queries()[0] + 1000, 1.0)
        self.assertEqual((ids.shape, distances.shape), ((0,), (0,)))
        self.assertEqual(index().search_range(np.empty((0, 16), "f4"), 1.0), [])

    def test_wants_a_radius(self):
        with self.assertRaises(nlsh.ArgumentError):
            index().search_range(queries()[0], -1)


class Route(unittest.TestCase):
    def test_is_probabilities_that_search_follows(self):
        p = index().route(queries())
        self.assertEqual((p.shape, p.dtype), ((25, 8), np.float32))
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
        np.testing.assert_array_equal(index().route(queries()[3]), p[3])
        self.assertTrue((p >= 0).all())


class Arguments(unittest.TestCase):
    def test_outside_their_meaning_are_refused(self):
        for wrong in (dict(k=0), dict(k=-1), dict(k=1001), dict(recall=0), dict(recall=1), dict(recall=2),
                      dict(probes=0), dict(probes=-3), dict(threshold=0), dict(threshold=1),
                      dict(threshold=2.0), dict(probes=1, threshold=.5), dict(threads=0),
                      dict(threads=5000), dict(rerank=0)):
            with self.subTest(**wrong), self.assertRaises(nlsh.ArgumentError):
                index().search(np.tile(queries(), (2, 1)), **wrong)

    def test_of_another_type_are_refused(self):
        for wrong in (dict(k="5"), dict(k=2.5), dict(recall="all"), dict(probes=1.5), dict(what=1)):
            with self.subTest(**wrong), self.assertRaises(TypeError):
                index().search(queries(), **wrong)
        with self.assertRaises(TypeError):
            index().search()


class Threads(unittest.TestCase):
    def test_many_search_one_index(self):
        want = index().search(queries(), 5)
        wrong = []

        def work():
            for i in range(200):
                ids, _ = index().search(queries()[i % 25], 5)
                many, _ = index().search(queries(), 5, threads=1 + i % 2)
                if (ids != want[0][i % 25]).any() or (many != want[0]).any():
                    wrong.append(i)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])

    def test_others_run_while_the_library_searches(self):
        many = np.tile(queries(), (600, 1))  # one slice: the GIL is not taken in between
        ended = threading.Event()

        def work():
            try:
                index().search(many, 50, probes=8, threads=1)
            finally:
                ended.set()
        thread = threading.Thread(target=work)
        steps = 0
        thread.start()
        while not ended.is_set():
            time.sleep(0.001)
            steps += 1
        thread.join()
        self.assertGreater(steps, 2)


if __name__ == "__main__":
    unittest.main()
