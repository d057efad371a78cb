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
        raise ConfigurationError(f"{what} {fault}: {_brief(error)}.") from error


def _brief(error: BaseException) -> str:
    """Kind and first line of the error."""
    try:
        lines = str(error).splitlines()
    except Exception:
        lines = []
    line = "".join(mark for mark in (lines or [""])[0] if mark.isprintable())
    return f"{type(error).__name__}: {line or 'no message'}"
