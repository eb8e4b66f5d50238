import os
from typing import Any, Callable, Literal, SupportsIndex, Union

import numpy as np
import numpy.typing as npt

_Path = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]
_Ids = npt.NDArray[np.uint64]
_Floats = npt.NDArray[np.float32]
_Mask = Union["Filter", npt.NDArray[np.bool_], Callable[[int], Any]]
_Filter = Union[_Mask, "FittedFilter"]

NO_KEY: int
version: str

class Filter:
    def __new__(cls, words: bytes, n_bits: int) -> Filter: ...
    def __len__(self) -> int: ...

# What Index.fit() gives.
class FittedFilter:
    def __len__(self) -> int: ...

class Index:
    closed: bool
    def __new__(cls, path: _Path, memory: Literal["map", "codes", "all"] = "map") -> Index: ...
    def search(
        self,
        queries: npt.ArrayLike,
        k: int = 10,
        recall: float = 0.95,
        *,
        probes: SupportsIndex | None = None,
        threshold: float | None = None,
        filter: _Filter | None = None,
        threads: SupportsIndex | None = None,
        rerank: SupportsIndex | None = None,
        cautious: bool = False,
    ) -> tuple[_Ids, _Floats]: ...
    # One pair for one query, a list of pairs for many.
    def search_range(
        self,
        queries: npt.ArrayLike,
        radius: float,
        k: int = 10,
        recall: float = 0.95,
        *,
        probes: SupportsIndex | None = None,
        threshold: float | None = None,
        filter: _Filter | None = None,
    ) -> Any: ...
    def fit(self, filter: _Mask, /) -> FittedFilter: ...
    def route(self, queries: npt.ArrayLike) -> _Floats: ...
    def close(self) -> None: ...
    def _share(self) -> Any: ...
    def _facts(self) -> dict[str, Any]: ...
    def _filenos(self) -> tuple[int, int]: ...
    def _refresh(self) -> Any: ...

class Writer:
    next_key: int
    closed: bool
    def __new__(
        cls,
        path: _Path,
        sync: Literal["always", "interval", "flush"] = "always",
        sync_seconds: float = 0.1,
        memory: Literal["map", "codes", "all"] = "map",
    ) -> Writer: ...
    def put(self, keys: npt.ArrayLike, X: npt.ArrayLike) -> None: ...
    def add(self, X: npt.ArrayLike, /) -> _Ids: ...
    def delete(self, keys: npt.ArrayLike, /) -> int: ...
    def flush(self) -> None: ...
    def snapshot(self) -> Any: ...
    def close(self) -> None: ...

def cpu() -> str: ...
def create(
    path: _Path,
    dim: int,
    type: Literal["u8", "i8", "f32"] = "f32",
    metric: Literal["l2", "ip", "cosine"] = "l2",
) -> None: ...
def verify(path: _Path) -> None: ...
