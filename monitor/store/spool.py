"""Runs that wait on disk while the store is down: a file each, oldest first, bounded.

A file appears under its name only when it is whole and on disk. Its name tells when the run began,
which run it is and how many samples it holds, so that counting reads no file.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from monitor.store.codec import decode, encode
from monitor.store.records import RunRecord
from monitor.store.tables import microseconds

_SUFFIX = ".json.gz"
_NAME = re.compile(rf"(\d{{20}})-([0-9A-Za-z]+)-(\d+){re.escape(_SUFFIX)}", re.ASCII)
_REJECTED = "rejected"

#: A file that is not whole after so many seconds is what a killed process left.
_ABANDONED_SECONDS = 3600.0

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A spooled run; ordered by when it began."""

    started_us: int
    run_id: str
    samples: int

    @property
    def name(self) -> str:
        return f"{self.started_us:020d}-{self.run_id}-{self.samples}{_SUFFIX}"


class Spool:
    """The runs that wait in a directory of at most ``max_bytes``.

    Methods raise OSError where the disk does not play along. Several processes may share it: who
    finds a file gone goes on.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self._max_bytes = max_bytes

    def put(self, record: RunRecord) -> int:
        """Keep a run; returns the samples of older runs that had to go for it."""
        if not self.directory.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            _sync(self.directory.parent)
        self._sweep()
        waiting = _waiting(record)
        _write(self.directory / waiting.name, encode(record))
        return self._keep_bound()

    def waiting(self) -> list[Waiting]:
        """All that wait, oldest first."""
        return sorted(self._entries())

    def get(self, waiting: Waiting) -> RunRecord | None:
        """The run; None if another process has brought it in. Raises StoreRejected if damaged."""
        try:
            return decode((self.directory / waiting.name).read_bytes())
        except FileNotFoundError:
            return None

    def remove(self, done: Iterable[Waiting]) -> None:
        """Forget runs that are in the store now."""
        for waiting in done:
            (self.directory / waiting.name).unlink(missing_ok=True)

    def reject(self, waiting: Waiting) -> None:
        """Put a run aside that the store will never take, for people to look at."""
        aside = self.directory / _REJECTED
        aside.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # another process did
            (self.directory / waiting.name).replace(aside / waiting.name)

    def _entries(self) -> Iterator[Waiting]:
        try:
            names = [path.name for path in self.directory.iterdir()]
        except FileNotFoundError:
            return
        for match in filter(None, map(_NAME.fullmatch, names)):
            waiting = Waiting(int(match[1]), match[2], int(match[3]))
            if waiting.name == match[0]:
                yield waiting

    def _sweep(self) -> None:
        """Remove what a process that was killed while it wrote has left."""
        for path in self.directory.glob(f"*{_SUFFIX}.*.new"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()

    def _keep_bound(self) -> int:
        """Drop the oldest beyond the bound; the newest always stays."""
        waiting = self.waiting()
        sizes = {each: self._size(each) for each in waiting}
        total, dropped = sum(sizes.values()), 0
        for oldest in waiting[:-1]:
            if total <= self._max_bytes:
                break
            self.remove([oldest])
            total -= sizes[oldest]
            dropped += oldest.samples
        return dropped

    def _size(self, waiting: Waiting) -> int:
        try:
            return (self.directory / waiting.name).stat().st_size
        except FileNotFoundError:
            return 0


def _waiting(record: RunRecord) -> Waiting:
    return Waiting(microseconds(record.started_at), record.id, record.sample_count)


def _write(path: Path, data: bytes) -> None:
    """Write a file that is there as a whole or not at all, even if the power fails."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{next(_numbers)}.new")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make the names in a directory last."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
