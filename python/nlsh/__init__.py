"""nlsh: learned nearest-neighbour search. Arrays in, arrays of numpy out.

    import nlsh
    index = nlsh.build(X)                              # X: array [n, dim]
    ids, distances = index.search(Q, k=10, recall=0.95)
    index.save("x.nlsh")

docs/python.md has the whole of it; help(nlsh.Index.search) and its like say what each call takes.
"""

try:
    import numpy as _numpy
except ImportError as _error:
    raise ImportError("nlsh gives its answers as arrays of numpy, which is not installed here: pip install "
                      "numpy, or make the environment with --system-site-packages") from _error

from ._errors import (ArgumentError, BusyError, CannotCreateError, DataError, Error, InternalError,
                      MismatchError, NoInputError, NoMemoryError, ReadWriteError, StoppedError,
                      UnsupportedError)
from ._index import Filter, Index, Info, open
from ._learning import (build, calibrate, can_learn, compact, ground_truth, read, recall, settings, tune,
                        write)
from ._search import NO_KEY, cpu, create, verify
from ._search import version as __version__
from ._writer import Writer, open_writer

__all__ = [
    "ArgumentError", "BusyError", "CannotCreateError", "DataError", "Error", "Filter", "Index", "Info",
    "InternalError", "MismatchError", "NO_KEY", "NoInputError", "NoMemoryError", "ReadWriteError", "StoppedError",
    "UnsupportedError", "Writer", "build", "calibrate", "can_learn", "compact", "cpu", "create", "ground_truth",
    "open", "open_writer", "read", "recall", "settings", "tune", "verify", "write",
]
