"""All that the next judgement on a target depends on, and how it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from monitor.detect.attribution import Transition
from monitor.detect.codec import decode, encode
from monitor.detect.cores import Core
from monitor.detect.series import SeriesState
from monitor.detect.work import WorkState, decode_work, encode_work
from monitor.environment import Difference, Environment
from monitor.judgement import (
    Change,
    Place,
    decode_change,
    decode_place,
    encode_change,
    encode_difference,
    encode_place,
)
from monitor.model import CaseKey

#: Of the form of what ``encode_target`` returns; another one is not read.
VERSION = 1


@dataclass(frozen=True, slots=True)
class TargetState:
    """The detector's memory of a target.

    Runs are numbered by the second in which they started; ``numbers`` are those of the newest.
    ``walls`` holds what a row of a case took when its baseline was first known, in seconds, and
    ``firsts`` each signal's first value: what all cases' medians are relative to. ``rows`` are
    those of each case's rounds, ``silent`` for how many runs it gave none. ``changes`` are
    open, ``transitions`` what changed in the environment lately, ``gated`` how many runs in a
    row were contended, ``cores`` at which level cases of two levels are. ``judged`` counts
    runs; ``false_alarms`` are those expected a month of each series, as they were last
    estimated.
    """

    judged: int = 0
    numbers: tuple[int, ...] = ()
    series: Mapping[Place, SeriesState] = field(default_factory=dict)
    work: Mapping[CaseKey, WorkState] = field(default_factory=dict)
    walls: Mapping[CaseKey, float] = field(default_factory=dict)
    firsts: Mapping[Place, float] = field(default_factory=dict)
    rows: Mapping[CaseKey, int] = field(default_factory=dict)
    silent: Mapping[CaseKey, int] = field(default_factory=dict)
    cores: Mapping[CaseKey, Core] = field(default_factory=dict)
    false_alarms: Mapping[Place, float] = field(default_factory=dict)
    environment: Environment | None = None
    transitions: tuple[Transition, ...] = ()
    changes: tuple[Change, ...] = ()
    gated: int = 0


def time_of(number: int) -> datetime:
    """When the run of that number started, to the second."""
    return datetime.fromtimestamp(number, UTC)


def encode_target(state: TargetState) -> dict[str, Any]:
    """The state in what JSON knows; every float to the last bit."""
    return {
        "version": VERSION,
        "judged": state.judged,
        "numbers": list(state.numbers),
        "series": [[encode_place(place), encode(each)] for place, each in state.series.items()],
        "work": [[_key(case), encode_work(each)] for case, each in state.work.items()],
        "walls": [[_key(case), wall] for case, wall in state.walls.items()],
        "firsts": [[encode_place(place), first] for place, first in state.firsts.items()],
        "rows": [[_key(case), rows] for case, rows in state.rows.items()],
        "cores": [
            [_key(case), list(core.round_trips), core.away] for case, core in state.cores.items()
        ],
        "silent": [[_key(case), runs] for case, runs in state.silent.items()],
        "false_alarms": [[encode_place(place), n] for place, n in state.false_alarms.items()],
        "environment": state.environment.as_json() if state.environment else None,
        "transitions": [
            [each.number, [encode_difference(found) for found in each.differences]]
            for each in state.transitions
        ],
        "changes": [encode_change(change) for change in state.changes],
        "gated": state.gated,
    }


def decode_target(plain: dict[str, Any]) -> TargetState:
    """The state that ``encode_target`` was given. Raises ValueError for another version."""
    if plain.get("version") != VERSION:
        raise ValueError(f"a detector state of version {plain.get('version')}, not {VERSION}")
    environment = plain["environment"]
    return TargetState(
        judged=plain["judged"],
        numbers=tuple(plain["numbers"]),
        series={decode_place(place): decode(each) for place, each in plain["series"]},
        work={CaseKey(*case): decode_work(each) for case, each in plain["work"]},
        walls={CaseKey(*case): wall for case, wall in plain["walls"]},
        firsts={decode_place(place): first for place, first in plain["firsts"]},
        rows={CaseKey(*case): rows for case, rows in plain["rows"]},
        silent={CaseKey(*case): runs for case, runs in plain["silent"]},
        cores={CaseKey(*case): Core(tuple(trips), away) for case, trips, away in plain["cores"]},
        false_alarms={decode_place(place): n for place, n in plain["false_alarms"]},
        environment=Environment(**environment) if environment else None,
        transitions=tuple(
            Transition(number, tuple(Difference(*found) for found in differences))
            for number, differences in plain["transitions"]
        ),
        changes=tuple(decode_change(change) for change in plain["changes"]),
        gated=plain["gated"],
    )


def _key(case: CaseKey) -> list[Any]:
    return [case.strategy, case.shape, case.batch_size, case.variant]
