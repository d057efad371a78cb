"""``ingest-canary store export``, ``import`` and ``status`` as a user runs them."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from monitor.cli.store_text import size, status_lines
from monitor.config.settings import Settings
from monitor.store.codec import encode
from monitor.store.database import Database
from monitor.store.spool import Spool
from monitor.store.status import Waiting, status_of
from tests.acceptance.process import call
from tests.conftest import Database as PostgreSQL
from tests.integration.places import (
    DAY,
    HEAD,
    NEW_RUN,
    NOW,
    RUNS,
    Place,
    file_place_fixture,  # noqa: F401
    made,
    names,
    newer_fixture,  # noqa: F401
    other_fixture,  # noqa: F401
    place_fixture,  # noqa: F401
    refused,
)
from tests.servers import PASSWORD
from tests.stores import Store, record, sample_count

# --- export and import ---------------------------------------------------------------------------


def test_a_store_is_moved_by_two_commands(place: Place, other: Place, tmp_path: Path) -> None:
    place.fill()
    file = tmp_path / "store.tar"
    done = place.call("export", str(file))
    counts = len(RUNS), sample_count(RUNS)
    assert done.stdout == f"{file}: {counts[0]} runs, {counts[1]} samples, 0 rollups\n"
    done = other.call("import", str(file))
    assert done.stdout == (
        f"{file}: {counts[0]} runs with {counts[1]} samples added; 0 runs with 0 samples were"
        " there already; 0 rollups\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert other.counts() == counts
    assert other.json("import", str(file)) == {
        "file": str(file),
        "runs": 0,
        "runs_skipped": counts[0],
        "samples": 0,
        "samples_skipped": counts[1],
        "rollups": 0,
    }
    assert other.counts() == counts


def test_standard_output_and_input_make_a_pipe(place: Place, other: Place) -> None:
    place.fill()
    written = place.bytes_of("export", "-")
    assert b"standard output: 8 runs, 80 samples" in written.stderr
    done = other.bytes_of("import", "-", given=written.stdout)
    assert done.returncode == 0, done.stderr
    assert other.counts() == (len(RUNS), sample_count(RUNS))


def test_options_choose_what_is_exported(file_place: Place, tmp_path: Path) -> None:
    spare = record(NOW, target="spare")
    file_place.do(lambda store: store.append(*RUNS, spare, record(NOW - 9 * DAY)))
    file = tmp_path / "x.tar"
    both = ("--target", "main", "--target", "spare")
    cases: tuple[tuple[tuple[str, ...], int], ...] = (
        ((), 10),
        (("--target", "spare"), 1),
        (("--since", "5d"), 9),
        ((*both, "--since", "20d"), 10),
    )
    for options, runs in cases:
        done = file_place.call("export", str(file), "--force", *options)
        assert f": {runs} runs" in done.stdout, done.stderr


def test_a_file_that_is_there_is_kept(file_place: Place, tmp_path: Path) -> None:
    file_place.fill()
    file = tmp_path / "x.tar"
    file.write_text("precious")
    refused(file_place.call("export", str(file)), "x.tar exists; name another file")
    assert file.read_text() == "precious"
    assert file_place.call("export", str(file), "--force").returncode == 0
    assert tarfile.is_tarfile(file)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--since", "soon"], "'soon' is not a duration"),
        (["--since", "9999999999d"], "'9999999999d' is too long ago."),
        (["--since", "999999d"], "too long ago."),
        (["--target", "x"], "unknown target 'x'; the store holds: main."),
    ],
)
def test_bad_input_is_named_and_leaves_no_file(
    file_place: Place, tmp_path: Path, options: list[str], sentence: str
) -> None:
    file_place.fill()
    refused(file_place.call("export", str(tmp_path / "x.tar"), *options), sentence)
    assert names(tmp_path) == ["data"]


def test_where_nothing_is_stored_nothing_is_exported(file_place: Place, tmp_path: Path) -> None:
    done = file_place.call("export", str(tmp_path / "x.tar"))
    assert done.returncode == 1
    assert "nothing has been stored yet" in done.stderr
    assert names(tmp_path) == ["data"]
    assert names(file_place.data_dir) == []


def exported(place: Place) -> bytes:
    place.fill()
    return place.bytes_of("export", "-").stdout


def edited(data: bytes, member: str, change: Callable[[bytes], bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar, tarfile.open(fileobj=out, mode="w") as new:
        for info in tar:
            content = tar.extractfile(info).read()  # type: ignore[union-attr]
            content = change(content) if info.name == member else content
            info.size = len(content)
            new.addfile(info, io.BytesIO(content))
    return out.getvalue()


def bad_files(data: bytes) -> Iterator[tuple[bytes, str]]:
    yield b"", "is not an export of ingest-canary"
    yield data[: len(data) // 2], "is damaged, and nothing of it was imported"
    flipped = edited(data, "samples.csv.gz", lambda content: content[:-1] + b"x")
    yield flipped, "is damaged, and nothing of it was imported: samples.csv.gz"
    newer = edited(
        data, "manifest.json", lambda text: text.replace(b'"version": 2,', b'"version": 3,')
    )
    yield newer, "is an export of format 3, written by ingest-canary"


def test_a_bad_file_is_refused_and_nothing_is_written(
    file_place: Place, other: Place, tmp_path: Path
) -> None:
    data = exported(file_place)
    good = tmp_path / "good.tar"
    good.write_bytes(data)
    for bad, sentence in bad_files(data):
        refused(other.bytes_of("import", "-", given=bad), f"standard input {sentence}")
        file = tmp_path / "bad.tar"
        file.write_bytes(bad)
        refused(other.call("import", str(file)), f"{file} {sentence}")
        refused(other.call("import", str(good), str(file)), f"{file} {sentence}")
    absent = str(tmp_path / "none.tar")
    refused(other.call("import", absent), f"{absent}: No such file or directory.")
    assert names(other.data_dir) == []


def test_several_files_are_imported(file_place: Place, other: Place, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(exported(file_place))
    file_place.do(lambda store: store.append(NEW_RUN))
    file_place.call("export", str(tmp_path / "b.tar"))
    done = other.call("import", str(tmp_path / "a.tar"), str(tmp_path / "b.tar"))
    first, second = done.stdout.splitlines()
    assert first.endswith("8 runs with 80 samples added; 0 runs with 0 samples were there already;"
                          " 0 rollups")  # fmt: skip
    assert "1 runs with 10 samples added; 8 runs with 80 samples were there" in second


# --- status --------------------------------------------------------------------------------------


def test_status_tells_what_is_there(place: Place) -> None:
    place.fill()
    spool = Spool(place.data_dir / "spool", 10**9)
    spool.put(NEW_RUN)
    found = place.json("status")
    kind = place.location.dialect
    assert (found["kind"], found["reachable"], found["problem"]) == (kind, True, None)
    assert found["schema_revision"] == {"found": HEAD, "needed": HEAD}
    content = found["content"]
    partitions = content.pop("partitions")
    moments = [
        datetime.fromisoformat(content.pop(f"{name}_sample_at")) for name in ("first", "last")
    ]
    assert moments == [RUNS[0].started_at, RUNS[-1].started_at]
    assert content == {
        "targets": ["main"], "series": 2, "runs": len(RUNS), "samples": sample_count(RUNS),
        "hourly_rollups": 0, "daily_rollups": 0,
    }  # fmt: skip
    assert found["bytes_per_sample"] == found["size_bytes"] / sample_count(RUNS) > 50
    assert found["retention_seconds"] == {"raw": 2592e3, "hourly": 31536e3, "daily": None}
    assert found["spool"] == {"runs": 1, "bytes": len(encode(NEW_RUN)), "rejected": 0}
    weeks = {each.started_at.isocalendar().week for each in RUNS}
    assert len(partitions) == (len(weeks) if kind == "postgresql" else 0)
    assert all(each["bytes"] > 0 for each in partitions)
    text = place.call("status").stdout
    assert f"samples    {sample_count(RUNS)}, {RUNS[0].started_at:%Y-%m-%d %H:%M}" in text
    assert "next       runs wait for the store; `ingest-canary run` brings them in" in text


def test_status_changes_and_creates_nothing(place: Place, tmp_path: Path) -> None:
    missing_dir = Place(tmp_path / "nowhere", place.location.url)
    done = call(place.data_dir, "store", "status", extra=missing_dir.extra
                | {"INGEST_CANARY_DATA_DIR": str(missing_dir.data_dir)})  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"schema     none: nothing has been stored yet (needed: {HEAD})" in done.stdout
    assert "next " not in done.stdout
    found = place.json("status")
    assert (found["content"], found["size_bytes"], found["next_step"]) == (None, None, None)
    assert names(place.data_dir) == []
    assert not missing_dir.data_dir.exists()
    if place.location.url:
        assert "none: nothing" in place.call("status").stdout


def set_revision(place: Place, revision: str) -> None:
    async def write(store: Store) -> None:
        async with store.database.writing() as connection:
            prefix = f"{store.database.schema}." if store.database.schema else ""
            await connection.exec_driver_sql(
                f"UPDATE {prefix}alembic_version SET version_num = '{revision}'"
            )

    place.do(write)


def test_a_newer_store_is_told_and_refused(place: Place) -> None:
    place.fill()
    set_revision(place, "9999")
    found = place.json("status")
    assert found["schema_revision"] == {"found": "9999", "needed": HEAD}
    assert found["content"] is None
    assert found["size_bytes"] > 0
    assert found["next_step"] == ("the store was written by a newer version: upgrade ingest-canary")
    for command in (["export", "-"], ["prune"], ["migrate"]):
        refused(place.call(*command), "was written by a newer version of ingest-canary")


def test_an_older_store_is_told_with_the_command_that_upgrades_it(
    place: Place, newer: Path
) -> None:
    place.fill()

    async def status() -> list[str]:
        database = Database(place.location)
        found = await status_of(database, place.data_dir / "spool", newer)
        await database.dispose()
        assert (found.kind, found.content) == (place.location.dialect, None)
        return list(status_lines(found, Settings(data_dir=place.data_dir)))

    lines = asyncio.run(status())
    assert f"schema     {HEAD}; this version needs next" in lines
    assert lines[-1] == (
        "next       the store is older than this version: run `ingest-canary store migrate`"
    )


def test_a_store_that_is_down_is_told_with_what_waits_for_it(tmp_path: Path) -> None:
    place = Place(made(tmp_path / "data"), "postgresql://me:secret@127.0.0.1:1/x?password=hidden")
    Spool(place.data_dir / "spool", 10**9).put(NEW_RUN)
    done = place.call("status", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["reachable"] is False
    assert "Connect call failed" in found["problem"]
    assert found["where"] == (
        "postgresql://me:***@127.0.0.1:1/x?password=***, schema ingest_canary_store"
    )
    assert found["spool"]["runs"] == 1
    assert found["next_step"].startswith("bring the store back")
    text = place.call("status")
    assert text.returncode == 1
    assert "problem    store (schema ingest_canary_store)" in text.stdout
    for secret in ("secret", "hidden"):
        assert secret not in done.stdout + done.stderr + text.stdout + text.stderr


def test_no_password_is_ever_printed(database: PostgreSQL, tmp_path: Path) -> None:
    place = Place(made(tmp_path / "data"), database.server.tcp_dsn(database.name))
    place.fill()
    for command in (["status"], ["status", "--json"], ["migrate"], ["migrate", "--sql"], ["prune"]):
        done = place.call(*command)
        assert done.returncode == 0, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        assert quote(PASSWORD) not in done.stdout + done.stderr


def test_runs_that_the_store_refused_are_told(file_place: Place) -> None:
    file_place.fill()
    spool = Spool(file_place.data_dir / "spool", 10**9)
    spool.put(NEW_RUN)
    spool.reject(spool.waiting()[0])
    found = file_place.json("status")
    assert found["spool"] == {"runs": 0, "bytes": 0, "rejected": 1}
    assert "rejected" in found["next_step"]


def test_a_file_of_another_program_is_refused_by_every_command(file_place: Place) -> None:
    file = file_place.data_dir / "store.sqlite"
    with closing(sqlite3.connect(file)) as foreign, foreign:
        foreign.execute("CREATE TABLE theirs (id INTEGER)")
    before = file.read_bytes()
    for command in (["status"], ["migrate"], ["prune"], ["export", "-"]):
        refused(file_place.call(*command), "is a SQLite database of another program")
        assert file.read_bytes() == before
    assert names(file_place.data_dir) == ["store.sqlite"]


def test_the_spool_is_counted_without_reading_it(file_place: Place) -> None:
    spool = made(file_place.data_dir / "spool")
    (spool / "00000000000000000001-a-7.json.gz").write_bytes(b"1234")
    (spool / "half.123.new").write_bytes(b"12345678")
    status = asyncio.run(status_of(Database(file_place.location), spool))
    assert status.waiting == Waiting(1, 4, 0)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (99_400, "99.4 kB"),
        (99_960, "100 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (12_345_678, "12.3 MB"),
        (5e9, "5.0 GB"), (7e15, "7000 TB"),
    ],
)  # fmt: skip
def test_sizes_are_readable(count: float, text: str) -> None:
    assert size(count) == text
