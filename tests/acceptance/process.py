"""The program as a user runs it: a process, its output, its /metrics."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers import wait_until

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "monitor")
#: A suite that takes a moment; what is tested here does not depend on its size.
SMALL = {"INGEST_CANARY_SUITE__ROWS": "200", "INGEST_CANARY_SUITE__ROUNDS": "2"}


def environment(data_dir: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tests' environment without settings of the developer's own."""
    kept = {name: value for name, value in os.environ.items() if "INGEST_CANARY" not in name}
    own = {"INGEST_CANARY_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)}
    return kept | own | SMALL | dict(extra or {})


def call(
    data_dir: Path, *arguments: str, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(data_dir, extra),
        cwd=data_dir,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Daemon:
    """``ingest-canary run`` on a free port; a context manager that leaves no process.

    ``through`` is a command that becomes the one that follows it, such as ``env`` or ``unshare``.
    """

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        extra: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
    ) -> None:
        self._log = data_dir / "daemon.log"
        self._output = data_dir / "daemon.out"
        with self._log.open("w") as log, self._output.open("w") as output:
            self.process = subprocess.Popen(
                [*through, *COMMAND, "run", "--port", "0", *arguments],
                env=environment(data_dir, extra),
                cwd=data_dir,
                stdout=output,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for_log(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Wait until the log holds the pattern."""

        def found() -> bool:
            assert self.process.poll() is None or re.search(pattern, self.log), self.log
            return re.search(pattern, self.log) is not None

        wait_until(found, f"{pattern!r} in the log", seconds)
        match = re.search(pattern, self.log)
        assert match
        return match

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page."""
        address = self.wait_for_log(r"serving http://([\d.:]+)/")[1]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float | None:
        """The sum of the metric's series that have these labels; None if there is none."""
        _, text = self.get("/metrics")
        values = []
        for line in text.splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if match is None or match[1] != f"ingest_canary_{name}":
                continue
            present = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            if labels.items() <= present.items():
                values.append(float(match[3]))
        return sum(values) if values else None

    def wait_for_metric(
        self, name: str, at_least: float, seconds: float = 60, **labels: str
    ) -> None:
        """Wait until the metric has come to a value."""

        def reached() -> bool:
            assert self.process.poll() is None, self.log
            value = self.metric(name, **labels)
            return value is not None and value >= at_least

        wait_until(reached, f"{name}{labels} >= {at_least}; log: {self.log}", seconds)

    def stopped_for(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so many seconds."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait for the end: 5 s are promised, the rest is a busy machine's."""
        self.process.send_signal(number)
        return self.process.wait(timeout=15)
