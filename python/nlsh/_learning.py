"""Making indexes, ground truth, tuning, and files of vectors: what libnlsh-learn is for.

A package that was built without that library searches only, and these functions say so.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Union

import numpy as np

from ._arrays import as_keys
from ._errors import ArgumentError, UnsupportedError
from ._index import Index, Path, open_made
from ._progress import reporter

try:
    from . import _learn
    _missing = ""
except ImportError as _error:
    _learn = None  # type: ignore[assignment]
    _missing = str(_error)

Progress = Union[bool, Callable[[str, int, int], Any]]


def can_learn() -> bool:
    """Whether this package makes indexes too, or only searches them."""
    return _learn is not None


def _library():
    if _learn is None:
        raise UnsupportedError(
            f"this nlsh searches only: libnlsh-learn was left out or does not load ({_missing})",
            "install libdnnl-dev libmetis-dev libjansson-dev libsqlite3-dev libxxhash-dev zlib1g-dev "
            "libzstd-dev liblapacke-dev, and then nlsh again")
    return _learn


def _texts(settings: dict[str, Any]) -> dict[str, str]:
    """Settings as the library reads them; those that are None take their defaults."""
    texts = {}
    for name, value in settings.items():
        if value is not None:
            texts[name] = str(int(value)) if isinstance(value, (bool, np.bool_)) else str(value)
    return texts


def _cache(folder: Path | bool | None) -> bytes | None:
    """A folder to keep graphs and partitions in; True: the command's."""
    if folder is True:
        folder = _library().cache_dir()
    return os.fsencode(folder) if folder else None


def build(X: Any, metric: str = "l2", buckets: int | None = None, seed: int = 1,
          progress: Progress = True, *, path: Path | None = None, keys: Any = None, train_queries: Any = None,
          threads: int | None = None, cache: Path | bool | None = None, **settings: Any) -> Index:
    """An index of the rows of X.

    X         array [n, dim], n >= 2. float32 without gaps is read where it lies, as are float16, float64,
              uint8 and int8; other arrays are converted. Bytes stay bytes with metric l2.
    metric    "l2": Euclidean; "ip": inner product; "cosine".
    buckets   parts that X is cut into, 1 to min(n, 65536); None: about 60 vectors in each, 1,024 at most
              (2,048 of 8 million vectors or more).
    seed      start of the random numbers: the same seed, the same index.
    progress  True: a bar, where tqdm is installed and standard error is a terminal; False: nothing; or a
              function of (stage, done, total), called about 20 times a second. total is 0 where it is not known.
              Something true from it stops the build with StoppedError.
    path      the file to write; None: a temporary one, without a name; index.save() writes it elsewhere.
    keys      whole numbers [n], from 0 to 2^64 - 2, none twice: what ids are then; None: row numbers.
    train_queries
              array [n_queries, dim] of some thousands of queries like those that will be asked, where they come from
              elsewhere than X: half of them teach, half calibrate. None: X itself does both.
    threads   None: all processors. The index does not depend on it.
    cache     a folder to keep graphs and partitions in for the next build; True: the command's.
    settings  by the command's names (nlsh.settings() lists them): knn=20, partitioner="metis", epochs=10 ...

    Ctrl-C stops it at once. index.report says what it did: seconds, edge_cut, held_out_candidates ...
    """
    learn = _library()
    given = _texts({"metric": metric, "m": buckets, "seed": seed, **settings})
    if keys is not None:
        keys = as_keys(keys, len(X))

    with reporter(progress, "build") as tell:
        def make(to: Path) -> dict[str, Any]:
            return learn.build(X, os.fsencode(to), given, keys, train_queries, tell, threads, _cache(cache))

        report: dict[str, Any] = {}
        if path is None:
            index = open_made(Index, lambda to: report.update(make(to)))
        else:
            report.update(make(path))
            index = Index(path)
    index.report = report
    return index


def settings() -> list[tuple[str, str, str, str]]:
    """The settings of a build: name, what it may be, what it does, default."""
    return _library().settings()


def ground_truth(X: Any, Q: Any, k: int = 10, metric: str = "l2", progress: Progress = False, *,
                 threads: int | None = None,
                 cache: Path | bool | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The exact k nearest rows of X of each row of Q.

    X, Q  arrays [n, dim] and [n_queries, dim], or [dim] for one query.
    k     1 to n.

    Returns (ids, distances): uint64 and float32 [n_queries, k], or [k]; as Index.search(), by row number.
    """
    with reporter(progress, "ground truth") as tell:
        return _library().ground_truth(X, Q, metric, k, tell, threads, _cache(cache))


def recall(ids: Any, truth_ids: Any, distances: Any = None, truth_distances: Any = None) -> float:
    """Mean recall@k, 0 to 1: the share of the true neighbours that an answer has.

    ids        whole numbers [n, k] or [k]: what was found.
    truth_ids  the same of the truth; more than k a query: the first k count.
    distances, truth_distances  float [n, k] each, or None. With them an answer exactly as far as the k-th
               true neighbour counts as true.
    """
    library = _library()
    answer = np.atleast_2d(np.asarray(ids))
    n, k = answer.shape
    truth = np.atleast_2d(np.asarray(truth_ids))
    if truth.ndim != 2 or truth.shape[0] != n or truth.shape[1] < k:
        raise ArgumentError(f"recall: ids of shape {answer.shape}, truth of shape {truth.shape}",
                            "give as many queries in both, and at least as many true neighbours")
    if answer.dtype.kind not in "iu" or truth.dtype.kind not in "iu":
        raise ArgumentError(f"recall: ids of {answer.dtype}, truth of {truth.dtype}",
                            "give whole numbers")

    def floats(values: Any) -> np.ndarray | None:
        if values is None:
            return None
        table = np.atleast_2d(np.asarray(values, "f4"))
        if table.shape[0] != n or table.shape[1] < k:
            raise ArgumentError(f"recall: distances of shape {table.shape}",
                                "give one for each id")
        return np.ascontiguousarray(table[:, :k])

    if k == 0:
        return 0.0
    return library.recall(n, k, np.ascontiguousarray(answer.astype("u8")),
                          np.ascontiguousarray(truth[:, :k].astype("u8")), floats(distances),
                          floats(truth_distances))


def tune(X: Any, folder: Path, *, trials: int | None = None, objective: str = "candidates@.95",
         space: Path | None = None, sampler: str = "tpe", pruner: str = "none", folds: int | None = None,
         epochs: int | None = None, top_k: int | None = None, final_epochs: int | None = None,
         timeout: float = 0, resume: bool = False, two_stage: bool = False, study: Path | None = None,
         name: str | None = None, progress: Progress = True, threads: int | None = None,
         cache: Path | bool | None = None, **settings: Any) -> dict[str, Any]:
    """Looks for better settings than the defaults, and builds the best few.

    X          array [n, dim], as for build().
    folder     of the run: models, index.json, trials.csv.
    trials     how many settings are tried; None: 50.
    objective  "recall@T", "candidates@R" or "qps@R", R a recall.
    space      a JSON file, see docs/tuning.md; None: the default space.
    sampler    "tpe", "random" or "grid".
    pruner     "none", "median" or "hyperband".
    timeout    seconds after which no trial begins; 0: none.
    resume     go on with the study that is there.
    settings   what is not searched, as in build(): metric="ip" ...
    The other words are those of `nlsh tune`.

    Returns a dict: n_complete, best, first, best_held_out, defaults_stand, best_file ... nlsh.open() of
    best_file in the folder is the best index.
    """
    learn = _library()
    texts = tuple(None if t is None else os.fsencode(t) for t in (folder, study, name, space, objective))
    numbers = {"trials": trials, "folds": folds, "epochs": epochs, "top_k": top_k,
               "final_epochs": final_epochs}
    with reporter(progress, "tune") as tell:
        return learn.tune(X, texts, _texts(settings), numbers, sampler, pruner, timeout, resume, two_stage,
                          tell, threads, _cache(cache))


def compact(path: Path, retrain: bool = False, automatic: bool = False, drop_damaged: bool = False, *,
            threads: int | None = None, progress: Progress = True,
            cache: Path | bool | None = None) -> dict[str, Any]:
    """Makes one file of an index and its log, in the file's place. Nobody may write to it meanwhile: BusyError.

    retrain       learn buckets and router anew, from what the index holds.
    automatic     do what is due: nothing, one file, or training too.
    drop_damaged  of a damaged log keep what is before the damage; the rest is lost.
    The other words are those of build().

    Searches go on meanwhile; Index.refresh() finds the new file. Ctrl-C stops it at once: the old state is there
    or the new one. Returns a dict: done ("nothing", "merged" or "retrained"), n_rows, n_dropped, log_rows,
    log_bytes, measured.
    """
    with reporter(progress, "compact") as tell:
        return _library().compact(os.fsencode(path), retrain, automatic, drop_damaged, tell, threads,
                                  _cache(cache))


def calibrate(path: Path, queries: Any, out: Path | None = None, *, threads: int | None = None,
              progress: Progress = True) -> dict[str, Any]:
    """Makes an index promise recall for queries like these, without training.

    queries  array [n, dim], at least 30, better 500: a sample like those that are asked later, not these
             themselves.
    out      the file to write; None: in place of path.

    Returns a dict: n_queries; recall_before and candidates_before, what a search for recall@10 of .95 reached and
    scanned before; recall and candidates, what it does now.
    """
    with reporter(progress, "calibrate") as tell:
        return _library().calibrate(os.fsencode(path), queries, None if out is None else os.fsencode(out),
                                    tell, threads)


def read(path: Path, format: str | None = None) -> np.ndarray:
    """A file of vectors as an array [n, dim]: uint8, int8, float32 or (files of ids) int32.

    path    or FILE.hdf5:NAME, a dataset of an HDF5 file.
    format  idx, fvecs, bvecs, ivecs, npy, fbin, u8bin, i8bin, ibin, f16bin or text (CSV, TSV, GloVe's); None: by name
            and content. Any of them may be compressed: .gz, .zst.
    """
    return np.asarray(_library().read(path, format))


def write(path: Path, X: Any, format: str | None = None) -> None:
    """Writes an array to a file of vectors, whole or not at all.

    X       array [n, dim]; whole numbers of more than 8 bits are ids (ivecs, ibin, npy) of 32 bits.
    format  as for read(); None: by the name's ending.
    """
    library = _library()
    array = np.atleast_2d(np.asarray(X))
    if array.dtype.kind in "iu" and array.dtype.itemsize > 1:
        if array.size and not (-2**31 <= int(array.min()) and int(array.max()) < 2**31):
            raise ArgumentError("vectors: ids beyond 32 bits", "take missing ids (NO_KEY) out")
        array = np.require(array, np.dtype("i4"), ["C", "A"])
    library.write(path, array, format)
