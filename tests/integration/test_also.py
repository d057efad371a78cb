"""``measure --also``: one real server by socket and by TCP, in turn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Database
from tests.integration.commands import Command, command_fixture  # noqa: F401
from tests.integration.helpers import all_empty, gone
from tests.integration.poolers import pooled
from tests.servers import Server
from tests.slow_network import slow_network

TWO = ("--strategy", "asyncpg_copy", "--strategy", "core_executemany")


@pytest.fixture(autouse=True)
def small_suite(monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.setenv("INGEST_CANARY_SUITE__ROWS", "200")
    monkeypatch.setenv("INGEST_CANARY_SUITE__ROUNDS", "3")


def test_both_ways_are_measured_in_turn_and_compared(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
    tcp = database.server.tcp_dsn(database.name)
    ended = command("measure", "--also", tcp, "--json")
    assert ended.code == 0, ended.err
    one, other, comparison = (json.loads(line) for line in ended.out.splitlines())
    assert one["run"]["target"] == "main by Unix socket"
    assert other["run"]["target"].startswith("main by TCP 127.0.0.1:")
    assert {len(each["rounds"]) for run in (one, other) for each in run["cases"]} == {3}
    starts = [
        [each["rounds"][n]["started_at"] for run in (one, other) for each in run["cases"]]
        for n in range(3)
    ]
    assert max(starts[0]) < min(starts[1])  # both ways of a block before any of the next
    assert max(starts[1]) < min(starts[2])
    ways = comparison["comparison"]["ways"]
    assert [way["transport"] for way in ways] == ["socket", "tcp"]
    cases = comparison["comparison"]["cases"]
    assert len(cases) == 8
    for each in cases:
        assert each["pairs"] == 3
        assert set(each["seconds_per_row"]) == {"wall", "client", "server", "commit", "rest"}
        assert each["seconds_per_row"]["wall"]["low"] <= each["seconds_per_row"]["wall"]["high"]
        assert each["wall_ratio"]["median"] > 0
    assert all_empty(database)
    gone(database)


def test_the_table_tells_what_the_second_way_adds(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
    monkeypatch.setenv("INGEST_CANARY_TARGETS__NET__DSN", database.server.tcp_dsn(database.name))
    ended = command("measure", "--target", "main", "--also", "net", "--strategy", "asyncpg_copy")
    assert ended.code == 0, ended.err
    assert "main by Unix socket: PostgreSQL" in ended.out
    assert "over Unix socket: what it adds, µs per row" in ended.out
    assert ended.out.count("asyncpg_copy") >= 4


def test_a_network_of_known_slowness_is_found_where_it_is(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    address = f":{database.server.port}/"
    with slow_network(database.server.port, tmp_path) as network:
        dsn = database.server.tcp_dsn(database.name)
        monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", dsn)
        monkeypatch.setenv(
            "INGEST_CANARY_TARGETS__FAR__DSN", dsn.replace(address, f":{network.port}/")
        )
        network.delay(0.04)
        ended = command("measure", "--target", "main", "--also", "far", "--json", *TWO)
    assert ended.code == 0, ended.err
    for each in json.loads(ended.out.splitlines()[2])["comparison"]["cases"]:
        added = {name: 200 * share["median"] for name, share in each["seconds_per_row"].items()}
        # One answer is waited for at COMMIT, and one at least before it; each 80 ms later.
        assert added["commit"] > 0.07
        assert added["rest"] > 0.07
        assert added["wall"] > 0.15


def test_a_pooler_in_session_mode_is_a_way_too(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
    with pooled(database, "session") as dsn:
        ended = command("measure", "--also", dsn, "--strategy", "asyncpg_copy", "--json")
    assert ended.code == 0, ended.err
    comparison = json.loads(ended.out.splitlines()[2])["comparison"]
    assert [way["pooler"] for way in comparison["ways"]] == ["none", "session"]


def test_another_server_or_database_is_refused(
    database: Database, server: Server, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
    ended = command("measure", "--also", server.dsn())
    assert ended.code == 2
    assert "--also reaches database postgres, the target test_" in ended.err


def test_what_does_not_go_together_is_said(
    database: Database, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_CANARY_TARGETS__ONE__DSN", database.dsn)
    monkeypatch.setenv("INGEST_CANARY_TARGETS__TWO__DSN", database.dsn)
    assert "name it by --target" in command("measure", "--also", "one").err
    assert "leave --also out" in command("measure", "--also", "one", "--record").err
    assert "or name a configured target (one, two)" in command("measure", "--also", "x").err
