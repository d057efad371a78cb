"""What a daemon and its replica would have exported in the last hours: every metric there is.

One target was given an index two hours ago, which the detector told forty minutes later; the other
is well. Values are plausible, repeat exactly, and change from run to run only.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

from monitor.export.snapshot import BUCKETS
from monitor.judgement import STATES
from tests.contract.exported import CLOSED, THRESHOLDS

Value = Callable[[float], float | None]
Labels = Mapping[str, str]
Found = Iterator[tuple[str, Labels, Value]]

INTERVAL = 600.0
INSTANCES = ("a:9988", "b:9988")
TARGETS = ("main", "well")

#: Rows per second, and seconds per row of client, server, commit and rest, per strategy.
RATES = {
    "orm_add_all": (43_000, 15e-6, 5e-6),
    "orm_bulk": (135_000, 4.0e-6, 3.0e-6),
    "core_executemany": (167_000, 2.5e-6, 3.0e-6),
    "core_insertmanyvalues": (177_000, 2.8e-6, 2.4e-6),
    "asyncpg_unnest": (300_000, 0.9e-6, 2.2e-6),
    "asyncpg_copy": (546_000, 0.6e-6, 1.3e-6),
}
ROWS_PER_CALL = {
    "core_executemany": 1,
    "orm_bulk": 1,
    "core_insertmanyvalues": 1000,
    "orm_add_all": 1000,
}


class Story:
    """All series as functions of the time; ``now`` is the end of it."""

    def __init__(self, now: float) -> None:
        self._counting = True
        self._index_at = now - 2 * 3600
        self._told_at = self._index_at + 2400
        self._start = now - 200 * 3600

    def series(self) -> dict[tuple[str, frozenset[tuple[str, str]]], Value]:
        """Every series by name and labels."""
        found: dict[tuple[str, frozenset[tuple[str, str]]], Value] = {}
        for number, instance in enumerate(INSTANCES):
            self._counting = number == 0  # one replica holds the lock, the other waits
            for name, labels, value in self._of_daemon(first=number == 0):
                plain = {"job": "ingest-canary", "instance": instance, **labels}
                prefix = "" if name.startswith("process_") else "ingest_canary_"
                found[prefix + name, frozenset(plain.items())] = value
        return found

    # --- how values change -----------------------------------------------------------------------

    def _noise(self, seed: str, percent: float) -> Value:
        """1 and a little more or less, anew in every run."""
        return lambda at: random.Random(f"{seed}{at // INTERVAL}").gauss(1, percent / 100)

    def _after_index(
        self, before: float, after: float, seed: str = "", percent: float = 0
    ) -> Value:
        noise = self._noise(seed, percent)
        return lambda at: (before if at < self._index_at else after) * (noise(at) or 1)

    def _told(self, target: str, value: float, otherwise: float | None = None) -> Value:
        """A value once the detector has told of the index."""
        return lambda at: value if target == "main" and at >= self._told_at else otherwise

    def _counter(self, per_run: float) -> Value:
        per_run = per_run if self._counting else 0.0
        return lambda at: per_run * ((at - self._start) // INTERVAL)

    # --- the metrics -----------------------------------------------------------------------------

    def _of_daemon(self, first: bool) -> Found:
        yield "build_info", {"version": "0.1.0", "python": "3.11.7"}, lambda _: 1
        yield "schedule_utilisation_ratio", {}, lambda _: 0.04
        for name, threshold in THRESHOLDS.items():
            yield "threshold", {"name": name}, _constant(threshold.default)
        yield from self._store()
        yield from self._process()
        for target in TARGETS:
            for name, labels, value in self._of_target(target, first):
                yield name, {"target": target, **labels}, value
            cases = [*((name, "20000", "") for name in RATES),
                     ("asyncpg_copy", "1000", "transaction=batch")]  # fmt: skip
            for strategy, batch_size, variant in cases:
                case = {"strategy": strategy, "shape": "orders", "batch_size": batch_size,
                        "variant": variant}  # fmt: skip
                for name, labels, value in self._of_case(target, strategy, variant):
                    yield name, {"target": target, **case, **labels}, value
                yield from self._durations(target, strategy)
            for strategy, (rate, _, _) in RATES.items():
                swept = {"target": target, "strategy": strategy, "shape": "orders",
                         "parameter": "batch_size"}  # fmt: skip
                for name, labels, value in self._sweep(rate):
                    yield name, {**swept, **labels}, value

    def _sweep(self, rate: float) -> Found:
        yield "sweep_elbow", {}, lambda _: 2000
        yield "sweep_plateau_rows_per_second", {}, lambda _: rate
        yield "sweep_timestamp_seconds", {}, lambda _: self._start
        for size in (100, 500, 1000, 2000, 5000, 10_000, 25_000):
            reached = rate * size / (size + 200)
            yield "sweep_rows_per_second", {"value": str(size)}, _constant(reached)

    def _store(self) -> Found:
        yield "store_samples_total", {}, self._counter(35)
        yield "store_errors_total", {}, self._counter(0.01)
        yield "store_dropped_samples_total", {}, lambda _: 0
        yield "store_spooled_samples", {}, lambda _: 0
        yield "store_size_bytes", {}, lambda at: 40e6 + 20 * (at - self._start)
        yield "store_write_seconds", {}, lambda at: 0.004 * (self._noise("w", 10)(at) or 1)

    def _process(self) -> Found:
        yield "process_cpu_seconds_total", {}, lambda at: 0.01 * (at - self._start)
        yield "process_max_fds", {}, lambda _: 1024
        yield "process_open_fds", {}, lambda _: 30
        yield "process_resident_memory_bytes", {}, lambda _: 110e6
        yield "process_start_time_seconds", {}, lambda _: self._start
        yield "process_virtual_memory_bytes", {}, lambda _: 500e6

    def _of_target(self, target: str, first: bool) -> Found:
        yield "up", {}, lambda _: 1
        yield "round_trip_seconds", {}, lambda at: 1.2e-4 * (self._noise("rt", 8)(at) or 1)
        yield "paused", {}, lambda _: 0
        yield "lock_held", {}, lambda at: float(first and at % INTERVAL < 60)
        yield "consecutive_failures", {}, lambda _: 0
        yield "run_interval_seconds", {}, lambda _: INTERVAL
        yield "next_run_timestamp_seconds", {}, lambda at: (at // INTERVAL + 1) * INTERVAL
        yield "last_run_duration_seconds", {}, lambda at: 7 * (self._noise("d", 5)(at) or 1)
        for outcome, runs_ago in (("ok", 0), ("partial", 40), ("failed", 90)):
            yield "last_run_timestamp_seconds", {"outcome": outcome}, _runs_ago(runs_ago)
        for outcome, per_run in (("ok", 0.98), ("partial", 0.02)):
            labels = {"outcome": outcome, "trigger": "scheduled"}
            yield "runs_total", labels, self._counter(per_run)
        yield "runs_skipped_total", {"reason": "window"}, self._counter(0.05)
        yield "environment_changed_timestamp_seconds", {}, self._told(target, self._index_at)
        environment = {"server_version": "18.6", "sqlalchemy": "2.1.9", "asyncpg": "0.32.0",
                       "python": "3.11.7", "fingerprint": "0123456789ab"}  # fmt: skip
        yield "environment_info", environment, lambda _: 1
        yield "expected_false_alarms_per_month", {}, lambda _: 0.05
        for scope in CLOSED["scope"]:
            yield "target_regressed", {"scope": scope}, lambda _: 0
        probes = {"client_cpu": 0.02, "round_trip": 1e-4, "server_insert": 0.04, "commit": 0.004}
        for probe, seconds in probes.items():
            noise = self._noise(target + probe, 3)
            yield "probe_seconds", {"probe": probe}, _times(seconds, noise)

    def _of_case(self, target: str, strategy: str, variant: str) -> Found:
        rate, client, server = RATES[strategy]
        dearer = 1.33 if target == "main" else 1.0
        wall = 1 / rate
        level = rate * (wall / (wall + server * (dearer - 1)))
        seed = target + strategy + variant
        yield "rows_per_second", {}, self._after_index(rate * 0.97, level * 0.97, seed, 2.5)
        yield "rows_per_second_low", {}, self._after_index(rate * 0.93, level * 0.93, seed, 2.5)
        yield "rows_per_second_high", {}, self._after_index(rate, level, seed, 2.5)
        yield "rows_per_second_fast", {}, self._after_index(rate, level, seed, 1.5)
        yield "baseline_rows_per_second", {}, lambda _: rate
        commit = 4e-6 if variant else 2e-7
        parts = {"client": client, "server": server, "commit": commit,
                 "rest": wall - client - server - commit}  # fmt: skip
        for component, seconds in parts.items():
            after = seconds * (dearer if component == "server" else 1)
            value = self._after_index(seconds, after, seed + component, 1.5)
            yield "seconds_per_row", {"component": component}, value
        rows = 1000 if variant else ROWS_PER_CALL.get(strategy, 20_000)
        yield "rows_per_call", {}, lambda _: rows
        yield (
            "mean_exec_time_seconds",
            {},
            self._after_index(server * rows, server * rows * dearer, seed, 1.5),
        )
        yield "wal_bytes_per_row", {}, self._after_index(148, 148 + 96 * (dearer > 1))
        yield (
            "index_overhead_ratio",
            {"index": "orders_customer_idx"},
            self._after_index(0.25, 0.25, seed + "i", 5),
        )
        yield (
            "foreign_key_overhead_ratio",
            {"foreign_key": "orders_customer_fkey"},
            (self._after_index(0.8, 0.8, seed + "f", 5)),
        )
        yield from self._counts(seed)
        yield from self._verdicts(target, strategy, dearer - 1)

    def _counts(self, seed: str) -> Found:
        yield "rows_inserted_total", {}, self._counter(100_000)
        for outcome, per_run in (("ok", 4.95), ("failed", 0.05)):
            yield "rounds_total", {"outcome": outcome}, self._counter(per_run)
        yield "round_failures_total", {"reason": "server_error"}, self._counter(0.05)
        for reason, per_run in (("checkpoint", 0.2), ("steal", 0.4), ("other_sessions", 0.3)):
            share = random.Random(seed + reason).uniform(0.5, 1.5)
            yield "rounds_disturbed_total", {"reason": reason}, self._counter(per_run * share)

    def _verdicts(self, target: str, strategy: str, effect: float) -> Found:
        for signal in CLOSED["signal"]:
            told = signal in ("server", "work") or (
                signal == "throughput" and strategy.startswith("asyncpg")
            )
            clock = {"signal": signal}
            yield "regressed", clock, self._told(target, float(told), 0)
            size = effect * (1 if signal in ("server", "work") else 0.3) if told else 0.0
            noise = self._noise(strategy + signal + "c", 1)
            yield "change_ratio", clock, _plus(self._after_index(0, size), noise)
            yield "detectable_change_ratio", clock, _constant(0.05 + 0.02 * len(strategy) / 20)
            yield "series_false_alarms_per_month", clock, _constant(0.003)
            if told:
                yield "change_point_timestamp_seconds", clock, self._told(target, self._index_at)
        for state in STATES:
            after = float(state == "regressed")
            yield "verdict", {"state": state}, self._told(target, after, float(state == "ok"))
        info = {"component": "server", "cause": "index"}
        yield "regression_info", info, self._told(target, 1)

    def _durations(self, target: str, strategy: str) -> Found:
        labels = {"target": target, "strategy": strategy}
        seconds = 20_000 / RATES[strategy][0]
        for bound in (*BUCKETS, float("inf")):
            within = min(1.0, max(0.0, (bound / seconds - 0.8) / 0.6))
            edge = "+Inf" if bound == float("inf") else str(bound)
            value = self._counter(5 * within)
            yield "insert_duration_seconds_bucket", {**labels, "le": edge}, value
        yield "insert_duration_seconds_count", labels, self._counter(5)
        yield "insert_duration_seconds_sum", labels, self._counter(5 * seconds)


def _constant(number: float) -> Value:
    return lambda _: number


def _times(number: float, noise: Value) -> Value:
    return lambda at: number * (noise(at) or 1)


def _plus(value: Value, noise: Value) -> Value:
    return lambda at: (value(at) or 0) + (noise(at) or 1) - 1


def _runs_ago(runs: int) -> Value:
    return lambda at: (at // INTERVAL - runs) * INTERVAL + 8
