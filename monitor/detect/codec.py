"""States as plain JSON and back, every float to the last bit: a restart changes no verdict."""

from __future__ import annotations

from array import array
from itertools import accumulate, pairwise
from typing import Any

from monitor.detect.points import Points
from monitor.detect.series import Baseline, Episode, Opened, SeriesState

_PLAIN = (
    "beta",
    "first_probe",
    "previous",
    "seen",
    "refreshed",
    "weighed",
    "compared",
    "anchor",
    "mark",
    "mark_left",
)
_CHANGE = tuple(Opened.__dataclass_fields__)
_BASELINE = tuple(Baseline.__dataclass_fields__)


def encode(state: SeriesState) -> dict[str, Any]:
    """The state in what JSON knows; Python writes and reads its numbers without loss."""
    base = state.baseline
    return {
        **{name: getattr(state, name) for name in _PLAIN},
        "history": _encode_points(state.history),
        "segment": _encode_points(state.segment),
        "baseline": base and {name: getattr(base, name) for name in _BASELINE},
        "changes": [encode_change(change) for change in state.changes],
        "episodes": [list(episode) for episode in state.episodes],
    }


def decode(plain: dict[str, Any]) -> SeriesState:
    """The state that ``encode`` was given."""
    base, previous = plain["baseline"], plain["previous"]
    rest = {name: plain[name] for name in _PLAIN if name != "previous"}
    return SeriesState(
        **rest,
        previous=previous and tuple(previous),
        history=_decode_points(plain["history"]),
        segment=_decode_points(plain["segment"]),
        baseline=base and Baseline(**base),
        changes=tuple(Opened(**change) for change in plain["changes"]),
        episodes=tuple(Episode(*episode) for episode in plain["episodes"]),
    )


def encode_change(change: Opened) -> dict[str, Any]:
    """A change in what JSON knows."""
    return {name: getattr(change, name) for name in _CHANGE}


def _encode_points(points: Points) -> dict[str, Any]:
    """A column each, numbers as steps from one to the next: half the size."""
    return {
        "numbers": [now - before for before, now in pairwise([0, *points.numbers])],
        "values": points.values.tolist(),
        "probes": points.probes.tolist(),
        "scheduled": "".join(map(str, points.scheduled)),
    }


def _decode_points(plain: dict[str, Any]) -> Points:
    return Points(
        array("q", accumulate(plain["numbers"])),
        array("d", plain["values"]),
        array("d", plain["probes"]),
        bytes(map(int, plain["scheduled"])),
    )
