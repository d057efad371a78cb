"""Where the values of the metrics of sweeps come from: of each strategy, shape and parameter the
newest sweep that is remembered, however old; its time is a metric too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from monitor.export.documents import SweepCurve, SweepDocument
from monitor.export.labels import Labels, Values
from monitor.export.snapshot import Snapshot

LABELS = ("target", "strategy", "shape", "parameter")


def of_curves(
    value: Callable[[SweepDocument, SweepCurve], float | None],
) -> Callable[[Snapshot], Values]:
    """A figure of every strategy's newest sweep, left out where it is not known."""

    def values(snapshot: Snapshot) -> Values:
        for labels, sweep, curve in _newest(snapshot):
            figure = value(sweep, curve)
            if figure is not None:
                yield labels, figure

    return values


def rates(snapshot: Snapshot) -> Values:
    """Rows per second by the value that was swept."""
    for labels, _, curve in _newest(snapshot):
        for point in curve.points:
            if point.rows_per_second is not None:
                yield (*labels, str(point.value)), point.rows_per_second


def _newest(snapshot: Snapshot) -> Iterator[tuple[Labels, SweepDocument, SweepCurve]]:
    for target in snapshot.targets:
        seen: set[Labels] = set()
        for sweep, curve in _curves(target.past.sweeps):
            labels = (target.name, curve.strategy, sweep.shape, sweep.over)
            if labels not in seen:
                seen.add(labels)
                yield labels, sweep, curve


def _curves(newest_first: Iterable[SweepDocument]) -> Iterator[tuple[SweepDocument, SweepCurve]]:
    return ((sweep, curve) for sweep in newest_first for curve in sweep.curves)
