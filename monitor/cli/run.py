"""ingest-canary run: the daemon in the foreground."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import click

from monitor.cli.common import read_settings, settings_options
from monitor.cli.table import console, print_run, progress_bar
from monitor.config.settings import Settings
from monitor.daemon.daemon import Daemon
from monitor.measure.runner import Progress
from monitor.model import Run

log = logging.getLogger(__name__)

#: Seconds after the first signal when the process ends whatever still hangs.
LAST_RESORT_SECONDS = 4.8
#: Seconds by which the process ends before its grace period does.
_MARGIN_SECONDS = 0.5
#: Threads for what blocks, made as needed: a silent name server keeps one for half a minute, and
#: every target may have two that ask it.
_THREADS = 128
#: Seconds that the end waits for what such threads still do.
_THREAD_SECONDS = 1.0


class _Threads(ThreadPoolExecutor):
    """A pool whose end waits for no thread: one that asks a silent name server cannot be called
    off."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)


@click.command()
@click.option("--interval", metavar="DURATION", help="Time between runs, such as 30s or 10min.")
@click.option("--host", metavar="ADDRESS", help="Address that /metrics is served on.")
@click.option("--port", metavar="PORT", help="TCP port that /metrics is served on.")
@click.option("--web-config", metavar="FILE", help="TLS, users and headers, as exporters take it.")
@settings_options
def run(
    interval: str | None,
    host: str | None,
    port: str | None,
    web_config: str | None,
    **options: Any,
) -> int:
    """Measure on schedule and serve /metrics until stopped."""
    overrides: dict[str, Any] = {"interval": interval} if interval else {}
    given = (("host", host), ("port", port), ("config_file", web_config))
    web = {name: value for name, value in given if value}
    if web:
        overrides["web"] = web
    settings = read_settings(options, overrides)
    with progress_bar() as progress:
        asyncio.run(_serve(settings, progress))
    _leave_threads()
    return 0


def _leave_threads() -> None:
    """End the process here if a thread would keep it: all else has been closed and written."""
    until = monotonic() + _THREAD_SECONDS
    threads = [each for each in threading.enumerate() if each.name.startswith(_Threads.__name__)]
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    if any(thread.is_alive() for thread in threads):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


async def _serve(settings: Settings, progress: Progress) -> None:
    daemon = Daemon(settings, _Reporter(settings).report, progress)
    stops = 0

    def on_signal(drain_seconds: float) -> None:
        nonlocal stops
        stops += 1
        if stops > 1:
            os._exit(130)
        log.info("stopping")
        timer = threading.Timer(drain_seconds + LAST_RESORT_SECONDS, os._exit, args=(1,))
        timer.daemon = True
        timer.start()
        daemon.stop(drain_seconds)

    loop = asyncio.get_running_loop()
    loop.set_default_executor(_Threads(_THREADS, _Threads.__name__))
    # Who presses Ctrl-C waits; who sends SIGTERM has said how long it may take.
    drain_seconds = settings.grace_period - LAST_RESORT_SECONDS - _MARGIN_SECONDS
    loop.add_signal_handler(signal.SIGINT, on_signal, 0.0)
    loop.add_signal_handler(signal.SIGTERM, on_signal, max(0.0, drain_seconds))
    await daemon.run()


class _Reporter:
    """Prints the table of the first run, at a terminal of every run, and logs a line of each.

    No table goes where logs are JSON: a collector reads both streams, line by line.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._console = console()
        self._notices: set[str] = set()
        self._measured = False

    def report(self, run: Run) -> None:
        self._log(run)
        first = not self._measured and self._settings.log.format == "plain"
        if run.cases and (first or sys.stdout.isatty()):
            print_run(run, self._console)
            sys.stdout.flush()
        if run.cases and not self._measured:
            self._measured = True
            self._say_what_it_costs(run)

    def _log(self, run: Run) -> None:
        level = logging.INFO if run.outcome == "ok" else logging.WARNING
        log.log(
            level,
            "%s: run %s in %.1f s%s",
            run.target,
            run.outcome,
            run.duration_seconds,
            _why(run),
        )
        for notice in run.notices:
            if notice.subject == "load":  # what the other clients did: news of every run
                log.info("%s: %s", run.target, notice)
            elif str(notice) not in self._notices:
                self._notices.add(str(notice))
                log.warning("%s: %s", run.target, notice)

    def _say_what_it_costs(self, run: Run) -> None:
        interval = self._settings.interval_of(run.target)
        if run.duration_seconds > interval:
            log.warning(
                "a run takes %.1f s, longer than the interval of %g s: runs will be"
                " skipped; lengthen the interval",
                run.duration_seconds,
                interval,
            )
        if run.wal_bytes is None:
            return
        per_day = run.wal_bytes * 86_400 / interval
        limit = self._settings.limits.max_wal_bytes_per_day
        log.info(
            "a run writes %.0f MB of WAL: %.1f GB a day at this interval (limit %.1f GB)",
            run.wal_bytes / 1e6,
            per_day / 1e9,
            limit / 1e9,
        )
        if per_day > limit:
            log.warning(
                "that is more than max_wal_bytes_per_day: runs will fail for it after"
                " %.1f h; lengthen the interval",
                24 * limit / per_day,
            )


def _why(run: Run) -> str:
    failures = run.failures
    if not failures:
        return ""
    first = failures[0]
    more = f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    return f": {first.reason}: {first.message}{more}"
