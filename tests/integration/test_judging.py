"""Judging with a store: what is said is kept, and the same after restarts and in replay."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from monitor.daemon.judging import Judge
from monitor.daemon.replaying import Replay, replay
from monitor.detect.judge import judge
from monitor.detect.parameters import Parameters
from monitor.detect.target import TargetState
from monitor.judgement import Judgement
from monitor.model import Run
from monitor.store import tables
from monitor.store.control import Request, add
from monitor.store.database import Location
from monitor.store.judgements import StoredChange, stored_changes, story_of
from monitor.store.read import newest_runs
from monitor.store.recorder import Recorder
from monitor.store.retention import Policy
from monitor.store.transfer import archive
from monitor.store.transfer.exporting import Selection, export
from monitor.store.transfer.importing import import_archive
from tests.acceptance.process import call
from tests.builders import AT
from tests.quiet_canary import made, with_index
from tests.recording import recording
from tests.stores import Store, location_fixture, opened  # noqa: F401

RULES = Parameters()
#: From this run on there is one more index, and then there is not.
INDEX_FROM, INDEX_UNTIL = 30, 40
RUNS = 46


@cache
def runs() -> tuple[Run, ...]:
    slower: dict[str, Any] = {"server": 1.33, "work": 1.4, "env": with_index()}
    return tuple(made(n, **(slower if INDEX_FROM <= n < INDEX_UNTIL else {})) for n in range(RUNS))


@cache
def expected() -> tuple[Judgement, ...]:
    """What is said of the runs, in memory."""
    state, said = TargetState(), []
    for run in runs():
        state, judgement = judge(state, run, RULES)
        said.append(replace(judgement, confirm=False))
    return tuple(said)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "detector"


async def judged(recorder: Recorder, judging: Judge, some: Sequence[Run]) -> list[Judgement]:
    said = []
    for run in some:
        judgement, state = await judging.judge(run)
        assert judgement is not None
        await recorder.append(run, judgement, state)
        said.append(judgement)
    return said


@asynccontextmanager
async def filled(location: Location, directory: Path) -> AsyncIterator[Recorder]:
    """A store with all runs, judged."""
    async with recording(location) as recorder:
        await judged(recorder, Judge(RULES, recorder, directory), runs())
        yield recorder


def without_confirm(judgements: Sequence[Judgement]) -> list[Judgement]:
    return [replace(each, confirm=False) for each in judgements]


def test_the_made_up_runs_hold_a_regression_and_its_end() -> None:
    changes = [change for said in expected() for change in said.changes]
    assert {change.cause for change in changes} == {"index"}
    assert {end.ending for said in expected() for end in said.closings} == {"recovered"}


def test_what_is_said_is_stored_with_its_run(location: Location, directory: Path) -> None:
    async def go() -> None:
        async with filled(location, directory) as recorder:
            found = await newest_runs(recorder.database, "main", 100)
        said = [record.judgement for record in found if record.judgement]
        assert [_plain(each) for each in said] == [_plain(each) for each in expected()]

    asyncio.run(go())


def _plain(judgement: Judgement) -> Any:
    """Changes and ends of a run have no order of their own."""
    by_id = sorted(judgement.changes, key=lambda change: change.id)
    ends = sorted(judgement.closings, key=lambda end: end.change_id)
    return replace(judgement, changes=tuple(by_id), closings=tuple(ends), confirm=False)


@pytest.mark.parametrize("kept", ["store", "disk"])
def test_a_restart_at_any_moment_changes_no_word(
    location: Location, directory: Path, kept: str
) -> None:
    """From the store alone, as a new pod; or from the data directory alone, the store being new."""

    async def go() -> list[Judgement]:
        said = []
        for number, run in enumerate(runs()):
            own = directory / (str(number) if kept == "store" else "")
            place = location
            if kept == "disk" and number % 10 == 0:
                place = replace(
                    location, url=None, path=location.path.with_name(f"{number}.sqlite")
                )
            async with recording(place) as recorder:
                said += await judged(recorder, Judge(RULES, recorder, own), [run])
        return said

    assert without_confirm(asyncio.run(go())) == list(expected())


def test_another_replicas_newer_memory_is_taken(location: Location, directory: Path) -> None:
    async def go() -> list[Judgement]:
        said = []
        async with recording(location) as recorder:
            pair = [Judge(RULES, recorder, directory / name) for name in "ab"]
            for number, run in enumerate(runs()):
                said += await judged(recorder, pair[number // 7 % 2], [run])
        return said

    assert without_confirm(asyncio.run(go())) == list(expected())


def test_a_damaged_memory_on_disk_is_left_alone(location: Location, directory: Path) -> None:
    async def go() -> list[Judgement]:
        async with recording(location) as recorder:
            await judged(recorder, Judge(RULES, recorder, directory), runs()[:30])
            (directory / "main.state").write_bytes(b"no such thing")
            return await judged(recorder, Judge(RULES, recorder, directory), runs()[30:])

    assert without_confirm(asyncio.run(go())) == list(expected()[30:])


def test_a_fault_of_the_detector_loses_no_run(
    location: Location, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    async def go() -> tuple[Judgement | None, list[Judgement]]:
        async with recording(location) as recorder:
            judging = Judge(RULES, recorder, directory)
            await judged(recorder, judging, runs()[:5])
            with monkeypatch.context() as patch:
                patch.setattr("monitor.daemon.judging.judge", broken)
                judgement, state = await judging.judge(runs()[5])
                await recorder.append(runs()[5], judgement, state)
            later = await judged(recorder, judging, runs()[6:7])
            kept = await newest_runs(recorder.database, "main", 10)
        assert [record.id for record in kept] == [run.id for run in runs()[:7]]
        return judgement, later

    judgement, later = asyncio.run(go())
    assert judgement is None
    assert later[0].number == 6


# --- replay --------------------------------------------------------------------------------------


async def replayed(location: Location) -> Replay:
    async with opened(location) as store:
        return await replay(store.database, "main")


def test_replay_says_the_same(location: Location, directory: Path) -> None:
    async def go() -> Replay:
        async with filled(location, directory):
            return await replayed(location)

    found = asyncio.run(go())
    assert found.deviations == ()
    assert (found.runs, found.skipped, found.other_version) == (RUNS, 0, 0)
    assert found.verdicts == sum(len(said.verdicts) for said in expected())
    assert (found.first, found.last) == (runs()[0].started_at, runs()[-1].started_at)


def test_replay_shows_what_differs(location: Location, directory: Path) -> None:
    """A sample that was meddled with: the round is faster than any, and so is the fast end."""

    async def go() -> Replay:
        async with filled(location, directory) as recorder:
            sample, at = tables.sample.c, runs()[35].started_at
            async with recorder.database.writing() as connection:
                await connection.execute(
                    update(tables.sample)
                    .where(sample.started_at == at, sample.round == 1)
                    .values(server_ns=1_000_000)
                )
            return await replayed(location)

    found = asyncio.run(go())
    assert found.deviations
    first = found.deviations[0]
    assert first.run_started_at == runs()[35].started_at
    assert first.stored != first.recomputed


def test_replay_begins_with_the_oldest_state_that_is_kept(
    location: Location, directory: Path
) -> None:
    """Runs of two days, the first of which is gone."""
    later = timedelta(days=1)
    days = [*runs()[:40]]
    days += [replace(run, started_at=run.started_at + later, finished_at=run.finished_at + later)
             for run in runs()[40:]]  # fmt: skip

    async def go() -> Replay:
        async with recording(location) as recorder:
            await judged(recorder, Judge(RULES, recorder, directory), days)
        async with opened(location) as store:
            now = days[-1].started_at + timedelta(days=2)
            await store.prune(Policy(timedelta(days=2), timedelta(days=3)), now)
            kept = await store.moments(tables.verdict)
            assert kept == {run.started_at for run in days[40:]} | {
                run.started_at
                for run in days[:40]
                if run.started_at.date() > days[0].started_at.date()
            }
        return await replayed(location)

    found = asyncio.run(go())
    assert found.deviations == ()
    assert 0 < found.runs < RUNS
    assert found.skipped == 0


# --- acceptance ----------------------------------------------------------------------------------


def test_an_accepted_change_becomes_the_baseline_and_replays(
    location: Location, directory: Path
) -> None:
    async def go() -> tuple[list[Judgement], list[StoredChange], Replay]:
        async with recording(location) as recorder:
            judging = Judge(RULES, recorder, directory)
            await judged(recorder, judging, runs()[:36])
            first = judging.state("main").changes[0]
            request = Request(AT + timedelta(days=1), "accept", "main", first.group, "kim", "meant")
            await add(recorder.database, request)
            said = await judged(recorder, judging, runs()[36:39])
            found = await story_of(recorder.database, first.id[:6])
        return said, found, await replayed(location)

    said, found, again = asyncio.run(go())
    assert {end.ending for end in said[0].closings} == {"accepted"}
    assert {each.end.ending for each in found if each.end} == {"accepted"}
    assert set(said[0].cases.values()) <= {"accepted", "suspect"}
    assert said[1].closings == said[2].closings == ()
    assert again.deviations == ()


# --- elsewhere -----------------------------------------------------------------------------------


def test_verdicts_and_changes_travel(location: Location, directory: Path, tmp_path: Path) -> None:
    """Out of either engine into a new file, where they replay."""
    elsewhere = Location(tmp_path / "elsewhere.sqlite")

    async def all_of(place: Location) -> Any:
        async with opened(place) as store:
            changes = await stored_changes(store.database)
            verdicts = {row.started_at: row.verdicts for row in await store.rows(tables.verdict)}
            return changes, verdicts

    async def go() -> Replay:
        file = tmp_path / "export.tar"
        async with filled(location, directory) as recorder:
            with file.open("wb") as out:
                await export(recorder.database, out, Selection(), AT)
        async with opened(elsewhere) as store:
            for _ in ("all of it", "nothing, being there"):
                with file.open("rb") as given, archive.opened(given, file.name) as found:
                    await import_archive(store.database, found)
        assert await all_of(elsewhere) == await all_of(location)
        return await replayed(elsewhere)

    assert asyncio.run(go()).deviations == ()


# --- commands ------------------------------------------------------------------------------------


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose store holds all runs but those after the index was dropped."""
    path = tmp_path / "data"
    path.mkdir()

    async def fill() -> None:
        async with recording(Location(path / "store.sqlite")) as recorder:
            await judged(recorder, Judge(RULES, recorder, path / "detector"), runs()[:INDEX_UNTIL])

    asyncio.run(fill())
    yield path
    shutil.rmtree(path)


LINE = (
    "main · all 4 strategies · server +33 % (rows/s −15 %) since 2026-11-22 19:10 ± 10 min"
    " · index added on ingest_canary.orders(customer_id)"
)


def test_changes_tells_a_story_in_a_line(data_dir: Path) -> None:
    done = call(data_dir, "changes", "--since", "2026-11-22")
    (line,) = done.stdout.splitlines()
    change_id, _, text = line.partition("  ")
    assert text == LINE
    assert (done.returncode, done.stderr) == (0, "")
    told = call(data_dir, "changes", "--since", "2026-11-22", "--details").stdout.splitlines()
    assert told[0] == line
    copy = next(each for each in told if "asyncpg_copy on orders, batch 20,000: server" in each)
    assert copy.strip().startswith("regression: asyncpg_copy on orders, batch 20,000: server +33 %")
    assert copy.endswith("after 2026-11-22 19:00 and by 2026-11-22 19:10, told 2026-11-22 19:20")
    assert "σ, fast lane," in copy
    assert told[-1].strip() == ("changed before: index added on ingest_canary.orders(customer_id)")
    assert call(data_dir, "changes", "--since", "2026-11-22", "--check").returncode == 1
    (story,) = json.loads(call(data_dir, "changes", "--since", "2026-11-22", "--json").stdout)
    assert story["id"].startswith(change_id)
    assert (story["text"], story["cause"], story["open"]) == (LINE, "index", True)
    assert story["differences"][0]["part"] == "tables"
    assert {each["kind"] for each in story["changes"]} == {"regression", "server", "work"}


def test_accept_takes_the_first_digits_and_is_said_once(data_dir: Path) -> None:
    (line,) = call(data_dir, "changes", "--since", "2026-11-22").stdout.splitlines()
    digits = line[:8]
    done = call(data_dir, "accept", digits, "--note", "meant", "--by", "kim")
    assert done.stdout == f"{line}\naccepted by kim; the baseline moves with the next run.\n"
    assert (done.returncode, done.stderr) == (0, "")

    async def go() -> list[Judgement]:
        async with recording(Location(data_dir / "store.sqlite")) as recorder:
            slower = made(INDEX_UNTIL, server=1.33, work=1.4, env=with_index())
            return await judged(recorder, Judge(RULES, recorder, data_dir / "detector"), [slower])

    (said,) = asyncio.run(go())
    assert {end.ending for end in said.closings} == {"accepted"}
    assert call(data_dir, "changes", "--open", "--since", "2026-11-22").stdout == (
        "No change stands.\n"
    )
    again = call(data_dir, "accept", digits)
    assert again.returncode == 2
    assert "does not stand any more" in again.stderr
    assert call(data_dir, "replay").stdout.endswith(": identical\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("accept", "ffffffff"), "no change 'ffffffff'; `ingest-canary changes` lists them."),
        (("accept", "ab"), "'ab': give 4 digits of a change's id."),
        (("changes", "--target", "nosuch"), "unknown target 'nosuch'; the store holds: main."),
        (("replay", "--target", "nosuch"), "unknown target 'nosuch'; the store holds: main."),
    ],
)
def test_what_is_not_there_is_said_in_a_line(
    data_dir: Path, arguments: tuple[str, ...], complaint: str
) -> None:
    done = call(data_dir, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"ingest-canary: {complaint}\n"


def test_nothing_judged_is_said(tmp_path: Path) -> None:
    assert call(tmp_path, "changes").stdout == "No change was told since 30d.\n"


def test_replay_prints_what_differs_and_ends_with_one(data_dir: Path) -> None:
    assert call(data_dir, "replay").stdout == (
        "main: 1,264 verdicts of 40 runs from 2026-11-22 14:10 to 2026-11-22 20:40: identical\n"
    )

    async def meddle() -> None:
        place = Location(data_dir / "store.sqlite")
        async with opened(place) as store, store.database.writing() as connection:
            await connection.execute(update(tables.sample).values(server_ns=1_000_000))

    asyncio.run(meddle())
    done = call(data_dir, "replay")
    assert done.returncode == 1
    assert " differ\n" in done.stdout
    assert "verdict server of asyncpg_copy on orders, batch 20,000" in done.stdout
    (found,) = map(json.loads, call(data_dir, "replay", "--json").stdout.splitlines())
    assert len(found["deviations"]) > 20


def test_history_tells_what_would_be_found(data_dir: Path) -> None:
    text = call(data_dir, "history", "--since", "2026-11-22").stdout
    (row,) = [line for line in text.splitlines() if line.startswith(" asyncpg_copy") and "%" in line
              and line.count("%") >= 4]  # fmt: skip
    assert "false/month" in text
    assert "Smallest rise of a row's cost" in text
    assert "False alarms expected of main as a whole: 0." in text
    whole = json.loads(call(data_dir, "history", "--since", "2026-11-22", "--json").stdout)
    copy = next(each for each in whole["series"] if each["strategy"] == "asyncpg_copy")
    server = copy["signals"]["server"]
    assert 0.05 <= server["detectable_ratio"] < 0.2
    assert f"{server['detectable_ratio']:.1%}" in row
    assert server["false_alarms_per_month"] < 0.1
    assert copy["signals"]["throughput"]["false_alarms_per_month"] is None
