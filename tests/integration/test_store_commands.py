"""``ingest-canary store …`` as a user runs it: output, exit codes, and what it leaves alone."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from monitor.cli.store_text import size, status_lines
from monitor.config.settings import Settings
from monitor.store import tables
from monitor.store.codec import encode
from monitor.store.database import Database, Location
from monitor.store.schema import MIGRATIONS, migration_sql, open_store
from monitor.store.spool import Spool
from monitor.store.status import Waiting, status_of
from tests.acceptance.process import COMMAND, call, environment
from tests.conftest import Database as PostgreSQL
from tests.conftest import missing
from tests.servers import PASSWORD
from tests.stores import Store, opened, record, records_every, sample_count

NOW = datetime.now(UTC).replace(minute=30)
DAY = timedelta(days=1)
RUNS = records_every(6 * timedelta(hours=1), NOW - 2 * DAY, NOW)
NEW_RUN = record(NOW + timedelta(minutes=5))


class Place:
    """A data directory and the store that belongs to it."""

    def __init__(self, data_dir: Path, url: str | None) -> None:
        self.data_dir = data_dir
        self.extra = {"INGEST_CANARY_STORE__URL": url} if url else {}
        self.location = Location(data_dir / "store.sqlite", url)

    def call(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return call(self.data_dir, "store", *arguments, extra=self.extra | extra)

    def bytes_of(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """For what reads or writes a file by standard input or output."""
        return subprocess.run(
            [*COMMAND, "store", *arguments],
            env=environment(self.data_dir, self.extra),
            input=given,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self.call(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def do(self, what: Callable[[Store], Awaitable[Any]]) -> Any:
        """With the opened store."""

        async def run() -> Any:
            async with opened(self.location) as store:
                return await what(store)

        return asyncio.run(run())

    def fill(self) -> None:
        self.do(lambda store: store.append(*RUNS))

    def counts(self) -> tuple[int, int]:
        """Runs and samples in the store."""

        async def count(store: Store) -> tuple[int, int]:
            return await store.count(tables.run), await store.count(tables.sample)

        found: tuple[int, int] = self.do(count)
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A store of each engine; nothing is there yet."""
    url = None if request.param == "sqlite" else request.getfixturevalue("database").dsn
    return Place(made(tmp_path / "data"), url)


@pytest.fixture
def file_place(tmp_path: Path) -> Place:
    """SQLite, for what does not depend on the engine."""
    return Place(made(tmp_path / "data"), None)


@pytest.fixture
def other(tmp_path: Path) -> Place:
    """Another, empty one, on SQLite."""
    return Place(made(tmp_path / "other"), None)


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def refused(done: subprocess.CompletedProcess[Any], sentence: str) -> None:
    """It ended with exit code 2, nothing on stdout and one line on stderr."""
    out, err = (each if isinstance(each, str) else each.decode()
                for each in (done.stdout, done.stderr))  # fmt: skip
    assert (done.returncode, out) == (2, ""), err
    assert sentence in err
    assert err.count("\n") == 1


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
    for options, runs in (((), 10), (("--target", "spare"), 1), (("--since", "5d"), 9),
                          (("--target", "main", "--target", "spare", "--since", "20d"), 10)):  # fmt: skip
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
        (["--since", "9999999999d"], "days="),
        (["--since", "999999d"], "before the calendar begins"),
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
        data, "manifest.json", lambda text: text.replace(b'"version": 1,', b'"version": 2,')
    )
    yield newer, "this one reads format 1"


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
    refused(other.call("import", str(tmp_path / "none.tar")), "none.tar: No such file or directory")
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
    assert found["schema_revision"] == {"found": "0001", "needed": "0001"}
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
    assert "schema     none: nothing has been stored yet (needed: 0001)" in done.stdout
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
    assert found["schema_revision"] == {"found": "9999", "needed": "0001"}
    assert found["content"] is None
    assert found["size_bytes"] > 0
    assert found["next_step"] == ("the store was written by a newer version: upgrade ingest-canary")
    for command in (["export", "-"], ["prune"], ["migrate"]):
        refused(place.call(*command), "was written by a newer version of ingest-canary")


NEXT = """
revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("target", sa.Column("note", sa.Text), schema=context.config.attributes["schema"])
"""


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The migrations of a later version."""
    chain = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, chain)
    head = "import sqlalchemy as sa\nfrom alembic import context, op\n"
    (chain / "versions" / "r0002_next.py").write_text(head + NEXT)
    return chain


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
    assert "schema     0001; this version needs 0002" in lines
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
    assert "refused" in found["problem"]
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


def test_a_foreign_file_is_refused_by_every_command(file_place: Place) -> None:
    file_place.data_dir.joinpath("store.sqlite").write_bytes(b"something else altogether" * 100)
    for command in (["status"], ["migrate"], ["prune"], ["export", "-"]):
        done = file_place.call(*command)
        assert done.returncode != 0
        assert done.stderr.count("\n") <= 1


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


# --- migrate and prune ---------------------------------------------------------------------------


def test_migrate_creates_the_store_once(place: Place) -> None:
    where = str(place.location)
    assert place.call("migrate").stdout == f"{where}: created with schema 0001\n"
    assert place.call("migrate").stdout == f"{where}: schema 0001 is there already\n"
    place.fill()


@pytest.fixture
def psql(database: PostgreSQL) -> Callable[[str], str]:
    """Runs SQL as a DBA does: by psql, in ``database``, as superuser."""
    program = database.server.binaries.program("psql")
    if not Path(program).exists():
        missing(f"{program} is not there")

    def run(script: str) -> str:
        done = subprocess.run(
            [program, "-X", "-v", "ON_ERROR_STOP=1", "-d", database.dsn],
            input=script,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


def test_the_sql_of_migrate_makes_a_store(
    database: PostgreSQL, tmp_path: Path, psql: Callable[[str], str]
) -> None:
    """By a superuser for a role that may create nothing itself."""
    role = 'store "owner"'
    plain = Place(made(tmp_path / "plain"), None)
    script = plain.call("migrate", "--sql", "--role", role)
    assert (script.returncode, script.stderr) == (0, "")
    assert names(plain.data_dir) == []
    database.sql('DROP ROLE IF EXISTS "store ""owner"""')
    database.sql('CREATE ROLE "store ""owner""" LOGIN')
    assert psql(script.stdout) == ""
    url = database.server.dsn(database.name, quote(role, safe=""))
    place = Place(made(tmp_path / "data"), url)
    assert place.call("migrate").stdout.endswith(": schema 0001 is there already\n")
    place.fill()
    assert place.json("status")["content"]["samples"] == sample_count(RUNS)
    assert place.json("status")["kind"] == "postgresql"
    assert place.call("migrate", "--sql").stdout == (
        "-- The store has schema 0001, which is needed: nothing to do.\n"
    )
    owners = database.sql(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace ="
        " 'ingest_canary_store'::regnamespace AND relkind IN ('r', 'p')"
    )
    assert owners == [(role,)]
    place.do(lambda store: asyncio.sleep(0))
    database.sql('DROP OWNED BY "store ""owner"""')
    database.sql('DROP ROLE "store ""owner"""')


def definitions(database: PostgreSQL) -> list[tuple[Any, ...]]:
    """Everything in the store's schema, as the server describes it."""
    return database.sql(
        "SELECT relname, relkind, obj_description(c.oid, 'pg_class'), attname,"
        " format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),"
        " pg_get_partkeydef(c.oid), CASE WHEN relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END"
        " FROM pg_class AS c LEFT JOIN pg_attribute AS a ON attrelid = c.oid AND attnum > 0"
        " LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum"
        " WHERE relnamespace = 'ingest_canary_store'::regnamespace ORDER BY 1, 2, attnum"
    ) + database.sql(
        "SELECT obj_description(oid), (SELECT string_agg(name || value, ',' ORDER BY name)"
        " FROM ingest_canary_store.store) FROM pg_namespace WHERE nspname = 'ingest_canary_store'"
    )


def test_the_sql_of_migrate_makes_what_migrate_makes(
    database: PostgreSQL, tmp_path: Path, psql: Callable[[str], str]
) -> None:
    place = Place(made(tmp_path / "data"), database.dsn)
    script = place.call("migrate", "--sql").stdout
    assert "SET LOCAL ROLE" not in script
    assert database.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'ingest_canary_store'") == []
    place.call("migrate")
    expected = definitions(database)
    database.sql("DROP SCHEMA ingest_canary_store CASCADE")
    psql(script)
    assert len(expected) > 100
    assert definitions(database) == expected


def test_the_sql_of_an_upgrade_is_that_of_what_is_missing(
    database: PostgreSQL, tmp_path: Path, newer: Path, psql: Callable[[str], str]
) -> None:
    place = Place(made(tmp_path / "data"), database.dsn)
    place.fill()

    async def upgrade() -> None:
        store = Database(place.location)
        script = await migration_sql(store, migrations=newer)
        assert "CREATE" not in script
        psql(script)
        assert await open_store(store, newer, create=False) == "postgresql"
        await store.dispose()

    asyncio.run(upgrade())


def test_what_is_half_made_stays_undone(
    database: PostgreSQL, tmp_path: Path, psql: Callable[[str], str]
) -> None:
    """The SQL is one transaction: where the schema is another's, nothing of it happens."""
    script = Place(made(tmp_path / "data"), None).call("migrate", "--sql").stdout
    database.sql("CREATE SCHEMA ingest_canary_store")
    with pytest.raises(AssertionError, match='schema "ingest_canary_store" already exists'):
        psql(script)
    assert database.sql("SELECT 1 FROM pg_tables WHERE schemaname = 'ingest_canary_store'") == []


def test_a_role_without_sql_is_bad_input(file_place: Place) -> None:
    refused(file_place.call("migrate", "--role", "x"), "--role goes with --sql.")


def test_prune_removes_what_retention_no_longer_keeps(place: Place) -> None:
    # Weeks, so that on PostgreSQL a whole partition is old.
    old = records_every(timedelta(hours=12), NOW - 60 * DAY, NOW - 50 * DAY)
    place.do(lambda store: store.append(*old, *RUNS))
    found = place.json("prune")
    assert found["samples"] > 0
    assert found["longest_wait_seconds"] > 0
    assert (found["partitions"] > 0) == (place.location.dialect == "postgresql")
    content = place.json("status")["content"]
    assert content["samples"] == sample_count(old) + sample_count(RUNS) - found["samples"]
    assert content["runs"] == len(old) + len(RUNS)
    assert content["daily_rollups"] >= 2 * 10
    again = place.call("prune")
    assert again.stdout.startswith("removed 0 samples (0 partitions), 0 runs, 0 rollups, 0 detector"
                                   " states; 0 bytes freed; nobody waited longer than ")  # fmt: skip


def test_prune_heeds_the_settings(file_place: Place) -> None:
    file_place.do(lambda store: store.append(*RUNS, record(NOW - 5 * DAY)))
    done = file_place.call(
        "prune", "--json", INGEST_CANARY_STORE__RAW_RETENTION="3d",
        INGEST_CANARY_STORE__HOURLY_RETENTION="4d",
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert (found["samples"], found["runs"], found["rollups"]) == (10, 1, 2)


def test_every_command_explains_itself() -> None:
    for command in ("export", "import", "status", "migrate", "prune"):
        done = subprocess.run(
            [*COMMAND, "store", command, "--help"], capture_output=True, text=True, check=True
        )
        assert f"store {command}" in done.stdout
