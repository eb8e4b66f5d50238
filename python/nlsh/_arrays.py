"""Arrays that the library cannot read where they lie: converted, or refused with the reason.

What it can read (python/src/vectors.c) never comes here: float16, float32, float64, uint8 and int8 in the
machine's byte order, one or two dimensions, each row without gaps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._errors import ArgumentError

# Whole numbers up to here are floats of 32 bits without loss.
_MOST_WHOLE = 2**24
# What the library reads as it is.
_READ = frozenset(np.dtype(t) for t in ("f2", "f4", "f8", "u1", "i1"))
# numpy's kinds of what makes no vectors.
_NO_NUMBERS = {"c": "complex numbers", "O": "objects", "U": "texts", "S": "byte strings", "M": "dates",
               "m": "spans of time", "V": "records"}


def _array_of(source: Any, what: str) -> np.ndarray:
    """An array of numpy of whatever it is, or the reason why there is none."""
    if isinstance(source, np.ma.MaskedArray):
        if np.ma.is_masked(source):
            raise ArgumentError(f"{what}: a masked array with masked values",
                                "fill them: array.filled(...)")
        return np.asarray(source)
    if isinstance(source, np.ndarray):
        return source
    if type(source).__module__.partition(".")[0] == "scipy" and hasattr(source, "toarray"):
        raise ArgumentError(f"{what}: a sparse matrix", "make it dense: matrix.toarray()")
    if hasattr(source, "__dlpack_device__") and not hasattr(source, "__array_interface__"):
        return _from_dlpack(source, what)
    if hasattr(source, "__cuda_array_interface__"):
        raise ArgumentError(f"{what}: an array on a GPU", "bring it into memory: array.get()")
    try:
        return np.asarray(source)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{what}: no array: {error}", "give rows of equal length") from error


def _from_dlpack(source: Any, what: str) -> np.ndarray:
    device = int(source.__dlpack_device__()[0])
    if device not in (1, 3):  # a CPU's memory, or such that a GPU sees too
        raise ArgumentError(f"{what}: an array on another device (DLPack type {device})",
                            "bring it into memory: tensor.cpu()")
    try:
        return np.from_dlpack(source)
    except Exception as error:  # each library has its own: BufferError, RuntimeError, TypeError
        raise ArgumentError(f"{what}: {error}",
                            "a tensor with gradients: tensor.detach(); bfloat16: tensor.float()") from error


def as_vectors(source: Any, what: str) -> np.ndarray:
    """An array that the library can read, of the same numbers; ArgumentError says why there is none.

    Whole numbers of 16 bits and more become float32 where that loses nothing, and booleans bytes.
    """
    array = _array_of(source, what)
    kind, dtype = array.dtype.kind, array.dtype.newbyteorder("=")
    if kind not in "biuf":
        raise ArgumentError(f"{what}: an array of {_NO_NUMBERS.get(kind, kind)} ({array.dtype})",
                            "give numbers: float32 is what the library computes with")
    if array.ndim not in (1, 2):
        raise ArgumentError(f"{what}: an array of shape {array.shape}",
                            "give one vector, [dim], or one a row, [n, dim]")
    if kind == "b":
        dtype = np.dtype("u1")
    elif kind in "iu" and dtype not in _READ:
        if array.size and not (-_MOST_WHOLE <= int(array.min()) and int(array.max()) <= _MOST_WHOLE):
            raise ArgumentError(f"{what}: whole numbers beyond 2^24, which float32 does not hold",
                                "convert them yourself: array.astype('f4') rounds")
        dtype = np.dtype("f4")
    elif kind == "f" and dtype not in _READ:
        dtype = np.dtype("f8")  # long double; the library rounds to float32
    return np.asarray(np.require(array, dtype, ["C", "A"]))


def as_keys(keys: Any, n_rows: int | None) -> np.ndarray:
    """Keys of vectors as uint64 [n_rows]; numbers that would change are refused. One may stand for itself. n_rows
    None: any number of them."""
    array = np.asarray(keys)
    if array.size == 0 or (array.dtype.kind in "fO" and not isinstance(keys, np.ndarray)):
        array = _large_keys(keys, array)
    if array.ndim == 0:
        array = array[None]
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ArgumentError(f"keys: an array of shape {array.shape} of {array.dtype}",
                            "give one whole number for each vector, from 0 to 2^64 - 2")
    if n_rows is not None and array.shape[0] != n_rows:
        raise ArgumentError(f"keys: {array.shape[0]} keys, but {n_rows} vectors",
                            "give one key for each vector")
    if array.dtype.kind == "i" and array.size and int(array.min()) < 0:
        raise ArgumentError(f"keys: {int(array.min())} is negative", "give numbers from 0 on")
    return np.require(array, np.dtype("u8"), ["C", "A"])


def _large_keys(keys: Any, array: np.ndarray) -> np.ndarray:
    """numpy makes floats of an empty list, and of one with numbers on both sides of 2^63."""
    try:
        if array.ndim == 1 and all(isinstance(key, int) for key in keys):
            return np.array(keys, "u8")
    except OverflowError:  # negative, or beyond 64 bits: as it is
        pass
    return array


def packed_mask(mask: Any) -> tuple[bytes, int]:
    """The bits of a filter, in words of 64, and their number."""
    array = np.asarray(mask)
    if array.dtype != np.dtype(bool) or array.ndim != 1:
        raise ArgumentError(f"filter: an array of shape {array.shape} of {array.dtype}",
                            "give one bool for each row number, or a function of a key")
    packed = np.packbits(array, bitorder="little").tobytes()
    return packed + bytes(-len(packed) % 8), array.shape[0]
