"""What the detector says, in types that the store keeps and pages show: verdicts and changes.

All are frozen and plain; nothing here computes. Ratios are changes of cost: 0.31 is 31 % more
seconds per row, -0.1 is 10 % less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal, get_args

from monitor.environment import Difference
from monitor.model import CaseKey

Signal = Literal["throughput", "client", "server", "commit", "rest", "spread", "work"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)

State = Literal[
    "regressed",
    "suspect",
    "contended",
    "stale",
    "learning",
    "recovered",
    "improved",
    "accepted",
    "ok",
]

#: Worst first: a case is in the worst of its signals' states.
STATES: tuple[State, ...] = get_args(State)

ChangeKind = Literal["regression", "improvement", "drift", "work", "host", "server"]
Component = Literal["client", "server", "commit", "rest", "several"]
Where = Literal["server", "host", "network", "strategy"]

#: How a change ends: it went back, became the baseline by itself or by a person's word, or its
#: case is measured no more (or otherwise).
Ending = Literal["recovered", "absorbed", "accepted", "retired"]

#: What no recorded difference of the environment accounts for.
NONE_RECORDED = "none_recorded"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Which series: a signal of a case, or, without a case, a probe or all cases' signal."""

    case: CaseKey | None
    signal: str


@dataclass(frozen=True, slots=True)
class Change:
    """A level that shifted, as it was known when it was told; never rewritten.

    ``effect_ratio`` is new cost / old cost - 1 of the signal (of ``rest`` a share of the wall time,
    of ``work`` the counter's), ``rows_per_second_ratio`` the same of the rate. ``since`` is the
    first run at the new level, most likely; the shift happened after ``since_low``, a run at the
    old level, and not after ``since_high``. ``statistic`` says how sure: the GLR's G, in standard
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

    @property
    def explained(self) -> bool:
        """Whether a recorded difference accounts for it."""
        return self.cause != NONE_RECORDED


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of a change."""

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
class Detector:
    """Who judged: the detector's version and its parameters by name."""

    version: int
    parameters: Mapping[str, float | bool]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a run brought: a verdict per series, changes told now, changes that ended now.

    ``number`` counts the target's runs from 1. ``cases`` holds the worst state of each case.
    ``contended`` says that the run was not judged, ``confirm`` that extra runs would tell whether a
    suspicion is true.
    """

    number: int
    detector: Detector
    verdicts: tuple[Verdict, ...]
    cases: Mapping[CaseKey, State]
    changes: tuple[Change, ...] = ()
    closings: tuple[Closing, ...] = ()
    contended: bool = False
    confirm: bool = False


def in_order(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Those of the target, then case by case, each by signal: wherever they were kept, the same."""
    return tuple(sorted(verdicts, key=_verdict_key))


def _verdict_key(verdict: Verdict) -> tuple[Any, ...]:
    case = verdict.place.case
    return (case is not None, case or (), verdict.place.signal)


def worst(states: list[State]) -> State:
    """The state of a whole whose parts are in these."""
    return min(states, key=STATES.index, default="stale")


# --- JSON ----------------------------------------------------------------------------------------

_TIMES = ("since", "since_low", "since_high", "told_at")


def encode_place(place: Place) -> list[Any]:
    """A place in what JSON knows: the parts of the case's key, or none, and the signal."""
    return [_encode_case(place.case), place.signal]


def decode_place(plain: list[Any]) -> Place:
    """The place that ``encode_place`` was given."""
    key, signal = plain
    return Place(CaseKey(*key) if key else None, signal)


def encode_change(change: Change) -> dict[str, Any]:
    """A change in what JSON knows."""
    plain = {field.name: getattr(change, field.name) for field in fields(Change)}
    plain.update({name: plain[name].isoformat() for name in _TIMES})
    plain["place"] = encode_place(change.place)
    plain["differences"] = [encode_difference(each) for each in change.differences]
    return plain


def decode_change(plain: Mapping[str, Any]) -> Change:
    """The change that ``encode_change`` was given."""
    times = {name: datetime.fromisoformat(plain[name]) for name in _TIMES}
    differences = tuple(Difference(*each) for each in plain["differences"])
    place = decode_place(plain["place"])
    return Change(**{**plain, **times, "place": place, "differences": differences})


def encode_verdicts(judgement: Judgement) -> list[Any]:
    """What a judgement says of cases and series in what JSON knows: a list per case and one of the
    target, each with its state and, by signal, the verdict without what is unknown at its end."""
    found: dict[CaseKey | None, dict[str, list[Any]]] = {None: {}}
    for verdict in judgement.verdicts:
        values = [
            verdict.state,
            verdict.statistic,
            verdict.effect_ratio,
            verdict.baseline,
            verdict.detectable_ratio,
            verdict.since and verdict.since.isoformat(),
        ]
        while values[-1] is None:
            values.pop()
        found.setdefault(verdict.place.case, {})[verdict.place.signal] = values
    return [
        [_encode_case(case), judgement.cases.get(case) if case else None, signals]
        for case, signals in found.items()
    ]


def decode_verdicts(plain: list[Any]) -> tuple[tuple[Verdict, ...], dict[CaseKey, State]]:
    """The verdicts and the cases' states that ``encode_verdicts`` was given, case by case."""
    verdicts: list[Verdict] = []
    cases: dict[CaseKey, State] = {}
    for key, state, signals in plain:
        case = CaseKey(*key) if key else None
        if case is not None and state is not None:
            cases[case] = state
        for signal, (label, statistic, *values) in signals.items():
            effect, baseline, detectable, since = [*values, *[None] * 4][:4]
            at = datetime.fromisoformat(since) if since else None
            place = Place(case, signal)
            verdicts.append(Verdict(place, label, effect, baseline, detectable, statistic, at))
    return in_order(verdicts), cases


def _encode_case(case: CaseKey | None) -> list[Any] | None:
    return [case.strategy, case.shape, case.batch_size, case.variant] if case else None


def encode_difference(difference: Difference) -> list[str | None]:
    """A difference in what JSON knows."""
    return [difference.part, difference.name, difference.before, difference.after]
