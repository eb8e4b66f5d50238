"""The index, and what of it needs no speed. Search itself is in python/src/index.c."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Union

from . import _search
from ._arrays import packed_mask
from ._errors import ArgumentError

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


@dataclass(frozen=True)
class Info:
    """What an index holds."""

    n_rows: int  #: vectors, without those that were deleted
    dim: int  #: their dimension
    dtype: str  #: of the stored vectors: "uint8", "int8", "float16", "bfloat16" or "float32"
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
    n_deleted: int  #: rows that were deleted or replaced, and still take room
    log_rows: int  #: vectors that the log holds beside the file, deleted ones too
    log_bytes: int  #: of the log, as far as it is whole; 0: there is none
    log_left: int  #: bytes behind that which are no record
    log_damaged: bool  #: True: they were durable once
    n_changed: int  #: rows that came or went since promises were measured
    needed_trained: float  #: vectors that a query for recall@10 of .95 needed after training; 0: not known
    needed_now: float  #: and when promises were last measured
    store_scale: float  #: above 0: float32 is stored as signed bytes, times this


class Filter(_search.Filter):
    """Which rows an answer may hold, packed once for any number of searches.

    mask  bool [n_rows], by row number in the base. Rows behind its end may not be returned.
    """

    def __new__(cls, mask: Any) -> Filter:
        return super().__new__(cls, *packed_mask(mask))

    def __init__(self, mask: Any):
        super().__init__()


class Index(_search.Index):
    """An open index: nlsh.open(), nlsh.build() and Writer.snapshot() give one.

    Any number of threads may search it at the same time. `with nlsh.open(path) as index:` closes it at the
    end of the block. copy.copy() gives another object of the same open file; pickle carries the file's
    content along.
    """

    #: What the build said, of an index that nlsh.build() made; else None.
    report: dict[str, Any] | None = None
    #: False: its file was made for it alone, and nobody can change that.
    _has_name = True

    @property
    def info(self) -> Info:
        """What the index holds; see Info."""
        facts = self._facts()
        facts["settings"] = json.loads(facts["settings"])
        for name in ("has_keys", "log_damaged"):
            facts[name] = bool(facts[name])
        return Info(**facts)

    def __len__(self) -> int:
        return self._facts()["n_rows"]

    def __repr__(self) -> str:
        if self.closed:
            return "<nlsh.Index, closed>"
        f = self._facts()
        return (f"<nlsh.Index of {f['n_rows']} vectors of {f['dim']} x {f['dtype']}, {f['metric']}, "
                f"{f['n_buckets']} buckets>")

    def refresh(self) -> Index:
        """The index as its file and its log are now: another object, which shares what it can with this one;
        or this one, where nothing has changed."""
        now = self._refresh() if self._has_name or self.closed else self
        if now is not self:
            now.__dict__.update(self.__dict__)
        return now

    def save(self, path: Path) -> None:
        """Writes the index to a file, whole or not at all.

        What its log holds goes to PATH-log, before the file. nlsh.compact() makes one file of both.
        """
        content, log = self._pieces()
        beside = _log_path(path)
        if os.path.lexists(beside):
            raise ArgumentError(f"{os.fsdecode(beside)}: the log of another index lies there",
                                "take another name, or remove that index and its log")
        if self._facts()["log_bytes"]:
            write_whole(beside, log)
        write_whole(path, content)

    def _pieces(self) -> tuple[Iterator[bytes], Iterator[bytes]]:
        """What its file holds and what its log does, piece by piece."""
        facts, (fd, log_fd) = self._facts(), self._filenos()
        return (_pieces_of(self, fd, facts["size_bytes"]), _pieces_of(self, log_fd, facts["log_bytes"]))

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
        content, log = map(b"".join, self._pieces())
        return _from_content, (type(self), content, dict(self.__dict__), log)


def _from_content(cls: type, content: bytes, attributes: dict, log: bytes = b"") -> Index:
    def make(path: str) -> None:
        write_whole(path, [content])
        if log:
            write_whole(_log_path(path), [log])

    index = open_made(cls, make)
    index.__dict__.update(attributes, _has_name=False)
    return index


def _log_path(path: Path) -> str:
    """The log beside an index file."""
    return os.path.realpath(os.fsdecode(path)) + "-log"


def _pieces_of(holder: Index, fd: int, size: int) -> Iterator[bytes]:
    """The first bytes of an open file; holder keeps it open."""
    at = 0
    while at < size:
        piece = os.pread(fd, min(size - at, 1 << 24), at)
        if not piece:
            raise OSError("the index file was cut short while it was open")
        at += len(piece)
        yield piece


def open_made(cls: type, make: Callable[[str], Any]) -> Index:
    """An index of a file that make(path) writes and that nobody else sees: its name goes, its content stays
    as long as the index is open."""
    folder = tempfile.mkdtemp(prefix="nlsh-")
    try:
        path = os.path.join(folder, "index.nlsh")
        make(path)
        index = cls(path)
        index._has_name = False
        return index
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
