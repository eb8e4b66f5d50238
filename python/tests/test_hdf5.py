"""HDF5 files as ann-benchmarks has them, written by h5py."""

import os
import unittest

import numpy as np

try:
    import h5py
except ImportError:
    raise unittest.SkipTest("no h5py (python3-h5py)")

import nlsh
from support import Folder, base


class HDF5(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Folder()
        cls.path = cls.folder.__enter__()("a.hdf5")
        ids = np.arange(12).reshape(3, 4)
        cls.sets = {"train": base(), "doubles": base()[:9].astype("f8"), "swapped": base()[:9].astype(">f4"),
                    "halves": base()[:9].astype("f2"), "bytes": ids.astype("u1"), "signed": ids.astype("i1"),
                    "neighbors": ids.astype("i4"), "wide": ids.astype("i8"), "a/deep": base()[:2]}
        with h5py.File(cls.path, "w") as file:
            for name, values in cls.sets.items():
                file.create_dataset(name, data=values)
            file.create_dataset("packed", data=base(), chunks=(100, 16), compression="gzip")
            file.create_dataset("flat", data=base()[0])
            file.create_dataset("texts", data=[[b"a", b"b"]])
            file.create_dataset("none", shape=(0, 4), dtype="f4")
            file.create_dataset("unwritten", shape=(10**9, 10**6), dtype="f4", chunks=(1, 1000))
            file.create_dataset("nan", data=np.full((2, 2), np.nan, "f4"))

    @classmethod
    def tearDownClass(cls):
        cls.folder.__exit__(None, None, None)

    def read(self, name):
        return nlsh.read(f"{self.path}:{name}")

    def test_datasets_of_numbers(self):
        types = {"bytes": "u1", "signed": "i1", "neighbors": "i4", "wide": "i4"}
        for name, values in self.sets.items():
            with self.subTest(name):
                got = self.read(name)
                self.assertEqual(got.dtype, np.dtype(types.get(name, "f4")))
                np.testing.assert_array_equal(got, values.astype(got.dtype))
        np.testing.assert_array_equal(self.read("packed"), base())

    def test_what_is_no_set_of_vectors(self):
        for name, words in (("flat", "1 dimensions"), ("texts", "no numbers"), ("none", "no vectors"),
                            ("unwritten", "cannot hold"), ("nan", "NaN"), ("missing", "no dataset")):
            with self.subTest(name), self.assertRaises(nlsh.DataError) as caught:
                self.read(name)
            self.assertIn(words, str(caught.exception))

    def test_a_file_alone_asks_which(self):
        with self.assertRaises(nlsh.DataError) as caught:
            nlsh.read(self.path)
        self.assertIn(":train", caught.exception.hint)

    def test_files_that_are_none(self):
        with Folder() as path_of:
            with self.assertRaises(nlsh.NoInputError):
                nlsh.read(path_of("a.hdf5:train"))
            with open(path_of("a.hdf5"), "wb") as file:
                file.write(b"no HDF5" * 100)
            with self.assertRaises(nlsh.DataError):
                nlsh.read(path_of("a.hdf5:train"))

    def test_a_damaged_file_is_an_error(self):
        with Folder() as path_of, open(self.path, "rb") as file:
            content = file.read()
            for share in (0.1, 0.5, 0.9):
                with open(path_of("cut.hdf5"), "wb") as cut:
                    cut.write(content[:int(share * len(content))])
                with self.assertRaises(nlsh.DataError):
                    nlsh.read(path_of("cut.hdf5:train"))
        self.assertTrue(os.path.exists(self.path))


if __name__ == "__main__":
    unittest.main()
