"""Whose turn it is to measure: so many runs at once, and none that waits for a dead network.

Two runs on one client disturb each other, since both need its processor. One that hangs needs
nothing: after a while without progress its turn goes to whoever waits, and should it come to life
again beside the other, both are told, so that their samples are known for what they are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

#: Seconds that a run may take to show its first progress: connecting, looking at the server.
CONNECT_SECONDS = 2.0
#: Seconds between two signs of progress that a run has at least: a slow round is no hanging one.
LEAST_PATIENCE_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class Turn:
    """One run's turn: ``patience`` is the seconds without progress after which it is passed on.

    ``beside`` names other runs that made progress during this one.
    """

    name: str
    patience: float
    mark: float
    moved: bool = False
    beside: set[str] = field(default_factory=set)

    def waits_until(self) -> float:
        """When it counts as hanging, unless there is progress."""
        return self.mark + (self.patience if self.moved else min(CONNECT_SECONDS, self.patience))


class Turns:
    """Gives out turns in the order in which they were asked for."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._going: list[Turn] = []
        self._waiting: deque[object] = deque()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def turn(self, name: str, slot: float) -> AsyncIterator[Turn]:
        """A run's turn; ``slot`` is the time in seconds that is the target's own."""
        await self._wait(self._at_once)
        turn = Turn(name, max(slot, LEAST_PATIENCE_SECONDS), monotonic())
        self._going.append(turn)
        try:
            yield turn
        finally:
            self._going.remove(turn)
            self._notify()

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """No run goes on, but such as hang, and none begins."""
        await self._wait(1)
        turn = Turn("", float("inf"), monotonic(), moved=True)
        self._going += [turn] * self._at_once
        try:
            yield
        finally:
            self._going = [other for other in self._going if other is not turn]
            self._notify()

    @property
    def going(self) -> bool:
        """Whether a run goes on and does not hang."""
        return bool(self._active())

    async def pause_between(self) -> None:
        """Return when no run goes on; what is done then must be short and hold up nobody."""
        while self._active():
            await self._change(self._seconds_to_a_hang())

    def progress(self, turn: Turn) -> None:
        """A run lives; if another one does too, each knows of the other."""
        turn.mark, turn.moved = monotonic(), True
        for other in self._active():
            if other is not turn and other.moved and other.name:
                other.beside.add(turn.name)
                turn.beside.add(other.name)

    def _active(self) -> list[Turn]:
        now = monotonic()
        return [turn for turn in self._going if now < turn.waits_until()]

    async def _wait(self, room: int) -> None:
        """Until fewer than ``room`` runs are active and nobody asked before."""
        place = object()
        self._waiting.append(place)
        try:
            while self._waiting[0] is not place or len(self._active()) >= room:
                await self._change(self._seconds_to_a_hang())
        finally:
            self._waiting.remove(place)
            self._notify()

    def _seconds_to_a_hang(self) -> float | None:
        """When the first of the active runs will count as hanging; None if there is none."""
        ends = [turn.waits_until() for turn in self._active()]
        return max(0.0, min(ends) - monotonic()) if ends else None

    async def _change(self, seconds: float | None) -> None:
        """Wait for somebody to come or go, or until so many seconds have passed."""
        endless = seconds is None or seconds == float("inf")
        with suppress(TimeoutError):
            async with asyncio.timeout(None if endless else seconds):
                await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
