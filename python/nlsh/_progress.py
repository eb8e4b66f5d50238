"""Progress of a long call: a bar of tqdm, a function of the caller's, or nothing."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Any, Callable, Iterator


@contextmanager
def reporter(progress: Any, what: str) -> Iterator[Callable[[str, int, int], Any] | None]:
    """What the modules call with (stage, done, total)."""
    if callable(progress):
        yield progress
        return
    bar_type = _bar_type() if progress else None
    if bar_type is None:
        yield None
        return
    bars = _Bars(bar_type, what)
    try:
        yield bars.tell
    finally:
        bars.close()


def _bar_type() -> Any:
    """tqdm's bar; None where it is not installed, or where nobody sees standard error."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    in_notebook = "notebook" in tqdm.__mro__[0].__module__
    return tqdm if in_notebook or (sys.stderr is not None and sys.stderr.isatty()) else None


class _Bars:
    """A bar for each stage, one after the other."""

    def __init__(self, bar_type: Any, what: str):
        self._type, self._what = bar_type, what
        self._bar: Any = None
        self._stage = ""

    def tell(self, stage: str, done: int, total: int) -> None:
        if self._bar is None or stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = self._type(desc=f"{self._what}: {stage}", total=total or None, leave=False)
        if total:
            self._bar.total = total
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
