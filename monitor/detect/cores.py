"""Cases of two levels are judged on the level where they learned.

With the host's other core awake, loopback answers four times as fast, and what waits for the server
again and again is up to a quarter faster or slower. The round trip's probe tells which it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from math import exp, log
from statistics import median

from monitor.detect.parameters import Parameters
from monitor.detect.signals import two_levelled
from monitor.model import CaseKey

#: A round trip so many times as slow or fast, by less than so many seconds, is that of another
#: level: waking a core costs up to 0.2 ms. More is a matter of the network.
_RATIO = 1.5
NETWORK_SECONDS = 0.0003


@dataclass(frozen=True, slots=True)
class Core:
    """Round trips, logarithmic, of the newest runs at a case's level, and how many runs in a row
    were at the other."""

    round_trips: tuple[float, ...] = ()
    away: int = 0

    def is_other(self, round_trip: float, rules: Parameters) -> bool:
        """Whether a run was at another level than the case learned at."""
        if len(self.round_trips) < rules.learning:
            return False
        usual = median(self.round_trips)
        if abs(exp(round_trip) - exp(usual)) >= NETWORK_SECONDS:
            return False
        return abs(round_trip - usual) >= log(_RATIO)


@dataclass(frozen=True, slots=True)
class Levels:
    """After a run: each case's core, the cases that were at the other level in it, and those that
    have been for so long that it is theirs now."""

    cores: Mapping[CaseKey, Core] = field(default_factory=dict)
    away: frozenset[CaseKey] = frozenset()
    settled: frozenset[CaseKey] = frozenset()


def levels(
    cores: Mapping[CaseKey, Core],
    cases: Collection[CaseKey],
    round_trip: float | None,
    rules: Parameters,
) -> Levels:
    """What a run's round trip says of the cases that were measured in it."""
    if round_trip is None:
        return Levels(cores)
    after, away, settled = dict(cores), set(), set()
    for case in cases:
        if not two_levelled(case):
            continue
        core = after.get(case, Core())
        if not core.is_other(round_trip, rules):
            kept = (*core.round_trips, round_trip)[-rules.learning :]
            after[case] = Core(kept)
        elif core.away + 1 < rules.window:
            after[case] = replace(core, away=core.away + 1)
            away.add(case)
        else:
            after[case] = Core((round_trip,))
            settled.add(case)
    return Levels(after, frozenset(away), frozenset(settled))
