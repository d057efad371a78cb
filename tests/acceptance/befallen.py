"""A daemon on a canary that something befalls: what must be told meanwhile, and hold afterwards."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

from tests.acceptance.alarms import Alarms
from tests.acceptance.fault_table import Fault
from tests.acceptance.process import Daemon
from tests.acceptance.runs import StoredRun, assert_none_overlaps, measured, runs_in, runs_in_file
from tests.conftest import Database
from tests.integration.helpers import all_empty, locks_of_ours, sessions_of_ours
from tests.servers import PASSWORD, Server, wait_until

#: Seconds that anything here is waited for.
SECONDS = 120
INTERVAL = 2.0
#: Pages on which a secret might stand.
_PAGES = ("/metrics", "/", "/api/v1/status", "/api/v1/targets/main", "/targets/main")

Act = Callable[[Daemon], object]


@dataclass(frozen=True)
class Told:
    """What must be told while a fault lasts. ``reason`` is that of failed runs, None where runs go
    on; ``reach`` the least value of further metrics; ``alerts`` whose conditions hold."""

    reason: str | None = None
    up: int | None = None
    alerts: frozenset[str] = frozenset()
    reach: Mapping[str, float] = field(default_factory=dict)
    log: str | None = None

    def __str__(self) -> str:
        up = None if self.up is None else f"up {self.up}"
        parts = [self.reason, up, *self.reach, *sorted(self.alerts)]
        return ", ".join(part for part in parts if part) or "nothing: no run fails"


#: Nobody gets in: the two ways to be told so.
DOWN = Told("unavailable", up=0, alerts=frozenset({"IngestCanaryTargetDown"}))
REFUSED = Told("refused", up=1, alerts=frozenset({"IngestCanaryRunFailures"}))


class Befallen:
    """The daemon; change where it measures, keeps and runs before ``survives``."""

    def __init__(self, fault: Fault, job: str, server: Server, home: Path) -> None:
        self.fault, self.job, self.server, self.home = fault, job, server, home
        self.database = Database("postgres", server.dsn(), server)
        self.dsn = server.tcp_dsn(password=PASSWORD)
        self.store: Database | None = None
        self.alarms: Alarms | None = None
        self.extra: dict[str, str] = {}
        self.through: Sequence[str] = ()

    def daemon(self, interval: float = INTERVAL) -> Daemon:
        """The process, with what the test has set."""
        extra = {
            "INGEST_CANARY_TARGETS__MAIN__DSN": self.dsn,
            "INGEST_CANARY_TARGETS__MAIN__CONNECT_TIMEOUT": "3s",
            "INGEST_CANARY_LIMITS__ROUND_TIMEOUT": "10s",
            "INGEST_CANARY_LIMITS__RUN_TIMEOUT": "20s",
            "INGEST_CANARY_DATA_DIR": str(self.home),
            "INGEST_CANARY_WATCHDOG": "10s",  # which none of the faults may set off
        }
        if self.store is not None:
            extra["INGEST_CANARY_STORE__URL"] = self.store.dsn
        outputs = self.home.parent if self.home.is_mount() else self.home  # not on a full disk
        return Daemon(
            outputs, "--interval", f"{interval}s", extra=extra | self.extra, through=self.through
        )

    def survives(self, befall: Act, heal: Act, told: Told) -> None:
        """It befalls the daemon, is told, ends, and nothing is lost or left behind."""
        with self.daemon() as daemon:
            daemon.wait_for_metric("runs_total", 2, outcome="ok")
            if self.alarms is not None:
                address = daemon.wait_for_log(r"serving http://([\d.:]+)/")[1]
                self.alarms.watch(self.job, address)
            befall(daemon)
            self._is_told(daemon, told)
            said = _said(daemon)
            heal(daemon)
            self._goes_on(daemon)
            rounds, runs = self.reported(daemon)
            assert daemon.metric("store_dropped_samples_total") in (0, None)
            said += _said(daemon)
            assert daemon.stop() == 0, daemon.log
            self.assert_no_traceback_or_secret(daemon, said)
        self.assert_kept(rounds, runs)
        wait_until(self.nothing_left, "the canary to be clean", SECONDS)

    def _is_told(self, daemon: Daemon, told: Told) -> None:
        if told.log is not None:
            daemon.wait_for_log(told.log)
        if told.reason is not None:
            daemon.wait_for_metric("round_failures_total", 1, SECONDS, reason=told.reason)
            daemon.wait_for_metric("consecutive_failures", 1, SECONDS, target="main")
        if told.up is not None:
            what = f"up to be {told.up}; log: {daemon.log}"
            wait_until(lambda: daemon.metric("up", target="main") == told.up, what, SECONDS)
        for name, least in told.reach.items():
            daemon.wait_for_metric(name, least, SECONDS)
        for alert in told.alerts if self.alarms is not None else ():
            wait_until(lambda alert=alert: self._alarmed(alert), alert, SECONDS)
        if told.reason is not None:  # no value rather than a frozen one
            wait_until(lambda: daemon.metric("rows_per_second") is None, "no rates", SECONDS)
        assert [daemon.get(f"/-/{page}")[0] for page in ("healthy", "ready")] == [200, 200]
        self.fault.told(str(told))

    def _alarmed(self, alert: str) -> bool:
        return self.alarms is not None and alert in self.alarms.of(self.job)

    def _goes_on(self, daemon: Daemon) -> None:
        """The next due run happens, and all metrics say that it is well."""
        begun = time.monotonic()
        done = daemon.metric("runs_total", outcome="ok") or 0
        daemon.wait_for_metric("runs_total", done + 1, SECONDS, outcome="ok")
        self.fault.back(time.monotonic() - begun)
        daemon.wait_for_metric("runs_total", done + 2, SECONDS, outcome="ok")
        daemon.wait_for_metric("rows_per_second", 1, SECONDS)
        daemon.wait_for_metric("up", 1, target="main")
        daemon.wait_for_metric("next_run_timestamp_seconds", 1, target="main")

        def well() -> bool:
            waits = daemon.metric("store_spooled_samples")
            return daemon.metric("consecutive_failures", target="main") == 0 and not waits

        wait_until(well, f"all to be well; log: {daemon.log}", SECONDS)

    # --- afterwards ------------------------------------------------------------------------------

    def reported(self, daemon: Daemon) -> tuple[float, float]:
        """Rounds and runs that it has counted by now: those that a store must have."""
        rounds = daemon.metric("rounds_total", outcome="ok") or 0
        runs = sum(
            daemon.metric("runs_total", outcome=each) or 0 for each in ("ok", "partial", "failed")
        )
        return rounds, runs

    def assert_kept(self, rounds: float, runs: float) -> None:
        """Nothing that was reported is missing, and no two runs measured at once."""
        kept = self.runs()
        assert_none_overlaps(measured(kept))
        spooled = self.spooled()  # such as one that the end came upon
        samples, number = self.samples() + sum(spooled), len(kept) + len(spooled)
        assert samples >= rounds, f"{rounds - samples} samples were lost"
        assert number >= runs, f"{runs - number} runs were lost"
        self.fault.kept(f"{rounds:.0f} of {rounds:.0f} samples, {runs:.0f} of {runs:.0f} runs")

    def runs(self) -> list[StoredRun]:
        return runs_in(self.store) if self.store is not None else runs_in_file(self.home)

    def spooled(self) -> list[int]:
        """Of each run that waits on disk, the number of its samples."""
        names = [path.name for path in (self.home / "spool").glob("*.json.gz")]
        return [int(name.removesuffix(".json.gz").rpartition("-")[2]) for name in names]

    def samples(self) -> int:
        if self.store is not None:
            return int(self.store.sql("SELECT count(*) FROM ingest_canary_store.sample")[0][0])
        with closing(sqlite3.connect(self.home / "store.sqlite")) as connection:
            return int(connection.execute("SELECT count(*) FROM sample").fetchone()[0])

    def nothing_left(self) -> bool:
        """Neither session nor lock nor row of ours."""
        found = self.database
        return all_empty(found) and locks_of_ours(found) == 0 and sessions_of_ours(found) == 0

    def assert_no_traceback_or_secret(self, daemon: Daemon, said: str) -> None:
        """In nothing that it printed, logged, served or wrote."""
        assert "Traceback" not in daemon.log, daemon.log
        written = [path for path in self.home.rglob("*") if path.is_file()]
        everything = said.encode() + b"".join(path.read_bytes() for path in written)
        for secret in (PASSWORD, quote(PASSWORD, safe=""), quote_plus(PASSWORD)):
            assert secret.encode() not in everything


def _said(daemon: Daemon) -> str:
    return "".join(daemon.get(page)[1] for page in _PAGES) + daemon.log + daemon.output
