"""What the detector would find in a target's series, and how often it would be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli.history_table import case_names, say
from monitor.daemon.judging import unpack
from monitor.detect.outlook import detectable, expected_false_alarms
from monitor.detect.parameters import Parameters
from monitor.detect.target import TargetState
from monitor.judgement import Place
from monitor.store.database import Database
from monitor.store.history import TargetHistory
from monitor.store.read import latest_states
from monitor.store.records import SeriesKey

_SHOWN = ("server", "client", "commit", "throughput")

_LEGEND = """\
Smallest rise of a row's cost that 12 runs would tell at the present noise, by clock; throughput
alarms only with their support. false/month: alarms expected though nothing changed."""


async def read_states(database: Database) -> dict[str, TargetState]:
    """The detector's memory of each target, as far as it can be read. Raises StoreUnavailable."""
    found = {}
    for target, packed in (await latest_states(database)).items():
        try:
            found[target] = unpack(packed)
        except ValueError:
            continue  # of another version of the detector
    return found


def print_outlook(
    history: TargetHistory, state: TargetState, rules: Parameters, to: Console
) -> None:
    """A row per case that has been judged, and what is expected of the target as a whole."""
    smallest = detectable(state, rules)
    keys = [
        series.key
        for series in history.series
        if any(Place(series.key.case, signal) in smallest for signal in _SHOWN)
    ]
    if not keys:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("finds", overflow="fold")
    for name in (*_SHOWN, "false/month"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, key in zip(case_names(keys), keys, strict=True):
        table.add_row(*map(Text, (name, *_figures(key, state, smallest))))
    to.print(table)
    say(to, _LEGEND)
    expected = expected_false_alarms(state)
    if expected is not None:
        say(to, f"False alarms expected of {history.name} as a whole: {expected:.3f} a month.")
    say(to, "")


def _figures(key: SeriesKey, state: TargetState, smallest: Mapping[Place, float]) -> Iterator[str]:
    for signal in _SHOWN:
        ratio = smallest.get(Place(key.case, signal))
        yield "–" if ratio is None else f"{ratio:.1%}"
    found = [n for place, n in state.false_alarms.items() if place.case == key.case]
    yield f"{sum(found):.3f}" if found else "–"


def outlook_as_json(
    key: SeriesKey, state: TargetState | None, rules: Parameters
) -> dict[str, dict[str, Any]]:
    """By signal of a case; null is not known yet."""
    if state is None:
        return {}
    smallest = detectable(state, rules)
    signals: Sequence[str] = sorted({p.signal for p in state.series if p.case == key.case})
    return {
        signal: {
            "detectable_ratio": smallest.get(Place(key.case, signal)),
            "false_alarms_per_month": state.false_alarms.get(Place(key.case, signal)),
        }
        for signal in signals
    }
