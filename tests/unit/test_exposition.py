"""Pieces of /metrics: made where something changed only, and joined to the same text."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.export.exposition import Exposition, MetricsText, Piece, piece, render
from monitor.export.snapshot import Snapshot, TargetTally
from tests.builders import usual_run
from tests.sites import snapshot, tally

NAMES = ("billing", "orders", "stock")


@pytest.fixture
def tallies() -> list[TargetTally]:
    return [tally(name, 3, None, seed) for seed, name in enumerate(NAMES)]


def later(of: Snapshot, **passed: float) -> Snapshot:
    return replace(of, at=of.at + timedelta(**passed))


def made_anew(before: MetricsText, after: MetricsText) -> set[str]:
    """The targets of which pieces were made again."""
    old = {id(each) for each in before.pieces}
    new = b"".join(each.text for each in after.pieces if id(each) not in old)
    return {name for name in NAMES if f'target="{name}"'.encode() in new}


def test_only_targets_that_changed_are_rendered_again(tallies: list[TargetTally]) -> None:
    exposition = Exposition(process=False)
    first = exposition.render(snapshot(*tallies))
    same = exposition.render(later(snapshot(*tallies), seconds=10))
    assert made_anew(first, same) == set()
    tallies[1].round_trip_seconds = 0.5
    pinged = exposition.render(snapshot(*tallies))
    assert made_anew(same, pinged) == {"orders"}
    tallies[2].add_run(replace(usual_run(), target="stock"))
    measured = exposition.render(snapshot(*tallies))
    assert made_anew(pinged, measured) == {"stock"}


def test_what_comes_of_pieces_is_what_is_rendered_at_once(tallies: list[TargetTally]) -> None:
    exposition = Exposition(process=False)
    tallies[1].interval_seconds *= 20
    for minutes in (1, 20, 40, 4000):  # runs grow too old, not all at once
        tallies[0].round_trip_seconds = minutes / 1e6
        tallies[0].add_skip("paused", snapshot().at, "scheduled")
        now = later(snapshot(*tallies), minutes=minutes)
        assert exposition.render(now).plain() == render(now, process=False)


def test_a_target_that_is_gone_is_shown_no_more(tallies: list[TargetTally]) -> None:
    exposition = Exposition(process=False)
    exposition.render(snapshot(*tallies))
    fewer = snapshot(*tallies[:2])
    assert exposition.render(fewer).plain() == render(fewer, process=False)
    none = snapshot()
    assert exposition.render(none).plain() == render(none, process=False)


@pytest.mark.parametrize("texts", [(), (b"",), (b"a 1\n",), (b"a 1\n" * 9999, b"", b"b 2\n")])
def test_compressed_it_is_one_gzip_stream_of_the_same(texts: tuple[bytes, ...]) -> None:
    found = MetricsText.of(piece(text) for text in texts)
    one_stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert one_stream.decompress(found.gzipped()) == found.plain() == b"".join(texts)
    assert one_stream.eof
    assert one_stream.unused_data == b""
    assert gzip.decompress(found.gzipped()) == found.plain()


def test_a_stream_that_was_damaged_is_noticed() -> None:
    found = MetricsText.of([piece(b"a 1\n"), piece(b"b 2\n")])
    swapped = MetricsText((Piece(b"", found.pieces[1].deflated), found.pieces[0]), found.end)
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(swapped.gzipped())
