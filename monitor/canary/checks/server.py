"""The server's own settings that shape inserts: memory, huge pages, JIT, isolation, its clock."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts
from monitor.canary.checks.finding import Finding, duration, info, listed, ok, size, warning
from monitor.canary.checks.platform import to_set
from monitor.canary.checks.remedies import for_our_sessions

_LARGE = 8 << 30
#: A round's tables should fit several times: they share the cache with everything else.
_ROUNDS_IN_BUFFERS = 4
#: A reading of the server's clock takes some 20 to 60 ns where the CPU counts, 500 and more where a
#: device has to be asked.
_SLOW_CLOCK = 250e-9
#: JIT begins where the planner's cost is above jit_above_cost; a single-row INSERT costs 0.01.
_JIT_COST = 1000


def server(facts: Facts) -> Iterator[Finding]:
    """What the server brings along."""
    yield _shared_buffers(facts)
    yield _huge_pages(facts)
    yield _jit(facts)
    yield _isolation(facts)
    yield _build(facts)
    yield _pending(facts)
    yield _clock(facts)
    yield _track_io(facts)


def _shared_buffers(facts: Facts) -> Finding:
    found = facts.settings.size("shared_buffers")
    if not found:
        return ok("shared_buffers", "unknown")
    needed = _ROUNDS_IN_BUFFERS * facts.workload.round_bytes
    text = f"{facts.settings['shared_buffers']}"
    if found < needed:
        return warning(
            "shared_buffers",
            f"{text}, while a round's table takes some {size(facts.workload.round_bytes)}: pages"
            " are written out in the middle of rounds",
            to_set(facts.platform, facts.settings, "shared_buffers", "128MB", 16_384),
            shared_buffers_bytes=found,
        )
    return ok("shared_buffers", text, shared_buffers_bytes=found)


def _huge_pages(facts: Facts) -> Finding:
    wanted = facts.settings.text("huge_pages") or "unknown"
    status = facts.settings.text("huge_pages_status")  # from 17
    buffers = facts.settings.size("shared_buffers") or 0
    text = wanted if status is None else f"{wanted}, in use: {status}"
    if status == "off" and buffers >= _LARGE:
        return warning(
            "huge_pages",
            f"{text}, with {size(buffers)} of shared_buffers: page tables cost CPU and memory in"
            " every backend",
            to_set(facts.platform, facts.settings, "huge_pages", "on")
            if facts.platform != "self-managed"
            else "reserve them (vm.nr_hugepages ≥ shared_memory_size_in_huge_pages) and restart",
        )
    return ok("huge_pages", text)


def _jit(facts: Facts) -> Finding:
    cost = facts.settings.number("jit_above_cost")
    if facts.settings.on("jit") and cost is not None and 0 <= cost < _JIT_COST:
        return warning(
            "jit",
            f"jit_above_cost is {cost:g}: INSERT … SELECT may be compiled, which takes longer than"
            " to run it",
            for_our_sessions(facts, "jit", "off"),
        )
    value = facts.settings.text("jit") or "unknown"
    return ok("jit", f"{value}; these inserts are too cheap to start it")


def _isolation(facts: Facts) -> Finding:
    value = facts.settings.text("default_transaction_isolation") or "unknown"
    if value == "serializable":
        return warning(
            "isolation",
            "serializable by default: predicate locks are part of every insert",
            "leave it if production has it, else"
            f" {for_our_sessions(facts, 'default_transaction_isolation', 'DEFAULT')}",
        )
    return ok("isolation", value)


def _build(facts: Facts) -> Finding:
    if facts.settings.on("debug_assertions"):
        return warning(
            "build",
            "PostgreSQL was built with assertions: its CPU figures are not those"
            " of a production build",
            "install a release build",
        )
    return ok("build", "a release build")


def _pending(facts: Facts) -> Finding:
    names = [setting.name for setting in facts.settings.values() if setting.pending_restart]
    if names:
        return warning(
            "pending_restart",
            f"changed but not in force: {listed(names)}; the next restart changes the figures",
            "restart the server at a time of your choosing",
        )
    return ok("pending_restart", "nothing waits for a restart")


def _clock(facts: Facts) -> Finding:
    seconds = facts.server_clock_read_seconds
    if seconds is None:
        return ok("server_clock", "unknown")
    text = f"{duration(seconds)} a reading on the server"
    if seconds >= _SLOW_CLOCK:
        return warning(
            "server_clock",
            f"{text}: pg_stat_statements reads it twice per statement, so single-row inserts are"
            " timed by a slow clock",
            "let the server's kernel use tsc or its hypervisor's clock"
            " (/sys/devices/system/clocksource/clocksource0/current_clocksource)",
            server_clock_read_seconds=seconds,
        )
    return ok("server_clock", text, server_clock_read_seconds=seconds)


def _track_io(facts: Facts) -> Finding:
    slow = (facts.server_clock_read_seconds or 0) >= _SLOW_CLOCK
    if facts.settings.on("track_io_timing") and slow:
        return info("track_io_timing", "on, with a slow clock: every block read is timed twice")
    return ok("track_io_timing", facts.settings.text("track_io_timing") or "unknown")
