"""What a judgement says, in terms of the product: verdicts on signals, changes, and their ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from monitor.detect.attribution import Component, Where
from monitor.detect.series import STATES, State
from monitor.detect.signals import Place
from monitor.environment import Difference
from monitor.model import CaseKey

ChangeKind = Literal["regression", "improvement", "drift", "work", "host", "server"]
Ending = Literal["recovered", "absorbed", "accepted"]


@dataclass(frozen=True, slots=True)
class Change:
    """A level that shifted, as it was known when it was told; never rewritten.

    ``effect_ratio`` is new cost / old cost - 1 of the signal (0.31: 31 % more seconds per row; of
    ``rest`` a share of the wall time, of ``work`` the counter's), ``rows_per_second_ratio`` the
    same of the rate. ``since`` is the first run at the new level, most likely; it lies between
    ``since_low`` and ``since_high``. ``statistic`` says how sure: the GLR's G, in standard
    deviations. ``strategies`` of ``of`` moved together. Changes of one ``group`` have one story.
    """

    id: str
    group: str
    target: str
    kind: ChangeKind
    place: Place
    counter: str | None
    since: datetime
    since_low: datetime
    since_high: datetime
    told_at: datetime
    effect_ratio: float
    rows_per_second_ratio: float | None
    statistic: float
    fast: bool
    where: Where
    component: Component
    strategies: int
    of: int
    cause: str
    differences: tuple[Difference, ...]

    @property
    def alarming(self) -> bool:
        """Whether it is a reason to call somebody: for the worse, and above the floors."""
        return self.kind not in ("drift", "improvement") and self.effect_ratio > 0


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of a change: it went back, became the baseline by itself, or was accepted."""

    change_id: str
    ending: Ending
    at: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word on one signal after a run.

    ``effect_ratio`` is the distance of the newest runs from the frozen baseline. ``baseline`` is in
    seconds per row (``rest``: share of the wall time; ``spread``: a ratio; probes: seconds);
    ``detectable_ratio`` the smallest rise that 12 runs would show.
    """

    place: Place
    state: State
    effect_ratio: float | None = None
    baseline: float | None = None
    detectable_ratio: float | None = None
    statistic: float = 0.0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a run brought: a verdict per series, changes told now, changes that ended now.

    ``cases`` holds the worst state of each case. ``contended`` says that the run was not judged,
    ``confirm`` that extra runs would tell whether a suspicion is true.
    """

    verdicts: tuple[Verdict, ...]
    cases: Mapping[CaseKey, State]
    changes: tuple[Change, ...] = ()
    closings: tuple[Closing, ...] = ()
    contended: bool = False
    confirm: bool = False


def worst(states: list[State]) -> State:
    """The state of a whole whose parts are in these."""
    return min(states, key=STATES.index, default="stale")


# --- JSON ----------------------------------------------------------------------------------------

_TIMES = ("since", "since_low", "since_high", "told_at")


def encode_place(place: Place) -> list[Any]:
    """A place in what JSON knows: the parts of the case's key, or none, and the signal."""
    case = place.case
    key = [case.strategy, case.shape, case.batch_size, case.variant] if case else None
    return [key, place.signal]


def decode_place(plain: list[Any]) -> Place:
    """The place that ``encode_place`` was given."""
    key, signal = plain
    return Place(CaseKey(*key) if key else None, signal)


def encode_change(change: Change) -> dict[str, Any]:
    """A change in what JSON knows."""
    plain = {name: getattr(change, name) for name in Change.__dataclass_fields__}
    plain.update({name: plain[name].isoformat() for name in _TIMES})
    plain["place"] = encode_place(change.place)
    plain["differences"] = [encode_difference(each) for each in change.differences]
    return plain


def decode_change(plain: dict[str, Any]) -> Change:
    """The change that ``encode_change`` was given."""
    times = {name: datetime.fromisoformat(plain[name]) for name in _TIMES}
    differences = tuple(Difference(*each) for each in plain["differences"])
    place = decode_place(plain["place"])
    return Change(**{**plain, **times, "place": place, "differences": differences})


def encode_difference(difference: Difference) -> list[str | None]:
    """A difference in what JSON knows."""
    return [difference.part, difference.name, difference.before, difference.after]
