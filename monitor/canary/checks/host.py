"""The machine that we run on, part of every figure: steal, pressure, neighbours, clocks."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts
from monitor.canary.checks.finding import Finding, counted, duration, info, ok, warning

#: Shares of the time looked at from which CPU steal and pressure are worth a word.
_STEAL = 0.02
_PRESSURE = 0.25
#: Clock sources that the kernel has to ask a device for.
_SLOW_SOURCES = ("hpet", "acpi_pm", "refined-jiffies", "jiffies", "pit")
_SLOW_READ = 500e-9
_LONG_IDLE = 300.0


def host(facts: Facts) -> Iterator[Finding]:
    """Noise from here and from others on the server."""
    yield _steal(facts)
    yield _pressure(facts)
    yield _quota(facts)
    yield _clock(facts)
    yield _governor(facts)
    yield _compiled(facts)
    yield _neighbours(facts)
    yield _idle_transactions(facts)


def _steal(facts: Facts) -> Finding:
    ratio = facts.host.steal_ratio
    if ratio is None:
        return ok("cpu_steal", "unknown: the kernel does not say")
    text = f"{ratio:.1%} of {duration(facts.host.seconds)}"
    if ratio >= _STEAL:
        return warning(
            "cpu_steal",
            f"{text}: the hypervisor gives this host's CPUs to others",
            "an instance with CPUs of its own (not burstable, not overcommitted)",
            steal_ratio=ratio,
        )
    return ok("cpu_steal", text, steal_ratio=ratio)


def _pressure(facts: Facts) -> Finding:
    ratio, load = facts.host.pressure_ratio, facts.host.load
    loaded = "" if load is None else f"load {load:.2f} on {counted(facts.host.cpus, 'CPU')}"
    if ratio is None:
        return ok("cpu_pressure", loaded or "unknown")
    text = f"tasks waited for a CPU in {ratio:.0%} of the time; {loaded}".rstrip("; ")
    if ratio >= _PRESSURE:
        return warning(
            "cpu_pressure",
            f"{text}: something else works on this host",
            "give the daemon a host, or a CPU, without other work",
            pressure_ratio=ratio,
        )
    return ok("cpu_pressure", text, pressure_ratio=ratio)


def _quota(facts: Facts) -> Finding:
    quota = facts.host.quota_cpus
    if quota is None:
        return ok("cpu_quota", "none on our control group")
    text = f"{quota:g} CPU{'s'[: quota != 1]} by the control group's quota"
    if facts.host.throttled:
        return warning(
            "cpu_quota",
            f"{text}, and it has been throttled: stalls of up to 100 ms fall into rounds",
            "raise the container's CPU limit or take it off",
            quota_cpus=quota,
        )
    return info(
        "cpu_quota",
        text,
        "a limit of at least 1 CPU keeps rounds from being throttled",
        quota_cpus=quota,
    )


def _clock(facts: Facts) -> Finding:
    source, each = facts.host.clock_source, facts.host.clock_read_seconds
    text = f"{source or 'unknown source'}, {duration(each)} a reading here"
    if source in _SLOW_SOURCES or each >= _SLOW_READ:
        return warning(
            "clock",
            f"{text}: reading it costs more than some of what is timed",
            "let the kernel use tsc or the hypervisor's clock",
            clock_read_seconds=each,
        )
    return ok("clock", text, clock_read_seconds=each)


def _governor(facts: Facts) -> Finding:
    governor = facts.host.governor
    if governor == "powersave":
        return info(
            "cpu_governor",
            "powersave: the CPU's clock follows the load",
            "performance, if the host is yours",
        )
    return ok("cpu_governor", governor or "not ours to see")


def _compiled(facts: Facts) -> Finding:
    if facts.host.sqlalchemy_compiled:
        return ok("sqlalchemy", "with its compiled extensions")
    return warning(
        "sqlalchemy",
        "without its compiled extensions: the client's part of ORM and Core"
        " is slower than in most installations",
        "install SQLAlchemy from a wheel for this platform",
    )


def _neighbours(facts: Facts) -> Finding:
    found = facts.sessions
    if found is None or found.active is None:
        return ok("neighbours", "other sessions' states are unknown")
    if found.active:
        return info(
            "neighbours",
            f"up to {counted(found.active, 'other session')} active at a time while we looked"
            f" ({duration(facts.host.seconds)}): their work is in our figures",
            "`skip_while` of the target leaves out runs beside heavy work",
            active_sessions=found.active,
        )
    return ok(
        "neighbours", f"nobody else active in {duration(facts.host.seconds)}", active_sessions=0
    )


def _idle_transactions(facts: Facts) -> Finding:
    seconds = facts.sessions.oldest_idle_seconds if facts.sessions else None
    if seconds is not None and seconds >= _LONG_IDLE:
        return info(
            "idle_transactions",
            f"one has been idle in a transaction for {duration(seconds)}: nothing is vacuumed past"
            " it",
            "end it in the application; idle_in_transaction_session_timeout would",
            oldest_idle_seconds=seconds,
        )
    return ok("idle_transactions", "none that is old")
