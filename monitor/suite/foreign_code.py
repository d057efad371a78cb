"""Code that is not ours: whatever it raises becomes one sentence that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from monitor.errors import ConfigurationError


@contextmanager
def foreign_code(what: str, fault: str) -> Iterator[None]:
    """Turn anything raised, an attempt to end the process included, into a ConfigurationError.

    ``what`` is whose code it is, ``fault`` what then is the matter: "cannot be loaded".
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except ConfigurationError as error:
        raise ConfigurationError(f"{what}: {error}") from error
    except BaseException as error:
        raise ConfigurationError(f"{what} {fault}: {brief(error)}.") from error


def brief(error: BaseException) -> str:
    """Kind and first line of the error."""
    return f"{type(error).__name__}: {first_line(error)}"


def first_line(error: BaseException) -> str:
    """What the error says in its first line, without what a terminal would obey."""
    try:
        lines = str(error).splitlines()
    except Exception:  # an error that cannot even be told
        lines = []
    line = "".join(mark if mark.isprintable() else " " for mark in (lines or [""])[0])
    return line.strip() or "no message"
