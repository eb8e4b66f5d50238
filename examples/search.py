#!/usr/bin/env python3
"""search.py INDEX QUERIES.fvecs [K]: the K nearest neighbours of each query, from Python.

Nothing but Python's own library is needed: libnlsh.so is called through ctypes. It is looked for
where the system looks for libraries; NLSH_LIBRARY names another file. The structures are those of
nlsh.h, field by field.
"""
import array
import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char, c_char_p, c_double, c_float, c_int
from ctypes import c_size_t, c_uint, c_uint64, c_void_p

NLSH_F32 = 3
NLSH_NO_KEY = 2**64 - 1


class Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("message", c_char * 512), ("hint", c_char * 256)]


class Matrix(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("n_rows", c_size_t), ("dim", c_size_t), ("type", c_int),
                ("stride", c_size_t)]


class Info(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("n_rows", c_size_t), ("dim", c_size_t), ("type", c_int), ("metric", c_int),
        ("n_buckets", c_size_t), ("bucket_min", c_size_t), ("bucket_max", c_size_t),
        ("data_hash", c_uint64), ("router_weights", c_size_t), ("size_bytes", c_size_t),
        ("settings", c_char_p), ("disagreement", c_double), ("format", c_uint),
        ("n_segments", c_size_t), ("has_keys", c_int), ("n_deleted", c_size_t), ("log_rows", c_size_t),
        ("log_bytes", c_uint64), ("log_left", c_uint64), ("log_damaged", c_int), ("n_changed", c_size_t),
        ("needed_trained", c_double), ("needed_now", c_double), ("store_scale", c_float),
    ]


class Options(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t), ("k", c_size_t), ("probes", c_double), ("recall", c_double), ("rerank", c_size_t),
        ("n_threads", c_size_t), ("filter", c_void_p), ("counted", c_void_p), ("cautious", c_int),
    ]


lib = ctypes.CDLL(os.environ.get("NLSH_LIBRARY", "libnlsh.so.1"))
lib.nlsh_index_open.argtypes = [c_char_p, c_void_p, POINTER(c_void_p), POINTER(Error)]
lib.nlsh_index_close.argtypes = [c_void_p]
lib.nlsh_index_close.restype = None
lib.nlsh_index_info.argtypes = [c_void_p, POINTER(Info), POINTER(Error)]
lib.nlsh_search_options_init.argtypes = [POINTER(Options), c_size_t]
lib.nlsh_search_options_init.restype = None
lib.nlsh_search_batch.argtypes = [
    c_void_p, POINTER(Matrix), POINTER(Options), POINTER(c_uint64), POINTER(c_float), c_void_p,
    POINTER(Error),
]


def check(status, error):
    if status != 0:
        raise OSError(error.message.decode(errors="replace"))


class Index:
    """An open index; `with Index(path) as index:` closes it."""

    def __init__(self, path):
        self.handle, error = c_void_p(), Error()
        check(lib.nlsh_index_open(os.fsencode(path), None, byref(self.handle), byref(error)), error)
        self.info = Info(struct_size=ctypes.sizeof(Info))
        check(lib.nlsh_index_info(self.handle, byref(self.info), byref(error)), error)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        lib.nlsh_index_close(self.handle)
        self.handle = None

    def search(self, queries, k=10, recall=0.95, threads=1):
        """queries: array.array("f") (or a float32 numpy array) of n x dim values, row by row.

        Returns n lists of (key, distance), nearest first. ctypes lets other Python
        threads run meanwhile.
        """
        values = (c_float * len(queries)).from_buffer(queries)
        n, rest = divmod(len(queries), self.info.dim)
        if rest:
            raise ValueError(f"{len(queries)} values are no rows of {self.info.dim}")
        options, error = Options(), Error()
        lib.nlsh_search_options_init(byref(options), ctypes.sizeof(options))
        options.k, options.recall, options.n_threads = k, recall, threads
        keys, distances = (c_uint64 * (n * k))(), (c_float * (n * k))()
        matrix = Matrix(ctypes.addressof(values), n, self.info.dim, NLSH_F32)
        check(lib.nlsh_search_batch(self.handle, byref(matrix), byref(options), keys, distances,
                                    None, byref(error)), error)
        rows = [list(zip(keys[i * k:i * k + k], distances[i * k:i * k + k])) for i in range(n)]
        return [[pair for pair in row if pair[0] != NLSH_NO_KEY] for row in rows]


def read_fvecs(path, dim):
    """Each row of the file is its dimension, 32 bits, and then its values."""
    with open(path, "rb") as file:
        content = file.read()
    head, row_bytes = dim.to_bytes(4, "little"), 4 * (dim + 1)
    values = array.array("f")
    for at in range(0, len(content), row_bytes):
        row = content[at:at + row_bytes]
        if len(row) != row_bytes or row[:4] != head:
            raise ValueError(f"{path}: row {len(values) // dim} is no row of {dim} floats")
        values.frombytes(row[4:])
    return values


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: search.py INDEX QUERIES.fvecs [K]")
    try:
        with Index(sys.argv[1]) as index:
            queries = read_fvecs(sys.argv[2], index.info.dim)
            for i, row in enumerate(index.search(queries, int((sys.argv + ["10"])[3]))):
                print(i, *(f"{key}:{distance:.7g}" for key, distance in row))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
