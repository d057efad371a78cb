"""Several daemons on one store: for every run, one of them measures.

The lock on the canary keeps two runs apart. Who made the last run is first; the others come half an
interval after its next one was due, and measure only if that was not made. So a target stays with
one client, whose machine is part of what is measured. Where the store sees that the last holder is
gone, nobody waits longer for it than a round may take.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from monitor.config.settings import Settings
from monitor.errors import StoreError
from monitor.model import Run
from monitor.store.presence import is_present, stay_present
from monitor.store.recorder import Recorder
from monitor.store.replicas import Measured, last_measured

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

#: Names of the client's facts.
HOLDER, NODE = "holder", "node"
#: Part of an interval by which the others are later than the last holder.
LATER = 0.5
#: Bounds of the seconds between two tries at a lock that somebody else holds.
_RETRY = (1.0, 10.0)


def turn_comes(
    since: datetime, interval: timedelta, patience: timedelta
) -> tuple[datetime, datetime]:
    """When another than the last holder measures what could have been measured ``since`` then: if
    the holder is gone, and if not. ``patience`` is how long one that is gone is waited for at most.
    """
    later = LATER * interval
    return since + min(later, patience), since + later


def retry_at(interval: timedelta, now: datetime) -> datetime:
    """When to try for a lock again that another one holds, perhaps one that was stopped."""
    least, most = _RETRY
    return now + timedelta(seconds=min(max(interval.total_seconds() / 10, least), most))


class Replica:
    """This one of several: its name, and what it knows of the others' runs.

    ``patience`` is how long a last holder that is gone is waited for, at most.
    """

    def __init__(self, holder: str, recorder: Recorder, patience: timedelta) -> None:
        self.holder = holder
        self._recorder = recorder
        self._patience = patience
        self._known: dict[str, Measured] = {}
        self._due_since: dict[str, tuple[str | None, datetime]] = {}

    async def stay_present(self) -> None:
        """Show the others until cancelled that this one lives."""
        await stay_present(self._recorder.database.location, self.holder)

    async def last(self, target: str) -> Measured | None:
        """The target's last run: as the store says, or as was last known while it is down."""
        database = self._recorder.database
        self._note(target, await self._asked(last_measured(database, target, HOLDER)))
        return self._known.get(target)

    async def put_off_until(
        self, target: str, interval: timedelta, now: datetime
    ) -> datetime | None:
        """None: measure now. Else when to look again."""
        last = await self.last(target)
        if last is None or last.holder in (None, self.holder):
            return None
        due = last.started_at + interval
        if now < due:
            return due
        # Not since it was due: a window may have opened or a pause ended just now, for all.
        run_id, since = self._due_since.get(target, (None, now))
        if run_id != last.run_id:
            since = now
        self._due_since[target] = last.run_id, since
        early, late = turn_comes(since, interval, self._patience)
        if now < early:
            return early
        present = await self._asked(is_present(self._recorder.database, str(last.holder)))
        if present is None:
            # The last holder goes on by itself; two that know nothing of each other would both.
            return max(late, retry_at(interval, now))
        return late if present and now < late else None

    def not_now(self, target: str) -> None:
        """Nobody may measure the target now; whoever is first then shall be first again."""
        self._due_since.pop(target, None)

    def expected(self, target: str, interval: timedelta) -> datetime | None:
        """When the last holder's next run is due; None if that is this replica."""
        last = self._known.get(target)
        if last is None or last.holder in (None, self.holder):
            return None
        return last.started_at + interval

    def measured(self, run: Run) -> None:
        """A run of ours that came to measuring, in the store or not."""
        if run.environment is not None and run.trigger == "scheduled":
            self._note(run.target, Measured(run.id, run.started_at, self.holder))

    def _note(self, target: str, found: Measured | None) -> None:
        known = self._known.get(target)
        if found is not None and (known is None or found.started_at > known.started_at):
            self._known[target] = found

    async def _asked(self, question: Coroutine[Any, Any, _Answer]) -> _Answer | None:
        """What the store answers; None while it does not."""
        if not await self._recorder.reachable():
            question.close()
            return None
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(self._recorder.database.location.timeout_seconds):
                return await question
        return None


def replica(settings: Settings, recorder: Recorder) -> Replica | None:
    """This process among its like; None where the store is its own."""
    if settings.store.read_url() is None:
        return None
    patience = timedelta(seconds=settings.limits.round_timeout)
    return Replica(_holder(settings), recorder, patience)


def client_facts(settings: Settings) -> dict[str, str]:
    """Facts that tell one client from another, as far as there may be several."""
    facts = {}
    if settings.holder is not None or settings.store.read_url() is not None:
        facts[HOLDER] = _holder(settings)
    if settings.node is not None or facts:
        facts[NODE] = settings.node or platform.node()
    return facts


def _holder(settings: Settings) -> str:
    if settings.holder is not None:
        return settings.holder
    path = settings.data_dir / "holder"
    try:
        return _kept(path)
    except OSError as error:
        log.warning("the replica's name %s cannot be kept: %s", path, error.strerror)
        return _made()


def _kept(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or not path.read_text().strip():
        path.write_text(_made() + "\n")
    return path.read_text().strip()


def _made() -> str:
    return f"{platform.node()}-{secrets.token_hex(3)}"
