"""The index, and what of it needs no speed. Search itself is in python/src/index.c."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from typing import Any, Callable, Union

from . import _search
from ._arrays import packed_mask

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


@dataclass(frozen=True)
class Info:
    """What an index holds."""

    n_rows: int  #: vectors
    dim: int  #: their dimension
    dtype: str  #: of the stored vectors: "uint8", "int8" or "float32"
    metric: str  #: "l2", "ip" or "cosine"
    n_buckets: int
    bucket_min: int  #: vectors in the smallest bucket
    bucket_max: int  #: and in the largest
    data_hash: int  #: XXH3-64 of the base
    router_weights: int  #: number of weights of the network
    size_bytes: int  #: of the file
    settings: dict[str, Any] = field(repr=False)  #: how the index was built
    disagreement: float  #: share of vectors that the router would put in another bucket
    format: int  #: version of the file's format
    n_segments: int  #: sets of rows that were written together
    has_keys: bool  #: True: ids are the caller's keys; False: row numbers


class Filter(_search.Filter):
    """Which rows an answer may hold, packed once for any number of searches.

    mask  bool [n_rows], by row number in the base. Rows behind its end may not be returned.
    """

    def __new__(cls, mask: Any) -> Filter:
        return super().__new__(cls, *packed_mask(mask))

    def __init__(self, mask: Any):
        super().__init__()


class Index(_search.Index):
    """An open index: nlsh.open() and nlsh.build() give one.

    Any number of threads may search it at the same time. `with nlsh.open(path) as index:` closes it at the
    end of the block. copy.copy() gives another object of the same open file; pickle carries the file's
    content along.
    """

    #: What the build said, of an index that nlsh.build() made; else None.
    report: dict[str, Any] | None = None

    @property
    def info(self) -> Info:
        """What the index holds; see Info."""
        facts = self._facts()
        facts["settings"] = json.loads(facts["settings"])
        facts["has_keys"] = bool(facts["has_keys"])
        return Info(**facts)

    def __len__(self) -> int:
        return self._facts()["n_rows"]

    def __repr__(self) -> str:
        if self.closed:
            return "<nlsh.Index, closed>"
        f = self._facts()
        return (f"<nlsh.Index of {f['n_rows']} vectors of {f['dim']} x {f['dtype']}, {f['metric']}, "
                f"{f['n_buckets']} buckets>")

    def save(self, path: Path) -> None:
        """Writes the index to a file, whole or not at all."""
        write_whole(path, self._pieces())

    def _pieces(self):
        """The file's content, piece by piece."""
        fd, size, at = self._fileno(), self._facts()["size_bytes"], 0
        while at < size:
            piece = os.pread(fd, min(size - at, 1 << 24), at)
            if not piece:
                raise OSError("the index file was cut short while it was open")
            at += len(piece)
            yield piece

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __copy__(self) -> Index:
        other = self._share()
        other.__dict__.update(self.__dict__)
        return other

    def __deepcopy__(self, memo: dict) -> Index:
        return self.__copy__()  # an open index never changes

    def __reduce__(self):
        return _from_content, (type(self), b"".join(self._pieces()), dict(self.__dict__))


def _from_content(cls: type, content: bytes, attributes: dict) -> Index:
    index = open_made(cls, lambda path: write_whole(path, [content]))
    index.__dict__.update(attributes)
    return index


def open_made(cls: type, make: Callable[[str], Any]) -> Index:
    """An index of a file that make(path) writes and that nobody else sees: its name goes, its content stays
    as long as the index is open."""
    folder = tempfile.mkdtemp(prefix="nlsh-")
    try:
        path = os.path.join(folder, "index.nlsh")
        make(path)
        return cls(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_whole(path: Path, pieces) -> None:
    """A file beside its target, renamed over it when all of it is on the disk."""
    path = os.fsdecode(path)
    fd, beside = tempfile.mkstemp(prefix=os.path.basename(path) + ".", suffix=".tmp",
                                  dir=os.path.dirname(path) or ".")
    try:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(fd, 0o666 & ~umask)
        with os.fdopen(fd, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise


def open(path: Path, memory: str = "map") -> Index:
    """Opens an index file.

    memory  what is read into memory: "map", nothing, the file's pages come as they are touched; "codes", all
            but the vectors; "all", the whole file.
    """
    return Index(path, memory)
