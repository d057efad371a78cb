"""From a snapshot to the bytes of /metrics, in pieces: one for each metric of each target.

A target's pieces are made again only when it has changed, so that a run on one target of many costs
what that target costs. A scrape joins them, as they are or compressed, and renders nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from monitor.export.metrics import PREFIX, TABLE, Definition
from monitor.export.snapshot import BUCKETS, Snapshot, TargetSnapshot

#: Of a gzip stream (RFC 1952): deflated, no name, no time, made anywhere.
_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
#: The deflate block (RFC 1951) that ends a stream: the last one, and empty.
_LAST_BLOCK = b"\x03\0"
#: What scrapers get is alike from line to line: more effort would save them nothing.
_LEVEL = 1


class Piece(NamedTuple):
    """Some of the text, and the same as deflate blocks that refer to nothing before them."""

    text: bytes
    deflated: bytes


def piece(text: bytes) -> Piece:
    """A piece of some text."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Piece(text, compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))


@dataclass(frozen=True, slots=True)
class MetricsText:
    """All of /metrics; ``end`` is the gzip stream's: checksum and length of the text."""

    pieces: tuple[Piece, ...]
    end: bytes

    @classmethod
    def of(cls, pieces: Iterable[Piece]) -> MetricsText:
        """The text of these pieces, one after another."""
        found, checksum, length = tuple(pieces), 0, 0
        for each in found:
            checksum = zlib.crc32(each.text, checksum)
            length += len(each.text)
        end = checksum.to_bytes(4, "little") + (length % 2**32).to_bytes(4, "little")
        return cls(found, end)

    def plain(self) -> bytes:
        """As it is read."""
        return b"".join(each.text for each in self.pieces)

    def gzipped(self) -> bytes:
        """As one gzip stream."""
        blocks = (each.deflated for each in self.pieces)
        return b"".join((_GZIP_HEAD, *blocks, _LAST_BLOCK, self.end))


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A target as it was last rendered: its samples of each metric, by the metric's name."""

    target: TargetSnapshot
    fresh: bool
    pieces: Mapping[str, Piece]


@dataclass(slots=True)
class Exposition:
    """Renders snapshots in Prometheus' text format; owned by the daemon's loop.

    ``process`` adds memory and CPU of this process.
    """

    process: bool = True
    _targets: dict[str, _Rendered] = field(default_factory=dict)

    def render(self, snapshot: Snapshot) -> MetricsText:
        """The text of a snapshot; of targets that have not changed, what was made before."""
        self._targets = {target.name: self._of(snapshot, target) for target in snapshot.targets}
        return MetricsText.of(self._pieces(snapshot))

    def _pieces(self, snapshot: Snapshot) -> Iterator[Piece]:
        if self.process:
            yield piece(generate_latest(ProcessCollector(registry=None)))
        for definition in TABLE:
            if definition.of_targets:
                yield from self._of_all(_family(definition))
            else:
                yield piece(_text(_filled(definition, snapshot)))
        yield from self._of_all(_durations())

    def _of_all(self, empty: Metric) -> Iterator[Piece]:
        yield piece(_text(empty))
        for rendered in self._targets.values():
            yield rendered.pieces[empty.name]

    def _of(self, snapshot: Snapshot, target: TargetSnapshot) -> _Rendered:
        before, fresh = self._targets.get(target.name), snapshot.fresh_run(target) is not None
        if before and before.fresh == fresh and before.target == target:
            return before
        alone = replace(snapshot, targets=(target,))
        families = [_filled(each, alone) for each in TABLE if each.of_targets]
        families.append(_durations_of(target))
        pieces = {family.name: piece(_samples(family)) for family in families}
        return _Rendered(target, fresh, pieces)


class _Only(Collector):
    """One metric, as the library wants it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def _text(metric: Metric) -> bytes:
    return generate_latest(_Only(metric))


def _samples(metric: Metric) -> bytes:
    """The text but for help and type, which stand once before the samples of all targets."""
    empty = Metric(metric.name, metric.documentation, metric.type)
    return _text(metric).removeprefix(_text(empty))


def _family(definition: Definition) -> GaugeMetricFamily | CounterMetricFamily:
    kind = GaugeMetricFamily if definition.kind == "gauge" else CounterMetricFamily
    family: GaugeMetricFamily | CounterMetricFamily
    family = kind(PREFIX + definition.name, definition.help, labels=definition.labels)
    return family


def _filled(definition: Definition, snapshot: Snapshot) -> Metric:
    family = _family(definition)
    for labels, value in definition.values(snapshot):
        family.add_metric(labels, value)
    return family


def _durations() -> HistogramMetricFamily:
    return HistogramMetricFamily(
        f"{PREFIX}insert_duration_seconds",
        "Wall time of each round, first insert to commit returned.",
        labels=("target", "strategy"),
    )


def _durations_of(target: TargetSnapshot) -> Metric:
    family = _durations()
    for strategy, histogram in sorted(target.durations.items()):
        cumulated, buckets = 0, []
        for bound, count in zip((*BUCKETS, "+Inf"), histogram.counts, strict=True):
            cumulated += count
            buckets.append((str(bound), float(cumulated)))
        family.add_metric((target.name, strategy), buckets, histogram.seconds)
    return family


def render(snapshot: Snapshot, *, process: bool = True) -> bytes:
    """The whole text of a snapshot, made anew."""
    return Exposition(process).render(snapshot).plain()
