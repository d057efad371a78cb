"""The fault matrix of the daemon: what befalls it and its canary, and what must hold after it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.process import Daemon
from tests.acceptance.runs import assert_none_overlaps, measured, runs_in_file
from tests.conftest import Database
from tests.integration.helpers import all_empty, locks_of_ours, sessions_of_ours
from tests.servers import PASSWORD, SUPERUSER, Server, wait_until
from tests.slow_network import SlowNetwork, slow_network

pytestmark = pytest.mark.slow
SECONDS = 120


@pytest.fixture
def own_server(pg_bin: Path, server_root: Path) -> Iterator[Server]:
    """A server that a test may do anything to."""
    server = Server(pg_bin, server_root / "daemon-faults", {"max_connections": "20"}).start()
    server.sql("CREATE EXTENSION pg_stat_statements")
    yield server
    server.remove()


@pytest.fixture
def network(own_server: Server, tmp_path: Path) -> Iterator[SlowNetwork]:
    with slow_network(own_server.port, tmp_path) as found:
        yield found


class Befallen:
    """A daemon on a canary that something befalls, and what must hold before and after."""

    def __init__(self, fault: str, server: Server, network: SlowNetwork, data_dir: Path) -> None:
        self.fault, self.server, self.network, self.data_dir = fault, server, network, data_dir
        self.database = Database("postgres", server.dsn(), server)
        address = f":{server.port}/"
        self.dsn = server.tcp_dsn(password=PASSWORD).replace(address, f":{network.port}/")
        self.extra = {
            "INGEST_CANARY_TARGETS__MAIN__DSN": self.dsn,
            "INGEST_CANARY_TARGETS__MAIN__CONNECT_TIMEOUT": "3s",
            "INGEST_CANARY_LIMITS__ROUND_TIMEOUT": "10s",
        }

    def survives(
        self,
        befall: Callable[[Daemon], object],
        heal: Callable[[Daemon], object],
        reason: str | None,
    ) -> None:
        """Something befalls the daemon, is told as ``reason``, ends, and nothing is left of it."""
        with Daemon(self.data_dir, "--interval", "2s", extra=self.extra) as daemon:
            daemon.wait_for_metric("runs_total", 2, outcome="ok")
            befall(daemon)
            if reason is not None:
                daemon.wait_for_metric("round_failures_total", 1, SECONDS, reason=reason)
            heal(daemon)
            done = daemon.metric("runs_total", outcome="ok") or 0
            daemon.wait_for_metric("runs_total", done + 2, SECONDS, outcome="ok")
            daemon.wait_for_metric("up", 1, target="main")
            told = daemon.metric("store_samples_total") or 0
            assert daemon.metric("store_dropped_samples_total") in (0, None)
            assert "Traceback" not in daemon.log
            assert daemon.stop() == 0
        kept = runs_in_file(self.data_dir)
        assert_none_overlaps(measured(kept))
        assert len(measured(kept)) * 14 >= told * 0.5
        wait_until(self.nothing_left, "the canary to be clean", SECONDS)
        print(f"\n{self.fault:45s} survived: {len(measured(kept))} runs kept")

    def nothing_left(self) -> bool:
        found = self.database
        return all_empty(found) and locks_of_ours(found) == 0 and sessions_of_ours(found) == 0


@pytest.fixture
def befallen(
    request: pytest.FixtureRequest, own_server: Server, network: SlowNetwork, data_dir: Path
) -> Befallen:
    return Befallen(request.node.name.removeprefix("test_"), own_server, network, data_dir)


def test_killed_in_mid_round(befallen: Befallen) -> None:
    def befall(daemon: Daemon) -> None:
        daemon.wait_for_metric("lock_held", 1)
        befallen.server.kill()

    befallen.survives(befall, lambda _: befallen.server.start(), "unavailable")


def test_restarted(befallen: Befallen) -> None:
    befallen.survives(lambda _: befallen.server.restart(), lambda _: None, None)


def test_failed_over_to_read_only(befallen: Befallen) -> None:
    sql = befallen.server.sql
    setting = "default_transaction_read_only"
    befallen.survives(
        lambda _: sql(f"ALTER DATABASE postgres SET {setting} = on"),
        lambda _: (
            sql(f"BEGIN READ WRITE; ALTER DATABASE postgres RESET {setting}; COMMIT") and None
        ),
        "refused",
    )


def test_password_changed(befallen: Befallen) -> None:
    sql = befallen.server.sql
    befallen.survives(
        lambda _: sql(f"ALTER ROLE {SUPERUSER} PASSWORD 'another'"),
        lambda _: sql(f"ALTER ROLE {SUPERUSER} PASSWORD '{PASSWORD}'"),
        "authentication",
    )


def test_black_holed_in_mid_round(befallen: Befallen) -> None:
    def befall(daemon: Daemon) -> None:
        daemon.wait_for_metric("lock_held", 1)
        befallen.network.delay(100_000)

    # The server ends what is left of the black-holed session after a minute or two.
    befallen.survives(befall, lambda _: befallen.network.delay(0), "unavailable")


def test_slow_network(befallen: Befallen) -> None:
    befallen.survives(
        lambda _: befallen.network.delay(0.03), lambda _: befallen.network.delay(0), None
    )


def test_max_connections_reached(befallen: Befallen) -> None:
    with ThreadPoolExecutor(25) as crowd:

        def befall(_: Daemon) -> None:
            for _each in range(25):  # those that find no place have done their part
                crowd.submit(befallen.server.sql, "SELECT pg_sleep(15)")

        befallen.survives(befall, lambda _: crowd.shutdown(), "unavailable")


def test_stopped_for_two_intervals(befallen: Befallen) -> None:
    befallen.survives(lambda daemon: daemon.stopped_for(4.5), lambda _: None, None)


def test_kill_9_at_ten_random_moments(befallen: Befallen) -> None:
    rng = random.Random(20261125)
    for _ in range(10):
        with Daemon(befallen.data_dir, "--interval", "1s", extra=befallen.extra) as daemon:
            daemon.wait_for_log("serving")
            time.sleep(rng.uniform(0.2, 4.0))
            daemon.process.kill()
    befallen.survives(lambda _: None, lambda _: None, None)
