"""The command line inside the test's process, with settings of the test's own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from monitor.cli import main as command_line


@dataclass
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What was printed, read as JSON."""
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture(name="command")
def command_fixture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """``ingest-canary`` with some arguments, in a data directory of its own."""
    for name in list(os.environ):
        if name.startswith("INGEST_CANARY_") and "TEST" not in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv("INGEST_CANARY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["ingest-canary", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, printed.out, printed.err)

    return call
