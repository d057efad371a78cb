"""Inputs made up by a machine: how many, the command line in this process, and what must hold.

``INGEST_CANARY_TEST_FUZZ=N`` makes every fuzz test try N times as many (`make acceptance` does).
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, settings

from monitor.cli import main as command_line

TIMES = "INGEST_CANARY_TEST_FUZZ"


def fuzz(examples: int) -> settings:
    """So many inputs, or a multiple of them; more than by chance where a failure is found."""
    return settings(
        max_examples=examples * int(os.environ.get(TIMES, "1")),
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it printed."""

    code: object
    output: str
    errors: str

    def check(self) -> None:
        """Fine, or refused in one line: never a traceback, never our own error."""
        assert self.code in (0, 2), self
        assert "Traceback" not in self.errors, self
        assert "internal error" not in self.errors, self
        *notes, last = self.errors.splitlines() or [""]
        assert all(note.startswith("note: ") for note in notes), self
        if self.code == 2:
            assert last.startswith("ingest-canary: "), self
            assert len(last) > len("ingest-canary: "), self
            assert self.output == "", self

    def document(self) -> Any:
        """What was printed as JSON; numbers that JSON has not are an error."""
        return json.loads(self.output, parse_constant=_no_json)


def _no_json(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")


def command(*arguments: str, given: bytes = b"") -> Outcome:
    """Run the command line as a process would, ``given`` on its standard input."""
    printed, said = _stream(), _stream()
    with (
        patch.object(sys, "argv", ["ingest-canary", *arguments]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8")),
        redirect_stdout(printed),
        redirect_stderr(said),
    ):
        code = _code()
    return Outcome(code, _text(printed), _text(said))


def _code() -> object:
    try:
        command_line.main()
    except SystemExit as ended:
        return ended.code
    raise AssertionError("main did not exit")


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextmanager
def no_settings() -> Iterator[None]:
    """Without settings of the developer's own in the environment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("INGEST_CANARY_") or "_TEST_" in name
    }
    with patch.dict(os.environ, kept, clear=True):
        yield
