"""Every kind of array gives the answer of its numbers, or says why not. Nothing is reinterpreted."""

import array
import mmap
import unittest

import numpy as np

import nlsh
from support import Folder, base, index, queries

WHOLE = np.round(queries() * 3) + 0  # whole numbers, which all types of integers hold


class DLPack:
    """A tensor that speaks DLPack and nothing else, as torch's do."""

    def __init__(self, values, device=1):
        self.values, self.device = values, device

    def __dlpack__(self, stream=None):
        return self.values.__dlpack__()

    def __dlpack_device__(self):
        return (self.device, 0)


class OnGpu:
    __cuda_array_interface__ = {}


def unaligned(values):
    raw = np.zeros(values.nbytes + 1, "u1")
    view = raw[1:].view(values.dtype).reshape(values.shape)
    view[:] = values
    return view


def strided_rows(values):
    wide = np.full((values.shape[0], values.shape[1] + 5), np.nan, values.dtype)
    wide[:, :values.shape[1]] = values
    return wide[:, :values.shape[1]]


def mapped(values):
    with Folder() as path_of:
        np.save(path_of("x.npy"), values)
        return np.load(path_of("x.npy"), mmap_mode="r")


def anonymous_map(values):
    memory = mmap.mmap(-1, values.nbytes)
    memory[:] = values.tobytes()
    return memoryview(memory).cast("f", values.shape)


class EveryKind(unittest.TestCase):
    KINDS = {
        "float32": lambda x: x,
        "float64": lambda x: x.astype("f8"),
        "float16": lambda x: x.astype("f2"),
        "long double": lambda x: x.astype(np.longdouble),
        "byte-swapped float32": lambda x: x.astype(">f4"),
        "byte-swapped float64": lambda x: x.astype(">f8"),
        "int8": lambda x: x.astype("i1"),
        "int16": lambda x: x.astype("i2"),
        "int32": lambda x: x.astype("i4"),
        "byte-swapped int32": lambda x: x.astype(">i4"),
        "int64": lambda x: x.astype("i8"),
        "Fortran order": np.asfortranarray,
        "rows with gaps": strided_rows,
        "every second row": lambda x: np.repeat(x, 2, 0)[::2],
        "every second column": lambda x: np.repeat(x, 2, 1)[:, ::2],
        "rows backwards": lambda x: np.ascontiguousarray(x[::-1])[::-1],
        "columns backwards": lambda x: np.ascontiguousarray(x[:, ::-1])[:, ::-1],
        "transposed": lambda x: np.ascontiguousarray(x.T).T,
        "one row, broadcast": lambda x: np.broadcast_to(x[0], x.shape),
        "unaligned": unaligned,
        "read-only": lambda x: np.frombuffer(x.tobytes(), "f4").reshape(x.shape),
        "memmap": mapped,
        "memoryview of an anonymous map": anonymous_map,
        "list of lists": lambda x: x.tolist(),
        "list of arrays": list,
        "tuple of tuples": lambda x: tuple(map(tuple, x.tolist())),
        "DLPack": DLPack,
        "masked array without a mask": np.ma.masked_array,
    }

    def test_of_a_known_kind_gives_the_same_answer(self):
        for name, make in self.KINDS.items():
            with self.subTest(name):
                given = make(WHOLE)
                numbers = np.float32(getattr(given, "values", given))
                want_ids, want_distances = index().search(np.ascontiguousarray(numbers), 5)
                ids, distances = index().search(given, 5)
                np.testing.assert_array_equal(ids, want_ids)
                np.testing.assert_array_equal(distances, want_distances)

    def test_builds_the_same_index(self):
        quick = dict(buckets=2, epochs=1, nodes=4, partitioner="kmeans", progress=False)
        X = np.round(base()[:200] * 3) + 0  # no -0, which integers do not have
        want = nlsh.build(X, **quick)
        for name in ("float64", "int16", "Fortran order", "rows with gaps", "DLPack", "list of lists"):
            with self.subTest(name):
                made = nlsh.build(self.KINDS[name](X), **quick)
                self.assertEqual(made.info.data_hash, want.info.data_hash)

    def test_one_dimension_is_one_query(self):
        for one in (WHOLE[0], WHOLE[0].astype("f8"), WHOLE[0].tolist(), array.array("f", WHOLE[0]),
                    array.array("d", WHOLE[0]), WHOLE[:, ::-1][0, ::-1]):
            ids, distances = index().search(one, 3)
            self.assertEqual((ids.shape, distances.shape), ((3,), (3,)))
            np.testing.assert_array_equal(ids, index().search(WHOLE[:1], 3)[0][0])

    def test_no_queries_give_no_answers(self):
        ids, distances = index().search(np.empty((0, 16), "f4"), 3)
        self.assertEqual((ids.shape, distances.shape), ((0, 3), (0, 3)))

    def test_booleans_and_bytes_are_numbers(self):
        bits = WHOLE > 0
        for same in (bits.astype("u1"), bits.astype("f4")):
            np.testing.assert_array_equal(index().search(bits, 4)[1], index().search(same, 4)[1])
        text = bytes(range(16))
        np.testing.assert_array_equal(index().search(text, 4)[0],
                                      index().search(np.arange(16, dtype="f4"), 4)[0])

    def test_float32_is_read_where_it_lies(self):
        class Counting:
            calls = 0
        import nlsh._arrays
        kept = nlsh._arrays.as_vectors

        def counted(*arguments):
            Counting.calls += 1
            return kept(*arguments)
        nlsh._arrays.as_vectors = counted
        try:
            for name in ("float32", "float64", "float16", "int8", "rows with gaps", "read-only"):
                index().search(self.KINDS[name](WHOLE), 3)
            self.assertEqual(Counting.calls, 0)
            index().search(WHOLE.astype("i8"), 3)
            self.assertEqual(Counting.calls, 1)
        finally:
            nlsh._arrays.as_vectors = kept


class Refused(unittest.TestCase):
    def refused(self, given, *words):
        with self.assertRaises(nlsh.ArgumentError) as caught:
            index().search(given, 3)
        for word in words:
            self.assertIn(word, str(caught.exception))
        self.assertTrue(caught.exception.hint)

    def test_what_has_no_numbers(self):
        self.refused(WHOLE.astype("c8"), "complex")
        self.refused(np.array(["a"] * 16), "texts")
        self.refused(np.array([b"a"] * 16), "byte strings")
        self.refused(np.array([None] * 16), "objects")
        self.refused(np.zeros(16, "M8[s]"), "dates")
        self.refused(np.zeros(16, [("x", "f4")]), "records")
        self.refused([[1.0] * 16, [1.0] * 15], "queries")
        self.refused("sixteen numbers", "texts")
        self.refused(None, "objects")
        self.refused({1: 2}, "objects")

    def test_what_has_another_shape(self):
        self.refused(np.float32(1), "shape ()")
        self.refused(np.zeros((2, 2, 16), "f4"), "shape (2, 2, 16)")

    def test_what_would_lose(self):
        self.refused(np.full(16, 2**24 + 1), "2^24")
        self.refused(np.full(16, -2**24 - 1), "2^24")
        self.refused(np.full(16, 2**63, "u8"), "2^24")
        index().search(np.full(16, 2**24), 3)

    def test_what_is_masked(self):
        self.refused(np.ma.masked_array(WHOLE, WHOLE > 2), "masked")

    def test_what_lies_elsewhere(self):
        self.refused(DLPack(WHOLE, device=2), "device", "cpu()")
        self.refused(OnGpu(), "GPU")

    def test_what_is_not_finite_or_too_large(self):
        for value in (np.nan, np.inf, 1e300):
            given = np.zeros(16)
            given[3] = value
            self.refused(given, "value 3")

    def test_what_has_another_dimension(self):
        with self.assertRaises(nlsh.MismatchError):
            index().search(np.zeros((2, 15), "f4"))

    def test_sparse(self):
        try:
            import scipy.sparse
        except ImportError:
            self.skipTest("no scipy")
        self.refused(scipy.sparse.csr_matrix(WHOLE), "sparse", "toarray")

    def test_torch(self):
        try:
            import torch
        except ImportError:
            self.skipTest("no torch")
        want = index().search(WHOLE, 3)[0]
        np.testing.assert_array_equal(index().search(torch.tensor(WHOLE), 3)[0], want)
        np.testing.assert_array_equal(index().search(torch.tensor(WHOLE.T).T, 3)[0], want)
        self.refused(torch.tensor(WHOLE, requires_grad=True), "detach")
        self.refused(torch.tensor(WHOLE).bfloat16(), "float()")


if __name__ == "__main__":
    unittest.main()
