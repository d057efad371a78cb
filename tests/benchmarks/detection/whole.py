"""The whole detector, as the daemon runs it, over whole recorded runs: probes, gate, story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

from monitor.detect.judge import judge
from monitor.detect.outlook import expected_false_alarms, with_outlook
from monitor.detect.parameters import Parameters
from monitor.detect.story import sentence, stories
from monitor.detect.target import TargetState
from monitor.judgement import Change, Closing
from monitor.model import Case, Run
from tests.benchmarks.detection.runs import drawn, read, slowed

_RUNS, _BEFORE, _AFTER = 2000, 120, 24
_PER_MONTH = 144 * 30


@dataclass
class Said:
    """What was said of a series of runs."""

    changes: list[Change] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    contended: int = 0
    asked: int = 0
    state: TargetState = field(default_factory=TargetState)

    @property
    def alarms(self) -> list[Change]:
        return [change for change in self.changes if change.alarming]


def judged(runs: Iterator[Run] | Sequence[Run], rules: Parameters) -> Said:
    said = Said()
    for run in runs:
        said.state, judgement = judge(said.state, run, rules)
        said.changes += judgement.changes
        said.closings += judgement.closings
        said.contended += judgement.contended
        said.asked += judgement.confirm
    return said


def show_quiet(recording: Path, series: int) -> None:
    """Alarms where nothing changed, as recorded and drawn anew; delays of what is put in."""
    rules = Parameters()
    runs = [each.run for each in read(recording) if not each.injected]
    said = judged(runs, rules)
    print(f"{recording.name}: {len(runs)} runs as recorded: {_alarms(said)};"
          f" {said.contended} contended, extra runs asked for {said.asked} times")  # fmt: skip
    state = with_outlook(said.state, rules)
    expected = expected_false_alarms(state) or 0.0
    print(f"  its own estimate: {expected:.3f} false alarms a month (≤ 0.1 wanted)")
    total: Counter[str] = Counter()
    fast = 0
    for seed in range(series):
        said = judged(drawn(runs, _RUNS, Random(f"whole {seed}")), rules)
        total.update(_stories(said))
        fast += sum(change.fast for change in said.alarms)
    count = series * _RUNS
    print(f"  drawn in blocks of 12, {count:,} runs: {dict(total) or 'no alarm'}, that is"
          f" {sum(total.values()) * _PER_MONTH / count:.2f} stories a month; {fast} false alarms"
          " by the fast lane")  # fmt: skip
    for name, which, factors in _put_in():
        _put(runs, series, name, which, factors)


def _alarms(said: Said) -> str:
    found = Counter(change.place.signal for change in said.alarms)
    return f"alarms {dict(found)}" if found else "no alarm"


def _stories(said: Said) -> Iterator[str]:
    for story in stories(said.changes, said.closings):
        if story.alarming:
            head = story.headline[0]
            case = head.place.case.strategy if head.place.case else "target"
            yield f"{head.place.signal} of {case}"


def _put_in() -> Iterator[tuple[str, Callable[[Case], bool], dict[str, float]]]:
    for drop in (0.20, 0.10, 0.05, 0.03):
        factor = 1 / (1 - drop)
        yield f"server clock of all -{drop:.0%}", lambda _: True, {"server": factor}
        yield f"server clock of unnest -{drop:.0%}", _is("asyncpg_unnest"), {"server": factor}
        yield f"client clock of add_all -{drop:.0%}", _is("orm_add_all"), {"client": factor}


def _is(name: str) -> Callable[[Case], bool]:
    return lambda case: case.strategy.name == name


def _put(
    runs: Sequence[Run], series: int, name: str, which: Callable[[Case], bool],
    factors: dict[str, float],
) -> None:  # fmt: skip
    """After how many runs the first alarm of an affected clock came."""
    clock, delays, fast = next(iter(factors)), [], 0
    for seed in range(series):
        said, first = Said(), None
        for number, run in enumerate(drawn(runs, _BEFORE + _AFTER, Random(f"{name} {seed}"))):
            now = slowed(run, which, **factors) if number >= _BEFORE else run
            said.state, judgement = judge(said.state, now, Parameters())
            told = [c for c in judgement.changes if c.alarming and clock in c.place.signal]
            if number >= _BEFORE and told:
                first = number - _BEFORE + 1
                fast += told[0].fast
                break
        delays.append(first or _AFTER + 1)
    found = sum(each <= _AFTER for each in delays)
    print(f"  {name}: {found} of {series} told, after {median(delays):g} runs in the median,"
          f" {fast} by the fast lane")  # fmt: skip


def show_changed(recording: Path) -> None:
    """What was said of changes that were made on purpose, and after how many runs."""
    recorded, rules = read(recording), Parameters()
    said, first = Said(), {}
    for number, each in enumerate(recorded):
        said.state, judgement = judge(said.state, each.run, rules)
        said.changes += judgement.changes
        said.closings += judgement.closings
        for change in judgement.changes:
            if change.alarming and each.injected:
                place = change.place
                name = f"{place.signal} of {place.case.strategy if place.case else 'the target'}"
                first.setdefault((each.injected, name), number)
    starts = {}
    for number, each in enumerate(recorded):
        starts.setdefault(each.injected, number)
    print(f"{recording.name}: {len(recorded)} runs, changes made on purpose")
    for (injected, name), number in first.items():
        print(f"  {injected[0]}: {name} told after {number - starts[injected] + 1} runs")
    for story in stories(said.changes, said.closings):
        print(f"  {'ALARM' if story.alarming else '     '} {sentence(story)}")
