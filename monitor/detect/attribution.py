"""Where a change comes from: which clock, how many strategies, and what else changed then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

from monitor.environment import Difference
from monitor.judgement import NONE_RECORDED, Component, Where

#: Share of the change of wall time that one clock must carry to be named alone.
_CARRIES = 0.6

#: Strategies that must move together before the server is named rather than a strategy.
_TOGETHER = 3


@dataclass(frozen=True, slots=True)
class Transition:
    """What was otherwise in the environment from the run ``number`` on."""

    number: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """One clock of a case around a change: seconds per row before, and how far it rose since, as a
    logarithm."""

    before: float
    effect: float

    @property
    def seconds(self) -> float:
        """Seconds per row that it costs more now."""
        return self.before * (exp(self.effect) - 1)


def component(clocks: Mapping[Component, float]) -> Component:
    """The clock that carries the change, from the seconds per row that each costs more (or less).

    Only those that moved with the sum count: where client and server overlap, the rest gives back
    what the others take.
    """
    total = sum(clocks.values())
    along = {name: each for name, each in clocks.items() if each * total > 0}
    if not along:
        return "several"
    name = max(along, key=lambda each: abs(along[each]))
    return name if abs(along[name]) >= _CARRIES * abs(sum(along.values())) else "several"


def support(clocks: Sequence[Moved], wall: Moved) -> float:
    """Share of the change of wall time that the clocks account for: 0.8 to 1.05 for real changes,
    below 0.3 where another process took the processor."""
    return sum(clock.seconds for clock in clocks) / wall.seconds if wall.seconds else 0.0


def where(signal: str, strategies: int, moved_probes: Sequence[str]) -> Where:
    """What a change of a case's signal is a matter of.

    Probes are small fixed workloads: one that moved with the case is not the strategy's doing.
    Without them, several strategies that moved together on the server clock are the server's.
    """
    if "client_cpu" in moved_probes:
        return "host"
    if "server_insert" in moved_probes:
        return "server"
    if "round_trip" in moved_probes and signal in ("throughput", "rest", "commit"):
        return "network"
    if strategies >= _TOGETHER and signal in ("server", "commit", "throughput"):
        return "server"
    return "strategy"


def differences_between(
    transitions: Sequence[Transition], low: int, high: int, *, dearer: bool
) -> tuple[Difference, ...]:
    """What changed in the environment in the runs from ``low`` to ``high`` and can have made
    inserts ``dearer``, or cheaper."""
    return tuple(
        difference
        for transition in transitions
        if low <= transition.number <= high
        for difference in transition.differences
        if _can_have_made(difference, dearer)
    )


def _can_have_made(difference: Difference, dearer: bool) -> bool:
    """An index that went makes no insert dearer, and one that came makes none cheaper."""
    if difference.part != "tables" or not _is_index(difference):
        return True
    return difference.after is not None if dearer else difference.before is not None


def cause_of(differences: Sequence[Difference], calls_changed: bool = False) -> str:
    """One word for what most likely did it: the nearest to the insert first.

    ``index``, ``table`` (any other part of its definition), ``setting:<name>``, ``version:<part>``,
    ``statement`` (other calls for the same rows, and no library of the client's changed), or
    ``none_recorded``. Host facts that are no versions count as such: they change with the machine.
    """
    for found in differences:
        if found.part == "tables" and _is_index(found):
            return "index"
    if any(found.part == "tables" for found in differences):
        return "table"
    parts = (("server", "setting"), ("version", "version"), ("client", "version"))
    for part, word in parts[2:] if calls_changed else parts:  # what is sent, libraries decide
        for found in differences:
            if found.part == part:
                return f"{word}:{found.name}"
    return "statement" if calls_changed else NONE_RECORDED


def _is_index(difference: Difference) -> bool:
    lines = (difference.before or "", difference.after or "")
    return any(line.startswith(("CREATE INDEX", "CREATE UNIQUE INDEX")) for line in lines)
