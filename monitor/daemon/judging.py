"""Judging in the daemon: each target's memory, where it comes from and where it is kept.

The newest memory counts: the one in this process, that in the data directory (there while the store
is down), or that in the store, which another replica may have written.
"""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from monitor.detect.judge import accept, judge
from monitor.detect.outlook import with_outlook
from monitor.detect.parameters import Parameters
from monitor.detect.target import TargetState, decode_target, encode_target, time_of
from monitor.judgement import Closing, Judgement
from monitor.model import Run
from monitor.store.control import Request
from monitor.store.recorder import Recorder

log = logging.getLogger(__name__)

#: What reading anything but a state can end in.
_DAMAGED = (zlib.error, ValueError, KeyError, TypeError, AttributeError, IndexError)


class Judge:
    """The detector for all targets of a process."""

    def __init__(self, rules: Parameters, recorder: Recorder, directory: Path) -> None:
        self._rules = rules
        self._recorder = recorder
        self._directory = directory
        self._states: dict[str, TargetState] = {}

    def state(self, target: str) -> TargetState:
        """What is remembered of a target."""
        return self._states.get(target, TargetState())

    async def restore(self, target: str) -> None:
        """Remember what was known before this process, or by another one."""
        known = self.state(target)
        for found in (self._from_disk(target), await self._from_store(target, known)):
            if found is not None and _newer(found, known):
                known = found
        self._states[target] = known

    async def judge(self, run: Run) -> tuple[Judgement | None, bytes | None]:
        """What a run brings, and the memory after it as the store keeps it.

        None of either where a fault of ours prevented it: the run is then kept unjudged.
        """
        try:
            return await self._judged(run)
        except Exception:
            log.exception("%s: a run could not be judged and is kept as it is", run.target)
            return None, None

    async def _judged(self, run: Run) -> tuple[Judgement, bytes]:
        target = run.target
        await self.restore(target)
        state, accepted = await self._accepted(target)
        state, judgement = judge(state, run, self._rules)
        if self._outlook_is_due(state):
            state = await asyncio.to_thread(with_outlook, state, self._rules)
        self._states[target] = state
        packed = pack(state)
        self._to_disk(target, packed)
        return replace(judgement, closings=accepted + judgement.closings), packed

    def _outlook_is_due(self, state: TargetState) -> bool:
        """Once a day, and when the first series have learned."""
        first = self._rules.learning + 1
        return state.judged == first or state.judged % max(1, self._rules.runs_per_day) == 0

    async def _accepted(self, target: str) -> tuple[TargetState, tuple[Closing, ...]]:
        """The memory with all that people accepted since the last run."""
        state = self.state(target)
        stories = {change.id: change.id for change in state.changes}
        stories |= {change.group: change.id for change in state.changes}
        closings: tuple[Closing, ...] = ()
        for request in await self._recorder.acceptances(tuple(stories)) if stories else ():
            name = stories.get(request.subject or "")
            if name is None or all(change.id != name for change in state.changes):
                continue
            state, ended = accept(state, name, request.at, self._rules)
            closings += ended
            log.info("%s: change %s is accepted by %s", target, name, _who(request))
        return state, closings

    # --- memory ----------------------------------------------------------------------------------

    async def _from_store(self, target: str, known: TargetState) -> TargetState | None:
        packed = await self._recorder.state_after(target, _last_run(known))
        return _unpacked(packed, f"{target}: its memory in the store") if packed else None

    def _from_disk(self, target: str) -> TargetState | None:
        if target in self._states:
            return None  # it was written by us
        try:
            packed = self._path(target).read_bytes()
        except OSError:
            return None
        return _unpacked(packed, str(self._path(target)))

    def _to_disk(self, target: str, packed: bytes) -> None:
        path = self._path(target)
        temporary = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(packed)
            temporary.replace(path)
        except OSError as error:
            log.debug("%s cannot be written: %s", path, error.strerror)

    def _path(self, target: str) -> Path:
        return self._directory / f"{target}.state"


def pack(state: TargetState) -> bytes:
    """A memory as bytes: compressed JSON."""
    return zlib.compress(json.dumps(encode_target(state), separators=(",", ":")).encode(), 6)


def unpack(packed: bytes) -> TargetState:
    """The memory that was packed. Raises ValueError for anything else."""
    try:
        return decode_target(json.loads(zlib.decompress(packed)))
    except _DAMAGED as error:
        raise ValueError(f"no detector's memory: {error}") from error


def _unpacked(packed: bytes, where: str) -> TargetState | None:
    try:
        return unpack(packed)
    except ValueError as error:
        log.warning("%s cannot be read and is left alone: %s", where, error)
        return None


def _newer(found: TargetState, known: TargetState) -> bool:
    return (found.numbers[-1:], found.judged) > (known.numbers[-1:], known.judged)


def _last_run(state: TargetState) -> datetime | None:
    return time_of(state.numbers[-1] + 1) if state.numbers else None


def _who(request: Request) -> str:
    return f"{request.by}: {request.note}" if request.note else request.by
