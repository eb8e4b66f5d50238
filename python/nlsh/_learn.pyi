from typing import Any, Callable, Optional

import numpy as np
import numpy.typing as npt

_Tell = Optional[Callable[[str, int, int], Any]]
_Pair = tuple[npt.NDArray[np.uint64], npt.NDArray[np.float32]]

class Memory:
    __array_interface__: dict[str, Any]

def build(
    base: npt.ArrayLike,
    path: bytes,
    settings: dict[str, str],
    keys: npt.NDArray[np.uint64] | None,
    train_queries: npt.ArrayLike | None,
    progress: _Tell,
    threads: int | None,
    cache: bytes | None,
    /,
) -> dict[str, Any]: ...
def ground_truth(
    base: npt.ArrayLike,
    queries: npt.ArrayLike,
    metric: str,
    k: int,
    progress: _Tell,
    threads: int | None,
    cache: bytes | None,
    /,
) -> _Pair: ...
def recall(
    n: int,
    k: int,
    ids: npt.NDArray[np.uint64],
    truth_ids: npt.NDArray[np.uint64],
    distances: npt.NDArray[np.float32] | None,
    truth_distances: npt.NDArray[np.float32] | None,
    /,
) -> float: ...
def settings() -> list[tuple[str, str, str, str]]: ...
def cache_dir() -> str | None: ...
def compact(
    path: bytes,
    retrain: bool,
    automatic: bool,
    drop_damaged: bool,
    progress: _Tell,
    threads: int | None,
    cache: bytes | None,
    /,
) -> dict[str, Any]: ...
def calibrate(
    path: bytes,
    queries: npt.ArrayLike,
    out: bytes | None,
    progress: _Tell,
    threads: int | None,
    /,
) -> dict[str, Any]: ...
def read(path: Any, format: str | None, /) -> Memory: ...
def write(path: Any, array: npt.ArrayLike, format: str | None, /) -> None: ...
def tune(
    base: npt.ArrayLike,
    texts: tuple[bytes | None, ...],
    settings: dict[str, str],
    numbers: dict[str, int | None],
    sampler: str,
    pruner: str,
    timeout: float,
    resume: bool,
    two_stage: bool,
    progress: _Tell,
    threads: int | None,
    cache: bytes | None,
    /,
) -> dict[str, Any]: ...
def _wait_for_left() -> None: ...
