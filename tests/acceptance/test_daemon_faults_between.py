"""The fault matrix of the daemon: what befalls the way to the canary."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.befallen import DOWN, REFUSED, Befallen, Told
from tests.acceptance.process import Daemon
from tests.conftest import Database
from tests.far_host import FarHost, far_host
from tests.integration.helpers import slow_rows
from tests.integration.poolers import pooler
from tests.names import HOST, own_names, silent_name_server
from tests.servers import PASSWORD, Server
from tests.slow_network import SlowNetwork, slow_network

pytestmark = pytest.mark.slow


@pytest.fixture
def network(server: Server, tmp_path: Path) -> Iterator[SlowNetwork]:
    with slow_network(server.port, tmp_path) as found:
        yield found


def through(befallen: Befallen, port: int) -> None:
    befallen.dsn = befallen.dsn.replace(f":{befallen.server.port}/", f":{port}/")


@pytest.fixture
def far(pg_bin: Path, server_root: Path) -> Iterator[tuple[FarHost, Server]]:
    """A host of its own with a server."""
    with far_host() as host:
        place = server_root / "far"
        server = Server(pg_bin, place, {"listen_addresses": f"127.0.0.1,{host.address}"})
        host.do(server.start)
        with (server.data / "pg_hba.conf").open("a") as rules_of_access:
            rules_of_access.write(f"host all all {host.here}/32 scram-sha-256\n")
        server.sql("SELECT pg_reload_conf()")
        server.sql("CREATE EXTENSION pg_stat_statements")
        yield host, server
        server.remove()


def test_packets_dropped_in_mid_round(befallen: Befallen, far: tuple[FarHost, Server]) -> None:
    """The server ends the session when nobody acknowledges, 30 s later; we notice much sooner."""
    host, server = far
    befallen.server = server
    befallen.database = Database("postgres", server.dsn(), server)
    befallen.dsn = server.tcp_dsn(password=PASSWORD).replace("127.0.0.1", host.address)

    def pull(daemon: Daemon) -> None:
        slow_rows(befallen.database, "ingest_canary.orders", 0.005)
        daemon.wait_for_metric("lock_held", 1)
        host.pull()

    def plug(_: Daemon) -> None:
        host.plug()
        befallen.database.sql(
            "CREATE OR REPLACE FUNCTION public.before_row() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NEW; END'"
        )

    befallen.survives(pull, plug, DOWN)


def test_held_up_by_a_proxy_in_mid_round(befallen: Befallen, network: SlowNetwork) -> None:
    """It acknowledges everything and forwards nothing: TCP sees no fault, deadlines do."""
    through(befallen, network.port)

    def hold(daemon: Daemon) -> None:
        daemon.wait_for_metric("lock_held", 1)
        network.delay(100_000)

    befallen.survives(hold, lambda _: network.delay(0), DOWN)


def test_slow_network(befallen: Befallen, network: SlowNetwork) -> None:
    through(befallen, network.port)
    befallen.extra["INGEST_CANARY_INTERVAL"] = "5s"
    told = Told(up=1, reach={"round_trip_seconds": 0.06})
    befallen.survives(lambda _: network.delay(0.03), lambda _: network.delay(0), told)


@pytest.mark.parametrize("how", ["no answer", "no name server"])
def test_name_not_resolved(befallen: Befallen, tmp_path: Path, how: str) -> None:
    befallen.dsn = befallen.dsn.replace("127.0.0.1", HOST)
    with silent_name_server() as silent, own_names(tmp_path) as names:
        befallen.through = names.through
        server = silent if how == "no answer" else "127.231.0.54"
        befallen.survives(lambda _: names.fail(server), lambda _: names.known(), DOWN)


def test_silent_name_server_holds_up_neither_other_targets_nor_the_end(
    befallen: Befallen, tmp_path: Path
) -> None:
    """A thread that asks it cannot be called off; the resolver's own patience is half a minute."""
    named = befallen.dsn.replace("127.0.0.1", HOST)
    befallen.dsn = befallen.dsn.replace("127.0.0.1", "localhost")  # a name that is known
    befallen.extra |= {
        "INGEST_CANARY_TARGETS__NAMED__DSN": named,
        "INGEST_CANARY_TARGETS__NAMED__SCHEMA": "ingest_canary_named",
        "INGEST_CANARY_TARGETS__NAMED__CONNECT_TIMEOUT": "1s",
    }
    with silent_name_server() as silent, own_names(tmp_path) as names:
        befallen.through = names.through
        with befallen.daemon() as daemon:
            daemon.wait_for_metric("runs_total", 1, outcome="ok", target="named")
            names.fail(silent)
            daemon.wait_for_metric("runs_total", 5, outcome="failed", target="named")
            done = daemon.metric("runs_total", outcome="ok", target="main") or 0
            began = time.monotonic()
            daemon.wait_for_metric("runs_total", done + 5, outcome="ok", target="main")
            befallen.fault.told("failed runs of the one, 5 runs of the other")
            befallen.fault.back((time.monotonic() - began) / 5)
            began = time.monotonic()
            assert daemon.stop(signal.SIGTERM) == 0, daemon.log
            befallen.fault.kept(f"ended in {time.monotonic() - began:.1f} s")


def test_pooler_turned_to_transaction_mode(befallen: Befallen) -> None:
    """In session mode it works, in transaction mode it is refused before anything is written."""
    with pooler(befallen.database, "session") as running:
        befallen.dsn = running.dsn
        befallen.survives(
            lambda _: running.change("transaction"), lambda _: running.change("session"), REFUSED
        )


def test_nobody_waits_for_the_lost(befallen: Befallen, network: SlowNetwork) -> None:
    """A black-holed target does not hold up the end: Ctrl-C in mid-round, five seconds."""
    through(befallen, network.port)
    with befallen.daemon() as daemon:
        daemon.wait_for_metric("runs_total", 1, outcome="ok")
        daemon.wait_for_metric("lock_held", 1)
        network.delay(100_000)
        begun = time.monotonic()
        assert daemon.stop() in (0, 1)
        befallen.fault.told("exit")
        befallen.fault.back(time.monotonic() - begun)
        assert "Traceback" not in daemon.log, daemon.log
