"""All of it at work: PostgreSQL, the daemon, Prometheus with our rules, Alertmanager.

Time runs 120 times as fast (``tests.acceptance.shortened``): a run every 5 s, and every duration in
our rules and routes divided by as much. What the daemon is told differs from its defaults in
nothing but that, in fewer rows a round, so that a run fits into it, and in the floor of changes.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.alertmanager import Alertmanager, Receiver, alerting, receiving
from tests.acceptance.process import Daemon
from tests.acceptance.prometheus import Prometheus, started
from tests.acceptance.shortened import INTERVAL, shortened
from tests.contract.rule_files import GRAFANA, RULE_FILES
from tests.servers import Server, free_port, wait_until

EXAMPLE = GRAFANA / "alertmanager" / "alertmanager.example.yaml"

#: The default suite's kinds of cases, those that pipeline left out: on a machine that does all of
#: this at once they switch between two levels. And one on a foreign key, so that its metric exists.
CASES = [
    {"strategy": "orm_add_all"},
    {"strategy": "core_insertmanyvalues"},
    {"strategy": "asyncpg_unnest"},
    {"strategy": "asyncpg_copy"},
    {"strategy": "asyncpg_copy", "batch_size": 1000, "transaction": "batch"},
    {"strategy": "asyncpg_copy", "shape": "orders_customer_idx"},
    {"strategy": "asyncpg_copy", "shape": "orders_customer_fk"},
]

#: Nothing is turned off that makes commits wait.
DURABLE = {"fsync": "on", "full_page_writes": "on", "wal_level": "replica"}

_CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}/*.yaml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
scrape_configs:
  - job_name: ingest-canary
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@dataclass
class Live:
    """What runs, and what may be done to it."""

    canary: Server
    store: Server
    prometheus: Prometheus
    alertmanager: Alertmanager
    receiver: Receiver
    daemon: Daemon
    data_dir: Path
    settings: Mapping[str, str]
    port: int

    def stop_daemon(self) -> None:
        """As an operator does."""
        assert self.daemon.stop() == 0

    def start_daemon(self) -> None:
        """Again, on the same port and with what it remembers."""
        self.daemon = _daemon(self.data_dir, self.settings, self.port)


def settings_of(targets: Mapping[str, str], store: str) -> dict[str, str]:
    """The daemon's settings for targets by name and DSN."""
    dsns = {f"INGEST_CANARY_TARGETS__{name.upper()}__DSN": dsn for name, dsn in targets.items()}
    return {
        **dsns,
        "INGEST_CANARY_INTERVAL": f"{INTERVAL}s",
        "INGEST_CANARY_SUITE__ROWS": "5000",
        # Rounds of some milliseconds beside three servers vary more than ten minutes' ones alone.
        "INGEST_CANARY_DETECTION__FLOOR": "0.1",
        "INGEST_CANARY_SUITE__ROUNDS": "5",
        "INGEST_CANARY_SUITE__CASES": json.dumps(CASES),
        "INGEST_CANARY_STORE__URL": store,
    }


@contextmanager
def live(programs: Path, root: Path, settings: Mapping[str, str] | None = None) -> Iterator[Live]:
    """Start all of it below a directory that the servers' user can enter.

    ``settings`` are the daemon's besides. On the canary commits do not wait for the disk at first.
    """
    with ExitStack() as stack:
        canary = stack.enter_context(_server(programs, root / "canary", DURABLE))
        store = stack.enter_context(_server(programs, root / "store", {}))
        canary.sql("CREATE EXTENSION pg_stat_statements")
        canary.sql("ALTER DATABASE postgres SET synchronous_commit = off")
        data_dir = Path(tempfile.mkdtemp(prefix="data-", dir=root))
        told = {**settings_of({"main": canary.tcp_dsn()}, store.tcp_dsn()), **(settings or {})}
        port = free_port()
        receiver = stack.enter_context(receiving())
        routes = shortened(EXAMPLE.read_text())
        alertmanager = stack.enter_context(alerting(root / "alertmanager", routes, receiver))
        daemon = _daemon(data_dir, told, port)
        world = Live(
            canary, store, Prometheus(""), alertmanager, receiver, daemon, data_dir, told, port
        )
        stack.callback(lambda: world.daemon.__exit__())
        # An exporter that was never seen is an alert.
        world.daemon.wait_for_metric("runs_total", 1, outcome="ok")
        world.prometheus = stack.enter_context(_prometheus(root, port, alertmanager))
        # Before its first scrape it misses the daemon, and says so after two seconds and a half.
        wait_until(lambda: bool(world.prometheus.query("ingest_canary_up")), "a scrape", 30)
        wait_until(lambda: not world.prometheus.query("ALERTS"), "no alert", 30)
        wait_until(
            lambda: all(call.status == "resolved" for call in receiver.calls[-1:]), "calm", 30
        )
        receiver.calls.clear()
        yield world


@contextmanager
def _prometheus(root: Path, port: int, alertmanager: Alertmanager) -> Iterator[Prometheus]:
    rules = root / "rules"
    rules.mkdir()
    for path in RULE_FILES:
        (rules / path.name).write_text(shortened(path.read_text()))
    address = alertmanager.url.removeprefix("http://")
    text = _CONFIGURATION.format(rules=rules, alertmanager=address, port=port)
    with started(root, text) as prometheus:
        yield prometheus


@contextmanager
def _server(programs: Path, directory: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    server = Server(programs, directory, settings).start()
    try:
        yield server
    finally:
        server.remove()


def _daemon(data_dir: Path, settings: Mapping[str, str], port: int) -> Daemon:
    return Daemon(data_dir, "--port", str(port), extra=settings)
