"""The exceptions of the package: one for each status of the library."""

from __future__ import annotations


class Error(Exception):
    """What went wrong. Each status of the library has a class of its own.

    status   the library's number, frozen: 1 is NLSH_E_ARG
    name     its name, "NLSH_E_ARG"
    message  which input, which value, and what is wrong with it
    hint     what to do about it; empty where there is nothing to say
    """

    status: int = 10
    name: str = "NLSH_E_INTERNAL"

    def __init__(self, message: str = "", hint: str = ""):
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ArgumentError(Error, ValueError):
    """An argument or a setting is outside its meaning."""

    status, name = 1, "NLSH_E_ARG"


class NoMemoryError(Error, MemoryError):
    """Memory could not be had."""

    status, name = 2, "NLSH_E_NOMEM"


class NoInputError(Error, FileNotFoundError):
    """An input file does not exist or may not be read."""

    status, name = 3, "NLSH_E_NO_INPUT"


class ReadWriteError(Error, OSError):
    """Reading or writing failed half-way."""

    status, name = 4, "NLSH_E_IO"


class CannotCreateError(Error, OSError):
    """An output cannot be created or completed: permission, a full disk."""

    status, name = 5, "NLSH_E_CANT_CREATE"


class DataError(Error, ValueError):
    """An input's content is damaged, or not what it says it is."""

    status, name = 6, "NLSH_E_DATA"


class MismatchError(Error, ValueError):
    """Two inputs do not belong together: dimension, type, content."""

    status, name = 7, "NLSH_E_MISMATCH"


class UnsupportedError(Error, NotImplementedError):
    """What was asked for is not in this library or on this machine."""

    status, name = 8, "NLSH_E_UNSUPPORTED"


class StoppedError(Error, RuntimeError):
    """A progress function asked to stop. (Ctrl-C is Python's own KeyboardInterrupt.)"""

    status, name = 9, "NLSH_E_INTERRUPTED"


class InternalError(Error, RuntimeError):
    """A bug in nlsh: please report it."""

    status, name = 10, "NLSH_E_INTERNAL"


class BusyError(Error, RuntimeError):
    """Another process or thread has the index open for writing."""

    status, name = 11, "NLSH_E_BUSY"


_classes = {c.status: c for c in (ArgumentError, NoMemoryError, NoInputError, ReadWriteError,
                                  CannotCreateError, DataError, MismatchError, UnsupportedError,
                                  StoppedError, InternalError, BusyError)}


def error_of(status: int, message: str, hint: str) -> Error:
    """The exception for a status of the library."""
    return _classes.get(status, InternalError)(message, hint)
