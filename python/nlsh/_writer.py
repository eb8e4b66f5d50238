"""An index that changes. Writing itself is in python/src/writer.c."""

from __future__ import annotations

from typing import Any

from . import _search
from ._index import Path


class Writer(_search.Writer):
    """An index that is open for writing: nlsh.open_writer() gives one.

    `with nlsh.open_writer(path) as writer:` closes it at the end of the block, also where that raises: what was put
    before stays. Any number of threads may use it; those that write take turns. A child after a fork cannot.
    """

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __reduce__(self):
        raise TypeError("a writer is neither copied nor pickled: there is one of an index at a time; "
                        "pickle writer.snapshot()")


def open_writer(path: Path, sync: str = "always", sync_seconds: float = 0.1, memory: str = "map") -> Writer:
    """Opens an index file to put and delete vectors. What is put goes to the log beside it, PATH-log.

    sync          when what was put survives a loss of power (it survives the end of the process in any case):
                  "always", when the call returns; "interval", sync_seconds later at the latest; "flush", when
                  flush() returns.
    sync_seconds  0.001 to 3600.
    memory        of the snapshots, as in nlsh.open().

    BusyError where another process or thread has it open for writing.
    """
    return Writer(path, sync, sync_seconds, memory)
