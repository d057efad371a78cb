"""How much WAL our runs wrote lately, kept on disk so that a restart does not forget it.

A daemon that crashes and starts in a loop must not write more than one that runs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

log = logging.getLogger(__name__)

WINDOW = timedelta(hours=24)

#: The file is rewritten without old entries when it grows beyond this.
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A run's WAL in bytes."""

    at: datetime
    target: str
    wal_bytes: int


class WalLedger:
    """One JSON object a line, appended after every run; processes may share the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unwritten: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Remember a run's WAL; in memory where the disk does not take it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size > _MAX_BYTES:
                self._rewrite(entry.at)
            with self._path.open("a") as file:
                file.write("\n" + _line(entry))  # never joined to a line that was cut short
        except OSError as error:
            log.warning("WAL ledger %s cannot be written: %s", self._path, error.strerror)
            self._unwritten.append(entry)

    def allowance(self, target: str, limit: int, now: datetime) -> int:
        """Bytes that a run of the target may write now.

        Zero too where it is less than the target's last run wrote: a run that would have to be
        ended half way is better not begun.
        """
        entries = [entry for entry in self._recent(now) if entry.target == target]
        left = limit - sum(entry.wal_bytes for entry in entries)
        last = entries[-1].wal_bytes if entries else 0
        return left if left > last else 0

    def last_run_at(self, target: str, now: datetime) -> datetime | None:
        """When the target's last run of these 24 hours began."""
        return max(
            (entry.at for entry in self._recent(now) if entry.target == target), default=None
        )

    def _recent(self, now: datetime) -> list[Entry]:
        entries = [*self._read(), *self._unwritten]
        return [entry for entry in entries if now - entry.at < WINDOW]

    def _read(self) -> Iterator[Entry]:
        try:
            lines = self._path.read_text(errors="replace").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                fields = json.loads(line)
                at = datetime.fromisoformat(fields["at"]).astimezone(UTC)
                yield Entry(at, str(fields["target"]), int(fields["wal_bytes"]))
            except (ValueError, KeyError, TypeError):
                continue  # a line cut short by a full disk or a kill

    def _rewrite(self, now: datetime) -> None:
        kept = "".join(_line(entry) for entry in self._recent(now))
        temporary = self._path.with_suffix(".new")
        temporary.write_text(kept)
        temporary.replace(self._path)


def _line(entry: Entry) -> str:
    fields = {"at": entry.at.isoformat(), "target": entry.target, "wal_bytes": entry.wal_bytes}
    return json.dumps(fields) + "\n"
